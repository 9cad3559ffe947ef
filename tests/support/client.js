// An HTTP client on keep-alive connections. Every answer it receives is held against
// api/openapi.yaml.
import assert from 'node:assert/strict';
import http from 'node:http';
import { checkAnswer, errorMembers, parsedBody, refusedMembers } from './openapi.js';
import { assertJob, assertValidation } from './shapes.js';

const encode = encodeURIComponent;

export class Client {
    #agent;

    /** `port` is a number, or a function for a server that moves. */
    constructor(port, { connections = 64 } = {}) {
        this.port = typeof port === 'function' ? port : () => port;
        this.connections = connections;
        this.#agent = new http.Agent({ keepAlive: true, maxSockets: connections });
    }

    close() {
        this.#agent.destroy();
    }

    /**
     * Sends one request and returns `{status, headers, rawHeaders, text, bytes, body}`; `body` is
     * parsed where it is JSON. A body that is neither text nor a Buffer is sent as JSON. Rejects where the connection
     * fails before the whole answer is there.
     */
    request(method, path, { body, headers = {} } = {}) {
        const payload =
            body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
                ? body
                : JSON.stringify(body);
        const fields = { ...headers };
        if (payload !== undefined) {
            fields['content-type'] ??= 'application/json';
            if (fields['content-length'] === undefined) {
                fields['content-length'] = Buffer.byteLength(payload);
            }
        }
        for (const [name, value] of Object.entries(fields)) if (value === null) delete fields[name];
        return new Promise((resolve, reject) => {
            const request = http.request(
                {
                    host: '127.0.0.1',
                    port: this.port(),
                    method,
                    path,
                    headers: fields,
                    agent: this.#agent,
                },
                (response) => {
                    const chunks = [];
                    response.on('data', (chunk) => chunks.push(chunk));
                    response.on('error', reject);
                    response.on('aborted', () =>
                        reject(new Error(`${method} ${path}: answer cut off`)),
                    );
                    response.on('end', () => {
                        try {
                            const bytes = Buffer.concat(chunks);
                            const text = bytes.toString('utf8');
                            const answer = {
                                status: response.statusCode,
                                headers: response.headers,
                                rawHeaders: response.rawHeaders,
                                text,
                                bytes,
                            };
                            answer.body = parsedBody(answer.headers, text);
                            checkAnswer(method, path, answer);
                            resolve(answer);
                        } catch (error) {
                            reject(error);
                        }
                    });
                },
            );
            request.on('error', reject);
            request.end(payload);
        });
    }

    get(path, options) {
        return this.request('GET', path, options);
    }

    post(path, body, options) {
        return this.request('POST', path, { body, ...options });
    }

    // The calls of the contract, whatever they answer.

    upload(bookId, codes) {
        return this.post(bookId === undefined ? '/coupon/codes' : `/coupon/codes/${bookId}`, {
            codes,
        });
    }

    /** `more`: an `expiresAt`, `metadata`, whether to `wait`. */
    generate(bookId, count, more, options) {
        return this.post(`/coupon/generate/${bookId}`, { count, ...more }, options);
    }

    /** A file's text or bytes. `more`: its `format` (csv, or ndjson), `onConflict`. */
    importFile(bookId, file, { format = 'csv', ...query } = {}, { headers, ...options } = {}) {
        const path = `/coupon/codes/${bookId}${query.onConflict ? queryOf(query) : ''}`;
        const type = format === 'csv' ? 'text/csv' : 'application/x-ndjson';
        return this.post(path, file, { headers: { 'content-type': type, ...headers }, ...options });
    }

    /** `wish`: how the images are to be; left out, there is no body. */
    drawQr(bookId, wish, options) {
        return this.post(`/coupon/qr/${bookId}`, wish, options);
    }

    job(id) {
        return this.get(`/coupon/jobs/${id}`);
    }

    cancel(jobId, options) {
        return this.request('DELETE', `/coupon/jobs/${jobId}`, options);
    }

    assignAny(userId, couponBookId) {
        return this.post('/coupon/assign', { userId, couponBookId });
    }

