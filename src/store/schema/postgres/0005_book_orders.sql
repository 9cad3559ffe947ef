-- The orders in which books are listed.
CREATE INDEX coupon_book_name ON coupon_book (name, id);
CREATE INDEX coupon_book_created ON coupon_book (created_at, id);
