// GET /coupon/codes/:id as a file: all codes of a book, of one moment, whatever their reader does.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { sanitizers } from '../support/binary.js';
import { assertRefused, numbered } from '../support/client.js';
import { rowsOf, said } from '../support/csv.js';
import { defaultBackend } from '../support/data.js';
import { suiteServer, testServer } from '../support/harness.js';
import { checkAnswer } from '../support/openapi.js';
import { RawConnection, requestText } from '../support/raw.js';

const csv = { headers: { accept: 'text/csv' } };
const ndjson = { headers: { accept: 'application/x-ndjson' } };
const members = ['code', 'status', 'userId', 'expiresAt', 'maxRedemptions', 'active'];
const pathOf = (book, query = '') => `/coupon/codes/${book.id}${query}`;

/** The rows of a book's CSV file. */
async function rows(client, book, query) {
    const answer = await client.get(pathOf(book, query), csv);
    assert.equal(answer.status, 200, answer.text);
    return rowsOf(answer.text);
}

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** All codes that the list has, in the order of an export. */
async function listed(client, book, query = '') {
    const codes = [];
    for (let after = 0; ; ) {
        const path = pathOf(book, `?limit=1000&after=${after}${query.replace('?', '&')}`);
        const { status, body, headers } = await client.get(path);
        assert.equal(status, 200);
        codes.push(...body);
        if (!headers.link) return codes.sort((a, b) => byBytes(a.code, b.code) || a.id - b.id);
        after = Number(/after=(\d+)/.exec(headers.link)[1]);
    }
}

/** A code of the list as a row, under these names in metadata. */
function rowOf(code, names = []) {
    const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
    return [
        ...members.map((member) => {
            const value = code[member === 'userId' ? 'assignedTo' : member];
            return value === null ? '' : text(value);
        }),
        ...names.map((name) => (name in code.metadata ? text(code.metadata[name]) : '')),
    ];
}

/** A file that is read by nobody until it is told to be. */
class Download {
    static open(port, path, headers = csv.headers) {
        return new Promise((resolve, reject) => {
            const request = http.get(
                { host: '127.0.0.1', port, path, headers, agent: false },
                (response) => {
                    response.pause();
                    resolve(new Download(response));
                },
            );
            request.on('error', reject);
        });
    }

    constructor(response) {
        this.response = response;
        this.status = response.statusCode;
        this.headers = response.headers;
        this.ended = new Promise((resolve) => {
            response.on('end', () => resolve('end'));
            response.on('error', () => resolve('cut'));
            response.on('close', () => resolve('cut'));
        });
    }

    /** All that comes, and whether it came to its end. */
    async read() {
        const chunks = [];
        this.response.on('data', (chunk) => chunks.push(chunk));
        this.response.resume();
        return { how: await this.ended, bytes: Buffer.concat(chunks) };
    }

    close() {
        this.response.destroy();
    }
}

/** Opens a download that is closed when `t` ends. */
async function download(t, c, path, headers) {
    const opened = await Download.open(c.server.port, path, headers);
    t.after(() => opened.close());
    return opened;
}

