// POST /coupon/lock and POST /coupon/redeem: several codes for one order, all of them or none, and what
// each of them takes off it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertCodeRefused, assertRefused, inParallel, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, settledEntries, verifyLedger } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { decimals, sharesOf, sumOf } from '../support/reasons.js';
import { seededRandom } from '../support/random.js';
import { refusals } from '../support/refusals.js';
import { assertCode, assertRedemption, assertTime } from '../support/shapes.js';
import { metadataOf } from '../support/unfit.js';

const past = '2020-02-02T02:02:02.000Z';
const future = '2120-02-02T02:02:02.000Z';
const order = (amount, currency = 'EUR', id = 'o-1') => ({ id, amount, currency });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const shown = async (client, code) =>
    (await client.get(`/coupon/code/${encodeURIComponent(code)}`)).body;
const redeemedAs = async (client, code) => (await shown(client, code)).redemptions[0];
const verbs = ['lock', 'redeem'];

/** All five members of a discount. */
const discount = (type, value, { currency = null, most = null, least = null } = {}) => ({
    type,
    value,
    currency,
    maxAmount: most,
    minOrderAmount: least,
});

/** Codes of a new book that are all `user`'s, and locked where `locked`; returns the book. */
async function held(client, codes, members, { user = 'ann', locked = false } = {}) {
    const book = await client.newBookWith(codes, members);
    await inParallel(codes, 16, async (code) => {
        await client.mustAssign(code, user);
        if (locked) await client.mustLock(code, user);
    });
    return book;
}

const locked = (client, codes, members, user) => held(client, codes, members, { user, locked: true });

/** The same, locked before their book lets a user redeem no more than `most`. */
async function lockedBefore(client, codes, most) {
    const { id } = await locked(client, codes, {});
    return client.mustPatchBook(id, { maxRedemptionsPerUser: most });
}

/** A code of a new book each, for one discount each; returns the codes and the books. */
async function ofEach(client, prefix, discounts, options = { locked: true }) {
    const codes = numbered(prefix, discounts.length);
    const books = [];
    for (const [index, set] of discounts.entries()) {
        books.push(await held(client, [codes[index]], { discount: set }, options));
    }
    return { codes, books };
}

/** What has become of the codes; what is in the ledger may be told of later. */
async function states(client, codes) {
    const found = [];
    for (const code of codes) {
        const { history, ...rest } = await shown(client, code);
        found.push(rest);
    }
    return found;
}

function assertReplayed(answer, first) {
    assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text);
    assert.deepEqual([answer.status, answer.text], [first.status, first.text]);
}

/** The answer to redeeming `codes` for `sent`, with what each of them takes off: null, or a number. */
function assertRedeemed(body, codes, sent, shares, { user = 'ann', replayed = false } = {}) {
    const text = JSON.stringify(body);
    assert.deepEqual(
        Object.keys(body),
        ['message', 'coupons', 'redemptions', 'discount', 'replayed'],
        text,
    );
    assert.equal(body.replayed, replayed);
    const off = shares.map((amount) => amount === null ? null : { amount, currency: sent.currency });
    assert.equal(body.coupons.length, codes.length, text);
    assert.deepEqual(body.redemptions.map((redemption) => redemption.discount), off, text);
    for (const [index, code] of codes.entries()) {
        const { at, id } = body.redemptions[index];
        const redeemed = { isRedeemed: true, redeemedAt: at, assignedTo: user };
        assertCode(body.coupons[index], { code, ...redeemed });
        assertRedemption(body.redemptions[index], { code, userId: user, order: sent });
        if (index === 0 || replayed) continue;
        assert.equal(at, body.redemptions[0].at, text);
        assert.ok(id > body.redemptions[index - 1].id, text);
    }
    assert.equal(JSON.stringify(body.discount), JSON.stringify(sumOf(off, sent)), text);
    const { amount } = body.discount;
    if (!replayed) assert.ok(amount >= 0 && amount <= sent.amount, text);
    const most = decimals[sent.currency];
    for (const share of [...off, body.discount]) {
        assert.ok(share === null || share.amount === Number(share.amount.toFixed(most)), text);
    }
}

describe('POST /coupon/lock', () => {
    const c = suiteServer();

    it('answers 201 with the locks in the order in which the codes were sent, to the byte', async () => {
        await held(c.client, ['L 1/2', 'L-2'], { lockTtlSeconds: 100 });
        await held(c.client, ['ü "L-3"\\'], { lockTtlSeconds: 7 });
        const codes = ['L-2', 'ü "L-3"\\', 'L 1/2'];
        const before = Date.now();
        const answer = await c.client.lockAll(codes, 'ann');
        const after = Date.now();
        assert.equal(answer.status, 201, answer.text);
        const found = await states(c.client, codes);
        assert.deepEqual(found.map(({ isLocked }) => isLocked), [true, true, true]);
        const locks = found.map(({ code, lockedUntil }) => ({ code, lockedUntil }));
        assert.equal(
            answer.text,
            JSON.stringify({ message: 'Coupons locked successfully', locks }),
        );
        for (const [index, ttlMs] of [100_000, 7_000, 100_000].entries()) {
            assertTime(locks[index].lockedUntil);
            const from = Date.parse(locks[index].lockedUntil) - ttlMs;
            assert.ok(from >= before && from <= after, locks[index].lockedUntil);
        }
    });

    it('takes one code alone, an order, null for none, and 30 codes', async () => {
        const codes = numbered('M-', 33);
        await held(c.client, codes, {});
        for (const [some, sent] of [
            [[codes[30]], undefined],
            [[codes[31]], null],
            [[codes[32]], order(0, 'JPY')],
            [codes.slice(0, 30), order(9)],
        ]) {
            const { locks } = await c.client.mustLockAll(some, 'ann', sent);
            assert.deepEqual(locks.map(({ code }) => code), some);
        }
        for (const { isLocked } of await states(c.client, codes)) assert.equal(isLocked, true);
    });

    it('leaves codes to be redeemed and unlocked alone', async () => {
        const codes = ['A-1', 'A-2', 'A-3'];
        await held(c.client, codes, {});
        await c.client.mustLockAll(codes, 'ann', order(9));
        await c.client.mustRedeem('A-1', 'ann');
        await c.client.mustUnlock('A-2', 'ann');
        const answer = await c.client.redeemAll(['A-3', 'A-2'], 'ann', order(9));
        assertCodeRefused(answer, 'A-2', ...refusals.notLocked);
        await c.client.mustLock('A-2', 'ann');
        assertCodeRefused(await c.client.lockAll(['A-2'], 'ann'), 'A-2', ...refusals.locked);
        await c.client.mustRedeemAll(['A-3', 'A-2'], 'ann', order(1, 'KWD', 'another'));
    });

    it('locks again what has run out', async () => {
        await held(c.client, ['R-1'], { lockTtlSeconds: 1 });
        await held(c.client, ['R-2'], {});
        await c.client.mustLock('R-1', 'ann');
        assertCodeRefused(await c.client.lockAll(['R-2', 'R-1'], 'ann'), 'R-1', ...refusals.locked);
        const { lockedUntil } = await shown(c.client, 'R-1');
        await passed(lockedUntil);
        const { locks } = await c.client.mustLockAll(['R-2', 'R-1'], 'ann');
        await passed(locks[1].lockedUntil);
        const late = await c.client.redeemAll(['R-2', 'R-1'], 'ann', order(9));
        assertCodeRefused(late, 'R-1', ...refusals.notLocked);
    });

    it('never asks for an order, and checks the one that is sent', async () => {
        await held(c.client, ['O-1'], { discount: discount('amount', 5, { least: 30 }) });
        await held(c.client, ['O-2'], { discount: discount('amount', 5, { currency: 'EUR' }) });
        const both = ['O-2', 'O-1'];
        for (const [sent, code, refusal] of [
            [order(29.99), 'O-1', 'belowMinimum'],
            [order(50, 'JPY'), 'O-2', 'otherCurrency'],
            [order(1, 'JPY'), 'O-2', 'otherCurrency'],
        ]) {
            assertCodeRefused(await c.client.lockAll(both, 'ann', sent), code, ...refusals[refusal]);
        }
        await c.client.mustLockAll(both, 'ann');
        const low = await c.client.redeemAll(both, 'ann', order(29.99));
        assertCodeRefused(low, 'O-1', ...refusals.belowMinimum);
        await c.client.mustRedeemAll(both, 'ann', order(30));
    });
});

