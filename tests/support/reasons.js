// Why codes are not accepted and what discounts take off: the table of api/openapi.yaml, and the
// rules once more.
//
//   reasonTable()                        its rows, in the order in which they are checked
//   reason(code, {startsAt, ...})        what POST /coupon/validate says of one, with what its cure
//                                        names; without a cure where `cured` is false, or what it
//                                        names is not there
//   reasonsOf({code, book, ...})         all that it has to say of a code
//   discountOf(book, order)              and what it has to say that the code takes off
//   sharesOf(books, order)               and of several codes, by their books, for one order
//   missing(book, order)                 what the order is short of the minimum, as the cure has it
import assert from 'node:assert/strict';
import { openapiDocument } from './openapi.js';

const columns = ['code', 'status', 'message', 'checked by', 'cure'];

/** `{code, status, message, by, cure}`; `by` is a list, `cure` empty where there is none. */
export function reasonTable() {
    const { description } = openapiDocument().info;
    const [, section] = /^### Why a code is not accepted$(.*?)^### /ms.exec(description);
    const [names, , ...rows] = section
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .map((line) => line.slice(1, -1).split('|').map((cell) => cell.trim()));
    assert.deepEqual(names, columns);
    return rows.map(([code, status, message, by, cure]) => ({
        code: code.replaceAll('`', ''),
        status: Number(status),
        message,
        by: by.split(', '),
        cure,
    }));
}

/** One of its rows. */
export const reasonRow = (wanted) => reasonTable().find(({ code }) => code === wanted);

