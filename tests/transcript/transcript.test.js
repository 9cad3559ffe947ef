// The same conversation on every backend: SQLite, PostgreSQL, and PostgreSQL with the locks in
// Redis answer alike, to the byte.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Coupond } from '../support/coupond.js';
import { backends, freshData } from '../support/data.js';
import { eventsPath, numbered } from '../support/client.js';
import { entriesOf } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { Transcript } from '../support/transcript.js';

// Long enough for what is asked of a lock while it lives, also on a busy machine.
const shortTtlSeconds = 3;

const encode = encodeURIComponent;

/** The calls of the contract, whatever they answer. */
const calls = (c) => ({
    book: (members) => c.post('/coupon', { name: 'Book', codePattern: 'B-{6}', ...members }),
    upload: (id, codes) => c.post(`/coupon/codes/${id}`, { codes }),
    any: (userId, couponBookId) => c.post('/coupon/assign', { userId, couponBookId }),
    assign: (code, userId) => c.post(`/coupon/assign/${encode(code)}`, { userId }),
    lock: (code, userId, order) => c.post(`/coupon/lock/${encode(code)}`, { userId, order }),
    redeem: (code, userId, order) => c.post(`/coupon/redeem/${encode(code)}`, { userId, order }),
    rollBack: (id, body, options) => c.post(`/coupon/rollback/${id}`, body, options),
    validate: (code, userId, order) =>
        c.post(`/coupon/validate/${encode(code)}`, { userId, order }),
    unlock: (code, userId) => c.post(`/coupon/unlock/${encode(code)}`, { userId }),
    unassign: (code, userId) => c.post(`/coupon/unassign/${encode(code)}`, { userId }),
    patchCode: (code, body) => c.ask('PATCH', `/coupon/code/${encode(code)}`, { body }),
    patch: (id, body) => c.ask('PATCH', `/coupon/${id}`, { body }),
    archive: (id) => c.ask('DELETE', `/coupon/${id}`),
    restore: (id, body) => c.ask('POST', `/coupon/${id}/restore`, { body }),
});

/** Before there is anything. */
async function empty(c) {
    const { upload, any, assign, lock, redeem, unlock, unassign } = calls(c);
    const { patch, archive, restore, patchCode } = calls(c);
    for (const path of [
        ...['/health/live', '/health/ready', '/coupon', '/coupon?include=codes'],
        ...['/coupon/events', '/coupon/events?code=X'],
    ]) {
        await c.get(path);
        await c.ask('HEAD', path);
    }
    for (const path of ['/api', '/api-json', '/', '/nope', '/coupon/1', '/coupon/assign/X']) {
        await c.get(path);
    }
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) await c.ask(method, '/coupon');
    await c.post('/coupon/codes', { codes: ['X'] });
    await upload(1, ['X']);
    await any('ann');
    await any('ann', 1);
    for (const call of [assign, lock, redeem, unlock, unassign]) await call('X', 'ann');
    await patch(1, { active: false });
    await patchCode('X', { active: false });
    for (const call of [archive, restore]) await call(1);
}

/** With exactly one book. */
async function oneBook(c) {
    const { book, any } = calls(c);
    const { body: made } = await book({ name: 'The only one' });
    await any('ann');
    await c.post('/coupon/codes', { codes: ['ONLY'] });
    await c.post('/coupon/codes', { codes: ['ONLY'] });
    await c.post('/coupon/codes', { codes: ['ONLY-2'], couponBookId: null });
    await c.post('/coupon/codes', { codes: ['ONLY-3'], couponBookId: made.id });
    await c.post('/coupon/codes', { codes: ['ONLY-4'], couponBookId: 999_999 });
    await c.get('/coupon?include=codes');
    for (const code of ['ONLY-2', 'ONLY-3']) await calls(c).assign(code, 'bob');
    await any('ann');
    await any('ann');
    await any('ann', made.id);
    await any('ann', 999_999);
    await c.get('/coupon?include=codes');
    return made.id;
}

