// kill -9 while a file of codes comes, is read and its codes are added: it goes on where it was, and
// each code comes in once, or of a file that did not come whole none.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Client, numbered } from '../support/client.js';
import { Coupond } from '../support/coupond.js';
import { defaultBackend } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { isConnectionFailure } from '../support/history.js';
import { pause } from '../support/lives.js';
import { seededRandom } from '../support/random.js';
import { RawConnection, requestText } from '../support/raw.js';
import { isReplayed } from '../support/retry.js';
import { assertJob } from '../support/shapes.js';

const rows = 200_000;
const hasEnded = ({ finishedAt }) => finishedAt !== null;
const rejectedRows = 50_000;
const fileOf = (codes) => `code,metadata.print\n${codes.map((code) => `${code},7\n`).join('')}`;
const totalOf = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts.total;
const isInterrupted = ({ status, error }) =>
    status === 'failed' && error.code === 'upload_interrupted';

/** Starts it again, as if so much time had passed that nobody else can be at its jobs any more. */
async function startLater(server) {
    await server.data.execute('UPDATE job SET claimed_until = 0 WHERE claimed_until IS NOT NULL');
    await server.start();
}

/** How many codes begin with a text, and how many different ones. */
async function countOf(server, prefix) {
    const [counted] = await server.data.query(
        'SELECT count(*) AS rows, count(DISTINCT code) AS codes FROM coupon_code ' +
            `WHERE code LIKE '${prefix}%'`,
    );
    return [Number(counted.rows), Number(counted.codes)];
}

async function partsOf(server) {
    const [{ parts }] = await server.data.query('SELECT count(*) AS parts FROM file_part');
    return Number(parts);
}

/** No part of a file whose job has ended is left, soon. */
async function untilNoParts(server) {
    for (const deadline = Date.now() + 30_000; (await partsOf(server)) > 0;) {
        assert.ok(Date.now() < deadline, 'parts of files are left');
        await pause(50);
    }
}

