// A TCP proxy on loopback that fails on demand, between coupond and a PostgreSQL or a Redis.
//
//   const proxy = await Proxy.start({to: postgres, protocol: 'postgres'});   or {to: redis}
//   new PostgresData({postgres, through: proxy})      (data.js) makes coupond use it
//
//   proxy.cut()                     closes all connections that there are
//   proxy.refuse()                  takes no new ones (ECONNREFUSED); those there are go on
//   proxy.stall()                   takes connections, and passes nothing on any, new or old
//   proxy.delay(ms)                 passes everything on that much later, each way
//   proxy.heal()                    ends all of these, and those below; what was held goes on
//   proxy.stop()                    closes everything for good
//
// With PostgreSQL, at the message that carries a COMMIT (a Parse or Query whose text is COMMIT):
//
//   proxy.cutBeforeCommit(when)     what comes before is passed on, the COMMIT is not, and both
//                                   sides are closed: it has not happened
//   proxy.cutAfterCommit(when)      the COMMIT and what follows is passed on, what the server says
//                                   from then on is not; the client's side is closed when the
//                                   server has answered: it has happened
//   proxy.stallBeforeCommit(when)   the same, but nothing is closed: the connection passes nothing
//   proxy.stallAfterCommit(when)    on, either way, until heal() or somebody closes it
//
// `when` is {times: n} (the next n of them; default 1) or {probability: p}. cutAfterCommit takes
// two more: with `early` the client's side is closed as soon as the whole COMMIT has come in,
// before the server has answered, and `delayMs` is how long the proxy waits before it passes it on.
//
// A call replaces what the one before has asked for. `proxy.commits` counts the COMMITs that have
// come by, `proxy.acted` how often one was acted on, all the way; `await proxy.untilActed(n)` waits
// for the nth. `proxy.connections` is how many connections are open.
import assert from 'node:assert/strict';
import net from 'node:net';
import { freePort } from './processes.js';

const cancelRequest = 80877102;
const sslRequest = 80877103;
const gssRequest = 80877104;
const commitText = /^\s*(COMMIT|END)\b/i;
// What a connection holds of what cannot be passed on.
const mostQueued = 1 << 20;

/**
 * Cuts a stream of PostgreSQL messages: `next()` is the next whole one, with `type` ('' for those
 * of a connection's start, which have none) and `bytes`, or undefined.
 */
class Messages {
    #buffer = Buffer.alloc(0);

    add(chunk) {
        this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    }

