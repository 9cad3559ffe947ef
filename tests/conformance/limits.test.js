// Limits of books: `maxRedemptions`, `maxRedemptionsPerUser` and `budget`, for ever and in `limits` for
// every day, week and month of the book's zone.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endOf, pers, quietZone } from '../support/calendar.js';
import { assertCodeRefused, assertRefused, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, verifyLedger } from '../support/ledger.js';
import { reason } from '../support/reasons.js';
import { refusals } from '../support/refusals.js';
import { assertBook, bookDefaults, limitsOf } from '../support/shapes.js';

const order = (amount, currency = 'EUR', id = 'o-1') => ({ id, amount, currency });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const off = (value, currency = 'EUR', more = {}) => ({ type: 'amount', value, currency, ...more });
const percent = (value, currency = 'EUR') => ({ type: 'percent', value, currency });
const fixed = (value, currency = 'EUR') => ({ type: 'fixed_price', value, currency });
const none = { day: null, week: null, month: null };
const zone = quietZone();

/**
 * Codes of a new book, all `user`'s and locked, which they are before the book has its limits: so that
 * more of them are than may be redeemed; returns the book.
 */
async function locked(client, codes, members = {}, user = 'ann') {
    const {
        maxRedemptions = null,
        maxRedemptionsPerUser = null,
        budget = null,
        limits = null,
        ...rest
    } = members;
    const { id } = await client.newBookWith(codes, { timeZone: zone, ...rest });
    for (const code of codes) await lockFor(client, code, user);
    return client.mustPatchBook(id, { maxRedemptions, maxRedemptionsPerUser, budget, limits });
}

async function lockFor(client, code, user) {
    await client.mustAssign(code, user);
    await client.mustLock(code, user);
}

/** The redemption. */
const redeem = async (client, code, user = 'ann', sent = undefined) =>
    (await client.mustRedeem(code, user, sent)).redemption;

/** Asserts why a code is not valid, in order, and the cure that all of them have, if any. */
async function assertReasons(client, code, user, codes, { againAt, ...more } = {}) {
    const { reasons, valid } = await client.mustValidate(code, user, more);
    assert.deepEqual(reasons, codes.map((each) => reason(each, { againAt })));
    assert.equal(valid, codes.length === 0);
}

// Each kind of limit, at so many redemptions of 5 EUR by one user; its refusal, and reason.
const kinds = [
    ['maxRedemptions', (times) => times, 'allRedeemed', 'redemption_limit_reached'],
    ['budget', (times) => 5 * times, 'budgetExhausted', 'budget_exhausted'],
    ['maxRedemptionsPerUser', (times) => times, 'limitReached', 'user_redemption_limit_reached'],
];

/** What is sent to set one of them, for ever or every day and so on. */
const limiting = (per, name, value) =>
    per === 'ever' ? { [name]: value } : { limits: { [per]: { [name]: value } } };

const every = ['ever', ...pers].flatMap((per) => kinds.map((kind) => [per, ...kind]));

/** When the limit of a day, week or month begins anew; of ever: never. */
const anew = (per) => (per === 'ever' ? undefined : endOf(zone, per, Date.now()));

const most = (name) => `${name} must be an integer from 1 to 1000000000`;
const rich = (name) =>
    `${name} must be a number greater than 0, up to 1000000000000, with at most 4 decimals`;
const noCurrency = 'budget needs a discount with a currency';
const tooFine = 'budget must have no more decimals than the currency of the discount';

