-- Books and codes that can be changed: what clients set of them, and what each change made of it, as text
-- (domain/settings.hpp). NULL: all is as by default.
ALTER TABLE coupon_book ADD COLUMN last_entry_id INTEGER NOT NULL DEFAULT 0;  -- saves are guarded by it
ALTER TABLE coupon_book ADD COLUMN settings TEXT NOT NULL DEFAULT '';
ALTER TABLE coupon_code ADD COLUMN settings TEXT;
ALTER TABLE ledger ADD COLUMN detail TEXT;
-- Free codes that are not to be given away: their shuffle_key is below 0.
ALTER TABLE book_count ADD COLUMN kept_back INTEGER NOT NULL DEFAULT 0 CHECK (kept_back >= 0);

UPDATE coupon_book SET last_entry_id = entry.id FROM (SELECT id, book_id FROM ledger WHERE type = 1) AS entry
WHERE entry.book_id = coupon_book.id;
UPDATE coupon_book SET settings = 'counts_users_since ' || created_at || char(10)
WHERE max_redemptions_per_user IS NOT NULL;
UPDATE ledger SET detail = char(10) || 'name ' || name || char(10) || 'code_pattern ' || code_pattern || char(10)
    || coalesce('max_redemptions_per_user ' || max_redemptions_per_user || char(10), '')
    || coalesce('discount_cents ' || book.discount_cents || char(10), '')
    || 'created_at ' || created_at || char(10) || 'updated_at ' || updated_at || char(10) || settings
FROM coupon_book AS book WHERE ledger.type = 1 AND book.id = ledger.book_id;