/** Books of all kinds, good and bad. */
async function books(c) {
    const { book } = calls(c);
    const ids = [];
    for (const members of [
        { name: 'Summer', codePattern: 'SUMMER-{6}', maxRedemptionsPerUser: 2, discountAmount: 20 },
        { name: 'Été d’or 🎟️', discountAmount: 0.29 },
        { name: ' a"b\\c/d\u2028 ', discountAmount: 99_999_999.99 },
        { name: 'n'.repeat(255), maxRedemptionsPerUser: 1_000_000_000 },
        { name: '🎟'.repeat(255), discountAmount: 0 },
        { name: '\u{10FFFF} e\u0301', maxRedemptionsPerUser: null, discountAmount: null },
    ]) {
        ids.push((await book(members)).body.id);
    }
    await c.post(
        '/coupon',
        '{"name":"\\u00e9\\ud83c\\udf9f","codePattern":"{3}","discountAmount":2e1}',
    );
    for (const members of [
        { name: 5 },
        { name: '' },
        { name: 'n'.repeat(256) },
        { name: 'tab\t' },
        { name: 'nul\0' },
        { codePattern: 'A-{0}' },
        { codePattern: '{64}{64}{1}' },
        { maxRedemptionsPerUser: 0 },
        { maxRedemptionsPerUser: 1.5 },
        { maxRedemptionsPerUser: 1_000_000_001 },
        { discountAmount: -0.01 },
        { discountAmount: 0.001 },
        { discountAmount: 100_000_000 },
        { discountAmount: '20.00' },
        { colour: 'red', id: 7 },
        { name: 5, codePattern: 6, maxRedemptionsPerUser: 'x', discountAmount: 'y', more: 1 },
    ]) {
        await book(members);
    }
    for (const body of ['', '[]', 'null', '{', '{"name":"N",}', '{"name":"\\ud800"}', '{}x']) {
        await c.post('/coupon', body);
    }
    await c.post('/coupon', Buffer.from('{"codePattern":"P","name":"\xff"}', 'latin1'));
    return ids;
}

const odd = [
    ...['a/b', '..', 'a b', 'a+b', 'a?b#c', '100% off', '%2F', '"', '\\', "it's", '<b>', '{x}'],
    ...['ключ', '🏖️', '\u{10FFFF}', 'á', 'a\u0301', 'A\u030A', 'Å', 'ß', 'SS', 'ss', 'İ', 'i', 'ı'],
    ...['x'.repeat(128), '🎟'.repeat(128), ' ', '  ', ' x', 'x ', 'NULL', '0', '00', '-', '\u00a0'],
];

async function uploads(c, [summer, winter]) {
    const { upload } = calls(c);
    await upload(summer, numbered('S-', 12));
    await upload(winter, odd);
    await upload(winter, ['S-3']);
    await upload(winter, ['NEW', 'S-3']);
    await upload(winter, ['D', 'D']);
    await upload(winter, ['D', 'é', 'e\u0301', 'D']);
    await upload(999_999, ['S-3', 'S-3']);
    await upload('9223372036854775807', ['FAR']);
    for (const id of ['x', '0', '-1', '1.5', '9223372036854775808']) await upload(id, ['W']);
    await c.post('/coupon/codes', { codes: ['NOWHERE'] });
    await c.post('/coupon/codes', { codes: ['HERE'], couponBookId: winter });
    await c.post(`/coupon/codes/${summer}`, { codes: ['NEITHER'], couponBookId: winter });
    for (const codes of ['A', null, {}, [], [1], ['A', null], [''], ['c'.repeat(129)], ['c\0']]) {
        await upload(summer, codes);
    }
    await c.post(`/coupon/codes/${summer}`, { codes: ['A'], extra: true });
    await c.get('/coupon?include=codes');
}

