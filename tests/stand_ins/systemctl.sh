#!/bin/sh
# The systemctl of a machine that does not run systemd: which timers are enabled is in the folder that $ENABLED names.
command=$1
shift
for name in "$@"; do
    case $command,$name in
    *,-*) ;;
    enable,*) touch "$ENABLED/$name" ;;
    disable,*) rm "$ENABLED/$name" ;;
    is-enabled,*) [ -e "$ENABLED/$name" ] || exit 1 ;;
    esac
done
