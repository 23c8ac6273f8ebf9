-- The condition that what the undo log holds may have this value in a column: as JSON, or as the text that an earlier type made of it.
(position(to_json({column}::text)::text || ':' || to_json({value}::text)::text IN {lines}) > 0
    OR position(to_json({column}::text)::text || ':' || {value}::text IN {lines}) > 0)