/** Every code through its whole life, and everybody who may not. */
async function cycle(c, [summer, winter]) {
    const { assign, lock, redeem, any } = calls(c);
    await lock('S-0', 'ann');
    await redeem('S-0', 'ann');
    for (const user of ['ann', 'ann', 'bob', 'Ann', 'ann ']) await assign('S-0', user);
    await redeem('S-0', 'ann');
    await redeem('S-0', 'bob');
    for (const user of ['bob', 'Ann', 'ann ', 'ann', 'ann']) await lock('S-0', user);
    await assign('S-0', 'ann');
    await c.get(`/coupon?include=codes&limit=1&after=${summer - 1}`);
    await redeem('S-0', 'bob');
    await redeem('S-0', 'ann');
    for (const call of [redeem, lock, assign]) {
        await call('S-0', 'ann');
        await call('S-0', 'bob');
    }
    for (const code of ['S-1', 'S-2', 'S-3']) {
        await assign(code, 'ann');
        await lock(code, 'ann');
    }
    await redeem('S-1', 'ann');
    await redeem('S-2', 'ann'); // beyond the limit of two
    await assign('S-4', 'ann');
    await redeem('S-4', 'ann');
    await assign('S-5', 'bob');
    await lock('S-5', 'bob');
    await redeem('S-5', 'bob');
    for (const code of odd) {
        const user = `user of ${code}`;
        await assign(code, user);
        await lock(code, user);
        await redeem(code, user);
    }
    for (const user of ['u'.repeat(255), '🎟'.repeat(255), ' a', '%41', 'ü', '0', 'null']) {
        await any(user, winter); // HERE, then nothing
        await assign('S-6', user);
    }
    for (const code of ['nope', 's-0', 'S-0 ', ' S-0', 'S-0/', 'S_0', 'S-%', 'å']) {
        for (const call of [assign, lock, redeem]) await call(code, 'ann');
    }
    for (const target of ['%', '%zz', '%FF', '%00', 'a%0Ab', 'c'.repeat(129), 'a/b', '']) {
        for (const verb of ['assign', 'lock', 'redeem']) {
            await c.post(`/coupon/${verb}/${target}`, { userId: 'u' });
        }
    }
    for (const body of [{}, { userId: '' }, { userId: 5 }, { userId: null }, { userId: 'u\n' }]) {
        for (const path of ['assign', 'assign/S-7', 'lock/S-7', 'redeem/S-7']) {
            await c.post(`/coupon/${path}`, body);
        }
    }
    await c.post('/coupon/assign', { userId: 'u'.repeat(256), couponBookId: 'x', more: 1 });
    await c.post('/coupon/lock/S-7', { userId: 'u', couponBookId: summer });
    await c.get('/coupon?include=codes');
}

/** Makes a book; returns it and its entry, once that and so all before it are in the ledger. */
async function marked(c, name) {
    const { body: made } = await calls(c).book({ name });
    const [{ id }] = await entriesOf(c.unrecorded, 1, { bookId: made.id });
    return { book: made.id, entry: id };
}

/** What has been entered so far. */
async function events(c, [summer, winter]) {
    const { book } = await marked(c, 'Marked');
    await c.get('/coupon/events?limit=1000');
    await c.ask('HEAD', '/coupon/events');
    const { body: first } = await c.get('/coupon/events');
    for (const query of [
        ...[{ limit: 1 }, { limit: 7, after: first[20].id }, { limit: 5, bookId: winter }],
        ...[{ bookId: book }, { bookId: 999_999 }, { after: '9223372036854775807' }],
        ...[{ type: 'book_created' }, { type: 'codes_uploaded', limit: 2 }],
        ...[{ type: 'code_locked', limit: 2, bookId: summer, after: first[3].id }],
        ...['S-0', 'S-1', 'S-2', 'S-6', 'S-11', 'ONLY', 'nope', ...odd].map((code) => ({ code })),
        ...odd.map((code) => ({ limit: 1, code, bookId: winter, after: first[0].id })),
        ...[{ code: 'S-0', type: 'code_redeemed' }, { code: 'S-0', bookId: winter }],
    ]) {
        await c.get(eventsPath(query));
    }
    for (const query of [
        ...['after=-1', 'after=x', 'bookId=0', 'limit=0', 'limit=1001', 'code=', 'code=%0A'],
        ...['type=x', 'type=', 'page=1', 'code=%zz', 'code=a&code=b', 'after=x&bookId=x&y=1'],
    ]) {
        await c.get(`/coupon/events?${query}`);
        await c.ask('HEAD', `/coupon/events/stream?${query}`);
    }
    await c.ask('HEAD', '/coupon/events/stream?after=0');
    await c.get('/coupon/events/stream?after=-1&limit=1');
    for (const method of ['POST', 'DELETE']) await c.ask(method, '/coupon/events');
    await c.get('/coupon/events/1');
}

/** What has been entered since an entry. */
async function laterEvents(c, after) {
    await marked(c, 'Marked later');
    await c.get(eventsPath({ limit: 1000, after }));
}