describe('limits of a book', () => {
    const c = suiteServer();

    it('are none where nothing is said', async () => {
        assertBook(await c.client.newBook(), bookDefaults);
        const nothing = [{}, null, none, { day: {} }, { week: limitsOf({}) }, { month: null, day: {} }];
        for (const limits of nothing) {
            const book = await c.client.newBook({ maxRedemptions: null, budget: null, limits });
            assertBook(book, { maxRedemptions: null, budget: null, limits: none });
        }
    });

    it('are answered to the byte, behind the time zone, wherever the book is', async () => {
        const { client } = c;
        const sent = {
            ...{ discount: off(5), budget: 100.5, maxRedemptions: 7, maxRedemptionsPerUser: 3 },
            limits: { month: { budget: 50 }, day: { maxRedemptionsPerUser: 1, maxRedemptions: 2 } },
        };
        const { id } = await client.newBook(sent);
        const text =
            '"timeZone":"UTC","maxRedemptions":7,"budget":100.5,"limits":{' +
            '"day":{"maxRedemptions":2,"maxRedemptionsPerUser":1,"budget":null},"week":null,' +
            '"month":{"maxRedemptions":null,"maxRedemptionsPerUser":null,"budget":50}},' +
            '"maxAssignmentsPerUser":null,"maxRedemptionsPerCode":1,"assignment":"required",' +
            '"caseSensitive":true,"lockTtlSeconds":null';
        await client.upload(id, ['SHOWN']);
        const shown = [
            await client.get(`/coupon/${id}`),
            await client.get(`/coupon?limit=1&after=${id - 1}`),
            await client.patchBook(id, { name: 'Other' }),
            await client.archive(id),
            await client.restore(id),
            await client.get(`/coupon/events?bookId=${id}`),
        ];
        for (const answer of shown) assert.ok(answer.text.includes(text), answer.text);
    });

    it('take all of their bounds', async () => {
        const { client } = c;
        for (const maxRedemptions of [1, 2, 1_000_000_000]) {
            const limits = Object.fromEntries(
                pers.map((per) => [per, limitsOf({ maxRedemptions, maxRedemptionsPerUser: 1 })]),
            );
            assertBook(await client.newBook({ maxRedemptions, limits }), { maxRedemptions, limits });
        }
        const budgets = [
            ...[['CLF', 0.0001], ['CLF', 99_999_999.9999], ['KWD', 0.001], ['KWD', 1.5]],
            ...[['EUR', 0.01], ['EUR', 0.1], ['EUR', 0.29], ['EUR', 1005.01], ['EUR', 1_234_567.89]],
            ...['EUR', 'JPY', 'CLF', 'KWD'].map((currency) => [currency, 1_000_000_000_000]),
            ...[['JPY', 1], ['JPY', 123_456_789_012]],
        ];
        for (const [currency, budget] of budgets) {
            const limits = { ...none, week: limitsOf({ budget }) };
            const discount = off(1, currency);
            const answer = await client.post('/coupon', {
                ...{ name: 'B', codePattern: 'B', discount, budget },
                limits: { week: { budget } },
            });
            assertBook(answer.body, { budget, limits });
            assert.equal(answer.text.split(`"budget":${budget}`).length, 3, answer.text);
        }
    });

    it('read the same out of every way to write them', async () => {
        for (const [text, value] of [['20.00', 20], ['2e1', 20], ['1999e-2', 19.99], ['0.10', 0.1]]) {
            const answer = await c.client.post(
                '/coupon',
                '{"name":"M","codePattern":"M","discount":{"type":"percent","value":5,' +
                    `"currency":"EUR"},"budget":${text},"limits":{"day":{"budget":${text}}},` +
                    '"maxRedemptions":1e1}',
            );
            assertBook(answer.body, {
                ...{ budget: value, maxRedemptions: 10 },
                limits: { ...none, day: limitsOf({ budget: value }) },
            });
        }
    });

    it('are refused where they are no such numbers, ever and in each day, week and month', async () => {
        const { client } = c;
        const { id } = await client.newBook({ discount: off(5) });
        const refused = async (members, messages) => {
            invalid(await client.patchBook(id, members), messages);
            const book = { name: 'B', codePattern: 'B', discount: off(5) };
            invalid(await client.post('/coupon', { ...book, ...members }), messages);
        };
        const whole = [0, -1, 1.5, 1_000_000_001, 1e30, '3', true, [], {}];
        const money = [0, -0.01, 1_000_000_000_000.0001, 1e13, 0.00001, '5', true, [], {}];
        for (const value of whole) {
            await refused({ maxRedemptions: value }, [most('maxRedemptions')]);
            for (const per of pers) {
                for (const name of ['maxRedemptions', 'maxRedemptionsPerUser']) {
                    const limits = { [per]: { [name]: value } };
                    await refused({ limits }, [most(`limits.${per}.${name}`)]);
                }
            }
        }
        for (const budget of money) {
            await refused({ budget }, [rich('budget')]);
            for (const per of pers) {
                await refused({ limits: { [per]: { budget } } }, [rich(`limits.${per}.budget`)]);
            }
        }
        const untouched = (await client.get(`/coupon/${id}`)).body;
        assertBook(untouched, { maxRedemptions: null, budget: null, limits: none });
        assert.equal(untouched.updatedAt, untouched.createdAt);
    });

    it('are refused where they are not of the form, each told in order', async () => {
        const { client } = c;
        const { id } = await client.newBook({ discount: off(5) });
        const refused = async (members, messages) =>
            invalid(await client.patchBook(id, members), messages);
        for (const value of [5, 'day', true, []]) {
            await refused({ limits: value }, ['limits must be an object']);
            await refused({ limits: { week: value } }, ['limits.week must be an object']);
        }
        await refused({ limits: { year: {} } }, ['property limits.year should not exist']);
        await refused({ limits: { Day: {} } }, ['property limits.Day should not exist']);
        await refused({ limits: { day: { max: 1 } } }, ['property limits.day.max should not exist']);
        for (const [text, name] of [
            ['{"limits":{},"limits":{}}', 'limits'],
            ['{"budget":1,"budget":1}', 'budget'],
            ['{"maxRedemptions":1,"maxRedemptions":null}', 'maxRedemptions'],
            ['{"limits":{"day":null,"day":{}}}', 'limits.day'],
            ['{"limits":{"day":{"budget":1,"budget":1}}}', 'limits.day.budget'],
        ]) {
            await refused(text, [`property ${name} is given twice`]);
        }
        await refused(
            {
                ...{ metadata: 1, foo: 1, budget: 0, lockTtlSeconds: 0, maxRedemptions: 0 },
                limits: {
                    month: { budget: -1, foo: 1 },
                    day: { budget: '1', maxRedemptionsPerUser: 0, maxRedemptions: 0 },
                    year: 1,
                },
            },
            [
                ...[most('maxRedemptions'), rich('budget'), most('limits.day.maxRedemptions')],
                ...[most('limits.day.maxRedemptionsPerUser'), rich('limits.day.budget')],
                ...[rich('limits.month.budget'), 'property limits.month.foo should not exist'],
                'property limits.year should not exist',
                'lockTtlSeconds must be an integer from 1 to 86400',
                'metadata must be an object',
                'property foo should not exist',
            ],
        );
    });

    it('with a budget need a discount with a currency, that has as many decimals', async () => {
        const { client } = c;
        const budgets = (budget) => [
            { budget },
            ...pers.map((per) => ({ limits: { [per]: { budget } } })),
            { budget: 1, limits: { month: { budget } } },
        ];
        const refused = async (members, message) => {
            const book = { name: 'B', codePattern: 'B', ...members };
            invalid(await client.post('/coupon', book), [message]);
        };
        for (const members of budgets(5)) {
            const discounts = [
                ...[{}, { discountAmount: 5 }, { discount: { type: 'percent', value: 5 } }],
                ...[{ discount: { type: 'free_shipping' } }, { discount: off(5, null) }],
            ];
            for (const discount of discounts) await refused({ ...members, ...discount }, noCurrency);
            const shipped = { discount: { type: 'free_shipping', currency: 'EUR' } };
            await client.newBook({ ...members, ...shipped });
        }
        for (const [currency, budget] of [['EUR', 5.001], ['JPY', 5.5], ['KWD', 0.0001]]) {
            for (const members of budgets(budget)) {
                await refused({ ...members, discount: off(5, currency) }, tooFine);
            }
        }
        // And so when either of them is changed.
        const { id } = await client.newBook();
        const change = (members) => client.patchBook(id, members);
        invalid(await change({ budget: 5 }), [noCurrency]);
        await client.mustPatchBook(id, { budget: 5.55, discount: off(5) });
        for (const members of [{ discount: null }, { discountAmount: 5 }, { discount: off(5, null) }]) {
            invalid(await change(members), [noCurrency]);
        }
        invalid(await change({ discount: off(5, 'JPY') }), [tooFine]);
        invalid(await change({ limits: { day: { budget: 0.001 } } }), [tooFine]);
        await client.mustPatchBook(id, { discount: off(5, 'JPY'), budget: 5 });
        await client.mustPatchBook(id, { discount: null, budget: null });
        // Of several, each is told once.
        invalid(await change({ budget: 5, limits: { day: { budget: 5 } } }), [noCurrency]);
        const both = { budget: 5, startsAt: '2027-01-02', endsAt: '2027-01-01T00:00:00Z' };
        const answer = await change(both);
        assert.equal(answer.status, 400);
        assert.deepEqual(
            answer.body.message.toSorted(),
            [noCurrency, 'endsAt must be after startsAt'].toSorted(),
        );
    });

    it('are changed each by itself, limits as a whole, as the events tell', async () => {
        const { client } = c;
        const { id, ...first } = await client.newBook({ discount: off(5) });
        const changed = async (members, expected = members) => {
            const before = (await client.get(`/coupon/${id}`)).body;
            const book = await client.mustPatchBook(id, members);
            assertBook(book, expected);
            const { counts: _, ...left } = before;
            const { updatedAt } = book;
            assert.deepEqual(book, { ...left, ...expected, updatedAt });
        };
        const week = limitsOf({ budget: 5 });
        const day = limitsOf({ maxRedemptions: 2 });
        await changed({ maxRedemptions: 5 });
        await changed({ budget: 50.5 });
        await changed({ limits: { week: { budget: 5 } } }, { limits: { ...none, week } });
        await changed({ limits: { day: { maxRedemptions: 2 } } }, { limits: { ...none, day } });
        await changed({ limits: { day: {}, week } }, { limits: { ...none, week } });
        // The same once more is no change.
        const { updatedAt } = (await client.get(`/coupon/${id}`)).body;
        for (const same of [{ budget: 50.5 }, { limits: { week: { budget: 5 }, day: null } }]) {
            assert.equal((await client.mustPatchBook(id, same)).updatedAt, updatedAt);
        }
        await changed({ limits: null }, { limits: none });
        await changed({ budget: null });
        await changed({ maxRedemptions: null });
        const { counts: _, id: __, ...last } = (await client.get(`/coupon/${id}`)).body;
        assert.deepEqual({ ...last, updatedAt: first.updatedAt }, first);
        const entries = await entriesOf(client, 9, { bookId: id });
        assert.deepEqual(entries[3].after.limits, { ...none, week });
        assert.deepEqual(entries[4].before.limits, { ...none, week });
        assert.deepEqual(entries[4].after.limits, { ...none, day });
    });
});

