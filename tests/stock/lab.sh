#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lab.sh x86_64|arm64 BIN IMAGES [CASE...]: Debian's cloud kernel as limpet's
# guest, inside an emulated host (SVM, or neoverse-n1 with GICv3): one boot of
# that host, all cases.
here=$(cd "$(dirname "$0")" && pwd)
arch=$1 bin=$(realpath "$2") images=$(realpath "$3")
shift 3
[ -x "$bin/limpet-stock-init" ] || { echo "SKIP no build for $arch in $bin"; exit 77; }
cache=${LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/limpet-lab}/stock-$arch
kernel=$("$here/../../tools/stock-kernel.sh" "$cache" "${arch/x86_64/amd64}") || exit 1
share=()
[ "$arch" = x86_64 ] || share=(--share "$cache" --share "$bin" --share "$images")
exec "$here/../lab/cases.sh" --arch "$arch" "${share[@]}" --timeout 600 -- env LIMPET_BIN="$bin" \
    LIMPET_IMAGES="$images" LIMPET_ROOT=/tmp/store PYTHONDONTWRITEBYTECODE=1 \
    python3 "$here/run.py" "$kernel" "$@"
