// Files of codes to the server, by couponctl.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

import { Ctl, million } from '../support/couponctl.js';
import { suiteServer, testServer } from '../support/harness.js';
import { Relay } from '../support/relay.js';

const c = suiteServer();

describe('an upload', () => {
    it('takes lines, CSV and NDJSON, from files and from standard input', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook();
        const book = String(id);
        const put = (name, text) => writeFileSync(path.join(ctl.home, name), text);
        put('a.csv', 'code,userId\r\nup-1,ann\r\n');
        put('b.ndjson', '{"code":"up-2"}\n');
        put('c', '\uFEFFup-"3"\r\n\nup,4\ncode\n\'=1');
        for (const args of [['a.csv'], ['b.ndjson'], ['c']]) {
            const result = await ctl.run(['codes', 'upload', book, ...args]);
            assert.equal(result.status, 0, result.stderr);
        }
        const piped = await ctl.run(['codes', 'upload', book, '-'], { stdin: 'up-5\nup-6' });
        assert.equal(piped.status, 0, piped.stderr);
        const listed = await ctl.json('codes', 'list', book);
        assert.deepEqual(
            listed.map(({ code }) => code),
            ['up-1', 'up-2', 'up-"3"', 'up,4', 'code', "'=1", 'up-5', 'up-6'],
        );
    });

    it('that is refused tells why, and which rows', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBookWith(['there']);
        const args = ['codes', 'upload', String(id), '-'];
        const refused = await ctl.run(args, { stdin: 'new\n\nthere\n' });
        assert.equal(refused.status, 1, refused.stderr);
        assert.match(refused.stderr, /rows_rejected/);
        const job = /couponctl job rejected (\d+)/.exec(refused.stderr)[1];
        const rows = await ctl.json('job', 'rejected', job);
        assert.deepEqual(rows.map(({ line, text }) => [line, text]), [[3, 'there']]);
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
        const relay = await Relay.open(t, server);
        const ctl = new Ctl(t, relay.port);
        const { id } = await client.newBook();
        writeFileSync(path.join(ctl.home, 'codes.txt'), million('k-').join('\n'));
        const running = ctl.begin(['codes', 'upload', String(id), 'codes.txt']);
        await new Promise((resolve) => setTimeout(resolve, 300));
        await server.kill9();
        await server.start();
        const result = await running.ended;
        assert.equal(result.status, 0, result.stderr);
        assert.equal((await ctl.json('book', 'show', String(id))).counts.total, 1_000_000);
    });
});
