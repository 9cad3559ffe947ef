// coupond verify: nothing to say of a database as coupond leaves it, also while it is changed; a
// line about each row that somebody has changed behind its back.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { numbered } from '../support/client.js';
import { run } from '../support/coupond.js';
import { SqliteData, defaultBackend, freshData } from '../support/data.js';
import { suiteServer, testServer } from '../support/harness.js';
import { temporaryFolder } from '../support/processes.js';
import { underLoad } from '../support/under_load.js';

const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');
const backend = defaultBackend();
const sqlite = backend === 'sqlite';
const quiet = { LOG_LEVEL: 'error' };
const verify = (data, env) => run(['verify'], { data, env });

const summary =
    /^\S+: 0 differences in (\d+) books?, (\d+) codes, (\d+) entries of the ledger\n$/;

/** What it says of clean data; `{books, codes, entries}`. */
async function assertClean(data) {
    const { code, stdout, stderr } = await verify(data);
    assert.equal(code, 0, stdout + stderr);
    const found = summary.exec(stdout);
    assert.ok(found, stdout);
    const [books, codes, entries] = found.slice(1).map(Number);
    return { books, codes, entries };
}

/** The lines that it says of what differs, without the sum behind them. */
async function differences(data) {
    const { code, stdout, stderr } = await verify(data);
    assert.equal(code, 1, stdout + stderr);
    const said = lines(stdout);
    const count = Number(/: (\d+) differences? in /.exec(said.pop())[1]);
    return { said, count };
}

/** Of a book with limits: a redeemed code, a locked one, an assigned one and free ones. */
async function fill(client) {
    const book = await client.newBookWith(numbered('V-', 20), {
        maxRedemptionsPerUser: 2,
        maxRedemptions: 5,
        maxAssignmentsPerUser: 3,
        discountAmount: 5,
    });
    for (const code of ['V-0', 'V-1', 'V-2']) await client.assign(code, 'ann');
    for (const code of ['V-0', 'V-1']) {
        assert.equal((await client.lock(code, 'ann')).status, 201);
    }
    assert.equal((await client.redeem('V-0', 'ann')).status, 201);
    return book;
}

describe('coupond verify', () => {
    it('says what it has looked at where nothing differs', async (t) => {
        const { server, client } = await testServer(t);
        assert.deepEqual(await assertClean(server.data), { books: 0, codes: 0, entries: 0 });
        await fill(client);
        await client.newBook();
        assert.deepEqual(await assertClean(server.data), { books: 2, codes: 20, entries: 9 });
        await server.stop();
        assert.deepEqual(await assertClean(server.data), { books: 2, codes: 20, entries: 9 });
        await server.start();
        await client.assignAny('bob');
        await server.kill9();
        assert.deepEqual(await assertClean(server.data), { books: 2, codes: 20, entries: 10 });
        await server.start();
    });

    it('sees one moment while a server is under load, and does not disturb it', async (t) => {
        const work = await underLoad(t, { codes: 3_000 });
        let entries = 0;
        for (let times = 0; times < 5; times += 1) {
            await work.progress(100);
            const found = await assertClean(work.server.data);
            assert.ok(found.entries > entries);
            entries = found.entries;
        }
        work.assertNoError();
        await work.check();
    });

    it('tells the log how far it is', async (t) => {
        const { server } = await testServer(t);
        const { stderr } = await verify(server.data);
        assert.match(stderr, /info .*verifying .*database=/);
    });

    it('says of many differences how many more there are', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(numbered('M-', 300));
        await server.stop();
        server.data.damaged = true;
        await server.data.execute('UPDATE coupon_code SET created_at = created_at + 1');
        const { said, count } = await differences(server.data);
        assert.equal(count, 300);
        assert.equal(said.length, 101);
        assert.equal(said.at(-1), 'and 200 more');
    });

    it('--help says what it does, what its exit status means and where settings come from', async () => {
        const { code, stdout } = await run(['verify', '--help']);
        assert.equal(code, 0);
        assert.match(stdout, /what differs/);
        assert.match(stdout, /Exit status: 0 .* 1 .*\n?.* 2 /);
        assert.match(stdout, /--data-dir[^]*DATA_DIR[^]*DATABASE_URL/);
        assert.match((await run(['--help'])).stdout, /coupond verify/);
        assert.equal((await run(['verify', '--port', '1'])).code, 2);
    });
});

