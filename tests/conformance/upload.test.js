// POST /coupon/codes/:id?: bringing codes into a book, all or none.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, inParallel, numbered, tallyStatus } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { refusals } from '../support/refusals.js';
import {
    assertBook,
    assertCodeValues,
    assertTime,
    bookMembers,
    codeMembers,
} from '../support/shapes.js';

describe('POST /coupon/codes/:id', () => {
    const c = suiteServer();

    it('answers 201 with the codes in the order sent, each with its book', async () => {
        const book = await c.client.newBook({ maxRedemptionsPerUser: 2, discountAmount: 5.5 });
        const codes = ['U-9', 'U-1', 'U-5', 'a', 'B', 'á'];
        const answer = await c.client.upload(book.id, codes);
        assert.equal(answer.status, 201);
        assert.deepEqual(
            answer.body.map(({ code }) => code),
            codes,
        );
        answer.body.forEach((entry, index) => {
            assert.deepEqual(Object.keys(entry), [...codeMembers, 'couponBook']);
            assertCodeValues(entry);
            assertTime(entry.createdAt, Date.now());
            assert.deepEqual(Object.keys(entry.couponBook), bookMembers);
            assertBook(entry.couponBook, book);
            if (index > 0) assert.ok(entry.id > answer.body[index - 1].id);
        });
        const listed = await c.client.bookWithCodes(book.id);
        assert.deepEqual(
            listed.codes,
            answer.body.map(({ couponBook, ...code }) => code),
        );
    });

    it('adds to what the book holds', async () => {
        const book = await c.client.newBookWith(['add-1']);
        assert.equal((await c.client.upload(book.id, ['add-2'])).status, 201);
        assert.deepEqual(
            (await c.client.bookWithCodes(book.id)).codes.map(({ code }) => code),
            ['add-1', 'add-2'],
        );
    });

    it("need not follow the book's pattern", async () => {
        const book = await c.client.newBook({ codePattern: 'SUMMER-{6}' });
        assert.equal((await c.client.upload(book.id, ['quite different'])).status, 201);
    });

    it('answers 404 for a book that is not there', async () => {
        for (const id of [999_999, 2 ** 53 - 1, '9223372036854775807']) {
            assertRefused(await c.client.upload(id, ['nowhere']), ...refusals.bookNotFound);
        }
    });

    it('answers 409 for a code that exists in any book, and writes none', async () => {
        const one = await c.client.newBookWith(['dup-1']);
        const other = await c.client.newBook();
        for (const id of [one.id, other.id]) {
            for (const codes of [
                ['dup-1'],
                ['fresh-1', 'dup-1'],
                ['dup-1', 'fresh-1'],
                ['fresh-1', 'dup-1', 'fresh-2'],
            ]) {
                assertRefused(await c.client.upload(id, codes), ...refusals.codesExist);
            }
        }
        assert.equal((await c.client.bookWithCodes(one.id)).codes.length, 1);
        assert.equal((await c.client.bookWithCodes(other.id)).codes.length, 0);
        assert.equal((await c.client.upload(other.id, ['fresh-1', 'fresh-2'])).status, 201);
    });

    it('answers 409 for a repeat within the upload, and writes none of it', async () => {
        const book = await c.client.newBook();
        for (const codes of [
            ['D', 'D'],
            ['rep-1', 'rep-2', 'rep-1'],
            [...numbered('many-', 999), 'many-0'],
        ]) {
            assertRefused(await c.client.upload(book.id, codes), ...refusals.codesExist);
        }
        assert.deepEqual((await c.client.bookWithCodes(book.id)).counts.total, 0);
        assert.equal((await c.client.upload(book.id, ['D', 'rep-1', 'rep-2'])).status, 201);
    });

    it('answers 404 before 409', async () => {
        await c.client.newBookWith(['order-1']);
        assertRefused(
            await c.client.upload(999_999, ['order-1', 'order-1']),
            ...refusals.bookNotFound,
        );
    });

    it('takes codes of up to 128 characters, however many bytes they are', async () => {
        const book = await c.client.newBook();
        const codes = ['x'.repeat(128), '🎟'.repeat(128)];
        const answer = await c.client.upload(book.id, codes);
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(
            answer.body.map(({ code }) => code),
            codes,
        );
    });

    it('takes couponBookId in the body where it names the book of the path', async () => {
        const book = await c.client.newBook();
        const other = await c.client.newBook();
        const agreeing = await c.client.post(`/coupon/codes/${book.id}`, {
            codes: ['both'],
            couponBookId: book.id,
        });
        assert.equal(agreeing.status, 201);
        const contrary = await c.client.post(`/coupon/codes/${book.id}`, {
            codes: ['neither'],
            couponBookId: other.id,
        });
        assertRefused(contrary, 400, undefined, 'validation_failed');
        assert.deepEqual((await c.client.bookWithCodes(other.id)).codes, []);
    });
});

