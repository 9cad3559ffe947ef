// POST /coupon/rollback/:redemptionId: taking a redemption back whole, or a part of its discount, and
// what that makes of the code, the limit, the counts, the figures and the ledger.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { assertRefused } from '../support/client.js';
import { run } from '../support/coupond.js';
import { suiteServer, testServer } from '../support/harness.js';
import { entriesOf, settledEntries, verifyLedger } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { temporaryFolder } from '../support/processes.js';
import { refusals } from '../support/refusals.js';
import { amountOff, assertCode, assertRedemption, assertTime } from '../support/shapes.js';

const past = '2020-02-02T02:02:02.000Z';
const order = (amount, currency = 'EUR', id = 'o-1') => ({ id, amount, currency });
const keyed = (key) => ({ headers: { 'idempotency-key': key } });
const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');
const shown = async (client, code) => (await client.get(`/coupon/code/${code}`)).body;
const counted = async (client, id) => (await client.get(`/coupon/${id}`)).body.counts;
const figures = async (client, id) => (await client.get(`/coupon/${id}/stats`)).body;

const free = { status: 'free', assignedTo: null, lockedUntil: null, redeemedAt: null };
const stateOf = (status, user) => ({ ...free, status, assignedTo: user });

/** The user's code from being free, or theirs, to being redeemed; returns the redemption. */
async function use(client, code, user, sent) {
    await client.mustAssign(code, user);
    await client.mustLock(code, user);
    return (await client.mustRedeem(code, user, sent)).redemption;
}

/** The same for a code of a new book, with that. */
async function used(client, code, { user = 'ann', sent, members = { discountAmount: 5 } } = {}) {
    const book = await client.newBookWith([code], members);
    return { book, redemption: await use(client, code, user, sent) };
}

function assertReplayed(answer, first) {
    assert.equal(answer.headers['idempotent-replayed'], 'true', answer.text);
    assert.deepEqual([answer.status, answer.text], [first.status, first.text]);
}

