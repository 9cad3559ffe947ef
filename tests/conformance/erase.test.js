// DELETE /coupon/users/:userId: a person is forgotten, and what was theirs is counted as before.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertRefused, numbered } from '../support/client.js';
import { defaultBackend } from '../support/data.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf } from '../support/ledger.js';
import { refusals } from '../support/refusals.js';

const opaque = /^erased-[a-z2-7]{26}$/;

const erase = (client, user, key) =>
    client.request('DELETE', `/coupon/users/${encodeURIComponent(user)}`, {
        headers: key === undefined ? {} : { 'idempotency-key': key },
    });

/** Five codes: ann's are A, L (locked) and R (redeemed), B is bob's, F nobody's. */
async function prepare(client) {
    const book = await client.newBookWith(['A', 'L', 'R', 'B', 'F'], { maxRedemptionsPerUser: 2 });
    for (const code of ['A', 'L', 'R']) await client.mustAssign(code, 'ann');
    await client.mustAssign('B', 'bob');
    for (const code of ['L', 'R']) await client.mustLock(code, 'ann');
    await client.mustRedeem('R', 'ann');
    return book;
}

/** A code as soon as it is not locked: Redis is told after the answer. */
async function unlocked(client, code) {
    for (const deadline = Date.now() + 30_000; ; await sleep(10)) {
        const shown = (await client.get(`/coupon/code/${code}`)).body;
        if (!shown.isLocked || Date.now() > deadline) return shown;
    }
}

