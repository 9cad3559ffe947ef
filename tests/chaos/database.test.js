// PostgreSQL is killed, restarted, and ends coupond's sessions, under load: coupond itself goes on,
// and whatever was answered is there afterwards, nothing twice.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { PostgresData, startWithTemplate } from '../support/data.js';
import { underLoad } from '../support/under_load.js';

const kills = 2;
const restarts = 3;
const terminations = 80;

let postgres;
before(async () => {
    // What kill -9 interrupts may have been half of a page.
    postgres = await startWithTemplate({ settings: { full_page_writes: 'on' } });
});
beforeEach(async () => {
    if (!postgres.running) await postgres.start();
});
after(() => postgres?.remove());

/** Asks for lists until what it returns is called, which returns `{asked, refused}`. */
function askForLists(client) {
    let going = true;
    let asked = 0;
    let refused = 0;
    const asking = (async () => {
        while (going) {
            const answer = await client.get('/coupon?limit=10');
            assert.ok(answer.status === 200 || answer.status === 503, answer.text);
            asked += 1;
            if (answer.status === 503) refused += 1;
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    })();
    asking.catch(() => {});
    return async () => {
        going = false;
        await asking;
        return { asked, refused };
    };
}

describe('kill -9 of PostgreSQL under load', () => {
    it(`${kills} times loses nothing, and is over by itself`, async (t) => {
        const work = await underLoad(t, { data: new PostgresData({ postgres }) });
        const { client } = work;
        for (let round = 1; round <= kills; round += 1) {
            await work.progress(150);
            const refused = work.count(503);
            let began = Date.now();
            await postgres.kill9();
            await work.until(() => work.count(503) > refused, '503 without a database', 20_000);
            t.diagnostic(`first 503 after ${Date.now() - began} ms`);
            assert.equal((await client.get('/health/live')).status, 200);
            const { status, body } = await client.get('/health/ready');
            assert.deepEqual([status, body.status], [503, 'database unavailable']);
            // Who asks now is told at once.
            work.takeSlowestMs();
            await work.during(300);
            assert.ok(work.takeSlowestMs() < 3_000);
            await postgres.start();
            began = Date.now();
            await client.untilReady(15_000);
            t.diagnostic(`ready again after ${Date.now() - began} ms`);
            await work.assertHealed();
            await work.check();
            work.start();
        }
        await work.check();
        assert.equal(work.failures, 0);
        work.report(t);
    });

    it('that is back at once makes answers slower, no more', async (t) => {
        const work = await underLoad(t, { data: new PostgresData({ postgres }) });
        for (let round = 1; round <= restarts; round += 1) {
            await work.progress(100);
            const began = Date.now();
            await postgres.kill9();
            await postgres.start();
            const ms = Date.now() - began;
            await work.progress(100);
            t.diagnostic(`away for ${ms} ms, slowest answer ${work.takeSlowestMs()} ms`);
            if (ms > 3_000) t.diagnostic('too long for answers that are only slower');
            else work.assertNoError();
        }
        await work.check();
    });
});

describe('a restart of PostgreSQL under load', () => {
    it(`${restarts} times: slower answers, no error`, async (t) => {
        const work = await underLoad(t, { data: new PostgresData({ postgres }) });
        let slow = false;
        for (let round = 1; round <= restarts; round += 1) {
            await work.progress(150);
            work.takeSlowestMs();
            const stopLists = askForLists(work.client);
            const began = Date.now();
            await postgres.restart();
            const ms = Date.now() - began;
            slow ||= ms > 3_000;
            await work.progress(100);
            const lists = await stopLists();
            t.diagnostic(`away for ${ms} ms, slowest answer ${work.takeSlowestMs()} ms`);
            if (!slow) {
                work.assertNoError();
                assert.equal(lists.refused, 0, 'lists were refused');
            }
            await work.assertHealed(50);
        }
        await work.check();
    });
});

describe('pg_terminate_backend of all sessions under load', () => {
    it(`${terminations} times: no error, and work goes on`, async (t) => {
        const work = await underLoad(t, { data: new PostgresData({ postgres }) });
        await work.progress(100);
        const stopLists = askForLists(work.client);
        const before = work.count(201);
        // In the same time a slow machine does less, so it may take more of them.
        let done = 0;
        for (let rounds = 0; done <= terminations && rounds < 10; rounds += 1) {
            await postgres.execute(
                null,
                `DO $$ BEGIN
                    FOR i IN 1..${terminations} LOOP
                        PERFORM pg_stat_clear_snapshot();
                        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE application_name = 'coupond';
                        PERFORM pg_sleep(0.05);
                    END LOOP;
                END $$`,
            );
            done = work.count(201) - before;
        }
        t.diagnostic(`${done} changes meanwhile, slowest answer ${work.takeSlowestMs()} ms`);
        assert.ok(done > terminations, `only ${done} changes`);
        await work.progress(100);
        const lists = await stopLists();
        work.assertNoError();
        await work.check();
        // A list is asked for on another connection a few times, then given up.
        t.diagnostic(`${lists.refused} of ${lists.asked} lists were refused`);
        assert.ok(lists.refused * 4 < lists.asked, 'lists were refused');
        assertRefused(await work.client.redeem('nothing', 'ann'), 404);
        work.report(t);
    });
});
