-- Of the texts of the codes that an upload brought: uploads from before have none.
ALTER TABLE ledger ADD COLUMN codes_digest bytea;
