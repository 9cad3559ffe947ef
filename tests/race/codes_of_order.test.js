// Many who lock and redeem overlapping sets of codes at once, the codes in different orders: never is a
// set half locked or half redeemed, no code is redeemed twice, and no user gets beyond a limit.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
    assertCodeRefused,
    inParallel,
    numbered,
    tally,
    tallyStatus,
    untilEnough,
} from '../support/client.js';
import { testServer } from '../support/harness.js';
import { verifyLedger } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';
import { refusals } from '../support/refusals.js';

const width = 64;
const order = (amount, currency = 'EUR', id = 'o-1') => ({ id, amount, currency });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });

/** The reason of a refusal, or what was done. */
const told = ({ status, body }) => {
    if (status >= 400) return body.code;
    return body.replayed ? 'again' : 'done';
};

/**
 * Asks again where nothing was done: who unlocks a code in Redis is alone for it, and while many do, one
 * that waits for them may be told to come back.
 */
async function patiently(ask) {
    for (;;) {
        const answer = await ask();
        if (answer.status !== 503) return answer;
    }
}

/** Codes of a new book, all `user`'s, and locked where `locked`; returns the book. */
async function held(client, codes, members, { user = 'ann', locked = false } = {}) {
    const book = await client.newBookWith(codes, members);
    await inParallel(codes, width, (code) => client.mustAssign(code, user));
    if (locked) await inParallel(codes, width, (code) => client.mustLock(code, user));
    return book;
}

function shuffled(random, items) {
    const left = [...items];
    const taken = [];
    while (left.length > 0) taken.push(...left.splice(random.below(left.length), 1));
    return taken;
}

/** Some of the codes, each once, in some order. */
const anySet = (random, codes, least, most) =>
    shuffled(random, codes).slice(0, least + random.below(most - least + 1));

/** What was asked for together, and what came of it. */
class Sets {
    asked = []; // {codes, answer, verb}

    async ask(verb, codes, sending) {
        const answer = await sending;
        this.asked.push({ verb, codes, answer });
        assert.ok([201, 404, 409].includes(answer.status), answer.text);
        const { status, body } = answer;
        if (status !== 201) assert.ok(codes.includes(body.couponCode), answer.text);
        else if (verb === 'lock') assert.deepEqual(body.locks.map(({ code }) => code), codes);
        else assert.deepEqual(body.redemptions.map(({ code }) => code), codes);
        return answer;
    }

    lock(client, codes, user = 'ann', sent = undefined, options = undefined) {
        return this.ask('lock', codes, client.lockAll(codes, user, sent, options));
    }

    redeem(client, codes, user = 'ann', sent = order(9), options = undefined) {
        return this.ask('redeem', codes, client.redeemAll(codes, user, sent, options));
    }

    /** Those that have done it. */
    done(verb) {
        return this.asked.filter((one) => one.verb === verb && told(one.answer) === 'done');
    }

    tell(t) {
        const kinds = this.asked.map(({ verb, answer }) => `${verb} ${told(answer)}`);
        t.diagnostic(JSON.stringify(tally(kinds)));
    }

    /**
     * The ledger has the entries of each set that was locked or redeemed, side by side and in the
     * order sent, and none of one that was refused. Returns its entries.
     */
    async verify(client, server) {
        const entries = await verifyLedger(client);
        const byRequest = new Map();
        for (const [index, entry] of entries.entries()) {
            const own = byRequest.get(entry.requestId) ?? [];
            if (own.length > 0) assert.equal(entries[index - 1], own.at(-1), entry.requestId);
            byRequest.set(entry.requestId, [...own, entry]);
        }
        const types = { lock: 'code_locked', redeem: 'code_redeemed' };
        for (const { verb, codes, answer } of this.asked) {
            // One that was sent again, with its key, has the id of the answer only.
            if (answer.headers['idempotent-replayed']) continue;
            const own = byRequest.get(answer.headers['x-request-id']) ?? [];
            const wanted = told(answer) === 'done' ? codes : [];
            assert.deepEqual(own.map(({ code }) => code), wanted, answer.text);
            for (const { type } of own) assert.equal(type, types[verb]);
            if (verb === 'lock' || wanted.length === 0) continue;
            const ids = answer.body.redemptions.map(({ id }) => id);
            assert.deepEqual(own.map(({ id }) => id), ids);
        }
        await server.data.verify();
        return entries;
    }
}

