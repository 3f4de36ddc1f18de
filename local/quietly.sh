#!/bin/sh
# Run a command under one line that says what it does; its own output is shown only if it fails.
#
#     local/quietly.sh "Install the tools" command argument…
text=$1
shift
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
began=$(date +%s)

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    "$@" >"$log" 2>&1 </dev/null &
    child=$!
    trap 'kill "$child" 2>/dev/null; printf "\n"; exit 130' INT TERM
    while kill -0 "$child" 2>/dev/null; do
        for dots in '.  ' '.. ' '...'; do
            printf '\r  %s %s %s s' "$text" "$dots" "$(($(date +%s) - began))"
            sleep 0.2
        done
    done
    wait "$child"
    code=$?
    printf '\r\033[K'
else
    printf '  %s ...\n' "$text"
    "$@" >"$log" 2>&1 </dev/null
    code=$?
fi

if [ "$code" -ne 0 ]; then
    cat "$log" >&2
    printf '✗ %s: failed; the output is above\n' "$text" >&2
    exit "$code"
fi
printf '✓ %s (%s s)\n' "$text" "$(($(date +%s) - began))"
