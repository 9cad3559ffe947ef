-- Limits of books per day, week, month and ever.
LOCK TABLE ledger, activity_count, discount_count, user_redemption_count IN ACCESS EXCLUSIVE MODE;

-- How much of a book is used by all users together, whose number here is 0, or by one: redemptions made since then that
-- stand, and what of their discounts in a currency was not given back. Where there is no row, or one of another time, it
-- is counted anew: from the user's codes, or from what stands by quarters of an hour.
CREATE TABLE usage_count (
    book_id     bigint NOT NULL,
    user_number bigint NOT NULL,
    per         bigint NOT NULL,  -- Per
    since       bigint NOT NULL,  -- when the day, week or month began; ever: -1
    redeemed    bigint NOT NULL CONSTRAINT usage_count_redeemed_check CHECK (redeemed >= 0),
    amount      bigint NOT NULL,  -- in minor units
    currency    text   COLLATE "C",
    version     bigint NOT NULL,  -- differs after every change, which the rest need not
    CONSTRAINT usage_count_pkey PRIMARY KEY (book_id, user_number, per)
) WITH (fillfactor = 50);

-- Takes locks of these numbers, in their order, until the end of the transaction; or, where one is not free for so many
-- milliseconds, for whoever has it may stand still, none. Nothing rests on them but that others need not try again. The
-- first number of each is "book" in ASCII.
CREATE FUNCTION coupond_take_turns(numbers integer[]) RETURNS void LANGUAGE plpgsql VOLATILE SET lock_timeout = 200 AS $$
DECLARE
    number integer;
BEGIN
    FOREACH number IN ARRAY numbers LOOP
        PERFORM pg_advisory_xact_lock(1651470187, number);
    END LOOP;
EXCEPTION WHEN lock_not_available THEN
    NULL;
END
$$;
INSERT INTO usage_count SELECT book_id, user_number, 0, -1, redeemed, 0, NULL, version FROM user_redemption_count;
DROP TABLE user_redemption_count;

-- Of the redemptions made in that time: how many stand, and what of their discounts was not given back.
ALTER TABLE activity_count ADD COLUMN standing bigint NOT NULL DEFAULT 0;
ALTER TABLE discount_count ADD COLUMN standing bigint NOT NULL DEFAULT 0;
UPDATE activity_count SET standing = redeemed WHERE book_id > 0;
INSERT INTO activity_count AS old (book_id, since, slot, uploaded, assigned, locked, redeemed, discount_cents, standing)
SELECT redemption.book_id, redemption.at - redemption.at % 900000, 0, 0, 0, 0, 0, 0, -count(*)
FROM ledger AS entry JOIN ledger AS redemption ON redemption.id = entry.redemption_id
WHERE entry.redemption_id IS NOT NULL AND entry.type = 13 GROUP BY 1, 2
ON CONFLICT (book_id, since, slot) DO UPDATE SET standing = old.standing + excluded.standing;
INSERT INTO discount_count AS old (book_id, since, slot, currency, amount, standing)
SELECT book_id, at - at % 900000, 0, currency, 0,
       sum(discount_cents - (SELECT coalesce(sum(discount_cents), 0) FROM ledger AS back
                             WHERE back.redemption_id = redemption.id))
FROM ledger AS redemption WHERE type = 5 AND currency IS NOT NULL AND discount_cents IS NOT NULL GROUP BY 1, 2, 4
ON CONFLICT (book_id, since, slot, currency) DO UPDATE SET standing = excluded.standing;