describe('POST /coupon/redeem', () => {
    const c = suiteServer();

    it('answers 201 with codes, redemptions and what they take off, to the byte', async () => {
        const euros = { currency: 'EUR' };
        const amount = await locked(c.client, ['B 1/2'], { discount: discount('amount', 20, euros) });
        const percent = await locked(c.client, ['ü "B"\\'], { discount: discount('percent', 12.5) });
        const none = await locked(c.client, ['B-3']);
        const codes = ['B 1/2', 'B-3', 'ü "B"\\'];
        const sent = { currency: 'EUR', id: `'; "4711"\\ --`, amount: 59.9 };
        const answer = await c.client.redeemAll(codes, 'ann', sent);
        assert.equal(answer.status, 201, answer.text);
        const [{ at }] = answer.body.redemptions;
        assertTime(at, Date.now());
        const told = { order: { id: sent.id, amount: 59.9, currency: 'EUR' } };
        const redemption = (index, bookId, off) => ({
            ...{ id: answer.body.redemptions[index].id, code: codes[index], bookId, userId: 'ann' },
            discountAmount: off,
            ...told,
            discount: off === null ? null : { amount: off, currency: 'EUR' },
            ...{ givenBack: 0, at, rolledBackAt: null },
        });
        const coupons = [];
        for (const [index, { id }] of [amount, none, percent].entries()) {
            coupons.push(await c.client.codeOf(id, codes[index]));
        }
        assert.deepEqual(coupons.map(({ redeemedAt }) => redeemedAt), [at, at, at]);
        const redemptions = [
            redemption(0, amount.id, 20),
            redemption(1, none.id, null),
            redemption(2, percent.id, 7.49),
        ];
        assert.equal(
            answer.text,
            JSON.stringify({
                message: 'Coupons redeemed successfully',
                coupons,
                redemptions,
                discount: { amount: 27.49, currency: 'EUR' },
                replayed: false,
            }),
        );
        for (const [index, code] of codes.entries()) {
            assert.deepEqual((await shown(c.client, code)).redemptions, [redemptions[index]]);
        }
        const byId = (one, other) => one.id - other.id;
        const held = (await c.client.get('/coupon/users/ann')).body.redemptions;
        assert.deepEqual(held.sort(byId), redemptions.sort(byId));
    });

    it('takes codes that were locked in whichever way, with another order or none', async () => {
        const codes = ['W-1', 'W-2', 'W-3', 'W-4'];
        await held(c.client, codes, { discountAmount: 5 }, { user: 'wes' });
        await c.client.mustLock('W-1', 'wes');
        await c.client.mustLock('W-2', 'wes', order(1, 'JPY', 'o-2'));
        await c.client.mustLockAll(['W-4', 'W-3'], 'wes', order(1, 'KWD', 'o-3'));
        const body = await c.client.mustRedeemAll(codes, 'wes', order(12));
        assertRedeemed(body, codes, order(12), [5, 5, 2, 0], { user: 'wes' });
    });

    it('takes one code alone, which is as by its own path', async () => {
        await locked(c.client, ['S-1'], { discount: discount('percent', 33.33) });
        const body = await c.client.mustRedeemAll(['S-1'], 'ann', order(100, 'JPY'));
        assertRedeemed(body, ['S-1'], order(100, 'JPY'), [33]);
        const alone = await c.client.mustRedeem('S-1', 'ann', order(100, 'JPY'));
        const [redemption] = body.redemptions;
        assert.deepEqual([alone.replayed, alone.redemption], [true, redemption]);
    });

    it('takes 30 codes, and no more', async () => {
        const codes = numbered('T-', 31);
        await locked(c.client, codes, { discount: discount('amount', 0.35) });
        const rule = ['codes must contain no more than 30 elements'];
        invalid(await c.client.redeemAll(codes, 'ann', order(10)), rule);
        invalid(await c.client.lockAll(codes, 'ann', order(10)), rule);
        const some = codes.slice(1).reverse();
        const body = await c.client.mustRedeemAll(some, 'ann', order(10));
        const shares = [...Array(28).fill(0.35), 0.2, 0];
        assertRedeemed(body, some, order(10), shares);
        assert.deepEqual(body.discount, { amount: 10, currency: 'EUR' });
        const again = await c.client.mustRedeemAll(some, 'ann', order(10));
        assertRedeemed(again, some, order(10), shares, { replayed: true });
        assert.equal((await shown(c.client, 'T-0')).status, 'locked');
        const two = await c.client.mustRedeem('T-0', 'ann', order(10, 'EUR', 'o-2'));
        assert.equal(two.redemption.discountAmount, 0.35);
    });

    it('takes off nothing in the currency of the order where there is no discount', async () => {
        await locked(c.client, ['N-1', 'N-2']);
        const body = await c.client.mustRedeemAll(['N-2', 'N-1'], 'ann', order(5, 'KWD'));
        assertRedeemed(body, ['N-2', 'N-1'], order(5, 'KWD'), [null, null]);
        assert.deepEqual(body.discount, { amount: 0, currency: 'KWD' });
    });

    it('has what is set at that moment, not when the codes were locked', async () => {
        const { id } = await held(c.client, ['P-1', 'P-2'], { discountAmount: 5 });
        await c.client.mustLockAll(['P-1', 'P-2'], 'ann', order(9));
        await c.client.mustPatchBook(id, { discount: discount('percent', 50) });
        const body = await c.client.mustRedeemAll(['P-1', 'P-2'], 'ann', order(9));
        assertRedeemed(body, ['P-1', 'P-2'], order(9), [4.5, 2.25]);
    });

    it('redeems none again for the order that it was redeemed for', async () => {
        const { client } = c;
        await held(client, ['O-1', 'O-2'], { maxRedemptionsPerCode: 9, discountAmount: 1 });
        await client.mustLockAll(['O-1', 'O-2'], 'ann');
        const first = await client.mustRedeem('O-1', 'ann', order(9));
        await client.mustLock('O-1', 'ann');
        const both = await client.redeemAll(['O-2', 'O-1'], 'ann', order(9));
        assert.deepEqual(
            [both.status, both.body.code, both.body.couponCode],
            [409, 'coupon_already_redeemed', 'O-1'],
        );
        const again = await client.mustRedeemAll(['O-1'], 'ann', order(9));
        assert.equal(again.redemptions[0].id, first.redemption.id);
        await client.mustRedeemAll(['O-2', 'O-1'], 'ann', order(9, 'EUR', 'o-other'));
    });

    it('keeps them after a restart', async (t) => {
        const { server, client } = await testServer(t);
        await held(client, ['K-1', 'K-2', 'K-3'], { discountAmount: 5 });
        await client.mustLockAll(['K-1', 'K-2', 'K-3'], 'ann');
        const first = await client.mustRedeemAll(['K-2', 'K-1'], 'ann', order(9));
        await settledEntries(client);
        const before = await states(client, ['K-1', 'K-2', 'K-3']);
        await server.stop();
        await server.start();
        assert.deepEqual(await states(client, ['K-1', 'K-2', 'K-3']), before);
        const again = await client.mustRedeemAll(['K-2', 'K-1'], 'ann', order(9));
        assert.deepEqual(again, { ...first, replayed: true });
        await client.mustRedeemAll(['K-3'], 'ann', order(9));
        await verifyLedger(client);
    });
});

// [the refusal, by whom, what to do with a code of a new book that is ann's, and locked where it is to
// be redeemed; returns the code]. The order is 20 EUR.
const bad = [
    ['codeNotFound', verbs, async () => 'none'],
    ['notAssigned', verbs, async (c, code) => {
        await c.newBookWith([`free ${code}`]);
        return `free ${code}`;
    }],
    ['notAssigned', verbs, async (c, code) => {
        await held(c, [`bob's ${code}`], {}, { user: 'bob', locked: true });
        return `bob's ${code}`;
    }],
    ['redeemed', verbs, async (c, code) => {
        if (!(await shown(c, code)).isLocked) await c.mustLock(code, 'ann');
        await c.mustRedeem(code, 'ann', order(20, 'EUR', 'earlier'));
    }],
    ['bookArchived', verbs, (c, code, id) => c.mustArchive(id)],
    ['bookInactive', verbs, (c, code, id) => c.mustPatchBook(id, { active: false })],
    ['bookNotStarted', verbs, (c, code, id) => c.mustPatchBook(id, { startsAt: future })],
    ['bookEnded', verbs, (c, code, id) => c.mustPatchBook(id, { endsAt: past })],
    ['disabled', verbs, (c, code) => c.mustPatchCode(code, { active: false })],
    ['expired', verbs, (c, code) => c.mustPatchCode(code, { expiresAt: past })],
    ['notCombinable', verbs, (c, code, id) => c.mustPatchBook(id, { combinable: false })],
    ['notLocked', ['redeem'], (c, code) => c.mustUnlock(code, 'ann')],
    ['otherCurrency', verbs, (c, code, id) =>
        c.mustPatchBook(id, { discount: discount('percent', 5, { currency: 'JPY' }) })],
    ['belowMinimum', verbs, (c, code, id) =>
        c.mustPatchBook(id, { discount: discount('percent', 5, { least: 20.01 }) })],
    ['locked', ['lock'], (c, code) => c.mustLock(code, 'ann')],
    ['limitReached', ['redeem'], async (c, code, id) => {
        await c.upload(id, [`more ${code}`]);
        await c.mustAssign(`more ${code}`, 'ann');
        await c.mustLock(`more ${code}`, 'ann');
        await c.mustRedeem(`more ${code}`, 'ann');
        await c.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
    }],
];