describe('a limit', () => {
    const c = suiteServer();

    for (const [per, name, value, refusal, code] of every) {
        it(`of ${name}, ${per}, lets so many be redeemed and no more`, async () => {
            const { client } = c;
            const own = numbered(`A ${name} ${per} `, 4);
            const members = { discount: off(5), ...limiting(per, name, value(2)) };
            const { id } = await locked(client, own, members);
            for (const each of own.slice(0, 2)) {
                await assertReasons(client, each, 'ann', []);
                await redeem(client, each);
            }
            for (const each of own.slice(2)) {
                assertRefused(await client.redeem(each, 'ann'), ...refusals[refusal]);
                assertRefused(await client.redeem(each, 'ann', order(9)), ...refusals[refusal]);
                await assertReasons(client, each, 'ann', [code], { againAt: anew(per) });
            }
            // Nor can a code be locked.
            await client.mustUnlock(own[3], 'ann');
            assertRefused(await client.lock(own[3], 'ann', order(9)), ...refusals[refusal]);
            const { body } = await client.get(`/coupon/${id}`);
            assert.deepEqual([body.counts.redeemed, body.counts.locked], [2, 1]);
            const { refusals: told } = (await client.get(`/coupon/${id}/stats`)).body;
            assert.deepEqual(told, { [code]: 5 });
            // Another user has redeemed nothing.
            await client.upload(id, [`${own[0]}b`]);
            await client.mustAssign(`${own[0]}b`, 'bob');
            const bobs = await client.lock(`${own[0]}b`, 'bob');
            if (name !== 'maxRedemptionsPerUser') return assertRefused(bobs, ...refusals[refusal]);
            assert.equal(bobs.status, 201, bobs.text);
            await redeem(client, `${own[0]}b`, 'bob');
        });

        it(`of ${name}, ${per}, that is set, raised or lowered counts what was redeemed`, async () => {
            const { client } = c;
            const own = numbered(`S ${name} ${per} `, 6);
            const { id } = await locked(client, own, { discount: off(5) });
            const limit = (times) =>
                client.mustPatchBook(id, limiting(per, name, times && value(times)));
            const refused = async (each) => {
                assertRefused(await client.redeem(each, 'ann'), ...refusals[refusal]);
                await assertReasons(client, each, 'ann', [code], { againAt: anew(per) });
            };
            const taken = [await redeem(client, own[0]), await redeem(client, own[1])];
            await limit(2);
            await refused(own[2]);
            await limit(3);
            taken.push(await redeem(client, own[2]));
            await refused(own[3]);
            await limit(1);
            await refused(own[3]);
            // While there is none, what is redeemed counts for one of later.
            await client.mustPatchBook(id, { maxRedemptions: null, budget: null, limits: null });
            await client.mustPatchBook(id, { maxRedemptionsPerUser: null });
            taken.push(await redeem(client, own[3]));
            await limit(4);
            await refused(own[4]);
            await limit(2);
            for (const { id: redemption } of taken.slice(0, 2)) {
                await client.mustRollBack(redemption);
                await refused(own[4]);
            }
            await client.mustRollBack(taken[2].id);
            await redeem(client, own[4]);
            await refused(own[5]);
        });

        it(`of ${name}, ${per}, is given back by a roll-back, once`, async () => {
            const { client } = c;
            const own = numbered(`R ${name} ${per} `, 3);
            const members = { discount: off(5), ...limiting(per, name, value(1)) };
            await locked(client, own, members);
            for (let round = 0; round < 3; round += 1) {
                const { id } = await redeem(client, own[0]);
                assertRefused(await client.redeem(own[1], 'ann'), ...refusals[refusal]);
                await client.mustRollBack(id);
                assertRefused(await client.rollBack(id), ...refusals.rolledBack);
                await client.mustLock(own[0], 'ann');
            }
            // The lock has kept the place.
            assertRefused(await client.redeem(own[1], 'ann'), ...refusals[refusal]);
            await client.mustUnlock(own[0], 'ann');
            await redeem(client, own[1]);
            assertRefused(await client.lock(own[0], 'ann'), ...refusals[refusal]);
            assertRefused(await client.redeem(own[2], 'ann'), ...refusals[refusal]);
        });
    }

    it('is kept over a restart, with what is used of it', async (t) => {
        const { server, client } = await testServer(t);
        for (const [per, name, value, refusal] of every) {
            const own = numbered(`${name} ${per} `, 3);
            await locked(client, own, { discount: off(5), ...limiting(per, name, value(2)) });
            await redeem(client, own[0]);
            await server.stop();
            await server.start();
            await redeem(client, own[1]);
            assertRefused(await client.redeem(own[2], 'ann'), ...refusals[refusal]);
        }
        await verifyLedger(client);
    });

    it('of all counts what users have redeemed who are erased; of a user, nobody’s', async () => {
        const { client } = c;
        const members = { discount: off(5), maxRedemptions: 2, maxRedemptionsPerUser: 1, budget: 10 };
        const { id } = await locked(client, ['E-1'], members, 'eve');
        const first = await redeem(client, 'E-1', 'eve');
        const erased = await client.request('DELETE', '/coupon/users/eve');
        assert.ok(erased.status < 300, erased.text);
        await client.upload(id, ['E-2', 'E-3']);
        await lockFor(client, 'E-2', 'eve');
        await client.mustAssign('E-3', 'eve');
        await redeem(client, 'E-2', 'eve');
        const codes = kinds.map(([, , , code]) => code);
        await assertReasons(client, 'E-3', 'eve', codes);
        // What they redeemed can still be rolled back.
        await client.mustRollBack(first.id);
        await assertReasons(client, 'E-3', 'eve', codes.slice(2));
    });
});

