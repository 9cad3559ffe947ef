// POST /coupon/redeem/:code: using a code up, once and for all.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer } from '../support/harness.js';
import { refusals } from '../support/refusals.js';
import { assertCode, assertRedemption, assertTime } from '../support/shapes.js';

describe('POST /coupon/redeem/:code', () => {
    const c = suiteServer();

    const lockedCode = async (code, user, members) => {
        const book = await c.client.newBookWith([code], members);
        await c.client.mustAssign(code, user);
        await c.client.mustLock(code, user);
        return book;
    };

    it('answers 201 with the message, the code and the redemption, member by member', async () => {
        const book = await lockedCode('RD-1', 'ann');
        const answer = await c.client.redeem('RD-1', 'ann');
        assert.equal(answer.status, 201);
        const members = ['message', 'coupon', 'redemption', 'replayed'];
        assert.deepEqual(Object.keys(answer.body), members);
        assert.equal(answer.body.message, 'Coupon redeemed successfully');
        assert.equal(answer.body.replayed, false);
        const { coupon, redemption } = answer.body;
        assertRedemption(redemption, {
            code: 'RD-1',
            bookId: book.id,
            userId: 'ann',
            order: null,
            discount: null,
            at: coupon.redeemedAt,
        });
        assertCode(coupon, { code: 'RD-1', assignedTo: 'ann', isRedeemed: true });
        assertTime(coupon.redeemedAt, Date.now());
        assert.ok(coupon.redeemedAt >= coupon.createdAt);
        assert.deepEqual(await c.client.codeOf(book.id, 'RD-1'), coupon);
    });

    it('answers 404 for a code that is not there', async () => {
        assertRefused(await c.client.redeem('nope', 'ann'), ...refusals.codeNotFound);
    });

    it("answers 409 for a code that is nobody's or somebody else's, locked or not", async () => {
        await c.client.newBookWith(['RD-2']);
        assertRefused(await c.client.redeem('RD-2', 'ann'), ...refusals.notAssigned);
        await c.client.mustAssign('RD-2', 'ann');
        assertRefused(await c.client.redeem('RD-2', 'bob'), ...refusals.notAssigned);
        await c.client.mustLock('RD-2', 'ann');
        for (const user of ['bob', 'Ann', 'ann ']) {
            assertRefused(await c.client.redeem('RD-2', user), ...refusals.notAssigned);
        }
        await c.client.mustRedeem('RD-2', 'ann');
    });

    it('answers 409 for a code that is not locked, and leaves it redeemable', async () => {
        await c.client.newBookWith(['RD-3']);
        await c.client.mustAssign('RD-3', 'ann');
        assertRefused(await c.client.redeem('RD-3', 'ann'), ...refusals.notLocked);
        await c.client.mustLock('RD-3', 'ann');
        await c.client.mustRedeem('RD-3', 'ann');
    });

    it('answers 409 for a redeemed code: so to its holder, not theirs to others', async () => {
        const book = await lockedCode('RD-4', 'ann');
        const first = await c.client.mustRedeem('RD-4', 'ann');
        assertRefused(await c.client.redeem('RD-4', 'ann'), ...refusals.redeemed);
        assertRefused(await c.client.redeem('RD-4', 'bob'), ...refusals.notAssigned);
        assert.equal((await c.client.codeOf(book.id, 'RD-4')).redeemedAt, first.coupon.redeemedAt);
    });

    it('lets a user redeem maxRedemptionsPerUser codes of a book, and no more', async () => {
        const codes = numbered('LIM-', 4);
        const book = await c.client.newBookWith(codes);
        for (const code of codes) await c.client.mustAssign(code, 'ann');
        for (const code of codes.slice(0, 3)) await c.client.mustLock(code, 'ann');
        await c.client.mustPatchBook(book.id, { maxRedemptionsPerUser: 2 });
        await c.client.mustRedeem('LIM-0', 'ann');
        await c.client.mustRedeem('LIM-1', 'ann');
        assertRefused(await c.client.redeem('LIM-2', 'ann'), ...refusals.limitReached);
        // In the order of the description: what is wrong with the code comes before the user's
        // limit.
        assertRefused(await c.client.redeem('LIM-3', 'ann'), ...refusals.notLocked);
        assertRefused(await c.client.redeem('LIM-0', 'ann'), ...refusals.redeemed);
        assert.deepEqual((await c.client.bookWithCodes(book.id)).counts, {
            total: 4,
            available: 0,
            assigned: 1,
            locked: 1,
            redeemed: 2,
        });
    });

    it('counts the limit by user and by book', async () => {
        const one = await c.client.newBookWith(['BY-1', 'BY-2', 'BY-3'], {
            maxRedemptionsPerUser: 1,
        });
        await c.client.newBookWith(['BY-4'], { maxRedemptionsPerUser: 1 });
        for (const [code, user] of [
            ['BY-1', 'ann'],
            ['BY-2', 'bob'],
            ['BY-3', 'ann'],
            ['BY-4', 'ann'],
        ]) {
            await c.client.mustAssign(code, user);
            if (code !== 'BY-3') await c.client.mustLock(code, user);
        }
        await c.client.mustRedeem('BY-1', 'ann');
        await c.client.mustRedeem('BY-2', 'bob');
        await c.client.mustRedeem('BY-4', 'ann');
        assertRefused(await c.client.lock('BY-3', 'ann'), ...refusals.limitReached);
        assert.equal((await c.client.bookWithCodes(one.id)).counts.redeemed, 2);
    });

    it('knows no limit where the book has none', async () => {
        const codes = numbered('NOLIM-', 30);
        await c.client.newBookWith(codes);
        for (const code of codes) {
            await c.client.mustAssign(code, 'ann');
            await c.client.mustLock(code, 'ann');
            await c.client.mustRedeem(code, 'ann');
        }
    });
});
