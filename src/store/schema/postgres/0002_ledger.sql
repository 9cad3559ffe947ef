-- The ledger: an entry for each change, written with it and never altered.

-- What a process of the version before writes meanwhile would be lost.
LOCK TABLE coupon_code, coupon_book, user_redemption_count IN ACCESS EXCLUSIVE MODE;

-- Users by number: the id that the shop gave them stands nowhere else, so that forgetting a person is the change of one
-- row, which the ledger need not be rewritten for.
CREATE TABLE coupon_user (
    number  bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    user_id text   COLLATE "C" NOT NULL,
    CONSTRAINT coupon_user_pkey PRIMARY KEY (number)
);
CREATE UNIQUE INDEX coupon_user_user_id ON coupon_user (user_id);

-- Ids follow from those of transactions: (transaction + ledger_origin.transaction_offset) * 4096 for its first entry.
-- A transaction takes its id after it has read what it goes by, so whatever it has seen has a smaller one: the ids are
-- in an order in which the transactions could have run one after the other. And who reads the entries of transactions
-- older than all that still run will never find another one before those. No process waits for
-- another one's number, as it would for the next one of a counter without gaps.
CREATE TABLE ledger (
    id             bigint   NOT NULL,
    at             bigint   NOT NULL,
    book_id        bigint   NOT NULL,
    code_id        bigint,             -- of an upload: the first one
    codes          bigint,             -- of an upload: how many, with ids one after the other
    user_number    bigint,
    previous_id    bigint,             -- the change of the same code before this one
    locked_until   bigint,
    discount_cents bigint,
    type           smallint NOT NULL,  -- LedgerEntry::Type
    request_id     text     COLLATE "C" NOT NULL,
    CONSTRAINT ledger_pkey PRIMARY KEY (id)
);
-- Locks that are kept in Redis change no code, so no chain of changes leads to them.
CREATE INDEX ledger_lock_elsewhere ON ledger (code_id, id) WHERE type = 4 AND previous_id IS NULL;

-- A row of its own, because the ids of transactions begin anew where a database is restored into another cluster.
CREATE TABLE ledger_origin (
    one                boolean NOT NULL DEFAULT true CONSTRAINT ledger_origin_one_check CHECK (one),
    system_identifier  bigint  NOT NULL,  -- of the cluster for which the offset holds
    transaction_offset bigint  NOT NULL,
    CONSTRAINT ledger_origin_pkey PRIMARY KEY (one)
);

-- Entries for what is there already, as far as it can be told: nobody has noted when codes were assigned and locked.
INSERT INTO coupon_user (user_id)
SELECT DISTINCT assigned_to FROM coupon_code WHERE assigned_to IS NOT NULL ORDER BY assigned_to;

CREATE TEMPORARY TABLE old_entry ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY at, type, code_id, book_id) AS id, old.*
FROM (
    SELECT created_at AS at, id AS book_id, NULL::bigint AS code_id, NULL::bigint AS codes, NULL AS user_id,
           NULL::bigint AS locked_until, NULL::bigint AS discount_cents, 1 AS type
    FROM coupon_book
    UNION ALL
    SELECT created_at, book_id, min(id), count(*), NULL, NULL, NULL, 2
    FROM (SELECT *, id - row_number() OVER (PARTITION BY book_id, created_at ORDER BY id) AS run FROM coupon_code) AS code
    GROUP BY book_id, created_at, run
    UNION ALL
    SELECT created_at, book_id, id, NULL, assigned_to, NULL, NULL, 3 FROM coupon_code WHERE assigned_to IS NOT NULL
    UNION ALL
    SELECT created_at, book_id, id, NULL, assigned_to, locked_until, NULL, 4 FROM coupon_code
    WHERE locked_until IS NOT NULL
    UNION ALL
    SELECT greatest(redeemed_at, code.created_at), book_id, code.id, NULL, assigned_to, NULL, discount_cents, 5
    FROM coupon_code AS code JOIN coupon_book AS book ON book.id = code.book_id
    WHERE redeemed_at IS NOT NULL
) AS old;

CREATE INDEX old_entry_code ON old_entry (code_id, id) WHERE type > 2;
ANALYZE old_entry;

