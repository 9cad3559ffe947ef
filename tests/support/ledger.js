// Follows /coupon/events as somebody would who wants to know of every change, and holds what it has
// read against the books.
//
//   const ledger = new Ledger(client)
//   await ledger.readOn()                       reads what has come since; ledger.entries has all
//   await ledger.verifyRead()                   what was read is what a fresh reader finds
//   await entriesOf(client, count, query)        the entries asked for, once there are that many
//   await settledEntries(client, query)         those asked for, none of which is still to come
//   verifyEntries(entries, books, options)      entries and books tell of the same changes
//   await verifyLedger(client)                  so do those that there are now
//   await verifyServer(t, server, client)       and so does what its database holds
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { periodOf, pers } from './calendar.js';
import { tally } from './client.js';
import { defaultBackend } from './data.js';
import { decimals, discountOf, sharesOf } from './reasons.js';
import { codeDefaults } from './shapes.js';

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

/**
 * What `query` asks for, all that came before now: a book is made, of which the entry is waited for.
 */
export async function settledEntries(client, query) {
    const { id } = await client.newBook({ name: 'Behind' });
    await entriesOf(client, 1, { bookId: id });
    return client.allEvents(query);
}

/** Ids grow from entry to entry, from `last` on. */
export function assertAscending(entries, last = 0) {
    for (const { id } of entries) {
        assert.ok(id > last, `entry ${id} after ${last}`);
        last = id;
    }
}

/** The ledger and the books tell of the same changes, once it has them all. Returns its entries. */
export async function verifyLedger(client) {
    for (const deadline = Date.now() + 30_000; ; await sleep(50)) {
        const asked = Date.now();
        const books = await client.allBooks({ codes: true });
        const answered = Date.now();
        const entries = await client.allEvents();
        assertAscending(entries);
        const imports = (await client.allJobs()).filter(({ type }) => type === 'import');
        const imported = new Set(imports.map(({ couponBookId }) => couponBookId));
        try {
            verifyEntries(entries, books, { asked, answered, imported });
            return entries;
        } catch (error) {
            if (!(error instanceof assert.AssertionError) || Date.now() > deadline) throw error;
        }
    }
}

/**
 * The ledger, the books and the rows of a test's server tell of the same. Returns the entries, of which it
 * tells how many there are of each type.
 */
export async function verifyServer(t, server, client) {
    const entries = await verifyLedger(client);
    t.diagnostic(JSON.stringify(tally(entries.map(({ type }) => type))));
    await server.data.verify();
    return entries;
}

/**
 * Throws where `entries`, all that there are, contradict each other, what books and codes were set
 * to, or `books` (of client.allBooks({codes: true})). `asked` and `answered`: when those were;
 * `losesLocks`: Redis may have lost some; `unknownLocks`: a set of `code\nuser` whose lock may have
 * been taken without an entry; `imported`: a set of the ids of books that files were taken into.
 */
