// The contract's bodies member by member, in the order in which they are sent.
import assert from 'node:assert/strict';

export const bookMembers = [
    'id',
    'name',
    'codePattern',
    'maxRedemptionsPerUser',
    'discountAmount',
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
    'createdAt',
];
export const countMembers = ['total', 'available', 'assigned', 'locked', 'redeemed'];

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
    assertTime(book.createdAt);
    assertTime(book.updatedAt);
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(book[name], value, name);
}

/**
 * A code as answered by itself. `expected` as above; a code is free, unlocked and unredeemed where
 * it says nothing.
 */
export function assertCode(code, expected = {}) {
    assert.deepEqual(Object.keys(code), codeMembers);
    assertCodeValues(code, expected);
}

export function assertCodeValues(code, expected = {}) {
    assertId(code.id);
    assertTime(code.createdAt);
    if (code.redeemedAt !== null) assertTime(code.redeemedAt);
    const values = { isLocked: false, isRedeemed: false, assignedTo: null, ...expected };
    if (!values.isRedeemed) values.redeemedAt ??= null;
    for (const [name, value] of Object.entries(values)) assert.deepEqual(code[name], value, name);
}
