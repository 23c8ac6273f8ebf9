-- What the operator wants to know of a server, and what setup needs to know of its user.
SELECT
    current_setting('server_version'),
    current_setting('server_version_num')::int,
    current_setting('server_encoding'),
    current_setting('transaction_read_only')::boolean,
    has_database_privilege(current_database(), 'CREATE'),
    has_database_privilege(current_database(), 'TEMP'),
    pg_database_size(current_database()),
    current_user