describe('all codes or none', () => {
    for (const verb of verbs) {
        const call = (client, codes) => client[`${verb}All`](codes, 'ann', order(20));

        it(`${verb}: whichever of them is refused, for whatever`, async (t) => {
            const { client } = await testServer(t);
            const good = ['G-1', 'G-2', 'G-3'];
            const { id } = await held(client, good, { discountAmount: 5 }, { locked: verb === 'redeem' });
            const before = await states(client, good);
            const entries = await settledEntries(client, { bookId: id });
            const failed = [];
            for (const [index, [name, by, spoil]] of bad.entries()) {
                if (!by.includes(verb)) continue;
                const own = `X-${index}`;
                const book = await held(client, [own], {}, { locked: verb === 'redeem' });
                const told = await spoil(client, own, book.id);
                const code = typeof told === 'string' ? told : own;
                const found = code === 'none' ? [] : await states(client, [code]);
                for (let place = 0; place <= good.length; place += 1) {
                    const codes = good.toSpliced(place, 0, code);
                    assertCodeRefused(await call(client, codes), code, ...refusals[name]);
                }
                if (code !== 'none') assert.deepEqual(await states(client, [code]), found, name);
                assert.deepEqual(await states(client, good), before, name);
                failed.push([name, code]);
            }
            assert.deepEqual(await settledEntries(client, { bookId: id }), entries);
            // Of two, or all of them, it is the first; limits of books come last.
            const random = seededRandom(4711);
            for (let round = 0; round < 60; round += 1) {
                const some = [random.pick(failed), random.pick(failed), random.pick(failed)];
                const codes = [...new Set(some.map(([, code]) => code))];
                codes.splice(random.below(2), 0, ...good.slice(0, random.below(4)));
                const [first, ...others] = codes
                    .map((each) => failed.find(([, own]) => own === each))
                    .filter((found) => found !== undefined);
                const isLimit = ([of]) => of === 'limitReached';
                const [name, code] = [first, ...others].find((found) => !isLimit(found)) ?? first;
                const answer = await call(client, codes);
                assertCodeRefused(answer, code, ...refusals[name]);
            }
            assert.deepEqual(await states(client, good), before);
            const answer = await call(client, good);
            assert.equal(answer.status, 201, answer.text);
            await verifyLedger(client);
        });
    }

    it('of one code alone is refused with its name, too', async (t) => {
        const { client } = await testServer(t);
        await held(client, ['A-1'], {});
        for (const verb of verbs) {
            const call = (code, user) => client[`${verb}All`]([code], user, order(1));
            assertCodeRefused(await call('none', 'ann'), 'none', ...refusals.codeNotFound);
            assertCodeRefused(await call('A-1', 'bob'), 'A-1', ...refusals.notAssigned);
        }
        const open = await client.redeemAll(['A-1'], 'ann', order(1));
        assertCodeRefused(open, 'A-1', ...refusals.notLocked);
        assert.equal(
            open.text,
            JSON.stringify({
                statusCode: 409,
                error: 'Conflict',
                message: 'Coupon must be locked before redemption',
                code: 'coupon_not_locked',
                couponCode: 'A-1',
                requestId: open.headers['x-request-id'],
            }),
        );
    });

    it('is told with whatever the code is', async (t) => {
        const { client } = await testServer(t);
        for (const code of ['ü "1"\\ /', '🎟'.repeat(128), '\u2028', '%00', '\u00e9', 'e\u0301']) {
            for (const verb of verbs) {
                const answer = await client[`${verb}All`]([code], 'ann', order(1));
                assertCodeRefused(answer, code, ...refusals.codeNotFound);
            }
        }
    });
});

const most = { EUR: 10_000_000_000, JPY: 1_000_000_000_000, KWD: 1_000_000_000 };
const eur = { currency: 'EUR' };
const fixed = (value, more) => discount('fixed_price', value, more);
const percent = (value, more) => discount('percent', value, more);
const amount = (value, more) => discount('amount', value, more);
const freight = (more) => discount('free_shipping', null, more);

// [the discounts as they are sent, the order's amount and currency, the share of each].
const table = [
    // Fixed prices, then percents, amounts, free shipping, in whatever order they are sent.
    [[fixed(80, eur), percent(10), amount(5, eur)], 100, 'EUR', [20, 8, 5]],
    [[fixed(80), percent(10, eur), amount(5), freight()], 100, 'EUR', [20, 8, 5, 0]],
    [[percent(12.5), amount(20, eur)], 59.9, 'EUR', [7.49, 20]],
    [[fixed(59.9), percent(50)], 59.89, 'EUR', [0, 29.95]],
    [[freight(), percent(33.33)], 0.02, 'EUR', [0, 0.01]],
    [[null, amount(5), freight()], 4, 'EUR', [null, 4, 0]],

    // An order that is less than all of them.
    [[fixed(0), percent(10), amount(5)], 100, 'EUR', [100, 0, 0]],
    [[percent(50), amount(60)], 100, 'EUR', [50, 50]],
    [[percent(100), amount(60)], 100, 'EUR', [100, 0]],
    [[fixed(90), amount(95)], 100, 'EUR', [10, 90]],
    [[fixed(5), percent(10), amount(5), freight()], 0, 'EUR', [0, 0, 0, 0]],
    [[amount(5), freight()], 3, 'EUR', [3, 0]],
    [[percent(99.99), amount(most.EUR)], most.EUR, 'EUR', [9_999_000_000, 1_000_000]],

    // Of one type as they are sent.
    [[amount(70), amount(60)], 100, 'EUR', [70, 30]],
    [[amount(60), amount(70)], 100, 'EUR', [60, 40]],
    [[amount(100), amount(0.01), amount(1)], 100, 'EUR', [100, 0, 0]],
    [[fixed(50), fixed(30)], 100, 'EUR', [50, 20]],
    [[fixed(30), fixed(50)], 100, 'EUR', [70, 0]],
    [[percent(50), percent(25)], 0.03, 'EUR', [0.02, 0]],
    [[percent(25), percent(50)], 0.03, 'EUR', [0.01, 0.01]],
    [[percent(33.33), percent(33.33), percent(33.33)], 100, 'EUR', [33.33, 22.22, 14.82]],
    [[amount(7), percent(10), amount(3), percent(20), fixed(50)], 100, 'EUR', [7, 5, 3, 9, 50]],
    [[percent(100), percent(100)], most.EUR, 'EUR', [most.EUR, 0]],
    [[amount(most.EUR), amount(most.EUR)], most.EUR, 'EUR', [most.EUR, 0]],

    // At most so much of what is left; at least so much of the whole order.
    [[percent(50, { most: 10 }), percent(50)], 100, 'EUR', [10, 45]],
    [[percent(50), percent(50, { most: 10 })], 100, 'EUR', [50, 10]],
    [[fixed(10, { most: 20 }), amount(5)], 100, 'EUR', [20, 5]],
    [[amount(10, { most: 7.5 }), amount(95)], 100, 'EUR', [7.5, 92.5]],
    [[percent(95), amount(10, { least: 100 })], 100, 'EUR', [95, 5]],
    [[fixed(0), percent(50, { ...eur, least: 100 })], 100, 'EUR', [100, 0]],

    // To the minor unit of the order's currency.
    [[amount(19.49), percent(50), fixed(999.5)], 5_000, 'JPY', [19, 500, 4_000]],
    [[amount(0.5), percent(12.5), freight()], 1_004, 'JPY', [1, 126, 0]],
    [[amount(0.49), percent(12.5)], 1_003, 'JPY', [0, 125]],
    [[percent(50), percent(50), percent(50)], 5, 'JPY', [3, 1, 1]],
    [[percent(50), amount(0.5), amount(0.5)], 1, 'JPY', [1, 0, 0]],
    [[fixed(most.EUR), amount(most.EUR)], most.JPY, 'JPY', [most.JPY - most.EUR, most.EUR]],
    [[amount(1.25), percent(12.5), freight()], 2, 'KWD', [1.25, 0.25, 0]],
    [[amount(0.005, { currency: 'KWD' }), amount(1.25)], 1.254, 'KWD', [0.005, 1.249]],
    [[percent(33.33), percent(33.33), amount(5)], 0.01, 'KWD', [0.003, 0.002, 0.005]],
    [[fixed(5), percent(33.33), amount(0.01)], 7.125, 'KWD', [2.125, 1.667, 0.01]],
    [[percent(99.99), percent(99.99)], 999_999_999.999, 'KWD', [999_899_999.999, 99_990]],
    [[percent(0.01), amount(0.0001, { currency: 'CLF' })], 1, 'CLF', [0.0001, 0.0001]],
];