describe('all limits of a book', () => {
    const c = suiteServer();

    it('are checked behind all else, in this order, and told so', async () => {
        const { client } = c;
        const one = { maxRedemptions: 1, maxRedemptionsPerUser: 1, budget: 5 };
        const discount = off(5, 'EUR', { minOrderAmount: 9 });
        const { id } = await locked(client, ['O-1', 'O-2', 'O-3'], { discount });
        await redeem(client, 'O-1', 'ann', order(9));
        await client.mustPatchBook(id, one);
        const codes = kinds.map(([, , , code]) => code);
        await client.mustUnlock('O-3', 'ann');
        assertRefused(await client.redeem('O-3', 'ann', order(9)), ...refusals.notLocked);
        assertRefused(await client.redeem('O-2', 'ann'), ...refusals.orderRequired);
        const yen = await client.redeem('O-2', 'ann', order(9, 'JPY'));
        assertRefused(yen, ...refusals.otherCurrency);
        assertRefused(await client.redeem('O-2', 'ann', order(8)), ...refusals.belowMinimum);
        for (const [index, [name, , refusal]] of kinds.entries()) {
            const left = codes.slice(index);
            assertRefused(await client.redeem('O-2', 'ann', order(9)), ...refusals[refusal]);
            await assertReasons(client, 'O-2', 'ann', left, { order: order(9) });
            await client.mustPatchBook(id, { [name]: null });
        }
        await assertReasons(client, 'O-2', 'ann', [], { order: order(9) });
        await client.mustPatchBook(id, one);
        // Of an order in another currency, or below the minimum, nobody knows what it takes off.
        const others = [codes[0], codes[2]];
        const { reasons } = await client.mustValidate('O-2', 'ann', { order: order(9, 'JPY') });
        assert.deepEqual(reasons.map(({ code }) => code), ['order_currency_mismatch', ...others]);
        const { reasons: small } = await client.mustValidate('O-2', 'ann', { order: order(8) });
        assert.deepEqual(small.map(({ code }) => code), ['order_below_minimum', ...others]);
    });

    it('hold together: whichever is reached first refuses', async () => {
        const { client } = c;
        const codes = numbered('T-', 6);
        const { id } = await locked(client, codes, {
            ...{ discount: off(5), maxRedemptions: 5, maxRedemptionsPerUser: 4, budget: 20 },
            limits: {
                day: { maxRedemptions: 1 },
                week: { budget: 10 },
                month: { maxRedemptionsPerUser: 3 },
            },
        });
        const refused = async (code, name, { againAt } = {}) => {
            assertRefused(await client.redeem(code, 'ann'), ...refusals[name]);
            const [, , told] = refusals[name];
            await assertReasons(client, code, 'ann', [told], { againAt });
        };
        await redeem(client, 'T-0');
        await refused('T-1', 'allRedeemed', { againAt: anew('day') });
        const limits = (of) => client.mustPatchBook(id, { limits: of });
        const week = { budget: 10 };
        const month = { maxRedemptionsPerUser: 3 };
        await limits({ week, month });
        await redeem(client, 'T-1');
        await refused('T-2', 'budgetExhausted', { againAt: anew('week') });
        await limits({ month });
        await redeem(client, 'T-2');
        await refused('T-3', 'limitReached', { againAt: anew('month') });
        await limits(null);
        await redeem(client, 'T-3');
        const codesOf = ['budget_exhausted', 'user_redemption_limit_reached'];
        await assertReasons(client, 'T-4', 'ann', codesOf);
        await client.mustPatchBook(id, { budget: null });
        await refused('T-4', 'limitReached');
        await client.mustPatchBook(id, { maxRedemptionsPerUser: null });
        await redeem(client, 'T-4');
        await refused('T-5', 'allRedeemed');
    });

    it('are cured where the last of them ends; not where one of ever is reached', async () => {
        const { client } = c;
        const { id } = await locked(client, ['C-1', 'C-2'], { discount: off(5) });
        await redeem(client, 'C-1');
        const of = {
            day: { maxRedemptions: 1 },
            week: { budget: 5 },
            month: { maxRedemptionsPerUser: 1 },
        };
        const ends = pers.map((per) => [anew(per), per]);
        for (const some of [['day'], ['week'], ['month'], ['day', 'week'], ['day', 'month'], pers]) {
            const limits = Object.fromEntries(some.map((per) => [per, of[per]]));
            await client.mustPatchBook(id, { limits });
            const [[againAt]] = ends.filter(([, per]) => some.includes(per)).sort().toReversed();
            const told = kinds.map(([, , , code]) => code);
            const codes = told.filter((_, index) => some.includes(pers[index]));
            await assertReasons(client, 'C-2', 'ann', codes, { againAt });
            for (const [name, value, , code] of kinds) {
                await client.mustPatchBook(id, { [name]: value(1) });
                const all = told.filter((each) => each === code || codes.includes(each));
                await assertReasons(client, 'C-2', 'ann', all);
                await client.mustPatchBook(id, { [name]: null });
            }
        }
    });
});

