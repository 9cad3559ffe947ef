// Many who change books and codes, and use them, at once: nothing gets lost, nothing is allowed that
// no order of theirs allows, and the ledger explains what is left.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, inParallel, numbered, tally } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { entriesOf, settledEntries, verifyLedger } from '../support/ledger.js';
import { pause } from '../support/lives.js';
import { seededRandom } from '../support/random.js';
import { refusals } from '../support/refusals.js';
import { amountOff, assertBook } from '../support/shapes.js';

const past = '2020-02-02T02:02:02.000Z';
const future = '2120-02-02T02:02:02.000Z';
const inMs = (ms) => new Date(Date.now() + ms).toISOString();

/** The reason of a refusal. */
const told = ({ status, body }) => (status < 400 ? 'done' : body.code);

/** A code that `user` holds, locked where `locked`. */
async function hold(client, code, user, { locked = false } = {}) {
    await client.mustAssign(code, user);
    if (locked) await client.mustLock(code, user);
}

describe('changing a book at once', () => {
    it('keeps what each of 60 changes of different members has set', async (t) => {
        const { client } = await testServer(t);
        const five = (name, value) => numbered('', 5).map((_, index) => ({ [name]: value(index) }));
        const zones = ['Europe/Berlin', 'Asia/Tokyo', 'America/Lima', 'Africa/Cairo', 'Asia/Dubai'];
        const changes = [
            ...five('name', (index) => `Name ${index}`),
            ...five('codePattern', (index) => `P${index}-{4}`),
            ...five('maxRedemptionsPerUser', (index) => index + 1),
            ...five('discountAmount', (index) => index + 0.5),
            ...five('description', (index) => `Description ${index}`),
            ...five('startsAt', (index) => `2027-01-0${index + 1}T00:00:00.000Z`),
            ...five('endsAt', (index) => `2028-01-0${index + 1}T00:00:00.000Z`),
            ...five('timeZone', (index) => zones[index]),
            ...five('maxRedemptions', (index) => index + 1),
            ...five('maxAssignmentsPerUser', (index) => index + 1),
            ...five('lockTtlSeconds', (index) => index + 1),
            ...five('metadata', (index) => ({ index })).slice(1),
            { active: false },
        ];
        assert.equal(changes.length, 60);
        const book = await client.newBook();
        const answers = await inParallel(changes, 60, (change) => client.patchBook(book.id, change));
        const sent = new Map();
        answers.forEach((answer, index) => {
            assert.equal(answer.status, 200, answer.text);
            assertBook(answer.body, changes[index]);
            sent.set(answer.headers['x-request-id'], { change: changes[index], book: answer.body });
        });
        const [, ...entries] = await entriesOf(client, 61, { bookId: book.id });
        let left = book;
        for (const { type, requestId, before, after } of entries) {
            assert.equal(type, 'book_changed');
            assert.deepEqual(before, left);
            const { change, book: answered } = sent.get(requestId);
            const { discountAmount: off } = change;
            const shown = off === undefined ? change : { ...change, discount: amountOff(off) };
            assert.deepEqual(after, { ...before, ...shown, updatedAt: after.updatedAt });
            assert.deepEqual(after, answered);
            assert.ok(after.updatedAt >= before.updatedAt);
            left = after;
        }
        const { counts, ...last } = (await client.get(`/coupon/${book.id}`)).body;
        assert.deepEqual(last, left);
        for (const name of new Set(changes.flatMap((change) => Object.keys(change)))) {
            assert.notDeepEqual(last[name], book[name], name);
        }
    });

    it('lets no book end before it starts, however its window is moved', async (t) => {
        const { client } = await testServer(t);
        const random = seededRandom();
        const book = await client.newBook({ startsAt: '2027-06-01', endsAt: '2027-06-30' });
        const moment = () => `2027-06-${10 + random.below(20)}T12:00:00.000Z`;
        const answers = await inParallel(numbered('', 200), 32, () =>
            client.patchBook(book.id, { [random.pick(['startsAt', 'endsAt'])]: moment() }),
        );
        const statuses = tally(answers.map(({ status }) => status));
        assert.ok(statuses[200] > 0 && statuses[200] + (statuses[400] ?? 0) === 200);
        for (const { after } of await settledEntries(client, { bookId: book.id })) {
            assert.ok(after.startsAt < after.endsAt, `${after.startsAt} ${after.endsAt}`);
        }
        await verifyLedger(client);
    });

    it('archives and restores once each, however many ask', async (t) => {
        const { client } = await testServer(t);
        const { id } = await client.newBook();
        const answers = await inParallel(numbered('', 50), 50, () => client.archive(id));
        assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
        const back = await inParallel(numbered('', 50), 50, () => client.restore(id));
        assert.deepEqual(new Set(back.map(({ status, text }) => `${status} ${text}`)).size, 1);
        const entries = await settledEntries(client, { bookId: id });
        assert.deepEqual(
            entries.map(({ type }) => type),
            ['book_created', 'book_archived', 'book_restored'],
        );
    });

    for (const [what, refusal, close] of [
        ['archived', 'bookArchived', (client, id) => client.archive(id)],
        ['not active', 'bookInactive', (client, id) => client.patchBook(id, { active: false })],
        ['ended', 'bookEnded', (client, id) => client.patchBook(id, { endsAt: past })],
    ]) {
        it(`lets nothing through that comes after the answer that it is ${what}`, async (t) => {
            const { client } = await testServer(t, { connections: 16 });
            const codes = numbered('C-', 400);
            const { id } = await client.newBookWith(codes);
            await inParallel(codes.slice(0, 200), 16, (code) => client.mustAssign(code, 'ann'));
            await inParallel(codes.slice(0, 100), 16, (code) => client.mustLock(code, 'ann'));
            let closed = false;
            // [what is asked for, what else may be wrong with it]
            const tries = numbered('', 100).flatMap((_, index) => [
                [() => client.redeem(codes[index], 'ann')],
                [() => client.lock(codes[100 + index], 'ann')],
                [() => client.assign(codes[200 + index], 'bob'), 'anothersCode'],
                [() => client.assignAny('eve', id)],
            ]);
            const rest = inParallel(tries, 12, async ([ask, other]) => {
                const asked = closed;
                const answer = await ask();
                const fitting = [refusal, other].map((name) => refusals[name]?.[2]);
                if (!asked) fitting.push('done');
                assert.ok(fitting.includes(told(answer)), answer.text);
                return told(answer);
            });
            await pause(40);
            const answer = await close(client, id);
            assert.equal(answer.status, 200, answer.text);
            closed = true;
            t.diagnostic(JSON.stringify(tally(await rest)));
            await verifyLedger(client);
        });
    }

    it('holds every user to the limit that a book has at that moment', async (t) => {
        const { client } = await testServer(t);
        const users = numbered('user-', 10);
        const codes = users.flatMap((user) => numbered(`${user}-`, 10));
        const holder = (code) => code.slice(0, code.lastIndexOf('-'));
        const { id } = await client.newBookWith(codes);
        await inParallel(codes, 32, (code) => hold(client, code, holder(code), { locked: true }));
        const limits = [5, null, 4, 7, 3, 6, 2];
        const redeemed = inParallel(codes, 16, (code) => client.redeem(code, holder(code)));
        for (const maxRedemptionsPerUser of limits) {
            await client.mustPatchBook(id, { maxRedemptionsPerUser });
        }
        for (const answer of await redeemed) {
            if (answer.status !== 201) assertRefused(answer, ...refusals.limitReached);
        }
        const book = await client.bookWithCodes(id);
        const used = tally(
            book.codes.filter(({ isRedeemed }) => isRedeemed).map(({ assignedTo }) => assignedTo),
        );
        // From here on it is the last limit for each, whatever came before.
        for (const user of users) {
            const left = book.codes.filter((code) => code.assignedTo === user && !code.isRedeemed);
            if (left.length === 0) continue;
            const answer = await client.redeem(left[0].code, user);
            if ((used[user] ?? 0) < 2) assert.equal(answer.status, 201, answer.text);
            else assertRefused(answer, ...refusals.limitReached);
        }
        await verifyLedger(client);
    });
});

