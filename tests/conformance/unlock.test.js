// POST /coupon/unlock/:code and /coupon/unassign/:code: the way back from locked to assigned, and
// from assigned to free.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { defaultBackend } from '../support/data.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, settledEntries, verifyLedger } from '../support/ledger.js';
import { passed, pause } from '../support/lives.js';
import { refusals } from '../support/refusals.js';
import { assertCode } from '../support/shapes.js';

const free = { status: 'free', assignedTo: null, lockedUntil: null, redeemedAt: null };
const assignedTo = (user) => ({ ...free, status: 'assigned', assignedTo: user });

const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const show = async (client, code) => (await client.get(`/coupon/code/${code}`)).body;
const counted = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts;
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const types = (entries) => entries.map(({ type }) => type);

function assertReplayed(answer, first) {
    assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text);
    assert.deepEqual([answer.status, answer.text], [first.status, first.text]);
}

/** Its figures, and those of the statistics, which say the same. */
async function figures(client, id) {
    const counts = await counted(client, id);
    const { totals, funnel, series } = (await client.get(`/coupon/${id}/stats`)).body;
    for (const [name, count] of Object.entries(counts)) assert.equal(totals[name], count, name);
    for (const [index, { codes }] of funnel.entries()) {
        if (index > 0) assert.ok(codes <= funnel[index - 1].codes, JSON.stringify(funnel));
    }
    const sum = (name) => series.reduce((total, piece) => total + piece[name], 0);
    return { ...counts, everAssigned: sum('assigned'), everLocked: sum('locked') };
}

