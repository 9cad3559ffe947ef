// PATCH and DELETE /coupon/:id, POST /coupon/:id/restore, and what POST /coupon takes besides a
// name: what a book is set to, and what that makes of its codes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, settledEntries, verifyLedger } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { refusals } from '../support/refusals.js';
import { amountOff, assertBook, assertTime, bookDefaults, bookMembers } from '../support/shapes.js';
import {
    metadataOf,
    unfitActive,
    unfitAutoGenerate,
    unfitCombinable,
    unfitMetadata,
    unfitTimes,
} from '../support/unfit.js';

const past = '2020-02-02T02:02:02.000Z';
const future = '2120-02-02T02:02:02.000Z';
const inMs = (ms) => new Date(Date.now() + ms).toISOString();

// A value for each member that is not its default, as it is sent and as it is answered.
const everything = {
    name: 'Été 🎟',
    codePattern: 'E-{4}',
    maxRedemptionsPerUser: 3,
    discountAmount: 19.99,
    description: ` for "all" of \\you\\, 🎟 `,
    active: false,
    startsAt: '2027-01-02T03:04:05.678Z',
    endsAt: '2028-01-02T00:00:00.000Z',
    timeZone: 'Europe/Berlin',
    maxRedemptions: 5,
    limits: {
        day: null,
        week: { maxRedemptions: 4, maxRedemptionsPerUser: 2, budget: null },
        month: null,
    },
    maxAssignmentsPerUser: 6,
    maxRedemptionsPerCode: 4,
    lockTtlSeconds: 86_400,
    combinable: false,
    metadata: {
        text: 'ü🎟"\\/\u2028',
        control: '\u0000\n\u001f',
        numbers: [0, -1, 0.5, 1e21, 9_007_199_254_740_991],
        rest: [true, false, null, [], {}],
        deep: { a: { b: { c: [[[]]] } } },
        '': 0,
        ' x ': '',
    },
};
const settable = Object.keys(everything);
const nullable = Object.keys(bookDefaults);
/** What books are where these are set to null: as by default, but for a limit, which there is none of. */
const nullDefaults = { ...bookDefaults, maxRedemptionsPerCode: null };

/** What a book shows of a member that was set. */
const set = (name, value) =>
    name === 'discountAmount'
        ? { discountAmount: value, discount: amountOff(value) }
        : { [name]: value };

const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const counted = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts;
const keyed = (key) => ({ headers: { 'idempotency-key': key } });

function assertReplayed(answer, first) {
    assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text);
    assert.deepEqual([answer.status, answer.text], [first.status, first.text]);
}

/** A code that `user` holds, locked where `locked`. */
async function hold(client, code, user, { locked = false } = {}) {
    await client.mustAssign(code, user);
    if (locked) await client.mustLock(code, user);
}

/** A code from being free to being redeemed. */
async function use(client, code, user) {
    await hold(client, code, user, { locked: true });
    await client.mustRedeem(code, user);
}

describe('POST /coupon', () => {
    const c = suiteServer();

    it('sets to its default what is left out or null', async () => {
        const bare = await c.client.newBook();
        assert.deepEqual(Object.keys(bare), bookMembers);
        assertBook(bare, { ...bookDefaults, archivedAt: null });
        const nulls = Object.fromEntries(nullable.map((name) => [name, null]));
        const book = await c.client.newBook(nulls);
        const { id, createdAt, updatedAt } = book;
        const { maxRedemptionsPerCode } = nullDefaults;
        assert.deepEqual(book, { ...bare, maxRedemptionsPerCode, id, createdAt, updatedAt });
    });

    it('takes everything at once, and shows it everywhere', async () => {
        const answer = await c.client.post('/coupon', everything);
        assert.equal(answer.status, 201, answer.text);
        const book = answer.body;
        assert.deepEqual(Object.keys(book), bookMembers);
        assertBook(book, { ...everything, archivedAt: null });
        assert.deepEqual(Object.keys(book.metadata), Object.keys(everything.metadata));

        const { counts, ...shown } = (await c.client.get(`/coupon/${book.id}`)).body;
        assert.equal(JSON.stringify(shown), answer.text);
        const { counts: _, codes: __, ...listed } = await c.client.bookWithCodes(book.id);
        assert.deepEqual(listed, book);
        const uploaded = await c.client.upload(book.id, ['ALL-1']);
        assert.deepEqual(uploaded.body[0].couponBook, book);
        const [created] = await entriesOf(c.client, 2, { bookId: book.id });
        assert.deepEqual([created.before, created.after], [null, book]);
    });

    it('takes each value there may be', async () => {
        for (const members of [
            ...['', 'd'.repeat(2_000), '🎟'.repeat(2_000), ' '].map((description) => ({
                description,
            })),
            ...[1, 1_000_000_000].map((maxAssignmentsPerUser) => ({ maxAssignmentsPerUser })),
            ...[1, 1_000_000_000, null].map((maxRedemptionsPerCode) => ({ maxRedemptionsPerCode })),
            ...['open', 'required'].map((assignment) => ({ assignment })),
            ...[1, 86_400].map((lockTtlSeconds) => ({ lockTtlSeconds })),
            ...['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+12'].map(
                (timeZone) => ({ timeZone }),
            ),
            ...[{}, metadataOf(16_384), { a: null }].map((metadata) => ({ metadata })),
            { startsAt: past, endsAt: '2020-02-02T02:02:02.001Z' },
            { startsAt: future },
        ]) {
            assertBook(await c.client.newBook(members), members);
        }
    });

    it('does not count white space of metadata', async () => {
        const text = JSON.stringify(metadataOf(16_384)).replace(':', ' :\n\t  ');
        const answer = await c.client.post(
            '/coupon',
            `{"name":"N","codePattern":"P","metadata": { ${text.slice(1)} }`,
        );
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(answer.body.metadata, metadataOf(16_384));
    });
});

