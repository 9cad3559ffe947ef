-- Figures of what has happened, kept with it, so that statistics are read and never counted.

-- With codes that were ever locked and with discounts, and with book 0: all books together.
CREATE TABLE new_count (
    book_id        INTEGER PRIMARY KEY,
    total          INTEGER NOT NULL,
    available      INTEGER NOT NULL CHECK (available >= 0),
    redeemed       INTEGER NOT NULL CHECK (redeemed >= 0),
    ever_locked    INTEGER NOT NULL,  -- codes that have had a lock
    discount_cents INTEGER NOT NULL,  -- of all redemptions
    CHECK (available + redeemed <= total)
) STRICT;
INSERT INTO new_count
SELECT book_id, total, available, redeemed,
       (SELECT count(*) FROM coupon_code WHERE coupon_code.book_id = book_count.book_id
        AND (locked_until IS NOT NULL OR redeemed_at IS NOT NULL)),
       0
FROM book_count;
DROP TABLE book_count;
ALTER TABLE new_count RENAME TO book_count;
UPDATE book_count SET discount_cents = discount
FROM (SELECT book_id AS of_book, sum(discount_cents) AS discount FROM ledger
      WHERE discount_cents IS NOT NULL GROUP BY book_id)
WHERE book_id = of_book;
INSERT INTO book_count
SELECT 0, coalesce(sum(total), 0), coalesce(sum(available), 0), coalesce(sum(redeemed), 0),
       coalesce(sum(ever_locked), 0), coalesce(sum(discount_cents), 0)
FROM book_count;

-- How often something happened in the quarter of an hour from `since` on; with book 0, all books together. Every time
-- zone's hours and days consist of whole quarters of an hour.
CREATE TABLE activity_count (
    book_id        INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    uploaded       INTEGER NOT NULL,  -- codes
    assigned       INTEGER NOT NULL,
    locked         INTEGER NOT NULL,
    redeemed       INTEGER NOT NULL,
    discount_cents INTEGER NOT NULL,
    PRIMARY KEY (book_id, since)
) STRICT, WITHOUT ROWID;
INSERT INTO activity_count
SELECT book_id, at - at % 900000 AS since, coalesce(sum(codes), 0), sum(type = 3), sum(type = 4), sum(type = 5),
       coalesce(sum(discount_cents), 0)
FROM ledger WHERE type > 1 GROUP BY book_id, since;
INSERT INTO activity_count
SELECT 0, since, sum(uploaded), sum(assigned), sum(locked), sum(redeemed), sum(discount_cents)
FROM activity_count GROUP BY since;

-- How often something was refused, and why; with book 0: all that was, also what concerned no book.
CREATE TABLE refusal_count (
    book_id INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    reason  TEXT    NOT NULL,
    refused INTEGER NOT NULL,
    PRIMARY KEY (book_id, since, reason)
) STRICT, WITHOUT ROWID;

-- Locks of all books that live now.
CREATE INDEX lock_count_until ON lock_count (locked_until);
