-- Files of codes that are brought in by jobs.
ALTER TABLE job
    ADD COLUMN import text COLLATE "C",  -- what it has of its file (domain/import.hpp); NULL: it makes codes
    ADD COLUMN adds_alone bigint NOT NULL DEFAULT 0;  -- 1: nobody else may add codes
CREATE INDEX job_adds_alone ON job (id) WHERE adds_alone = 1;

-- The files, part by part, until their jobs have ended.
CREATE TABLE file_part (
    job_id bigint NOT NULL,
    number bigint NOT NULL,  -- from 0
    bytes  bytea  NOT NULL,
    CONSTRAINT file_part_pkey PRIMARY KEY (job_id, number)
);
ALTER TABLE file_part ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX file_part_first ON file_part (job_id, number) WHERE number = 0;  -- one row a file

-- Rows of them that were not taken in.
CREATE TABLE rejected_row (
    job_id bigint NOT NULL,
    line   bigint NOT NULL,
    reason text   COLLATE "C" NOT NULL,
    text   text   COLLATE "C" NOT NULL,  -- what it begins with
    CONSTRAINT rejected_row_pkey PRIMARY KEY (job_id, line)
);

-- Books that may have codes made by themselves, whenever few are left.
CREATE INDEX coupon_book_auto ON coupon_book (id) WHERE position('auto_generate ' IN settings) > 0;
