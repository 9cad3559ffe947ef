-- How many uses of a code a user has redeemed says nothing of how long it takes to find the one that is not.
DROP INDEX coupon_code_use;
CREATE INDEX coupon_code_use ON coupon_code (use_of, assigned_to) WHERE use_of IS NOT NULL AND redeemed_at IS NULL;

-- A lock counts until the code is redeemed, and its row goes with it.
DELETE FROM counted_lock WHERE EXISTS
    (SELECT 1 FROM coupon_code AS code WHERE code.id = code_id AND code.redeemed_at IS NOT NULL);