const whole = (rule) => `must be an integer from 1 to ${rule}`;
const zone = 'timeZone must be one of the IANA database, such as Europe/Berlin, or UTC';
const ttl = 'lockTtlSeconds must be an integer from 1 to 86400';
// Values that a member cannot have, and what is said of them.
const unfit = [
    ['name', '', 'name should not be empty'],
    ['name', null, 'name should not be empty'],
    ['name', 5, 'name must be a string'],
    ['codePattern', null, 'codePattern should not be empty'],
    ['codePattern', ['P'], 'codePattern must be a string'],
    ['maxRedemptionsPerUser', 0, `maxRedemptionsPerUser ${whole(1_000_000_000)}`],
    [
        'discountAmount',
        -1,
        'discountAmount must be a number from 0 to 99999999.99 with at most 2 decimals',
    ],
    ...[5, true, [], {}].map((value) => ['description', value, 'description must be a string']),
    ...['d'.repeat(2_001), '🎟'.repeat(2_001)].map((value) => [
        'description',
        value,
        'description must be shorter than or equal to 2000 characters',
    ]),
    ...['a\nb', 'nul\0', '\u0085'].map((value) => [
        'description',
        value,
        'description must not contain control characters',
    ]),
    ...unfitActive,
    ...unfitTimes('startsAt'),
    ...unfitTimes('endsAt'),
    ...[
        ...['', 'Mars', 'CEST', 'Europe', 'Europe/', 'Europe/Nowhere', '../UTC', '/etc/localtime'],
        ...['posix/Europe/Berlin', 'localtime', 'Europe/Berlin\0', '+01:00', 5, true, [], {}],
    ].map((value) => ['timeZone', value, zone]),
    ['maxRedemptions', 0, `maxRedemptions ${whole(1_000_000_000)}`],
    ['limits', [], 'limits must be an object'],
    ...[0, -1, 1.5, 1_000_000_001, 1e30, '3', true, [], {}].map((value) => [
        'maxAssignmentsPerUser',
        value,
        `maxAssignmentsPerUser ${whole(1_000_000_000)}`,
    ]),
    ...[0, 1_000_000_001, 1.5, '1', true].map((value) => [
        'maxRedemptionsPerCode',
        value,
        `maxRedemptionsPerCode ${whole(1_000_000_000)}`,
    ]),
    ...[0, -1, 86_401, 1.5, 1e30, '60', true, [], {}].map((value) => ['lockTtlSeconds', value, ttl]),
    ...unfitCombinable,
    ...unfitAutoGenerate,
    ...unfitMetadata,
];
const shown = (value) => JSON.stringify(value).slice(0, 40);

describe('what a book cannot be set to', () => {
    const c = suiteServer();
    let book;

    it('is tried on a book', async () => {
        book = await c.client.newBookWith(['X'], everything);
    });

    for (const [name, value, message] of unfit) {
        it(`${name} ${shown(value)}`, async () => {
            const sent = { name: 'N', codePattern: 'P', [name]: value };
            invalid(await c.client.post('/coupon', sent), [message]);
            invalid(await c.client.patchBook(book.id, { [name]: value }), [message]);
        });
    }

    it('is told of one by one, in the order of the description', async () => {
        const first = new Map();
        for (const [name, value, message] of unfit) {
            if (!first.has(name)) first.set(name, { value, message });
        }
        const wrong = [...first].map(([name, { value }]) => [name, value]).reverse();
        const sent = { more: 1, ...Object.fromEntries(wrong), evenMore: {} };
        const messages = [
            ...[...settable.slice(0, -1), 'autoGenerate', settable.at(-1)].map(
                (name) => first.get(name).message,
            ),
            'property more should not exist',
            'property evenMore should not exist',
        ];
        invalid(await c.client.post('/coupon', sent), messages);
        invalid(await c.client.patchBook(book.id, sent), messages);
        invalid(await c.client.patchBook('x', sent), ['id must be a positive integer', ...messages]);
    });

    it('is what it does not have: counts, times of its own, its id', async () => {
        const own = ['id', 'counts', 'codes', 'archivedAt', 'createdAt', 'updatedAt', 'Active'];
        for (const name of own) {
            const messages = [`property ${name} should not exist`];
            const sent = { name: 'N', codePattern: 'P', [name]: null };
            invalid(await c.client.post('/coupon', sent), messages);
            invalid(await c.client.patchBook(book.id, { [name]: null }), messages);
        }
    });

    it('is said twice', async () => {
        for (const name of settable) {
            const text = JSON.stringify(everything[name]);
            const answer = await c.client.patchBook(book.id, `{"${name}":${text},"${name}":${text}}`);
            invalid(answer, [`property ${name} is given twice`]);
        }
    });

    it('is nothing, and no object', async () => {
        invalid(await c.client.patchBook(book.id, {}), ['body must have at least one member']);
        for (const body of ['[]', 'null', '5', '"text"']) {
            invalid(await c.client.patchBook(book.id, body), ['body must be an object']);
        }
        for (const body of ['', undefined]) {
            const answer = await c.client.patchBook(book.id, body);
            invalid(answer, ['body must be an object, but is empty']);
        }
        const answer = await c.client.patchBook(book.id, '{"active":');
        assertRefused(answer, 400, undefined, 'malformed_json');
        const text = { headers: { 'content-type': 'text/plain' } };
        const refused = await c.client.patchBook(book.id, '{"active":true}', text);
        assertRefused(refused, 415, undefined, 'unsupported_media_type');
    });

    it('is nested too deep', async () => {
        // 32 levels with the body itself.
        const nested = (levels) => `{"metadata":${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels)}`;
        const deep = await c.client.patchBook(book.id, nested(31));
        assert.equal(deep.status, 200, deep.text);
        const deeper = await c.client.patchBook(book.id, nested(32));
        assertRefused(deeper, 400, undefined, 'malformed_json');
        await c.client.mustPatchBook(book.id, { metadata: everything.metadata });
    });

    it('is asked of a book that is not there', async () => {
        const ids = ['999999', '9007199254740993', '9223372036854775807'];
        for (const id of ids) {
            for (const answer of [
                await c.client.patchBook(id, { active: true }),
                await c.client.patchBook(id, { endsAt: past }),
                await c.client.archive(id),
                await c.client.restore(id),
            ]) {
                assertRefused(answer, ...refusals.bookNotFound);
            }
        }
        for (const id of ['0', '-1', 'x', '1.0', '%20', '9223372036854775808', 'stats', 'events']) {
            for (const answer of [
                await c.client.patchBook(id, { active: true }),
                await c.client.archive(id),
                await c.client.restore(id),
            ]) {
                invalid(answer, ['id must be a positive integer']);
            }
        }
    });

    it('has changed nothing', async () => {
        const { counts, ...left } = (await c.client.get(`/coupon/${book.id}`)).body;
        assert.deepEqual(left, { ...book, updatedAt: left.updatedAt });
        const entries = await settledEntries(c.client, { bookId: book.id });
        const types = entries.map(({ type }) => type);
        // The two of the metadata that was deep enough, and back.
        assert.deepEqual(types, ['book_created', 'codes_uploaded', 'book_changed', 'book_changed']);
    });
});