describe('locking sets of codes at once', () => {
    it('lets one of 50 have all of them, in whichever order they ask for them', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        for (let round = 0; round < 10; round += 1) {
            const codes = numbered(`L-${round}-`, 2 + 3 * round);
            await held(client, codes, {});
            const answers = await inParallel(numbered('', 50), 50, async () => {
                const turned = shuffled(random, codes);
                const answer = await sets.lock(client, turned);
                // Where any is locked, all are: it is the first that is in the way.
                if (answer.status !== 201) assertCodeRefused(answer, turned[0], ...refusals.locked);
                return answer;
            });
            assert.deepEqual(tallyStatus(answers), { 201: 1, 409: 49 });
        }
        sets.tell(t);
        await sets.verify(client, server);
    });

    it('lets overlapping sets have the lock whole or not at all', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        const codes = numbered('O-', 60);
        const { id } = await held(client, codes, {});
        await inParallel(numbered('', 400), width, () =>
            sets.lock(client, anySet(random, codes, 2, 6)),
        );
        sets.tell(t);
        const taken = sets.done('lock').flatMap((one) => one.codes);
        assert.equal(new Set(taken).size, taken.length, 'a code was locked twice');
        assert.ok(sets.done('lock').length > 3, 'hardly anybody had a lock');
        for (const { answer } of sets.asked) {
            if (answer.status === 201) continue;
            assertCodeRefused(answer, answer.body.couponCode, ...refusals.locked);
            assert.ok(taken.includes(answer.body.couponCode), answer.text);
        }
        const { codes: listed, counts } = await client.bookWithCodes(id);
        const locked = listed.filter(({ isLocked }) => isLocked).map(({ code }) => code);
        assert.deepEqual(locked.sort(), [...taken].sort());
        assert.equal(counts.locked, taken.length);
        await sets.verify(client, server);
    });

    it('beside those who lock and unlock one of them', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        const codes = numbered('U-', 12);
        await held(client, codes, {});
        const alone = [];
        const something = async () => {
            const kind = random.below(6);
            const code = random.pick(codes);
            const some = anySet(random, codes, 2, 4);
            if (kind < 2) {
                await sets.ask('lock', some, patiently(() => client.lockAll(some, 'ann')));
            } else if (kind < 5) {
                alone.push(await patiently(() => client.unlock(code, 'ann')));
            } else {
                alone.push(await patiently(() => client.lock(code, 'ann')));
            }
        };
        await untilEnough(
            () => sets.done('lock').length > 20,
            () => inParallel(numbered('', 1_500), width, something),
        );
        sets.tell(t);
        for (const { status, text } of alone) assert.ok([201, 409].includes(status), text);
        assert.ok(sets.done('lock').length > 20, 'hardly anybody had a lock');
        await sets.verify(client, server);
    });
});