describe('POST /coupon/rollback/:redemptionId', () => {
    const c = suiteServer();

    it('answers 201 with the redemption, to the byte', async () => {
        const { redemption } = await used(c.client, 'B-1', { sent: order(59.9) });
        const answer = await c.client.rollBack(redemption.id);
        assert.equal(answer.status, 201, answer.text);
        const { rolledBackAt } = answer.body.redemption;
        assertTime(rolledBackAt, Date.now());
        assert.ok(rolledBackAt >= redemption.at);
        assert.equal(
            answer.text,
            JSON.stringify({
                message: 'Redemption rolled back',
                redemption: { ...redemption, givenBack: 5, rolledBackAt },
            }),
        );
    });

    it('takes no body, an empty one, and null for left out', async () => {
        const codes = ['N-1', 'N-2', 'N-3', 'N-4'];
        await c.client.newBookWith(codes, { discountAmount: 5 });
        for (const [index, [body, options]] of [
            [undefined],
            ['{}'],
            ['{"reason":null,"amount":null}'],
            ['', { headers: { 'content-type': 'application/json' } }],
        ].entries()) {
            const { id } = await use(c.client, codes[index], 'ann', order(9));
            const answer = await c.client.rollBack(id, body, options);
            assert.equal(answer.status, 201, answer.text);
            assertRedemption(answer.body.redemption, {
                id,
                givenBack: 5,
                rolledBackAt: answer.body.redemption.rolledBackAt,
            });
            assert.notEqual(answer.body.redemption.rolledBackAt, null);
            const [entry] = await entriesOf(c.client, 1, {
                code: codes[index],
                type: 'redemption_rolled_back',
            });
            assert.equal(entry.reason, null);
        }
    });

    it('makes the code its user’s again, neither locked nor redeemed', async () => {
        const { book, redemption } = await used(c.client, 'C-1', { user: 'cia' });
        assert.equal((await counted(c.client, book.id)).redeemed, 1);
        await c.client.mustRollBack(redemption.id);
        assertCode(await c.client.codeOf(book.id, 'C-1'), { code: 'C-1', assignedTo: 'cia' });
        const { status, lockedUntil, redemptions } = await shown(c.client, 'C-1');
        assert.deepEqual([status, lockedUntil, redemptions], ['assigned', null, []]);
        const held = (await c.client.get('/coupon/users/cia')).body;
        assert.deepEqual(
            held.codes.map((code) => [code.code, code.status, code.redeemedAt]),
            [['C-1', 'assigned', null]],
        );
        assert.deepEqual(held.redemptions, []);
        assert.deepEqual(await counted(c.client, book.id), {
            ...{ total: 1, available: 0, assigned: 1, locked: 0, redeemed: 0 },
        });
        // A lock of before the redemption is none any more.
        assertRefused(await c.client.redeem('C-1', 'cia'), ...refusals.notLocked);
        assertRefused(await c.client.lock('C-1', 'bob'), ...refusals.notAssigned);
        const listed = (await c.client.get(`/coupon/codes/${book.id}?status=assigned`)).body;
        assert.deepEqual(listed.map(({ code }) => code), ['C-1']);
    });

    it('lets the code be redeemed again, for the same order too, by a new redemption', async () => {
        const { book, redemption: first } = await used(c.client, 'A-1', { sent: order(59.9) });
        await c.client.mustRollBack(first.id);
        await passed(first.at);
        await c.client.mustPatchBook(book.id, { discountAmount: 7.5 });
        await c.client.mustLock('A-1', 'ann', order(59.9));
        const again = await c.client.mustRedeem('A-1', 'ann', order(40));
        assert.equal(again.replayed, false);
        assert.notEqual(again.redemption.id, first.id);
        assert.ok(again.redemption.at > first.at);
        assert.equal(again.coupon.redeemedAt, again.redemption.at);
        assertRedemption(again.redemption, {
            order: order(40),
            discount: { amount: 7.5, currency: 'EUR' },
        });
        assert.deepEqual((await shown(c.client, 'A-1')).redemptions, [again.redemption]);
        // From here on it is that one.
        const same = await c.client.mustRedeem('A-1', 'ann', order(59.9));
        assert.deepEqual([same.replayed, same.redemption], [true, again.redemption]);
        assertRefused(await c.client.rollBack(first.id), ...refusals.rolledBack);
        assertRefused(await c.client.rollBack(first.id, { amount: 1 }), ...refusals.rolledBack);
        await c.client.mustRollBack(again.redemption.id, { amount: 7 });
        const { givenBack } = await c.client.mustRollBack(again.redemption.id);
        assert.equal(givenBack, 7.5);
        // And once more, without an order.
        await c.client.mustLock('A-1', 'ann');
        const third = await c.client.mustRedeem('A-1', 'ann');
        assert.equal(third.redemption.order, null);
        for (const { id } of [first, again.redemption]) {
            assertRefused(await c.client.rollBack(id), ...refusals.rolledBack);
        }
        await c.client.mustRollBack(third.redemption.id);
        const { counts } = await c.client.bookWithCodes(book.id);
        assert.deepEqual([counts.assigned, counts.redeemed], [1, 0]);
    });

    it('lets the code be given to somebody else, who may redeem it for the same order', async () => {
        const { redemption } = await used(c.client, 'G-1', { sent: order(9) });
        await c.client.mustRollBack(redemption.id);
        await c.client.mustUnassign('G-1', 'ann');
        const bobs = await use(c.client, 'G-1', 'bob', order(9));
        assertRedemption(bobs, { userId: 'bob', order: order(9) });
        assertRefused(await c.client.redeem('G-1', 'ann', order(9)), ...refusals.notAssigned);
        assertRefused(await c.client.rollBack(redemption.id), ...refusals.rolledBack);
        assert.deepEqual((await shown(c.client, 'G-1')).redemptions, [bobs]);
        await c.client.mustRollBack(bobs.id);
        assert.equal((await shown(c.client, 'G-1')).assignedTo, 'bob');
    });

    it('is of a redemption without an order, and without a discount, too', async () => {
        const { redemption: alone } = await used(c.client, 'W-1');
        assertRedemption(await c.client.mustRollBack(alone.id), {
            ...alone,
            givenBack: 5,
            rolledBackAt: (await shown(c.client, 'W-1')).history.at(-1).at,
        });
        for (const [code, sent] of [['W-2', undefined], ['W-3', order(5, 'KWD')]]) {
            const { redemption } = await used(c.client, code, { sent, members: {} });
            const back = await c.client.mustRollBack(redemption.id, { reason: 'nothing' });
            assertRedemption(back, {
                ...redemption,
                rolledBackAt: (await shown(c.client, code)).history.at(-1).at,
            });
            const [entry] = await entriesOf(c.client, 1, { code, type: 'redemption_rolled_back' });
            assert.equal(entry.discount, null);
        }
        const shipped = { discount: { type: 'free_shipping' } };
        const { redemption } = await used(c.client, 'W-4', { sent: order(5), members: shipped });
        const back = await c.client.mustRollBack(redemption.id);
        assert.deepEqual([back.givenBack, back.discount], [0, { amount: 0, currency: 'EUR' }]);
        const [entry] = await entriesOf(c.client, 1, { code: 'W-4', type: 'redemption_rolled_back' });
        assert.deepEqual(entry.discount, { amount: 0, currency: 'EUR' });
    });

    it('takes no notice of what has become of the book and the code', async () => {
        const { client } = c;
        const codes = ['S-1', 'S-2'];
        const { id } = await client.newBookWith(codes, { discountAmount: 5 });
        const redemptions = [];
        for (const code of codes) redemptions.push(await use(client, code, 'ann', order(9)));
        for (const code of codes) {
            await client.mustPatchCode(code, { active: false, expiresAt: past, metadata: { a: 1 } });
        }
        await client.mustPatchBook(id, {
            ...{ active: false, endsAt: past, maxRedemptionsPerUser: 1 },
            discount: { type: 'percent', value: 1, currency: 'JPY', minOrderAmount: 9 },
        });
        await client.mustArchive(id);
        assertRedemption(await client.mustRollBack(redemptions[0].id, { amount: 2 }), {
            ...redemptions[0],
            givenBack: 2,
        });
        for (const redemption of redemptions) {
            assert.equal((await client.mustRollBack(redemption.id)).givenBack, 5);
        }
        const code = await client.codeOf(id, 'S-1');
        assert.deepEqual([code.isRedeemed, code.active, code.metadata], [false, false, { a: 1 }]);
        assert.deepEqual((await counted(client, id)).assigned, 2);
        assertRefused(await client.lock('S-1', 'ann'), ...refusals.bookArchived);
    });

    it('is asked by POST, of one redemption', async () => {
        const get = await c.client.get('/coupon/rollback/1');
        assertRefused(get, 404, 'Cannot GET /coupon/rollback/1', 'route_not_found');
        for (const target of ['/coupon/rollback', '/coupon/rollback/1/2']) {
            const answer = await c.client.post(target, {});
            assertRefused(answer, 404, `Cannot POST ${target}`, 'route_not_found');
        }
    });
});

