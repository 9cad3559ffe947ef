// `maxAssignmentsPerUser`: how many codes of a book a user may hold, and that who may hold one is told which.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { settledEntries, verifyLedger } from '../support/ledger.js';
import { refusals } from '../support/refusals.js';
import { assertBook, assertCode, bookDefaults } from '../support/shapes.js';

const past = '2020-02-02T02:02:02.000Z';
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const most = 'maxAssignmentsPerUser must be an integer from 1 to 1000000000';

/** A new book with a limit and these codes; its id. */
const limited = async (client, maxAssignmentsPerUser, codes) =>
    (await client.newBookWith(codes, { maxAssignmentsPerUser })).id;

const change = (client, id, maxAssignmentsPerUser) =>
    client.mustPatchBook(id, { maxAssignmentsPerUser });

/** Any code of the book for the user. */
async function mustAssignAny(client, user, id) {
    const answer = await client.assignAny(user, id);
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
}

/** Asserts that the user may hold no more of the book, of which this code is free. */
async function assertHoldsMost(client, user, id, code) {
    assertRefused(await client.assignAny(user, id), ...refusals.assignmentLimit);
    assertRefused(await client.assign(code, user), ...refusals.assignmentLimit);
}

/** Asserts that the user, who asks for any code of the book, is given this one, as it is shown. */
async function assertGivenAgain(client, user, id, code) {
    const answer = await client.assignAny(user, id);
    assert.equal(answer.status, 201, answer.text);
    const { bookId, status, lockedUntil, history, redemptionCount, redemptions, ...shown } = (
        await client.get(`/coupon/code/${encodeURIComponent(code)}`)
    ).body;
    assert.deepEqual(answer.body, shown);
    assertCode(answer.body, { ...shown, code, assignedTo: user });
}

/** The types of a book's entries. */
const typesOf = async (client, bookId) =>
    (await settledEntries(client, { bookId })).map(({ type }) => type);

/** The codes of the book that the user holds, by their texts. */
const holdings = async (client, user, id) =>
    (await client.get(`/coupon/codes/${id}?userId=${user}&limit=1000`)).body
        .map(({ code }) => code)
        .sort();

const counted = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts;

const erase = (client, user) => client.request('DELETE', `/coupon/users/${user}`);

