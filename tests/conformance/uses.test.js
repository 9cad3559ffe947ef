// Codes that may be redeemed more than once: by the user they are assigned to, or, where their book is
// open, by any user; what that makes of limits, counts, lists, events and roll-backs.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, verifyLedger } from '../support/ledger.js';
import { reason } from '../support/reasons.js';
import { refusals } from '../support/refusals.js';
import { assertBook, assertCodeValues, assertTime } from '../support/shapes.js';

const order = (id, amount = 20, currency = 'EUR') => ({ id, amount, currency });
const off = (value) => ({ type: 'amount', value, currency: 'EUR' });
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const shown = async (client, code) => (await client.get(`/coupon/code/${code}`)).body;
const counted = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts;
const open = (client, codes, members = {}) =>
    client.newBookWith(codes, { assignment: 'open', maxRedemptionsPerCode: null, ...members });

/** A user locks and redeems a code; returns the redemption. */
async function use(client, code, user, sent) {
    await client.mustLock(code, user);
    return (await client.mustRedeem(code, user, sent)).redemption;
}

async function assertReasons(client, code, user, codes) {
    const { reasons, valid } = await client.mustValidate(code, user);
    assert.deepEqual(reasons, codes.map((each) => reason(each)));
    assert.equal(valid, codes.length === 0);
}

describe('books', () => {
    const c = suiteServer();

    it('say how often their codes may be redeemed, and whether they are everybody’s', async () => {
        const { client } = c;
        assertBook(await client.newBook(), { maxRedemptionsPerCode: 1, assignment: 'required' });
        const members = { maxRedemptionsPerCode: 1_000_000_000, assignment: 'open' };
        const book = await client.newBook(members);
        assertBook(book, members);
        assert.deepEqual((await client.get(`/coupon/${book.id}`)).body.assignment, 'open');
        const none = await client.newBook({ maxRedemptionsPerCode: null, assignment: null });
        assertBook(none, { maxRedemptionsPerCode: null, assignment: 'required' });
        const edited = await client.mustPatchBook(book.id, { maxRedemptionsPerCode: null });
        assertBook(edited, { maxRedemptionsPerCode: null, assignment: 'open' });
    });

    it('that would have others are refused', async () => {
        const { client } = c;
        for (const value of [0, 1_000_000_001, 1.5, '1']) {
            invalid(
                await client.post('/coupon', {
                    ...{ name: 'n', codePattern: 'p', maxRedemptionsPerCode: value },
                }),
                ['maxRedemptionsPerCode must be an integer from 1 to 1000000000'],
            );
        }
        for (const value of ['none', 1, true, []]) {
            invalid(
                await client.post('/coupon', { name: 'n', codePattern: 'p', assignment: value }),
                ['assignment must be one of required, open'],
            );
        }
    });

    it('stay open or not, whatever is wished later', async () => {
        const { client } = c;
        for (const [is, other] of [['open', 'required'], ['required', 'open']]) {
            const { id } = await client.newBook({ assignment: is });
            const fixed = ['assignment cannot be changed once the coupon book is made'];
            invalid(await client.patchBook(id, { assignment: other, name: 'Other' }), fixed);
            const same = await client.mustPatchBook(id, { assignment: is, name: 'Same' });
            assertBook(same, { assignment: is, name: 'Same' });
        }
    });
});

