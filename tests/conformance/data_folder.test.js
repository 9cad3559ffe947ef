// The folder with the SQLite file: what is made in it, and what is said where it cannot be used.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run } from '../support/coupond.js';
import { SqliteData } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { temporaryFolder } from '../support/processes.js';

const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');
const quiet = { LOG_LEVEL: 'error' };
const serve = (folder) =>
    run(['serve', '--host', '127.0.0.1', '--port', '0', '--data-dir', folder], { env: quiet });
const migrate = (folder, env = {}) => run(['migrate', '--data-dir', folder], { env });

const assertOneLine = ({ code, signal, stdout, stderr }, pattern) => {
    assert.equal(signal, null);
    assert.notEqual(code, 0);
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
        assert.notEqual(code, 0);
        assert.match(stderr, /in use|another/i);
    });
});
