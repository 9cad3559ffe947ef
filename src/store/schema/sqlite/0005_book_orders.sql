-- The orders in which books are listed; ties by id, which every index ends with.
CREATE INDEX coupon_book_name ON coupon_book (name);
CREATE INDEX coupon_book_created ON coupon_book (created_at);
