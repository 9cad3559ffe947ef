// The same keys from everywhere at once: each has one effect and one answer.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Client, inParallel, numbered } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { isReplayed, postUntilAnswered } from '../support/retry.js';

const keys = 150;
const times = 6;

describe('keys that many clients send at once', () => {
    it('have one effect each, and one answer', async (t) => {
        const { server, client } = await testServer(t);
        const clients = (server.servers ?? [server]).map((each) => new Client(() => each.port));
        t.after(() => clients.forEach((each) => each.close()));
        const book = await client.newBookWith(numbered('C-', keys));
        const requests = numbered('', keys * times).map((number) => Number(number) % keys);
        const answers = await inParallel(requests, 48, async (key, index) => {
            const by = clients[index % clients.length];
            const body = { userId: `user-${key}`, couponBookId: book.id };
            return [key, await postUntilAnswered(by, '/coupon/assign', body, `key-${key}`)];
        });
        const texts = new Map(numbered('', keys).map((number) => [Number(number), new Set()]));
        for (const [key, answer] of answers) {
            assert.equal(answer.status, 201, answer.text);
            texts.get(key).add(answer.text);
        }
        for (const [key, different] of texts) assert.equal(different.size, 1, `key ${key}`);
        const firsts = answers.filter(([, answer]) => !isReplayed(answer));
        assert.equal(firsts.length, keys);
        const { counts } = await client.bookWithCodes(book.id);
        assert.equal(counts.available, 0);
        assert.equal(counts.assigned, keys);
        await server.data.verify();
    });
});