export function verifyEntries(
    entries,
    books,
    {
        asked,
        answered,
        losesLocks = false,
        unknownLocks = new Set(),
        imported = new Set(),
    },
) {
    if (defaultBackend() === 'redis') entries = inOrderOfLocks(entries);
    const requests = new Map(); // id → its entries so far, each with its book as it was then
    // book id → how many codes came in, are assigned, and to whom, redeemed, and by whom; and the book itself
    const seen = new Map();
    const states = new Map(); // code → what the entries so far have made of it
    // code → what it was set to, where it was changed, or may have been set to something by a file
    const settings = settingsOfFiles(entries, books, imported);
    const redemptions = new Map(); // id → what was redeemed, and what is left of it
    // code → the users of its uses, beside what the code itself has gone through, and until when
    // they have locked it; and how many of its uses stand
    const uses = new Map();
    for (const entry of entries) {
        const text = JSON.stringify(entry);
        const others = requests.get(entry.requestId) ?? [];
        const ofFile = others[0]?.entry.type === 'codes_uploaded';
        if (ofFile) assertOfFile(others[0].entry, entry, imported, text);
        else for (const other of others) assertOfOneRequest(other.entry, entry, text);
        others.push({ entry, book: seen.get(entry.bookId)?.book });
        requests.set(entry.requestId, others);
        if (entry.type === 'book_created') {
            assert.ok(!seen.has(entry.bookId), `created twice: ${text}`);
            const counts = { total: 0, assigned: 0, redeemed: 0, generated: false };
            const of = { held: new Map(), standing: new Set() };
            seen.set(entry.bookId, { ...counts, ...of, book: entry.after });
            continue;
        }
        const book = seen.get(entry.bookId);
        assert.ok(book, `of no book: ${text}`);
        if (entry.type.startsWith('book_')) {
            assert.deepEqual(entry.before, book.book, text);
            assert.notDeepEqual(entry.after, entry.before, text);
            book.book = entry.after;
            continue;
        }
        if (!ofFile || bringsCodes(entry))
            assertAllowed(entry, book.book, settings.get(entry.code) ?? codeDefaults, text);
        if (bringsCodes(entry)) {
            book.total += entry.codes;
            book.generated ||= entry.type === 'codes_generated';
            continue;
        }
        if (entry.type === 'code_changed') {
            const set = settings.get(entry.code) ?? firstSettings(book, entry.before);
            assert.deepEqual(entry.before, set, text);
            assert.notDeepEqual(entry.after, entry.before, text);
            settings.set(entry.code, entry.after);
            continue;
        }
        const fresh = { bookId: entry.bookId, status: 'free', earlierEnds: [] };
        const before = states.get(entry.code) ?? fresh;
        assert.equal(before.bookId, entry.bookId, text);
        const unknown = losesLocks || unknownLocks.has(`${entry.code}\n${entry.userId}`);
        const of = uses.get(entry.code) ?? { standing: 0, locks: new Map() };
        uses.set(entry.code, of);
        const { maxRedemptions } = settings.get(entry.code) ?? codeDefaults;
        const most = maxRedemptions ?? book.book.maxRedemptionsPerCode ?? Infinity;
        const isUse = takesBack(entry)
            ? redemptions.get(entry.redemptionId)?.isUse
            : ['code_locked', 'code_redeemed', 'code_unlocked'].includes(entry.type) &&
              (book.book.assignment === 'open' ||
                  before.status === 'redeemed' ||
                  timeOf(entry.at) < (of.locks.get(entry.userId) ?? 0));
        if (isUse) {
            assertUse(entry, before, of, { most, open: book.book.assignment === 'open' }, text);
        } else {
            assertFollows(entry, before, unknown, text);
            if (entry.type === 'code_redeemed') assert.ok(of.standing < most, text);
            if (entry.type !== 'discount_given_back') {
                const extended = entry.type === 'code_locked' && entry.before.status === 'locked';
                const earlierEnds = extended ? [...before.earlierEnds, before.lockedUntil] : [];
                const { bookId } = entry;
                states.set(entry.code, { bookId, ...entry.after, earlierEnds });
            }
        }
        if (entry.type === 'code_assigned' || entry.type === 'code_unassigned') {
            const given = entry.type === 'code_assigned' ? 1 : -1;
            book.assigned += given;
            const held = (book.held.get(entry.userId) ?? 0) + given;
            book.held.set(entry.userId, held);
            const { maxAssignmentsPerUser } = book.book;
            const within = ofFile || given < 0 || held <= (maxAssignmentsPerUser ?? Infinity);
            assert.ok(within, `more than ${maxAssignmentsPerUser} held: ${text}`);
        }
        if (entry.type === 'code_redeemed') {
            if (!isUse) book.redeemed += 1;
            assertWithinLimits(entry, book, text);
            assert.equal(entry.redemptionId, entry.id, text);
            const { code, userId, at, discount: worth } = entry;
            const redemption = { code, userId, at: timeOf(at), worth, back: 0n, isUse };
            redemptions.set(entry.id, redemption);
            book.standing.add(redemption);
        }
        if (entry.type === 'redemption_rolled_back') {
            if (!isUse) book.redeemed -= 1;
            book.standing.delete(redemptions.get(entry.redemptionId));
        }
        if (takesBack(entry)) takeBack(entry, redemptions, text);
    }
    for (const several of requests.values()) assertUsedTogether(several);
    assert.equal(seen.size, books.length, 'books');
    for (const book of books) {
        const { total, assigned, redeemed, generated, book: left } = seen.get(book.id) ?? {};
        const { counts: _, codes: __, ...itself } = book;
        assert.deepEqual(left, itself);
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
            const { active, expiresAt, maxRedemptions, metadata } = code;
            const set = settings.get(code.code) ?? firstSettings({ generated }, code);
            assert.deepEqual({ active, expiresAt, maxRedemptions, metadata }, set, text);
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

/**
 * A lock in Redis can be used, or extended, before it is entered, and an extension be entered after the
 * redemption that it came too late for: such an entry is put before that of what the lock was used for.
 * Locks of open codes are in the database.
 */
function inOrderOfLocks(entries) {
    const open = new Set();
    for (const { type, bookId, after } of entries) {
        if (type === 'book_created' && after.assignment === 'open') open.add(bookId);
    }
    const isLocked = (state) => state?.status === 'locked';
    const uses = (one, { code, before, after }) =>
        one.code === code &&
        isLocked(one.before) &&
        (one.before.lockedUntil === after.lockedUntil ||
            (one.type === 'code_redeemed' && one.before.lockedUntil === before.lockedUntil));
    const lockOf = ({ code }, lockedUntil) => `${code}\n${lockedUntil}`;
    const [entered, used, redeemed, late] = [new Set(), new Set(), new Set(), new Set()];
    for (const entry of entries) {
        const { type, bookId, before, after } = entry;
        if (open.has(bookId)) continue;
        if (type === 'code_locked') {
            const lock = lockOf(entry, after.lockedUntil);
            const isUsed = used.has(lock) || redeemed.has(lockOf(entry, before.lockedUntil));
            if (isUsed && !entered.has(lock)) late.add(entry);
            entered.add(lock);
        }
        if (isLocked(before)) used.add(lockOf(entry, before.lockedUntil));
        if (type === 'code_redeemed') redeemed.add(lockOf(entry, before.lockedUntil));
    }
    const ordered = [...entries];
    for (const lock of late) {
        ordered.splice(ordered.indexOf(lock), 1);
        ordered.splice(ordered.findIndex((one) => uses(one, lock)), 0, lock);
    }
    return ordered;
}

/** What the codes of books that files were taken into were set to when they came in. */
function settingsOfFiles(entries, books, imported) {
    const settings = new Map();
    for (const { codes } of books.filter(({ id }) => imported.has(id))) {
        for (const { code, active, expiresAt, maxRedemptions, metadata } of codes) {
            settings.set(code, { active, expiresAt, maxRedemptions, metadata });
        }
    }
    for (const { type, bookId, code, before } of entries.toReversed()) {
        if (type === 'code_changed' && imported.has(bookId)) settings.set(code, before);
    }
    return settings;
}

/** A file's codes come in several times, and some of them are somebody's. */
function assertOfFile(first, entry, imported, text) {
    assert.ok(imported.has(entry.bookId), `a second entry: ${text}`);
    assert.equal(entry.bookId, first.bookId, text);
    assert.ok(['codes_uploaded', 'code_assigned'].includes(entry.type), text);
}

/** Only jobs and several codes that are locked, or redeemed for one order, make several entries. */
function assertOfOneRequest(one, other, text) {
    if (one.type === 'codes_generated') {
        assert.deepEqual([other.type, other.bookId], [one.type, one.bookId], text);
        return;
    }
    assert.ok(['code_locked', 'code_redeemed'].includes(one.type), `a second entry: ${text}`);
    for (const name of ['type', 'at', 'userId', 'order']) {
        assert.deepEqual(one[name], other[name], `${name} of one request: ${text}`);
    }
    assert.notEqual(one.code, other.code, `a code twice in one request: ${text}`);
    if (one.type === 'code_redeemed') assert.notEqual(one.order, null, text);
}

/** Of the entries of a request: whether their books let them, and what they say was taken off. */
function assertUsedTogether(several) {
    const text = JSON.stringify(several.map(({ entry }) => entry));
    const books = several.map(({ book }) => book);
    if (bringsCodes(several[0].entry)) return;
    if (several.length > 1) for (const { combinable } of books) assert.ok(combinable, text);
    const [{ type, order }] = several.map(({ entry }) => entry);
    if (type !== 'code_redeemed') return;
    if (order && decimals[order.currency] === undefined) return;
    assert.deepEqual(
        several.map(({ entry }) => entry.discount),
        order ? sharesOf(books, order) : [discountOf(books[0])],
        `${text} of ${JSON.stringify(books)}`,
    );
}

/** An amount in minor units of its currency. */
function unitsOf({ amount, currency }) {
    const places = currency === null ? 2 : decimals[currency];
    return BigInt(Math.round(amount * 10 ** places));
}

/** A redemption does not exceed the limits that its book has then. `standing`: those before it. */
function assertWithinLimits({ userId, at, discount }, { book, standing }, text) {
    const { maxRedemptions, maxRedemptionsPerUser, budget, limits, timeZone } = book;
    const of = { ever: { maxRedemptions, maxRedemptionsPerUser, budget }, ...limits };
    for (const per of ['ever', ...pers]) {
        if (of[per] === null || Object.values(of[per]).every((limit) => limit === null)) continue;
        const period = (ms) => (per === 'ever' ? '' : periodOf(timeZone, per, ms));
        const now = period(timeOf(at));
        const counted = [...standing].filter((redemption) => period(redemption.at) === now);
        const own = counted.filter((redemption) => redemption.userId === userId);
        const told = `${per}, ${JSON.stringify(of[per])}: ${text}`;
        assert.ok(counted.length < (of[per].maxRedemptions ?? Infinity), told);
        assert.ok(own.length < (of[per].maxRedemptionsPerUser ?? Infinity), told);
        if (of[per].budget === null || !discount || discount.amount === 0) continue;
        const { currency } = book.discount;
        let left = unitsOf({ amount: of[per].budget, currency }) - unitsOf(discount);
        for (const { worth, back } of counted) {
            if (worth?.currency === currency) left -= unitsOf(worth) - back;
        }
        assert.ok(left >= 0n, told);
    }
}

const bringsCodes = ({ type }) => type === 'codes_uploaded' || type === 'codes_generated';

/**
 * What a code was set to when it came in, of which it is `found` to be so: codes that were generated
 * may have had an `expiresAt` and `metadata` from the start.
 */
function firstSettings({ generated }, { expiresAt, metadata }) {
    return generated ? { ...codeDefaults, expiresAt, metadata } : codeDefaults;
}

const timeOf = (text) => Date.parse(text ?? '1970-01-01');

/** Whether a lock that there was lasts longer from then on, or as long. */
const extendsLock = (before, after) =>
    before.status === 'locked' && timeOf(after.lockedUntil) >= timeOf(before.lockedUntil);

const takesBack = ({ type }) =>
    type === 'redemption_rolled_back' || type === 'discount_given_back';

/** Of a redemption that is not taken back yet, no more than is left of it; or all of that. */
function takeBack({ type, code, redemptionId, discount }, redemptions, text) {
    const of = redemptions.get(redemptionId);
    assert.ok(of, `of no redemption: ${text}`);
    assert.equal(of.code, code, text);
    assert.equal(discount === null, of.worth === null, text);
    if (type === 'redemption_rolled_back') redemptions.delete(redemptionId);
    if (discount === null) return;
    assert.equal(discount.currency, of.worth.currency, text);
    const units = (amount) => unitsOf({ ...discount, amount });
    of.back += units(discount.amount);
    if (type === 'redemption_rolled_back') assert.equal(of.back, units(of.worth.amount), text);
    else assert.ok(discount.amount > 0 && of.back <= units(of.worth.amount), text);
}

/** What a book and a code were set to before an entry allows it. */
function assertAllowed({ type, at, before, after }, book, code, text) {
    const used = type === 'code_locked' || type === 'code_redeemed';
    if (!used && type !== 'code_assigned' && !bringsCodes({ type })) return;
    const told = `${text} while ${JSON.stringify({ book, code })}`;
    assert.equal(book.archivedAt, null, told);
    if (bringsCodes({ type })) return;
    assert.ok(book.active && code.active, told);
    for (const end of [book.endsAt, code.expiresAt]) {
        assert.ok(end === null || timeOf(at) < timeOf(end), told);
    }
    if (used) assert.ok(book.startsAt === null || timeOf(at) >= timeOf(book.startsAt), told);
    if (type === 'code_locked' && book.lockTtlSeconds !== null) {
        const lasts = timeOf(after.lockedUntil) - timeOf(at);
        const ttl = 1000 * book.lockTtlSeconds;
        assert.ok(extendsLock(before, after) ? lasts >= ttl : lasts === ttl, told);
    }
}

/**
 * An entry about a use of a code that may be redeemed `most` times: each user has one lock at a time,
 * and no more are locked and redeemed than that.
 */
function assertUse({ type, at, userId, before, after }, code, uses, { most, open }, text) {
    const { locks } = uses;
    const now = timeOf(at);
    const locked = [...locks.values()].filter((until) => now < until).length;
    const taken = uses.standing + (code.status === 'redeemed' ? 1 : 0);
    assert.equal(before.assignedTo, userId, text);
    assert.equal(after.assignedTo, userId, text);
    if (!open) assert.equal(code.assignedTo, userId, text);
    if (type === 'code_locked') {
        assert.ok(timeOf(after.lockedUntil) > now, text);
        const free = extendsLock(before, after) ? 0 : 1;
        if (free) assert.ok(now >= (locks.get(userId) ?? 0), text);
        else assert.equal(locks.get(userId), timeOf(before.lockedUntil), text);
        const told = `${locked} locked, ${taken} redeemed of ${most}: ${text}`;
        assert.ok(taken < most && (!free || taken + locked < most), told);
        locks.set(userId, timeOf(after.lockedUntil));
    }
    if (type === 'code_unlocked' || type === 'code_redeemed') {
        assert.ok(now < locks.get(userId), text);
        assert.equal(timeOf(before.lockedUntil), locks.get(userId), text);
        locks.delete(userId);
    }
    if (type === 'code_redeemed') {
        assert.ok(taken < most, `${taken} redeemed of ${most}: ${text}`);
        assert.equal(after.redeemedAt, at, text);
        uses.standing += 1;
    }
    if (type === 'redemption_rolled_back') uses.standing -= 1;
}

/** An entry about a code starts from what the one before it has left. */
function assertFollows({ type, at, userId, before, after }, left, unknownLock, text) {
    assert.equal(after.assignedTo, type === 'code_unassigned' ? null : userId, text);
    if (type === 'code_assigned') {
        assert.equal(left.status, 'free', text);
        return;
    }
    assert.equal(left.assignedTo, userId, text);
    assert.equal(before.assignedTo, userId, text);
    if (takesBack({ type })) {
        assert.equal(left.status, 'redeemed', text);
        return;
    }
    assert.equal(left.redeemedAt, null, text);
    if (type === 'code_locked' || type === 'code_unassigned') {
        if (type === 'code_locked') assert.ok(timeOf(after.lockedUntil) > timeOf(at), text);
        if (type === 'code_locked' && before.status === 'locked') {
            assert.ok(timeOf(at) < timeOf(before.lockedUntil), text);
            assert.ok(extendsLock(before, after), text);
            if (!unknownLock) assert.equal(before.lockedUntil, left.lockedUntil, text);
            return;
        }
        if (!unknownLock) assert.ok(timeOf(at) >= timeOf(left.lockedUntil), text);
        return;
    }
    if (type === 'code_unlocked') {
        assert.ok(timeOf(at) < timeOf(before.lockedUntil), text);
        const unentered = defaultBackend() === 'redis' && timeOf(at) >= timeOf(left.lockedUntil);
        if (!unknownLock && !unentered) assert.equal(before.lockedUntil, left.lockedUntil, text);
        return;
    }
    assert.equal(type, 'code_redeemed', text);
    assert.equal(after.redeemedAt, at, text);
    assert.ok(timeOf(at) < timeOf(before.lockedUntil), text);
    // A lock in Redis may be extended between the moment it is found and that in which it is used.
    const inRedis = defaultBackend() === 'redis';
    const wasSo = inRedis && left.earlierEnds.includes(before.lockedUntil);
    // Nor has one an entry that was used before its own could be saved (docs/decisions/0006).
    const isUnentered = inRedis && timeOf(at) >= timeOf(left.lockedUntil);
    if (!unknownLock && !wasSo && !isUnentered) assert.equal(before.lockedUntil, left.lockedUntil, text);
}