describe('giving a lock back at once', () => {
    const codes = numbered('U-', 60);

    /** `codes` of one book, all ann's, and locked where `locked`. */
    async function prepare(client, { locked }) {
        const book = await client.newBookWith(codes);
        await inParallel(codes, 32, (code) => hold(client, code, 'ann', { locked }));
        return book;
    }

    it('with redeeming: one of both is done', async (t) => {
        const { client } = await testServer(t);
        const book = await prepare(client, { locked: true });
        const stories = await inParallel(codes, 16, async (code, index) => {
            const calls = [() => client.unlock(code, 'ann'), () => client.redeem(code, 'ann')];
            const order = index % 2 ? [1, 0] : [0, 1];
            const answers = [];
            await Promise.all(order.map(async (which) => (answers[which] = await calls[which]())));
            return answers;
        });
        const { codes: left } = await client.bookWithCodes(book.id);
        const found = stories.map(([unlocked, redeemed], index) => {
            const { isLocked, isRedeemed, assignedTo } = left[index];
            assert.equal(assignedTo, 'ann');
            assert.equal(isLocked, false);
            if (unlocked.status === 201) {
                assertRefused(redeemed, ...refusals.notLocked);
                assert.equal(isRedeemed, false);
                return 'unlocked';
            }
            assertRefused(unlocked, ...refusals.redeemed);
            assert.equal(redeemed.status, 201, redeemed.text);
            assert.equal(isRedeemed, true);
            return 'redeemed';
        });
        t.diagnostic(JSON.stringify(tally(found)));
        await verifyLedger(client);
    });

    it('with locking: whoever has been told of a lock has it until it is given back', async (t) => {
        const { client } = await testServer(t);
        const book = await prepare(client, { locked: true });
        const tries = codes.flatMap((code) =>
            Array.from({ length: 12 }, (_, index) => [code, index % 3 > 0]),
        );
        const answers = await inParallel(tries, 32, ([code, lock]) =>
            lock ? client.lock(code, 'ann') : client.unlock(code, 'ann'),
        );
        for (const [index, answer] of answers.entries()) {
            if (answer.status === 201) continue;
            assert.ok(tries[index][1], answer.text);
            assertRefused(answer, ...refusals.locked);
        }
        const entries = await verifyLedger(client);
        for (const code of codes) {
            const own = entries.filter((entry) => entry.code === code && /lock/.test(entry.type));
            // In turn, from the first lock on, and as many locks as were answered.
            own.forEach(({ type }, place) => {
                assert.equal(type, place % 2 ? 'code_unlocked' : 'code_locked', code);
            });
            const locks = answers.filter(
                ({ status }, index) => tries[index][0] === code && tries[index][1] && status === 201,
            ).length;
            assert.equal(own.filter(({ type }) => type === 'code_locked').length, locks + 1, code);
        }
        const { codes: left } = await client.bookWithCodes(book.id);
        await inParallel(left, 16, async ({ code, isLocked }) => {
            const answer = await client.redeem(code, 'ann');
            if (isLocked) assert.equal(answer.status, 201, answer.text);
            else assertRefused(answer, ...refusals.notLocked);
        });
    });

    it('and the code with locking: either it is locked or it is free', async (t) => {
        const { client } = await testServer(t);
        const book = await prepare(client, { locked: false });
        const stories = await inParallel(codes, 16, async (code, index) => {
            const calls = [() => client.unassign(code, 'ann'), () => client.lock(code, 'ann')];
            const order = index % 2 ? [1, 0] : [0, 1];
            const answers = [];
            await Promise.all(order.map(async (which) => (answers[which] = await calls[which]())));
            return answers;
        });
        const { codes: left, counts } = await client.bookWithCodes(book.id);
        const found = stories.map(([unassigned, locked], index) => {
            const { isLocked, assignedTo } = left[index];
            if (unassigned.status === 201) {
                assertRefused(locked, ...refusals.notAssigned);
                assert.deepEqual([isLocked, assignedTo], [false, null]);
                return 'free';
            }
            assertRefused(unassigned, ...refusals.locked);
            assert.equal(locked.status, 201, locked.text);
            assert.deepEqual([isLocked, assignedTo], [true, 'ann']);
            return 'locked';
        });
        const { free = 0, locked = 0 } = tally(found);
        t.diagnostic(JSON.stringify({ free, locked }));
        const total = codes.length;
        assert.deepEqual(counts, { total, available: free, assigned: 0, locked, redeemed: 0 });
        await verifyLedger(client);
    });

    it('and the code to many who want it: each time one gets it', async (t) => {
        const { client } = await testServer(t);
        const own = codes.slice(0, 5);
        const { id } = await client.newBookWith(own);
        const random = seededRandom();
        const users = numbered('user-', 8);
        const answers = await inParallel(numbered('', 800), 32, () => {
            const code = random.pick(own);
            return random.pick([
                () => client.assign(code, random.pick(users)),
                () => client.assignAny(random.pick(users), id),
                () => client.unassign(code),
                () => client.unassign(code, random.pick(users)),
            ])();
        });
        for (const { status, text } of answers) assert.ok([201, 404, 409].includes(status), text);
        t.diagnostic(JSON.stringify(tally(answers.map(told))));
        const entries = await verifyLedger(client);
        for (const code of own) {
            const types = entries.filter((entry) => entry.code === code).map(({ type }) => type);
            // In turn, whatever there was.
            types.forEach((type, place) => {
                assert.equal(type, place % 2 ? 'code_unassigned' : 'code_assigned');
            });
        }
    });

    it('once for one key, however many send it', async (t) => {
        const { client } = await testServer(t);
        const { id } = await prepare(client, { locked: true });
        const keyed = (key) => ({ headers: { 'idempotency-key': key } });
        for (const code of codes.slice(0, 5)) {
            for (const call of ['unlock', 'unassign']) {
                const answers = await inParallel(numbered('', 12), 12, () =>
                    client[call](code, 'ann', keyed(`${call} ${code}`.replace(' ', '-'))),
                );
                const texts = new Set();
                for (const answer of answers) {
                    if (answer.status === 201) texts.add(answer.text);
                    else assertRefused(answer, 409, undefined, 'idempotency_key_in_use');
                }
                assert.equal(texts.size, 1);
            }
        }
        const { counts } = await client.bookWithCodes(id);
        assert.equal(counts.available, 5);
        const entries = await settledEntries(client, { bookId: id });
        const found = tally(entries.map(({ type }) => type));
        assert.deepEqual([found.code_unlocked, found.code_unassigned], [5, 5]);
    });
});