/** All orders of a few items. */
function permutations(items) {
    if (items.length < 2) return [items];
    return items.flatMap((item, index) =>
        permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]),
    );
}

describe('what several codes take off an order', () => {
    it('is what each of them takes off what those before it have left', async (t) => {
        const { client } = await testServer(t);
        for (const [index, [discounts, price, currency, shares]] of table.entries()) {
            const told = JSON.stringify(table[index]);
            const sent = order(price, currency);
            // The rules once more come to the same.
            const again = sharesOf(discounts.map((set) => ({ discount: set })), sent);
            assert.deepEqual(again.map((share) => share && share.amount), shares, told);
            const types = discounts.map((set) => set?.type);
            const anyOrder = new Set(types).size === types.length;
            const places = [...types.keys()];
            for (const [turn, turned] of (anyOrder ? permutations(places) : [places]).entries()) {
                const { codes } = await ofEach(
                    client,
                    `T-${index}-${turn}-`,
                    turned.map((place) => discounts[place]),
                );
                const answer = await client.redeemAll(codes, 'ann', sent);
                assert.equal(answer.status, 201, answer.text + told);
                assertRedeemed(answer.body, codes, sent, turned.map((place) => shares[place]));
            }
        }
    });

    it('sums up, whatever the books, the codes and the order are', async (t) => {
        const { client } = await testServer(t);
        const random = seededRandom();
        const each = 6;
        const currencies = { EUR: 2, JPY: 0, KWD: 3 };
        for (const [currency, places] of Object.entries(currencies)) {
            const upTo = (units, exponent) => random.below(units + 1) / 10 ** exponent;
            const anyDiscount = () => {
                const named = random.pick([null, null, currency]);
                const money = () => upTo(10 ** (1 + random.below(6)), named ? places : 2);
                const value = {
                    amount: money,
                    fixed_price: money,
                    percent: () => upTo(random.pick([10_000, 3_000, 100]), 2),
                    free_shipping: () => null,
                };
                const type = random.pick([...Object.keys(value), 'percent', 'amount', 'amount']);
                return discount(type, value[type](), {
                    currency: named,
                    most: random.below(4) ? null : money(),
                    least: random.below(8) ? null : upTo(500, named ? places : 2),
                });
            };
            const pool = [];
            await inParallel(numbered(`${currency}-`, 24), 8, async (prefix) => {
                const codes = numbered(`${prefix}-`, each);
                const set = random.below(10) ? anyDiscount() : null;
                pool.push({ codes, book: await held(client, codes, { discount: set }) });
            });
            const seen = { whole: 0, some: 0, refused: 0 };
            for (let round = 0; round < 60; round += 1) {
                const left = pool.filter(({ codes }) => codes.length > 0);
                const picked = [];
                for (let count = 1 + random.below(8); count > 0 && left.length > 0; count -= 1) {
                    picked.push(...left.splice(random.below(left.length), 1));
                }
                if (picked.length === 0) break;
                const codes = picked.map((one) => one.codes.at(-1));
                const books = picked.map(({ book }) => book);
                const sent = order(upTo(10 ** (1 + random.below(7)), places), currency, `o-${round}`);
                const short = books.findIndex(({ discount: set }) => {
                    if (set === null || set.minOrderAmount === null) return false;
                    const least = set.minOrderAmount * 10 ** places;
                    return sent.amount * 10 ** places + 1e-6 < Math.floor(least + 0.5 + 1e-6);
                });
                const told = JSON.stringify({ sent, discounts: books.map((one) => one.discount) });
                if (short >= 0) {
                    const answer = await client.lockAll(codes, 'ann', sent);
                    assertCodeRefused(answer, codes[short], ...refusals.belowMinimum);
                    seen.refused += 1;
                    continue;
                }
                const lock = await client.lockAll(codes, 'ann', sent);
                assert.equal(lock.status, 201, lock.text + told);
                const answer = await client.redeemAll(codes, 'ann', sent);
                assert.equal(answer.status, 201, answer.text + told);
                const shares = sharesOf(books, sent);
                assertRedeemed(answer.body, codes, sent, shares.map((one) => one && one.amount));
                let sum = 0;
                for (const { discount: share } of answer.body.redemptions) {
                    const units = Math.round((share?.amount ?? 0) * 10 ** places);
                    assert.ok(units >= 0, told);
                    sum += units;
                }
                assert.equal(sum, Math.round(answer.body.discount.amount * 10 ** places), told);
                assert.ok(sum <= Math.round(sent.amount * 10 ** places), told);
                seen[answer.body.discount.amount === sent.amount ? 'whole' : 'some'] += 1;
                for (const one of picked) one.codes.pop();
            }
            t.diagnostic(`${currency} ${JSON.stringify(seen)}`);
            assert.ok(seen.whole > 0 && seen.some > 0, JSON.stringify(seen));
        }
        await verifyLedger(client);
    });
});

describe('a book whose codes are not to be combined', () => {
    const c = suiteServer();

    it('lets them be used one by one', async () => {
        const codes = numbered('N-', 4);
        const book = await held(c.client, codes, { combinable: false, discountAmount: 5 });
        assert.equal(book.combinable, false);
        const sent = order(9);
        await c.client.mustLock('N-0', 'ann', sent);
        const alone = await c.client.mustRedeem('N-0', 'ann', sent);
        assert.equal(alone.redemption.discountAmount, 5);
        await c.client.mustLockAll(['N-1'], 'ann', sent);
        const body = await c.client.mustRedeemAll(['N-1'], 'ann', sent);
        assertRedeemed(body, ['N-1'], sent, [5]);
        // Each for one order, one after the other: that is no combining.
        await c.client.mustLock('N-2', 'ann', sent);
        await c.client.mustRedeem('N-2', 'ann', sent);
        const { reasons } = await c.client.mustValidate('N-3', 'ann', { order: sent });
        assert.deepEqual(reasons, []);
    });

    it('refuses them with others, of the same book or another', async () => {
        const { client } = c;
        const { id } = await locked(client, ['R-1', 'R-2'], { combinable: false });
        await locked(client, ['R-3', 'R-4'], {});
        for (const codes of [['R-1', 'R-2'], ['R-1', 'R-3'], ['R-3', 'R-1'], ['R-3', 'R-4', 'R-1']]) {
            for (const verb of verbs) {
                const answer = await client[`${verb}All`](codes, 'ann', order(9));
                // A lock that is in the way comes after it.
                const first = verb === 'lock' ? codes[0] : 'R-1';
                const refusal = first === 'R-1' ? 'notCombinable' : 'locked';
                assertCodeRefused(answer, first, ...refusals[refusal]);
            }
        }
        await client.mustUnlock('R-3', 'ann');
        const lock = await client.lockAll(['R-3', 'R-1'], 'ann', order(9));
        assertCodeRefused(lock, 'R-1', ...refusals.notCombinable);
        assert.equal((await shown(client, 'R-3')).status, 'assigned');
        const { refusals: counted } = (await client.get(`/coupon/${id}/stats`)).body;
        assert.deepEqual(counted, { coupon_not_combinable: 7 });
    });

    it('is so, and is so no more, at once', async () => {
        const { client } = c;
        const { id } = await held(client, ['S-1'], {});
        await held(client, ['S-2'], {});
        await client.mustLockAll(['S-1', 'S-2'], 'ann', order(9));
        const before = await states(client, ['S-1', 'S-2']);
        await client.mustPatchBook(id, { combinable: false });
        const answer = await client.redeemAll(['S-2', 'S-1'], 'ann', order(9));
        assertCodeRefused(answer, 'S-1', ...refusals.notCombinable);
        assert.deepEqual(await states(client, ['S-1', 'S-2']), before);
        await client.mustPatchBook(id, { combinable: null });
        const body = await client.mustRedeemAll(['S-2', 'S-1'], 'ann', order(9));
        // What is redeemed together stays so.
        await client.mustPatchBook(id, { combinable: false });
        const again = await client.mustRedeemAll(['S-2', 'S-1'], 'ann', order(9));
        assert.deepEqual(again, { ...body, replayed: true });
        const [entry] = await entriesOf(client, 3, { bookId: id, type: 'book_changed' });
        assert.deepEqual([entry.before.combinable, entry.after.combinable], [true, false]);
    });
});