describe('POST /coupon/unlock/:code', () => {
    const c = suiteServer();

    it('gives a lock back: the code is assigned, and can be locked for a new time', async () => {
        const { id } = await c.client.newBookWith(['UL-1', 'UL-2']);
        for (const code of ['UL-1', 'UL-2']) await c.client.mustAssign(code, 'ann');
        const { lockedUntil } = await c.client.mustLock('UL-1', 'ann');
        await c.client.mustLock('UL-2', 'ann');
        const answer = await c.client.unlock('UL-1', 'ann');
        assert.equal(answer.status, 201, answer.text);
        assert.equal(answer.text, '{"message":"Coupon unlocked successfully"}');

        const shown = await show(c.client, 'UL-1');
        assert.deepEqual(
            [shown.status, shown.isLocked, shown.lockedUntil, shown.assignedTo],
            ['assigned', false, null, 'ann'],
        );
        assertCode(await c.client.codeOf(id, 'UL-1'), { code: 'UL-1', assignedTo: 'ann' });
        const listed = (await c.client.get(`/coupon/codes/${id}?status=locked`)).body;
        assert.deepEqual(listed.map(({ code }) => code), ['UL-2']);
        assert.deepEqual(await figures(c.client, id), {
            ...{ total: 2, available: 0, assigned: 1, locked: 1, redeemed: 0 },
            ...{ everAssigned: 2, everLocked: 2 },
        });
        const entry = (await entriesOf(c.client, 4, { code: 'UL-1' })).at(-1);
        assert.equal(
            JSON.stringify(entry),
            JSON.stringify({
                id: entry.id,
                at: entry.at,
                type: 'code_unlocked',
                bookId: id,
                code: 'UL-1',
                userId: 'ann',
                requestId: answer.headers['x-request-id'],
                before: { ...assignedTo('ann'), status: 'locked', lockedUntil },
                after: assignedTo('ann'),
            }),
        );

        assertRefused(await c.client.redeem('UL-1', 'ann'), ...refusals.notLocked);
        await pause(5);
        const again = await c.client.mustLock('UL-1', 'ann');
        assert.ok(again.lockedUntil > lockedUntil, `${again.lockedUntil} ${lockedUntil}`);
        await c.client.mustRedeem('UL-1', 'ann');
        await c.client.mustRedeem('UL-2', 'ann');
    });

    it('ends with a lock taken and given back many times', async () => {
        const { id } = await c.client.newBookWith(['MANY'], { lockTtlSeconds: 1_000 });
        await c.client.mustAssign('MANY', 'ann');
        for (let times = 0; times < 20; times += 1) {
            await c.client.mustLock('MANY', 'ann');
            assertRefused(await c.client.lock('MANY', 'ann'), ...refusals.locked);
            await c.client.mustUnlock('MANY', 'ann');
        }
        assert.deepEqual(await figures(c.client, id), {
            ...{ total: 1, available: 0, assigned: 1, locked: 0, redeemed: 0 },
            ...{ everAssigned: 1, everLocked: 20 },
        });
        await c.client.mustLock('MANY', 'ann');
        await c.client.mustRedeem('MANY', 'ann');
    });

    it('answers the same where there is no lock, and changes nothing', async () => {
        await c.client.newBookWith(['NO-1', 'NO-2'], { lockTtlSeconds: 1 });
        await c.client.mustAssign('NO-1', 'ann');
        await c.client.mustUnlock('NO-1', 'ann');
        await c.client.mustUnlock('NO-1', 'ann');
        await c.client.mustAssign('NO-2', 'ann');
        const { lockedUntil } = await c.client.mustLock('NO-2', 'ann');
        await passed(lockedUntil);
        const answer = await c.client.unlock('NO-2', 'ann'); // it has run out
        assert.equal(answer.text, '{"message":"Coupon unlocked successfully"}');
        const entries = await settledEntries(c.client, { code: 'NO-1' });
        assert.deepEqual(types(entries), ['codes_uploaded', 'code_assigned']);
        const locked = await c.client.allEvents({ code: 'NO-2' });
        assert.deepEqual(types(locked), ['codes_uploaded', 'code_assigned', 'code_locked']);
    });

    it('refuses in this order: no code, not the user’s, redeemed', async () => {
        await c.client.newBookWith(['R-free', 'R-assigned', 'R-locked', 'R-redeemed']);
        for (const code of ['R-assigned', 'R-locked', 'R-redeemed']) {
            await c.client.mustAssign(code, 'ann');
        }
        for (const code of ['R-locked', 'R-redeemed']) await c.client.mustLock(code, 'ann');
        await c.client.mustRedeem('R-redeemed', 'ann');
        for (const code of ['nope', 'r-locked', 'R-locked ']) {
            assertRefused(await c.client.unlock(code, 'ann'), ...refusals.codeNotFound);
        }
        assertRefused(await c.client.unlock('R-free', 'ann'), ...refusals.notAssigned);
        for (const code of ['R-assigned', 'R-locked', 'R-redeemed']) {
            for (const user of ['bob', 'Ann', 'ann ']) {
                assertRefused(await c.client.unlock(code, user), ...refusals.notAssigned);
            }
        }
        assertRefused(await c.client.unlock('R-redeemed', 'ann'), ...refusals.redeemed);
        assert.equal((await show(c.client, 'R-locked')).status, 'locked');
        await c.client.mustRedeem('R-locked', 'ann');
    });

    it('wants a user and nothing else', async () => {
        await c.client.newBookWith(['W']);
        const post = (body) => c.client.post('/coupon/unlock/W', body);
        invalid(await post({}), ['userId should not be empty']);
        invalid(await post({ userId: null }), ['userId should not be empty']);
        invalid(await post({ userId: 5 }), ['userId must be a string']);
        invalid(await post({ userId: 'ann', code: 'W' }), ['property code should not exist']);
        invalid(await post('[]'), ['body must be an object']);
        const unfit = 'code must be 1 to 128 characters without control characters';
        invalid(await c.client.unlock('x'.repeat(129), 'ann'), [unfit]);
        const nowhere = await c.client.post('/coupon/unlock', { userId: 'ann' });
        assertRefused(nowhere, 404, 'Cannot POST /coupon/unlock', 'route_not_found');
    });
});