describe('what a roll-back gives back to a user', () => {
    it('is what the limit of the book allows, one by one', async (t) => {
        const { client } = await testServer(t);
        const codes = ['L-0', 'L-1', 'L-2', 'L-3'];
        const { id } = await client.newBookWith(codes, { maxRedemptionsPerUser: 2 });
        const reasons = async () =>
            (await client.mustValidate('L-3', 'ann')).reasons.map(({ code }) => code);
        await client.mustAssign('L-3', 'ann');
        const first = await use(client, 'L-0', 'ann');
        const second = await use(client, 'L-1', 'ann');
        await client.mustAssign('L-2', 'ann');
        const refused = async (code) =>
            assertRefused(await client.lock(code, 'ann'), ...refusals.limitReached);
        await refused('L-2');
        assert.deepEqual(await reasons(), ['user_redemption_limit_reached']);
        await client.mustRollBack(first.id);
        assert.deepEqual(await reasons(), []);
        await client.mustLock('L-2', 'ann');
        await refused('L-0');
        const third = (await client.mustRedeem('L-2', 'ann')).redemption;
        assert.deepEqual(await reasons(), ['user_redemption_limit_reached']);
        await refused('L-0');
        for (const redemption of [second, third]) await client.mustRollBack(redemption.id);
        assert.deepEqual((await counted(client, id)).redeemed, 0);
        for (const code of ['L-0', 'L-1']) {
            await client.mustLock(code, 'ann');
            await client.mustRedeem(code, 'ann');
        }
        await refused('L-2');
    });

    it('is nothing where only some of the discount is given back', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['P-0', 'P-1'], { maxRedemptionsPerUser: 1, discountAmount: 5 });
        const { id } = await use(client, 'P-0', 'ann', order(9));
        await client.mustAssign('P-1', 'ann');
        for (const amount of [1, 4]) {
            await client.mustRollBack(id, { amount });
            assertRefused(await client.lock('P-1', 'ann'), ...refusals.limitReached);
        }
        await client.mustRollBack(id);
        await client.mustLock('P-1', 'ann');
        await client.mustRedeem('P-1', 'ann');
    });

    it('counts for a limit that the book gets later, also after a restart', async (t) => {
        const { server, client } = await testServer(t);
        const codes = ['T-0', 'T-1', 'T-2', 'T-3'];
        const { id } = await client.newBookWith(codes);
        const taken = [];
        for (const code of codes.slice(0, 3)) taken.push(await use(client, code, 'ann'));
        await client.mustRollBack(taken[0].id);
        await client.mustRollBack(taken[1].id);
        await client.mustAssign('T-3', 'ann');
        await client.mustLock('T-3', 'ann');
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
        assertRefused(await client.redeem('T-3', 'ann'), ...refusals.limitReached);
        await server.stop();
        await server.start();
        assertRefused(await client.redeem('T-3', 'ann'), ...refusals.limitReached);
        await client.mustRollBack(taken[2].id);
        await client.mustRedeem('T-3', 'ann');
        assertRefused(await client.lock('T-0', 'ann'), ...refusals.limitReached);
    });

    it('is that of the user and the book alone', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['U-0', 'U-1', 'U-2'], { maxRedemptionsPerUser: 1 });
        await client.newBookWith(['V-0', 'V-1'], { maxRedemptionsPerUser: 1 });
        const anns = await use(client, 'U-0', 'ann');
        await use(client, 'U-1', 'bob');
        await use(client, 'V-0', 'ann');
        for (const [code, user] of [['U-2', 'bob'], ['V-1', 'ann']]) {
            await client.mustAssign(code, user);
        }
        await client.mustRollBack(anns.id);
        assertRefused(await client.lock('U-2', 'bob'), ...refusals.limitReached);
        assertRefused(await client.lock('V-1', 'ann'), ...refusals.limitReached);
        await client.mustLock('U-0', 'ann');
    });
});

