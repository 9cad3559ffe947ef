// The proxy that the chaos tests fail a database with does what they rely on, with PostgreSQL's own
// clients.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Postgres } from '../support/postgres.js';
import { runToEnd, temporaryFolder } from '../support/processes.js';
import { Proxy } from '../support/proxy.js';
import { Redis } from '../support/redis.js';

const insert = 'BEGIN; INSERT INTO kept VALUES (1); COMMIT';

describe('a proxy in front of PostgreSQL', () => {
    let postgres;
    let database;
    let proxy;

    before(async () => {
        postgres = await Postgres.start();
        database = await postgres.createEmptyDatabase();
        await postgres.execute(database, 'CREATE TABLE kept (x int); GRANT ALL ON kept TO coupond');
        proxy = await Proxy.start({ to: postgres, protocol: 'postgres' });
    });
    after(async () => {
        proxy?.stop();
        await postgres?.remove();
    });

    const rows = async () =>
        (await postgres.query(database, 'SELECT count(*) AS rows FROM kept'))[0].rows;
    const url = () => postgres.url(database, proxy);
    /** One statement a message, by the simple protocol. */
    const psql = (...statements) =>
        runToEnd([
            ...['psql', '--no-psqlrc', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1'],
            ...statements.flatMap((sql) => ['--command', sql]),
            url(),
        ]);
    /** By the extended protocol, as pipelined as coupond does it. */
    const pgbench = (transactions = 1) => {
        const file = path.join(temporaryFolder(), 'script');
        writeFileSync(
            file,
            '\\startpipeline\nBEGIN;\nINSERT INTO kept VALUES (2);\nCOMMIT;\n\\endpipeline\n',
        );
        return runToEnd([
            ...['pgbench', '--no-vacuum', '--protocol=extended', `--file=${file}`],
            ...[`--transactions=${transactions}`, url()],
        ]);
    };
    /** Runs one transaction, which must lose its connection; how many rows it has left behind. */
    const rowsLeft = async (transaction) => {
        const already = await rows();
        const acted = proxy.acted;
        const { code, stderr } = await transaction();
        assert.notEqual(code, 0);
        assert.match(stderr, /connection|backend died/);
        assert.equal(proxy.acted, acted + 1);
        return (await rows()) - already;
    };

    it('passes everything on', async () => {
        assert.equal((await psql('SELECT 1')).stdout, '1\n');
        const long = await psql("SELECT repeat('x', 5000000)");
        assert.equal(long.stdout.length, 5_000_001);
        assert.equal((await psql(`SELECT length('${'y'.repeat(100_000)}')`)).stdout, '100000\n');
        const already = await rows();
        const commits = proxy.commits;
        assert.equal((await pgbench(5)).code, 0);
        assert.equal(await rows(), already + 5);
        assert.equal(proxy.commits, commits + 5);
        assert.equal(proxy.acted, 0);
    });

    for (const [how, transaction] of [
        ['pipelined', () => pgbench()],
        ['of its own', () => psql('BEGIN', 'INSERT INTO kept VALUES (3)', 'COMMIT')],
    ]) {
        it(`cuts before a COMMIT ${how}: it has not happened`, async () => {
            proxy.cutBeforeCommit();
            assert.equal(await rowsLeft(transaction), 0);
            assert.equal((await transaction()).code, 0, 'only once');
        });

        it(`cuts after a COMMIT ${how}: it has happened`, async () => {
            proxy.cutAfterCommit();
            assert.equal(await rowsLeft(transaction), 1);
            assert.equal((await transaction()).code, 0, 'only once');
        });

        it(`cuts at a COMMIT ${how} that happens later`, async () => {
            proxy.cutAfterCommit({ early: true, delayMs: 300 });
            const already = await rows();
            assert.equal(await rowsLeft(transaction), 0);
            for (const deadline = Date.now() + 10_000; (await rows()) === already;) {
                assert.ok(Date.now() < deadline, 'the COMMIT has never happened');
            }
        });

        it(`stalls before a COMMIT ${how}, until it is healed`, async () => {
            proxy.stallBeforeCommit();
            const already = await rows();
            const acted = proxy.acted;
            const running = transaction();
            await proxy.untilActed(acted + 1);
            assert.equal(await rows(), already);
            await proxy.heal();
            assert.equal((await running).code, 0);
            assert.equal(await rows(), already + 1);
        });

        it(`stalls after a COMMIT ${how}, until it is healed or cut`, async () => {
            for (const cut of [false, true]) {
                proxy.stallAfterCommit();
                const already = await rows();
                const acted = proxy.acted;
                const running = transaction();
                await proxy.untilActed(acted + 1);
                assert.equal(await rows(), already + 1);
                if (cut) proxy.cut();
                else await proxy.heal();
                assert.equal((await running).code === 0, !cut);
            }
        });
    }

    it('acts with a probability, until it is healed', async () => {
        const acted = proxy.acted;
        proxy.cutBeforeCommit({ probability: 0.5 });
        for (let tries = 0; proxy.acted < acted + 3; tries += 1) {
            assert.ok(tries < 100);
            await psql(insert.replace('COMMIT', 'SELECT 1'), 'COMMIT');
        }
        await proxy.heal();
        const { acted: then } = proxy;
        assert.equal((await pgbench(10)).code, 0);
        assert.equal(proxy.acted, then);
    });

    it('refuses, cuts and takes connections again', async () => {
        const waiting = psql('SELECT pg_sleep(60)');
        for (const deadline = Date.now() + 10_000; ;) {
            const [{ n }] = await postgres.query(
                database,
                "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' " +
                    'AND pid <> pg_backend_pid()',
            );
            if (n === 1) break;
            assert.ok(Date.now() < deadline);
        }
        proxy.refuse();
        const { code, stderr } = await psql('SELECT 1');
        assert.equal(code, 2);
        assert.match(stderr, /Connection refused/);
        proxy.cut();
        assert.notEqual((await waiting).code, 0);
        await proxy.heal();
        assert.equal((await psql('SELECT 1')).stdout, '1\n');
    });

    it('stalls and delays', async () => {
        proxy.stall();
        const held = psql('SELECT 1');
        const socket = net.connect({ host: proxy.host, port: proxy.port });
        await new Promise((resolve, reject) => {
            socket.once('connect', resolve);
            socket.once('error', reject);
        });
        socket.destroy();
        const sooner = await Promise.race([
            held,
            new Promise((resolve) => setTimeout(resolve, 300, 'held')),
        ]);
        assert.equal(sooner, 'held');
        await proxy.heal();
        assert.equal((await held).stdout, '1\n');

        proxy.delay(50);
        const asked = Date.now();
        assert.equal((await psql('SELECT 1')).stdout, '1\n');
        assert.ok(Date.now() - asked >= 200);
        await proxy.heal();
    });
});

describe('a proxy in front of Redis', () => {
    it('passes everything on, and cuts', async (t) => {
        const redis = await Redis.start();
        const proxy = await Proxy.start({ to: redis });
        t.after(async () => {
            proxy.stop();
            await redis.remove();
        });
        const ask = (...words) =>
            runToEnd(['redis-cli', '-p', String(proxy.port), ...words]).then(
                ({ stdout }) => stdout,
            );
        assert.equal(await ask('SET', 'a', 'b'), 'OK\n');
        const waiting = ask('BLPOP', 'nothing', '60');
        for (const deadline = Date.now() + 10_000; ;) {
            if ((await redis.ask('CLIENT', 'LIST')).includes('cmd=blpop')) break;
            assert.ok(Date.now() < deadline);
        }
        proxy.cut();
        await waiting;
        assert.equal(await ask('GET', 'a'), 'b\n');
    });
});
