// coupond is started before its database, or its Redis: it listens, says that it is not ready, and
// serves by itself as soon as they are there.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertRefused, Client } from '../support/client.js';
import { Coupond } from '../support/coupond.js';
import { PostgresData, startWithTemplate } from '../support/data.js';
import { Redis } from '../support/redis.js';

const boundMs = 8_000;

let postgres;
before(async () => {
    postgres = await startWithTemplate();
});
after(() => postgres?.remove());

/**
 * A Coupond that waits for its database, stopped: a client of it, and `started`, which is fulfilled
 * when it says that it is ready.
 */
async function startWaiting(t, data) {
    await data.prepare();
    await postgres.stop();
    const server = new Coupond({ data });
    t.after(async () => {
        if (!postgres.running) await postgres.start();
        await server.remove();
    });
    const { ready: started } = await server.startWaiting(/waiting for the database/);
    const client = new Client(server.port);
    t.after(() => client.close());
    return { server, client, started };
}

async function assertWaiting({ server, client }) {
    assert.equal((await client.get('/health/live')).status, 200);
    const ready = await client.get('/health/ready');
    assert.deepEqual([ready.status, ready.body.status], [503, 'database unavailable']);
    for (const ask of [
        () => client.post('/coupon', { name: 'Early', codePattern: 'E-{6}' }),
        () => client.assign('E-1', 'ann'),
        () => client.get('/coupon'),
    ]) {
        const began = Date.now();
        assertRefused(await ask(), 503, undefined, 'unavailable');
        assert.ok(Date.now() - began < boundMs, `answered after ${Date.now() - began} ms`);
    }
    assert.equal(server.stdout, '');
}

describe('coupond started before its PostgreSQL', () => {
    it('answers 503 until that is there, and then serves', async (t) => {
        const waiting = await startWaiting(t, new PostgresData({ postgres }));
        await assertWaiting(waiting);
        await postgres.start();
        await waiting.started;
        assert.match(waiting.server.stderr, /the database answers now/);
        await waiting.client.untilReady(5_000);
        const book = await waiting.client.newBookWith(['E-1']);
        await waiting.client.mustAssign('E-1', 'ann');
        assert.equal((await waiting.client.bookWithCodes(book.id)).counts.assigned, 1);
    });

    it('ends on SIGTERM while it waits, with code 0', async (t) => {
        const waiting = await startWaiting(t, new PostgresData({ postgres }));
        const began = Date.now();
        waiting.server.signal('SIGTERM');
        await waiting.server.exitsCleanly();
        assert.ok(Date.now() - began < 5_000, `it took ${Date.now() - began} ms`);
        await assert.rejects(waiting.started, /ended before it was ready/);
    });

    it('ends with what to do where that turns out to have no schema', async (t) => {
        const database = await postgres.createEmptyDatabase();
        const waiting = await startWaiting(t, new PostgresData({ postgres, database }));
        await postgres.start();
        await assert.rejects(waiting.started, /ended before it was ready/);
        assert.match(waiting.server.stderr, /coupond migrate/);
        await waiting.server.ended();
    });
});

describe('coupond started before its Redis', () => {
    it('does without until that is there, and then locks', async (t) => {
        const redis = await Redis.start();
        await redis.stop();
        const data = new PostgresData({ postgres, redis });
        const server = new Coupond({ data });
        const { ready: started } = await server.startWaiting(/the locks do not work/);
        const client = new Client(server.port);
        t.after(async () => {
            client.close();
            await server.remove();
            await redis.remove();
        });
        const ready = await client.get('/health/ready');
        assert.deepEqual([ready.status, ready.body.status], [503, 'locks unavailable']);
        await client.newBookWith(['L-1']);
        const given = await client.assignAny('ann');
        assert.equal(given.status, 201);
        assertRefused(await client.lock('L-1', 'ann'), 503, undefined, 'unavailable');
        assert.equal(server.stdout, '');
        await redis.start();
        await started;
        await client.untilReady(15_000);
        await client.mustLock('L-1', 'ann');
        await client.mustRedeem('L-1', 'ann');
    });
});
