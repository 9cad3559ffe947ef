// GET /coupon/:id and GET /coupon/code/:code.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

describe('GET /coupon/:id', () => {
    const c = suiteServer();

    it('shows the book as the list does', async () => {
        const book = await c.client.newBookWith(['A', 'B', 'C', 'D'], {
            maxRedemptionsPerUser: 2,
            discountAmount: 12.5,
        });
        await c.client.newBook();
        await c.client.mustAssign('A', 'ann');
        await c.client.mustAssign('B', 'ann');
        await c.client.mustAssign('C', 'ann');
        await c.client.mustLock('B', 'ann');
        await c.client.mustLock('C', 'ann');
        await c.client.mustRedeem('C', 'ann');
        const { status, body } = await c.client.get(`/coupon/${book.id}`);
        assert.equal(status, 200);
        const counts = { total: 4, available: 1, assigned: 1, locked: 1, redeemed: 1 };
        assert.deepEqual(body, { ...book, counts });
        const listed = (await c.client.allBooks()).find(({ id }) => id === book.id);
        assert.deepEqual(body, listed);
    });

    it('answers 404 where there is none', async () => {
        for (const id of ['999', '9223372036854775807']) {
            assertRefused(
                await c.client.get(`/coupon/${id}`),
                404,
                'Coupon book not found',
                'coupon_book_not_found',
            );
        }
    });

    it('refuses what cannot be an id, and parameters', async () => {
        for (const id of ['0', '-1', 'x', '1.0', '1e3', '9223372036854775808', '%20']) {
            assertRefused(
                await c.client.get(`/coupon/${id}`),
                400,
                ['id must be a positive integer'],
                'validation_failed',
            );
        }
        assertRefused(await c.client.get('/coupon/1?include=codes'), 400, [
            'property include should not exist',
        ]);
    });
});

describe('GET /coupon/code/:code', () => {
    it('shows every state of a code, and how it came to it', async (t) => {
        const { client } = await testServer(t, { args: ['--lock-ttl-seconds', '2'] });
        const book = await client.newBookWith(['A 1/2', 'B'], { discountAmount: 5 });
        const show = async () => {
            const { status, body } = await client.get('/coupon/code/A%201%2F2');
            assert.equal(status, 200);
            const { history, ...rest } = body;
            assert.deepEqual(history, (await client.get('/coupon/events?code=A%201%2F2')).body);
            const types = history.map(({ type }) => type.replace(/^code_/, ''));
            return { ...rest, types };
        };
        const free = await show();
        assert.deepEqual(free, {
            id: 1,
            code: 'A 1/2',
            isLocked: false,
            isRedeemed: false,
            assignedTo: null,
            redeemedAt: null,
            active: true,
            expiresAt: null,
            maxRedemptions: null,
            metadata: {},
            createdAt: free.createdAt,
            bookId: book.id,
            status: 'free',
            lockedUntil: null,
            redemptionCount: 0,
            redemptions: [],
            types: ['codes_uploaded'],
        });

        await client.mustAssign('A 1/2', 'ann');
        const assigned = { ...free, assignedTo: 'ann', status: 'assigned' };
        assert.deepEqual(await show(), { ...assigned, types: ['codes_uploaded', 'assigned'] });

        const { lockedUntil } = await client.mustLock('A 1/2', 'ann');
        const types = ['codes_uploaded', 'assigned', 'locked'];
        const locked = { ...assigned, isLocked: true, status: 'locked', lockedUntil };
        assert.deepEqual(await show(), { ...locked, types });

        await pause(Date.parse(lockedUntil) - Date.now() + 50);
        assert.deepEqual(await show(), { ...assigned, types });

        await client.mustLock('A 1/2', 'ann');
        const { coupon } = await client.mustRedeem('A 1/2', 'ann');
        const redeemed = await show();
        assert.deepEqual(redeemed, {
            ...assigned,
            isRedeemed: true,
            redeemedAt: coupon.redeemedAt,
            status: 'redeemed',
            redemptionCount: 1,
            redemptions: [
                {
                    id: redeemed.redemptions[0].id,
                    code: 'A 1/2',
                    bookId: book.id,
                    userId: 'ann',
                    discountAmount: 5,
                    order: null,
                    discount: { amount: 5, currency: null },
                    givenBack: 0,
                    at: coupon.redeemedAt,
                    rolledBackAt: null,
                },
            ],
            types: [...types, 'locked', 'redeemed'],
        });
    });

    it('leads on to the rest of a long history', async (t) => {
        const { server, client } = await testServer(t, { args: ['--lock-ttl-seconds', '1'] });
        await client.newBookWith(['A']);
        await client.mustAssign('A', 'ann');
        server.data.damaged = true;
        // As if it had been locked a thousand times: the chain is what counts.
        await server.data.execute(`WITH RECURSIVE n (i) AS
            (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
            INSERT INTO ledger (id, at, type, book_id, code_id, user_number, previous_id,
                locked_until, request_id)
            SELECT last_entry_id + i, at, 4, ledger.book_id, code_id, user_number,
                last_entry_id + i - 1, at + 1, 'long'
            FROM n, coupon_code JOIN ledger ON ledger.id = last_entry_id WHERE code = 'A'`);
        await server.data.execute("UPDATE coupon_code SET last_entry_id = last_entry_id + 1000");
        const shown = await client.get('/coupon/code/A');
        assert.equal(shown.body.history.length, 1_000);
        const [, rest] = /^<(.*)>; rel="next"$/.exec(shown.headers.link);
        const { id } = shown.body.history.at(-1);
        assert.equal(rest, `/coupon/events?limit=1000&after=${id}&code=A`);
        const types = (await client.get(rest)).body.map(({ type }) => type);
        assert.deepEqual(types, ['code_locked', 'code_locked']);
    });

    it('answers 404 where there is none, and 400 to what cannot be a code', async (t) => {
        const { client } = await testServer(t);
        const missing = await client.get('/coupon/code/none');
        assertRefused(missing, 404, 'Coupon code not found', 'coupon_not_found');
        assertRefused(await client.get('/coupon/code/a%0Ab'), 400, [
            'code must be 1 to 128 characters without control characters',
        ]);
        assertRefused(await client.get('/coupon/code/a?b=1'), 400, [
            'property b should not exist',
        ]);
    });
});
