// Reads GET /coupon/events/stream, as strictly as WHATWG HTML lets a server write it: fields with one
// space behind their colon, lines that end with LF, no field but those described, no event that is
// neither one. Each entry is held against api/openapi.yaml.
//
//   const stream = await EventStream.open(port, '/coupon/events/stream?after=0', {lastEventId})
//   await stream.until(() => …)    waits, over what comes in
//   stream.wakeUp()                has that look again
//   stream.events, lastId, comments, text       what has come so far
//   await stream.ended             'end' where it ended in order, else 'cut'
import assert from 'node:assert/strict';
import http from 'node:http';
import { checkAnswer, checkSchema } from './openapi.js';

const withinMs = 30_000;

/** The target that asks for a stream. */
export const streamPath = (query = {}) => {
    const members = Object.entries(query).map(
        ([name, value]) => `${name}=${encodeURIComponent(value)}`,
    );
    return `/coupon/events/stream${members.length > 0 ? `?${members.join('&')}` : ''}`;
};

export class EventStream {
    events = [];
    lastId;
    comments = 0;
    text = '';
    #response;
    #rest = '';
    #fields = {};
    #failure;
    #onChange = () => {};

    /** Rejects where the answer is not 200. */
    static open(port, path, { lastEventId } = {}) {
        const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
        return new Promise((resolve, reject) => {
            const request = http.get(
                { host: '127.0.0.1', port, path, headers, agent: false },
                (response) => {
                    const { statusCode: status, headers: received } = response;
                    if (status === 200) {
                        try {
                            checkAnswer('GET', path, { status, headers: received, text: '', body: '' });
                            resolve(new EventStream(response));
                        } catch (error) {
                            response.destroy();
                            reject(error);
                        }
                        return;
                    }
                    response.destroy();
                    reject(new Error(`GET ${path} → ${status}`));
                },
            );
            request.on('error', reject);
        });
    }

    constructor(response) {
        this.#response = response;
        this.headers = response.headers;
        response.setEncoding('utf8');
        response.on('data', (text) => {
            if (this.#failure) return;
            try {
                this.#take(text);
            } catch (error) {
                this.#failure = error;
            }
            this.#onChange();
        });
        this.ended = new Promise((resolve) => {
            response.on('end', () => resolve('end'));
            response.on('error', () => resolve('cut'));
            response.on('close', () => resolve('cut'));
        }).then((how) => {
            this.how = how;
            this.#onChange();
            return how;
        });
    }

    /** Goes away without a word. */
    close() {
        this.#response.destroy();
    }

    /** Has `until` look again. */
    wakeUp() {
        this.#onChange();
    }

    /** What `ready` returns, as soon as it is true. */
    async until(ready) {
        for (const deadline = Date.now() + withinMs; ;) {
            if (this.#failure) throw this.#failure;
            const value = ready();
            if (value) return value;
            const left = deadline - Date.now();
            assert.ok(left > 0, `nothing within ${withinMs} ms, so far ${this.text.slice(-500)}`);
            assert.equal(this.how, undefined, `the stream has ended: ${this.text.slice(-500)}`);
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, left);
                this.#onChange = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });
        }
    }

    /** Waits until `count` entries have come, and returns them. */
    async read(count) {
        await this.until(() => this.events.length >= count);
        assert.equal(this.events.length, count, this.text.slice(-2000));
        return this.events;
    }

    #take(text) {
        this.text += text;
        const lines = (this.#rest + text).split('\n');
        this.#rest = lines.pop();
        for (const line of lines) this.#takeLine(line);
    }

    #takeLine(line) {
        if (line === '') return this.#dispatch();
        if (line === ':') {
            this.comments += 1;
            return undefined;
        }
        const [, name, value] = /^(id|event|data|retry): ([^\r\0]+)$/.exec(line) ?? [];
        assert.ok(name, `a line ${JSON.stringify(line)}`);
        assert.ok(!(name in this.#fields), `two fields ${name} in an event`);
        this.#fields[name] = value;
        return undefined;
    }

    #dispatch() {
        const { id, event, data } = this.#fields;
        const { retry } = this.#fields;
        this.#fields = {};
        if (id === undefined) {
            assert.ok(event === undefined && data === undefined, 'an entry without id');
            return;
        }
        assert.match(id, /^(0|[1-9]\d*)$/);
        if (retry !== undefined) assert.equal(this.lastId, undefined, 'retry amidst the stream');
        assert.equal(event === undefined, data === undefined);
        const first = this.lastId === undefined;
        assert.ok(first || Number(id) > Number(this.lastId), `id ${id} after ${this.lastId}`);
        this.lastId = id;
        if (data === undefined) return;
        const entry = JSON.parse(data);
        checkSchema('Event', entry);
        assert.equal(JSON.stringify(entry), data);
        assert.deepEqual([String(entry.id), entry.type], [id, event]);
        this.events.push(entry);
    }
}
