-- How many times users were erased. A batch goes by the ids of users; whoever has loaded it before an erasure and saves
-- it behind that loads it again.
INSERT INTO id_counter VALUES ('erasure', 1);
