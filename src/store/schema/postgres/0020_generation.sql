-- Codes made by the patterns of books.
LOCK TABLE activity_count IN ACCESS EXCLUSIVE MODE;
ALTER TABLE activity_count ADD COLUMN generated bigint NOT NULL DEFAULT 0;  -- codes

-- What the codes of a book and a pattern come from (domain/generation.hpp). Whoever has the key can tell the codes: no
-- constraint but NOT NULL is on it, for the server logs the row that violates one.
CREATE TABLE code_generator (
    book_id      bigint NOT NULL,
    next         bigint NOT NULL,
    drafts       bigint NOT NULL,
    code_key     bytea  NOT NULL,  -- 32 bytes
    code_pattern text   COLLATE "C" NOT NULL,
    CONSTRAINT code_generator_pkey PRIMARY KEY (book_id, code_pattern)
) WITH (fillfactor = 50);

-- Those that make many codes, piece by piece; also those that have ended.
CREATE TABLE job (
    id                bigint   NOT NULL,
    book_id           bigint   NOT NULL,
    requested         bigint   NOT NULL,  -- codes
    created           bigint   NOT NULL,
    guess_probability double precision NOT NULL,
    created_at        bigint   NOT NULL,
    started_at        bigint,
    finished_at       bigint,
    claimed_until     bigint,             -- until then only its worker makes a piece
    version           bigint   NOT NULL,  -- grows with every change; saves are guarded by it
    status            smallint NOT NULL,  -- Job::Status
    code_pattern      text     COLLATE "C" NOT NULL,
    settings          text     COLLATE "C",  -- of its codes (domain/settings.hpp); NULL: all is as by default
    error             text     COLLATE "C",  -- why it has failed: Refusal
    request_id        text     COLLATE "C" NOT NULL,
    worker            text     COLLATE "C",  -- whoever made its last piece
    CONSTRAINT job_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50);
CREATE INDEX job_book ON job (book_id, id);
CREATE INDEX job_unfinished ON job (id) WHERE status < 2;
INSERT INTO id_counter VALUES ('job', 1);
