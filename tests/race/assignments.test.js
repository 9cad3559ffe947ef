// Users who ask for codes of a book that limits how many they hold, all at once, for any or for
// certain ones, beside others who take them back: nobody ever holds more, and with a limit of one
// everybody is told one code.
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
import { verifyServer } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';
import { RawConnection, requestText } from '../support/raw.js';
import { refusals } from '../support/refusals.js';

const width = 64;

/** A new book with a limit and these codes; its id. */
const limited = async (client, maxAssignmentsPerUser, codes) =>
    (await client.newBookWith(codes, { maxAssignmentsPerUser })).id;

/** Of answers, the codes that were given, each once. */
const givenBy = (answers) => [
    ...new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body.code)),
];

/** Every answer is a code of the user's, or one of these refusals. */
function assertAnswers(answers, user, ...names) {
    for (const answer of answers) {
        if (answer.status === 201) {
            assert.equal(answer.body.assignedTo, user);
            continue;
        }
        const name = names.find((each) => refusals[each][2] === answer.body.code);
        assert.ok(name, answer.text);
        assertRefused(answer, ...refusals[name]);
    }
}

/** Holder → codes, of all books. */
async function holdings(client) {
    const held = new Map();
    for (const { codes } of await client.allBooks({ codes: true })) {
        for (const { code, assignedTo } of codes) {
            if (assignedTo === null) continue;
            held.set(assignedTo, [...(held.get(assignedTo) ?? []), code]);
        }
    }
    return held;
}

describe('one user who asks at once', () => {
    it('for any code is told one, where one is the limit', async (t) => {
        const { server, client } = await testServer(t);
        for (const user of numbered('user-', 8)) {
            const id = await limited(client, 1, numbered(`${user} `, 100));
            const answers = await inParallel(numbered('', 128), width, () =>
                client.assignAny(user, id),
            );
            assert.deepEqual(tallyStatus(answers), { 201: 128 });
            assert.equal(givenBy(answers).length, 1);
            assertAnswers(answers, user);
            assert.equal((await client.get(`/coupon/${id}`)).body.counts.available, 99);
        }
        const entries = await verifyServer(t, server, client);
        assert.equal(entries.filter(({ type }) => type === 'code_assigned').length, 8);
    });

    for (const limit of [1, 3]) {
        it(`for certain ones is given ${limit}`, async (t) => {
            const { server, client } = await testServer(t);
            for (const user of numbered('user-', 4)) {
                const codes = numbered(`${user} `, 60);
                await limited(client, limit, codes);
                const answers = await inParallel([...codes, ...codes], width, (code) =>
                    client.assign(code, user),
                );
                assert.equal(givenBy(answers).length, limit);
                assertAnswers(answers, user, 'assignmentLimit');
            }
            await verifyServer(t, server, client);
        });

        it(`for certain ones and for any is given ${limit}`, async (t) => {
            const { server, client } = await testServer(t);
            for (const user of numbered('user-', 6)) {
                const codes = numbered(`${user} `, 60);
                const id = await limited(client, limit, codes);
                const answers = await inParallel(codes, width, (code, index) =>
                    index % 2 ? client.assign(code, user) : client.assignAny(user, id),
                );
                assert.equal(givenBy(answers).length, limit);
                assertAnswers(answers, user, 'assignmentLimit');
                const any = answers.filter((_, index) => index % 2 === 0);
                if (limit === 1) assert.deepEqual(tallyStatus(any), { 201: any.length });
            }
            await verifyServer(t, server, client);
        });
    }

    it('for any code is given as many as the limit allows', async (t) => {
        const { server, client } = await testServer(t);
        for (const [index, limit] of [2, 3, 10].entries()) {
            const user = `user-${index}`;
            const id = await limited(client, limit, numbered(`${user} `, 100));
            const answers = await inParallel(numbered('', 100), width, () =>
                client.assignAny(user, id),
            );
            assert.deepEqual(tallyStatus(answers), { 201: limit, 409: 100 - limit });
            assert.equal(givenBy(answers).length, limit);
            assertAnswers(answers, user, 'assignmentLimit');
            const { refusals: told } = (await client.get(`/coupon/${id}/stats`)).body;
            assert.deepEqual(told, { user_assignment_limit_reached: 100 - limit });
        }
        await verifyServer(t, server, client);
    });

    it('with keys of their own, and with one, is told the same', async (t) => {
        const { server, client } = await testServer(t);
        const id = await limited(client, 1, numbered('K-', 50));
        const answers = await inParallel(numbered('', 120), width, (_, index) =>
            client.post(
                '/coupon/assign',
                { userId: 'ann', couponBookId: id },
                { headers: { 'idempotency-key': index % 2 ? `k-${index}` : 'k' } },
            ),
        );
        const others = answers.filter(({ body }) => body.code !== 'idempotency_key_in_use');
        assertAnswers(others, 'ann');
        assert.equal(new Set(others.map(({ text }) => text)).size, 1);
        assert.ok(others.length >= 60);
        await verifyServer(t, server, client);
    });
});