describe('PATCH /coupon/:id', () => {
    const c = suiteServer();

    for (const [name, value] of Object.entries(everything)) {
        it(`changes ${name} and nothing else`, async () => {
            const book = await c.client.newBook();
            await passed(book.updatedAt);
            const answer = await c.client.patchBook(book.id, { [name]: value });
            assert.equal(answer.status, 200, answer.text);
            const changed = answer.body;
            assert.deepEqual(Object.keys(changed), bookMembers);
            assert.deepEqual(changed, { ...book, ...set(name, value), updatedAt: changed.updatedAt });
            assertTime(changed.updatedAt, Date.now());
            assert.ok(changed.updatedAt > book.updatedAt);

            const { counts, ...left } = (await c.client.get(`/coupon/${book.id}`)).body;
            assert.equal(JSON.stringify(left), answer.text);
            const entry = (await entriesOf(c.client, 2, { bookId: book.id })).at(-1);
            assert.equal(
                JSON.stringify(entry),
                JSON.stringify({
                    id: entry.id,
                    at: changed.updatedAt,
                    type: 'book_changed',
                    bookId: book.id,
                    code: null,
                    userId: null,
                    requestId: answer.headers['x-request-id'],
                    before: book,
                    after: changed,
                }),
            );
        });
    }

    it('keeps what is left out, and sets what is null to its default', async () => {
        const book = await c.client.newBook(everything);
        let expected = book;
        for (const name of nullable) {
            const changed = await c.client.mustPatchBook(book.id, { [name]: null });
            const { updatedAt } = changed;
            expected = { ...expected, ...set(name, nullDefaults[name]), updatedAt };
            assert.deepEqual(changed, expected);
        }
        assertBook(expected, { name: everything.name, ...nullDefaults });
        const again = await c.client.mustPatchBook(book.id, everything);
        assert.deepEqual(again, { ...book, updatedAt: again.updatedAt });
        const nulls = Object.fromEntries(nullable.map((name) => [name, null]));
        assertBook(await c.client.mustPatchBook(book.id, nulls), nullDefaults);
    });

    it('changes many at once by one entry', async () => {
        const book = await c.client.newBook();
        const changed = await c.client.mustPatchBook(book.id, everything);
        assertBook(changed, everything);
        const [, entry] = await entriesOf(c.client, 2, { bookId: book.id });
        assert.deepEqual([entry.before, entry.after], [book, changed]);
        assert.deepEqual(await settledEntries(c.client, { bookId: book.id, type: 'book_changed' }), [
            entry,
        ]);
    });

    it('that changes nothing leaves no trace', async () => {
        const book = await c.client.newBook(everything);
        const bare = await c.client.newBook();
        await passed(bare.updatedAt);
        for (const [name, value] of Object.entries(everything)) {
            assert.deepEqual(await c.client.mustPatchBook(book.id, { [name]: value }), book);
            if (!nullable.includes(name)) continue;
            const isUsual = nullDefaults[name] === bookDefaults[name];
            for (const usual of [...(isUsual ? [null] : []), bookDefaults[name]]) {
                assert.deepEqual(await c.client.mustPatchBook(bare.id, { [name]: usual }), bare);
            }
        }
        for (const text of [
            '{"discountAmount":1.9990e1}',
            '{"startsAt":"2027-01-02T04:04:05.678+01:00"}',
            '{"maxRedemptionsPerUser":3.0,"lockTtlSeconds":864e2}',
            ` ${JSON.stringify({ metadata: everything.metadata }, null, 2)} `,
        ]) {
            assert.deepEqual(await c.client.mustPatchBook(book.id, text), book);
        }
        for (const { id } of [book, bare]) {
            const entries = await settledEntries(c.client, { bookId: id });
            assert.deepEqual(entries.map(({ type }) => type), ['book_created']);
        }
    });

    it('replaces metadata as a whole', async () => {
        const { id } = await c.client.newBook({ metadata: { a: 1, b: { c: 2 } } });
        const changed = await c.client.mustPatchBook(id, { metadata: { b: { d: 3 } } });
        assert.deepEqual(changed.metadata, { b: { d: 3 } });
        assert.deepEqual((await c.client.mustPatchBook(id, { metadata: {} })).metadata, {});
    });

    it('shows in every place that shows the book, the past as it was', async () => {
        const book = await c.client.newBookWith(['SH-1'], { name: 'Before' });
        const change = { name: 'Behind it', metadata: { a: 1 } };
        const changed = await c.client.mustPatchBook(book.id, change);
        const uploaded = await c.client.upload(book.id, ['SH-2']);
        assert.deepEqual(uploaded.body[0].couponBook, changed);
        const found = (await c.client.get('/coupon?name=behind%20it')).body;
        assert.deepEqual(found.map(({ id }) => id), [book.id]);
        assert.deepEqual((await c.client.get('/coupon?name=before')).body, []);
        const [created, , edited] = await entriesOf(c.client, 4, { bookId: book.id });
        assert.deepEqual(created.after, book);
        assert.deepEqual([edited.before, edited.after], [book, changed]);
    });

    it('is there after a restart, to the byte', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBookWith(['R-1']);
        await client.mustPatchBook(id, everything);
        await client.mustArchive((await client.newBook(everything)).id);
        const before = await client.get('/coupon?include=codes');
        await server.stop();
        await server.start();
        assert.equal((await client.get('/coupon?include=codes')).text, before.text);
        await verifyLedger(client);
    });
});

// [zone, what is sent, which moment it is]. In 2027 Berlin's clocks change on 28 March and 31
// October, New York's on 14 March and 7 November; Santiago's go from midnight to one on 5 September,
// and Havana's on 14 March.
const starts = [
    ['UTC', '2027-03-28', '2027-03-28T00:00:00.000Z'],
    ['Europe/Berlin', '2027-03-28', '2027-03-27T23:00:00.000Z'],
    ['Europe/Berlin', '2027-03-29', '2027-03-28T22:00:00.000Z'],
    ['Europe/Berlin', '2027-10-31', '2027-10-30T22:00:00.000Z'],
    ['Europe/Berlin', '2027-11-01', '2027-10-31T23:00:00.000Z'],
    ['America/New_York', '2027-03-14', '2027-03-14T05:00:00.000Z'],
    ['America/Santiago', '2027-09-05', '2027-09-05T04:00:00.000Z'],
    ['America/Havana', '2027-03-14', '2027-03-14T05:00:00.000Z'],
    ['Asia/Kathmandu', '2027-06-01', '2027-05-31T18:15:00.000Z'],
    ['UTC', '2000-01-01', '2000-01-01T00:00:00.000Z'],
    ['UTC', '2028-02-29', '2028-02-29T00:00:00.000Z'],
];
const ends = [
    ['UTC', '2027-03-28', '2027-03-29T00:00:00.000Z'],
    ['Europe/Berlin', '2027-03-27', '2027-03-27T23:00:00.000Z'],
    ['Europe/Berlin', '2027-03-28', '2027-03-28T22:00:00.000Z'],
    ['Europe/Berlin', '2027-10-30', '2027-10-30T22:00:00.000Z'],
    ['Europe/Berlin', '2027-10-31', '2027-10-31T23:00:00.000Z'],
    ['America/New_York', '2027-11-07', '2027-11-08T05:00:00.000Z'],
    ['America/Santiago', '2027-09-04', '2027-09-05T04:00:00.000Z'],
    ['America/Havana', '2027-03-13', '2027-03-14T05:00:00.000Z'],
    ['Asia/Kathmandu', '2027-06-01', '2027-06-01T18:15:00.000Z'],
    ['UTC', '2027-12-31', '2028-01-01T00:00:00.000Z'],
];
const moments = [
    ['Europe/Berlin', '2027-03-28T01:59:59+01:00', '2027-03-28T00:59:59.000Z'],
    ['Europe/Berlin', '2027-03-28T03:00:00+02:00', '2027-03-28T01:00:00.000Z'],
    ['Europe/Berlin', '2027-10-31T02:30:00+02:00', '2027-10-31T00:30:00.000Z'],
    ['Europe/Berlin', '2027-10-31T02:30:00+01:00', '2027-10-31T01:30:00.000Z'],
    ['Asia/Tokyo', '2026-11-22T14:00:00Z', '2026-11-22T14:00:00.000Z'],
    ['UTC', '2026-11-22T15:00:00+01:00', '2026-11-22T14:00:00.000Z'],
    ['UTC', '2026-11-22T09:30:00.5-04:30', '2026-11-22T14:00:00.500Z'],
    ['UTC', '2026-11-22T14:00:00.123Z', '2026-11-22T14:00:00.123Z'],
];

