// Remembers what the server has acknowledged, and holds the state and the ledger found afterwards
// against it.
//
// A request whose answer never came, or was 503 outcome_unknown, is a doubt: it may or may not have
// happened. Any other 503 says that nothing was changed, and is held to it.
//
//   new History(client)
//   new History(client, {losesLocks})   losesLocks: where the test has a Redis lose them
//   history.by(another)                 the same History, sending through another client
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger, verifyEntries } from './ledger.js';

// A transaction that is given up, of a process that was killed or stands still, holds the ledger's
// readers back for some seconds; of a machine that is gone, for up to twenty.
const ledgerWithinMs = 30_000;

const connectionFailures = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ECONNABORTED']);

/** Whether a request failed because its connection did. */
export function isConnectionFailure(error) {
    return (
        connectionFailures.has(error.code) ||
        /socket hang up|answer cut off|aborted/.test(error.message)
    );
}

const pair = (code, user) => `${code}\n${user}`;

export class History {
    #client;
    #assigned = new Map(); // code → user
    #given = new Set(); // codes acknowledged as picked at random
    #locked = new Map(); // code → {user, until}: the last one acknowledged
    #redeemed = new Map(); // code → {user, at}
    #seenRedeemed = new Set(); // codes of which a refusal has said so
    #uploaded = new Map(); // code → book id
    #refusedUploads = []; // lists of codes of which none may be there
    #doubtfulUploads = []; // lists of codes, each all there or not at all
    #doubts = { any: new Map(), assign: new Set(), lock: new Set(), redeem: new Set() };
    #unknownLocks = new Set(); // pairs of which a lock was neither given nor refused
    #acknowledged = new Map(); // request id → what its entry in the ledger says
    #ledger;
    #losesLocks;

    constructor(client, { losesLocks = false } = {}) {
        this.#client = client;
        this.#ledger = new Ledger(client);
        this.#losesLocks = losesLocks;
    }

    /** What sends through `client` instead, and remembers here. */
    by(client) {
        return {
            upload: (bookId, codes) => this.upload(bookId, codes, client),
            assignAny: (user, bookId) => this.assignAny(user, bookId, client),
            assign: (code, user) => this.assign(code, user, client),
            lock: (code, user) => this.lock(code, user, client),
            redeem: (code, user) => this.redeem(code, user, client),
        };
    }

    /** How many codes have been acknowledged as assigned, locked at least once, redeemed. */
    get acknowledged() {
        return {
            assigned: this.#assigned.size,
            locked: this.#locked.size,
            redeemed: this.#redeemed.size,
        };
    }

    /** The user a code was acknowledged to belong to. */
    holder(code) {
        return this.#assigned.get(code);
    }

    /** Codes that a test has put in, all of which must be there at the end. */
    uploaded(bookId, codes) {
        for (const code of codes) {
            assert.ok(!this.#uploaded.has(code), `${code} was taken in twice`);
            this.#uploaded.set(code, bookId);
        }
    }

    /**
     * Sends; returns the answer, or null where the connection failed and the outcome is in doubt.
     */
    async #send(send, doubt) {
        let answer;
        try {
            answer = await send();
        } catch (error) {
            if (!isConnectionFailure(error)) throw error;
            // A connection that was refused has carried no request.
            if (error.code !== 'ECONNREFUSED') doubt();
            return null;
        }
        if (answer.status === 503 && answer.body.code === 'outcome_unknown') doubt();
        return answer;
    }

