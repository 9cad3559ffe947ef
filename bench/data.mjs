// The data a run is made on: folders with one book of codes, all free, all assigned or all locked.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Server, run } from './processes.mjs';

export const codesPerUpload = 100_000; // as many as one request may bring
const digits = 'ABCDEFGHJKMNPQRSTVWXYZ0123456789';

/** The codes that load.lua and baseline.cpp know how to compute; i from 0. */
export function code(i) {
    const number = Math.imul(i, 2654435761) >>> 0;
    return `B-${number.toString(16).toUpperCase().padStart(8, '0')}`;
}

/** Other codes, of 12 characters in no order; no two alike for n below 2^30. */
export function longCode(n) {
    let unique = Math.imul(n, 0x9e3779b1) & 0x3fffffff;
    let more = Math.imul(n ^ (n >>> 15), 0x85ebca6b) >>> 2;
    let text = '';
    for (let i = 0; i < 6; i += 1) {
        text += digits[unique & 31] + digits[more & 31];
        unique >>>= 5;
        more >>>= 5;
    }
    return text;
}

/** The document of an upload of codes `from` up to `to` as `nameOf` has them. */
export function upload(from, to, nameOf) {
    return JSON.stringify({ codes: Array.from({ length: to - from }, (_, i) => nameOf(from + i)) });
}

/** Uploads a document kept in a file; returns the seconds from connecting to the last byte. */
export async function sendUpload(server, file) {
    const printed = await run(
        'curl',
        ['--silent', '--show-error', '--output', '/dev/null', '--max-time', '60', '--header',
            'Content-Type: application/json', '--header', 'Expect:', '--data-binary', `@${file}`,
            '--write-out', '%{http_code} %{time_total}', `${server.url}/coupon/codes/1`],
    );
    const [status, seconds] = printed.split(' ').map(Number);
    if (status !== 201) throw new Error(`an upload was answered with ${status}`);
    return seconds;
}

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

    /** A folder of one book of `count` free codes, made by the server itself. */
    async makeFree(name, count, nameOf = code) {
        mkdirSync(this.file(name));
        const server = await Server.start(this.#binary, this.file(name));
        const answer = await fetch(`${server.url}/coupon`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', connection: 'close' },
            body: JSON.stringify({ name: 'bench', codePattern: 'B-{8}' }),
        });
        assert.equal(answer.status, 201, await answer.text());
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
            `UPDATE coupon_code SET assigned_to = printf('user-%07d', id - 1),
                 version = version + 1;
             UPDATE book_count SET available = available - ${count};`,
        );
    }

    /** From a folder of assigned codes one where each is locked by its user for a day. */
    async makeLocked(name, assigned, count) {
        const until = Date.now() + 24 * 3_600_000;
        await this.#copy(assigned, name);
        await this.#rewrite(
            name,
            `UPDATE coupon_code SET locked_by = assigned_to, locked_until = ${until},
                 version = version + 1;
             INSERT INTO lock_count (book_id, locked_until, codes) VALUES (1, ${until}, ${count});`,
        );
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

    /** A copy of a folder, on the disk, so that its writing is not measured; returns its name. */
    async copy(name) {
        this.#copies += 1;
        const copy = `copy-${this.#copies}`;
        await this.#copy(name, copy);
        await run('sync', ['--file-system', this.file(copy)], { withinMs: 300_000 });
        return copy;
    }

    remove(name) {
        rmSync(this.file(name), { recursive: true, force: true });
    }

    serve(name) {
        return Server.start(this.#binary, this.file(name));
    }
}
