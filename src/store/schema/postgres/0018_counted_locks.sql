-- Locks that count for the limits of their books. A row is of use until the lock ends or the code is redeemed;
-- a later lock of the code takes its place.
LOCK TABLE usage_count IN ACCESS EXCLUSIVE MODE;
CREATE TABLE counted_lock (
    code_id      bigint NOT NULL CONSTRAINT counted_lock_pkey PRIMARY KEY,  -- or that of a use of one
    book_id      bigint NOT NULL,
    user_number  bigint NOT NULL,
    locked_until bigint NOT NULL,
    amount       bigint,  -- what the redemption would be worth, in minor units
    currency     text   COLLATE "C"
);
CREATE INDEX counted_lock_book ON counted_lock (book_id, locked_until);
CREATE INDEX counted_lock_user ON counted_lock (user_number, book_id, locked_until);

-- At most what the locks are worth that `locked` counts.
ALTER TABLE usage_count ADD COLUMN locked_amount bigint NOT NULL DEFAULT 0
    CONSTRAINT usage_count_locked_amount_check CHECK (locked_amount >= 0);
