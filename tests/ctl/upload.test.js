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
        const relay = await Relay.open(t, server);
        const ctl = new Ctl(t, relay.port);
        const { id } = await client.newBook();
        writeFileSync(path.join(ctl.home, 'codes.txt'), million('i-').join('\n'));
        const args = ['codes', 'upload', String(id), 'codes.txt'];
        // While it is sent, nothing is taken in.
        relay.stalled = true;
        const sending = ctl.begin(args);
        while (relay.asked === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        sending.child.kill('SIGINT');
        const first = await sending.ended;
        assert.equal(first.status, 130, first.stderr);
        assert.match(first.stderr, /interrupted; nothing of the file is taken in/);
        relay.stalled = false;
        // While the job runs, it goes on.
        const waiting = ctl.begin(args);
        for (const deadline = Date.now() + 60_000; ; ) {
            const jobs = await client.allJobs();
            if (jobs.some(({ status }) => status === 'running')) break;
            assert.ok(Date.now() < deadline);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        waiting.child.kill('SIGINT');
        const second = await waiting.ended;
        assert.equal(second.status, 130, second.stderr);
        const running = /couponctl job wait (\d+)/.exec(second.stderr)?.[1];
        // Where it ran before all was heard of it, it is not known by name yet.
        if (running) assert.equal((await ctl.run(['job', 'wait', running])).status, 0);
        else assert.match(second.stderr, /the file was sent, and may be taken in/);
        const third = await ctl.run(args);
        assert.equal(third.status, 0, third.stderr);
        assert.equal((await ctl.json('book', 'show', String(id))).counts.total, 1_000_000);
        await server.data.verify();
    });

    it('that was taken in is not taken in again, unless it has changed', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook();
        const args = ['codes', 'upload', String(id), 'a.txt'];
        writeFileSync(path.join(ctl.home, 'a.txt'), 'again-1\n');
        assert.equal((await ctl.run(args)).status, 0);
        const again = await ctl.run(args);
        assert.equal(again.status, 0, again.stderr);
        assert.match(again.stderr, /was taken in before, by job \d+/);
        writeFileSync(path.join(ctl.home, 'a.txt'), 'again-2\n');
        const changed = await ctl.run(args);
        assert.equal(changed.status, 0, changed.stderr);
        assert.equal((await ctl.json('codes', 'list', String(id))).length, 2);
        // One that has failed is.
        writeFileSync(path.join(ctl.home, 'a.txt'), 'again-2\nagain-3\n');
        for (let i = 0; i < 2; i += 1) assert.equal((await ctl.run(args)).status, 1);
        const { status } = await ctl.run([...args, '--on-conflict', 'skip']);
        assert.equal(status, 0);
        assert.equal((await ctl.json('codes', 'list', String(id))).length, 3);
    });

    it('from a pipe that ends by the same Ctrl-C takes nothing in', async (t) => {
        const { server, client } = await testServer(t);
        const relay = await Relay.open(t, server);
        const ctl = new Ctl(t, relay.port);
        const { id } = await client.newBook();
        for (const ends of [true, false]) {
            const running = ctl.begin(['codes', 'upload', String(id), '-'], { stdin: null });
            running.child.stdin.write('pipe-1\npipe-2\n');
            const asked = relay.asked;
            while (relay.asked === asked) await new Promise((resolve) => setTimeout(resolve, 5));
            if (ends) running.child.stdin.end();
            running.child.kill('SIGINT');
            const { status, stderr } = await running.ended;
            assert.equal(status, 130, stderr);
            assert.match(stderr, /nothing of the file is taken in/);
        }
        for (const deadline = Date.now() + 60_000; ; ) {
            const jobs = await client.allJobs();
            if (jobs.every(({ status }) => status === 'failed')) break;
            assert.ok(Date.now() < deadline, JSON.stringify(jobs));
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        assert.equal((await ctl.json('book', 'show', String(id))).counts.total, 0);
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
