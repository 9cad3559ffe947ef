-- Books, codes, who holds, locks and redeems them, and the counts of all that.
-- Times are milliseconds since 1970 in UTC, money is in cents.

CREATE TABLE coupon_book (
    id                       INTEGER PRIMARY KEY,
    name                     TEXT    NOT NULL,
    code_pattern             TEXT    NOT NULL,
    max_redemptions_per_user INTEGER,
    discount_cents           INTEGER,
    created_at               INTEGER NOT NULL,
    updated_at               INTEGER NOT NULL
) STRICT;

CREATE TABLE coupon_code (
    id           INTEGER PRIMARY KEY,
    book_id      INTEGER NOT NULL REFERENCES coupon_book (id),
    version      INTEGER NOT NULL,  -- grows with every change; saves are guarded by it
    shuffle_key  INTEGER NOT NULL,  -- random, from 0: the order in which free codes are given away
    created_at   INTEGER NOT NULL,
    locked_until INTEGER,
    redeemed_at  INTEGER,
    code         TEXT    NOT NULL,
    assigned_to  TEXT,
    locked_by    TEXT,
    CHECK ((locked_by IS NULL) = (locked_until IS NULL)),
    CHECK (redeemed_at IS NULL OR assigned_to IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX coupon_code_code ON coupon_code (code);
CREATE INDEX coupon_code_free ON coupon_code (book_id, shuffle_key) WHERE assigned_to IS NULL;
CREATE INDEX coupon_code_book ON coupon_code (book_id);

-- How many codes of a book there are, are assigned to nobody, and are redeemed.
CREATE TABLE book_count (
    book_id   INTEGER PRIMARY KEY REFERENCES coupon_book (id),
    total     INTEGER NOT NULL,
    available INTEGER NOT NULL CHECK (available >= 0),
    redeemed  INTEGER NOT NULL CHECK (redeemed >= 0),
    CHECK (available + redeemed <= total)
) STRICT;

-- How many codes of a book are locked until when: the codes locked now are the sum over the future, and no
-- expiry needs a write.
CREATE TABLE lock_count (
    book_id      INTEGER NOT NULL REFERENCES coupon_book (id),
    locked_until INTEGER NOT NULL,
    codes        INTEGER NOT NULL,
    PRIMARY KEY (book_id, locked_until)
) STRICT, WITHOUT ROWID;

-- How often a user has redeemed codes of a book, for books that limit it. For the others it is not kept: it would cost
-- every redemption a second page, and can be counted from coupon_code when a book gets a limit.
CREATE TABLE user_redemption_count (
    book_id  INTEGER NOT NULL REFERENCES coupon_book (id),
    user_id  TEXT    NOT NULL,
    redeemed INTEGER NOT NULL CHECK (redeemed > 0),
    PRIMARY KEY (book_id, user_id)
) STRICT, WITHOUT ROWID;