describe('codes are compared exactly', () => {
    const c = suiteServer();

    it('tells texts apart that differ in case, spaces, form or one character', async () => {
        const book = await c.client.newBook();
        const codes = [
            'Summer',
            'summer',
            'SUMMER',
            'summer ',
            ' summer',
            ' ',
            '  ',
            'sum mer',
            'é',
            'e\u0301',
            'ﬁ',
            'fi',
            'ß',
            'ss',
            '0',
            '00',
            'null',
            'İ',
            'i',
            '\u{1F39F}',
            '\u{1F39F}\uFE0F',
            '\u200b',
            '\u00a0',
        ];
        const answer = await c.client.upload(book.id, codes);
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(
            (await c.client.bookWithCodes(book.id)).codes.map(({ code }) => code),
            codes,
        );
        for (const [index, code] of codes.entries()) {
            const assigned = await c.client.mustAssign(code, `user ${index}`);
            assert.equal(assigned.code, code);
            assert.equal(assigned.id, answer.body[index].id);
        }
    });

    it('finds any code by its percent-encoded form, in capitals or not', async () => {
        const book = await c.client.newBook();
        const codes = [
            'a/b',
            '/',
            '//',
            '..',
            '.',
            'a?b',
            'a#b',
            '100% off',
            '%2F',
            'a+b',
            'a b',
            'a&b=c',
            '"',
            '\\',
            '🏖️',
            'ключ',
            '{x}',
            ':code',
            'a;b',
            'assign',
            '\u{10FFFF}',
            "it's",
            '<b>',
        ];
        assert.equal((await c.client.upload(book.id, codes)).status, 201);
        for (const code of codes) {
            const user = `user of ${code}`;
            // encodeURIComponent leaves dots alone, which a path reader could take for steps.
            const path = encodeURIComponent(code).replace(/\./g, '%2E');
            const assigned = await c.client.post(`/coupon/assign/${path}`, { userId: user });
            assert.equal(assigned.status, 201, `${code}: ${assigned.text}`);
            assert.equal(assigned.body.code, code);
            assert.equal(assigned.body.assignedTo, user);
            const lower = path.replace(/%[0-9A-F]{2}/g, (triple) => triple.toLowerCase());
            const locked = await c.client.post(`/coupon/lock/${lower}`, { userId: user });
            assert.equal(locked.status, 201, `${code}: ${locked.text}`);
        }
    });

    it('does not read + as a space in a path', async () => {
        await c.client.newBookWith(['plus 1']);
        const answer = await c.client.post('/coupon/assign/plus+1', { userId: 'u' });
        assertRefused(answer, ...refusals.codeNotFound);
    });
});

describe('POST /coupon/codes without an id', () => {
    it('is refused where there is no book', async (t) => {
        const { client } = await testServer(t);
        assertRefused(await client.upload(undefined, ['X']), ...refusals.bookRequired);
    });

    it('lands in the only book there is', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBook();
        const answer = await client.upload(undefined, ['X']);
        assert.equal(answer.status, 201);
        assert.equal(answer.body[0].couponBook.id, book.id);
        const nulled = await client.post('/coupon/codes', { codes: ['Y'], couponBookId: null });
        assert.equal(nulled.status, 201, nulled.text);
    });

    it('is refused where there are two books, and writes nothing', async (t) => {
        const { client } = await testServer(t);
        await client.newBook();
        await client.newBook();
        assertRefused(await client.upload(undefined, ['X']), ...refusals.bookRequired);
        assert.deepEqual(
            (await client.get('/coupon')).body.map(({ counts }) => counts.total),
            [0, 0],
        );
    });

    it('goes to the couponBookId of the body', async (t) => {
        const { client } = await testServer(t);
        await client.newBook();
        const second = await client.newBook();
        const answer = await client.post('/coupon/codes', {
            codes: ['X'],
            couponBookId: second.id,
        });
        assert.equal(answer.status, 201);
        assert.equal(answer.body[0].couponBook.id, second.id);
        assertRefused(
            await client.post('/coupon/codes', { codes: ['Y'], couponBookId: 999 }),
            ...refusals.bookNotFound,
        );
    });

    it('takes a slash at the end for no id, or for no route; never for a book', async (t) => {
        const { client } = await testServer(t);
        await client.newBook();
        await client.newBook();
        const answer = await client.post('/coupon/codes/', { codes: ['X'] });
        assert.ok(answer.status === 404 || answer.status === 400, answer.text);
    });
});

describe('large uploads', () => {
    it('leave random assignment as quick as it is for small ones', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBookWith(numbered('L-', 100_000));
        const before = Date.now();
        const answers = await inParallel(numbered('user-', 1_000), 16, (user, index) =>
            client.assignAny(user, index % 2 ? book.id : undefined),
        );
        // The original, which reads and sorts the table, would take eight minutes.
        assert.ok(Date.now() - before < 30_000, `${Date.now() - before} ms`);
        assert.deepEqual(tallyStatus(answers), { 201: 1_000 });
        assert.equal(new Set(answers.map(({ body }) => body.code)).size, 1_000);
    });

    it('answers 100,000 codes in the order sent, and refuses them again', async (t) => {
        const { client } = await testServer(t);
        const book = await client.newBook({ discountAmount: 20 });
        const codes = numbered('LARGE-', 100_000).reverse();
        const answer = await client.upload(book.id, codes);
        assert.equal(answer.status, 201, answer.text.slice(0, 500));
        assert.equal(answer.body.length, codes.length);
        for (let index = 0; index < codes.length; index += 1) {
            if (answer.body[index].code !== codes[index])
                assert.fail(`code ${index} is out of order`);
            if (answer.body[index].id !== answer.body[0].id + index)
                assert.fail(`id ${index} is out of order`);
        }
        const counts = async () => (await client.get('/coupon')).body[0].counts;
        const full = { total: 100_000, available: 100_000, assigned: 0, locked: 0, redeemed: 0 };
        assert.deepEqual(await counts(), full);

        const other = await client.newBook();
        assertRefused(await client.upload(other.id, codes), ...refusals.codesExist);
        // The very last one repeats: the 99,999 before it must be gone again.
        const almost = [...numbered('ALMOST-', 99_999), 'LARGE-0'];
        assertRefused(await client.upload(other.id, almost), ...refusals.codesExist);
        assert.equal((await client.upload(other.id, almost.slice(0, 10))).status, 201);
        assert.deepEqual(
            (await client.get('/coupon')).body.map((entry) => entry.counts.total),
            [100_000, 10],
        );
    });
});