describe('startsAt and endsAt', () => {
    const c = suiteServer();

    for (const [name, cases] of [
        ['startsAt', [...starts, ...moments]],
        ['endsAt', [...ends, ...moments]],
    ]) {
        it(`${name} is a moment, of a date that of its day in the book's zone`, async () => {
            for (const [timeZone, sent, moment] of cases) {
                const told = `${sent} ${timeZone}`;
                const book = await c.client.newBook({ timeZone, [name]: sent });
                assert.equal(book[name], moment, told);
                // The zone of the same request counts, and else the one that the book has.
                const { id } = await c.client.newBook({ timeZone: 'Pacific/Auckland' });
                const both = await c.client.mustPatchBook(id, { [name]: sent, timeZone });
                assert.equal(both[name], moment, told);
                await c.client.mustPatchBook(id, { [name]: null });
                const alone = await c.client.mustPatchBook(id, { [name]: sent });
                assert.equal(alone[name], moment, told);
                // Read again, it is no other one.
                assert.deepEqual(
                    await c.client.mustPatchBook(id, { [name]: moment }),
                    await c.client.mustPatchBook(id, { [name]: sent }),
                );
            }
        });
    }

    it('reach to the end of the last day that can be said', async () => {
        const { endsAt } = await c.client.newBook({ endsAt: '9998-12-31' });
        assert.equal(endsAt, '9999-01-01T00:00:00.000Z');
    });

    it('stand for whole days of 23, 24 and 25 hours', async () => {
        for (const [day, hours] of [['2027-03-28', 23], ['2027-06-01', 24], ['2027-10-31', 25]]) {
            const members = { timeZone: 'Europe/Berlin', startsAt: day, endsAt: day };
            const { startsAt, endsAt } = await c.client.newBook(members);
            assert.equal(Date.parse(endsAt) - Date.parse(startsAt), hours * 3_600_000);
        }
    });

    it('stay where they are when the zone is changed, alone or to its default', async () => {
        const members = { timeZone: 'Europe/Berlin', startsAt: '2027-03-28', endsAt: '2027-10-31' };
        const book = await c.client.newBook(members);
        for (const timeZone of ['America/New_York', null]) {
            const { startsAt, endsAt } = await c.client.mustPatchBook(book.id, { timeZone });
            assert.deepEqual([startsAt, endsAt], [book.startsAt, book.endsAt]);
        }
        // In UTC from then on.
        const { endsAt } = await c.client.mustPatchBook(book.id, { endsAt: '2027-10-31' });
        assert.equal(endsAt, '2027-11-01T00:00:00.000Z');
        const back = { timeZone: null, startsAt: '2027-03-28' };
        await c.client.mustPatchBook(book.id, { timeZone: 'Europe/Berlin' });
        const { startsAt } = await c.client.mustPatchBook(book.id, back);
        assert.equal(startsAt, '2027-03-28T00:00:00.000Z');
    });

    const berlin = 'Europe/Berlin';
    const order = ['endsAt must be after startsAt'];

    it('are refused where one is not after the other', async () => {
        for (const members of [
            { startsAt: future, endsAt: past },
            { startsAt: past, endsAt: past },
            { startsAt: '2027-01-02', endsAt: '2027-01-01' },
            { startsAt: '2027-01-02', endsAt: '2027-01-01T22:59:59.999Z', timeZone: berlin },
            { startsAt: '2027-01-01T23:00:00Z', endsAt: '2027-01-01', timeZone: berlin },
        ]) {
            const sent = { name: 'N', codePattern: 'P', ...members };
            invalid(await c.client.post('/coupon', sent), order);
            const { id } = await c.client.newBook();
            invalid(await c.client.patchBook(id, members), order);
        }
        const members = { startsAt: '2027-01-02', endsAt: '2027-01-01T23:00:00.001Z' };
        await c.client.newBook({ ...members, timeZone: berlin });
    });

    it('are refused where a change contradicts what the book has', async () => {
        const window = { startsAt: '2027-01-01', endsAt: '2027-01-31', timeZone: 'Europe/Berlin' };
        const book = await c.client.newBook(window);
        for (const members of [
            { startsAt: book.endsAt },
            { startsAt: '2027-02-01' },
            { startsAt: future, active: false },
            { endsAt: book.startsAt },
            { endsAt: '2026-12-31' },
            { endsAt: past, name: 'Another' },
            { startsAt: null, endsAt: past, metadata: [] }, // that alone is wrong, and is told of
        ]) {
            const messages = 'metadata' in members ? ['metadata must be an object'] : order;
            invalid(await c.client.patchBook(book.id, members), messages);
        }
        const { counts, ...left } = (await c.client.get(`/coupon/${book.id}`)).body;
        assert.deepEqual(left, book);
        // Both at once, or one after the other in the right order, are none.
        const move = (members) => c.client.mustPatchBook(book.id, members);
        await move({ startsAt: '2028-01-01', endsAt: '2028-01-31' });
        await move({ startsAt: '2027-01-01' });
        await move({ endsAt: '2027-01-31' });
        await move({ endsAt: null });
        await move({ startsAt: future });
        await move({ startsAt: null });
        const last = await move({ endsAt: past });
        assertBook(last, { startsAt: null, endsAt: past });
        // A date of another zone: the day before ends here when it has begun there.
        const there = { timeZone: 'Pacific/Auckland', startsAt: '2027-06-02' };
        const { id } = await c.client.newBook(there);
        invalid(await c.client.patchBook(id, { endsAt: '2027-06-01' }), order);
        await c.client.mustPatchBook(id, { endsAt: '2027-06-01', timeZone: 'UTC' });
    });
});

