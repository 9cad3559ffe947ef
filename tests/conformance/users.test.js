// GET /coupon/users/:userId: what somebody holds and has redeemed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, nextPage, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';

/** The codes and redemptions of all pages, from `path` on; and how many pages that took. */
async function all(client, path) {
    const codes = [];
    const redemptions = [];
    let pages = 0;
    for (let next = path; next; pages += 1) {
        const answer = await client.get(next);
        assert.equal(answer.status, 200, answer.text);
        codes.push(...answer.body.codes);
        redemptions.push(...answer.body.redemptions);
        next = nextPage(answer);
    }
    return { codes, redemptions, pages };
}

/** Two books with codes in every state; ann holds all that are held but for bob's. */
async function prepare(client) {
    const books = [
        await client.newBookWith(['A0', 'A1', 'A2', 'A3', 'A4'], { discountAmount: 12.5 }),
        await client.newBookWith(['B0', 'B1', 'B2', 'B3', 'B4']),
    ];
    for (const letter of ['B', 'A']) {
        for (const index of [3, 2, 1]) {
            const code = `${letter}${index}`;
            await client.mustAssign(code, 'ann');
            if (index > 1) await client.mustLock(code, 'ann');
            if (index > 2) await client.mustRedeem(code, 'ann');
        }
        await client.mustAssign(`${letter}4`, 'bob');
    }
    return books;
}

describe('GET /coupon/users/:userId', () => {
    it('shows the codes of a user as their books list them, and their redemptions', async (t) => {
        const { client } = await testServer(t);
        const books = await prepare(client);
        const { status, headers, body } = await client.get('/coupon/users/ann');
        assert.equal(status, 200);
        assert.equal(headers.link, undefined);
        assert.deepEqual(Object.keys(body), ['userId', 'codes', 'redemptions']);
        assert.equal(body.userId, 'ann');
        const listed = [];
        for (const { id } of books) {
            const list = (await client.get(`/coupon/codes/${id}?userId=ann`)).body;
            listed.push(...list.map((code) => ({ ...code, bookId: id })));
        }
        assert.deepEqual(body.codes, listed);
        assert.deepEqual(
            body.codes.map(({ code, status: is }) => `${code} ${is}`),
            ['A1 assigned', 'A2 locked', 'A3 redeemed', 'B1 assigned', 'B2 locked', 'B3 redeemed'],
        );
        const redeemed = [];
        for (const code of ['A3', 'B3']) {
            redeemed.push(...(await client.get(`/coupon/code/${code}`)).body.redemptions);
        }
        assert.deepEqual(body.redemptions, redeemed);
        const [first, second] = redeemed;
        assert.deepEqual(
            [first.code, first.bookId, first.userId, first.discountAmount],
            ['A3', books[0].id, 'ann', 12.5],
        );
        assert.equal(first.at, body.codes[2].redeemedAt);
        assert.deepEqual([second.code, second.bookId, second.discountAmount], ['B3', books[1].id, null]);
    });

    it('comes in pages of any size', async (t) => {
        const { client } = await testServer(t);
        await prepare(client);
        const whole = (await client.get('/coupon/users/ann')).body;
        for (const [limit, pages] of [[1, 6], [2, 3], [4, 2], [6, 1], [1000, 1]]) {
            const found = await all(client, `/coupon/users/ann?limit=${limit}`);
            assert.deepEqual(found.codes, whole.codes);
            assert.deepEqual(found.redemptions, whole.redemptions);
            assert.equal(found.pages, pages);
        }
        const last = whole.codes.at(-1).id;
        const beyond = await client.get(`/coupon/users/ann?after=${last}`);
        assert.deepEqual(beyond.body, { userId: 'ann', codes: [], redemptions: [] });
        const past = await client.get('/coupon/users/ann?after=9223372036854775807');
        assert.deepEqual(past.body.codes, []);
    });

    it('answers 100 codes where it is not asked for another number', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('C-', 101);
        await client.newBookWith(codes);
        for (const code of codes) await client.mustAssign(code, 'ann');
        const first = await client.get('/coupon/users/ann');
        assert.deepEqual(first.body.codes.map(({ code }) => code), codes.slice(0, 100));
        const { id } = first.body.codes.at(-1);
        assert.equal(nextPage(first), `/coupon/users/ann?limit=100&after=${id}`);
    });

    it('answers empty lists of somebody who holds nothing', async (t) => {
        const { client } = await testServer(t);
        await prepare(client);
        const { status, text } = await client.get('/coupon/users/Ann');
        assert.equal(status, 200);
        assert.equal(text, '{"userId":"Ann","codes":[],"redemptions":[]}');
    });

    it('knows users by whatever name they have', async (t) => {
        const { client } = await testServer(t);
        const users = ['a/b', '..', 'a b?c=d&e#f', '%41', 'ä\u{1F600}', '"', 'x'.repeat(255)];
        await client.newBookWith(numbered('C-', 2 * users.length));
        for (const [index, user] of users.entries()) {
            await client.mustAssign(`C-${2 * index}`, user);
            await client.mustAssign(`C-${2 * index + 1}`, user);
            const path = `/coupon/users/${encodeURIComponent(user)}`;
            assert.equal((await client.get(path)).body.userId, user);
            const { codes } = await all(client, `${path}?limit=1`);
            assert.deepEqual(
                codes.map(({ code, assignedTo }) => [code, assignedTo]),
                [[`C-${2 * index}`, user], [`C-${2 * index + 1}`, user]],
            );
        }
    });
});

describe('GET /coupon/users/:userId refuses', () => {
    const c = suiteServer();
    const unfit = 'userId must be 1 to 255 characters without control characters';

    for (const [target, message] of [
        ['ann?limit=0', 'limit must be an integer from 1 to 1000'],
        ['ann?limit=1001', 'limit must be an integer from 1 to 1000'],
        ['ann?after=-1', 'after must be an integer of 0 or more'],
        ['ann?after=1&after=1', 'after must be given once'],
        ['ann?status=free', 'property status should not exist'],
        ['a%0Ab', unfit],
        ['x'.repeat(256), unfit],
    ]) {
        it(target.slice(0, 20), async () => {
            assertRefused(await c.client.get(`/coupon/users/${target}`), 400, [message]);
        });
    }
});
