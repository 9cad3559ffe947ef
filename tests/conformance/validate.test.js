// POST /coupon/validate/:code: whether a code would be accepted, why not, what would cure that, and
// what the code would take off an order.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { assertCodeRefused, assertRefused, inParallel, numbered } from '../support/client.js';
import { suiteServer, testServer } from '../support/harness.js';
import { settledEntries } from '../support/ledger.js';
import { passed } from '../support/lives.js';
import { openapiDocument } from '../support/openapi.js';
import { seededRandom } from '../support/random.js';
import {
    decimals,
    discountOf,
    reason,
    reasonRow,
    reasonTable,
    reasonsOf,
} from '../support/reasons.js';
import { amountOff } from '../support/shapes.js';
import { invalidTime, unfitTimes } from '../support/unfit.js';

const past = '2020-02-02T02:02:02.000Z';
const future = '2120-02-02T02:02:02.000Z';
const plusMs = (time, ms) => new Date(Date.parse(time) + ms).toISOString();

// As the shop reads them.
const notFound = {
    code: 'coupon_not_found',
    message: 'Coupon code not found',
    cure: 'Check the code for typing errors',
};
const anothers = {
    code: 'coupon_not_assigned_to_user',
    message: 'Coupon is not assigned to this user',
};
const nobodys = { ...anothers, cure: 'Assign the code to the user first' };
const usedUp = {
    code: 'coupon_redemption_limit_reached',
    message: 'Coupon has been redeemed as often as it may be',
};
const redeemed = {
    code: 'coupon_already_redeemed',
    message: 'Coupon has already been redeemed',
};
const archived = {
    code: 'coupon_book_archived',
    message: 'Coupon book has been archived',
    cure: 'Restore the coupon book',
};
const inactive = {
    code: 'coupon_book_inactive',
    message: 'Coupon book is not active',
    cure: 'Activate the coupon book',
};
const notStarted = (startsAt) => ({
    code: 'coupon_book_not_started',
    message: 'Coupon book has not started yet',
    cure: `Try again from ${startsAt} on`,
});
const ended = { code: 'coupon_book_ended', message: 'Coupon book has ended' };
const disabled = {
    code: 'coupon_disabled',
    message: 'Coupon has been disabled',
    cure: 'Activate the code',
};
const expired = { code: 'coupon_expired', message: 'Coupon has expired' };
const orderRequired = {
    code: 'order_required',
    message: 'An order is required to redeem this coupon',
    cure: 'Send the order',
};
const otherCurrency = (currency) => ({
    code: 'order_currency_mismatch',
    message: 'The order is in another currency than the discount',
    cure: `Use an order in ${currency}`,
});
const belowMinimum = (missing) => ({
    code: 'order_below_minimum',
    message: 'The order is below the minimum of this coupon',
    cure: `Add ${missing} to the order`,
});
const allRedeemed = {
    code: 'redemption_limit_reached',
    message: 'The redemption limit of this coupon book is reached',
};
const budgetExhausted = {
    code: 'budget_exhausted',
    message: 'The budget of this coupon book is used up',
};
const limitReached = {
    code: 'user_redemption_limit_reached',
    message: 'User has reached the redemption limit of this coupon book',
};

const invalid = (answer, messages) => assertRefused(answer, 400, messages, 'validation_failed');

/** Asserts what is said of a code: these reasons, or none; returns all of it. */
async function assertReasons(client, code, user, reasons, more) {
    const validation = await client.mustValidate(code, user, more);
    assert.deepEqual(validation.reasons, reasons, `${code} of ${user} ${JSON.stringify(more)}`);
    return validation;
}

/** A code that `user` holds, locked and redeemed as far as is said. */
async function hold(client, code, user, { locked = false, redeemed: used = false } = {}) {
    await client.mustAssign(code, user);
    if (locked || used) await client.mustLock(code, user);
    if (used) await client.mustRedeem(code, user);
}

describe('POST /coupon/validate/:code', () => {
    const c = suiteServer();

    it('says that a code would be accepted, to the byte', async () => {
        await c.client.newBookWith(['OK 1/2', 'OK-2'], { discountAmount: 19.99 });
        await c.client.newBookWith(['OK-3']);
        for (const code of ['OK 1/2', 'OK-2', 'OK-3']) await hold(c.client, code, 'ann');
        const text = async (...asked) => (await c.client.validate(...asked)).text;
        const valid = '{"valid":true,"reasons":[],"discount":';
        assert.equal(
            await text('OK 1/2', 'ann'),
            `${valid}{"amount":19.99,"currency":null}}`,
        );
        assert.equal(await text('OK-3', 'ann'), `${valid}null}`);
        const order = { id: 'ü "4711"', currency: 'EUR', amount: 59.9 };
        assert.equal(
            await text('OK-2', 'ann', { order }),
            `${valid}{"amount":19.99,"currency":"EUR"},` +
                '"order":{"id":"ü \\"4711\\"","amount":59.9,"currency":"EUR"}}',
        );
        assert.equal(
            await text('OK-2', 'ann', { order: { amount: 5, currency: 'EUR' } }),
            `${valid}{"amount":5,"currency":"EUR"},` +
                '"order":{"id":null,"amount":5,"currency":"EUR"}}',
        );
    });

    it('says that it would not, to the byte', async () => {
        const { id } = await c.client.newBookWith(['NO-1'], { discountAmount: 5 });
        await hold(c.client, 'NO-1', 'ann');
        await c.client.mustPatchBook(id, { active: false, endsAt: past });
        const answer = await c.client.validate('NO-1', 'ann', {
            order: { amount: 1, currency: 'JPY' },
        });
        assert.equal(answer.status, 200);
        assert.equal(
            answer.text,
            '{"valid":false,"reasons":[{"code":"coupon_book_inactive",' +
                '"message":"Coupon book is not active","cure":"Activate the coupon book"},' +
                '{"code":"coupon_book_ended","message":"Coupon book has ended"}],' +
                '"discount":null,"order":{"id":null,"amount":1,"currency":"JPY"}}',
        );
    });

    it('answers 200 where there is no such code, and knows of nothing else then', async () => {
        await c.client.newBookWith(['Here', 'restore'], { active: false });
        for (const code of ['here', 'Here ', 'Here/', '%48ere', 'ü🎟'.repeat(64)]) {
            const order = { amount: 5, currency: 'EUR', id: 'o' };
            for (const more of [{}, { order }, { asOf: '2027-01-01' }, { asOf: past, order }]) {
                const validation = await assertReasons(c.client, code, 'ann', [notFound], more);
                assert.equal(validation.discount, null);
            }
        }
        await assertReasons(c.client, 'restore', 'ann', [nobodys, inactive]);
    });

    it('takes null for left out', async () => {
        await c.client.newBookWith(['NULL-1']);
        await hold(c.client, 'NULL-1', 'ann');
        const nulls = await c.client.validate('NULL-1', 'ann', { order: null, asOf: null });
        assert.equal(nulls.text, '{"valid":true,"reasons":[],"discount":null}');
        const order = { amount: 5, currency: 'EUR', id: null };
        const validation = await c.client.mustValidate('NULL-1', 'ann', { order });
        assert.deepEqual(validation.order, { id: null, amount: 5, currency: 'EUR' });
    });

    it('takes no notice of locks', async () => {
        await c.client.newBookWith(['L-1', 'L-2', 'L-3'], { lockTtlSeconds: 1 });
        for (const code of ['L-1', 'L-2', 'L-3']) await hold(c.client, code, 'ann');
        const { lockedUntil } = await c.client.mustLock('L-2', 'ann');
        await passed(lockedUntil);
        await c.client.mustPatchBook((await c.client.get('/coupon/code/L-3')).body.bookId, {
            lockTtlSeconds: null,
        });
        await c.client.mustLock('L-3', 'ann');
        for (const code of ['L-1', 'L-2', 'L-3']) {
            await assertReasons(c.client, code, 'ann', []);
            await assertReasons(c.client, code, 'bob', [anothers]);
        }
        // It has taken none, and given none back.
        const states = [];
        for (const code of ['L-1', 'L-2', 'L-3']) {
            states.push((await c.client.get(`/coupon/code/${code}`)).body.status);
        }
        assert.deepEqual(states, ['assigned', 'assigned', 'locked']);
        await c.client.mustUnlock('L-3', 'ann');
        await assertReasons(c.client, 'L-3', 'ann', []);
    });

    it('takes no notice of a key', async () => {
        await c.client.newBookWith(['K-1']);
        await hold(c.client, 'K-1', 'ann');
        const keyed = (key) => ({ headers: { 'idempotency-key': key } });
        const ask = async (key, user, reasons) => {
            const answer = await c.client.validate('K-1', user, {}, keyed(key));
            assert.equal(answer.status, 200, answer.text);
            assert.equal(answer.headers['idempotent-replayed'], undefined);
            assert.deepEqual(answer.body.reasons, reasons);
        };
        await ask('k', 'ann', []);
        await ask('k', 'bob', [anothers]);
        await c.client.mustPatchCode('K-1', { active: false });
        await ask('k', 'ann', [disabled]);
        await c.client.mustPatchCode('K-1', { active: true });
        for (const key of ['', 'a b', '"', 'x'.repeat(300)]) await ask(key, 'ann', []);
        // It has not been used.
        const locked = await c.client.post('/coupon/lock/K-1', { userId: 'ann' }, keyed('k'));
        assert.equal(locked.status, 201, locked.text);
        await ask('k', 'ann', []);
        const answers = await Promise.all(numbered('', 50).map(() => ask('k', 'ann', [])));
        assert.equal(answers.length, 50);
    });

    it('is asked by POST, of one code', async () => {
        const get = await c.client.get('/coupon/validate/X');
        assertRefused(get, 404, 'Cannot GET /coupon/validate/X', 'route_not_found');
        const none = await c.client.post('/coupon/validate', { userId: 'ann' });
        assertRefused(none, 404, 'Cannot POST /coupon/validate', 'route_not_found');
        const two = await c.client.post('/coupon/validate/X/Y', { userId: 'ann' });
        assertRefused(two, 404, 'Cannot POST /coupon/validate/X/Y', 'route_not_found');
    });
});

