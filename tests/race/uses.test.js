// One code that many users lock and redeem at once, and give back: never more often than it may be, and
// at the end exactly as often where more is wanted.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inParallel, numbered, tally, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { verifyServer } from '../support/ledger.js';
import { seededRandom } from '../support/random.js';

const width = 64;
const open = (client, code, members) =>
    client.newBookWith([code], { assignment: 'open', maxRedemptionsPerCode: null, ...members });
const shown = async (client, code) => (await client.get(`/coupon/code/${code}`)).body;
const codeOf = ({ status, body }) => (status === 201 ? 'ok' : body.code);

/** Locks and redeems; how the last of it was answered. */
async function use(client, code, user, order) {
    const locked = await client.lock(code, user);
    return codeOf(locked.status === 201 ? await client.redeem(code, user, order) : locked);
}

describe('many users of one open code', () => {
    const discount = { type: 'amount', value: 5, currency: 'EUR' };
    for (const [what, members, refusal] of [
        ['of the code', { maxRedemptionsPerCode: 50 }, 'coupon_redemption_limit_reached'],
        ['of the book', { maxRedemptions: 50 }, 'redemption_limit_reached'],
        ['of the budget', { budget: 250, discount }, 'budget_exhausted'],
        [
            'of the day',
            { limits: { day: { maxRedemptions: 50 } }, timeZone: 'Etc/GMT+12' },
            'redemption_limit_reached',
        ],
    ]) {
        it(`redeem it exactly as often as the limit ${what} lets them`, async (t) => {
            const { server, client } = await testServer(t);
            await open(client, 'HOT', members);
            const left = numbered('user-', 200);
            const answers = [];
            // Who finds all that is left locked asks again.
            for (let round = 0; left.length > 0 && round < 50; round += 1) {
                const asking = left.splice(0);
                await inParallel(asking, width, async (user) => {
                    const answer = await use(client, 'HOT', user);
                    if (answer === 'coupon_already_locked') left.push(user);
                    else answers.push(answer);
                });
            }
            assert.deepEqual(tally(answers), { ok: 50, [refusal]: 150 });
            assert.equal((await shown(client, 'HOT')).redemptionCount, 50);
            await verifyServer(t, server, client);
        });
    }

    it('find what is taken back, and no more, of the limits of its book', async (t) => {
        const { server, client } = await testServer(t);
        const limits = { maxRedemptions: 30, budget: 100, discount, maxRedemptionsPerUser: 3 };
        await open(client, 'HOT', limits);
        const random = seededRandom();
        const standing = [];
        const told = await inParallel(numbered('step-', 600), width, async () => {
            const step = random.below(100);
            if (step < 25 && standing.length > 0) {
                return `roll back ${codeOf(await client.rollBack(standing.shift()))}`;
            }
            if (step < 30) {
                const maxRedemptions = random.pick([null, 5 + random.below(40)]);
                return `edit ${(await client.patchCode('HOT', { maxRedemptions })).status}`;
            }
            const user = `user-${random.below(24)}`;
            await client.lock('HOT', user);
            const { status, body } = await client.redeem('HOT', user);
            if (status === 201) standing.push(body.redemption.id);
            return codeOf({ status, body });
        });
        t.diagnostic(JSON.stringify(tally(told)));
        for (const answer of told) {
            assert.match(
                answer,
                /ok$|^edit 200$|not_locked|already_redeemed|limit_reached|budget_exhausted/,
            );
        }
        assert.ok(standing.length <= 20, `${standing.length} of 20 that the budget pays for`);
        // All that is left of it, and not one more; a lock that did not come to a redemption counts.
        await client.mustPatchCode('HOT', { maxRedemptions: null });
        for (const user of numbered('user-', 24)) await client.unlock('HOT', user);
        const answers = await inParallel(numbered('other-', 40), width, (user) =>
            use(client, 'HOT', user),
        );
        const left = 20 - standing.length;
        assert.deepEqual(
            tally(answers),
            left > 0 ? { ok: left, budget_exhausted: 40 - left } : { budget_exhausted: 40 },
        );
        await verifyServer(t, server, client);
    });

    it('each redeem it as often as the limit of a user lets them', async (t) => {
        const { server, client } = await testServer(t);
        await open(client, 'HOT', { maxRedemptionsPerUser: 2 });
        const users = numbered('user-', 12);
        const asked = users.flatMap((user) => Array.from({ length: 12 }, () => user));
        await inParallel(asked, width, (user) => use(client, 'HOT', user));
        for (const user of users) await use(client, 'HOT', user);
        const entries = await verifyServer(t, server, client);
        const redeemed = entries.filter(({ type }) => type === 'code_redeemed');
        for (const user of users) {
            assert.equal(redeemed.filter(({ userId }) => userId === user).length, 2, user);
        }
    });

    it('lock no more than is left of it', async (t) => {
        const { server, client } = await testServer(t);
        await open(client, 'HOT', { maxRedemptionsPerCode: 10 });
        const users = numbered('user-', 100);
        const locks = await inParallel(users, width, (user) => client.lock('HOT', user));
        assert.deepEqual(tallyStatus(locks), { 201: 10, 409: 90 });
        const holders = users.filter((_, i) => locks[i].status === 201);
        await inParallel(holders.slice(0, 5), width, (user) => client.mustUnlock('HOT', user));
        const again = await inParallel(users, width, (user) => client.lock('HOT', user));
        assert.equal(again.filter(({ status }) => status === 201).length, 5);
        await verifyServer(t, server, client);
    });

    it('redeem it for the same order once', async (t) => {
        const { server, client } = await testServer(t);
        await open(client, 'HOT', { discount });
        for (const user of numbered('user-', 8)) {
            await client.mustLock('HOT', user);
            const order = { id: `order of ${user}`, amount: 20, currency: 'EUR' };
            const asked = Array.from({ length: 16 });
            const answers = await inParallel(asked, 16, () => client.redeem('HOT', user, order));
            assert.deepEqual(tallyStatus(answers), { 201: 16 });
            assert.equal(new Set(answers.map(({ body }) => body.redemption.id)).size, 1);
        }
        assert.equal((await shown(client, 'HOT')).redemptionCount, 8);
        await verifyServer(t, server, client);
    });

    it('lock, unlock, redeem and give back at random, while its limit changes', async (t) => {
        const { server, client } = await testServer(t);
        const random = seededRandom();
        const { id } = await open(client, 'HOT', { maxRedemptionsPerCode: 20, discount });
        const users = numbered('user-', 24);
        const standing = [];
        const steps = Array.from({ length: 1_500 }, () => [random.below(100), random.pick(users)]);
        const told = await inParallel(steps, width, async ([step, user]) => {
            if (step < 40) return `lock ${codeOf(await client.lock('HOT', user))}`;
            if (step < 75) {
                const answer = await client.redeem('HOT', user);
                if (answer.status === 201) standing.push(answer.body.redemption.id);
                return `redeem ${codeOf(answer)}`;
            }
            if (step < 85) return `unlock ${codeOf(await client.unlock('HOT', user))}`;
            if (step < 98) {
                const redemption = standing.shift();
                if (!redemption) return 'nothing to give back';
                return `roll back ${codeOf(await client.rollBack(redemption))}`;
            }
            const wish = { maxRedemptionsPerCode: 1 + random.below(30) };
            return `edit ${(await client.patchBook(id, wish)).status}`;
        });
        t.diagnostic(JSON.stringify(tally(told)));
        for (const answer of told) {
            assert.match(
                answer,
                / ok$|^edit 200$|not_locked|already_locked|already_redeemed|limit_reached|nothing/,
            );
        }
        assert.equal((await shown(client, 'HOT')).redemptionCount, standing.length);
        await verifyServer(t, server, client);
    });
});

describe('one user of a code that may be redeemed more than once', () => {
    it('has one lock on it at a time', async (t) => {
        const { server, client } = await testServer(t);
        await client.newBookWith(['MINE'], { maxRedemptionsPerCode: 8 });
        await client.mustAssign('MINE', 'ann');
        for (let i = 0; i < 8; i += 1) {
            const asked = Array.from({ length: 24 });
            const locks = await inParallel(asked, 24, () => client.lock('MINE', 'ann'));
            assert.deepEqual(tallyStatus(locks), { 201: 1, 409: 23 });
            const redeemed = await inParallel(asked, 24, () => client.redeem('MINE', 'ann'));
            assert.deepEqual(tallyStatus(redeemed), { 201: 1, 409: 23 });
        }
        const { redemptionCount, status } = await shown(client, 'MINE');
        assert.deepEqual([redemptionCount, status], [8, 'redeemed']);
        assert.equal((await client.lock('MINE', 'ann')).body.code, 'coupon_redemption_limit_reached');
        await verifyServer(t, server, client);
    });
});
