// A PostgreSQL 15 and Redis 7 of the run's own, on loopback ports.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Service, freePort, run } from './processes.mjs';

export const programs = '/usr/lib/postgresql/15/bin';
const host = '127.0.0.1';

/** Whom PostgreSQL, which refuses to be root, is run as: Debian's user for it where we are root. */
function unprivilegedUser() {
    if (process.getuid() !== 0) return undefined;
    const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    return { uid: id('-u'), gid: id('-g') };
}

/** Launches it on a free port; on another one where somebody has taken that meanwhile. */
async function launchOnFreePort(service, launch) {
    for (let tries = 1; ; tries += 1) {
        service.port = await freePort();
        try {
            return await launch();
        } catch (error) {
            if (tries === 5 || !/in use/i.test(error.message)) throw error;
        }
    }
}

export class Postgres extends Service {
    /**
     * What differs from its defaults. The first three are the defaults, and what makes an answer
     * durable. No checkpoint falls into a measurement unless `max_wal_size` is used up.
     */
    settings = {
        fsync: 'on',
        synchronous_commit: 'on',
        full_page_writes: 'on',
        shared_buffers: '1GB',
        maintenance_work_mem: '256MB',
        min_wal_size: '2GB',
        max_wal_size: '4GB',
        checkpoint_timeout: '15min',
    };
    #data;
    #password = randomBytes(16).toString('hex');

    constructor(folder) {
        super('PostgreSQL');
        this.#data = path.join(folder, 'postgres');
    }

    /** A running one; its data is kept in `folder`. */
    static async start(folder) {
        const postgres = new Postgres(folder);
        await postgres.#start(folder);
        return postgres;
    }

    async #start(folder) {
        const user = unprivilegedUser();
        const passwordFile = path.join(folder, 'password');
        writeFileSync(passwordFile, this.#password, { mode: 0o600 });
        mkdirSync(this.#data);
        for (const made of user ? [passwordFile, this.#data] : []) {
            chownSync(made, user.uid, user.gid);
        }
        const options = { user, cwd: folder };
        await run(
            `${programs}/initdb`,
            ['--no-instructions', '--username=postgres', `--pwfile=${passwordFile}`,
                '--auth=md5', '--encoding=UTF8', '--locale=C.UTF-8', this.#data],
            options,
        );
        await launchOnFreePort(this, () => {
            const all = {
                listen_addresses: host,
                port: this.port,
                unix_socket_directories: '',
                password_encryption: 'md5', // quick: pgbench connects in the time it is given
                ...this.settings,
            };
            return this.launch(
                `${programs}/postgres`,
                ['-D', this.#data,
                    ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
                ['stderr', /database system is ready to accept connections/],
                // Unlike SIGKILL it leaves no shared memory behind.
                { ...options, deathSignal: 'SIGQUIT' },
            );
        });
        await this.sql('postgres', `CREATE ROLE coupond LOGIN PASSWORD '${this.#password}'`);
        this.version = await this.sql('postgres', 'SHOW server_version');
    }

    /** Runs statements as the superuser, each by itself; returns what they print. */
    async sql(database, text) {
        const printed = await run(
            `${programs}/psql`,
            ['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1',
                '--dbname', database],
            { env: this.clientEnvironment(), input: text, withinMs: 300_000 },
        );
        return printed.trim();
    }

    /** How many checkpoints began by themselves, not by a copy that asked for one. */
    get checkpoints() {
        return [...this.output.stderr.matchAll(/checkpoint starting: (time|wal)/g)].length;
    }

    /** How its own client programs reach it. */
    clientEnvironment() {
        return {
            PATH: '/usr/bin:/bin',
            PGHOST: host,
            PGPORT: String(this.port),
            PGUSER: 'postgres',
            PGPASSWORD: this.#password,
        };
    }

    /** How coupond does. */
    environment(database) {
        return {
            DB_HOST: host,
            DB_PORT: String(this.port),
            DB_USERNAME: 'coupond',
            DB_PASSWORD: this.#password,
            DB_NAME: database,
        };
    }

    stop() {
        return super.stop('SIGINT');
    }
}

/** One that writes nothing to the disk by itself. */
export class Redis extends Service {
    constructor() {
        super('Redis');
    }

    static async installedVersion() {
        return /v=(\S+)/.exec(await run('redis-server', ['--version']))[1];
    }

    /** A running one, with what the dump.rdb in `folder` holds, if there is one. */
    static async start(folder) {
        const redis = new Redis();
        await launchOnFreePort(redis, () =>
            redis.launch(
                'redis-server',
                ['--bind', host, '--port', String(redis.port), '--dir', folder,
                    '--save', '', '--appendonly', 'no'],
                ['stdout', /Ready to accept connections/],
                { cwd: folder },
            ),
        );
        return redis;
    }

    /** Sends one command; returns what it answers. Throws where that is an error. */
    async ask(...words) {
        const where = ['-h', host, '-p', String(this.port)];
        return (await run('redis-cli', [...where, '-e', ...words])).trim();
    }

    environment() {
        return { REDIS_HOST: host, REDIS_PORT: String(this.port) };
    }
}
