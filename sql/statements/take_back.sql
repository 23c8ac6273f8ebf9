-- Notes that the settings name these sources, whatever was before: their next run is waited for.
UPDATE {schema}.sources SET retired_at = NULL WHERE source = ANY (%(sources)s) AND retired_at IS NOT NULL
