// The disk below the database loses its power under load, again and again: whatever was answered is
// there afterwards, nothing twice. The load goes on meanwhile; so what coupond was not answered by
// a PostgreSQL that has gone, it asks the one that has come back about.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Client, numbered } from '../support/client.js';
import { Coupond } from '../support/coupond.js';
import { PostgresData, SqliteData, defaultBackend, startWithTemplate } from '../support/data.js';
import { History } from '../support/history.js';
import { Load } from '../support/load.js';
import { LossyDisk } from '../support/lossy_disk.js';
import { seededRandom } from '../support/random.js';
import { unprivilegedUser } from '../support/server.js';

const losses = defaultBackend() === 'sqlite' ? 6 : 3;
const connections = 16;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Data on the disk; `end()` when its power is gone, `begin()` when it is back. */
async function dataOn(disk, backend) {
    if (backend === 'sqlite') {
        const data = new SqliteData(disk.makeFolder('data'));
        return {
            data,
            async end(server) {
                server.signal('SIGKILL'); // where it has not ended by itself, which is as good
                await server.ended();
            },
            begin: (server) => server.start(),
        };
    }
    const folder = disk.makeFolder('postgres', unprivilegedUser());
    const postgres = await startWithTemplate({ fsync: true, folder });
    return {
        data: new PostgresData({ postgres, redis: backend === 'redis' }),
        async end(server) {
            if (postgres.running) await postgres.kill9();
            assert.ok(server.running, `coupond has ended\n${server.stderr}`);
        },
        begin: () => postgres.start(),
        remove: () => postgres.remove(),
    };
}

it(`${losses} losses of power under load lose nothing that was answered`, async (t) => {
    const disk = LossyDisk.make();
    if (!disk) return;
    const { data, end, begin, remove } = await dataOn(disk, defaultBackend());
    const server = await Coupond.start({ data });
    const client = new Client(() => server.port, { connections });
    t.after(async () => {
        client.close();
        await server.remove();
        await remove?.();
    });
    const random = seededRandom();
    const history = new History(client);
    const book = await client.newBook();
    assert.equal((await history.upload(book.id, numbered('P-', 4_000))).status, 201);
    const load = new Load(client, history, random);
    const shown = [];
    /** Looks, over and over, what has happened since; who is told of it may act on it. */
    async function follow(isOver) {
        while (!isOver()) {
            const after = shown.at(-1)?.id ?? 0;
            const answer = await client.get(`/coupon/events?limit=1000&after=${after}`).catch(() => null);
            if (answer?.status === 200) shown.push(...answer.body);
            else await pause(20);
        }
    }
    for (let round = 1; round <= losses; round += 1) {
        const target = load.count(201) + 50 + random.below(600);
        load.start(connections);
        let isGone = false;
        const following = follow(() => isGone);
        await load.until(() => load.count(201) >= target, 60_000, `round ${round}`);
        disk.losePower();
        await pause(100 + random.below(200));
        await end(server);
        isGone = true;
        await following;
        disk.restorePower();
        await begin(server);
        await client.untilReady(60_000);
        await load.stop();
        const there = new Map((await client.allEvents()).map((event) => [event.id, event]));
        for (const event of shown) assert.deepEqual(there.get(event.id), event);
        await history.verify();
        await server.data.verify();
    }
    assert.ok(shown.length > 200, 'nothing was shown');
    const { assigned, locked, redeemed } = history.acknowledged;
    t.diagnostic(`${assigned} assigned, ${locked} locked, ${redeemed} redeemed`);
    assert.ok(assigned > 20 && locked > 20 && redeemed > 20, 'the load does nothing');
});
