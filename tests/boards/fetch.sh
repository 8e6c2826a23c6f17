#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fetch.sh CACHE: device trees of real boards, from Debian's arm64 kernel
# package, into CACHE/dtb. Downloads the package once, through apt lists of its
# own (the machine's apt stays as it is). Exit 77 and a SKIP line when offline.
set -euo pipefail
mkdir -p "$1"
cd "$1"
exec 9>dtb.lock
flock -w 600 9
[ ! -e dtb/ready ] || exit 0
skip() { echo "SKIP: $*"; exit 77; }
for tool in apt-get dpkg-deb dtc; do
    command -v $tool >/dev/null || skip "$tool is missing (tools/packages.sh test)"
done
mkdir -p apt/lists/partial apt/archives/partial
: >apt/status
cat >apt/apt.conf <<CONF
Dir::State "$PWD/apt";
Dir::State::lists "$PWD/apt/lists";
Dir::Cache "$PWD/apt";
Dir::State::status "$PWD/apt/status";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Acquire::Retries "2";
CONF
export APT_CONFIG=$PWD/apt/apt.conf
timeout -k 5 120 apt-get -q update >apt/log 2>&1 || skip "no Debian mirror: $(tail -1 apt/log)"
# The newest kernel that bookworm has: it knows most boards.
package=$(apt-cache search --names-only '^linux-image-6\.[0-9.]*(-[0-9]+|\+deb12)-arm64$' |
    awk '{print $1}' | sort -V | tail -1)
[ -n "$package" ] || skip "no linux-image for arm64 in apt's lists"
(cd apt && timeout -k 5 300 apt-get -q download "$package" >log 2>&1) || skip "cannot download $package: $(tail -1 apt/log)"
rm -rf dtb
mkdir dtb
dpkg-deb --fsys-tarfile apt/"${package}"_*.deb | tar x -C dtb --wildcards --strip-components=4 '*.dtb'
rm -f apt/*.deb
echo "$package" >dtb/ready
