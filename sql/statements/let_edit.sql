-- Gives the editor role, where there is one, what is accepted of one source's mirrors, notes that it is, and returns what is not there.
SELECT {schema}.accept_edits(%(source)s, %(items)s);
SELECT {schema}.let_edit(%(editor)s, %(mirror_schema)s, %(allowed)s::jsonb)
