// The folder with the SQLite file: what is made in it, and what is said where it cannot be used.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run } from '../support/coupond.js';
import { SqliteData } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { outputOf, temporaryFolder } from '../support/processes.js';

const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');
const quiet = { LOG_LEVEL: 'error' };
const serve = (folder) =>
    run(['serve', '--host', '127.0.0.1', '--port', '0', '--data-dir', folder], { env: quiet });
const migrate = (folder, env = {}) => run(['migrate', '--data-dir', folder], { env });
const ask = (flag, folder) => run(['migrate', flag, '--data-dir', folder]);

const assertOneLine = ({ code, signal, stdout, stderr }, pattern) => {
    assert.equal(signal, null);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.equal(lines(stderr).length, 1, stderr);
    assert.match(stderr, pattern);
};

describe('what cannot be served', () => {
    it('a data folder that cannot be written', async () => {
        const file = path.join(temporaryFolder(), 'file');
        writeFileSync(file, '');
        for (const folder of [path.join(file, 'data'), file, '/proc/coupond']) {
            assertOneLine(await serve(folder), new RegExp(folder));
        }
    });

    it('a data folder that another process serves', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBook();
        const end = await serve(server.data.folder);
        assertOneLine(end, /in use|another/i);
        assert.ok(end.stderr.includes(server.data.folder), end.stderr);
        assert.equal((await client.get('/coupon')).body.length, 1);
    });

    it('a database of a newer version', async () => {
        const data = new SqliteData();
        assert.equal((await migrate(data.folder)).code, 0);
        await data.execute('PRAGMA user_version = 9999');
        assertOneLine(await serve(data.folder), /9999/);
        assertOneLine(await migrate(data.folder, quiet), /9999/);
    });

    it("a file that is no database, or another program's", async () => {
        const garbage = temporaryFolder();
        writeFileSync(path.join(garbage, 'coupond.db'), 'no database at all\n'.repeat(1000));
        assertOneLine(await serve(garbage), /coupond\.db/);
        const foreign = new SqliteData(temporaryFolder());
        writeFileSync(path.join(foreign.folder, 'coupond.db'), '');
        await foreign.execute('CREATE TABLE other (x)');
        assertOneLine(await serve(foreign.folder), /coupond\.db/);
    });
});

describe('coupond migrate', () => {
    it('creates the database, and again does nothing', async () => {
        const folder = path.join(temporaryFolder(), 'made', 'for', 'it');
        const first = await migrate(folder);
        assert.equal(first.code, 0, first.stderr);
        const data = new SqliteData(folder);
        const schema = async () => [
            await data.query('SELECT sql FROM sqlite_schema'),
            await data.query('PRAGMA user_version'),
        ];
        const made = await schema();
        assert.match(JSON.stringify(made), /coupon_book.*coupon_code/);
        const second = await run(['migrate'], { env: { DATA_DIR: folder } });
        assert.equal(second.code, 0, second.stderr);
        assert.deepEqual(await schema(), made);
    });

    it('makes what serve starts on', async (t) => {
        const data = new SqliteData();
        assert.equal((await migrate(data.folder)).code, 0);
        const { client } = await testServer(t, { data });
        assert.deepEqual((await client.get('/coupon')).body, []);
    });

    it('is refused while the folder is served', async (t) => {
        const { server } = await testServer(t);
        const { code, stderr } = await migrate(server.data.folder);
        assert.equal(code, 1);
        assert.match(stderr, /in use|another/i);
    });
});

describe('coupond migrate --status and --dry-run', () => {
    /** The files of a folder, to the byte. */
    const contents = (folder) =>
        readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'latin1')]);

    const assertStatus = async (folder, pattern) => {
        const { code, stdout, stderr } = await ask('--status', folder);
        assert.equal(code, 0, stderr);
        assert.match(stdout, pattern);
    };
    const upToDate = /^(applied .*\n)+.* schema version (\d+) of \2\n$/;

    it('make nothing where nothing is', async () => {
        const folder = path.join(temporaryFolder(), 'data');
        await assertStatus(folder, /^(pending .*\n)+.* version 0 of .*coupond migrate/);
        assert.match((await ask('--dry-run', folder)).stdout, /CREATE TABLE coupon_code/);
        assert.ok(!existsSync(folder));
    });

    it('work beside a server, also on what is not in the file itself yet', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBook();
        const { folder } = server.data;
        await assertStatus(folder, upToDate);
        assert.match((await ask('--dry-run', folder)).stdout, /0 migrations would be run/);
        await client.newBook();
        assert.equal((await client.get('/coupon')).body.length, 2);
    });

    it('change nothing after a stop and after a kill -9', async (t) => {
        const { server, client } = await testServer(t);
        const { folder } = server.data;
        await server.stop();
        const stopped = contents(folder);
        await assertStatus(folder, upToDate);
        assert.deepEqual(contents(folder), stopped);
        await server.start();
        await client.newBook();
        await server.kill9();
        const killed = contents(folder);
        assert.ok(killed.some(([name]) => name.endsWith('-wal')));
        await assertStatus(folder, upToDate);
        assert.deepEqual(contents(folder), killed);
    });

    it('understand a path as it is', async () => {
        const folder = path.join(temporaryFolder(), 'a?b=1#c%41 é');
        assert.equal((await migrate(folder)).code, 0);
        await assertStatus(folder, upToDate);
    });

    it("refuse another program's file, and say it of a newer version", async () => {
        const data = new SqliteData();
        assert.equal((await migrate(data.folder)).code, 0);
        await data.execute('PRAGMA user_version = 9999');
        await assertStatus(data.folder, /9999.*newer coupond/);
        await data.execute('PRAGMA application_id = 1');
        assertOneLine(await ask('--status', data.folder), /not a coupond database/);
    });

    it('print what sqlite3 makes the same database of', async (t) => {
        const made = new SqliteData();
        const sql = path.join(temporaryFolder(), 'schema.sql');
        writeFileSync(sql, (await ask('--dry-run', made.folder)).stdout);
        const file = path.join(made.folder, 'coupond.db');
        await outputOf(['sqlite3', '-bail', file, `.read ${sql}`]);
        await assertStatus(made.folder, upToDate);
        const migrated = new SqliteData();
        assert.equal((await migrate(migrated.folder)).code, 0);
        for (const query of [
            'SELECT type, name, sql FROM sqlite_schema',
            'PRAGMA user_version',
            'PRAGMA application_id',
            'PRAGMA page_size',
        ]) {
            assert.deepEqual(await made.query(query), await migrated.query(query));
        }
        const { client } = await testServer(t, { data: made });
        await client.newBookWith(['X']);
    });
});
