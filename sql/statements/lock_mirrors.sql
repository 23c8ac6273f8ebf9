-- Keeps people from changing the mirrors by hand while a run compares them; everybody may still read.
LOCK TABLE {mirrors} IN SHARE ROW EXCLUSIVE MODE;