describe('redeeming sets of codes at once', () => {
    it('lets one of 50 orders have all of them', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        for (let round = 0; round < 8; round += 1) {
            const codes = numbered(`R-${round}-`, 2 + 4 * round);
            await held(client, codes, { discountAmount: 1 }, { locked: true });
            const answers = await inParallel(numbered('', 50), 50, async (_, index) => {
                const turned = shuffled(random, codes);
                const sent = order(9, 'EUR', `o-${index}`);
                const answer = await sets.redeem(client, turned, 'ann', sent);
                if (answer.status === 201) return answer;
                assertCodeRefused(answer, turned[0], ...refusals.redeemed);
                return answer;
            });
            assert.deepEqual(tallyStatus(answers), { 201: 1, 409: 49 });
        }
        sets.tell(t);
        await sets.verify(client, server);
    });

    it('makes one redemption a code of an order, of which all are told', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        for (let round = 0; round < 8; round += 1) {
            const codes = numbered(`S-${round}-`, 2 + 4 * round);
            // They use up what the user may redeem, so whoever comes next is told of that or of them.
            const maxRedemptionsPerUser = codes.length;
            await held(client, codes, { discountAmount: 1, maxRedemptionsPerUser }, { locked: true });
            const sent = order(9, 'EUR', `o-${round}`);
            const answers = await inParallel(numbered('', 50), 50, () =>
                sets.redeem(client, shuffled(random, codes), 'ann', sent),
            );
            assert.deepEqual(tally(answers.map(told)), { done: 1, again: 49 });
            const first = answers.find((answer) => told(answer) === 'done').body;
            const known = new Map(first.redemptions.map((one) => [one.code, one]));
            for (const { body } of answers) {
                for (const one of body.redemptions) assert.deepEqual(one, known.get(one.code));
                assert.deepEqual(body.discount, first.discount);
            }
        }
        sets.tell(t);
        await sets.verify(client, server);
    });

    for (const [what, orderOf] of [
        ['of different orders', (index) => `o-${index}`],
        ['of one order', () => 'o-1'],
        ['of a few orders', (index) => `o-${index % 5}`],
    ]) {
        it(`redeems overlapping sets ${what} whole or not at all, each code once`, async (t) => {
            const { server, client } = await testServer(t);
            const random = seededRandom();
            const sets = new Sets();
            const codes = numbered('O-', 60);
            const { id } = await held(client, codes, { discountAmount: 1 }, { locked: true });
            await inParallel(numbered('', 400), width, (_, index) => {
                const sent = order(9, 'EUR', orderOf(index));
                return sets.redeem(client, anySet(random, codes, 2, 6), 'ann', sent);
            });
            sets.tell(t);
            const known = new Map();
            for (const { answer } of sets.done('redeem')) {
                for (const one of answer.body.redemptions) {
                    assert.ok(!known.has(one.code), `${one.code} was redeemed twice`);
                    known.set(one.code, one);
                }
            }
            for (const { codes: some, answer } of sets.asked) {
                if (answer.status !== 201) {
                    assertCodeRefused(answer, answer.body.couponCode, ...refusals.redeemed);
                    assert.ok(known.has(answer.body.couponCode), answer.text);
                    continue;
                }
                assert.deepEqual(answer.body.redemptions, some.map((code) => known.get(code)));
            }
            const { codes: listed } = await client.bookWithCodes(id);
            for (const { code, isRedeemed, isLocked, redeemedAt } of listed) {
                assert.equal(isRedeemed, known.has(code), code);
                assert.equal(isLocked, !isRedeemed, code);
                assert.equal(redeemedAt, known.get(code)?.at ?? null, code);
            }
            await sets.verify(client, server);
        });
    }

    it('beside those who redeem one of them', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        const codes = numbered('B-', 80);
        await held(client, codes, { discountAmount: 1 }, { locked: true });
        const alone = [];
        await inParallel(numbered('', 500), width, async (_, index) => {
            const sent = order(9, 'EUR', `o-${index % 7}`);
            if (index % 2) await sets.redeem(client, anySet(random, codes, 2, 4), 'ann', sent);
            else alone.push(await client.redeem(random.pick(codes), 'ann', sent));
        });
        sets.tell(t);
        const won = sets.done('redeem').flatMap((one) => one.codes);
        for (const answer of alone) {
            assert.ok([201, 409].includes(answer.status), answer.text);
            if (told(answer) === 'done') won.push(answer.body.redemption.code);
        }
        assert.equal(new Set(won).size, won.length, 'a code was redeemed twice');
        await sets.verify(client, server);
    });

    it('shows no set half redeemed, or half locked, to whoever looks', async (t) => {
        const { server, client } = await testServer(t);
        const sets = new Sets();
        const triples = numbered('', 60).map((number) => numbered(`V-${number}-`, 3));
        const { id } = await held(client, triples.flat(), { discountAmount: 1 });
        let working = true;
        const seen = { free: 0, locked: 0, redeemed: 0 };
        const look = async () => {
            while (working) {
                const { codes } = await client.bookWithCodes(id);
                const found = new Map(codes.map((code) => [code.code, code]));
                for (const triple of triples) {
                    const states = triple.map((code) => {
                        const { isLocked, isRedeemed } = found.get(code);
                        if (isRedeemed) return 'redeemed';
                        return isLocked ? 'locked' : 'free';
                    });
                    assert.equal(new Set(states).size, 1, JSON.stringify([triple, states]));
                    seen[states[0]] += 1;
                }
            }
        };
        const work = inParallel(triples, 4, async ([one, two, three]) => {
            await sets.lock(client, [two, one, three]);
            await Promise.all([
                sets.redeem(client, [three, one, two]),
                sets.redeem(client, [one, two, three]),
            ]);
        });
        const looking = Promise.all([look(), look(), look()]);
        // Whoever has seen something wrong has ended already.
        looking.catch(() => {});
        await work.finally(() => (working = false));
        await looking;
        t.diagnostic(JSON.stringify(seen));
        assert.equal(sets.done('redeem').length, triples.length);
        await sets.verify(client, server);
    });
});