describe('the window of a book, as time goes by', { concurrency: true }, () => {
    const c = suiteServer();

    it('lets codes be given away before it starts, and used from then on', async () => {
        const startsAt = inMs(2_000);
        const { id } = await c.client.newBookWith(['S-1', 'S-2'], { startsAt });
        await c.client.mustAssign('S-1', 'ann');
        assert.equal((await c.client.assignAny('bob', id)).status, 201);
        assertRefused(await c.client.lock('S-1', 'ann'), ...refusals.bookNotStarted);
        assertRefused(await c.client.redeem('S-1', 'ann'), ...refusals.bookNotStarted);
        await passed(startsAt);
        await c.client.mustLock('S-1', 'ann');
        await c.client.mustRedeem('S-1', 'ann');
    });

    it('closes for codes in every state', async () => {
        const codes = ['E-free', 'E-drawn', 'E-assigned', 'E-locked', 'E-redeemed'];
        const { id } = await c.client.newBookWith(codes);
        await hold(c.client, 'E-assigned', 'ann');
        await hold(c.client, 'E-locked', 'ann', { locked: true });
        const { endsAt } = await c.client.mustPatchBook(id, { endsAt: inMs(2_000) });
        await use(c.client, 'E-redeemed', 'ann');
        assert.equal((await c.client.assignAny('bob', id)).status, 201);
        await passed(endsAt);
        const free = (await c.client.get(`/coupon/codes/${id}?status=free`)).body[0].code;
        for (const answer of [
            await c.client.assign(free, 'ann'),
            await c.client.assignAny('ann', id),
            await c.client.lock('E-assigned', 'ann'),
            await c.client.lock('E-locked', 'ann'),
            await c.client.redeem('E-assigned', 'ann'),
            await c.client.redeem('E-locked', 'ann'),
        ]) {
            assertRefused(answer, ...refusals.bookEnded);
        }
        assertRefused(await c.client.redeem('E-redeemed', 'ann'), ...refusals.redeemed);
        const counts = { total: 5, available: 1, assigned: 2, locked: 1, redeemed: 1 };
        assert.deepEqual(await counted(c.client, id), counts);
        // The lock lives, and the book can have more time.
        await c.client.mustPatchBook(id, { endsAt: null });
        await c.client.mustRedeem('E-locked', 'ann');
    });
});

describe('maxRedemptionsPerUser', () => {
    const c = suiteServer();
    const limit = (id, most) => c.client.mustPatchBook(id, { maxRedemptionsPerUser: most });
    const locked = async (codes, user) => {
        for (const code of codes) await hold(c.client, code, user, { locked: true });
    };

    it('counts at once when it is lowered and raised, and what is redeemed stays', async () => {
        const codes = numbered('LR-', 6);
        const { id } = await c.client.newBookWith(codes);
        await locked(codes, 'ann');
        await limit(id, 3);
        for (const code of codes.slice(0, 2)) await c.client.mustRedeem(code, 'ann');
        await limit(id, 2);
        assertRefused(await c.client.redeem('LR-2', 'ann'), ...refusals.limitReached);
        await limit(id, 1);
        assertRefused(await c.client.redeem('LR-2', 'ann'), ...refusals.limitReached);
        assert.equal((await counted(c.client, id)).redeemed, 2);
        await limit(id, 3);
        await c.client.mustRedeem('LR-2', 'ann');
        assertRefused(await c.client.redeem('LR-3', 'ann'), ...refusals.limitReached);
        await limit(id, null);
        await c.client.mustRedeem('LR-3', 'ann');
        await c.client.mustRedeem('LR-4', 'ann');
        assert.equal((await counted(c.client, id)).redeemed, 5);
    });

    it('that a book gets counts what users have redeemed before', async () => {
        const anns = numbered('FA-', 4);
        const bobs = numbered('FB-', 4);
        const { id } = await c.client.newBookWith([...anns, ...bobs, 'FC-0', 'FC-1']);
        await locked(anns, 'ann');
        await locked(bobs, 'bob');
        await locked(['FC-0', 'FC-1'], 'eve');
        for (const code of ['FA-0', 'FA-1', 'FA-2']) await c.client.mustRedeem(code, 'ann');
        await c.client.mustRedeem('FB-0', 'bob');
        await limit(id, 2);
        assertRefused(await c.client.redeem('FA-3', 'ann'), ...refusals.limitReached);
        await c.client.mustRedeem('FB-1', 'bob');
        assertRefused(await c.client.redeem('FB-2', 'bob'), ...refusals.limitReached);
        await c.client.mustRedeem('FC-0', 'eve');
        await limit(id, 1);
        assertRefused(await c.client.redeem('FC-1', 'eve'), ...refusals.limitReached);
    });

    it('that a book gets again counts what was redeemed without one', async () => {
        const codes = numbered('AG-', 5);
        const { id } = await c.client.newBookWith(codes);
        await locked(codes, 'ann');
        await limit(id, 1);
        await c.client.mustRedeem('AG-0', 'ann');
        await limit(id, null);
        for (const code of ['AG-1', 'AG-2']) await c.client.mustRedeem(code, 'ann');
        await limit(id, 3);
        assertRefused(await c.client.redeem('AG-3', 'ann'), ...refusals.limitReached);
        await limit(id, 4);
        await c.client.mustRedeem('AG-3', 'ann');
        assertRefused(await c.client.redeem('AG-4', 'ann'), ...refusals.limitReached);
    });

    it('of a book that got it for the first time holds after a restart', async (t) => {
        const { server, client } = await testServer(t);
        const codes = numbered('RS-', 3);
        const { id } = await client.newBookWith(codes);
        for (const code of codes) await hold(client, code, 'ann', { locked: true });
        await client.mustRedeem('RS-0', 'ann');
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
        await server.stop();
        await server.start();
        assertRefused(await client.redeem('RS-1', 'ann'), ...refusals.limitReached);
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 2 });
        await client.mustRedeem('RS-1', 'ann');
        assertRefused(await client.redeem('RS-2', 'ann'), ...refusals.limitReached);
    });
});

describe('lockTtlSeconds and discountAmount', () => {
    const c = suiteServer({ env: { LOCK_TTL_SECONDS: '100' } });

    it('is how long the next lock of a code of the book lives', async () => {
        const codes = numbered('T-', 4);
        const { id } = await c.client.newBookWith(codes, { lockTtlSeconds: 7 });
        for (const code of codes) await c.client.mustAssign(code, 'ann');
        let until;
        for (const [index, lockTtlSeconds] of [7, 86_400, null, 1].entries()) {
            await c.client.mustPatchBook(id, { lockTtlSeconds });
            const asked = Date.now();
            const { lockedUntil } = await c.client.mustLock(codes[index], 'ann');
            const from = Date.parse(lockedUntil) - 1000 * (lockTtlSeconds ?? 100);
            assert.ok(from >= asked && from <= Date.now(), `${lockTtlSeconds}: ${lockedUntil}`);
            // Those that live already keep their end.
            until ??= lockedUntil;
            assert.equal((await c.client.get('/coupon/code/T-0')).body.lockedUntil, until);
        }
        const ended = (await c.client.get('/coupon/code/T-3')).body;
        if (ended.isLocked) await passed(ended.lockedUntil);
        assertRefused(await c.client.redeem('T-3', 'ann'), ...refusals.notLocked);
        await c.client.mustLock('T-3', 'ann');
        await c.client.mustRedeem('T-3', 'ann');
    });

    it('is what the next redemption is worth, and no earlier one', async () => {
        const codes = numbered('D-', 3);
        const { id } = await c.client.newBookWith(codes, { discountAmount: 10 });
        await use(c.client, 'D-0', 'ann');
        await c.client.mustPatchBook(id, { discountAmount: 2.5 });
        await use(c.client, 'D-1', 'ann');
        await c.client.mustPatchBook(id, { discountAmount: null });
        await use(c.client, 'D-2', 'ann');
        const worth = [];
        for (const code of codes) {
            const { redemptions } = (await c.client.get(`/coupon/code/${code}`)).body;
            worth.push(redemptions[0].discountAmount);
        }
        assert.deepEqual(worth, [10, 2.5, null]);
        const { body } = await c.client.get(`/coupon/${id}/stats`);
        assert.equal(body.totals.discount, 12.5);
    });
});

