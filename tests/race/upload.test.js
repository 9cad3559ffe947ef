// Uploads and books made at once: a code comes in once, and an upload whole or not at all.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, inParallel, numbered, tallyStatus } from '../support/client.js';
import { testServer } from '../support/harness.js';
import { refusals } from '../support/refusals.js';

describe('uploading at once', () => {
    it('takes the same upload in once of six times', async (t) => {
        const { client } = await testServer(t);
        for (const size of [1, 500, 5_000]) {
            const book = await client.newBook();
            const codes = numbered(`S${size}-`, size);
            const answers = await inParallel(numbered('', 6), 6, () =>
                client.upload(book.id, codes),
            );
            assert.deepEqual(tallyStatus(answers), { 201: 1, 409: 5 });
            for (const answer of answers) {
                if (answer.status === 409) assertRefused(answer, ...refusals.codesExist);
            }
            assert.equal((await client.bookWithCodes(book.id)).counts.total, size);
        }
    });

    it('takes overlapping uploads whole or not at all', async (t) => {
        const { client } = await testServer(t);
        const books = [await client.newBook(), await client.newBook()];
        // Each overlaps with the ones on both its sides.
        const uploads = Array.from({ length: 40 }, (_, index) => numbered('O-', 60, index * 40));
        const answers = await inParallel(uploads, 40, (codes, index) =>
            client.upload(books[index % 2].id, codes),
        );
        const expected = new Map();
        answers.forEach((answer, index) => {
            if (answer.status === 409) return assertRefused(answer, ...refusals.codesExist);
            assert.equal(answer.status, 201);
            for (const code of uploads[index]) {
                assert.ok(!expected.has(code), `${code} was taken in twice`);
                expected.set(code, books[index % 2].id);
            }
        });
        const found = new Map();
        for (const book of await client.allBooks({ codes: true })) {
            for (const { code } of book.codes) {
                assert.ok(!found.has(code), `${code} is there twice`);
                found.set(code, book.id);
            }
        }
        assert.deepEqual([...found].sort(), [...expected].sort());
    });

    it('gives ids to books made at once, each its own', async (t) => {
        const { client } = await testServer(t);
        const books = await inParallel(numbered('B-', 300), 64, (name) => client.newBook({ name }));
        assert.equal(new Set(books.map(({ id }) => id)).size, 300);
        const listed = await client.allBooks();
        assert.deepEqual(
            listed.map(({ id, name }) => [id, name]),
            books.sort((a, b) => a.id - b.id).map(({ id, name }) => [id, name]),
        );
    });

    it('never guesses the book while books are being made', async (t) => {
        const { client } = await testServer(t);
        const answers = await inParallel(numbered('', 30), 30, (_, index) =>
            index % 3 === 0 ? client.newBook() : client.upload(undefined, [`G-${index}`]),
        );
        // Only while there was exactly one, the first to be there.
        const guessed = new Set();
        for (const answer of answers) {
            if (answer.status === undefined) continue;
            if (answer.status === 201) guessed.add(answer.body[0].couponBook.id);
            else assertRefused(answer, ...refusals.bookRequired);
        }
        assert.ok(guessed.size <= 1, `into books ${[...guessed]}`);
        for (const { id, codes } of await client.allBooks({ codes: true })) {
            assert.ok(guessed.has(id) || codes.length === 0);
        }
    });

    it('hands out codes while they come in, each once', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBook();
        const given = [];
        const jobs = Array.from({ length: 900 }, (_, index) => index);
        await inParallel(jobs, 64, async (index) => {
            if (index % 9 === 0) {
                assert.equal((await client.upload(book.id, numbered(`C${index}-`, 6))).status, 201);
                return;
            }
            const answer = await client.assignAny(`user-${index}`);
            if (answer.status === 201) given.push(answer.body.code);
            else assertRefused(answer, ...refusals.noneAvailable);
        });
        assert.equal(new Set(given).size, given.length);
        const { counts } = await client.bookWithCodes(book.id);
        assert.deepEqual(counts, {
            total: 600,
            available: 600 - given.length,
            assigned: given.length,
            locked: 0,
            redeemed: 0,
        });
    });
});
