-- What all spellings of a code have in common, where it is found by any of them.
ALTER TABLE coupon_code ADD COLUMN folded TEXT;
CREATE UNIQUE INDEX coupon_code_folded ON coupon_code (folded) WHERE folded IS NOT NULL;
