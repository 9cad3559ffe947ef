// Many who lock and redeem at once: one lock, one redemption, and no user beyond a limit.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, inParallel, numbered, tally, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { RawConnection, requestText } from '../support/raw.js';
import { refusals } from '../support/refusals.js';

const width = 64;

/** A book of codes that all are `user`'s, and locked where `locked`. */
async function prepare(client, codes, { user = 'ann', locked = false, members } = {}) {
    const book = await client.newBookWith(codes, members);
    await inParallel(codes, width, (code) => client.mustAssign(code, user));
    if (locked) await inParallel(codes, width, (code) => client.mustLock(code, user));
    return book;
}

describe('locking at once', () => {
    it('lets one of 50 have the lock', async (t) => {
        const { client } = await testServer(t);
        for (let round = 0; round < 10; round += 1) {
            const code = `L-${round}`;
            await prepare(client, [code]);
            const answers = await inParallel(numbered('', 50), 50, () => client.lock(code, 'ann'));
            assert.deepEqual(tallyStatus(answers), { 201: 1, 409: 49 });
            for (const answer of answers) {
                if (answer.status === 409) assertRefused(answer, ...refusals.locked);
            }
        }
    });

    it('lets nobody but the holder have it', async (t) => {
        const { client } = await testServer(t);
        await prepare(client, ['L']);
        const users = numbered('', 200).map((_, index) => (index % 2 ? 'ann' : `other-${index}`));
        const answers = await inParallel(users, width, (user) => client.lock('L', user));
        assert.equal(answers.filter(({ status }) => status === 201).length, 1);
        answers.forEach((answer, index) => {
            if (users[index] !== 'ann') assertRefused(answer, ...refusals.notAssigned);
        });
    });

    it('lets one user win each of 200 codes, eight trying for each', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('M-', 200);
        const book = await prepare(client, codes);
        const tries = codes.flatMap((code) => Array(8).fill(code));
        const answers = await inParallel(tries, width, (code) => client.lock(code, 'ann'));
        const won = tries.filter((_, index) => answers[index].status === 201);
        assert.deepEqual(won.sort(), [...codes].sort());
        assert.deepEqual((await client.bookWithCodes(book.id)).counts, {
            total: 200,
            available: 0,
            assigned: 0,
            locked: 200,
            redeemed: 0,
        });
    });

    it('over pipelined connections lets one have the lock', async (t) => {
        const { server, client } = await testServer(t);
        await prepare(client, ['P']);
        const statuses = await Promise.all(
            Array.from({ length: 16 }, async () => {
                const raw = await RawConnection.open(server.port);
                t.after(() => raw.destroy());
                raw.write(
                    requestText('POST', '/coupon/lock/P', { body: { userId: 'ann' } }).repeat(20),
                );
                const seen = [];
                for (let index = 0; index < 20; index += 1) {
                    seen.push((await raw.next('POST', '/coupon/lock/P')).status);
                }
                return seen;
            }),
        );
        assert.deepEqual(tally(statuses.flat()), { 201: 1, 409: 319 });
    });
});

describe('redeeming at once', () => {
    it('lets one of 50 redeem a locked code', async (t) => {
        const { client } = await testServer(t);
        for (let round = 0; round < 10; round += 1) {
            const code = `R-${round}`;
            const book = await prepare(client, [code], { locked: true });
            const answers = await inParallel(numbered('', 50), 50, () =>
                client.redeem(code, 'ann'),
            );
            assert.deepEqual(tallyStatus(answers), { 201: 1, 409: 49 });
            for (const answer of answers) {
                if (answer.status === 409) assertRefused(answer, ...refusals.redeemed);
            }
            const won = answers.find(({ status }) => status === 201);
            assert.deepEqual(await client.codeOf(book.id, code), won.body.coupon);
        }
    });

    it('lets one of 20 redeem each of 100 codes, over many connections', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('N-', 100);
        const book = await prepare(client, codes, { locked: true });
        // Round by round, so that those who try for one code are far apart on the connections.
        const tries = Array.from({ length: 20 }, () => codes).flat();
        const answers = await inParallel(tries, width, (code) => client.redeem(code, 'ann'));
        const won = tries.filter((_, index) => answers[index].status === 201);
        assert.deepEqual(won.sort(), [...codes].sort());
        assert.equal((await client.bookWithCodes(book.id)).counts.redeemed, 100);
    });

    it('lets a user with 20 locked codes redeem the 5 that the limit allows', async (t) => {
        const { client } = await testServer(t);
        for (let round = 0; round < 5; round += 1) {
            const codes = numbered(`LIM-${round}-`, 20);
            const book = await prepare(client, codes, { locked: true });
            await client.mustPatchBook(book.id, { maxRedemptionsPerUser: 5 });
            const answers = await inParallel(codes, 20, (code) => client.redeem(code, 'ann'));
            assert.deepEqual(tallyStatus(answers), { 201: 5, 409: 15 });
            for (const answer of answers) {
                if (answer.status === 409) assertRefused(answer, ...refusals.limitReached);
            }
            assert.deepEqual((await client.bookWithCodes(book.id)).counts, {
                total: 20,
                available: 0,
                assigned: 0,
                locked: 15,
                redeemed: 5,
            });
        }
    });

    it('holds every user to a limit of one, 40 users at once', async (t) => {
        const { client } = await testServer(t);
        const users = numbered('user-', 40);
        const codes = users.flatMap((user) => numbered(`${user}-`, 3));
        const holder = (code) => code.slice(0, code.lastIndexOf('-'));
        const { id } = await client.newBookWith(codes);
        await inParallel(codes, width, (code) => client.mustAssign(code, holder(code)));
        await inParallel(codes, width, (code) => client.mustLock(code, holder(code)));
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
        const answers = await inParallel(codes, width, (code) => client.redeem(code, holder(code)));
        const won = codes.filter((_, index) => answers[index].status === 201).map(holder);
        assert.deepEqual(won.sort(), [...users].sort());
    });

    it('never redeems without a lock while locks and redemptions race', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('LR-', 50);
        await prepare(client, codes);
        const tries = codes.flatMap((code) =>
            Array.from({ length: 10 }, (_, index) => [code, index % 2 === 0]),
        );
        const answers = await inParallel(tries, width, ([code, lock]) =>
            lock ? client.lock(code, 'ann') : client.redeem(code, 'ann'),
        );
        for (const code of codes) {
            const of = answers.filter((_, index) => tries[index][0] === code);
            const locks = of.filter(({ body }) => body.message === 'Coupon locked successfully');
            const redemptions = of.filter(
                ({ body }) => body.message === 'Coupon redeemed successfully',
            );
            assert.equal(locks.length, 1, code);
            assert.ok(redemptions.length <= 1, code);
        }
    });
});
