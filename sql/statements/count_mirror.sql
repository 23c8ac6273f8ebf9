-- Counts a mirror's rows, for whoever reads only some of them and compares no digest.
SELECT count(*) FROM {only} {mirror}
