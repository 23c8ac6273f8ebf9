#!/bin/sh
# The crontab of a machine that has none: `crontab [-u USER] -l` and `crontab [-u USER] -`, in the file that $CRONTAB names.
[ "$1" = -u ] && shift 2
if [ -n "$CRONTAB_REFUSES" ]; then
    echo "You (bot) are not allowed to use this program (crontab)" >&2
    exit 1
elif [ "$1" = - ]; then
    cat > "$CRONTAB"
elif [ -e "$CRONTAB" ]; then
    cat "$CRONTAB"
else
    echo "no crontab for bot" >&2
    exit 1
fi
