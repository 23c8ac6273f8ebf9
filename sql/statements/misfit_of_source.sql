-- The condition that a misfit is one of a source.
mirror.source = {source}
