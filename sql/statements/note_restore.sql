-- Remembers that the bot's file is as this run left it, and whose file it is.
SELECT {schema}.note_restore(%(source)s, %(run)s, %(origin)s, %(machine)s, %(path)s)