describe('coupond verify finds', () => {
    // Locks that outlive the suite.
    const context = suiteServer({ env: { LOCK_TTL_SECONDS: '2592000' } });
    const where = (code) => `WHERE id = (SELECT id FROM coupon_code WHERE code = '${code}')`;
    const entry = (type, code) =>
        `WHERE type = ${type} AND code_id = (SELECT id FROM coupon_code WHERE code = '${code}')`;
    const later = Date.now() + 30 * 86_400_000;
    const count = (column) => `UPDATE book_count SET ${column} = ${column} + 1`;

    // What is done to the data; what a line about it says; and what undoes it.
    const damages = [
        ['a holder', `UPDATE coupon_code SET assigned_to = assigned_to + 1 ${where('V-2')}`,
            /^coupon_code \d+: assigned_to is 2, by the ledger it is 1$/],
        ['a holder that is gone', `UPDATE coupon_code SET assigned_to = NULL ${where('V-2')}`,
            /^coupon_code \d+: assigned_to is nothing, by the ledger it is 1$/],
        ['a lock', `UPDATE coupon_code SET locked_until = ${later} ${where('V-2')}`,
            /^coupon_code \d+: locked_until is 20.*, by the ledger it is nothing$/],
        ['a redemption', `UPDATE coupon_code SET redeemed_at = ${later} ${where('V-2')}`,
            /^coupon_code \d+: redeemed_at is 20.*, by the ledger it is nothing$/],
        ['a redemption that is gone', `UPDATE coupon_code SET redeemed_at = NULL ${where('V-0')}`,
            /^coupon_code \d+: redeemed_at is nothing, by the ledger it is 20/],
        ['a wrong last entry', `UPDATE coupon_code SET last_entry_id = last_entry_id - 1 ${where('V-2')}`,
            /^coupon_code \d+: last_entry_id is \d+, by the ledger it is \d+$/],
        ['another time of upload', `UPDATE coupon_code SET created_at = 1 ${where('V-9')}`,
            /^coupon_code \d+: created_at is 1970-01-01T00:00:00.001Z, by its upload it is 20/],
        ['a code that is gone', `DELETE FROM coupon_code ${where('V-9')}`,
            /^ledger \d+ \(codes_uploaded\): it uploads code \d+, not there$/],
        ['a code that is gone with what happened to it', `DELETE FROM coupon_code ${where('V-2')}`,
            /^ledger \d+ \(code_assigned, code \d+\): code \d+ is not there$/],
        ['a user who is gone', "DELETE FROM coupon_user WHERE user_id = 'ann'",
            /^coupon_code \d+: assigned_to is 1, no such coupon_user$/],
        ['a count of codes', count('total'),
            /^book_count of book 1: total is \d+, by its codes it is 20$/],
        ['a count of free codes', count('available'),
            /^book_count of book 1: available is \d+, by its codes it is 17$/],
        ['a count of redeemed codes', count('redeemed'),
            /^book_count of book 1: redeemed is \d+, by its codes it is 1$/],
        ['a count of codes that were ever locked', count('ever_locked'),
            /^book_count of book 1: ever_locked is \d+, by its codes it is 2$/],
        ['a sum of discounts', count('discount_cents'),
            /^book_count of book 1: discount_cents is \d+, by the ledger it is 500$/],
        ['a count of all books', 'UPDATE book_count SET total = total + 1 WHERE book_id = 0 AND total > 0',
            /^book_count of book 0: total is 21, by its codes it is 20$/],
        ...['uploaded', 'assigned', 'locked', 'redeemed', 'discount_cents'].map((column) => [
            `activity: ${column}`, `UPDATE activity_count SET ${column} = ${column} + 1`,
            new RegExp(`^activity_count since 20.* of book 1: ${column} is \\d+, by the ledger it is \\d+$`),
        ]),
        ['activity that is gone', 'DELETE FROM activity_count',
            /^activity_count since 20.* of book 0: assigned is 0, by the ledger it is \d+$/],
        ['counts that are gone', 'DELETE FROM book_count',
            sqlite ? /^book_count of book 1: it is not there$/
                : /^book_count of book 1: total is 0, by its codes it is 20$/],
        ['a count of locks', `INSERT INTO lock_count VALUES (1, ${later}, 1)`,
            /^lock_count of book 1 until 20.*: codes is 1, by its codes it is 0$/],
        ["a count of a user's redemptions", 'UPDATE usage_count SET redeemed = 2 WHERE user_number > 0',
            /^usage_count of book 1, user 1: redeemed is 2, by their codes it is 1$/],
        ['a count of redemptions', 'UPDATE usage_count SET redeemed = 0 WHERE user_number = 0',
            /^usage_count of book 1: redeemed is 0, by their codes it is 1$/],
        ['an amount that was taken off', 'UPDATE usage_count SET amount = 3 WHERE user_number = 0',
            /^usage_count of book 1: amount is 3, by the ledger it is 0$/],
        ['a count of redemptions that stand', 'UPDATE activity_count SET standing = standing + 1',
            /^activity_count since 20.* of book 1: standing is 2, by the ledger it is 1$/],
        ['a limit that was passed', 'UPDATE coupon_book SET max_redemptions_per_user = 0',
            /^coupon_book 1: user 1 has redeemed 1 of its codes, max_redemptions_per_user is 0$/],
        ['a user who holds more than their book allows',
            "UPDATE coupon_book SET settings = replace(settings, 'max_assignments_per_user 3', 'max_assignments_per_user 2')",
            /^coupon_book 1: user 1 holds 3 of its codes, max_assignments_per_user is 2$/],
        ['a book of another time', 'UPDATE coupon_book SET created_at = 1',
            /^coupon_book 1: created_at is 1970-01-01T00:00:00.001Z, by the ledger it is 20/],
        ['an entry by another user', `UPDATE ledger SET user_number = 9 ${entry(4, 'V-0')}`,
            /^ledger \d+ \(code_locked, code \d+\): by user 9, the code is assigned to 1$/],
        ['an entry of another type', `UPDATE ledger SET type = 3 ${entry(5, 'V-0')}`,
            /^ledger \d+ \(code_assigned, code \d+\): the code is user 1's already$/],
        ['an entry of no type', `UPDATE ledger SET type = 77 ${entry(5, 'V-0')}`,
            /^ledger \d+ \(type 77\): there is no such type of an entry about a code$/],
        ['an entry of another book', `UPDATE ledger SET book_id = 5 ${entry(5, 'V-0')}`,
            /^ledger \d+ \(code_redeemed, code \d+\): it is of book 5, the code of book 1$/],
        ['an assignment that is gone', `DELETE FROM ledger ${entry(3, 'V-0')}`,
            /^ledger \d+ \(code_redeemed, code \d+\): by user 1, the code is assigned to nothing$/],
        ['a redemption that is gone from the ledger', `DELETE FROM ledger ${entry(5, 'V-0')}`,
            /^coupon_code \d+: redeemed_at is 20.*, by the ledger it is nothing$/],
        ['an upload that is gone', 'DELETE FROM ledger WHERE type = 2',
            /^coupon_code: no entry in the ledger uploads codes \d+ to \d+$/],
        ['an upload of fewer codes', 'UPDATE ledger SET codes = codes - 1 WHERE type = 2',
            /^coupon_code: no entry in the ledger uploads code \d+$/],
        ['a creation that is gone', 'DELETE FROM ledger WHERE type = 1',
            /^coupon_book 1: no entry in the ledger creates it$/],
        ['a redemption under no lock', `UPDATE ledger SET locked_until = NULL ${entry(5, 'V-0')}`,
            /^ledger \d+ \(code_redeemed, code \d+\): at 20.*, under a lock until nothing$/],
        ['an id that is none', `UPDATE ledger SET id = -id ${entry(3, 'V-2')}`,
            /^ledger -\d+: ids are positive$/],
        ['fewer locks that count for limits than there are', 'UPDATE usage_count SET locked = 0',
            /^usage_count of book 1, user 1: locked is 0, by counted_lock it is 1$/],
        ['a lock that counts, but could not be', 'UPDATE counted_lock SET book_id = 2',
            /^counted_lock of code \d+ until 20.*: there is no such code in book 2 that could be locked$/],
        ...(backend === 'redis' ? [] : [
            ['a lock that counts until another time', 'UPDATE counted_lock SET locked_until = locked_until + 1',
                /^counted_lock of code \d+ until 20.*: the code is locked until 20/],
            ['a count of locks that is gone', 'DELETE FROM lock_count',
                /^lock_count of book 1 until 20.*: codes is 0, by its codes it is 1$/],
            ['a lock until another time', `UPDATE ledger SET locked_until = locked_until + 1 ${entry(4, 'V-1')}`,
                /^coupon_code \d+: locked_until is 20.*, by the ledger it is 20/],
            ['a redemption under another lock', `UPDATE ledger SET locked_until = locked_until + 1 ${entry(5, 'V-0')}`,
                /^ledger \d+ \(code_redeemed, code \d+\): locked_until is 20.*, the lock before it is until 20/],
            ['another text of a code', "UPDATE coupon_code SET code = 'V-x' WHERE code = 'V-9'",
                /^coupon_code: codes \d+ to \d+ are not those that ledger \d+ \(codes_uploaded\) has brought/],
            ['a lock that is gone', `DELETE FROM ledger ${entry(4, 'V-0')}`,
                /^ledger \d+ \(code_redeemed, code \d+\): previous_id is \d+, the entry before it is \d+$/],
        ]),
        ...(sqlite ? [] : [
            ['ids that are given a second time', "UPDATE id_counter SET next = 1 WHERE \"of\" = 'coupon_code'",
                /^id_counter of coupon_code: next is 1, the last id that is there is \d+$/],
            ['a missing origin', 'DELETE FROM ledger_origin',
                /^ledger_origin: 0 rows, there has to be one$/],
        ]),
    ];

    const tables = ['coupon_book', 'coupon_user', 'coupon_code', 'book_count', 'lock_count', 'activity_count',
        'usage_count', 'counted_lock', 'ledger', ...(sqlite ? [] : ['id_counter', 'ledger_origin'])];
    let filled;

    /** The server's data, filled once, as copies of its tables; then the server is not needed. */
    async function prepared() {
        if (filled) return filled;
        const { server, client } = context;
        await fill(client);
        await server.stop();
        const { data } = server;
        data.damaged = true;
        await data.execute(tables.map((table) => `CREATE TABLE kept_${table} AS SELECT * FROM ${table};`).join('\n'));
        filled = data;
        return data;
    }

    /** Undoes what was done to them. */
    async function restore(data) {
        const identity = sqlite ? '' : 'OVERRIDING SYSTEM VALUE';
        const fillAgain = tables.map((table) => `INSERT INTO ${table} ${identity} SELECT * FROM kept_${table};`);
        const empty = tables.toReversed().map((table) => `DELETE FROM ${table};`);
        await data.execute([...empty, ...fillAgain].join('\n'));
    }

    // SQLite's checks would refuse some of what a broken disk does not ask about.
    const prefix = sqlite ? 'PRAGMA ignore_check_constraints = ON;\n' : '';

    for (const [what, sql, line] of damages) {
        it(what, async () => {
            const data = await prepared();
            await data.execute(prefix + sql);
            const { said, count } = await differences(data);
            assert.equal(said.length, count);
            assert.ok(said.some((text) => line.test(text)), `${line}: ${said.join('\n')}`);
            assert.ok(count <= 20, said.join('\n'));
            await restore(data);
            await assertClean(data);
        });
    }
});

describe('coupond verify finds what indexes do not see', () => {
    it(sqlite ? 'in a file whose index is broken' : 'in tables whose index is gone', async (t) => {
        const { server, client } = await testServer(t);
        await fill(client);
        await server.stop();
        const { data } = server;
        data.damaged = true;
        if (sqlite) {
            const [{ page_size: size }] = await data.query('SELECT page_size FROM pragma_page_size');
            const indexes = await data.query(
                "SELECT name, rootpage FROM sqlite_schema WHERE type = 'index' AND rootpage > 0",
            );
            assert.ok(indexes.length > 4);
            const file = data.file;
            const sound = readFileSync(file);
            for (const { name, rootpage } of indexes) {
                const bytes = Buffer.from(sound);
                bytes.fill(0, (rootpage - 1) * size, rootpage * size);
                writeFileSync(file, bytes);
                const { code, stdout, stderr } = await verify(data, quiet);
                assert.equal(code, 1, name);
                assert.match(stdout + stderr, /coupond\.db: /, name);
            }
            writeFileSync(file, sound);
            await assertClean(data);
            return;
        }
        await data.execute(
            'DROP INDEX coupon_code_code, coupon_user_user_id;' +
                "UPDATE coupon_code SET code = 'V-1' WHERE code = 'V-5';" +
                "INSERT INTO coupon_user (user_id) VALUES ('ann')",
        );
        const { said } = await differences(data);
        for (const line of [
            /^coupon_code: 2 rows have the same code, such as id \d+ and \d+$/,
            /^coupon_user: 2 rows have the same user_id, such as number \d+ and \d+$/,
        ]) {
            assert.ok(said.some((text) => line.test(text)), said.join('\n'));
        }
    });
});

describe('coupond verify refuses', () => {
    const assertOneLine = ({ code, stdout, stderr }, pattern) => {
        assert.equal(code, 1);
        assert.equal(stdout, '');
        assert.equal(lines(stderr).length, 1, stderr);
        assert.match(stderr, pattern);
    };

    it('a newer schema', async () => {
        const data = freshData();
        assert.equal((await run(['migrate'], { data })).code, 0);
        await data.execute(
            sqlite ? 'PRAGMA user_version = 9999' : "INSERT INTO schema_migration VALUES (9999, 'later')",
        );
        assertOneLine(await verify(data, quiet), /9999.*newer coupond/);
    });

    it('wrong settings', async () => {
        const { code, stderr } = await run(['verify'], { env: { DB_PORT: '1' } });
        assert.equal(code, 2);
        assert.match(stderr, /DB_PORT/);
    });

    if (sqlite) {
        it('a folder without a database, and makes nothing', async () => {
            const folder = temporaryFolder();
            assertOneLine(await verify(new SqliteData(folder)), /has no schema yet.*coupond migrate/);
            assert.deepEqual(readdirSync(folder), []);
        });

        it('a file that is no database, or is broken', async (t) => {
            const garbage = temporaryFolder();
            writeFileSync(path.join(garbage, 'coupond.db'), 'no database at all\n'.repeat(1000));
            assertOneLine(await verify(new SqliteData(garbage)), /coupond\.db/);
            const { server, client } = await testServer(t);
            await client.newBookWith(numbered('B-', 5_000));
            await server.stop();
            server.data.damaged = true;
            const bytes = readFileSync(server.data.file);
            bytes.fill(0xee, Math.floor(bytes.length / 4), Math.floor(bytes.length / 2));
            writeFileSync(server.data.file, bytes);
            const { code, stderr } = await verify(server.data);
            assert.equal(code, 1);
            assert.match(stderr, /cannot read .*coupond\.db: .*malformed/);
        });

        it('a log without its index, but not an empty one that was left', async (t) => {
            const { server, client } = await testServer(t);
            await fill(client);
            const copy = temporaryFolder();
            for (const name of ['coupond.db', 'coupond.db-wal']) {
                copyFileSync(path.join(server.data.folder, name), path.join(copy, name));
            }
            const { code, stderr } = await verify(new SqliteData(copy), quiet);
            assert.equal(code, 1);
            assert.match(stderr, /its log \S+coupond\.db-wal has no index \S+coupond\.db-shm: copy that too/);
            await server.stop();
            writeFileSync(`${server.data.file}-wal`, '');
            await assertClean(server.data);
            await server.start();
        });

        it('to change anything, after a stop and after a kill -9', async (t) => {
            const { server, client } = await testServer(t);
            const { folder } = server.data;
            const contents = () =>
                readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'latin1')]);
            await fill(client);
            await server.kill9();
            const killed = contents();
            assert.ok(killed.some(([name]) => name.endsWith('-wal')));
            await assertClean(server.data);
            assert.deepEqual(contents(), killed);
            await server.start();
            await server.stop();
            const stopped = contents();
            await assertClean(server.data);
            assert.deepEqual(contents(), stopped);
        });
    } else {
        it('a server that cannot be reached', async () => {
            const env = { DATABASE_URL: 'postgresql://somebody@127.0.0.1:1/nothing' };
            assertOneLine(await run(['verify'], { env }), /^coupond: cannot reach postgresql:\/\/127\.0\.0\.1:1\/nothing: /);
        });

        it('a database without a schema', async () => {
            const data = freshData();
            await data.prepare();
            const database = await data.postgres.createEmptyDatabase();
            const env = { ...data.postgres.env(database), ...quiet };
            assertOneLine(await run(['verify'], { env }), /has no schema yet.*coupond migrate/);
            await data.postgres.dropDatabase(database);
            await data.remove();
        });
    }
});
