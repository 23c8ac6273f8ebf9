-- Forgets where the watch posts to.
DELETE FROM {schema}.watch_url