/** Locks that end by themselves. */
async function expiry(c, [summer]) {
    const { assign, lock, redeem } = calls(c);
    const page = `/coupon?include=codes&limit=1&after=${summer - 1}`;
    for (const code of ['S-8', 'S-9']) await assign(code, 'eve');
    await lock('S-8', 'eve');
    const { body } = await lock('S-9', 'eve');
    await c.get(page);
    await passed(body.lockedUntil);
    await c.get(page);
    await redeem('S-8', 'eve');
    await assign('S-8', 'eve');
    await lock('S-8', 'bob');
    await lock('S-8', 'eve');
    await c.get(page);
    await redeem('S-8', 'eve');
    await lock('S-8', 'eve');
    // One that has ended is no hindrance to the next.
    await passed((await lock('S-9', 'eve')).body.lockedUntil);
    const again = await lock('S-9', 'eve');
    await c.get(page);
    await passed(again.body.lockedUntil);
}

// What books and codes can be set to, and what they cannot.
const settings = [
    ...[{}, { active: null }, { active: false }, { active: false }, { active: 'no' }],
    ...['', 'Été 🎟', ' a"b\\c/d\u2028 ', null, 'a\nb', 5].map((description) => ({ description })),
    { timeZone: 'Europe/Berlin', startsAt: '2027-03-28', endsAt: '2027-10-31' },
    ...['2027-11-01', '2027-10-31T23:00:00Z', 'x', '1999-12-31'].map((startsAt) => ({ startsAt })),
    ...['2027-03-27', '2027-03-28', null].map((endsAt) => ({ endsAt })),
    ...['Mars', 'Asia/Kathmandu', null].map((timeZone) => ({ timeZone })),
    ...[0, 1_000_000_001, 1, null].map((maxAssignmentsPerUser) => ({ maxAssignmentsPerUser })),
    ...[0, 86_401, 60, null].map((lockTtlSeconds) => ({ lockTtlSeconds })),
    { startsAt: null, active: true },
    ...['{"metadata":{"b":1.50,"a":[1e2,"\\u00e9\\u0000\\/"],"c":{}}}', '{"metadata": {"b" : 1 }}'],
    ...[{ metadata: [] }, { metadata: { x: 'ü'.repeat(9_000) } }, { metadata: null }],
    ...[{ name: null }, { name: 'Changed' }, { codePattern: '{' }, { discountAmount: 0.1 }],
    { more: 1, metadata: 1, timeZone: 1, startsAt: 1, description: 1, name: 1 },
    ...['{"active":true,"active":true}', '', '[]', '{'],
];

/** Books and codes that are changed, and what becomes of their codes then. */
async function editing(c) {
    const { book, upload, any, assign, lock, redeem, unlock, unassign } = calls(c);
    const { patch, archive, restore, patchCode } = calls(c);
    const { body: made } = await book({ name: 'Edited' });
    const { id } = made;
    const look = async () => {
        await c.get(`/coupon/${id}`);
        await c.get(`/coupon/codes/${id}`);
    };
    await upload(id, ['ED-free', 'ED-held', 'ED-locked', 'ED-redeemed']);
    for (const code of ['ED-held', 'ED-locked', 'ED-redeemed']) await assign(code, 'ann');
    await lock('ED-redeemed', 'ann');
    await redeem('ED-redeemed', 'ann');
    for (const body of settings) {
        await patch(id, body);
        if (typeof body === 'object') await book({ name: 'Set', ...body });
    }
    await look();
    for (const body of [
        ...settings.filter((members) => typeof members === 'string'),
        ...[{ active: false }, { active: 1 }, { expiresAt: '2027-03-28' }, { expiresAt: '2027' }],
        ...[{ metadata: { a: 1 } }, { metadata: { a: 1 } }, { metadata: 5, expiresAt: 5, more: 5 }],
    ]) {
        await patchCode('ED-free', body);
    }
    await look();
    // Everything that can be wrong, one after the other, to everybody.
    const minute = c.lockTtlMs;
    await patch(id, { lockTtlSeconds: 60 });
    c.lockTtlMs = 60_000;
    await lock('ED-locked', 'ann');
    const past = '2020-01-01T00:00:00Z';
    for (const [spoil, mend] of [
        [() => archive(id), () => restore(id)],
        [() => patch(id, { active: false }), () => patch(id, { active: true })],
        [() => patch(id, { startsAt: '2100-01-01' }), () => patch(id, { startsAt: null })],
        [() => patch(id, { endsAt: past }), () => patch(id, { endsAt: null })],
        ...['ED-free', 'ED-held', 'ED-locked'].flatMap((code) => [
            [() => patchCode(code, { active: false }), () => patchCode(code, { active: true })],
            [() => patchCode(code, { expiresAt: past }), () => patchCode(code, { expiresAt: null })],
        ]),
    ]) {
        await spoil();
        await spoil();
        await upload(id, ['ED-free']);
        for (const code of ['ED-held', 'ED-locked', 'ED-redeemed', 'nope']) {
            for (const user of ['ann', 'bob']) {
                await assign(code, user);
                await redeem(code, user);
            }
        }
        await lock('ED-locked', 'ann');
        await lock('ED-redeemed', 'ann');
        await look();
        await mend();
        await mend();
    }
    await patchCode('ED-free', { active: false });
    await any('eve', id);
    await patchCode('ED-free', { active: null });
    await any('eve', id);
    for (const call of [unassign, unlock]) {
        for (const code of ['ED-free', 'ED-held', 'ED-locked', 'ED-redeemed', 'nope', '%']) {
            for (const user of ['bob', 'ann', undefined]) await call(code, user);
        }
        await look();
    }
    for (const user of ['ann', 'bob']) {
        await assign('ED-held', user);
        await lock('ED-held', user);
        await unlock('ED-held', user);
        await unassign('ED-held');
        await unassign('ED-held', 'eve');
    }
    await lock('ED-locked', 'ann');
    await redeem('ED-locked', 'ann');
    for (const body of ['{}', '', '[]', { more: 1 }]) await restore(id, body);
    for (const other of ['x', '0', 999_999]) {
        await patch(other, { active: true });
        await archive(other);
        await restore(other);
    }
    await c.ask('DELETE', `/coupon/${id}?force=1`);
    await look();
    c.lockTtlMs = minute;
}

