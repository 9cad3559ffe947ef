// The network between coupond and PostgreSQL fails: connections are cut, stalled and slowed down,
// and, the worst moment, just before or just after the server gets a COMMIT. Whoever is answered is
// told the truth, and nothing happens twice.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { PostgresData, startWithTemplate } from '../support/data.js';
import { testServer } from '../support/harness.js';
import { History } from '../support/history.js';
import { Proxy } from '../support/proxy.js';
import { refusals } from '../support/refusals.js';
import { underLoad } from '../support/under_load.js';

// What coupond waits for an answer, then for what became of a COMMIT; and some time for us.
const boundMs = 12_000;

let postgres;
before(async () => {
    postgres = await startWithTemplate();
});
after(() => postgres?.remove());

/** A proxy before PostgreSQL, and the data behind it. */
async function throughProxy(t) {
    const proxy = await Proxy.start({ to: postgres, protocol: 'postgres' });
    t.after(() => proxy.stop());
    return { proxy, data: new PostgresData({ postgres, through: proxy }) };
}

/** A server behind the proxy, and in it a code that ann has locked. */
async function oneLockedCode(t) {
    const { proxy, data } = await throughProxy(t);
    const { server, client } = await testServer(t, { data });
    const history = new History(client);
    const book = await client.newBook({ maxRedemptionsPerUser: 1 });
    assert.equal((await history.upload(book.id, ['X', 'Y'])).status, 201);
    for (const code of ['X', 'Y']) {
        assert.equal((await history.assign(code, 'ann')).status, 201);
    }
    assert.equal((await history.lock('X', 'ann')).status, 201);
    /** Redeems X; the answer must be there in time. */
    const redeem = async () => {
        const began = Date.now();
        const answer = await history.redeem('X', 'ann');
        const ms = Date.now() - began;
        t.diagnostic(`${answer.status} ${answer.body.code ?? ''} after ${ms} ms`);
        assert.ok(ms < boundMs, `answered after ${ms} ms`);
        return answer;
    };
    /** What the database itself says of X. */
    const isRedeemed = async () => {
        const [row] = await server.data.query(
            "SELECT redeemed_at IS NOT NULL AS redeemed FROM coupon_code WHERE code = 'X'",
        );
        return row.redeemed;
    };
    /** X has been redeemed once, which its user's limit counts, or not at all. */
    const verify = async () => {
        await proxy.heal();
        await client.untilReady();
        await history.verify();
        await server.data.verify();
        const redeemed = await isRedeemed();
        const used = await server.data.query('SELECT redeemed FROM usage_count WHERE redeemed > 0');
        assert.deepEqual(used, redeemed ? [{ redeemed: 1 }] : []);
        if (redeemed) {
            assertRefused(await history.redeem('X', 'ann'), ...refusals.redeemed);
            assertRefused(await history.lock('Y', 'ann'), ...refusals.limitReached);
        } else {
            assert.equal((await history.redeem('X', 'ann')).status, 201);
        }
        await server.data.verify();
        return redeemed;
    };
    return { proxy, redeem, isRedeemed, verify };
}