CREATE TEMPORARY TABLE old_upload ON COMMIT DROP AS
SELECT code.id AS code_id, entry.id AS entry_id
FROM coupon_code AS code
JOIN old_entry AS entry ON entry.type = 2 AND entry.book_id = code.book_id AND entry.at = code.created_at
    AND code.id >= entry.code_id AND code.id < entry.code_id + entry.codes;

ANALYZE old_upload;
ANALYZE coupon_user;

INSERT INTO ledger (id, at, book_id, code_id, codes, user_number, previous_id, locked_until, discount_cents, type,
                    request_id)
SELECT entry.id, entry.at, entry.book_id, entry.code_id, entry.codes, coupon_user.number,
       CASE WHEN entry.type > 2 THEN coalesce(
           lag(entry.id) OVER (PARTITION BY entry.type > 2, entry.code_id ORDER BY entry.id), old_upload.entry_id) END,
       entry.locked_until, entry.discount_cents, entry.type, 'migration'
FROM old_entry AS entry
LEFT JOIN coupon_user ON coupon_user.user_id = entry.user_id
LEFT JOIN old_upload ON entry.type > 2 AND old_upload.code_id = entry.code_id;

INSERT INTO ledger_origin (system_identifier, transaction_offset)
SELECT system_identifier, (SELECT coalesce(max(id), 0) / 4096 + 1 FROM ledger) - pg_current_xact_id()::text::bigint
FROM pg_control_system();

-- Codes with the numbers of users, and with their last entry instead of a version.
ALTER TABLE coupon_code RENAME TO old_code;
CREATE TABLE coupon_code (
    id            bigint NOT NULL,
    book_id       bigint NOT NULL,
    shuffle_key   bigint NOT NULL,  -- random, from 0: the order in which free codes are given away
    created_at    bigint NOT NULL,
    locked_until  bigint,           -- of the holder's last lock, which may be dead
    redeemed_at   bigint,
    last_entry_id bigint NOT NULL,  -- in the ledger: differs after every change, so saves are guarded by it
    assigned_to   bigint,
    code          text   COLLATE "C" NOT NULL
) WITH (fillfactor = 80);
INSERT INTO coupon_code
SELECT code.id, code.book_id, code.shuffle_key, code.created_at, code.locked_until, code.redeemed_at,
       coalesce((SELECT max(entry.id) FROM old_entry AS entry WHERE entry.type > 2 AND entry.code_id = code.id),
                old_upload.entry_id),
       coupon_user.number, code.code
FROM old_code AS code
JOIN old_upload ON old_upload.code_id = code.id
LEFT JOIN coupon_user ON coupon_user.user_id = code.assigned_to;
DROP TABLE old_code;
ALTER TABLE coupon_code
    ADD CONSTRAINT coupon_code_pkey PRIMARY KEY (id),
    ADD CONSTRAINT coupon_code_book_id_fkey FOREIGN KEY (book_id) REFERENCES coupon_book (id),
    ADD CONSTRAINT coupon_code_lock_check CHECK (locked_until IS NULL OR assigned_to IS NOT NULL),
    ADD CONSTRAINT coupon_code_redeemed_check CHECK (redeemed_at IS NULL OR assigned_to IS NOT NULL);
CREATE UNIQUE INDEX coupon_code_code ON coupon_code (code);
CREATE INDEX coupon_code_free ON coupon_code (book_id, shuffle_key) WHERE assigned_to IS NULL;
CREATE INDEX coupon_code_book ON coupon_code (book_id, id);
CREATE INDEX coupon_code_holder ON coupon_code (assigned_to, id) WHERE assigned_to IS NOT NULL;

ALTER TABLE user_redemption_count RENAME TO old_count;
CREATE TABLE user_redemption_count (
    book_id     bigint NOT NULL,
    user_number bigint NOT NULL,
    redeemed    bigint NOT NULL
) WITH (fillfactor = 80);
INSERT INTO user_redemption_count
SELECT book_id, number, redeemed FROM old_count JOIN coupon_user ON coupon_user.user_id = old_count.user_id;
DROP TABLE old_count;
ALTER TABLE user_redemption_count
    ADD CONSTRAINT user_redemption_count_pkey PRIMARY KEY (book_id, user_number),
    ADD CONSTRAINT user_redemption_count_redeemed_check CHECK (redeemed > 0);
