-- Switches the watch on where an address is in watch_url, else off.
SELECT {schema}.set_watch()
