-- The editor role: it may see the tables of which edits come back to the bot, and change there exactly what is accepted. Every change is in
-- the undo log, whose triggers belong to somebody else; of the bookkeeping it sees nothing.

-- Gives the editor what is accepted in one schema of mirrors, and takes away all else there: `allowed` is [{{mirror, columns, insert,
-- delete}}]. Returns what was allowed and is not there.
CREATE OR REPLACE FUNCTION {schema}.let_edit(editor text, in_schema text, allowed jsonb) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_there boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = editor);
    held record;
    one record;
BEGIN
    FOR held IN
        SELECT pg_class.oid, relname FROM pg_class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE is_there AND nspname = in_schema AND relkind = 'r' AND EXISTS (
            SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'editor')
    LOOP
        EXECUTE format('REVOKE ALL ON %I.%I FROM %I', in_schema, held.relname, editor);
        EXECUTE format('DROP POLICY editor ON %I.%I', in_schema, held.relname);
    END LOOP;
    IF is_there THEN
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', in_schema, editor);
    END IF;
    FOR one IN
        SELECT given.*, mirrors.oid, ARRAY(
            SELECT quote_ident(name) FROM unnest(given.columns) AS name JOIN pg_attribute ON attrelid = mirrors.oid AND attname = name
            WHERE attnum > 0 AND NOT attisdropped) AS found
        FROM jsonb_to_recordset(allowed) AS given (mirror text, columns text[], insert boolean, delete boolean)
        LEFT JOIN (pg_class AS mirrors JOIN pg_namespace AS namespace ON namespace.oid = relnamespace AND nspname = in_schema)
            ON relname = mirror AND relkind = 'r'
    LOOP
        RETURN QUERY SELECT one.mirror || '.' || name FROM unnest(one.columns) AS name WHERE quote_ident(name) <> ALL (one.found);
        IF one.oid IS NULL THEN
            RETURN QUERY SELECT one.mirror || '.' || what FROM (VALUES ('insert', one.insert), ('delete', one.delete)) AS asked (what, is_asked)
            WHERE is_asked;
        ELSIF is_there THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', in_schema, editor);
            EXECUTE format('GRANT SELECT %s %s %s ON %I.%I TO %I', ', UPDATE (' || nullif(array_to_string(one.found, ', '), '') || ')',
                CASE WHEN one.insert THEN ', INSERT' END, CASE WHEN one.delete THEN ', DELETE' END, in_schema, one.mirror, editor);
            EXECUTE format('CREATE POLICY editor ON %I.%I TO %I USING (true) WITH CHECK (true)', in_schema, one.mirror, editor);
        END IF;
    END LOOP;
END;
$$;