describe('a reason', () => {
    const c = suiteServer();

    /**
     * A book of its own with the codes `${name}-free`, `-hers`, `-his`, `-used` (hers, redeemed)
     * and `-used by him`.
     */
    async function situation(name, members) {
        const code = (what) => `${name}-${what}`;
        const codes = ['free', 'hers', 'his', 'used', 'used by him'].map(code);
        const { id } = await c.client.newBookWith(codes, { discountAmount: 5, ...members });
        await hold(c.client, code('hers'), 'ann');
        await hold(c.client, code('his'), 'bob');
        await hold(c.client, code('used'), 'ann', { redeemed: true });
        await hold(c.client, code('used by him'), 'bob', { redeemed: true });
        return { id, code };
    }

    it('is whose a code is, and that it was redeemed', async () => {
        const { code } = await situation('W');
        const ask = (what, user, reasons) => assertReasons(c.client, code(what), user, reasons);
        const { discount } = await ask('hers', 'ann', []);
        assert.deepEqual(discount, { amount: 5, currency: null });
        await ask('free', 'ann', [nobodys]);
        for (const user of ['ann', 'Bob', 'bob ', 'böb']) await ask('his', user, [anothers]);
        await ask('used', 'ann', [redeemed]);
        await ask('used by him', 'ann', [anothers, redeemed]);
    });

    for (const [what, change, restore, expected] of [
        ['an archived book', 'archive', 'restore', archived],
        ['a book that is not active', { active: false }, { active: true }, inactive],
        [
            'a book that has not started',
            { startsAt: future },
            { startsAt: past },
            notStarted(future),
        ],
        ['a book that has ended', { endsAt: past }, { endsAt: future }, ended],
        [
            'a limit that is reached',
            { maxRedemptionsPerUser: 1 },
            { maxRedemptionsPerUser: 2 },
            limitReached,
        ],
    ]) {
        it(`is ${what}, until that is cured`, async () => {
            const { id, code } = await situation(what);
            const make = (members) => {
                if (members === 'archive') return c.client.mustArchive(id);
                if (members === 'restore') return c.client.mustRestore(id);
                return c.client.mustPatchBook(id, members);
            };
            await make(change);
            await assertReasons(c.client, code('hers'), 'ann', [expected]);
            await assertReasons(c.client, code('free'), 'ann', [nobodys, expected]);
            await assertReasons(c.client, code('his'), 'ann', [anothers, expected]);
            await assertReasons(c.client, code('used'), 'ann', [redeemed, expected]);
            await assertReasons(c.client, code('used by him'), 'ann', [
                anothers,
                redeemed,
                expected,
            ]);
            await make(restore);
            await assertReasons(c.client, code('hers'), 'ann', []);
            await assertReasons(c.client, code('free'), 'ann', [nobodys]);
            await assertReasons(c.client, code('used by him'), 'ann', [anothers, redeemed]);
        });
    }

    for (const [what, change, restore, expected] of [
        ['that a code is disabled', { active: false }, { active: true }, disabled],
        ['that it has expired', { expiresAt: past }, { expiresAt: future }, expired],
    ]) {
        it(`is ${what}, until that is cured`, async () => {
            const { code } = await situation(what);
            for (const [kind, before] of [
                ['hers', []],
                ['free', [nobodys]],
                ['his', [anothers]],
                ['used', [redeemed]],
                ['used by him', [anothers, redeemed]],
            ]) {
                await c.client.mustPatchCode(code(kind), change);
                await assertReasons(c.client, code(kind), 'ann', [...before, expected]);
                await c.client.mustPatchCode(code(kind), restore);
                await assertReasons(c.client, code(kind), 'ann', before);
            }
        });
    }

    it('is told of with all the others, in order', async () => {
        const { id, code } = await situation('ALL', { maxRedemptionsPerUser: 1 });
        for (const what of ['free', 'hers', 'his', 'used', 'used by him']) {
            await c.client.mustPatchCode(code(what), { active: false, expiresAt: past });
        }
        const members = { active: false, endsAt: past };
        await c.client.mustPatchBook(id, members);
        await c.client.mustArchive(id);
        const rest = [archived, inactive, ended, disabled, expired, limitReached];
        const order = { amount: 5, currency: 'EUR' };
        const ask = (what, reasons) =>
            assertReasons(c.client, code(what), 'ann', reasons, { order });
        await ask('used by him', [anothers, redeemed, ...rest]);
        await ask('used', [redeemed, ...rest]);
        await ask('free', [nobodys, ...rest]);
        await ask('hers', rest);
        // Who has redeemed nothing has all but that.
        const others = [anothers, redeemed, ...rest.slice(0, -1)];
        await assertReasons(c.client, code('used by him'), 'eve', others);
        await c.client.mustPatchBook(id, { startsAt: future, endsAt: null });
        const later = rest.map((each) => (each === ended ? notStarted(future) : each));
        await ask('used by him', [anothers, redeemed, ...later]);
        await ask('hers', later);
    });

    it('goes when what it says would cure it is done, and the code is accepted then', async () => {
        const { client } = c;
        const startsAt = new Date(Date.now() + 3_600_000).toISOString();
        const { id } = await client.newBookWith(['CURE'], { active: false, startsAt });
        await client.mustPatchCode('CURE', { active: false });
        await client.mustArchive(id);
        const left = [nobodys, archived, inactive, notStarted(startsAt), disabled];
        await assertReasons(client, 'CURE', 'ann', left);
        // It can be assigned only when these are cured.
        for (const [what, cure] of [
            [archived, () => client.mustRestore(id)],
            [inactive, () => client.mustPatchBook(id, { active: true })],
            [disabled, () => client.mustPatchCode('CURE', { active: true })],
            [nobodys, () => client.mustAssign('CURE', 'ann')],
        ]) {
            await cure();
            left.splice(left.indexOf(what), 1);
            await assertReasons(client, 'CURE', 'ann', left);
        }
        const [, asOf] = /^Try again from (\S+) on$/.exec(left[0].cure);
        await assertReasons(client, 'CURE', 'ann', [], { asOf });
        await client.mustPatchBook(id, { startsAt: null });
        await assertReasons(client, 'CURE', 'ann', []);
        await client.mustLock('CURE', 'ann');
        await client.mustRedeem('CURE', 'ann');
    });

    it('is the limit for who asks, by what they have redeemed in the book', async () => {
        const codes = numbered('LIM-', 6);
        const { id } = await c.client.newBookWith(codes, { maxRedemptionsPerUser: 2 });
        await c.client.newBookWith(['LIM-other'], { maxRedemptionsPerUser: 2 });
        for (const code of [...codes.slice(0, 5), 'LIM-other']) await hold(c.client, code, 'ann');
        await hold(c.client, 'LIM-5', 'bob');
        const use = async (code) => {
            await c.client.mustLock(code, 'ann');
            await c.client.mustRedeem(code, 'ann');
        };
        await use('LIM-0');
        await assertReasons(c.client, 'LIM-1', 'ann', []);
        await use('LIM-1');
        for (const code of ['LIM-2', 'LIM-3']) {
            await assertReasons(c.client, code, 'ann', [limitReached]);
        }
        await assertReasons(c.client, 'LIM-0', 'ann', [redeemed, limitReached]);
        await assertReasons(c.client, 'LIM-5', 'ann', [anothers, limitReached]);
        await assertReasons(c.client, 'LIM-5', 'bob', []);
        await assertReasons(c.client, 'LIM-2', 'bob', [anothers]);
        await assertReasons(c.client, 'LIM-other', 'ann', []);
        for (const [most, reasons] of [
            [3, []],
            [1, [limitReached]],
            [null, []],
            [2, [limitReached]],
        ]) {
            await c.client.mustPatchBook(id, { maxRedemptionsPerUser: most });
            await assertReasons(c.client, 'LIM-2', 'ann', reasons);
        }
        await c.client.mustPatchBook(id, { maxRedemptionsPerUser: null });
        await use('LIM-2');
        await c.client.mustPatchBook(id, { maxRedemptionsPerUser: 3 });
        await assertReasons(c.client, 'LIM-3', 'ann', [limitReached]);
    });

    it('is a limit that the book gets later, too, also after a restart', async (t) => {
        const { server, client } = await testServer(t);
        const { id } = await client.newBookWith(numbered('C-', 4));
        for (const code of ['C-0', 'C-1']) await hold(client, code, 'ann', { redeemed: true });
        await hold(client, 'C-2', 'ann');
        await hold(client, 'C-3', 'bob');
        await assertReasons(client, 'C-2', 'ann', []);
        for (const again of [false, true]) {
            if (again) {
                await server.stop();
                await server.start();
            }
            for (const [most, reasons] of [
                [2, [limitReached]],
                [1, [limitReached]],
                [3, []],
            ]) {
                await client.mustPatchBook(id, { maxRedemptionsPerUser: most });
                await assertReasons(client, 'C-2', 'ann', reasons);
                await assertReasons(client, 'C-3', 'bob', []);
            }
        }
        await client.mustLock('C-2', 'ann');
        await client.mustRedeem('C-2', 'ann');
        await assertReasons(client, 'C-2', 'ann', [redeemed, limitReached]);
    });

    it('is of nobody who comes with the id of somebody erased', async (t) => {
        const { client } = await testServer(t);
        await client.newBookWith(['A', 'B', 'C'], { maxRedemptionsPerUser: 1 });
        await hold(client, 'A', 'ann', { redeemed: true });
        await hold(client, 'B', 'ann');
        await assertReasons(client, 'B', 'ann', [limitReached]);
        const erased = await client.request('DELETE', '/coupon/users/ann');
        assert.equal(erased.status, 200, erased.text);
        await assertReasons(client, 'A', 'ann', [anothers, redeemed]);
        await assertReasons(client, 'B', 'ann', [anothers]);
        await hold(client, 'C', 'ann');
        await assertReasons(client, 'C', 'ann', []);
    });

    it('follows what becomes of the code', async () => {
        await c.client.newBookWith(['F-1'], { maxRedemptionsPerUser: 1, discountAmount: 1 });
        const ask = (user, reasons) => assertReasons(c.client, 'F-1', user, reasons);
        await ask('ann', [nobodys]);
        await c.client.mustAssign('F-1', 'bob');
        await ask('ann', [anothers]);
        await c.client.mustUnassign('F-1');
        await ask('ann', [nobodys]);
        await ask('bob', [nobodys]);
        await c.client.mustAssign('F-1', 'ann');
        await ask('ann', []);
        await c.client.mustLock('F-1', 'ann');
        await ask('ann', []);
        await c.client.mustRedeem('F-1', 'ann');
        await ask('ann', [redeemed, limitReached]);
    });
});

