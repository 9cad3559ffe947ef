// The discount of a book: what it can be set to, what not, its short form discountAmount, and what a
// change of it makes of what is redeemed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, settledEntries } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { amountOff, assertBook, bookMembers } from '../support/shapes.js';

const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');

/** The bounds of an amount in a currency with so many decimals. */
const bounds = (places) =>
    `must be a number from 0 to 1${'0'.repeat(12 - places)} with at most ${places} decimals`;
const typeRule = 'discount.type must be one of amount, percent, fixed_price, free_shipping';
const currencyRule = 'discount.currency must be a currency of ISO 4217, such as EUR';
const percentRule = 'discount.value must be a number from 0 to 100 with at most 2 decimals';
const freeRule = 'discount.value should not exist for free_shipping';
const notBoth = 'discountAmount and discount must not both be given';
const shortRule = 'discountAmount must be a number from 0 to 99999999.99 with at most 2 decimals';

/** All five members, as they are answered. */
const whole = (discount) => ({
    type: discount.type,
    value: discount.value ?? null,
    currency: discount.currency ?? null,
    maxAmount: discount.maxAmount ?? null,
    minOrderAmount: discount.minOrderAmount ?? null,
});

/** A discount in a JSON text, of members that are given as they are to be written. */
const written = (members) =>
    `{${Object.entries(members)
        .map(([name, text]) => `"${name}":${text}`)
        .join(',')}}`;

/** The book's discount as it stands in an answer. */
const discountIn = (text) => /"discount":(null|\{[^}]*\}),/.exec(text)[1];

// The least and the greatest amount of a currency, and amounts with all its decimals: as sent, and
// as answered.
const amounts = {
    null: [
        ['0', '0'],
        ['0.01', '0.01'],
        ['19.990', '19.99'],
        ['2e1', '20'],
        ['1.999E+1', '19.99'],
        ['9999999999.99', '9999999999.99'],
        ['10000000000', '10000000000'],
        ['1e10', '10000000000'],
        ['10000000000.00', '10000000000'],
    ],
    '"EUR"': [
        ['0.00', '0'],
        ['0.29', '0.29'],
        ['9999999999.99', '9999999999.99'],
        ['10000000000', '10000000000'],
    ],
    '"JPY"': [
        ['0', '0'],
        ['5.0', '5'],
        ['1000000000000', '1000000000000'],
    ],
    '"KWD"': [
        ['0.001', '0.001'],
        ['999999999.999', '999999999.999'],
        ['1000000000', '1000000000'],
    ],
    '"CLF"': [
        ['0.0001', '0.0001'],
        ['99999999.9999', '99999999.9999'],
        ['100000000', '100000000'],
    ],
};
const unfitAmounts = {
    null: {
        places: 2,
        texts: [
            ...['-1', '-0.01', '10000000000.01', '10000000001', '1e11', '1e400', '0.001', '5e-3'],
            ...['19.999', '0.0100000000000000000000001', '1e-400', '9007199254740993'],
            ...['18446744073709551617', '9'.repeat(400), '"5"', '""', 'true', 'false', '[]', '{}'],
        ],
    },
    '"EUR"': { places: 2, texts: ['0.001', '10000000000.01', '-1', '"5"'] },
    '"JPY"': { places: 0, texts: ['0.5', '1000000000001', '-1', '1e13', '"5"'] },
    '"KWD"': { places: 3, texts: ['0.0001', '1000000000.001', '1000000001', '-0.001'] },
    '"CLF"': { places: 4, texts: ['0.00001', '100000000.0001', '100000001', '-0.0001'] },
};

