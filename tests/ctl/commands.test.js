// What couponctl prints and ends with, against a real server.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Ctl } from '../support/couponctl.js';
import { suiteServer } from '../support/harness.js';

const c = suiteServer();

/** A command that must succeed. */
async function must(ctl, ...args) {
    const result = await ctl.run(args);
    assert.equal(result.status, 0, `${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
}

async function assertEnds(ctl, args, status, ...patterns) {
    const result = await ctl.run(args);
    assert.equal(result.status, status, `${args.join(' ')}: ${result.stderr}`);
    assert.equal(result.stdout, '');
    for (const pattern of patterns) assert.match(result.stderr, pattern);
    for (const line of result.stderr.trimEnd().split('\n')) assert.match(line, /^couponctl: ./);
}

describe('books', () => {
    it('are created, listed, shown, edited, archived and restored', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const book = await ctl.json(
            'book', 'create', '--name', 'Sümmer "27"', '--pattern', 'SUMMER-{6}',
            '--discount-type', 'percent', '--discount', '12.5', '--currency', 'EUR',
            '--min-order', '30.10', '--max-redemptions-per-user', '2', '--budget-a-day', '20',
            '--case-sensitive', 'false', '--metadata', 'campaign=spring', '--metadata', 'a.b={"c":[1]}',
        );
        assert.deepEqual(
            [book.name, book.codePattern, book.caseSensitive, book.maxRedemptionsPerUser],
            ['Sümmer "27"', 'SUMMER-{6}', false, 2],
        );
        assert.deepEqual(book.discount, {
            type: 'percent', value: 12.5, currency: 'EUR', maxAmount: null, minOrderAmount: 30.1,
        });
        assert.equal(book.limits.day.budget, 20);
        assert.deepEqual(book.metadata, { campaign: 'spring', 'a.b': { c: [1] } });
        const id = String(book.id);
        const shown = await ctl.json('book', 'show', id);
        assert.deepEqual((await c.client.get(`/coupon/${id}`)).body, shown);
        const edited = await ctl.json(
            'book', 'edit', id, '--name', 'Autumn', '--clear', 'max-redemptions-per-user',
        );
        assert.deepEqual([edited.name, edited.maxRedemptionsPerUser], ['Autumn', null]);
        await assertEnds(ctl, ['book', 'archive', id], 2, /--yes/);
        assert.equal((await ctl.json('book', 'show', id)).archivedAt, null);
        assert.notEqual((await ctl.json('book', 'archive', id, '--yes')).archivedAt, null);
        assert.equal((await ctl.json('book', 'restore', id)).archivedAt, null);
        const text = await must(ctl, 'book', 'list', '--name', 'autumn');
        const [header, row] = text.split('\n');
        assert.match(header, /^ *ID {2}NAME +PATTERN/);
        assert.match(row, new RegExp(`^ *${id} {2}Autumn +SUMMER-`));
    });

    it('take a whole body from standard input', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const body = JSON.stringify({ name: 'Whole', codePattern: 'W-{8}', combinable: false });
        const { status, stdout } = await ctl.run(
            ['book', 'create', '--json', '@-', '--output', 'json'],
            { stdin: body },
        );
        assert.equal(status, 0);
        assert.equal(JSON.parse(stdout).combinable, false);
    });
});

describe('a code', () => {
    it('goes all its way, and back', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBookWith(['way / "1"', 'way-2'], {
            discount: { type: 'amount', value: 5, currency: 'EUR' },
        });
        const code = 'way / "1"';
        const order = ['--order', '17', '--amount', '50', '--currency', 'EUR'];
        await assertEnds(ctl, ['lock', code, '--user', 'ann'], 1, /coupon_not_assigned_to_user/);
        assert.equal((await ctl.json('assign', code, '--user', 'ann')).assignedTo, 'ann');
        const asked = await ctl.json('validate', code, '--user', 'ann', ...order);
        assert.deepEqual(asked.discount, { amount: 5, currency: 'EUR' });
        await assertEnds(ctl, ['redeem', code, '--user', 'ann'], 1, /coupon_not_locked/, /couponctl lock/);
        await must(ctl, 'lock', code, '--user', 'ann', '--lock-key', 'mine');
        await assertEnds(ctl, ['unlock', code, '--user', 'ann', '--lock-key', 'x'], 1, /lock_key_mismatch/);
        await must(ctl, 'unlock', code, '--user', 'ann', '--lock-key', 'mine');
        await must(ctl, 'lock', code, '--user', 'ann');
        const { redemption } = await ctl.json('redeem', code, '--user', 'ann', ...order);
        assert.equal(redemption.discount.amount, 5);
        const again = await ctl.json('redeem', code, '--user', 'ann', ...order);
        assert.deepEqual([again.replayed, again.redemption.id], [true, redemption.id]);
        await assertEnds(ctl, ['rollback', String(redemption.id)], 2, /--yes/);
        await must(ctl, 'rollback', String(redemption.id), '--yes', '--reason', 'returned');
        await assertEnds(ctl, ['rollback', String(redemption.id), '--yes'], 1, /already_rolled_back/);
        const history = (await ctl.json('codes', 'show', code)).history.map(({ type }) => type);
        assert.ok(history.includes('code_redeemed'), history.join());
        await must(ctl, 'assign', 'way-2', '--user', 'ann');
        const several = await ctl.json('lock', code, 'way-2', '--user', 'ann', ...order);
        assert.equal(several.message.length > 0, true);
        await must(ctl, 'codes', 'disable', 'way-2');
        assert.equal((await ctl.json('codes', 'show', 'way-2')).active, false);
        await must(ctl, 'codes', 'enable', 'way-2');
        const user = await ctl.json('user', 'show', 'ann');
        assert.ok(user.codes.length >= 2);
        assert.match(await must(ctl, 'stats', String(id)), /redeemed .*█/);
    });
});

describe('codes', () => {
    it('may be written in any way', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook({ codePattern: 'X-{8}' });
        const codes = ['-20-X', '[A]', '[A,B]', '[]', '--all', 'a b', '=1', '++', '--'];
        await must(ctl, 'codes', 'add', String(id), '--', ...codes);
        for (const code of codes) {
            assert.equal((await ctl.json('codes', 'show', '--', code)).code, code);
        }
        assert.equal((await ctl.json('assign', '--user', 'cat', '--', '-20-X')).code, '-20-X');
        await must(ctl, 'assign', '[A,B]', '--user', 'cat');
        const table = await must(ctl, 'lock', '[A,B]', '--user', 'cat', '--', '-20-X');
        assert.match(table, /LOCKED UNTIL\n\[A,B\] +2/);
        const order = ['--order', '9', '--amount', '50', '--currency', 'EUR'];
        assert.match(await must(ctl, 'redeem', '--user', 'cat', ...order, '--', '-20-X', '[A,B]'), /REDEMPTION +CODE/);
        await must(ctl, 'assign', '[]', '--user', 'cat');
        await assertEnds(ctl, ['unassign', '[]', '--user', ''], 1, /userId/);
        assert.equal((await ctl.json('codes', 'show', '[]')).assignedTo, 'cat');
    });

    it('are spared by what is replaced as a whole', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook({ metadata: { a: 1 } });
        const deep = `x=${'['.repeat(30)}${']'.repeat(30)}`;
        await must(ctl, 'book', 'edit', String(id), '--metadata', deep, '--metadata', 'y="5"');
        const { metadata } = await ctl.json('book', 'show', String(id));
        assert.deepEqual([metadata.a, metadata.y], [undefined, '5']);
        assert.match(await must(ctl, 'book', 'list', '--all'), /^ID/);
        const edited = await ctl.json('book', 'edit', String(id), '--clear', 'metadata', '--clear', 'discount');
        assert.deepEqual([edited.metadata, edited.discount], [{}, null]);
    });
});

describe('standard streams', () => {
    it('that are closed get nothing, and those that are full are told of', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const sh = async (script) => {
            const { execFile } = await import('node:child_process');
            return new Promise((resolve) => {
                execFile('sh', ['-c', script, 'sh', ctl.file], { env: ctl.environment }, (error, stdout, stderr) =>
                    resolve({ status: error?.code ?? 0, stdout, stderr }),
                );
            });
        };
        for (const script of ['"$1" book list > /dev/full', '"$1" --help > /dev/full']) {
            const { status, stderr } = await sh(script);
            assert.equal(status, 2, stderr);
            assert.match(stderr, /cannot write the output/);
        }
        assert.equal((await sh('"$1" book list >&-')).stdout, '');
        assert.equal((await sh('"$1" codes upload 1 - <&-')).status, 1);
        const cut = await sh('"$1" book list --all --output ndjson | head -c 1');
        assert.deepEqual([cut.status, cut.stdout, cut.stderr], [0, '{', '']);
    });
});

describe('output', () => {
    it('is the API\'s own JSON, its elements a line each, CSV with quotes, or a table', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBookWith(['o-1', 'o,"2"', 'o-3']);
        const list = ['codes', 'list', String(id)];
        const { body } = await c.client.get(`/coupon/codes/${id}`);
        assert.deepEqual(await ctl.json(...list), body);
        const lines = (await must(ctl, ...list, '--output', 'ndjson')).trimEnd().split('\n');
        assert.deepEqual(lines.map((line) => JSON.parse(line)), body);
        const csv = await must(ctl, ...list, '--output', 'csv');
        assert.match(csv, /^code,status,assignedTo,/);
        assert.match(csv, /\r\n"o,""2""",free,/);
        const table = await must(ctl, ...list);
        assert.match(table, /^CODE +STATUS/);
        assert.ok(!table.includes('\x1b'), 'no colours where nobody sees them');
        const limited = await ctl.run([...list, '--limit', '2']);
        assert.equal(limited.stdout.split('\n').length, 4);
        assert.match(limited.stderr, /--all/);
    });

    it('follows pages to the end', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const codes = Array.from({ length: 2_345 }, (_, i) => `p-${i}`);
        const { id } = await c.client.newBookWith(codes);
        const listed = await ctl.json('codes', 'list', String(id), '--all');
        assert.deepEqual(listed.map(({ code }) => code), codes);
    });

    it('shows times where one is, or in UTC', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { id } = await c.client.newBook();
        const { createdAt } = await ctl.json('book', 'show', String(id));
        const utc = await must(ctl, 'book', 'show', String(id), '--utc');
        assert.ok(utc.includes(`${createdAt.slice(0, 19).replace('T', ' ')}Z`), utc);
        const local = await must(ctl, 'book', 'show', String(id));
        const there = new Date(createdAt).toLocaleString('sv-SE', { timeZone: 'Europe/Berlin' });
        assert.ok(local.includes(there), local);
    });

    it('hands nothing to the terminal that it would obey', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const { body } = await c.client.post('/coupon', {
            name: 'a\u202eb', codePattern: 'T-{6}', description: 'x',
        });
        const table = await must(ctl, 'book', 'show', String(body.id));
        assert.ok(!table.includes('\u202e') && table.includes('a\ufffdb'), table);
    });
});

describe('arguments', () => {
    it('that do not fit end with 2 and a hint', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        await assertEnds(ctl, ['bok', 'list'], 2, /did you mean couponctl book\?/);
        await assertEnds(ctl, ['--utc', 'book', 'lsit'], 2, /did you mean couponctl book list\?/);
        await assertEnds(ctl, ['book'], 2, /--help/);
        await assertEnds(ctl, [], 2, /--help/);
        await assertEnds(ctl, ['book', 'show'], 2, /BOOK/);
        await assertEnds(ctl, ['ping', '--output', 'xml'], 2, /ndjson/);
        await assertEnds(ctl, ['ping', '--server', 'ftp://x'], 2, /http:\/\//);
        await assertEnds(ctl, ['codes', 'generate', '1', 'many'], 2, /number/);
        await assertEnds(ctl, ['codes', 'upload', '1', '/nowhere'], 2, /nowhere/);
        await assertEnds(ctl, ['book', 'create', '--json', '[]'], 2, /object/);
        await assertEnds(ctl, ['book', 'list', '--limt', '5'], 2, /did you mean --limit/);
        await assertEnds(ctl, ['book', 'list', '--limit', '0'], 2, /whole number/);
        await assertEnds(ctl, ['book', 'show', 'stats'], 2, /BOOK: must be an id/);
        await assertEnds(ctl, ['stats', ''], 2, /BOOK: must be an id/);
        await assertEnds(ctl, ['codes', 'show', ''], 2, /must not be empty/);
        await assertEnds(ctl, ['archive', '1'], 2, /did you mean couponctl book archive\?/);
        await assertEnds(ctl, ['book', 'edit', '1', '--discount', '5'], 2, /--discount-type/);
        await assertEnds(ctl, ['book', 'edit', '1', '--budget', '5', '--clear', 'budget'], 2, /say one/);
    });

    it('of every command are explained by --help, the manual and completion', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const manual = await must(ctl, 'manual');
        const bash = await must(ctl, 'completion', 'bash');
        const help = await must(ctl, '--help');
        const commands = /Subcommands:\n((?: {2}.*\n?)+)/.exec(help)[1];
        for (const [, name] of commands.matchAll(/^ {2}(\S+)/gm)) {
            assert.match(await must(ctl, name, '--help'), /Usage: /);
            assert.match(await must(ctl, 'help', name), /Usage: /);
            assert.ok(bash.includes(`'couponctl ${name}'`), name);
            assert.match(manual, new RegExp(`^\\.SS couponctl ${name}\\b`, 'm'), name);
        }
        for (const topic of ['patterns', 'limits', 'locks', 'times', 'files', 'exit']) {
            assert.ok((await must(ctl, 'help', topic)).length > 100);
        }
        await assertEnds(ctl, ['help', 'patern'], 2, /did you mean patterns\?/);
    });
});

describe('profiles', () => {
    it('have a default, of no use where there is no home', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const env = { COUPOND_URL: '' };
        await must(ctl, 'config', 'set', 'server', `http://127.0.0.1:${c.server.port}`);
        for (const args of [['ping'], ['config', 'list'], ['--profile', 'default', 'ping']]) {
            const { status, stderr } = await ctl.run(args, { env });
            assert.equal(status, 0, stderr);
        }
        for (const HOME of ['', '/proc/1/fdinfo/none', '/dev/null']) {
            const { status, stderr } = await ctl.run(['ping'], { env: { HOME } });
            assert.equal(status, 0, `${HOME}: ${stderr}`);
        }
        await assertEnds(ctl, ['config', 'set', 'server', 'localhost:1'], 2, /http:\/\//);
    });

    it('name servers', async (t) => {
        const ctl = new Ctl(t, c.server.port);
        const url = `http://127.0.0.1:${c.server.port}`;
        const env = { COUPOND_URL: '' };
        await must(ctl, 'config', 'set', 'server', url, '--profile', 'shop');
        await must(ctl, 'config', 'set', 'output', 'json', '--profile', 'shop');
        const ping = await ctl.run(['--profile', 'shop', 'ping'], { env });
        assert.deepEqual([ping.status, ping.stdout], [0, '{"status":"ready"}\n']);
        const rows = await ctl.json('config', 'list');
        assert.deepEqual(rows[0], { profile: 'shop', setting: 'server', value: url });
        await assertEnds(ctl, ['config', 'set', 'sever', 'x'], 2, /server/);
        await must(ctl, 'config', 'unset', 'server', '--profile', 'shop');
        const unset = await ctl.run(['--profile', 'shop', 'ping'], { env });
        assert.equal(unset.status, 2);
        assert.match(unset.stderr, /names no server/);
    });
});
