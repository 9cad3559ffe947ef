-- Of a code, at most how many other uses of it are locked; kept as `amount` before.
ALTER TABLE usage_count ADD COLUMN locked INTEGER NOT NULL DEFAULT 0 CHECK (locked >= 0);
UPDATE usage_count SET locked = amount, amount = 0 WHERE code_id <> 0;