describe('many users who ask at once', () => {
    it('are given each code once, and no user two, where there are fewer codes than users', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('M-', 150);
        const id = await limited(client, 1, codes);
        const users = numbered('user-', 400);
        const thrice = [...users, ...users, ...users].map((user, index) => [user, index * 7919]);
        thrice.sort(([, one], [, other]) => (one % 1_201) - (other % 1_201));
        const answers = await inParallel(thrice, width, ([user]) => client.assignAny(user, id));
        const told = new Map();
        answers.forEach((answer, index) => {
            const [user] = thrice[index];
            assertAnswers([answer], user, 'noneAvailable');
            if (answer.status !== 201) return;
            assert.equal(told.get(user) ?? answer.body.code, answer.body.code);
            told.set(user, answer.body.code);
        });
        assert.equal(told.size, codes.length);
        assert.equal(new Set(told.values()).size, codes.length);
        // Who has one is told so, now that there are none.
        const again = await inParallel(users, width, (user) => client.assignAny(user, id));
        assert.deepEqual(tallyStatus(again), { 201: 150, 404: 250 });
        again.forEach(({ status, body }, index) => {
            if (status === 201) assert.equal(body.code, told.get(users[index]));
        });
        await verifyServer(t, server, client);
    });

    it('are told one each, who ask several times, of as many codes as there are users', async (t) => {
        const { server, client } = await testServer(t);
        const given = [];
        for (let round = 0; round < 20; round += 1) {
            const users = numbered(`user-${round}-`, 20);
            const id = await limited(client, 1, numbered(`O-${round}-`, users.length));
            const asked = users.flatMap((user) => [user, user, user]);
            const answers = await inParallel(asked, width, (user) => client.assignAny(user, id));
            users.forEach((user, index) => {
                const own = answers.slice(3 * index, 3 * index + 3);
                assert.deepEqual(tallyStatus(own), { 201: 3 });
                assertAnswers(own, user);
                assert.equal(givenBy(own).length, 1);
                given.push(...givenBy(own));
            });
        }
        assert.equal(new Set(given).size, given.length);
        await verifyServer(t, server, client);
    });

    for (const limit of [1, 3]) {
        it(`hold up to ${limit} each, for any and for certain ones`, async (t) => {
            const { server, client } = await testServer(t);
            const random = seededRandom();
            const codes = numbered('C-', 200);
            const id = await limited(client, limit, codes);
            const users = numbered('user-', 30);
            await inParallel(numbered('', 1_200), width, async () => {
                const user = random.pick(users);
                const certain = random.below(2);
                const answer = await (certain
                    ? client.assign(random.pick(codes), user)
                    : client.assignAny(user, id));
                assertAnswers([answer], user, 'assignmentLimit', ...(certain ? ['anothersCode'] : []));
            });
            const held = await holdings(client);
            for (const user of users) assert.equal(held.get(user)?.length, limit, user);
            await verifyServer(t, server, client);
        });
    }

    it('are told one each, in order, over pipelined connections', async (t) => {
        const { server, client } = await testServer(t);
        const id = await limited(client, 1, numbered('P-', 60));
        const users = numbered('user-', 40);
        const told = new Map(users.map((user) => [user, new Set()]));
        await Promise.all(
            numbered('', 32).map(async (_, connection) => {
                const raw = await RawConnection.open(server.port);
                t.after(() => raw.destroy());
                const asked = users.map((_user, index) => users[(index + connection) % users.length]);
                const twice = asked.flatMap((user) => [user, user]);
                raw.write(
                    twice
                        .map((userId) =>
                            requestText('POST', '/coupon/assign', {
                                body: { userId, couponBookId: id },
                            }),
                        )
                        .join(''),
                );
                for (const user of twice) {
                    const { status, body } = await raw.next('POST', '/coupon/assign');
                    assert.equal(status, 201, JSON.stringify(body));
                    assert.equal(body.assignedTo, user);
                    told.get(user).add(body.code);
                }
            }),
        );
        for (const [user, codes] of told) assert.equal(codes.size, 1, user);
        assert.equal(new Set([...told.values()].flatMap((codes) => [...codes])).size, 40);
        await verifyServer(t, server, client);
    });
});

