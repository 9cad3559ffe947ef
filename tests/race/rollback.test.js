// Many who roll redemptions back at once, beside others who redeem: each redemption is taken back once,
// no more of a discount is given back than there is, no user gets beyond a limit, and an order is
// redeemed once.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
    assertRefused,
    inParallel,
    numbered,
    tally,
    tallyStatus,
    untilEnough,
} from '../support/client.js';
import { testServer } from '../support/harness.js';
import { entriesOf, verifyLedger } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';
import { refusals } from '../support/refusals.js';

const width = 64;
const order = (amount, currency = 'EUR', id = 'o-1') => ({ id, amount, currency });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });

/** The reason of a refusal. */
const told = ({ status, body }) => (status < 400 ? 'done' : body.code);

/** Codes of a new book, all `user`'s and locked; returns the book. */
async function locked(client, codes, members, user = 'ann') {
    const book = await client.newBookWith(codes, members);
    await inParallel(codes, width, (code) => client.mustAssign(code, user));
    await inParallel(codes, width, (code) => client.mustLock(code, user));
    return book;
}

/** The same, and redeemed; returns the redemptions. */
async function redeemed(client, codes, members = { discountAmount: 5 }) {
    await locked(client, codes, members);
    return inParallel(
        codes,
        width,
        async (code) => (await client.mustRedeem(code, 'ann', order(9))).redemption,
    );
}

describe('rolling back at once', () => {
    it('is done by one of 50', async (t) => {
        const { server, client } = await testServer(t);
        const redemptions = await redeemed(client, numbered('R-', 10));
        for (const { id, bookId } of redemptions) {
            const before = (await client.get(`/coupon/${bookId}`)).body.counts.redeemed;
            const answers = await inParallel(numbered('', 50), 50, () => client.rollBack(id));
            assert.deepEqual(tallyStatus(answers), { 201: 1, 409: 49 });
            for (const answer of answers) {
                if (answer.status === 409) assertRefused(answer, ...refusals.rolledBack);
            }
            const after = (await client.get(`/coupon/${bookId}`)).body.counts.redeemed;
            assert.equal(after, before - 1);
        }
        await entriesOf(client, 10, { type: 'redemption_rolled_back' });
        await verifyLedger(client);
        await server.data.verify();
    });

    it('is done by one of 20 of each of 100 redemptions, over many connections', async (t) => {
        const { server, client } = await testServer(t);
        const redemptions = await redeemed(client, numbered('N-', 100));
        // Round by round, so that those who try for one are far apart on the connections.
        const tries = Array.from({ length: 20 }, () => redemptions).flat();
        const answers = await inParallel(tries, width, ({ id }) => client.rollBack(id));
        const won = tries.filter((_, index) => answers[index].status === 201).map(({ id }) => id);
        const byNumber = (one, other) => one - other;
        assert.deepEqual(
            won.sort(byNumber),
            redemptions.map(({ id }) => id).sort(byNumber),
        );
        for (const answer of answers) {
            if (answer.status !== 201) assertRefused(answer, ...refusals.rolledBack);
        }
        const { totals } = (await client.get('/coupon/stats')).body;
        assert.deepEqual([totals.redeemed, totals.rolledBack], [0, 100]);
        await verifyLedger(client);
        await server.data.verify();
    });

    it('gives back as many parts of a discount as there are', async (t) => {
        const { server, client } = await testServer(t);
        const redemptions = await redeemed(client, numbered('P-', 8));
        const tries = Array.from({ length: 30 }, () => redemptions).flat();
        const answers = await inParallel(tries, width, ({ id }) =>
            client.rollBack(id, { amount: 0.25 }),
        );
        for (const { id, code } of redemptions) {
            const own = answers.filter((_, index) => tries[index].id === id);
            assert.deepEqual(tally(own.map(told)), { done: 20, amount_exceeds_discount: 10 });
            // Each has seen what those before it have given back.
            const seen = own
                .filter(({ status }) => status === 201)
                .map(({ body }) => body.redemption.givenBack);
            assert.deepEqual(
                seen.sort((one, other) => one - other),
                Array.from({ length: 20 }, (_, index) => (index + 1) / 4),
            );
            const { status, redemptions: left } = (await client.get(`/coupon/code/${code}`)).body;
            assert.deepEqual([status, left[0].givenBack], ['redeemed', 5]);
        }
        const { totals } = (await client.get('/coupon/stats')).body;
        assert.deepEqual([totals.redeemed, totals.rolledBack], [8, 0]);
        await verifyLedger(client);
        await server.data.verify();
    });

    it('whole and in parts: what is given back is the discount, once', async (t) => {
        const { server, client } = await testServer(t);
        const redemptions = await redeemed(client, numbered('W-', 40));
        const tries = redemptions.flatMap(({ id }) =>
            Array.from({ length: 12 }, (_, index) => [id, index % 6 === 3]),
        );
        const answers = await inParallel(tries, width, ([id, whole]) =>
            client.rollBack(id, whole ? undefined : { amount: 0.75 }),
        );
        const found = [];
        for (const { id } of redemptions) {
            const own = answers.filter((_, index) => tries[index][0] === id);
            const { done, ...rest } = tally(own.map(told));
            const wholes = own.filter(({ body }) => body.redemption?.rolledBackAt);
            assert.equal(wholes.length, 1);
            assert.equal(wholes[0].body.redemption.givenBack, 5);
            assert.deepEqual(
                Object.keys(rest).filter(
                    (code) => !['already_rolled_back', 'amount_exceeds_discount'].includes(code),
                ),
                [],
            );
            found.push(done - 1);
        }
        t.diagnostic(`parts before the whole: ${JSON.stringify(tally(found))}`);
        const { totals } = (await client.get('/coupon/stats')).body;
        assert.deepEqual([totals.redeemed, totals.rolledBack], [0, 40]);
        for (const { amount } of totals.discounts) assert.equal(amount, 0);
        await verifyLedger(client);
        await server.data.verify();
    });

    it('has one effect and one answer of a key, however many send it', async (t) => {
        const { server, client } = await testServer(t);
        const redemptions = await redeemed(client, numbered('K-', 10));
        for (const [index, { id }] of redemptions.entries()) {
            const members = index % 2 ? undefined : { amount: 2 };
            const answers = await inParallel(numbered('', 16), 16, () =>
                client.rollBack(id, members, keyed(`k-${id}`)),
            );
            const texts = new Set();
            for (const answer of answers) {
                if (answer.status === 201) texts.add(answer.text);
                else assertRefused(answer, 409, undefined, 'idempotency_key_in_use');
            }
            assert.equal(texts.size, 1);
        }
        await entriesOf(client, 5, { type: 'redemption_rolled_back' });
        await entriesOf(client, 5, { type: 'discount_given_back' });
        await verifyLedger(client);
        await server.data.verify();
    });
});

