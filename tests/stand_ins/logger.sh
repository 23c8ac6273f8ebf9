#!/bin/sh
# The logger of a machine without a system's log: what it is told is in the file that $LOGGED names, and on stderr.
exec tee -a "$LOGGED" >&2