describe('maxAssignmentsPerUser of a book', () => {
    const c = suiteServer();

    it('is none where nothing is said', async () => {
        assertBook(await c.client.newBook(), bookDefaults);
        const nothing = { maxAssignmentsPerUser: null };
        assertBook(await c.client.newBook(nothing), nothing);
    });

    it('takes its bounds, however they are written', async () => {
        for (const maxAssignmentsPerUser of [1, 2, 1_000_000_000]) {
            const members = { maxAssignmentsPerUser };
            const { id } = await c.client.newBook(members);
            assertBook((await c.client.get(`/coupon/${id}`)).body, members);
            const other = await c.client.newBook();
            assertBook(await c.client.mustPatchBook(other.id, members), members);
        }
        const { id } = await c.client.newBook();
        const answer = await c.client.patchBook(id, '{"maxAssignmentsPerUser":1.0e1}');
        assertBook(answer.body, { maxAssignmentsPerUser: 10 });
    });

    it('is answered to the byte, between limits and the lock time, wherever the book is', async () => {
        const { client } = c;
        const { id } = await client.newBookWith(['SHOWN'], { maxAssignmentsPerUser: 7 });
        const text =
            '"limits":{"day":null,"week":null,"month":null},"maxAssignmentsPerUser":7,' +
            '"maxRedemptionsPerCode":1,"assignment":"required","caseSensitive":true,' +
            '"lockTtlSeconds":null';
        const shown = [
            await client.get(`/coupon/${id}`),
            await client.get(`/coupon?limit=1&after=${id - 1}`),
            await client.patchBook(id, { name: 'Other' }),
            await client.archive(id),
            await client.restore(id),
            await client.upload(id, ['SHOWN-2']),
            await client.get(`/coupon/events?bookId=${id}`),
        ];
        for (const answer of shown) assert.ok(answer.text.includes(text), answer.text);
    });

    it('is refused where it is no such number, or is said twice', async () => {
        const { client } = c;
        const { id } = await client.newBook({ maxAssignmentsPerUser: 3 });
        for (const value of [0, -1, 0.5, 1.5, 1_000_000_001, 1e30, '3', '', true, [], [3], {}]) {
            const members = { maxAssignmentsPerUser: value };
            invalid(await client.patchBook(id, members), [most]);
            const book = { name: 'B', codePattern: 'B', ...members };
            invalid(await client.post('/coupon', book), [most]);
        }
        invalid(
            await client.patchBook(id, '{"maxAssignmentsPerUser":1,"maxAssignmentsPerUser":1}'),
            ['property maxAssignmentsPerUser is given twice'],
        );
        invalid(
            await client.patchBook(id, {
                ...{ lockTtlSeconds: 0, maxAssignmentsPerUser: 0, limits: 5, maxRedemptions: 0 },
                maxAssignmentPerUser: 3,
            }),
            [
                'maxRedemptions must be an integer from 1 to 1000000000',
                'limits must be an object',
                most,
                'lockTtlSeconds must be an integer from 1 to 86400',
                'property maxAssignmentPerUser should not exist',
            ],
        );
        assertBook((await client.get(`/coupon/${id}`)).body, { maxAssignmentsPerUser: 3 });
        assert.deepEqual(await typesOf(client, id), ['book_created']);
    });

    it('is changed by itself, as the events tell; the same again is no change', async () => {
        const { client } = c;
        const first = await client.newBook();
        const values = [5, 1, null, 2];
        let left = first;
        for (const maxAssignmentsPerUser of values) {
            const book = await client.mustPatchBook(first.id, { maxAssignmentsPerUser });
            assert.deepEqual(book, { ...left, maxAssignmentsPerUser, updatedAt: book.updatedAt });
            const same = await client.mustPatchBook(first.id, { maxAssignmentsPerUser });
            assert.deepEqual(same, book);
            left = book;
        }
        const [, ...entries] = await settledEntries(client, { bookId: first.id });
        assert.deepEqual(
            entries.map(({ before, after }) => [before, after].map((of) => of.maxAssignmentsPerUser)),
            [[null, 5], [5, 1], [1, null], [null, 2]],
        );
    });
});