describe('rolling back beside redeeming', () => {
    it('lets a user have what the limit allows, never more, and all of it in the end', async (t) => {
        const { server, client } = await testServer(t);
        const limit = 3;
        const users = numbered('user-', 6);
        const codes = users.flatMap((user) => numbered(`${user}-`, 8));
        const holder = (code) => code.slice(0, code.lastIndexOf('-'));
        const { id: bookId } = await client.newBookWith(codes, { maxRedemptionsPerUser: limit });
        await inParallel(codes, width, (code) => client.mustAssign(code, holder(code)));
        const answers = [];
        const held = new Map(users.map((user) => [user, []])); // redemptions not rolled back yet
        const use = async (code) => {
            const user = holder(code);
            const lock = await client.lock(code, user);
            const isLimited = lock.body.code === 'user_redemption_limit_reached';
            const answer = isLimited ? lock : await client.redeem(code, user);
            answers.push(answer);
            if (answer.status !== 201) return;
            held.get(user).push(answer.body.redemption.id);
        };
        const giveBack = async (user) => {
            const id = held.get(user).shift();
            if (id === undefined) return;
            const twice = await Promise.all([client.rollBack(id), client.rollBack(id)]);
            assert.deepEqual(tallyStatus(twice), { 201: 1, 409: 1 });
            answers.push(...twice);
        };
        const random = seededRandom();
        await inParallel(numbered('', 1_200), width, () =>
            random.below(5) < 3 ? use(random.pick(codes)) : giveBack(random.pick(users)),
        );
        const counts = tally(answers.map(told));
        t.diagnostic(JSON.stringify(counts));
        assert.ok(counts.user_redemption_limit_reached > 20, 'nobody came to the limit');
        assert.ok(counts.already_rolled_back > 20, 'hardly anything was rolled back');
        // What is left of the limit can be used up, and no more than that.
        for (const user of users) {
            const own = codes.filter((code) => holder(code) === user);
            for (const code of own) {
                const { status } = (await client.get(`/coupon/code/${code}`)).body;
                if (status === 'redeemed') continue;
                const lock = await client.lock(code, user);
                const goesOn = lock.status === 201 || lock.body.code === 'coupon_already_locked';
                const last = goesOn ? await client.redeem(code, user) : lock;
                if (last.status !== 201) assertRefused(last, ...refusals.limitReached);
            }
            const { codes: left } = (await client.get(`/coupon/users/${user}`)).body;
            assert.equal(left.filter(({ isRedeemed }) => isRedeemed).length, limit, user);
        }
        const book = (await client.get(`/coupon/${bookId}`)).body;
        assert.equal(book.counts.redeemed, limit * users.length);
        await verifyLedger(client);
        await server.data.verify();
    });

    it('makes as many redemptions of an order as it is told of', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('O-', 6);
        const { id: bookId } = await client.newBookWith(codes, { discountAmount: 5 });
        await inParallel(codes, width, (code) => client.mustAssign(code, 'ann'));
        const made = new Set();
        const back = new Set();
        const known = new Map(codes.map((code) => [code, []]));
        const random = seededRandom();
        const kinds = [];
        const something = async () => {
            const code = random.pick(codes);
            const ids = known.get(code);
            const kind = random.below(3);
            if (kind === 0) {
                const answer = await client.lock(code, 'ann', order(9));
                kinds.push(`lock ${told(answer)}`);
                return;
            }
            if (kind === 1) {
                const answer = await client.redeem(code, 'ann', order(9));
                const { redemption, replayed } = answer.body;
                kinds.push(`redeem ${replayed ? 'again' : told(answer)}`);
                if (answer.status !== 201) return;
                if (!replayed) {
                    assert.ok(!made.has(redemption.id), 'told twice of the same');
                    made.add(redemption.id);
                }
                ids.push(redemption.id);
                return;
            }
            if (ids.length === 0) return;
            const id = random.pick(ids.slice(-3));
            const answer = await client.rollBack(id);
            kinds.push(`roll back ${told(answer)}`);
            if (answer.status !== 201) {
                assertRefused(answer, ...refusals.rolledBack);
                return;
            }
            assert.ok(!back.has(id), 'rolled back twice');
            back.add(id);
        };
        await untilEnough(
            () => back.size > 20,
            () => inParallel(numbered('', 1_000), width, something),
        );
        t.diagnostic(JSON.stringify(tally(kinds)));
        const ids = (entries, name) => entries.map((entry) => entry[name]);
        const byNumber = (one, other) => one - other;
        const entries = await verifyLedger(client);
        const of = (wanted) => entries.filter(({ type }) => type === wanted);
        assert.deepEqual(ids(of('code_redeemed'), 'id').sort(byNumber), [...made].sort(byNumber));
        assert.deepEqual(
            ids(of('redemption_rolled_back'), 'redemptionId').sort(byNumber),
            [...back].sort(byNumber),
        );
        assert.ok(back.size > 20, `only ${back.size} rolled back`);
        const { counts } = (await client.get(`/coupon/${bookId}`)).body;
        assert.equal(counts.redeemed, made.size - back.size);
        await server.data.verify();
    });
});

