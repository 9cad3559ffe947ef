// coupond export-ledger: all entries as lines; and moving old ones out, beside a server that goes on,
// to a file that has each exactly once, while all figures and states stay what they were.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { binary, sanitizers } from '../support/binary.js';
import { numbered, tally } from '../support/client.js';
import { run } from '../support/coupond.js';
import { defaultBackend, freshData } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { Child, temporaryFolder } from '../support/processes.js';
import { seededRandom } from '../support/random.js';
import { underLoad } from '../support/under_load.js';

const redis = defaultBackend() === 'redis';
const linesOf = (text) => text.split('\n').slice(0, -1);
const linesIn = (file) => linesOf(readFileSync(file, 'utf8'));
const idOf = (line) => JSON.parse(line).id;
const archiveFile = () => path.join(temporaryFolder(), 'ledger.ndjson');

async function exportLedger(data, ...args) {
    const { code, signal, stdout, stderr } = await run(['export-ledger', ...args], { data });
    assert.equal(code, 0, `${signal}\n${stdout}${stderr}`);
    return { stdout, stderr };
}

const moveOut = (data, archive, days = 0) =>
    exportLedger(data, '--retention-days', String(days), '--archive', archive);

/** A redeemed code, a locked one, an assigned one and free ones, the first three with a history. */
async function fill(client) {
    const book = await client.newBookWith(numbered('X-', 6), { discountAmount: 2.5 });
    for (const code of ['X-0', 'X-1', 'X-2']) await client.mustAssign(code, 'ann');
    for (const code of ['X-0', 'X-1']) await client.mustLock(code, 'ann');
    await client.mustRedeem('X-0', 'ann');
    return book;
}

/** Types and codes of the entries on lines. */
const shown = (lines) => lines.map((line) => JSON.parse(line)).map(({ type, code }) => [type, code]);

const superseded = [
    ['code_assigned', 'X-0'],
    // Locks in Redis are no change of the code: the assignment is its last one.
    ...(redis ? [] : [['code_assigned', 'X-1']]),
    ['code_locked', 'X-0'],
];

/** What must be the same whatever was moved out. */
async function figures(client, book) {
    const now = await Promise.all(
        ['/coupon/stats', `/coupon/${book.id}/stats`, '/coupon/users/ann', `/coupon/${book.id}`].map(
            (target) => client.get(target),
        ),
    );
    return now.map(({ status, text }) => [status, text]);
}

/** Makes all that is there older by so many days, consistently. */
async function age(data, days) {
    const ms = days * 86_400_000;
    const older = (table, ...columns) =>
        `UPDATE ${table} SET ${columns.map((column) => `${column} = ${column} - ${ms}`)};`;
    await data.execute(
        older('ledger', 'at', 'locked_until') +
            older('coupon_code', 'created_at', 'locked_until', 'redeemed_at') +
            older('coupon_book', 'created_at') +
            older('lock_count', 'locked_until') +
            older('activity_count', 'since'),
    );
}