describe('POST /coupon/unassign/:code', () => {
    const c = suiteServer();

    it('takes a code back, to be given to somebody else', async () => {
        const { id } = await c.client.newBookWith(['UA-1', 'UA-2'], { maxRedemptionsPerUser: 1 });
        await c.client.mustAssign('UA-1', 'ann');
        await c.client.mustAssign('UA-2', 'ann');
        const answer = await c.client.unassign('UA-1', 'ann');
        assert.equal(answer.status, 201, answer.text);
        assertCode(answer.body, { code: 'UA-1' });
        assert.deepEqual(await c.client.codeOf(id, 'UA-1'), answer.body);
        assert.deepEqual(await figures(c.client, id), {
            ...{ total: 2, available: 1, assigned: 1, locked: 0, redeemed: 0 },
            ...{ everAssigned: 2, everLocked: 0 },
        });
        const { codes } = (await c.client.get('/coupon/users/ann')).body;
        assert.deepEqual(codes.map(({ code }) => code), ['UA-2']);
        const freed = (await c.client.get(`/coupon/codes/${id}?status=free`)).body;
        assert.deepEqual(freed.map(({ code }) => code), ['UA-1']);
        const entry = (await entriesOf(c.client, 3, { code: 'UA-1' })).at(-1);
        assert.equal(
            JSON.stringify(entry),
            JSON.stringify({
                id: entry.id,
                at: entry.at,
                type: 'code_unassigned',
                bookId: id,
                code: 'UA-1',
                userId: 'ann',
                requestId: answer.headers['x-request-id'],
                before: assignedTo('ann'),
                after: free,
            }),
        );

        for (const call of ['lock', 'redeem', 'unlock']) {
            assertRefused(await c.client[call]('UA-1', 'ann'), ...refusals.notAssigned);
        }
        await c.client.mustAssign('UA-1', 'bob');
        assertRefused(await c.client.assign('UA-1', 'ann'), ...refusals.anothersCode);
        await c.client.mustLock('UA-1', 'bob');
        await c.client.mustRedeem('UA-1', 'bob');
        await settledEntries(c.client);
        const { history, redemptions } = await show(c.client, 'UA-1');
        assert.deepEqual(
            history.map(({ type, userId }) => [type, userId]),
            [
                ['codes_uploaded', null],
                ['code_assigned', 'ann'],
                ['code_unassigned', 'ann'],
                ['code_assigned', 'bob'],
                ['code_locked', 'bob'],
                ['code_redeemed', 'bob'],
            ],
        );
        assert.deepEqual(redemptions.map(({ userId }) => userId), ['bob']);
        // It was bob's redemption, not ann's.
        await c.client.mustLock('UA-2', 'ann');
        await c.client.mustRedeem('UA-2', 'ann');
        assert.deepEqual(await figures(c.client, id), {
            ...{ total: 2, available: 0, assigned: 0, locked: 0, redeemed: 2 },
            ...{ everAssigned: 3, everLocked: 2 },
        });
    });

    it('asks whose it is only where that is said', async () => {
        await c.client.newBookWith(numbered('W-', 3));
        for (const code of numbered('W-', 3)) await c.client.mustAssign(code, 'ann');
        for (const [index, body] of [{}, { userId: null }, { userId: 'ann' }].entries()) {
            const answer = await c.client.post(`/coupon/unassign/W-${index}`, body);
            assert.equal(answer.status, 201, answer.text);
            assertCode(answer.body, { code: `W-${index}` });
        }
    });

    it('answers the same where the code is nobody’s, and changes nothing', async () => {
        const { id } = await c.client.newBookWith(['F-1', 'F-2']);
        for (const user of [undefined, 'ann']) {
            assertCode(await c.client.mustUnassign('F-1', user), { code: 'F-1' });
        }
        await c.client.mustAssign('F-2', 'ann');
        const first = await c.client.mustUnassign('F-2', 'ann');
        assert.deepEqual(await c.client.mustUnassign('F-2', 'ann'), first);
        assert.deepEqual(await c.client.mustUnassign('F-2'), first);
        const expected = ['codes_uploaded'];
        assert.deepEqual(types(await settledEntries(c.client, { code: 'F-1' })), expected);
        const changed = [...expected, 'code_assigned', 'code_unassigned'];
        assert.deepEqual(types(await c.client.allEvents({ code: 'F-2' })), changed);
        assert.equal((await counted(c.client, id)).available, 2);
    });

    it('refuses in this order: no code, somebody else’s, redeemed, locked', async () => {
        await c.client.newBookWith(['O-assigned', 'O-locked', 'O-redeemed']);
        for (const code of ['O-assigned', 'O-locked', 'O-redeemed']) {
            await c.client.mustAssign(code, 'ann');
        }
        for (const code of ['O-locked', 'O-redeemed']) await c.client.mustLock(code, 'ann');
        await c.client.mustRedeem('O-redeemed', 'ann');
        for (const user of [undefined, 'ann']) {
            assertRefused(await c.client.unassign('nope', user), ...refusals.codeNotFound);
            assertRefused(await c.client.unassign('O-redeemed', user), ...refusals.redeemed);
            assertRefused(await c.client.unassign('O-locked', user), ...refusals.locked);
        }
        for (const code of ['O-assigned', 'O-locked', 'O-redeemed']) {
            for (const user of ['bob', 'Ann', 'ann ']) {
                assertRefused(await c.client.unassign(code, user), ...refusals.notAssigned);
            }
        }
        assert.equal((await show(c.client, 'O-assigned')).assignedTo, 'ann');
        await c.client.mustUnlock('O-locked', 'ann');
        await c.client.mustUnassign('O-locked', 'ann');
    });

    it('wants nothing but a user, and that only if it is one', async () => {
        await c.client.newBookWith(['B']);
        const post = (body) => c.client.post('/coupon/unassign/B', body);
        invalid(await post({ userId: 5 }), ['userId must be a string']);
        invalid(await post({ userId: 'u\n' }), ['userId must not contain control characters']);
        invalid(await post({ user: 'ann' }), ['property user should not exist']);
        invalid(await post('[]'), ['body must be an object']);
        const nowhere = await c.client.post('/coupon/unassign', {});
        assertRefused(nowhere, 404, 'Cannot POST /coupon/unassign', 'route_not_found');
    });

    it('takes a code back whose lock has run out, and its next holder locks it', async () => {
        const { id } = await c.client.newBookWith(['D-1'], { lockTtlSeconds: 1 });
        await c.client.mustAssign('D-1', 'ann');
        const { lockedUntil } = await c.client.mustLock('D-1', 'ann');
        assertRefused(await c.client.unassign('D-1', 'ann'), ...refusals.locked);
        await passed(lockedUntil);
        await c.client.mustUnassign('D-1', 'ann');
        assert.equal((await figures(c.client, id)).available, 1);
        const entry = (await entriesOf(c.client, 4, { code: 'D-1' })).at(-1);
        assert.deepEqual([entry.before, entry.after], [assignedTo('ann'), free]);
        await c.client.mustPatchBook(id, { lockTtlSeconds: null });
        await c.client.mustAssign('D-1', 'bob');
        await c.client.mustLock('D-1', 'bob');
        assertRefused(await c.client.redeem('D-1', 'ann'), ...refusals.notAssigned);
        await c.client.mustRedeem('D-1', 'bob');
    });

    it('has no lock left for who gets the code anew, the same user too', async () => {
        await c.client.newBookWith(['L-1']);
        for (const user of ['ann', 'ann', 'bob', 'ann']) {
            await c.client.mustAssign('L-1', user);
            assertRefused(await c.client.redeem('L-1', user), ...refusals.notLocked);
            await c.client.mustLock('L-1', user);
            await c.client.mustUnlock('L-1', user);
            await c.client.mustUnassign('L-1', user);
        }
        await c.client.mustAssign('L-1', 'ann');
        assertRefused(await c.client.redeem('L-1', 'ann'), ...refusals.notLocked);
    });

    it('gives the code back to what /coupon/assign draws from, and what is disabled not', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('P-', 30);
        const { id } = await client.newBookWith(codes);
        for (const code of codes) await client.mustAssign(code, 'ann');
        assertRefused(await client.assignAny('bob'), ...refusals.noneAvailable);
        for (const code of codes) await client.mustUnassign(code);
        await client.mustPatchCode('P-0', { active: false });
        const given = [];
        for (let index = 1; index < 30; index += 1) {
            const answer = await client.assignAny('bob', index % 2 ? id : undefined);
            assert.equal(answer.status, 201, answer.text);
            given.push(answer.body.code);
        }
        assert.deepEqual(given.sort(), codes.slice(1).sort());
        assertRefused(await client.assignAny('bob', id), ...refusals.noneAvailable);
        assert.deepEqual(await figures(client, id), {
            ...{ total: 30, available: 1, assigned: 29, locked: 0, redeemed: 0 },
            ...{ everAssigned: 59, everLocked: 0 },
        });
        await verifyLedger(client);
    });

    it('is there after a restart', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBookWith(['S-1', 'S-2']);
        for (const code of ['S-1', 'S-2']) {
            await client.mustAssign(code, 'ann');
            await client.mustLock(code, 'ann');
            await client.mustUnlock(code, 'ann');
        }
        await client.mustUnassign('S-1', 'ann');
        const before = (await client.get(`/coupon/codes/${id}`)).text;
        await server.stop();
        await server.start();
        assert.equal((await client.get(`/coupon/codes/${id}`)).text, before);
        assert.equal((await client.assignAny('bob')).body.code, 'S-1');
        await client.mustLock('S-2', 'ann');
        await client.mustRedeem('S-2', 'ann');
        await verifyLedger(client);
    });

    it('of somebody who is forgotten later leaves nothing of their id', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['E-1', 'E-2']);
        for (const code of ['E-1', 'E-2']) await client.mustAssign(code, 'ann');
        await client.mustLock('E-1', 'ann');
        await client.mustUnlock('E-1', 'ann');
        await client.mustPatchCode('E-1', { active: false });
        for (const code of ['E-1', 'E-2']) await client.mustUnassign(code, 'ann');
        await client.mustAssign('E-2', 'bob');
        const erased = await client.request('DELETE', '/coupon/users/ann');
        assert.equal(erased.status, 200, erased.text);
        const entries = await settledEntries(client);
        assert.doesNotMatch(JSON.stringify(entries), /"ann"/);
        const users = new Set(entries.map(({ userId }) => userId));
        const random = [...users].filter((user) => user?.startsWith('erased-'));
        assert.equal(random.length, 1);
        const [last] = entries.filter(({ type, code }) => type === 'code_unassigned' && code === 'E-2');
        assert.deepEqual([last.userId, last.before], [random[0], assignedTo(random[0])]);
        assert.equal((await show(client, 'E-1')).assignedTo, null);
        assert.equal((await show(client, 'E-2')).assignedTo, 'bob');
        await server.data.verify();
    });
});