describe('redeeming for an order at once', () => {
    it('makes one redemption, of which all are told', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('S-', 10);
        await locked(client, codes, { discountAmount: 5, maxRedemptionsPerUser: 10 });
        for (const code of codes) {
            const answers = await inParallel(numbered('', 50), 50, (_, index) =>
                client.redeem(code, 'ann', order(9 + index)),
            );
            assert.deepEqual(tally(answers.map(told)), { done: 50 });
            const firsts = answers.filter(({ body }) => !body.replayed);
            assert.equal(firsts.length, 1);
            for (const { body } of answers) {
                assert.deepEqual(body.redemption, firsts[0].body.redemption);
                assert.deepEqual(body.coupon, firsts[0].body.coupon);
            }
        }
        const entries = await entriesOf(client, 10, { type: 'code_redeemed' });
        assert.equal(new Set(entries.map(({ code }) => code)).size, 10);
        await verifyLedger(client);
        await server.data.verify();
    });

    it('lets one order win, whose others are told of it and no other is', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('D-', 10);
        await locked(client, codes, { discountAmount: 5 });
        for (const code of codes) {
            const answers = await inParallel(numbered('', 48), 48, (_, index) =>
                client.redeem(code, 'ann', order(9, 'EUR', `o-${index % 6}`)),
            );
            const [first, ...others] = answers.filter(({ body }) => body.replayed === false);
            assert.deepEqual(others, []);
            const { redemption } = first.body;
            answers.forEach((answer, index) => {
                if (`o-${index % 6}` !== redemption.order.id) {
                    assertRefused(answer, ...refusals.redeemed);
                    return;
                }
                assert.equal(answer.status, 201, answer.text);
                assert.deepEqual(answer.body.redemption, redemption);
            });
        }
        await entriesOf(client, 10, { type: 'code_redeemed' });
        await verifyLedger(client);
        await server.data.verify();
    });
});

