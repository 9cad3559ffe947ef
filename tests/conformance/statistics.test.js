// GET /coupon/:id/stats and GET /coupon/stats: figures of what happened, exact at any time.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { pause } from '../support/lives.js';
import { suiteServer, testServer } from '../support/harness.js';

const quarter = 900_000;

async function stats(client, path) {
    const { status, body, text } = await client.get(path);
    assert.equal(status, 200, text);
    return body;
}

/** The sums of a series, without its times and currencies. */
function summed(series) {
    const sums = {};
    for (const { from, discounts, ...figures } of series) {
        assert.deepEqual(discounts, []);
        for (const [name, figure] of Object.entries(figures)) {
            sums[name] = (sums[name] ?? 0) + figure;
        }
    }
    return sums;
}

describe('GET /coupon/:id/stats', () => {
    it('tells how many codes have come how far, and what was refused', async (t) => {
        const { client } = await testServer(t, { args: ['--lock-ttl-seconds', '3600'] });
        const book = await client.newBookWith(numbered('C-', 10), { discountAmount: 7.5 });
        const other = await client.newBookWith(['other']);
        for (const code of numbered('C-', 10).slice(0, 6)) await client.mustAssign(code, 'ann');
        for (const code of numbered('C-', 10).slice(0, 4)) await client.mustLock(code, 'ann');
        for (const code of numbered('C-', 10).slice(0, 3)) await client.mustRedeem(code, 'ann');
        const [redeemed, , , locked, assigned] = numbered('C-', 10);
        const post = (path, body) => client.post(path, body);
        for (const code of [redeemed, redeemed]) await post(`/coupon/redeem/${code}`, { userId: 'ann' });
        await post(`/coupon/lock/${locked}`, { userId: 'ann' });
        await post(`/coupon/lock/${assigned}`, { userId: 'bob' });
        await post('/coupon/lock/none', { userId: 'bob' });
        await post('/coupon/lock/none', {}); // no rule has refused that

        const own = await stats(client, `/coupon/${book.id}/stats`);
        assert.deepEqual(own.totals, {
            total: 10,
            available: 4,
            assigned: 2,
            locked: 1,
            redeemed: 3,
            rolledBack: 0,
            discount: 22.5,
            discounts: [],
        });
        assert.deepEqual(own.funnel, [
            { status: 'free', codes: 10, rate: null },
            { status: 'assigned', codes: 6, rate: 0.6 },
            { status: 'locked', codes: 4, rate: 0.6667 },
            { status: 'redeemed', codes: 3, rate: 0.75 },
        ]);
        const refusals = {
            coupon_already_locked: 1,
            coupon_already_redeemed: 2,
            coupon_not_assigned_to_user: 1,
        };
        assert.deepEqual(own.refusals, refusals);
        const came = { uploaded: 10, generated: 0 };
        const sums = { ...came, assigned: 6, locked: 4, redeemed: 3, rolledBack: 0 };
        assert.deepEqual(summed(own.series), { ...sums, discount: 22.5, refused: 4 });
        assert.equal(own.series.length, 30);
        assert.equal(own.bucket, 'day');
        assert.equal(own.timeZone, 'UTC');

        const all = await stats(client, '/coupon/stats');
        assert.deepEqual(all.totals, { ...own.totals, total: 11, available: 5 });
        assert.deepEqual(all.refusals, { ...refusals, coupon_not_found: 1 });
        assert.deepEqual(summed(all.series), { ...sums, uploaded: 11, discount: 22.5, refused: 5 });
        const empty = await stats(client, `/coupon/${other.id}/stats`);
        assert.deepEqual(empty.refusals, {});
        assert.deepEqual(empty.funnel[1], { status: 'assigned', codes: 0, rate: 0 });
        assert.deepEqual(empty.funnel[3], { status: 'redeemed', codes: 0, rate: null });
        const listed = (await client.get(`/coupon/${book.id}`)).body.counts;
        for (const [name, count] of Object.entries(listed)) assert.equal(own.totals[name], count);
    });

    it('counts a code once as locked, however often it was', async (t) => {
        const { client } = await testServer(t, { args: ['--lock-ttl-seconds', '1'] });
        const book = await client.newBookWith(['A', 'B']);
        for (const code of ['A', 'B']) await client.mustAssign(code, 'ann');
        for (let times = 1; times <= 3; times += 1) {
            const { lockedUntil } = await client.mustLock('A', 'ann');
            const { totals, funnel, series } = await stats(client, `/coupon/${book.id}/stats`);
            assert.equal(totals.locked, 1);
            assert.equal(funnel[2].codes, 1);
            assert.equal(summed(series).locked, times);
            await pause(Date.parse(lockedUntil) - Date.now() + 50);
        }
        const { totals, funnel } = await stats(client, `/coupon/${book.id}/stats`);
        assert.deepEqual([totals.assigned, totals.locked, funnel[2].codes], [2, 0, 1]);
        await client.mustLock('A', 'ann');
        await client.mustRedeem('A', 'ann');
        assert.equal((await stats(client, `/coupon/${book.id}/stats`)).funnel[2].codes, 1);
    });

    it('does not count a request that is repeated with its key', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBookWith(['A']);
        const headers = { 'Idempotency-Key': 'k' };
        for (let times = 0; times < 3; times += 1) {
            await client.post('/coupon/lock/A', { userId: 'ann' }, { headers });
        }
        const { refusals } = await stats(client, `/coupon/${book.id}/stats`);
        assert.deepEqual(refusals, { coupon_not_assigned_to_user: 1 });
    });

    it('shows what happened by hour and day of a zone', async (t) => {
        const { server, client } = await testServer(t);
        const book = await client.newBookWith(['A']);
        // Two days as if: one redemption a quarter of an hour over the end of summer time.
        const first = Date.parse('2026-10-24T22:00:00Z'); // Berlin's midnight
        const [slot, none] = server.data.backend === 'sqlite' ? ['', ''] : ['slot, ', '0, '];
        const rows = Array.from(
            { length: 49 * 4 },
            (_, index) => `(${book.id}, ${first + index * quarter}, ${none}0, 0, 0, 1, 100)`,
        );
        await server.data.execute(
            `INSERT INTO activity_count (book_id, since, ${slot}uploaded, assigned, locked, redeemed,
                discount_cents) VALUES ${rows}`,
        );
        server.data.damaged = true; // the ledger knows nothing of it
        const path = `/coupon/${book.id}/stats?timeZone=Europe/Berlin`;
        const days = await stats(client, `${path}&from=2026-10-24&to=2026-10-28`);
        assert.deepEqual(
            days.series.map(({ from, redeemed, discount }) => [from, redeemed, discount]),
            [
                ['2026-10-23T22:00:00.000Z', 0, 0],
                ['2026-10-24T22:00:00.000Z', 100, 100],
                ['2026-10-25T23:00:00.000Z', 96, 96],
                ['2026-10-26T23:00:00.000Z', 0, 0],
            ],
        );
        assert.deepEqual([days.from, days.to], ['2026-10-23T22:00:00.000Z', '2026-10-27T23:00:00.000Z']);
        const hours = await stats(client, `${path}&bucket=hour&from=2026-10-25&to=2026-10-26`);
        assert.deepEqual(
            hours.series.map(({ redeemed }) => redeemed),
            Array(25).fill(4),
        );
        // An hour and a day are shown whole, whatever lies in them is asked for.
        const inHour = `${path}&bucket=hour&from=2026-10-25T10:20:00Z&to=2026-10-25T10:20:01Z`;
        const part = await stats(client, inHour);
        assert.deepEqual([part.from, part.to, part.series.length],
            ['2026-10-25T10:00:00.000Z', '2026-10-25T11:00:00.000Z', 1]);
        const quarterly = await stats(client,
            `/coupon/${book.id}/stats?timeZone=Asia/Kathmandu&bucket=hour&from=2026-10-25&to=2026-10-26`);
        assert.equal(quarterly.from, '2026-10-24T18:15:00.000Z');
        assert.equal(summed(quarterly.series).redeemed, 81);
        const ever = await stats(client, `${path}&from=2026-10-01&to=2026-12-31`);
        assert.equal(summed(ever.series).redeemed, 196);
        assert.equal((await stats(client, `/coupon/${book.id}/stats?bucket=hour`)).series.length, 48);
    });

    const suite = suiteServer();
    it('is refused by name where it cannot be', async () => {
        const { client } = suite;
        const book = await client.newBook();
        const time =
            'must be a date or a time of the years 2000 to 9998, with its offset from UTC, such as ' +
            '2026-11-22, 2026-11-22T14:00:00Z or 2026-11-22T15:00:00%2B01:00';
        const zone = 'timeZone must be one of the IANA database, such as Europe/Berlin, or UTC';
        for (const [query, ...messages] of [
            ['bucket=week', 'bucket must be hour or day'],
            ...[
                'Mars',
                '../../etc/passwd',
                'Europe//Berlin',
                'posix/Europe/Berlin',
                'right/Europe/Berlin',
                'localtime',
                'posixrules',
                'Factory',
                'Europe/Berlin/',
            ].map((name) => [`timeZone=${name}`, zone]),
            ...[
                '2026-01-2%09',
                '2026-01-02T00:00:00Z%0A',
                '2026-01-02T1:00:00Z',
                '2026-01-02T00:00:00%2B01',
                '2026-01-02T00:00:00%2B0100',
                '2026-01-02T00:00:00.Z',
                '2026-01-02T00:00:00+01:00',
                '2026-01-02T00:00:00',
                '2026-02-30',
            ].map((text) => [`from=${text}`, `from ${time}`]),
            ['from=now&to=2026', `from ${time}`, `to ${time}`],
            ['from=1969-12-31', `from ${time}`],
            ['to=9999-12-31', `to ${time}`],
            ['from=2026-11-22&to=2026-11-22', 'from must lie before to'],
            ['from=2000-01-01&to=2026-11-22', 'from and to must lie at most 1000 of the buckets apart'],
            ['from=2026-01-01&bucket=hour', 'from and to must lie at most 1000 of the buckets apart'],
            ['bucket=day&bucket=day', 'bucket must be given once'],
            ['limit=1', 'limit is not known'],
        ]) {
            for (const path of [`/coupon/${book.id}/stats`, '/coupon/stats']) {
                const answer = await client.get(`${path}?${query}`);
                assert.equal(answer.status, 400, `${query}: ${answer.text}`);
                if (query === 'limit=1') continue;
                assertRefused(answer, 400, messages, 'validation_failed');
            }
        }
        assertRefused(await client.get('/coupon/999999/stats'), 404, 'Coupon book not found', 'coupon_book_not_found');
        assertRefused(await client.get('/coupon/x/stats'), 400, ['id must be a positive integer'], 'validation_failed');
    });
});
