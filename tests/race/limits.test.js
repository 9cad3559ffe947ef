// Many who redeem at once where a book has limits, beside others who roll back: no limit is ever
// exceeded, by the order of the ledger, and where enough want to, each is used up to the last.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pers, quietZone } from '../support/calendar.js';
import { assertRefused, inParallel, numbered, tally, untilEnough } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { verifyServer } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';
import { refusals } from '../support/refusals.js';

const width = 64;
const order = (amount, currency = 'EUR', id = 'o-1') => ({ id, amount, currency });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const off = (value) => ({ type: 'amount', value, currency: 'EUR' });
const percent = (value) => ({ type: 'percent', value, currency: 'EUR' });
const holder = (code) => code.slice(0, code.lastIndexOf('-'));

// Limits of all users together, of so many redemptions of 5 EUR; and how they refuse.
const ofAll = [
    ['maxRedemptions', (times) => times, 'allRedeemed'],
    ['budget', (times) => (500 * times + 499) / 100, 'budgetExhausted'],
];
const ofUser = [['maxRedemptionsPerUser', (times) => times, 'limitReached']];
const ever = ['ever', ...pers];

/** What is sent to set one of them, for ever or every day and so on. */
const limiting = (per, name, value) =>
    per === 'ever' ? { [name]: value } : { limits: { [per]: { [name]: value } } };

/**
 * `codes`, such as ann-1 of ann, of a new book where no day ends soon, locked before it had the limits
 * `limits`, so that more of them are than may be redeemed; returns its id.
 */
async function locked(client, codes, limits, discount = off(5)) {
    const { id } = await client.newBookWith(codes, { discount, timeZone: quietZone() });
    await inParallel(codes, width, (code) => client.mustAssign(code, holder(code)));
    await inParallel(codes, width, (code) => client.mustLock(code, holder(code)));
    if (Object.keys(limits).length > 0) await client.mustPatchBook(id, limits);
    return id;
}

/** Codes of so many users, so many each. */
const codesOf = (users, each) => numbered('user', users).flatMap((user) => numbered(`${user}-`, each));

/** How many codes of the book are redeemed. */
const redeemedOf = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts.redeemed;

/** What the redemptions of the book have taken off, less what was given back. */
async function takenOff(client, id) {
    const { discounts } = (await client.get(`/coupon/${id}/stats`)).body.totals;
    return discounts.find(({ currency }) => currency === 'EUR')?.amount ?? 0;
}

/** Redeems the code, which is locked or can be; a refusal is `name`. */
async function tryOne(client, code, name, sent) {
    const lock = await client.lock(code, holder(code));
    const goesOn = lock.status === 201 || lock.body.code === 'coupon_already_locked';
    const answer = goesOn ? await client.redeem(code, holder(code), sent) : lock;
    if (answer.status !== 201) assertRefused(answer, ...refusals[name]);
    return answer;
}

/** The codes that are not redeemed, which are all tried at once. */
async function tryTheRest(client, codes, name, sent) {
    const left = [];
    for (const code of codes) {
        const { status } = (await client.get(`/coupon/code/${code}`)).body;
        if (status !== 'redeemed') left.push(code);
    }
    return inParallel(left, width, (code) => tryOne(client, code, name, sent));
}

