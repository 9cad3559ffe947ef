// Persons who are erased while others assign, lock and redeem for the same ids: every change is of
// the one before or the one after, whole, and nothing leads from one to the other.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inParallel, numbered, tally } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { entriesOf } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';

const opaque = /^erased-[a-z2-7]{26}$/;

const erase = (client, user) => client.request('DELETE', `/coupon/users/${user}`);

describe('erasing a person', () => {
    it('is done by one of many who ask at once', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('C-', 20);
        await client.newBookWith(codes);
        for (const code of codes) {
            await client.mustAssign(code, 'ann');
            const answers = await inParallel(numbered('', 16), 16, () => erase(client, 'ann'));
            assert.deepEqual(tally(answers.map(({ status }) => status)), { 200: 1, 404: 15 });
        }
        assert.equal((await entriesOf(client, 20, { type: 'user_erased' })).length, 20);
    });

    it('parts what was before from what comes after, while many change it', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const users = ['ann', 'bob', 'zoe'];
        const codes = numbered('E-', 600);
        const book = await client.newBookWith(codes, { maxRedemptionsPerUser: 5 });
        const assigned = new Map(users.map((user) => [user, []]));
        const answers = { assign: [], lock: [], redeem: [], erase: [] };
        const keep = (kind, answer, statuses) => {
            assert.ok(statuses.includes(answer.status), `${kind}: ${answer.text}`);
            answers[kind].push(answer);
            return answer;
        };

        async function change(user) {
            const answer = keep('assign', await client.assignAny(user, book.id), [201, 404]);
            if (answer.status === 404) return;
            const { code } = answer.body;
            assigned.get(user).push(code);
            const statuses = [201, 409];
            const locked = keep('lock', await client.lock(code, user), statuses);
            if (locked.status === 201) keep('redeem', await client.redeem(code, user), statuses);
        }

        async function forget(user) {
            const known = [...assigned.get(user)];
            const { status } = keep('erase', await erase(client, user), [200, 404]);
            if (known.length === 0) return;
            // Whoever was answered before it was sent has nothing of it any more.
            const code = random.pick(known);
            const { body } = await client.get(`/coupon/code/${code}`);
            assert.match(body.assignedTo, opaque, `${status}: ${JSON.stringify(body)}`);
            const again = await client.lock(code, user);
            assert.equal(again.body.code, 'coupon_not_assigned_to_user', again.text);
        }

        await inParallel(numbered('', 600), 32, () => {
            const user = random.pick(users);
            return random.below(6) === 0 ? forget(user) : change(user);
        });
        for (const user of users) await forget(user);

        const count = (kind, status) =>
            answers[kind].filter((answer) => answer.status === status).length;
        const erasures = await entriesOf(client, count('erase', 200), { type: 'user_erased' });
        t.diagnostic(
            JSON.stringify(
                Object.fromEntries(
                    Object.entries(answers).map(([kind, all]) => [
                        kind,
                        tally(all.map(({ status }) => status)),
                    ]),
                ),
            ),
        );
        assert.ok(erasures.length > 20, `only ${erasures.length} erasures`);
        assert.ok(count('redeem', 201) > 20, 'hardly anybody redeemed');
        const persons = new Set(erasures.map(({ userId }) => userId));
        assert.equal(persons.size, erasures.length);

        // Nobody is left but those who were erased, and each change is one of theirs.
        const rows = await server.data.query('SELECT user_id FROM coupon_user');
        assert.deepEqual(new Set(rows.map(({ user_id: user }) => user)), persons);
        const holders = new Map();
        for (const entry of await client.allEvents({ bookId: book.id })) {
            if (entry.code === null) continue;
            const holder = holders.get(entry.code) ?? entry.userId;
            assert.equal(entry.userId, holder, JSON.stringify(entry));
            assert.ok(persons.has(holder), JSON.stringify(entry));
            holders.set(entry.code, holder);
        }
        assert.equal(holders.size, count('assign', 201));
        const listed = (await client.bookWithCodes(book.id)).codes;
        for (const { code, assignedTo } of listed) {
            assert.equal(assignedTo, holders.get(code) ?? null);
        }
        const redeemed = listed.filter(({ isRedeemed }) => isRedeemed);
        assert.equal(redeemed.length, count('redeem', 201));
        for (const times of Object.values(tally(redeemed.map(({ assignedTo }) => assignedTo)))) {
            assert.ok(times <= 5, `${times} redemptions of one person`);
        }
        await server.data.verify();
    });
});