// At once, for most of it is waiting.
describe('a redemption whose COMMIT', { concurrency: true }, () => {
    for (const [how, options] of [
        ['cutBeforeCommit', {}],
        ['cutAfterCommit', {}],
        ['cutAfterCommit', { early: true }],
        ['cutAfterCommit', { early: true, delayMs: 1_000 }],
    ]) {
        it(`meets ${how} ${JSON.stringify(options)} is done, once`, async (t) => {
            const one = await oneLockedCode(t);
            one.proxy[how](options);
            const answer = await one.redeem();
            assert.equal(answer.status, 201, answer.text);
            assert.equal(one.proxy.acted, 1);
            assert.ok(await one.isRedeemed());
            await one.verify();
        });
    }

    for (const how of ['stallBeforeCommit', 'stallAfterCommit']) {
        it(`meets ${how} is answered with what is true, in time`, async (t) => {
            const one = await oneLockedCode(t);
            one.proxy[how]();
            const answer = await one.redeem();
            const redeemed = await one.verify();
            if (answer.status === 201) assert.ok(redeemed);
            else assertRefused(answer, 503);
            if (answer.body.code === 'unavailable') assert.ok(!redeemed);
            // It has happened, and coupond could ask.
            if (how === 'stallAfterCommit') assert.equal(answer.status, 201, answer.text);
        });
    }

    for (const [how, options] of [
        ['cutBeforeCommit', {}],
        ['cutAfterCommit', {}],
        ['cutAfterCommit', { early: true }],
    ]) {
        it(`meets ${how} ${JSON.stringify(options)} and is refused, is counted once`, async (t) => {
            const { proxy, data } = await throughProxy(t);
            const { client } = await testServer(t, { data });
            await client.newBookWith(['X']);
            await client.mustAssign('X', 'ann');
            proxy[how](options);
            const headers = { 'Idempotency-Key': 'refused' };
            const answer = await client.post('/coupon/redeem/X', { userId: 'bob' }, { headers });
            assertRefused(answer, ...refusals.notAssigned);
            assert.equal(answer.headers['idempotent-replayed'], undefined);
            assert.equal(proxy.acted, 1);
            proxy[how](options);
            assertRefused(await client.redeem('X', 'bob'), ...refusals.notAssigned);
            assert.equal(proxy.acted, 2);
            const { refusals: counted } = (await client.get('/coupon/stats')).body;
            assert.deepEqual(counted, { coupon_not_assigned_to_user: 2 });
        });
    }

    for (const [how, done] of [
        ['cutBeforeCommit', false],
        ['cutAfterCommit', true],
    ]) {
        it(`meets ${how}, and then no server to ask, is in doubt`, async (t) => {
            const one = await oneLockedCode(t);
            one.proxy[how]();
            one.proxy.refuse();
            assertRefused(await one.redeem(), 503, undefined, 'outcome_unknown');
            assert.equal(await one.isRedeemed(), done);
            assert.equal(await one.verify(), done);
        });
    }
});

describe('under load, a network to PostgreSQL', () => {
    it("that cuts connections, at COMMITs too, shows in nobody's answer", async (t) => {
        const { proxy, data } = await throughProxy(t);
        const work = await underLoad(t, { data });
        await work.progress(100);
        const cutting = setInterval(() => proxy.cut(), 60);
        t.after(() => clearInterval(cutting));
        await work.during(1_500);
        clearInterval(cutting);
        await work.progress(100);
        work.assertNoError();
        for (const [how, options] of [
            ['cutBeforeCommit', {}],
            ['cutAfterCommit', {}],
            ['cutAfterCommit', { early: true, delayMs: 20 }],
        ]) {
            const acted = proxy.acted;
            proxy[how]({ probability: 0.3, ...options });
            await work.until(() => proxy.acted >= acted + 8, `${how} under load`);
            await proxy.heal();
            await work.progress(50);
            work.assertNoError();
        }
        await work.check();
        t.diagnostic(`slowest answer ${work.takeSlowestMs()} ms`);
        work.report(t);
    });

    it('that is slow, or stands still for a while, makes answers slower, no more', async (t) => {
        const { proxy, data } = await throughProxy(t);
        const work = await underLoad(t, { data });
        await work.progress(100);
        // The connections that there are; a new one takes some ten exchanges.
        proxy.delay(200);
        await work.progress(30);
        await proxy.heal();
        await work.progress(50);
        proxy.delay(40);
        proxy.cut();
        await work.progress(30);
        await proxy.heal();
        await work.progress(50);
        proxy.stall();
        await work.during(1_500);
        await proxy.heal();
        await work.progress(50);
        t.diagnostic(`slowest answer ${work.takeSlowestMs()} ms`);
        work.assertNoError();
        await work.check();
    });

    it('that stands still for long is over by itself, and nothing is wrong then', async (t) => {
        const { proxy, data } = await throughProxy(t);
        const work = await underLoad(t, { data });
        for (const how of ['stallBeforeCommit', 'stallAfterCommit']) {
            await work.progress(100);
            const acted = proxy.acted;
            proxy[how]();
            await proxy.untilActed(acted + 1);
            await work.progress(100, boundMs + 8_000);
        }
        proxy.stall();
        const refused = work.count(503);
        await work.until(() => work.count(503) > refused, '503 from a stalled database', 20_000);
        await proxy.heal();
        await work.clients[0].untilReady();
        await work.assertHealed(50);
        await work.check();
        t.diagnostic(`slowest answer ${work.takeSlowestMs()} ms`);
        assert.ok(work.takeSlowestMs() < 30_000);
        work.report(t);
    });
});