describe('a book can have a discount', () => {
    const c = suiteServer();
    const post = (discount) =>
        c.client.post('/coupon', `{"name":"D","codePattern":"D-{4}","discount":${discount}}`);

    for (const [currency, values] of Object.entries(amounts)) {
        for (const type of ['amount', 'fixed_price']) {
            it(`of the type ${type}, in ${currency}`, async () => {
                for (const [sent, answered] of values) {
                    const answer = await post(written({ type: `"${type}"`, value: sent, currency }));
                    assert.equal(answer.status, 201, answer.text);
                    assert.equal(
                        discountIn(answer.text),
                        `{"type":"${type}","value":${answered},"currency":${currency},` +
                            '"maxAmount":null,"minOrderAmount":null}',
                    );
                    const { discountAmount } = answer.body;
                    assert.equal(discountAmount, type === 'amount' ? Number(answered) : null);
                    const shown = await c.client.get(`/coupon/${answer.body.id}`);
                    assert.equal(discountIn(shown.text), discountIn(answer.text));
                }
            });
        }

        it(`with bounds in ${currency}, of any type`, async () => {
            for (const [sent, answered] of values) {
                for (const [type, value] of [
                    ['percent', '12.5'],
                    ['free_shipping', 'null'],
                    ['amount', '1'],
                ]) {
                    for (const [maxAmount, minOrderAmount] of [
                        [sent, 'null'],
                        ['null', sent],
                        [sent, sent],
                    ]) {
                        const members = { type: `"${type}"`, value, currency };
                        const discount = written({ ...members, maxAmount, minOrderAmount });
                        const answer = await post(discount);
                        assert.equal(answer.status, 201, answer.text);
                        const told = (text) => (text === 'null' ? text : answered);
                        assert.equal(
                            discountIn(answer.text),
                            written({
                                ...members,
                                maxAmount: told(maxAmount),
                                minOrderAmount: told(minOrderAmount),
                            }),
                        );
                    }
                }
            }
        });
    }

    it('in percent, with two decimals in any currency', async () => {
        for (const currency of ['null', '"EUR"', '"JPY"', '"CLF"']) {
            for (const [sent, answered] of [
                ['0', '0'],
                ['0.01', '0.01'],
                ['33.330', '33.33'],
                ['1e2', '100'],
                ['99.99', '99.99'],
                ['100.00', '100'],
            ]) {
                const answer = await post(written({ type: '"percent"', value: sent, currency }));
                assert.equal(answer.status, 201, answer.text);
                assert.equal(
                    discountIn(answer.text),
                    `{"type":"percent","value":${answered},"currency":${currency},` +
                        '"maxAmount":null,"minOrderAmount":null}',
                );
                assert.equal(answer.body.discountAmount, null);
            }
        }
    });

    it('of free shipping, without a value', async () => {
        for (const discount of ['{"type":"free_shipping"}', '{"value":null,"type":"free_shipping"}']) {
            const answer = await post(discount);
            assert.equal(answer.status, 201, answer.text);
            assert.deepEqual(answer.body.discount, whole({ type: 'free_shipping' }));
            assert.equal(answer.body.discountAmount, null);
        }
    });

    it('whose members come in any order, are answered in one, and null for left out', async () => {
        const sent =
            '{"minOrderAmount":30,"currency":"EUR","maxAmount":null,"value":5,"type":"amount"}';
        const answer = await post(sent);
        assert.equal(answer.status, 201, answer.text);
        assert.equal(
            discountIn(answer.text),
            '{"type":"amount","value":5,"currency":"EUR","maxAmount":null,"minOrderAmount":30}',
        );
        const none = await post('null');
        assert.equal(none.status, 201, none.text);
        assert.equal(discountIn(none.text), 'null');
    });

    it('that is shown wherever the book is', async () => {
        const discount = {
            ...{ type: 'percent', value: 12.5, currency: 'KWD' },
            ...{ maxAmount: 7.125, minOrderAmount: 10.001 },
        };
        const answer = await c.client.post('/coupon', { name: 'S', codePattern: 'S', discount });
        assert.equal(answer.status, 201, answer.text);
        const book = answer.body;
        assert.deepEqual(Object.keys(book), bookMembers);
        assertBook(book, { discount, discountAmount: null });
        const uploaded = await c.client.upload(book.id, ['SHOWN-1']);
        assert.deepEqual(uploaded.body[0].couponBook, book);
        const { counts, ...shown } = (await c.client.get(`/coupon/${book.id}`)).body;
        assert.deepEqual(shown, book);
        const { counts: _, codes: __, ...listed } = await c.client.bookWithCodes(book.id);
        assert.deepEqual(listed, book);
        const [created] = await entriesOf(c.client, 2, { bookId: book.id });
        assert.deepEqual(created.after, book);
    });
});

