// Bodies, paths and queries that do not fit: 400 with one sentence a field, and nothing written.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer } from '../support/harness.js';
import { refusals } from '../support/refusals.js';

const book = (members) => ({ name: 'N', codePattern: 'P-{6}', ...members });

// What is sent to POST /coupon → the messages: an exact text each, or a pattern where the contract
// leaves it open.
const bookCases = [
    [{ name: 5 }, ['name must be a string', 'codePattern should not be empty']],
    [{}, ['name should not be empty', 'codePattern should not be empty']],
    [{ name: 'N' }, ['codePattern should not be empty']],
    [{ codePattern: 'P' }, ['name should not be empty']],
    [book({ name: '' }), ['name should not be empty']],
    [book({ codePattern: '' }), ['codePattern should not be empty']],
    [book({ name: null }), ['name should not be empty']],
    [book({ name: [] }), ['name must be a string']],
    [book({ name: {} }), ['name must be a string']],
    [book({ name: true }), ['name must be a string']],
    [book({ codePattern: 1 }), ['codePattern must be a string']],
    [book({ name: 'n'.repeat(256) }), [/^name .*255/]],
    [book({ name: '🎟'.repeat(256) }), [/^name .*255/]],
    [book({ codePattern: 'p'.repeat(256) }), [/^codePattern /]],
    [book({ codePattern: 'A-{6' }), [/^codePattern /]],
    [book({ codePattern: 'A-6}' }), [/^codePattern /]],
    [book({ codePattern: 'A-{}' }), [/^codePattern /]],
    [book({ codePattern: 'A-{0}' }), [/^codePattern /]],
    [book({ codePattern: 'A-{65}' }), [/^codePattern /]],
    [book({ codePattern: 'A-{x}' }), [/^codePattern /]],
    [book({ codePattern: '{64}{64}{1}' }), [/^codePattern /]],
    [book({ maxRedemptionsPerUser: '3' }), [/^maxRedemptionsPerUser must be an integer/]],
    [book({ maxRedemptionsPerUser: 1.5 }), [/^maxRedemptionsPerUser must be an integer/]],
    [book({ maxRedemptionsPerUser: 0 }), [/^maxRedemptionsPerUser /]],
    [book({ maxRedemptionsPerUser: -1 }), [/^maxRedemptionsPerUser /]],
    [book({ maxRedemptionsPerUser: 1_000_000_001 }), [/^maxRedemptionsPerUser /]],
    [book({ maxRedemptionsPerUser: 1e30 }), [/^maxRedemptionsPerUser /]],
    [book({ maxRedemptionsPerUser: [] }), [/^maxRedemptionsPerUser /]],
    [book({ discountAmount: '20.00' }), [/^discountAmount must be a number/]],
    [book({ discountAmount: -0.01 }), [/^discountAmount /]],
    [book({ discountAmount: 100_000_000 }), [/^discountAmount /]],
    [book({ discountAmount: 0.001 }), [/^discountAmount .*decimal/]],
    [book({ discountAmount: 19.999 }), [/^discountAmount .*decimal/]],
    [book({ discountAmount: 0.1 + 0.2 }), [/^discountAmount .*decimal/]],
    [book({ discountAmount: 1e300 }), [/^discountAmount /]],
    [book({ discountAmount: 1e-300 }), [/^discountAmount /]],
    [book({ discountAmount: true }), [/^discountAmount must be a number/]],
    [book({ discountAmount: {} }), [/^discountAmount /]],
    [book({ name: 'tab\there' }), [/^name .*control/]],
    [book({ name: 'del\u007f' }), [/^name .*control/]],
    [book({ name: 'c1\u0085' }), [/^name .*control/]],
    [book({ codePattern: 'nul\0' }), [/^codePattern .*control/]],
    [book({ colour: 'red' }), [/\bcolour\b/]],
    [book({ id: 7 }), [/\bid\b/]],
    [
        { name: 5, codePattern: 6, maxRedemptionsPerUser: 'x', discountAmount: 'y', more: 1 },
        [/^name /, /^codePattern /, /^maxRedemptionsPerUser /, /^discountAmount /, /\bmore\b/],
    ],
];

