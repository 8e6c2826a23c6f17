#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# arm64.sh n1|a72|smoke BUILD IMAGES: the monitor's tests with the toy guest,
# its unit tests and the boot cases inside emulated arm64 hosts. BUILD: the
# cross build. n1: neoverse-n1, GICv3, VHE; a72: cortex-a72, GICv2, no VHE, as a
# Raspberry Pi 4; both run the smoke cases and share the others, or run
# everything (LIMPET_LONG). smoke: the short list, with 2 and with 1 vCPU, on
# cortex-a53 (GICv2) and cortex-a76 (GICv3, pages of 16 KiB).
set -u
what=${1:?arm64.sh n1|a72|smoke BUILD IMAGES}
build=$(realpath "${2:?}") images=$(realpath "${3:?}")
here=$(cd "$(dirname "$0")" && pwd)
if [ "$what" != inside ]; then
    [ -e "$build/bin/limpet-kernel.arm64" ] || { echo "SKIP no cross build in $build"; exit 77; }
    host() { # CPU GIC LIST [KIB]
        "$here/../lab/cases.sh" --arch arm64 --cpu "$1" --gic "$2" --pages "${4-4}" --timeout 1500 \
            --share "$build" --share "$images" -- \
            env LIST="$3" LIMPET_LONG="${LIMPET_LONG-}" "$here/arm64.sh" inside "$build" "$images"
    }
    case $what in
    n1) host neoverse-n1 3 1/2 ;;
    a72) host cortex-a72 2 2/2 ;;
    smoke)
        pages=16
        "$here/../lab/lab.sh" --arch arm64 --pages 16 --prepare ||
            { pages=4; echo "SKIP pages of 16 KiB: no kernel with them, see above"; }
        host cortex-a53 2 smoke && host cortex-a76 3 smoke $pages
        ;;
    esac
    exit
fi

export LIMPET_BIN=$build/bin LIMPET_IMAGES=$images LIMPET_ROOT=/tmp/store PYTHONDONTWRITEBYTECODE=1
failed=0
if [ "$LIST" = smoke ]; then
    export LIMPET_ORACLE=/tmp/oracle
    mkdir $LIMPET_ORACLE
    python3 "$here/run.py" kvm --smoke || failed=1
    LIMPET_FLAGS="--vcpus 1" python3 "$here/run.py" kvm --smoke || failed=1
    exit $failed
fi
for test in "$build"/bin/vmm_*_test; do
    "$test" >/tmp/out 2>&1 && echo "ok - $(basename "$test")" || { cat /tmp/out; failed=1; }
done
# shellcheck disable=SC2046
python3 "$here/../vmm/vmm_test.py" "$build/bin/limpet-vmm" "$build/tests/toy.elf" \
    $(tr ' ' '\n' <"$build/tests/toy_cases" | grep -v start_time) || failed=1
[ -n "$LIMPET_LONG" ] || export LIMPET_SHARE=$LIST
python3 "$here/run.py" kvm || failed=1
exit $failed