describe('a budget', () => {
    const c = suiteServer();

    it('refuses what takes off more than is left, and lets less go through', async () => {
        const { client } = c;
        const codes = numbered('P-', 7);
        await locked(client, codes, { discount: percent(10), budget: 10 });
        const use = (code, amount) => client.redeem(code, 'ann', order(amount));
        assert.equal((await use('P-0', 60)).status, 201);
        assertRefused(await use('P-1', 40.1), ...refusals.budgetExhausted);
        const sent = { order: order(40.1) };
        await assertReasons(client, 'P-1', 'ann', ['budget_exhausted'], sent);
        await assertReasons(client, 'P-1', 'ann', [], { order: order(40) });
        assert.equal((await use('P-1', 39.9)).status, 201);
        assertRefused(await use('P-2', 0.2), ...refusals.budgetExhausted);
        assert.equal((await use('P-2', 0.14)).status, 201); // rounded: 0.01
        assertRefused(await use('P-3', 0.05), ...refusals.budgetExhausted); // 0.01
        // What takes off nothing always goes through.
        for (const [code, amount] of [['P-3', 0.04], ['P-4', 0]]) {
            assert.equal((await use(code, amount)).status, 201);
        }
        assertRefused(await use('P-5', 1), ...refusals.budgetExhausted);
    });

    it('that is smaller than a discount refuses that at once', async () => {
        await locked(c.client, ['S-1'], { discount: off(5), budget: 4.99 });
        assertRefused(await c.client.redeem('S-1', 'ann'), ...refusals.budgetExhausted);
        assertRefused(await c.client.redeem('S-1', 'ann', order(5)), ...refusals.budgetExhausted);
        await redeem(c.client, 'S-1', 'ann', order(4.99));
    });

    it('is counted in the minor units of whatever currency', async () => {
        const { client } = c;
        for (const [currency, one, budget] of [
            ['JPY', 7, 20],
            ['KWD', 0.001, 0.002],
            ['CLF', 0.0001, 0.0003],
            ['EUR', 0.1, 0.3],
            ['EUR', 10_000_000_000, 20_000_000_000],
        ]) {
            const codes = numbered(`U ${currency} ${one} `, 5);
            await locked(client, codes, { discount: off(one, currency), budget });
            const times = Math.floor(budget / one + 1e-6);
            for (const code of codes.slice(0, times)) await redeem(client, code);
            const answer = await client.redeem(codes[times], 'ann');
            assertRefused(answer, ...refusals.budgetExhausted);
        }
    });

    it('is about what orders get cheaper, not what they could', async () => {
        const { client } = c;
        const codes = numbered('W-', 5);
        await locked(client, codes, { discount: off(5, 'EUR', { maxAmount: 4 }), budget: 10 });
        await redeem(client, 'W-0', 'ann', order(3));
        await redeem(client, 'W-1');
        assertRefused(await client.redeem('W-2', 'ann'), ...refusals.budgetExhausted);
        await redeem(client, 'W-2', 'ann', order(3));
        assertRefused(await client.redeem('W-3', 'ann', order(0.01)), ...refusals.budgetExhausted);
        await locked(client, ['FX-1', 'FX-2'], { discount: fixed(20), budget: 10 });
        assertRefused(
            await client.redeem('FX-1', 'ann', order(30.01)),
            ...refusals.budgetExhausted,
        );
        await redeem(client, 'FX-1', 'ann', order(30));
        await redeem(client, 'FX-2', 'ann', order(20));
        const shipped = { type: 'free_shipping', currency: 'EUR' };
        const ships = numbered('FS-', 3);
        await locked(client, ships, { discount: shipped, budget: 0.01 });
        for (const code of ships) await redeem(client, code, 'ann', order(9));
    });

    it('asks for an order where nobody could tell otherwise what is taken off', async () => {
        const { client } = c;
        for (const [index, discount] of [percent(10), fixed(5)].entries()) {
            for (const per of ['ever', ...pers]) {
                const code = `N ${index} ${per}`;
                const { id } = await locked(client, [code], {
                    discount,
                    ...limiting(per, 'budget', 10),
                });
                assertRefused(await client.redeem(code, 'ann'), ...refusals.orderRequired);
                await assertReasons(client, code, 'ann', ['order_required']);
                await assertReasons(client, code, 'ann', [], { order: order(9) });
                await client.mustPatchBook(id, { budget: null, limits: null });
                await redeem(client, code);
            }
        }
        for (const [index, discount] of [off(5), { type: 'free_shipping', currency: 'EUR' }].entries()) {
            await locked(client, [`M ${index}`], { discount, budget: 10 });
            await redeem(client, `M ${index}`);
        }
    });

    it('is given back what of a discount is given back, in parts too, and no use', async () => {
        const { client } = c;
        const codes = numbered('G-', 5);
        await locked(client, codes, {
            ...{ discount: off(5), budget: 5, maxRedemptions: 3 },
            limits: { day: { budget: 5 }, week: { budget: 5 }, month: { budget: 5 } },
        });
        const { id } = await redeem(client, 'G-0', 'ann', order(9));
        const use = (code, amount) => client.redeem(code, 'ann', order(amount));
        await client.mustRollBack(id, { amount: 1.5 });
        assertRefused(await use('G-1', 1.51), ...refusals.budgetExhausted);
        const second = (await use('G-1', 1.5)).body.redemption;
        assert.equal(second.discountAmount, 1.5);
        assertRefused(await use('G-2', 0.01), ...refusals.budgetExhausted);
        for (const amount of [0.5, 2]) await client.mustRollBack(id, { amount });
        assertRefused(await client.rollBack(id, { amount: 1.01 }), ...refusals.beyondDiscount);
        assertRefused(await use('G-2', 2.51), ...refusals.budgetExhausted);
        assert.equal((await use('G-2', 2.5)).status, 201);
        assertRefused(await use('G-3', 0.01), ...refusals.allRedeemed);
        // Now the use, and only what was left of it.
        await client.mustRollBack(id);
        assertRefused(await use('G-3', 1.01), ...refusals.budgetExhausted);
        assert.equal((await use('G-3', 1)).status, 201);
        assertRefused(await use('G-4', 0.01), ...refusals.allRedeemed);
        await client.mustRollBack(second.id, { amount: 1.5 });
        await client.mustRollBack(second.id);
        assertRefused(await use('G-4', 1.51), ...refusals.budgetExhausted);
        assert.equal((await use('G-4', 1.5)).status, 201);
    });

    it('counts what was taken off in its currency, whatever the discount was then', async () => {
        const { client } = c;
        const codes = numbered('H-', 9);
        const { id } = await locked(client, codes, { discountAmount: 5 });
        await redeem(client, 'H-0'); // in no currency
        await redeem(client, 'H-1', 'ann', order(9));
        await redeem(client, 'H-2', 'ann', order(9, 'USD'));
        const change = (members) => client.mustPatchBook(id, members);
        const refused = async (code) =>
            assertRefused(await client.redeem(code, 'ann', order(9)), ...refusals.budgetExhausted);
        await change({ discount: off(3), budget: 7.99 });
        await refused('H-3');
        await change({ budget: 8 });
        await redeem(client, 'H-3', 'ann', order(9));
        await refused('H-4');
        // Of another currency it is another sum.
        await change({ discount: off(3, 'USD') });
        await redeem(client, 'H-4', 'ann', order(9, 'USD'));
        const dollars = await client.redeem('H-5', 'ann', order(9, 'USD'));
        assertRefused(dollars, ...refusals.budgetExhausted);
        await change({ discount: off(3) });
        await refused('H-5');
        await change({ budget: 11 });
        await redeem(client, 'H-5', 'ann', order(9));
        await refused('H-6');
    });
});

describe('locks in a book with limits', () => {
    const c = suiteServer();

    /** Codes of a new book with these limits, all `ann`'s and free to be locked; returns the book. */
    async function held(client, codes, members, user = 'ann') {
        const book = await client.newBookWith(codes, { timeZone: zone, ...members });
        for (const code of codes) await client.mustAssign(code, user);
        return book;
    }

    for (const [per, name, value, refusal] of every) {
        it(`take of ${name}, ${per}, what redeeming would, for as long as they live`, async () => {
            const { client } = c;
            const own = numbered(`LK ${name} ${per} `, 4);
            const [one, two, three, four] = own;
            const members = { discount: off(5), ...limiting(per, name, value(2)) };
            const { id } = await held(client, own, members);
            const refused = async (code) =>
                assertRefused(await client.lock(code, 'ann'), ...refusals[refusal]);
            await client.mustLock(one, 'ann');
            await client.mustLock(two, 'ann', order(9));
            await refused(three);
            assertRefused(await client.redeem(three, 'ann'), ...refusals.notLocked);
            assertRefused(await client.lock(two, 'ann'), ...refusals.locked);
            // Whoever has a lock can use it; what was given back can be locked again.
            await redeem(client, one);
            await refused(three);
            await client.mustUnlock(two, 'ann');
            const byKey = (action) =>
                client.post(`/coupon/${action}/${encodeURIComponent(three)}`, {
                    userId: 'ann',
                    lockKey: 'cart',
                });
            assert.equal((await byKey('lock')).status, 201);
            await refused(two);
            // The same lock takes nothing more.
            assert.equal((await byKey('lock')).status, 201);
            await refused(four);
            // Raised, it lets another one in; lowered, those go on who have locked.
            await client.mustPatchBook(id, limiting(per, name, value(3)));
            await client.mustLock(four, 'ann');
            await client.mustPatchBook(id, limiting(per, name, value(2)));
            await redeem(client, four);
            assertRefused(await byKey('redeem'), ...refusals[refusal]);
            assert.equal((await byKey('unlock')).status, 201);
            await refused(two);
        });
    }

    it('are over when their time is', async () => {
        const { client } = c;
        const members = { maxRedemptions: 1, maxRedemptionsPerUser: 1, lockTtlSeconds: 1 };
        await held(client, ['OV-1', 'OV-2'], members);
        const { lockedUntil } = await client.mustLock('OV-1', 'ann');
        for (let answer; answer?.status !== 201; ) {
            if (answer) assertRefused(answer, ...refusals.allRedeemed);
            answer = await client.lock('OV-2', 'ann');
        }
        assert.ok(Date.now() >= Date.parse(lockedUntil));
        await redeem(client, 'OV-2');
    });

    it('of several codes are taken one after the other, all or none', async () => {
        const { client } = c;
        const codes = ['SV-1', 'SV-2', 'SV-3'];
        const { id } = await held(client, codes, { discount: off(5), budget: 12 });
        const lock = (own, amount) => client.lockAll(own, 'ann', amount && order(amount));
        assertCodeRefused(await lock(codes, 99), 'SV-3', ...refusals.budgetExhausted);
        assertCodeRefused(await lock(codes), 'SV-3', ...refusals.budgetExhausted);
        assert.equal((await client.get(`/coupon/${id}`)).body.counts.locked, 0);
        // Of the order nothing but 2 is left for the third.
        assert.equal((await lock(codes, 12)).status, 201);
    });

    it('of an open code are each user’s', async () => {
        const { client } = c;
        const members = { assignment: 'open', maxRedemptionsPerCode: null };
        await client.newBookWith(['OP'], { ...members, maxRedemptions: 2, maxRedemptionsPerUser: 1 });
        await client.mustLock('OP', 'ann');
        await redeem(client, 'OP', 'ann');
        assertRefused(await client.lock('OP', 'ann'), ...refusals.limitReached);
        await client.mustLock('OP', 'bob');
        assertRefused(await client.lock('OP', 'cid'), ...refusals.allRedeemed);
        const erased = await client.request('DELETE', '/coupon/users/bob');
        assert.ok(erased.status < 300, erased.text);
        await client.mustLock('OP', 'cid');
    });

    it('that were there before do not count, and keep nothing', async () => {
        const { client } = c;
        await locked(client, ['BF-1', 'BF-2'], { maxRedemptions: 1 });
        await client.mustUnlock('BF-2', 'ann');
        await client.mustLock('BF-2', 'ann');
        assertRefused(await client.redeem('BF-1', 'ann'), ...refusals.allRedeemed);
        await redeem(client, 'BF-2');
    });

    it('keep so much of a budget as their order takes off, and what they kept without one', async () => {
        const { client } = c;
        const members = { discount: percent(10), budget: 20 };
        await client.newBookWith(['KEEP-1', 'KEEP-2', 'KEEP-3'], members);
        await client.mustAssign('KEEP-1', 'ann');
        await client.mustAssign('KEEP-2', 'bob');
        await client.mustAssign('KEEP-3', 'cid');
        const key = { lockKey: 'cart' };
        const asked = (user, amount) => ({ userId: user, ...key, ...(amount && { order: order(amount) }) });
        const post = (path, body) => client.post(`/coupon/${path}`, body);
        await client.mustLock('KEEP-3', 'cid');
        assert.equal((await post('lock/KEEP-1', asked('ann', 50))).status, 201);
        assert.equal((await post('lock/KEEP-1', asked('ann', 100))).status, 201);
        assertRefused(await post('lock/KEEP-2', asked('bob', 100.1)), ...refusals.budgetExhausted);
        assert.equal((await post('lock/KEEP-2', asked('bob', 100))).status, 201);
        assertRefused(await post('lock/KEEP-1', asked('ann', 100.1)), ...refusals.budgetExhausted);
        assert.equal((await post('lock/KEEP-1', asked('ann'))).status, 201);
        // Of a lock without an order nobody knows.
        assertRefused(await client.redeem('KEEP-3', 'cid', order(10)), ...refusals.budgetExhausted);
        assertRefused(await post('redeem/KEEP-2', asked('bob', 100.1)), ...refusals.budgetExhausted);
        assert.equal((await post('redeem/KEEP-2', asked('bob', 90))).status, 201);
        assert.equal((await post('redeem/KEEP-1', asked('ann', 110))).status, 201);
        assertRefused(await client.redeem('KEEP-3', 'cid', order(10)), ...refusals.budgetExhausted);
    });
});

