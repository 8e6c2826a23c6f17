#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check.sh [--quick|--long]: install what the tests need, build with gcc and
# clang, run every test through ctest. --quick: under 5 minutes, no emulated
# hosts, no whole-image runs. Safe to repeat. Exit 0: all passed.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=full
case ${1-} in
'') ;;
--quick) mode=quick ;;
--long) mode=long ;;
*) echo "usage: tools/check.sh [--quick|--long]" >&2; exit 2 ;;
esac
declare -A expect=([quick]="4 minutes" [full]="25 minutes" [long]="2 hours")
began=$SECONDS
step() { printf '== %4ds  %s\n' $((SECONDS - began)) "$*"; }

step "check ($mode), about ${expect[$mode]} on two cores"
tools/packages.sh build demo emulate test bench
work=${LIMPET_CHECK_DIR:-$PWD/build}
export LIMPET_IMAGES=${LIMPET_IMAGES:-$work/images}

configure() { # DIR CMAKE-ARG...
    local dir=$1
    shift
    cmake -S . -B "$dir" -G Ninja "$@" >"$dir.log" 2>&1 || { cat "$dir.log" >&2; exit 1; }
}
build() { # DIR WHAT
    step "building $2"
    ninja -C "$1" >"$1.log" 2>&1 || { grep -E 'error|warning|FAILED' -A3 "$1.log" | head -60 >&2; exit 1; }
}
mkdir -p "$work"
configure "$work" -DCMAKE_C_COMPILER=gcc
build "$work" "with gcc"
configure "$work/clang" -DCMAKE_C_COMPILER=clang -DLIMPET_FUZZ=ON
build "$work/clang" "with clang, fuzz targets"
configure "$work/asan" -DCMAKE_C_COMPILER=gcc -DLIMPET_SANITIZE=ON
build "$work/asan" "with ASan and UBSan"
if [ $mode != quick ]; then
    step "making test images from Debian packages"
    ARCHES=amd64 tests/fixtures/make-images.sh "$LIMPET_IMAGES"
else
    ARCHES=amd64 tests/fixtures/make-images.sh "$LIMPET_IMAGES" cstatic busybox corner
fi

run_ctest() { # DIR CTEST-ARG...
    local dir=$1 status=0
    shift
    (cd "$dir" && ctest --output-on-failure --output-junit "$dir/junit.xml" "$@") || status=$?
    python3 tools/skips.py "$dir/junit.xml"
    return $status
}
step "unit, lint and fuzz tests (sanitizers)"
failed=0
run_ctest "$work/asan" -L sanitized --no-tests=ignore -j2 || failed=1
run_ctest "$work/clang" -L fuzz --no-tests=ignore -j2 || failed=1
step "tests of the real programs"
case $mode in
quick) run_ctest "$work" -LE 'sanitized|fuzz|slow|long' || failed=1 ;;
full) run_ctest "$work" -LE 'sanitized|fuzz|long' || failed=1 ;;
long) run_ctest "$work" -LE 'sanitized|fuzz' || failed=1 ;;
esac
[ $failed = 0 ] && step "all passed" || step "FAILED"
exit $failed
