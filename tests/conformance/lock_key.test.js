// A lockKey makes a lock the own one of whoever knows it: who extends, redeems and gives back by it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, verifyLedger } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { refusals } from '../support/refusals.js';

const order = (id) => ({ id, amount: 20, currency: 'EUR' });
const lock = (client, code, userId, lockKey, options) =>
    client.post(`/coupon/lock/${code}`, { userId, lockKey }, options);
const redeem = (client, code, userId, lockKey, sent) =>
    client.post(`/coupon/redeem/${code}`, { userId, order: sent, lockKey });
const unlock = (client, code, userId, lockKey) =>
    client.post(`/coupon/unlock/${code}`, { userId, lockKey });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });

async function assigned(client, codes, members) {
    const book = await client.newBookWith(codes, members);
    for (const code of codes) await client.mustAssign(code, 'ann');
    return book;
}

/** Until when, of an answer that says so. */
function untilOf(answer) {
    assert.equal(answer.status, 201, answer.text);
    return Date.parse(answer.body.lockedUntil);
}

describe('a lock with a lockKey', () => {
    const c = suiteServer();

    it('is extended by the same user with the same key, and by nobody else', async () => {
        const { client } = c;
        const { id } = await assigned(client, ['X-1']);
        const first = untilOf(await lock(client, 'X-1', 'ann', 'checkout 1'));
        await passed(new Date(first - 300_000).toISOString());
        for (const key of [undefined, null, 'checkout 2', 'Checkout 1', 'checkout 1 ']) {
            assertRefused(await lock(client, 'X-1', 'ann', key), ...refusals.locked);
        }
        assertRefused(await lock(client, 'X-1', 'bob', 'checkout 1'), ...refusals.notAssigned);
        const second = untilOf(await lock(client, 'X-1', 'ann', 'checkout 1'));
        assert.ok(second > first, `${second} after ${first}`);
        const { lockedUntil, status } = (await client.get('/coupon/code/X-1')).body;
        assert.deepEqual([Date.parse(lockedUntil), status], [second, 'locked']);
        const { counts } = (await client.get(`/coupon/${id}`)).body;
        assert.deepEqual([counts.locked, counts.assigned], [1, 0]);
    });

    it('never ends earlier for that', async () => {
        const { client } = c;
        const { id } = await assigned(client, ['E-1']);
        const first = untilOf(await lock(client, 'E-1', 'ann', 'k'));
        await client.mustPatchBook(id, { lockTtlSeconds: 1 });
        assert.equal(untilOf(await lock(client, 'E-1', 'ann', 'k')), first);
    });

    it('lets who has the key redeem, and nobody without', async () => {
        const { client } = c;
        await assigned(client, ['R-1', 'R-2']);
        await lock(client, 'R-1', 'ann', 'k1');
        for (const key of [undefined, 'k2']) {
            assertRefused(await redeem(client, 'R-1', 'ann', key), ...refusals.otherLockKey);
        }
        const sent = order('r-1');
        const { body } = await redeem(client, 'R-1', 'ann', 'k1', sent);
        // The same order again is the same redemption, with whichever key.
        for (const key of ['k1', 'k2', undefined]) {
            const again = await redeem(client, 'R-1', 'ann', key, sent);
            assert.deepEqual([again.status, again.body.replayed], [201, true]);
            assert.deepEqual(again.body.redemption, body.redemption);
        }
        await lock(client, 'R-2', 'ann');
        assertRefused(await redeem(client, 'R-2', 'ann', 'k1'), ...refusals.otherLockKey);
        assert.equal((await redeem(client, 'R-2', 'ann')).status, 201);
    });

    it('is given back by who has the key, and then has none', async () => {
        const { client } = c;
        await assigned(client, ['U-1']);
        await lock(client, 'U-1', 'ann', 'k1');
        for (const key of [undefined, 'k2']) {
            assertRefused(await unlock(client, 'U-1', 'ann', key), ...refusals.otherLockKey);
        }
        assertRefused(await client.unassign('U-1'), ...refusals.locked);
        assert.equal((await unlock(client, 'U-1', 'ann', 'k1')).status, 201);
        assert.equal((await unlock(client, 'U-1', 'ann', 'k2')).status, 201);
        assertRefused(await redeem(client, 'U-1', 'ann', 'k1'), ...refusals.notLocked);
        await lock(client, 'U-1', 'ann');
        assert.equal((await redeem(client, 'U-1', 'ann')).status, 201);
    });

    it('is over when its time is, and the next one has the key that it is taken with', async () => {
        const { client } = c;
        await assigned(client, ['O-1'], { lockTtlSeconds: 1 });
        await passed((await lock(client, 'O-1', 'ann', 'k1')).body.lockedUntil);
        assertRefused(await redeem(client, 'O-1', 'ann', 'k1'), ...refusals.notLocked);
        untilOf(await lock(client, 'O-1', 'ann', 'k2'));
        assertRefused(await redeem(client, 'O-1', 'ann', 'k1'), ...refusals.otherLockKey);
        assert.equal((await redeem(client, 'O-1', 'ann', 'k2')).status, 201);
    });

    it('does for several codes what it does for one, for all of them or none', async () => {
        const { client } = c;
        await assigned(client, ['S-1', 'S-2', 'S-3']);
        const lockAll = (codes, lockKey) =>
            client.post('/coupon/lock', { userId: 'ann', codes, lockKey });
        const first = untilOf(await lock(client, 'S-1', 'ann', 'cart'));
        await passed(new Date(first - 300_000).toISOString());
        await lock(client, 'S-3', 'ann', 'other');
        const refused = await lockAll(['S-2', 'S-1', 'S-3'], 'cart');
        assert.deepEqual([refused.status, refused.body.couponCode], [409, 'S-3']);
        assert.equal((await client.get('/coupon/code/S-2')).body.status, 'assigned');
        assert.equal(Date.parse((await client.get('/coupon/code/S-1')).body.lockedUntil), first);
        const { status, body } = await lockAll(['S-1', 'S-2'], 'cart');
        assert.equal(status, 201);
        for (const { lockedUntil } of body.locks) assert.ok(Date.parse(lockedUntil) > first);
        const sent = { userId: 'ann', codes: ['S-1', 'S-2'], order: order('s') };
        const no = await client.post('/coupon/redeem', { ...sent, lockKey: 'other' });
        assert.deepEqual([no.body.code, no.body.couponCode], ['lock_key_mismatch', 'S-1']);
        const yes = await client.post('/coupon/redeem', { ...sent, lockKey: 'cart' });
        assert.equal(yes.status, 201, yes.text);
    });

    it('of an open code is one for each user', async () => {
        const { client } = c;
        await client.newBookWith(['P-1'], { assignment: 'open', maxRedemptionsPerCode: 2 });
        untilOf(await lock(client, 'P-1', 'ann', 'k'));
        untilOf(await lock(client, 'P-1', 'bob', 'k'));
        assertRefused(await lock(client, 'P-1', 'cid', 'k'), ...refusals.locked);
        untilOf(await lock(client, 'P-1', 'ann', 'k'));
        assertRefused(await redeem(client, 'P-1', 'ann'), ...refusals.otherLockKey);
        for (const user of ['bob', 'ann']) {
            assert.equal((await redeem(client, 'P-1', user, 'k')).status, 201);
        }
    });

    it('is told in the ledger as one that lasts longer, which counts as no other lock', async () => {
        const { client } = c;
        const { id } = await assigned(client, ['L-1'], { lockTtlSeconds: 60 });
        const ends = [];
        for (let i = 0; i < 3; i += 1) {
            ends.push((await lock(client, 'L-1', 'ann', 'secret-of-ann')).body.lockedUntil);
        }
        await redeem(client, 'L-1', 'ann', 'secret-of-ann');
        const entries = await entriesOf(client, 6, { code: 'L-1' });
        assert.deepEqual(
            entries.slice(2).map(({ type, before, after }) => [type, before, after]),
            [null, ends[0], ends[1], ends[2]].map((was, i) => [
                i < 3 ? 'code_locked' : 'code_redeemed',
                {
                    ...{ status: was ? 'locked' : 'assigned', assignedTo: 'ann' },
                    ...{ lockedUntil: was, redeemedAt: null },
                },
                {
                    ...{ status: i < 3 ? 'locked' : 'redeemed', assignedTo: 'ann' },
                    ...{ lockedUntil: i < 3 ? ends[i] : null },
                    redeemedAt: i < 3 ? null : entries[5].at,
                },
            ]),
        );
        const { series, funnel } = (await client.get(`/coupon/${id}/stats`)).body;
        assert.equal(series.reduce((sum, { locked }) => sum + locked, 0), 1);
        assert.equal(funnel.find(({ status }) => status === 'locked').codes, 1);
    });

    it('shows its key to nobody', async (t) => {
        const { server, client } = await testServer(t);
        await assigned(client, ['N-1', 'N-2']);
        for (const code of ['N-1', 'N-1', 'N-2']) await lock(client, code, 'ann', 'secret-of-ann');
        await redeem(client, 'N-2', 'ann', 'another');
        const told = [
            await redeem(client, 'N-1', 'ann', 'secret-of-ann'),
            await unlock(client, 'N-2', 'ann', 'not the secret'),
        ];
        for (const path of [
            ...['/coupon?include=codes', '/coupon/events', '/coupon/users/ann'],
            ...['/coupon/code/N-1', '/coupon/code/N-2'],
        ]) {
            told.push(await client.get(path));
        }
        for (const { text } of told) assert.doesNotMatch(text, /secret-of-ann/);
        await server.stop();
        assert.doesNotMatch(server.stderr, /secret-of-ann/);
    });

    it('is that of a request which is repeated by its Idempotency-Key', async () => {
        const { client } = c;
        await assigned(client, ['I-1']);
        const first = await lock(client, 'I-1', 'ann', 'k', keyed('lock-I-1'));
        const again = await lock(client, 'I-1', 'ann', 'k', keyed('lock-I-1'));
        assert.equal(again.headers['idempotent-replayed'], 'true');
        assert.equal(again.text, first.text);
        const other = await lock(client, 'I-1', 'ann', 'k2', keyed('lock-I-1'));
        assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);
        await passed(new Date(untilOf(first) - 300_000).toISOString());
        const extended = await lock(client, 'I-1', 'ann', 'k', keyed('extend-I-1'));
        assert.ok(untilOf(extended) > untilOf(first));
    });

    it('ends with its user', async (t) => {
        const { server, client } = await testServer(t);
        await assigned(client, ['D-1']);
        await lock(client, 'D-1', 'ann', 'k');
        assert.equal((await client.request('DELETE', '/coupon/users/ann')).status, 200);
        const { status, lockedUntil } = (await client.get('/coupon/code/D-1')).body;
        assert.deepEqual([status, lockedUntil], ['assigned', null]);
        await server.data.verify();
    });

    it('agrees with the ledger', async () => {
        await verifyLedger(c.client);
        await c.server.data.verify();
    });
});