describe('coupond export-ledger', () => {
    it('prints every entry as the list has it, a line each', async (t) => {
        const { server, client } = await testServer(t);
        assert.equal((await exportLedger(server.data)).stdout, '');
        await fill(client);
        const { stdout } = await exportLedger(server.data);
        const list = (await client.get('/coupon/events?limit=1000')).text;
        assert.equal(`[${linesOf(stdout)}]`, list);
        const third = idOf(linesOf(stdout)[2]);
        const rest = await exportLedger(server.data, '--after', String(third));
        assert.deepEqual(linesOf(rest.stdout), linesOf(stdout).slice(3));
        await server.stop();
        assert.equal((await exportLedger(server.data)).stdout, stdout);
        await server.start();
    });

    it('prints more entries than fit on a page', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('M-', 1_200);
        await client.newBookWith(codes);
        for (let i = 0; i < codes.length; i += 64) {
            await Promise.all(codes.slice(i, i + 64).map((code) => client.mustAssign(code, 'ann')));
        }
        const ids = linesOf((await exportLedger(server.data)).stdout).map(idOf);
        assert.deepEqual(ids, (await client.allEvents()).map(({ id }) => id));
        assert.equal(ids.length, 1_202);
    });

    it('moves out what nothing rests on, and all else stays what it was', async (t) => {
        const { server, client } = await testServer(t);
        const archive = archiveFile();
        const book = await fill(client);
        const before = linesOf((await exportLedger(server.data)).stdout);
        const figuresBefore = await figures(client, book);
        const redeemed = (await client.get('/coupon/code/X-0')).body;

        const { stdout } = await moveOut(server.data, archive);
        assert.match(stdout, /: \d entries older than \d{4}-\d\d-\d\dT\S+Z moved to \S+ledger\.ndjson\n$/);
        const moved = linesIn(archive);
        assert.deepEqual(shown(moved), superseded);
        assert.equal(statSync(archive).mode & 0o777, 0o600);
        assert.equal(
            (await client.get('/coupon/events')).text,
            `[${before.filter((line) => !moved.includes(line))}]`,
        );
        assert.ok(moved.every((line) => before.includes(line)));
        assert.deepEqual(await figures(client, book), figuresBefore);
        await server.data.verify();

        const left = (await client.get('/coupon/code/X-0')).body;
        assert.deepEqual(left, { ...redeemed, history: redeemed.history.slice(-1) });
        assert.deepEqual(
            (await client.get('/coupon/events?code=X-0')).body.map(({ type }) => type),
            ['code_redeemed'],
        );
        await moveOut(server.data, archive);
        assert.deepEqual(linesIn(archive), moved);

        // The last change of a code is no longer its last one.
        await client.mustAssign('X-3', 'bob');
        await client.mustLock('X-3', 'bob');
        await client.mustRedeem('X-3', 'bob');
        if (!redis) await client.mustRedeem('X-1', 'ann');
        await moveOut(server.data, archive);
        assert.deepEqual(shown(linesIn(archive)).slice(moved.length).sort(), [
            ['code_assigned', 'X-3'],
            ...(redis ? [] : [['code_locked', 'X-1']]),
            ['code_locked', 'X-3'],
        ]);
        await server.data.verify();
    });

    it('moves out only what is old enough', async (t) => {
        const { server, client } = await testServer(t);
        const archive = archiveFile();
        await fill(client);
        await moveOut(server.data, archive, 1);
        assert.deepEqual(linesIn(archive), []);
        await server.stop();
        await age(server.data, 40);
        await server.start();
        await client.mustAssign('X-4', 'bob');
        await client.mustLock('X-4', 'bob');
        await moveOut(server.data, archive, 41);
        assert.deepEqual(linesIn(archive), []);
        await moveOut(server.data, archive, 39);
        assert.deepEqual(shown(linesIn(archive)), superseded);
        await server.data.verify();
    });

    it('takes how long from the environment, and moves nothing without a file to move it to', async (t) => {
        const { server, client } = await testServer(t);
        await fill(client);
        const archive = archiveFile();
        const env = { LEDGER_RETENTION_DAYS: '0' };
        const all = (await client.allEvents()).length;
        const printed = await run(['export-ledger'], { data: server.data, env });
        assert.equal(linesOf(printed.stdout).length, all, printed.stderr);
        const args = ['export-ledger', '--archive', archive];
        const { code, stderr } = await run(args, { data: server.data, env });
        assert.equal(code, 0, stderr);
        assert.equal(linesIn(archive).length, superseded.length);
    });

    it('takes up what was interrupted: nothing is written twice, nothing is lost', async (t) => {
        const { server, client } = await testServer(t);
        const archive = archiveFile();
        await fill(client);
        const before = linesOf((await exportLedger(server.data)).stdout);
        const old = before.filter((line) =>
            superseded.some(([type, code]) => shown([line])[0].join() === `${type},${code}`),
        );
        // As far as the lines on disk, the removal not yet; and the next line half written.
        writeFileSync(archive, `${old[0]}\n${old[1]}\n${old[1].slice(0, 30)}`);
        const { stderr } = await moveOut(server.data, archive);
        assert.match(stderr, /cut off the beginning of a line/);
        assert.deepEqual(linesIn(archive), old);
        assert.equal((await client.allEvents()).length, before.length - old.length);
        // Lines of another database, or of an entry that reads otherwise by now, remove nothing.
        const events = (await client.allEvents()).length;
        appendFileSync(archive, `${before.at(-1).replace('ann', 'eve')}\n`);
        await moveOut(server.data, archive);
        assert.equal((await client.allEvents()).length, events);
    });

    it('goes on through kill -9 while a server changes what it moves, and disturbs nobody', async (t) => {
        const work = await underLoad(t, { codes: 2_000 });
        const { data } = work.server;
        const archive = archiveFile();
        const random = seededRandom();
        let killed = 0;
        let withinMs = 400; // less where it is done by then
        for (let round = 0; round < 12 || (killed < 5 && round < 40); round += 1) {
            await work.progress(150);
            const child = new Child(
                [binary(), 'export-ledger', '--retention-days', '0', '--archive', archive, ...data.args],
                { env: { PATH: '/usr/bin:/bin', ...sanitizers(), ...data.env } },
            );
            await new Promise((resolve) => setTimeout(resolve, random.below(withinMs)));
            child.kill('SIGKILL');
            if ((await child.exit(30_000)).signal === 'SIGKILL') killed += 1;
            else withinMs = Math.max(20, withinMs / 2);
        }
        work.assertNoError();
        await work.stop();
        await data.verify();
        await moveOut(data, archive);
        const events = await work.client.allEvents();
        const moved = linesIn(archive).map((line) => JSON.parse(line));
        t.diagnostic(`${killed} killed, ${moved.length} moved, ${events.length} left`);
        assert.ok(killed >= 5 && moved.length > 300, 'it has hardly been interrupted');
        const ids = new Set([...events, ...moved].map(({ id }) => id));
        assert.equal(ids.size, events.length + moved.length);
        const types = tally([...events, ...moved].map(({ type }) => type));
        const { assigned, locked, redeemed } = work.history.acknowledged;
        assert.deepEqual(
            [types.code_assigned, types.code_locked, types.code_redeemed],
            [assigned, locked, redeemed],
        );
    });
});

