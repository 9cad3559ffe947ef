-- Files of codes that are brought in by jobs.
ALTER TABLE job ADD COLUMN import TEXT;  -- what it has of its file (domain/import.hpp); NULL: it makes codes
ALTER TABLE job ADD COLUMN adds_alone INTEGER NOT NULL DEFAULT 0;  -- 1: nobody else may add codes
CREATE INDEX job_adds_alone ON job (id) WHERE adds_alone = 1;

-- The files, part by part, until their jobs have ended.
CREATE TABLE file_part (
    job_id INTEGER NOT NULL,
    number INTEGER NOT NULL,  -- from 0
    bytes  BLOB    NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT;
CREATE INDEX file_part_first ON file_part (job_id, number) WHERE number = 0;  -- one row a file

-- Rows of them that were not taken in.
CREATE TABLE rejected_row (
    job_id INTEGER NOT NULL,
    line   INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    text   TEXT    NOT NULL,  -- what it begins with
    PRIMARY KEY (job_id, line)
) STRICT, WITHOUT ROWID;

-- Books that may have codes made by themselves, whenever few are left.
CREATE INDEX coupon_book_auto ON coupon_book (id) WHERE instr(settings, 'auto_generate ') > 0;
