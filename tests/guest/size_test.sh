#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# size_test.sh FILE MAX: the kernel is no larger than MAX bytes.
size=$(stat -Lc %s "$1") || exit 1
echo "$1: $size bytes, $2 at most"
[ "$size" -le "$2" ] ||
    { echo "what no hot path runs through belongs to guest_small (guest/CMakeLists.txt)"; exit 1; }