describe('a limit of one code', () => {
    const c = suiteServer({ args: ['--lock-ttl-seconds', '3600'] });

    it('gives who asks again the code that they hold, and changes nothing', async () => {
        const { client } = c;
        const id = await limited(client, 1, numbered('A-', 20));
        const first = await client.assignAny('ann', id);
        assert.equal(first.status, 201, first.text);
        for (let times = 0; times < 10; times += 1) {
            const again = await client.assignAny('ann', id);
            assert.deepEqual([again.status, again.text], [201, first.text]);
            assert.equal(again.headers['idempotent-replayed'], undefined);
        }
        assert.deepEqual(await holdings(client, 'ann', id), [first.body.code]);
        assert.equal((await counted(client, id)).available, 19);
        const given = ['book_created', 'codes_uploaded', 'code_assigned'];
        assert.deepEqual(await typesOf(client, id), given);
        const { history } = (await client.get(`/coupon/code/${first.body.code}`)).body;
        assert.deepEqual(history.map(({ type }) => type), ['codes_uploaded', 'code_assigned']);
        const { refusals: told, totals } = (await client.get(`/coupon/${id}/stats`)).body;
        assert.deepEqual(told, {});
        assert.equal(totals.available, 19);
        // Others get others.
        const users = ['Ann', 'ann ', 'bob'];
        const others = [];
        for (const user of users) others.push((await mustAssignAny(client, user, id)).code);
        assert.equal(new Set([first.body.code, ...others]).size, 4);
    });

    it('does so also where the book has no code left, and to nobody else', async () => {
        const { client } = c;
        const id = await limited(client, 1, ['L-1']);
        await mustAssignAny(client, 'ann', id);
        await assertGivenAgain(client, 'ann', id, 'L-1');
        assertRefused(await client.assignAny('bob', id), ...refusals.noneAvailable);
        await assertGivenAgain(client, 'ann', id, 'L-1');
    });

    it('does so whatever has become of the code: locked, unlocked, redeemed, rolled back, changed', async () => {
        const { client } = c;
        const id = await limited(client, 1, ['S 1/%', 'S-2']);
        const code = 'S 1/%';
        await client.mustAssign(code, 'ann');
        const again = () => assertGivenAgain(client, 'ann', id, code);
        await again();
        await client.mustLock(code, 'ann');
        await again();
        assert.equal((await client.assignAny('ann', id)).body.isLocked, true);
        await client.mustUnlock(code, 'ann');
        await again();
        await client.mustPatchCode(code, { metadata: { a: [1] }, active: false, expiresAt: past });
        await again();
        await client.mustPatchCode(code, { active: true, expiresAt: null });
        await client.mustLock(code, 'ann');
        const { redemption } = await client.mustRedeem(code, 'ann');
        await again();
        assert.equal((await client.assignAny('ann', id)).body.isRedeemed, true);
        await client.mustRollBack(redemption.id);
        await again();
        await client.mustLock(code, 'ann');
        await client.mustRedeem(code, 'ann');
        assert.equal((await counted(client, id)).available, 1);
    });

    it('refuses a certain code to who holds another one', async () => {
        const { client } = c;
        const id = await limited(client, 1, ['C-1', 'C-2']);
        await client.mustAssign('C-1', 'ann');
        assertRefused(await client.assign('C-2', 'ann'), ...refusals.assignmentLimit);
        assertCode(await client.mustAssign('C-1', 'ann'), { code: 'C-1', assignedTo: 'ann' });
        await assertGivenAgain(client, 'ann', id, 'C-1');
        await client.mustAssign('C-2', 'bob');
        assertRefused(await client.assign('C-2', 'ann'), ...refusals.anothersCode);
    });

    it('is of each book by itself', async () => {
        const { client } = c;
        const one = await limited(client, 1, ['B-1', 'B-2']);
        const other = await limited(client, 1, ['B-3', 'B-4']);
        await client.mustAssign('B-2', 'ann');
        await client.mustAssign('B-3', 'ann');
        await assertGivenAgain(client, 'ann', one, 'B-2');
        await assertGivenAgain(client, 'ann', other, 'B-3');
    });

    it('gives of several, held since it was higher, the one that came into the book first', async () => {
        const { client } = c;
        const id = await limited(client, null, ['M-2', 'M-1', 'M-3']);
        await client.upload(id, ['M-0']);
        for (const code of ['M-0', 'M-3', 'M-1', 'M-2']) await client.mustAssign(code, 'ann');
        await change(client, id, 1);
        await client.upload(id, ['M-4']);
        await assertGivenAgain(client, 'ann', id, 'M-2');
        assertRefused(await client.assign('M-4', 'ann'), ...refusals.assignmentLimit);
        await client.mustLock('M-2', 'ann');
        await client.mustRedeem('M-2', 'ann');
        await assertGivenAgain(client, 'ann', id, 'M-2');
        await client.mustUnassign('M-1');
        await client.mustUnassign('M-3');
        await assertGivenAgain(client, 'ann', id, 'M-2');
        assert.deepEqual(await holdings(client, 'ann', id), ['M-0', 'M-2']);
    });
});

