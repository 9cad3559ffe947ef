// The disk below the database loses its power under load, again and again: whatever was answered is
// there afterwards, nothing twice.
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

const losses = 6;
const connections = 16;

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
        end: () => (postgres.running ? postgres.kill9() : undefined),
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
    for (let round = 1; round <= losses; round += 1) {
        const target = load.count(201) + 50 + random.below(600);
        load.start(connections);
        await load.until(() => load.count(201) >= target, 60_000, `round ${round}`);
        const failed = () => load.failures + load.count(503);
        const before = failed();
        disk.losePower();
        await load.until(() => failed() > before, 60_000, `round ${round}, after the loss`);
        await load.stop();
        await end(server);
        disk.restorePower();
        await begin(server);
        await client.untilReady(60_000);
        await history.verify();
    }
    const { assigned, locked, redeemed } = history.acknowledged;
    t.diagnostic(`${assigned} assigned, ${locked} locked, ${redeemed} redeemed`);
    assert.ok(assigned > 50 && locked > 50 && redeemed > 50, 'the load does nothing');
});
