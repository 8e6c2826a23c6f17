#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# emulated.sh x86_64|arm64 BUILD: the main paths of kernel.c in a VM and natively
# on an emulated host (SVM with nested paging, or EL2), counted: one CPU whose
# nanoseconds are instructions (QEMU -icount), those of the host's KVM included,
# and KVM's exits beyond those of a VM that does nothing. BUILD: its bin/ has the
# programs for that host. Prints "name value unit ratio-to-native" lines.
set -eu
arch=$1 build=$(realpath "$2") here=$(cd "$(dirname "$0")" && pwd)
if [ "${3-}" != inside ]; then
    work=$(mktemp -d -p "$build" bench.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/root"
    case $arch in
    x86_64) cc=gcc oci=amd64 ;;
    arm64) cc=aarch64-linux-gnu-gcc oci=arm64 ;;
    esac
    $cc -O2 -static -pthread -D_GNU_SOURCE "$here/kernel.c" -o "$work/root/bench"
    "$here/../../tools/mkoci.py" "$work/image" --arch $oci --layer "$work/root"
    "$here/../lab/lab.sh" --arch "$arch" --icount --timeout 1500 --share "$build" -- \
        "$here/emulated.sh" "$arch" "$work" inside "$build"
    exit
fi
export LIMPET_ROOT=/tmp/store LIMPET_NETWORK=none
limpet=$4/bin/limpet trace=/sys/kernel/tracing
mount -t tracefs t $trace
echo 1 >$trace/events/kvm/kvm_exit/enable
exits() { echo $(($(cat $trace/per_cpu/cpu*/stats | sed -nE 's/^(entries|overrun): //p' | paste -sd+))); }
vm() { "$limpet" run --rm -m 128m "oci:$build/image" /bench "$@"; }
vm pipe 0 >/dev/null # converts the image
before=$(exits)
vm >/dev/null 2>&1 || true
idle=$(($(exits) - before))
echo "emulated.$arch.exits-empty $idle count -"
for test in "pipe 0" "futex 0" "spawn /bench" "touch 16" "ring 10 0"; do
    # shellcheck disable=SC2086
    native=$("$build/root/bench" ${test/\/bench/$build\/root\/bench} | head -1)
    before=$(exits)
    # shellcheck disable=SC2086
    mine=$(vm $test | head -1)
    count=$(($(exits) - before - idle))
    name=emulated.$arch.${test%% *}
    unit=insns
    [ "${test%% *}" != spawn ] || unit=k-insns
    python3 -c 'import sys; n, m, b, u = sys.argv[1:]; print(n, m, u, f"{float(m) / float(b):.2f}")' \
        "$name" "$mine" "$native" "$unit"
    echo "$name-exits $count count -"
done
