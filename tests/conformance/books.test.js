// POST /coupon: making a coupon book.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { after } from '../support/client.js';
import { suiteServer } from '../support/harness.js';
import { assertBook, assertTime, bookMembers } from '../support/shapes.js';

describe('POST /coupon', () => {
    const c = suiteServer();

    it('answers 201 with the book, member by member', async () => {
        const sent = {
            name: 'Summer',
            codePattern: 'SUMMER-{6}',
            maxRedemptionsPerUser: 3,
            discountAmount: 20,
        };
        const answer = await c.client.post('/coupon', sent);
        assert.equal(answer.status, 201);
        assert.deepEqual(Object.keys(answer.body), bookMembers);
        assertBook(answer.body, sent);
        assertTime(answer.body.createdAt, Date.now());
        assert.equal(answer.body.updatedAt, answer.body.createdAt);
        assert.match(answer.headers['content-type'], /^application\/json; charset=utf-8$/);
    });

    it('takes maxRedemptionsPerUser and discountAmount as null where left out', async () => {
        const answer = await c.client.post('/coupon', { name: 'Bare', codePattern: 'X' });
        assert.equal(answer.status, 201);
        assert.deepEqual(Object.keys(answer.body), bookMembers);
        assertBook(answer.body, { maxRedemptionsPerUser: null, discountAmount: null });
    });

    it('takes null for left out', async () => {
        const book = await c.client.newBook({ maxRedemptionsPerUser: null, discountAmount: null });
        assertBook(book, { maxRedemptionsPerUser: null, discountAmount: null });
    });

    it('gives ids in order of creation', async () => {
        const first = await c.client.newBook();
        const second = await c.client.newBook();
        assert.ok(second.id > first.id);
    });

    it('lets two books have the same name and pattern', async () => {
        const first = await c.client.newBook({ name: 'Twin', codePattern: 'T-{6}' });
        const second = await c.client.newBook({ name: 'Twin', codePattern: 'T-{6}' });
        assert.notEqual(first.id, second.id);
    });

    it('keeps any Unicode text as it was sent', async () => {
        for (const name of [
            'Été d’or',
            'サマー',
            '🎟️🏖️',
            ' with spaces ',
            'a"b\\c/d',
            'e\u0301',
            '\u{10FFFF}',
        ]) {
            const book = await c.client.newBook({ name });
            assert.equal(book.name, name);
        }
    });

    it('reads JSON escapes for what they stand for', async () => {
        const answer = await c.client.post(
            '/coupon',
            String.raw`{"name":"\u00e9\ud83c\udf9f\/","codePattern":"A-\u007b6\u007d"}`,
        );
        assert.equal(answer.status, 201);
        assertBook(answer.body, { name: 'é🎟/', codePattern: 'A-{6}' });
    });

    it('takes names of up to 255 characters, however many bytes they are', async () => {
        for (const name of ['n'.repeat(255), '🎟'.repeat(255)]) {
            assert.equal((await c.client.newBook({ name })).name, name);
        }
    });

    it('answers discountAmount exactly, as a number, when made and when read', async () => {
        const amounts = [
            0, 0.01, 0.1, 0.29, 0.57, 1.15, 4.35, 8.2, 19.99, 20, 20.5, 1005.01, 1234567.89,
            70368744.17, 99999999.99,
        ];
        for (const discountAmount of amounts) {
            const made = await c.client.post('/coupon', {
                name: 'Money',
                codePattern: 'M-{6}',
                discountAmount,
            });
            assert.equal(made.status, 201, made.text);
            assertMoney(made.text, discountAmount);
            const read = await c.client.get(`/coupon?limit=1${after(made.body.id - 1)}`);
            assertMoney(read.text, discountAmount);
        }
    });

    it('reads the same amount out of every way to write it', async () => {
        for (const [text, value] of [
            ['20.00', 20],
            ['2e1', 20],
            ['2.0E+1', 20],
            ['1999e-2', 19.99],
            ['0.10', 0.1],
            ['-0', 0],
        ]) {
            const answer = await c.client.post(
                '/coupon',
                `{"name":"M","codePattern":"M","discountAmount":${text}}`,
            );
            assert.equal(answer.status, 201, `${text}: ${answer.text}`);
            assertMoney(answer.text, value);
        }
    });

    it('takes maxRedemptionsPerUser from 1 to a thousand million', async () => {
        for (const maxRedemptionsPerUser of [1, 2, 1_000_000_000]) {
            assertBook(await c.client.newBook({ maxRedemptionsPerUser }), {
                maxRedemptionsPerUser,
            });
        }
    });
});

/** The amount's own text in the answer: a plain number with at most two decimals, of that value. */
function assertMoney(text, value) {
    const [, token] = /"discountAmount":([^,}]*)/.exec(text);
    assert.match(token, /^\d+(\.\d{1,2})?$/);
    assert.equal(Number(token), value);
}
