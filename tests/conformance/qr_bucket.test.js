// POST /coupon/qr/:id where the images go into a bucket: S3 is fauxqs.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { numbered } from '../support/client.js';
import { Fauxqs } from '../support/fauxqs.js';
import { suiteServer, testServer } from '../support/harness.js';
import { nameOf, scanned } from '../support/qr.js';
import { assertJob } from '../support/shapes.js';

const encode = encodeURIComponent;
const hasEnded = ({ finishedAt }) => finishedAt !== null;
const isUnderway = ({ created }) => created > 0;

async function until(condition, what, withinMs = 60_000) {
    for (const deadline = Date.now() + withinMs; !(await condition()); await sleep(20)) {
        assert.ok(Date.now() < deadline, `${what} within ${withinMs} ms`);
    }
}

let aws;
/** Settings of a server whose images go into `bucket`. */
const settings = (bucket, more) => ({
    ...{ S3_BUCKET: bucket, S3_ENDPOINT: aws.url },
    ...{ ...aws.env, ...more },
});

before(async () => {
    aws = await Fauxqs.start();
    for (const name of ['coupons', 'over.tls', 'outage', 'lives']) await aws.makeBucket(name);
});
after(() => aws.stop());

describe('a bucket of images', () => {
    const env = {};
    before(() => Object.assign(env, settings('coupons')));
    const c = suiteServer({ env });
    /** The objects of a job, by what of their key is below its place. */
    const imagesOf = (job, bucket = 'coupons') => {
        const place = `qr/${job.couponBookId}/${job.id}`;
        assert.equal(job.location, `s3://${bucket}/${place}`);
        const own = [...aws.objects(bucket)].filter(([key]) => key.startsWith(`${place}/`));
        return new Map(own.map(([key, object]) => [key.slice(place.length + 1), object]));
    };

    it('has what GET shows of each code, with its content type', async () => {
        const codes = ['S3-1', '/', '..', '%2F', 'a b+c', '😀é', '\u{10FFFF}'.repeat(128), "!'()*~"];
        const { id } = await c.client.newBookWith(codes);
        for (const [format, type] of [
            ['svg', 'image/svg+xml'],
            ['png', 'image/png'],
        ]) {
            const job = await c.client.drawn(id, { format, size: 500 });
            assertJob(job, { status: 'completed', created: codes.length, rejected: 0, progress: 1 });
            const images = imagesOf(job);
            assert.equal(images.size, codes.length);
            const read = new Map();
            for (const [name, { contentType, body }] of images) {
                assert.equal(contentType, type);
                read.set(await scanned(body), [name, body]);
            }
            assert.deepEqual([...read.keys()].sort(), [...codes].sort());
            for (const code of codes) {
                const [name, body] = read.get(code);
                if (encode(code).length <= 200) assert.equal(name, `00001/${nameOf(code, format)}`);
                const shown = await c.client.get(`/coupon/qr/${encode(code)}.${format}?size=500`);
                assert.deepEqual(body, shown.bytes);
            }
        }
    });

    it('takes many, and the others are told', async () => {
        const wide = '\u{10FFFF}'.repeat(128);
        const codes = [...numbered('S3M-', 1_000), wide.slice(2) + 'x'];
        const { id } = await c.client.newBookWith(codes);
        const job = await c.client.drawn(id, { size: 29 });
        assertJob(job, { status: 'completed', created: 1_000, rejected: 1, failed: 1 });
        const names = [...imagesOf(job).keys()].sort();
        assert.deepEqual(names, codes.slice(0, 1_000).map((code) => `00001/${nameOf(code)}`).sort());
        const [row] = await c.client.rejectedRows(job.id);
        assert.deepEqual([row.line, row.reason], [1_001, 'qr_size_too_small']);
    });

    it('of a book without codes is left as it is', async () => {
        const { id } = await c.client.newBook();
        const job = await c.client.drawn(id);
        assertJob(job, { status: 'completed', requested: 0, created: 0, progress: 1 });
        assert.equal(imagesOf(job).size, 0);
    });

    it('says neither codes nor secrets in the log', () => {
        assert.doesNotMatch(c.server.stderr, /S3M?-\d/);
        assert.ok(!c.server.stderr.includes(aws.secret));
    });
});