describe('codes of open books', () => {
    const c = suiteServer();

    it('are assigned to nobody, and given to nobody who asks for any', async () => {
        const { client } = c;
        const { id } = await open(client, ['A-1', 'A-2']);
        assertRefused(await client.assign('A-1', 'ann'), ...refusals.bookOpen);
        assertRefused(await client.assignAny('ann', id), ...refusals.bookOpen);
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        await client.mustPatchCode('A-1', { active: false });
        await client.mustPatchCode('A-1', { active: true });
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        const other = await client.newBookWith(['A-3']);
        const { body } = await client.assignAny('ann');
        assert.deepEqual([body.code, body.assignedTo], ['A-3', 'ann']);
        assert.deepEqual(await counted(client, id), {
            ...{ total: 2, available: 2, assigned: 0, locked: 0, redeemed: 0 },
        });
        assert.equal((await counted(client, other.id)).assigned, 1);
        assert.deepEqual((await client.unassign('A-1')).status, 201);
    });

    it('are locked and redeemed by any user, under a lock of their own', async () => {
        const { client } = c;
        await open(client, ['L-1'], { discount: off(5) });
        await assertReasons(client, 'L-1', 'ann', []);
        assertRefused(await client.redeem('L-1', 'ann', order('o')), ...refusals.notLocked);
        await client.mustUnlock('L-1', 'ann');
        await client.mustLock('L-1', 'ann');
        assertRefused(await client.lock('L-1', 'ann'), ...refusals.locked);
        assertRefused(await client.redeem('L-1', 'bob'), ...refusals.notLocked);
        await client.mustLock('L-1', 'bob');
        await client.mustUnlock('L-1', 'bob');
        assertRefused(await client.redeem('L-1', 'bob'), ...refusals.notLocked);

        const { coupon, redemption } = await client.mustRedeem('L-1', 'ann', order('o'));
        const { id, metadata, createdAt } = await shown(client, 'L-1');
        assertCodeValues(coupon, {
            ...{ id, code: 'L-1', metadata, createdAt, isRedeemed: true },
            ...{ assignedTo: 'ann', redeemedAt: redemption.at },
        });
        assert.deepEqual([redemption.code, redemption.userId], ['L-1', 'ann']);
        assertRefused(await client.redeem('L-1', 'ann', order('o-2')), ...refusals.notLocked);
        const again = await client.mustRedeem('L-1', 'ann', order('o'));
        assert.deepEqual([again.redemption, again.coupon], [redemption, coupon]);
        assert.equal(again.replayed, true);
        assert.notEqual((await use(client, 'L-1', 'ann', order('o-2'))).id, redemption.id);
    });

    it('are shown with their redemptions, and stay free', async () => {
        const { client } = c;
        const { id } = await open(client, ['S-1'], { discount: off(5) });
        const made = [];
        for (const user of ['ann', 'bob', 'ann']) {
            made.push(await use(client, 'S-1', user, order(`s-${made.length}`)));
        }
        await client.mustLock('S-1', 'cid');
        const code = await shown(client, 'S-1');
        assertCodeValues(code, { status: 'free', lockedUntil: null });
        assert.equal(code.redemptionCount, 3);
        assert.deepEqual(code.redemptions, made);
        assert.deepEqual(
            code.history.map(({ type, userId }) => [type, userId]),
            [
                ['codes_uploaded', null],
                ...['ann', 'bob', 'ann'].flatMap((user) => [
                    ['code_locked', user],
                    ['code_redeemed', user],
                ]),
                ['code_locked', 'cid'],
            ],
        );
        for (const { code: of } of code.history.slice(1)) assert.equal(of, 'S-1');
        const listed = (await client.get(`/coupon/codes/${id}`)).body;
        assert.deepEqual(listed.map((each) => [each.id, each.status]), [[code.id, 'free']]);
        const books = (await client.get('/coupon?include=codes')).body;
        assert.equal(books.find((book) => book.id === id).codes.length, 1);
        const { body: ann } = await client.get('/coupon/users/ann');
        const own = ann.codes.filter((each) => each.code === 'S-1');
        assert.deepEqual(
            own.map((each) => [each.id, each.assignedTo, each.status]),
            [[code.id, 'ann', 'redeemed'], [code.id, 'ann', 'redeemed']],
        );
        const hers = ann.redemptions.filter((each) => each.code === 'S-1');
        assert.deepEqual(hers, [made[0], made[2]]);
        const { body: cid } = await client.get('/coupon/users/cid');
        assert.deepEqual(cid.codes, []);
        assert.deepEqual(await counted(client, id), {
            ...{ total: 1, available: 1, assigned: 0, locked: 0, redeemed: 0 },
        });
        const events = await entriesOf(client, 8, { code: 'S-1' });
        assert.deepEqual(events, code.history);
        assert.equal((await entriesOf(client, 3, { code: 'S-1', type: 'code_redeemed' })).length, 3);
        // The totals are of codes, what happened is of redemptions.
        const { totals, series } = (await client.get(`/coupon/${id}/stats`)).body;
        assert.equal(totals.redeemed, 0);
        assert.equal(series.reduce((sum, piece) => sum + piece.redeemed, 0), 3);
    });

    it('keep to the rules of their books and to what they are set to', async () => {
        const { client } = c;
        const { id } = await open(client, ['R-1'], { maxRedemptionsPerUser: 1, maxRedemptions: 2 });
        await use(client, 'R-1', 'ann');
        assertRefused(await client.lock('R-1', 'ann'), ...refusals.limitReached);
        await assertReasons(client, 'R-1', 'ann', ['user_redemption_limit_reached']);
        await use(client, 'R-1', 'bob');
        assertRefused(await client.lock('R-1', 'cid'), ...refusals.allRedeemed);
        await client.mustPatchBook(id, { maxRedemptions: null });
        await client.mustLock('R-1', 'cid');
        await client.mustPatchBook(id, { maxRedemptions: 1 });
        assertRefused(await client.redeem('R-1', 'cid'), ...refusals.allRedeemed);
        await client.mustPatchBook(id, { maxRedemptions: null });
        await client.mustPatchCode('R-1', { active: false });
        assertRefused(await client.redeem('R-1', 'cid'), ...refusals.disabled);
        await client.mustPatchCode('R-1', { active: true });
        await client.mustArchive(id);
        assertRefused(await client.redeem('R-1', 'cid'), ...refusals.bookArchived);
        await client.mustRestore(id);
        assert.equal((await client.redeem('R-1', 'cid')).status, 201);
    });

    it('are used together with others for one order', async () => {
        const { client } = c;
        await open(client, ['T-1'], { discount: off(5) });
        await client.newBookWith(['T-2'], { discount: off(3) });
        await client.mustAssign('T-2', 'ann');
        const { locks } = await client.mustLockAll(['T-1', 'T-2'], 'ann');
        assert.equal((locks ?? []).length, 2);
        const sent = order('both');
        const answer = await client.mustRedeemAll(['T-1', 'T-2'], 'ann', sent);
        assert.deepEqual(answer.redemptions.map(({ code }) => code), ['T-1', 'T-2']);
        assert.deepEqual(answer.discount, { amount: 8, currency: 'EUR' });
        const again = await client.mustRedeemAll(['T-1', 'T-2'], 'ann', sent);
        assert.equal(again.replayed, true);
        assert.deepEqual(again.redemptions, answer.redemptions);
    });

    it('let go of the locks of a user who is erased', async (t) => {
        const { server, client } = await testServer(t);
        await open(client, ['E-1'], { maxRedemptionsPerCode: 2 });
        const { id } = await use(client, 'E-1', 'ann');
        await client.mustLock('E-1', 'ann');
        assertRefused(await client.lock('E-1', 'bob'), ...refusals.locked);
        assert.equal((await client.request('DELETE', '/coupon/users/ann')).status, 200);
        await client.mustLock('E-1', 'bob');
        assertRefused(await client.redeem('E-1', 'ann'), ...refusals.notLocked);
        const { redemptions } = await shown(client, 'E-1');
        assert.notEqual(redemptions[0].userId, 'ann');
        assert.equal((await client.rollBack(id)).status, 201);
        await server.data.verify();
    });
});

