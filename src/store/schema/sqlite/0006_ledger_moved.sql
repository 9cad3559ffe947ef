-- What was moved out of the ledger, by book and quarter of an hour: added to what is left, it gives activity_count.
CREATE TABLE ledger_moved (
    book_id        INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    last_entry_id  INTEGER NOT NULL,  -- the greatest id that was moved out
    assigned       INTEGER NOT NULL,
    locked         INTEGER NOT NULL,
    redeemed       INTEGER NOT NULL,
    discount_cents INTEGER NOT NULL,
    PRIMARY KEY (book_id, since)
) STRICT, WITHOUT ROWID;
