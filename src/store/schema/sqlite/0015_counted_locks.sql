-- Locks that count for the limits of their books. A row is of use until the lock ends or the code is redeemed;
-- a later lock of the code takes its place.
CREATE TABLE counted_lock (
    code_id      INTEGER PRIMARY KEY,  -- or that of a use of one
    book_id      INTEGER NOT NULL,
    user_number  INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    amount       INTEGER,  -- what the redemption would be worth, in minor units
    currency     TEXT
) STRICT;
CREATE INDEX counted_lock_book ON counted_lock (book_id, locked_until);
CREATE INDEX counted_lock_user ON counted_lock (user_number, book_id, locked_until);

-- At most what the locks are worth that `locked` counts.
ALTER TABLE usage_count ADD COLUMN locked_amount INTEGER NOT NULL DEFAULT 0 CHECK (locked_amount >= 0);