const userCases = [
    [{}, ['userId should not be empty']],
    [{ userId: '' }, ['userId should not be empty']],
    [{ userId: 5 }, ['userId must be a string']],
    [{ userId: null }, ['userId should not be empty']],
    [{ userId: ['u'] }, ['userId must be a string']],
    [{ userId: 'u'.repeat(256) }, [/^userId .*255/]],
    [{ userId: 'u\n' }, [/^userId .*control/]],
    [{ userId: 'u', code: 'C' }, [/\bcode\b/]],
];

const uploadCases = [
    [{}, [/^codes /]],
    [{ codes: 'A' }, [/^codes must be an array/]],
    [{ codes: null }, [/^codes /]],
    [{ codes: {} }, [/^codes must be an array/]],
    [{ codes: [] }, [/^codes /]],
    [{ codes: [1] }, [/^(each value in )?codes\b.*string/]],
    [{ codes: ['A', null] }, [/^(each value in )?codes\b.*string/]],
    [{ codes: ['A', ['B']] }, [/^(each value in )?codes\b.*string/]],
    [{ codes: ['A', ''] }, [/^(each value in )?codes\b/]],
    [{ codes: ['A', 'c'.repeat(129)] }, [/^(each value in )?codes\b.*128/]],
    [{ codes: ['A', 'c\u0000'] }, [/^(each value in )?codes\b.*control/]],
    [{ codes: ['A'], extra: true }, [/\bextra\b/]],
];

function assertInvalid(answer, messages) {
    assertRefused(answer, 400, undefined, 'validation_failed');
    assert.ok(Array.isArray(answer.body.message), answer.text);
    assert.equal(answer.body.message.length, messages.length, answer.text);
    messages.forEach((expected, index) => {
        if (typeof expected === 'string') assert.equal(answer.body.message[index], expected);
        else assert.match(answer.body.message[index], expected);
    });
}

const shown = (value) => JSON.stringify(value).slice(0, 70);