describe('giving back a part of a discount', () => {
    const c = suiteServer();

    it('leaves the code redeemed, and can be done until nothing is left', async () => {
        const members = { discount: { type: 'percent', value: 10 } };
        const sent = order(3);
        const { book, redemption } = await used(c.client, 'P-1', { members, sent });
        assert.equal(redemption.discountAmount, 0.3);
        const before = await c.client.codeOf(book.id, 'P-1');
        let whole = redemption;
        for (const [amount, givenBack] of [[0.1, 0.1], [0.2, 0.3]]) {
            const answer = await c.client.rollBack(redemption.id, { amount });
            assert.equal(answer.status, 201, answer.text);
            whole = { ...redemption, givenBack };
            assert.equal(
                answer.text,
                JSON.stringify({ message: 'Redemption rolled back', redemption: whole }),
            );
            assert.deepEqual(await c.client.codeOf(book.id, 'P-1'), before);
            const { status, redemptions } = await shown(c.client, 'P-1');
            assert.deepEqual([status, redemptions], ['redeemed', [whole]]);
        }
        assertRefused(await c.client.rollBack(redemption.id, { amount: 0.01 }), ...refusals.beyondDiscount);
        // It is redeemed for that order as before.
        const same = await c.client.mustRedeem('P-1', 'ann', sent);
        assert.deepEqual([same.replayed, same.redemption], [true, whole]);
        assertRefused(await c.client.redeem('P-1', 'ann', order(3, 'EUR', 'o-2')), ...refusals.redeemed);
        // The use is left.
        const back = await c.client.mustRollBack(redemption.id);
        assert.deepEqual(back, { ...whole, rolledBackAt: back.rolledBackAt });
        const entries = await entriesOf(c.client, 1, { code: 'P-1', type: 'redemption_rolled_back' });
        assert.deepEqual(entries[0].discount, { amount: 0, currency: 'EUR' });
        assertRefused(await c.client.rollBack(redemption.id, { amount: 0.1 }), ...refusals.rolledBack);
        assertRefused(await c.client.rollBack(redemption.id), ...refusals.rolledBack);
    });

    it('and then the whole redemption gives back the rest', async () => {
        const { book, redemption } = await used(c.client, 'R-1', { sent: order(50, 'KWD') });
        await c.client.mustRollBack(redemption.id, { amount: 1.125 });
        await c.client.mustRollBack(redemption.id, { amount: 0.001 });
        await c.client.mustRollBack(redemption.id, { amount: 2 });
        const back = await c.client.mustRollBack(redemption.id);
        assertRedemption(back, { ...redemption, givenBack: 5, rolledBackAt: back.rolledBackAt });
        const entries = await settledEntries(c.client, { bookId: book.id });
        assert.deepEqual(
            entries.slice(-4).map(({ type, discount }) => [type, discount]),
            [
                ['discount_given_back', { amount: 1.125, currency: 'KWD' }],
                ['discount_given_back', { amount: 0.001, currency: 'KWD' }],
                ['discount_given_back', { amount: 2, currency: 'KWD' }],
                ['redemption_rolled_back', { amount: 1.874, currency: 'KWD' }],
            ],
        );
    });

    // [the discount, the order, what is too fine, what is too much, what is left of it as a part].
    for (const [what, discount, sent, fine, beyond, all] of [
        ['of euros', amountOff(5), order(9), [0.001, 4.999, 5.001], 5.01, 5],
        ['of yen', amountOff(5), order(9, 'JPY'), [0.5, 0.0001, 4.9, 5.1], 6, 5],
        ['of dinars', amountOff(5), order(9, 'KWD'), [0.0001, 5.0001], 5.001, 5],
        ['of units with four decimals', amountOff(5), order(4.9999, 'CLF'), [], 5, 4.9999],
        ['of no certain currency', amountOff(5), undefined, [0.001, 5.001], 5.01, 5],
        ['of yen, without an order', { ...amountOff(5), currency: 'JPY' }, undefined, [0.5], 6, 5],
        ['of nothing', { ...amountOff(0), currency: 'EUR' }, order(9), [0.001], 0.01, 0],
    ]) {
        it(`${what} has to be an amount of that, no more than there is`, async () => {
            const { redemption } = await used(c.client, what, { members: { discount }, sent });
            assert.equal(redemption.discountAmount, all);
            for (const amount of fine) {
                invalid(await c.client.rollBack(redemption.id, { amount }), [
                    'amount must have no more decimals than its currency',
                ]);
            }
            for (const amount of [beyond, 1_000, 10_000_000_000]) {
                const answer = await c.client.rollBack(redemption.id, { amount });
                assertRefused(answer, ...refusals.beyondDiscount);
            }
            if (all === 0) return;
            const back = await c.client.mustRollBack(redemption.id, { amount: all });
            assertRedemption(back, { ...redemption, givenBack: all });
        });
    }

    it('of a redemption that had none is more than there is', async () => {
        for (const [code, members, sent] of [
            ['D-1', {}, order(9)],
            ['D-2', {}, undefined],
            ['D-3', { discount: { type: 'percent', value: 50 } }, undefined],
            ['D-4', { discount: { type: 'free_shipping' } }, order(9)],
        ]) {
            const { redemption } = await used(c.client, code, { members, sent });
            for (const amount of [0.01, 5]) {
                const answer = await c.client.rollBack(redemption.id, { amount });
                assertRefused(answer, ...refusals.beyondDiscount);
            }
            await c.client.mustRollBack(redemption.id);
        }
    });

    it('reads an amount out of every way to write it', async () => {
        const { redemption } = await used(c.client, 'E-1', { sent: order(9) });
        let sum = 0;
        for (const [text, cents] of [['1.00', 100], ['1e-2', 1], ['0.10', 10], ['5.0E-1', 50]]) {
            const answer = await c.client.rollBack(redemption.id, `{"amount":${text}}`);
            assert.equal(answer.status, 201, answer.text);
            sum += cents;
            assert.equal(answer.body.redemption.givenBack, sum / 100);
        }
    });
});

