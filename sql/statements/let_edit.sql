-- Gives the editor role, where there is one, what is accepted of one source's mirrors, notes that it is, and returns what is not there. What is
-- no source any more he has no rights on.
SELECT {schema}.accept_edits(%(source)s, %(items)s);
SELECT {schema}.let_edit(%(editor)s, mirror_schema, '[]') FROM {schema}.sources WHERE source <> ALL (%(sources)s);
SELECT {schema}.let_edit(%(editor)s, %(mirror_schema)s, %(allowed)s::jsonb)