describe('maxRedemptionsPerUser', () => {
    const c = suiteServer();

    it('counts the codes of a request one after the other', async () => {
        const { client } = c;
        const codes = numbered('A-', 5);
        const { id } = await lockedBefore(client, codes, 2);
        await lockedBefore(client, ['B-0', 'B-1'], 1);
        await locked(client, ['C-0'], {});
        const redeem = (some, name = 'o-1') =>
            client.redeemAll(some, 'ann', order(9, 'EUR', name));
        for (const [some, code] of [
            [['A-0', 'A-1', 'A-2'], 'A-2'],
            [['A-2', 'C-0', 'A-1', 'B-0', 'A-0'], 'A-0'],
            [['A-0', 'B-0', 'A-1', 'B-1', 'A-2'], 'B-1'],
            [codes, 'A-2'],
        ]) {
            assertCodeRefused(await redeem(some), code, ...refusals.limitReached);
        }
        const { counts } = (await client.get(`/coupon/${id}`)).body;
        assert.deepEqual([counts.locked, counts.redeemed], [5, 0]);
        assert.equal((await redeem(['A-4', 'B-1'])).status, 201);
        assertCodeRefused(await redeem(['A-0', 'A-1']), 'A-1', ...refusals.limitReached);
        assertCodeRefused(await redeem(['C-0', 'B-0']), 'B-0', ...refusals.limitReached);
        assert.equal((await redeem(['C-0', 'A-1'], 'o-2')).status, 201);
        assertCodeRefused(await redeem(['A-0']), 'A-0', ...refusals.limitReached);
        // What is redeemed again is not counted again.
        assert.equal((await redeem(['B-1', 'A-4'])).body.replayed, true);
        assert.equal((await client.get(`/coupon/${id}`)).body.counts.redeemed, 2);
    });

    it('is what a roll-back gives back, of one of several', async () => {
        const { client } = c;
        const codes = ['D-0', 'D-1', 'D-2'];
        await lockedBefore(client, codes, 2);
        const { redemptions } = await client.mustRedeemAll(['D-0', 'D-1'], 'ann', order(9));
        const sent = order(9, 'EUR', 'o-2');
        const full = await client.redeemAll(['D-2'], 'ann', sent);
        assertCodeRefused(full, 'D-2', ...refusals.limitReached);
        await client.mustRollBack(redemptions[0].id);
        await client.mustLock('D-0', 'ann');
        const both = await client.redeemAll(['D-2', 'D-0'], 'ann', sent);
        assertCodeRefused(both, 'D-2', ...refusals.limitReached);  // D-0's lock keeps the place
        await client.mustRedeemAll(['D-0'], 'ann', sent);
    });

    it('keeps codes from being locked, too, and is every user’s own', async () => {
        const { client } = c;
        await held(client, ['E-0', 'E-1'], { maxRedemptionsPerUser: 1 });
        const none = await client.lockAll(['E-0', 'E-1'], 'ann');
        assertCodeRefused(none, 'E-1', ...refusals.limitReached);
        await client.mustLockAll(['E-1'], 'ann');
        assertCodeRefused(await client.lockAll(['E-0'], 'ann'), 'E-0', ...refusals.limitReached);
        await held(client, ['F-0', 'F-1'], { maxRedemptionsPerUser: 2 }, { user: 'fay' });
        await client.mustLockAll(['F-0', 'F-1'], 'fay');
        await client.mustRedeemAll(['E-1'], 'ann', order(9));
        await client.mustRedeemAll(['F-0', 'F-1'], 'fay', order(9));
    });
});

describe('codes that are redeemed again for the order', () => {
    const c = suiteServer();

    it('are answered with the redemptions there are, and nothing changes', async () => {
        const { client } = c;
        const { codes, books } = await ofEach(client, 'A-', [fixed(50), amount(5), null]);
        const first = await client.mustRedeemAll(codes, 'ann', order(59.9));
        const bookId = books[1].id;
        const stateNow = async () => [
            await settledEntries(client, { bookId }),
            await states(client, codes),
            (await client.get(`/coupon/${bookId}`)).text,
            (await client.get(`/coupon/${bookId}/stats`)).text,
        ];
        const before = await stateNow();
        await passed(first.redemptions[0].at);
        for (const sent of [order(59.9), order(1), order(5_000, 'JPY'), order(0.001, 'KWD')]) {
            const answer = await client.redeemAll(codes, 'ann', sent);
            assert.equal(answer.status, 201, answer.text);
            assert.equal(answer.text, JSON.stringify({ ...first, replayed: true }));
            assert.equal(answer.headers['idempotent-replayed'], undefined);
        }
        assert.deepEqual(await stateNow(), before);
    });

    it('may be some of them, in another order, or one by its own path', async () => {
        const { client } = c;
        const { codes } = await ofEach(client, 'B-', [fixed(50), amount(5), null]);
        const [one, two, three] = codes;
        const { redemptions } = await client.mustRedeemAll(codes, 'ann', order(59.9));
        for (const [some, shares] of [
            [[three, two, one], [null, 5, 9.9]],
            [[two], [5]],
            [[three, one], [null, 9.9]],
            [[three], [null]],
        ]) {
            const body = await client.mustRedeemAll(some, 'ann', order(59.9));
            assertRedeemed(body, some, order(59.9), shares, { replayed: true });
            const expected = some.map((code) => redemptions[codes.indexOf(code)]);
            assert.deepEqual(body.redemptions, expected);
        }
        for (const [index, code] of codes.entries()) {
            const { replayed, redemption } = await client.mustRedeem(code, 'ann', order(1));
            assert.deepEqual([replayed, redemption], [true, redemptions[index]]);
        }
    });

    it('may have been redeemed one by one', async () => {
        const { client } = c;
        const { codes } = await ofEach(client, 'C-', [amount(5), percent(10)]);
        const alone = [];
        for (const code of codes) alone.push((await client.mustRedeem(code, 'ann', order(9))).redemption);
        const body = await client.mustRedeemAll(codes, 'ann', order(9));
        assertRedeemed(body, codes, order(9), [5, 0.9], { replayed: true });
        assert.deepEqual(body.redemptions, alone);
    });

    it('are refused where only some were, or for another order', async () => {
        const { client } = c;
        const codes = numbered('D-', 6);
        await held(client, codes, { discountAmount: 5 });
        await client.mustLockAll(codes.slice(0, 4), 'ann');
        await client.mustRedeemAll(['D-0', 'D-1'], 'ann', order(9));
        await client.mustRedeemAll(['D-2'], 'ann', order(9, 'EUR', 'o-2'));
        const before = await states(client, codes);
        for (const [some, code, refusal = 'redeemed'] of [
            [['D-0', 'D-3'], 'D-0'],
            [['D-3', 'D-0'], 'D-0'],
            [['D-3', 'D-1', 'D-0'], 'D-1'],
            [['D-0', 'D-1', 'D-2'], 'D-0'],
            [['D-2', 'D-1', 'D-0'], 'D-2'],
            [['D-2'], 'D-2'],
            [['D-4', 'D-0'], 'D-4', 'notLocked'],
            [['D-0', 'D-4'], 'D-0'],
            [['D-0', 'none'], 'D-0'],
            [['none', 'D-0'], 'none', 'codeNotFound'],
        ]) {
            const answer = await client.redeemAll(some, 'ann', order(9));
            assertCodeRefused(answer, code, ...refusals[refusal]);
        }
        for (const name of ['o-3', 'O-1', 'o-1 ', 'o-1\u0301']) {
            const answer = await client.redeemAll(['D-1', 'D-0'], 'ann', order(9, 'EUR', name));
            assertCodeRefused(answer, 'D-1', ...refusals.redeemed);
        }
        const hers = await client.redeemAll(['D-1', 'D-0'], 'bob', order(9));
        assertCodeRefused(hers, 'D-1', ...refusals.notAssigned);
        const lock = await client.lockAll(['D-4', 'D-1', 'D-0'], 'ann', order(9));
        assertCodeRefused(lock, 'D-1', ...refusals.redeemed);
        assert.deepEqual(await states(client, codes), before);
    });

    it('are so whatever has become of books and codes since', async () => {
        const { client } = c;
        const { codes, books } = await ofEach(client, 'E-', [amount(5), percent(10)]);
        const [one, other] = books.map(({ id }) => id);
        const first = await client.mustRedeemAll(codes, 'ann', order(59.9));
        for (const change of [
            () => client.mustPatchBook(one, { discount: amount(9, { currency: 'JPY', least: 100 }) }),
            () => client.mustPatchBook(other, { discount: null, maxRedemptionsPerUser: 1 }),
            () => client.mustPatchBook(one, { combinable: false, endsAt: past }),
            () => client.mustPatchBook(other, { combinable: false, active: false }),
            () => client.mustArchive(one),
        ]) {
            await change();
            const again = await client.mustRedeemAll(codes, 'ann', order(59.9));
            assert.deepEqual(again, { ...first, replayed: true });
        }
        await client.mustPatchCode(codes[1], { active: false, metadata: { a: 1 } });
        const { coupons } = await client.mustRedeemAll(codes, 'ann', order(59.9));
        assert.deepEqual([coupons[1].active, coupons[1].metadata], [false, { a: 1 }]);
    });

    it('are nobody’s who comes with the id of somebody erased', async (t) => {
        const { client } = await testServer(t);
        await locked(client, ['E-1', 'E-2'], { discountAmount: 5 });
        const first = await client.mustRedeemAll(['E-1', 'E-2'], 'ann', order(59.9));
        assert.equal((await client.request('DELETE', '/coupon/users/ann')).status, 200);
        const answer = await client.redeemAll(['E-1', 'E-2'], 'ann', order(59.9));
        assertCodeRefused(answer, 'E-1', ...refusals.notAssigned);
        const { assignedTo: user } = await shown(client, 'E-1');
        const again = await client.mustRedeemAll(['E-1', 'E-2'], user, order(59.9));
        const renamed = first.redemptions.map((redemption) => ({ ...redemption, userId: user }));
        assert.deepEqual([again.replayed, again.redemptions], [true, renamed]);
    });
});

