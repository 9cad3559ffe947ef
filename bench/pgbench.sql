-- What an application without batches does for a redemption; pgbench runs it as it is.
\set id random(1, :codes)
BEGIN;
UPDATE bench_code SET redeemed_at = :now, version = version + 1 WHERE id = :id;
INSERT INTO bench_history (code_id, redeemed_at) VALUES (:id, :now);
COMMIT;
