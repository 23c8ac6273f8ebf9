-- Notes that the operator has taken these sources out of his settings: nobody waits for their next run. The next run ends that.
UPDATE {schema}.sources SET retired_at = clock_timestamp() WHERE source = ANY (%(sources)s)
