// Readers who follow /coupon/events while it grows: each sees every entry once, in one order, as
// somebody does who reads it all when it is over.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, eventsPath, inParallel, numbered, tally } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { History } from '../support/history.js';
import { assertAscending } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';

const untilReadMs = 30_000;

/** Asks, from 0 on, for up to `limit` entries behind the last one, until `isOver` says so. */
async function follow(client, limit, isOver) {
    const seen = [];
    let empty = 0;
    while (!isOver(seen)) {
        const answer = await client.get(eventsPath({ after: seen.at(-1)?.id ?? 0, limit }));
        assert.equal(answer.status, 200, answer.text);
        assertAscending(answer.body, seen.at(-1)?.id);
        if (answer.body.length < limit) assert.equal(answer.headers.link, undefined);
        seen.push(...answer.body);
        if (answer.body.length > 0) continue;
        empty += 1;
        await sleep(1);
    }
    return { seen, empty };
}

describe('following the ledger', () => {
    it('shows every reader each entry once, in one order, while many write', async (t) => {
        const { server, client } = await testServer(t);
        const readers = new Client(() => server.port);
        t.after(() => readers.close());
        const random = seededRandom();
        const history = new History(client);
        const users = numbered('user-', 30);
        const codes = []; // that were given to somebody
        let changes = 0; // that were acknowledged, each with an entry
        let written = false;
        const late = () => written && Date.now() > written + untilReadMs;

        const following = [3, 50, 1000, 1000].map((limit) =>
            follow(readers, limit, (seen) => (written && seen.length >= changes) || late()),
        );
        for (const each of following) each.catch(() => {});

        const book = await client.newBook({ maxRedemptionsPerUser: 20 });
        changes += 1;
        const actions = [
            (index) => history.upload(book.id, numbered(`E${index}-`, 10)),
            ...Array(5).fill(async () => {
                const scope = random.pick([undefined, book.id]);
                const answer = await history.assignAny(random.pick(users), scope);
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
        t.diagnostic(`${followed.map(({ empty }) => empty)} empty answers`);
        for (const { seen } of followed) {
            assert.equal(seen.length, changes);
            assert.deepEqual(seen, all);
        }
        assert.ok(changes > 800, `only ${changes} changes`);
        await history.verify();
        await server.data.verify();
    });
});