describe('a bucket', () => {
    it('that is not there ends the job, and the log says why, but no code', async (t) => {
        const { server, client } = await testServer(t, { env: settings('nowhere') });
        const { id } = await client.newBookWith(['NOBUCKET-1']);
        const job = await client.drawn(id);
        assertJob(job, { status: 'failed', created: 0, failed: 1 });
        assert.equal(job.error.code, 'images_refused');
        assert.match(server.stderr, /images of codes are not put.*S3 bucket nowhere at .*404, NoSuchBucket/);
        assert.doesNotMatch(server.stderr, /NOBUCKET-1/);
        assert.ok(!server.stderr.includes(aws.secret));
    });

    it('is reached over TLS with a certificate of its own', async (t) => {
        const tls = { S3_ENDPOINT: aws.urlOverTls };
        const trusting = settings('over.tls', { ...tls, AWS_CA_BUNDLE: aws.authority });
        const { server, client } = await testServer(t, { env: trusting });
        const { id } = await client.newBookWith(['TLS-1']);
        const job = await client.drawn(id);
        assertJob(job, { status: 'completed', created: 1 });
        const { body } = aws.objects('over.tls').get(`qr/${id}/${job.id}/00001/TLS-1.svg`);
        assert.equal(await scanned(body), 'TLS-1');
        assert.doesNotMatch(server.stderr, /not put/);

        // Without it, nobody is trusted, and somebody may mend that.
        const doubting = await testServer(t, { env: settings('over.tls', tls) });
        const book = await doubting.client.newBookWith(['TLS-2']);
        const begun = await doubting.client.mustDraw(book.id);
        await until(() => /not put.*certificate/i.test(doubting.server.stderr), 'the log');
        assertJob((await doubting.client.job(begun.id)).body, { status: 'running', created: 0 });
        assert.equal((await doubting.client.cancel(begun.id)).status, 200);
    });

    it('that is away for a while is waited for', async (t) => {
        const { server, client } = await testServer(t, { env: settings('outage') });
        const count = 3_000;
        const codes = numbered('OUT-', count);
        const { id } = await client.newBookWith(codes);
        const { id: jobId } = await client.mustDraw(id);
        await client.untilJob(jobId, isUnderway);
        await aws.down();
        await until(() => /images of codes are not put/.test(server.stderr), 'the log');
        const { body: waiting } = await client.job(jobId);
        assertJob(waiting, { status: 'running', error: null });
        assert.ok(waiting.created < count, 'it was over too soon');
        await aws.up();
        const job = await client.untilJob(jobId, hasEnded);
        assertJob(job, { status: 'completed', created: count, rejected: 0 });
        const keys = [...aws.objects('outage').keys()];
        assert.deepEqual(keys.sort(), codes.map((code) => `qr/${id}/${jobId}/00001/${nameOf(code)}`).sort());
        assert.ok(!server.stderr.includes(aws.secret));
    });

    it('that never answers lets the server stop at once, and jobs be cancelled', async (t) => {
        const silent = net.createServer((socket) => socket.on('error', () => {}));
        await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
        t.after(() => silent.close());
        const url = `http://127.0.0.1:${silent.address().port}`;
        const { server, client } = await testServer(t, { env: settings('silent', { S3_ENDPOINT: url }) });
        const { id } = await client.newBookWith(numbered('SILENT-', 300));
        const first = await client.mustDraw(id);
        await client.untilJob(first.id, ({ status }) => status === 'running');
        assert.equal((await client.cancel(first.id)).status, 200);
        const second = await client.mustDraw(id);
        // Nobody waits for what was cancelled for long.
        await client.untilJob(second.id, ({ status }) => status === 'running', 30_000);
        const since = Date.now();
        await server.stop();
        assert.ok(Date.now() - since < 5_000, `${Date.now() - since} ms`);
        await server.start();
        assertJob((await client.job(second.id)).body, { created: 0, error: null });
    });

    it('holds all images though the server is killed', async (t) => {
        const { server, client } = await testServer(t, { env: settings('lives') });
        const count = 3_000;
        const { id } = await client.newBookWith(numbered('LIVE-', count));
        const { id: jobId } = await client.mustDraw(id);
        const { created } = await client.untilJob(jobId, isUnderway);
        assert.ok(created < count, 'it was over too soon');
        await server.kill9();
        await server.data.execute('UPDATE job SET claimed_until = 0 WHERE claimed_until IS NOT NULL');
        await server.start();
        assertJob(await client.untilJob(jobId), { status: 'completed', created: count, rejected: 0 });
        assert.equal(aws.objects('lives').size, count);
    });
});