describe('DELETE /coupon/:id and POST /coupon/:id/restore', () => {
    const c = suiteServer();

    /** What is the same of a book and its codes, archived or not. */
    const kept = async (id, codes) => {
        const texts = [];
        for (const path of [
            ...codes.map((code) => `/coupon/code/${code}`),
            ...[`/coupon/codes/${id}`, '/coupon/users/ann'],
        ]) {
            texts.push((await c.client.get(path)).text);
        }
        return [...texts, await counted(c.client, id)];
    };

    it('archive a book and bring it back, twice without another change', async () => {
        const book = await c.client.newBook(everything);
        await passed(book.updatedAt);
        const archive = await c.client.archive(book.id);
        assert.equal(archive.status, 200, archive.text);
        const { archivedAt } = archive.body;
        assertTime(archivedAt, Date.now());
        assert.deepEqual(Object.keys(archive.body), bookMembers);
        assert.deepEqual(archive.body, { ...book, archivedAt, updatedAt: archivedAt });
        await passed(archivedAt);
        assert.equal((await c.client.archive(book.id)).text, archive.text);
        const { counts, ...left } = (await c.client.get(`/coupon/${book.id}`)).body;
        assert.equal(JSON.stringify(left), archive.text);

        const restore = await c.client.restore(book.id);
        assert.equal(restore.status, 201, restore.text);
        const { updatedAt } = restore.body;
        assert.ok(updatedAt > archivedAt);
        assert.deepEqual(restore.body, { ...book, updatedAt });
        await passed(updatedAt);
        assert.equal((await c.client.restore(book.id)).text, restore.text);

        const [, first, second, ...more] = await settledEntries(c.client, { bookId: book.id });
        assert.deepEqual(more, []);
        for (const [entry, type, answer, before] of [
            [first, 'book_archived', archive, book],
            [second, 'book_restored', restore, archive.body],
        ]) {
            assert.deepEqual(entry, {
                id: entry.id,
                at: answer.body.updatedAt,
                type,
                bookId: book.id,
                code: null,
                userId: null,
                requestId: answer.headers['x-request-id'],
                before,
                after: answer.body,
            });
        }
    });

    it('leave a book alone that is not archived', async () => {
        const book = await c.client.newBook();
        assert.deepEqual(await c.client.mustRestore(book.id), book);
        assert.equal((await settledEntries(c.client, { bookId: book.id })).length, 1);
    });

    it('keep everything there is: codes, counts, history, holders, figures', async () => {
        const codes = ['K-free', 'K-assigned', 'K-locked', 'K-redeemed'];
        const { id } = await c.client.newBookWith(codes, { discountAmount: 5 });
        await hold(c.client, 'K-assigned', 'ann');
        await hold(c.client, 'K-locked', 'ann', { locked: true });
        await use(c.client, 'K-redeemed', 'ann');
        await settledEntries(c.client);
        const before = await kept(id, codes);
        const { totals, series } = (await c.client.get(`/coupon/${id}/stats`)).body;
        await c.client.mustArchive(id);
        assert.deepEqual(await kept(id, codes), before);
        const now = (await c.client.get(`/coupon/${id}/stats`)).body;
        assert.deepEqual([now.totals, now.series], [totals, series]);
        const listed = (await c.client.allBooks()).find((book) => book.id === id);
        assertTime(listed.archivedAt);
        assertRefused(await c.client.redeem('K-locked', 'ann'), ...refusals.bookArchived);
        await c.client.mustRestore(id);
        assert.deepEqual(await kept(id, codes), before);
        // Everything goes on where it stood.
        await c.client.mustRedeem('K-locked', 'ann');
        await c.client.mustLock('K-assigned', 'ann');
        await c.client.mustAssign('K-free', 'bob');
        assert.equal((await c.client.upload(id, ['K-new'])).status, 201);
    });

    it('let an archived book be changed, which it is when it is back', async () => {
        const { id } = await c.client.newBookWith(['CH-1', 'CH-2']);
        await hold(c.client, 'CH-1', 'ann', { locked: true });
        const { archivedAt } = await c.client.mustArchive(id);
        const changed = await c.client.mustPatchBook(id, { name: 'Changed', endsAt: past });
        assertBook(changed, { name: 'Changed', endsAt: past, archivedAt });
        await c.client.mustPatchCode('CH-1', { metadata: { a: 1 } });
        await c.client.mustUnlock('CH-1', 'ann');
        await c.client.mustUnassign('CH-1', 'ann');
        const back = await c.client.mustRestore(id);
        assertBook(back, { name: 'Changed', endsAt: past, archivedAt: null });
        assertRefused(await c.client.assign('CH-1', 'ann'), ...refusals.bookEnded);
    });

    it('want nothing to be said', async () => {
        const { id } = await c.client.newBook();
        for (const body of [undefined, '{}', '{"name":5', '[]']) {
            const answer = await c.client.archive(id, { body });
            assert.equal(answer.status, 200, answer.text);
        }
        for (const body of [undefined, '', '{}', ' { } ']) {
            const answer = await c.client.restore(id, { body });
            assert.equal(answer.status, 201, answer.text);
        }
        for (const [body, messages] of [
            ['{"active":true}', ['property active should not exist']],
            ['{"userId":null}', ['property userId should not exist']],
            ['[]', ['body must be an object']],
            ['null', ['body must be an object']],
        ]) {
            invalid(await c.client.restore(id, { body }), messages);
        }
        const malformed = await c.client.restore(id, { body: '{' });
        assertRefused(malformed, 400, undefined, 'malformed_json');
        const query = await c.client.archive(`${id}?force=1`);
        invalid(query, ['property force should not exist']);
    });

    it('answer 404 to what is not the book itself', async () => {
        const { id } = await c.client.newBook();
        for (const [method, path] of [
            ['PUT', `/coupon/${id}`],
            ['POST', `/coupon/${id}`],
            ['GET', `/coupon/${id}/restore`],
            ['POST', `/coupon/${id}/archive`],
            ['DELETE', `/coupon/${id}/restore`],
            ['DELETE', '/coupon'],
            ['PATCH', '/coupon'],
            ['DELETE', `/coupon/codes/${id}`],
        ]) {
            const answer = await c.client.request(method, path);
            assertRefused(answer, 404, `Cannot ${method} ${path}`, 'route_not_found');
        }
    });
});

