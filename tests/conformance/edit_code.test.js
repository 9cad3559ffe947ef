// PATCH /coupon/code/:code: what a code is set to, and what that makes of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertRefused, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, settledEntries, verifyLedger } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { refusals } from '../support/refusals.js';
import { assertCode, codeDefaults, codeMembers } from '../support/shapes.js';
import { metadataOf, unfitActive, unfitMetadata, unfitTimes } from '../support/unfit.js';

const past = '2020-02-02T02:02:02.000Z';
const inMs = (ms) => new Date(Date.now() + ms).toISOString();

// A value for each member that is not its default, as it is sent and as it is answered.
const everything = {
    active: false,
    expiresAt: '2028-01-02T03:04:05.678Z',
    maxRedemptions: 3,
    metadata: { printed: true, 'ü 🎟': ['\u0000', 1.5, null, {}] },
};

const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const settings = ({ active, expiresAt, maxRedemptions, metadata }) => ({
    ...{ active, expiresAt, maxRedemptions, metadata },
});
const show = async (client, code) =>
    (await client.get(`/coupon/code/${encodeURIComponent(code)}`)).body;

/** What a code is by itself, without what its place shows besides. */
const alone = (code) => Object.fromEntries(codeMembers.map((name) => [name, code[name]]));

describe('PATCH /coupon/code/:code', () => {
    const c = suiteServer();

    for (const [name, value] of Object.entries(everything)) {
        it(`changes ${name} and nothing else`, async () => {
            const text = `A ${name}/%`;
            const { id } = await c.client.newBookWith([text]);
            const before = await c.client.codeOf(id, text);
            assertCode(before, { code: text, ...codeDefaults });
            const answer = await c.client.patchCode(text, { [name]: value });
            assert.equal(answer.status, 200, answer.text);
            const changed = answer.body;
            assert.deepEqual(Object.keys(changed), codeMembers);
            assert.deepEqual(changed, { ...before, [name]: value });

            assert.deepEqual(await c.client.codeOf(id, text), changed);
            assert.deepEqual(alone(await show(c.client, text)), changed);
            const listed = (await c.client.get(`/coupon/codes/${id}`)).body;
            assert.deepEqual(alone(listed[0]), changed);
            const entry = (await entriesOf(c.client, 2, { code: text })).at(-1);
            assert.equal(
                JSON.stringify(entry),
                JSON.stringify({
                    id: entry.id,
                    at: entry.at,
                    type: 'code_changed',
                    bookId: id,
                    code: text,
                    userId: null,
                    requestId: answer.headers['x-request-id'],
                    before: settings(before),
                    after: settings(changed),
                }),
            );
            assert.deepEqual((await show(c.client, text)).history.at(-1), entry);
        });
    }

    it('keeps what is left out, and sets what is null to its default', async () => {
        await c.client.newBookWith(['N-1']);
        assertCode(await c.client.mustPatchCode('N-1', everything), everything);
        let expected = await c.client.mustPatchCode('N-1', everything);
        for (const name of Object.keys(everything)) {
            expected = { ...expected, [name]: codeDefaults[name] };
            assert.deepEqual(await c.client.mustPatchCode('N-1', { [name]: null }), expected);
        }
        assertCode(expected, { code: 'N-1' });
    });

    it('that changes nothing leaves no trace', async () => {
        await c.client.newBookWith(['S-1', 'S-2']);
        const set = await c.client.mustPatchCode('S-1', everything);
        const bare = await c.client.mustPatchCode('S-2', { active: true });
        for (const [name, value] of Object.entries(everything)) {
            assert.deepEqual(await c.client.mustPatchCode('S-1', { [name]: value }), set);
            for (const usual of [null, codeDefaults[name]]) {
                assert.deepEqual(await c.client.mustPatchCode('S-2', { [name]: usual }), bare);
            }
        }
        for (const text of [
            '{"expiresAt":"2028-01-02T04:04:05.678+01:00"}',
            ` ${JSON.stringify({ metadata: everything.metadata }, null, 2)} `,
        ]) {
            assert.deepEqual(await c.client.mustPatchCode('S-1', text), set);
        }
        for (const [code, types] of [
            ['S-1', ['codes_uploaded', 'code_changed']],
            ['S-2', ['codes_uploaded']],
        ]) {
            const entries = await settledEntries(c.client, { code });
            assert.deepEqual(entries.map(({ type }) => type), types);
        }
    });

    it('changes a code in every state, and nothing about that', async () => {
        const codes = ['ST-free', 'ST-assigned', 'ST-locked', 'ST-redeemed'];
        const { id } = await c.client.newBookWith(codes);
        for (const code of codes.slice(1)) await c.client.mustAssign(code, 'ann');
        for (const code of codes.slice(2)) await c.client.mustLock(code, 'ann');
        await c.client.mustRedeem('ST-redeemed', 'ann');
        const { counts } = await c.client.bookWithCodes(id);
        for (const code of codes) {
            const { history, ...before } = await show(c.client, code);
            const changed = await c.client.mustPatchCode(code, everything);
            assert.deepEqual(changed, { ...alone(before), ...everything });
            await settledEntries(c.client);
            const { history: longer, ...after } = await show(c.client, code);
            assert.deepEqual(after, { ...before, ...everything });
            assert.deepEqual(longer.slice(0, -1), history);
            assert.deepEqual(
                [longer.at(-1).type, longer.at(-1).userId],
                ['code_changed', before.assignedTo],
            );
        }
        assert.deepEqual((await c.client.bookWithCodes(id)).counts, counts);
        const held = (await c.client.get('/coupon/users/ann')).body.codes;
        const locked = held.find(({ code }) => code === 'ST-locked');
        assert.deepEqual([locked.status, settings(locked)], ['locked', everything]);
        // The lock is there, and of use again once the code is.
        assertRefused(await c.client.redeem('ST-locked', 'ann'), ...refusals.disabled);
        const nulls = { active: null, expiresAt: null };
        assert.equal((await c.client.mustPatchCode('ST-locked', nulls)).isLocked, true);
        const { coupon } = await c.client.mustRedeem('ST-locked', 'ann');
        assert.deepEqual(coupon.metadata, everything.metadata);
    });

    it('shows in what is answered about the code from then on', async () => {
        const { id } = await c.client.newBookWith(['AN-1', 'AN-2']);
        const set = { expiresAt: inMs(3_600_000), metadata: { a: 1 } };
        for (const code of ['AN-1', 'AN-2']) await c.client.mustPatchCode(code, set);
        for (const answered of [
            await c.client.mustAssign('AN-1', 'ann'),
            await c.client.mustAssign('AN-1', 'ann'),
            (await c.client.assignAny('ann', id)).body,
            await c.client.mustUnassign('AN-2', 'ann'),
        ]) {
            assert.deepEqual(settings(answered), { ...codeDefaults, ...set });
        }
        await c.client.mustLock('AN-1', 'ann');
        const { coupon } = await c.client.mustRedeem('AN-1', 'ann');
        assert.deepEqual(settings(coupon), { ...codeDefaults, ...set });
    });

    it('takes each value there may be', async () => {
        await c.client.newBookWith(['V-1']);
        for (const members of [
            { metadata: metadataOf(16_384) },
            { metadata: {} },
            { expiresAt: past },
            { expiresAt: '9998-12-31T23:59:59.999Z' },
        ]) {
            assertCode(await c.client.mustPatchCode('V-1', members), {
                ...(members.metadata ? {} : { metadata: {} }),
                ...members,
            });
        }
    });

    it('is there after a restart, to the byte', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBookWith(['R-1', 'R-2']);
        await client.mustPatchCode('R-1', everything);
        const texts = async () => [
            (await client.get('/coupon?include=codes')).text,
            (await client.get(`/coupon/codes/${id}`)).text,
        ];
        const before = await texts();
        await server.stop();
        await server.start();
        assert.deepEqual(await texts(), before);
        assertRefused(await client.assign('R-1', 'ann'), ...refusals.disabled);
        assert.equal((await client.assignAny('ann')).body.code, 'R-2');
        await verifyLedger(client);
    });
});