    next({ typed = true } = {}) {
        const at = typed ? 1 : 0;
        if (this.#buffer.length < at + 4) return undefined;
        const end = at + this.#buffer.readInt32BE(at);
        if (this.#buffer.length < end) return undefined;
        const bytes = this.#buffer.subarray(0, end);
        this.#buffer = this.#buffer.subarray(end);
        return { type: typed ? String.fromCharCode(bytes[0]) : '', bytes };
    }

    /** Everything that no message has been made of. */
    rest() {
        const bytes = this.#buffer;
        this.#buffer = Buffer.alloc(0);
        return bytes;
    }
}

/** Whether a frontend message carries a COMMIT. */
function isCommit({ type, bytes }) {
    if (type === 'Q') return commitText.test(bytes.toString('utf8', 5));
    if (type !== 'P') return false;
    const name = bytes.indexOf(0, 5);
    return commitText.test(bytes.toString('utf8', name + 1, bytes.indexOf(0, name + 1)));
}

/** One way of a connection: passes on what it is given, in order, as late as the proxy says. */
class Way {
    #proxy;
    #source;
    #target;
    #waiting = []; // {bytes, due}, not passed on yet; {barrier: true}: nothing behind it is
    #queued = 0;
    #timer;
    #ended = false;

    constructor(proxy, source, target) {
        this.#proxy = proxy;
        this.#source = source;
        this.#target = target;
        target.on('drain', () => this.flow());
    }

    pass(bytes) {
        if (bytes.length === 0) return;
        this.#waiting.push({ bytes, due: Date.now() + this.#proxy.delayMs });
        this.#queued += bytes.length;
        this.flow();
    }

    /** Holds everything that is given from now on, until release(). */
    hold() {
        this.#waiting.push({ barrier: true });
    }

    release() {
        this.#waiting = this.#waiting.filter(({ barrier }) => !barrier);
        this.flow();
    }

    /** Nothing more comes. */
    end() {
        this.#ended = true;
        this.flow();
    }

    /** Passes on what is due, and the end of the stream where that has come. */
    flow() {
        clearTimeout(this.#timer);
        while (this.#waiting.length > 0 && !this.#proxy.stalled) {
            const [{ bytes, due, barrier }] = this.#waiting;
            if (barrier || this.#target.writableNeedDrain) break;
            const left = due - Date.now();
            if (left > 0) {
                this.#timer = setTimeout(() => this.flow(), left);
                break;
            }
            this.#waiting.shift();
            this.#queued -= bytes.length;
            if (!this.#target.destroyed) this.#target.write(bytes);
        }
        if (this.#ended && this.#waiting.length === 0 && !this.#proxy.stalled) this.#target.end();
        // What cannot be passed on is read only so far, as by a network.
        if (this.#queued > mostQueued) this.#source.pause();
        else this.#source.resume();
    }

    close() {
        clearTimeout(this.#timer);
        this.#waiting = [];
        this.#queued = 0;
    }
}

/** A client's connection, and the one made for it to the server. */
class Connection {
    #proxy;
    #client;
    #server;
    #toServer;
    #toClient;
    #fromClient = new Messages();
    #fromServer = new Messages();
    #phase = 'start'; // start, asked (for encryption), messages, opaque
    #asked = 0; // how many ReadyForQuery the server has been asked for
    #ready = 0; // how many of them have come
    #action; // what is done with a COMMIT; `answered`: which ReadyForQuery ends the answer to it

    constructor(proxy, client, { host, port }) {
        this.#proxy = proxy;
        this.#client = client;
        this.#server = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
        this.#toServer = new Way(proxy, client, this.#server);
        this.#toClient = new Way(proxy, this.#server, client);
        if (proxy.protocol !== 'postgres') this.#phase = 'opaque';
        client.on('data', (chunk) => this.#readClient(chunk));
        client.on('end', () => this.#toServer.end());
        client.on('close', () => this.#clientClosed());
        this.#server.on('data', (chunk) => this.#readServer(chunk));
        this.#server.on('end', () => this.#toClient.end());
        this.#server.on('close', () => this.close());
        for (const socket of [client, this.#server]) socket.on('error', () => {});
    }

    /** Closes both sides at once, as a network that fails. */
    close() {
        this.#toServer.close();
        this.#toClient.close();
        this.#client.destroy();
        this.#server.destroy();
        this.#proxy.forget(this);
    }

    #clientClosed() {
        // What is to reach the server does, whoever still waits for an answer.
        if (this.#action?.passed || this.#action?.dropping) return;
        this.close();
    }

    /** Lets what was held go on. */
    release() {
        this.#action = undefined;
        this.#toServer.release();
        this.#toClient.release();
    }

    #readClient(chunk) {
        if (this.#phase === 'opaque') return this.#toServer.pass(chunk);
        this.#fromClient.add(chunk);
        for (;;) {
            const message = this.#fromClient.next({ typed: this.#phase === 'messages' });
            if (message === undefined) return undefined;
            if (this.#phase === 'messages') this.#request(message);
            else this.#startup(message);
            if (this.#phase === 'opaque') return this.#toServer.pass(this.#fromClient.rest());
        }
    }

    /** A message from before the connection is established, which has no type. */
    #startup({ bytes }) {
        const code = bytes.readInt32BE(4);
        if (code === sslRequest || code === gssRequest) {
            if (!this.#proxy.passTls) return this.#client.write('N');
            this.#phase = 'asked';
        } else if (code === cancelRequest) {
            this.#phase = 'opaque';
        } else {
            this.#phase = 'messages';
            this.#asked = 1;
        }
        return this.#toServer.pass(bytes);
    }

    #request(message) {
        if (isCommit(message)) {
            this.#action ??= this.#proxy.decide();
            if (this.#action && !this.#action.met) this.#meetCommit();
        }
        if (this.#action?.dropping) return;
        this.#toServer.pass(message.bytes);
        if (message.type === 'S' || message.type === 'Q' || message.type === 'F') {
            this.#asked += 1;
            if (this.#action?.passed && !this.#action.answered) this.#commitPassed();
        }
    }

    /** At the message that carries the COMMIT, before it is passed on. */
    #meetCommit() {
        const action = this.#action;
        action.met = true;
        if (!action.before) {
            action.passed = true;
            if (action.delayMs > 0) {
                this.#toServer.hold();
                setTimeout(() => this.#toServer.release(), action.delayMs);
            }
        } else if (action.stall) {
            this.#toServer.hold();
            this.#toClient.hold();
            this.#proxy.hasActed();
        } else {
            action.dropping = true;
            this.#client.destroy();
            this.#toServer.end();
            this.#proxy.hasActed();
        }
    }

    /** At the end of the messages that the COMMIT came with. */
    #commitPassed() {
        const action = this.#action;
        action.answered = this.#asked;
        if (action.early) {
            this.#client.destroy();
            this.#proxy.hasActed();
        }
    }

    #readServer(chunk) {
        if (this.#phase === 'opaque') return this.#toClient.pass(chunk);
        if (this.#phase === 'asked') {
            this.#phase = chunk[0] === 0x4e ? 'start' : 'opaque';
            return this.#toClient.pass(chunk);
        }
        this.#fromServer.add(chunk);
        for (let message; (message = this.#fromServer.next()) !== undefined;) {
            this.#answer(message);
        }
        return undefined;
    }

    #answer({ type, bytes }) {
        const action = this.#action;
        // Answers to what was asked before still go through.
        const ofCommit = action?.passed && this.#ready + 1 >= (action.answered ?? this.#asked + 1);
        if (ofCommit && action.stall && !action.holding) {
            action.holding = true;
            this.#toClient.hold();
        }
        if (!action?.dropping && (!ofCommit || action.stall)) this.#toClient.pass(bytes);
        if (type !== 'Z') return;
        this.#ready += 1;
        if (!ofCommit || action.done) return;
        action.done = true;
        if (action.stall) {
            action.passed = false; // from now on, who closes is followed
            this.#toServer.hold();
        } else {
            this.close();
        }
        if (!action.early) this.#proxy.hasActed();
    }
}

export class Proxy {
    host = '127.0.0.1';
    port;
    protocol;
    passTls;
    stalled = false;
    delayMs = 0;
    commits = 0;
    acted = 0;
    #to;
    #listener;
    #open = new Set();
    #atCommit;
    #waiting = [];

    /**
     * One that listens. `to` is {host, port}; `tls` is refuse or pass: what becomes of a wish for
     * an encrypted connection. In one that has been passed on COMMITs are not seen.
     */
    static async start({ to, protocol = 'any', tls = 'refuse' }) {
        const proxy = new Proxy();
        proxy.#to = to;
        proxy.protocol = protocol;
        proxy.passTls = tls === 'pass';
        proxy.port = await freePort();
        await proxy.#listen();
        return proxy;
    }

    #listen() {
        if (this.#listener) return undefined;
        this.#listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
            this.#open.add(new Connection(this, client, this.#to));
        });
        this.#listener.unref();
        return new Promise((resolve, reject) => {
            this.#listener.once('error', reject);
            this.#listener.listen(this.port, this.host, resolve);
        });
    }

    get connections() {
        return this.#open.size;
    }

    cut() {
        for (const connection of [...this.#open]) connection.close();
    }

    refuse() {
        this.#listener?.close();
        this.#listener = undefined;
    }

    stall() {
        this.stalled = true;
    }

    delay(ms) {
        this.delayMs = ms;
    }

    async heal() {
        this.stalled = false;
        this.delayMs = 0;
        this.#atCommit = undefined;
        for (const connection of this.#open) connection.release();
        await this.#listen();
    }

    stop() {
        this.refuse();
        this.cut();
    }

    cutBeforeCommit(when) {
        this.#plan(when, { before: true });
    }

    cutAfterCommit(when) {
        this.#plan(when, { before: false });
    }

    stallBeforeCommit(when) {
        this.#plan(when, { before: true, stall: true });
    }

    stallAfterCommit(when) {
        this.#plan(when, { before: false, stall: true });
    }

    #plan({ times, probability, early = false, delayMs = 0 } = {}, action) {
        assert.equal(this.protocol, 'postgres', 'COMMITs are known of PostgreSQL only');
        this.#atCommit = {
            left: times ?? (probability === undefined ? 1 : Infinity),
            probability: probability ?? 1,
            action: { ...action, early, delayMs },
        };
    }

    /** Waits until COMMITs have been acted on `count` times since the start. */
    async untilActed(count, withinMs = 30_000) {
        const deadline = Date.now() + withinMs;
        while (this.acted < count) {
            const left = deadline - Date.now();
            assert.ok(left > 0, `${this.acted} of ${count} COMMITs met within ${withinMs} ms`);
            let timer;
            await new Promise((resolve) => {
                this.#waiting.push(resolve);
                timer = setTimeout(resolve, left);
            });
            clearTimeout(timer);
        }
    }

    // For its connections.

    /** A COMMIT comes by: what to do with it, if anything. */
    decide() {
        this.commits += 1;
        const plan = this.#atCommit;
        if (!plan || plan.left === 0 || Math.random() >= plan.probability) return undefined;
        plan.left -= 1;
        return { ...plan.action };
    }

    hasActed() {
        this.acted += 1;
        for (const resolve of this.#waiting.splice(0)) resolve();
    }

    forget(connection) {
        this.#open.delete(connection);
    }
}
