-- Switches the watch on with an address, or off without one.
SELECT {schema}.set_watch(%(url)s)
