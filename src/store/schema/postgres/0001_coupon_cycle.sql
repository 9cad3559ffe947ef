-- Books, codes, who holds, locks and redeems them, and the counts of all that.
-- Times are milliseconds since 1970 in UTC, money is in cents.

-- What a guarded change calls when a row was not as it was loaded: ends the transaction, so that a COMMIT sent behind
-- it is not carried out.
CREATE FUNCTION coupond_conflict() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'a row is no longer as it was loaded' USING ERRCODE = 'serialization_failure';
END
$$;

-- Where ids come from: reserved ahead and never given back, so there may be gaps.
CREATE TABLE id_counter (
    "of" text   COLLATE "C" NOT NULL,
    next bigint NOT NULL,
    CONSTRAINT id_counter_pkey PRIMARY KEY ("of")
) WITH (fillfactor = 10);
INSERT INTO id_counter VALUES ('coupon_book', 1), ('coupon_code', 1);

CREATE TABLE coupon_book (
    id                       bigint NOT NULL,
    name                     text   COLLATE "C" NOT NULL,
    code_pattern             text   COLLATE "C" NOT NULL,
    max_redemptions_per_user bigint,
    discount_cents           bigint,
    created_at               bigint NOT NULL,
    updated_at               bigint NOT NULL,
    CONSTRAINT coupon_book_pkey PRIMARY KEY (id)
);

-- A redemption, a lock and its release change no indexed column: with room left in its page, the row's next version
-- stays there and no index is touched.
CREATE TABLE coupon_code (
    id           bigint NOT NULL,
    book_id      bigint NOT NULL,
    version      bigint NOT NULL,  -- grows with every change; saves are guarded by it
    shuffle_key  bigint NOT NULL,  -- random, from 0: the order in which free codes are given away
    created_at   bigint NOT NULL,
    locked_until bigint,
    redeemed_at  bigint,
    code         text   COLLATE "C" NOT NULL,
    assigned_to  text   COLLATE "C",
    locked_by    text   COLLATE "C",
    CONSTRAINT coupon_code_pkey PRIMARY KEY (id),
    CONSTRAINT coupon_code_book_id_fkey FOREIGN KEY (book_id) REFERENCES coupon_book (id),
    CONSTRAINT coupon_code_lock_check CHECK ((locked_by IS NULL) = (locked_until IS NULL)),
    CONSTRAINT coupon_code_redeemed_check CHECK (redeemed_at IS NULL OR assigned_to IS NOT NULL)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX coupon_code_code ON coupon_code (code);
CREATE INDEX coupon_code_free ON coupon_code (book_id, shuffle_key) WHERE assigned_to IS NULL;
CREATE INDEX coupon_code_book ON coupon_code (book_id);

-- The counts below have no foreign keys: checking one writes a lock into the row of the book.

-- How many codes of a book there are, are assigned to nobody, and are redeemed: the sums over the slots. Each process
-- counts in a slot of its own, so that none waits for another one's row; a single slot may go below zero.
CREATE TABLE book_count (
    book_id   bigint   NOT NULL,
    slot      smallint NOT NULL,
    total     bigint   NOT NULL,
    available bigint   NOT NULL,
    redeemed  bigint   NOT NULL,
    CONSTRAINT book_count_pkey PRIMARY KEY (book_id, slot)
) WITH (fillfactor = 20);

-- How many codes of a book are locked until when: the codes locked now are the sum over the future, and no expiry needs
-- a write.
CREATE TABLE lock_count (
    book_id      bigint NOT NULL,
    locked_until bigint NOT NULL,
    codes        bigint NOT NULL,
    CONSTRAINT lock_count_pkey PRIMARY KEY (book_id, locked_until)
) WITH (fillfactor = 50);

-- How often a user has redeemed codes of a book, for books that limit it. For the others it is not kept: it can be
-- counted from coupon_code when a book gets a limit.
CREATE TABLE user_redemption_count (
    book_id  bigint NOT NULL,
    user_id  text   COLLATE "C" NOT NULL,
    redeemed bigint NOT NULL,
    CONSTRAINT user_redemption_count_pkey PRIMARY KEY (book_id, user_id),
    CONSTRAINT user_redemption_count_redeemed_check CHECK (redeemed > 0)
) WITH (fillfactor = 80);