describe('rolling one of several back', () => {
    it('leaves the others and their shares as they are', async (t) => {
        const { server, client } = await testServer(t);
        const { codes, books } = await ofEach(client, 'R-', [percent(50), amount(5), amount(60)]);
        const [one, two, three] = codes;
        const sent = order(100);
        const first = await client.mustRedeemAll(codes, 'ann', sent);
        assertRedeemed(first, codes, sent, [50, 5, 45]);
        const { id } = first.redemptions[0];
        await client.mustRollBack(first.redemptions[2].id, { amount: 44.99 });
        const back = await client.mustRollBack(id, { reason: 'returned' });
        assert.deepEqual([back.code, back.givenBack], [one, 50]);
        const figures = async (bookId) => (await client.get(`/coupon/${bookId}/stats`)).body.totals;
        for (const [index, [amountLeft, rolledBack, redeemed]] of [
            [0, 1, 0],
            [5, 0, 1],
            [0.01, 0, 1],
        ].entries()) {
            const totals = await figures(books[index].id);
            assert.deepEqual([totals.redeemed, totals.rolledBack], [redeemed, rolledBack]);
            const left = totals.discounts[0]?.amount ?? 0;
            assert.equal(left, amountLeft);
        }
        assert.deepEqual(await redeemedAs(client, two), first.redemptions[1]);
        assert.deepEqual((await shown(client, one)).redemptions, []);
        // Some of them are redeemed, some are not.
        const open = await client.redeemAll(codes, 'ann', sent);
        assertCodeRefused(open, one, ...refusals.notLocked);
        const others = await client.redeemAll([three, one, two], 'ann', sent);
        assertCodeRefused(others, three, ...refusals.redeemed);
        await client.mustLock(one, 'ann', sent);
        const partly = await client.redeemAll(codes, 'ann', sent);
        assertCodeRefused(partly, two, ...refusals.redeemed);
        const rest = await client.mustRedeemAll([two, three], 'ann', sent);
        assert.equal(rest.replayed, true);
        assert.deepEqual(rest.redemptions, [
            first.redemptions[1],
            { ...first.redemptions[2], givenBack: 44.99 },
        ]);
        assert.deepEqual(rest.discount, { amount: 50, currency: 'EUR' });
        // Redeemed anew for the same order, it is of the whole order.
        const anew = await client.mustRedeemAll([one], 'ann', order(10));
        assertRedeemed(anew, [one], order(10), [5]);
        assert.ok(anew.redemptions[0].id > first.redemptions[2].id);
        const all = await client.mustRedeemAll(codes, 'ann', order(10));
        assert.deepEqual([all.replayed, all.redemptions[0]], [true, anew.redemptions[0]]);
        assertRefused(await client.rollBack(id), ...refusals.rolledBack);
        await verifyLedger(client);
        await server.data.verify();
    });

    it('and another, and all of them, makes the codes free for the order again', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('Q-', 3);
        await held(client, codes, { discountAmount: 5, maxRedemptionsPerUser: 3 });
        for (let round = 0; round < 3; round += 1) {
            await client.mustLockAll(codes, 'ann', order(12));
            const body = await client.mustRedeemAll(codes, 'ann', order(12));
            assertRedeemed(body, codes, order(12), [5, 5, 2]);
            for (const { id } of body.redemptions) await client.mustRollBack(id);
        }
        const { totals } = (await client.get('/coupon/stats')).body;
        assert.deepEqual([totals.redeemed, totals.rolledBack], [0, 9]);
        await verifyLedger(client);
        await server.data.verify();
    });
});

describe('several codes with a key', () => {
    const c = suiteServer();

    it('are locked once, and answered as the first time, to the byte', async () => {
        const { client } = c;
        await held(client, ['L-1'], { lockTtlSeconds: 77 });
        await held(client, ['L-2', 'L-3'], {});
        const lock = (codes, key, sent) => client.lockAll(codes, 'ann', sent, keyed(key));
        const first = await lock(['L-2', 'L-1'], 'l');
        assert.equal(first.status, 201, first.text);
        assertReplayed(await lock(['L-2', 'L-1'], 'l'), first);
        await client.mustUnlock('L-1', 'ann');
        assertReplayed(await lock(['L-2', 'L-1'], 'l'), first);
        assert.equal((await shown(client, 'L-1')).status, 'assigned');
        const taken = await lock(['L-1', 'L-2'], 'taken');
        assertCodeRefused(taken, 'L-2', ...refusals.locked);
        await client.mustUnlock('L-2', 'ann');
        assertReplayed(await lock(['L-1', 'L-2'], 'taken'), taken);
        for (const answer of [
            await lock(['L-1', 'L-2'], 'l'),
            await lock(['L-2'], 'l'),
            await lock(['L-2', 'L-1', 'L-3'], 'l'),
            await lock(['L-2', 'L-1'], 'l', order(9)),
            await client.redeemAll(['L-2', 'L-1'], 'ann', order(9), keyed('l')),
        ]) {
            assertRefused(answer, 422, undefined, 'idempotency_key_reused');
        }
    });

    it('are redeemed once, and answered as the first time, whatever happens meanwhile', async (t) => {
        const { server, client } = await testServer(t);
        const { codes, books } = await ofEach(client, 'K-', [percent(50), null, amount(5)]);
        const sent = order(9, 'EUR', 'ü "o"\\\u2028');
        const redeem = (key) => client.redeemAll(codes, 'ann', sent, keyed(key));
        const first = await redeem('k');
        assertRedeemed(first.body, codes, sent, [4.5, null, 4.5]);
        const again = await redeem('again');
        assert.deepEqual(again.body, { ...first.body, replayed: true });
        const [{ id }, , last] = first.body.redemptions;
        for (const change of [
            async () => {},
            () => client.mustPatchBook(books[0].id, { combinable: false, discount: null }),
            () => client.mustPatchCode(codes[2], { active: false, metadata: { a: 1 } }),
            () => client.mustRollBack(last.id, { amount: 2.5 }),
            async () => {
                await server.stop();
                await server.start();
            },
            () => client.mustRollBack(id),
            () => client.mustUnassign(codes[0]),
            () => client.mustAssign(codes[0], 'bob'),
        ]) {
            await change();
            assertReplayed(await redeem('k'), first);
            assertReplayed(await redeem('again'), again);
        }
        const late = await redeem('late');
        assertCodeRefused(late, codes[0], ...refusals.notAssigned);
    });

    it('stay refused by what one was refused for', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await locked(client, ['S-1'], { combinable: false });
        await locked(client, ['S-2', 'ü "S"\\\u2028'], {});
        const asked = [
            [['S-2', 'S-1'], 'S-1', 'notCombinable'],
            [['S-2', 'none'], 'none', 'codeNotFound'],
            [['S-2', 'ü "none"\\\u2028'], 'ü "none"\\\u2028', 'codeNotFound'],
        ];
        const firsts = [];
        for (const [index, [codes, code, refusal]] of asked.entries()) {
            const first = await client.redeemAll(codes, 'ann', order(9), keyed(`s-${index}`));
            assertCodeRefused(first, code, ...refusals[refusal]);
            firsts.push(first);
        }
        await client.mustPatchBook(id, { combinable: true });
        await client.upload(id, ['none']);
        await server.stop();
        await server.start();
        for (const [index, [codes]] of asked.entries()) {
            const answer = await client.redeemAll(codes, 'ann', order(9), keyed(`s-${index}`));
            assertReplayed(answer, firsts[index]);
        }
        await client.mustRedeemAll(['S-2', 'S-1'], 'ann', order(9));
    });

    it('are answered again where that is long', async () => {
        const { client } = c;
        const codes = Array.from({ length: 30 }, (_, index) => {
            const number = String(index);
            return number + '🎟'.repeat(128 - number.length);
        });
        await held(client, codes, { discountAmount: 1 });
        for (const code of codes) {
            await client.mustPatchCode(code, { metadata: metadataOf(16_384) });
        }
        const lock = () => client.lockAll(codes, 'ann', order(9), keyed('long-lock'));
        const locks = await lock();
        assert.equal(locks.status, 201, locks.text.slice(0, 1_000));
        const redeem = () => client.redeemAll(codes, 'ann', order(9), keyed('long'));
        const first = await redeem();
        assert.equal(first.status, 201, first.text.slice(0, 1_000));
        assert.deepEqual(first.body.discount, { amount: 9, currency: 'EUR' });
        assert.ok(first.text.length > 30 * 16_384);
        assertReplayed(await lock(), locks);
        assertReplayed(await redeem(), first);
        const plain = await client.mustRedeemAll(codes, 'ann', order(9));
        assert.deepEqual(plain, { ...first.body, replayed: true });
    });

    it('that could not be understood have not used it up', async () => {
        const { client } = c;
        await locked(client, ['U-1', 'U-2'], {});
        const twice = await client.redeemAll(['U-1', 'U-1'], 'ann', order(9), keyed('u'));
        invalid(twice, ['codes[1] is codes[0] again']);
        const first = await client.redeemAll(['U-1', 'U-2'], 'ann', order(9), keyed('u'));
        assert.equal(first.status, 201, first.text);
        assert.equal(first.headers['idempotent-replayed'], undefined);
    });
});

