// Files of codes to the server and back, by couponctl.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

import { Ctl } from '../support/couponctl.js';
import { suiteServer, testServer } from '../support/harness.js';

const c = suiteServer();
const mebibyte = 1024;

function million(prefix) {
    const lines = [];
    for (let i = 0; i < 1_000_000; i += 1) lines.push(`${prefix}${String(i).padStart(7, '0')}`);
    return lines;
}

/** Waits until what it has printed to stderr matches. */
async function untilTold(running, pattern) {
    for (const deadline = Date.now() + 60_000; !pattern.test(running.told.stderr); ) {
        assert.ok(Date.now() < deadline, running.told.stderr);
        assert.equal(running.child.exitCode, null, running.told.stderr);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

describe('a million codes', () => {
    it('go up and come down in little memory', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook();
        const lines = million('m-');
        writeFileSync(path.join(ctl.home, 'codes.txt'), lines.join('\n'));
        const up = await ctl.run(['codes', 'upload', String(id), 'codes.txt']);
        assert.equal(up.status, 0, up.stderr);
        assert.match(up.stdout, /status +completed/);
        assert.ok(up.peakKiB > 0 && up.peakKiB < 64 * mebibyte, `${up.peakKiB} KiB`);
        const down = await ctl.run(['codes', 'export', String(id), '--file', 'out.csv']);
        assert.equal(down.status, 0, down.stderr);
        assert.ok(down.peakKiB > 0 && down.peakKiB < 64 * mebibyte, `${down.peakKiB} KiB`);
        const rows = readFileSync(path.join(ctl.home, 'out.csv'), 'utf8').split('\r\n');
        assert.equal(rows.length, 1_000_002);
        assert.deepEqual(
            [rows[1], rows[1_000_000]].map((row) => row.split(',')[0]),
            [lines[0], lines[999_999]],
        );
        const piped = await ctl.run(['codes', 'export', String(id), '--format', 'ndjson']);
        assert.equal(piped.status, 0, piped.stderr);
        assert.ok(piped.bytes > statSync(path.join(ctl.home, 'out.csv')).size);
        assert.ok(piped.peakKiB < 64 * mebibyte, `${piped.peakKiB} KiB`);
    });
});

describe('an upload', () => {
    it('takes lines, CSV and NDJSON, from files and from standard input', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook();
        const book = String(id);
        const put = (name, text) => writeFileSync(path.join(ctl.home, name), text);
        put('a.csv', 'code,userId\r\nup-1,ann\r\n');
        put('b.ndjson', '{"code":"up-2"}\n');
        put('c', 'up-"3"\r\n\nup,4\n');
        for (const args of [['a.csv'], ['b.ndjson'], ['c']]) {
            const result = await ctl.run(['codes', 'upload', book, ...args]);
            assert.equal(result.status, 0, result.stderr);
        }
        const piped = await ctl.run(['codes', 'upload', book, '-'], { stdin: 'up-5\nup-6' });
        assert.equal(piped.status, 0, piped.stderr);
        const listed = await ctl.json('codes', 'list', book);
        assert.deepEqual(
            listed.map(({ code }) => code),
            ['up-1', 'up-2', 'up-"3"', 'up,4', 'up-5', 'up-6'],
        );
    });

    it('that is refused tells why, and which rows', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBookWith(['there']);
        const args = ['codes', 'upload', String(id), '-'];
        const refused = await ctl.run(args, { stdin: 'new\nthere\n' });
        assert.equal(refused.status, 1, refused.stderr);
        assert.match(refused.stderr, /rows_rejected/);
        const job = /couponctl job rejected (\d+)/.exec(refused.stderr)[1];
        const rows = await ctl.json('job', 'rejected', job);
        assert.deepEqual(rows.map(({ line, text }) => [line, text]), [[2, 'there']]);
        const skipping = await ctl.run([...args, '--on-conflict', 'skip'], {
            stdin: 'new\nthere\n',
        });
        assert.equal(skipping.status, 0, skipping.stderr);
        assert.equal((await ctl.json('codes', 'list', String(id))).length, 2);
        const nowhere = await ctl.run(['codes', 'upload', '999999', '-'], { stdin: 'x\n' });
        assert.equal(nowhere.status, 1);
        assert.match(nowhere.stderr, /coupon_book_not_found/);
    });

    it('that was interrupted is taken up again', async (t) => {
        const { server, client } = await testServer(t);
        const ctl = new Ctl(t, server.port);
        const { id } = await client.newBook();
        writeFileSync(path.join(ctl.home, 'codes.txt'), million('i-').join('\n'));
        const args = ['codes', 'upload', String(id), 'codes.txt'];
        // While it is sent, nothing is taken in.
        const sending = ctl.begin(args);
        setTimeout(() => sending.child.kill('SIGINT'), 30);
        const first = await sending.ended;
        assert.equal(first.status, 130, first.stderr);
        assert.match(first.stderr, /interrupted/);
        // While the job runs, it goes on.
        let jobs = await client.allJobs();
        const waiting = ctl.begin(args);
        for (const deadline = Date.now() + 60_000; ; ) {
            jobs = await client.allJobs();
            if (jobs.some(({ status }) => status === 'running' || status === 'queued')) break;
            assert.ok(Date.now() < deadline);
        }
        waiting.child.kill('SIGINT');
        const second = await waiting.ended;
        assert.equal(second.status, 130, second.stderr);
        const running = /couponctl job wait (\d+)/.exec(second.stderr)?.[1];
        if (running) assert.equal((await ctl.run(['job', 'wait', running])).status, 0);
        const third = await ctl.run(args);
        assert.equal(third.status, 0, third.stderr);
        assert.equal((await ctl.json('book', 'show', String(id))).counts.total, 1_000_000);
        await server.data.verify();
    });

    it('is done once where the server is killed meanwhile', async (t) => {
        const { server, client } = await testServer(t);
        const ctl = new Ctl(t, server.port);
        const { id } = await client.newBook();
        writeFileSync(path.join(ctl.home, 'codes.txt'), million('k-').join('\n'));
        const running = ctl.begin(['codes', 'upload', String(id), 'codes.txt']);
        await new Promise((resolve) => setTimeout(resolve, 300));
        await server.kill9();
        await server.restart();
        const result = await running.ended;
        assert.equal(result.status, 0, result.stderr);
        assert.equal((await ctl.json('book', 'show', String(id))).counts.total, 1_000_000);
    });
});
