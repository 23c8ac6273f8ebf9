-- Limits what the next statements of this transaction may take; nothing does for COPY, which takes as long as the link needs: there the
-- client ends what has fallen silent.
SET LOCAL statement_timeout = {statement_timeout};