describe('a roll-back in the ledger', () => {
    const c = suiteServer();

    it('is an entry of its type, to the byte', async () => {
        const { book, redemption } = await used(c.client, 'E-1', { sent: order(59.9) });
        const reason = 'Größe passt nicht: "zu klein"\\ 🎟';
        const part = await c.client.rollBack(redemption.id, { amount: 1.5, reason });
        assert.equal(part.status, 201, part.text);
        const whole = await c.client.rollBack(redemption.id);
        assert.equal(whole.status, 201, whole.text);
        const entries = await entriesOf(c.client, 7, { bookId: book.id });
        for (const [entry, answer, expected] of [
            [
                entries[5],
                part,
                {
                    type: 'discount_given_back',
                    discount: { amount: 1.5, currency: 'EUR' },
                    reason,
                    after: stateOf('redeemed', 'ann'),
                },
            ],
            [
                entries[6],
                whole,
                {
                    type: 'redemption_rolled_back',
                    discount: { amount: 3.5, currency: 'EUR' },
                    reason: null,
                    after: stateOf('assigned', 'ann'),
                },
            ],
        ]) {
            assert.equal(
                JSON.stringify(entry),
                JSON.stringify({
                    id: entry.id,
                    at: entry.at,
                    type: expected.type,
                    ...{ bookId: book.id, code: 'E-1', userId: 'ann', redemptionId: redemption.id },
                    discount: expected.discount,
                    reason: expected.reason,
                    requestId: answer.headers['x-request-id'],
                    before: stateOf('redeemed', 'ann'),
                    after: expected.after,
                }),
            );
            assertTime(entry.at, Date.now());
        }
        assert.equal(entries[6].at, whole.body.redemption.rolledBackAt);
        const { history } = await shown(c.client, 'E-1');
        assert.deepEqual(history, entries.slice(1));
        for (const type of ['redemption_rolled_back', 'discount_given_back']) {
            const listed = await c.client.allEvents({ code: 'E-1', type });
            assert.deepEqual(listed, entries.filter((entry) => entry.type === type));
        }
    });

    it('is one of many, all of which fit the books', async (t) => {
        const { client } = await testServer(t);
        const codes = ['M-0', 'M-1', 'M-2'];
        await client.newBookWith(codes, { discountAmount: 5, maxRedemptionsPerUser: 3 });
        for (let round = 0; round < 3; round += 1) {
            for (const code of codes) {
                const { id } = await use(client, code, 'ann', order(9, 'KWD', `o-${round}`));
                if (round === 1) await client.mustRollBack(id, { amount: 0.125 });
                if (round < 2) await client.mustRollBack(id);
            }
        }
        const entries = await verifyLedger(client);
        const types = entries.map(({ type }) => type);
        assert.equal(types.filter((type) => type === 'redemption_rolled_back').length, 6);
        assert.equal(types.filter((type) => type === 'discount_given_back').length, 3);
    });

    it('that was refused is none', async () => {
        const { book, redemption } = await used(c.client, 'R-1', { sent: order(9) });
        const before = await settledEntries(c.client, { bookId: book.id });
        const state = await shown(c.client, 'R-1');
        for (const members of [{ amount: 5.01 }, { amount: 0.001 }, { amount: 0 }, { reason: 5 }]) {
            assert.ok((await c.client.rollBack(redemption.id, members)).status >= 400);
        }
        assert.deepEqual(await settledEntries(c.client, { bookId: book.id }), before);
        assert.deepEqual(await shown(c.client, 'R-1'), state);
    });

    it('stays there, with its redemption, when old entries are moved out', async (t) => {
        const { server, client } = await testServer(t);
        const codes = ['X-0', 'X-1', 'X-2'];
        const { id: bookId } = await client.newBookWith(codes, { discountAmount: 5 });
        const taken = [];
        for (const code of codes) taken.push(await use(client, code, 'ann', order(9)));
        await client.mustRollBack(taken[0].id, { amount: 1 });
        await client.mustRollBack(taken[0].id);
        await use(client, 'X-0', 'ann', order(9));
        await client.mustRollBack(taken[1].id, { amount: 2 });
        await client.mustPatchCode('X-2', { metadata: { a: 1 } });
        const kept = (entries) => entries.filter(({ type }) => /redeem|redemption|given/.test(type));
        const before = await settledEntries(client, { bookId });
        const archive = path.join(temporaryFolder(), 'ledger.ndjson');
        const args = ['export-ledger', '--retention-days', '0', '--archive', archive];
        const { code, stderr } = await run(args, { data: server.data });
        assert.equal(code, 0, stderr);
        const after = await client.allEvents({ bookId });
        assert.ok(after.length < before.length, 'nothing was moved out');
        assert.deepEqual(kept(after), kept(before));
        await server.data.verify();
        assertRedemption((await shown(client, 'X-1')).redemptions[0], { ...taken[1], givenBack: 2 });
        for (const { id } of taken.slice(1)) await client.mustRollBack(id);
        assertRefused(await client.rollBack(taken[0].id), ...refusals.rolledBack);
        const same = await client.mustRedeem('X-0', 'ann', order(9));
        assert.equal(same.replayed, true);
        assert.deepEqual((await counted(client, bookId)).redeemed, 1);
    });
});