describe('validation', () => {
    const c = suiteServer();
    let bookId;

    it('starts from one book with two codes', async () => {
        bookId = (await c.client.newBookWith(['V-1', 'V-2'])).id;
    });

    describe('POST /coupon', () => {
        for (const [body, messages] of bookCases) {
            it(`refuses ${shown(body)}`, async () => {
                assertInvalid(await c.client.post('/coupon', body), messages);
            });
        }
    });

    describe('the routes that take a userId', () => {
        for (const path of [
            '/coupon/assign',
            '/coupon/assign/V-1',
            '/coupon/lock/V-1',
            '/coupon/redeem/V-1',
            '/coupon/unlock/V-1',
            '/coupon/validate/V-1',
        ]) {
            for (const [body, messages] of userCases) {
                it(`${path} refuses ${shown(body)}`, async () => {
                    assertInvalid(await c.client.post(path, body), messages);
                });
            }
        }

        it('/coupon/assign refuses a couponBookId that is none', async () => {
            for (const couponBookId of ['1', 1.5, 0, -1, [], 2 ** 63]) {
                assertInvalid(
                    await c.client.post('/coupon/assign', { userId: 'u', couponBookId }),
                    [/^couponBookId /],
                );
            }
        });

        it('only /coupon/assign takes a couponBookId', async () => {
            for (const verb of ['assign', 'lock', 'redeem', 'unlock', 'unassign', 'validate']) {
                const path = `/coupon/${verb}/V-1`;
                assertInvalid(await c.client.post(path, { userId: 'u', couponBookId: bookId }), [
                    /\bcouponBookId\b/,
                ]);
            }
        });

        it('refuses a code in the path that cannot be one', async () => {
            for (const verb of ['assign', 'lock', 'redeem', 'unlock', 'unassign', 'validate']) {
                for (const code of [
                    'c'.repeat(129),
                    '%F0%9F%8E%9F'.repeat(129),
                    '%FF',
                    '%C3',
                    '%ED%A0%80',
                    '%00',
                    'a%0Ab',
                    '%',
                    '%4',
                    '%zz',
                ]) {
                    const answer = await c.client.post(`/coupon/${verb}/${code}`, { userId: 'u' });
                    assert.equal(answer.status, 400, `${code.slice(0, 20)}: ${answer.text}`);
                }
            }
        });

        it('takes a code of 128 four-byte characters, percent-encoded', async () => {
            const answer = await c.client.post(`/coupon/assign/${'%F0%9F%8E%9F'.repeat(128)}`, {
                userId: 'u',
            });
            assertRefused(answer, ...refusals.codeNotFound);
        });
    });

    describe('POST /coupon/codes/:id', () => {
        for (const [body, messages] of uploadCases) {
            it(`refuses ${shown(body)}`, async () => {
                assertInvalid(await c.client.post(`/coupon/codes/${bookId}`, body), messages);
            });
        }

        it('refuses an id that is none', async () => {
            for (const id of [
                'x',
                '0',
                '-1',
                '1.5',
                '1e3',
                '01x',
                '%20',
                '9223372036854775808',
                '9'.repeat(40),
            ]) {
                const answer = await c.client.post(`/coupon/codes/${id}`, { codes: ['W'] });
                assert.equal(answer.status, 400, `${id}: ${answer.text}`);
                assert.equal(answer.body.code, 'validation_failed', id);
            }
        });

        it('refuses a couponBookId that is none', async () => {
            for (const couponBookId of ['1', 1.5, 0, -1, [], {}]) {
                assertInvalid(
                    await c.client.post('/coupon/codes', { codes: ['W'], couponBookId }),
                    [/^couponBookId /],
                );
            }
        });

        it('refuses more than 100,000 codes', async () => {
            const answer = await c.client.upload(bookId, numbered('W', 100_001));
            assertInvalid(answer, [/^codes .*100,?000/]);
        });
    });

    describe('GET /coupon', () => {
        for (const query of [
            'limit=0',
            'limit=-1',
            'limit=x',
            'limit=',
            'limit=1001',
            'limit=1.5',
            'limit=1&limit=2',
            'after=x',
            'after=0',
            'after=-1',
            'after=',
            'after=1&after=1',
            'include=',
            'include=everything',
            'include=Codes',
            'include=codes&include=codes',
            'page=1',
            'Limit=1',
            'limit',
            '=1',
            '%6Cimit=0',
            'after=99999999999999999999',
        ]) {
            it(`refuses ?${query} by name`, async () => {
                const answer = await c.client.get(`/coupon?${query}`);
                assertRefused(answer, 400, undefined, 'validation_failed');
                assert.ok(
                    Array.isArray(answer.body.message) && answer.body.message.length >= 1,
                    answer.text,
                );
                const name = decodeURIComponent(query.split(/[=&]/)[0]);
                assert.ok(
                    answer.body.message.some((text) => text.includes(name)),
                    answer.text,
                );
            });
        }

        it('names every query member that it refuses', async () => {
            const answer = await c.client.get('/coupon?limit=0&after=x&page=1&include=y');
            assertRefused(answer, 400, undefined, 'validation_failed');
            for (const name of ['limit', 'after', 'page', 'include']) {
                assert.ok(
                    answer.body.message.some((text) => text.includes(name)),
                    answer.text,
                );
            }
        });
    });

    it('takes a body that is no object for invalid', async () => {
        for (const path of [
            '/coupon',
            '/coupon/codes',
            '/coupon/assign',
            '/coupon/assign/V-1',
            '/coupon/lock/V-1',
            '/coupon/redeem/V-1',
            '/coupon/unlock/V-1',
            '/coupon/unassign/V-1',
            '/coupon/validate/V-1',
            `/coupon/${bookId}/restore`,
            `/coupon/generate/${bookId}`,
        ]) {
            for (const body of ['[]', 'null', '5', '"text"', 'true']) {
                const answer = await c.client.post(path, body);
                assertRefused(answer, 400, undefined, 'validation_failed');
                assert.ok(Array.isArray(answer.body.message), answer.text);
            }
        }
    });

    it('has written nothing of all that', async () => {
        const books = await c.client.allBooks({ codes: true });
        assert.deepEqual(
            books.map(({ id }) => id),
            [bookId],
        );
        assert.deepEqual(
            books[0].codes.map(({ code, assignedTo }) => [code, assignedTo]),
            [
                ['V-1', null],
                ['V-2', null],
            ],
        );
    });
});

