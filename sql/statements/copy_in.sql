-- Fills a staging table, or an empty mirror. Text is quoted and NULL is bare: FORMAT csv tells the two apart, and an unquoted
-- \. line would end the COPY.
COPY {place} ({columns}) FROM STDIN (FORMAT csv)