describe('the table of reasons in the description', () => {
    const c = suiteServer();
    const table = reasonTable();
    const by = (who) => table.filter((row) => row.by.includes(who)).map(({ code }) => code);

    it('is what the description says everywhere else', () => {
        const { paths, components } = openapiDocument();
        const refused = (path, status) => {
            const response = paths[path].post.responses[status];
            const { schema } = response.content['application/json'];
            return schema.allOf.at(-1).properties.code.enum.filter(
                (code) => code !== 'idempotency_key_in_use' && code !== 'first_answer_unreadable',
            );
        };
        for (const who of ['lock', 'redeem']) {
            const codes = ['coupon_not_found', ...refused(`/coupon/${who}/{code}`, 409)];
            assert.deepEqual(by(who), codes);
        }
        // Several codes are redeemed for an order, so that is not missing.
        for (const who of ['lock', 'redeem']) {
            const { content } = paths[`/coupon/${who}`].post.responses[409];
            const [refusals] = content['application/json'].schema.oneOf;
            const several = table
                .filter((row) => row.by.includes(who) || row.by.includes(`${who} of several`))
                .map(({ code }) => code)
                .filter((code) => code !== 'order_required');
            const codes = refusals.allOf.at(-1).properties.code.enum;
            assert.deepEqual(several, ['coupon_not_found', ...codes]);
        }
        assert.deepEqual(by('validate'), components.schemas.ReasonCode.enum);
        for (const { code, status, message } of table) {
            const example = components.examples[code]?.value;
            if (!example) continue;
            assert.deepEqual([example.statusCode, example.message], [status, message], code);
        }
        const { examples } = paths['/coupon/validate/{code}'].post.responses[200].content[
            'application/json'
        ];
        for (const { value } of Object.values(examples)) {
            for (const { code, message } of value.reasons) {
                assert.equal(message, reasonRow(code).message);
            }
        }
        for (const code of components.schemas.ReasonCode.enum) {
            const told = new RegExp(`^- \`${code}\`: `, 'm');
            assert.match(components.schemas.ReasonCode.description, told);
        }
    });

    it('is what the spec of it says', () => {
        const used = [notFound, nobodys, redeemed, usedUp];
        const cured = [...used, archived, inactive, notStarted(past), ended];
        const order = [orderRequired, otherCurrency('JPY'), belowMinimum('8.00')];
        const named = { startsAt: past, currency: 'JPY', missing: '8.00' };
        const limits = [allRedeemed, budgetExhausted, limitReached];
        assert.deepEqual(
            [...cured, disabled, expired, ...order, ...limits],
            by('validate').map((code) => reason(code, named)),
        );
        const cure = `Try again from ${future} on`;
        assert.deepEqual(
            limits.map((limit) => ({ ...limit, cure })),
            limits.map(({ code }) => reason(code, { againAt: future })),
        );
    });

    // Everything is wrong at first, and put right in the order of the table: each step leads to a
    // code of which the reason of its row is the first.
    it('is what locking, redeeming and validating go by, in its order', async () => {
        const { client } = c;
        const codes = ['free', 'used', 'twice', 'hers', 'unlocked'];
        const { id } = await client.newBookWith([...codes, 'limited'], { combinable: false });
        await hold(client, 'used', 'ann', { redeemed: true });
        await hold(client, 'twice', 'ann', { redeemed: true });
        await client.mustPatchCode('twice', { maxRedemptions: 2 });
        await client.mustLock('twice', 'ann');
        await client.mustRedeem('twice', 'ann');
        const eur = (amount) => ({ id: 'o-1', amount, currency: 'EUR' });
        await client.mustPatchBook(id, {
            discount: { type: 'percent', value: 10, currency: 'EUR', minOrderAmount: 30 },
        });
        await hold(client, 'hers', 'ann', { locked: true });
        await hold(client, 'unlocked', 'ann');
        await hold(client, 'limited', 'ann');
        for (const code of codes) {
            await client.mustPatchCode(code, { active: false, expiresAt: past });
        }
        const { startsAt } = await client.mustPatchBook(id, { active: false, startsAt: future });
        await client.mustArchive(id);
        const steps = {
            coupon_not_found: () => 'none',
            coupon_not_assigned_to_user: () => 'free',
            coupon_already_redeemed: () => 'used',
            coupon_redemption_limit_reached: () => 'twice',
            coupon_book_archived: () => 'hers',
            coupon_book_inactive: () => client.mustRestore(id),
            coupon_book_not_started: () => client.mustPatchBook(id, { active: true }),
            coupon_book_ended: () => client.mustPatchBook(id, { startsAt: null, endsAt: past }),
            coupon_disabled: () => client.mustPatchBook(id, { endsAt: null }),
            coupon_expired: () => client.mustPatchCode('hers', { active: true }),
            coupon_not_combinable: () => client.mustPatchCode('hers', { expiresAt: null }),
            coupon_not_locked: async () => {
                await client.mustPatchBook(id, { combinable: true });
                await client.mustPatchCode('unlocked', { active: true, expiresAt: null });
                return 'unlocked';
            },
            lock_key_mismatch: async () => {
                const sent = { userId: 'ann', lockKey: 'other' };
                assert.equal((await client.post('/coupon/lock/unlocked', sent)).status, 201);
                return 'unlocked';
            },
            order_required: () => 'hers',
            order_currency_mismatch: () => ({ ...eur(1), currency: 'KWD' }),
            order_below_minimum: () => eur(29.99),
            coupon_already_locked: async () => {
                await client.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
                return eur(30);
            },
            redemption_limit_reached: async () => {
                await client.mustPatchBook(id, { maxRedemptions: 1, budget: 2.99 });
                return eur(30);
            },
            budget_exhausted: async () => {
                await client.mustPatchBook(id, { maxRedemptions: null });
                return eur(30);
            },
            user_redemption_limit_reached: async () => {
                await client.mustPatchBook(id, { budget: null });
                return eur(30);
            },
        };
        assert.deepEqual(table.map(({ code }) => code), Object.keys(steps));
        for (const { code, status, message, by: checkers } of table) {
            const stepped = await steps[code]();
            const asked = typeof stepped === 'string' ? stepped : 'hers';
            const order = stepped.amount === undefined ? undefined : stepped;
            const limits = code.endsWith('limit_reached') || code === 'budget_exhausted';
            const isOfBook = limits && code !== 'coupon_redemption_limit_reached';
            const wanted = isOfBook ? 'limited' : asked; // not locked yet
            if (checkers.includes('lock')) {
                assertRefused(await client.lock(wanted, 'ann', order), status, message, code);
            }
            if (checkers.includes('redeem')) {
                assertRefused(await client.redeem(asked, 'ann', order), status, message, code);
            }
            // Of several, the second of which could not be used either; but limits come last of all.
            const several = limits ? [asked] : [asked, asked === 'free' ? 'used' : 'free'];
            if (checkers.some((checker) => ['lock', 'lock of several'].includes(checker))) {
                const locked = isOfBook ? [wanted] : several;
                const answer = await client.lockAll(locked, 'ann', order);
                assertCodeRefused(answer, wanted, status, message, code);
            }
            const redeems = ['redeem', 'redeem of several'];
            if (checkers.some((checker) => redeems.includes(checker)) && code !== 'order_required') {
                const answer = await client.redeemAll(several, 'ann', order ?? eur(30));
                assertCodeRefused(answer, asked, status, message, code);
            }
            const { reasons } = await client.mustValidate(asked, 'ann', order && { order });
            const withoutOrder = !order && code !== 'coupon_already_locked';
            const first = checkers.includes('validate')
                ? code
                : withoutOrder ? 'order_required' : 'user_redemption_limit_reached';
            const named = { startsAt, currency: 'EUR', missing: '0.01' };
            assert.deepEqual(reasons[0], reason(first, named), code);
        }
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 4 });
        await assertReasons(client, 'hers', 'ann', [], { order: eur(30) });
        await client.mustRedeem('hers', 'ann', eur(30));
    });
});