describe('bodies that are not JSON', () => {
    const c = suiteServer();
    const malformed = [
        '{',
        '{"name":"N"',
        '{"name":"N",}',
        '{name:"N"}',
        "{'name':'N'}",
        '{"name":"N"} x',
        '{"name":"N"}{}',
        '[1,]',
        'nul',
        '{"name":NaN}',
        '{"name":01}',
        '{"name":"\u0001"}',
        '{"name":"\\x"}',
        '{"name":"\\ud800"}',
        '// comment\n{}',
        '\ufeff{}x',
    ];

    for (const body of malformed) {
        it(`answers 400 malformed_json to ${JSON.stringify(body)}`, async () => {
            const answer = await c.client.post('/coupon', body);
            assertRefused(answer, 400, undefined, 'malformed_json');
            assert.equal(typeof answer.body.message, 'string');
        });
    }

    it('answers 400 malformed_json to text that is not UTF-8', async () => {
        for (const bytes of [
            [0xff],
            [0xc3],
            [0xc0, 0x80],
            [0xed, 0xa0, 0x80],
            [0xf4, 0x90, 0x80, 0x80],
        ]) {
            const body = Buffer.concat([
                Buffer.from('{"codePattern":"P","name":"'),
                Buffer.from(bytes),
                Buffer.from('"}'),
            ]);
            assertRefused(await c.client.post('/coupon', body), 400, undefined, 'malformed_json');
        }
    });

    it('says so of an empty body', async () => {
        for (const body of ['', undefined]) {
            const answer = await c.client.post('/coupon', body);
            assertRefused(answer, 400, undefined, 'validation_failed');
            assert.match(answer.body.message[0], /empty/);
        }
    });

    it('says where the JSON goes wrong', async () => {
        const answer = await c.client.post('/coupon', '{"name": "N",, "codePattern": "P"}');
        assertRefused(answer, 400, /1[2-4]/, 'malformed_json');
    });

    it('reads 32 levels deep and no further', async () => {
        const nested = (depth) => `{"name":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
        assertRefused(
            await c.client.post('/coupon', nested(32)),
            400,
            undefined,
            'validation_failed',
        );
        assertRefused(await c.client.post('/coupon', nested(33)), 400, undefined, 'malformed_json');
        assertRefused(
            await c.client.post('/coupon', nested(100_000)),
            400,
            undefined,
            'malformed_json',
        );
    });

    it('refuses a member given twice', async () => {
        const answer = await c.client.post('/coupon', '{"name":"A","name":"B","codePattern":"P"}');
        assertRefused(answer, 400);
    });
});

describe('content types', () => {
    const c = suiteServer();
    const body = JSON.stringify({ name: 'N', codePattern: 'P' });

    for (const type of [
        'application/json',
        'application/json; charset=utf-8',
        'application/json;charset=UTF-8',
        'Application/JSON',
        'application/json ; charset="utf-8"',
    ]) {
        it(`takes ${type}`, async () => {
            const answer = await c.client.post('/coupon', body, {
                headers: { 'content-type': type },
            });
            assert.equal(answer.status, 201, answer.text);
        });
    }

    it('takes no content type for JSON', async () => {
        const answer = await c.client.post('/coupon', body, { headers: { 'content-type': null } });
        assert.equal(answer.status, 201, answer.text);
    });

    for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/json; charset=latin1',
        'application/xml',
        'application/jsonp',
        'application/jso',
        'text/json',
        'nonsense',
    ]) {
        it(`answers 415 to ${type}`, async () => {
            const answer = await c.client.post('/coupon', body, {
                headers: { 'content-type': type },
            });
            assertRefused(answer, 415, undefined, 'unsupported_media_type');
        });
    }
});