describe('a roll-back is refused', () => {
    const c = suiteServer();

    it('of a redemption that is not there', async () => {
        const { book, redemption } = await used(c.client, 'N-1', { sent: order(9) });
        const entries = await settledEntries(c.client, { bookId: book.id });
        const others = entries.map(({ id }) => id).filter((id) => id !== redemption.id);
        await c.client.mustRollBack(redemption.id, { amount: 1 });
        const [part] = await entriesOf(c.client, 1, { code: 'N-1', type: 'discount_given_back' });
        const ids = [...others, part.id, '9007199254740993', '9223372036854775807'];
        for (const id of ids) {
            for (const members of [undefined, { amount: 1 }, { amount: 0.001 }]) {
                assertRefused(await c.client.rollBack(id, members), ...refusals.noRedemption);
            }
        }
        assertRedemption((await shown(c.client, 'N-1')).redemptions[0], {
            ...redemption,
            givenBack: 1,
        });
    });

    it('of one that has been rolled back, before its amount is looked at', async () => {
        const { redemption } = await used(c.client, 'R-1', { sent: order(9) });
        await c.client.mustRollBack(redemption.id);
        for (const members of [undefined, {}, { amount: 1 }, { amount: 6 }, { amount: 0.001 }]) {
            assertRefused(await c.client.rollBack(redemption.id, members), ...refusals.rolledBack);
        }
    });

    it('and counted, by the book if it is of one', async (t) => {
        const { client } = await testServer(t);
        const { book, redemption } = await used(client, 'C-1', { sent: order(9) });
        await client.rollBack(redemption.id, { amount: 6 });
        await client.mustRollBack(redemption.id);
        for (let times = 0; times < 2; times += 1) await client.rollBack(redemption.id);
        await client.rollBack('9223372036854775807');
        await client.rollBack(redemption.id, { amount: 0 }); // no rule has refused that
        const own = { already_rolled_back: 2, amount_exceeds_discount: 1 };
        assert.deepEqual((await figures(client, book.id)).refusals, own);
        assert.deepEqual((await client.get('/coupon/stats')).body.refusals, {
            ...own,
            redemption_not_found: 1,
        });
    });

    const idRule = 'redemptionId must be a positive integer';
    const amountRule = 'amount must be a number greater than 0, up to 1000000000000, with at most 4 decimals';

    for (const id of ['0', '-1', 'x', '1.0', '1e3', '%20', '+1', '9223372036854775808', 'A-1']) {
        it(`by the id ${id}`, async () => {
            invalid(await c.client.rollBack(id), [idRule]);
            invalid(await c.client.rollBack(id, { amount: 1, reason: 'x' }), [idRule]);
        });
    }

    for (const text of [
        ...['0', '-0', '0.0', '-1', '-0.01', '0.00001', '1.00001', '1e-5', '1e-400'],
        ...['0.0100000000000000000000001', '"5"', '""', 'true', 'false', '[]', '[5]', '{}'],
    ]) {
        it(`of the amount ${text.slice(0, 30)}`, async () => {
            for (const id of ['1', '9223372036854775807']) {
                const answer = await c.client.rollBack(id, `{"amount":${text}}`);
                invalid(answer, [amountRule]);
            }
        });
    }

    for (const [reason, message] of [
        ...[5, 0, true, [], ['x'], {}].map((value) => [value, 'reason must be a string']),
        ...['x'.repeat(1_025), '🎟'.repeat(1_025)].map((value) => [
            value,
            'reason must be shorter than or equal to 1024 characters',
        ]),
        ...['a\nb', 'nul\0', '\u007f', '\u0085'].map((value) => [
            value,
            'reason must not contain control characters',
        ]),
    ]) {
        it(`for the reason ${JSON.stringify(reason).slice(0, 20)}`, async () => {
            invalid(await c.client.rollBack('9223372036854775807', { reason }), [message]);
        });
    }

    it('for no reason that is too long, or said strangely', async () => {
        const { redemption } = await used(c.client, 'L-1', { sent: order(9) });
        for (const reason of ['x'.repeat(1_024), '🎟'.repeat(1_024), ' ', '"\\/ ü\u2028']) {
            await c.client.mustRollBack(redemption.id, { amount: 0.01, reason });
            const { history } = await shown(c.client, 'L-1');
            assert.equal(history.at(-1).reason, reason);
        }
    });

    it('with all that is wrong, in the order of the description', async () => {
        const sent = { more: 1, amount: -1, userId: 'ann', reason: 5 };
        invalid(await c.client.rollBack('x', sent), [
            idRule,
            'reason must be a string',
            amountRule,
            'property more should not exist',
            'property userId should not exist',
        ]);
        for (const [name, value] of [['amount', '1'], ['reason', '"x"'], ['reason', 'null']]) {
            const answer = await c.client.rollBack('1', `{"${name}":${value},"${name}":${value}}`);
            invalid(answer, [`property ${name} is given twice`]);
        }
    });

    it('in another form', async () => {
        for (const body of ['[]', 'null', '5', '"text"']) {
            invalid(await c.client.rollBack('1', body), ['body must be an object']);
        }
        assertRefused(await c.client.rollBack('1', '{'), 400, undefined, 'malformed_json');
        const text = await c.client.rollBack('1', '{}', { headers: { 'content-type': 'text/plain' } });
        assertRefused(text, 415, undefined, 'unsupported_media_type');
    });
});

describe('a roll-back with a key', () => {
    it('is done once, and answered as the first time, to the byte', async (t) => {
        const { server, client } = await testServer(t);
        const { book, redemption } = await used(client, 'K-1', { sent: order(9) });
        const { id } = redemption;
        const part = { amount: 1.5, reason: 'part' };
        const parted = await client.rollBack(id, part, keyed('p'));
        assert.equal(parted.status, 201, parted.text);
        assert.equal(parted.body.redemption.givenBack, 1.5);
        assertReplayed(await client.rollBack(id, part, keyed('p')), parted);
        const more = await client.rollBack(id, part, keyed('q'));
        assert.equal(more.body.redemption.givenBack, 3);
        const beyond = await client.rollBack(id, { amount: 4 }, keyed('b'));
        assertRefused(beyond, ...refusals.beyondDiscount);
        const fine = await client.rollBack(id, { amount: 0.001 }, keyed('f'));
        assert.equal(fine.status, 400, fine.text);
        const whole = await client.rollBack(id, undefined, keyed('w'));
        assert.equal(whole.status, 201, whole.text);
        const late = await client.rollBack(id, undefined, keyed('l'));
        assertRefused(late, ...refusals.rolledBack);
        const gone = await client.rollBack('9223372036854775807', {}, keyed('g'));
        assertRefused(gone, ...refusals.noRedemption);

        const replay = async () => {
            assertReplayed(await client.rollBack(id, part, keyed('p')), parted);
            assertReplayed(await client.rollBack(id, part, keyed('q')), more);
            assertReplayed(await client.rollBack(id, { amount: 4 }, keyed('b')), beyond);
            assertReplayed(await client.rollBack(id, undefined, keyed('w')), whole);
            assertReplayed(await client.rollBack(id, undefined, keyed('l')), late);
            const again = await client.rollBack('9223372036854775807', {}, keyed('g'));
            assertReplayed(again, gone);
        };
        await replay();
        await client.mustPatchBook(book.id, { discountAmount: 1 });
        await use(client, 'K-1', 'ann', order(9));
        await replay();
        await server.stop();
        await server.start();
        await replay();
        const entries = await settledEntries(client, { bookId: book.id });
        assert.deepEqual(
            entries.map(({ type }) => type).filter((type) => /back/.test(type)),
            ['discount_given_back', 'discount_given_back', 'redemption_rolled_back'],
        );
        const { totals } = await figures(client, book.id);
        assert.deepEqual([totals.redeemed, totals.rolledBack], [1, 1]);
    });

    it('of another request is refused, and does nothing', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A', 'B'], { discountAmount: 5 });
        const one = await use(client, 'A', 'ann', order(9));
        const other = await use(client, 'B', 'ann', order(9));
        await client.mustRollBack(one.id, { amount: 1 });
        assert.equal((await client.rollBack(one.id, { amount: 1 }, keyed('k'))).status, 201);
        for (const answer of [
            await client.rollBack(one.id, { amount: 2 }, keyed('k')),
            await client.rollBack(one.id, undefined, keyed('k')),
            await client.rollBack(one.id, '{"amount": 1}', keyed('k')),
            await client.rollBack(other.id, { amount: 1 }, keyed('k')),
            await client.lock('A', 'ann', undefined, keyed('k')),
        ]) {
            assertRefused(answer, 422, undefined, 'idempotency_key_reused');
        }
        assert.equal((await shown(client, 'A')).redemptions[0].givenBack, 2);
        assert.equal((await shown(client, 'B')).redemptions[0].givenBack, 0);
    });

    it('that could not be understood has not used it up', async (t) => {
        const { client } = await testServer(t);
        const { redemption } = await used(client, 'A', { sent: order(9) });
        invalid(await client.rollBack(redemption.id, { amount: 0 }, keyed('k')), [
            'amount must be a number greater than 0, up to 1000000000000, with at most 4 decimals',
        ]);
        const first = await client.rollBack(redemption.id, { amount: 1 }, keyed('k'));
        assert.equal(first.status, 201, first.text);
        assert.equal(first.headers['idempotent-replayed'], undefined);
    });
});