// What a code can take off, and what cannot be.
const discounts = [
    { type: 'amount', value: 19.99 },
    { type: 'amount', value: 10_000_000_000, currency: 'EUR', maxAmount: 7.5 },
    { type: 'amount', value: 500, currency: 'JPY', minOrderAmount: 1_000 },
    { type: 'percent', value: 33.33, maxAmount: 0.5 },
    { type: 'percent', value: 12.5, currency: 'KWD', minOrderAmount: 0.001 },
    { type: 'fixed_price', value: 4.99, minOrderAmount: 5 },
    { type: 'free_shipping' },
    { type: 'free_shipping', value: 1 },
    { type: 'percent', value: 100.01 },
    { type: 'amount', value: 0.5, currency: 'JPY' },
    { type: 'fixed_price', value: -1, currency: 'EURO', maxAmount: 'x', minOrderAmount: [], a: 1 },
    ...[{}, { type: 'gift' }, [], 5, null],
];

/** Redemptions for orders, and what is taken back of them. */
async function orders(c) {
    const { book, upload, assign, lock, redeem, rollBack, validate, unassign } = calls(c);
    const eur = (amount, id = 'o-1') => ({ id, amount, currency: 'EUR' });
    const wrong = [
        ...[{}, [], 5, { id: '', amount: 1, currency: 'EUR' }, { amount: 1, currency: 'EUR' }],
        ...[eur(0.001), eur(10_000_000_000.01), { ...eur(1), currency: 'XXX' }, { ...eur(1), x: 1 }],
    ];
    await book({ discountAmount: 5, discount: discounts[0] });
    // Locks that live until the end.
    const usual = c.lockTtlMs;
    c.lockTtlMs = 3_600_000;
    for (const [index, discount] of discounts.entries()) {
        const members = { name: `Discount ${index}`, discount, lockTtlSeconds: 3_600 };
        const { status, body: made } = await book(members);
        if (status !== 201) continue;
        const code = `ORD-${index}`;
        await upload(made.id, [code]);
        await assign(code, 'ann');
        for (const order of [undefined, eur(5.5), { id: 'j', amount: 999, currency: 'JPY' }]) {
            await validate(code, 'ann', order);
            await lock(code, 'ann', order);
            await redeem(code, 'ann', order);
        }
        for (const order of wrong) await redeem(code, 'ann', order);
        const { body: kuwaiti } = await redeem(code, 'ann', { id: 'k', amount: 9.999, currency: 'KWD' });
        for (const order of [undefined, eur(5.5), eur(77), eur(5.5, 'o-2')]) {
            await redeem(code, 'ann', order);
        }
        const { redemptions } = (await c.unrecorded.get(`/coupon/code/${code}`)).body;
        const id = kuwaiti.redemption?.id ?? redemptions[0]?.id;
        if (id === undefined) continue;
        for (const body of [
            ...[{ amount: 0.00001 }, { amount: 0.0001 }, { amount: 0 }, { amount: 'x', y: 1 }],
            ...[{ reason: 5 }, { reason: 'a\nb' }, { amount: 10_000_000_000 }, [], '{'],
            ...[{ amount: 1, reason: 'Été 🎟' }, { amount: 1 }, { amount: 0.5 }],
        ]) {
            await rollBack(id, body);
        }
        const keyed = { headers: { 'idempotency-key': `back-${index}` } };
        for (let time = 0; time < 2; time += 1) await rollBack(id, { reason: 'all' }, keyed);
        for (const body of [undefined, {}, { amount: 1 }]) await rollBack(id, body);
        await lock(code, 'ann', eur(5.5));
        await redeem(code, 'ann', eur(5.5));
        await unassign(code);
        await c.get(`/coupon/${made.id}`);
    }
    for (const id of ['0', 'x', '-1', '1.5', '9223372036854775807', '9223372036854775808']) {
        await rollBack(id, {});
    }
    await c.get('/coupon/users/ann?limit=1000');
    c.lockTtlMs = usual;
}