describe('a lockKey', () => {
    const c = suiteServer();

    it('that is none is refused', async () => {
        const { client } = c;
        await assigned(client, ['B-1']);
        for (const [lockKey, message] of [
            ['', 'lockKey should not be empty'],
            [1, 'lockKey must be a string'],
            ['a\nb', 'lockKey must not contain control characters'],
            ['k'.repeat(129), 'lockKey must be shorter than or equal to 128 characters'],
        ]) {
            const several = { userId: 'ann', codes: ['B-1'], order: order('b'), lockKey };
            for (const answer of [
                await lock(client, 'B-1', 'ann', lockKey),
                await redeem(client, 'B-1', 'ann', lockKey),
                await unlock(client, 'B-1', 'ann', lockKey),
                await client.post('/coupon/lock', several),
                await client.post('/coupon/redeem', several),
            ]) {
                assertRefused(answer, 400, [message], 'validation_failed');
            }
        }
        const longest = '😀'.repeat(128);
        untilOf(await lock(client, 'B-1', 'ann', longest));
        assert.equal((await redeem(client, 'B-1', 'ann', longest)).status, 201);
    });

    it('does not pass for a part of a user id', async () => {
        const { client } = c;
        await client.newBookWith(['K-1']);
        await client.mustAssign('K-1', 'ann k');
        untilOf(await lock(client, 'K-1', 'ann k', 'x y'));
        assertRefused(await redeem(client, 'K-1', 'ann k', 'y'), ...refusals.otherLockKey);
        assert.equal((await redeem(client, 'K-1', 'ann k', 'x y')).status, 201);
    });
});
