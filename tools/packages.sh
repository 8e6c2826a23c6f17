#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# packages.sh GROUP...: install the Debian packages of these groups that are
# missing. Groups: build demo emulate cross test bench. Does nothing (and needs nothing) if all are
# there; otherwise it needs root and Debian's mirror.
set -euo pipefail
declare -A GROUP=(
    [build]="gcc clang cmake ninja-build libc6-dev libjansson-dev libfdt-dev libarchive-dev
        libssl-dev libzstd-dev zlib1g-dev libcurl4-openssl-dev pkgconf"
    [demo]="python3 busybox-static"
    [emulate]="qemu-system-x86"
    [cross]="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm"
    [test]="acpica-tools libcmocka-dev clang-format clang-tidy python3 jq erofs-utils attr busybox-static
        runc crun skopeo umoci docker-registry apache2-utils openssl golang-go rustc libclang-rt-14-dev gcovr qemu-system-x86
        qemu-system-common cpio kmod musl-tools iproute2 iputils-ping util-linux strace nftables tcpdump passt
        bind9-dnsutils device-tree-compiler e2fsprogs mmdebstrap lintian binutils zstd xz-utils bzip2"
    [bench]="podman runc crun hyperfine skopeo umoci docker-registry containerd
        iperf3 wrk redis-tools iproute2 nftables util-linux"
)
missing=()
for group in "$@"; do
    for package in ${GROUP[$group]}; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
done
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "limpet: these packages are missing; as root: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "limpet: installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
for try in 1 2 3; do
    if apt-get -q update >"$log" 2>&1 &&
        apt-get -qy -o DPkg::Lock::Timeout=120 install --no-install-recommends \
            "${missing[@]}" >>"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    sleep $((try * 3))
done
tail -5 "$log" >&2
echo "limpet: apt-get could not install them (whole log: $log)" >&2
exit 1
