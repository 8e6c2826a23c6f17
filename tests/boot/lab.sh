#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lab.sh BIN IMAGES: the boot cases inside the emulated SVM host. That host has
# been seen to freeze as a whole under QEMU TCG (no process in it runs any
# more); then, and only then, it is booted once more.
here=$(cd "$(dirname "$0")" && pwd)
for try in 1 2; do
    "$here/../lab/lab.sh" --timeout 700 -- env LIMPET_BIN="$1" LIMPET_IMAGES="$2" \
        LIMPET_ROOT=/tmp/store LIMPET_LONG="${LIMPET_LONG-}" python3 "$here/run.py" kvm
    status=$?
    [ $status = 124 ] && [ $try = 1 ] || exit $status
    echo "# the emulated host froze: once more"
done
