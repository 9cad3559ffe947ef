// Redis for the locks: how it is named, what it holds, and what is answered without it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, Client } from '../support/client.js';
import { Coupond } from '../support/coupond.js';
import { PostgresData, freshData } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { Redis } from '../support/redis.js';
import { refusals } from '../support/refusals.js';

describe('Redis', () => {
    it('holds a lock under its code, with its end, and no lock that is over', async (t) => {
        const { server, client } = await testServer(t, { data: freshData('redis') });
        const { redis } = server.data;
        await client.newBookWith(['ü b', 'X']);
        for (const code of ['ü b', 'X']) await client.mustAssign(code, 'ann');
        const { lockedUntil } = await client.mustLock('ü b', 'ann');
        assert.deepEqual(await redis.ask('KEYS', 'coupon:lock:*'), ['coupon:lock:ü b']);
        assert.equal(await redis.ask('GET', 'coupon:lock:ü b'), 'ann');
        const end = await redis.ask('PEXPIRETIME', 'coupon:lock:ü b');
        assert.equal(end, Date.parse(lockedUntil));
        await client.mustRedeem('ü b', 'ann');
        // A mark without a holder may stay for a while, and come a little after the answer.
        for (const deadline = Date.now() + 10_000; await redis.ask('GET', 'coupon:lock:ü b');) {
            assert.ok(Date.now() < deadline, 'the lock stays');
        }
    });

    it('that lost its locks costs a second lock, never a second redemption', async (t) => {
        const { server, client } = await testServer(t, { data: freshData('redis') });
        await client.newBookWith(['X', 'Y']);
        for (const code of ['X', 'Y']) {
            await client.mustAssign(code, 'ann');
            await client.mustLock(code, 'ann');
        }
        await client.mustRedeem('X', 'ann');
        await server.data.redis.ask('FLUSHALL');
        assertRefused(await client.redeem('X', 'ann'), ...refusals.redeemed);
        assertRefused(await client.redeem('Y', 'ann'), ...refusals.notLocked);
        await client.mustLock('Y', 'ann');
        await client.mustRedeem('Y', 'ann');
    });

    it('can be left, and come back to, while locks live: they are lost, and counted right', async (t) => {
        const { server, client } = await testServer(t, { data: freshData('redis') });
        const { data } = server;
        const alone = new Coupond({ data: new PostgresData({ postgres: data.postgres, database: data.database }) });
        const other = new Client(() => alone.port);
        t.after(() => other.close());
        const codes = ['A', 'B', 'C', 'D'];
        const book = await client.newBookWith(codes);
        const counts = async (from) => (await from.get(`/coupon/${book.id}`)).body.counts;
        const are = (assigned, locked, redeemed) => ({ total: 4, available: 0, assigned, locked, redeemed });
        for (const code of codes) {
            await client.mustAssign(code, 'ann');
            await client.mustLock(code, 'ann');
        }
        await server.stop();
        await alone.start();
        assert.deepEqual(await counts(other), are(4, 0, 0));
        assertRefused(await other.redeem('A', 'ann'), ...refusals.notLocked);
        for (const code of ['A', 'B', 'C']) await other.mustLock(code, 'ann');
        await other.mustRedeem('A', 'ann');
        assert.deepEqual(await counts(other), are(1, 2, 1));
        await data.verify();
        await alone.stop();
        await server.start();
        await data.redis.ask('FLUSHALL');
        assert.deepEqual(await counts(client), are(3, 0, 1));
        await client.mustLock('B', 'ann');
        await client.mustRedeem('B', 'ann');
        await data.verify();
        assert.equal((await client.request('DELETE', '/coupon/users/ann')).status, 200);
        await data.verify();
        await server.stop();
        await alone.start();
        assert.deepEqual(await counts(other), are(1, 1, 2));
        await data.verify();
        await alone.remove();
        await server.start();
    });

    for (const byUrl of [false, true]) {
        for (const tls of [false, true]) {
            const how = `${tls ? ' over TLS' : ''}${byUrl ? ', named by REDIS_URL' : ''}`;
            it(`is used with a password${how}`, async (t) => {
                const redis = await Redis.start({ password: `pass:word/@%'" é`, tls });
                t.after(() => redis.remove());
                const { client } = await testServer(t, {
                    data: new PostgresData({ redis, byUrl }),
                });
                await client.newBookWith(['X']);
                await client.mustAssign('X', 'ann');
                await client.mustLock('X', 'ann');
                assert.equal(await redis.ask('GET', 'coupon:lock:X'), 'ann');
            });
        }
    }

    it('that is down at the start is told of once, and waited for', async (t) => {
        const data = freshData('redis');
        await data.prepare();
        await data.redis.stop();
        const server = new Coupond({ data });
        t.after(() => server.remove());
        const { ready } = await server.startWaiting(/the locks do not work side=changes reason=/);
        const client = new Client(server.port);
        t.after(() => client.close());
        assert.equal((await client.get('/health/ready')).status, 503);
        await client.newBook();
        assert.equal(server.stdout, '');
        assert.equal(server.stderr.match(/the locks do not work/g).length, 1, server.stderr);
        await data.redis.start();
        await ready;
        assert.equal((await client.get('/health/ready')).status, 200);
        assert.match(server.stderr, /the locks work again side=changes/);
    });

    it('that is down stops only what needs a lock, and is found again', async (t) => {
        const { server, client } = await testServer(t, { data: freshData('redis') });
        const { redis } = server.data;
        const book = await client.newBookWith(['X', 'Y']);
        await client.mustAssign('X', 'ann');
        await redis.kill9();
        assert.equal((await client.get('/health/live')).status, 200);
        assert.equal((await client.get('/health/ready')).status, 503);
        for (const answer of [
            await client.lock('X', 'ann'),
            await client.redeem('X', 'ann'),
            await client.unlock('X', 'ann'),
            await client.unassign('X', 'ann'),
            await client.patchCode('X', { active: false }),
            await client.get('/coupon'),
        ]) {
            assertRefused(answer, 503);
        }
        for (const side of ['changes', 'lists']) {
            assert.match(server.stderr, new RegExp(`the locks do not work side=${side} `));
        }
        assert.equal((await client.upload(book.id, ['Z'])).status, 201);
        await client.mustGenerate(book.id, 3);
        const { id } = await client.mustBegin(book.id, 3);
        assert.equal((await client.untilJob(id)).status, 'completed');
        assert.equal((await client.assignAny('bob')).status, 201);
        await client.mustPatchBook(book.id, { name: 'Changed' });
        await client.mustArchive(book.id);
        await client.mustRestore(book.id);
        assert.equal((await client.get('/coupon/events')).status, 200);
        assert.equal((await client.mustValidate('X', 'ann')).valid, true);
        await redis.start();
        for (const deadline = Date.now() + 30_000; ;) {
            if ((await client.get('/health/ready')).status === 200) break;
            assert.ok(Date.now() < deadline, server.stderr);
        }
        await client.mustLock('X', 'ann');
        await client.mustRedeem('X', 'ann');
    });
});