    assign(code, userId) {
        return this.post(`/coupon/assign/${encode(code)}`, { userId });
    }

    /** `order`: what for, if for a certain one. */
    lock(code, userId, order, options) {
        return this.post(`/coupon/lock/${encode(code)}`, { userId, order }, options);
    }

    redeem(code, userId, order, options) {
        return this.post(`/coupon/redeem/${encode(code)}`, { userId, order }, options);
    }

    /** Several codes for one order, if for a certain one. */
    lockAll(codes, userId, order, options) {
        return this.post('/coupon/lock', { userId, codes, order }, options);
    }

    redeemAll(codes, userId, order, options) {
        return this.post('/coupon/redeem', { userId, codes, order }, options);
    }

    /** `members`: an `amount`, a `reason`; without them, no body. */
    rollBack(redemptionId, members, options) {
        return this.post(`/coupon/rollback/${redemptionId}`, members, options);
    }

    patchBook(id, members, options) {
        return this.request('PATCH', `/coupon/${id}`, { body: members, ...options });
    }

    archive(id, options) {
        return this.request('DELETE', `/coupon/${id}`, options);
    }

    /** Without a body, as without anything to say. */
    restore(id, options) {
        return this.request('POST', `/coupon/${id}/restore`, options);
    }

    patchCode(code, members, options) {
        return this.request('PATCH', `/coupon/code/${encode(code)}`, { body: members, ...options });
    }

    unlock(code, userId, options) {
        return this.post(`/coupon/unlock/${encode(code)}`, { userId }, options);
    }

    /** `more`: an `order`, an `asOf`. */
    validate(code, userId, more, options) {
        return this.post(`/coupon/validate/${encode(code)}`, { userId, ...more }, options);
    }

    /** Of whomever, where no `userId` is given. */
    unassign(code, userId, options) {
        return this.post(`/coupon/unassign/${encode(code)}`, { userId }, options);
    }

