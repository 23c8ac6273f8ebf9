-- Remembers that the bot's file is as this run left it.
SELECT {schema}.note_restore(%(source)s, %(run)s)
