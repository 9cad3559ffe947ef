// Codes of books that are not case sensitive: found however they are typed, by every route.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, verifyLedger } from '../support/ledger.js';
import { reason } from '../support/reasons.js';
import { refusals } from '../support/refusals.js';
import { assertBook } from '../support/shapes.js';

const folding = { caseSensitive: false };
const order = (id) => ({ id, amount: 20, currency: 'EUR' });
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');

describe('caseSensitive', () => {
    const c = suiteServer();

    it('is so unless a book is made otherwise, and stays', async () => {
        const { client } = c;
        assertBook(await client.newBook(), { caseSensitive: true });
        assertBook(await client.newBook({ caseSensitive: null }), { caseSensitive: true });
        for (const value of ['no', 0, [], {}]) {
            const sent = { name: 'n', codePattern: 'p', caseSensitive: value };
            invalid(await client.post('/coupon', sent), ['caseSensitive must be a boolean']);
        }
        const book = await client.newBook(folding);
        assertBook(book, folding);
        assertBook(await client.mustPatchBook(book.id, folding), folding);
        for (const value of [true, null]) {
            invalid(await client.patchBook(book.id, { caseSensitive: value }), [
                'caseSensitive cannot be changed once the coupon book is made',
            ]);
        }
    });

    it('false: codes are found however they are typed, and shown as they were uploaded', async () => {
        const { client } = c;
        const { id } = await client.newBookWith(['Summer-2026 ab'], {
            ...folding,
            discount: { type: 'amount', value: 5, currency: 'EUR' },
        });
        const spellings = [
            ...['SUMMER2026AB', 'summer 2026-ab', 'Summer-2026 ab', '--summer2026ab '],
            ...['SUMMER\u00a02026\u2010AB', 'summer\u20132026\u2014ab'],
        ];
        const [first, ...others] = spellings;
        const shown = async (code) => (await client.get(`/coupon/code/${encodeURIComponent(code)}`)).body;
        const assigned = await client.mustAssign(first, 'ann');
        assert.equal(assigned.code, 'Summer-2026 ab');
        for (const code of others) {
            assert.deepEqual((await client.assign(code, 'ann')).body, assigned);
            assert.equal((await shown(code)).code, 'Summer-2026 ab');
            const { valid, discount } = await client.mustValidate(code, 'ann');
            assert.deepEqual([valid, discount], [true, { amount: 5, currency: 'EUR' }]);
            await client.mustLock(code, 'ann');
            assertRefused(await client.lock(first, 'ann'), ...refusals.locked);
            await client.mustUnlock(first, 'ann');
        }
        await client.mustPatchCode('summer2026AB', { metadata: { a: 1 } });
        await client.mustUnassign('summer2026ab');
        await client.mustAssign('summer2026ab', 'ann');
        await client.mustLock('summer2026ab', 'ann');
        const { redemption, coupon } = await client.mustRedeem('Summer2026AB', 'ann', order('o'));
        assert.deepEqual([redemption.code, coupon.code], ['Summer-2026 ab', 'Summer-2026 ab']);
        const again = await client.mustRedeem('SUMMER-2026-AB', 'ann', order('o'));
        assert.deepEqual([again.replayed, again.redemption], [true, redemption]);
        const { history } = await shown('SUMMER2026AB');
        const events = await entriesOf(client, history.length, { code: 'summer2026ab' });
        assert.deepEqual(events, history);
        for (const { code } of history.slice(1)) assert.equal(code, 'Summer-2026 ab');
        const listed = (await client.get(`/coupon/codes/${id}?prefix=Summer`)).body;
        assert.deepEqual(listed.map(({ code }) => code), ['Summer-2026 ab']);
        assert.deepEqual((await client.get(`/coupon/codes/${id}?prefix=SUMMER`)).body, []);
    });

    it('false: two codes are not spelled alike', async () => {
        const { client } = c;
        const { id } = await client.newBookWith(['A-1', 'B-1'], folding);
        const other = await client.newBook(folding);
        for (const codes of [['a1'], ['C-1', 'A1'], ['C-1', 'c1'], ['C-1', 'A-1']]) {
            for (const book of [id, other.id]) {
                assertRefused(await client.upload(book, codes), ...refusals.codesExist);
            }
        }
        invalid(await client.upload(id, ['C-1', ' - ']), [
            'codes must have more than spaces and dashes, for the coupon book is not case sensitive',
        ]);
        assertRefused(await client.lock('c1', 'ann'), ...refusals.codeNotFound);
        assert.equal((await client.upload(id, ['C-1'])).status, 201);
    });

    it('true: what is written otherwise is another code, and one that is meant exactly goes first', async () => {
        const { client } = c;
        await client.newBookWith(['Exact', '-'], {});
        await client.newBookWith(['EXACT', 'Other'], folding);
        assert.equal((await client.mustAssign('Exact', 'ann')).code, 'Exact');
        for (const code of ['EXACT', 'exact', 'ex-act']) {
            assert.equal((await client.mustAssign(code, 'bob')).code, 'EXACT');
        }
        await client.newBookWith(['other', 'OTHER']);
        for (const code of ['other', 'OTHER']) {
            assert.equal((await client.mustAssign(code, 'ann')).code, code);
        }
        assert.equal((await client.mustAssign('oTHER', 'cid')).code, 'Other');
        const { reasons } = await client.mustValidate('none', 'ann');
        assert.deepEqual(reasons, [reason('coupon_not_found')]);
        const events = (await client.get('/coupon/events?code=exACt')).body;
        assert.equal(events.at(-1).userId, 'bob');
    });

    it('false: several codes for one order are all different ones', async () => {
        const { client } = c;
        const { id } = await client.newBookWith(['S-1', 'S-2'], folding);
        for (const code of ['s1', 's2']) await client.mustAssign(code, 'ann');
        const { locks } = await client.mustLockAll(['s1', 'S2'], 'ann');
        assert.deepEqual(locks.map(({ code }) => code), ['S-1', 'S-2']);
        const twice = ['codes must not name the same code twice'];
        invalid(await client.lockAll(['s1', 'S1'], 'ann'), twice);
        invalid(await client.redeemAll(['s1', 'S-1'], 'ann', order('s')), twice);
        const refused = await client.redeemAll(['s1', 'none'], 'ann', order('s'));
        assert.deepEqual([refused.status, refused.body.couponCode], [404, 'none']);
        await client.mustPatchBook(id, { maxRedemptions: 1 });
        const limited = await client.redeemAll(['s1', 's2'], 'ann', order('s'));
        assert.deepEqual([limited.status, limited.body.couponCode], [409, 's2']); // as it was asked for
        await client.mustPatchBook(id, { maxRedemptions: null });
        const { redemptions } = await client.mustRedeemAll(['s2', 's1'], 'ann', order('s'));
        assert.deepEqual(redemptions.map(({ code }) => code), ['S-2', 'S-1']);
    });

    it('false: an open code is everybody’s under any spelling', async () => {
        const { client } = c;
        await client.newBookWith(['WELCOME10'], {
            ...folding,
            ...{ assignment: 'open', maxRedemptionsPerCode: 2 },
        });
        await client.mustLock('welcome10', 'ann');
        await client.mustLock('Welcome 10', 'bob');
        assertRefused(await client.lock('WELCOME-10', 'cid'), ...refusals.locked);
        await client.mustRedeem('Welcome10', 'ann');
        await client.mustRedeem('WELCOME10', 'bob');
        assertRefused(await client.lock('welcome10', 'cid'), ...refusals.usedUp);
    });

    it('false: the first answer to an Idempotency-Key is that of the same spelling', async () => {
        const { client } = c;
        await client.newBookWith(['I-1'], folding);
        const keyed = { headers: { 'idempotency-key': 'assign-i1' } };
        const first = await client.post('/coupon/assign/i1', { userId: 'ann' }, keyed);
        const again = await client.post('/coupon/assign/i1', { userId: 'ann' }, keyed);
        assert.equal(again.headers['idempotent-replayed'], 'true');
        assert.equal(again.text, first.text);
        const other = await client.post('/coupon/assign/I1', { userId: 'ann' }, keyed);
        assert.equal(other.body.code, 'idempotency_key_reused');
    });

    it('false: users are forgotten, and what they hold, as ever', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['E-1'], folding);
        await client.mustAssign('e1', 'ann');
        await client.mustLock('e1', 'ann');
        assert.equal((await client.request('DELETE', '/coupon/users/ann')).status, 200);
        assert.equal((await client.get('/coupon/code/e1')).body.status, 'assigned');
        await server.data.verify();
    });

    it('agrees with the ledger', async () => {
        await verifyLedger(c.client);
        await c.server.data.verify();
    });
});
