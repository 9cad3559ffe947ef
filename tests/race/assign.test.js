// Many who want the same codes at once: each code goes to one user, ever.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, inParallel, numbered, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { History } from '../support/history.js';
import { RawConnection, requestText } from '../support/raw.js';
import { refusals } from '../support/refusals.js';

const width = 64;

describe('assigning at once', () => {
    it('gives 2,000 codes to 2,000 of 3,000 users', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBookWith(numbered('A-', 2_000));
        const history = new History(client);
        history.uploaded(book.id, numbered('A-', 2_000));
        const users = numbered('user-', 3_000);
        const answers = await inParallel(users, width, (user) => history.assignAny(user));
        assert.deepEqual(tallyStatus(answers), { 201: 2_000, 404: 1_000 });
        const given = answers.filter(({ status }) => status === 201);
        assert.equal(new Set(given.map(({ body }) => body.code)).size, 2_000);
        assert.equal(new Set(given.map(({ body }) => body.assignedTo)).size, 2_000);
        for (const answer of answers) {
            if (answer.status === 404) assertRefused(answer, ...refusals.noneAvailable);
        }
        const [{ counts }] = await history.verify();
        assert.deepEqual(counts, {
            total: 2_000,
            available: 0,
            assigned: 2_000,
            locked: 0,
            redeemed: 0,
        });
    });

    it('gives one code to one of 200 users', async (t) => {
        const { client } = await testServer(t);
        for (let round = 0; round < 5; round += 1) {
            const code = `ONE-${round}`;
            await client.newBookWith([code]);
            const answers = await inParallel(numbered('user-', 200), width, (user) =>
                client.assign(code, user),
            );
            assert.deepEqual(tallyStatus(answers), { 201: 1, 409: 199 });
            const won = answers.find(({ status }) => status === 201);
            for (const answer of answers) {
                if (answer !== won) assertRefused(answer, ...refusals.anothersCode);
            }
            // To the same user again, by 64 at once: 201, unchanged.
            const again = await inParallel(numbered('', width), width, () =>
                client.assign(code, won.body.assignedTo),
            );
            for (const answer of again) {
                assert.equal(answer.status, 201);
                assert.equal(answer.text, won.text);
            }
        }
    });

    it('answers the same user 201 each time, also while others try', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['SAME']);
        const users = numbered('', 200).map((_, index) =>
            index % 4 === 0 ? `other-${index}` : 'ann',
        );
        const answers = await inParallel(users, width, (user) => client.assign('SAME', user));
        const holder = answers.find(({ status }) => status === 201).body.assignedTo;
        answers.forEach((answer, index) => {
            if (users[index] === holder) assert.equal(answer.status, 201);
            else assertRefused(answer, ...refusals.anothersCode);
        });
    });

    it('gives no code twice while some ask for any and others for this one', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('MIX-', 600);
        const book = await client.newBookWith(codes);
        const history = new History(client);
        history.uploaded(book.id, codes);
        const answers = await inParallel(numbered('user-', 1_500), width, (user, index) =>
            index % 2 === 0
                ? history.assignAny(user)
                : history.assign(codes[(index * 7) % codes.length], user),
        );
        const won = answers.filter(({ status }) => status === 201).map(({ body }) => body.code);
        assert.equal(won.length, codes.length);
        assert.equal(new Set(won).size, codes.length);
        await history.verify();
    });

    it('keeps to the book that each asks for', async (t) => {
        const { client } = await testServer(t);
        const one = await client.newBookWith(numbered('one-', 150));
        const two = await client.newBookWith(numbered('two-', 150));
        const scopes = [one.id, two.id, undefined];
        const history = new History(client);
        const answers = await inParallel(numbered('user-', 600), width, (user, index) =>
            history.assignAny(user, scopes[index % 3]),
        );
        answers.forEach((answer, index) => {
            if (answer.status !== 201 || index % 3 === 2) return;
            assert.match(answer.body.code, index % 3 === 0 ? /^one-/ : /^two-/);
        });
        assert.deepEqual(tallyStatus(answers), { 201: 300, 404: 300 });
        await history.verify();
    });
});

describe('assigning over pipelined connections', () => {
    it('answers each connection in order, and gives no code twice', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('PIPE-', 1_000);
        await client.newBookWith(codes);
        const connections = 32;
        const each = 40;
        const given = await Promise.all(
            Array.from({ length: connections }, async (_, connection) => {
                const raw = await RawConnection.open(server.port);
                t.after(() => raw.destroy());
                const users = numbered(`user-${connection}-`, each);
                raw.write(
                    users
                        .map((userId) =>
                            requestText('POST', '/coupon/assign', {
                                body: { userId },
                                headers: { 'X-Request-Id': userId },
                            }),
                        )
                        .join(''),
                );
                const won = [];
                for (const user of users) {
                    const answer = await raw.next('POST', '/coupon/assign');
                    assert.equal(answer.headers['x-request-id'], user);
                    if (answer.status === 201) {
                        assert.equal(answer.body.assignedTo, user);
                        won.push(answer.body.code);
                    } else {
                        assertRefused(answer, ...refusals.noneAvailable);
                    }
                }
                return won;
            }),
        );
        assert.equal(given.flat().length, codes.length);
        assert.equal(new Set(given.flat()).size, codes.length);
    });
});