describe('how often a code may be redeemed', () => {
    const c = suiteServer();

    it('is what its book says, or the code itself', async () => {
        const { client } = c;
        const { id } = await open(client, ['N-1'], { maxRedemptionsPerCode: 2 });
        const made = [await use(client, 'N-1', 'ann'), await use(client, 'N-1', 'bob')];
        for (const refuse of [() => client.lock('N-1', 'cid'), () => client.redeem('N-1', 'ann')]) {
            assertRefused(await refuse(), ...refusals.usedUp);
        }
        await assertReasons(client, 'N-1', 'cid', ['coupon_redemption_limit_reached']);
        const { maxRedemptions } = await client.mustPatchCode('N-1', { maxRedemptions: 3 });
        assert.equal(maxRedemptions, 3);
        made.push(await use(client, 'N-1', 'cid'));
        assertRefused(await client.lock('N-1', 'dan'), ...refusals.usedUp);
        await client.mustPatchCode('N-1', { maxRedemptions: 1 });
        assertRefused(await client.lock('N-1', 'dan'), ...refusals.redeemed);
        await assertReasons(client, 'N-1', 'dan', ['coupon_already_redeemed']);
        await client.mustPatchBook(id, { maxRedemptionsPerCode: 4 });
        assertRefused(await client.lock('N-1', 'dan'), ...refusals.redeemed);
        await client.mustPatchCode('N-1', { maxRedemptions: null });
        made.push(await use(client, 'N-1', 'dan'));
        assert.deepEqual((await shown(client, 'N-1')).redemptions, made);
        invalid(await client.patchCode('N-1', { maxRedemptions: 0 }), [
            'maxRedemptions must be an integer from 1 to 1000000000',
        ]);
        const [{ before, after }] = await entriesOf(client, 3, { code: 'N-1', type: 'code_changed' });
        assert.deepEqual([before.maxRedemptions, after.maxRedemptions], [null, 3]);
    });

    it('counts the locks that are on it', async () => {
        const { client } = c;
        const { id } = await open(client, ['C-1'], { maxRedemptionsPerCode: 2, lockTtlSeconds: 1 });
        const { lockedUntil } = await client.mustLock('C-1', 'ann');
        await client.mustLock('C-1', 'bob');
        assertRefused(await client.lock('C-1', 'cid'), ...refusals.locked);
        await client.mustUnlock('C-1', 'ann');
        await client.mustLock('C-1', 'cid');
        assertRefused(await client.lock('C-1', 'ann'), ...refusals.locked);
        await assertReasons(client, 'C-1', 'ann', []);
        assertTime(lockedUntil);
        await client.mustPatchBook(id, { lockTtlSeconds: 60 });
        await new Promise((resolve) => setTimeout(resolve, 1_100));
        await client.mustLock('C-1', 'ann');
        assertRefused(await client.redeem('C-1', 'cid'), ...refusals.notLocked);
        await client.mustRedeem('C-1', 'ann');
        await use(client, 'C-1', 'cid');
        assertRefused(await client.lock('C-1', 'bob'), ...refusals.usedUp);
    });

    it('is given back by a roll-back, exactly once', async () => {
        const { client } = c;
        const { id } = await open(client, ['B-1'], { maxRedemptionsPerCode: 2, discount: off(5) });
        const first = await use(client, 'B-1', 'ann', order('b-1'));
        const second = await use(client, 'B-1', 'ann', order('b-2'));
        await client.mustRollBack(first.id);
        assertRefused(await client.rollBack(first.id), ...refusals.rolledBack);
        const code = await shown(client, 'B-1');
        assert.deepEqual([code.redemptionCount, code.redemptions], [1, [second]]);
        // The same order again is another redemption: the first one stands no more.
        await client.mustLock('B-1', 'ann');
        const third = (await client.mustRedeem('B-1', 'ann', order('b-1'))).redemption;
        assert.notEqual(third.id, first.id);
        assertRefused(await client.lock('B-1', 'bob'), ...refusals.usedUp);
        assert.equal((await client.rollBack(second.id, { amount: 2 })).status, 201);
        assert.equal((await client.rollBack(second.id)).body.redemption.givenBack, 5);
        assert.equal((await shown(client, 'B-1')).redemptionCount, 1);
        assert.equal((await counted(client, id)).redeemed, 0);
    });
});

