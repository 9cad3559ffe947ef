// HTTP itself: what coupond makes of requests that are malformed, too large, pipelined, chunked or
// old-fashioned.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer } from '../support/harness.js';
import { RawConnection, requestText } from '../support/raw.js';
import { refusals } from '../support/refusals.js';
import { assertBook } from '../support/shapes.js';

const mebibyte = 1024 * 1024;
const bodyBytes = 8 * mebibyte;
const headerBytes = 16 * 1024;
const book = JSON.stringify({ name: 'N', codePattern: 'P' });

/** A raw connection for one test. */
async function connection(t, c) {
    const raw = await RawConnection.open(c.server.port);
    t.after(() => raw.destroy());
    return raw;
}

describe('routes', () => {
    const c = suiteServer();

    for (const [method, path] of [
        ['GET', '/nope'],
        ['POST', '/nope'],
        ['GET', '/'],
        ['DELETE', '/coupon'],
        ['PUT', '/coupon'],
        ['PATCH', '/coupon/codes/1'],
        ['GET', '/coupon/lock/X'],
        ['GET', '/coupon/redeem/X'],
        ['POST', '/coupon/unlock'],
        ['POST', '/coupon/validate'],
        ['POST', '/coupon/lock/a/b'],
        ['GET', '/Coupon'],
        ['GET', '/coupons'],
        ['POST', '/health/live'],
        ['GET', '/health'],
        ['GET', '/api-jso'],
        ['GET', '/coupon//'],
        ['POST', '//coupon'],
    ]) {
        it(`answers 404 to ${method} ${path}`, async () => {
            assertRefused(
                await c.client.request(method, path),
                404,
                `Cannot ${method} ${path}`,
                'route_not_found',
            );
        });
    }

    it('takes an empty code in the path for no route', async () => {
        for (const path of ['/coupon/lock/', '/coupon/redeem/']) {
            assertRefused(
                await c.client.post(path, { userId: 'u' }),
                404,
                undefined,
                'route_not_found',
            );
        }
    });

    it('ignores the query of routes that have none', async () => {
        const answer = await c.client.post('/coupon?x=1', { name: 'N', codePattern: 'P' });
        assert.equal(answer.status, 201, answer.text);
    });

    it('answers 400 to a target that cannot be decoded', async () => {
        for (const path of [
            '/coupon/lock/%',
            '/coupon/lock/%zz',
            '/coupon/lock/%4',
            '/coupon?limit=%zz',
        ]) {
            const method = path.includes('?') ? 'GET' : 'POST';
            assertRefused(
                await c.client.request(method, path, { body: '{"userId":"u"}' }),
                400,
                undefined,
                'malformed_target',
            );
        }
    });

    it('takes a target in absolute form', async (t) => {
        const raw = await connection(t, c);
        raw.write(requestText('GET', 'http://coupond.test/health/live'));
        assert.equal((await raw.next('GET', '/health/live')).status, 200);
    });
});

describe('HEAD', () => {
    const c = suiteServer();

    for (const path of [
        '/coupon',
        '/coupon?limit=1',
        '/health/live',
        '/health/ready',
        '/api',
        '/api-json',
        '/nope',
        '/coupon?limit=0',
    ]) {
        it(`answers ${path} like GET without a body`, async (t) => {
            const raw = await connection(t, c);
            raw.write(requestText('GET', path));
            const full = await raw.next('GET', path);
            raw.write(requestText('HEAD', path));
            const head = await raw.next('HEAD', path);
            assert.equal(head.status, full.status);
            assert.equal(head.headers['content-type'], full.headers['content-type']);
            if (head.status === 200 && head.headers['content-length'] !== undefined) {
                assert.equal(head.headers['content-length'], full.headers['content-length']);
            }
            // Nothing of a body was left on the connection.
            raw.write(requestText('GET', '/health/live'));
            assert.equal((await raw.next('GET', '/health/live')).status, 200);
        });
    }
});

