// The data that SQLite is measured on: folders with one book of codes, all free, all assigned or
// all locked, with entries in the ledger as a migration makes them; or of one open code.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { code, codesPerUpload, longCode, sendUpload, upload } from './codes.mjs';
import { commands, load, paceOf } from './command.mjs';
import { Server, run } from './processes.mjs';

/** An entry of a type for each code, which is then its last. */
const enter = (type) =>
    `CREATE TEMPORARY TABLE entered AS SELECT max(id) AS most FROM ledger;
     INSERT INTO ledger (id, at, type, book_id, code_id, user_number, previous_id, locked_until,
                         request_id)
     SELECT most + id, created_at, ${type}, book_id, id, assigned_to, last_entry_id, locked_until,
         'migration'
     FROM coupon_code JOIN entered ORDER BY id;
     UPDATE coupon_code SET last_entry_id = (SELECT most FROM entered) + id;
     DROP TABLE entered;`;

async function post(url, body) {
    const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', connection: 'close' },
        body: JSON.stringify(body),
    });
    assert.equal(answer.status, 201, await answer.text());
}

const recount = (column, type) =>
    `UPDATE activity_count SET ${column} =
         (SELECT count(*) FROM ledger WHERE type = ${type} AND at - at % 900000 = since);`;

export class Data {
    #binary;
    #folder;
    #copies = 0;
    #uploads = 0;

    constructor(binary, folder) {
        this.#binary = binary;
        this.#folder = folder;
    }

    /** Uploads codes `from` up to `to` in as many requests as that takes. */
    async fill(server, from, to, nameOf) {
        const file = this.file('upload.json');
        for (let at = from; at < to; at += codesPerUpload) {
            writeFileSync(file, upload(at, Math.min(to, at + codesPerUpload), nameOf));
            await sendUpload(server, file);
        }
    }

    /** `count` codes that were not uploaded before. */
    async addLongCodes(server, count) {
        const from = this.#uploads;
        this.#uploads += count;
        await this.fill(server, from, from + count, longCode);
    }

    file(name) {
        return path.join(this.#folder, name);
    }

    database(name) {
        return path.join(this.file(name), 'coupond.db');
    }

    sql(name, text, withinMs = 600_000) {
        return run('sqlite3', ['-bail', this.database(name)], { input: text, withinMs });
    }

    /** A server on a new folder of one book. */
    async #serveBook(name, members = {}) {
        mkdirSync(this.file(name));
        const server = await Server.start(this.#binary, this.file(name));
        const book = { name: 'bench', codePattern: 'B-{8}', ...members };
        await post(`${server.url}/coupon`, book);
        return server;
    }

    /** A folder of one book of `count` free codes, made by the server itself. */
    async makeFree(name, count, nameOf = code) {
        const server = await this.#serveBook(name);
        await this.fill(server, 0, count, nameOf);
        await server.stop();
        if (nameOf !== code) return;
        for (const i of [0, 12_345, count - 1]) {
            const id = await this.sql(name, `SELECT id FROM coupon_code WHERE code = '${code(i)}'`);
            assert.equal(Number(id), i + 1, `the id of code ${i}`);
        }
    }

    /** From a folder of free codes one where code i is assigned to user-<i>. */
    async makeAssigned(name, free, count) {
        await this.#copy(free, name);
        await this.#rewrite(
            name,
            `INSERT INTO coupon_user (number, user_id)
             SELECT id, printf('user-%07d', id - 1) FROM coupon_code ORDER BY id;
             UPDATE coupon_code SET assigned_to = id;
             ${enter(3)}
             UPDATE book_count SET available = available - ${count};
             ${recount('assigned', 3)}`,
        );
    }

    /** From a folder of assigned codes one where each is locked by its user for a day. */
    async makeLocked(name, assigned, count) {
        const until = Date.now() + 24 * 3_600_000;
        await this.#copy(assigned, name);
        await this.#rewrite(
            name,
            `UPDATE coupon_code SET locked_until = ${until};
             ${enter(4)}
             UPDATE book_count SET ever_locked = ${count};
             ${recount('locked', 4)}
             INSERT INTO lock_count (book_id, locked_until, codes) VALUES (1, ${until}, ${count});`,
        );
    }

    /**
     * A folder of one open code that `users` users have locked for a day, in the order in which
     * load.lua has them redeem it, by the server itself; of a book with a limit that is far off.
     */
    async makeOpen(name, users) {
        const far = 1_000_000_000;
        const server = await this.#serveBook(name, {
            assignment: 'open',
            maxRedemptionsPerCode: far,
            maxRedemptions: far,
            lockTtlSeconds: 86_400,
        });
        await post(`${server.url}/coupon/codes/1`, { codes: ['OPEN'] });
        // Piece by piece, each with half as much time again as it should take: what is under way at
        // the end of a load may get lost.
        for (let locked = 0, pace = 2_000; locked < users; ) {
            const most = Math.min(users - locked, 20 * Math.ceil(pace));
            const figures = await load(server, 'lock-open', {
                connections: 256,
                seconds: 2 + Math.ceil((1.5 * most) / pace),
                codes: users,
                first: locked,
                most,
            });
            assert.ok(figures.ended > 0, 'the users have locked the open code in time');
            assert.equal(figures.statusErrors + figures.socketErrors, 0);
            locked += most;
            pace = paceOf(figures);
        }
        await server.stop();
        const uses = await this.sql(name, 'SELECT count(*) FROM coupon_code WHERE use_of IS NOT NULL');
        assert.equal(Number(uses), users, 'users who have locked the open code');
    }

    async #rewrite(name, changes) {
        await this.sql(
            name,
            `PRAGMA cache_size = -400000; PRAGMA synchronous = OFF;
             BEGIN; ${changes} COMMIT; PRAGMA wal_checkpoint(TRUNCATE);`,
        );
    }

    async #copy(name, copy) {
        await run('cp', ['-r', '--reflink=auto', this.file(name), this.file(copy)], {
            withinMs: 300_000,
        });
    }

    /** A copy of a folder, on the disk, so that its writing is not measured. */
    async copy(name) {
        this.#copies += 1;
        const copy = `copy-${this.#copies}`;
        await this.#copy(name, copy);
        await run('sync', ['--file-system', this.file(copy)], { withinMs: 300_000 });
        return new Copy(this, this.#binary, copy);
    }

    remove(name) {
        rmSync(this.file(name), { recursive: true, force: true });
    }
}

/** A copy as command.mjs wants it. */
class Copy {
    pids = {};
    #data;
    #binary;
    #name;

    constructor(data, binary, name) {
        this.#data = data;
        this.#binary = binary;
        this.#name = name;
    }

    get folder() {
        return this.#data.file(this.#name);
    }

    get database() {
        return this.#data.database(this.#name);
    }

    sql(text) {
        return this.#data.sql(this.#name, text);
    }

    async count(condition) {
        return Number(await this.sql(`SELECT count(*) FROM coupon_code WHERE ${condition}`));
    }

    rows(name) {
        return this.count(commands[name].carriedOut);
    }

    checkCounters() {
        return this.verify();
    }

    /** Seconds until coupond verify has found that all of it agrees with the ledger. */
    async verify() {
        const began = performance.now();
        await run(this.#binary, ['verify', '--data-dir', this.folder], { withinMs: 600_000 });
        return (performance.now() - began) / 1000;
    }

    serve() {
        return Server.start(this.#binary, this.folder);
    }

    logPosition() {}

    remove() {
        this.#data.remove(this.#name);
    }
}
