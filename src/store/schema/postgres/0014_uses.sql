-- Codes that may be redeemed more than once. A use of one, which is what a user has locked or redeemed of it beside the
-- code's own row, has a row like that of a code: its text is that of the code, the character 31 and its id, and its id is
-- that of the entry by which it was made, beyond 2^62.
LOCK TABLE coupon_code, ledger, usage_count IN ACCESS EXCLUSIVE MODE;

ALTER TABLE coupon_code ADD COLUMN use_of bigint;  -- of which code it is a use
CREATE INDEX coupon_code_use ON coupon_code (use_of, assigned_to) WHERE use_of IS NOT NULL;
CREATE INDEX coupon_code_redeemed_use ON coupon_code (use_of, redeemed_at)
WHERE use_of IS NOT NULL AND redeemed_at IS NOT NULL;
CREATE INDEX coupon_code_locked_use ON coupon_code (use_of, locked_until) WHERE use_of IS NOT NULL AND redeemed_at IS NULL;

ALTER TABLE ledger ADD COLUMN use_of bigint;  -- where the code is a use: of which one
CREATE INDEX ledger_use ON ledger (use_of, id) WHERE use_of IS NOT NULL;

-- Also of a code, how many uses of it are redeemed.
ALTER TABLE usage_count
    ADD COLUMN code_id bigint NOT NULL DEFAULT 0,  -- 0: the whole book
    DROP CONSTRAINT usage_count_pkey,
    ADD CONSTRAINT usage_count_pkey PRIMARY KEY (book_id, user_number, code_id, per);