// Side by side, because they often wait.
describe('kill -9 with a file of codes', { concurrency: true }, () => {
    it('that still comes: its job ends, and nothing of it is left', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const file = Buffer.from(fileOf(numbered('lost-', 100_000)));
        const path = `/coupon/codes/${id}`;
        const raw = await RawConnection.open(server.port);
        const headers = { 'Content-Type': 'text/csv', 'Content-Length': file.length };
        raw.write(requestText('POST', path, { headers }));
        raw.write(file.subarray(0, 900_000));
        let [job] = await client.allJobs();
        while (!job || (await partsOf(server)) < 2) [job] = await client.allJobs();
        await server.kill9();
        raw.destroy();
        await server.start();
        const since = Date.now();
        // Whoever received it may only be slow: others wait until its claim is over.
        const ended = await client.untilJob(job.id, hasEnded, 40_000);
        t.diagnostic(`after ${Date.now() - since} ms`);
        assert.ok(isInterrupted(ended), JSON.stringify(ended));
        assertJob(ended, { requested: 0, created: 0, startedAt: null });
        await untilNoParts(server);
        assert.equal(await totalOf(client, id), 0);
    });

    it(`of ${rows} rows, again and again: all of its codes are there, each once`, async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const books = [await client.newBookWith(['clash']), await client.newBook()];
        const [skipping, whole] = ['s-', 'w-'].map((prefix) => numbered(prefix, rows));
        const clashing = numbered('x-', rejectedRows + 30_000);
        // The first and the last row are of those that are rejected, or very many.
        clashing.push('clash');
        for (let row = 0; row < rejectedRows; row += 1) clashing[row] = `${clashing[row]},`;
        skipping.unshift('clash');
        skipping.push('s-0');
        const jobs = [];
        for (const [book, codes, onConflict] of [
            [books[0], clashing, 'fail'],
            [books[1], skipping, 'skip'],
            [books[0], whole, 'fail'],
        ]) {
            jobs.push(await client.mustImport(book.id, fileOf(codes), { onConflict }));
        }
        const created = async () => {
            const all = await Promise.all(jobs.map((job) => client.job(job.id)));
            return all.map(({ body }) => body);
        };
        const sum = (all) => all.reduce((total, job) => total + job.created, 0);
        let kills = 0;
        let [while_reading, while_adding] = [0, 0];
        for (let before = 0; ; ) {
            // At first while the files are read, then further and further on.
            const target = before + random.below(90_000);
            await pause(random.below(150));
            let now = await created();
            while (kills >= 3 && sum(now) < target && !now.every(hasEnded)) now = await created();
            if (now.every(hasEnded)) break;
            const isAdding = now.some((job) => !hasEnded(job) && job.created > 0);
            isAdding ? (while_adding += 1) : (while_reading += 1);
            before = sum(now);
            await server.kill9();
            kills += 1;
            await startLater(server);
        }
        t.diagnostic(`${kills} kills, ${while_reading} before codes were added`);
        assert.ok(while_reading > 0 && while_adding > 1, 'it was over too soon');

        const [ofClashing, ofSkipping, ofWhole] = await created();
        assertJob(ofClashing, {
            ...{ status: 'failed', created: 0, rejected: rejectedRows + 1 },
            ...{ requested: clashing.length, failed: clashing.length },
        });
        assert.equal(ofClashing.error.code, 'rows_rejected');
        assertJob(ofSkipping, {
            ...{ status: 'completed', requested: rows + 2, created: rows, rejected: 2 },
        });
        assertJob(ofWhole, { status: 'completed', requested: rows, created: rows, rejected: 0 });
        const rejected = async ({ id }) =>
            (await client.rejectedRows(id)).map(({ line, reason }) => [line, reason]);
        assert.deepEqual(await rejected(ofClashing), [
            ...Array.from({ length: rejectedRows }, (_, row) => [row + 2, 'row_malformed']),
            [clashing.length + 1, 'codes_already_exist'],
        ]);
        assert.deepEqual(await rejected(ofSkipping), [
            [2, 'codes_already_exist'],
            [rows + 3, 'code_repeated'],
        ]);
        assert.deepEqual(await countOf(server, 'x-'), [0, 0]);
        for (const prefix of ['s-', 'w-']) {
            assert.deepEqual(await countOf(server, prefix), [rows, rows]);
        }
        assert.equal(await totalOf(client, books[0].id), rows + 1);
        assert.equal(await totalOf(client, books[1].id), rows);
        await untilNoParts(server);
        await server.data.verify();
    });

    it('that is sent with its key until it is answered: it is taken in once', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const { id } = await client.newBook();
        const count = 20_000;
        const wide = 'x'.repeat(300); // so that it takes a while to come
        let replayed = 0;
        const rounds = 6;
        for (let round = 0; round < rounds; round += 1) {
            const file = fileOf(numbered(`k${round}-`, count)).replaceAll(',7', `,${wide}`);
            const options = { headers: { 'idempotency-key': `file-${round}` } };
            const killed = pause(random.below(400)).then(() => server.kill9());
            const first = await client.importFile(id, file, undefined, options).catch((error) => {
                if (!isConnectionFailure(error)) throw error;
            });
            await killed;
            await startLater(server);
            const again = await client.importFile(id, file, undefined, options);
            assert.equal(again.status, 202, again.text);
            if (isReplayed(again)) replayed += 1;
            if (first) assert.deepEqual([first.text, isReplayed(again)], [again.text, true]);
            const job = await client.untilJob(again.body.id);
            assertJob(job, { status: 'completed', requested: count, created: count });
        }
        t.diagnostic(`${replayed} of ${rounds} were answered as before`);
        for (const job of await client.allJobs()) {
            if (job.status === 'completed') continue;
            assert.ok(isInterrupted(await client.untilJob(job.id, hasEnded, 35_000)));
        }
        assert.equal(await totalOf(client, id), rounds * count);
        assert.deepEqual(await countOf(server, 'k'), [rounds * count, rounds * count]);
        await untilNoParts(server);
        await server.data.verify();
    });

    const several = { skip: defaultBackend() === 'sqlite' };
    it('that one of three processes takes in: the others go on with it', several, async (t) => {
        const cluster = await Coupond.startSeveral(3);
        const client = new Client(() => cluster.port);
        t.after(async () => {
            client.close();
            await cluster.remove();
        });
        const { id } = await client.newBook();
        const count = 60_000;
        const jobs = [];
        for (const [index, onConflict] of ['fail', 'skip', 'fail', 'skip'].entries()) {
            const file = fileOf(numbered(`c${index}-`, count));
            jobs.push(await client.mustImport(id, file, { onConflict }));
        }
        const created = async () => {
            const all = await Promise.all(jobs.map((job) => client.job(job.id)));
            return all.reduce((sum, { body }) => sum + body.created, 0);
        };
        // One after the other, so that whoever works on them is among them, but the last one.
        for (const [index, victim] of cluster.servers.slice(0, 2).entries()) {
            for (const deadline = Date.now() + 60_000; (await created()) < (index + 1) * 20_000;) {
                assert.ok(Date.now() < deadline, 'nobody goes on');
            }
            await victim.kill9();
        }
        for (const { id: jobId } of jobs) {
            const job = await client.untilJob(jobId);
            assertJob(job, { status: 'completed', requested: count, created: count });
        }
        assert.equal((await client.upload(id, ['behind'])).status, 201);
        assert.deepEqual(await countOf(cluster, 'c'), [4 * count, 4 * count]);
        assert.equal(await totalOf(client, id), 4 * count + 1);
        await untilNoParts(cluster);
        await cluster.data.verify();
    });
});
