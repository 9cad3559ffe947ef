// Readers who follow /coupon/events/stream while it grows, and lose it at random: each sees every
// entry once, in one order, as somebody does who reads it all when it is over.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inParallel, numbered, tally } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { History } from '../support/history.js';
import { seededRandom } from '../support/random.js';
import { EventStream, streamPath } from '../support/stream.js';

const untilReadMs = 60_000;

/**
 * Follows from the beginning until `isOver` says so of how many it has seen. `patience`: after about how
 * many entries, or how long without one, it goes away and comes back; 0: never.
 */
async function follow(server, random, patience, isOver) {
    const seen = [];
    let lastEventId = '0';
    let streams = 0;
    while (!isOver(seen.length)) {
        const stream = await EventStream.open(server.port, streamPath(), { lastEventId });
        streams += 1;
        const enough = patience === 0 ? Infinity : random.below(2 * patience);
        const leaveAt = patience === 0 ? Infinity : Date.now() + random.below(200);
        const timer = setInterval(() => stream.wakeUp(), 20);
        await stream.until(() => {
            const count = stream.events.length;
            return count >= enough || Date.now() >= leaveAt || isOver(seen.length + count);
        });
        clearInterval(timer);
        stream.close();
        seen.push(...stream.events);
        if (stream.lastId !== undefined) lastEventId = stream.lastId;
    }
    return { seen, streams };
}

describe('following the stream of the ledger', () => {
    it('shows every reader each entry once, in one order, while many write', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const history = new History(client);
        const users = numbered('user-', 30);
        const codes = []; // that were given to somebody
        let changes = 0; // that were acknowledged, each with an entry
        let written = false;
        const isOver = (count) =>
            written && (count >= changes || Date.now() > written + untilReadMs);

        const following = [0, 0, 2, 20, 200, 200].map((patience) =>
            follow(server, random, patience, isOver),
        );
        for (const each of following) each.catch(() => {});

        const book = await client.newBook({ maxRedemptionsPerUser: 20 });
        changes += 1;
        const actions = [
            (index) => history.upload(book.id, numbered(`S${index}-`, 10)),
            ...Array(5).fill(async () => {
                const answer = await history.assignAny(random.pick(users), book.id);
                if (answer.status === 201) codes.push(answer.body.code);
                return answer;
            }),
            ...Array(5).fill(() => {
                const code = random.pick(codes);
                return history.lock(code, history.holder(code));
            }),
            ...Array(5).fill(() => {
                const code = random.pick(codes);
                return history.redeem(code, history.holder(code));
            }),
        ];
        const answers = await inParallel(numbered('', 4_000), 48, (_, index) =>
            actions[random.below(codes.length === 0 ? 6 : actions.length)](index),
        );
        changes += answers.filter(({ status }) => status === 201).length;
        written = Date.now();

        const followed = await Promise.all(following);
        const all = await client.allEvents();
        t.diagnostic(JSON.stringify(tally(all.map(({ type }) => type))));
        t.diagnostic(`${followed.map(({ streams }) => streams)} streams`);
        for (const { seen } of followed) {
            assert.equal(seen.length, changes);
            assert.deepEqual(seen, all);
        }
        assert.ok(changes > 800, `only ${changes} changes`);
        await history.verify();
        await server.data.verify();
    });
});