describe('limits and several codes of one order', () => {
    const c = suiteServer();

    it('count one after the other, all or none', async () => {
        const { client } = c;
        for (const [per, name, value, refusal] of every) {
            const own = numbered(`${name} ${per} `, 4);
            const members = { discount: off(5), ...limiting(per, name, value(2)) };
            const { id } = await locked(client, own, members);
            const other = `${name} ${per} other`;
            await locked(client, [other], { discountAmount: 1 });
            const [one, two, three, four] = own;
            const use = (codes, name_ = 'o-1') =>
                client.redeemAll(codes, 'ann', order(99, 'EUR', name_));
            for (const [codes, code] of [
                [[one, two, three], three],
                [[three, other, one, two], two],
                [[four, three, two, one], two],
            ]) {
                assertCodeRefused(await use(codes), code, ...refusals[refusal]);
            }
            const { counts } = (await client.get(`/coupon/${id}`)).body;
            assert.deepEqual([counts.locked, counts.redeemed], [4, 0]);
            assert.equal((await use([four])).status, 201);
            assertCodeRefused(await use([one, other, two]), two, ...refusals[refusal]);
            const { body } = await use([other, two], 'o-2');
            assertCodeRefused(await use([one], 'o-3'), one, ...refusals[refusal]);
            // What is redeemed again is not counted again.
            assert.equal((await use([other, two], 'o-2')).body.replayed, true);
            await client.mustRollBack(body.redemptions[1].id);
            await client.mustLock(two, 'ann');
            // What its lock keeps, the other does not get.
            assertCodeRefused(await use([one, two], 'o-4'), one, ...refusals[refusal]);
            assert.equal((await use([two], 'o-4')).status, 201);
        }
    });

    it('count the share of each of the budget', async () => {
        const { client } = c;
        const own = numbered('SH-', 3);
        const { id } = await locked(client, own, { discount: off(5), budget: 12 });
        const use = (codes, amount) => client.redeemAll(codes, 'ann', order(amount));
        for (const amount of [99, 13, 12.01]) {
            assertCodeRefused(await use(own, amount), 'SH-2', ...refusals.budgetExhausted);
        }
        // Of the order nothing but 2 is left for the third.
        const { redemptions } = (await use(own, 12)).body;
        assert.deepEqual(redemptions.map(({ discountAmount }) => discountAmount), [5, 5, 2]);
        assert.equal((await client.get(`/coupon/${id}`)).body.counts.redeemed, 3);
        // Percentages come first, and the amounts are of what they have left.
        await locked(client, ['PC-1'], { discount: percent(50), budget: 5 });
        await locked(client, ['AM-1'], { discount: off(9), budget: 5 });
        const both = (amount) => use(['AM-1', 'PC-1'], amount);
        assertCodeRefused(await both(10.02), 'AM-1', ...refusals.budgetExhausted);
        const done = (await both(10)).body;
        assert.deepEqual(done.redemptions.map(({ discountAmount }) => discountAmount), [5, 5]);
    });

    it('come behind whatever else refuses one of the codes', async () => {
        const { client } = c;
        await locked(client, ['L-1', 'L-2'], { maxRedemptions: 1 });
        await redeem(client, 'L-1');
        await client.newBookWith(['L-3']);
        const answer = await client.redeemAll(['L-2', 'L-3'], 'ann', order(9));
        assertCodeRefused(answer, 'L-3', ...refusals.notAssigned);
        const alone = await client.redeemAll(['L-2'], 'ann', order(9));
        assertCodeRefused(alone, 'L-2', ...refusals.allRedeemed);
    });
});

