#!/bin/sh
# SPDX-License-Identifier: MIT
# An append (acks=1), also while a consumer spins, and a poll neither allocate nor make a system call for a record; a new segment
# and a stretch of pages to be touched may cost some. usage: test_hot_path.sh HOT_PATH_PROGRAM
set -u
program=$1
records=100000
calls_a_roll=64  # making, opening and mapping the files of one segment
touches=320      # one call for each 64 KiB of a hundred thousand small records
directory=$(mktemp -d "${TMPDIR:-/tmp}/kafkalite-hot-XXXXXX") || exit 1
trap 'rm -rf "$directory"' EXIT
number=0

result() { # passed (0 or 1), description
    number=$((number + 1))
    if [ "$1" -eq 1 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}

allocations() { # what
    if ! "$program" "$directory/$1-heap" "$1" >"$directory/said"; then
        result 0 "$1: the program failed"
        return
    fi
    read -r count rolls <"$directory/said"
    echo "# $1: $count allocations, $rolls new segments, $records records"
    result $((count <= calls_a_roll * (rolls + 1))) "$1: no allocation for a record"
}

calls() { # what
    if ! strace -o "$directory/calls" "$program" "$directory/$1-calls" "$1" \
        >"$directory/said" 2>"$directory/error"; then
        number=$((number + 1))
        echo "ok $number - $1: no system call for a record # SKIP strace cannot run here"
        return
    fi
    read -r count rolls <"$directory/said"
    # Of this thread, between the probes: those that touch pages, and all others.
    sed -n '\|/hot-path/begin|,\|/hot-path/end|p' "$directory/calls" |
        sed '1d;$d' >"$directory/measured"
    touched=$(grep -c '^madvise(' "$directory/measured")
    others=$(grep -vc '^madvise(' "$directory/measured")
    echo "# $1: $touched calls to touch pages, $others others, $rolls new segments"
    sed 's/(.*//' "$directory/measured" | sort | uniq -c | sort -rn | sed 's/^ */#     /'
    result $((touched <= touches && others <= calls_a_roll * (rolls + 1))) \
        "$1: no system call for a record"
}

echo 1..6
allocations append
allocations watched
allocations poll
calls append
calls watched
calls poll