// What is wrong with a book and its code, in the order in which it is told, and what sets it right.
const wrongs = [
    ['bookArchived', (client, { id }) => client.mustRestore(id)],
    ['bookInactive', (client, { id }) => client.mustPatchBook(id, { active: true })],
    [
        'bookNotStarted',
        (client, { id }) => client.mustPatchBook(id, { startsAt: null, endsAt: past }),
    ],
    ['bookEnded', (client, { id }) => client.mustPatchBook(id, { endsAt: null })],
    ['disabled', (client, { code }) => client.mustPatchCode(code, { active: true })],
    ['expired', (client, { code }) => client.mustPatchCode(code, { expiresAt: null })],
];

/** Makes everything wrong with a book and its codes that can be wrong at once. */
async function spoil(client, id, codes, window = { startsAt: future, endsAt: null }) {
    for (const code of codes) await client.mustPatchCode(code, { active: false, expiresAt: past });
    await client.mustPatchBook(id, { active: false, ...window });
    await client.mustArchive(id);
}

describe('why a code is refused, in order', () => {
    const c = suiteServer();

    it('lock', async () => {
        const { id } = await c.client.newBookWith(['LK', 'LK-redeemed']);
        await use(c.client, 'LK-redeemed', 'ann');
        await hold(c.client, 'LK', 'ann', { locked: true });
        await spoil(c.client, id, ['LK', 'LK-redeemed']);
        for (const [refusal, amend] of wrongs) {
            assertRefused(await c.client.lock('nope', 'ann'), ...refusals.codeNotFound);
            assertRefused(await c.client.lock('LK', 'bob'), ...refusals.notAssigned);
            assertRefused(await c.client.lock('LK-redeemed', 'bob'), ...refusals.notAssigned);
            assertRefused(await c.client.lock('LK-redeemed', 'ann'), ...refusals.redeemed);
            assertRefused(await c.client.lock('LK', 'ann'), ...refusals[refusal]);
            await amend(c.client, { id, code: 'LK' });
        }
        assertRefused(await c.client.lock('LK', 'ann'), ...refusals.locked);
        await c.client.mustUnlock('LK', 'ann');
        await c.client.mustLock('LK', 'ann');
        // Each of them is counted by its own name.
        const { body } = await c.client.get(`/coupon/${id}/stats`);
        assert.deepEqual(body.refusals, {
            coupon_already_locked: 1,
            coupon_already_redeemed: 6,
            coupon_book_archived: 1,
            coupon_book_ended: 1,
            coupon_book_inactive: 1,
            coupon_book_not_started: 1,
            coupon_disabled: 1,
            coupon_expired: 1,
            coupon_not_assigned_to_user: 12,
        });
    });

    it('redeem', async () => {
        const codes = ['RD', 'RD-redeemed', 'RD-locked'];
        const { id } = await c.client.newBookWith(codes);
        await use(c.client, 'RD-redeemed', 'ann');
        await hold(c.client, 'RD', 'ann');
        await hold(c.client, 'RD-locked', 'ann', { locked: true });
        await c.client.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
        await spoil(c.client, id, codes);
        for (const [refusal, amend] of wrongs) {
            assertRefused(await c.client.redeem('nope', 'ann'), ...refusals.codeNotFound);
            assertRefused(await c.client.redeem('RD', 'bob'), ...refusals.notAssigned);
            assertRefused(await c.client.redeem('RD-redeemed', 'bob'), ...refusals.notAssigned);
            assertRefused(await c.client.redeem('RD-redeemed', 'ann'), ...refusals.redeemed);
            for (const code of ['RD', 'RD-locked']) {
                assertRefused(await c.client.redeem(code, 'ann'), ...refusals[refusal]);
                await amend(c.client, { id, code });
                // What is right with the book now is wrong again for the other code.
                if (code === 'RD' && refusal.startsWith('book')) await undo(c.client, id, refusal);
            }
        }
        assertRefused(await c.client.redeem('RD', 'ann'), ...refusals.notLocked);
        assertRefused(await c.client.redeem('RD-locked', 'ann'), ...refusals.limitReached);
        await c.client.mustPatchBook(id, { maxRedemptionsPerUser: 2 });
        await c.client.mustRedeem('RD-locked', 'ann');
    });

    /** Makes that wrong again which the ladder has just set right. */
    const undo = (client, id, refusal) =>
        ({
            bookArchived: () => client.mustArchive(id),
            bookInactive: () => client.mustPatchBook(id, { active: false }),
            bookNotStarted: () => client.mustPatchBook(id, { startsAt: future, endsAt: null }),
            bookEnded: () => client.mustPatchBook(id, { endsAt: past }),
        })[refusal]();

    const givingWrongs = wrongs.filter(([refusal]) => refusal !== 'bookNotStarted');

    it('assign, by code', async () => {
        const codes = ['AS', 'AS-held', 'AS-redeemed'];
        const { id } = await c.client.newBookWith(codes);
        await hold(c.client, 'AS-held', 'ann');
        await use(c.client, 'AS-redeemed', 'ann');
        await spoil(c.client, id, codes, { endsAt: past });
        for (const [refusal, amend] of givingWrongs) {
            assertRefused(await c.client.assign('nope', 'ann'), ...refusals.codeNotFound);
            for (const user of ['ann', 'bob']) {
                assertRefused(await c.client.assign('AS-redeemed', user), ...refusals.redeemed);
            }
            assertRefused(await c.client.assign('AS-held', 'bob'), ...refusals.anothersCode);
            const held = await c.client.mustAssign('AS-held', 'ann');
            assert.equal(held.assignedTo, 'ann');
            assertRefused(await c.client.assign('AS', 'bob'), ...refusals[refusal]);
            await amend(c.client, { id, code: 'AS' });
        }
        await c.client.mustPatchBook(id, { startsAt: future });
        await c.client.mustAssign('AS', 'bob');
    });

    it('assign, of a book', async () => {
        const { id } = await c.client.newBookWith(['AB']);
        await spoil(c.client, id, ['AB'], { endsAt: past });
        for (const [refusal, amend] of givingWrongs) {
            const given = ['disabled', 'expired'].includes(refusal) ? 'noneAvailable' : refusal;
            assertRefused(await c.client.assignAny('bob', 999_999), ...refusals.bookNotFound);
            assertRefused(await c.client.assignAny('bob', id), ...refusals[given]);
            assertRefused(await c.client.assignAny('bob'), ...refusals.noneAvailable);
            await amend(c.client, { id, code: 'AB' });
        }
        await c.client.mustPatchBook(id, { startsAt: future });
        assert.equal((await c.client.assignAny('bob', id)).body.code, 'AB');
        // A book that has none left is refused for what it is all the same.
        await c.client.mustArchive(id);
        assertRefused(await c.client.assignAny('bob', id), ...refusals.bookArchived);
        await c.client.mustRestore(id);
        assertRefused(await c.client.assignAny('bob', id), ...refusals.noneAvailable);
    });

    it('upload, only of an archived book', async (t) => {
        const { client } = await testServer(t);
        const { id } = await client.newBookWith(['UP-1'], { active: false, startsAt: future });
        assert.equal((await client.upload(id, ['UP-2'])).status, 201);
        await client.mustPatchBook(id, { startsAt: null, endsAt: past });
        assert.equal((await client.upload(id, ['UP-3'])).status, 201);
        await client.mustArchive(id);
        assertRefused(await client.upload(id, ['UP-4']), ...refusals.bookArchived);
        assertRefused(await client.upload(id, ['UP-1', 'UP-1']), ...refusals.bookArchived);
        assertRefused(await client.upload(undefined, ['UP-4']), ...refusals.bookArchived);
        const named = await client.post('/coupon/codes', { codes: ['UP-4'], couponBookId: id });
        assertRefused(named, ...refusals.bookArchived);
        assert.equal((await counted(client, id)).total, 3);
        await client.mustRestore(id);
        assert.equal((await client.upload(id, ['UP-4'])).status, 201);
    });

    it('and neither unlock nor unassign are refused for any of it', async () => {
        const { id } = await c.client.newBookWith(['UU']);
        await hold(c.client, 'UU', 'ann', { locked: true });
        await spoil(c.client, id, ['UU']);
        await c.client.mustUnlock('UU', 'ann');
        await c.client.mustUnassign('UU', 'ann');
        assert.equal((await counted(c.client, id)).available, 1);
    });
});

