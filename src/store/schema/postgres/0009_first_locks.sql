-- Where locks are kept in Redis, a code's row notes when its first one was taken, as if it had ended then, no longer its
-- end: where locks are kept in the database from then on, it would be taken for one of those.
UPDATE coupon_code AS code SET locked_until = lock.at
FROM ledger AS lock
WHERE lock.type = 4 AND lock.previous_id IS NULL AND lock.code_id = code.id AND code.locked_until = lock.locked_until
    AND code.redeemed_at IS NULL;