export function reason(code, { cured = true, ...named } = {}) {
    const { message, cure } = reasonRow(code);
    const names = [...cure.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const known = names.every((name) => (named[name] ?? null) !== null);
    if (!cure || !cured || !known) return { code, message };
    return { code, message, cure: cure.replace(/\{(\w+)\}/g, (_, name) => named[name]) };
}

/**
 * Of a `code` and its `book` as they are answered; of a code that is not there, nothing. `user` is
 * who asks, and has redeemed `redeemed` codes of the book, all users `redeemedByAll`, of them this
 * code `redeemedOfCode` times, which took
 * off `takenOffByAll` of its discount's currency; `at`: as of when, in milliseconds. Limits of days,
 * weeks and months are none of this.
 */
export function reasonsOf({
    code,
    book,
    user,
    redeemed = 0,
    redeemedByAll = redeemed,
    redeemedOfCode = code?.isRedeemed ? 1 : 0,
    takenOffByAll = 0,
    at = Date.now(),
    order,
}) {
    if (!code) return [reason('coupon_not_found')];
    const reached = (time) => time !== null && Date.parse(time) <= at;
    const { currency = null, minOrderAmount = null } = book.discount ?? {};
    const mismatch = Boolean(order) && currency !== null && currency !== order.currency;
    const below = Boolean(order) && !mismatch && shortOf(book, order) > 0n;
    const open = book.assignment === 'open';
    const most = code.maxRedemptions ?? book.maxRedemptionsPerCode ?? Infinity;
    const so = {
        coupon_not_assigned_to_user: !open && code.assignedTo !== user,
        coupon_already_redeemed: most === 1 && redeemedOfCode >= most,
        coupon_redemption_limit_reached: most !== 1 && redeemedOfCode >= most,
        coupon_book_archived: book.archivedAt !== null,
        coupon_book_inactive: !book.active,
        coupon_book_not_started: book.startsAt !== null && !reached(book.startsAt),
        coupon_book_ended: reached(book.endsAt),
        coupon_disabled: !code.active,
        coupon_expired: reached(code.expiresAt),
        order_required: !order && (minOrderAmount !== null || ordersBudget(book)),
        order_currency_mismatch: mismatch,
        order_below_minimum: below,
        redemption_limit_reached: redeemedByAll >= (book.maxRedemptions ?? Infinity),
        budget_exhausted:
            !mismatch && !below && exceedsBudget(book, takenOffByAll, discountOf(book, order)),
        user_redemption_limit_reached: redeemed >= (book.maxRedemptionsPerUser ?? Infinity),
    };
    return reasonTable()
        .filter((row) => so[row.code])
        .map((row) =>
            reason(row.code, {
                startsAt: book.startsAt,
                currency,
                missing: row.code === 'order_below_minimum' ? missing(book, order) : null,
                cured: row.code !== 'coupon_not_assigned_to_user' || code.assignedTo === null,
            }),
        );
}

/** Whether it takes an order to tell what a code takes off the book's budget. */
const ordersBudget = ({ budget, limits, discount }) =>
    [{ budget }, ...Object.values(limits)].some((of) => (of?.budget ?? null) !== null) &&
    ['percent', 'fixed_price'].includes(discount?.type);

/** Whether so much more is more than the book's budget, of which some has been taken off. */
export function exceedsBudget({ budget }, takenOff, discount) {
    if (budget === null || !discount || discount.amount === 0) return false;
    return scaled(takenOff, 4) + scaled(discount.amount, 4) > scaled(budget, 4);
}

/** How many decimals these currencies have. */
export const decimals = { EUR: 2, USD: 2, JPY: 0, KWD: 3, CLF: 4 };

/** A number with so many decimals as a whole number of the last of them. */
const scaled = (number, places) => BigInt(Math.round(number * 10 ** places));

const halfUp = (dividend, divisor) => (2n * dividend + divisor) / (2n * divisor);
const smaller = (one, other) => (one < other ? one : other);

/** An amount of a discount in minor units of an order's currency. */
function minor(amount, discountCurrency, currency) {
    const places = decimals[currency];
    if (discountCurrency !== null) return scaled(amount, places);
    const hundredths = scaled(amount, 2);
    return places < 2
        ? halfUp(hundredths, 10n ** BigInt(2 - places))
        : hundredths * 10n ** BigInt(places - 2);
}

/** By how many minor units an order misses the minimum of a book's discount; less than 1: by none. */
function shortOf({ discount }, { amount, currency }) {
    const { minOrderAmount = null } = discount ?? {};
    if (minOrderAmount === null) return 0n;
    return minor(minOrderAmount, discount.currency, currency) - scaled(amount, decimals[currency]);
}

export function missing(book, order) {
    const places = decimals[order.currency];
    return (Number(shortOf(book, order)) / 10 ** places).toFixed(places);
}

/** Of an order that reaches the minimum, in the currency of the discount if that has one. */
export function discountOf({ discount }, order) {
    if (discount === null) return null;
    if (!order) {
        const { type, value, currency, maxAmount } = discount;
        if (type !== 'amount') return null;
        return { amount: Math.min(value, maxAmount ?? value), currency };
    }
    return inCurrency(takenOff(discount, scaled(order.amount, decimals[order.currency]), order), order);
}

/** What each of several codes takes off one such order, in the order of their `books`. */
export function sharesOf(books, order) {
    const shares = books.map(() => null);
    let left = scaled(order.amount, decimals[order.currency]);
    for (const wanted of ['fixed_price', 'percent', 'amount', 'free_shipping']) {
        for (const [index, { discount }] of books.entries()) {
            if (discount?.type !== wanted) continue;
            const off = takenOff(discount, left, order);
            left -= off;
            shares[index] = inCurrency(off, order);
        }
    }
    return shares;
}

/** The sum of such shares. */
export function sumOf(shares, { currency }) {
    let sum = 0n;
    for (const share of shares) sum += scaled(share?.amount ?? 0, decimals[currency]);
    return inCurrency(sum, { currency });
}

const inCurrency = (units, { currency }) => ({
    amount: Number(units) / 10 ** decimals[currency],
    currency,
});

/** What a discount takes off so many minor units of the order's currency. */
function takenOff({ type, value, currency, maxAmount }, whole, order) {
    const amountOf = (amount) => minor(amount, currency, order.currency);
    const off = {
        amount: () => amountOf(value),
        percent: () => halfUp(whole * scaled(value, 2), 10_000n),
        fixed_price: () => whole - smaller(amountOf(value), whole),
        free_shipping: () => 0n,
    }[type]();
    const most = maxAmount === null ? whole : smaller(amountOf(maxAmount), whole);
    return smaller(off, most);
}