/** Makes all that there is a day older. */
async function age(data) {
    const older = (table, columns, where = '') =>
        `UPDATE ${table} SET ${columns.map((column) => `${column} = ${column} - 86400000`)}${where};`;
    await data.execute(
        older('ledger', ['at', 'locked_until']) +
            older('coupon_code', ['created_at', 'locked_until', 'redeemed_at']) +
            older('coupon_book', ['created_at']) +
            older('lock_count', ['locked_until']) +
            older('activity_count', ['since']) +
            older('discount_count', ['since'], ' WHERE since >= 0'),
    );
}

describe('the figures of what was rolled back', () => {
    it('are less what was given back, by currency', async (t) => {
        const { client } = await testServer(t);
        const codes = ['F-0', 'F-1', 'F-2', 'F-3'];
        const { id } = await client.newBookWith(codes, { discountAmount: 5 });
        const taken = [];
        for (const [index, sent] of [
            undefined,
            order(9),
            order(2.125, 'KWD'),
            order(9, 'EUR', 'o-2'),
        ].entries()) {
            taken.push(await use(client, codes[index], 'ann', sent));
        }
        const kwd = (amount) => ({ amount, currency: 'KWD' });
        const eur = (amount) => ({ amount, currency: 'EUR' });
        const now = async () => {
            const { totals, funnel, series } = await figures(client, id);
            const all = (await client.get('/coupon/stats')).body;
            assert.deepEqual([all.totals, all.funnel], [totals, funnel]);
            let rolledBack = 0;
            for (const piece of series) rolledBack += piece.rolledBack;
            assert.equal(rolledBack, totals.rolledBack);
            const { redeemed, discount } = totals;
            const discounts = totals.discounts.filter(({ amount }) => amount !== 0);
            return [redeemed, totals.rolledBack, discount, ...discounts];
        };
        assert.deepEqual(await now(), [4, 0, 5, eur(10), kwd(2.125)]);
        await client.mustRollBack(taken[0].id, { amount: 0.01 });
        assert.deepEqual(await now(), [4, 0, 4.99, eur(10), kwd(2.125)]);
        await client.mustRollBack(taken[1].id, { amount: 1.5 });
        assert.deepEqual(await now(), [4, 0, 4.99, eur(8.5), kwd(2.125)]);
        await client.mustRollBack(taken[2].id, { amount: 0.001 });
        assert.deepEqual(await now(), [4, 0, 4.99, eur(8.5), kwd(2.124)]);
        await client.mustRollBack(taken[1].id);
        assert.deepEqual(await now(), [3, 1, 4.99, eur(5), kwd(2.124)]);
        await client.mustRollBack(taken[0].id);
        assert.deepEqual(await now(), [2, 2, 0, eur(5), kwd(2.124)]);
        await client.mustRollBack(taken[2].id);
        assert.deepEqual(await now(), [1, 3, 0, eur(5)]);
        await client.mustRollBack(taken[3].id);
        assert.deepEqual(await now(), [0, 4, 0]);
        // A code that had a lock has had one; and that it was redeemed is no more.
        const { totals, funnel, series } = await figures(client, id);
        assert.deepEqual(funnel.map(({ codes: count }) => count), [4, 4, 4, 0]);
        assert.deepEqual([totals.assigned, totals.locked], [4, 0]);
        let redeemed = 0;
        for (const piece of series) redeemed += piece.redeemed;
        assert.equal(redeemed, 4);
        // Redeemed again, it counts again.
        await use(client, 'F-1', 'ann', order(4));
        assert.deepEqual(await now(), [1, 4, 0, eur(4)]);
    });

    it('are below nothing at a time when more was given back than redeemed', async (t) => {
        const { server, client } = await testServer(t);
        const codes = ['Y-0', 'Y-1', 'Y-2'];
        const { id } = await client.newBookWith(codes, { discountAmount: 5 });
        const taken = [];
        for (const [index, sent] of [undefined, order(9), order(2.125, 'KWD')].entries()) {
            taken.push(await use(client, codes[index], 'ann', sent));
        }
        await server.stop();
        await age(server.data);
        await server.data.verify();
        await server.start();
        await client.mustRollBack(taken[0].id, { amount: 1.25 });
        await client.mustRollBack(taken[1].id);
        await client.mustRollBack(taken[2].id, { amount: 0.125 });
        await use(client, 'Y-1', 'ann', order(2));
        const kwd = (amount) => ({ amount, currency: 'KWD' });
        const eur = (amount) => ({ amount, currency: 'EUR' });
        for (const path of [`/coupon/${id}/stats`, '/coupon/stats']) {
            const { totals, series } = (await client.get(path)).body;
            const pieces = series.filter((piece) => piece.redeemed + piece.rolledBack > 0);
            const told = pieces.map((piece) => [piece.rolledBack, piece.discount, piece.discounts]);
            // At midnight there may be more.
            if (pieces.length === 2) {
                assert.deepEqual(told, [
                    [0, 5, [eur(5), kwd(2.125)]],
                    [1, -1.25, [eur(-3), kwd(-0.125)]],
                ]);
            }
            assert.deepEqual(
                [totals.redeemed, totals.rolledBack, totals.discount, totals.discounts],
                [3, 1, 3.75, [eur(2), kwd(2)]],
            );
        }
        await server.data.verify();
    });
});