describe('codes of any book at once', () => {
    it('are within the limit of each book', async (t) => {
        const { server, client } = await testServer(t);
        const limits = [1, 2, null];
        for (const limit of limits) await limited(client, limit, numbered(`${limit}-`, 150));
        const users = numbered('user-', 8);
        const own = new Map(users.map((user) => [user, new Set()]));
        await inParallel(numbered('', 800), width, async (_, index) => {
            const user = users[index % users.length];
            const answer = await client.assignAny(user);
            assertAnswers([answer], user, 'assignmentLimit', 'noneAvailable');
            if (answer.status === 201) own.get(user).add(answer.body.code);
        });
        const held = await holdings(client);
        for (const user of users) {
            assert.deepEqual(held.get(user).sort(), [...own.get(user)].sort());
            const counts = tally(held.get(user).map((code) => code.split('-')[0]));
            assert.ok(counts[1] <= 1 && counts[2] <= 2, JSON.stringify(counts));
        }
        await verifyServer(t, server, client);
    });

    it('that were drawn for who may not have them are there for who may', async (t) => {
        const { server, client } = await testServer(t);
        for (const limit of [1, 2]) {
            for (let round = 0; round < 20; round += 1) {
                const name = `${limit}-${round}`;
                const held = numbered(`${name}-held-`, limit);
                const free = `${name}-free`;
                await limited(client, limit, [...held, free]);
                const user = `user-${name}`;
                for (const code of held) await client.mustAssign(code, user);
                const asked = [...Array(20).fill(user), `other-${name}`, ...Array(20).fill(user)];
                const answers = await inParallel(asked, asked.length, (each) =>
                    client.assignAny(each),
                );
                const [other] = answers.splice(20, 1);
                assert.equal(other.status, 201, other.text);
                assert.equal(other.body.code, free);
                const last = limit === 1 ? [] : ['assignmentLimit'];
                assertAnswers(answers, user, 'noneAvailable', ...last);
                assert.ok(givenBy(answers).every((code) => code === held[0]));
            }
        }
        await verifyServer(t, server, client);
    });
});

