-- The sources that the settings do not name, with the origin that their last run has noted.
SELECT source, origin FROM {schema}.sources WHERE source <> ALL (%(sources)s) AND retired_at IS NULL AND origin IS NOT NULL
