// kill -9 under load, again and again: whatever was answered is there afterwards, nothing twice.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { numbered } from '../support/client.js';
import { defaultBackend } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { History } from '../support/history.js';
import { Load } from '../support/load.js';
import { seededRandom } from '../support/random.js';

const kills = defaultBackend() === 'sqlite' ? 16 : 6;
const connections = 32;

describe('kill -9 under load', () => {
    it(`${kills} times loses nothing that was answered`, async (t) => {
        const { server, client } = await testServer(t, { connections });
        const random = seededRandom();
        const history = new History(client);
        const book = await client.newBook();
        assert.equal((await history.upload(book.id, numbered('K-', 9_000))).status, 201);
        const load = new Load(client, history, random);
        for (let round = 1; round <= kills; round += 1) {
            const target = load.count(201) + 50 + random.below(1_500);
            load.start(connections);
            await load.until(() => load.count(201) >= target, 60_000, `round ${round}`);
            const failures = load.failures;
            await server.kill9();
            // Everybody notices: what was under way is in doubt now.
            await load.until(
                () => load.failures > failures,
                60_000,
                `round ${round}, after the kill`,
            );
            await load.stop();
            await server.start();
            await history.verify();
            await server.data.verify();
        }
        const { assigned, locked, redeemed } = history.acknowledged;
        t.diagnostic(`${assigned} assigned, ${locked} locked, ${redeemed} redeemed`);
        assert.ok(assigned > 100 && locked > 100 && redeemed > 100, 'the load does nothing');
        assert.equal(load.count(503), 0);
    });

    it('while it starts, and before anything was asked of it, does no harm', async (t) => {
        const { server, client } = await testServer(t);
        const history = new History(client);
        const book = await client.newBook();
        assert.equal((await history.upload(book.id, numbered('S-', 100))).status, 201);
        for (const user of numbered('user-', 50)) await history.assignAny(user);
        for (let round = 0; round < 5; round += 1) {
            await server.kill9();
            await server.start();
        }
        await history.verify();
        assert.equal((await history.assignAny('after')).status, 201);
        await history.verify();
    });
});

describe('SIGTERM under load', () => {
    it('three times: exit 0, and everything that was answered is there', async (t) => {
        const { server, client } = await testServer(t, { connections });
        const random = seededRandom();
        const history = new History(client);
        const book = await client.newBook();
        assert.equal((await history.upload(book.id, numbered('T-', 3_000))).status, 201);
        const load = new Load(client, history, random);
        for (let round = 1; round <= 3; round += 1) {
            const target = load.count(201) + 200 + random.below(400);
            load.start(connections);
            await load.until(() => load.count(201) >= target, 60_000, `round ${round}`);
            await server.stop();
            await load.stop();
            await server.start();
            await history.verify();
            await server.data.verify();
        }
    });
});