describe('assigning at once beside unassigning', () => {
    for (const limit of [1, 2, 5]) {
        it(`keeps each user within ${limit}`, async (t) => {
            const { server, client } = await testServer(t);
            const random = seededRandom();
            const codes = numbered('U-', 40);
            const id = await limited(client, limit, codes);
            const users = numbered('user-', 5);
            const told = await inParallel(numbered('', 1_500), width, async () => {
                const user = random.pick(users);
                const code = random.pick(codes);
                const answer = await random.pick([
                    () => client.assignAny(user, id),
                    () => client.assignAny(user),
                    () => client.assign(code, user),
                    () => client.unassign(code, random.pick([user, undefined])),
                ])();
                assert.ok([201, 404, 409].includes(answer.status), answer.text);
                return answer.status === 201 ? 'done' : answer.body.code;
            });
            t.diagnostic(JSON.stringify(tally(told)));
            for (const [user, held] of await holdings(client)) {
                assert.ok(held.length <= limit, `${user}: ${held}`);
            }
            // Everybody can come to hold as many as that.
            for (const user of users) {
                const { body } = await client.get(`/coupon/users/${user}`);
                for (let left = limit - body.codes.length; left > 0; left -= 1) {
                    const answer = await client.assignAny(user, id);
                    assert.equal(answer.status, 201, answer.text);
                }
            }
            for (const held of (await holdings(client)).values()) assert.equal(held.length, limit);
            await verifyServer(t, server, client);
        });
    }

    it('gives the place of a code that is swapped to one other code', async (t) => {
        const { server, client } = await testServer(t);
        const id = await limited(client, 2, numbered('S-', 100));
        await client.mustAssign('S-0', 'ann');
        await client.mustAssign('S-1', 'ann');
        for (let round = 0; round < 20; round += 1) {
            const [code] = (await client.get('/coupon/users/ann')).body.codes.map((of) => of.code);
            const [freed, ...answers] = await Promise.all([
                client.unassign(code, 'ann'),
                ...numbered('', 30).map(() => client.assignAny('ann', id)),
            ]);
            assert.equal(freed.status, 201, freed.text);
            assertAnswers(answers, 'ann', 'assignmentLimit');
            const given = answers.filter(({ status }) => status === 201).length;
            assert.ok(given <= 1, `${given}`);
            if (given === 0) assert.equal((await client.assignAny('ann', id)).status, 201);
            assertRefused(await client.assignAny('ann', id), ...refusals.assignmentLimit);
        }
        await verifyServer(t, server, client);
    });
});

describe('limits that change, and users who are erased, at once', () => {
    it('are kept as they are then', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const codes = numbered('L-', 80);
        const books = [];
        for (const own of [codes.slice(0, 40), codes.slice(40)]) {
            books.push(await limited(client, 2, own));
        }
        const users = numbered('user-', 6);
        const work = [
            ...Array(6).fill((user) => client.assignAny(user, random.pick([...books, undefined]))),
            ...Array(4).fill((user) => client.assign(random.pick(codes), user)),
            ...Array(5).fill(() => client.unassign(random.pick(codes))),
            ...Array(4).fill(() =>
                client.patchBook(random.pick(books), {
                    maxAssignmentsPerUser: random.pick([null, null, 1, 2, 3]),
                }),
            ),
        ];
        const told = [];
        const something = async () => {
            const { status, body, text } = await random.pick(work)(random.pick(users));
            assert.ok([200, 201, 404, 409].includes(status), text);
            told.push(status < 400 ? 'done' : body.code);
        };
        const isEnough = () => tally(told).user_assignment_limit_reached > 20;
        await untilEnough(isEnough, () => inParallel(numbered('', 2_000), width, something));
        t.diagnostic(JSON.stringify(tally(told)));
        assert.ok(isEnough(), 'refused too rarely');
        await verifyServer(t, server, client);
    });

    it('count what was given while there was none', async (t) => {
        const { server, client } = await testServer(t);
        const flips = [null, 2, null, 2, null, 2, null, 2];
        for (const user of numbered('user-', 20)) {
            const codes = numbered(`${user} `, 4 * flips.length);
            const id = await limited(client, 2, codes);
            const requests = flips.flatMap((maxAssignmentsPerUser, index) => [
                () => client.patchBook(id, { maxAssignmentsPerUser }),
                ...codes.slice(4 * index, 4 * index + 4).map((code) => () => client.assign(code, user)),
            ]);
            const answers = await inParallel(requests, width, (send) => send());
            for (const { status, text } of answers) assert.ok([200, 201, 409].includes(status), text);
        }
        await verifyServer(t, server, client);
    });

    it('hold no more under any id', async (t) => {
        const { server, client } = await testServer(t);
        const id = await limited(client, 1, numbered('E-', 60));
        const erase = () => client.request('DELETE', '/coupon/users/ann');
        const answers = await inParallel(numbered('', 400), 32, (_, index) =>
            index % 20 === 19 ? erase() : client.assignAny('ann', id),
        );
        const asked = answers.filter((_, index) => index % 20 !== 19);
        assert.deepEqual(tallyStatus(asked), { 201: 380 });
        assertAnswers(asked, 'ann');
        const held = [...(await holdings(client)).values()];
        assert.ok(held.length > 1, 'nobody was erased');
        for (const own of held) assert.equal(own.length, 1);
        assert.equal(givenBy(asked).length, held.length);
        await server.data.verify();
    });
});
