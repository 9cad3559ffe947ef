// A real PostgreSQL 15 for the tests.
//
//   const postgres = await Postgres.start({fsync, settings, tls});
//   postgres.stop(), start(), restart(), kill9(), stop('SIGQUIT'), remove(), port, log
//   postgres.createEmptyDatabase()     a database without coupond's schema; its name
//   postgres.env(database)             the DB_* settings by which coupond uses it
//   postgres.url(database)             the same as DATABASE_URL
//   postgres.query(database, sql)      the rows of a SELECT, as objects
//   postgres.execute(database, sql)    any statements; null: the database postgres
//
// Most tests need none: Coupond (coupond.js) takes the one that with_servers.js has started.
import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeCertificates } from './certificates.js';
import { outputOf } from './processes.js';
import { Server, unprivilegedUser } from './server.js';

const programs = '/usr/lib/postgresql/15/bin';
// They hold what has to be quoted somewhere.
const superuserPassword = `super 'user'`;
const password = `pass:word/@%'"\\ é`;
const template = 'coupond_template';

/**
 * `secret` as PostgreSQL keeps it (RFC 5803), but derived in one round and not in 4,096, which would
 * be much of what a test costs that connects a few times.
 */
function verifierOf(secret) {
    const salt = randomBytes(16);
    const salted = pbkdf2Sync(secret, salt, 1, 32, 'sha256');
    const keyed = (name) => createHmac('sha256', salted).update(name).digest();
    const stored = createHash('sha256').update(keyed('Client Key')).digest('base64');
    const server = keyed('Server Key').toString('base64');
    return `SCRAM-SHA-256$1:${salt.toString('base64')}$${stored}:${server}`;
}

/** How a PostgreSQL is reached, wherever it was started. */
export class PostgresAddress {
    #rootCertificate;
    #databases = 0;
    #template;

    /** `hasTemplate`: prepareTemplate() has been called for this server. */
    constructor({ host, port, rootCertificate, hasTemplate }) {
        this.host = host;
        this.port = port;
        this.#rootCertificate = rootCertificate;
        if (hasTemplate) this.#template = Promise.resolve();
    }

