-- Limits of books per day, week, month and ever.

-- How much of a book is used by all users together, whose number here is 0, or by one: redemptions made since then that
-- stand, and what of their discounts in a currency was not given back. Where there is no row, or one of another time, it
-- is counted anew: from the user's codes, or from what stands by quarters of an hour.
CREATE TABLE usage_count (
    book_id     INTEGER NOT NULL,
    user_number INTEGER NOT NULL,
    per         INTEGER NOT NULL,  -- Per
    since       INTEGER NOT NULL,  -- when the day, week or month began; ever: -1
    redeemed    INTEGER NOT NULL CHECK (redeemed >= 0),
    amount      INTEGER NOT NULL,  -- in minor units
    currency    TEXT,
    PRIMARY KEY (book_id, user_number, per)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_count SELECT book_id, user_number, 0, -1, redeemed, 0, NULL FROM user_redemption_count;
DROP TABLE user_redemption_count;

-- Of the redemptions made in that time: how many stand, and what of their discounts was not given back.
ALTER TABLE activity_count ADD COLUMN standing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE discount_count ADD COLUMN standing INTEGER NOT NULL DEFAULT 0;
UPDATE activity_count SET standing = redeemed WHERE book_id > 0;
UPDATE activity_count SET standing = standing - back.redemptions
FROM (SELECT redemption.book_id AS of_book, redemption.at - redemption.at % 900000 AS made, count(*) AS redemptions
      FROM ledger AS entry JOIN ledger AS redemption ON redemption.id = entry.redemption_id
      WHERE entry.redemption_id IS NOT NULL AND entry.type = 13 GROUP BY of_book, made) AS back
WHERE book_id = of_book AND since = made;
UPDATE discount_count SET standing = given
FROM (SELECT book_id AS of_book, at - at % 900000 AS made, currency AS of_currency,
             sum(discount_cents - (SELECT coalesce(sum(discount_cents), 0) FROM ledger AS back
                                   WHERE back.redemption_id = redemption.id)) AS given
      FROM ledger AS redemption WHERE type = 5 AND currency IS NOT NULL AND discount_cents IS NOT NULL
      GROUP BY of_book, made, of_currency) AS redeemed
WHERE book_id = of_book AND since = made AND currency = of_currency;
