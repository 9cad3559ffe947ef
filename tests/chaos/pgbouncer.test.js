// A PgBouncer in transaction mode between coupond and PostgreSQL, under load: it is restarted, and
// PostgreSQL is killed behind it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PostgresData, startWithTemplate } from '../support/data.js';
import { PgBouncer } from '../support/pgbouncer.js';
import { underLoad } from '../support/under_load.js';

let postgres;
let bouncer;
before(async () => {
    postgres = await startWithTemplate({ settings: { full_page_writes: 'on' } });
    // How long it waits, after PostgreSQL refused a connection, until it tries again.
    bouncer = await PgBouncer.start({ postgres, settings: { server_login_retry: 1 } });
});
after(async () => {
    await bouncer?.remove();
    await postgres?.remove();
});

describe('under load, a PgBouncer', () => {
    it('that is restarted makes answers slower, no more', async (t) => {
        const work = await underLoad(t, { data: new PostgresData({ postgres, through: bouncer }) });
        await work.progress(300);
        for (let round = 1; round <= 2; round += 1) {
            const began = Date.now();
            await bouncer.kill9();
            await bouncer.start();
            const ms = Date.now() - began;
            await work.progress(100);
            t.diagnostic(`away for ${ms} ms, slowest answer ${work.takeSlowestMs()} ms`);
            assert.equal(work.code('unavailable'), 0, work.said());
        }
        await work.check();
        assert.equal(work.failures, 0);
        work.report(t);
    });

    it('whose PostgreSQL is killed, and comes back, serves again by itself', async (t) => {
        const work = await underLoad(t, { data: new PostgresData({ postgres, through: bouncer }) });
        await work.progress(200);
        const refused = work.count(503);
        await postgres.kill9();
        await work.until(() => work.count(503) > refused, '503 without a database', 20_000);
        await postgres.start();
        await work.client.untilReady(30_000);
        await work.assertHealed(100);
        await work.check();
        t.diagnostic(`slowest answer ${work.takeSlowestMs()} ms`);
        work.report(t);
    });
});
