-- The ledger: an entry for each change, written with it and never altered.

-- Users by number: the id that the shop gave them stands nowhere else, so that forgetting a person is the change of one
-- row, which the ledger need not be rewritten for.
CREATE TABLE coupon_user (
    number  INTEGER PRIMARY KEY,
    user_id TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX coupon_user_user_id ON coupon_user (user_id);

-- Without foreign keys: each would be looked up for each entry.
CREATE TABLE ledger (
    id             INTEGER PRIMARY KEY,
    at             INTEGER NOT NULL,
    type           INTEGER NOT NULL,  -- LedgerEntry::Type
    book_id        INTEGER NOT NULL,
    code_id        INTEGER,           -- of an upload: the first one
    codes          INTEGER,           -- of an upload: how many, with ids one after the other
    user_number    INTEGER,
    previous_id    INTEGER,           -- the change of the same code before this one
    locked_until   INTEGER,
    discount_cents INTEGER,
    request_id     TEXT    NOT NULL
) STRICT;

-- Entries for what is there already, as far as it can be told: nobody has noted when codes were assigned and locked.
INSERT INTO coupon_user (user_id)
SELECT DISTINCT assigned_to FROM coupon_code WHERE assigned_to IS NOT NULL ORDER BY assigned_to;

-- With types: an index on a column without one is not used to compare it with a number.
CREATE TEMPORARY TABLE old_entry (
    id             INTEGER PRIMARY KEY,
    at             INTEGER,
    book_id        INTEGER,
    code_id        INTEGER,
    codes          INTEGER,
    user_id        TEXT,
    locked_until   INTEGER,
    discount_cents INTEGER,
    type           INTEGER
);
INSERT INTO old_entry
SELECT row_number() OVER (ORDER BY at, type, code_id, book_id) AS id, *
FROM (
    SELECT created_at AS at, id AS book_id, NULL AS code_id, NULL AS codes, NULL AS user_id, NULL AS locked_until,
           NULL AS discount_cents, 1 AS type
    FROM coupon_book
    UNION ALL
    SELECT created_at, book_id, min(id), count(*), NULL, NULL, NULL, 2
    FROM (SELECT *, id - row_number() OVER (PARTITION BY book_id, created_at ORDER BY id) AS run FROM coupon_code)
    GROUP BY book_id, created_at, run
    UNION ALL
    SELECT created_at, book_id, id, NULL, assigned_to, NULL, NULL, 3 FROM coupon_code WHERE assigned_to IS NOT NULL
    UNION ALL
    SELECT created_at, book_id, id, NULL, assigned_to, locked_until, NULL, 4 FROM coupon_code
    WHERE locked_until IS NOT NULL
    UNION ALL
    SELECT max(redeemed_at, code.created_at), book_id, code.id, NULL, assigned_to, NULL, discount_cents, 5
    FROM coupon_code AS code JOIN coupon_book AS book ON book.id = code.book_id
    WHERE redeemed_at IS NOT NULL
);
CREATE INDEX temp.old_entry_upload ON old_entry (book_id, at, code_id) WHERE type = 2;
CREATE INDEX temp.old_entry_code ON old_entry (code_id, id) WHERE type > 2;

CREATE TEMPORARY TABLE old_upload (code_id INTEGER PRIMARY KEY, entry_id INTEGER);
INSERT INTO old_upload
SELECT code.id, entry.id
FROM coupon_code AS code
JOIN old_entry AS entry ON entry.type = 2 AND entry.book_id = code.book_id AND entry.at = code.created_at
    AND code.id >= entry.code_id AND code.id < entry.code_id + entry.codes;

INSERT INTO ledger (id, at, type, book_id, code_id, codes, user_number, previous_id, locked_until, discount_cents,
                    request_id)
SELECT entry.id, entry.at, entry.type, entry.book_id, entry.code_id, entry.codes, coupon_user.number,
       CASE WHEN entry.type > 2 THEN coalesce(
           (SELECT max(before.id) FROM old_entry AS before
            WHERE before.type > 2 AND before.code_id = entry.code_id AND before.id < entry.id),
           old_upload.entry_id) END,
       entry.locked_until, entry.discount_cents, 'migration'
FROM old_entry AS entry
LEFT JOIN coupon_user ON coupon_user.user_id = entry.user_id
LEFT JOIN old_upload ON entry.type > 2 AND old_upload.code_id = entry.code_id
ORDER BY entry.id;

-- Codes with the numbers of users, and with their last entry instead of a version.
CREATE TABLE new_code (
    id            INTEGER PRIMARY KEY,
    book_id       INTEGER NOT NULL REFERENCES coupon_book (id),
    shuffle_key   INTEGER NOT NULL,  -- random, from 0: the order in which free codes are given away
    created_at    INTEGER NOT NULL,
    locked_until  INTEGER,           -- of the holder's last lock, which may be dead
    redeemed_at   INTEGER,
    last_entry_id INTEGER NOT NULL,  -- in the ledger: differs after every change, so saves are guarded by it
    assigned_to   INTEGER REFERENCES coupon_user (number),
    code          TEXT    NOT NULL,
    CHECK (locked_until IS NULL OR assigned_to IS NOT NULL),
    CHECK (redeemed_at IS NULL OR assigned_to IS NOT NULL)
) STRICT;
INSERT INTO new_code
SELECT code.id, code.book_id, code.shuffle_key, code.created_at, code.locked_until, code.redeemed_at,
       coalesce((SELECT max(entry.id) FROM old_entry AS entry WHERE entry.type > 2 AND entry.code_id = code.id),
                old_upload.entry_id),
       coupon_user.number, code.code
FROM coupon_code AS code
JOIN old_upload ON old_upload.code_id = code.id
LEFT JOIN coupon_user ON coupon_user.user_id = code.assigned_to
ORDER BY code.id;
DROP TABLE coupon_code;
ALTER TABLE new_code RENAME TO coupon_code;
CREATE UNIQUE INDEX coupon_code_code ON coupon_code (code);
CREATE INDEX coupon_code_free ON coupon_code (book_id, shuffle_key) WHERE assigned_to IS NULL;
CREATE INDEX coupon_code_book ON coupon_code (book_id);
CREATE INDEX coupon_code_holder ON coupon_code (assigned_to) WHERE assigned_to IS NOT NULL;

CREATE TABLE new_count (
    book_id     INTEGER NOT NULL REFERENCES coupon_book (id),
    user_number INTEGER NOT NULL REFERENCES coupon_user (number),
    redeemed    INTEGER NOT NULL CHECK (redeemed > 0),
    PRIMARY KEY (book_id, user_number)
) STRICT, WITHOUT ROWID;
INSERT INTO new_count
SELECT book_id, number, redeemed FROM user_redemption_count AS old JOIN coupon_user ON coupon_user.user_id = old.user_id;
DROP TABLE user_redemption_count;
ALTER TABLE new_count RENAME TO user_redemption_count;

DROP TABLE temp.old_upload;
DROP TABLE temp.old_entry;
