// A real PgBouncer for the tests, in transaction mode, in front of a PostgreSQL.
//
//   const bouncer = await PgBouncer.start({postgres, settings});
//   bouncer.stop(), start(), restart(), kill9(), remove()
//   new PostgresData({postgres, through: bouncer})   (data.js) makes coupond use it
//   bouncer.query('SHOW POOLS')        what its console says, as lists of texts
import { chownSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { outputOf } from './processes.js';
import { Server, unprivilegedUser } from './server.js';

const consoleUser = 'console';
const consolePassword = 'console';

export class PgBouncer extends Server {
    ready = ['stderr', /process up: PgBouncer/];
    #options;

    /** Options: `postgres`, `settings` (further ones of pgbouncer.ini). */
    constructor(options) {
        super({ user: unprivilegedUser() });
        this.#options = options;
    }

    static async start(options) {
        const bouncer = new PgBouncer(options);
        await bouncer.start();
        return bouncer;
    }

    async startCommand() {
        const { postgres, settings = {} } = this.#options;
        const { DB_USERNAME: user, DB_PASSWORD: password } = postgres.env('any');
        const users = path.join(this.folder, 'users.txt');
        const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
        writeFileSync(
            users,
            `${quoted(user)} ${quoted(password)}\n` +
                `${quoted(consoleUser)} ${quoted(consolePassword)}\n`,
        );
        const all = {
            listen_addr: this.host,
            listen_port: this.port,
            unix_socket_dir: '',
            pool_mode: 'transaction',
            auth_type: 'scram-sha-256',
            auth_file: users,
            admin_users: consoleUser,
            ...settings,
        };
        const file = path.join(this.folder, 'pgbouncer.ini');
        const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}\n`);
        writeFileSync(
            file,
            `[databases]\n* = host=${postgres.host} port=${postgres.port}\n` +
                `[pgbouncer]\n${lines.join('')}`,
        );
        if (this.user) for (const name of [users, file]) chownSync(name, this.user.uid, -1);
        return ['pgbouncer', file];
    }

    /** What its console answers: the rows, each a list of texts. */
    async query(command) {
        const env = {
            PGHOST: this.host,
            PGPORT: String(this.port),
            PGUSER: consoleUser,
            PGPASSWORD: consolePassword,
            PGDATABASE: 'pgbouncer',
            PGSSLMODE: 'disable',
        };
        const text = await outputOf(
            ['psql', '--no-psqlrc', '--tuples-only', '--no-align', '--command', command],
            { env },
        );
        return text
            .trimEnd()
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => line.split('|'));
    }
}
