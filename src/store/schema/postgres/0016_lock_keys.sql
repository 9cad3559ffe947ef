-- By which its holder goes on with a lock.
ALTER TABLE coupon_code ADD COLUMN lock_key text;
