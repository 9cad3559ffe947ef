-- Of a code, at most how many other uses of it are locked; kept as `amount` before.
LOCK TABLE usage_count IN ACCESS EXCLUSIVE MODE;
ALTER TABLE usage_count
    ADD COLUMN locked bigint NOT NULL DEFAULT 0 CONSTRAINT usage_count_locked_check CHECK (locked >= 0);
UPDATE usage_count SET locked = amount, amount = 0 WHERE code_id <> 0;