describe('changing and using everything at once', () => {
    it('leaves a ledger that explains everything, whatever is done', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const books = [];
        const codes = [];
        for (const maxRedemptionsPerUser of [null, 2]) {
            const own = numbered(`M${books.length}-`, 30);
            books.push((await client.newBookWith(own, { maxRedemptionsPerUser })).id);
            codes.push(...own);
        }
        const users = numbered('user-', 4);
        const holders = new Map();
        const anybody = (code) =>
            random.below(4) ? (holders.get(code) ?? random.pick(users)) : random.pick(users);
        const moment = () => random.pick([null, past, future, inMs(random.below(400))]);
        const patch = (members) => client.patchBook(random.pick(books), members);
        const onCode = (call) => () => {
            const code = random.pick(codes);
            return call(code, anybody(code));
        };
        const noted = async (sent) => {
            const answer = await sent;
            if (answer.status === 201) holders.set(answer.body.code, answer.body.assignedTo);
            return answer;
        };
        const rarely = [
            () => client.archive(random.pick(books)),
            () => patch({ active: false }),
            () => patch({ endsAt: moment() }),
            () => patch({ startsAt: moment() }),
            () => patch({ lockTtlSeconds: random.pick([null, 1, 60]) }),
            () => patch({ maxRedemptionsPerUser: random.pick([null, 1, 3]) }),
            () => patch({ maxAssignmentsPerUser: random.pick([null, 1, 2, 6]) }),
        ];
        const right = [
            () => client.restore(random.pick(books)),
            () => patch({ active: true, startsAt: null, endsAt: null }),
        ];
        const often = [
            () => noted(client.assignAny(random.pick(users), random.pick([undefined, ...books]))),
            onCode((code, user) => noted(client.assign(code, user))),
            onCode((code, user) => client.lock(code, user)),
            onCode((code, user) => client.redeem(code, user)),
            onCode(async (code, user) => {
                await client.lock(code, user);
                return client.redeem(code, user);
            }),
            onCode((code, user) => client.unlock(code, user)),
            onCode((code, user) => noted(client.unassign(code, random.pick([user, undefined])))),
            onCode((code) => client.patchCode(code, { active: random.below(4) > 0 })),
            onCode((code) => client.patchCode(code, { expiresAt: moment() })),
            onCode((code) => client.patchCode(code, { expiresAt: null, active: true })),
        ];
        const answers = await inParallel(numbered('', 2_000), 32, (_, index) => {
            const group = random.below(10);
            if (index % 40 === 0) return client.upload(random.pick(books), [`N-${index}`]);
            return random.pick(group === 0 ? rarely : group < 3 ? right : often)();
        });
        for (const answer of answers) {
            const contrary = told(answer) === 'validation_failed';
            assert.ok([200, 201, 404, 409].includes(answer.status) || contrary, answer.text);
        }
        t.diagnostic(JSON.stringify(tally(answers.map(told))));
        const entries = await verifyLedger(client);
        t.diagnostic(JSON.stringify(tally(entries.map(({ type }) => type))));
        await server.data.verify();
    });
});
