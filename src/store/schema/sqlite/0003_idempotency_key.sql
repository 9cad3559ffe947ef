-- Answers to requests with an idempotency key, kept for a day so that the request can be repeated.
CREATE TABLE idempotency_key (
    key         TEXT    NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,  -- when it was answered first
    fingerprint BLOB    NOT NULL,  -- SHA-256 of the request
    request_id  TEXT    NOT NULL,
    outcome     TEXT    NOT NULL   -- domain/remember.hpp
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_key_at ON idempotency_key (at);