// [zone, what is sent, which moment it is]. In 2027 Berlin's clocks change on 28 March and 31
// October, New York's on 14 March and 7 November; Santiago's go from midnight to one on 5
// September, and Havana's on 14 March, where they go from one to midnight on 7 November. Lord
// Howe's go by half an hour.
const moments = [
    ['UTC', '2027-03-28', '2027-03-28T00:00:00.000Z'],
    ['Europe/Berlin', '2027-03-28', '2027-03-27T23:00:00.000Z'],
    ['Europe/Berlin', '2027-03-29', '2027-03-28T22:00:00.000Z'],
    ['Europe/Berlin', '2027-10-31', '2027-10-30T22:00:00.000Z'],
    ['Europe/Berlin', '2027-11-01', '2027-10-31T23:00:00.000Z'],
    ['America/New_York', '2027-03-14', '2027-03-14T05:00:00.000Z'],
    ['America/New_York', '2027-03-15', '2027-03-15T04:00:00.000Z'],
    ['America/Santiago', '2027-09-05', '2027-09-05T04:00:00.000Z'],
    ['America/Havana', '2027-03-14', '2027-03-14T05:00:00.000Z'],
    ['America/Havana', '2027-11-07', '2027-11-07T04:00:00.000Z'],
    ['Australia/Lord_Howe', '2027-04-05', '2027-04-04T13:30:00.000Z'],
    ['Asia/Kathmandu', '2027-06-01', '2027-05-31T18:15:00.000Z'],
    ['UTC', '2028-02-29', '2028-02-29T00:00:00.000Z'],
    ['Pacific/Auckland', '2000-01-02', '2000-01-01T11:00:00.000Z'],
    ['America/New_York', '9998-12-31', '9998-12-31T05:00:00.000Z'],
    ['Europe/Berlin', '2027-03-28T01:59:59+01:00', '2027-03-28T00:59:59.000Z'],
    ['Europe/Berlin', '2027-10-31T02:30:00+02:00', '2027-10-31T00:30:00.000Z'],
    ['Europe/Berlin', '2027-10-31T02:30:00+01:00', '2027-10-31T01:30:00.000Z'],
    ['Asia/Tokyo', '2026-11-22T14:00:00Z', '2026-11-22T14:00:00.000Z'],
    ['UTC', '2026-11-22T09:30:00.5-04:30', '2026-11-22T14:00:00.500Z'],
];

