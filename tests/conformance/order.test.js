// Orders: what locking and redeeming take of them, what discounts take off them to the minor unit, why
// they are refused, and that an order that is redeemed again is answered with the redemption there is.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, inParallel, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, settledEntries } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { decimals, discountOf, missing, reason, reasonRow } from '../support/reasons.js';
import { refusals } from '../support/refusals.js';
import { assertRedemption } from '../support/shapes.js';

const past = '2020-02-02T02:02:02.000Z';
const order = (amount, currency = 'EUR', id = 'o-1') => ({ id, amount, currency });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const shown = async (client, code) => (await client.get(`/coupon/code/${encodeURIComponent(code)}`)).body;

/** Codes of a new book that are all `user`'s and locked; returns the book. */
async function locked(client, codes, members, user = 'ann') {
    const book = await client.newBookWith(codes, members);
    await inParallel(codes, 16, async (code) => {
        await client.mustAssign(code, user);
        await client.mustLock(code, user);
    });
    return book;
}

/** All five members of a discount. */
const discount = (type, value, { currency = null, most = null, least = null } = {}) => ({
    type,
    value,
    currency,
    maxAmount: most,
    minOrderAmount: least,
});

describe('redeeming for an order', () => {
    const c = suiteServer();

    it('is answered with the redemption, to the byte', async () => {
        const off = discount('percent', 12.5, { currency: 'EUR', most: 20 });
        const { id: bookId } = await locked(c.client, ['B 1/2'], { discount: off });
        const sent = { currency: 'EUR', id: 'ü "4711"\\', amount: 59.9 };
        const answer = await c.client.redeem('B 1/2', 'ann', sent);
        assert.equal(answer.status, 201, answer.text);
        const { id, at } = answer.body.redemption;
        const coupon = await c.client.codeOf(bookId, 'B 1/2');
        assert.equal(coupon.redeemedAt, at);
        assert.equal(
            answer.text,
            JSON.stringify({
                message: 'Coupon redeemed successfully',
                coupon,
                redemption: {
                    ...{ id, code: 'B 1/2', bookId, userId: 'ann', discountAmount: 7.49 },
                    order: { id: 'ü "4711"\\', amount: 59.9, currency: 'EUR' },
                    discount: { amount: 7.49, currency: 'EUR' },
                    givenBack: 0,
                    at,
                    rolledBackAt: null,
                },
                replayed: false,
            }),
        );
    });

    it('is shown with its code, its user and in the ledger', async () => {
        const { id: bookId } = await locked(c.client, ['S-1'], { discountAmount: 5 }, 'sue');
        const answer = await c.client.redeem('S-1', 'sue', order(3, 'KWD'));
        const { redemption, coupon } = answer.body;
        assertRedemption(redemption, {
            ...{ code: 'S-1', bookId, userId: 'sue', at: coupon.redeemedAt },
            order: order(3, 'KWD'),
            discount: { amount: 3, currency: 'KWD' },
        });
        assert.deepEqual((await shown(c.client, 'S-1')).redemptions, [redemption]);
        assert.deepEqual((await c.client.get('/coupon/users/sue')).body.redemptions, [redemption]);
        const [entry] = await entriesOf(c.client, 1, { code: 'S-1', type: 'code_redeemed' });
        const { before, after } = entry;
        assert.equal(
            JSON.stringify(entry),
            JSON.stringify({
                id: redemption.id,
                at: redemption.at,
                ...{ type: 'code_redeemed', bookId, code: 'S-1', userId: 'sue' },
                redemptionId: redemption.id,
                order: { id: 'o-1', amount: 3, currency: 'KWD' },
                discount: { amount: 3, currency: 'KWD' },
                requestId: answer.headers['x-request-id'],
                ...{ before, after },
            }),
        );
        assert.deepEqual([before.status, after.redeemedAt], ['locked', redemption.at]);
    });

    it('is of a book without a discount, too', async () => {
        await locked(c.client, ['N-1', 'N-2'], {});
        for (const [code, sent] of [['N-1', order(0)], ['N-2', undefined]]) {
            const { redemption } = await c.client.mustRedeem(code, 'ann', sent);
            assertRedemption(redemption, { order: sent ?? null, discount: null });
            assert.deepEqual((await shown(c.client, code)).redemptions, [redemption]);
        }
    });

    it('takes the order, not the one that the code was locked with', async () => {
        await c.client.newBookWith(['L-1', 'L-2', 'L-3'], {
            discount: discount('percent', 10, { currency: 'EUR', least: 5 }),
        });
        for (const code of ['L-1', 'L-2', 'L-3']) await c.client.mustAssign(code, 'ann');
        const answer = await c.client.lock('L-1', 'ann', order(50, 'EUR', 'o-locked'));
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(Object.keys(answer.body), ['message', 'lockedUntil']);
        const first = await c.client.mustRedeem('L-1', 'ann', order(20, 'EUR', 'o-redeemed'));
        assertRedemption(first.redemption, {
            order: order(20, 'EUR', 'o-redeemed'),
            discount: { amount: 2, currency: 'EUR' },
        });
        // Without one it can be locked for whichever.
        await c.client.mustLock('L-2', 'ann');
        const second = await c.client.mustRedeem('L-2', 'ann', order(5));
        assert.equal(second.redemption.discountAmount, 0.5);
        await c.client.mustLock('L-3', 'ann', order(5));
        assertRefused(await c.client.redeem('L-3', 'ann'), ...refusals.orderRequired);
    });

    it('keeps whatever ids orders have', async () => {
        const ids = [' ', 'x'.repeat(255), '🎟'.repeat(255), 'a/b "c"\\ ü\u2028', '0', 'null', '1e3'];
        const codes = numbered('ID-', ids.length);
        await locked(c.client, codes, { discountAmount: 1 });
        for (const [index, id] of ids.entries()) {
            const { redemption } = await c.client.mustRedeem(codes[index], 'ann', order(5, 'EUR', id));
            assert.equal(redemption.order.id, id);
            assert.deepEqual((await shown(c.client, codes[index])).redemptions, [redemption]);
        }
    });
});