describe('limits and what is sent again', () => {
    const c = suiteServer();

    it('know the same order: it is answered, whatever is used up, and not counted twice', async () => {
        const { client } = c;
        const members = { discount: off(5), maxRedemptions: 2, maxRedemptionsPerUser: 2, budget: 10 };
        await locked(client, ['SO-1', 'SO-2', 'SO-3'], members);
        const first = await client.mustRedeem('SO-1', 'ann', order(9));
        for (let round = 0; round < 3; round += 1) {
            const again = await client.mustRedeem('SO-1', 'ann', order(9));
            assert.deepEqual(again, { ...first, replayed: true });
        }
        await redeem(client, 'SO-2', 'ann', order(9));
        assert.equal((await client.mustRedeem('SO-1', 'ann', order(9))).replayed, true);
        assertRefused(await client.redeem('SO-3', 'ann', order(9)), ...refusals.allRedeemed);
    });

    it('give the first answer of a key again, and count once', async () => {
        const { client } = c;
        for (const [per, name, value, refusal] of every) {
            const own = numbered(`K ${name} ${per} `, 3);
            const members = { discount: off(5), ...limiting(per, name, value(2)) };
            const { id } = await locked(client, own, members);
            const use = (code, key) => client.redeem(code, 'ann', undefined, keyed(`${code} ${key}`.replaceAll(' ', '-')));
            const first = await use(own[0], 1);
            for (let round = 0; round < 3; round += 1) {
                assert.equal((await use(own[0], 1)).text, first.text);
            }
            const { id: taken } = first.body.redemption;
            const back = () => client.rollBack(taken, {}, keyed(`back-${taken}`));
            assert.equal((await back()).text, (await back()).text);
            await client.mustLock(own[0], 'ann');
            for (const code of own.slice(0, 2)) assert.equal((await use(code, 2)).status, 201);
            const refused = await use(own[2], 1);
            assertRefused(refused, ...refusals[refusal]);
            await client.mustPatchBook(id, limiting(per, name, null));
            const again = await use(own[2], 1);
            assert.deepEqual([again.text, again.headers['idempotent-replayed']], [refused.text, 'true']);
            assert.equal((await use(own[2], 2)).status, 201);
        }
    });
});

// [zone, as of when, the end of what it lies in]. In 2027 Berlin's clocks change on 28 March and 31
// October, New York's on 14 March and 7 November; Santiago's go from midnight to one on 5 September, and
// from midnight to eleven on 3 April; Havana's from midnight to one on 14 March, and from one to midnight
// on 7 November. Lord Howe's go by half an hour. Apia left out 30 December 2011.
const instants = {
    day: [
        ['UTC', '2027-03-28T00:00:00.000Z', '2027-03-29T00:00:00.000Z'],
        ['UTC', '2027-03-28T23:59:59.999Z', '2027-03-29T00:00:00.000Z'],
        ['Europe/Berlin', '2027-03-27T22:59:59.999Z', '2027-03-27T23:00:00.000Z'],
        ['Europe/Berlin', '2027-03-27T23:00:00.000Z', '2027-03-28T22:00:00.000Z'],
        ['Europe/Berlin', '2027-03-28T01:00:00.000Z', '2027-03-28T22:00:00.000Z'],
        ['Europe/Berlin', '2027-03-28T21:59:59.999Z', '2027-03-28T22:00:00.000Z'],
        ['Europe/Berlin', '2027-03-28T22:00:00.000Z', '2027-03-29T22:00:00.000Z'],
        ['Europe/Berlin', '2027-03-28', '2027-03-28T22:00:00.000Z'],
        ['Europe/Berlin', '2027-10-30T22:00:00.000Z', '2027-10-31T23:00:00.000Z'],
        ['Europe/Berlin', '2027-10-31T00:30:00.000Z', '2027-10-31T23:00:00.000Z'],
        ['Europe/Berlin', '2027-10-31T01:30:00.000Z', '2027-10-31T23:00:00.000Z'],
        ['Europe/Berlin', '2027-10-31T23:00:00.000Z', '2027-11-01T23:00:00.000Z'],
        ['America/New_York', '2027-03-14T05:00:00.000Z', '2027-03-15T04:00:00.000Z'],
        ['America/New_York', '2027-11-07T04:00:00.000Z', '2027-11-08T05:00:00.000Z'],
        ['America/Santiago', '2027-09-05T03:59:59.999Z', '2027-09-05T04:00:00.000Z'],
        ['America/Santiago', '2027-09-05T04:00:00.000Z', '2027-09-06T03:00:00.000Z'],
        ['America/Santiago', '2027-04-03T03:00:00.000Z', '2027-04-04T04:00:00.000Z'],
        ['America/Santiago', '2027-04-04T02:59:59.999Z', '2027-04-04T04:00:00.000Z'],
        ['America/Santiago', '2027-04-04T03:00:00.000Z', '2027-04-04T04:00:00.000Z'],
        ['America/Havana', '2027-03-14T05:00:00.000Z', '2027-03-15T04:00:00.000Z'],
        ['America/Havana', '2027-11-07T04:30:00.000Z', '2027-11-08T05:00:00.000Z'],
        ['America/Havana', '2027-11-07T05:30:00.000Z', '2027-11-08T05:00:00.000Z'],
        ['Australia/Lord_Howe', '2027-04-03T13:00:00.000Z', '2027-04-04T13:30:00.000Z'],
        ['Asia/Kathmandu', '2027-05-31T18:15:00.000Z', '2027-06-01T18:15:00.000Z'],
        ['Pacific/Apia', '2011-12-30T09:59:59.999Z', '2011-12-30T10:00:00.000Z'],
        ['Pacific/Apia', '2011-12-30T10:00:00.000Z', '2011-12-31T10:00:00.000Z'],
        ['UTC', '2028-02-29', '2028-03-01T00:00:00.000Z'],
        ['UTC', '9998-12-31', '9999-01-01T00:00:00.000Z'],
    ],
    week: [
        ['UTC', '2027-01-03T23:59:59.999Z', '2027-01-04T00:00:00.000Z'],
        ['UTC', '2027-01-04T00:00:00.000Z', '2027-01-11T00:00:00.000Z'],
        ['UTC', '2026-12-31', '2027-01-04T00:00:00.000Z'],
        ['Europe/Berlin', '2027-03-21T22:59:59.999Z', '2027-03-21T23:00:00.000Z'],
        ['Europe/Berlin', '2027-03-21T23:00:00.000Z', '2027-03-28T22:00:00.000Z'],
        ['Europe/Berlin', '2027-03-28T22:00:00.000Z', '2027-04-04T22:00:00.000Z'],
        ['Europe/Berlin', '2027-10-31T22:59:59.999Z', '2027-10-31T23:00:00.000Z'],
        ['America/New_York', '2027-03-08T05:00:00.000Z', '2027-03-15T04:00:00.000Z'],
        ['America/New_York', '2027-11-01T04:00:00.000Z', '2027-11-08T05:00:00.000Z'],
        ['Pacific/Apia', '2011-12-26T10:00:00.000Z', '2012-01-01T10:00:00.000Z'],
    ],
    month: [
        ['UTC', '2028-02-29T12:00:00.000Z', '2028-03-01T00:00:00.000Z'],
        ['UTC', '2027-12-31T23:59:59.999Z', '2028-01-01T00:00:00.000Z'],
        ['Europe/Berlin', '2027-02-28T23:00:00.000Z', '2027-03-31T22:00:00.000Z'],
        ['Europe/Berlin', '2027-03-31T22:00:00.000Z', '2027-04-30T22:00:00.000Z'],
        ['Europe/Berlin', '2027-09-30T22:00:00.000Z', '2027-10-31T23:00:00.000Z'],
        ['America/New_York', '2027-11-01T04:00:00.000Z', '2027-12-01T05:00:00.000Z'],
        ['Asia/Kathmandu', '2027-05-31T18:14:59.999Z', '2027-05-31T18:15:00.000Z'],
        ['Asia/Kathmandu', '2027-05-31T18:15:00.000Z', '2027-06-30T18:15:00.000Z'],
        ['Pacific/Apia', '2011-12-30T10:00:00.000Z', '2011-12-31T10:00:00.000Z'],
    ],
};

