// GET /coupon/events: an entry for every change, its filters and its pages.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertRefused, eventsPath, nextPage, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { assertAscending, entriesOf } from '../support/ledger.js';
import { assertId, assertTime } from '../support/shapes.js';

const about = (entries) => entries.map(({ type, code }) => (code ? `${type} ${code}` : type));
const free = { status: 'free', assignedTo: null, lockedUntil: null, redeemedAt: null };
const assignedTo = (user) => ({ ...free, status: 'assigned', assignedTo: user });

describe('GET /coupon/events', () => {
    const c = suiteServer({ env: { LOCK_TTL_SECONDS: '2' } });
    let book;

    /** Asserts that there is one more entry than before, of this shape, and returns it. */
    let count = 0;
    async function assertEntered(answer, expected) {
        count += 1;
        const entry = (await entriesOf(c.client, count)).at(-1);
        assertId(entry.id);
        assertTime(entry.at, Date.now());
        const { id, at } = entry;
        assert.equal(
            JSON.stringify(entry),
            JSON.stringify({
                id,
                at,
                ...expected({ id, at }),
            }).replace('"<request id>"', JSON.stringify(answer.headers['x-request-id'])),
        );
        return entry;
    }

    it('answers an empty array where nothing was ever changed', async () => {
        const answer = await c.client.get('/coupon/events');
        assert.equal(answer.status, 200);
        assert.equal(answer.text, '[]');
        assert.equal(answer.headers.link, undefined);
        assert.equal((await c.client.request('HEAD', '/coupon/events')).status, 200);
    });

    it('has a book that was created, as it is', async () => {
        const members = { name: 'Été', codePattern: 'E-{6}', discountAmount: 0.29 };
        const answer = await c.client.post('/coupon', members);
        book = answer.body;
        await assertEntered(answer, ({ at }) => {
            assert.equal(at, book.createdAt);
            return {
                type: 'book_created',
                bookId: book.id,
                code: null,
                userId: null,
                requestId: '<request id>',
                before: null,
                after: book,
            };
        });
    });

    it('has an upload, by how many codes it brought in', async () => {
        const answer = await c.client.upload(book.id, ['E-1', 'E-2', 'E-3']);
        await assertEntered(answer, ({ at }) => {
            assert.equal(at, answer.body[0].createdAt);
            return {
                type: 'codes_uploaded',
                bookId: book.id,
                code: null,
                userId: null,
                codes: 3,
                requestId: '<request id>',
                before: null,
                after: free,
            };
        });
    });

    it('has a code that was assigned, once', async () => {
        const answer = await c.client.assign('E-1', 'ann');
        await assertEntered(answer, () => ({
            type: 'code_assigned',
            bookId: book.id,
            code: 'E-1',
            userId: 'ann',
            requestId: '<request id>',
            before: free,
            after: assignedTo('ann'),
        }));
        assert.equal((await c.client.assign('E-1', 'ann')).status, 201);
    });

    it('has a code that was locked, and again when the lock had run out', async () => {
        for (let time = 0; time < 2; time += 1) {
            const answer = await c.client.lock('E-1', 'ann');
            assert.equal(answer.status, 201, answer.text);
            const { lockedUntil } = answer.body;
            await assertEntered(answer, ({ at }) => {
                assert.equal(Date.parse(lockedUntil) - Date.parse(at), 2_000);
                return {
                    type: 'code_locked',
                    bookId: book.id,
                    code: 'E-1',
                    userId: 'ann',
                    requestId: '<request id>',
                    before: assignedTo('ann'),
                    after: { ...assignedTo('ann'), status: 'locked', lockedUntil },
                };
            });
            while (Date.now() <= Date.parse(lockedUntil)) await sleep(10);
        }
    });

    it('has a code that was redeemed, under the lock that it was redeemed with', async () => {
        const { lockedUntil } = await c.client.mustLock('E-1', 'ann');
        count += 1;
        const answer = await c.client.redeem('E-1', 'ann');
        assert.equal(answer.status, 201, answer.text);
        await assertEntered(answer, ({ id, at }) => {
            assert.equal(at, answer.body.coupon.redeemedAt);
            return {
                type: 'code_redeemed',
                bookId: book.id,
                code: 'E-1',
                userId: 'ann',
                redemptionId: id,
                order: null,
                discount: { amount: 0.29, currency: null },
                requestId: '<request id>',
                before: { ...assignedTo('ann'), status: 'locked', lockedUntil },
                after: { ...assignedTo('ann'), status: 'redeemed', redeemedAt: at },
            };
        });
    });

    it('has a code that was given at random', async () => {
        const answer = await c.client.assignAny('bob');
        await assertEntered(answer, () => ({
            type: 'code_assigned',
            bookId: book.id,
            code: answer.body.code,
            userId: 'bob',
            requestId: '<request id>',
            before: free,
            after: assignedTo('bob'),
        }));
    });

    it('names a request as its sender has', async () => {
        const options = { headers: { 'x-request-id': 'order:4711' } };
        const answer = await c.client.post('/coupon/assign', { userId: 'ü' }, options);
        assert.equal(answer.status, 201);
        count += 1;
        const entry = (await entriesOf(c.client, count)).at(-1);
        assert.deepEqual([entry.requestId, entry.userId], ['order:4711', 'ü']);
    });

    it('has nothing of what was refused', async () => {
        for (const answer of [
            await c.client.assignAny('ann'),
            await c.client.assign('E-1', 'ann'),
            await c.client.assign('E-2', 'nobody'),
            await c.client.lock('E-1', 'ann'),
            await c.client.redeem('E-1', 'ann'),
            await c.client.upload(book.id, ['E-4', 'E-1']),
            await c.client.upload(999_999, ['E-5']),
            await c.client.post('/coupon', { name: '' }),
        ]) {
            assert.ok(answer.status >= 400, answer.text);
        }
        // What comes behind it is there, so all before it is.
        await c.client.newBook({ name: 'Behind' });
        count += 1;
        const entries = await entriesOf(c.client, count);
        assert.equal(entries.at(-1).after.name, 'Behind');
        assertAscending(entries);
    });
});

