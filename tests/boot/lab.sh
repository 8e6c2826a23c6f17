#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lab.sh BIN IMAGES: the boot cases inside the emulated SVM host.
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../lab/cases.sh" --timeout 1200 -- env LIMPET_BIN="$1" LIMPET_IMAGES="$2" \
    LIMPET_ROOT=/tmp/store LIMPET_LONG="${LIMPET_LONG-}" python3 "$here/run.py" kvm
