// Files of codes from the server, by couponctl, over connections that break.
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';

import { sanitizers } from '../support/binary.js';
import { numbered } from '../support/client.js';
import { Ctl, million } from '../support/couponctl.js';
import { suiteServer, testServer } from '../support/harness.js';
import { Relay } from '../support/relay.js';

const c = suiteServer();

/** 64 MiB; AddressSanitizer keeps what was freed. */
function assertSmall({ peakKiB }) {
    assert.ok(peakKiB > 0);
    if (!('ASAN_OPTIONS' in sanitizers())) assert.ok(peakKiB < 64 * 1024, `${peakKiB} KiB`);
}

async function until(comes) {
    for (const deadline = Date.now() + 30_000; !comes(); ) {
        assert.ok(Date.now() < deadline, 'nothing comes');
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

const read = (ctl, name) => readFileSync(path.join(ctl.home, name), 'utf8');

describe('a million codes', () => {
    it('go up and come down in little memory', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook();
        const codes = million('m-');
        writeFileSync(path.join(ctl.home, 'codes.txt'), codes.join('\n'));
        const up = await ctl.run(['codes', 'upload', String(id), 'codes.txt']);
        assert.equal(up.status, 0, up.stderr);
        assert.match(up.stdout, /status +completed/);
        assertSmall(up);
        const down = await ctl.run(['codes', 'export', String(id), '--file', 'out.csv']);
        assert.equal(down.status, 0, down.stderr);
        assertSmall(down);
        const rows = read(ctl, 'out.csv').split('\r\n');
        assert.equal(rows.length, 1_000_002);
        assert.deepEqual(
            [rows[1], rows[1_000_000]].map((row) => row.split(',')[0]),
            [codes[0], codes[999_999]],
        );
        const piped = await ctl.run(['codes', 'export', String(id), '--format', 'ndjson']);
        assert.equal(piped.status, 0, piped.stderr);
        assert.ok(piped.bytes > statSync(path.join(ctl.home, 'out.csv')).size);
        assertSmall(piped);
    });
});

describe('an export', () => {
    let book;
    const whole = {};
    const awkward = ['=1+1', "'-2", 'a,b', 'a"b"', '"', 'é', ' ', '@'];
    before(async () => {
        book = await c.client.newBookWith([...numbered('e-', 5_000), ...awkward]);
        const metadata = { note: 'in two\r\nlines, "and" quoted', n: 1 };
        for (const code of ['e-17', 'a,b', '=1+1', 'e-4999']) {
            assert.equal((await c.client.patchCode(code, { metadata })).status, 200);
        }
        for (const [format, accept] of [['csv', 'text/csv'], ['ndjson', 'application/x-ndjson']]) {
            const answer = await c.client.get(`/coupon/codes/${book.id}`, { headers: { accept } });
            whole[format] = answer.text;
        }
    });

    for (const format of ['csv', 'ndjson']) {
        it(`as ${format} goes on where connections break`, async (t) => {
            const relay = await Relay.open(t, c.server);
            const ctl = new Ctl(t, relay.port);
            const args = ['codes', 'export', String(book.id), '--format', format];
            for (const [bytes, cuts] of [[1_000, 3], [30_000, 3], [77_777, 1]]) {
                relay.after = bytes;
                relay.cuts = cuts;
                const piped = await ctl.run(args);
                assert.equal(piped.status, 0, piped.stderr);
                assert.equal(piped.stdout, whole[format]);
                assert.equal(relay.cuts, 0);
                assert.match(piped.stderr, /going on behind what has come/);
            }
            // In the middle of each row that is awkward.
            const markers = {
                csv: ["\n'=", '\n"a,', '"in two\r\nlines, ""an', 'e-4999,fr', "\n'@"],
                ndjson: ['"=1+', '"a,b","is', 'in two\\r\\nlines, \\', 'e-4999","', '}\n'],
            };
            for (const marker of markers[format]) {
                relay.marker = marker;
                relay.cuts = 1;
                const file = await ctl.run([...args, '--file', 'out']);
                assert.equal(file.status, 0, file.stderr);
                assert.match(file.stderr, /going on behind what has come/, marker);
                assert.equal(read(ctl, 'out'), whole[format]);
                assert.equal(existsSync(path.join(ctl.home, 'out.part')), false);
            }
        });

        it(`as ${format} that was interrupted is taken up by --continue`, async (t) => {
            const relay = await Relay.open(t, c.server);
            const ctl = new Ctl(t, relay.port);
            const args = ['codes', 'export', String(book.id), '--format', format];
            for (const signal of ['SIGINT', 'SIGKILL']) {
                for (const file of [['--file', 'out'], []]) {
                    relay.after = 60_000;
                    relay.held = true;
                    const running = ctl.begin([...args, ...file]);
                    const part = path.join(ctl.home, 'out.part');
                    const begun = () =>
                        file.length > 0
                            ? existsSync(part) && statSync(part).size > 4_096
                            : running.told.bytes > 4_096;
                    await until(begun);
                    running.child.kill(signal);
                    const { status, stdout, stderr } = await running.ended;
                    relay.held = false;
                    if (signal === 'SIGINT') {
                        assert.equal(status, 130, stderr);
                        assert.match(stderr, /interrupted; \d+ codes are .*\n.*--continue/);
                    }
                    if (file.length === 0) writeFileSync(path.join(ctl.home, 'out'), stdout);
                    const rest = await ctl.run([...args, '--file', 'out', '--continue']);
                    assert.equal(rest.status, 0, rest.stderr);
                    assert.equal(read(ctl, 'out'), whole[format]);
                }
            }
        });
    }

    it('begins anew where its columns are others meanwhile', async (t) => {
        const relay = await Relay.open(t, c.server);
        const ctl = new Ctl(t, relay.port);
        const { id } = await c.client.newBookWith(numbered('o-', 5_000));
        const args = ['codes', 'export', String(id)];
        writeFileSync(path.join(ctl.home, 'out.part'), 'code,status,x\r\no-1,free,\r\n');
        const other = await ctl.run([...args, '--file', 'out', '--continue']);
        assert.equal(other.status, 3, other.stderr);
        assert.match(other.stderr, /columns are others now[^]*without --continue/);
        relay.after = 60_000;
        relay.held = true;
        const file = ctl.begin([...args, '--file', 'out']);
        const part = path.join(ctl.home, 'out.part');
        await until(() => existsSync(part) && statSync(part).size > 4_096);
        assert.equal((await c.client.patchCode('o-2', { metadata: { y: 1 } })).status, 200);
        relay.held = false;
        relay.cut();
        const anew = await file.ended;
        assert.equal(anew.status, 0, anew.stderr);
        assert.match(anew.stderr, /columns are others now; beginning anew/);
        assert.equal(read(ctl, 'out').split('\r\n').length, 5_002);
        // Where what was written cannot be taken back.
        relay.after = 60_000;
        relay.held = true;
        const running = ctl.begin(args);
        await until(() => running.told.bytes > 4_096);
        assert.equal((await c.client.patchCode('o-1', { metadata: { x: 1 } })).status, 200);
        relay.held = false;
        relay.cut();
        const { status, stderr } = await running.ended;
        assert.equal(status, 3, stderr);
        assert.match(stderr, /columns are others now; \d+ codes are written\n.*begin anew/);
    });

    it('goes on over a server that is killed', async (t) => {
        const { server, client } = await testServer(t);
        const relay = await Relay.open(t, server);
        const ctl = new Ctl(t, relay.port);
        const { id } = await client.newBookWith(numbered('k-', 20_000));
        relay.after = 100_000;
        relay.held = true;
        const running = ctl.begin(['codes', 'export', String(id), '--file', 'out.csv']);
        const part = path.join(ctl.home, 'out.csv.part');
        await until(() => existsSync(part) && statSync(part).size > 4_096);
        await server.kill9();
        relay.held = false;
        await server.start();
        const { status, stderr } = await running.ended;
        assert.equal(status, 0, stderr);
        const { text } = await client.get(`/coupon/codes/${id}`, { headers: { accept: 'text/csv' } });
        assert.equal(read(ctl, 'out.csv'), text);
    });

    it('says what it cannot go on with', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const args = ['codes', 'export', String(book.id)];
        for (const [more, pattern] of [
            [['--continue'], /--file/],
            [['--file', 'none', '--continue'], /no none\.part and no none/],
            [['--file', 'x', '--continue', '--user', 'ann'], /--continue/],
            [['--file', 'no/such/folder'], /cannot write/],
            [['--file', '/dev/null'], /is no file/],
            [['--file', '.'], /is no file/],
        ]) {
            const { status, stderr } = await ctl.run([...args, ...more]);
            assert.equal(status, 2, stderr);
            assert.match(stderr, pattern);
        }
        writeFileSync(path.join(ctl.home, 'other'), 'something else\nin lines\n');
        for (const format of ['csv', 'ndjson']) {
            const { status, stderr } = await ctl.run(
                [...args, '--file', 'other', '--continue', '--format', format],
            );
            assert.equal(status, 2, stderr);
            assert.match(stderr, /no export of this book/);
            assert.equal(read(ctl, 'other'), 'something else\nin lines\n');
        }
        writeFileSync(path.join(ctl.home, 'line'), 'without an end');
        const line = await ctl.run([...args, '--file', 'line', '--continue']);
        assert.equal(line.status, 2, line.stderr);
        assert.equal(read(ctl, 'line'), 'without an end');
        const { id } = await c.client.newBookWith(numbered('z-', 3));
        assert.equal((await ctl.run(['codes', 'export', String(id), '--file', 'z'])).status, 0);
        const foreign = await ctl.run([...args, '--file', 'z', '--continue']);
        assert.equal(foreign.status, 2, foreign.stderr);
        assert.equal(read(ctl, 'z').split('\r\n').length, 5);
        const nowhere = await ctl.run(['codes', 'export', '4711', '--file', 'x']);
        assert.equal(nowhere.status, 1);
        assert.match(nowhere.stderr, /coupon_book_not_found/);
        assert.equal(existsSync(path.join(ctl.home, 'x.part')), false);
    });

    it('replaces what a link leads to', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBookWith(numbered('l-', 3));
        writeFileSync(path.join(ctl.home, 'target'), 'old');
        symlinkSync('target', path.join(ctl.home, 'link'));
        const { status, stderr } = await ctl.run(['codes', 'export', String(id), '--file', 'link']);
        assert.equal(status, 0, stderr);
        assert.equal(lstatSync(path.join(ctl.home, 'link')).isSymbolicLink(), true);
        assert.equal(read(ctl, 'target').split('\r\n').length, 5);
    });

    it('has those that match', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBookWith(numbered('f-', 20));
        await c.client.mustAssign('f-7', 'ann');
        await c.client.mustAssign('f-8', 'ann');
        await c.client.mustLock('f-8', 'ann');
        const codes = async (...args) => {
            const result = await ctl.run(['codes', 'export', String(id), ...args]);
            assert.equal(result.status, 0, result.stderr);
            return result.stdout.trimEnd().split('\r\n').slice(1).map((row) => row.split(',')[0]);
        };
        assert.deepEqual(await codes('--user', 'ann'), ['f-7', 'f-8']);
        assert.deepEqual(await codes('--status', 'locked'), ['f-8']);
        assert.deepEqual(await codes('--prefix', 'f-19'), ['f-19']);
        assert.equal((await codes('--status', 'free')).length, 18);
    });
});
