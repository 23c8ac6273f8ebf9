-- The usual time between two runs in seconds, as an expression: the median of the last twenty pauses between saved ones, of which none was
-- thinned.
(
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY pause) FROM (
        SELECT extract(epoch FROM started_at - lag(started_at) OVER (ORDER BY run)) AS pause, newest.waited
        FROM (VALUES (NULL::interval)) AS older (waited) CROSS JOIN LATERAL (
            SELECT run, started_at, waited FROM {schema}.runs
            WHERE source = {of_source} AND outcome = 'saved' ORDER BY run DESC LIMIT 21) AS newest
        ORDER BY run DESC LIMIT 20
    ) AS pauses WHERE waited IS NULL HAVING count(pause) >= 2)