describe('what several codes leave in the ledger', () => {
    it('is an entry each, of one request and one moment', async (t) => {
        const { client } = await testServer(t);
        const { codes, books } = await ofEach(
            client,
            'E-',
            [percent(50), null, amount(5)],
            { user: 'ann' },
        );
        const turned = [codes[2], codes[0], codes[1]];
        const id = { 'x-request-id': 'lock-1' };
        const lock = await client.lockAll(turned, 'ann', order(8), { headers: id });
        assert.equal(lock.status, 201, lock.text);
        const redeem = await client.redeemAll(turned, 'ann', order(8));
        assert.equal(redeem.status, 201, redeem.text);
        const ofBook = (code) => books[codes.indexOf(code)].id;

        const locks = await entriesOf(client, 3, { type: 'code_locked' });
        assert.deepEqual(locks.map(({ code }) => code), turned);
        for (const [index, { at, ...entry }] of locks.entries()) {
            const free = { status: 'assigned', assignedTo: 'ann', lockedUntil: null, redeemedAt: null };
            const { lockedUntil } = lock.body.locks[index];
            assert.equal(Date.parse(lockedUntil) - Date.parse(at), 300_000);
            assert.deepEqual(entry, {
                ...{ id: entry.id, type: 'code_locked', bookId: ofBook(turned[index]) },
                ...{ code: turned[index], userId: 'ann', requestId: 'lock-1', before: free },
                after: { ...free, status: 'locked', lockedUntil },
            });
        }
        const redeemed = await entriesOf(client, 3, { type: 'code_redeemed' });
        assert.deepEqual(redeemed.map(({ code }) => code), turned);
        const shares = [4, 4, null];
        for (const [index, { before, after, ...entry }] of redeemed.entries()) {
            const redemption = redeem.body.redemptions[index];
            assert.deepEqual(entry, {
                ...{ id: redemption.id, at: redemption.at, type: 'code_redeemed' },
                ...{ bookId: ofBook(turned[index]), code: turned[index], userId: 'ann' },
                ...{ redemptionId: redemption.id, order: order(8) },
                discount: shares[index] === null ? null : { amount: shares[index], currency: 'EUR' },
                requestId: redeem.headers['x-request-id'],
            });
            assert.deepEqual([before.status, after.redeemedAt], ['locked', redemption.at]);
            const { history } = await shown(client, turned[index]);
            assert.deepEqual(history.at(-1), redeemed[index]);
            assert.deepEqual(history.at(-2), locks[index]);
        }
        await verifyLedger(client);
    });

    it('counts in the figures of each book, refusals in those of the code that is refused', async (t) => {
        const { client } = await testServer(t);
        const { codes, books } = await ofEach(client, 'F-', [percent(50), null, amount(5), freight()]);
        await client.mustRedeemAll(codes, 'ann', order(8));
        await client.mustRedeemAll(codes, 'ann', order(8)); // again
        const more = await locked(client, ['F-jpy'], { discount: amount(0.5) });
        await client.mustRedeemAll(['F-jpy'], 'ann', order(8, 'JPY'));
        for (const [some, code] of [
            [['F-jpy', codes[0]], 'F-jpy'],
            [['none', codes[0]], 'none'],
            [[codes[1]], codes[1]],
        ]) {
            const answer = await client.redeemAll(some, 'ann', order(8, 'EUR', 'o-2'));
            assert.equal(answer.body.couponCode, code);
        }
        const euros = (off) => [{ amount: off, currency: 'EUR' }];
        const told = (one) => one.discounts.filter(({ amount: off }) => off !== 0);
        const used = 'coupon_already_redeemed';
        for (const [id, discounts, refused] of [
            [books[0].id, euros(4), {}],
            [books[1].id, [], { [used]: 1 }],
            [books[2].id, euros(4), {}],
            [books[3].id, [], {}],
            [more.id, [{ amount: 1, currency: 'JPY' }], { [used]: 1 }],
        ]) {
            const { totals, series, refusals: counted } = (await client.get(`/coupon/${id}/stats`)).body;
            assert.deepEqual([totals.redeemed, totals.discount, told(totals)], [1, 0, discounts]);
            assert.deepEqual(counted, refused);
            let times = 0;
            for (const piece of series) times += piece.redeemed;
            assert.equal(times, 1);
        }
        const all = (await client.get('/coupon/stats')).body;
        assert.deepEqual([all.totals.redeemed, all.totals.discount], [5, 0]);
        assert.deepEqual(all.totals.discounts, [...euros(8), { amount: 1, currency: 'JPY' }]);
        assert.deepEqual(all.refusals, { [used]: 2, coupon_not_found: 1 });
    });
});

const amountRule =
    'order.amount must be a number from 0 to 10000000000 with at most 2 decimals';
const currencyRule = 'order.currency must be a currency of ISO 4217, such as EUR';
const codeRule = (index) =>
    `codes[${index}] must be a string of 1 to 128 characters without control characters`;
const fit = '"userId":"ann","codes":["X-1","X-2"]';
const fitOrder = '"order":{"id":"o-1","amount":1,"currency":"EUR"}';