describe('sets of codes and the limit of a user', () => {
    it('never take more than it allows, and all of it in the end', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        const limits = [1, 4, 7];
        const users = numbered('user-', 6);
        const own = new Map(users.map((user) => [user, []]));
        const books = [];
        for (const [index, maxRedemptionsPerUser] of limits.entries()) {
            const codes = users.map((user) => [user, numbered(`${user}-${index}-`, 12)]);
            const all = codes.flatMap(([, some]) => some);
            const { id } = await client.newBookWith(all);
            books.push(id);
            for (const [user, some] of codes) {
                await inParallel(some, width, (code) => client.mustAssign(code, user));
                await inParallel(some, width, (code) => client.mustLock(code, user));
                own.get(user).push(...some);
            }
            await client.mustPatchBook(id, { maxRedemptionsPerUser });
        }
        await inParallel(numbered('', 600), width, (_, index) => {
            const user = users[index % users.length];
            const sent = order(9, 'EUR', `o-${index}`);
            return sets.redeem(client, anySet(random, own.get(user), 2, 4), user, sent);
        });
        sets.tell(t);
        const bookOf = (code) => Number(code.split('-')[2]);
        const used = new Map(users.map((user) => [user, limits.map(() => 0)]));
        for (const { answer } of sets.done('redeem')) {
            for (const { code, userId } of answer.body.redemptions) used.get(userId)[bookOf(code)] += 1;
        }
        const kinds = tally(sets.asked.map(({ answer }) => told(answer)));
        assert.ok(kinds.user_redemption_limit_reached > 50, 'nobody came to the limit');
        // What is left can be used up, as one set, and no more than that.
        for (const [user, counts] of used) {
            const rest = [];
            const beyond = [];
            const { codes } = (await client.get(`/coupon/users/${user}`)).body;
            for (const [index, limit] of limits.entries()) {
                assert.ok(counts[index] <= limit, `${user}: ${counts}`);
                const open = codes.filter((one) => !one.isRedeemed && bookOf(one.code) === index);
                const names = open.map(({ code }) => code);
                assert.equal(names.length, 12 - counts[index]);
                rest.push(...names.splice(0, limit - counts[index]));
                beyond.push(names[0]);
            }
            for (const code of beyond) {
                const some = [...rest, code];
                const answer = await sets.redeem(client, some, user, order(9, 'EUR', 'too many'));
                assertCodeRefused(answer, code, ...refusals.limitReached);
            }
            if (rest.length > 0) {
                const answer = await sets.redeem(client, rest, user, order(9, 'EUR', 'rest'));
                assert.equal(answer.status, 201, answer.text);
            }
            const left = (await client.get(`/coupon/users/${user}`)).body.codes;
            const redeemed = left.filter(({ isRedeemed }) => isRedeemed).map(({ code }) => bookOf(code));
            assert.deepEqual(tally(redeemed), { 0: 1, 1: 4, 2: 7 });
        }
        for (const [index, limit] of limits.entries()) {
            const { counts } = (await client.get(`/coupon/${books[index]}`)).body;
            assert.equal(counts.redeemed, limit * users.length);
        }
        await sets.verify(client, server);
    });

    it('have it back by what is rolled back meanwhile', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        const limit = 5;
        const codes = numbered('G-', 14);
        const { id } = await held(client, codes, { maxRedemptionsPerUser: limit, discountAmount: 1 });
        const known = [];
        let back = 0;
        const something = async (_, index) => {
            if (random.below(3) === 0) {
                const redemption = random.pick(known.slice(-12));
                if (redemption === undefined) return;
                const answer = await client.rollBack(redemption);
                assert.ok([201, 409].includes(answer.status), answer.text);
                back += answer.status === 201 ? 1 : 0;
                return;
            }
            const some = anySet(random, codes, 2, 3);
            await sets.lock(client, some);
            const answer = await sets.redeem(client, some, 'ann', order(9, 'EUR', `o-${index % 9}`));
            if (answer.status === 201) known.push(...answer.body.redemptions.map((one) => one.id));
        };
        await untilEnough(
            () => back > 20,
            () => inParallel(numbered('', 1_200), width, something),
        );
        sets.tell(t);
        assert.ok(back > 20, `only ${back} rolled back`);
        const { counts } = (await client.get(`/coupon/${id}`)).body;
        const redeemed = sets.done('redeem').flatMap((one) => one.codes).length;
        assert.equal(counts.redeemed, redeemed - back);
        assert.ok(counts.redeemed <= limit, JSON.stringify(counts));
        const listed = (await client.bookWithCodes(id)).codes;
        const open = listed.filter(({ isRedeemed }) => !isRedeemed);
        // So that more are locked than may be redeemed.
        await client.mustPatchBook(id, { maxRedemptionsPerUser: null });
        for (const { code, isLocked } of open) if (!isLocked) await client.mustLock(code, 'ann');
        await client.mustPatchBook(id, { maxRedemptionsPerUser: limit });
        const rest = open.slice(0, limit - counts.redeemed + 1).map(({ code }) => code);
        const much = await sets.redeem(client, rest, 'ann', order(9, 'EUR', 'rest'));
        assertCodeRefused(much, rest.at(-1), ...refusals.limitReached);
        rest.pop();
        if (rest.length > 0) {
            const answer = await sets.redeem(client, rest, 'ann', order(9, 'EUR', 'rest'));
            assert.equal(answer.status, 201, answer.text);
        }
        assert.equal((await client.get(`/coupon/${id}`)).body.counts.redeemed, limit);
        await sets.verify(client, server);
    });
});

