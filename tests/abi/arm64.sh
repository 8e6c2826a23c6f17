#!/bin/bash
# arm64.sh ROOT: the static assertions of this directory with the cross compiler.
cd "$1" || exit 1
command -v aarch64-linux-gnu-gcc >/dev/null || { echo "SKIP no aarch64-linux-gnu-gcc"; exit 77; }
for topic in struct event socket tcp inet arm64; do
    aarch64-linux-gnu-gcc -std=gnu17 -I. -fsyntax-only -Wall -Werror \
        "tests/abi/${topic}_test.c" || exit 1
done