describe('bodies by length and in chunks', () => {
    const c = suiteServer();

    const chunked = (chunks, { trailer = '', extension = '' } = {}) =>
        chunks
            .map((chunk) => `${Buffer.byteLength(chunk).toString(16)}${extension}\r\n${chunk}\r\n`)
            .join('') + `0\r\n${trailer}\r\n`;
    const chunkedHead = requestText('POST', '/coupon', {
        headers: { 'Transfer-Encoding': 'chunked', 'Content-Type': 'application/json' },
    });

    for (const [what, text] of [
        ['one chunk', chunked([book])],
        ['a chunk a byte', chunked([...book])],
        ['a chunk cut within a character', chunked(['{"name":"é', '🎟","codePattern":"P"}'])],
        ['a trailer', chunked([book], { trailer: 'X-Sum: 1\r\n' })],
        ['chunk extensions', chunked([book], { extension: ';a=b' })],
    ]) {
        it(`reads ${what}`, async (t) => {
            const raw = await connection(t, c);
            raw.write(chunkedHead + text);
            const answer = await raw.next('POST', '/coupon');
            assert.equal(answer.status, 201, answer.text);
            assertBook(answer.body, { codePattern: 'P' });
            raw.write(requestText('GET', '/health/live'));
            assert.equal((await raw.next('GET', '/health/live')).status, 200);
        });
    }

    for (const [what, text] of [
        ['no chunk size', `\r\n${book}\r\n0\r\n\r\n`],
        ['a chunk size that is none', `xyz\r\n${book}\r\n0\r\n\r\n`],
        ['a negative chunk size', '-1\r\n\r\n'],
        ['a chunk size beyond 64 bits', 'fffffffffffffffff\r\n'],
        ['a chunk longer than its size', `4\r\n${book}\r\n0\r\n\r\n`],
    ]) {
        it(`refuses ${what}`, async (t) => {
            const raw = await connection(t, c);
            raw.write(chunkedHead + text);
            const answer = await raw.next('POST', '/coupon');
            assert.ok(answer.status === 400 || answer.status === 413, answer.text);
            await raw.closed();
        });
    }

    it('reads a body that trickles in', async (t) => {
        const raw = await connection(t, c);
        const text = requestText('POST', '/coupon', { body: book });
        for (const piece of text.match(/[^]{1,7}/g)) {
            raw.write(piece);
            await new Promise(setImmediate);
        }
        assert.equal((await raw.next('POST', '/coupon')).status, 201);
    });

    it('takes 8 MiB', async () => {
        const answer = await c.client.post('/coupon', book.padEnd(bodyBytes));
        assert.equal(answer.status, 201, answer.text);
    });

    it('answers 413 beyond 8 MiB, before the body is there, and closes', async (t) => {
        const raw = await connection(t, c);
        raw.write(
            requestText('POST', '/coupon', {
                headers: { 'Content-Type': 'application/json', 'Content-Length': bodyBytes + 1 },
            }),
        );
        assertRefused(await raw.next('POST', '/coupon'), 413, undefined, 'payload_too_large');
        await raw.closed();
    });

    it('answers 413 to a client that sends all of it first', async () => {
        const answer = await c.client.post('/coupon', Buffer.alloc(bodyBytes + 1, 0x20), {
            headers: { connection: 'close' },
        });
        assertRefused(answer, 413, undefined, 'payload_too_large');
    });

    it('answers 413 to chunks that come to more than 8 MiB, and closes', async (t) => {
        const raw = await connection(t, c);
        raw.write(chunkedHead);
        const chunk = `100000\r\n${' '.repeat(mebibyte)}\r\n`;
        for (let index = 0; index < 9; index += 1) raw.write(chunk);
        assertRefused(await raw.next('POST', '/coupon'), 413, undefined, 'payload_too_large');
        await raw.closed();
    });

    it('reads a GET with a body, and the next request after it', async (t) => {
        const raw = await connection(t, c);
        raw.write(
            requestText('GET', '/health/live', { body: '{}' }) + requestText('GET', '/health/live'),
        );
        assert.equal((await raw.next('GET', '/health/live')).status, 200);
        assert.equal((await raw.next('GET', '/health/live')).status, 200);
    });
});

