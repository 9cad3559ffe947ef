// PostgreSQL as the database: how it is named, what it must hold, and what is said where it does
// not.
import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { binary, sanitizers } from '../support/binary.js';
import { Client, inParallel } from '../support/client.js';
import { Coupond, run } from '../support/coupond.js';
import { freshData, PostgresData, SqliteData, startWithTemplate } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { PgBouncer } from '../support/pgbouncer.js';
import { Postgres } from '../support/postgres.js';
import { Child, outputOf, temporaryFolder } from '../support/processes.js';

const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');
const quiet = { LOG_LEVEL: 'error' };

let postgres;
before(async () => {
    postgres = await Postgres.start();
});
after(() => postgres?.remove());

/** A database without coupond's schema, as data for a Coupond. */
async function emptyData() {
    const data = new PostgresData({ postgres, database: await postgres.createEmptyDatabase() });
    await data.prepare();
    return data;
}

const serve = (data, ...flags) =>
    run(['serve', '--host', '127.0.0.1', '--port', '0', ...flags], { data, env: quiet });
const migrate = (data, ...flags) => run(['migrate', ...flags], { data, env: quiet });

const assertOneLine = ({ code, signal, stdout, stderr }, pattern) => {
    assert.equal(signal, null);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.equal(lines(stderr).length, 1, stderr);
    assert.match(stderr, pattern);
};

const tables = async (data) =>
    data.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename");

describe('a database without the schema', () => {
    it('is refused by serve, which says what to do and changes nothing', async () => {
        const data = await emptyData();
        const end = await serve(data);
        assertOneLine(end, /coupond migrate/);
        assert.match(end.stderr, /--migrate/);
        assert.deepEqual(await tables(data), []);
    });

    it('gets it by coupond migrate, once', async (t) => {
        const data = await emptyData();
        const first = await migrate(data);
        assert.equal(first.code, 0, first.stderr);
        const made = await tables(data);
        for (const name of ['coupon_book', 'coupon_code']) {
            assert.ok(made.some(({ tablename }) => tablename === name));
        }
        const second = await migrate(data);
        assert.equal(second.code, 0, second.stderr);
        assert.deepEqual(await tables(data), made);
        const { client } = await testServer(t, { data });
        assert.deepEqual((await client.get('/coupon')).body, []);
    });

    it('gets it by serve --migrate, of many at once too', async (t) => {
        const data = await emptyData();
        const servers = Array.from({ length: 4 }, () => new Coupond({ data, args: ['--migrate'] }));
        t.after(() => inParallel(servers, servers.length, (server) => server.remove()));
        await inParallel(servers, servers.length, (server) => server.start());
    });

    it('is shown as such by migrate --status and --dry-run, which change nothing', async () => {
        const data = await emptyData();
        for (const [flag, pattern] of [
            ['--status', /pending/],
            ['--dry-run', /CREATE TABLE coupon_code/],
        ]) {
            const { code, stdout, stderr } = await migrate(data, flag);
            assert.equal(code, 0, stderr);
            assert.match(stdout, pattern);
        }
        assert.deepEqual(await tables(data), []);
    });

    it('gets it by psql from what --dry-run prints', async () => {
        const data = await emptyData();
        const { stdout } = await migrate(data, '--dry-run');
        const file = path.join(temporaryFolder(), 'schema.sql');
        writeFileSync(file, stdout);
        const words = ['--set=ON_ERROR_STOP=1', '--single-transaction', `--file=${file}`];
        await outputOf(['/usr/lib/postgresql/15/bin/psql', '--no-psqlrc', ...words], {
            env: {
                PGHOST: data.env.DB_HOST,
                PGPORT: data.env.DB_PORT,
                PGUSER: data.env.DB_USERNAME,
                PGPASSWORD: data.env.DB_PASSWORD,
                PGDATABASE: data.env.DB_NAME,
            },
        });
        const status = await migrate(data, '--status');
        assert.equal(status.code, 0, status.stderr);
        assert.doesNotMatch(status.stdout, /pending|run coupond migrate/);
        assert.match((await migrate(data, '--dry-run')).stdout, /0 migrations would be run/);
        assert.match((await migrate(data)).stdout, /\(0 migrations run\)/);
    });
});

