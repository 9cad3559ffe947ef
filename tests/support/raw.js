// A TCP socket that speaks as much or as little HTTP as a test wants: malformed, pipelined, slow.
// What comes back is parsed strictly and held against api/openapi.yaml like every other answer.
import assert from 'node:assert/strict';
import net from 'node:net';
import { checkAnswer, parsedBody } from './openapi.js';

const defaultTimeoutMs = 30_000;

export class RawConnection {
    #socket;
    #buffer = Buffer.alloc(0);
    #ended = false;
    #wake = () => {};

    static open(port) {
        return new Promise((resolve, reject) => {
            const socket = net.connect({
                host: '127.0.0.1',
                port,
                allowHalfOpen: true,
                noDelay: true,
            });
            socket.once('error', reject);
            socket.once('connect', () => {
                socket.off('error', reject);
                resolve(new RawConnection(socket));
            });
        });
    }

    constructor(socket) {
        this.#socket = socket;
        const ended = () => {
            this.#ended = true;
            this.#wake();
        };
        socket.on('data', (chunk) => {
            this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
            this.#wake();
        });
        socket.on('end', ended);
        socket.on('close', ended);
        socket.on('error', ended);
    }

    write(data) {
        this.#socket.write(data);
    }

    /** Sends FIN; answers can still be read. */
    end() {
        this.#socket.end();
    }

    destroy() {
        this.#socket.destroy();
    }

    /** Whether the server has closed its side. */
    get ended() {
        return this.#ended;
    }

    async #until(ready, timeoutMs, what) {
        const deadline = Date.now() + timeoutMs;
        for (;;) {
            const value = ready();
            if (value !== undefined) return value;
            const left = deadline - Date.now();
            assert.ok(
                left > 0,
                `${what}: nothing within ${timeoutMs} ms; so far: ` +
                    JSON.stringify(this.#buffer.toString('latin1').slice(0, 500)),
            );
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, left);
                this.#wake = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });
        }
    }

    /** Waits for the server to close the connection; nothing more may come before that. */
    async closed(timeoutMs = defaultTimeoutMs) {
        await this.#until(() => this.#ended || undefined, timeoutMs, 'close');
        const rest = this.#buffer.toString('latin1');
        assert.equal(rest, '', 'bytes after the last answer');
        this.#socket.destroy();
    }

    /**
     * The next answer, to a request with this method and path (null: it had no readable one).
     * `interim` lists the 1xx answers before it. Null where the server closed without one.
     */
    async next(method = 'GET', path = null, timeoutMs = defaultTimeoutMs) {
        const answer = await this.nextOrClose(method, path, timeoutMs);
        assert.ok(answer, `${method} ${path}: connection closed without an answer`);
        return answer;
    }

    async nextOrClose(method = 'GET', path = null, timeoutMs = defaultTimeoutMs) {
        const interim = [];
        for (;;) {
            const answer = await this.#until(
                () => this.#take(method),
                timeoutMs,
                `${method} ${path}`,
            );
            if (answer === null) return null;
            if (answer.status < 200) {
                interim.push(answer.status);
                continue;
            }
            answer.interim = interim;
            checkAnswer(method, path, answer);
            return answer;
        }
    }

    /** Waits for a 1xx answer alone. */
    async nextInterim(timeoutMs = defaultTimeoutMs) {
        const answer = await this.#until(() => this.#take('GET'), timeoutMs, 'interim answer');
        assert.ok(answer && answer.status < 200, `not an interim answer: ${answer?.status}`);
        return answer.status;
    }

    /** One whole answer off the buffer; undefined: not yet; null: closed and nothing there. */
    #take(method) {
        const headEnd = this.#buffer.indexOf('\r\n\r\n');
        if (headEnd < 0) {
            if (!this.#ended) return undefined;
            assert.equal(this.#buffer.length, 0, "connection closed within an answer's head");
            return null;
        }
        const [statusLine, ...lines] = this.#buffer.toString('latin1', 0, headEnd).split('\r\n');
        const [, version, status, reason] =
            /^HTTP\/(1\.[01]) (\d{3}) ([^\r\n]*)$/.exec(statusLine) ?? [];
        assert.ok(version, `status line ${JSON.stringify(statusLine)}`);
        const headers = headersOf(lines);
        const body = this.#takeBody(method, Number(status), headers, headEnd + 4);
        if (body === undefined) return undefined;
        const text = body.data.toString('utf8');
        this.#buffer = this.#buffer.subarray(body.end);
        return {
            version,
            status: Number(status),
            reason,
            headers,
            text,
            body: parsedBody(headers, text),
        };
    }

    #takeBody(method, status, headers, from) {
        if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
            return { data: Buffer.alloc(0), end: from };
        }
        if (headers['transfer-encoding'] !== undefined) {
            assert.equal(headers['transfer-encoding'].toLowerCase(), 'chunked');
            assert.equal(
                headers['content-length'],
                undefined,
                'both length and encoding in an answer',
            );
            return this.#takeChunks(from);
        }
        if (headers['content-length'] !== undefined) {
            assert.match(headers['content-length'], /^\d+$/);
            const end = from + Number(headers['content-length']);
            if (this.#buffer.length < end) {
                assert.ok(!this.#ended, "connection closed within an answer's body");
                return undefined;
            }
            return { data: this.#buffer.subarray(from, end), end };
        }
        if (!this.#ended) return undefined;
        return { data: this.#buffer.subarray(from), end: this.#buffer.length };
    }

    #takeChunks(from) {
        const pieces = [];
        let at = from;
        for (;;) {
            const lineEnd = this.#buffer.indexOf('\r\n', at);
            if (lineEnd < 0) return this.#unfinished();
            const size = this.#buffer.toString('latin1', at, lineEnd);
            assert.match(size, /^[0-9a-fA-F]+$/, 'chunk size');
            const start = lineEnd + 2;
            const end = start + parseInt(size, 16);
            if (this.#buffer.length < end + 2) return this.#unfinished();
            assert.equal(this.#buffer.toString('latin1', end, end + 2), '\r\n', 'end of chunk');
            pieces.push(this.#buffer.subarray(start, end));
            at = end + 2;
            if (end === start) return { data: Buffer.concat(pieces), end: at };
        }
    }

    #unfinished() {
        assert.ok(!this.#ended, 'connection closed within a chunked body');
        return undefined;
    }
}

const onlyOnce = new Set([
    'content-length',
    'content-type',
    'transfer-encoding',
    'x-request-id',
    'retry-after',
]);

function headersOf(lines) {
    const headers = {};
    for (const line of lines) {
        const [, name, value] =
            /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
        assert.ok(name, `header line ${JSON.stringify(line)}`);
        const key = name.toLowerCase();
        assert.ok(!(key in headers && onlyOnce.has(key)), `${name} twice in one answer`);
        headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
    }
    return headers;
}

/** A request's text. A body that is no text is sent as JSON, with its type and length. */
export function requestText(method, path, { body, headers = {}, version = '1.1' } = {}) {
    const fields = { Host: 'coupond.test', ...headers };
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    if (payload !== undefined) {
        fields['Content-Type'] ??= 'application/json';
        fields['Content-Length'] ??= Buffer.byteLength(payload);
    }
    const lines = Object.entries(fields)
        .filter(([, value]) => value !== null)
        .map(([name, value]) => `${name}: ${value}\r\n`);
    return `${method} ${path} HTTP/${version}\r\n${lines.join('')}\r\n${payload ?? ''}`;
}
