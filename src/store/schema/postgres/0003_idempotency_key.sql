-- Answers to requests with an idempotency key, kept for a day so that the request can be repeated.
CREATE TABLE idempotency_key (
    at          bigint NOT NULL,  -- when it was answered first
    fingerprint bytea  NOT NULL,  -- SHA-256 of the request
    key         text   COLLATE "C" NOT NULL,
    request_id  text   COLLATE "C" NOT NULL,
    outcome     text   COLLATE "C" NOT NULL,  -- domain/remember.hpp
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (key)
);
CREATE INDEX idempotency_key_at ON idempotency_key (at);
