// Follows /coupon/events as somebody would who wants to know of every change, and holds what it has
// read against the books.
//
//   const ledger = new Ledger(client)
//   await ledger.readOn()                       reads what has come since; ledger.entries has all
//   await ledger.verifyRead()                   what was read is what a fresh reader finds
//   await entriesOf(client, count, query)        the entries asked for, once there are that many
//   verifyEntries(entries, books, options)      entries and books tell of the same changes
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

export class Ledger {
    entries = [];
    #client;

    constructor(client) {
        this.#client = client;
    }

    /** Reads on behind the last entry; returns the new ones. */
    async readOn() {
        const last = this.entries.at(-1)?.id ?? 0;
        const read = await this.#client.allEvents({ after: last });
        assertAscending(read, last);
        this.entries.push(...read);
        return read;
    }

    /** Nothing has come, or changed, among what was read. */
    async verifyRead() {
        const all = await this.#client.allEvents();
        assertAscending(all);
        all.length = this.entries.length;
        assert.deepEqual(all, this.entries);
    }
}

/**
 * What `query` asks for, as soon as there are `count` of them: other databases of the same
 * PostgreSQL may hold the ledger's readers back for a while.
 */
export async function entriesOf(client, count, query) {
    for (const deadline = Date.now() + 30_000; ;) {
        const entries = await client.allEvents(query);
        if (entries.length >= count || Date.now() > deadline) {
            assert.equal(entries.length, count, JSON.stringify(entries.slice(-5)));
            return entries;
        }
        await sleep(20);
    }
}

/** Ids grow from entry to entry, from `last` on. */
export function assertAscending(entries, last = 0) {
    for (const { id } of entries) {
        assert.ok(id > last, `entry ${id} after ${last}`);
        last = id;
    }
}

/**
 * Throws where `entries`, all that there are, contradict each other or `books` (of
 * client.allBooks({codes: true})). `asked` and `answered`: when those were; `losesLocks`: Redis may
 * have lost some; `unknownLocks`: a set of `code\nuser` whose lock may have been taken without an
 * entry.
 */
export function verifyEntries(
    entries,
    books,
    { asked, answered, losesLocks = false, unknownLocks = new Set() },
) {
    const requests = new Set();
    const seen = new Map(); // book id → how many codes came in, were assigned, redeemed
    const states = new Map(); // code → what the entries so far have made of it
    for (const entry of entries) {
        const text = JSON.stringify(entry);
        assert.ok(!requests.has(entry.requestId), `a second entry of a request: ${text}`);
        requests.add(entry.requestId);
        if (entry.type === 'book_created') {
            assert.ok(!seen.has(entry.bookId), `created twice: ${text}`);
            seen.set(entry.bookId, { total: 0, assigned: 0, redeemed: 0, book: entry.after });
            continue;
        }
        const book = seen.get(entry.bookId);
        assert.ok(book, `of no book: ${text}`);
        if (entry.type === 'codes_uploaded') {
            book.total += entry.codes;
            continue;
        }
        const before = states.get(entry.code) ?? { bookId: entry.bookId, status: 'free' };
        assert.equal(before.bookId, entry.bookId, text);
        const unknown = losesLocks || unknownLocks.has(`${entry.code}\n${entry.userId}`);
        assertFollows(entry, before, unknown, text);
        states.set(entry.code, { bookId: entry.bookId, ...entry.after });
        if (entry.type === 'code_assigned') book.assigned += 1;
        if (entry.type === 'code_redeemed') book.redeemed += 1;
    }
    assert.equal(seen.size, books.length, 'books');
    for (const book of books) {
        const { total, assigned, redeemed, book: created } = seen.get(book.id) ?? {};
        const { counts: _, codes: __, ...itself } = book;
        assert.deepEqual(created, itself);
        assert.deepEqual(
            { total, available: total - assigned, redeemed },
            {
                total: book.counts.total,
                available: book.counts.available,
                redeemed: book.counts.redeemed,
            },
            `entries of book ${book.id}`,
        );
        for (const code of book.codes) {
            const state = states.get(code.code);
            states.delete(code.code);
            const text = `${JSON.stringify(code)}, the ledger: ${JSON.stringify(state)}`;
            assert.equal(state?.bookId ?? book.id, book.id, text);
            assert.equal(state?.assignedTo ?? null, code.assignedTo, text);
            assert.equal(state?.redeemedAt ?? null, code.redeemedAt, text);
            const until = timeOf(state?.lockedUntil);
            const unknown = unknownLocks.has(`${code.code}\n${code.assignedTo}`);
            if (code.isLocked && !unknown) assert.ok(until > asked, text);
            if (!code.isLocked && !losesLocks) assert.ok(until <= answered, text);
        }
    }
    assert.deepEqual([...states.keys()], [], 'codes that are not there');
}

const timeOf = (text) => Date.parse(text ?? '1970-01-01');

/** An entry about a code starts from what the one before it has left. */
function assertFollows({ type, at, userId, before, after }, left, unknownLock, text) {
    assert.equal(after.assignedTo, userId, text);
    if (type === 'code_assigned') {
        assert.equal(left.status, 'free', text);
        return;
    }
    assert.equal(left.assignedTo, userId, text);
    assert.equal(before.assignedTo, userId, text);
    assert.equal(left.redeemedAt, null, text);
    if (type === 'code_locked') {
        assert.ok(timeOf(after.lockedUntil) > timeOf(at), text);
        if (!unknownLock) assert.ok(timeOf(at) >= timeOf(left.lockedUntil), text);
        return;
    }
    assert.equal(type, 'code_redeemed', text);
    assert.equal(after.redeemedAt, at, text);
    assert.ok(timeOf(at) < timeOf(before.lockedUntil), text);
    if (!unknownLock) assert.equal(before.lockedUntil, left.lockedUntil, text);
}