describe('a limit of more than one code', () => {
    const c = suiteServer({ args: ['--lock-ttl-seconds', '3600'] });

    for (const limit of [2, 3, 7]) {
        it(`lets a user hold ${limit}, by whichever way, and no more`, async () => {
            const { client } = c;
            const codes = numbered(`${limit}-`, 12);
            const id = await limited(client, limit, codes);
            await client.mustAssign(codes[3], 'ann');
            await client.mustAssign(codes[3], 'ann');
            const given = new Set([codes[3]]);
            while (given.size < limit) given.add((await mustAssignAny(client, 'ann', id)).code);
            const { available } = await counted(client, id);
            assert.equal(available, codes.length - limit);
            const free = codes.find((code) => !given.has(code));
            await assertHoldsMost(client, 'ann', id, free);
            for (const code of given) await client.mustAssign(code, 'ann');
            assert.deepEqual(await holdings(client, 'ann', id), [...given].sort());
            assert.equal((await counted(client, id)).available, available);
            const entries = (await typesOf(client, id)).filter((type) => type === 'code_assigned');
            assert.equal(entries.length, limit);
            // Another user holds nothing.
            await client.mustAssign(free, 'bob');
        });
    }

    it('refuses also where the book has no code left', async () => {
        const { client } = c;
        const id = await limited(client, 2, ['N-1', 'N-2']);
        for (const code of ['N-1', 'N-2']) await client.mustAssign(code, 'ann');
        assertRefused(await client.assignAny('ann', id), ...refusals.assignmentLimit);
        assertRefused(await client.assignAny('bob', id), ...refusals.noneAvailable);
    });

    it('counts what the user has redeemed, and what they have locked', async () => {
        const { client } = c;
        const id = await limited(client, 2, numbered('R-', 4));
        for (const code of ['R-0', 'R-1']) {
            await client.mustAssign(code, 'ann');
            await client.mustLock(code, 'ann');
        }
        await assertHoldsMost(client, 'ann', id, 'R-2');
        const { redemption } = await client.mustRedeem('R-0', 'ann');
        await assertHoldsMost(client, 'ann', id, 'R-2');
        await client.mustRollBack(redemption.id);
        await assertHoldsMost(client, 'ann', id, 'R-2');
    });

    it('does not keep codes from being locked and redeemed', async () => {
        const { client } = c;
        const id = await limited(client, null, numbered('U-', 3));
        for (const code of numbered('U-', 3)) await client.mustAssign(code, 'ann');
        await change(client, id, 2);
        for (const code of numbered('U-', 3)) {
            assert.equal((await client.mustValidate(code, 'ann')).valid, true);
            await client.mustLock(code, 'ann');
            await client.mustRedeem(code, 'ann');
        }
    });
});

describe('a code that is taken from its user', () => {
    const c = suiteServer();

    it('counts no more', async () => {
        const { client } = c;
        const id = await limited(client, 2, numbered('F-', 5));
        for (const code of ['F-0', 'F-1']) await client.mustAssign(code, 'ann');
        await assertHoldsMost(client, 'ann', id, 'F-2');
        for (let times = 0; times < 3; times += 1) {
            await client.mustUnassign('F-1', times % 2 ? 'ann' : undefined);
            await client.mustAssign('F-2', 'ann');
            await assertHoldsMost(client, 'ann', id, 'F-3');
            await client.mustUnassign('F-2');
            await client.mustAssign('F-1', 'ann');
            await assertHoldsMost(client, 'ann', id, 'F-3');
        }
        await client.mustUnassign('F-0');
        await client.mustUnassign('F-1');
        const given = new Set();
        for (let times = 0; times < 2; times += 1) {
            given.add((await mustAssignAny(client, 'ann', id)).code);
        }
        assert.deepEqual(await holdings(client, 'ann', id), [...given].sort());
        assert.equal(given.size, 2);
    });

    it('makes room for another one, where one is the limit', async () => {
        const { client } = c;
        const id = await limited(client, 1, ['O-1', 'O-2']);
        await client.mustAssign('O-1', 'ann');
        await client.mustUnassign('O-1', 'ann');
        await client.mustAssign('O-1', 'bob');
        assert.equal((await mustAssignAny(client, 'ann', id)).code, 'O-2');
        await assertGivenAgain(client, 'ann', id, 'O-2');
        await assertGivenAgain(client, 'bob', id, 'O-1');
    });
});

