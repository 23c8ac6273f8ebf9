-- How the sources that are asked for are doing, and how many bytes the whole database has, in one round trip.
SELECT name, {health} || {details}, (SELECT pg_database_size(current_database())) FROM unnest(%(sources)s::text[]) AS asked (name)
