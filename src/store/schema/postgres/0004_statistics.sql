-- Figures of what has happened, kept with it, so that statistics are read and never counted. As in book_count, each
-- process counts in a slot of its own, and the figure is the sum over the slots.

-- What a process of the version before changes meanwhile would not be counted.
LOCK TABLE coupon_code, book_count, ledger IN ACCESS EXCLUSIVE MODE;

-- Where locks are kept in Redis, a code's row notes the end of its first one, so that it can be told that it had one.
UPDATE coupon_code SET locked_until = first.locked_until
FROM (SELECT DISTINCT ON (code_id) code_id, locked_until FROM ledger WHERE type = 4 AND previous_id IS NULL
      ORDER BY code_id, id) AS first
WHERE coupon_code.id = first.code_id AND coupon_code.locked_until IS NULL AND redeemed_at IS NULL;

-- With codes that were ever locked and with discounts, and with book 0: all books together.
ALTER TABLE book_count
    ADD COLUMN ever_locked    bigint NOT NULL DEFAULT 0,  -- codes that have had a lock
    ADD COLUMN discount_cents bigint NOT NULL DEFAULT 0;  -- of all redemptions
ALTER TABLE book_count ALTER COLUMN ever_locked DROP DEFAULT, ALTER COLUMN discount_cents DROP DEFAULT;
INSERT INTO book_count AS old (book_id, slot, total, available, redeemed, ever_locked, discount_cents)
SELECT book_id, 0, 0, 0, 0, count(*), 0 FROM coupon_code WHERE locked_until IS NOT NULL OR redeemed_at IS NOT NULL
GROUP BY book_id
ON CONFLICT (book_id, slot) DO UPDATE SET ever_locked = excluded.ever_locked;
INSERT INTO book_count AS old (book_id, slot, total, available, redeemed, ever_locked, discount_cents)
SELECT book_id, 0, 0, 0, 0, 0, sum(discount_cents) FROM ledger WHERE discount_cents IS NOT NULL GROUP BY book_id
ON CONFLICT (book_id, slot) DO UPDATE SET discount_cents = excluded.discount_cents;
INSERT INTO book_count
SELECT 0, 0, coalesce(sum(total), 0), coalesce(sum(available), 0), coalesce(sum(redeemed), 0),
       coalesce(sum(ever_locked), 0), coalesce(sum(discount_cents), 0)
FROM book_count;

-- How often something happened in the quarter of an hour from `since` on; with book 0, all books together. Every time
-- zone's hours and days consist of whole quarters of an hour.
CREATE TABLE activity_count (
    book_id        bigint   NOT NULL,
    since          bigint   NOT NULL,
    slot           smallint NOT NULL,
    uploaded       bigint   NOT NULL,  -- codes
    assigned       bigint   NOT NULL,
    locked         bigint   NOT NULL,
    redeemed       bigint   NOT NULL,
    discount_cents bigint   NOT NULL,
    CONSTRAINT activity_count_pkey PRIMARY KEY (book_id, since, slot)
) WITH (fillfactor = 50);
INSERT INTO activity_count
SELECT book_id, at - at % 900000 AS since, 0, coalesce(sum(codes), 0), count(*) FILTER (WHERE type = 3),
       count(*) FILTER (WHERE type = 4), count(*) FILTER (WHERE type = 5), coalesce(sum(discount_cents), 0)
FROM ledger WHERE type > 1 GROUP BY book_id, at - at % 900000;
INSERT INTO activity_count
SELECT 0, since, 0, sum(uploaded), sum(assigned), sum(locked), sum(redeemed), sum(discount_cents)
FROM activity_count GROUP BY since;

-- How often something was refused, and why; with book 0: all that was, also what concerned no book.
CREATE TABLE refusal_count (
    book_id bigint   NOT NULL,
    since   bigint   NOT NULL,
    refused bigint   NOT NULL,
    slot    smallint NOT NULL,
    reason  text     COLLATE "C" NOT NULL,
    CONSTRAINT refusal_count_pkey PRIMARY KEY (book_id, since, slot, reason)
) WITH (fillfactor = 50);

-- Locks of all books that live now.
CREATE INDEX lock_count_until ON lock_count (locked_until);