    async upload(bookId, codes, client = this.#client) {
        const answer = await this.#send(
            () => client.upload(bookId, codes),
            () => this.#doubtfulUploads.push(codes),
        );
        if (answer?.status === 201) {
            this.uploaded(bookId, codes);
            this.#noteEntry(answer, { type: 'codes_uploaded', bookId, codes: codes.length });
        } else if (answer) {
            this.#refusedUploads.push(codes);
        }
        return answer;
    }

    async assignAny(user, bookId, client = this.#client) {
        const { any } = this.#doubts;
        const answer = await this.#send(
            () => client.assignAny(user, bookId),
            () => any.set(user, (any.get(user) ?? 0) + 1),
        );
        if (answer?.status === 201) {
            this.#noteAssigned(answer.body, user, true);
            const { code } = answer.body;
            this.#noteEntry(answer, { type: 'code_assigned', code, userId: user });
        }
        return answer;
    }

    async assign(code, user, client = this.#client) {
        const answer = await this.#send(
            () => client.assign(code, user),
            () => this.#doubts.assign.add(pair(code, user)),
        );
        if (answer?.status === 201) {
            assert.equal(answer.body.code, code);
            this.#noteAssigned(answer.body, user, false);
        }
        return answer;
    }

    #noteAssigned(body, user, picked) {
        assert.equal(body.assignedTo, user);
        if (picked) {
            assert.ok(!this.#given.has(body.code), `${body.code} was handed out twice`);
            this.#given.add(body.code);
        }
        const holder = this.#assigned.get(body.code);
        assert.ok(
            holder === undefined || holder === user,
            `${body.code} assigned to ${holder} and ${user}`,
        );
        this.#assigned.set(body.code, user);
    }

    #noteEntry({ headers }, told) {
        this.#acknowledged.set(headers['x-request-id'], told);
    }

    async lock(code, user, client = this.#client) {
        const answer = await this.#send(
            () => client.lock(code, user),
            () => this.#doubts.lock.add(pair(code, user)),
        );
        if (!answer || answer.status === 503) this.#unknownLocks.add(pair(code, user));
        if (answer?.status === 201) {
            const before = this.#locked.get(code);
            assert.ok(
                this.#losesLocks || !before || before.until <= Date.now(),
                `${code} locked by ${before?.user} and by ${user}`,
            );
            const { lockedUntil } = answer.body;
            this.#locked.set(code, { user, until: Date.parse(lockedUntil) });
            this.#noteEntry(answer, { type: 'code_locked', code, userId: user, lockedUntil });
        } else if (answer?.body.code === 'coupon_already_redeemed') {
            this.#seenRedeemed.add(code);
        }
        return answer;
    }

    async redeem(code, user, client = this.#client) {
        const answer = await this.#send(
            () => client.redeem(code, user),
            () => this.#doubts.redeem.add(pair(code, user)),
        );
        if (answer?.status === 201) {
            const { coupon } = answer.body;
            assert.equal(coupon.code, code);
            assert.equal(coupon.assignedTo, user);
            assert.ok(!this.#redeemed.has(code), `${code} redeemed twice`);
            const { redeemedAt } = coupon;
            this.#redeemed.set(code, { user, at: redeemedAt });
            this.#noteEntry(answer, { type: 'code_redeemed', code, userId: user, redeemedAt });
        } else if (answer?.body.code === 'coupon_already_redeemed') {
            this.#seenRedeemed.add(code);
        }
        return answer;
    }

    /**
     * Holds what the server says now, code by code and entry by entry, against what it has
     * acknowledged.
     */
    async verify() {
        const asked = Date.now();
        const books = await this.#client.allBooks({ codes: true });
        const answered = Date.now();
        const found = new Map();
        const ids = new Set();
        for (const book of books) {
            for (const code of book.codes) {
                assert.ok(!found.has(code.code), `${code.code} is there twice`);
                assert.ok(!ids.has(code.id), `id ${code.id} is there twice`);
                ids.add(code.id);
                found.set(code.code, { ...code, bookId: book.id });
                this.#verifyCode(code, asked, answered);
            }
            verifyCounts(book);
            verifyLimit(book);
        }
        for (const [code, bookId] of this.#uploaded) {
            assert.equal(found.get(code)?.bookId, bookId, `${code} is not in its book`);
        }
        for (const code of [
            ...this.#assigned.keys(),
            ...this.#redeemed.keys(),
            ...this.#seenRedeemed,
        ]) {
            assert.ok(found.has(code), `${code} was acknowledged and is gone`);
        }
        for (const codes of this.#doubtfulUploads) {
            const there = codes.filter((code) => found.has(code)).length;
            assert.ok(
                there === 0 || there === codes.length,
                `${there} of an upload of ${codes.length} codes`,
            );
        }
        for (const code of this.#refusedUploads.flat()) {
            assert.ok(
                !found.has(code) || this.#uploaded.has(code),
                `${code} was refused and is there`,
            );
        }
        await this.#verifyLedger({ books, asked, answered });
        return books;
    }

    /** The ledger may show what was changed a little later than the books do. */
    async #verifyLedger(found) {
        for (const deadline = Date.now() + ledgerWithinMs; ;) {
            await this.#ledger.readOn();
            try {
                this.#verifyEntries(found);
                break;
            } catch (error) {
                if (!(error instanceof assert.AssertionError) || Date.now() > deadline) throw error;
            }
            await sleep(50);
            const asked = Date.now();
            const books = await this.#client.allBooks({ codes: true });
            found = { books, asked, answered: Date.now() };
        }
        await this.#ledger.verifyRead();
    }

    #verifyEntries({ books, asked, answered }) {
        const { entries } = this.#ledger;
        verifyEntries(entries, books, {
            asked,
            answered,
            losesLocks: this.#losesLocks,
            unknownLocks: this.#unknownLocks,
        });
        const byRequest = new Map(entries.map((entry) => [entry.requestId, entry]));
        for (const [requestId, told] of this.#acknowledged) {
            const entry = byRequest.get(requestId);
            assert.ok(entry, `acknowledged, and not in the ledger: ${JSON.stringify(told)}`);
            const { lockedUntil, redeemedAt, ...members } = told;
            const text = `${JSON.stringify(told)}, the ledger: ${JSON.stringify(entry)}`;
            for (const [name, value] of Object.entries(members)) {
                assert.equal(entry[name], value, text);
            }
            if (lockedUntil) assert.equal(entry.after.lockedUntil, lockedUntil, text);
            if (redeemedAt) assert.equal(entry.after.redeemedAt, redeemedAt, text);
        }
    }

    #verifyCode(code, asked, answered) {
        const text = JSON.stringify(code);
        this.#verifyHolder(code, text);
        const redeemed = this.#redeemed.get(code.code);
        assert.equal(code.isRedeemed, code.redeemedAt !== null, text);
        if (redeemed) {
            assert.equal(code.redeemedAt, redeemed.at, `acknowledged as redeemed: ${text}`);
            assert.equal(code.assignedTo, redeemed.user, text);
        } else if (code.isRedeemed) {
            assert.ok(
                this.#doubts.redeem.has(pair(code.code, code.assignedTo)),
                `redeemed by nobody: ${text}`,
            );
        }
        if (this.#seenRedeemed.has(code.code))
            assert.ok(code.isRedeemed, `said to be redeemed: ${text}`);
        const lock = this.#locked.get(code.code);
        if (code.isLocked) {
            assert.ok(!code.isRedeemed, text);
            assert.ok(
                lock?.until > asked || this.#doubts.lock.has(pair(code.code, code.assignedTo)),
                `locked by nobody: ${text}`,
            );
        } else if (lock && !code.isRedeemed && !this.#losesLocks) {
            assert.ok(lock.until <= answered, `acknowledged as locked: ${text}`);
        }
    }

    #verifyHolder(code, text) {
        const holder = this.#assigned.get(code.code);
        if (holder !== undefined) {
            assert.equal(code.assignedTo, holder, `acknowledged as assigned: ${text}`);
            return;
        }
        if (code.assignedTo === null) {
            assert.ok(!code.isLocked && !code.isRedeemed, text);
            return;
        }
        if (this.#doubts.assign.has(pair(code.code, code.assignedTo))) return;
        const left = this.#doubts.any.get(code.assignedTo) ?? 0;
        assert.ok(left > 0, `assigned to nobody who asked: ${text}`);
        this.#doubts.any.set(code.assignedTo, left - 1);
        // From here on it is known whose it is.
        this.#assigned.set(code.code, code.assignedTo);
    }
}

/** A book's counts are what its codes say. */
export function verifyCounts(book) {
    const counts = { total: 0, available: 0, assigned: 0, locked: 0, redeemed: 0 };
    for (const code of book.codes) {
        counts.total += 1;
        if (code.isRedeemed) counts.redeemed += 1;
        else if (code.isLocked) counts.locked += 1;
        else if (code.assignedTo !== null) counts.assigned += 1;
        else counts.available += 1;
    }
    assert.deepEqual(book.counts, counts, `counts of book ${book.id}`);
}

function verifyLimit(book) {
    if (book.maxRedemptionsPerUser === null) return;
    const users = new Map();
    for (const code of book.codes) {
        if (code.isRedeemed) users.set(code.assignedTo, (users.get(code.assignedTo) ?? 0) + 1);
    }
    for (const [user, count] of users) {
        assert.ok(
            count <= book.maxRedemptionsPerUser,
            `${user} has redeemed ${count} of book ${book.id}`,
        );
    }
}
