#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sysroot.sh ARCH [OUT [PACKAGE...]]: unpack Debian packages of another
# architecture and all they depend on into OUT, without touching this machine's
# apt and dpkg state; no maintainer script runs. ARCH: arm64 or amd64. OUT:
# ~/.cache/limpet/sysroot-ARCH, where cmake/aarch64.cmake looks. Without
# PACKAGE: what Limpet's host programs link with. Does nothing when OUT has them
# already.
set -euo pipefail
ARCH=${1:?usage: sysroot.sh ARCH [OUT [PACKAGE...]]}
OUT=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/limpet/sysroot-$ARCH}
shift $(($# < 2 ? $# : 2))
PACKAGES=("$@")
[ $# -gt 0 ] || PACKAGES=(libc6-dev libjansson-dev libfdt-dev libarchive-dev
    libssl-dev libzstd-dev zlib1g-dev libcurl4-openssl-dev libcmocka-dev)
key="$ARCH ${PACKAGES[*]} $(cksum <"$0")"
mkdir -p "$(dirname "$OUT")"
exec 9>"$OUT.lock"
flock -w 900 9 || { echo "sysroot: another run holds $OUT.lock" >&2; exit 1; }
[ "$(cat "$OUT/.ready" 2>/dev/null)" != "$key" ] || exit 0

work=$(mktemp -d "$OUT.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{state/lists/partial,cache/archives/partial} "$work"/root/usr/{bin,sbin,lib}
: >"$work/apt/status"
apt() {
    apt-get -q -o APT::Architecture="$ARCH" -o APT::Architectures::="$ARCH" \
        -o Dir::State="$work/apt/state" -o Dir::Cache="$work/apt/cache" \
        -o Dir::State::status="$work/apt/status" -o APT::Sandbox::User=root "$@"
}
for try in 1 2 3; do
    { apt update && apt -y install --download-only --no-install-recommends "${PACKAGES[@]}"; } \
        >"$work/log" 2>&1 && break
    [ $try = 3 ] && { tail -5 "$work/log" >&2; exit 1; }
    sleep $((try * 3))
done
for dir in bin sbin lib; do ln -s "usr/$dir" "$work/root/$dir"; done # merged /usr
for deb in "$work"/apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$work/root"
done
rm -rf "$work"/root/usr/share/{doc,man,locale,info,lintian,bug}
echo "$key" >"$work/root/.ready"
chmod 755 "$work/root"
rm -rf "$OUT"
mv "$work/root" "$OUT"