const most = { EUR: 10_000_000_000, JPY: 1_000_000_000_000, KWD: 1_000_000_000, CLF: 100_000_000 };
const eur = { currency: 'EUR' };
const jpy = { currency: 'JPY' };

// [the discount, the order's amount and currency, what it gets cheaper].
const table = [
    // An amount is never more than the order, and of no currency rounded half up.
    [discount('amount', 19.99, eur), 59.9, 'EUR', 19.99],
    [discount('amount', 19.99, eur), 19.98, 'EUR', 19.98],
    [discount('amount', 19.99, eur), 0, 'EUR', 0],
    [discount('amount', 0, eur), 59.9, 'EUR', 0],
    [discount('amount', most.EUR, eur), most.EUR, 'EUR', most.EUR],
    [discount('amount', 19.99), 5_000, 'JPY', 20],
    [discount('amount', 19.49), 5_000, 'JPY', 19],
    [discount('amount', 0.5), 5_000, 'JPY', 1],
    [discount('amount', 0.49), 5_000, 'JPY', 0],
    [discount('amount', 20), 19, 'JPY', 19],
    [discount('amount', most.EUR), most.JPY, 'JPY', most.EUR],
    [discount('amount', 19.99), 19.991, 'KWD', 19.99],
    [discount('amount', 19.99), 19.989, 'KWD', 19.989],
    [discount('amount', 0.001, { currency: 'KWD' }), 0.002, 'KWD', 0.001],
    [discount('amount', most.EUR), most.KWD, 'KWD', most.KWD],
    [discount('amount', 0.0001, { currency: 'CLF' }), 1, 'CLF', 0.0001],
    [discount('amount', 10, { most: 7.5 }), 59.9, 'EUR', 7.5],
    [discount('amount', 10, { most: 7.5 }), 5, 'EUR', 5],
    [discount('amount', 10, { most: 7.5 }), 5_000, 'JPY', 8],
    [discount('amount', 10, { most: 7.49 }), 5_000, 'JPY', 7],
    [discount('amount', 10, { most: 0 }), 59.9, 'EUR', 0],

    // Percent are rounded half up to the minor unit.
    [discount('percent', 12.5), 59.9, 'EUR', 7.49],
    [discount('percent', 50), 0.01, 'EUR', 0.01],
    [discount('percent', 49.99), 0.01, 'EUR', 0],
    [discount('percent', 33.33), 0.01, 'EUR', 0],
    [discount('percent', 33.33), 100, 'EUR', 33.33],
    [discount('percent', 33.33), 100.01, 'EUR', 33.33],
    [discount('percent', 33.33), 100.02, 'EUR', 33.34],
    [discount('percent', 0), 100, 'EUR', 0],
    [discount('percent', 0.01), 49.99, 'EUR', 0],
    [discount('percent', 0.01), 50, 'EUR', 0.01],
    [discount('percent', 100), 59.9, 'EUR', 59.9],
    [discount('percent', 100), most.EUR, 'EUR', most.EUR],
    [discount('percent', 33.33), most.EUR, 'EUR', 3_333_000_000],
    [discount('percent', 99.99), 9_999_999_999.99, 'EUR', 9_998_999_999.99],
    [discount('percent', 12.5), 999, 'JPY', 125],
    [discount('percent', 50), 1, 'JPY', 1],
    [discount('percent', 49.99), 1, 'JPY', 0],
    [discount('percent', 50), 3, 'JPY', 2],
    [discount('percent', 10), 14, 'JPY', 1],
    [discount('percent', 10), 15, 'JPY', 2],
    [discount('percent', 0.01), most.JPY, 'JPY', 100_000_000],
    [discount('percent', 12.5, jpy), 1_000, 'JPY', 125],
    [discount('percent', 12.5), 0.004, 'KWD', 0.001],
    [discount('percent', 12.5), 0.003, 'KWD', 0],
    [discount('percent', 33.33), 10.005, 'KWD', 3.335],
    [discount('percent', 99.99), 999_999_999.999, 'KWD', 999_899_999.999],
    [discount('percent', 12.5), 0.0004, 'CLF', 0.0001],
    [discount('percent', 50, { most: 20 }), 59.9, 'EUR', 20],
    [discount('percent', 50, { most: 20 }), 39.99, 'EUR', 20],
    [discount('percent', 50, { most: 20 }), 39.98, 'EUR', 19.99],
    [discount('percent', 50, { most: 0.5 }), 5_000, 'JPY', 1],
    [discount('percent', 50, { most: 0.49 }), 5_000, 'JPY', 0],
    [discount('percent', 50, { ...jpy, most: 300 }), 5_000, 'JPY', 300],
    [discount('percent', 50, { most: 1.25 }), 3, 'KWD', 1.25],

    // With a fixed price the order costs so much, or less if it did before.
    [discount('fixed_price', 19.99, eur), 59.9, 'EUR', 39.91],
    [discount('fixed_price', 19.99, eur), 19.99, 'EUR', 0],
    [discount('fixed_price', 19.99, eur), 19.98, 'EUR', 0],
    [discount('fixed_price', 19.99, eur), 0, 'EUR', 0],
    [discount('fixed_price', 0, eur), 59.9, 'EUR', 59.9],
    [discount('fixed_price', most.EUR, eur), most.EUR, 'EUR', 0],
    [discount('fixed_price', 0.5), 100, 'JPY', 99],
    [discount('fixed_price', 0.49), 100, 'JPY', 100],
    [discount('fixed_price', 5), 7.125, 'KWD', 2.125],
    [discount('fixed_price', 0.01), 0.001, 'KWD', 0],
    [discount('fixed_price', 10, { most: 20 }), 59.9, 'EUR', 20],
    [discount('fixed_price', 10, { most: 20 }), 15, 'EUR', 5],
    [discount('fixed_price', most.EUR), most.JPY, 'JPY', most.JPY - most.EUR],

    // Free shipping takes nothing off the order itself.
    [discount('free_shipping', null), 59.9, 'EUR', 0],
    [discount('free_shipping', null, { ...jpy, most: 5, least: 5 }), 5, 'JPY', 0],
    [discount('free_shipping', null), 0, 'KWD', 0],
];