describe('DELETE /coupon/users/:userId', () => {
    it('puts a random id in the place of the person, in the past too', async (t) => {
        const { server, client } = await testServer(t);
        const book = await prepare(client);
        const before = await entriesOf(client, 9);
        const answer = await erase(client, 'ann');
        assert.equal(answer.status, 200);
        assert.equal(answer.text, '{"message":"User erased"}');

        const entries = await entriesOf(client, 10);
        const erasure = entries.pop();
        const { userId: id } = erasure;
        assert.match(id, opaque);
        assert.deepEqual(erasure, {
            id: erasure.id,
            at: erasure.at,
            type: 'user_erased',
            bookId: null,
            code: null,
            userId: id,
            requestId: answer.headers['x-request-id'],
            before: null,
            after: null,
        });
        assert.deepEqual(entries, JSON.parse(JSON.stringify(before).replaceAll('"ann"', `"${id}"`)));
        assert.deepEqual(await client.allEvents({ type: 'user_erased' }), [erasure]);

        const ann = { userId: 'ann', codes: [], redemptions: [] };
        assert.deepEqual((await client.get('/coupon/users/ann')).body, ann);
        const { codes, redemptions } = (await client.get(`/coupon/users/${id}`)).body;
        assert.deepEqual(codes.map(({ code, assignedTo }) => [code, assignedTo]), [
            ['A', id],
            ['L', id],
            ['R', id],
        ]);
        assert.deepEqual(redemptions.map(({ code, userId }) => [code, userId]), [['R', id]]);
        assert.equal((await client.codeOf(book.id, 'B')).assignedTo, 'bob');
        const users = await server.data.query('SELECT user_id FROM coupon_user ORDER BY 1');
        assert.deepEqual(users.map(({ user_id: user }) => user), ['bob', id]);
        await server.data.verify();
    });

    it('ends their locks, and changes no other count', async (t) => {
        const { client } = await testServer(t);
        const { id } = await prepare(client);
        await client.mustLock('B', 'bob');
        assert.equal((await erase(client, 'ann')).status, 200);
        const code = await unlocked(client, 'L');
        assert.deepEqual([code.status, code.lockedUntil], ['assigned', null]);
        assert.deepEqual((await client.get(`/coupon/${id}`)).body.counts, {
            total: 5,
            available: 1,
            assigned: 2,
            locked: 1,
            redeemed: 1,
        });
        // By the id that it has now, it is one to lock and redeem like any other.
        const other = code.assignedTo;
        await client.mustLock('L', other);
        await client.mustRedeem('L', other);
        assertRefused(await client.lock('A', other), ...refusals.limitReached);
        await client.mustRedeem('B', 'bob');
    });

    it('leaves nothing to whoever comes with that id later', async (t) => {
        const { client } = await testServer(t);
        const { id } = await prepare(client);
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
        assert.equal((await erase(client, 'ann')).status, 200);
        assertRefused(await client.lock('A', 'ann'), ...refusals.notAssigned);
        assertRefused(await client.redeem('L', 'ann'), ...refusals.notAssigned);
        assertRefused(await client.assign('A', 'ann'), ...refusals.anothersCode);
        assertRefused(await client.redeem('R', 'ann'), ...refusals.notAssigned);

        await client.mustAssign('F', 'ann');
        const { codes } = (await client.get('/coupon/users/ann')).body;
        assert.deepEqual(codes.map(({ code }) => code), ['F']);
        await client.mustLock('F', 'ann');
        await client.mustRedeem('F', 'ann'); // the limit is that of somebody new
        assert.equal((await erase(client, 'ann')).status, 200);
        const holders = (await client.bookWithCodes(id)).codes.map(({ assignedTo }) => assignedTo);
        assert.equal(new Set(holders).size, 3); // two who were erased, and bob
        assertRefused(await erase(client, 'ann'), 404, 'User not found', 'user_not_found');
    });

    it('is done once for one key, and answered as the first time', async (t) => {
        const { server, client } = await testServer(t);
        await prepare(client);
        const first = await erase(client, 'ann', 'k');
        assert.equal(first.status, 200);
        const gone = await erase(client, 'zoe', 'z');
        assertRefused(gone, 404, 'User not found', 'user_not_found');
        await client.mustAssign('F', 'ann');
        for (const [user, key, answer] of [['ann', 'k', first], ['zoe', 'z', gone]]) {
            const again = await erase(client, user, key);
            assert.equal(again.headers['idempotent-replayed'], 'true');
            assert.deepEqual([again.status, again.text], [answer.status, answer.text]);
        }
        const { codes } = (await client.get('/coupon/users/ann')).body;
        assert.deepEqual(codes.map(({ code }) => code), ['F']);
        assertRefused(await erase(client, 'bob', 'k'), 422, undefined, 'idempotency_key_reused');
        const kept = await server.data.query("SELECT outcome FROM idempotency_key WHERE key = 'k'");
        assert.deepEqual(kept, [{ outcome: 'user_erased' }]);
    });

    it('answers who was erased before as it did then, to a key of theirs', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A']);
        const options = { headers: { 'idempotency-key': 'a' } };
        const first = await client.post('/coupon/assign/A', { userId: 'ann' }, options);
        assert.equal((await erase(client, 'ann')).status, 200);
        const again = await client.post('/coupon/assign/A', { userId: 'ann' }, options);
        assert.deepEqual([again.status, again.text], [first.status, first.text]);
        assertRefused(await erase(client, 'ann'), 404, 'User not found', 'user_not_found');
    });

    it('takes an id like those that it gives as any other', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A']);
        const user = 'erased-abcdefghijklmnopqrstuvwxyz';
        await client.mustAssign('A', user);
        assert.equal((await erase(client, user)).status, 200);
        const { assignedTo } = (await client.get('/coupon/code/A')).body;
        assert.match(assignedTo, opaque);
        assert.notEqual(assignedTo, user);
    });

    if (defaultBackend() === 'sqlite') {
        it('leaves no byte of the id in the file of a server that has stopped', async (t) => {
            const { server, client } = await testServer(t);
            const names = numbered('somebody-', 100).map((name) => `${name}@example.com`);
            await client.newBookWith(numbered('F-', 150));
            for (const name of names) assert.equal((await client.assignAny(name)).status, 201);
            for (const name of names.slice(0, 80)) {
                const answer = await erase(client, name);
                assert.equal(answer.status, 200, answer.text);
            }
            await server.stop();
            const bytes = readFileSync(server.data.file, 'latin1');
            assert.deepEqual(
                names.filter((name) => bytes.includes(name)),
                names.slice(80),
            );
            await server.start();
        });
    }

    it('forgets after a restart', async (t) => {
        const { server, client } = await testServer(t);
        await prepare(client);
        assert.equal((await erase(client, 'ann')).status, 200);
        await server.stop();
        await server.start();
        assert.deepEqual((await client.get('/coupon/users/ann')).body.codes, []);
        assertRefused(await erase(client, 'ann'), 404, 'User not found', 'user_not_found');
    });
});

describe('DELETE /coupon/users/:userId refuses', () => {
    const c = suiteServer();

    it('who has never held a code', async () => {
        await c.client.newBookWith(['A']);
        assertRefused(await erase(c.client, 'ann'), 404, 'User not found', 'user_not_found');
        const answer = await c.client.lock('A', 'ann');
        assertRefused(answer, ...refusals.notAssigned);
        assertRefused(await erase(c.client, 'ann'), 404, 'User not found', 'user_not_found');
        assert.deepEqual(await c.client.allEvents({ type: 'user_erased' }), []);
    });

    it('what cannot be a user, a query and a key that is none', async () => {
        const unfit = 'userId must be 1 to 255 characters without control characters';
        const path = '/coupon/users/';
        assertRefused(await c.client.request('DELETE', `${path}a%0Ab`), 400, [unfit]);
        assertRefused(await c.client.request('DELETE', `${path}ann?force=1`), 400, [
            'property force should not exist',
        ]);
        assertRefused(await erase(c.client, 'ann', 'a b'), 400, undefined, 'idempotency_key_malformed');
    });
});
