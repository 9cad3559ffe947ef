-- Jobs make codes in rounds (domain/generation.hpp).
ALTER TABLE job ADD COLUMN round_first INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN round_end INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN round_done INTEGER NOT NULL DEFAULT 0;
