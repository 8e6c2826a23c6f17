#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check.sh [--quick|--long]: install what the tests need, build with gcc and
# clang, run every test through ctest. --quick: under 5 minutes: one compiler,
# no sanitized, counted or analysed build, no emulated hosts. --long: also the long forms. Safe to
# repeat. Exit 0: all passed.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=full
case ${1-} in
'') ;;
--quick) mode=quick ;;
--long) mode=long ;;
*) echo "usage: tools/check.sh [--quick|--long]" >&2; exit 2 ;;
esac
declare -A expect=([quick]="4 minutes" [full]="50 minutes" [long]="1 hour")
began=$SECONDS
step() { printf '== %4ds  %s\n' $((SECONDS - began)) "$*"; }

step "check ($mode), about ${expect[$mode]} on two cores"
tools/packages.sh build demo emulate test
work=$PWD/build
mkdir -p "$work"
export LIMPET_NETWORK=none # tests of networks say what they want
export LIMPET_IMAGES=${LIMPET_IMAGES:-$work/images}
# LeakSanitizer cannot work under the seccomp filter of limpet-image.
export ASAN_OPTIONS=detect_leaks=0

only= # targets to build, all if empty
build() { # DIR WHAT CMAKE-ARG...
    local dir=$1 what=$2
    shift 2
    step "building with $what"
    mkdir -p "$dir"
    if ! cmake -S . -B "$dir" -G Ninja "$@" >"$dir/build.log" 2>&1 ||
        ! ninja -C "$dir" $only >>"$dir/build.log" 2>&1; then
        grep -E 'error|warning:|FAILED' -A3 "$dir/build.log" | head -60 >&2
        exit 1
    fi
}
run() { # DIR CTEST-ARG...
    local dir=$1 status=0 remarks line
    shift
    (cd "$dir" && ctest --output-on-failure --test-output-size-passed 1000000 \
        --output-junit "$dir/junit.xml" "$@") || status=$?
    remarks=$(python3 tools/remarks.py "$dir/junit.xml")
    [ -z "$remarks" ] || echo "$remarks"
    while read -r line; do
        [[ $line != UNSTABLE:* ]] || unstable+=$'\n'$line
    done <<<"$remarks"
    [ $status = 0 ] || again "$dir" || failed=1
}
# Machines are shared and stand still for seconds: at most five failed tests run
# once more, alone, as run.py does with its cases. What passes then is still a
# defect: it is named at the end.
unstable=
again() { # DIR
    local log=$1/Testing/Temporary/LastTestsFailed.log names
    [ -s "$log" ] && [ "$(wc -l <"$log")" -le 5 ] && [ $((SECONDS - began)) -lt 4600 ] || return 1
    names=$(sed 's/^[0-9]*://' "$log" | paste -sd' ')
    step "failed: $names; once more, alone"
    (cd "$1" && ctest --rerun-failed --output-on-failure) || return 1
    unstable+=$'\n'"UNSTABLE: $names"
}

failed=0
build "$work" "gcc" -DCMAKE_C_COMPILER=gcc
if [ $mode = quick ]; then
    step "making the small test images from Debian packages"
    ARCHES=amd64 tests/fixtures/make-images.sh "$LIMPET_IMAGES" cstatic busybox corner
    run "$work" -LE 'slow|long' -j2
else
    build "$work/clang" "clang, with the fuzz targets" -DCMAKE_C_COMPILER=clang -DLIMPET_FUZZ=ON
    build "$work/asan" "gcc, ASan and UBSan" -DCMAKE_C_COMPILER=gcc -DLIMPET_SANITIZE=ON
    only=unit_tests
    build "$work/cov" "gcc, counting lines" -DCMAKE_C_COMPILER=gcc -DLIMPET_COVERAGE=ON
    only=host_unit_tests
    build "$work/tsan" "gcc, TSan" -DCMAKE_C_COMPILER=gcc -DLIMPET_TSAN=ON
    only=
    step "clang-tidy, static analyzer included"
    tools/tidy.sh "$work/clang" >"$work/tidy.log" 2>&1 || {
        grep -E 'error:' "$work/tidy.log" | sort -u >&2 || tail -5 "$work/tidy.log" >&2
        failed=1
    }
    step "downloading libraries for arm64, kernels of the emulated hosts"
    tools/packages.sh cross
    tools/sysroot.sh arm64
    tests/lab/lab.sh --prepare
    tests/lab/lab.sh --arch arm64 --prepare
    tests/lab/lab.sh --arch arm64 --pages 16 --prepare || true # its test says so
    build "$work/arm64" "gcc for arm64" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake"
    step "making test images from Debian packages, amd64 and arm64"
    ARCHES="amd64 arm64" tests/fixtures/make-images.sh "$LIMPET_IMAGES"
    step "host code under ASan and UBSan, fuzz targets"
    run "$work/asan" -R '^(unit|image)_' -E '^unit_guest|^image_crash' -j2
    run "$work/clang" -R '^fuzz_' -j2
    step "host code under TSan, coverage of the unit tests"
    run "$work/tsan" -R '^unit_(base|image|vmm|supervisor|cli)' -j2
    run "$work/cov" -R '^unit_' -j2
    tools/coverage.py "$work/cov" || failed=1
    step "everything on the real programs"
    [ $mode != long ] || export LIMPET_LONG=1
    if [ $mode = long ]; then run "$work" -j2; else run "$work" -LE long -j2; fi
fi
[ -z "$unstable" ] || step "passed only the second time:$unstable"
[ $failed = 0 ] && step "all passed" || step "FAILED"
exit $failed