describe('codes that their users may redeem more than once', () => {
    const c = suiteServer();

    it('are theirs alone, and redeemed from the first time on', async () => {
        const { client } = c;
        const { id } = await client.newBookWith(['M-1'], { maxRedemptionsPerCode: 2 });
        await client.mustAssign('M-1', 'ann');
        assertRefused(await client.lock('M-1', 'bob'), ...refusals.notAssigned);
        const first = await use(client, 'M-1', 'ann');
        assertCodeValues(await shown(client, 'M-1'), {
            ...{ isRedeemed: true, assignedTo: 'ann', redeemedAt: first.at, status: 'redeemed' },
        });
        assertRefused(await client.unassign('M-1'), ...refusals.redeemed);
        assertRefused(await client.redeem('M-1', 'ann'), ...refusals.notLocked);
        assertRefused(await client.lock('M-1', 'bob'), ...refusals.notAssigned);
        await client.mustLock('M-1', 'ann');
        assertRefused(await client.lock('M-1', 'ann'), ...refusals.locked);
        const { coupon, redemption } = await client.mustRedeem('M-1', 'ann');
        const code = await shown(client, 'M-1');
        assert.deepEqual([coupon.id, coupon.redeemedAt], [code.id, redemption.at]);
        assert.deepEqual([code.redeemedAt, code.redemptionCount], [first.at, 2]);
        assert.deepEqual(code.redemptions, [first, redemption]);
        assertRefused(await client.lock('M-1', 'ann'), ...refusals.usedUp);
        assertRefused(await client.assign('M-1', 'ann'), ...refusals.redeemed);
        const counts = await counted(client, id);
        assert.deepEqual([counts.redeemed, counts.locked, counts.assigned], [1, 0, 0]);
        // Its own redemption taken back, it is assigned again, and what is left of it is one.
        await client.mustRollBack(first.id);
        assert.equal((await shown(client, 'M-1')).status, 'assigned');
        assertRefused(await client.unassign('M-1'), ...refusals.redeemed);
        await use(client, 'M-1', 'ann');
        assertRefused(await client.lock('M-1', 'ann'), ...refusals.usedUp);
    });

    it('stay whose they are while a redemption beside their own is under way', async () => {
        const { client } = c;
        await client.newBookWith(['U-1'], { maxRedemptionsPerCode: 3 });
        await client.mustAssign('U-1', 'ann');
        const own = await use(client, 'U-1', 'ann');
        await client.mustLock('U-1', 'ann');
        await client.mustRollBack(own.id);
        assertRefused(await client.unassign('U-1'), ...refusals.locked);
        assertRefused(await client.lock('U-1', 'ann'), ...refusals.locked);
        const beside = (await client.mustRedeem('U-1', 'ann')).redemption;
        assert.deepEqual((await shown(client, 'U-1')).redemptions, [beside]);
        assertRefused(await client.unassign('U-1'), ...refusals.redeemed);
        await client.mustRollBack(beside.id);
        assert.equal((await client.unassign('U-1')).status, 201);
    });

    it('are shown with their own redemption and the last hundred beside it', async () => {
        const { client } = c;
        await client.newBookWith(['Q-1'], { maxRedemptionsPerCode: 200 });
        await client.mustAssign('Q-1', 'ann');
        const made = [];
        for (let i = 0; i < 104; i += 1) made.push(await use(client, 'Q-1', 'ann'));
        const { redemptionCount, redemptions } = await shown(client, 'Q-1');
        assert.equal(redemptionCount, 104);
        assert.deepEqual(redemptions, [made[0], ...made.slice(4)]);
    });

    it('may be redeemed again as soon as the limit is raised', async () => {
        const { client } = c;
        const { id } = await client.newBookWith(['P-1', 'P-2']);
        for (const code of ['P-1', 'P-2']) await client.mustAssign(code, 'ann');
        await use(client, 'P-1', 'ann');
        await client.mustLock('P-2', 'ann');
        assertRefused(await client.lock('P-1', 'ann'), ...refusals.redeemed);
        await client.mustPatchBook(id, { maxRedemptionsPerCode: 3 });
        // A lock that was taken before still holds.
        assertRefused(await client.lock('P-2', 'ann'), ...refusals.locked);
        await client.mustRedeem('P-2', 'ann');
        await use(client, 'P-1', 'ann');
        await use(client, 'P-1', 'ann');
        assertRefused(await client.lock('P-1', 'ann'), ...refusals.usedUp);
        await client.mustPatchBook(id, { maxRedemptionsPerCode: 1 });
        assertRefused(await client.lock('P-2', 'ann'), ...refusals.redeemed);
    });

    it('agree with the ledger', async () => {
        await verifyLedger(c.client);
    });
});