describe('a roll-back and a person', () => {
    const erase = async (client, user) => {
        const answer = await client.request('DELETE', `/coupon/users/${user}`);
        assert.equal(answer.status, 200, answer.text);
    };

    it('who was erased: what they redeemed can be rolled back under their random id', async (t) => {
        const { server, client } = await testServer(t);
        const codes = ['E-0', 'E-1'];
        const { id } = await client.newBookWith(codes, {
            discountAmount: 5,
            maxRedemptionsPerUser: 1,
        });
        const redemption = await use(client, 'E-0', 'ann', order(9));
        await client.mustRollBack(redemption.id, { amount: 1 });
        await client.mustAssign('E-1', 'ann');
        await erase(client, 'ann');
        const { assignedTo: user } = await shown(client, 'E-0');
        assert.match(user, /^erased-[a-z2-7]{26}$/);
        const part = await client.mustRollBack(redemption.id, { amount: 1 });
        assertRedemption(part, { ...redemption, userId: user, givenBack: 2 });
        const back = await client.mustRollBack(redemption.id);
        assert.deepEqual([back.userId, back.givenBack], [user, 5]);
        const { status, assignedTo, history } = await shown(client, 'E-0');
        assert.deepEqual([status, assignedTo], ['assigned', user]);
        for (const entry of history.slice(1)) assert.equal(entry.userId, user);
        // The limit is given back to them, too.
        await client.mustLock('E-1', user);
        await client.mustRedeem('E-1', user);
        assert.deepEqual((await counted(client, id)).redeemed, 1);
        await server.data.verify();
    });

    it('who is erased afterwards: nothing of them is left in what was rolled back', async (t) => {
        const { server, client } = await testServer(t);
        const { redemption } = await used(client, 'A-0', { user: 'ann', sent: order(9) });
        await client.mustRollBack(redemption.id, { amount: 1 });
        await client.mustRollBack(redemption.id);
        await erase(client, 'ann');
        const { assignedTo: user, history } = await shown(client, 'A-0');
        for (const { userId, before, after } of history.slice(1)) {
            assert.deepEqual([userId, after.assignedTo], [user, user]);
            assert.ok([user, null].includes(before.assignedTo));
        }
        assert.ok(!JSON.stringify(await client.allEvents()).includes('"ann"'));
        assertRefused(await client.rollBack(redemption.id), ...refusals.rolledBack);
        await server.data.verify();
    });
});

describe('a restart', () => {
    it('keeps what was rolled back, and lets the rest be', async (t) => {
        const { server, client } = await testServer(t);
        const codes = ['R-0', 'R-1', 'R-2'];
        const { id } = await client.newBookWith(codes, { discountAmount: 5 });
        const taken = [];
        for (const code of codes) taken.push(await use(client, code, 'ann', order(9)));
        await client.mustRollBack(taken[0].id);
        await client.mustRollBack(taken[1].id, { amount: 2 });
        const look = async () => {
            const texts = [];
            for (const target of [
                ...codes.map((code) => `/coupon/code/${code}`),
                ...['/coupon/users/ann', `/coupon/${id}`, `/coupon/${id}/stats`],
            ]) {
                texts.push((await client.get(target)).text);
            }
            return texts;
        };
        await settledEntries(client);
        const before = await look();
        await server.stop();
        await server.start();
        assert.deepEqual(await look(), before);
        assertRefused(await client.rollBack(taken[0].id), ...refusals.rolledBack);
        const answer = await client.rollBack(taken[1].id, { amount: 3.01 });
        assertRefused(answer, ...refusals.beyondDiscount);
        assert.equal((await client.mustRollBack(taken[1].id)).givenBack, 5);
        assert.equal((await client.mustRollBack(taken[2].id, { amount: 5 })).givenBack, 5);
        await use(client, 'R-0', 'ann', order(9));
        assert.deepEqual(await counted(client, id), {
            ...{ total: 3, available: 0, assigned: 1, locked: 0, redeemed: 2 },
        });
    });
});
