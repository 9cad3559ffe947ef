// One conversation with a coupond, written down so that it can be compared, byte by byte, with the
// same one held with another: what no two have in common (ids, times, request ids) is checked on
// its way and given a name.
import assert from 'node:assert/strict';
import { Client } from './client.js';

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const timeMember =
    /"(createdAt|updatedAt|archivedAt|redeemedAt|rolledBackAt|lockedUntil|at)":"([^"]*)"/g;
// In a JSON text no string holds such a sequence: its quotes would be escaped.
const idMember = /"id":(\d+),"(name|code|at)":/g;
const bookIdMember = /"bookId":(\d+)/g;
const redemptionMember = /("redemption":\{|"redemptions":\[\{|"rolledBackAt":[^,}]*\},\{)"id":(\d+),/g;
const redemptionIdMember = /"redemptionId":(\d+)/g;
const requestIdMember = /"requestId":"([^"]*)"/g;
const kinds = { name: 'book', code: 'code', at: 'entry', redemption: 'redemption' };
const madeRequestId = /^[0-9a-f]+-\d+$/;

/** Two texts from a little before where they begin to differ. */
function difference(one, other = '', names) {
    let at = 0;
    while (at < one.length && one[at] === other[at]) at += 1;
    const part = (text) => text.slice(Math.max(0, at - 200), at + 400);
    return `--- ${names[0]}\n${part(one)}\n--- ${names[1]}\n${part(other)}`;
}

export class Transcript {
    exchanges = []; // {request, answer}, each a text
    lockTtlMs = 300_000; // how long the server's locks last
    #client;
    // id → its number, in the order they came up
    #ids = { name: new Map(), code: new Map(), at: new Map(), redemption: new Map() };
    #seen = new Map(); // entity and member → time
    #sentRequestIds = new Set();

    /** `port` as for Client. */
    constructor(port) {
        this.#client = new Client(port, { connections: 1 });
    }

    close() {
        this.#client.close();
    }

    /** For requests whose answers are not the same everywhere. */
    get unrecorded() {
        return this.#client;
    }

    /** Sends a request, writes the exchange down and returns the answer, as Client does. */
    async ask(method, path, options = {}) {
        const asked = Date.now();
        const answer = await this.#client.request(method, path, options);
        const window = { asked, answered: Date.now() };
        const { body, headers = {} } = options;
        this.#sentRequestIds.add(headers['x-request-id']);
        const sent = Buffer.isBuffer(body) ? body.toString('latin1') : (JSON.stringify(body) ?? '');
        this.exchanges.push({
            request: this.#request(method, path, headers, sent),
            answer: this.#answer(path, answer, headers, window),
        });
        return answer;
    }

    get(path, options) {
        return this.ask('GET', path, options);
    }

    post(path, body, options) {
        return this.ask('POST', path, { body, ...options });
    }

    /** Throws at the first exchange that is not the same in both; `names` are theirs. */
    static assertSame(expected, found, names) {
        expected.forEach(({ request, answer }, at) => {
            for (const [what, one, other] of [
                ['the request', request, found[at]?.request],
                [`the answer to ${request}`, answer, found[at]?.answer],
            ]) {
                if (one !== other) assert.fail(`${what} differs\n${difference(one, other, names)}`);
            }
        });
        assert.equal(found.length, expected.length);
    }

    #request(method, path, headers, sent) {
        const named = path
            .replace(
                /^(\/coupon\/(?:codes\/)?)(\d+)(?=$|[/?])/,
                (_, before, id) => before + this.#bookIn(id),
            )
            .replace(
                /^(\/coupon\/rollback\/)(\d+)$/,
                (_, before, id) => before + this.#known('redemption', id),
            )
            .replace(/([?&]after=)(\d+)/, (_, before, id) => before + this.#afterIn(path, id))
            .replace(/([?&]bookId=)(\d+)/, (_, before, id) => before + this.#bookIn(id));
        const body = sent.replace(
            /"couponBookId":(\d+)/,
            (_, id) => `"couponBookId":${this.#bookIn(id)}`,
        );
        const short = body.length > 500 ? `${body.slice(0, 500)}… (${body.length})` : body;
        return [`${method} ${named}`, JSON.stringify(headers), short].join('\n');
    }

    /** A book's name where its id is known, else the number itself. */
    #bookIn(id) {
        return this.#known('name', id);
    }