describe('GET /coupon/codes/:id as CSV', () => {
    const c = suiteServer();
    let book;
    before(async () => {
        book = await c.client.newBookWith(numbered('C-', 8), { maxRedemptionsPerCode: 3 });
        await c.client.mustAssign('C-1', 'ann');
        await c.client.mustAssign('C-2', 'ann');
        await c.client.mustLock('C-2', 'ann');
        await c.client.mustAssign('C-3', 'bob');
        await c.client.mustLock('C-3', 'bob');
        await c.client.mustRedeem('C-3', 'bob');
        for (const [code, change] of [
            ['C-4', { active: false, expiresAt: '2027-12-31T12:00:00+01:00' }],
            ['C-5', { maxRedemptions: 12 }],
            ['C-6', { metadata: { b: 1.5, a: 'text', 'a b,"c"': [1, { x: null }], é: true } }],
            ['C-7', { metadata: { b: null, Z: '', a: '{"no":"object"}' } }],
        ]) {
            assert.equal((await c.client.patchCode(code, change)).status, 200);
        }
    });

    it('has a row for each code, with what the list says of it', async () => {
        const answer = await c.client.get(pathOf(book), csv);
        assert.equal(answer.status, 200);
        const { headers } = answer;
        assert.equal(headers['content-type'], 'text/csv; charset=utf-8; header=present');
        assert.equal(
            headers['content-disposition'],
            `attachment; filename="coupon-book-${book.id}.csv"`,
        );
        assert.equal(headers.vary, 'Accept, Accept-Encoding');
        assert.equal(headers['cache-control'], 'no-store');
        assert.equal(headers.link, undefined);
        const names = ['Z', 'a', 'a b,"c"', 'b', 'é'];
        const [first, ...rest] = rowsOf(answer.text);
        assert.deepEqual(first, [...members, ...names.map((name) => `metadata.${name}`)]);
        const codes = await listed(c.client, book);
        assert.equal(codes.length, 8);
        assert.deepEqual(
            rest,
            codes.map((code) => rowOf(code, names)),
        );
        // And to the byte, once.
        assert.deepEqual(rest[6].slice(6), ['', 'text', '[1,{"x":null}]', '1.5', 'true']);
        assert.ok(answer.text.startsWith(`${members.join(',')},metadata.Z,`), answer.text);
        assert.ok(answer.text.includes('\r\nC-3,redeemed,bob,,,true,,,,,\r\n'), answer.text);
        assert.ok(answer.text.includes('\r\nC-4,free,,2027-12-31T11:00:00.000Z,,false,,,,,\r\n'));
        assert.ok(answer.text.endsWith('C-7,free,,,,true,,"{""no"":""object""}",,null,\r\n'));
    });

    it('has the codes that match, and the columns that these need', async () => {
        for (const query of [
            '?status=free',
            '?status=assigned',
            '?status=locked',
            '?status=redeemed',
            '?userId=ann',
            '?userId=ann&status=locked',
            '?userId=nobody',
            '?prefix=C-4',
            '?prefix=c-4',
            '?prefix=C-&status=free',
        ]) {
            const codes = await listed(c.client, book, query);
            const names = codes.some(({ code }) => code === 'C-6' || code === 'C-7')
                ? ['Z', 'a', 'a b,"c"', 'b', 'é']
                : [];
            const [first, ...rest] = await rows(c.client, book, query);
            assert.deepEqual(first, [...members, ...names.map((name) => `metadata.${name}`)], query);
            assert.deepEqual(
                rest,
                codes.map((code) => rowOf(code, names)),
                query,
            );
        }
        assert.equal((await rows(c.client, book, '?prefix=C-6'))[0].length, 6 + 4);
    });

    it('is in the order of the bytes of codes, of one book among others', async () => {
        const ends = ['b', 'ä', 'B', 'a-1', '😀', '\uFF5E', 'A', 'a 1', 'a1', '1', 'é', '~', 'a'];
        const books = [await c.client.newBook(), await c.client.newBook()];
        const codesOf = (i) => ends.map((end) => `x${i}${end}`);
        for (const end of ends) {
            for (const [i, { id }] of books.entries()) {
                assert.equal((await c.client.upload(id, [`x${i}${end}`])).status, 201);
            }
        }
        for (const [i, other] of books.entries()) {
            const all = (await rows(c.client, other)).slice(1).map(([code]) => code);
            assert.deepEqual(all, codesOf(i).sort(byBytes));
            const { text } = await c.client.get(pathOf(other), ndjson);
            const lines = text.trimEnd().split('\n');
            assert.deepEqual(
                lines.map((line) => JSON.parse(line).code),
                all,
            );
            // The list, whose pages go on from an id, is not.
            const { body } = await c.client.get(pathOf(other));
            assert.deepEqual(
                body.map(({ code }) => code),
                codesOf(i),
            );
        }
    });

    it('goes on behind a code, with the columns of the whole', async () => {
        for (const query of ['?', '?status=free&', '?prefix=C-&']) {
            const whole = await rows(c.client, book, query);
            for (let i = 1; i < whole.length; i += 1) {
                const rest = await rows(c.client, book, `${query}afterCode=${whole[i][0]}`);
                assert.deepEqual(rest, [whole[0], ...whole.slice(i + 1)]);
            }
        }
        const { text } = await c.client.get(pathOf(book), ndjson);
        const lines = text.split('\n');
        const second = JSON.parse(lines[1]).code;
        const rest = await c.client.get(pathOf(book, `?afterCode=${second}`), ndjson);
        assert.equal(rest.text, lines.slice(2).join('\n'));
    });

    it('has a header without codes', async () => {
        const empty = await c.client.newBook();
        const { text } = await c.client.get(pathOf(empty), csv);
        assert.equal(text, 'code,status,userId,expiresAt,maxRedemptions,active\r\n');
        assert.equal((await c.client.get(pathOf(empty), ndjson)).text, '');
    });

    it('has no cell that a spreadsheet would run, so that it can be undone', async () => {
        const texts = ['=1+1', '+1', '-1', '@a', "'=1", "''-1", "'a", "'", 'a=1', '"=1"', 'a,b', 'ü'];
        const told = ['=1', '\t=1', '\r\n', '\n=1', "'\t", '"', 'a"b', ' =1', '', "''", ' ', '😀,'];
        const other = await c.client.newBookWith(texts);
        await c.client.mustAssign('=1+1', '=cmd|x');
        for (const [i, metadata] of [{ n: -1, s: told[0] }, ...told.slice(1).map((s) => ({ s }))].entries()) {
            const answer = await c.client.patchCode(texts[i], { metadata });
            assert.equal(answer.status, 200, answer.text);
        }
        const [, ...rest] = await rows(c.client, other);
        assert.deepEqual(
            rest.map(([code]) => code),
            ['"=1"', "'", "'''-1", "''=1", "'a", "'+1", "'-1", "'=1+1", "'@a", 'a,b', 'a=1', 'ü'],
        );
        assert.deepEqual(
            rest.map((row) => row.at(-1)),
            ["''", ' =1', '"', "''\t", 'a"b', "'\t=1", "'\r\n", "'=1", '\n=1', ' ', '', '😀,'],
        );
        assert.equal(rest[7][2], "'=cmd|x");
        assert.equal(rest[7].at(-2), "'-1");
        const codes = await listed(c.client, other);
        assert.deepEqual(
            rest.map((row) => row.map(said)),
            codes.map((code) => rowOf(code, ['n', 's'])),
        );
    });

    it('has names of metadata however they are written', async () => {
        const other = await c.client.newBookWith(['N-1']);
        const metadata = '{"\\u0041\\n":"\\u00e9\\\\\\"","":{"}":"]"},"=1":0}';
        const answer = await c.client.patchCode('N-1', `{"metadata":${metadata}}`);
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(await rows(c.client, other), [
            [...members, 'metadata.', 'metadata.=1', 'metadata.A\n'],
            ['N-1', 'free', '', '', '', 'true', '{"}":"]"}', '0', 'é\\"'],
        ]);
    });

    it('refuses more names than 250, which NDJSON does not', async () => {
        const other = await c.client.newBookWith(['T-1', 'T-2', 'T-3']);
        const names = (from, count) =>
            Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${from + i}`, 1]));
        for (const [code, from] of [
            ['T-1', 0],
            ['T-2', 125],
        ]) {
            assert.equal((await c.client.patchCode(code, { metadata: names(from, 125) })).status, 200);
        }
        assert.equal((await rows(c.client, other))[0].length, 256);
        assert.equal((await c.client.patchCode('T-3', { metadata: { more: 1 } })).status, 200);
        assertRefused(await c.client.get(pathOf(other), csv), 400, undefined, 'too_many_columns');
        assert.equal((await rows(c.client, other, '?prefix=T-3'))[0].length, 7);
        const { text } = await c.client.get(pathOf(other), ndjson);
        assert.equal(text.split('\n').length, 4);
    });

    it('has all of many codes', async () => {
        const other = await c.client.newBook({ codePattern: 'M-{8}' });
        await c.client.mustGenerate(other.id, 2_500);
        await c.client.mustGenerate(other.id, 1, { metadata: { last: true } });
        const codes = await listed(c.client, other);
        const [first, ...rest] = await rows(c.client, other);
        assert.deepEqual(first, [...members, 'metadata.last']);
        assert.deepEqual(
            rest,
            codes.map((code) => rowOf(code, ['last'])),
        );
        for (const query of ['?status=redeemed', '?prefix=N']) {
            assert.equal((await rows(c.client, other, query)).length, 1);
        }
    });

    it('has the uses of a code that a user has', async () => {
        const open = await c.client.newBookWith(['O-1'], {
            assignment: 'open',
            maxRedemptionsPerCode: 5,
        });
        assert.equal((await c.client.patchCode('O-1', { metadata: { of: 'all' } })).status, 200);
        for (const user of ['ann', 'bob']) {
            await c.client.mustLock('O-1', user);
            await c.client.mustRedeem('O-1', user);
        }
        for (const query of ['', '?userId=ann', '?userId=bob&status=redeemed']) {
            const codes = await listed(c.client, open, query);
            const [first, ...rest] = await rows(c.client, open, query);
            assert.deepEqual(first, [...members, 'metadata.of']);
            assert.deepEqual(
                rest,
                codes.map((code) => rowOf(code, ['of'])),
            );
        }
    });

    it('is NDJSON as the list is JSON', async () => {
        for (const query of ['', '?status=locked', '?userId=nobody']) {
            const answer = await c.client.get(pathOf(book, query), ndjson);
            assert.equal(answer.status, 200);
            assert.equal(answer.headers['content-type'], 'application/x-ndjson; charset=utf-8');
            assert.equal(
                answer.headers['content-disposition'],
                `attachment; filename="coupon-book-${book.id}.ndjson"`,
            );
            const list = await c.client.get(pathOf(book, `?limit=1000${query.replace('?', '&')}`));
            const { text } = answer;
            assert.equal(text, list.body.map((code) => `${JSON.stringify(code)}\n`).join(''));
        }
    });

    it('answers HEAD without a body', async () => {
        for (const [accept, type] of [
            ['text/csv', 'text/csv; charset=utf-8; header=present'],
            ['application/x-ndjson', 'application/x-ndjson; charset=utf-8'],
        ]) {
            const answer = await c.client.request('HEAD', pathOf(book), { headers: { accept } });
            assert.equal(answer.status, 200);
            assert.equal(answer.headers['content-type'], type);
        }
        // And leaves no export behind.
        for (let i = 0; i < 10; i += 1) {
            const answer = await c.client.request('HEAD', pathOf(book), csv);
            if (answer.status !== 200) await sleep(20);
        }
        await sleep(100);
        assert.equal((await c.client.get(pathOf(book), csv)).status, 200);
    });

    it('is what Accept wants most', async () => {
        const [json, asCsv, asNdjson] = ['application/json', 'text/csv', 'application/x-ndjson'];
        for (const [accept, type] of [
            [null, json],
            ['', json],
            ['*/*', json],
            ['application/*', json],
            ['text/*', asCsv],
            ['Text/CSV', asCsv],
            ['text/csv; charset=utf-8', asCsv],
            ['text/csv;header="a,application/json";q=0.5', asCsv],
            ['application/json, text/csv', json],
            ['text/csv, application/json', json],
            ['application/x-ndjson, text/csv', asCsv],
            ['text/csv;q=0.9, application/x-ndjson', asNdjson],
            ['text/csv;q=0.001, application/x-ndjson ; Q=0.002', asNdjson],
            ['application/json;q=0.5, text/csv;q=0.7', asCsv],
            ['*/*;q=0.5, text/csv', asCsv],
            ['*/*, text/csv;q=0.5', json],
            ['*/*;q=0.5, application/*;q=0, text/csv;q=0.1', asCsv],
            ['application/*;q=0.4, application/json;q=0.1, text/csv;q=0.2', asNdjson],
            ['text/html, application/xhtml+xml, */*;q=0.8', json],
            ['image/png', json],
            ['text/csv;q=0', json],
            ['text/csv;q=2', json],
            ['text/csv;q=0.5.5, application/x-ndjson;q=0.1', asNdjson],
            [',, ,text/csv,', asCsv],
            ['text', json],
            ['text/csvx', json],
        ]) {
            const answer = await c.client.get(pathOf(book), { headers: { accept } });
            assert.equal(answer.status, 200);
            assert.equal(answer.headers['content-type'].split(';')[0], type, accept);
            if (type === json) assert.equal(answer.headers.vary, undefined);
        }
        // In several fields.
        const raw = await RawConnection.open(c.server.port);
        raw.write(
            `GET ${pathOf(book)} HTTP/1.1\r\nHost: a\r\nAccept: application/json;q=0.1\r\n` +
                'Accept: text/csv;q=0.2\r\n\r\n',
        );
        const answer = await raw.next('GET', pathOf(book));
        assert.match(answer.headers['content-type'], /^text\/csv/);
        raw.destroy();
    });

    it('is compressed where Accept-Encoding asks for it', async (t) => {
        const plain = await c.client.get(pathOf(book), csv);
        for (const [encoding, compressed] of [
            ['gzip', true],
            ['GZip', true],
            ['deflate, gzip;q=0.5, br', true],
            ['*', true],
            ['identity;q=0.5, gzip', true],
            ['gzip;q=0.5, identity', false],
            ['gzip;q=0', false],
            ['*, gzip;q=0', false],
            ['br', false],
            ['', false],
        ]) {
            const file = await download(t, c, pathOf(book), {
                ...csv.headers,
                'accept-encoding': encoding,
            });
            assert.equal(file.headers['content-encoding'], compressed ? 'gzip' : undefined, encoding);
            assert.equal(file.headers.vary, 'Accept, Accept-Encoding');
            const { how, bytes } = await file.read();
            assert.equal(how, 'end');
            assert.equal((compressed ? gunzipSync(bytes) : bytes).toString(), plain.text);
        }
        const list = await c.client.get(pathOf(book), { headers: { 'accept-encoding': 'gzip' } });
        assert.equal(list.headers['content-encoding'], undefined);
    });

    it('refuses what there is not, and parameters that do not fit', async () => {
        for (const { headers } of [csv, ndjson]) {
            const get = (path) => c.client.get(path, { headers });
            assertRefused(await get('/coupon/codes/4711'), 404, 'Coupon book not found', 'coupon_book_not_found');
            assertRefused(
                await get(pathOf(book, '?limit=10&after=3')),
                400,
                ['property limit should not exist', 'property after should not exist'],
                'validation_failed',
            );
            const unfit = await get('/coupon/codes/x?status=used&userId=&prefix=&afterCode=&page=1');
            assertRefused(unfit, 400, undefined, 'validation_failed');
            assert.deepEqual(
                unfit.body.message.map((line) => line.split(' ', 2).join(' ')),
                ['id must', 'status must', 'userId must', 'prefix must', 'afterCode must', 'property page'],
            );
        }
    });

    it('ends with the connection for HTTP/1.0', async () => {
        const raw = await RawConnection.open(c.server.port);
        raw.write(requestText('GET', pathOf(book), { headers: { Accept: 'text/csv' }, version: '1.0' }));
        const answer = await raw.next('GET', pathOf(book));
        assert.equal(answer.text, (await c.client.get(pathOf(book), csv)).text);
    });
});

describe('an export of many codes', () => {
    const c = suiteServer();
    const count = 40_000;
    const note = 'x'.repeat(1_000);
    let book;
    let last;
    before(async () => {
        book = await c.client.newBook({ codePattern: 'L-{10}' });
        for (let made = 0; made < count; made += 10_000) {
            const codes = await c.client.mustGenerate(book.id, 10_000, { metadata: { note } });
            last = codes.at(-1).code;
        }
    });

    const residentKiB = () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${c.server.pid}/status`, 'utf8'))[1]);

    /** Opens another export, once there is one less. */
    async function opened(t) {
        for (const deadline = Date.now() + 10_000; ; await sleep(20)) {
            const file = await download(t, c, pathOf(book));
            if (file.status === 200) return file;
            file.close();
            assert.ok(Date.now() < deadline, `still ${file.status}`);
        }
    }

    it('shows the moment at which it began', async (t) => {
        const file = await download(t, c, pathOf(book));
        assert.equal(file.status, 200);
        await c.client.mustAssign(last, 'ann');
        await c.client.mustGenerate(book.id, 5, { metadata: { later: 1 } });
        await sleep(300);
        const { how, bytes } = await file.read();
        assert.equal(how, 'end');
        const [first, ...rest] = rowsOf(bytes.toString());
        assert.deepEqual(first, [...members, 'metadata.note']);
        assert.equal(rest.length, count);
        const lastOf = (all) => all.find(([code]) => code === last);
        assert.deepEqual(lastOf(rest), [last, 'free', '', '', '', 'true', note]);
        const again = await rows(c.client, book);
        assert.equal(again.length, 1 + count + 5);
        assert.equal(lastOf(again)[1], 'assigned');
    });

    it('waits for a slow reader with little memory, as do a few, and no more', async (t) => {
        const before = residentKiB();
        const files = [];
        for (let i = 0; i < 4; i += 1) files.push(await opened(t));
        await sleep(1_500);
        const grown = residentKiB() - before;
        t.diagnostic(`${grown} KiB for four files of ${(count * 1.03) / 1000} MB`);
        // AddressSanitizer keeps what was freed.
        if (!('ASAN_OPTIONS' in sanitizers())) assert.ok(grown < 48 * 1024, `${grown} KiB`);
        for (const accept of [csv, ndjson]) {
            const refused = await c.client.get(pathOf(book), accept);
            assertRefused(refused, 503, undefined, 'overloaded');
        }
        assert.equal((await c.client.get(pathOf(book))).status, 200);
        // Who goes away makes room at once.
        files[0].close();
        const began = Date.now();
        files[0] = await opened(t);
        assert.ok(Date.now() - began < 2_000);
        for (const { how, bytes } of await Promise.all(files.map((file) => file.read()))) {
            assert.equal(how, 'end');
            assert.equal(bytes.toString().split('\r\n').length, count + 5 + 2);
        }
        assert.equal((await opened(t)).status, 200);
    });

    it('breaks the connection where its session with the database ends', async (t) => {
        if (defaultBackend() === 'sqlite') return t.skip('there is no session');
        const file = await download(t, c, pathOf(book));
        await sleep(300);
        const ended = await c.server.data.query(
            `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
             WHERE datname = current_database() AND state = 'idle in transaction'`,
        );
        assert.deepEqual(ended, [{ ended: true }]);
        const { how, bytes } = await file.read();
        assert.equal(how, 'cut');
        assert.ok(bytes.length > 0);
        assert.equal((await c.client.get(pathOf(book, '?status=assigned'), csv)).status, 200);
        return undefined;
    });

    it('goes on while the server stops, if it is read', async (t) => {
        const file = await opened(t);
        const slow = await opened(t);
        const stopped = c.server.stop();
        await sleep(300);
        const { how, bytes } = await file.read();
        assert.equal(how, 'end');
        assert.equal(rowsOf(bytes.toString()).length, 1 + count + 5);
        await stopped;
        assert.equal((await slow.read()).how, 'cut');
        await c.server.start();
    });

    it('is held against the description', async (t) => {
        const file = await download(t, c, pathOf(book, '?status=assigned'));
        const { bytes } = await file.read();
        const text = bytes.toString();
        checkAnswer('GET', pathOf(book), { ...file, text, body: text });
    });
});