describe('the discount of a book cannot be', () => {
    const c = suiteServer();
    const discount = whole({ type: 'percent', value: 10, currency: 'EUR', minOrderAmount: 5 });
    let book;

    /** Both of a new book and of one that has a discount. */
    async function refused(text, messages) {
        const answer = await c.client.post(
            '/coupon',
            `{"name":"D","codePattern":"D-{4}","discount":${text}}`,
        );
        invalid(answer, messages);
        invalid(await c.client.patchBook(book.id, `{"discount":${text}}`), messages);
    }

    it('tried without a book', async () => {
        book = await c.client.newBook({ discount });
    });

    for (const [currency, { places, texts }] of Object.entries(unfitAmounts)) {
        for (const text of texts) {
            it(`an amount of ${text.slice(0, 30)} in ${currency}`, async () => {
                for (const type of ['"amount"', '"fixed_price"']) {
                    const members = { type, value: text, currency };
                    await refused(written(members), [`discount.value ${bounds(places)}`]);
                }
                for (const name of ['maxAmount', 'minOrderAmount']) {
                    const members = { type: '"percent"', value: '5', currency, [name]: text };
                    await refused(written(members), [`discount.${name} ${bounds(places)}`]);
                }
            });
        }

        it(`in ${currency} without a value`, async () => {
            for (const type of ['"amount"', '"fixed_price"']) {
                const message = `discount.value ${bounds(places)}`;
                await refused(written({ type, currency }), [message]);
                await refused(written({ type, value: 'null', currency }), [message]);
            }
            await refused(written({ type: '"percent"', currency }), [percentRule]);
            await refused(written({ type: '"percent"', value: 'null', currency }), [percentRule]);
        });
    }

    for (const text of [
        ...['-1', '-0.01', '100.01', '101', '1e3', '0.001', '33.333', '1e-400', '1e400'],
        ...['"5"', '"5%"', '""', 'true', '[]', '{}'],
    ]) {
        it(`${text} percent`, async () => {
            for (const currency of ['null', '"JPY"', '"KWD"']) {
                await refused(written({ type: '"percent"', value: text, currency }), [percentRule]);
            }
        });
    }

    it('free shipping with a value', async () => {
        for (const value of ['0', '1', '5.555', '-1', '"x"', 'true', '{}']) {
            await refused(written({ type: '"free_shipping"', value }), [freeRule]);
        }
    });

    for (const type of ['"gift"', '"Amount"', '"amount "', '""', 'null', '5', 'true', '[]', '{}']) {
        it(`of the type ${type}`, async () => {
            await refused(written({ type }), [typeRule]);
        });
    }

    for (const currency of [
        ...['XXX', 'XTS', 'XAU', 'DEM', 'ZZZ', 'eur', 'EU', 'EURO', '', ' EUR', 'EUR ', '€', '978'],
        ...['ЕUR', 5, true, [], ['EUR'], {}],
    ]) {
        it(`in ${JSON.stringify(currency)}`, async () => {
            const sent = { type: 'amount', value: 5.25, currency };
            await refused(JSON.stringify(sent), [currencyRule]);
        });
    }

    it('no object', async () => {
        for (const text of ['5', '0', '""', '"amount"', 'true', 'false', '[]', '[{"type":"percent"}]']) {
            await refused(text, ['discount must be an object']);
        }
        await refused('{}', [typeRule]);
    });

    it('what has other members, or one twice', async () => {
        const fit = '"type":"amount","value":5';
        for (const [members, messages] of [
            [`${fit},"foo":1`, ['property discount.foo should not exist']],
            [`${fit},"foo":null`, ['property discount.foo should not exist']],
            [`${fit},"Value":5`, ['property discount.Value should not exist']],
            [`${fit},"discountAmount":5`, ['property discount.discountAmount should not exist']],
            [
                `${fit},"foo":{"type":"x"},"bar":[]`,
                ['property discount.foo should not exist', 'property discount.bar should not exist'],
            ],
            ['"type":"amount","value":5,"value":5', ['property discount.value is given twice']],
            ['"type":"amount","type":"amount","value":5', ['property discount.type is given twice']],
            [`${fit},"currency":"EUR","currency":null`, ['property discount.currency is given twice']],
        ]) {
            await refused(`{${members}}`, messages);
        }
        const twice = `{"discount":{${fit}},"discount":{${fit}}}`;
        invalid(await c.client.patchBook(book.id, twice), ['property discount is given twice']);
    });

    it('wrong in many ways without each being told, in the order of the description', async () => {
        const sent = {
            foo: 1,
            minOrderAmount: [],
            maxAmount: '5',
            currency: 'JPY',
            value: 0.5,
            type: 'amount',
        };
        const messages = [
            `discount.value ${bounds(0)}`,
            `discount.maxAmount ${bounds(0)}`,
            `discount.minOrderAmount ${bounds(0)}`,
            'property discount.foo should not exist',
        ];
        await refused(JSON.stringify(sent), messages);
        // Of a currency that is none it is not known how many decimals it has.
        await refused(JSON.stringify({ ...sent, value: 0.001, currency: 'yen' }), [
            currencyRule,
            `discount.value ${bounds(2)}`,
            `discount.maxAmount ${bounds(2)}`,
            `discount.minOrderAmount ${bounds(2)}`,
            'property discount.foo should not exist',
        ]);
        // Among those of the book.
        const others = { more: 1, description: 5, discount: sent, maxRedemptionsPerUser: 0, name: 5 };
        invalid(await c.client.patchBook(book.id, others), [
            'name must be a string',
            'maxRedemptionsPerUser must be an integer from 1 to 1000000000',
            ...messages,
            'description must be a string',
            'property more should not exist',
        ]);
    });

    it('given in both forms', async () => {
        const { status, body } = await c.client.post('/coupon', {
            name: 'D',
            codePattern: 'D',
            discountAmount: 5,
            discount,
        });
        assert.equal(status, 400);
        assert.deepEqual(body.message, [notBoth]);
        for (const members of [
            { discountAmount: 5, discount },
            { discount, discountAmount: 0 },
            { discountAmount: 5, discount: amountOff(5) },
        ]) {
            invalid(await c.client.patchBook(book.id, members), [notBoth]);
        }
    });

    it('changed by any of this', async () => {
        const { counts, ...left } = (await c.client.get(`/coupon/${book.id}`)).body;
        assert.deepEqual(left, book);
        const entries = await settledEntries(c.client, { bookId: book.id });
        assert.deepEqual(entries.map(({ type }) => type), ['book_created']);
    });
});