describe('sets of codes with a key', () => {
    it('have one effect and one answer, however many send it', async (t) => {
        const { server, client } = await testServer(t);
        const sets = new Sets();
        for (let round = 0; round < 12; round += 1) {
            const codes = numbered(`K-${round}-`, 2 + round);
            await held(client, codes, { discountAmount: 1 });
            const sent = order(9, 'EUR', `o-${round}`);
            for (const verb of ['lock', 'redeem']) {
                const key = keyed(`${verb}-${round}`);
                const answers = await inParallel(numbered('', 16), 16, () =>
                    client[`${verb}All`](codes, 'ann', sent, key),
                );
                const texts = new Set();
                for (const answer of answers) {
                    const { status, text, body, headers } = answer;
                    if (status === 201) {
                        texts.add(text);
                        if (!headers['idempotent-replayed']) sets.asked.push({ verb, codes, answer });
                        continue;
                    }
                    assert.deepEqual([status, body.code], [409, 'idempotency_key_in_use'], text);
                }
                assert.equal(texts.size, 1);
                const [text] = texts;
                assert.ok(verb === 'lock' || JSON.parse(text).replayed === false, text);
            }
        }
        await sets.verify(client, server);
    });
});

describe('sets of codes and everything else at once', () => {
    it('leave a ledger that explains all of it', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const sets = new Sets();
        const books = [];
        const codes = [];
        for (const members of [
            { discountAmount: 5 },
            { discount: { type: 'percent', value: 33.33 }, maxRedemptionsPerUser: 3 },
            { discount: { type: 'fixed_price', value: 9.5, minOrderAmount: 10 } },
            { combinable: false },
        ]) {
            const own = numbered(`M${books.length}-`, 20);
            books.push((await client.newBookWith(own, members)).id);
            codes.push(...own);
        }
        const users = numbered('user-', 3);
        await inParallel(codes, width, (code) => client.mustAssign(code, random.pick(users)));
        const known = [];
        const note = (answer) => {
            if (answer.status !== 201) return answer;
            const made = answer.body.redemptions ?? [answer.body.redemption];
            known.push(...made.map(({ id }) => id));
            return answer;
        };
        const holders = new Map();
        const refresh = async () => {
            for (const { codes: listed } of await client.allBooks({ codes: true })) {
                for (const { code, assignedTo } of listed) holders.set(code, assignedTo);
            }
        };
        await refresh();
        const anyOrder = () =>
            order(random.below(60), random.pick(['EUR', 'EUR', 'KWD']), `o-${random.below(6)}`);
        /** A set that is one user's, mostly. */
        const onSet = (call) => () => {
            const user = random.pick(users);
            const own = codes.filter((code) => holders.get(code) === user);
            // Those of the last book are not to be combined.
            const fit = own.filter((code) => !code.startsWith('M3-'));
            const few = anySet(random, random.pick([fit, fit, fit, fit, fit, own, codes]), 1, 4);
            return few.length > 0 ? call(few, user) : undefined;
        };
        const onCode = (call) => () => {
            const code = random.pick(codes);
            return call(code, holders.get(code) ?? random.pick(users));
        };
        const patch = (members) => client.patchBook(random.pick(books), members);
        const rarely = [
            () => patch({ combinable: random.below(6) > 0 }),
            () => patch({ maxRedemptionsPerUser: random.pick([null, 3, 6]) }),
            () => patch({ discount: random.pick([null, { type: 'percent', value: 12.5 }]) }),
            () => patch({ lockTtlSeconds: random.pick([null, 1, 60]) }),
            () => client.patchCode(random.pick(codes), { active: random.below(8) > 0 }),
            ...Array(3).fill(refresh),
        ];
        const often = [
            onSet((some, user) => sets.lock(client, some, user, random.pick([undefined, anyOrder()]))),
            onSet((some, user) => sets.redeem(client, some, user, anyOrder()).then(note)),
            ...Array(4).fill(
                onSet(async (some, user) => {
                    const sent = anyOrder();
                    await sets.lock(client, some, user, sent);
                    return note(await sets.redeem(client, shuffled(random, some), user, sent));
                }),
            ),
            onCode((code, user) => client.lock(code, user)),
            onCode(async (code, user) => note(await client.redeem(code, user, anyOrder()))),
            ...Array(2).fill(onCode((code, user) => client.unlock(code, user))),
            onCode((code) => client.unassign(code)),
            onCode((code) => client.assign(code, random.pick(users))),
            ...Array(7).fill(() => client.rollBack(random.pick(known.slice(-30)) ?? 1)),
            () => client.rollBack(random.pick(known.slice(-10)) ?? 1, { amount: 1 }),
        ];
        const something = async () => {
            const answer = await random.pick(random.below(20) === 0 ? rarely : often)();
            if (answer) assert.ok([200, 201, 404, 409].includes(answer.status), answer.text);
        };
        const several = () => sets.done('redeem').filter((one) => one.codes.length > 1);
        await untilEnough(
            () => several().length > 20,
            () => inParallel(numbered('', 3_000), 32, something),
        );
        sets.tell(t);
        assert.ok(several().length > 20, `only ${several().length} sets were redeemed`);
        const entries = await sets.verify(client, server);
        t.diagnostic(JSON.stringify(tally(entries.map(({ type }) => type))));
    });
});