describe('what an order gets cheaper', () => {
    for (const type of ['amount', 'percent', 'fixed_price', 'free_shipping']) {
        it(`by a discount of the type ${type}, as validated and as redeemed`, async (t) => {
            const { client } = await testServer(t);
            const rows = table.filter(([{ type: own }]) => own === type);
            const codes = numbered('T-', rows.length);
            const { id } = await locked(client, codes);
            for (const [index, [set, amount, currency, off]] of rows.entries()) {
                const told = JSON.stringify(rows[index]);
                // The rules once more come to the same.
                assert.deepEqual(
                    discountOf({ discount: set }, { amount, currency }),
                    { amount: off, currency },
                    told,
                );
                await client.mustPatchBook(id, { discount: set });
                const sent = order(amount, currency);
                const validation = await client.mustValidate(codes[index], 'ann', { order: sent });
                assert.deepEqual(validation.discount, { amount: off, currency }, told);
                const answer = await client.redeem(codes[index], 'ann', sent);
                assert.equal(answer.status, 201, answer.text);
                assertRedemption(answer.body.redemption, {
                    order: sent,
                    discount: { amount: off, currency },
                    discountAmount: off,
                });
                // As a number that has no more decimals than the currency.
                const written = /"discountAmount":([^,]*),/.exec(answer.text)[1];
                const places = new RegExp(`^\\d+(\\.\\d{1,${Math.max(1, decimals[currency])}})?$`);
                assert.match(written, currency === 'JPY' ? /^\d+$/ : places);
            }
        });
    }

    it('is not known without one, but of an amount', async (t) => {
        const { client } = await testServer(t);
        const rows = [
            [discount('amount', 19.99), { amount: 19.99, currency: null }],
            [discount('amount', 19.99, { most: 7.5 }), { amount: 7.5, currency: null }],
            [discount('amount', 5, { most: 7.5 }), { amount: 5, currency: null }],
            [discount('amount', 0), { amount: 0, currency: null }],
            [discount('amount', 500, jpy), { amount: 500, currency: 'JPY' }],
            [discount('amount', 0.125, { currency: 'KWD' }), { amount: 0.125, currency: 'KWD' }],
            [discount('amount', 9, { ...eur, most: 8.5 }), { amount: 8.5, currency: 'EUR' }],
            [discount('amount', most.EUR, eur), { amount: most.EUR, currency: 'EUR' }],
            [discount('percent', 50, { ...eur, most: 5 }), null],
            [discount('percent', 100), null],
            [discount('fixed_price', 5, eur), null],
            [discount('free_shipping', null), null],
            [discount('free_shipping', null, eur), null],
            [null, null],
        ];
        const codes = numbered('W-', rows.length);
        const { id } = await locked(client, codes);
        for (const [index, [set, expected]] of rows.entries()) {
            await client.mustPatchBook(id, { discount: set });
            assert.deepEqual((await client.mustValidate(codes[index], 'ann')).discount, expected);
            const { redemption } = await client.mustRedeem(codes[index], 'ann');
            assertRedemption(redemption, { order: null, discount: expected });
            assert.deepEqual((await shown(client, codes[index])).redemptions, [redemption]);
        }
    });
});