describe('discountAmount', () => {
    const c = suiteServer();

    it('is short for an amount of no certain currency', async () => {
        for (const discountAmount of [0, 0.01, 0.29, 19.99, 20, 99_999_999.99]) {
            const book = await c.client.newBook({ discountAmount });
            assertBook(book, { discountAmount, discount: amountOff(discountAmount) });
        }
        for (const discountAmount of [-0.01, 0.001, 100_000_000, '5', {}]) {
            const sent = { name: 'N', codePattern: 'P', discountAmount };
            invalid(await c.client.post('/coupon', sent), [shortRule]);
        }
    });

    it('may be null beside a discount, and the other way round', async () => {
        const discount = whole({ type: 'percent', value: 50 });
        const both = { discountAmount: null, discount };
        assertBook(await c.client.newBook(both), both);
        const amount = { discountAmount: 5, discount: null };
        const shown = { discountAmount: 5, discount: amountOff(5) };
        assertBook(await c.client.newBook(amount), shown);
        const { id } = await c.client.newBook();
        assertBook(await c.client.mustPatchBook(id, both), both);
        assertBook(await c.client.mustPatchBook(id, amount), shown);
        assertBook(await c.client.mustPatchBook(id, { ...both, discount: null }), {
            discountAmount: null,
            discount: null,
        });
    });

    it('is the value of an amount, whatever else is set, and null of all else', async () => {
        const { id } = await c.client.newBook();
        for (const [discount, discountAmount] of [
            [{ type: 'amount', value: 7.5, currency: 'EUR', maxAmount: 5, minOrderAmount: 9 }, 7.5],
            [{ type: 'amount', value: 1_000_000_000_000, currency: 'JPY' }, 1_000_000_000_000],
            [{ type: 'percent', value: 7.5 }, null],
            [{ type: 'fixed_price', value: 7.5 }, null],
            [{ type: 'free_shipping' }, null],
        ]) {
            const book = await c.client.mustPatchBook(id, { discount });
            assertBook(book, { discount: whole(discount), discountAmount });
        }
    });
});