describe('expiresAt', () => {
    const c = suiteServer();

    // [the book's zone, what is sent, which moment it is].
    for (const [timeZone, sent, moment] of [
        ['UTC', '2027-03-28', '2027-03-29T00:00:00.000Z'],
        ['Europe/Berlin', '2027-03-27', '2027-03-27T23:00:00.000Z'],
        ['Europe/Berlin', '2027-03-28', '2027-03-28T22:00:00.000Z'],
        ['Europe/Berlin', '2027-10-30', '2027-10-30T22:00:00.000Z'],
        ['Europe/Berlin', '2027-10-31', '2027-10-31T23:00:00.000Z'],
        ['America/Santiago', '2027-09-04', '2027-09-05T04:00:00.000Z'],
        ['Pacific/Auckland', '2027-06-01', '2027-06-01T12:00:00.000Z'],
        ['Europe/Berlin', '2027-10-31T02:30:00+02:00', '2027-10-31T00:30:00.000Z'],
        ['Asia/Tokyo', '2026-11-22T14:00:00.123Z', '2026-11-22T14:00:00.123Z'],
    ]) {
        it(`is, of ${sent} in ${timeZone}, ${moment}`, async () => {
            const code = `${sent} ${timeZone}`;
            await c.client.newBookWith([code], { timeZone });
            assert.equal((await c.client.mustPatchCode(code, { expiresAt: sent })).expiresAt, moment);
        });
    }

    it('is by the zone that the book has then, and stays', async () => {
        const { id } = await c.client.newBookWith(['Z-1'], { timeZone: 'Europe/Berlin' });
        const { expiresAt } = await c.client.mustPatchCode('Z-1', { expiresAt: '2027-03-28' });
        await c.client.mustPatchBook(id, { timeZone: 'Asia/Tokyo' });
        assert.equal((await show(c.client, 'Z-1')).expiresAt, expiresAt);
        const again = await c.client.mustPatchCode('Z-1', { expiresAt: '2027-03-28' });
        assert.equal(again.expiresAt, '2027-03-28T15:00:00.000Z');
    });

    it('passes for a code that is free, assigned and locked', async () => {
        const codes = ['X-free', 'X-assigned', 'X-locked', 'X-redeemed'];
        const { id } = await c.client.newBookWith(codes);
        for (const code of codes.slice(1)) await c.client.mustAssign(code, 'ann');
        for (const code of codes.slice(2)) await c.client.mustLock(code, 'ann');
        const expiresAt = inMs(2_000);
        for (const code of codes) await c.client.mustPatchCode(code, { expiresAt });
        await c.client.mustRedeem('X-redeemed', 'ann');
        await passed(expiresAt);
        for (const answer of [
            await c.client.assign('X-free', 'ann'),
            await c.client.lock('X-assigned', 'ann'),
            await c.client.redeem('X-assigned', 'ann'),
            await c.client.lock('X-locked', 'ann'),
            await c.client.redeem('X-locked', 'ann'),
        ]) {
            assertRefused(answer, ...refusals.expired);
        }
        assertRefused(await c.client.assignAny('ann', id), ...refusals.noneAvailable);
        assertRefused(await c.client.redeem('X-redeemed', 'ann'), ...refusals.redeemed);
        await c.client.mustAssign('X-assigned', 'ann'); // whose it is already
        const { counts } = await c.client.bookWithCodes(id);
        assert.deepEqual(counts, { total: 4, available: 1, assigned: 1, locked: 1, redeemed: 1 });
        // A lock that was taken before lives on, and the code can have more time.
        assert.equal((await show(c.client, 'X-locked')).status, 'locked');
        for (const code of codes.slice(0, 3)) await c.client.mustPatchCode(code, { expiresAt: null });
        await c.client.mustRedeem('X-locked', 'ann');
        await c.client.mustLock('X-assigned', 'ann');
        assert.equal((await c.client.assignAny('ann', id)).body.code, 'X-free');
    });

    it('that is far away, or before now, is known at once', async () => {
        await c.client.newBookWith(['F-1']);
        await c.client.mustAssign('F-1', 'ann');
        await c.client.mustPatchCode('F-1', { expiresAt: past });
        assertRefused(await c.client.lock('F-1', 'ann'), ...refusals.expired);
        await c.client.mustPatchCode('F-1', { expiresAt: '2100-01-01' });
        await c.client.mustLock('F-1', 'ann');
    });
});