// [the minimum and its currency, an order that is large enough, one that is not, what it is short of].
const minimums = [
    [30, 'EUR', order(30), order(22), '8.00'],
    [30, 'EUR', order(30), order(29.99), '0.01'],
    [30, null, order(30), order(0), '30.00'],
    [0.01, 'EUR', order(0.01), order(0), '0.01'],
    [most.EUR, 'EUR', order(most.EUR), order(0), '10000000000.00'],
    [1_000, 'JPY', order(1_000, 'JPY'), order(200, 'JPY'), '800'],
    [999.5, null, order(1_000, 'JPY'), order(999, 'JPY'), '1'],
    [0.5, null, order(1, 'JPY'), order(0, 'JPY'), '1'],
    [5.01, null, order(5.01, 'KWD'), order(5.009, 'KWD'), '0.001'],
    [5, 'KWD', order(5, 'KWD'), order(1.125, 'KWD'), '3.875'],
    [5, null, order(5, 'CLF'), order(4.9999, 'CLF'), '0.0001'],
];

describe('an order that a discount asks for', () => {
    const c = suiteServer();
    let book;
    const set = (discounted) => c.client.mustPatchBook(book.id, { discount: discounted });
    const reasonsFor = async (code, sent) =>
        (await c.client.mustValidate(code, 'ann', sent && { order: sent })).reasons;

    it('is for codes that are locked, or not', async () => {
        book = await locked(c.client, numbered('M-', 40), {});
        for (const index of [38, 39]) await c.client.mustUnlock(`M-${index}`, 'ann');
    });

    it('is large enough from its minimum on, and no further down', async () => {
        for (const [index, [least, currency, enough, short, lacking]] of minimums.entries()) {
            const asked = discount('amount', 0, { currency, least });
            const code = `M-${index}`;
            await set(asked);
            assert.equal(missing({ discount: asked }, short), lacking);
            const below = {
                code: 'order_below_minimum',
                message: 'The order is below the minimum of this coupon',
                cure: `Add ${lacking} to the order`,
            };
            assert.deepEqual(await reasonsFor(code, short), [below]);
            assert.deepEqual(await reasonsFor(code, enough), []);
            assertRefused(await c.client.redeem(code, 'ann', short), ...refusals.belowMinimum);
            assertRefused(await c.client.lock(code, 'ann', short), ...refusals.belowMinimum);
            assertRefused(await c.client.lock('M-39', 'ann', short), ...refusals.belowMinimum);
            await c.client.mustLock('M-39', 'ann', enough);
            await c.client.mustUnlock('M-39', 'ann');
            await c.client.mustRedeem(code, 'ann', enough);
        }
    });

    it('is any where the minimum is nothing in its currency, but one', async () => {
        for (const [index, least] of [0, 0.49].entries()) {
            const code = `M-${20 + index}`;
            await set(discount('free_shipping', null, { least }));
            assert.deepEqual(await reasonsFor(code, order(0, 'JPY')), []);
            assert.deepEqual(await reasonsFor(code), [
                {
                    code: 'order_required',
                    message: 'An order is required to redeem this coupon',
                    cure: 'Send the order',
                },
            ]);
            assertRefused(await c.client.redeem(code, 'ann'), ...refusals.orderRequired);
            assertRefused(await c.client.lock(code, 'ann'), ...refusals.locked);
            await c.client.mustRedeem(code, 'ann', order(0, 'JPY'));
        }
    });

    it('is in the currency of the discount, where it has one', async () => {
        for (const [index, currency] of ['JPY', 'USD'].entries()) {
            const code = `M-${22 + index}`;
            await set(discount('percent', 10, { ...eur, least: index ? null : 30 }));
            // How much it costs is not told together with that.
            for (const sent of [order(1, currency), order(100, currency)]) {
                assert.deepEqual(await reasonsFor(code, sent), [
                    {
                        code: 'order_currency_mismatch',
                        message: 'The order is in another currency than the discount',
                        cure: 'Use an order in EUR',
                    },
                ]);
                assertRefused(await c.client.redeem(code, 'ann', sent), ...refusals.otherCurrency);
                assertRefused(await c.client.lock(code, 'ann', sent), ...refusals.otherCurrency);
                assertRefused(await c.client.lock('M-39', 'ann', sent), ...refusals.otherCurrency);
            }
            await set(discount('percent', 10));
            assert.deepEqual(await reasonsFor(code, order(1, currency)), []);
            await c.client.mustRedeem(code, 'ann', order(1, currency));
        }
    });

    it('is needed to redeem, not to lock', async () => {
        await set(discount('amount', 5, { least: 30 }));
        const { lockedUntil } = await c.client.mustLock('M-39', 'ann');
        assert.ok(lockedUntil);
        assertRefused(await c.client.redeem('M-39', 'ann'), ...refusals.orderRequired);
        assertRefused(await c.client.redeem('M-39', 'ann', null), ...refusals.orderRequired);
        await set(discount('amount', 5));
        const { redemption } = await c.client.mustRedeem('M-39', 'ann');
        assertRedemption(redemption, { order: null, discount: { amount: 5, currency: null } });
    });

    it('is looked at when the code is locked, if it has to be, and before the limit', async () => {
        await set(discount('amount', 5, { ...eur, least: 30 }));
        await c.client.mustPatchBook(book.id, { maxRedemptionsPerUser: 1 });
        for (const sent of [undefined, order(1), order(1, 'JPY'), order(30)]) {
            assertRefused(await c.client.redeem('M-38', 'ann', sent), ...refusals.notLocked);
        }
        for (const [sent, refusal, first] of [
            [undefined, 'orderRequired', reason('order_required')],
            [order(1, 'JPY'), 'otherCurrency', reason('order_currency_mismatch', eur)],
            [order(1), 'belowMinimum', reason('order_below_minimum', { missing: '29.00' })],
            [order(30), 'limitReached'],
        ]) {
            assertRefused(await c.client.redeem('M-30', 'ann', sent), ...refusals[refusal]);
            const limit = reason('user_redemption_limit_reached');
            const expected = first ? [first, limit] : [limit];
            assert.deepEqual(await reasonsFor('M-30', sent), expected);
        }
        // What is wrong with the book comes first.
        await c.client.mustPatchBook(book.id, { endsAt: past });
        assertRefused(await c.client.redeem('M-30', 'ann', order(1)), ...refusals.bookEnded);
        assertRefused(await c.client.lock('M-30', 'ann', order(1)), ...refusals.bookEnded);
        const ended = reasonRow('coupon_book_ended');
        const [first, second] = await reasonsFor('M-30', order(1));
        assert.deepEqual([first.code, second.code], [ended.code, 'order_below_minimum']);
        await c.client.mustPatchBook(book.id, { endsAt: null, maxRedemptionsPerUser: null });
    });

    it('is refused without a trace, but its count', async () => {
        const { id } = await locked(c.client, ['R-1'], {
            discount: discount('percent', 10, { ...eur, least: 30 }),
        });
        const entries = await settledEntries(c.client, { bookId: id });
        const before = await shown(c.client, 'R-1');
        for (const sent of [undefined, order(1), order(1, 'JPY'), order(2, 'JPY')]) {
            const answer = await c.client.redeem('R-1', 'ann', sent);
            assert.equal(answer.status, 409, answer.text);
        }
        assert.deepEqual(await shown(c.client, 'R-1'), before);
        assert.deepEqual(await settledEntries(c.client, { bookId: id }), entries);
        const { refusals: counted, totals } = (await c.client.get(`/coupon/${id}/stats`)).body;
        assert.deepEqual(counted, {
            order_below_minimum: 1,
            order_currency_mismatch: 2,
            order_required: 1,
        });
        assert.deepEqual([totals.locked, totals.redeemed, totals.discounts], [1, 0, []]);
    });
});