describe('the filters of GET /coupon/events', () => {
    const c = suiteServer();
    let books;
    let all;

    it('are for two books and the life of some codes', async () => {
        books = [await c.client.newBook(), await c.client.newBook()];
        assert.equal((await c.client.upload(books[0].id, ['A-1', 'A-2'])).status, 201);
        assert.equal((await c.client.upload(books[1].id, ['B-1'])).status, 201);
        assert.equal((await c.client.upload(books[0].id, ['A-3'])).status, 201);
        for (const code of ['A-1', 'B-1', 'A-3']) await c.client.mustAssign(code, 'ann');
        for (const code of ['A-3', 'B-1']) await c.client.mustLock(code, 'ann');
        for (const code of ['B-1', 'A-3']) await c.client.mustRedeem(code, 'ann');
        all = await entriesOf(c.client, 12);
        assertAscending(all);
    });

    const ask = async (query) => {
        const answer = await c.client.get(eventsPath(query));
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.headers.link, undefined);
        return answer.body;
    };

    it('bookId', async () => {
        for (const { id } of books) {
            assert.deepEqual(
                await ask({ bookId: id }),
                all.filter(({ bookId }) => bookId === id),
            );
        }
        assert.deepEqual(await ask({ bookId: books[1].id + 1 }), []);
        assert.deepEqual(await ask({ bookId: '9223372036854775807' }), []);
    });

    it('type', async () => {
        for (const type of new Set(all.map((entry) => entry.type))) {
            assert.deepEqual(
                await ask({ type }),
                all.filter((entry) => entry.type === type),
            );
        }
    });

    it('code, from its upload on', async () => {
        assert.deepEqual(about(await ask({ code: 'A-3' })), [
            'codes_uploaded',
            'code_assigned A-3',
            'code_locked A-3',
            'code_redeemed A-3',
        ]);
        assert.deepEqual(about(await ask({ code: 'A-1' })), [
            'codes_uploaded',
            'code_assigned A-1',
        ]);
        const [first, second] = all.filter(
            ({ type, bookId }) => type === 'codes_uploaded' && bookId === books[0].id,
        );
        assert.deepEqual(await ask({ code: 'A-2' }), [first]);
        assert.deepEqual((await ask({ code: 'A-3' }))[0], second);
        for (const code of ['A-4', 'a-1', 'A-1 ', 'x'.repeat(128)]) {
            assert.deepEqual(await ask({ code }), []);
        }
    });

    it('after', async () => {
        for (const [index, { id }] of all.entries()) {
            assert.deepEqual(await ask({ after: id }), all.slice(index + 1));
            assert.deepEqual(await ask({ after: id - 1 }), all.slice(index));
        }
        assert.deepEqual(await ask({ after: 0 }), all);
        assert.deepEqual(await ask({ after: '9223372036854775807' }), []);
    });

    it('and all of them together', async () => {
        const [one, other] = books.map(({ id }) => id);
        const type = 'code_locked';
        const [lock] = all.filter((entry) => entry.type === type && entry.code === 'A-3');
        assert.deepEqual(await ask({ bookId: one, type }), [lock]);
        assert.deepEqual(await ask({ bookId: one, type, code: 'A-3' }), [lock]);
        assert.deepEqual(await ask({ after: lock.id - 1, bookId: one, type, code: 'A-3' }), [lock]);
        assert.deepEqual(await ask({ after: lock.id, bookId: one, type, code: 'A-3' }), []);
        assert.deepEqual(await ask({ bookId: other, code: 'A-3' }), []);
        assert.deepEqual(
            await ask({ after: all[5].id, bookId: one }),
            all.slice(6).filter(({ bookId }) => bookId === one),
        );
    });

    const after = 'after must be an integer of 0 or more';
    const bookId = 'bookId must be a positive integer';
    const limit = 'limit must be an integer from 1 to 1000';
    const code = 'code must be 1 to 128 characters without control characters';
    const type =
        'type must be one of book_created, codes_uploaded, codes_generated, code_assigned, ' +
        'code_locked, code_redeemed, user_erased, book_changed, book_archived, book_restored, ' +
        'code_changed, code_unassigned, code_unlocked, redemption_rolled_back, discount_given_back';
    for (const [query, message] of [
        ...['after=-1', 'after=x', 'after=', 'after=1.5', 'after', 'after=9223372036854775808'].map(
            (text) => [text, after],
        ),
        ...['bookId=0', 'bookId=-1', 'bookId=x', 'bookId=', 'bookId=1,2'].map((text) => [
            text,
            bookId,
        ]),
        ...['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=%2B1'].map((text) => [
            text,
            limit,
        ]),
        ...['code=', 'code', 'code=a%0A', `code=${'c'.repeat(129)}`].map((text) => [text, code]),
        ...['type=', 'type=code_opened', 'type=3', 'type=Code_Locked'].map((text) => [
            text,
            type,
        ]),
        ['page=1', 'property page should not exist'],
        ['BookId=1', 'property BookId should not exist'],
        ['include=codes', 'property include should not exist'],
    ]) {
        it(`refuse ?${query.slice(0, 40)} by name`, async () => {
            const answer = await c.client.get(`/coupon/events?${query}`);
            assertRefused(answer, 400, [message], 'validation_failed');
        });
    }

    for (const name of ['after', 'bookId', 'limit', 'code', 'type']) {
        it(`refuse ${name} given twice`, async () => {
            const value = name === 'type' ? 'code_locked' : 1;
            const answer = await c.client.get(
                `/coupon/events?${name}=${value}&${name}=${value}`,
            );
            assertRefused(answer, 400, undefined, 'validation_failed');
            assert.equal(answer.body.message.length, 1);
            assert.match(answer.body.message[0], new RegExp(`^${name} `));
        });
    }

    it('name everything that they refuse', async () => {
        const answer = await c.client.get(
            '/coupon/events?after=x&bookId=0&code=&type=y&limit=0&page=1&size=2',
        );
        assertRefused(
            answer,
            400,
            [
                ...[limit, after, bookId, code, type],
                ...['property page should not exist', 'property size should not exist'],
            ],
            'validation_failed',
        );
    });
});

