-- Whether there have been runs between a saved one and the next one that are no points any more (see 035_thinning.sql). An older release
-- thins none, and has no column for it: then the name is that of `older`.
SELECT EXISTS (
    SELECT FROM (VALUES (NULL::interval)) AS older (waited) CROSS JOIN LATERAL (
        SELECT waited FROM {schema}.runs
        WHERE source = %(source)s AND outcome = 'saved' AND run > %(run)s ORDER BY run LIMIT 1) AS next
    WHERE next.waited IS NOT NULL)
