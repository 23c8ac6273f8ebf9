-- Keeps people from changing a mirror by hand from when its rows are sent until they are proven; everybody may still read.
LOCK TABLE {mirror} IN SHARE ROW EXCLUSIVE MODE;