    /** Waits until /health/ready says that commands can be run. */
    async untilReady(withinMs = 30_000) {
        for (const deadline = Date.now() + withinMs; ; ) {
            const { status, text } = await this.get('/health/ready');
            if (status === 200) return;
            assert.ok(Date.now() < deadline, `not ready within ${withinMs} ms: ${text}`);
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    // What a test needs to have before it starts: anything but success throws.

    async newBook(members = {}) {
        const answer = await this.post('/coupon', {
            name: 'Book',
            codePattern: 'B-{6}',
            ...members,
        });
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    /** A new book that holds `codes`. */
    async newBookWith(codes, members) {
        const book = await this.newBook(members);
        assert.equal((await this.upload(book.id, codes)).status, 201);
        return book;
    }

    /** New codes, made by the book's pattern. */
    async mustGenerate(bookId, count, more) {
        const answer = await this.generate(bookId, count, { ...more, wait: true });
        assert.equal(answer.status, 201, answer.text.slice(0, 500));
        return answer.body;
    }

    /** A job that was begun. */
    async mustBegin(bookId, count, more, options) {
        const answer = await this.generate(bookId, count, more, options);
        assert.equal(answer.status, 202, answer.text);
        assertJob(answer.body);
        return answer.body;
    }

    /** The job of a file that has come whole. */
    async mustImport(bookId, file, more, options) {
        const answer = await this.importFile(bookId, file, more, options);
        assert.equal(answer.status, 202, answer.text);
        const { format = 'csv', onConflict = 'fail' } = more ?? {};
        assertJob(answer.body, { type: 'import', couponBookId: bookId, format, onConflict });
        assert.equal(answer.headers.location, `/coupon/jobs/${answer.body.id}`);
        return answer.body;
    }

    /** The same when it has ended. */
    async imported(bookId, file, more) {
        return this.untilJob((await this.mustImport(bookId, file, more)).id);
    }

    /** A job of images that was begun. */
    async mustDraw(bookId, wish, options) {
        const answer = await this.drawQr(bookId, wish, options);
        assert.equal(answer.status, 202, answer.text);
        assertJob(answer.body, { type: 'qr', couponBookId: bookId, ...wish });
        assert.equal(answer.headers.location, `/coupon/jobs/${answer.body.id}`);
        return answer.body;
    }

    /** The same when it has ended. */
    async drawn(bookId, wish) {
        return this.untilJob((await this.mustDraw(bookId, wish)).id);
    }

    /** Every row that a job has rejected, by line. */
    async rejectedRows(jobId, query = {}) {
        const rows = [];
        let path = `/coupon/jobs/${jobId}/rejected${queryOf({ limit: 1000, ...query })}`;
        while (path) {
            const answer = await this.get(path);
            assert.equal(answer.status, 200, answer.text);
            rows.push(...answer.body);
            path = nextPage(answer);
        }
        return rows;
    }

    async mustCancel(jobId) {
        const answer = await this.cancel(jobId);
        assert.equal(answer.status, 200, answer.text);
        assertJob(answer.body, { status: 'cancelled' });
        return answer.body;
    }

    /** The job as soon as `condition(job)` holds; without one, when it has ended. */
    async untilJob(id, condition = ({ finishedAt }) => finishedAt !== null, withinMs = 120_000) {
        for (const deadline = Date.now() + withinMs; ; ) {
            const { status, body, text } = await this.job(id);
            assert.equal(status, 200, text);
            assertJob(body);
            if (condition(body)) return body;
            assert.equal(body.finishedAt, null, `it has ended: ${text}`);
            assert.ok(Date.now() < deadline, `job ${id} within ${withinMs} ms: ${text}`);
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
    }

    /** Every job that `query` asks for, the last one first. */
    async allJobs(query = {}) {
        const jobs = [];
        let path = `/coupon/jobs${queryOf({ limit: 1000, ...query })}`;
        while (path) {
            const answer = await this.get(path);
            assert.equal(answer.status, 200, answer.text);
            jobs.push(...answer.body);
            path = nextPage(answer);
        }
        return jobs;
    }

    async mustAssign(code, userId) {
        const answer = await this.assign(code, userId);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    async mustLock(code, userId, order) {
        const answer = await this.lock(code, userId, order);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    async mustRedeem(code, userId, order) {
        const answer = await this.redeem(code, userId, order);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    async mustLockAll(codes, userId, order) {
        const answer = await this.lockAll(codes, userId, order);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    async mustRedeemAll(codes, userId, order) {
        const answer = await this.redeemAll(codes, userId, order);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    async mustRollBack(redemptionId, members) {
        const answer = await this.rollBack(redemptionId, members);
        assert.equal(answer.status, 201, answer.text);
        return answer.body.redemption;
    }

    async mustPatchBook(id, members) {
        const answer = await this.patchBook(id, members);
        assert.equal(answer.status, 200, answer.text);
        return answer.body;
    }

    async mustArchive(id) {
        const answer = await this.archive(id);
        assert.equal(answer.status, 200, answer.text);
        return answer.body;
    }

    async mustRestore(id) {
        const answer = await this.restore(id);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    async mustPatchCode(code, members) {
        const answer = await this.patchCode(code, members);
        assert.equal(answer.status, 200, answer.text);
        return answer.body;
    }

    /** Whether it would be accepted: what is answered is told in the one form there is. */
    async mustValidate(code, userId, more) {
        const answer = await this.validate(code, userId, more);
        assert.equal(answer.status, 200, answer.text);
        assertValidation(answer.body, more);
        return answer.body;
    }

    async mustUnlock(code, userId) {
        const answer = await this.unlock(code, userId);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    async mustUnassign(code, userId) {
        const answer = await this.unassign(code, userId);
        assert.equal(answer.status, 201, answer.text);
        return answer.body;
    }

    /** Every book, with its codes where `codes` is true, one book a page. */
    async allBooks({ codes = false } = {}) {
        const books = [];
        let path = `/coupon?limit=${codes ? '1&include=codes' : '1000'}`;
        while (path) {
            const answer = await this.get(path);
            assert.equal(answer.status, 200, answer.text);
            books.push(...answer.body);
            path = nextPage(answer);
        }
        return books;
    }

    /** Every entry of the ledger that `query` asks for, 1,000 a page where it says nothing else. */
    async allEvents(query = {}) {
        const events = [];
        let path = eventsPath({ limit: 1000, ...query });
        while (path) {
            const answer = await this.get(path);
            assert.equal(answer.status, 200, answer.text);
            events.push(...answer.body);
            path = nextPage(answer);
        }
        return events;
    }

    /** Every code of a book, by id, as its list shows them. */
    async allCodes(bookId) {
        const codes = [];
        let path = `/coupon/codes/${bookId}?limit=1000`;
        while (path) {
            const answer = await this.get(path);
            assert.equal(answer.status, 200, answer.text);
            codes.push(...answer.body);
            path = nextPage(answer);
        }
        return codes;
    }

    /** A book's entry in the list, with its codes. */
    async bookWithCodes(id) {
        const answer = await this.get(`/coupon?include=codes&limit=1${after(id - 1)}`);
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.body[0]?.id, id);
        return answer.body[0];
    }

    /** One code out of its book's list. */
    async codeOf(bookId, code) {
        return (await this.bookWithCodes(bookId)).codes.find((entry) => entry.code === code);
    }
}

/** The query member for a page behind the book with this id; the first page has none. */
export const after = (id) => (id > 0 ? `&after=${id}` : '');

/** The query part of a target. */
const queryOf = (query) =>
    `?${Object.entries(query)
        .map(([name, value]) => `${name}=${encode(value)}`)
        .join('&')}`;

/** The target that asks for entries of the ledger. */
export const eventsPath = (query) => `/coupon/events${queryOf(query)}`;

/** The target of the Link header's rel="next", or nothing. */
export function nextPage(answer) {
    const link = answer.headers.link;
    if (link === undefined) return undefined;
    const [, target] = /^<([^<>]*)>; rel="next"$/.exec(link) ?? [];
    assert.ok(target, `Link: ${link}`);
    return target;
}

/** Asserts an error answer to the letter; `code` and `message` may be left out. */
export function assertRefused(answer, status, message, code) {
    assertError(answer, errorMembers, status, message, code);
}

/** The same of one of several codes. */
export function assertCodeRefused(answer, couponCode, status, message, code) {
    assertError(answer, refusedMembers, status, message, code);
    assert.equal(answer.body.couponCode, couponCode);
}

function assertError(answer, members, status, message, code) {
    assert.equal(answer.status, status, answer.text);
    assert.deepEqual(Object.keys(answer.body), members);
    assert.equal(answer.body.statusCode, status);
    assert.equal(answer.body.error, http.STATUS_CODES[status]);
    if (message instanceof RegExp) assert.match(answer.body.message, message);
    else if (message !== undefined) assert.deepEqual(answer.body.message, message);
    if (code !== undefined) assert.equal(answer.body.code, code);
}

/**
 * Runs `work(item, index)` for all items, `width` of them at a time; returns the results in order.
 */
export async function inParallel(items, width, work) {
    const list = [...items];
    const results = new Array(list.length);
    let next = 0;
    await Promise.all(
        Array.from({ length: Math.min(width, list.length) }, async () => {
            while (next < list.length) {
                const index = next++;
                results[index] = await work(list[index], index);
            }
        }),
    );
    return results;
}

/**
 * Does `work` once, and again until `isEnough()`: how often what is left to chance happens depends on the
 * machine. Gives up after 20 times; whoever calls it asserts what there has to be.
 */
export async function untilEnough(isEnough, work) {
    for (let left = 20; left > 0; left -= 1) {
        await work();
        if (isEnough()) return;
    }
}

/** `count` texts: prefix and number. */
export const numbered = (prefix, count, from = 0) =>
    Array.from({ length: count }, (_, index) => `${prefix}${from + index}`);

/** How often each value occurs, as a plain object. */
export function tally(values) {
    const counts = {};
    for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
    return counts;
}

/** How many answers there are of each status. */
export const tallyStatus = (answers) => tally(answers.map(({ status }) => status));