describe('a limit that is set later', () => {
    const c = suiteServer();

    it('counts what was given before, and is lowered, raised and taken away', async () => {
        const { client } = c;
        const id = await limited(client, null, numbered('S-', 12));
        for (const code of numbered('S-', 3)) await client.mustAssign(code, 'ann');
        await change(client, id, 4);
        await client.mustAssign('S-3', 'ann');
        await assertHoldsMost(client, 'ann', id, 'S-4');
        await change(client, id, 2);
        await assertHoldsMost(client, 'ann', id, 'S-4');
        assert.deepEqual(await holdings(client, 'ann', id), numbered('S-', 4));
        await client.mustUnassign('S-0');
        await client.mustUnassign('S-1');
        await assertHoldsMost(client, 'ann', id, 'S-4');
        await change(client, id, 3);
        await client.mustAssign('S-4', 'ann');
        await assertHoldsMost(client, 'ann', id, 'S-5');
        await change(client, id, null);
        for (const code of numbered('S-', 6)) await client.mustAssign(code, 'ann');
        assert.ok(!numbered('S-', 6).includes((await mustAssignAny(client, 'ann', id)).code));
        await change(client, id, 1_000_000_000);
        await mustAssignAny(client, 'ann', id);
        assert.equal((await holdings(client, 'ann', id)).length, 8);
        await change(client, id, 1);
        await assertGivenAgain(client, 'ann', id, 'S-0');
        // Who holds none may hold one, and that is all.
        const { code } = await mustAssignAny(client, 'bob', id);
        await assertGivenAgain(client, 'bob', id, code);
        await verifyLedger(client);
    });

    it('holds after a restart', async (t) => {
        const { server, client } = await testServer(t);
        const one = await limited(client, 1, ['A-1', 'A-2']);
        const two = await limited(client, 2, ['B-1', 'B-2', 'B-3']);
        for (const code of ['A-2', 'B-1', 'B-3']) await client.mustAssign(code, 'ann');
        await server.stop();
        await server.start();
        await assertGivenAgain(client, 'ann', one, 'A-2');
        await assertHoldsMost(client, 'ann', two, 'B-2');
        await server.data.verify();
    });
});

describe('the limit is behind all other reasons', () => {
    const c = suiteServer({ args: ['--lock-ttl-seconds', '3600'] });

    for (const limit of [1, 2]) {
        it(`of ${limit}`, async () => {
            const { client } = c;
            const held = numbered(`held ${limit} `, limit);
            const [free, off, old, redeemed] = ['free', 'off', 'old', 'redeemed'].map(
                (name) => `${name} ${limit}`,
            );
            const id = await limited(client, limit, [...held, free, off, old, redeemed]);
            for (const code of held) await client.mustAssign(code, 'ann');
            await client.mustAssign(redeemed, 'bob');
            await client.mustLock(redeemed, 'bob');
            await client.mustRedeem(redeemed, 'bob');
            await client.mustPatchCode(off, { active: false, expiresAt: past });
            await client.mustPatchCode(old, { expiresAt: past });

            // From the last reason to the first.
            const refused = async (code, refusal) =>
                assertRefused(await client.assign(code, 'ann'), ...refusals[refusal]);
            await refused(free, 'assignmentLimit');
            await refused(old, 'expired');
            await refused(off, 'disabled');
            for (const [members, refusal] of [
                [{ endsAt: past }, 'bookEnded'],
                [{ active: false }, 'bookInactive'],
            ]) {
                await client.mustPatchBook(id, members);
                for (const code of [free, off, old]) await refused(code, refusal);
                assertRefused(await client.assignAny('ann', id), ...refusals[refusal]);
            }
            await client.mustArchive(id);
            for (const code of [free, off, old]) await refused(code, 'bookArchived');
            assertRefused(await client.assignAny('ann', id), ...refusals.bookArchived);
            await refused(redeemed, 'redeemed');
            await client.mustAssign(held[0], 'ann'); // as ever
            await client.mustRestore(id);
            await client.mustPatchBook(id, { active: true, endsAt: null });
            await client.mustAssign(free, 'cem');
            await refused(free, 'anothersCode');
            await refused('nope', 'codeNotFound');
            assertRefused(await client.assignAny('ann', 999_999), ...refusals.bookNotFound);
            // Codes that nobody can be given are no way around it.
            if (limit === 1) await assertGivenAgain(client, 'ann', id, held[0]);
            else assertRefused(await client.assignAny('ann', id), ...refusals.assignmentLimit);
        });
    }

    it('and holds before the book starts', async () => {
        const { client } = c;
        const startsAt = '2120-01-01T00:00:00.000Z';
        const { id } = await client.newBookWith(['E-1', 'E-2'], { maxAssignmentsPerUser: 1, startsAt });
        const { code } = await mustAssignAny(client, 'ann', id);
        await assertGivenAgain(client, 'ann', id, code);
    });
});

