// Where a coupond keeps what it knows: a SQLite file, or a PostgreSQL database and perhaps a Redis.
// A test that says nothing gets what COUPOND_BACKEND names: sqlite (the default), postgres or redis
// (PostgreSQL, and Redis for the locks).
//
//   new SqliteData(folder)
//   new PostgresData({postgres, through, redis, redisThrough})
//   data.env, data.args                the settings by which coupond uses it, after prepare()
//   data.query(sql)                    the rows of a SELECT, as objects
//   data.execute(sql)                  any statements
//   data.verify()                      throws where coupond verify finds that it does not agree with
//                                      its ledger; so does the end of every server that was ready,
//                                      unless the test says data.damaged = true
//
// Tables and columns have the same names in all of them, but that the figures of a book are the sum
// of its rows of book_count.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { binary, sanitizers } from './binary.js';
import { PostgresAddress, Postgres } from './postgres.js';
import { outputOf, removeFolder, runToEnd, temporaryFolder } from './processes.js';
import { Redis } from './redis.js';

export const backends = ['sqlite', 'postgres', 'redis'];

/** The backend that tests run on where they do not say. */
export function defaultBackend() {
    const backend = process.env.COUPOND_BACKEND ?? 'sqlite';
    assert.ok(backends.includes(backend), `COUPOND_BACKEND=${backend}: one of ${backends}`);
    return backend;
}

/** Fresh data for one coupond, or several that share it. */
export function freshData(backend = defaultBackend()) {
    return backend === 'sqlite'
        ? new SqliteData()
        : new PostgresData({ redis: backend === 'redis' });
}

/** Counts who uses it; the last one who lets it go has it verified and removed. */
class Data {
    served = false; // a server was ready on it
    damaged = false; // the test has changed it so that it need not agree with its ledger any more
    #users = 0;

    retain() {
        this.#users += 1;
    }

    async release() {
        this.#users -= 1;
        if (this.#users > 0) return;
        try {
            if (this.served && !this.damaged && this.reachable) await this.verify();
        } finally {
            await this.remove();
        }
    }

    async verify() {
        const words = [binary(), 'verify', ...this.args];
        const env = { ...sanitizers(), ...this.directEnv };
        const { code, signal, stdout, stderr } = await runToEnd(words, { env });
        assert.ok(code === 0, `coupond verify: ${signal ?? code}\n${stdout}${stderr}`);
    }
}

export class SqliteData extends Data {
    backend = 'sqlite';
    env = {};
    directEnv = {};
    reachable = true;
    #temporary;

    /** `folder` is the data folder; left out, a fresh one. */
    constructor(folder) {
        super();
        this.#temporary = folder === undefined ? temporaryFolder() : undefined;
        this.folder = folder ?? path.join(this.#temporary, 'data');
        if (!existsSync(this.folder)) mkdirSync(this.folder, { recursive: true });
        this.args = ['--data-dir', this.folder];
    }

    async prepare() {}

    /** The file itself. */
    get file() {
        const files = readdirSync(this.folder)
            .filter((name) => !/-(wal|shm|journal)$/.test(name))
            .filter((name) => /\.(db|sqlite3?)$/.test(name));
        assert.equal(files.length, 1, `database files in ${this.folder}: ${files}`);
        return path.join(this.folder, files[0]);
    }

    async query(sql) {
        return JSON.parse(
            (await outputOf(['sqlite3', '-readonly', '-json', this.file, sql])) || '[]',
        );
    }

    execute(sql) {
        return outputOf(['sqlite3', this.file, sql]);
    }

    async remove() {
        if (this.#temporary) removeFolder(this.#temporary);
    }
}

let shared;

/**
 * The PostgreSQL that with_servers.js has started; where nothing has, one that lives as long as
 * this process.
 */
function sharedPostgres() {
    const named = process.env.COUPOND_TEST_POSTGRES;
    shared ??= named ? Promise.resolve(PostgresAddress.read(named)) : startWithTemplate();
    return shared;
}

/** A PostgreSQL that createDatabase() works on. */
export async function startWithTemplate(options) {
    const postgres = await Postgres.start(options);
    await postgres.prepareTemplate(migrate);
    return postgres;
}

/** Puts coupond's schema into the database that `env` names. */
async function migrate(env) {
    await outputOf([binary(), 'migrate'], { env: { ...sanitizers(), ...env } });
}

export class PostgresData extends Data {
    args = [];
    #options;
    #ownRedis = false;
    #prepared;

    /**
     * Options: `postgres` (a Postgres or PostgresAddress; default: the shared one), `database`
     * (default: a fresh one), `through` ({host, port}: what coupond connects to instead of it, a
     * Proxy or PgBouncer), `redis` (a Redis; true: one of its own; default: none, the locks are in
     * PostgreSQL), `redisThrough`, `byUrl` (DATABASE_URL and REDIS_URL instead of DB_* and
     * REDIS_*).
     */
    constructor(options = {}) {
        super();
        this.#options = options;
        this.backend = options.redis ? 'redis' : 'postgres';
    }

    /** Makes the database, and starts a Redis of its own; what is there stays. */
    prepare() {
        this.#prepared ??= this.#prepare();
        return this.#prepared;
    }

    async #prepare() {
        const { postgres, database, redis } = this.#options;
        this.postgres = postgres ?? (await sharedPostgres());
        if (database === undefined) await this.postgres.prepareTemplate(migrate);
        this.#ownRedis = redis === true;
        [this.database, this.redis] = await Promise.all([
            database ?? this.postgres.createDatabase(),
            this.#ownRedis ? Redis.start() : redis || undefined,
        ]);
    }

    /** Settings for coupond. */
    get env() {
        const { through, redisThrough, byUrl } = this.#options;
        if (!byUrl) {
            return {
                ...this.postgres.env(this.database, through),
                ...this.redis?.env(redisThrough),
            };
        }
        return {
            DATABASE_URL: this.postgres.url(this.database, through),
            ...this.redis?.urlEnv(redisThrough),
        };
    }

    /** The same without what stands in between, and without Redis. */
    get directEnv() {
        return this.postgres.env(this.database);
    }

    /** Whether the test has left its PostgreSQL running. */
    get reachable() {
        return this.postgres.running !== false;
    }

    query(sql) {
        return this.postgres.query(this.database, sql);
    }

    execute(sql) {
        return this.postgres.execute(this.database, sql);
    }

    async remove() {
        if (!this.#prepared) return;
        const ownDatabase = this.#options.database === undefined && this.reachable;
        await Promise.all([
            this.#ownRedis && this.redis.remove(),
            ownDatabase && this.postgres.dropDatabase(this.database),
        ]);
    }
}
