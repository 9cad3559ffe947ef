// GET /coupon: the books, their counts, their pages and, where small enough, their codes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, nextPage, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { verifyCounts } from '../support/history.js';
import { assertBook, assertCode, bookMembers, countMembers } from '../support/shapes.js';

describe('GET /coupon', () => {
    const c = suiteServer();

    it('answers an empty array where there are no books', async () => {
        const answer = await c.client.get('/coupon');
        assert.equal(answer.status, 200);
        assert.equal(answer.text, '[]');
        assert.equal(answer.headers.link, undefined);
    });

    it('answers each book with its counts, member by member, and no codes', async () => {
        const made = await c.client.newBookWith(['L-1', 'L-2', 'L-3'], {
            name: 'Listed',
            maxRedemptionsPerUser: 2,
            discountAmount: 19.99,
        });
        const answer = await c.client.get('/coupon');
        assert.equal(answer.status, 200);
        assert.equal(answer.body.length, 1);
        const [book] = answer.body;
        assert.deepEqual(Object.keys(book), [...bookMembers, 'counts']);
        assert.deepEqual(Object.keys(book.counts), countMembers);
        assertBook(book, {
            ...made,
            counts: { total: 3, available: 3, assigned: 0, locked: 0, redeemed: 0 },
        });
    });

    it('counts every code in exactly one state', async () => {
        const [{ id }] = (await c.client.get('/coupon')).body;
        const counts = async () => (await c.client.get('/coupon')).body[0].counts;
        await c.client.mustAssign('L-1', 'ann');
        assert.deepEqual(await counts(), {
            total: 3,
            available: 2,
            assigned: 1,
            locked: 0,
            redeemed: 0,
        });
        await c.client.mustLock('L-1', 'ann');
        assert.deepEqual(await counts(), {
            total: 3,
            available: 2,
            assigned: 0,
            locked: 1,
            redeemed: 0,
        });
        await c.client.mustRedeem('L-1', 'ann');
        assert.deepEqual(await counts(), {
            total: 3,
            available: 2,
            assigned: 0,
            locked: 0,
            redeemed: 1,
        });
        await c.client.mustAssign('L-2', 'bob');
        assert.deepEqual(await counts(), {
            total: 3,
            available: 1,
            assigned: 1,
            locked: 0,
            redeemed: 1,
        });
        verifyCounts(await c.client.bookWithCodes(id));
    });

    it('adds the codes, by id, with ?include=codes', async () => {
        const [{ id }] = (await c.client.get('/coupon')).body;
        const answer = await c.client.get('/coupon?include=codes');
        assert.equal(answer.status, 200);
        const [book] = answer.body;
        assert.deepEqual(Object.keys(book), [...bookMembers, 'counts', 'codes']);
        assert.equal(book.id, id);
        const [first, second, third] = book.codes;
        assertCode(first, { code: 'L-1', assignedTo: 'ann', isRedeemed: true });
        assertCode(second, { code: 'L-2', assignedTo: 'bob' });
        assertCode(third, { code: 'L-3' });
        assert.ok(first.id < second.id && second.id < third.id);
    });

    it('answers a book without codes with an empty list of them', async () => {
        const { id } = await c.client.newBook();
        const book = await c.client.bookWithCodes(id);
        assert.deepEqual(book.codes, []);
        assert.deepEqual(book.counts, {
            total: 0,
            available: 0,
            assigned: 0,
            locked: 0,
            redeemed: 0,
        });
    });
});

describe('pages of GET /coupon', () => {
    const c = suiteServer();
    const ids = [];

    it('answers 100 books where no limit is given', async () => {
        for (const name of numbered('P-', 105)) ids.push((await c.client.newBook({ name })).id);
        const answer = await c.client.get('/coupon');
        assert.deepEqual(
            answer.body.map(({ id }) => id),
            ids.slice(0, 100),
        );
        assert.equal(answer.headers.link, `</coupon?limit=100&after=${ids[99]}>; rel="next"`);
    });

    for (const limit of [1, 7, 35, 104, 105, 1000]) {
        it(`leads through all books in order, ${limit} a page`, async () => {
            const seen = [];
            let pages = 0;
            let path = `/coupon?limit=${limit}`;
            while (path) {
                const answer = await c.client.get(path);
                assert.equal(answer.status, 200);
                assert.ok(answer.body.length >= 1 && answer.body.length <= limit);
                seen.push(...answer.body.map(({ id }) => id));
                path = nextPage(answer);
                assert.equal(answer.body.length === limit || path === undefined, true);
                pages += 1;
            }
            assert.deepEqual(seen, ids);
            assert.equal(pages, Math.ceil(ids.length / limit));
        });
    }

    it('starts after any id, there or not', async () => {
        const at = async (after) =>
            (await c.client.get(`/coupon?limit=2&after=${after}`)).body.map(({ id }) => id);
        assert.deepEqual(await at(ids[50]), ids.slice(51, 53));
        assert.deepEqual(await at(ids[103]), ids.slice(104));
        assert.deepEqual(await at(ids[104]), []);
        assert.deepEqual(await at(ids[104] + 1000), []);
    });

    it('keeps include=codes in the link to the next page', async () => {
        const answer = await c.client.get('/coupon?limit=2&include=codes');
        assert.equal(
            answer.headers.link,
            `</coupon?limit=2&after=${ids[1]}&include=codes>; rel="next"`,
        );
        const next = await c.client.get(nextPage(answer));
        assert.deepEqual(
            next.body.map(({ id, codes }) => [id, codes]),
            [
                [ids[2], []],
                [ids[3], []],
            ],
        );
    });

    it('reads percent-encoded query members', async () => {
        const answer = await c.client.get(`/coupon?%6C%69mit=%32&after=${ids[0]}`);
        assert.deepEqual(
            answer.body.map(({ id }) => id),
            ids.slice(1, 3),
        );
    });

    it('keeps a page as it is while books are added behind it', async () => {
        const before = await c.client.get('/coupon?limit=10');
        ids.push((await c.client.newBook()).id);
        assert.equal((await c.client.get('/coupon?limit=10')).text, before.text);
    });
});

describe('the bound of ?include=codes', () => {
    it('is 10,000 codes of all books of the page', async (t) => {
        const { client } = await testServer(t);
        const first = await client.newBookWith(numbered('A-', 4_000));
        const second = await client.newBookWith(numbered('B-', 6_000));
        const whole = await client.get('/coupon?include=codes');
        assert.equal(whole.status, 200);
        assert.deepEqual(
            whole.body.map(({ codes }) => codes.length),
            [4_000, 6_000],
        );
        assert.deepEqual(
            whole.body[1].codes.map(({ code }) => code),
            numbered('B-', 6_000),
        );

        await client.upload(second.id, ['one more']);
        const beyond = await client.get('/coupon?include=codes');
        assertRefused(beyond, 400, /10,?000/, 'too_many_codes');
        assert.match(beyond.body.message, /limit/);

        // A smaller page is small enough.
        const page = await client.get('/coupon?include=codes&limit=1');
        assert.equal(page.body[0].codes.length, 4_000);
        assert.equal((await client.get(nextPage(page))).body[0].codes.length, 6_001);
        assert.equal((await client.get('/coupon')).status, 200);

        await client.upload(first.id, numbered('C-', 6_001));
        assertRefused(
            await client.get('/coupon?include=codes&limit=1'),
            400,
            undefined,
            'too_many_codes',
        );
        assert.equal((await client.get('/coupon')).body[0].counts.total, 10_001);
    });
});