describe('a code of any book', () => {
    it('is drawn as ever where the user may hold more of its book', async (t) => {
        const { client } = await testServer(t);
        await limited(client, 2, ['L-1', 'L-2', 'L-3']);
        const given = [];
        for (let times = 0; times < 2; times += 1) given.push(await mustAssignAny(client, 'ann'));
        given.push(await mustAssignAny(client, 'bob'));
        assert.deepEqual(given.map(({ code }) => code).sort(), ['L-1', 'L-2', 'L-3']);
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
    });

    it('of a book of which they may not is refused, or is the one that they hold', async (t) => {
        const { client } = await testServer(t);
        const two = await limited(client, 2, ['T-1', 'T-2', 'T-3']);
        for (const code of ['T-1', 'T-2']) await client.mustAssign(code, 'ann');
        for (let times = 0; times < 3; times += 1) {
            assertRefused(await client.assignAny('ann'), ...refusals.assignmentLimit);
        }
        await change(client, two, 1);
        await assertGivenAgain(client, 'ann', undefined, 'T-1');
        // What was drawn is free as before.
        assert.equal((await mustAssignAny(client, 'bob')).code, 'T-3');
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        await assertGivenAgain(client, 'ann', two, 'T-1');
    });

    it('is of all books, of which some are limited, some are not and some give none', async (t) => {
        const { client } = await testServer(t);
        const one = await limited(client, 1, numbered('one-', 30));
        const two = await limited(client, 2, numbered('two-', 30));
        await limited(client, null, numbered('any-', 30));
        const closed = await limited(client, 1, numbered('closed-', 30));
        await client.mustPatchBook(closed, { active: false });
        const own = new Map([['one', new Set()], ['two', new Set()], ['any', new Set()]]);
        let refused = 0;
        let again = 0;
        for (let times = 0; times < 60; times += 1) {
            const answer = await client.assignAny('ann');
            if (answer.status !== 201) {
                assertRefused(answer, ...refusals.assignmentLimit);
                refused += 1;
                continue;
            }
            const { code, assignedTo } = answer.body;
            assert.equal(assignedTo, 'ann');
            const of = own.get(code.slice(0, 3));
            if (of.has(code)) again += 1;
            of.add(code);
        }
        assert.deepEqual([own.get('one').size, own.get('two').size], [1, 2]);
        assert.ok(own.get('any').size > 2, `${own.get('any').size}`);
        // Of a third of the draws each: none of these is seen once in millions of runs.
        assert.ok(again > 0 && refused > 0, `${again} ${refused}`);
        assert.equal(again + refused + [...own.values()].flatMap((of) => [...of]).length, 60);
        assert.equal((await counted(client, one)).available, 29);
        assert.equal((await counted(client, two)).available, 28);
        await verifyLedger(client);
    });
});

describe('a refusal by the limit', () => {
    it('is counted like any other, an answer that is given again is not', async (t) => {
        const { client } = await testServer(t);
        const one = await limited(client, 1, ['A-1', 'A-2']);
        const two = await limited(client, 2, ['B-1', 'B-2', 'B-3']);
        for (const code of ['A-1', 'B-1', 'B-2']) await client.mustAssign(code, 'ann');
        for (let times = 0; times < 3; times += 1) {
            await mustAssignAny(client, 'ann', one);
            await client.assign('A-2', 'ann');
            await client.assignAny('ann', two);
        }
        await client.assign('B-3', 'ann');
        const told = async (path) => {
            const { refusals: of, series } = (await client.get(path)).body;
            return [of, series.reduce((sum, { refused }) => sum + refused, 0)];
        };
        const so = (count) => [{ user_assignment_limit_reached: count }, count];
        assert.deepEqual(await told(`/coupon/${one}/stats`), so(3));
        assert.deepEqual(await told(`/coupon/${two}/stats`), so(4));
        assert.deepEqual(await told('/coupon/stats'), so(7));
    });
});