describe('redeeming at once', () => {
    for (const per of ever) {
        for (const [name, value, refusal] of ofAll) {
            it(`is for as many as ${name} allows, ${per}, whoever they are`, async (t) => {
                const { server, client } = await testServer(t);
                const codes = codesOf(60, 2);
                const id = await locked(client, codes, limiting(per, name, value(37)));
                const answers = await inParallel(codes, width, (code) =>
                    client.redeem(code, holder(code)),
                );
                for (const answer of answers) {
                    if (answer.status !== 201) assertRefused(answer, ...refusals[refusal]);
                }
                assert.equal(answers.filter(({ status }) => status === 201).length, 37);
                assert.equal(await redeemedOf(client, id), 37);
                assert.equal(await takenOff(client, id), 5 * 37);
                // Raised at once, too.
                const patch = { ...limiting(per, name, value(50)) };
                const [raised] = await Promise.all([
                    client.patchBook(id, patch),
                    tryTheRest(client, codes, refusal),
                ]);
                assert.equal(raised.status, 200, raised.text);
                await tryTheRest(client, codes, refusal);
                assert.equal(await redeemedOf(client, id), 50);
                await verifyServer(t, server, client);
            });
        }
        for (const [name, value, refusal] of ofUser) {
            it(`is for as many of each user as ${name} allows, ${per}`, async (t) => {
                const { server, client } = await testServer(t);
                const codes = codesOf(12, 10);
                const id = await locked(client, codes, limiting(per, name, value(4)));
                const answers = await inParallel(codes, width, (code) =>
                    client.redeem(code, holder(code)),
                );
                const done = codes.filter((_, index) => answers[index].status === 201);
                assert.deepEqual(
                    tally(done.map(holder)),
                    Object.fromEntries(numbered('user', 12).map((user) => [user, 4])),
                );
                for (const answer of answers) {
                    if (answer.status !== 201) assertRefused(answer, ...refusals[refusal]);
                }
                assert.equal(await redeemedOf(client, id), 48);
                await verifyServer(t, server, client);
            });
        }
    }

    it('of several codes takes all of them or none, within every limit', async (t) => {
        const { server, client } = await testServer(t);
        for (const [index, per] of ever.entries()) {
            for (const [name, value, refusal] of [...ofAll, ...ofUser]) {
                const users = numbered(`${per}${name}`, name === ofUser[0][0] ? 1 : 20);
                const codes = users.flatMap((user) => numbered(`${user}-`, 60 / users.length));
                const id = await locked(client, codes, limiting(per, name, value(10 + index)));
                const threes = users.flatMap((user) => {
                    const own = codes.filter((code) => holder(code) === user);
                    return Array.from({ length: own.length / 3 }, (_, at) =>
                        own.slice(3 * at, 3 * at + 3),
                    );
                });
                const answers = await inParallel(threes, width, (three, at) =>
                    client.redeemAll(three, holder(three[0]), order(99, 'EUR', `o-${at}`)),
                );
                for (const answer of answers) {
                    if (answer.status !== 201) {
                        const [status, message, code] = refusals[refusal];
                        assert.deepEqual(
                            [answer.status, answer.body.message, answer.body.code],
                            [status, message, code],
                        );
                    }
                }
                const fit = Math.floor((10 + index) / 3);
                assert.equal(answers.filter(({ status }) => status === 201).length, fit);
                assert.equal(await redeemedOf(client, id), 3 * fit);
                await tryTheRest(client, codes, refusal);
                assert.equal(await redeemedOf(client, id), 10 + index);
            }
        }
        await verifyServer(t, server, client);
    });

    it('counts once what is sent many times, by its key or its order', async (t) => {
        const { server, client } = await testServer(t);
        for (const [name, value, refusal] of [...ofAll, ...ofUser]) {
            for (const per of ever) {
                const codes = numbered(`${name}${per}-`, 8);
                const id = await locked(client, codes, limiting(per, name, value(5)));
                const tries = Array.from({ length: 8 }, () => codes).flat();
                const answers = await inParallel(tries, width, (code, index) => {
                    const byKey = tries.indexOf(code) % 2 === 0;
                    const sent = byKey ? undefined : order(9);
                    const options = byKey ? keyed(`${code}`) : keyed(`${code}-${index}`);
                    return client.redeem(code, holder(code), sent, options);
                });
                const won = new Set();
                for (const [index, answer] of answers.entries()) {
                    if (answer.status === 201) won.add(tries[index]);
                    else if (answer.body.code !== 'idempotency_key_in_use') {
                        assertRefused(answer, ...refusals[refusal]);
                    }
                }
                assert.equal(won.size, 5, `${name} ${per}`);
                assert.equal(await redeemedOf(client, id), 5);
            }
        }
        await verifyServer(t, server, client);
    });
});