describe('asOf', () => {
    const c = suiteServer();

    it('is when the book starts, and ends, to the millisecond', async () => {
        const startsAt = '2027-01-01T00:00:00.000Z';
        const endsAt = '2027-02-01T00:00:00.000Z';
        const { id } = await c.client.newBookWith(['W-1'], { discountAmount: 5 });
        await hold(c.client, 'W-1', 'ann');
        await c.client.mustPatchBook(id, { startsAt, endsAt });
        for (const [asOf, reasons] of [
            ['2000-01-01', [notStarted(startsAt)]],
            [plusMs(startsAt, -1), [notStarted(startsAt)]],
            [startsAt, []],
            ['2027-01-15T12:00:00+14:00', []],
            [plusMs(endsAt, -1), []],
            [endsAt, [ended]],
            ['9998-12-31T23:59:59.999Z', [ended]],
        ]) {
            const { discount } = await assertReasons(c.client, 'W-1', 'ann', reasons, { asOf });
            assert.deepEqual(discount, reasons.length ? null : { amount: 5, currency: null });
        }
    });

    it('is when the code expires, to the millisecond', async () => {
        const expiresAt = '2027-02-01T00:00:00.000Z';
        await c.client.newBookWith(['E-1']);
        await hold(c.client, 'E-1', 'ann');
        await c.client.mustPatchCode('E-1', { expiresAt });
        for (const [asOf, reasons] of [
            [past, []],
            [plusMs(expiresAt, -1), []],
            [expiresAt, [expired]],
            [future, [expired]],
        ]) {
            await assertReasons(c.client, 'E-1', 'ann', reasons, { asOf });
        }
    });

    it('left out is now', async () => {
        const startsAt = new Date(Date.now() + 2_000).toISOString();
        const endsAt = plusMs(startsAt, 2_000);
        const { id } = await c.client.newBookWith(['N-1'], { startsAt, endsAt });
        await hold(c.client, 'N-1', 'ann');
        await assertReasons(c.client, 'N-1', 'ann', [notStarted(startsAt)]);
        await passed(startsAt);
        const asked = await c.client.mustValidate('N-1', 'ann');
        // A machine may have stood still in between.
        if (new Date().toISOString() < endsAt) assert.deepEqual(asked.reasons, []);
        await passed(endsAt);
        await assertReasons(c.client, 'N-1', 'ann', [ended]);
        await assertReasons(c.client, 'N-1', 'ann', [], { asOf: startsAt });
        await c.client.mustPatchBook(id, { endsAt: null });
        await assertReasons(c.client, 'N-1', 'ann', []);
    });

    it('of a date is its first moment by the zone of the book', async () => {
        const { id } = await c.client.newBookWith(['D-1']);
        await hold(c.client, 'D-1', 'ann');
        for (const [timeZone, asOf, moment] of moments) {
            const ask = async (members, reasons) => {
                await c.client.mustPatchBook(id, {
                    ...{ timeZone, startsAt: null, endsAt: null },
                    ...members,
                });
                await assertReasons(c.client, 'D-1', 'ann', reasons, { asOf });
            };
            const later = plusMs(moment, 1);
            await ask({ startsAt: moment }, []);
            await ask({ startsAt: later }, [notStarted(later)]);
            await ask({ endsAt: moment }, [ended]);
            await ask({ endsAt: later }, []);
        }
    });

    it('of a date is of the days that startsAt and endsAt are set by', async () => {
        for (const [timeZone, first, last, after] of [
            ['Europe/Berlin', '2027-03-28', '2027-03-28', '2027-03-29'],
            ['Europe/Berlin', '2027-10-31', '2027-10-31', '2027-11-01'],
            ['America/Santiago', '2027-09-05', '2027-09-05', '2027-09-06'],
            ['America/Havana', '2027-11-07', '2027-11-07', '2027-11-08'],
            // Where 2011-12-30 was left out.
            ['Pacific/Apia', '2011-12-29', '2011-12-29', '2011-12-30'],
            ['Pacific/Apia', '2011-12-30', '2011-12-31', '2012-01-01'],
        ]) {
            const code = `${timeZone} ${first}`;
            const book = await c.client.newBookWith([code], { timeZone });
            await hold(c.client, code, 'ann');
            const { startsAt, endsAt } = await c.client.mustPatchBook(book.id, {
                startsAt: first,
                endsAt: last,
            });
            const ask = (asOf, reasons) => assertReasons(c.client, code, 'ann', reasons, { asOf });
            await ask(first, []);
            await ask(last, []);
            await ask(after, [ended]);
            await ask(plusMs(startsAt, -1), [notStarted(startsAt)]);
            await ask(plusMs(endsAt, -1), []);
        }
    });

    it('of a date is by the zone that the book has when it is asked', async () => {
        const startsAt = '2027-03-28T00:00:00.000Z';
        const { id } = await c.client.newBookWith(['Z-1']);
        await hold(c.client, 'Z-1', 'ann');
        await c.client.mustPatchBook(id, { startsAt });
        const ask = (reasons) =>
            assertReasons(c.client, 'Z-1', 'ann', reasons, { asOf: '2027-03-28' });
        await ask([]);
        await c.client.mustPatchBook(id, { timeZone: 'Europe/Berlin' });
        await ask([notStarted(startsAt)]);
        await c.client.mustPatchBook(id, { timeZone: 'America/New_York' });
        await ask([]);
    });

    it('changes nothing else: what is redeemed or archived is so at any time', async () => {
        const { id } = await c.client.newBookWith(['A-1', 'A-2', 'A-3'], {
            maxRedemptionsPerUser: 1,
        });
        await hold(c.client, 'A-1', 'ann', { redeemed: true });
        await hold(c.client, 'A-2', 'ann');
        await c.client.mustPatchCode('A-2', { active: false });
        await c.client.mustPatchBook(id, { active: false });
        await c.client.mustArchive(id);
        for (const asOf of [past, future, '2000-01-01', '9998-12-31']) {
            const rest = [archived, inactive];
            const more = { asOf };
            await assertReasons(c.client, 'A-1', 'ann', [redeemed, ...rest, limitReached], more);
            await assertReasons(c.client, 'A-2', 'ann', [...rest, disabled, limitReached], more);
            await assertReasons(c.client, 'A-3', 'ann', [nobodys, ...rest, limitReached], more);
        }
    });

    it('is refused where it is no date or time', async () => {
        await c.client.newBookWith(['X-1']);
        await hold(c.client, 'X-1', 'ann');
        for (const [, asOf, message] of unfitTimes('asOf')) {
            for (const code of ['X-1', 'none']) {
                invalid(await c.client.validate(code, 'ann', { asOf }), [message]);
            }
        }
    });

    it('is refused where the date begins in another year than can be said', async () => {
        const { id } = await c.client.newBookWith(['Y-1'], { timeZone: 'Pacific/Auckland' });
        await hold(c.client, 'Y-1', 'ann');
        const asOf = '2000-01-01';
        // As for startsAt.
        const set = await c.client.patchBook(id, { startsAt: asOf });
        invalid(set, [invalidTime('startsAt')]);
        invalid(await c.client.validate('Y-1', 'ann', { asOf }), [invalidTime('asOf')]);
        await assertReasons(c.client, 'none', 'ann', [notFound], { asOf });
        await c.client.mustPatchBook(id, { timeZone: 'UTC' });
        await assertReasons(c.client, 'Y-1', 'ann', [], { asOf });
    });
});

// The largest order: a million million of minor units.
const most = { EUR: 10_000_000_000, JPY: 1_000_000_000_000, KWD: 1_000_000_000, CLF: 100_000_000 };

describe('discount', () => {
    const c = suiteServer();

    // [discountAmount, the order's currency, its amount, what it gets cheaper].
    const cases = [
        [19.99, 'EUR', 59.9, 19.99],
        [19.99, 'EUR', 19.99, 19.99],
        [19.99, 'EUR', 19.98, 19.98],
        [19.99, 'EUR', 5, 5],
        [19.99, 'EUR', 0.01, 0.01],
        [19.99, 'EUR', 0, 0],
        [19.99, 'EUR', most.EUR, 19.99],
        [0.01, 'EUR', 1, 0.01],
        [99_999_999.99, 'EUR', most.EUR, 99_999_999.99],
        [99_999_999.99, 'EUR', 99_999_999.98, 99_999_999.98],
        [20, 'EUR', 59.9, 20],
        [0, 'EUR', 59.9, 0],
        [0.1, 'EUR', 0.3, 0.1],
        [19.99, 'JPY', 5_000, 20],
        [19.99, 'JPY', 20, 20],
        [19.99, 'JPY', 19, 19],
        [19.5, 'JPY', 5_000, 20],
        [19.49, 'JPY', 5_000, 19],
        [0.5, 'JPY', 5_000, 1],
        [0.49, 'JPY', 5_000, 0],
        [0.5, 'JPY', 0, 0],
        [99_999_999.99, 'JPY', most.JPY, 100_000_000],
        [99_999_999.49, 'JPY', most.JPY, 99_999_999],
        [19.99, 'KWD', 100.005, 19.99],
        [19.99, 'KWD', 19.991, 19.99],
        [19.99, 'KWD', 19.989, 19.989],
        [19.99, 'KWD', 0.001, 0.001],
        [99_999_999.99, 'KWD', most.KWD, 99_999_999.99],
        [99_999_999.99, 'KWD', 99_999_999.989, 99_999_999.989],
        [19.99, 'CLF', 100.0001, 19.99],
        [19.99, 'CLF', 19.9901, 19.99],
        [19.99, 'CLF', 19.9899, 19.9899],
        [19.99, 'CLF', 0.0001, 0.0001],
        [99_999_999.99, 'CLF', most.CLF, 99_999_999.99],
        [99_999_999.99, 'CLF', 99_999_999.9899, 99_999_999.9899],
        [19.99, 'USD', 5.5, 5.5],
        [19.99, 'ISK', 5_000, 20],
        [19.99, 'BHD', 1.234, 1.234],
        [19.99, 'UYW', 1.2345, 1.2345],
    ];

    it('is what the order gets cheaper, to the minor unit', async () => {
        const { id } = await c.client.newBookWith(['D-1']);
        await hold(c.client, 'D-1', 'ann');
        for (const [discountAmount, currency, amount, off] of cases) {
            await c.client.mustPatchBook(id, { discountAmount });
            const order = { amount, currency };
            const { discount } = await assertReasons(c.client, 'D-1', 'ann', [], { order });
            assert.deepEqual(discount, { amount: off, currency }, `${discountAmount} of ${amount}`);
            // That the rules once more come to the same makes them fit for what is random below.
            if (currency in decimals) {
                const discounted = { discount: amountOff(discountAmount) };
                assert.deepEqual(discountOf(discounted, order), discount);
            }
            const alone = await c.client.mustValidate('D-1', 'ann');
            assert.deepEqual(alone.discount, { amount: discountAmount, currency: null });
        }
    });

    it('is null where the book gives none, and where the code is not valid', async () => {
        const { id } = await c.client.newBookWith(['N-1', 'N-2']);
        await hold(c.client, 'N-1', 'ann');
        const order = { amount: 5, currency: 'EUR' };
        for (const more of [{}, { order }]) {
            assert.equal((await c.client.mustValidate('N-1', 'ann', more)).discount, null);
        }
        await c.client.mustPatchBook(id, { discountAmount: 1 });
        for (const more of [{}, { order }]) {
            assert.equal((await c.client.mustValidate('N-2', 'ann', more)).discount, null);
            const { discount } = await c.client.mustValidate('N-1', 'ann', more);
            assert.equal(discount.amount, 1);
        }
    });

    it('is what the redemption is worth', async () => {
        await c.client.newBookWith(['R-1'], { discountAmount: 12.5 });
        await hold(c.client, 'R-1', 'ann', { locked: true });
        const { discount } = await c.client.mustValidate('R-1', 'ann');
        await c.client.mustRedeem('R-1', 'ann');
        const { redemptions } = (await c.client.get('/coupon/code/R-1')).body;
        assert.equal(redemptions[0].discountAmount, discount.amount);
    });
});