describe('a database that cannot be used', () => {
    it('is one of a newer version', async () => {
        const data = await emptyData();
        assert.equal((await migrate(data)).code, 0);
        await data.execute("INSERT INTO schema_migration VALUES (9999, 'later')");
        for (const end of [await serve(data), await serve(data, '--migrate')]) {
            assertOneLine(end, /9999/);
        }
        assertOneLine(await migrate(data), /9999/);
    });

    it("is another program's", async () => {
        const data = await emptyData();
        await data.execute('CREATE TABLE coupon_book (x int)');
        assertOneLine(await serve(data), /coupond migrate/);
        assertOneLine(await migrate(data), /coupon_book/);
        assert.deepEqual(await tables(data), [{ tablename: 'coupon_book' }]);
    });
});

describe('PostgreSQL is named', () => {
    it('by a DATABASE_URL that libpq understands, else that is a wrong setting', async () => {
        const url = postgres.url('any');
        const bad = [
            [`${url}?sslmod=require`, /DATABASE_URL.*'sslmod'/],
            [url.replace('postgresql', 'mysql'), /DATABASE_URL.*postgresql:\/\//],
        ];
        for (const [wrong, pattern] of bad) {
            for (const words of [['serve'], ['migrate'], ['migrate', '--status']]) {
                const end = await run(words, { env: { ...quiet, DATABASE_URL: wrong } });
                assert.equal(end.code, 2, end.stderr);
                assert.equal(lines(end.stderr).length, 1, end.stderr);
                assert.match(end.stderr, pattern);
                assert.doesNotMatch(end.stderr, /pass|word/);
            }
        }
    });

    it('by DATABASE_URL', async (t) => {
        const data = new PostgresData({ postgres, byUrl: true });
        const { client } = await testServer(t, { data });
        await client.newBook();
        assert.equal((await data.query('SELECT count(*) AS n FROM coupon_book'))[0].n, 1);
    });

    it('with TLS, its certificate verified', async (t) => {
        const secure = await Postgres.start({ tls: true });
        t.after(() => secure.remove());
        const { client, server } = await testServer(t, {
            data: new PostgresData({ postgres: secure }),
        });
        await client.newBookWith(['TLS']);
        const sessions = await server.data.query(
            "SELECT ssl FROM pg_stat_ssl NATURAL JOIN pg_stat_activity WHERE usename = 'coupond'",
        );
        assert.ok(sessions.length > 0 && sessions.every(({ ssl }) => ssl));
    });

    it('by a PgBouncer in transaction mode', async (t) => {
        const bouncer = await PgBouncer.start({ postgres });
        t.after(() => bouncer.remove());
        const { server, client } = await testServer(t, {
            data: new PostgresData({ postgres, through: bouncer }),
        });
        const book = await client.newBookWith(['B-1', 'B-2'], { maxRedemptionsPerUser: 2 });
        for (const code of ['B-1', 'B-2']) {
            await client.mustAssign(code, 'ann');
            await client.mustLock(code, 'ann');
        }
        await client.mustRedeem('B-1', 'ann');
        assert.equal((await client.bookWithCodes(book.id)).counts.redeemed, 1);
        // Files of codes are of one transaction, as soon as the process knows its pooler and before.
        const pages = await client.newBook({ codePattern: 'B-{8}' });
        await client.mustGenerate(pages.id, 2_500);
        const headers = { accept: 'text/csv' };
        const again = await testServer(t, { data: server.data });
        for (const asked of [client, client, again.client, again.client]) {
            const get = () => asked.get(`/coupon/codes/${pages.id}`, { headers });
            for (const { status, text } of await Promise.all([get(), get()])) {
                assert.equal(status, 200, text.slice(0, 500));
                assert.equal(text.split('\r\n').length, 2_502);
            }
        }
    });
});

describe('a PostgreSQL that is down', () => {
    it('is waited for, while /health/live answers and /health/ready says so', async (t) => {
        const own = await Postgres.start();
        t.after(() => own.remove());
        const { server, client } = await testServer(t, {
            data: new PostgresData({ postgres: own }),
        });
        await client.newBookWith(['D-1']);
        await own.stop();
        assert.equal((await client.get('/health/live')).status, 200);
        assert.equal((await client.get('/health/ready')).status, 503);
        assert.equal((await client.assign('D-1', 'ann')).status, 503);
        assert.match(server.stderr, /lost the connection to the database side=changes /);
        assert.match(server.stderr, /the database does not work side=changes /);
        assert.doesNotMatch(server.stderr, /=\s|=""/);
        await own.start();
        for (const deadline = Date.now() + 30_000; ;) {
            if ((await client.get('/health/ready')).status === 200) break;
            assert.ok(Date.now() < deadline, server.stderr);
        }
        await client.mustAssign('D-1', 'ann');
    });
});

describe('SIGTERM', () => {
    it('ends within ten seconds what waits to migrate', async (t) => {
        const data = await emptyData();
        const migrating = data.execute(
            'SELECT pg_advisory_lock(7166182916438356016), pg_sleep(60)',
        );
        migrating.catch(() => {});
        const waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        const sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        t.after(() => data.query(`SELECT pg_terminate_backend(pid) FROM (${sleeping}) AS one`));
        const found = async (sql) => {
            for (const deadline = Date.now() + 30_000; (await data.query(sql)).length === 0; ) {
                assert.ok(Date.now() < deadline, sql);
            }
        };
        await found(sleeping);
        const server = new Coupond({ data, args: ['--migrate'] });
        t.after(() => server.remove());
        const started = server.start();
        started.catch(() => {});
        await found(waiting);
        const began = Date.now();
        server.signal('SIGTERM');
        await server.ended();
        const ms = Date.now() - began;
        assert.ok(ms < 10_000, `it took ${ms} ms`);
        await assert.rejects(started, /ended before it was ready/);
        assert.match(server.stderr, /not stopped in time.*waiting_for="?the schema/);
    });
});

describe('coupond work', () => {
    const startWork = async (data) => {
        const env = { ...sanitizers(), ...data.env };
        const child = new Child([binary(), 'work', ...data.args], { name: 'coupond work', env });
        await child.outputMatching('stdout', /^coupond \S+ works on the jobs of /, 30_000);
        return child;
    };

    it('makes what is left of a job where no server runs, and ends with SIGTERM', async (t) => {
        const { server, client } = await testServer(t, { data: freshData('postgres') });
        const count = 60_000;
        const { id } = await client.newBook({ codePattern: 'W-{10}' });
        const job = await client.mustBegin(id, count);
        const { created } = await client.untilJob(job.id, (now) => now.created > 0);
        assert.ok(created < count, 'it was over at once');
        await server.kill9();
        const workers = [await startWork(server.data), await startWork(server.data)];
        for (const deadline = Date.now() + 120_000; ; await sleep(50)) {
            const [made] = await server.data.query('SELECT created FROM job');
            if (Number(made.created) === count) break;
            assert.ok(Date.now() < deadline, JSON.stringify(made));
        }
        await server.start();
        // They are the server's equals.
        const next = await client.mustBegin(id, 1_000);
        for (const one of [job, next]) {
            assert.equal((await client.untilJob(one.id)).status, 'completed');
        }
        assert.equal((await client.get(`/coupon/${id}`)).body.counts.total, count + 1_000);
        for (const worker of workers) {
            worker.kill('SIGTERM');
            assert.deepEqual(await worker.exit(10_000), { code: 0, signal: null }, worker.output);
        }
    });

    it('is refused with SQLite, of which the server alone has the file', async () => {
        const data = new SqliteData();
        const { code, stdout, stderr } = await run(['work'], { data, env: quiet });
        await data.remove();
        assert.deepEqual([code, stdout], [2, '']);
        assert.match(stderr, /coupond work is for PostgreSQL/);
    });

    it('is refused where the database has not the schema', async () => {
        const data = await emptyData();
        const end = await run(['work'], { data, env: quiet });
        assertOneLine(end, /coupond migrate/);
    });
});

describe('what is said', () => {
    it('never holds the password', async (t) => {
        const data = new PostgresData({ postgres });
        const { server, client } = await testServer(t, { data, env: { LOG_LEVEL: 'debug' } });
        await client.newBook();
        const password = data.env.DB_PASSWORD;
        const shown = [password, encodeURIComponent(password)];
        const wrong = await run(['migrate'], { data, env: { DB_NAME: 'nowhere' } });
        assert.notEqual(wrong.code, 0);
        for (const text of [server.stdout, server.stderr, wrong.stdout, wrong.stderr]) {
            for (const secret of shown) assert.ok(!text.includes(secret), text);
        }
    });
});

describe('DB_READ_HOST', () => {
    it('is a replica that lists come from, and nothing else', async (t) => {
        const primary = await startWithTemplate();
        const replica = await startReplica(primary);
        const data = new PostgresData({ postgres: primary });
        const server = await Coupond.start({ data, env: { DB_READ_HOST: replica.host } });
        const client = new Client(() => server.port);
        t.after(async () => {
            client.close();
            await server.remove();
            await replica.remove();
            await primary.remove();
        });
        const names = async () => (await client.get('/coupon')).body.map(({ name }) => name);
        const shows = async (wanted) => {
            for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(50)) {
                if ((await names()).join() === wanted) return;
            }
            assert.equal((await names()).join(), wanted);
        };
        await client.newBook({ name: 'One' });
        await shows('One');
        await replica.execute(null, 'SELECT pg_wal_replay_pause()');
        await client.newBook({ name: 'Two' });
        await shows('One');
        await replica.execute(null, 'SELECT pg_wal_replay_resume()');
        await shows('One,Two');

        await replica.stop();
        assert.equal((await client.get('/coupon')).status, 503);
        assert.equal((await client.get('/health/ready')).status, 503);
        await client.newBook({ name: 'Three' });
        await replica.start();
        await client.untilReady(20_000);
        await shows('One,Two,Three');
    });

    it('that cannot be used at the start is told of once, and waited for', async (t) => {
        const primary = await startWithTemplate();
        const replica = await startReplica(primary);
        const data = new PostgresData({ postgres: primary });
        await data.prepare();
        await replica.stop();
        const server = new Coupond({ data, env: { DB_READ_HOST: replica.host } });
        t.after(async () => {
            await server.remove();
            await replica.remove();
            await primary.remove();
        });
        const line = /the database does not work side=lists reason=/;
        const { ready } = await server.startWaiting(line);
        const client = new Client(server.port);
        t.after(() => client.close());
        assert.equal((await client.get('/health/ready')).status, 503);
        await client.newBook({ name: 'One' });
        assert.equal(server.stdout, '');
        assert.equal(server.stderr.match(/does not work/g).length, 1, server.stderr);
        await replica.start();
        await ready;
        assert.equal((await client.get('/health/ready')).status, 200);
        assert.match(server.stderr, /the database works again side=lists/);
    });
});

/** A replica on another loopback address and the same port, as DB_READ_HOST has it. */
async function startReplica(primary) {
    const replica = new Postgres();
    replica.host = '127.0.0.2';
    replica.port = primary.port;
    replica.ready = ['stderr', /ready to accept read-only connections/];
    await outputOf(
        [
            '/usr/lib/postgresql/15/bin/pg_basebackup',
            ...[`--dbname=${primary.address.superuserUrl()}`, '--write-recovery-conf'],
            ...['--checkpoint=fast', '--no-sync', `--pgdata=${replica.dataFolder}`],
        ],
        { user: replica.user },
    );
    appendFileSync(
        path.join(replica.dataFolder, 'pg_hba.conf'),
        'host all all 127.0.0.0/8 scram-sha-256\n',
    );
    await replica.start();
    return replica;
}