const amountRule = (places) =>
    `order.amount must be a number from 0 to 1${'0'.repeat(12 - places)} ` +
    `with at most ${places} decimals`;
const currencyRule = 'order.currency must be a currency of ISO 4217, such as EUR';
const idRule = 'order.id should not be empty';

describe('an order that is none', () => {
    const c = suiteServer();

    /** Of locking and of redeeming, whatever would be said of the code. */
    async function refused(text, messages) {
        for (const verb of ['lock', 'redeem']) {
            for (const code of ['X-1', 'none']) {
                const body = `{"userId":"ann","order":${text}}`;
                invalid(await c.client.post(`/coupon/${verb}/${code}`, body), messages);
            }
        }
    }

    it('is tried on a code', async () => {
        await locked(c.client, ['X-1'], { discountAmount: 1 });
    });

    it('has no id', async () => {
        for (const id of ['', '"id":null,', '"id":"",']) {
            await refused(`{${id}"amount":1,"currency":"EUR"}`, [idRule]);
        }
    });

    for (const [id, message] of [
        ...[5, true, [], ['o'], {}].map((value) => [value, 'order.id must be a string']),
        ...['x'.repeat(256), '🎟'.repeat(256)].map((value) => [
            value,
            'order.id must be shorter than or equal to 255 characters',
        ]),
        ...['a\nb', 'nul\0', '\u007f', '\u0085'].map((value) => [
            value,
            'order.id must not contain control characters',
        ]),
    ]) {
        it(`has the id ${JSON.stringify(id).slice(0, 20)}`, async () => {
            await refused(JSON.stringify({ id, amount: 1, currency: 'EUR' }), [message]);
        });
    }

    for (const [amount, currency, places] of [
        ...['-1', '-0.01', '0.001', '19.999', '10000000000.01', '1e11', '1e400', '"5"', 'null', '[]'],
        ...['9007199254740993', 'true', '{}'],
    ].map((text) => [text, 'EUR', 2]).concat([
        ...['0.5', '1000000000001', '-1'].map((text) => [text, 'JPY', 0]),
        ...['0.0001', '1000000000.001'].map((text) => [text, 'KWD', 3]),
        ...['0.00001', '100000000.0001'].map((text) => [text, 'CLF', 4]),
    ])) {
        it(`costs ${amount} ${currency}`, async () => {
            const text = `{"id":"o-1","amount":${amount},"currency":"${currency}"}`;
            await refused(text, [amountRule(places)]);
        });
    }

    for (const currency of ['XXX', 'DEM', 'eur', 'EURO', '', 5, null, ['EUR'], {}]) {
        it(`is in ${JSON.stringify(currency)}`, async () => {
            await refused(JSON.stringify({ id: 'o-1', amount: 5.5, currency }), [currencyRule]);
        });
    }

    it('is no object, or has other members, or one twice', async () => {
        for (const text of ['5', '0', '""', '"o-1"', 'true', 'false', '[]', '[{"id":"o-1"}]']) {
            await refused(text, ['order must be an object']);
        }
        await refused('{}', [amountRule(2), currencyRule, idRule]);
        const fit = '"id":"o-1","amount":1,"currency":"EUR"';
        await refused(`{${fit},"foo":1}`, ['property order.foo should not exist']);
        await refused(`{${fit},"Id":"o-1"}`, ['property order.Id should not exist']);
        await refused(`{${fit},"id":"o-1"}`, ['property order.id is given twice']);
        await refused(`{${fit},"amount":1}`, ['property order.amount is given twice']);
        for (const verb of ['lock', 'redeem']) {
            const body = `{"userId":"ann","order":{${fit}},"order":{${fit}}}`;
            const twice = await c.client.post(`/coupon/${verb}/X-1`, body);
            invalid(twice, ['property order is given twice']);
        }
    });

    it('is told of with all that is wrong, in the order of the description', async () => {
        const sent = {
            more: 1,
            order: { more: 1, currency: 'x', id: 5, amount: 'y' },
            userId: 5,
        };
        for (const verb of ['lock', 'redeem']) {
            invalid(await c.client.post(`/coupon/${verb}/X-1`, sent), [
                'userId must be a string',
                amountRule(2),
                currencyRule,
                'order.id must be a string',
                'property order.more should not exist',
                'property more should not exist',
            ]);
        }
    });

    it('is not asked for elsewhere', async () => {
        for (const verb of ['assign', 'unlock', 'unassign']) {
            const body = { userId: 'ann', order: order(1) };
            const answer = await c.client.post(`/coupon/${verb}/X-1`, body);
            invalid(answer, ['property order should not exist']);
        }
    });

    it('null is none at all', async () => {
        const answer = await c.client.post('/coupon/redeem/X-1', { userId: 'ann', order: null });
        assert.equal(answer.status, 201, answer.text);
        assertRedemption(answer.body.redemption, { order: null });
    });
});

