-- Names a mirror that has no rows: its first load needs no staging table and no merge.
SELECT {label} WHERE NOT EXISTS (SELECT FROM ONLY {mirror})
