// kill -9 while images of codes are drawn: the job goes on where it was, and in the end every code has
// its image, whole, and once.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { numbered } from '../support/client.js';
import { startWorker } from '../support/coupond.js';
import { defaultBackend } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { pause } from '../support/lives.js';
import { temporaryFolder } from '../support/processes.js';
import { filesBelow, nameOf, scanned } from '../support/qr.js';
import { seededRandom } from '../support/random.js';
import { assertJob } from '../support/shapes.js';

const hasEnded = ({ finishedAt }) => finishedAt !== null;

/** As if so much time had passed that nobody else can be at its jobs any more. */
const later = (server) =>
    server.data.execute('UPDATE job SET claimed_until = 0 WHERE claimed_until IS NOT NULL');

/** Every image of `codes` is there, whole, and no other file; some are read. */
async function assertAllThere(job, codes) {
    const images = filesBelow(job.location);
    const names = codes.map((code, index) => `${index < 10_000 ? '00001' : '00002'}/${nameOf(code)}`);
    assert.deepEqual([...images.keys()].sort(), [...names].sort());
    for (const image of images.values()) assert.match(image.toString(), /^<svg [^]*<\/svg>$/);
    const different = new Set([...images.values()].map((image) => image.toString()));
    assert.equal(different.size, codes.length);
    for (let index = 0; index < codes.length; index += Math.ceil(codes.length / 20)) {
        assert.equal(await scanned(images.get(names[index])), codes[index]);
    }
}

describe('kill -9 with a job of images', () => {
    it('again and again: every image is there, and whole', async (t) => {
        const env = { QR_DIR: temporaryFolder({ inMemory: true }) };
        const { server, client } = await testServer(t, { env });
        const random = seededRandom();
        const wide = '\u{10FFFF}'.repeat(128);
        const codes = numbered('K-', 12_000);
        const { id } = await client.newBookWith([...codes.slice(0, 6_000), wide, ...codes.slice(6_000)]);
        const { id: jobId } = await client.mustDraw(id, { size: 60 });
        let [kills, before] = [0, 0];
        for (;;) {
            await pause(random.below(400));
            const { body: now } = await client.job(jobId);
            if (hasEnded(now)) break;
            assert.ok(now.created >= before, 'it went back');
            before = now.created;
            await server.kill9();
            kills += 1;
            await later(server);
            await server.start();
            if (kills >= 12) break;
        }
        t.diagnostic(`${kills} kills, the last one after ${before} images`);
        assert.ok(kills > 2, 'it was over too soon');
        const job = await client.untilJob(jobId);
        assertJob(job, {
            ...{ status: 'completed', requested: codes.length + 1, created: codes.length },
            ...{ rejected: 1, failed: 1, progress: 1 },
        });
        // The one without an image has its place all the same.
        const images = filesBelow(job.location);
        assert.equal([...images.keys()].filter((name) => name.startsWith('00001/')).length, 9_999);
        assert.deepEqual([...images.keys()].map((name) => name.slice(6)).sort(), codes.map((code) => nameOf(code)).sort());
        for (const image of images.values()) assert.match(image.toString(), /^<svg [^]*<\/svg>$/);
        const rejected = await client.rejectedRows(jobId);
        assert.deepEqual(rejected.map(({ line, text }) => [line, text]), [[6_001, wide]]);
        assert.equal(await scanned(images.get(`00002/${nameOf('K-11999')}`)), 'K-11999');
        await server.data.verify();
    });

    const several = { skip: defaultBackend() === 'sqlite' };
    it('of two workers, or stopped in their middle: the other goes on', several, async (t) => {
        const env = { QR_DIR: temporaryFolder({ inMemory: true }) };
        const { server, client } = await testServer(t, { env });
        const books = [];
        for (const prefix of ['A-', 'B-', 'C-']) {
            const codes = numbered(prefix, 4_000);
            books.push([await client.newBookWith(codes), codes]);
        }
        await server.stop();
        const workers = [await startWorker(server.data, { env }), await startWorker(server.data, { env })];
        await server.start();
        const jobs = [];
        for (const [book] of books) jobs.push(await client.mustDraw(book.id, { size: 100 }));
        const created = async () => {
            const all = await Promise.all(jobs.map((job) => client.job(job.id)));
            return all.reduce((sum, { body }) => sum + body.created, 0);
        };
        const until = async (count) => {
            for (const deadline = Date.now() + 90_000; (await created()) < count; await pause(10)) {
                assert.ok(Date.now() < deadline, `${await created()} of ${count}`);
            }
        };
        await until(1_000);
        // One is as if it hung, for so long that others take what it has; then it goes on, late.
        workers[0].kill('SIGSTOP');
        await until(2_000);
        workers[1].kill('SIGKILL');
        await workers[1].exited;
        await server.kill9();
        await later(server);
        await server.start();
        await until(4_000);
        workers[0].kill('SIGCONT');
        for (const [index, [, codes]] of books.entries()) {
            const job = await client.untilJob(jobs[index].id);
            assertJob(job, { status: 'completed', requested: 4_000, created: 4_000, rejected: 0 });
            await assertAllThere(job, codes);
        }
        workers[0].kill('SIGTERM');
        assert.deepEqual(await workers[0].exit(10_000), { code: 0, signal: null }, workers[0].output);
        // Nothing has come since, of whoever was late.
        for (const [index, [, codes]] of books.entries()) {
            await assertAllThere((await client.job(jobs[index].id)).body, codes);
        }
        await server.data.verify();
    });
});
