#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stock-kernel.sh DIR [amd64|arm64 [PACKAGE SUITE]]: Debian's cloud kernel of that
# architecture (this machine's without one), or the one that PACKAGE of SUITE
# depends on, unpacked in DIR, for `limpet run --kernel DIR/boot/vmlinuz-VERSION`.
# Prints that path. Keeps what is there already.
# Needs apt, dpkg, kmod and, once, Debian's mirror; changes nothing outside DIR.
set -euo pipefail
die() { echo "stock-kernel: $*" >&2; exit 1; }
[ $# -ge 1 ] || die "usage: stock-kernel.sh DIR [amd64|arm64 [PACKAGE SUITE]]"
mkdir -p "$1"
DIR=$(cd "$1" && pwd) ARCH=${2:-$(dpkg --print-architecture)}
PACKAGE=${3:-linux-image-cloud-$ARCH}
exec 9>"$DIR/lock"
flock -w 600 9 || die "another run holds $DIR/lock"
if [ ! -e "$DIR/ready" ]; then
    rm -rf "$DIR/apt" "$DIR/boot" "$DIR/lib"
    mkdir -p "$DIR"/apt/{state/lists/partial,cache/archives/partial}
    OPT=(-o APT::Architecture="$ARCH" -o APT::Architectures::="$ARCH" -o APT::Sandbox::User=root
        -o Dir::State="$DIR/apt/state" -o Dir::Cache="$DIR/apt/cache" -o Dir::State::status=/dev/null)
    if [ $# = 4 ]; then
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $4 main" >"$DIR/apt/list"
        OPT+=(-o Dir::Etc::sourcelist="$DIR/apt/list" -o Dir::Etc::sourceparts=/dev/null)
    fi
    for try in 1 2 3; do
        apt-get -q "${OPT[@]}" update >"$DIR/apt/log" 2>&1 &&
            kernel=$(apt-cache "${OPT[@]}" depends "$PACKAGE" |
                awk '/Depends: linux-image-[0-9]/ {print $2; exit}') && [ -n "$kernel" ] &&
            (cd "$DIR/apt" && apt-get -q "${OPT[@]}" download "$kernel") >>"$DIR/apt/log" 2>&1 && break
        [ $try = 3 ] && { tail -3 "$DIR/apt/log" >&2; die "cannot download $PACKAGE"; }
        sleep $((try * 2))
    done
    dpkg-deb --fsys-tarfile "$DIR"/apt/*.deb | tar -x -C "$DIR" ./boot ./lib
    rm -rf "$DIR/apt"
    depmod -b "$DIR" "${kernel#linux-image-}"
    touch "$DIR/ready"
fi
set -- "$DIR"/boot/vmlinuz-*
[ -e "$1" ] || die "$DIR has no boot/vmlinuz-VERSION: remove it and try again"
echo "$1"
