// Files of codes that come slowly, or many of them at once.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { isConnectionFailure } from '../support/history.js';
import { pause } from '../support/lives.js';
import { RawConnection, requestText } from '../support/raw.js';
import { assertJob } from '../support/shapes.js';

const rowsOf = (prefix, count) => numbered(prefix, count).map((code) => `${code}\n`);
const partBytes = 256 * 1024;
const filesAtOnce = 16;

/** A connection on which the head of a file of so many bytes was sent. */
async function begin(server, bookId, length, headers = {}) {
    const raw = await RawConnection.open(server.port);
    const fields = { 'Content-Type': 'text/csv', 'Content-Length': length, ...headers };
    raw.write(requestText('POST', `/coupon/codes/${bookId}`, { headers: fields }));
    return raw;
}

/** The only job of a book, once it is there. */
async function jobOf(client, couponBookId) {
    for (const deadline = Date.now() + 10_000; ; await pause(10)) {
        const [job] = await client.allJobs({ couponBookId });
        if (job) return job;
        assert.ok(Date.now() < deadline, 'no job');
    }
}

// Side by side, because they mostly wait.
describe('a file of codes', { concurrency: true }, () => {
    const c = suiteServer();

    it('that comes for longer than it may stand still is taken in', async (t) => {
        const { id } = await c.client.newBook();
        const rows = rowsOf('Slow-', 40_000);
        const file = rows.join('');
        const raw = await begin(c.server, id, file.length);
        t.after(() => raw.destroy());
        let sent = partBytes + 1_000;
        raw.write(file.slice(0, sent));
        const job = await jobOf(c.client, id);
        for (const end = Date.now() + 34_000; Date.now() < end; await pause(4_000)) {
            raw.write(file.slice(sent, (sent += 100)));
            assertJob((await c.client.job(job.id)).body, { status: 'queued', requested: 0 });
        }
        raw.write(file.slice(sent));
        const answer = await raw.next('POST', `/coupon/codes/${id}`);
        assert.equal(answer.status, 202, answer.text);
        assert.equal(answer.body.id, job.id);
        const ended = await c.client.untilJob(job.id);
        assertJob(ended, { status: 'completed', requested: rows.length, created: rows.length });
    });

    it('that stands still is given up after 20 seconds', async (t) => {
        const { id } = await c.client.newBook();
        const raw = await begin(c.server, id, 10 * partBytes);
        t.after(() => raw.destroy());
        raw.write(rowsOf('Still-', 40_000).join('').slice(0, partBytes + 1_000));
        const job = await jobOf(c.client, id);
        const since = Date.now();
        const answer = await raw.next('POST', `/coupon/codes/${id}`);
        assertRefused(answer, 408, undefined, 'request_timeout');
        assert.ok(Date.now() - since > 15_000, `after ${Date.now() - since} ms`);
        await raw.closed();
        const ended = await c.client.untilJob(job.id, undefined, 5_000);
        assertJob(ended, { status: 'failed', created: 0 });
        assert.equal(ended.error.code, 'upload_interrupted');
    });

    it('is asked for by whoever wants to know before it is sent', async (t) => {
        const { id } = await c.client.newBook();
        const file = rowsOf('Expect-', 3).join('');
        const raw = await begin(c.server, id, file.length, { Expect: '100-continue' });
        t.after(() => raw.destroy());
        assert.equal(await raw.nextInterim(), 100);
        raw.write(file);
        const answer = await raw.next('POST', `/coupon/codes/${id}`);
        assert.equal(answer.status, 202, answer.text);
        assertJob(await c.client.untilJob(answer.body.id), { status: 'completed', created: 3 });
        const refused = await begin(c.server, id, 2 ** 33, { Expect: '100-continue' });
        assert.equal((await refused.next('POST', `/coupon/codes/${id}`)).status, 413);
        await refused.closed();
    });

    it(`is one of ${filesAtOnce} at most that come at once`, async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const path = `/coupon/codes/${id}`;
        const rows = 30_000;
        const files = numbered('At-', filesAtOnce).map((prefix) => rowsOf(`${prefix}-`, rows).join(''));
        const coming = [];
        for (const file of files) {
            const raw = await begin(server, id, file.length);
            raw.write(file.slice(0, partBytes + 1));
            coming.push(raw);
        }
        for (let there = 0; there < filesAtOnce; await pause(10)) {
            there = (await client.allJobs()).length;
        }
        const late = await client.importFile(id, 'late\n');
        assertRefused(late, 503, undefined, 'overloaded');
        assert.match(late.headers['retry-after'], /^[1-9]\d*$/);
        // Everything else goes on.
        assert.equal((await client.upload(id, ['beside'])).status, 201);
        const [lost, ...others] = coming;
        lost.destroy();
        for (const deadline = Date.now() + 10_000; ; await pause(20)) {
            const { status, body } = await client.importFile(id, 'late\n');
            if (status === 202) {
                assertJob(await client.untilJob(body.id), { status: 'completed', created: 1 });
                break;
            }
            assert.ok(Date.now() < deadline, 'there is no room again');
        }
        for (const [index, raw] of others.entries()) {
            raw.write(files[index + 1].slice(partBytes + 1));
        }
        let count = 2;
        for (const raw of others) {
            const answer = await raw.next('POST', path);
            raw.destroy();
            assert.equal(answer.status, 202, answer.text);
            const ended = await client.untilJob(answer.body.id);
            assertJob(ended, { status: 'completed', created: rows, rejected: 0 });
            count += rows;
        }
        assert.equal((await client.get(`/coupon/${id}`)).body.counts.total, count);
        await server.data.verify();
    });

    it('that comes while the server is stopped is given up', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBook();
        const raw = await begin(server, id, 10 * partBytes);
        raw.write(rowsOf('Stop-', 40_000).join('').slice(0, partBytes + 1_000));
        const job = await jobOf(client, id);
        const small = client.importFile(id, 'before\n').catch((error) => {
            if (!isConnectionFailure(error)) throw error;
        });
        await server.stop();
        raw.destroy();
        await small;
        await server.start();
        const ended = await client.untilJob(job.id, undefined, 35_000);
        assertJob(ended, { status: 'failed', created: 0 });
        assert.equal(ended.error.code, 'upload_interrupted');
        if (await small) await client.untilJob((await small).body.id);
        await server.data.verify();
    });
});
