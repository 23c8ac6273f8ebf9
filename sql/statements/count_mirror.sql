-- Counts a mirror's rows.
SELECT {label}, count(*) FROM ONLY {mirror}