/** How many codes a user may hold, and what they are told who hold them. */
async function holdings(c) {
    const { book, upload, any, assign, lock, redeem, unassign } = calls(c);
    const { patch, archive, restore } = calls(c);
    // Locks that live until the end.
    const usual = c.lockTtlMs;
    c.lockTtlMs = 3_600_000;
    const members = { name: 'Held', maxAssignmentsPerUser: 1, lockTtlSeconds: 3_600 };
    const { id } = (await book(members)).body;
    await upload(id, ['HELD-1', 'HELD-2']);
    await assign('HELD-2', 'ann');
    const ask = async () => {
        for (const user of ['ann', 'Ann']) await any(user, id);
        for (const code of ['HELD-1', 'HELD-2']) await assign(code, 'ann');
    };
    await ask(); // HELD-1 goes to Ann
    await lock('HELD-2', 'ann');
    await ask();
    await redeem('HELD-2', 'ann');
    await ask();
    for (const [spoil, mend] of [
        [() => archive(id), () => restore(id)],
        [() => patch(id, { active: false }), () => patch(id, { active: true })],
    ]) {
        await spoil();
        await ask();
        await mend();
    }
    await upload(id, ['HELD-3']);
    await patch(id, { maxAssignmentsPerUser: 2 });
    await assign('HELD-3', 'ann');
    await ask();
    await upload(id, ['HELD-4']);
    await assign('HELD-4', 'ann');
    await unassign('HELD-3', 'ann');
    await assign('HELD-4', 'ann');
    await patch(id, { maxAssignmentsPerUser: 1 });
    await ask();
    await c.get(`/coupon/${id}`);
    await c.get('/coupon/users/Ann');
    c.lockTtlMs = usual;
}

/** Draws, of which only what they leave behind is the same everywhere. */
async function draws(c) {
    const { book, upload, any } = calls(c);
    const { body: made } = await book({ name: 'Draws' });
    await upload(made.id, numbered('DRAW-', 30));
    for (let index = 0; index < 30; index += 1) {
        const answer = await c.unrecorded.post('/coupon/assign', {
            userId: 'ann',
            couponBookId: made.id,
        });
        assert.equal(answer.status, 201);
    }
    await any('ann', made.id);
    await c.get(`/coupon?include=codes&limit=1&after=${made.id - 1}`);
}

async function pages(c, ids) {
    for (const query of [
        ...['limit=1', 'limit=2', 'limit=1000', 'limit=3&include=codes', '%6Cimit=%32'],
        ...[`after=${ids[1]}`, `limit=1&after=${ids[0]}`, 'after=9007199254740991'],
        ...['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=1&limit=2', 'after=0'],
        ...['after=x', 'include=all', 'page=1', 'limit=0&after=x&page=1&include=y', 'limit=%zz'],
    ]) {
        await c.get(`/coupon?${query}`);
    }
    const large = (await calls(c).book({ name: 'Large' })).body.id;
    await calls(c).upload(large, numbered('LARGE-', 10_000));
    await c.get(`/coupon?include=codes&limit=1&after=${large - 1}`);
    await calls(c).upload(large, ['LARGE-10000', 'LARGE-0']);
    await calls(c).upload(large, ['LARGE-10000']);
    await c.get(`/coupon?include=codes&limit=1&after=${large - 1}`);
    await c.get('/coupon?include=codes');
    await c.get('/coupon');
}

