-- Each table then reads its own lines alone, however many others have sent.
CREATE INDEX ON pg_temp.staged (part);