const amountRule = (places) =>
    `order.amount must be a number from 0 to 1${'0'.repeat(12 - places)} ` +
    `with at most ${places} decimals`;
const currencyRule = 'order.currency must be a currency of ISO 4217, such as EUR';
const long = 'order.id must be shorter than or equal to 255 characters';
const control = 'order.id must not contain control characters';

describe('an order', () => {
    const c = suiteServer();
    const post = (text) => c.client.post('/coupon/validate/O-1', text);
    const send = (order) => c.client.validate('O-1', 'ann', { order });

    it('is of a code', async () => {
        await c.client.newBookWith(['O-1'], { discountAmount: 5 });
        await hold(c.client, 'O-1', 'ann');
    });

    // [amount as it is sent, currency, amount as it is answered].
    for (const [sent, currency, answered] of [
        ['0', 'EUR', '0'],
        ['0.00', 'EUR', '0'],
        ['0.01', 'EUR', '0.01'],
        ['5', 'EUR', '5'],
        ['5.5', 'EUR', '5.5'],
        ['5.50', 'EUR', '5.5'],
        ['19.990', 'EUR', '19.99'],
        ['1999e-2', 'EUR', '19.99'],
        ['1.999E+1', 'EUR', '19.99'],
        ['9999999999.99', 'EUR', '9999999999.99'],
        ['10000000000', 'EUR', '10000000000'],
        ['10000000000.00', 'EUR', '10000000000'],
        ['1e10', 'EUR', '10000000000'],
        ['0', 'JPY', '0'],
        ['5', 'JPY', '5'],
        ['5.0', 'JPY', '5'],
        ['1.5e1', 'JPY', '15'],
        ['1000000000000', 'JPY', '1000000000000'],
        ['0.001', 'KWD', '0.001'],
        ['999999999.999', 'KWD', '999999999.999'],
        ['1000000000', 'KWD', '1000000000'],
        ['0.0001', 'CLF', '0.0001'],
        ['99999999.9999', 'CLF', '99999999.9999'],
        ['100000000', 'CLF', '100000000'],
    ]) {
        it(`of ${sent} ${currency} is taken`, async () => {
            const order = `{"amount":${sent},"currency":"${currency}"}`;
            const answer = await post(`{"userId":"ann","order":${order}}`);
            assert.equal(answer.status, 200, answer.text);
            const told = `"order":{"id":null,"amount":${answered},"currency":"${currency}"}}`;
            assert.ok(answer.text.endsWith(told), answer.text);
            const off = Math.min(5, Number(answered));
            assert.deepEqual(answer.body.discount, { amount: off, currency });
        });
    }

    for (const [sent, currency, places] of [
        ...['19.999', '0.001', '0.0100000000000000000000001', '5e-3', '1e-400'].map((amount) => [
            amount,
            'EUR',
            2,
        ]),
        ...['1.5', '0.1', '15e-1'].map((amount) => [amount, 'JPY', 0]),
        ...['1.0001', '0.0005'].map((amount) => [amount, 'KWD', 3]),
        ...['1.00001', '0.00005'].map((amount) => [amount, 'CLF', 4]),
        ...[
            ...['-1', '-0.01', '-1e10', '10000000000.01', '10000000001', '1e11', '1e400'],
            ...['9007199254740993', '9223372036854775808', '18446744073709551617', '9'.repeat(400)],
            ...['"5"', '"5.00"', '"EUR"', '""', 'true', 'false', 'null', '[]', '[5]', '{}'],
        ].map((amount) => [amount, 'EUR', 2]),
        ['1000000000001', 'JPY', 0],
        ['1000000000.001', 'KWD', 3],
        ['100000000.0001', 'CLF', 4],
        ['-1', 'JPY', 0],
        ['"5"', 'CLF', 4],
    ]) {
        it(`of ${sent.slice(0, 30)} ${currency} is refused`, async () => {
            const order = `{"amount":${sent},"currency":"${currency}"}`;
            invalid(await post(`{"userId":"ann","order":${order}}`), [amountRule(places)]);
        });
    }

    it('without an amount is refused', async () => {
        invalid(await send({ currency: 'EUR' }), [amountRule(2)]);
        invalid(await send({ currency: 'JPY' }), [amountRule(0)]);
    });

    for (const currency of [
        ...['XXX', 'XTS', 'XAU', 'DEM', 'ZZZ', 'eur', 'Eur', 'EU', 'EURO', '', ' EUR', 'EUR '],
        ...['€', '978', 'EU\0', 'ЕUR', 5, 978, true, null, [], ['EUR'], {}, undefined],
    ]) {
        it(`in ${JSON.stringify(currency)} is refused`, async () => {
            invalid(await send({ amount: 5.5, currency }), [currencyRule]);
            // Of that it is not known how many decimals it has.
            invalid(await send({ amount: 1.234, currency }), [amountRule(2), currencyRule]);
            invalid(await send({ amount: -1, currency }), [amountRule(2), currencyRule]);
        });
    }

    it('has an id, as it was sent', async () => {
        for (const id of ['1', ' ', 'x'.repeat(255), '🎟'.repeat(255), 'a/b "c"\\ ü\u2028']) {
            const order = { amount: 1, currency: 'EUR', id };
            const validation = await c.client.mustValidate('O-1', 'ann', { order });
            assert.equal(validation.order.id, id);
        }
    });

    for (const [id, message] of [
        ...[5, true, [], ['o'], {}].map((value) => [value, 'order.id must be a string']),
        ['', 'order.id should not be empty'],
        ...['x'.repeat(256), '🎟'.repeat(256)].map((value) => [value, long]),
        ...['a\nb', 'nul\0', '\u007f', '\u0085'].map((value) => [value, control]),
    ]) {
        it(`with the id ${JSON.stringify(id).slice(0, 20)} is refused`, async () => {
            invalid(await send({ amount: 1, currency: 'EUR', id }), [message]);
        });
    }

    it('that is no object is refused', async () => {
        const list = [{ amount: 1, currency: 'EUR' }];
        for (const order of [5, 0, '', 'order', true, false, [], list]) {
            invalid(await send(order), ['order must be an object']);
        }
        invalid(await send({}), [amountRule(2), currencyRule]);
    });

    it('has no other members, and none twice', async () => {
        const fit = '"amount":1,"currency":"EUR"';
        for (const [order, messages] of [
            [`${fit},"x":null`, ['property order.x should not exist']],
            [`${fit},"Amount":1`, ['property order.Amount should not exist']],
            [`${fit},"userId":"ann"`, ['property order.userId should not exist']],
            // What stands deeper is not the order's.
            [`${fit},"x":{"amount":2,"id":5}`, ['property order.x should not exist']],
            [
                `${fit},"x":[{"id":5}],"y":1`,
                ['property order.x should not exist', 'property order.y should not exist'],
            ],
            [`"amount":2,${fit}`, ['property order.amount is given twice']],
            [`${fit},"currency":"EUR"`, ['property order.currency is given twice']],
            [`${fit},"id":"o","id":"o"`, ['property order.id is given twice']],
        ]) {
            invalid(await post(`{"userId":"ann","order":{${order}}}`), messages);
        }
        invalid(await post(`{"userId":"ann","order":{${fit}},"order":{${fit}}}`), [
            'property order is given twice',
        ]);
    });
});

