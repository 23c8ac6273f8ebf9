-- Notes which edits are accepted, and says whether people have made any that nobody has judged, or whose outcome no run has sent
-- (see sql/setup/060_edits.sql).
SELECT {schema}.accept_edits(%(source)s, %(items)s);
SELECT {schema}.is_edited(%(source)s) OR EXISTS (SELECT FROM {schema}.edits WHERE source = %(source)s AND run IS NULL)
