// POST /coupon/lock/:code: locking a code before it is redeemed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { suiteServer } from '../support/harness.js';
import { refusals } from '../support/refusals.js';
import { assertCode, assertTime } from '../support/shapes.js';

const fiveMinutesMs = 300_000;

describe('POST /coupon/lock/:code', () => {
    const c = suiteServer();

    it('answers 201 with the message and the end of the lock, five minutes ahead', async () => {
        const book = await c.client.newBookWith(['LK-1']);
        await c.client.mustAssign('LK-1', 'ann');
        const before = Date.now();
        const answer = await c.client.lock('LK-1', 'ann');
        const after = Date.now();
        assert.equal(answer.status, 201);
        assert.deepEqual(Object.keys(answer.body), ['message', 'lockedUntil']);
        assert.equal(answer.body.message, 'Coupon locked successfully');
        assertTime(answer.body.lockedUntil);
        const until = Date.parse(answer.body.lockedUntil);
        assert.ok(
            until >= before + fiveMinutesMs && until <= after + fiveMinutesMs,
            answer.body.lockedUntil,
        );
        assertCode(await c.client.codeOf(book.id, 'LK-1'), {
            code: 'LK-1',
            assignedTo: 'ann',
            isLocked: true,
        });
    });

    it('answers 404 for a code that is not there', async () => {
        assertRefused(await c.client.lock('nope', 'ann'), ...refusals.codeNotFound);
    });

    it("answers 409 for a code that is nobody's or somebody else's", async () => {
        const book = await c.client.newBookWith(['LK-2', 'LK-3']);
        await c.client.mustAssign('LK-3', 'ann');
        assertRefused(await c.client.lock('LK-2', 'bob'), ...refusals.notAssigned);
        for (const user of ['bob', 'Ann', 'ann ']) {
            assertRefused(await c.client.lock('LK-3', user), ...refusals.notAssigned);
        }
        assert.deepEqual((await c.client.bookWithCodes(book.id)).counts, {
            total: 2,
            available: 1,
            assigned: 1,
            locked: 0,
            redeemed: 0,
        });
    });

    it("answers 409 for a locked code, to the locker too, and the lock's end stays", async () => {
        await c.client.newBookWith(['LK-4']);
        await c.client.mustAssign('LK-4', 'ann');
        await c.client.mustLock('LK-4', 'ann');
        assertRefused(await c.client.lock('LK-4', 'ann'), ...refusals.locked);
        assertRefused(await c.client.lock('LK-4', 'ann'), ...refusals.locked);
        await c.client.mustRedeem('LK-4', 'ann');
    });

    it('tells others that the code is not theirs before it tells that it is locked', async () => {
        await c.client.newBookWith(['LK-5']);
        await c.client.mustAssign('LK-5', 'ann');
        await c.client.mustLock('LK-5', 'ann');
        assertRefused(await c.client.lock('LK-5', 'bob'), ...refusals.notAssigned);
    });

    it('answers 409 for a redeemed code: so to its holder, not theirs to others', async () => {
        await c.client.newBookWith(['LK-6']);
        await c.client.mustAssign('LK-6', 'ann');
        await c.client.mustLock('LK-6', 'ann');
        await c.client.mustRedeem('LK-6', 'ann');
        assertRefused(await c.client.lock('LK-6', 'ann'), ...refusals.redeemed);
        assertRefused(await c.client.lock('LK-6', 'bob'), ...refusals.notAssigned);
    });
});