describe('an order that is redeemed again', () => {
    const c = suiteServer();

    /** What must be as it was: entries, code, user, book, figures. */
    async function state(client, bookId, code, user) {
        const entries = await settledEntries(client, { bookId });
        const texts = [];
        for (const path of [
            ...[`/coupon/code/${code}`, `/coupon/users/${user}`, `/coupon/${bookId}`],
            `/coupon/${bookId}/stats`,
        ]) {
            texts.push((await client.get(path)).text);
        }
        return [entries, ...texts];
    }

    /** The answer to the same order once more: the redemption there is. */
    function assertSame(answer, first) {
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(answer.body, { ...first, coupon: answer.body.coupon, replayed: true });
        assert.equal(answer.headers['idempotent-replayed'], undefined);
    }

    it('is answered with the same redemption, and nothing changes', async () => {
        const { id } = await locked(c.client, ['A-1'], { discountAmount: 5 });
        const first = await c.client.mustRedeem('A-1', 'ann', order(59.9));
        const before = await state(c.client, id, 'A-1', 'ann');
        await passed(first.redemption.at);
        for (const sent of [
            order(59.9),
            // Whatever it says besides its id.
            order(1),
            order(most.EUR),
            order(5_000, 'JPY'),
            { currency: 'KWD', amount: 0.001, id: 'o-1' },
        ]) {
            const answer = await c.client.redeem('A-1', 'ann', sent);
            assertSame(answer, first);
            assert.deepEqual(answer.body.coupon, first.coupon);
            const members = ['message', 'coupon', 'redemption', 'replayed'];
            assert.deepEqual(Object.keys(answer.body), members);
        }
        assert.deepEqual(await state(c.client, id, 'A-1', 'ann'), before);
    });

    it('has to be one that could be redeemed', async () => {
        await locked(c.client, ['V-1'], { discountAmount: 5 });
        await c.client.mustRedeem('V-1', 'ann', order(59.9));
        invalid(await c.client.redeem('V-1', 'ann', order(0.001)), [amountRule(2)]);
        invalid(await c.client.redeem('V-1', 'ann', order(1, 'XXX')), [currencyRule]);
    });

    it('is by the same user, of the same code, with the same id, to the letter', async () => {
        await locked(c.client, ['W-1', 'W-2', 'W-3'], { discountAmount: 5 });
        const first = await c.client.mustRedeem('W-1', 'ann', order(59.9, 'EUR', 'Ord-1'));
        for (const id of ['Ord-2', 'ord-1', 'Ord-1 ', ' Ord-1', 'Ord-1\u0301', 'Ord', 'Ord-11']) {
            const answer = await c.client.redeem('W-1', 'ann', order(59.9, 'EUR', id));
            assertRefused(answer, ...refusals.redeemed);
        }
        assertRefused(await c.client.redeem('W-1', 'ann'), ...refusals.redeemed);
        for (const user of ['bob', 'Ann', 'ann ']) {
            const answer = await c.client.redeem('W-1', user, order(59.9, 'EUR', 'Ord-1'));
            assertRefused(answer, ...refusals.notAssigned);
        }
        // Another code takes the same order once more.
        const second = await c.client.mustRedeem('W-2', 'ann', order(59.9, 'EUR', 'Ord-1'));
        assert.equal(second.replayed, false);
        assert.notEqual(second.redemption.id, first.redemption.id);
        for (const [code, redeemed] of [['W-1', first], ['W-2', second]]) {
            const answer = await c.client.redeem(code, 'ann', order(59.9, 'EUR', 'Ord-1'));
            assertSame(answer, redeemed);
        }
        // Without an order there is nothing to know it by.
        await c.client.mustRedeem('W-3', 'ann');
        assertRefused(await c.client.redeem('W-3', 'ann'), ...refusals.redeemed);
        const late = await c.client.redeem('W-3', 'ann', order(59.9, 'EUR', 'Ord-1'));
        assertRefused(late, ...refusals.redeemed);
    });

    it('is so whatever has become of the book and the code since', async () => {
        const { client } = c;
        const { id } = await locked(client, ['S-1', 'S-2'], { discountAmount: 5 });
        const first = await client.mustRedeem('S-1', 'ann', order(59.9));
        for (const change of [
            () => client.mustPatchBook(id, { discount: discount('percent', 50, jpy) }),
            () => client.mustPatchBook(id, { discount: discount('amount', 1, { ...eur, least: 100 }) }),
            () => client.mustPatchBook(id, { discount: null }),
            () => client.mustPatchBook(id, { maxRedemptionsPerUser: 1 }),
            () => client.mustPatchBook(id, { endsAt: past }),
            () => client.mustPatchBook(id, { active: false }),
            () => client.mustPatchCode('S-1', { active: false, expiresAt: past }),
            () => client.mustArchive(id),
        ]) {
            await change();
            const answer = await client.redeem('S-1', 'ann', order(59.9));
            assertSame(answer, first);
        }
        const { active, expiresAt } = (await client.redeem('S-1', 'ann', order(59.9))).body.coupon;
        assert.deepEqual([active, expiresAt], [false, past]);
        // The other code is refused for all of that.
        const other = await client.redeem('S-2', 'ann', order(59.9));
        assertRefused(other, ...refusals.bookArchived);
    });

    it('is so after a restart', async (t) => {
        const { server, client } = await testServer(t);
        await locked(client, ['R-1'], { discountAmount: 5 });
        const first = await client.mustRedeem('R-1', 'ann', order(59.9));
        await server.stop();
        await server.start();
        assertSame(await client.redeem('R-1', 'ann', order(1, 'JPY')), first);
        assertRefused(await client.redeem('R-1', 'ann', order(1, 'JPY', 'o-2')), ...refusals.redeemed);
    });

    it('is not validated as if it were new', async () => {
        await locked(c.client, ['N-1'], { discountAmount: 5 });
        await c.client.mustRedeem('N-1', 'ann', order(59.9));
        const { reasons } = await c.client.mustValidate('N-1', 'ann', { order: order(59.9) });
        assert.deepEqual(reasons.map(({ code }) => code), ['coupon_already_redeemed']);
        assertRefused(await c.client.lock('N-1', 'ann', order(59.9)), ...refusals.redeemed);
    });

    it('is of nobody who comes with the id of somebody erased', async (t) => {
        const { client } = await testServer(t);
        await locked(client, ['E-1'], { discountAmount: 5 });
        const first = await client.mustRedeem('E-1', 'ann', order(59.9));
        const erased = await client.request('DELETE', '/coupon/users/ann');
        assert.equal(erased.status, 200, erased.text);
        assertRefused(await client.redeem('E-1', 'ann', order(59.9)), ...refusals.notAssigned);
        const { assignedTo, redemptions } = await shown(client, 'E-1');
        assert.deepEqual(redemptions, [{ ...first.redemption, userId: assignedTo }]);
        const again = await client.redeem('E-1', assignedTo, order(59.9));
        assert.equal(again.status, 201, again.text);
        assert.deepEqual(again.body.redemption, redemptions[0]);
    });
});

