-- Books and codes that can be changed: what clients set of them, and what each change made of it, as text
-- (domain/settings.hpp). NULL: all is as by default.
LOCK TABLE coupon_book, coupon_code, book_count, ledger IN ACCESS EXCLUSIVE MODE;

ALTER TABLE coupon_book
    ADD COLUMN last_entry_id bigint NOT NULL DEFAULT 0,  -- saves are guarded by it
    ADD COLUMN settings text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE coupon_code ADD COLUMN settings text COLLATE "C";
ALTER TABLE ledger ADD COLUMN detail text COLLATE "C";
-- Free codes that are not to be given away: their shuffle_key is below 0.
ALTER TABLE book_count ADD COLUMN kept_back bigint NOT NULL DEFAULT 0;

UPDATE coupon_book SET last_entry_id = entry.id FROM ledger AS entry
WHERE entry.type = 1 AND entry.book_id = coupon_book.id;
UPDATE coupon_book SET settings = 'counts_users_since ' || created_at || chr(10)
WHERE max_redemptions_per_user IS NOT NULL;
UPDATE ledger SET detail = chr(10) || 'name ' || name || chr(10) || 'code_pattern ' || code_pattern || chr(10)
    || coalesce('max_redemptions_per_user ' || max_redemptions_per_user || chr(10), '')
    || coalesce('discount_cents ' || book.discount_cents || chr(10), '')
    || 'created_at ' || created_at || chr(10) || 'updated_at ' || updated_at || chr(10) || settings
FROM coupon_book AS book WHERE ledger.type = 1 AND book.id = ledger.book_id;

-- Locks in Redis are given back there too, and change no code.
CREATE INDEX ledger_unlock_elsewhere ON ledger (code_id, id) WHERE type = 12 AND previous_id IS NULL;

-- How many times somebody has changed something that everybody goes by, alone: whoever keeps books in memory reads them
-- again when it has moved on.
INSERT INTO id_counter VALUES ('alone', 1);
