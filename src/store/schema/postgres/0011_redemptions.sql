-- Redemptions for orders, in currencies, and what is taken back of them.
LOCK TABLE ledger, book_count, activity_count, user_redemption_count IN ACCESS EXCLUSIVE MODE;

ALTER TABLE ledger
    ADD COLUMN currency text COLLATE "C",   -- whose minor units discount_cents and order_amount are
    ADD COLUMN order_id text COLLATE "C",   -- the shop's
    ADD COLUMN order_amount bigint,
    ADD COLUMN redemption_id bigint;        -- of which this takes something back
CREATE INDEX ledger_order ON ledger (order_id, code_id) WHERE order_id IS NOT NULL;
CREATE INDEX ledger_redemption ON ledger (redemption_id) WHERE redemption_id IS NOT NULL;

ALTER TABLE book_count ADD COLUMN rolled_back bigint NOT NULL DEFAULT 0;  -- redemptions
ALTER TABLE activity_count ADD COLUMN rolled_back bigint NOT NULL DEFAULT 0;

-- What redemptions were worth, less what was given back, in the quarter of an hour from `since` on, and with -1 ever;
-- with book 0, of all books together. What was of no named currency is in activity_count and book_count.
CREATE TABLE discount_count (
    book_id  bigint   NOT NULL,
    since    bigint   NOT NULL,
    amount   bigint   NOT NULL,  -- in its minor units
    slot     smallint NOT NULL,
    currency text     COLLATE "C" NOT NULL,
    CONSTRAINT discount_count_pkey PRIMARY KEY (book_id, since, slot, currency)
) WITH (fillfactor = 50);

-- Who has rolled back all that they had redeemed is counted as 0.
ALTER TABLE user_redemption_count
    ADD COLUMN version bigint NOT NULL DEFAULT 0,  -- differs after every change, which the count need not
    DROP CONSTRAINT user_redemption_count_redeemed_check,
    ADD CONSTRAINT user_redemption_count_redeemed_check CHECK (redeemed >= 0);
