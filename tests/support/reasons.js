// Why codes are not accepted and what discounts take off: the table of api/openapi.yaml, and the
// rules once more.
//
//   reasonTable()                        its rows, in the order in which they are checked
//   reason(code, {startsAt})             what POST /coupon/validate says of one; `cured`: false
//                                        where its cure does not apply
//   reasonsOf({code, book, ...})         all that it has to say of a code
//   discountOf(book, order)              and what it has to say that the code takes off
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

export function reason(code, { startsAt = null, cured = true } = {}) {
    const { message, cure } = reasonRow(code);
    if (!cure || !cured) return { code, message };
    return { code, message, cure: cure.replace('{startsAt}', startsAt) };
}

/**
 * Of a `code` and its `book` as they are answered; of a code that is not there, nothing. `user` is
 * who asks, and has redeemed `redeemed` codes of the book; `at`: as of when, in milliseconds.
 */
export function reasonsOf({ code, book, user, redeemed = 0, at = Date.now() }) {
    if (!code) return [reason('coupon_not_found')];
    const reached = (time) => time !== null && Date.parse(time) <= at;
    const so = {
        coupon_not_assigned_to_user: code.assignedTo !== user,
        coupon_already_redeemed: code.isRedeemed,
        coupon_book_archived: book.archivedAt !== null,
        coupon_book_inactive: !book.active,
        coupon_book_not_started: book.startsAt !== null && !reached(book.startsAt),
        coupon_book_ended: reached(book.endsAt),
        coupon_disabled: !code.active,
        coupon_expired: reached(code.expiresAt),
        user_redemption_limit_reached: redeemed >= (book.maxRedemptionsPerUser ?? Infinity),
    };
    return reasonTable()
        .filter((row) => so[row.code])
        .map((row) =>
            reason(row.code, {
                startsAt: book.startsAt,
                cured: row.code !== 'coupon_not_assigned_to_user' || code.assignedTo === null,
            }),
        );
}

/** How many decimals these currencies have. */
export const decimals = { EUR: 2, JPY: 0, KWD: 3, CLF: 4 };

export function discountOf({ discountAmount }, order) {
    if (discountAmount === null) return null;
    if (!order) return { amount: discountAmount, currency: null };
    const hundredths = Math.round(discountAmount * 100);
    // Exact: all of these are below 2^53.
    const units = 10 ** decimals[order.currency];
    const off = units === 1 ? Math.floor((hundredths + 50) / 100) : hundredths * (units / 100);
    const most = Math.round(order.amount * units);
    return { amount: Math.min(off, most) / units, currency: order.currency };
}
