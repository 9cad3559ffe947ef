// Redis fails under load: it is killed, stands still, loses everything, takes no changes. What
// needs no lock goes on, what needs one is refused in time, and nothing is ever redeemed twice.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { PostgresData } from '../support/data.js';
import { Proxy } from '../support/proxy.js';
import { Redis } from '../support/redis.js';
import { underLoad } from '../support/under_load.js';

// What coupond waits for Redis is one second.
const promptMs = 4_000;

/** A load on a Redis of the test's own, through a proxy. */
async function loadOnRedis(t, options = {}) {
    const redis = await Redis.start();
    const proxy = await Proxy.start({ to: redis });
    t.after(() => {
        if (redis.running) redis.signal('SIGCONT');
    });
    const data = new PostgresData({ redis, redisThrough: proxy });
    const work = await underLoad(t, { data, ...options });
    t.after(async () => {
        proxy.stop();
        await redis.remove();
    });
    const { client, history } = work;
    const book = await client.newBook();
    assert.equal((await history.upload(book.id, ['HELD', 'FREE'])).status, 201);
    assert.equal((await history.assign('HELD', 'ann')).status, 201);
    return { redis, proxy, work, book };
}

/** The answer, which has to be there soon. */
async function promptly(t, what, ask) {
    const began = Date.now();
    const answer = await ask();
    const ms = Date.now() - began;
    t.diagnostic(`${what}: ${answer.status} after ${ms} ms`);
    assert.ok(ms < promptMs, `${what} was answered after ${ms} ms`);
    return answer;
}

let made = 0;

/** What is answered while locks cannot be had; `lists` and `certain` where they still can. */
async function assertLocksUnavailable(t, { work, book }, { lists = 503, certain = 503 } = {}) {
    const { client, history } = work;
    await work.until(() => work.code('unavailable') > 0, '503 without locks', 20_000);
    const ready = await promptly(t, 'ready', () => client.get('/health/ready'));
    assert.deepEqual([ready.status, ready.body.status], [503, 'locks unavailable']);
    const lock = await promptly(t, 'lock', () => history.lock('HELD', 'ann'));
    assertRefused(lock, 503, undefined, 'unavailable');
    assert.equal(lock.headers['retry-after'], '1');
    const assigned = await promptly(t, 'assign this', () => history.assign('HELD', 'ann'));
    assert.equal(assigned.status, certain, assigned.text);
    if (certain === 503) {
        const redeemed = await promptly(t, 'redeem', () => history.redeem('HELD', 'ann'));
        assertRefused(redeemed, 503, undefined, 'unavailable');
    }
    const list = await promptly(t, 'list', () => client.get('/coupon?limit=5'));
    assert.equal(list.status, lists, list.text);
    const codes = [`MADE-${(made += 1)}`];
    for (const [what, ask] of [
        ['book', () => client.post('/coupon', { name: 'More', codePattern: 'M-{6}' })],
        ['upload', () => history.upload(book.id, codes)],
        ['assign any', () => history.assignAny('bob')],
    ]) {
        const answer = await promptly(t, what, ask);
        assert.equal(answer.status, 201, answer.text);
    }
    assert.equal((await client.get('/health/live')).status, 200);
    await work.progress(20);
}

/** Locks can be had again, by itself. */
async function assertLocksAvailable({ work }) {
    await work.clients[0].untilReady(15_000);
    await work.assertHealed(150);
    await work.check();
    work.start();
}

describe('Redis under load', () => {
    it('that is killed and comes back empty', async (t) => {
        const on = await loadOnRedis(t, { losesLocks: true });
        for (let round = 1; round <= 2; round += 1) {
            await on.work.progress(200);
            await on.redis.kill9();
            await assertLocksUnavailable(t, on);
            await on.redis.start();
            await assertLocksAvailable(on);
        }
        await on.work.check();
        assert.equal(on.work.failures, 0);
        on.work.report(t);
    });

    it('that is restarted at once leaves some locks in doubt, no more', async (t) => {
        const { redis, work } = await loadOnRedis(t, { losesLocks: true });
        let slow = false;
        for (let round = 1; round <= 3; round += 1) {
            await work.progress(100);
            const began = Date.now();
            await redis.kill9();
            await redis.start();
            const ms = Date.now() - began;
            slow ||= ms > 500;
            await work.progress(100);
            t.diagnostic(`away for ${ms} ms, slowest answer ${work.takeSlowestMs()} ms`);
        }
        await work.check();
        assert.equal(work.failures, 0);
        if (!slow) assert.equal(work.code('unavailable'), 0, work.said());
    });

    it('that loses everything again and again', async (t) => {
        const { redis, work } = await loadOnRedis(t, { losesLocks: true });
        for (let round = 1; round <= 15; round += 1) {
            await work.progress(50);
            await redis.ask('FLUSHALL');
        }
        await work.progress(100);
        await work.check();
        work.assertNoError();
        work.report(t);
    });

    it('that forgets its scripts again and again', async (t) => {
        const { redis, work } = await loadOnRedis(t);
        for (let round = 1; round <= 20; round += 1) {
            await work.progress(15);
            await redis.ask('SCRIPT', 'FLUSH');
        }
        await work.check();
        work.assertNoError();
    });

    for (const [how, stall, goOn] of [
        [
            'that stands still',
            ({ redis }) => redis.signal('SIGSTOP'),
            ({ redis }) => redis.signal('SIGCONT'),
        ],
        ['that cannot be reached', ({ proxy }) => proxy.stall(), ({ proxy }) => proxy.heal()],
    ]) {
        it(how, async (t) => {
            const on = await loadOnRedis(t);
            await on.work.progress(200);
            stall(on);
            await assertLocksUnavailable(t, on);
            await goOn(on);
            await assertLocksAvailable(on);
            on.work.report(t);
        });
    }

    it('whose connections are cut again and again', async (t) => {
        const { proxy, work } = await loadOnRedis(t);
        await work.progress(100);
        const cutting = setInterval(() => proxy.cut(), 60);
        t.after(() => clearInterval(cutting));
        await work.during(1_500);
        clearInterval(cutting);
        await work.progress(100);
        await work.check();
        assert.equal(work.code('unavailable'), 0, work.said());
        assert.equal(work.failures, 0);
        work.report(t);
    });

    for (const [how, begin, end] of [
        [
            'that has become a replica',
            ['REPLICAOF', '127.0.0.1', '1'],
            ['REPLICAOF', 'NO', 'ONE'],
        ],
        [
            'that is out of memory',
            ['CONFIG', 'SET', 'maxmemory', '1'],
            ['CONFIG', 'SET', 'maxmemory', '0'],
        ],
    ]) {
        it(`${how}, and takes no changes`, async (t) => {
            const on = await loadOnRedis(t);
            await on.work.progress(200);
            await on.redis.ask(...begin);
            await assertLocksUnavailable(t, on, { lists: 200, certain: 201 });
            await on.redis.ask(...end);
            await assertLocksAvailable(on);
            on.work.report(t);
        });
    }
});
