// Everything at once, at random: whatever was answered must add up in the end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { after, inParallel, numbered } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { History, verifyCounts } from '../support/history.js';
import { seededRandom } from '../support/random.js';

describe('a mixed workload', () => {
    it('leaves a state that fits every answer', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const history = new History(client);
        const codes = [];
        const books = [];
        for (const limit of [null, 1, 3]) {
            const book = await client.newBook({ maxRedemptionsPerUser: limit });
            const own = numbered(`B${book.id}-`, 150);
            assert.equal((await history.upload(book.id, own)).status, 201);
            books.push(book.id);
            codes.push(...own);
        }
        const users = numbered('user-', 40);
        // Few codes and users, so that most of what is asked for is contended.
        const holderOr = (code) =>
            random.below(4) ? (history.holder(code) ?? random.pick(users)) : random.pick(users);
        const actions = [
            () => history.assignAny(random.pick(users), random.pick([undefined, ...books])),
            () => history.assign(random.pick(codes), random.pick(users)),
            ...Array(3).fill(() => {
                const code = random.pick(codes);
                return history.lock(code, holderOr(code));
            }),
            ...Array(3).fill(() => {
                const code = random.pick(codes);
                return history.redeem(code, holderOr(code));
            }),
            async () => {
                const answer = await client.get(
                    `/coupon?include=codes&limit=1${after(random.pick(books) - 1)}`,
                );
                assert.equal(answer.status, 200);
                verifyCounts(answer.body[0]);
                return answer;
            },
        ];
        const answers = await inParallel(numbered('', 6_000), 64, () => random.pick(actions)());
        for (const answer of answers) {
            assert.ok([200, 201, 404, 409].includes(answer.status), answer.text);
        }
        await history.verify();
        await server.data.verify();
        const { redeemed } = history.acknowledged;
        assert.ok(redeemed > 100, `only ${redeemed} redemptions: the workload does not work`);
    });
});