describe('random assignment', () => {
    it('passes over many codes that are disabled or expire, and finds the others', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('C-', 300);
        const { id } = await client.newBookWith(codes);
        const expiresAt = inMs(6_000);
        for (const [index, code] of codes.entries()) {
            if (index % 50 === 0) continue;
            await client.mustPatchCode(code, index % 2 ? { active: false } : { expiresAt });
        }
        await passed(expiresAt);
        const given = [];
        for (let index = 0; index < 6; index += 1) {
            const answer = await client.assignAny('ann', index % 2 ? id : undefined);
            assert.equal(answer.status, 201, answer.text);
            given.push(answer.body.code);
        }
        assert.deepEqual(
            given.sort(),
            codes.filter((_, index) => index % 50 === 0).sort(),
        );
        for (const book of [id, undefined]) {
            assertRefused(await client.assignAny('ann', book), ...refusals.noneAvailable);
        }
        const { counts } = await client.bookWithCodes(id);
        assert.deepEqual([counts.available, counts.assigned], [294, 6]);
        // One that may be given away again is found among all of them.
        await client.mustPatchCode('C-1', { active: true });
        assert.equal((await client.assignAny('ann')).body.code, 'C-1');
        await client.mustPatchCode('C-2', { expiresAt: null });
        assert.equal((await client.assignAny('ann', id)).body.code, 'C-2');
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
    });

    it('finds none where all are disabled, and each that is enabled again', async (t) => {
        const { client } = await testServer(t);
        const codes = numbered('D-', 20);
        const { id } = await client.newBookWith(codes);
        for (const code of codes) await client.mustPatchCode(code, { active: false });
        for (const book of [id, undefined]) {
            assertRefused(await client.assignAny('ann', book), ...refusals.noneAvailable);
        }
        // What comes in now can be had.
        await client.upload(id, ['D-new']);
        assert.equal((await client.assignAny('ann')).body.code, 'D-new');
        for (const code of codes) await client.mustPatchCode(code, { active: null });
        const given = new Set();
        for (const book of codes.map((_, index) => (index % 2 ? id : undefined))) {
            given.add((await client.assignAny('ann', book)).body.code);
        }
        assert.deepEqual([...given].sort(), [...codes].sort());
        assertRefused(await client.assignAny('ann'), ...refusals.noneAvailable);
    });
});