describe('headers', () => {
    const c = suiteServer();

    it('takes nearly 16 KiB of request line and headers', async (t) => {
        const raw = await connection(t, c);
        const text = requestText('GET', '/health/live', { headers: { 'X-Fill': '' } });
        raw.write(
            text.replace('X-Fill: ', `X-Fill: ${'x'.repeat(headerBytes - text.length - 256)}`),
        );
        assert.equal((await raw.next('GET', '/health/live')).status, 200);
    });

    for (const [what, path, headers] of [
        ['one long header', '/health/live', { 'X-Fill': 'x'.repeat(headerBytes) }],
        [
            'many headers',
            '/health/live',
            Object.fromEntries(numbered('X-', 2_000).map((name) => [name, 'value'])),
        ],
        ['a long target', `/coupon?${'x'.repeat(headerBytes)}`, {}],
    ]) {
        it(`answers 431 to ${what} beyond 16 KiB, and closes`, async (t) => {
            const raw = await connection(t, c);
            raw.write(requestText('GET', path, { headers }));
            assertRefused(await raw.next('GET', null), 431, undefined, 'headers_too_large');
            await raw.closed();
        });
    }

    const length = `Content-Length: ${book.length}\r\n`;
    const oneChunk = `${book.length.toString(16)}\r\n${book}\r\n0\r\n\r\n`;
    const post = (fields) =>
        `POST /coupon HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n${fields}\r\n`;
    for (const [what, text] of [
        [
            'both Content-Length and Transfer-Encoding',
            post(`${length}Transfer-Encoding: chunked\r\n`) + oneChunk,
        ],
        [
            'Transfer-Encoding before Content-Length',
            post(`Transfer-Encoding: chunked\r\n${length}`) + oneChunk,
        ],
        ['two Content-Lengths that differ', `${post(`${length}Content-Length: 5\r\n`)}${book}`],
        ['two Content-Lengths that agree', `${post(length + length)}${book}`],
        [
            'a list of Content-Lengths',
            `${post(`Content-Length: ${book.length}, ${book.length}\r\n`)}${book}`,
        ],
        ['a negative Content-Length', `${post('Content-Length: -1\r\n')}${book}`],
        ['a signed Content-Length', `${post(`Content-Length: +${book.length}\r\n`)}${book}`],
        ['a hexadecimal Content-Length', `${post('Content-Length: 0x1f\r\n')}${book}`],
        ['an empty Content-Length', `${post('Content-Length:\r\n')}${book}`],
        [
            'a Transfer-Encoding that is not chunked',
            `${post('Transfer-Encoding: gzip\r\n')}${book}`,
        ],
        ['chunked not last', `${post('Transfer-Encoding: chunked, gzip\r\n')}${book}`],
        ['a space before the colon', 'GET /health/live HTTP/1.1\r\nHost : h\r\n\r\n'],
        ['a folded header', 'GET /health/live HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n 2\r\n\r\n'],
        ['a header without a colon', 'GET /health/live HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n'],
        ['a header without a name', 'GET /health/live HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n'],
        ['a NUL in a header', 'GET /health/live HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n'],
        ['no Host', 'GET /health/live HTTP/1.1\r\n\r\n'],
        ['two Hosts', 'GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
        ['no version', 'GET /health/live\r\n\r\n'],
        ['no target', 'GET HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['a space in the target', 'GET /health/ live HTTP/1.1\r\nHost: h\r\n\r\n'],
        ['no HTTP', 'EHLO coupond.test\r\n\r\n'],
        ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ]) {
        it(`answers 400 malformed_request to ${what}, and closes`, async (t) => {
            const raw = await connection(t, c);
            raw.write(Buffer.from(text, 'latin1'));
            assertRefused(await raw.next('GET', null), 400, undefined, 'malformed_request');
            await raw.closed();
        });
    }

    for (const version of ['2.0', '1.2', '0.9', '3.0']) {
        it(`answers 505 to HTTP/${version}, and closes`, async (t) => {
            const raw = await connection(t, c);
            raw.write(requestText('GET', '/health/live', { version }));
            assertRefused(
                await raw.next('GET', null),
                505,
                undefined,
                'http_version_not_supported',
            );
            await raw.closed();
        });
    }

    it('has done nothing of that', async () => {
        assert.deepEqual((await c.client.get('/coupon')).body, []);
    });
});

describe('X-Request-Id', () => {
    const c = suiteServer();

    for (const id of ['a', 'abc-DEF_0.9', 'x'.repeat(64)]) {
        it(`is the client's ${id}, in the answer's header and in an error's body`, async () => {
            const good = await c.client.get('/coupon', { headers: { 'x-request-id': id } });
            assert.equal(good.headers['x-request-id'], id);
            const bad = await c.client.get('/nope', { headers: { 'x-request-id': id } });
            assert.equal(bad.headers['x-request-id'], id);
            assert.equal(bad.body.requestId, id);
        });
    }

    for (const id of ['', 'x'.repeat(65), 'with space', 'quo"te', 'é', 'a/b', 'a,b', '<script>']) {
        it(`is made anew instead of ${JSON.stringify(id)}`, async () => {
            const answer = await c.client.get('/nope', { headers: { 'x-request-id': id } });
            assert.notEqual(answer.body.requestId, id);
            assert.match(answer.body.requestId, /^[A-Za-z0-9._-]{1,64}$/);
        });
    }

    it('differs from request to request where the client gives none', async () => {
        const ids = new Set();
        for (let index = 0; index < 100; index += 1) {
            ids.add((await c.client.get('/health/live')).headers['x-request-id']);
        }
        assert.equal(ids.size, 100);
    });
});

describe('Expect', () => {
    const c = suiteServer();
    const expecting = (value, length = book.length) =>
        requestText('POST', '/coupon', {
            headers: {
                'Content-Type': 'application/json',
                'Content-Length': length,
                Expect: value,
            },
        });

    it('100-continue is answered before the body is sent', async (t) => {
        for (const value of ['100-continue', '100-Continue']) {
            const raw = await connection(t, c);
            raw.write(expecting(value));
            assert.equal(await raw.nextInterim(), 100);
            raw.write(book);
            assert.equal((await raw.next('POST', '/coupon')).status, 201);
        }
    });

    it('100-continue is no reason to let a body in that is too large', async (t) => {
        const raw = await connection(t, c);
        raw.write(expecting('100-continue', bodyBytes + 1));
        const answer = await raw.next('POST', '/coupon');
        assertRefused(answer, 413, undefined, 'payload_too_large');
        assert.deepEqual(answer.interim, []);
        await raw.closed();
    });

    it('anything else is answered 417', async (t) => {
        const raw = await connection(t, c);
        raw.write(expecting('200-ok'));
        assertRefused(await raw.next('POST', '/coupon'), 417, undefined, 'expectation_failed');
    });
});

describe('connections', () => {
    const c = suiteServer();

    it('answer pipelined requests in order', async (t) => {
        const made = await c.client.newBookWith(numbered('PIPE-', 10));
        const raw = await connection(t, c);
        const expected = [
            ['GET', '/health/live', undefined, 200],
            ['POST', '/coupon/assign/PIPE-0', { userId: 'ann' }, 201],
            ['POST', '/coupon/lock/PIPE-0', { userId: 'ann' }, 201],
            ['POST', '/coupon/redeem/PIPE-0', { userId: 'ann' }, 201],
            ['POST', '/coupon/redeem/PIPE-0', { userId: 'ann' }, 409],
            ['GET', '/coupon', undefined, 200],
            ['GET', '/nope', undefined, 404],
            ['POST', '/coupon', '{"name":', 400],
            ['POST', '/coupon', { name: 5 }, 400],
            ['POST', '/coupon/assign/PIPE-1', { userId: 'bob' }, 201],
            ['HEAD', '/coupon', undefined, 200],
            ['POST', `/coupon/codes/${made.id}`, { codes: ['PIPE-10', 'PIPE-11'] }, 201],
            ['POST', '/coupon/assign/PIPE-11', { userId: 'cid' }, 201],
            ['GET', '/coupon?include=codes', undefined, 200],
            ['POST', '/coupon/lock/PIPE-2', { userId: 'ann' }, 409],
            ['POST', '/coupon/lock/PIPE-99', { userId: 'ann' }, 404],
            ['GET', '/coupon?limit=0', undefined, 400],
            ['POST', '/coupon/assign', { userId: 'dan' }, 201],
            ['GET', '/api-json', undefined, 200],
            ['GET', '/health/ready', undefined, 200],
        ];
        assert.equal(expected.length, 20);
        raw.write(
            expected
                .map(([method, path, body], index) =>
                    requestText(method, path, {
                        body,
                        headers: { 'X-Request-Id': `pipe-${index}` },
                    }),
                )
                .join(''),
        );
        const answers = [];
        for (const [index, [method, path, , status]] of expected.entries()) {
            const answer = await raw.next(method, path);
            assert.equal(answer.headers['x-request-id'], `pipe-${index}`);
            assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
            answers.push(answer);
        }
        // Each request has seen what those before it did.
        assert.equal(answers[5].body[0].counts.redeemed, 1);
        assert.equal(
            answers[13].body[0].codes.find(({ code }) => code === 'PIPE-11').assignedTo,
            'cid',
        );
        assertRefused(answers[4], ...refusals.redeemed);
    });

    it('stay open after refusals', async (t) => {
        const raw = await connection(t, c);
        for (const [method, path, body, status] of [
            ['POST', '/coupon', '{', 400],
            ['POST', '/coupon', {}, 400],
            ['GET', '/nope', undefined, 404],
            ['POST', '/coupon/lock/none', { userId: 'u' }, 404],
            ['GET', '/health/live', undefined, 200],
        ]) {
            raw.write(requestText(method, path, { body }));
            assert.equal((await raw.next(method, path)).status, status);
        }
    });

    it('close after Connection: close', async (t) => {
        const raw = await connection(t, c);
        raw.write(requestText('GET', '/health/live', { headers: { Connection: 'close' } }));
        const answer = await raw.next('GET', '/health/live');
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.connection?.toLowerCase(), 'close');
        await raw.closed();
    });

    it('answer a client that has closed its side', async (t) => {
        const raw = await connection(t, c);
        raw.write(requestText('POST', '/coupon', { body: book }) + requestText('GET', '/coupon'));
        raw.end();
        assert.equal((await raw.next('POST', '/coupon')).status, 201);
        assert.equal((await raw.next('GET', '/coupon')).status, 200);
        await raw.closed();
    });

    it('may break off within a request without harm', async () => {
        for (const text of [
            'P',
            'POST /coupon HTTP/1.1\r\nHost',
            requestText('POST', '/coupon', { body: book }).slice(0, -3),
        ]) {
            const raw = await RawConnection.open(c.server.port);
            raw.write(text);
            raw.end();
            // Some answer or none: what matters is that it ends.
            await raw.nextOrClose('POST', null);
            raw.destroy();
        }
        for (let index = 0; index < 20; index += 1) {
            const raw = await RawConnection.open(c.server.port);
            raw.write(requestText('GET', '/coupon'));
            raw.destroy();
        }
        assert.equal((await c.client.get('/health/ready')).status, 200);
    });

    it('open by the hundred are served', async () => {
        const all = await Promise.all(
            Array.from({ length: 300 }, () => RawConnection.open(c.server.port)),
        );
        for (const raw of all) raw.write(requestText('GET', '/coupon'));
        for (const raw of all) assert.equal((await raw.next('GET', '/coupon')).status, 200);
        for (const raw of all) raw.destroy();
    });
});

describe('HTTP/1.0', () => {
    const c = suiteServer();

    it('is answered, without a Host, and closed', async (t) => {
        const raw = await connection(t, c);
        raw.write('GET /health/live HTTP/1.0\r\n\r\n');
        const answer = await raw.next('GET', '/health/live');
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['transfer-encoding'], undefined);
        await raw.closed();
    });

    it('is kept open where the client asks for it, or closed', async (t) => {
        const raw = await connection(t, c);
        raw.write('GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
        const answer = await raw.next('GET', '/health/live');
        assert.equal(answer.status, 200);
        if (answer.headers.connection?.toLowerCase() === 'keep-alive') {
            raw.write('GET /health/live HTTP/1.0\r\n\r\n');
            assert.equal((await raw.next('GET', '/health/live')).status, 200);
        }
        await raw.closed();
    });

    it('gets long answers without chunks', async (t) => {
        await c.client.newBookWith(numbered('OLD-', 5_000));
        const raw = await connection(t, c);
        raw.write('GET /coupon?include=codes HTTP/1.0\r\n\r\n');
        const answer = await raw.next('GET', '/coupon?include=codes');
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['transfer-encoding'], undefined);
        assert.equal(answer.body[0].codes.length, 5_000);
        await raw.closed();
    });

    it('may post', async (t) => {
        const raw = await connection(t, c);
        raw.write(`POST /coupon HTTP/1.0\r\nContent-Length: ${book.length}\r\n\r\n${book}`);
        assert.equal((await raw.next('POST', '/coupon')).status, 201);
        await raw.closed();
    });
});
