-- Redemptions for orders, in currencies, and what is taken back of them.
ALTER TABLE ledger ADD COLUMN currency TEXT;          -- whose minor units discount_cents and order_amount are
ALTER TABLE ledger ADD COLUMN order_id TEXT;          -- the shop's
ALTER TABLE ledger ADD COLUMN order_amount INTEGER;
ALTER TABLE ledger ADD COLUMN redemption_id INTEGER;  -- of which this takes something back
CREATE INDEX ledger_order ON ledger (order_id, code_id) WHERE order_id IS NOT NULL;
CREATE INDEX ledger_redemption ON ledger (redemption_id) WHERE redemption_id IS NOT NULL;

ALTER TABLE book_count ADD COLUMN rolled_back INTEGER NOT NULL DEFAULT 0;  -- redemptions
ALTER TABLE activity_count ADD COLUMN rolled_back INTEGER NOT NULL DEFAULT 0;

-- What redemptions were worth, less what was given back, in the quarter of an hour from `since` on, and with -1 ever;
-- with book 0, of all books together. What was of no named currency is in activity_count and book_count.
CREATE TABLE discount_count (
    book_id  INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    currency TEXT    NOT NULL,
    amount   INTEGER NOT NULL,  -- in its minor units
    PRIMARY KEY (book_id, since, currency)
) STRICT, WITHOUT ROWID;

-- Who has rolled back all that they had redeemed is counted as 0.
CREATE TABLE new_count (
    book_id     INTEGER NOT NULL REFERENCES coupon_book (id),
    user_number INTEGER NOT NULL REFERENCES coupon_user (number),
    redeemed    INTEGER NOT NULL CHECK (redeemed >= 0),
    PRIMARY KEY (book_id, user_number)
) STRICT, WITHOUT ROWID;
INSERT INTO new_count SELECT book_id, user_number, redeemed FROM user_redemption_count;
DROP TABLE user_redemption_count;
ALTER TABLE new_count RENAME TO user_redemption_count;