/** What HTTP itself makes of requests. */
async function http(c) {
    const body = { name: 'N', codePattern: 'P' };
    for (const id of ['abc-DEF_0.9', 'x'.repeat(64)]) {
        await c.post('/coupon', body, { headers: { 'x-request-id': id } });
        await c.get('/nope', { headers: { 'x-request-id': id } });
    }
    for (const type of ['text/plain', 'application/json; charset=latin1', null]) {
        await c.post('/coupon', body, { headers: { 'content-type': type } });
    }
    await c.post('/coupon', body, { headers: { expect: '200-ok' } });
    await c.post('/coupon', Buffer.alloc(8 * 1024 * 1024 + 1, 0x20), {
        headers: { connection: 'close' },
    });
    await c.get('/health/live', { headers: { 'x-fill': 'x'.repeat(16 * 1024) } });
}

/** The whole conversation, with a server that is started again in its midst. */
async function converse(backend) {
    const data = freshData(backend);
    const first = new Coupond({ data });
    const env = { LOCK_TTL_SECONDS: String(shortTtlSeconds) };
    const second = new Coupond({ data, env });
    const c = new Transcript(() => (first.running ? first : second).port);
    try {
        await first.start();
        await empty(c);
        await oneBook(c);
        const ids = await books(c);
        await uploads(c, ids);
        await cycle(c, ids);
        await events(c, ids);
        await draws(c);
        // The draws are entered in an order of their own.
        const { book, entry } = await marked(c, 'After the draws');
        await c.get(eventsPath({ bookId: book }));
        await first.stop();
        await second.start();
        c.lockTtlMs = shortTtlSeconds * 1000;
        await c.get('/coupon?include=codes');
        for (const call of ['redeem', 'lock', 'assign']) await calls(c)[call]('S-0', 'ann');
        await expiry(c, ids);
        await editing(c);
        await orders(c);
        await holdings(c);
        await pages(c, ids);
        await http(c);
        await laterEvents(c, entry);
        return c.exchanges;
    } finally {
        c.close();
        await first.remove();
        await second.remove();
    }
}

describe('the same conversation', () => {
    let transcripts;

    before(async () => {
        transcripts = await Promise.all(backends.map(converse));
    });

    it('is a long one', () => {
        const [sqlite] = transcripts;
        assert.ok(sqlite.length > 600, `${sqlite.length} exchanges`);
        const statuses = new Set(sqlite.map(({ answer }) => answer.split('\n')[0]));
        for (const status of ['200', '201', '400', '404', '409', '413', '415', '417', '431']) {
            assert.ok(statuses.has(status), status);
        }
        for (const code of [
            'coupon_book_not_found',
            'coupon_book_required',
            'codes_already_exist',
            'no_available_coupons',
            'coupon_not_found',
            'coupon_already_redeemed',
            'coupon_assigned_to_another_user',
            'coupon_not_assigned_to_user',
            'coupon_already_locked',
            'coupon_not_locked',
            'lock_key_mismatch',
            'user_redemption_limit_reached',
            'user_assignment_limit_reached',
            'coupon_book_archived',
            'coupon_book_inactive',
            'coupon_book_not_started',
            'coupon_book_ended',
            'coupon_disabled',
            'coupon_expired',
            'order_required',
            'order_currency_mismatch',
            'order_below_minimum',
            'redemption_not_found',
            'already_rolled_back',
            'amount_exceeds_discount',
            'too_many_codes',
            'validation_failed',
            'malformed_json',
            'malformed_target',
            'route_not_found',
        ]) {
            assert.ok(
                sqlite.some(({ answer }) => answer.includes(`"code":"${code}"`)),
                code,
            );
        }
    });

    backends.slice(1).forEach((backend, index) => {
        it(`goes on ${backend} as on ${backends[0]}`, () => {
            const found = transcripts[index + 1];
            Transcript.assertSame(transcripts[0], found, [backends[0], backend]);
        });
    });
});
