// What a Snapshot reads by the same words from either database.
#pragma once

#include <string>

#include "base/time.hpp"

namespace coupond {

/// Snapshot::StandingRow.
inline constexpr const char* select_standing =
    "SELECT book_id, since, '', standing FROM activity_count WHERE standing <> 0 "
    "UNION ALL SELECT book_id, since, currency, standing FROM discount_count "
    "WHERE standing <> 0";

/// Snapshot::HoldingRow. Whether a book limits it stands in its text (domain/settings.hpp). What a
/// file has brought has entries of the request that its job is of.
inline constexpr const char* select_holdings =
    "WITH limited AS (SELECT id FROM coupon_book "
    "WHERE settings LIKE '%max_assignments_per_user %') "
    "SELECT held.book_id, held.assigned_to, held.codes - coalesce(given.brought, 0), "
    "coalesce(given.id, 0), coalesce(given.at, 0) FROM (SELECT book_id, assigned_to, "
    "count(*) AS codes FROM coupon_code WHERE assigned_to IS NOT NULL AND use_of IS NULL "
    "AND book_id IN (SELECT id FROM limited) GROUP BY book_id, assigned_to) AS held "
    "LEFT JOIN (SELECT book_id, user_number, count(*) FILTER (WHERE is_brought) AS brought, "
    "max(id) FILTER (WHERE NOT is_brought) AS id, max(at) FILTER (WHERE NOT is_brought) AS at "
    "FROM (SELECT id, at, book_id, user_number, request_id IN "
    "(SELECT request_id FROM job WHERE details IS NOT NULL) AS is_brought FROM ledger "
    "WHERE type = 3 AND book_id IN (SELECT id FROM limited)) AS assigned "
    "GROUP BY book_id, user_number) AS given "
    "ON given.book_id = held.book_id AND given.user_number = held.assigned_to";

/// Snapshot::UsageRow.
inline std::string select_usages(Timestamp now) {
    const std::string held =
        "FROM counted_lock AS held JOIN coupon_code AS locked "
        "ON locked.id = held.code_id AND locked.redeemed_at IS NULL "
        "WHERE held.book_id = usage.book_id AND held.locked_until > " +
        std::to_string(now.ms);
    return "SELECT usage.book_id, user_number, per, since, redeemed, amount, currency, "
           "count(code.id), coalesce(max(code.last_entry_id), 0), coalesce(max(code.redeemed_at), "
           "0), "
           "usage.locked, locked_amount, CASE WHEN user_number = 0 THEN (SELECT count(*) " +
           held + ") ELSE (SELECT count(*) " + held +
           " AND held.user_number = usage.user_number) END, CASE WHEN currency IS NULL THEN 0 "
           "ELSE (SELECT CAST(coalesce(sum(held.amount), 0) AS bigint) " +
           held +
           " AND held.currency = usage.currency) END "
           "FROM usage_count AS usage LEFT JOIN coupon_code AS code "
           "ON user_number <> 0 AND code.assigned_to = user_number "
           "AND code.book_id = usage.book_id AND code.redeemed_at >= since WHERE code_id = 0 "
           "GROUP BY usage.book_id, user_number, code_id, per "
           "ORDER BY usage.book_id, user_number, per";
}

/// Snapshot::CountedLockRow.
inline std::string select_counted_locks(Timestamp now) {
    return "SELECT held.code_id, held.book_id, held.locked_until, code.id IS NOT NULL "
           "AND code.book_id = held.book_id AND code.assigned_to IS NOT NULL, "
           "CASE WHEN code.locked_until > " +
           std::to_string(now.ms) +
           " THEN code.locked_until END FROM counted_lock AS held LEFT JOIN coupon_code AS code "
           "ON code.id = held.code_id WHERE code.redeemed_at IS NULL AND held.locked_until > " +
           std::to_string(now.ms);
}

/// Snapshot::UsesRow.
inline std::string select_uses(Timestamp now) {
    return "SELECT code.id, coalesce(kept.book_id, 0), coalesce(kept.redeemed, 0), "
           "coalesce(kept.locked, 0), used.redeemed, used.locked, used.last_entry, used.last_at "
           "FROM (SELECT code_id AS id FROM usage_count WHERE code_id <> 0 UNION "
           "SELECT use_of FROM coupon_code WHERE use_of IS NOT NULL) AS code "
           "LEFT JOIN usage_count AS kept ON kept.code_id = code.id "
           "LEFT JOIN (SELECT use_of, count(redeemed_at) AS redeemed, "
           "count(CASE WHEN redeemed_at IS NULL AND locked_until > " +
           std::to_string(now.ms) +
           " THEN 1 END) AS locked, "
           "max(CASE WHEN redeemed_at IS NOT NULL THEN last_entry_id END) AS last_entry, "
           "max(redeemed_at) AS last_at FROM coupon_code WHERE use_of IS NOT NULL "
           "GROUP BY use_of) AS used ON used.use_of = code.id ORDER BY code.id";
}

}  // namespace coupond
