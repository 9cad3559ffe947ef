-- What was moved out of the ledger, by book and quarter of an hour: added to what is left, it gives activity_count.
CREATE TABLE ledger_moved (
    book_id        bigint NOT NULL,
    since          bigint NOT NULL,
    last_entry_id  bigint NOT NULL,  -- the greatest id that was moved out
    assigned       bigint NOT NULL,
    locked         bigint NOT NULL,
    redeemed       bigint NOT NULL,
    discount_cents bigint NOT NULL,
    CONSTRAINT ledger_moved_pkey PRIMARY KEY (book_id, since)
);