    /** The same of what `after` names in a target: a book, or an entry of the ledger. */
    #afterIn(target, id) {
        return this.#known(target.startsWith('/coupon/events') ? 'at' : 'name', id);
    }

    #known(member, id) {
        const number = this.#ids[member].get(Number(id));
        return number === undefined ? id : `<${kinds[member]} ${number}>`;
    }

    #answer(path, { status, rawHeaders, text, body }, sentHeaders, window) {
        const lines = [`${status}`];
        for (let index = 0; index < rawHeaders.length; index += 2) {
            const [name, value] = rawHeaders.slice(index, index + 2);
            const shown = this.#header(name.toLowerCase(), value, text, sentHeaders);
            lines.push(`${name}: ${shown}`);
        }
        const events = path.startsWith('/coupon/events') && status < 400;
        const withRequestId =
            status < 400 && !events
                ? text
                : text.replace(
                      requestIdMember,
                      (_, id) => `"requestId":"${this.#requestId(id, sentHeaders, events)}"`,
                  );
        // The other paths answer documents.
        if (!path.startsWith('/coupon')) return [...lines, '', withRequestId].join('\n');
        if (events && body !== '') this.#checkEntries(body);
        else if (typeof body === 'object') this.#checkTimes(body, window);
        const named = withRequestId
            .replace(redemptionMember, (_, before, id) => {
                return `${before}"id":<redemption ${this.#number('redemption', Number(id))}>,`;
            })
            .replace(idMember, (_, id, member) => {
                return `"id":<${kinds[member]} ${this.#number(member, Number(id))}>,"${member}":`;
            })
            .replace(bookIdMember, (_, id) => `"bookId":${this.#bookIn(id)}`)
            .replace(redemptionIdMember, (_, id) => `"redemptionId":${this.#known('redemption', id)}`)
            .replace(timeMember, (_, member) => `"${member}":"<time>"`);
        return [...lines, '', named].join('\n');
    }

    #header(name, value, text, sentHeaders) {
        if (name === 'x-request-id') return this.#requestId(value, sentHeaders);
        if (name === 'date') {
            assert.equal(new Date(value).toUTCString(), value);
            return '<date>';
        }
        if (name === 'content-length') {
            // It depends on how long the ids are; of an answer to HEAD it is the only trace.
            if (text !== '') assert.equal(Number(value), Buffer.byteLength(text));
            return '<length>';
        }
        if (name === 'link') {
            const target = value.slice(1);
            return value
                .replace(/after=(\d+)/, (_, id) => `after=${this.#afterIn(target, id)}`)
                .replace(/bookId=(\d+)/, (_, id) => `bookId=${this.#bookIn(id)}`);
        }
        return value;
    }

    /** One that the client has sent, now or (`entered`) with some request, stays as it is. */
    #requestId(id, sentHeaders, entered = false) {
        if (id === sentHeaders['x-request-id']) return id;
        if (entered && this.#sentRequestIds.has(id)) return id;
        assert.match(id, madeRequestId);
        return '<request id>';
    }

    #number(member, id) {
        const numbers = this.#ids[member];
        if (!numbers.has(id)) {
            const last = Math.max(0, ...numbers.keys());
            assert.ok(id > last, `id ${id} after ${last}`);
            numbers.set(id, numbers.size + 1);
        }
        return numbers.get(id);
    }

    /** A time that is new is of this request; one that was answered before is the same again. */
    #checkTimes(value, window) {
        if (Array.isArray(value)) for (const entry of value) this.#checkTimes(entry, window);
        if (value === null || typeof value !== 'object' || Array.isArray(value)) return;
        for (const [member, inner] of Object.entries(value)) {
            if (typeof inner === 'object') this.#checkTimes(inner, window);
            else if (member === 'at') {
                this.#checkTime(`entry ${value.id}`, inner, window, 0);
            } else if (member === 'rolledBackAt') {
                this.#checkTime(`back ${value.id}`, inner, window, 0);
            } else if (member === 'createdAt') {
                const kind = 'name' in value ? 'book' : 'code';
                this.#checkTime(`${kind} ${value.id} ${member}`, inner, window, 0);
            } else if (/^(updatedAt|archivedAt|redeemedAt)$/.test(member)) {
                // It moves on.
                this.#checkTime(`${value.id} ${member} ${inner}`, inner, window, 0);
            } else if (member === 'lockedUntil') {
                this.#checkTime(`lock ${inner}`, inner, window, this.lockTtlMs);
            }
        }
    }

    /** Times in the ledger are those that were answered when it was written. */
    #checkEntries(entries) {
        for (const { id, at, type, redemptionId, before, after } of entries) {
            const window = { asked: 0, answered: Date.now() };
            this.#checkTime(`entry ${id}`, at, window, 0);
            if (type === 'code_redeemed') assert.equal(redemptionId, id);
            if (type === 'redemption_rolled_back') {
                this.#checkTime(`back ${redemptionId}`, at, window, 0);
            }
            if (type.startsWith('book_')) this.#checkTimes([before, after], window);
            for (const state of [before, after]) {
                if (state?.lockedUntil) assert.ok(this.#seen.has(`lock ${state.lockedUntil}`));
                if (state?.redeemedAt) assert.equal(state.redeemedAt, at);
            }
        }
    }

    #checkTime(what, text, { asked, answered }, later) {
        assert.match(text, time);
        if (this.#seen.has(what)) {
            assert.equal(text, this.#seen.get(what), what);
            return;
        }
        this.#seen.set(what, text);
        const at = Date.parse(text) - later;
        assert.ok(at >= asked && at <= answered, `${what}: ${text} is not of this request`);
    }
}