describe('what is refused as no request', () => {
    const c = suiteServer();
    let before;

    /** Of both, whatever would be said of the codes. */
    async function refused(text, messages) {
        for (const verb of verbs) invalid(await c.client.post(`/coupon/${verb}`, text), messages);
    }

    it('is tried on codes', async () => {
        await locked(c.client, ['X-1', 'X-2'], { discountAmount: 1 });
        before = await states(c.client, ['X-1', 'X-2']);
    });

    for (const [codes, messages] of [
        [undefined, ['codes must be an array']],
        ...[null, 'X-1', 5, true, {}, { 0: 'X-1' }, ''].map((value) => [value, ['codes must be an array']]),
        [[], ['codes must contain at least 1 element']],
        [['X-1', 5], [codeRule(1)]],
        [['X-1', null], [codeRule(1)]],
        [[''], [codeRule(0)]],
        [['X-1', ['X-2']], [codeRule(1)]],
        [[{ code: 'X-1' }, 'X-2'], [codeRule(0)]],
        [['a\nb', 'X-1', 'nul\0'], [codeRule(0), codeRule(2)]],
        [['\u007f'], [codeRule(0)]],
        [['\u0085'], [codeRule(0)]],
        [['x'.repeat(129)], [codeRule(0)]],
        [['🎟'.repeat(129)], [codeRule(0)]],
        [['X-1', 'X-1'], ['codes[1] is codes[0] again']],
        [['X-1', 'X-2', 'X-1', 'X-2'], ['codes[2] is codes[0] again', 'codes[3] is codes[1] again']],
        [['X-1', 'X-1', 'X-1'], ['codes[1] is codes[0] again', 'codes[2] is codes[0] again']],
        [['none', 'none'], ['codes[1] is codes[0] again']],
        [['X-1', 5, 'X-1'], [codeRule(1)]],
        [['', 'X-1', 'X-1'], [codeRule(0)]],
        [numbered('n-', 31), ['codes must contain no more than 30 elements']],
        [numbered('n-', 100_000), ['codes must contain no more than 30 elements']],
    ]) {
        it(`codes: ${JSON.stringify(codes)?.slice(0, 40)}`, async () => {
            await refused({ userId: 'ann', codes, order: order(1) }, messages);
        });
    }

    it('the same code, however it is written', async () => {
        const text = `{"userId":"ann","codes":["X-1","\\u0058-\\u0031"],${fitOrder}}`;
        await refused(text, ['codes[1] is codes[0] again']);
    });

    it('a user that is none', async () => {
        for (const [userId, message] of [
            [undefined, 'userId should not be empty'],
            [null, 'userId should not be empty'],
            ['', 'userId should not be empty'],
            [5, 'userId must be a string'],
            ['a\nb', 'userId must not contain control characters'],
            ['u'.repeat(256), 'userId must be shorter than or equal to 255 characters'],
        ]) {
            await refused({ userId, codes: ['X-1'], order: order(1) }, [message]);
        }
    });

    it('redeeming without an order', async () => {
        for (const text of [`{${fit}}`, `{${fit},"order":null}`]) {
            const answer = await c.client.post('/coupon/redeem', text);
            invalid(answer, ['order should not be empty']);
        }
    });

    for (const [text, messages] of [
        ...['5', '""', '"o-1"', 'true', '[]', '[{"id":"o-1"}]'].map((value) => [
            value,
            ['order must be an object'],
        ]),
        ['{"amount":1,"currency":"EUR"}', ['order.id should not be empty']],
        ['{"id":null,"amount":1,"currency":"EUR"}', ['order.id should not be empty']],
        ['{"id":"","amount":1,"currency":"EUR"}', ['order.id should not be empty']],
        ['{"id":5,"amount":1,"currency":"EUR"}', ['order.id must be a string']],
        [
            `{"id":"${'x'.repeat(256)}","amount":1,"currency":"EUR"}`,
            ['order.id must be shorter than or equal to 255 characters'],
        ],
        ['{"id":"a\\nb","amount":1,"currency":"EUR"}', ['order.id must not contain control characters']],
        ...['-1', '-0.01', '0.001', '1e11', '1e400', '"5"', 'null', '[]', '10000000000.01'].map(
            (value) => [`{"id":"o-1","amount":${value},"currency":"EUR"}`, [amountRule]],
        ),
        ...['"XXX"', '"eur"', '""', '5', 'null', '["EUR"]'].map((value) => [
            `{"id":"o-1","amount":1.5,"currency":${value}}`,
            [currencyRule],
        ]),
        [
            '{"id":"o-1","amount":0.5,"currency":"JPY"}',
            ['order.amount must be a number from 0 to 1000000000000 with at most 0 decimals'],
        ],
        [
            '{"id":"o-1","amount":1,"currency":"EUR","foo":1}',
            ['property order.foo should not exist'],
        ],
        ['{"id":"o-1","amount":1,"currency":"EUR","id":"o-1"}', ['property order.id is given twice']],
    ]) {
        it(`an order: ${text.slice(0, 60)}`, async () => {
            await refused(`{${fit},"order":${text}}`, messages);
        });
    }

    it('other members, and members given twice', async () => {
        await refused(`{${fit},${fitOrder},"foo":1}`, ['property foo should not exist']);
        await refused(`{${fit},${fitOrder},"code":"X-1"}`, ['property code should not exist']);
        await refused(`{${fit},${fitOrder},"codes":["X-1"]}`, ['property codes is given twice']);
        await refused(`{${fit},${fitOrder},"userId":"ann"}`, ['property userId is given twice']);
        await refused(`{${fit},${fitOrder},${fitOrder}}`, ['property order is given twice']);
    });

    it('all that is wrong, in the order of the description', async () => {
        const sent = { more: 1, order: { amount: 'x', currency: 'EUR', foo: 1 }, codes: ['', 5] };
        await refused(sent, [
            ...['userId should not be empty', codeRule(0), codeRule(1)],
            ...[amountRule, 'order.id should not be empty', 'property order.foo should not exist'],
            'property more should not exist',
        ]);
        invalid(await c.client.post('/coupon/redeem', {}), [
            ...['userId should not be empty', 'codes must be an array', 'order should not be empty'],
        ]);
        invalid(await c.client.post('/coupon/lock', {}), [
            ...['userId should not be empty', 'codes must be an array'],
        ]);
    });

    it('bodies in another form, and too large', async () => {
        for (const verb of verbs) {
            const path = `/coupon/${verb}`;
            for (const body of ['[]', 'null', '5', '"text"', '["X-1","X-2"]']) {
                invalid(await c.client.post(path, body), ['body must be an object']);
            }
            invalid(await c.client.post(path, ''), ['body must be an object, but is empty']);
            for (const body of ['{', `{${fit},${fitOrder}}}`, `{${fit},}`, '{"codes":["\\ud800"]}']) {
                assertRefused(await c.client.post(path, body), 400, undefined, 'malformed_json');
            }
            const bytes = Buffer.concat([
                Buffer.from(`{"userId":"ann",${fitOrder},"codes":["`),
                Buffer.from([0xc3, 0x28]),
                Buffer.from('"]}'),
            ]);
            assertRefused(await c.client.post(path, bytes), 400, undefined, 'malformed_json');
            const text = await c.client.post(path, `{${fit},${fitOrder}}`, {
                headers: { 'content-type': 'text/plain' },
            });
            assertRefused(text, 415, undefined, 'unsupported_media_type');
            const padded = `{${fit},${fitOrder}${' '.repeat(8 * 1024 * 1024)}}`;
            assertRefused(await c.client.post(path, padded), 413, undefined, 'payload_too_large');
            const deep = await c.client.post(path, `{"codes":${'['.repeat(100_000)}`);
            assert.equal(deep.status, 400, deep.text.slice(0, 300));
        }
    });

    it('leaves no trace', async () => {
        assert.deepEqual(await states(c.client, ['X-1', 'X-2']), before);
        const body = await c.client.mustRedeemAll(['X-1', 'X-2'], 'ann', order(9));
        assertRedeemed(body, ['X-1', 'X-2'], order(9), [1, 1]);
        await verifyLedger(c.client);
    });
});

describe('whatever codes, users and orders are called', () => {
    const c = suiteServer();

    it('codes that only look alike are different ones', async () => {
        const codes = [
            ...['caf\u00e9', 'cafe\u0301', 'CAF\u00c9', '\u212b', '\u00c5', 'A\u030a', 'ａ', 'a', 'а'],
            ...[' a', 'a ', 'a\u200b', '\ufeffa', '%61', 'a,b', "a','b", '{a}', '\\u0061', '🎟', '🎟\ufe0f'],
        ];
        await held(c.client, codes, { discountAmount: 1 });
        const { locks } = await c.client.mustLockAll(codes, 'ann', order(9));
        assert.deepEqual(locks.map(({ code }) => code), codes);
        const shares = codes.map((_, index) => (index < 9 ? 1 : 0));
        const body = await c.client.mustRedeemAll(codes, 'ann', order(9));
        assertRedeemed(body, codes, order(9), shares);
        const turned = codes.toReversed();
        const again = await c.client.mustRedeemAll(turned, 'ann', order(9));
        assertRedeemed(again, turned, order(9), shares.toReversed(), { replayed: true });
        const refusedOne = await c.client.redeemAll(['caf\u00e9', 'cafe\u0300'], 'ann', order(9));
        assertCodeRefused(refusedOne, 'caf\u00e9', ...refusals.redeemed);
        const unknown = await c.client.lockAll(['cafe\u0300', 'caf\u00e9'], 'ann', order(9));
        assertCodeRefused(unknown, 'cafe\u0300', ...refusals.codeNotFound);
    });

    it('orders are told apart to the letter', async () => {
        const ids = [
            ...["o'; DROP TABLE coupon_code; --", 'o"1"', '\\', '{}', ' ', '0', 'null', '%s%n'],
            ...['caf\u00e9', 'cafe\u0301', 'x'.repeat(255), '🎟'.repeat(255), 'a\u2028b', '\ufffd'],
        ];
        for (const [index, id] of ids.entries()) {
            const codes = [`I-${index}-0`, `I-${index}-1`];
            await held(c.client, codes, { discountAmount: 1 }, { user: id });
            await c.client.mustLockAll(codes, id, order(5, 'EUR', id));
            const sent = order(5, 'EUR', id);
            const body = await c.client.mustRedeemAll(codes, id, sent);
            assertRedeemed(body, codes, sent, [1, 1], { user: id });
            assert.equal((await c.client.mustRedeemAll(codes, id, sent)).replayed, true);
            for (const other of ids.filter((each) => each !== id).slice(0, 4)) {
                const answer = await c.client.redeemAll(codes, id, order(5, 'EUR', other));
                assertCodeRefused(answer, codes[0], ...refusals.redeemed);
            }
        }
    });

    it('paths that only look like these are others', async () => {
        for (const verb of verbs) {
            const body = { userId: 'ann', codes: ['none'], order: order(1) };
            for (const path of [`/coupon/${verb}/`, `/coupon//${verb}`, `/coupon/${verb.toUpperCase()}`]) {
                assertRefused(await c.client.post(path, body), 404, undefined, 'route_not_found');
            }
            const alone = await c.client.post(`/coupon/${verb}/none`, body);
            invalid(alone, ['property codes should not exist']);
        }
    });
});
