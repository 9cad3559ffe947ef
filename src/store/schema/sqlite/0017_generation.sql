-- Codes made by the patterns of books.
ALTER TABLE activity_count ADD COLUMN generated INTEGER NOT NULL DEFAULT 0;  -- codes

-- What the codes of a book and a pattern come from (domain/generation.hpp). Whoever has the key can tell the codes: no
-- constraint is on it, for what violates one is shown.
CREATE TABLE code_generator (
    book_id      INTEGER NOT NULL,
    code_pattern TEXT    NOT NULL,
    code_key     BLOB    NOT NULL,  -- 32 bytes
    next         INTEGER NOT NULL,
    drafts       INTEGER NOT NULL,
    PRIMARY KEY (book_id, code_pattern)
) STRICT, WITHOUT ROWID;

-- Those that make many codes, piece by piece; also those that have ended.
CREATE TABLE job (
    id                INTEGER PRIMARY KEY,
    book_id           INTEGER NOT NULL,
    status            INTEGER NOT NULL,  -- Job::Status
    code_pattern      TEXT    NOT NULL,
    settings          TEXT,              -- of its codes (domain/settings.hpp); NULL: all is as by default
    requested         INTEGER NOT NULL,  -- codes
    created           INTEGER NOT NULL,
    guess_probability REAL    NOT NULL,
    created_at        INTEGER NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,
    error             TEXT,              -- why it has failed: Refusal
    request_id        TEXT    NOT NULL,
    worker            TEXT,              -- whoever made its last piece,
    claimed_until     INTEGER,           -- and until then nobody else makes one
    version           INTEGER NOT NULL   -- grows with every change; saves are guarded by it
) STRICT;
CREATE INDEX job_book ON job (book_id);
CREATE INDEX job_unfinished ON job (id) WHERE status < 2;