describe('a key', () => {
    it('has one effect and one answer of an unlocking and an unassigning', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['A', 'B'], { lockTtlSeconds: 80_000 });
        for (const code of ['A', 'B']) {
            await client.mustAssign(code, 'ann');
            await client.mustLock(code, 'ann');
        }
        const refused = await client.unassign('A', 'ann', keyed('r'));
        assertRefused(refused, ...refusals.locked);
        const unlocked = await client.unlock('A', 'ann', keyed('u'));
        assert.equal(unlocked.status, 201, unlocked.text);
        const unassigned = await client.unassign('A', 'ann', keyed('a'));
        assert.equal(unassigned.status, 201, unassigned.text);
        // What is done since is not undone by the repetition.
        await client.mustAssign('A', 'ann');
        await client.mustLock('A', 'ann');
        const replay = async () => {
            assertReplayed(await client.unassign('A', 'ann', keyed('r')), refused);
            assertReplayed(await client.unlock('A', 'ann', keyed('u')), unlocked);
            assertReplayed(await client.unassign('A', 'ann', keyed('a')), unassigned);
            for (const answer of [
                await client.unlock('B', 'ann', keyed('u')),
                await client.unassign('A', 'ann', keyed('u')),
                await client.unassign('A', undefined, keyed('a')),
            ]) {
                assertRefused(answer, 422, undefined, 'idempotency_key_reused');
            }
        };
        await replay();
        assert.equal((await show(client, 'A')).status, 'locked');
        assert.equal((await show(client, 'B')).status, 'locked');
        await server.stop();
        await server.start();
        await replay();
        await client.mustRedeem('A', 'ann');
        await client.mustRedeem('B', 'ann');
        await verifyLedger(client);
    });

    it('of a lock that was given back answers as it did, and locks nothing', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A']);
        await client.mustAssign('A', 'ann');
        const lock = () => client.post('/coupon/lock/A', { userId: 'ann' }, keyed('l'));
        const first = await lock();
        assert.equal(first.status, 201, first.text);
        await client.mustUnlock('A', 'ann');
        assertReplayed(await lock(), first);
        assertRefused(await client.redeem('A', 'ann'), ...refusals.notLocked);
        await client.mustUnassign('A', 'ann');
        assertReplayed(await lock(), first);
        assert.equal((await show(client, 'A')).assignedTo, null);
    });
});