describe('locking at once', () => {
    /** Answers of all who try to lock at once; asserts how they are refused. */
    async function lockers(client, codes, refusal) {
        const answers = await inParallel(codes, width, (code) => client.lock(code, holder(code)));
        for (const answer of answers) {
            if (answer.status !== 201) assertRefused(answer, ...refusals[refusal]);
        }
        return codes.filter((_, index) => answers[index].status === 201);
    }

    for (const per of ever) {
        for (const [name, value, refusal] of [...ofAll, ...ofUser]) {
            it(`takes what ${name} has left, ${per}, and no more, for as long as it is held`, async (t) => {
                const { server, client } = await testServer(t);
                const isOfUser = name === ofUser[0][0];
                const [users, each] = isOfUser ? [4, 20] : [40, 2];
                const most = isOfUser ? 3 : 13;
                const total = isOfUser ? most * users : most;
                const codes = codesOf(users, each);
                const members = { discount: off(5), timeZone: quietZone() };
                const { id } = await client.newBookWith(codes, {
                    ...members,
                    ...limiting(per, name, value(most)),
                });
                await inParallel(codes, width, (code) => client.mustAssign(code, holder(code)));
                const first = await lockers(client, codes, refusal);
                assert.equal(first.length, total);
                // Some are redeemed and some given back, while others try.
                const [redeemed, kept] = [first.slice(0, 4), first.slice(8)];
                const others = codes.filter((code) => !first.includes(code));
                const [second] = await Promise.all([
                    lockers(client, others, refusal),
                    inParallel(redeemed, 4, (code) => client.mustRedeem(code, holder(code))),
                    inParallel(first.slice(4, 8), 4, (code) => client.mustUnlock(code, holder(code))),
                ]);
                const third = await lockers(
                    client,
                    codes.filter((code) => ![...redeemed, ...kept, ...second].includes(code)),
                    refusal,
                );
                assert.equal(kept.length + second.length + third.length, total - 4);
                // Whoever has a lock can redeem.
                await inParallel([...kept, ...second, ...third], width, (code) =>
                    client.mustRedeem(code, holder(code)),
                );
                assert.equal(await redeemedOf(client, id), total);
                await verifyServer(t, server, client);
            });
        }
    }

    it('of an open code takes what its book has left', async (t) => {
        const { server, client } = await testServer(t);
        const members = { assignment: 'open', maxRedemptionsPerCode: null, maxRedemptions: 20 };
        await client.newBookWith(['OPEN'], members);
        const users = numbered('user', 100);
        const locks = await inParallel(users, width, (user) => client.lock('OPEN', user));
        const winners = users.filter((_, index) => locks[index].status === 201);
        assert.equal(winners.length, 20);
        const both = await inParallel(users, width, (user) =>
            winners.includes(user) ? client.redeem('OPEN', user) : client.lock('OPEN', user),
        );
        for (const [index, answer] of both.entries()) {
            if (winners.includes(users[index])) assert.equal(answer.status, 201, answer.text);
            else assertRefused(answer, ...refusals.allRedeemed);
        }
        await verifyServer(t, server, client);
    });
});

describe('redeeming at once beside roll-backs', () => {
    for (const per of ever) {
        for (const [name, value, refusal] of [...ofAll, ...ofUser]) {
            it(`keeps within ${name}, ${per}, and uses all of it in the end`, async (t) => {
                const { server, client } = await testServer(t);
                const users = name === ofUser[0][0] ? 4 : 20;
                const codes = codesOf(users, 40 / users);
                const most = name === ofUser[0][0] ? 3 : 11;
                const id = await locked(client, codes, limiting(per, name, value(most)));
                const random = seededRandom();
                const held = []; // redemptions that may not be rolled back yet
                const told = [];
                await inParallel(numbered('', 600), width, async () => {
                    if (random.below(3) > 0 || held.length === 0) {
                        const code = random.pick(codes);
                        await client.lock(code, holder(code));
                        const answer = await client.redeem(code, holder(code));
                        told.push(answer.status === 201 ? 'redeemed' : answer.body.code);
                        if (answer.status === 201) held.push(answer.body.redemption.id);
                        return;
                    }
                    const [taken] = held.splice(random.below(held.length), 1);
                    const twice = await Promise.all([client.rollBack(taken), client.rollBack(taken)]);
                    assert.deepEqual(twice.map(({ status }) => status).sort(), [201, 409]);
                    told.push('rolled back');
                });
                t.diagnostic(JSON.stringify(tally(told)));
                const expected = [
                    ...['redeemed', 'rolled back', refusals[refusal][2]],
                    ...['coupon_already_redeemed', 'coupon_not_locked'],
                ];
                assert.deepEqual(told.filter((each) => !expected.includes(each)), []);
                assert.ok(told.filter((each) => each === 'rolled back').length > 20, 'too few');
                assert.equal(await redeemedOf(client, id), held.length);
                await tryTheRest(client, codes, refusal);
                const total = name === ofUser[0][0] ? most * users : most;
                assert.equal(await redeemedOf(client, id), total);
                await verifyServer(t, server, client);
            });
        }
    }

    it('and parts that are given back uses a budget to the last cent', async (t) => {
        const { server, client } = await testServer(t);
        for (const per of ever) {
            const codes = numbered(`${per}-`, 240);
            const budget = 40.03;
            const id = await locked(client, codes, limiting(per, 'budget', budget), percent(10));
            const random = seededRandom();
            const made = [];
            let next = 0;
            await inParallel(numbered('', 300), width, async () => {
                const kind = random.below(4);
                if (kind < 2 || made.length === 0) {
                    if (next === 150) return;
                    const code = codes[next];
                    next += 1;
                    const answer = await client.redeem(code, per, order((100 + random.below(9_900)) / 100));
                    if (answer.status === 201) made.push(answer.body.redemption);
                    else assertRefused(answer, ...refusals.budgetExhausted);
                    return;
                }
                const { id: redemption, discountAmount } = random.pick(made);
                const part = Math.max(0.01, Math.floor(25 * discountAmount) / 100);
                await client.rollBack(redemption, kind === 2 ? { amount: part } : undefined);
            });
            const left = async () => Math.round(100 * (budget - (await takenOff(client, id))));
            assert.ok((await left()) >= 0, `${per}: ${await left()}`);
            // Small orders fill it up: what is left, and one cent more that is not.
            const rest = await left();
            const big = await client.redeem(codes[239], per, order((rest + 1) / 10));
            assertRefused(big, ...refusals.budgetExhausted);
            const step = Math.max(1, Math.ceil(rest / 40));
            const tries = codes.slice(150, 239);
            await inParallel(tries, width, async (code) => {
                const answer = await client.redeem(code, per, order(step / 10));
                if (answer.status !== 201) assertRefused(answer, ...refusals.budgetExhausted);
            });
            const cents = await left();
            assert.ok(cents >= 0 && cents < step, `${per}: ${cents} of ${rest}`);
            if (cents > 0) {
                const last = await client.redeem(codes[239], per, order(cents / 10));
                assert.equal(last.status, 201, last.text);
            }
            assert.equal(await left(), 0);
        }
        await verifyServer(t, server, client);
    });
});

