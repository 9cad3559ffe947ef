// GET /coupon/codes/:id: the codes of a book, with their filters and pages.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, nextPage, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';

const names = (answer) => answer.body.map(({ code }) => code);

/** All codes of a list, following its Links; and how many pages that took. */
async function all(client, path) {
    const codes = [];
    let pages = 0;
    for (let next = path; next; pages += 1) {
        const answer = await client.get(next);
        assert.equal(answer.status, 200, answer.text);
        codes.push(...names(answer));
        next = nextPage(answer);
    }
    return { codes, pages };
}

/** Every fourth code is free, assigned, locked, redeemed; ann and bob hold them in turn. */
async function prepare(client, prefix = 'C-') {
    const codes = numbered(prefix, 40);
    const book = await client.newBookWith(codes);
    const user = (index) => (index % 8 < 4 ? 'ann' : 'bob');
    for (const [index, code] of codes.entries()) {
        if (index % 4 > 0) await client.mustAssign(code, user(index));
        if (index % 4 > 1) await client.mustLock(code, user(index));
        if (index % 4 > 2) await client.mustRedeem(code, user(index));
    }
    return { book, codes };
}

describe('GET /coupon/codes/:id', () => {
    it('lists the codes of a book by id, as they are', async (t) => {
        const { client } = await testServer(t);
        const { book, codes } = await prepare(client);
        await client.newBookWith(['other']);
        const { body } = await client.get(`/coupon/codes/${book.id}`);
        assert.deepEqual(body.map(({ code }) => code), codes);
        const plain = (await client.bookWithCodes(book.id)).codes;
        for (const [index, { status, lockedUntil, ...code }] of body.entries()) {
            assert.deepEqual(code, plain[index]);
            assert.equal(status, ['free', 'assigned', 'locked', 'redeemed'][index % 4]);
            assert.equal(lockedUntil !== null, status === 'locked');
            const shown = (await client.get(`/coupon/code/${code.code}`)).body;
            assert.equal(shown.lockedUntil, lockedUntil);
        }
    });

    it('filters by status, holder and prefix, whatever the size of a page', async (t) => {
        const { client } = await testServer(t);
        const { book, codes } = await prepare(client);
        const path = `/coupon/codes/${book.id}`;
        const of = (...rest) => codes.filter((_, index) => rest.includes(index % 4));
        for (const limit of [1, 3, 1000]) {
            const list = async (query) =>
                (await all(client, `${path}?limit=${limit}${query}`)).codes;
            assert.deepEqual(await list(''), codes);
            assert.deepEqual(await list('&status=free'), of(0));
            assert.deepEqual(await list('&status=assigned'), of(1));
            assert.deepEqual(await list('&status=locked'), of(2));
            assert.deepEqual(await list('&status=redeemed'), of(3));
            const anns = codes.filter((_, index) => index % 8 < 4 && index % 4 > 0);
            assert.deepEqual(await list('&userId=ann'), anns);
            assert.deepEqual(
                await list('&userId=ann&status=locked'),
                anns.filter((code) => of(2).includes(code)),
            );
            assert.deepEqual(await list('&userId=nobody'), []);
            assert.deepEqual(await list('&userId=ann&status=free'), []);
            assert.deepEqual(
                await list('&prefix=C-3'),
                codes.filter((code) => code.startsWith('C-3')),
            );
            assert.deepEqual(await list('&prefix=c-'), []);
            assert.deepEqual(await list('&prefix=C-3&status=redeemed'), ['C-3', 'C-31', 'C-35', 'C-39']);
        }
    });

    it('keeps to letters that are special elsewhere', async (t) => {
        const { client } = await testServer(t);
        const codes = ['%a', '_a', 'a%', 'A', 'ä1', 'ä2', "'", 'x y', '&='];
        const book = await client.newBookWith(codes);
        await client.mustAssign('x y', 'a&b=c d');
        for (const prefix of codes) {
            const query = `prefix=${encodeURIComponent(prefix)}&limit=1`;
            assert.deepEqual((await all(client, `/coupon/codes/${book.id}?${query}`)).codes, [prefix]);
        }
        const umlauts = await all(client, `/coupon/codes/${book.id}?prefix=%C3%A4&limit=1`);
        assert.deepEqual(umlauts.codes, ['ä1', 'ä2']);
        const held = await all(client, `/coupon/codes/${book.id}?userId=a%26b%3Dc%20d&limit=1`);
        assert.deepEqual(held.codes, ['x y']);
    });

    it('leads on through pages where nothing matches', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBookWith(numbered('C-', 20_000));
        assert.equal((await client.upload(book.id, ['LAST'])).status, 201);
        const { codes, pages } = await all(client, `/coupon/codes/${book.id}?prefix=L`);
        assert.deepEqual(codes, ['LAST']);
        assert.equal(pages, 2);
    });
});

describe('GET /coupon/codes/:id refuses', () => {
    const c = suiteServer();

    it('a book that is not there', async () => {
        assertRefused(
            await c.client.get('/coupon/codes/7'),
            404,
            'Coupon book not found',
            'coupon_book_not_found',
        );
    });

    for (const [query, message] of [
        ['status=open', 'status must be one of free, assigned, locked, redeemed'],
        ['status=', 'status must be one of free, assigned, locked, redeemed'],
        ['status=held', 'status must be one of free, assigned, locked, redeemed'],
        ['status=free&status=free', 'status must be given once'],
        ['userId=', 'userId must be 1 to 255 characters without control characters'],
        ['prefix=a%0A', 'prefix must be 1 to 128 characters without control characters'],
        ['limit=0', 'limit must be an integer from 1 to 1000'],
        ['after=-1', 'after must be an integer of 0 or more'],
        ['user=ann', 'property user should not exist'],
    ]) {
        it(`?${query}`, async () => {
            assertRefused(await c.client.get(`/coupon/codes/1?${query}`), 400, [message]);
        });
    }

    it('an id that cannot be one', async () => {
        assertRefused(await c.client.get('/coupon/codes/x'), 400, ['id must be a positive integer']);
    });
});