// What a query's text has a meaning for, and what is none.
const odd = [
    ...['a/b', 'a b', 'a+b', 'a?b#c', '10% OFF', '%2F', 'a&type=x', 'a=b', '"', '\\', '<b>', '..'],
    ...['ключ', '🏖️', 'a\u0301', '{x}', '~-._', ';', "'", '🎟'.repeat(128)],
];

describe('pages of GET /coupon/events', () => {
    const c = suiteServer();
    let book;
    let all;

    /** The entries of each page from `path` on. */
    async function pagesFrom(path) {
        const pages = [];
        while (path) {
            const answer = await c.client.get(path);
            assert.equal(answer.status, 200, answer.text);
            pages.push(answer.body);
            path = nextPage(answer);
        }
        return pages;
    }

    it('hold 100 entries where no limit is given', async () => {
        book = await c.client.newBookWith([...odd, ...numbered('P-', 80)]);
        for (const code of odd) await c.client.mustAssign(code, `user of ${code}`.slice(0, 200));
        for (const code of odd) await c.client.mustLock(code, `user of ${code}`.slice(0, 200));
        for (let index = 0; index < 80; index += 1) await c.client.mustAssign(`P-${index}`, 'ann');
        all = await entriesOf(c.client, 2 + 2 * odd.length + 80);
        const answer = await c.client.get('/coupon/events');
        assert.deepEqual(answer.body, all.slice(0, 100));
        assert.equal(
            answer.headers.link,
            `</coupon/events?limit=100&after=${all[99].id}>; rel="next"`,
        );
    });

    for (const limit of [1, 7, 61, 1000]) {
        it(`lead to the end without a gap or a repeat, ${limit} a page`, async () => {
            const pages = await pagesFrom(eventsPath({ limit }));
            assert.deepEqual(pages.flat(), all);
            assert.equal(pages.length, Math.ceil(all.length / limit));
            for (const page of pages.slice(0, -1)) assert.equal(page.length, limit);
        });
    }

    it('end where their limit is just enough', async () => {
        assert.equal((await pagesFrom(eventsPath({ limit: all.length }))).length, 1);
        const [first, second] = await pagesFrom(eventsPath({ limit: all.length - 1 }));
        assert.equal(first.length, all.length - 1);
        assert.deepEqual(second, all.slice(-1));
    });

    it('keep to their filters', async () => {
        const type = 'code_locked';
        const query = { limit: 3, after: all[5].id, bookId: book.id, type };
        const answer = await c.client.get(eventsPath(query));
        const last = answer.body[2].id;
        assert.equal(
            answer.headers.link,
            `</coupon/events?limit=3&after=${last}&bookId=${book.id}&type=${type}>; rel="next"`,
        );
        const pages = await pagesFrom(eventsPath(query));
        assert.deepEqual(
            pages.flat(),
            all.slice(6).filter((entry) => entry.type === type),
        );
        assert.deepEqual(await pagesFrom(eventsPath({ ...query, bookId: book.id + 1 })), [[]]);
    });

    it('keep to their code, whatever it is made of', async () => {
        for (const code of odd) {
            const answer = await c.client.get(eventsPath({ limit: 1, code }));
            const link = new URL(nextPage(answer), 'http://localhost');
            assert.equal(link.searchParams.get('code'), code);
            const pages = await pagesFrom(eventsPath({ limit: 1, code }));
            assert.deepEqual(about(pages.flat()), [
                'codes_uploaded',
                `code_assigned ${code}`,
                `code_locked ${code}`,
            ]);
            assert.equal(pages.length, 3);
            assert.deepEqual(pages.flat().slice(1), all.filter((entry) => entry.code === code));
        }
    });

    it('stay as they are while entries are added behind them', async () => {
        const before = await c.client.get('/coupon/events?limit=50');
        await c.client.newBook();
        assert.equal((await c.client.get('/coupon/events?limit=50')).text, before.text);
        await entriesOf(c.client, all.length + 1);
    });

    it('may be empty and lead on, where 20,000 entries do not match', async (t) => {
        const { server, client } = await testServer(t);
        // Each takes the id of a transaction, which the ids of entries follow from.
        for (const code of numbered('none-', 10)) await client.assign(code, 'ann');
        await server.stop();
        server.data.damaged = true;
        await server.data.execute(
            `INSERT INTO ledger (id, at, type, book_id, code_id, codes, request_id)
             WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL
                 SELECT i + 1 FROM counted WHERE i < 25000)
             SELECT i, 1000000000000, 2, 77, i, 1, 'before-' || i FROM counted`,
        );
        await server.start();
        const { id } = await client.newBook();
        const [{ id: last }] = await entriesOf(client, 1, { bookId: id });
        assert.ok(last > 25_000, `entry ${last}`);
        const first = await client.get(eventsPath({ type: 'book_created' }));
        assert.deepEqual(first.body, []);
        assert.equal(
            first.headers.link,
            '</coupon/events?limit=100&after=20000&type=book_created>; rel="next"',
        );
        const second = await client.get(nextPage(first));
        assert.deepEqual(
            second.body.map(({ bookId }) => bookId),
            [id],
        );
        assert.equal(second.headers.link, undefined);
        const all = await client.allEvents({ bookId: 77 });
        assert.deepEqual(
            all.map((entry) => entry.id),
            Array.from({ length: 25_000 }, (_, index) => index + 1),
        );
        assert.equal((await client.allEvents()).length, 25_001);
    });
});