describe('coupond export-ledger refuses', () => {
    const refusal = async (args, { data, env } = {}) => {
        const { code, stdout, stderr } = await run(['export-ledger', ...args], {
            data,
            env: { LOG_LEVEL: 'error', ...env },
        });
        assert.equal(stdout, '');
        assert.equal(linesOf(stderr).length, 1, stderr);
        return [code, stderr];
    };

    it('settings that do not fit together', async () => {
        const cases = [
            [['--archive', 'x'], /--archive is set but --retention-days \(LEDGER_RETENTION_DAYS\) is not/],
            [['--archive', '-', '--retention-days', '5'], /--archive: '-' is not allowed/],
            [['--archive', 'x', '--retention-days', '5', '--after', '3'], /--after does not go with/],
            ...['-1', '1.5', 'x', '36501', '99999999999999999999'].map((days) => [
                ['--archive', 'x', '--retention-days', days],
                /--retention-days .*whole number of days from 0 to 36500/,
            ]),
            [['--after', '-1'], /--after: '-1' is not allowed; it must be the id of an entry/],
            [['--frobnicate'], /unknown argument '--frobnicate'/],
        ];
        for (const [args, pattern] of cases) {
            const [code, stderr] = await refusal(args);
            assert.equal(code, 2, stderr);
            assert.match(stderr, pattern);
        }
    });

    it('files that entries would not be safe in, before anything is moved', async (t) => {
        const { server, client } = await testServer(t);
        const { data } = server;
        await fill(client);
        const folder = temporaryFolder();
        const file = (name, text) => {
            writeFileSync(path.join(folder, name), text);
            return path.join(folder, name);
        };
        const held = file('held', '');
        const locked = ['flock', '--no-fork', held, 'sh', '-c', 'echo locked; exec sleep 60'];
        const holder = new Child(locked, { env: process.env });
        t.after(() => holder.kill('SIGKILL'));
        await holder.outputMatching('stdout', /locked/, 30_000);
        const cases = [
            [file('other', 'hello\n'), /other holds something else than entries of a ledger/],
            [file('half', 'hello'), /half holds something else/],
            [file('long', `{"id":1}\n${'x'.repeat(9_000_000)}`), /long holds something else/],
            ['/dev/null', /is no file that entries could be safe in/],
            [folder, /cannot open .*: Is a directory/],
            [path.join(folder, 'none', 'x'), /cannot open .*: No such file or directory/],
            [held, /is being written by another coupond/],
            ['/dev/full', /is no file/],
        ];
        const events = (await client.allEvents()).length;
        for (const [archive, pattern] of cases) {
            const [code, stderr] = await refusal(['--retention-days', '0', '--archive', archive], { data });
            assert.equal(code, 1, stderr);
            assert.match(stderr, pattern);
        }
        assert.equal((await client.allEvents()).length, events);
        const full = await run(['export-ledger'], {
            data,
            prefix: ['sh', '-c', 'exec "$0" "$@" > /dev/full'],
        });
        assert.equal(full.code, 1);
        assert.match(full.stderr, /cannot write to stdout: No space left on device/);
    });

    if (defaultBackend() === 'sqlite') {
        it('a folder without a database, and makes nothing', async () => {
            const data = freshData();
            const [code, stderr] = await refusal([], { data });
            assert.equal(code, 1);
            assert.match(stderr, /has no schema yet/);
            assert.ok(!existsSync(path.join(data.folder, 'coupond.db')));
        });
    }
});
