-- Whether there have been runs between a saved one and the next one that are no points any more (see 035_thinning.sql). An older release
-- thins none: hence to_jsonb.
SELECT EXISTS (
    SELECT FROM {schema}.runs WHERE source = %(source)s AND to_jsonb(runs)->>'waited' IS NOT NULL AND run = (
        SELECT min(run) FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved' AND run > %(run)s))