describe('orders, redemptions and roll-backs at once', () => {
    it('leave a ledger that explains everything, whatever is done', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const books = [];
        const codes = [];
        for (const maxRedemptionsPerUser of [null, 2]) {
            const own = numbered(`M${books.length}-`, 20);
            const members = { maxRedemptionsPerUser, discountAmount: 5 };
            books.push((await client.newBookWith(own, members)).id);
            codes.push(...own);
        }
        const users = numbered('user-', 4);
        const holders = new Map();
        const known = [];
        const anybody = (code) =>
            random.below(4) ? (holders.get(code) ?? random.pick(users)) : random.pick(users);
        const anyOrder = () =>
            random.pick([
                undefined,
                order(50, random.pick(['EUR', 'JPY', 'KWD']), `o-${random.below(3)}`),
                order(random.below(60), 'EUR', `o-${random.below(3)}`),
            ]);
        const onCode = (call) => () => {
            const code = random.pick(codes);
            return call(code, anybody(code));
        };
        const noted = async (sent) => {
            const answer = await sent;
            if (answer.status === 201) holders.set(answer.body.code, answer.body.assignedTo);
            return answer;
        };
        const redeem = async (code, user, sent) => {
            const answer = await client.redeem(code, user, sent);
            if (answer.status === 201) known.push(answer.body.redemption.id);
            return answer;
        };
        let whole = 0;
        let some = 0;
        const patch = (members) => client.patchBook(random.pick(books), members);
        const rarely = [
            () => patch({ maxRedemptionsPerUser: random.pick([null, 1, 3]) }),
            () => patch({ discount: random.pick([null, { type: 'percent', value: 33.33 }]) }),
            () => patch({ discount: { type: 'amount', value: 20, currency: 'EUR' } }),
            () => patch({ discount: { type: 'fixed_price', value: 9.5, minOrderAmount: 10 } }),
            () => patch({ discountAmount: random.below(20) }),
        ];
        const often = [
            ...Array(2).fill(onCode((code, user) => noted(client.assign(code, user)))),
            onCode((code, user) => client.lock(code, user, anyOrder())),
            onCode((code, user) => redeem(code, user, anyOrder())),
            ...Array(3).fill(
                onCode(async (code, user) => {
                    const sent = anyOrder();
                    await client.lock(code, user, sent);
                    return redeem(code, user, sent);
                }),
            ),
            onCode((code, user) => client.unlock(code, user)),
            onCode((code, user) => noted(client.unassign(code, random.pick([user, undefined])))),
            ...Array(3).fill(async () => {
                const answer = await client.rollBack(random.pick(known.slice(-30)) ?? 1);
                if (answer.status === 201) whole += 1;
                return answer;
            }),
            async () => {
                const amount = 1 + random.below(4);
                const answer = await client.rollBack(random.pick(known.slice(-10)) ?? 1, { amount });
                if (answer.status === 201) some += 1;
                return answer;
            },
        ];
        const kinds = [];
        const something = async () => {
            const answer = await random.pick(random.below(20) === 0 ? rarely : often)();
            assert.ok([200, 201, 404, 409].includes(answer.status), answer.text);
            kinds.push(told(answer));
        };
        const isEnough = () => whole > 50 && some > 5;
        await untilEnough(isEnough, () => inParallel(numbered('', 2_500), 32, something));
        t.diagnostic(JSON.stringify(tally(kinds)));
        assert.ok(isEnough(), `${whole} rolled back, ${some} in part`);
        const entries = await verifyLedger(client);
        const types = tally(entries.map(({ type }) => type));
        t.diagnostic(JSON.stringify(types));
        assert.equal(types.redemption_rolled_back, whole);
        assert.equal(types.discount_given_back, some);
        await server.data.verify();
    });
});