describe('limits that change at once', () => {
    it('are kept as they are then, whatever else is done', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const codes = codesOf(6, 20);
        const id = await locked(client, codes, {});
        const some = () => random.pick([null, 2, 5, 20, 60]);
        const limits = () => ({
            maxRedemptions: some(),
            maxRedemptionsPerUser: random.pick([null, 1, 3, 8]),
            budget: random.pick([null, 4.99, 20, 77.7, 300]),
        });
        const made = [];
        const names = ['allRedeemed', 'budgetExhausted', 'limitReached'];
        const isLimited = ({ body }) => names.some((name) => refusals[name][2] === body.code);
        const redeem = async (own, sent) => {
            const answer = await client.redeemAll(own, holder(own[0]), sent);
            if (answer.status !== 201) return answer;
            made.push(...answer.body.redemptions.map((redemption) => redemption.id));
            return answer;
        };
        const work = [
            ...Array(8).fill(async () => {
                const code = random.pick(codes);
                const lock = await client.lock(code, holder(code));
                if (isLimited(lock)) return lock;
                return redeem([code], order(1 + random.below(20), 'EUR', `${random.below(1e9)}`));
            }),
            ...Array(3).fill(async () => {
                const user = `user${random.below(6)}`;
                const own = [...new Set([1, 2, 3].map(() => `${user}-${random.below(20)}`))];
                const lock = await client.lockAll(own, user);
                if (isLimited(lock)) return lock;
                return redeem(own, order(1 + random.below(40), 'EUR', `${random.below(1e9)}`));
            }),
            ...Array(5).fill(() => client.rollBack(random.pick(made.slice(-40)) ?? 1)),
            () => client.rollBack(random.pick(made.slice(-20)) ?? 1, { amount: 1 }),
            () => client.patchBook(id, limits()),
            () => {
                const of = pers.map((per) => [per, random.below(2) ? null : limits()]);
                return client.patchBook(id, { limits: Object.fromEntries(of) });
            },
            () => client.patchBook(id, { discount: random.pick([off(5), off(2.5), percent(30)]) }),
        ];
        const told = [];
        const something = async () => {
            const { status, body, text } = await random.pick(work)();
            assert.ok([200, 201, 404, 409].includes(status), text);
            told.push(status < 400 ? 'done' : body.code);
        };
        const rare = () => names.filter((name) => !(tally(told)[refusals[name][2]] > 5));
        await untilEnough(
            () => rare().length === 0,
            () => inParallel(numbered('', 1_500), 32, something),
        );
        t.diagnostic(JSON.stringify(tally(told)));
        assert.deepEqual(rare(), [], 'too rare');
        await verifyServer(t, server, client);
    });
});
