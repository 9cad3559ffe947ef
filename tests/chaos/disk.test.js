// A full disk below the SQLite file, under load: 503 with Retry-After, never 500; the server stays
// up, and serves again by itself once there is space. Nothing that was answered is lost, and
// nothing that was refused is done.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { numbered } from '../support/client.js';
import { SqliteData } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { HeldDisk } from '../support/held_disk.js';
import { History } from '../support/history.js';
import { Load } from '../support/load.js';
import { seededRandom } from '../support/random.js';
import { smallDisk } from '../support/small_disk.js';

const connections = 16;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * A server on a small disk, under load, its disk filled until it says so. Its database file holds
 * `databaseBytes` before: what is new goes to a log first, and is moved there once it is much.
 */
async function fullDisk(t, { mebibytes = 48, databaseBytes = 0 } = {}) {
    const disk = smallDisk(mebibytes);
    const { server, client } = await testServer(t, {
        connections: connections + 4,
        data: new SqliteData(disk.dataDir),
        prefix: disk.prefix,
    });
    t.after(() => disk.remove());
    const history = new History(client);
    const book = await client.newBook();
    assert.equal((await history.upload(book.id, numbered('D-', 2_000))).status, 201);
    const database = server.data.file;
    // A change of a book's metadata writes the most in the least time: its entry in the ledger tells both.
    for (let index = 0; statSync(database).size < databaseBytes; index += 1) {
        await client.mustPatchBook(book.id, { metadata: { [index]: '-'.repeat(16_000) } });
    }
    const load = new Load(client, history, seededRandom());
    load.start(connections);
    await load.until(() => load.count(201) > 300, 60_000, 'load before the disk is full');
    // The server may write on in space that its files have taken already; what it frees is taken
    // from it.
    const filling = setInterval(() => disk.fill(server.pid), 50);
    const stopFilling = () => clearInterval(filling);
    t.after(stopFilling);
    await load.until(() => load.count(503) >= 50, 60_000, '503 on a full disk');
    const free = () => {
        stopFilling();
        disk.free(server.pid);
    };
    return { server, client, history, load, book, free };
}

/** Every single answer's shape, its Retry-After included, is checked on its way in. */
async function assertOutOfSpace({ server, client, load }) {
    const refused = load.count(503);
    await load.until(() => load.count(503) >= refused + 5, 60_000, 'further 503s');
    assert.ok(server.running, server.stderr);
    assert.equal((await client.get('/health/live')).status, 200);
    const list = await client.get('/coupon');
    assert.ok(list.status === 200 || list.status === 503, list.text);
}

describe('a full disk', () => {
    it('answers 503 and stays up, then serves again by itself, having lost nothing', async (t) => {
        const { server, client, history, load, book, free } = await fullDisk(t);
        for (let index = 0; index < 20; index += 1)
            await assertOutOfSpace({ server, client, load });

        free();
        const before = load.count(201);
        await load.until(
            () => load.count(201) >= before + 300,
            60_000,
            'service after space is free again',
        );
        assert.equal((await client.get('/health/ready')).status, 200);
        await load.stop();
        assert.equal(load.failures, 0, 'connections failed');
        assert.equal((await history.upload(book.id, numbered('AFTER-', 500))).status, 201);
        await history.verify();

        await server.stop();
        await server.start();
        await history.verify();
    });

    it('that the write-ahead log cannot be emptied on is no loss either', async (t) => {
        const full = await fullDisk(t, { mebibytes: 256, databaseBytes: 8 << 20 });
        const { server, history, load, free } = full;
        for (let index = 0; index < 20; index += 1) await assertOutOfSpace(full);
        free();
        const before = load.count(201);
        await load.until(() => load.count(201) >= before + 300, 60_000, 'service again');
        await load.stop();
        await server.kill9();
        await server.start();
        await history.verify();
    });

    it('is no reason not to stop on SIGTERM', async (t) => {
        const { server, history, load, free } = await fullDisk(t);
        await server.stop();
        await load.stop();
        free();
        await server.start();
        await history.verify();
        assert.equal((await history.assignAny('after')).status, 201);
    });

    it('and kill -9 lose nothing that was answered', async (t) => {
        const { server, history, load, free } = await fullDisk(t);
        await server.kill9();
        await load.stop();
        free();
        await server.start();
        await history.verify();
        assert.equal((await history.assignAny('after')).status, 201);
    });
});

it('a disk that does not take what is moved to the file ends the server, and nothing is lost', async (t) => {
    const disk = new HeldDisk();
    const { server, client } = await testServer(t, { data: new SqliteData(), env: disk.env });
    const { id } = await client.newBook();
    disk.refuse();
    // Enough to be moved while more comes.
    const job = await client.post(`/coupon/generate/${id}`, { count: 700_000 });
    assert.equal(job.status, 202, job.text);
    for (let tries = 0; server.running; tries += 1) {
        assert.ok(tries < 1_800, 'the server goes on');
        await pause(100);
    }
    assert.match(server.stderr, /the disk did not take what was written/);
    disk.accept();
    await server.start();
    await client.untilReady(60_000);
    const done = await client.untilJob(job.body.id);
    assert.equal(done.status, 'completed');
    assert.equal(done.created, 700_000);
    await server.data.verify();
});