describe('redeeming for an order with a key', () => {
    const c = suiteServer();

    function assertReplayed(answer, first) {
        assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text);
        assert.deepEqual([answer.status, answer.text], [first.status, first.text]);
    }

    it('is answered as the first time, to the byte, whatever happens meanwhile', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await locked(client, ['K-1'], { discount: discount('percent', 12.5, eur) });
        const sent = order(59.9);
        const redeem = () => client.redeem('K-1', 'ann', sent, keyed('k'));
        const first = await redeem();
        assert.equal(first.status, 201, first.text);
        assert.equal(first.body.replayed, false);
        const { id: redemptionId } = first.body.redemption;
        const again = await client.redeem('K-1', 'ann', sent, keyed('again'));
        assert.equal(again.body.replayed, true);
        for (const change of [
            async () => {},
            () => client.mustPatchBook(id, { discount: discount('amount', 1, jpy) }),
            () => client.mustPatchCode('K-1', { active: false, metadata: { a: 1 } }),
            () => client.mustRollBack(redemptionId, { amount: 2.5 }),
            () => client.mustRollBack(redemptionId, { amount: 0.01 }),
            async () => {
                await server.stop();
                await server.start();
            },
            () => client.mustRollBack(redemptionId),
            () => client.mustUnassign('K-1'),
        ]) {
            await change();
            assertReplayed(await redeem(), first);
            const second = await client.redeem('K-1', 'ann', sent, keyed('again'));
            assertReplayed(second, again);
        }
    });

    it('is another request with another order', async () => {
        await locked(c.client, ['O-1'], { discountAmount: 5 });
        const first = await c.client.redeem('O-1', 'ann', order(59.9), keyed('o'));
        assert.equal(first.status, 201, first.text);
        for (const sent of [order(59.9, 'EUR', 'o-2'), order(1), undefined]) {
            const answer = await c.client.redeem('O-1', 'ann', sent, keyed('o'));
            assertRefused(answer, 422, undefined, 'idempotency_key_reused');
        }
        assertReplayed(await c.client.redeem('O-1', 'ann', order(59.9), keyed('o')), first);
    });

    it('stays refused by what an order was refused for', async () => {
        const { id } = await locked(c.client, ['R-1'], {
            discount: discount('percent', 10, { ...eur, least: 30 }),
        });
        const asked = [
            [undefined, 'required', 'orderRequired'],
            [order(1, 'JPY'), 'currency', 'otherCurrency'],
            [order(1), 'below', 'belowMinimum'],
        ];
        const firsts = [];
        for (const [sent, key, refusal] of asked) {
            const first = await c.client.redeem('R-1', 'ann', sent, keyed(key));
            assertRefused(first, ...refusals[refusal]);
            firsts.push(first);
        }
        await c.client.mustPatchBook(id, { discount: null });
        for (const [index, [sent, key]] of asked.entries()) {
            assertReplayed(await c.client.redeem('R-1', 'ann', sent, keyed(key)), firsts[index]);
        }
        await c.client.mustRedeem('R-1', 'ann');
    });

    it('locks once for an order', async () => {
        await c.client.newBookWith(['L-1'], { discount: discount('percent', 10, eur) });
        await c.client.mustAssign('L-1', 'ann');
        const refused = await c.client.lock('L-1', 'ann', order(1, 'JPY'), keyed('l-1'));
        assertRefused(refused, ...refusals.otherCurrency);
        const first = await c.client.lock('L-1', 'ann', order(1), keyed('l-2'));
        assert.equal(first.status, 201, first.text);
        assertReplayed(await c.client.lock('L-1', 'ann', order(1), keyed('l-2')), first);
        assertReplayed(await c.client.lock('L-1', 'ann', order(1, 'JPY'), keyed('l-1')), refused);
    });
});

