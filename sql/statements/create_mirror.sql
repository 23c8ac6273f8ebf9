-- Makes a mirror. New rows fill a page to so many percent: in the rest updated ones find room, and no index is written for them.
CREATE TABLE {mirror} (
{lines}
) WITH (fillfactor = {fillfactor});