    /** As text, for another process; read() makes an address of it again. */
    toString() {
        const { host, port } = this;
        const rootCertificate = this.#rootCertificate;
        return JSON.stringify({ host, port, rootCertificate, hasTemplate: !!this.#template });
    }

    static read(text) {
        return new PostgresAddress(JSON.parse(text));
    }

    /** DB_* for coupond; `through` ({host, port}) is what it is to connect to instead. */
    env(database, through = this) {
        const env = {
            DB_HOST: through.host,
            DB_PORT: String(through.port),
            DB_USERNAME: 'coupond',
            DB_PASSWORD: password,
            DB_NAME: database,
        };
        if (this.#rootCertificate) {
            env.DB_SSLMODE = 'verify-full';
            env.DB_SSLROOTCERT = this.#rootCertificate;
        }
        return env;
    }

    /** The same as a URL. */
    url(database, through = this) {
        const ssl = this.#rootCertificate
            ? `?sslmode=verify-full&sslrootcert=${encodeURIComponent(this.#rootCertificate)}`
            : '';
        return (
            `postgresql://coupond:${encodeURIComponent(password)}` +
            `@${through.host}:${through.port}/${encodeURIComponent(database)}${ssl}`
        );
    }

    /** The superuser's, for tests that are no Node programs. */
    superuserUrl() {
        assert.ok(!this.#rootCertificate, 'without TLS only');
        const secret = encodeURIComponent(superuserPassword);
        return `postgresql://postgres:${secret}@${this.host}:${this.port}/postgres`;
    }

    async #psql(database, ...words) {
        const env = {
            PGHOST: this.host,
            PGPORT: String(this.port),
            PGUSER: 'postgres',
            PGPASSWORD: superuserPassword,
            PGDATABASE: database ?? 'postgres',
            PGSSLMODE: this.#rootCertificate ? 'verify-full' : 'disable',
            PGSSLROOTCERT: this.#rootCertificate ?? '',
        };
        const options = ['--no-psqlrc', '--quiet', '--tuples-only', '--no-align'];
        return outputOf([`${programs}/psql`, ...options, '--set=ON_ERROR_STOP=1', ...words], {
            env,
        });
    }

    /** Runs statements, as the superuser; several of them in one transaction. */
    async execute(database, sql) {
        return this.#psql(database, '--command', sql);
    }

    /** The rows of a SELECT, as objects. */
    async query(database, sql) {
        const text = await this.#psql(
            database,
            '--command',
            `SELECT coalesce(json_agg(row), '[]') FROM (${sql}) AS row`,
        );
        return JSON.parse(text);
    }

    /** A new database that coupond's user owns; a copy of `from` where that is named. */
    async createEmptyDatabase(from) {
        this.#databases += 1;
        const name = `coupond_${process.pid}_${this.#databases}`;
        // By files is the faster way here, where no checkpoint waits for the disk.
        const copy = from ? `TEMPLATE ${from} STRATEGY FILE_COPY` : '';
        await this.execute(null, `CREATE DATABASE ${name} OWNER coupond ${copy}`);
        return name;
    }

    /** A fresh database with coupond's schema; prepareTemplate() must have been called. */
    createDatabase() {
        return this.createEmptyDatabase(template);
    }

    async dropDatabase(name) {
        await this.execute(null, `DROP DATABASE ${name} WITH (FORCE)`);
    }

    /**
     * Makes what createDatabase() copies, the first time: `migrate(env)` has to put coupond's
     * schema into the database that the DB_* settings `env` name.
     */
    prepareTemplate(migrate) {
        this.#template ??= this.#makeTemplate(migrate);
        return this.#template;
    }

    async #makeTemplate(migrate) {
        await this.execute(null, `CREATE DATABASE ${template} OWNER coupond`);
        await migrate(this.env(template));
        // A database that somebody is connected to cannot be copied.
        await this.execute(null, `ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
    }
}

/** A PostgreSQL of the test's own. */
export class Postgres extends Server {
    ready = ['stderr', /database system is ready to accept connections/];
    // Fast shutdown; and, where the test process ends first, immediate shutdown: unlike SIGKILL it
    // leaves no shared memory behind.
    stopSignal = 'SIGINT';
    deathSignal = 'SIGQUIT';
    #options;
    #certificates;
    #address;

    /**
     * Options: `fsync` (default off: what a killed process has written stays), `settings` (further
     * ones of postgresql.conf), `tls` (it takes no connection without), `folder` (for its data; its
     * user's; default: one of its own).
     */
    constructor(options = {}) {
        // Copies of databases, which most of the tests need, cost a disk more than everything else.
        super({ user: unprivilegedUser(), inMemory: !options.fsync });
        this.#options = options;
        this.dataFolder = path.join(options.folder ?? this.folder, 'data');
    }

    /** A running one, with a user for coupond and no database yet. */
    static async start(options) {
        const postgres = new Postgres(options);
        await postgres.#initialise();
        await postgres.start();
        await postgres.address.execute(
            null,
            `CREATE ROLE coupond LOGIN PASSWORD '${verifierOf(password)}';
             ALTER ROLE postgres PASSWORD '${verifierOf(superuserPassword)}'`,
        );
        return postgres;
    }

    async #initialise() {
        const passwordFile = path.join(this.folder, 'password');
        writeFileSync(passwordFile, superuserPassword);
        await outputOf(
            [
                ...[`${programs}/initdb`, '--no-instructions', this.dataFolder],
                ...(this.#options.fsync ? [] : ['--no-sync']),
                ...['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
                ...['--encoding=UTF8', '--locale=C.UTF-8'],
            ],
            { user: this.user },
        );
        if (!this.#options.tls) return;
        this.#certificates = await makeCertificates(this.folder, { user: this.user });
        writeFileSync(
            path.join(this.dataFolder, 'pg_hba.conf'),
            'hostssl all all 127.0.0.1/32 scram-sha-256\n',
        );
    }

    /** Its settings, which a running one takes from its next start on. */
    configure(settings) {
        this.#options = {
            ...this.#options,
            settings: { ...this.#options.settings, ...settings },
        };
    }

    async startCommand() {
        const { fsync = false, settings = {} } = this.#options;
        const all = {
            listen_addresses: this.host,
            port: this.port,
            unix_socket_directories: '',
            fsync: fsync ? 'on' : 'off',
            full_page_writes: fsync ? 'on' : 'off',
            ...(this.#certificates && {
                ssl: 'on',
                ssl_cert_file: this.#certificates.certificate,
                ssl_key_file: this.#certificates.key,
            }),
            ...settings,
        };
        const words = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
        return [`${programs}/postgres`, '-D', this.dataFolder, ...words];
    }

    /** Ends it; with SIGQUIT at once, leaving what is to be done to the next start. */
    async stop(signal = 'SIGINT') {
        this.stopSignal = signal;
        await super.stop();
    }

    get address() {
        assert.ok(this.port, 'PostgreSQL has not been started');
        this.#address ??= new PostgresAddress({
            host: this.host,
            port: this.port,
            rootCertificate: this.#certificates?.authority,
        });
        return this.#address;
    }

    env(database, through) {
        return this.address.env(database, through);
    }

    url(database, through) {
        return this.address.url(database, through);
    }

    query(database, sql) {
        return this.address.query(database, sql);
    }

    execute(database, sql) {
        return this.address.execute(database, sql);
    }

    prepareTemplate(migrate) {
        return this.address.prepareTemplate(migrate);
    }

    createDatabase() {
        return this.address.createDatabase();
    }

    createEmptyDatabase() {
        return this.address.createEmptyDatabase();
    }

    dropDatabase(name) {
        return this.address.dropDatabase(name);
    }
}