describe('statistics of discounts', () => {
    it('tell those of no certain currency, and those of each currency from A to Z', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('C-', 9);
        const { id } = await locked(client, codes, { discountAmount: 2.5 });
        const other = await locked(client, ['other'], { discountAmount: 10 });
        await client.mustRedeem('C-0', 'ann');
        await client.mustRedeem('C-1', 'ann', order(1.125, 'KWD'));
        await client.mustRedeem('C-2', 'ann', order(100, 'JPY'));
        await client.mustRedeem('C-3', 'ann', order(100));
        await client.mustRedeem('C-4', 'ann', order(0.29));
        await client.mustPatchBook(id, { discount: discount('amount', 7, { currency: 'USD' }) });
        await client.mustRedeem('C-5', 'ann');
        await client.mustPatchBook(id, { discount: discount('percent', 50) });
        await client.mustRedeem('C-6', 'ann');
        await client.mustPatchBook(id, { discount: null });
        await client.mustRedeem('C-7', 'ann', order(50, 'CHF'));
        await client.mustRedeem('other', 'ann', order(100));

        const { totals, series } = (await client.get(`/coupon/${id}/stats`)).body;
        const discounts = [
            { amount: 2.79, currency: 'EUR' },
            { amount: 3, currency: 'JPY' },
            { amount: 1.125, currency: 'KWD' },
            { amount: 7, currency: 'USD' },
        ];
        assert.equal(
            JSON.stringify(totals),
            JSON.stringify({
                ...{ total: 9, available: 0, assigned: 0, locked: 1, redeemed: 8, rolledBack: 0 },
                ...{ discount: 2.5, discounts },
            }),
        );
        assert.deepEqual(
            Object.keys(series[0]),
            [
                ...['from', 'uploaded', 'generated', 'assigned', 'locked', 'redeemed'],
                'rolledBack',
                ...['discount', 'discounts', 'refused'],
            ],
        );
        const pieces = series.filter((piece) => piece.redeemed > 0);
        // At midnight there may be two.
        if (pieces.length === 1) {
            assert.deepEqual([pieces[0].discount, pieces[0].discounts], [2.5, discounts]);
        }
        for (const piece of series) {
            if (!pieces.includes(piece)) {
                assert.deepEqual([piece.discount, piece.discounts], [0, []]);
            }
        }
        const all = (await client.get('/coupon/stats')).body.totals;
        assert.equal(all.discount, 2.5);
        assert.deepEqual(all.discounts, [{ amount: 12.79, currency: 'EUR' }, ...discounts.slice(1)]);
        const { totals: others } = (await client.get(`/coupon/${other.id}/stats`)).body;
        assert.deepEqual([others.discount, others.discounts], [0, [{ amount: 10, currency: 'EUR' }]]);
    });
});
