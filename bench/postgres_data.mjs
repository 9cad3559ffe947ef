// The data that PostgreSQL and Redis are measured on: databases to copy, with one book of codes,
// all free, all assigned or all locked, and entries in the ledger as a migration makes them; a dump
// of Redis where all are locked; and pgbench's table.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { code } from './codes.mjs';
import { commands } from './command.mjs';
import { Redis } from './postgres_servers.mjs';
import { Server, run } from './processes.mjs';

const day = 24 * 3_600_000;
// As code() of codes.mjs and load.lua have them; i counts from 0.
const codeSql = `'B-' || upper(lpad(to_hex(i * 2654435761 & 4294967295), 8, '0'))`;
const userSql = `'user-' || lpad(i::text, 7, '0')`;
const lockLua = `
    local from, to, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
    for i = from, to - 1 do
        local code = string.format('B-%08X', i * 2654435761 % 4294967296)
        redis.call('SET', 'coupon:lock:' .. code, string.format('user-%07d', i), 'PXAT', expiry)
        redis.call('ZADD', 'coupon:locked:1', expiry, code)
    end
    redis.call('PEXPIREAT', 'coupon:locked:1', expiry)`;

export class PostgresData {
    #binary;
    #postgres;
    #folder;
    #codes;
    #copies = 0;

    constructor({ binary, postgres, folder, codes }) {
        this.#binary = binary;
        this.#postgres = postgres;
        this.#folder = folder;
        this.#codes = codes;
    }

    /** The database `state` (free, assigned or locked), by coupond's schema and SQL. */
    async makeCodes(state) {
        const sql = (text) => this.#postgres.sql(state, text);
        const codes = this.#codes;
        const now = Date.now();
        const until = state === 'locked' ? now + day : null;
        const held = state !== 'free';
        const all = `FROM generate_series(0::bigint, ${codes - 1}) AS i`;
        // After the book's entry and the upload's come one for each code, then one for each lock.
        const entered = { assigned: 3, locked: codes + 3 };
        const enter = (type, first, previous, end) =>
            `INSERT INTO ledger (id, at, book_id, code_id, user_number, previous_id, locked_until,
                                 type, request_id)
             SELECT ${first} + i, ${now}, 1, i + 1, i + 1, ${previous}, ${end}, ${type}, 'migration'
             ${all};`;
        // As src/domain/settings.cpp writes what a book was created as.
        const created =
            `\nname bench\ncode_pattern B-{8}\ncreated_at ${now}\nupdated_at ${now}\n`;
        await this.#postgres.sql('postgres', `CREATE DATABASE ${state} OWNER coupond`);
        await run(this.#binary, ['migrate'], {
            cwd: this.#folder,
            env: { PATH: '/usr/bin:/bin', ...this.#postgres.environment(state) },
        });
        await sql(
            `SET session_replication_role = replica; -- foreign keys are not looked up
             INSERT INTO coupon_book (id, name, code_pattern, created_at, updated_at, last_entry_id)
             VALUES (1, 'bench', 'B-{8}', ${now}, ${now}, 1);
             ${held ? `INSERT INTO coupon_user (user_id) SELECT ${userSql} ${all} ORDER BY i;` : ''}
             INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, locked_until,
                                      last_entry_id, assigned_to, code)
             SELECT i + 1, 1, (random() * 9e18)::bigint, ${now}, ${until},
                    ${held ? `${entered[state]} + i, i + 1` : '2, NULL'}, ${codeSql}
             ${all};
             INSERT INTO ledger (id, at, book_id, code_id, codes, type, request_id, detail)
             VALUES (1, ${now}, 1, NULL, NULL, 1, 'migration', '${created}'),
                    (2, ${now}, 1, 1, ${codes}, 2, 'migration', NULL);
             ${held ? enter(3, entered.assigned, 2, 'NULL') : ''}
             ${until === null ? '' : enter(4, entered.locked, `${entered.assigned} + i`, until)}
             UPDATE ledger_origin SET transaction_offset =
                 (SELECT max(id) / 4096 + 1 FROM ledger) - pg_current_xact_id()::text::bigint;
             DELETE FROM book_count;
             INSERT INTO book_count
             SELECT book, 0, ${codes}, ${held ? 0 : codes}, 0, ${until === null ? 0 : codes}, 0
             FROM (VALUES (0), (1)) AS counted (book);
             INSERT INTO activity_count
             SELECT book, ${now - (now % 900_000)}, 0, ${codes}, ${held ? codes : 0},
                    ${until === null ? 0 : codes}, 0, 0
             FROM (VALUES (0), (1)) AS counted (book);
             UPDATE id_counter SET next = CASE "of" WHEN 'coupon_book' THEN 2 ELSE ${codes + 1} END
             WHERE "of" IN ('coupon_book', 'coupon_code');
             ${until === null ? '' : `INSERT INTO lock_count VALUES (1, ${until}, ${codes});`}`,
        );
        for (const i of [0, 12_345, codes - 1]) {
            const id = await sql(`SELECT id FROM coupon_code WHERE code = '${code(i)}'`);
            assert.equal(Number(id), i + 1, `the id of code ${i}`);
        }
        await this.#settle(state);
    }