describe('days, weeks and months of limits', () => {
    const c = suiteServer();

    for (const per of pers) {
        it(`end, of a ${per}, when the clocks of the book’s zone say so`, async () => {
            const { client } = c;
            const code = `I ${per}`;
            // A budget that no redemption fits into is used up at any time.
            const { id } = await locked(client, [code], {
                discount: off(5),
                ...limiting(per, 'budget', 1),
            });
            for (const [timeZone, asOf, againAt] of instants[per]) {
                await client.mustPatchBook(id, { timeZone });
                await assertReasons(client, code, 'ann', ['budget_exhausted'], { asOf, againAt });
                if (!asOf.includes('T')) continue;
                assert.equal(endOf(timeZone, per, Date.parse(asOf)), againAt, `${timeZone} ${asOf}`);
            }
        });

        for (const [name, value, , code] of kinds) {
            it(`begin anew, of ${name} of a ${per}, and count what was redeemed since`, async () => {
                const { client } = c;
                const zones = new Set(['UTC', 'Asia/Kathmandu', 'America/St_Johns', zone]);
                for (const timeZone of zones) {
                    const own = numbered(`B ${per} ${name} ${timeZone} `, 2);
                    const members = { discount: off(5), timeZone };
                    await locked(client, own, { ...members, ...limiting(per, name, value(1)) });
                    const { at } = await redeem(client, own[0]);
                    const againAt = endOf(timeZone, per, Date.parse(at));
                    const last = new Date(Date.parse(againAt) - 1).toISOString();
                    const ask = (reasons, more) =>
                        assertReasons(client, own[1], 'ann', reasons, more);
                    await ask([code], { asOf: at, againAt });
                    await ask([code], { asOf: last, againAt });
                    await ask([], { asOf: againAt });
                    await ask([], { asOf: '2130-01-01' });
                }
            });
        }
    }

    it('are not said to be worth waiting for where the book or the code is over by then', async () => {
        const { client } = c;
        const { id } = await locked(client, ['W-1', 'W-2'], limiting('day', 'maxRedemptions', 1));
        await redeem(client, 'W-1');
        const ask = (againAt) =>
            assertReasons(client, 'W-2', 'ann', ['redemption_limit_reached'], { againAt });
        const begins = anew('day');
        const after = new Date(Date.parse(begins) + 1).toISOString();
        await ask(begins);
        await client.mustPatchBook(id, { endsAt: begins });
        await ask();
        await client.mustPatchBook(id, { endsAt: after });
        await ask(begins);
        await client.mustPatchCode('W-2', { expiresAt: begins });
        await ask();
        await client.mustPatchCode('W-2', { expiresAt: after });
        await ask(begins);
    });

    it('are counted from what was redeemed where the count is of an earlier one', async (t) => {
        const { server, client } = await testServer(t);
        // As if the last to redeem before had done so long ago: what was counted then is no matter.
        const age = (id) =>
            server.data.execute(
                `UPDATE usage_count SET since = since - ${40 * 86_400_000}, redeemed = 7, ` +
                    `amount = 7 * amount WHERE per > 0 AND book_id = ${id}`,
            );
        for (const [per, name, value, refusal, code] of every) {
            const own = numbered(`Y ${name} ${per} `, 5);
            const members = { discount: off(5), ...limiting(per, name, value(3)) };
            const { id } = await locked(client, own, members);
            const first = await redeem(client, own[0]);
            await age(id);
            const second = await redeem(client, own[1]);
            await age(id);
            await client.mustRollBack(first.id, { amount: 2 });
            await age(id);
            await assertReasons(client, own[2], 'ann', []);
            await client.mustRollBack(first.id);
            await redeem(client, own[2]);
            await age(id);
            await redeem(client, own[3]);
            await age(id);
            assertRefused(await client.redeem(own[4], 'ann'), ...refusals[refusal]);
            await assertReasons(client, own[4], 'ann', [code], { againAt: anew(per) });
            await client.mustRollBack(second.id);
            await redeem(client, own[4]);
        }
        await verifyLedger(client);
    });

    it('count nothing that was redeemed before they began, and give nothing back of it', async (t) => {
        const { server, client } = await testServer(t);
        const ms = 40 * 86_400_000;
        server.data.damaged = true; // the events of the uploads are of now
        for (const [per, name, value, refusal] of every) {
            const own = numbered(`X ${name} ${per} `, 6);
            const members = { discount: off(5), ...limiting(per, name, value(2)) };
            const { id } = await locked(client, own, members);
            const old = [await redeem(client, own[0]), await redeem(client, own[1])];
            const refused = async (code) =>
                assertRefused(await client.redeem(code, 'ann'), ...refusals[refusal]);
            await refused(own[2]);
            // As if all of that had been 40 days ago.
            const aged = [
                `UPDATE coupon_code SET redeemed_at = redeemed_at - ${ms} WHERE book_id = ${id}`,
                `UPDATE ledger SET at = at - ${ms} WHERE type = 5 AND book_id = ${id}`,
                `UPDATE activity_count SET since = since - ${ms} WHERE book_id = ${id}`,
                `UPDATE discount_count SET since = since - ${ms} WHERE book_id = ${id}`,
                `UPDATE usage_count SET since = since - ${ms} WHERE per > 0 AND book_id = ${id}`,
            ];
            await server.data.execute(aged.map((sql) => `${sql};`).join('\n'));
            if (per === 'ever') {
                await refused(own[2]);
                await client.mustRollBack(old[0].id);
                await redeem(client, own[2]);
                await refused(own[3]);
                continue;
            }
            await assertReasons(client, own[2], 'ann', []);
            const made = await redeem(client, own[2]);
            await client.mustRollBack(old[0].id, { amount: 3 });
            await redeem(client, own[3]);
            await refused(own[4]);
            for (const { id: redemption } of old) {
                await client.mustRollBack(redemption);
                await refused(own[4]);
            }
            await client.mustRollBack(made.id);
            await redeem(client, own[4]);
            await refused(own[5]);
        }
    });

    it('are counted anew, with what was redeemed, where the zone changes', async () => {
        const { client } = c;
        for (const [per, name, value, refusal, code] of every) {
            const own = numbered(`Z ${name} ${per} `, 4);
            const members = { discount: off(5), ...limiting(per, name, value(2)) };
            const { id } = await locked(client, own, members);
            const first = await redeem(client, own[0]);
            await redeem(client, own[1]);
            // In these it is another time of the day, but no day is over between the two.
            const zones = ['Etc/GMT-1', 'Etc/GMT+1', 'Asia/Kolkata', 'America/St_Johns', zone];
            for (const timeZone of zones) {
                const end = endOf(timeZone, 'day', Date.parse(first.at));
                if (Date.parse(end) - Date.now() < 60_000) continue;
                await client.mustPatchBook(id, { timeZone });
                assertRefused(await client.redeem(own[2], 'ann'), ...refusals[refusal]);
                const againAt = per === 'ever' ? undefined : endOf(timeZone, per, Date.now());
                await assertReasons(client, own[2], 'ann', [code], { againAt });
            }
            await client.mustRollBack(first.id);
            await redeem(client, own[2]);
            assertRefused(await client.redeem(own[3], 'ann'), ...refusals[refusal]);
        }
    });

});
