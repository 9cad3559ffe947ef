// GET /coupon with `sort` and `name`: the orders of the books, and which are found.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, inParallel, nextPage, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';

/** The names of all pages, and how many pages there were. */
async function all(client, path) {
    const names = [];
    let pages = 0;
    for (let next = path; next; pages += 1) {
        const answer = await client.get(next);
        assert.equal(answer.status, 200, answer.text);
        names.push(...answer.body.map(({ name }) => name));
        next = nextPage(answer);
    }
    return { names, pages };
}

const made = ['b', 'a 2', 'B', 'ä', 'a 1', '\u{1F600}', '\uFFFD', 'Winter Sale', 'x%_&='];
// By code points: U+1F600 after U+FFFD, which UTF-16 has the other way round.
const byName = ['B', 'Winter Sale', 'a 1', 'a 2', 'b', 'x%_&=', 'ä', '\uFFFD', '\u{1F600}'];

describe('GET /coupon?sort=', () => {
    const c = suiteServer();

    it('lists the books in any order, whatever the size of a page', async () => {
        for (const name of made) await c.client.newBook({ name });
        for (const [sort, wanted] of [
            ['id', made],
            ['created', made],
            ['name', byName],
        ]) {
            for (const limit of [1, 2, 4, 9, 1000]) {
                const path = `/coupon?limit=${limit}&sort=`;
                assert.deepEqual((await all(c.client, path + sort)).names, wanted);
                assert.deepEqual((await all(c.client, `${path}-${sort}`)).names, [...wanted].reverse());
            }
        }
    });

    it('shows books as they are without it, with their codes where asked for', async () => {
        const { id } = await c.client.newBookWith(['A', 'B'], { name: 'C' });
        await c.client.mustAssign('A', 'ann');
        await c.client.mustLock('A', 'ann');
        const plain = await c.client.bookWithCodes(id);
        assert.equal(plain.codes.length, 2);
        const sorted = (await c.client.get('/coupon?sort=-created&include=codes')).body;
        assert.deepEqual(sorted[0], plain);
        assert.equal(sorted.length, made.length + 1);
        assert.ok(sorted.slice(1).every(({ codes }) => codes.length === 0));
        const last = await c.client.get('/coupon?sort=name&limit=2&include=codes');
        assert.deepEqual(last.body[1], plain);
        assert.match(nextPage(last), /&include=codes&sort=name$/);
    });

    it('leads on to the same place while books are made before and behind it', async (t) => {
        const { client } = await testServer(t);
        for (const name of ['c', 'a', 'e']) await client.newBook({ name });
        const first = await client.get('/coupon?sort=name&limit=2');
        assert.deepEqual(first.body.map(({ name }) => name), ['a', 'c']);
        for (const name of ['b', 'd']) await client.newBook({ name });
        assert.deepEqual((await all(client, nextPage(first))).names, ['d', 'e']);
    });

    it('goes on among many books of one name', async (t) => {
        const { client } = await testServer(t);
        const books = await inParallel(numbered('', 40), 8, () => client.newBook({ name: 'same' }));
        const ids = books.map(({ id }) => id).sort((a, b) => a - b);
        for (const sort of ['name', '-name']) {
            const found = [];
            for (let next = `/coupon?limit=7&sort=${sort}`; next; ) {
                const answer = await client.get(next);
                found.push(...answer.body.map(({ id }) => id));
                next = nextPage(answer);
            }
            assert.deepEqual(found, sort === 'name' ? ids : [...ids].reverse());
        }
    });

    it('keeps to the plain id where it is by id', async () => {
        const page = await c.client.get('/coupon?limit=2&sort=id');
        assert.equal(nextPage(page), `/coupon?limit=2&after=${page.body[1].id}`);
        const from = await c.client.get(`/coupon?limit=2&after=${page.body[1].id}`);
        assert.equal(from.body[0].id, page.body[1].id + 1);
    });
});

describe('GET /coupon?name=', () => {
    const c = suiteServer();

    it('finds books by a part of their names, A to Z in either case', async () => {
        for (const name of made) await c.client.newBook({ name });
        for (const [name, wanted] of [
            ['A', ['a 2', 'a 1', 'Winter Sale']],
            ['sale', ['Winter Sale']],
            ['r S', ['Winter Sale']],
            ['Ä', []],
            ['ä', ['ä']],
            ['%', ['x%_&=']],
            ['_&=', ['x%_&=']],
            ['\u{1F600}', ['\u{1F600}']],
            ['winter sale!', []],
        ]) {
            for (const limit of [1, 2, 1000]) {
                const path = `/coupon?limit=${limit}&name=${encodeURIComponent(name)}`;
                assert.deepEqual((await all(c.client, path)).names, wanted);
                const sorted = byName.filter((each) => wanted.includes(each)).reverse();
                assert.deepEqual((await all(c.client, `${path}&sort=-name`)).names, sorted);
            }
        }
    });

    it('answers an empty list where there is none', async () => {
        const { text, headers } = await c.client.get('/coupon?name=nothing');
        assert.equal(text, '[]');
        assert.equal(headers.link, undefined);
    });
});

describe('GET /coupon refuses', () => {
    const c = suiteServer();
    const orders = 'sort must be one of id, -id, name, -name, created, -created';
    const place = (sort) => `after must be from a Link of a list with sort=${sort}`;

    for (const [query, message] of [
        ['sort=', orders],
        ['sort=Name', orders],
        ['sort=price', orders],
        ['sort=%2Bname', orders],
        ['sort=id&sort=id', 'sort must be given once'],
        ['name=', 'name must be 1 to 255 characters without control characters'],
        ['name=a%0A', 'name must be 1 to 255 characters without control characters'],
        ['sort=name&after=5', place('name')],
        ['sort=name&after=', place('name')],
        ['sort=name&after=-name.5.42', place('name')],
        ['sort=name&after=name.5.fffe', place('name')],
        ['sort=name&after=name.5.00', place('name')],
        ['sort=-created&after=created.5.7', place('-created')],
        ['sort=-created&after=-created.5.x', place('-created')],
        ['sort=-id&after=5', place('-id')],
        ['after=-id.5', 'after must be a positive integer'],
        ['sort=id&after=name.5.42', 'after must be a positive integer'],
        ['sort=name&after=name.5.42&after=name.5.42', 'after must be given once'],
        ['order=name', 'property order should not exist'],
    ]) {
        it(`?${query}`, async () => {
            assertRefused(await c.client.get(`/coupon?${query}`), 400, [message]);
        });
    }

    it('no place that could be one', async () => {
        for (const after of ['-created.9223372036854775807.9223372036854775807', '-created.1.-5']) {
            const { status } = await c.client.get(`/coupon?sort=-created&after=${after}`);
            assert.equal(status, 200);
        }
    });
});