    /** The database `pgbench`: a table like that of the codes, and one that only grows. */
    async makePgbench() {
        const now = Date.now();
        await this.#postgres.sql('postgres', `CREATE DATABASE pgbench`);
        await this.#postgres.sql(
            'pgbench',
            `CREATE TABLE bench_code (
                 id          bigint PRIMARY KEY,
                 version     bigint NOT NULL,
                 created_at  bigint NOT NULL,
                 redeemed_at bigint,
                 code        text COLLATE "C" NOT NULL UNIQUE,
                 assigned_to text COLLATE "C"
             ) WITH (fillfactor = 80);
             CREATE TABLE bench_history (
                 code_id     bigint NOT NULL,
                 redeemed_at bigint NOT NULL
             );
             INSERT INTO bench_code
             SELECT i + 1, 1, ${now}, NULL, ${codeSql}, ${userSql}
             FROM generate_series(0::bigint, ${this.#codes - 1}) AS i;`,
        );
        await this.#settle('pgbench');
    }

    #settle(database) {
        return this.#postgres.sql(
            database,
            'CREATE EXTENSION pg_prewarm; VACUUM (FREEZE, ANALYZE); CHECKPOINT;',
        );
    }

    /** The folder `locks`: a dump of Redis where code i is locked by user-<i>. */
    async makeLocks() {
        const folder = this.#file('locks');
        mkdirSync(folder);
        const redis = await Redis.start(folder);
        const until = Date.now() + day;
        const step = 50_000; // so that no script is taken for one that hangs
        for (let from = 0; from < this.#codes; from += step) {
            const to = Math.min(from + step, this.#codes);
            await redis.ask('EVAL', lockLua, '0', String(from), String(to), String(until));
        }
        assert.equal(Number(await redis.ask('DBSIZE')), this.#codes + 1);
        await redis.ask('SAVE');
        await redis.stop();
    }

    #file(name) {
        return path.join(this.#folder, name);
    }

    /** Whether locks are kept in Redis, and so what a command needs to start from. */
    static stateFor(name, inRedis) {
        return inRedis && commands[name].from === 'locked' ? 'assigned' : commands[name].from;
    }

    /** What a command is measured on, on the disk and as if in use for some time. */
    async copy(name, inRedis) {
        const state = PostgresData.stateFor(name, inRedis);
        const database = await this.#copyDatabase(state, 'coupon_code');
        const redis = inRedis ? await this.#copyLocks(commands[name].from === 'locked') : undefined;
        return new Copy({
            binary: this.#binary,
            postgres: this.#postgres,
            folder: this.#folder,
            codes: this.#codes,
            database,
            redis,
        });
    }

    async #copyLocks(locked) {
        const folder = this.#file('redis');
        rmSync(folder, { recursive: true, force: true });
        mkdirSync(folder);
        const dump = 'dump.rdb';
        if (locked) copyFileSync(this.#file(path.join('locks', dump)), path.join(folder, dump));
        return Redis.start(folder);
    }

    /** The same of pgbench's; returns the database's name. */
    copyPgbench() {
        return this.#copyDatabase('pgbench', 'bench_code');
    }

    async #copyDatabase(from, table) {
        this.#copies += 1;
        const name = `copy_${this.#copies}`;
        await this.#postgres.sql(
            'postgres',
            `CREATE DATABASE ${name} OWNER coupond TEMPLATE ${from} STRATEGY FILE_COPY`,
        );
        // A page's first change after a checkpoint, such as the copy brings, is logged as a whole
        // page. That is over after seconds for whoever is fast, so slow ones would pay more of it
        // in the time they are measured: none does.
        await this.#postgres.sql(
            name,
            `SELECT pg_prewarm(oid) FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i');
             UPDATE ${table} SET created_at = created_at WHERE id % 40 = 0; -- a row of every page`,
        );
        return name;
    }

    drop(database) {
        return this.#postgres.sql('postgres', `DROP DATABASE ${database} WITH (FORCE)`);
    }
}

/** A copy as command.mjs wants it. */
class Copy {
    #parts;

    constructor(parts) {
        this.#parts = parts;
    }

    get pids() {
        return { postgres: this.#parts.postgres.pid, redis: this.#parts.redis?.pid };
    }

    sql(text) {
        return this.#parts.postgres.sql(this.#parts.database, text);
    }

    async rows(name) {
        const { redis } = this.#parts;
        if (name === 'lock' && redis) return this.#redisLocks();
        const condition = commands[name].carriedOut;
        return Number(await this.sql(`SELECT count(*) FROM coupon_code WHERE ${condition}`));
    }

    async #redisLocks() {
        const { redis } = this.#parts;
        const sets = await redis.ask('EXISTS', 'coupon:locked:1');
        return Number(await redis.ask('DBSIZE')) - Number(sets);
    }

    async checkCounters(name) {
        const { redis, codes } = this.#parts;
        const { binary, folder } = this.#parts;
        const env = { PATH: '/usr/bin:/bin', ...this.#settings() };
        await run(binary, ['verify'], { cwd: folder, env, withinMs: 600_000 });
        if (!redis) return;
        const locked = Number(await redis.ask('ZCARD', 'coupon:locked:1'));
        const expected =
            name === 'redeem' ? codes - (await this.rows(name)) : await this.#redisLocks();
        assert.equal(locked, expected, 'the set of locked codes is not what is locked');
        if (name !== 'lock') return;
        const entries = Number(await this.sql('SELECT count(*) FROM ledger WHERE type = 4'));
        assert.equal(entries, locked, 'the locks in the ledger are not what is locked');
    }

    /** `binary`: another program that serves as coupond does. */
    serve(binary = this.#parts.binary) {
        return Server.start(binary, this.#parts.folder, this.#settings());
    }

    #settings() {
        const { postgres, redis, database } = this.#parts;
        return { ...postgres.environment(database), ...redis?.environment() };
    }

    async logPosition() {
        return Number(await this.sql(`SELECT pg_current_wal_insert_lsn() - '0/0'`));
    }

    async remove() {
        const { postgres, redis, database } = this.#parts;
        await redis?.stop();
        await postgres.sql('postgres', `DROP DATABASE ${database} WITH (FORCE)`);
    }
}
