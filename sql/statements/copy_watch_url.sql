-- Takes the address that the watch posts to as COPY's data, which stands in no statement.
COPY {schema}.watch_url (url) FROM STDIN WITH (FORMAT csv)