describe('PATCH /coupon/:id of a discount', () => {
    const c = suiteServer();

    it('replaces it as a whole', async () => {
        const { id } = await c.client.newBook({
            discount: {
                ...{ type: 'amount', value: 5, currency: 'EUR' },
                ...{ maxAmount: 4, minOrderAmount: 30 },
            },
        });
        for (const members of [
            { discount: { type: 'amount', value: 6 } },
            { discount: { type: 'percent', value: 6, maxAmount: 3 } },
            { discount: { type: 'percent', value: 6 } },
            { discount: { type: 'free_shipping', minOrderAmount: 1 } },
        ]) {
            const book = await c.client.mustPatchBook(id, members);
            assert.deepEqual(book.discount, whole(members.discount));
        }
        const short = await c.client.mustPatchBook(id, { discountAmount: 2.5 });
        assertBook(short, { discountAmount: 2.5, discount: amountOff(2.5) });
    });

    it('removes it by null, in either form', async () => {
        for (const set of [{ discountAmount: 5 }, { discount: { type: 'percent', value: 5 } }]) {
            for (const members of [{ discountAmount: null }, { discount: null }]) {
                const { id } = await c.client.newBook(set);
                const book = await c.client.mustPatchBook(id, members);
                assertBook(book, { discountAmount: null, discount: null });
            }
        }
    });

    it('leaves it alone where it is left out', async () => {
        const discount = whole({ type: 'fixed_price', value: 9.99, currency: 'EUR' });
        const { id } = await c.client.newBook({ discount });
        assertBook(await c.client.mustPatchBook(id, { name: 'Other' }), { discount });
        await c.client.mustArchive(id);
        assertBook(await c.client.mustRestore(id), { discount });
    });

    it('has an entry, with what it was before', async () => {
        const before = await c.client.newBook({ discount: { type: 'free_shipping' } });
        const discount = { type: 'percent', value: 0.5, currency: 'CLF', maxAmount: 0.0001 };
        const after = await c.client.mustPatchBook(before.id, { discount });
        const [, entry] = await entriesOf(c.client, 2, { bookId: before.id });
        assert.deepEqual([entry.type, entry.before, entry.after], ['book_changed', before, after]);
    });

    it('that changes nothing leaves no trace', async () => {
        const discount = { type: 'amount', value: 5, currency: 'EUR', minOrderAmount: 30 };
        const book = await c.client.newBook({ discount });
        const plain = await c.client.newBook({ discountAmount: 5 });
        const bare = await c.client.newBook();
        await passed(bare.updatedAt);
        for (const [{ id, ...rest }, members] of [
            [book, { discount }],
            [book, { discount: { ...discount, maxAmount: null } }],
            [book, '{"discount":{"minOrderAmount":3e1,"value":5.00,"type":"amount","currency":"EUR"}}'],
            [plain, { discountAmount: 5 }],
            [plain, { discount: { type: 'amount', value: 5 } }],
            [plain, { discountAmount: null, discount: amountOff(5) }],
            [bare, { discount: null }],
            [bare, { discountAmount: null }],
        ]) {
            assert.deepEqual(await c.client.mustPatchBook(id, members), { id, ...rest });
        }
        for (const { id } of [book, plain, bare]) {
            const entries = await settledEntries(c.client, { bookId: id });
            assert.deepEqual(entries.map(({ type }) => type), ['book_created']);
        }
    });

    it('is repeated with its key as the first time', async () => {
        const { id } = await c.client.newBook();
        const headers = { 'idempotency-key': 'discount' };
        const sent = { discount: { type: 'percent', value: 15, maxAmount: 9.5 } };
        const first = await c.client.patchBook(id, sent, { headers });
        assert.equal(first.status, 200, first.text);
        await c.client.mustPatchBook(id, { discountAmount: 1 });
        const again = await c.client.patchBook(id, sent, { headers });
        assert.equal(again.headers['idempotent-replayed'], 'true');
        assert.equal(again.text, first.text);
    });

    it('holds at once for what is redeemed from then on, and for nothing before', async () => {
        const codes = ['AT-0', 'AT-1', 'AT-2', 'AT-3', 'AT-4'];
        const { id } = await c.client.newBookWith(codes, { discountAmount: 10 });
        for (const code of codes) {
            await c.client.mustAssign(code, 'ann');
            await c.client.mustLock(code, 'ann');
        }
        const order = { id: 'o', amount: 40, currency: 'EUR' };
        const worth = [];
        for (const [index, discount] of [
            undefined,
            { type: 'percent', value: 50 },
            { type: 'fixed_price', value: 35, currency: 'EUR' },
            { type: 'amount', value: 2.5, currency: 'EUR' },
            null,
        ].entries()) {
            if (discount !== undefined) await c.client.mustPatchBook(id, { discount });
            const { redemption } = await c.client.mustRedeem(codes[index], 'ann', order);
            worth.push(redemption.discount?.amount ?? null);
        }
        assert.deepEqual(worth, [10, 20, 5, 2.5, null]);
        const { redemptions } = (await c.client.get('/coupon/users/ann')).body;
        assert.deepEqual(redemptions.map(({ discountAmount }) => discountAmount), worth);
    });

    it('is there after a restart', async (t) => {
        const { server, client } = await testServer(t);
        const discount = whole({ type: 'amount', value: 9_999_999_999.99, currency: 'EUR' });
        const { id } = await client.newBook({ discount });
        const other = await client.newBook({ discountAmount: 5 });
        const changed = await client.mustPatchBook(other.id, { discount: { type: 'free_shipping' } });
        const look = async () => (await client.get('/coupon')).text;
        const before = await look();
        await server.stop();
        await server.start();
        assert.equal(await look(), before);
        assertBook((await client.get(`/coupon/${id}`)).body, { discount });
        assertBook((await client.get(`/coupon/${other.id}`)).body, { discount: changed.discount });
    });
});