describe('POST /coupon/validate/:code refuses', () => {
    const c = suiteServer();

    it('everything that is wrong, in the order of the description', async () => {
        const sent = {
            more: 1,
            asOf: 5,
            order: { more: 1, id: '', currency: 'x', amount: 'y' },
            userId: 5,
        };
        const messages = [
            'userId must be a string',
            amountRule(2),
            currencyRule,
            'order.id should not be empty',
            'property order.more should not exist',
            invalidTime('asOf'),
            'property more should not exist',
        ];
        invalid(await c.client.post('/coupon/validate/X', sent), messages);
        const unfit = 'code must be 1 to 128 characters without control characters';
        invalid(await c.client.post(`/coupon/validate/${'x'.repeat(129)}`, sent), [
            unfit,
            ...messages,
        ]);
        invalid(await c.client.post('/coupon/validate/X', {}), ['userId should not be empty']);
    });

    it('what is given twice', async () => {
        for (const [name, value] of [
            ['userId', '"ann"'],
            ['asOf', '"2027-01-01"'],
            ['asOf', 'null'],
        ]) {
            const user = name === 'userId' ? '' : '"userId":"ann",';
            const answer = await c.client.post(
                '/coupon/validate/X',
                `{${user}"${name}":${value},"${name}":${value}}`,
            );
            invalid(answer, [`property ${name} is given twice`]);
        }
    });

    it('a query', async () => {
        for (const query of ['userId=ann', 'asOf=2027-01-01', 'x=']) {
            const name = query.split('=')[0];
            invalid(await c.client.post(`/coupon/validate/X?${query}`, { userId: 'ann' }), [
                `property ${name} should not exist`,
            ]);
        }
    });

    it('what is no JSON, and what is no object', async () => {
        const post = (body, options) => c.client.post('/coupon/validate/X', body, options);
        assertRefused(await post('{'), 400, undefined, 'malformed_json');
        assertRefused(await post('{"order":{"amount":01}}'), 400, undefined, 'malformed_json');
        for (const body of ['[]', 'null', '5', '"text"']) {
            invalid(await post(body), ['body must be an object']);
        }
        for (const body of ['', undefined]) {
            invalid(await post(body), ['body must be an object, but is empty']);
        }
        const deep = (levels) =>
            `{"userId":"ann","order":${'{"x":'.repeat(levels - 1)}1${'}'.repeat(levels - 1)}}`;
        invalid(await post(deep(32)), [
            amountRule(2),
            currencyRule,
            'property order.x should not exist',
        ]);
        assertRefused(await post(deep(33)), 400, undefined, 'malformed_json');
        for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
            const headers = { 'content-type': type };
            const answer = await post('{"userId":"ann"}', { headers });
            assertRefused(answer, 415, undefined, 'unsupported_media_type');
        }
    });
});

const longPast = '2010-10-10T10:10:10.000Z';
const later = '2130-03-03T03:03:03.000Z';
const usual = [null, null];

function drawnDiscount({ below, pick }) {
    const type = pick([null, 'amount', 'amount', 'percent', 'fixed_price', 'free_shipping']);
    if (type === null) return null;
    const currency = pick([null, null, null, 'EUR', 'EUR', 'JPY', 'KWD']);
    const amount = (...amounts) =>
        currency === 'JPY' ? Math.ceil(pick(amounts)) : pick(amounts);
    const values = {
        percent: () => pick([0, 0.01, 12.5, 33.33, 99.99, 100]),
        free_shipping: () => null,
    };
    return {
        type,
        value: (values[type] ?? (() => amount(0.5, 5, 19.99, 99_999_999.99)))(),
        currency,
        maxAmount: below(3) ? null : amount(0.5, 5, 49.5),
        minOrderAmount: below(2) ? null : amount(0, 0.01, 5, 5.01, 50),
    };
}

/** A code, its book and what has become of them, at random. `name` is the user who asks. */
function drawn({ below, pick }, name) {
    const discount = drawnDiscount({ below, pick });
    const [startsAt, endsAt] = pick([
        ...[usual, usual, usual, [past, null], [null, future], [past, future], [longPast, later]],
        ...[[future, null], [future, later], [null, past], [longPast, past]],
    ]);
    const fine = () => below(8) > 0;
    const time = () => plusMs(pick([longPast, past, future, later]), pick([-1, 0, 1]));
    return {
        name,
        state: pick([
            ...['missing', 'free', 'another’s', 'redeemed', 'redeemed by another', 'run out'],
            ...['redeemed twice', 'redeemed once of two'],
            ...['assigned', 'assigned', 'assigned', 'locked', 'locked'],
        ]),
        redeemedBefore: below(3),
        firstLimit: pick([null, 5]),
        book: {
            active: fine(),
            ...{ startsAt, endsAt },
            maxRedemptionsPerUser: pick([null, null, null, 1, 2]),
            maxRedemptions: pick([null, null, null, null, null, null, 1, 2]),
            budget: discount?.currency ? pick([null, 1, 1, 5, 20]) : null,
            discount,
        },
        archived: !fine(),
        code: { active: fine(), expiresAt: pick([null, null, null, future, past]) },
        asOf: [time(), time()],
        order: pick([
            ...[null, null, { amount: 59.9, currency: 'EUR' }, { amount: 5, currency: 'EUR' }],
            ...[{ amount: 50, currency: 'JPY' }, { amount: 1.234, currency: 'KWD' }],
            { amount: 0.0001, currency: 'CLF' },
        ].map((order) => order && { id: `order of ${name}`, ...order })),
    };
}

const allRefused = reasonTable().map(({ code }) => code);
const isForTwo = (state) => ['redeemed twice', 'redeemed once of two'].includes(state);
const timesRedeemed = { redeemed: 1, 'redeemed once of two': 1, 'redeemed twice': 2 };

/** Makes of a new book and its codes what was drawn; returns the book's id. */
async function arrange(client, { name, state, redeemedBefore, firstLimit, ...drawnRest }) {
    const spent = numbered(`${name}-spent-`, redeemedBefore);
    const codes = [...spent, `${name}-${state === 'missing' ? 'other' : 'code'}`];
    const { id } = await client.newBookWith(codes, { maxRedemptionsPerUser: firstLimit });
    for (const each of spent) await hold(client, each, name, { redeemed: true });
    const code = `${name}-code`;
    if (state !== 'missing' && state !== 'free') {
        const holder = state.includes('another') ? 'somebody else' : name;
        await hold(client, code, holder, {
            locked: state === 'locked',
            redeemed: state.startsWith('redeemed'),
        });
    }
    const most = isForTwo(state) ? { maxRedemptions: 2 } : {};
    if (state === 'redeemed twice') {
        await client.mustPatchCode(code, most);
        await client.mustLock(code, name);
        await client.mustRedeem(code, name);
    }
    if (state === 'run out') {
        await client.mustPatchBook(id, { lockTtlSeconds: 1 });
        const { lockedUntil } = await client.mustLock(code, name);
        await passed(lockedUntil);
        await client.mustPatchBook(id, { lockTtlSeconds: null });
    }
    await client.mustPatchBook(id, drawnRest.book);
    if (state !== 'missing') await client.mustPatchCode(code, { ...drawnRest.code, ...most });
    if (drawnRest.archived) await client.mustArchive(id);
    return id;
}

