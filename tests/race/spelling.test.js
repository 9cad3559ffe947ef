// One code under many spellings at once: it is one code.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inParallel, numbered, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { verifyServer } from '../support/ledger.js';

const width = 32;
const spellings = ['SUMMER1', 'summer1', 'Sum-mer 1', 'sUMMER-1', ' summer1', 'SUMMER\u20101'];
const spelled = (i) => spellings[i % spellings.length];

describe('a code that is spelled in many ways', () => {
    it('is assigned to one of many, locked and redeemed once', async (t) => {
        const { server, client } = await testServer(t);
        const book = await client.newBook({ caseSensitive: false });
        for (let round = 0; round < 6; round += 1) {
            const code = (i) => `${spelled(i)}/${round}`;
            assert.equal((await client.upload(book.id, [code(round)])).status, 201);
            const users = numbered(`user-${round}-`, width);
            const assigned = await inParallel(users, width, (user, i) =>
                client.assign(code(i), user),
            );
            assert.deepEqual(tallyStatus(assigned), { 201: 1, 409: width - 1 });
            const winner = users[assigned.findIndex(({ status }) => status === 201)];
            const locks = await inParallel(users, width, (_, i) => client.lock(code(i), winner));
            assert.deepEqual(tallyStatus(locks), { 201: 1, 409: width - 1 });
            const redeemed = await inParallel(users, width, (_, i) =>
                client.redeem(code(i), winner),
            );
            assert.deepEqual(tallyStatus(redeemed), { 201: 1, 409: width - 1 });
        }
        await verifyServer(t, server, client);
    });

    it('is brought in once', async (t) => {
        const { server, client } = await testServer(t);
        const books = [];
        for (let i = 0; i < 3; i += 1) books.push(await client.newBook({ caseSensitive: false }));
        for (let round = 0; round < 8; round += 1) {
            const asked = Array.from({ length: width });
            const uploads = await inParallel(asked, width, (_, i) =>
                client.upload(books[i % 3].id, [`own-${round}-${i}`, `${spelled(i)}/${round}`]),
            );
            assert.deepEqual(tallyStatus(uploads), { 201: 1, 409: width - 1 });
        }
        await verifyServer(t, server, client);
    });
});