describe('PATCH /coupon/code/:code refuses', () => {
    const c = suiteServer();
    let set;

    it('what is tried on a code', async () => {
        await c.client.newBookWith(['X']);
        set = await c.client.mustPatchCode('X', everything);
    });

    for (const [name, value, message] of [
        ...unfitActive,
        ...unfitTimes('expiresAt'),
        ...unfitMetadata,
    ]) {
        it(`${name} ${JSON.stringify(value).slice(0, 40)}`, async () => {
            invalid(await c.client.patchCode('X', { [name]: value }), [message]);
        });
    }

    it('everything that is wrong, in the order of the description', async () => {
        const [[, , active], [, , expiresAt], [, , metadata]] = [
            unfitActive[0],
            unfitTimes('expiresAt')[0],
            unfitMetadata[0],
        ];
        const sent = { more: 1, metadata: '{}', expiresAt: '', active: 'true' };
        const messages = [active, expiresAt, metadata, 'property more should not exist'];
        invalid(await c.client.patchCode('X', sent), messages);
        const unfit = 'code must be 1 to 128 characters without control characters';
        invalid(await c.client.patchCode('x'.repeat(129), sent), [unfit, ...messages]);
        invalid(await c.client.patchCode('a\n', { active: true }), [unfit]);
    });

    it('what it does not have, what is given twice, and what says nothing', async () => {
        for (const name of ['code', 'assignedTo', 'userId', 'redeemedAt', 'isLocked', 'startsAt']) {
            const messages = [`property ${name} should not exist`];
            invalid(await c.client.patchCode('X', { [name]: null }), messages);
        }
        for (const name of Object.keys(everything)) {
            const answer = await c.client.patchCode('X', `{"${name}":null,"${name}":null}`);
            invalid(answer, [`property ${name} is given twice`]);
        }
        invalid(await c.client.patchCode('X', {}), ['body must have at least one member']);
        for (const body of ['[]', 'null', '5', '"text"']) {
            invalid(await c.client.patchCode('X', body), ['body must be an object']);
        }
        invalid(await c.client.patchCode('X', ''), ['body must be an object, but is empty']);
        const malformed = await c.client.patchCode('X', '{');
        assertRefused(malformed, 400, undefined, 'malformed_json');
    });

    it('a code that is not there', async () => {
        for (const code of ['nope', 'x', 'X ', 'X/']) {
            const answer = await c.client.patchCode(code, { active: true });
            assertRefused(answer, ...refusals.codeNotFound);
        }
    });

    it('and has changed nothing by all that', async () => {
        assert.deepEqual(alone(await show(c.client, 'X')), set);
        const entries = await settledEntries(c.client, { code: 'X' });
        assert.deepEqual(entries.map(({ type }) => type), ['codes_uploaded', 'code_changed']);
    });
});

describe('a key', () => {
    it('has one effect and one answer of a change', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A', 'B']);
        const options = { headers: { 'idempotency-key': 'k' } };
        const first = await client.patchCode('A', { active: false }, options);
        assert.equal(first.status, 200, first.text);
        await client.mustPatchCode('A', { active: true });
        const again = await client.patchCode('A', { active: false }, options);
        assert.equal(again.headers['idempotent-replayed'], 'true');
        assert.deepEqual([again.status, again.text], [first.status, first.text]);
        assert.equal((await show(client, 'A')).active, true);
        for (const answer of [
            await client.patchCode('A', { active: true }, options),
            await client.patchCode('B', { active: false }, options),
        ]) {
            assertRefused(answer, 422, undefined, 'idempotency_key_reused');
        }
        assert.equal((await settledEntries(client, { code: 'A' })).length, 3);
    });
});
