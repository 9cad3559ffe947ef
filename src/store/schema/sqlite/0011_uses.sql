-- Codes that may be redeemed more than once. A use of one, which is what a user has locked or redeemed of it beside the
-- code's own row, has a row like that of a code: its text is that of the code, the character 31 and its id, and its id is
-- that of the entry by which it was made, beyond 2^62.
ALTER TABLE coupon_code ADD COLUMN use_of INTEGER;  -- of which code it is a use
CREATE INDEX coupon_code_use ON coupon_code (use_of, assigned_to) WHERE use_of IS NOT NULL;
CREATE INDEX coupon_code_redeemed_use ON coupon_code (use_of, redeemed_at)
WHERE use_of IS NOT NULL AND redeemed_at IS NOT NULL;
CREATE INDEX coupon_code_locked_use ON coupon_code (use_of, locked_until) WHERE use_of IS NOT NULL AND redeemed_at IS NULL;

ALTER TABLE ledger ADD COLUMN use_of INTEGER;  -- where the code is a use: of which one
CREATE INDEX ledger_use ON ledger (use_of, id) WHERE use_of IS NOT NULL;

-- Also of a code, how many uses of it are redeemed.
CREATE TABLE new_count (
    book_id     INTEGER NOT NULL,
    user_number INTEGER NOT NULL,  -- 0: all users
    code_id     INTEGER NOT NULL,  -- 0: the whole book
    per         INTEGER NOT NULL,  -- Per
    since       INTEGER NOT NULL,  -- when the day, week or month began; ever: -1
    redeemed    INTEGER NOT NULL CHECK (redeemed >= 0),
    amount      INTEGER NOT NULL,  -- in minor units; of a code: at most so many other uses of it are locked; of a code: at most so many other uses of it are locked
    currency    TEXT,
    PRIMARY KEY (book_id, user_number, code_id, per)
) STRICT, WITHOUT ROWID;
INSERT INTO new_count SELECT book_id, user_number, 0, per, since, redeemed, amount, currency FROM usage_count;
DROP TABLE usage_count;
ALTER TABLE new_count RENAME TO usage_count;
