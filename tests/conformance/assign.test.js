// POST /coupon/assign and /coupon/assign/:code: giving codes to users.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { refusals } from '../support/refusals.js';
import { assertCode } from '../support/shapes.js';

describe('POST /coupon/assign', () => {
    it('answers 201 with a code, member by member', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['ONLY']);
        const answer = await client.assignAny('ann');
        assert.equal(answer.status, 201);
        assertCode(answer.body, { code: 'ONLY', assignedTo: 'ann' });
    });

    it('answers 404 where there is no code, or none left', async (t) => {
        const { client } = await testServer(t);
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        await client.newBook();
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        await client.newBookWith(['X']);
        assert.equal((await client.assignAny('ann')).status, 201);
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        assertRefused(await client.assignAny('bob'), ...refusals.noneAvailable);
    });

    it('hands out each free code once, to the same user too, and then no more', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('R-', 200);
        const book = await client.newBookWith(codes);
        const given = [];
        for (let index = 0; index < codes.length; index += 1) {
            const answer = await client.assignAny('ann');
            assert.equal(answer.status, 201, answer.text);
            assertCode(answer.body, { assignedTo: 'ann' });
            given.push(answer.body.code);
        }
        assert.deepEqual([...given].sort(), [...codes].sort());
        // Random: 200 codes come in the order they were brought in once in 200! runs.
        assert.notDeepEqual(given, codes);
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        const { counts } = await client.bookWithCodes(book.id);
        assert.deepEqual(counts, {
            total: 200,
            available: 0,
            assigned: 200,
            locked: 0,
            redeemed: 0,
        });
    });

    it('never hands out a code that is assigned, locked or redeemed', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['assigned', 'locked', 'redeemed', 'free']);
        for (const code of ['assigned', 'locked', 'redeemed']) await client.mustAssign(code, 'ann');
        for (const code of ['locked', 'redeemed']) await client.mustLock(code, 'ann');
        await client.mustRedeem('redeemed', 'ann');
        const answer = await client.assignAny('bob');
        assert.equal(answer.body.code, 'free');
        assertRefused(await client.assignAny('bob'), ...refusals.noneAvailable);
    });

    it('hands out codes that were brought in after all others were gone', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBookWith(['first']);
        await client.assignAny('ann');
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        await client.upload(book.id, ['second']);
        assert.equal((await client.assignAny('ann')).body.code, 'second');
    });

    it('takes a code of the book that couponBookId names', async (t) => {
        const { client } = await testServer(t);
        const one = await client.newBookWith(numbered('one-', 50));
        const two = await client.newBookWith(numbered('two-', 50));
        for (let index = 0; index < 50; index += 1) {
            const answer = await client.assignAny('ann', two.id);
            assert.equal(answer.status, 201);
            assert.match(answer.body.code, /^two-/);
        }
        assertRefused(await client.assignAny('ann', two.id), ...refusals.noneAvailable);
        assert.match((await client.assignAny('ann', one.id)).body.code, /^one-/);
        assertRefused(await client.assignAny('ann', 999_999), ...refusals.bookNotFound);
    });

    it('takes a couponBookId of null for none', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['X']);
        const answer = await client.post('/coupon/assign', { userId: 'ann', couponBookId: null });
        assert.equal(answer.status, 201, answer.text);
    });

    it('draws from every book where none is named', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(numbered('one-', 20));
        await client.newBookWith(numbered('two-', 20));
        const books = new Set();
        for (let index = 0; index < 40; index += 1)
            books.add((await client.assignAny('u')).body.code.slice(0, 3));
        assert.equal(books.size, 2);
        assertRefused(await client.assignAny('u'), ...refusals.noneAvailable);
    });
});

describe('POST /coupon/assign/:code', () => {
    const c = suiteServer();

    it('answers 201 with the code, member by member', async () => {
        await c.client.newBookWith(['AC-1']);
        const answer = await c.client.assign('AC-1', 'ann');
        assert.equal(answer.status, 201);
        assertCode(answer.body, { code: 'AC-1', assignedTo: 'ann' });
    });

    it('keeps any user id as it was sent', async () => {
        const users = [
            'u'.repeat(255),
            '🎟'.repeat(255),
            'a b',
            ' a',
            'Ann',
            'ann ',
            '%41',
            'ü',
            '0',
            'null',
        ];
        await c.client.newBookWith(numbered('user-', users.length));
        for (const [index, user] of users.entries()) {
            assert.equal((await c.client.mustAssign(`user-${index}`, user)).assignedTo, user);
        }
    });

    it('answers 404 for a code that is not there', async () => {
        for (const code of ['nope', 'ac-1', 'AC-1 ', ' AC-1', 'AC-1/', 'AC-1%', 'AC-%', 'AC_1']) {
            assertRefused(await c.client.assign(code, 'ann'), ...refusals.codeNotFound);
        }
    });

    it('answers the same user 201 again, unchanged', async () => {
        await c.client.newBookWith(['AC-2']);
        const first = await c.client.assign('AC-2', 'ann');
        const second = await c.client.assign('AC-2', 'ann');
        assert.equal(second.status, 201);
        assert.equal(second.text, first.text);
    });

    it("leaves the holder's lock alone when assigned again", async () => {
        const book = await c.client.newBookWith(['AC-3']);
        await c.client.mustAssign('AC-3', 'ann');
        await c.client.mustLock('AC-3', 'ann');
        assertCode(await c.client.mustAssign('AC-3', 'ann'), {
            code: 'AC-3',
            assignedTo: 'ann',
            isLocked: true,
        });
        assert.deepEqual((await c.client.bookWithCodes(book.id)).counts, {
            total: 1,
            available: 0,
            assigned: 0,
            locked: 1,
            redeemed: 0,
        });
        await c.client.mustRedeem('AC-3', 'ann');
    });

    it("answers 409 to another user, and the code stays its holder's", async () => {
        const book = await c.client.newBookWith(['AC-4']);
        await c.client.mustAssign('AC-4', 'ann');
        for (const user of ['bob', 'Ann', 'ann ', 'an']) {
            assertRefused(await c.client.assign('AC-4', user), ...refusals.anothersCode);
        }
        assert.equal((await c.client.codeOf(book.id, 'AC-4')).assignedTo, 'ann');
    });

    it('answers 409 for a redeemed code, to its holder and to others', async () => {
        await c.client.newBookWith(['AC-5']);
        await c.client.mustAssign('AC-5', 'ann');
        await c.client.mustLock('AC-5', 'ann');
        await c.client.mustRedeem('AC-5', 'ann');
        assertRefused(await c.client.assign('AC-5', 'ann'), ...refusals.redeemed);
        assertRefused(await c.client.assign('AC-5', 'bob'), ...refusals.redeemed);
    });

    it('takes the code from what /coupon/assign draws from', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['S-1', 'S-2']);
        await client.mustAssign('S-1', 'ann');
        assert.equal((await client.assignAny('bob')).body.code, 'S-2');
        assertRefused(await client.assignAny('bob'), ...refusals.noneAvailable);
    });
});