describe('random assignment', () => {
    /** Everything that can be had, by whose codes it is; and that then there is nothing more. */
    async function drain(client, couponBookId) {
        const given = [];
        for (;;) {
            const answer = await client.assignAny('ann', couponBookId);
            if (answer.status !== 201) {
                assertRefused(answer, ...refusals.noneAvailable);
                return given.sort();
            }
            given.push(answer.body.code);
        }
    }

    it('passes over books and codes that are not to be given away, until they are', async (t) => {
        const { client } = await testServer(t);
        const of = async (prefix, members) =>
            (await client.newBookWith(numbered(prefix, 20), members)).id;
        const archived = await of('archived-');
        await client.mustArchive(archived);
        const inactive = await of('inactive-', { active: false });
        const ended = await of('ended-', { endsAt: past });
        const coming = await of('coming-', { startsAt: future });
        const open = await of('open-');
        const disabled = numbered('open-', 10);
        for (const [index, code] of disabled.entries()) {
            await client.mustPatchCode(code, index < 5 ? { active: false } : { expiresAt: past });
        }
        assert.deepEqual(
            await drain(client),
            [...numbered('coming-', 20), ...numbered('open-', 10, 10)].sort(),
        );
        assert.deepEqual(await drain(client, open), []);
        // What they are not given for is no state of theirs.
        assert.equal((await counted(client, open)).available, 10);

        for (const code of disabled) {
            await client.mustPatchCode(code, { active: true, expiresAt: null });
        }
        assert.deepEqual(await drain(client, open), disabled);
        await client.mustPatchBook(inactive, { active: true });
        assert.deepEqual(await drain(client), numbered('inactive-', 20).sort());
        await client.mustPatchBook(ended, { endsAt: future });
        await client.mustRestore(archived);
        assert.deepEqual(
            await drain(client),
            [...numbered('ended-', 20), ...numbered('archived-', 20)].sort(),
        );
        for (const id of [archived, inactive, ended, coming, open]) {
            const counts = { total: 20, available: 0, assigned: 20, locked: 0, redeemed: 0 };
            assert.deepEqual(await counted(client, id), counts);
        }
    });

    it('stops with the moment that a book ends, and goes on when it may', async (t) => {
        const { client } = await testServer(t);
        const endsAt = inMs(1_500);
        const { id } = await client.newBookWith(numbered('E-', 50), { endsAt });
        const rest = await client.newBookWith(['rest']);
        await passed(endsAt);
        assert.equal((await client.assignAny('ann')).body.code, 'rest');
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
        assert.equal((await counted(client, rest.id)).available, 0);
        await client.mustPatchBook(id, { endsAt: null });
        assert.equal((await drain(client)).length, 50);
    });
});

describe('a key', () => {
    it('has one effect and one answer of a change, an archiving and a restoring', async (t) => {
        const { server, client } = await testServer(t);
        const book = await client.newBook(everything);
        const change = { active: true, endsAt: '2028-02-29' };
        const changed = await client.patchBook(book.id, change, keyed('c'));
        assert.equal(changed.status, 200, changed.text);
        await client.mustPatchBook(book.id, { active: false, name: 'Later' });
        const archived = await client.archive(book.id, keyed('a'));
        assert.equal(archived.status, 200, archived.text);
        const restored = await client.restore(book.id, keyed('r'));
        assert.equal(restored.status, 201, restored.text);
        const gone = await client.patchBook(999_999, change, keyed('g'));
        assertRefused(gone, ...refusals.bookNotFound);
        const replay = async () => {
            assertReplayed(await client.patchBook(book.id, change, keyed('c')), changed);
            assertReplayed(await client.archive(book.id, keyed('a')), archived);
            assertReplayed(await client.restore(book.id, keyed('r')), restored);
            assertReplayed(await client.patchBook(999_999, change, keyed('g')), gone);
        };
        await replay();
        await client.mustPatchBook(book.id, { name: 'Latest' });
        const before = await client.get(`/coupon/${book.id}`);
        assertBook(before.body, { active: false, name: 'Latest', archivedAt: null });
        await server.stop();
        await server.start();
        await replay();
        assert.equal((await client.get(`/coupon/${book.id}`)).text, before.text);
        const entries = await settledEntries(client, { bookId: book.id });
        assert.deepEqual(
            entries.map(({ type }) => type.replace('book_', '')),
            ['created', 'changed', 'changed', 'archived', 'restored', 'changed'],
        );
    });

    it('of another request is refused', async (t) => {
        const { client } = await testServer(t);
        const { id } = await client.newBook();
        const other = await client.newBook();
        assert.equal((await client.patchBook(id, { active: false }, keyed('k'))).status, 200);
        for (const answer of [
            await client.patchBook(id, { active: true }, keyed('k')),
            await client.patchBook(other.id, { active: false }, keyed('k')),
            await client.archive(id, keyed('k')),
            await client.restore(id, keyed('k')),
        ]) {
            assertRefused(answer, 422, undefined, 'idempotency_key_reused');
        }
        // A request that does not fit has not used its key.
        invalid(await client.patchBook(id, { active: 1 }, keyed('n')), ['active must be a boolean']);
        const fit = await client.patchBook(id, { active: true }, keyed('n'));
        assert.equal(fit.headers['idempotent-replayed'], undefined);
        assertBook(fit.body, { active: true });
    });
});