/** Validates, locks and redeems the code; returns what was said of it at first. */
async function tryOut(client, situation) {
    const { name, state, order } = situation;
    const id = await arrange(client, situation);
    const code = `${name}-code`;
    const book = (await client.get(`/coupon/${id}`)).body;
    let redeemedTimes = situation.redeemedBefore + (timesRedeemed[state] ?? 0);
    const byOthers = state === 'redeemed by another' ? 1 : 0;
    let takenOffByAll = 0; // at first there was no discount
    const agreed = async (more) => {
        const shown = await client.get(`/coupon/code/${code}`);
        const found = shown.status === 200 ? shown.body : undefined;
        assert.equal(found === undefined, state === 'missing');
        const at = more.asOf && Date.parse(more.asOf);
        const { order: sent } = more;
        const asked = { code: found, book, user: name, redeemed: redeemedTimes, at, order: sent };
        asked.redeemedOfCode = found?.redemptionCount;
        const redeemedByAll = redeemedTimes + byOthers;
        const expected = reasonsOf({ ...asked, redeemedByAll, takenOffByAll });
        const validation = await client.mustValidate(code, name, more);
        const told = JSON.stringify({ situation, more });
        assert.deepEqual(validation.reasons, expected, told);
        const off = validation.valid ? discountOf(book, more.order) : null;
        assert.deepEqual(validation.discount, off, told);
        return validation;
    };
    for (const asOf of situation.asOf) await agreed({ asOf, order });
    await agreed({});
    const validation = await agreed({ order });

    const locked = await client.lock(code, name, order);
    const used = await client.redeem(code, name, order);
    const refusedFor = (answer, reasonCode) => {
        const { status, message } = reasonRow(reasonCode);
        assertRefused(answer, status, message, reasonCode);
    };
    const first = validation.reasons[0]?.code;
    const against = validation.reasons.find(({ code: why }) => reasonRow(why).by.includes('lock'));
    const comesLast = (why) => allRefused.indexOf(why) > allRefused.indexOf('coupon_already_locked');
    if (state === 'locked' && (!against || comesLast(against.code))) {
        refusedFor(locked, 'coupon_already_locked');
    } else if (against) refusedFor(locked, against.code);
    else assert.equal(locked.status, 201, locked.text);
    const hasLock = state === 'locked' || locked.status === 201;
    if (first === undefined) {
        assert.equal(used.status, 201, used.text);
        assert.deepEqual(used.body.redemption.discount, validation.discount);
        assert.deepEqual(used.body.redemption.order, order);
        redeemedTimes += 1;
        takenOffByAll += validation.discount?.amount ?? 0;
    } else if ((first.startsWith('order_') || comesLast(first)) && !hasLock) {
        // What comes first of redeeming is no reason that validation knows.
        refusedFor(used, 'coupon_not_locked');
    } else refusedFor(used, first);
    await agreed({ order });
    return validation;
}

/** What is to be said of a code, to its user or another, once `winner` of the two is redeemed. */
function afterwards(code, asker, winner) {
    const own = code.endsWith(`-${asker}`);
    return [
        ...(own ? [] : [anothers]),
        ...(code === winner ? [redeemed] : []),
        ...(own && winner !== undefined ? [limitReached] : []),
    ];
}

/**
 * Each user has locked the codes A-user and B-user, and redeems both at once, of which one goes through.
 * Meanwhile 200 ask about them at any time. `wrong`: what was told that cannot have been so.
 */
async function askWhileRedeemed(client, users) {
    const { below, pick } = seededRandom();
    const begun = new Set(); // whose redemption was sent
    const used = new Map(); // user → the code that was redeemed, since that was answered
    const asked = { before: 0, meanwhile: 0, after: 0 };
    const wrong = [];
    let going = true;
    const ask = async () => {
        const user = pick(users);
        const code = `${pick(['A', 'B'])}-${user}`;
        const asker = below(5) === 0 ? 'eve' : user;
        const known = used.get(user);
        const answer = await client.validate(code, asker);
        assert.equal(answer.status, 200, answer.text);
        const when = known ? 'after' : begun.has(user) ? 'meanwhile' : 'before';
        asked[when] += 1;
        const winners = {
            before: [undefined],
            meanwhile: [undefined, `A-${user}`, `B-${user}`],
            after: [known],
        };
        const fits = winners[when].some((winner) => {
            const reasons = afterwards(code, asker, winner);
            const valid = reasons.length === 0;
            return isDeepStrictEqual(answer.body, { valid, reasons, discount: null });
        });
        if (!fits) wrong.push({ when, code, asker, known, body: answer.body });
    };
    const askers = Array.from({ length: 200 }, async () => {
        while (going) await ask();
        await ask();
    });
    const redeeming = inParallel(users, 4, async (user) => {
        const codes = [`A-${user}`, `B-${user}`];
        begun.add(user);
        const answers = await Promise.all(
            codes.map(async (code) => {
                const answer = await client.redeem(code, user);
                if (answer.status === 201) used.set(user, code);
                return answer;
            }),
        );
        const statuses = answers.map(({ status }) => status).sort();
        assert.deepEqual(statuses, [201, 409], answers.map(({ text }) => text).join('\n'));
    }).finally(() => {
        going = false;
    });
    await Promise.all([redeeming, ...askers]);
    return { asked, wrong, used };
}

describe('validating', () => {
    it('writes nothing: no entry, no figure, no refusal, no code or book', async (t) => {
        const { server, client } = await testServer(t);
        const codes = ['free', 'hers', 'locked', 'used', 'off'];
        const { id } = await client.newBookWith(codes, {
            discountAmount: 5,
            maxRedemptionsPerUser: 2,
        });
        await hold(client, 'hers', 'ann');
        await hold(client, 'locked', 'ann', { locked: true });
        await hold(client, 'used', 'ann', { redeemed: true });
        await client.mustPatchCode('off', { active: false });
        const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
        const window = `from=${day(-2)}&to=${day(2)}`;
        // One refusal, so that there is a figure that could be higher.
        assert.equal((await client.lock('free', 'ann')).status, 409);
        const entriesBefore = await settledEntries(client);
        const look = async () => {
            const texts = [];
            for (const path of [
                ...['/coupon?include=codes', `/coupon/${id}`, `/coupon/codes/${id}`],
                ...[`/coupon/${id}/stats?${window}`, `/coupon/stats?${window}`],
                ...codes.map((code) => `/coupon/code/${code}`),
                ...['/coupon/users/ann', '/coupon/users/bob'],
            ]) {
                texts.push((await client.get(path)).text);
            }
            return texts;
        };
        const before = await look();
        const order = { amount: 50, currency: 'EUR', id: 'o-1' };
        for (const code of [...codes, 'none', 'x'.repeat(129)]) {
            for (const user of ['ann', 'bob', '']) {
                for (const more of [{}, { order }, { asOf: future, order }, { order: 5 }]) {
                    const options = { headers: { 'idempotency-key': `${code.length}-${user}` } };
                    const answer = await client.validate(code, user, more, options);
                    assert.ok([200, 400].includes(answer.status), answer.text);
                }
            }
        }
        assert.deepEqual(await look(), before);
        await server.stop();
        await server.start();
        assert.deepEqual(await look(), before);
        const [behind, ...others] = (await settledEntries(client)).slice(entriesBefore.length);
        assert.deepEqual([behind.type, behind.after.name, others], ['book_created', 'Behind', []]);
    });

    it('agrees with what locking and redeeming answer next, whatever the situation', async (t) => {
        const { client } = await testServer(t);
        const random = seededRandom(20_261_122);
        const situations = numbered('S', 400).map((name) => drawn(random, name));
        const seen = new Map(reasonTable().map(({ code }) => [code, 0]));
        const outcomes = { accepted: 0, refused: 0 };
        await inParallel(situations, 8, async (situation) => {
            const { valid, reasons } = await tryOut(client, situation);
            for (const { code } of reasons) seen.set(code, seen.get(code) + 1);
            outcomes[valid ? 'accepted' : 'refused'] += 1;
        });
        t.diagnostic(JSON.stringify({ ...outcomes, ...Object.fromEntries(seen) }));
        assert.ok(outcomes.accepted >= 10, JSON.stringify(outcomes));
        for (const { code, by } of reasonTable()) {
            if (by.includes('validate')) assert.ok(seen.get(code) >= 5, `${code} was too rare`);
        }
    });

    it('200 at once while the codes are redeemed is never wrong', async (t) => {
        const { client } = await testServer(t, { connections: 256 });
        const users = numbered('u', 100);
        const codes = users.flatMap((user) => [`A-${user}`, `B-${user}`]);
        const { id } = await client.newBookWith(codes);
        await inParallel(codes, 16, (code) => hold(client, code, code.slice(2), { locked: true }));
        await client.mustPatchBook(id, { maxRedemptionsPerUser: 1 });
        const { asked, wrong, used } = await askWhileRedeemed(client, users);
        t.diagnostic(JSON.stringify(asked));
        assert.deepEqual(wrong.slice(0, 5), []);
        assert.ok(asked.before > 0 && asked.after > 0, JSON.stringify(asked));
        for (const code of codes) {
            const user = code.slice(2);
            const reasons = afterwards(code, user, used.get(user));
            await assertReasons(client, code, user, reasons);
        }
    });
});
