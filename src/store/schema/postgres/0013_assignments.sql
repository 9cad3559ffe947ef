-- Limits of how many codes of a book a user holds.
LOCK TABLE coupon_user IN ACCESS EXCLUSIVE MODE;

-- Differs after every change of what the user holds of books with such a limit.
ALTER TABLE coupon_user ADD COLUMN version bigint NOT NULL DEFAULT 0;
