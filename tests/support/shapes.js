// The contract's bodies member by member, in the order in which they are sent.
import assert from 'node:assert/strict';

export const bookMembers = [
    'id',
    'name',
    'codePattern',
    'maxRedemptionsPerUser',
    'discountAmount',
    'discount',
    'description',
    'active',
    'startsAt',
    'endsAt',
    'timeZone',
    'maxRedemptions',
    'budget',
    'limits',
    'maxAssignmentsPerUser',
    'maxRedemptionsPerCode',
    'assignment',
    'caseSensitive',
    'lockTtlSeconds',
    'combinable',
    'autoGenerate',
    'metadata',
    'archivedAt',
    'createdAt',
    'updatedAt',
];
export const codeMembers = [
    'id',
    'code',
    'isLocked',
    'isRedeemed',
    'assignedTo',
    'redeemedAt',
    'active',
    'expiresAt',
    'maxRedemptions',
    'metadata',
    'createdAt',
];
/** What a book, and a code, is where nobody has said otherwise. */
export const bookDefaults = {
    maxRedemptionsPerUser: null,
    discountAmount: null,
    discount: null,
    description: '',
    active: true,
    startsAt: null,
    endsAt: null,
    timeZone: 'UTC',
    maxRedemptions: null,
    budget: null,
    limits: { day: null, week: null, month: null },
    maxAssignmentsPerUser: null,
    maxRedemptionsPerCode: 1,
    assignment: 'required',
    caseSensitive: true,
    lockTtlSeconds: null,
    combinable: true,
    autoGenerate: null,
    metadata: {},
};
export const codeDefaults = {
    active: true,
    expiresAt: null,
    maxRedemptions: null,
    metadata: {},
};
export const limitsMembers = ['day', 'week', 'month'];
export const periodLimitsMembers = ['maxRedemptions', 'maxRedemptionsPerUser', 'budget'];
export const discountMembers = ['type', 'value', 'currency', 'maxAmount', 'minOrderAmount'];
export const redemptionMembers = [
    'id',
    'code',
    'bookId',
    'userId',
    'discountAmount',
    'order',
    'discount',
    'givenBack',
    'at',
    'rolledBackAt',
];
export const validationMembers = ['valid', 'reasons', 'discount'];
export const jobMembers = [
    'id',
    'status',
    'couponBookId',
    'type',
    'codePattern',
    'progress',
    'requested',
    'created',
    'failed',
    'guessProbability',
    'warning',
    'expiresAt',
    'metadata',
    'error',
    'createdAt',
    'startedAt',
    'finishedAt',
];
export const importMembers = [
    'id',
    'status',
    'couponBookId',
    'type',
    'format',
    'onConflict',
    'progress',
    'requested',
    'created',
    'failed',
    'rejected',
    'error',
    'createdAt',
    'startedAt',
    'finishedAt',
];
export const qrMembers = [
    'id',
    'status',
    'couponBookId',
    'type',
    'format',
    'size',
    'margin',
    'errorLevel',
    'url',
    'progress',
    'requested',
    'created',
    'failed',
    'rejected',
    'location',
    'error',
    'createdAt',
    'startedAt',
    'finishedAt',
];
export const countMembers = ['total', 'available', 'assigned', 'locked', 'redeemed'];

/** What a book's limits of a day, week or month are where only these were said. */
export const limitsOf = (limits) => ({
    ...{ maxRedemptions: null, maxRedemptionsPerUser: null, budget: null },
    ...limits,
});

/** What a book's discount is where only its `discountAmount` was said. */
export const amountOff = (value) =>
    value === null
        ? null
        : { type: 'amount', value, currency: null, maxAmount: null, minOrderAmount: null };

const isoTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** A time in the one form there is; with `near`, in milliseconds, within a minute of it. */
export function assertTime(text, near) {
    assert.match(text, isoTime);
    assert.equal(new Date(text).toISOString(), text);
    if (near !== undefined)
        assert.ok(Math.abs(Date.parse(text) - near) < 60_000, `${text} is not about now`);
}

export function assertId(id) {
    assert.ok(Number.isSafeInteger(id) && id > 0, `id ${id}`);
}

/** The members of a book; `expected` holds the values of some of them. */
export function assertBook(book, expected = {}) {
    assert.deepEqual(Object.keys(book).slice(0, bookMembers.length), bookMembers);
    assertId(book.id);
    for (const name of ['createdAt', 'updatedAt']) assertTime(book[name]);
    for (const name of ['startsAt', 'endsAt', 'archivedAt']) {
        if (book[name] !== null) assertTime(book[name]);
    }
    assert.deepEqual(Object.keys(book.limits), limitsMembers);
    for (const limits of Object.values(book.limits)) {
        if (limits !== null) assert.deepEqual(Object.keys(limits), periodLimitsMembers);
    }
    const { discount } = book;
    if (discount !== null) assert.deepEqual(Object.keys(discount), discountMembers);
    assert.equal(book.discountAmount, discount?.type === 'amount' ? discount.value : null);
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(book[name], value, name);
}

/**
 * A code as answered by itself. `expected` as above; a code is free, unlocked, unredeemed and never
 * changed where it says nothing.
 */
export function assertCode(code, expected = {}) {
    assert.deepEqual(Object.keys(code), codeMembers);
    assertCodeValues(code, expected);
}

export function assertCodeValues(code, expected = {}) {
    assertId(code.id);
    assertTime(code.createdAt);
    for (const name of ['redeemedAt', 'expiresAt']) if (code[name] !== null) assertTime(code[name]);
    const free = { isLocked: false, isRedeemed: false, assignedTo: null };
    const values = { ...free, ...codeDefaults, ...expected };
    if (!values.isRedeemed) values.redeemedAt ??= null;
    for (const [name, value] of Object.entries(values)) assert.deepEqual(code[name], value, name);
}