describe('an Idempotency-Key', () => {
    const c = suiteServer({ args: ['--lock-ttl-seconds', '3600'] });
    const any = (client, userId, couponBookId, key) =>
        client.post('/coupon/assign', { userId, couponBookId }, keyed(key));
    const certain = (client, code, userId, key) =>
        client.post(`/coupon/assign/${code}`, { userId }, keyed(key));
    const assertReplayed = (answer, first) => {
        assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text);
        assert.deepEqual([answer.status, answer.text], [first.status, first.text]);
    };

    it('is not needed to be told the same, and tells it as it was', async () => {
        const { client } = c;
        const id = await limited(client, 1, ['K-1', 'K-2']);
        const first = await any(client, 'ann', id, 'k-1');
        const { code } = first.body;
        const second = await any(client, 'ann', id, 'k-2');
        assert.deepEqual([second.status, second.text], [201, first.text]);
        assert.equal(second.headers['idempotent-replayed'], undefined);
        await client.mustLock(code, 'ann');
        const locked = await any(client, 'ann', id, 'k-locked');
        assert.equal(locked.body.isLocked, true);
        await client.mustRedeem(code, 'ann');
        const redeemed = await any(client, 'ann', id, 'k-redeemed');
        assertCode(redeemed.body, { code, assignedTo: 'ann', isRedeemed: true });
        const { id: redemption } = (await client.get(`/coupon/code/${code}`)).body.redemptions[0];
        await client.mustRollBack(redemption);
        await client.mustUnassign(code);
        for (const [key, answer] of [
            ...[['k-1', first], ['k-2', second], ['k-locked', locked], ['k-redeemed', redeemed]],
        ]) {
            assertReplayed(await any(client, 'ann', id, key), answer);
        }
        assert.deepEqual(await holdings(client, 'ann', id), []);
        assert.equal((await counted(client, id)).available, 2);
    });

    it('keeps a refusal, and is used up by it', async () => {
        const { client } = c;
        const id = await limited(client, 2, numbered('R-', 4));
        for (const code of ['R-0', 'R-1']) await client.mustAssign(code, 'bob');
        const anyone = await any(client, 'bob', id, 'r-any');
        const third = await certain(client, 'R-2', 'bob', 'r-certain');
        for (const answer of [anyone, third]) assertRefused(answer, ...refusals.assignmentLimit);
        await client.mustUnassign('R-0');
        assertReplayed(await any(client, 'bob', id, 'r-any'), anyone);
        assertReplayed(await certain(client, 'R-2', 'bob', 'r-certain'), third);
        const { code } = (await any(client, 'bob', id, 'r-other')).body;
        await assertHoldsMost(client, 'bob', id, code === 'R-2' ? 'R-3' : 'R-2');
    });

    it('is one for another book or user, not for another answer', async () => {
        const { client } = c;
        const id = await limited(client, 1, ['O-1', 'O-2']);
        await any(client, 'cem', id, 'o');
        for (const [user, book] of [['dan', id], ['cem', undefined], ['cem', id + 1]]) {
            const answer = await any(client, user, book, 'o');
            assertRefused(answer, 422, undefined, 'idempotency_key_reused');
        }
        assert.equal((await counted(client, id)).available, 1);
    });
});

describe('a person who is erased', () => {
    it('holds what was theirs under the other id; who comes with theirs holds nothing', async (t) => {
        const { server, client } = await testServer(t);
        const one = await limited(client, 1, ['A-1', 'A-2', 'A-3']);
        const two = await limited(client, 2, numbered('B-', 6));
        for (const code of ['A-1', 'B-0', 'B-1']) await client.mustAssign(code, 'ann');
        await client.mustLock('A-1', 'ann');
        await client.mustRedeem('A-1', 'ann');
        assert.equal((await erase(client, 'ann')).status, 200);
        const { assignedTo: erased } = (await client.get('/coupon/code/A-1')).body;

        await assertGivenAgain(client, erased, one, 'A-1');
        await assertHoldsMost(client, erased, two, 'B-2');

        const { code } = await mustAssignAny(client, 'ann', one);
        assert.notEqual(code, 'A-1');
        await assertGivenAgain(client, 'ann', one, code);
        for (const own of ['B-2', 'B-3']) await client.mustAssign(own, 'ann');
        await assertHoldsMost(client, 'ann', two, 'B-4');
        assertRefused(await client.assign('B-0', 'ann'), ...refusals.anothersCode);

        assert.equal((await erase(client, 'ann')).status, 200);
        assert.notEqual((await mustAssignAny(client, 'ann', one)).code, code);
        assertRefused(await client.assignAny('bob', one), ...refusals.noneAvailable);
        await server.data.verify();
    });
});
