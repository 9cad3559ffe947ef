// Locks with keys, taken, extended, used and given back at once: each lock is that of one key.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inParallel, tally, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { entriesOf, verifyServer } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';

const width = 32;
const codeOf = ({ status, body }) => (status === 201 ? 'ok' : body.code);
const call = async (client, what, code, userId, lockKey) =>
    codeOf(await client.post(`/coupon/${what}/${code}`, { userId, lockKey }));

describe('locks with keys', () => {
    it('are taken by one key of many', async (t) => {
        const { server, client } = await testServer(t);
        const codes = Array.from({ length: 12 }, (_, i) => `MANY-${i}`);
        await client.newBookWith(codes);
        for (const code of codes) {
            await client.mustAssign(code, 'ann');
            const keys = Array.from({ length: width }, (_, i) => `key-${i % 8}`);
            const locks = await inParallel(keys, width, (key) =>
                call(client, 'lock', code, 'ann', key),
            );
            const winners = new Set(keys.filter((_, i) => locks[i] === 'ok'));
            assert.equal(winners.size, 1, `${code} is locked by ${[...winners]}`);
            // All who came with that key have the lock.
            const [winner] = winners;
            for (const [i, key] of keys.entries()) {
                assert.equal(locks[i], key === winner ? 'ok' : 'coupon_already_locked');
            }
            const redeemed = await inParallel(keys, width, (key) =>
                call(client, 'redeem', code, 'ann', key),
            );
            for (const [i, key] of keys.entries()) {
                if (redeemed[i] === 'ok') assert.equal(key, winner);
            }
            assert.equal(redeemed.filter((answer) => answer === 'ok').length, 1);
        }
        await verifyServer(t, server, client);
    });

    it('are one lock, however many extend it at once', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBookWith(['ONE']);
        await client.mustAssign('ONE', 'ann');
        const asked = Array.from({ length: 64 });
        const locks = await inParallel(asked, width, () =>
            client.post('/coupon/lock/ONE', { userId: 'ann', lockKey: 'k' }),
        );
        assert.deepEqual(tallyStatus(locks), { 201: 64 });
        const last = Math.max(...locks.map(({ body }) => Date.parse(body.lockedUntil)));
        const { lockedUntil } = (await client.get('/coupon/code/ONE')).body;
        assert.equal(Date.parse(lockedUntil), last);
        const entries = await entriesOf(client, 66, { code: 'ONE' });
        const taken = entries.filter(
            ({ type, before }) => type === 'code_locked' && before.status === 'assigned',
        );
        assert.equal(taken.length, 1);
        const { series } = (await client.get(`/coupon/${id}/stats`)).body;
        assert.equal(series.reduce((sum, { locked }) => sum + locked, 0), 1);
        await verifyServer(t, server, client);
    });

    for (const [what, isOpen] of [['codes of users', false], ['an open code', true]]) {
        it(`on ${what} are extended, used and given back at random`, async (t) => {
            const { server, client } = await testServer(t);
            const random = seededRandom();
            const codes = isOpen ? ['OPEN'] : Array.from({ length: 20 }, (_, i) => `OWN-${i}`);
            const open = { assignment: 'open', maxRedemptionsPerCode: 60 };
            await client.newBookWith(codes, { lockTtlSeconds: 1, ...(isOpen ? open : {}) });
            if (!isOpen) for (const code of codes) await client.mustAssign(code, 'ann');
            const steps = Array.from({ length: 1_200 }, () => [
                random.pick(['lock', 'lock', 'lock', 'lock', 'unlock', 'redeem']),
                random.pick(codes),
                isOpen ? random.pick(['ann', 'bob', 'cid', 'dan']) : 'ann',
                random.pick(['k1', 'k1', 'k1', 'k2', undefined]),
            ]);
            const told = await inParallel(
                steps,
                width,
                async (step) => `${step[0]} ${await call(client, ...step)}`,
            );
            t.diagnostic(JSON.stringify(tally(told)));
            const fine =
                /^lock (ok|coupon_already_locked)$|^unlock (ok|lock_key_mismatch)$|^redeem (ok|coupon_not_locked|lock_key_mismatch)$| coupon_already_redeemed$| coupon_redemption_limit_reached$/;
            for (const answer of told) assert.match(answer, fine);
            await verifyServer(t, server, client);
        });
    }
});