/** A redemption, not rolled back where `expected`, the values of some members, does not say so. */
export function assertRedemption(redemption, expected = {}) {
    const text = JSON.stringify(redemption);
    assert.deepEqual(Object.keys(redemption), redemptionMembers, text);
    assertId(redemption.id);
    assertId(redemption.bookId);
    assertTime(redemption.at);
    if (redemption.rolledBackAt !== null) assertTime(redemption.rolledBackAt);
    const { order, discount } = redemption;
    if (order) assert.deepEqual(Object.keys(order), ['id', 'amount', 'currency'], text);
    if (discount) assert.deepEqual(Object.keys(discount), ['amount', 'currency'], text);
    assert.equal(redemption.discountAmount, discount?.amount ?? null, text);
    const whole = { rolledBackAt: null, givenBack: 0, ...expected };
    for (const [name, value] of Object.entries(whole)) {
        assert.deepEqual(redemption[name], value, `${name} of ${text}`);
    }
}

/** A job that generates codes; `expected` holds the values of some of its members. */
export function assertJob(job, expected = {}) {
    if (job.type === 'import') return assertImport(job, expected);
    if (job.type === 'qr') return assertQr(job, expected);
    const text = JSON.stringify(job);
    assert.deepEqual(Object.keys(job), jobMembers, text);
    assert.equal(job.type, 'generate');
    assertId(job.id);
    assertTime(job.createdAt);
    for (const name of ['expiresAt', 'startedAt', 'finishedAt']) {
        if (job[name] !== null) assertTime(job[name]);
    }
    const { status, requested, created, guessProbability, warning } = job;
    assert.ok(created >= 0 && created <= requested, text);
    assert.equal(job.progress, Math.floor((10_000 * created) / requested) / 10_000, text);
    const hasEnded = !['queued', 'running'].includes(status);
    assert.equal(job.failed, hasEnded ? requested - created : 0, text);
    if (status === 'completed') assert.equal(created, requested, text);
    if (status === 'queued') assert.deepEqual([created, job.startedAt], [0, null], text);
    if (status === 'running' || created > 0) assert.notEqual(job.startedAt, null, text);
    assert.equal(job.finishedAt !== null, hasEnded, text);
    assert.equal(job.error !== null, status === 'failed', text);
    if (job.error) assert.deepEqual(Object.keys(job.error), ['code', 'message'], text);
    assert.equal(warning !== null, guessProbability > 0.000001, text);
    if (warning !== null) {
        const said = /^One guess in ([1-9]\d*) hits a code: make the pattern longer$/.exec(warning);
        assert.ok(said, text);
        // Cut to a whole number.
        const tries = 1 / guessProbability;
        assert.ok(Number(said[1]) <= tries * 1.000001 && Number(said[1]) > tries - 1.001, text);
    }
    for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual(job[name], value, `${name} of ${text}`);
    }
}

function assertImport(job, expected) {
    assertWork(job, importMembers, expected);
    const { onConflict, rejected, created } = job;
    if (onConflict === 'fail' && rejected > 0) assert.equal(created, 0, JSON.stringify(job));
}

function assertQr(job, expected) {
    assertWork(job, qrMembers, expected);
    // It is begun by the step that says where.
    assert.equal(job.location === null, job.startedAt === null, JSON.stringify(job));
}

/** A job that goes through what is there already, and rejects some of it. */
function assertWork(job, members, expected) {
    const text = JSON.stringify(job);
    assert.deepEqual(Object.keys(job), members, text);
    assertId(job.id);
    assertTime(job.createdAt);
    for (const name of ['startedAt', 'finishedAt']) if (job[name] !== null) assertTime(job[name]);
    const { status, requested, created, rejected } = job;
    assert.ok(created >= 0 && rejected >= 0 && created + rejected <= requested, text);
    const hasEnded = !['queued', 'running'].includes(status);
    assert.equal(job.failed, hasEnded ? requested - created : rejected, text);
    if (status === 'completed') {
        assert.deepEqual([created + rejected, job.progress], [requested, 1], text);
    } else {
        const done = 10_000 * (created + rejected);
        const progress = requested === 0 ? 0 : Math.floor(done / requested) / 10_000;
        assert.equal(job.progress, progress, text);
    }
    if (status === 'queued') assert.deepEqual([created, job.startedAt], [0, null], text);
    assert.equal(job.finishedAt !== null, hasEnded, text);
    assert.equal(job.error !== null, status === 'failed', text);
    if (job.error) assert.deepEqual(Object.keys(job.error), ['code', 'message'], text);
    for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual(job[name], value, `${name} of ${text}`);
    }
}

/** What is said of a code that was validated, with an `order` where one was sent. */
export function assertValidation(validation, { order = null } = {}) {
    const text = JSON.stringify(validation);
    const members = order === null ? validationMembers : [...validationMembers, 'order'];
    assert.deepEqual(Object.keys(validation), members, text);
    assert.equal(validation.valid, validation.reasons.length === 0, text);
    if (!validation.valid) assert.equal(validation.discount, null, text);
    for (const reason of validation.reasons) {
        const told = ['code', 'message', ...('cure' in reason ? ['cure'] : [])];
        assert.deepEqual(Object.keys(reason), told, text);
    }
    if (validation.discount) {
        assert.deepEqual(Object.keys(validation.discount), ['amount', 'currency'], text);
        if (order) assert.equal(validation.discount.currency, order.currency, text);
        if (order) assert.ok(validation.discount.amount <= order.amount, text);
    }
    if (order === null) return;
    const { id = null, amount, currency } = order;
    assert.equal(JSON.stringify(validation.order), JSON.stringify({ id, amount, currency }));
}
