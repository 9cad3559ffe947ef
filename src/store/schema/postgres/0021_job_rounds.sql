-- Jobs make codes in rounds (domain/generation.hpp).
ALTER TABLE job
    ADD COLUMN round_first bigint NOT NULL DEFAULT 0,
    ADD COLUMN round_end bigint NOT NULL DEFAULT 0,
    ADD COLUMN round_done bigint NOT NULL DEFAULT 0;