if (defaultBackend() === 'redis') {
    describe('Redis', () => {
        it('holds no lock that was given back', async (t) => {
            const { server, client } = await testServer(t);
            const { redis } = server.data;
            await client.newBookWith(['X'], { lockTtlSeconds: 77 });
            await client.mustAssign('X', 'ann');
            const { lockedUntil } = await client.mustLock('X', 'ann');
            assert.equal(await redis.ask('GET', 'coupon:lock:X'), 'ann');
            const end = await redis.ask('PEXPIRETIME', 'coupon:lock:X');
            assert.equal(end, Date.parse(lockedUntil));
            await client.mustUnlock('X', 'ann');
            // A mark without a holder may stay for a while.
            assert.ok(!(await redis.ask('GET', 'coupon:lock:X')), 'the lock stays');
            await client.mustUnassign('X', 'ann');
            await client.mustAssign('X', 'bob');
            await client.mustLock('X', 'bob');
            assert.equal(await redis.ask('GET', 'coupon:lock:X'), 'bob');
        });

        it('that has lost a lock has none to give back, and the code can be taken back', async (t) => {
            const { server, client } = await testServer(t);
            const { id } = await client.newBookWith(['X', 'Y']);
            for (const code of ['X', 'Y']) {
                await client.mustAssign(code, 'ann');
                await client.mustLock(code, 'ann');
            }
            await server.data.redis.ask('FLUSHALL');
            await client.mustUnlock('X', 'ann');
            await client.mustLock('X', 'ann');
            await client.mustUnassign('Y', 'ann');
            assert.deepEqual(await counted(client, id), {
                ...{ total: 2, available: 1, assigned: 0, locked: 1, redeemed: 0 },
            });
            await client.mustAssign('Y', 'bob');
            await client.mustLock('Y', 'bob');
            await client.mustRedeem('Y', 'bob');
            await client.mustRedeem('X', 'ann');
        });
    });
}
