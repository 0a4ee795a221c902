#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the benchmarks it is given, one after the other, in their quick form; BENCH_ARGS adds options.
for program in "$@"; do
    # shellcheck disable=SC2086 # BENCH_ARGS is a list of words
    "$program" --quick ${BENCH_ARGS:-} || exit
    echo
done
