#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# package.sh [amd64|arm64|all] [OUT]: make OUT/limpet_VERSION_ARCH.deb (OUT:
# build/package), for this machine's architecture without one; arm64 on amd64 by
# the cross build. Needs tools/packages.sh build (cross too for arm64). The same
# source and compiler give the same bytes; SOURCE_DATE_EPOCH overrides the date
# of tools/package/changelog. Prints the files made.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
die() { echo "package: $*" >&2; exit 1; }
native=$(dpkg --print-architecture)
arches=${1:-$native}
[ "$arches" != all ] || arches="amd64 arm64"
OUT=$(realpath -m "${2:-build/package}")
mkdir -p "$OUT"
exec 9>"$OUT/lock"
flock -w 1800 9 || die "another run holds $OUT/lock"

version=$(sed -n '1s/.*(\(.*\)).*/\1/p' tools/package/changelog)
grep -q "^project(limpet VERSION $version " CMakeLists.txt ||
    die "tools/package/changelog says $version, CMakeLists.txt another version"
if [ -z "${SOURCE_DATE_EPOCH-}" ]; then
    SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p;T;q' tools/package/changelog)" +%s)
fi
export SOURCE_DATE_EPOCH DPKG_DEB_THREADS_MAX=1 # threads change what xz writes
unset CMAKE_C_COMPILER_LAUNCHER # what a cache kept may name other paths

# shared library -> its package, and the .pc file with the version we built with
declare -A LIBRARY=([libarchive.so.13]="libarchive13 libarchive" [libcrypto.so.3]="libssl3 libcrypto"
    [libcurl.so.4]="libcurl4 libcurl" [libjansson.so.4]="libjansson4 jansson" [libfdt.so.1]="libfdt1 -")

build() { # ARCH TARGET...: the programs in $OUT/obj-ARCH
    local dir=$OUT/obj-$1 args=() map
    map="-ffile-prefix-map=$PWD=. -ffile-prefix-map=$dir=build" # the last that fits counts
    if [ "$1" != "$native" ]; then
        [ "$1" = arm64 ] || die "$1 packages are made on $1 machines"
        tools/sysroot.sh arm64
        args=(-DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake")
    fi
    mkdir -p "$dir"
    { cmake -S . -B "$dir" -G Ninja "${args[@]}" \
        -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_C_FLAGS="$map" -DCMAKE_ASM_FLAGS="$map" &&
        ninja -C "$dir" "${@:2}"; } >"$dir/build.log" 2>&1 ||
        { grep -E 'rror|FAILED' -A3 "$dir/build.log" | head -30 >&2; die "$1 does not build: $dir/build.log"; }
}

depends() { # STAGE LIBS: what the dynamic programs need, from their own words
    local files need package pc libc
    files=$(find "$1/usr/bin" "$1/usr/libexec" -type f ! -name 'limpet-kernel.*')
    libc=$(readelf -VW $files 2>/dev/null | grep -o 'Name: GLIBC_[0-9.]*' | sed 's/.*_//' | sort -Vu | tail -1)
    printf 'libc6 (>= %s)' "$libc"
    readelf -dW $files 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u | while read -r need; do
        case $need in libc.so.6 | ld-linux*) continue ;; esac
        read -r package pc <<<"${LIBRARY[$need]-}"
        [ -n "$package" ] || die "no package is known for $need: add it to LIBRARY"
        pc=$(sed -n 's/^Version: *\([0-9]*\.[0-9]*\).*/\1/p' "$2/pkgconfig/$pc.pc")
        printf ', %s (>= %s)' "$package" "${pc:?no version of $need}"
    done
}

package() { # ARCH
    local arch=$1 stage=$OUT/stage-$1 libs=/usr/lib/x86_64-linux-gnu doc need deb
    rm -rf "$stage"
    build "$native" limpet limpet_reference # asks the program for the man page
    build "$arch" limpet limpet-net limpet-vmm limpet-image limpet-stock-init limpet-kernel
    DESTDIR=$stage cmake --install "$OUT/obj-$arch" --strip >"$OUT/install.log"
    doc=$stage/usr/share/doc/limpet
    mkdir -p "$stage"/usr/share/{man/man1,bash-completion/completions,lintian/overrides} "$doc" "$stage/DEBIAN"
    cp "$OUT/obj-$native/share/man/man1/limpet.1" "$stage/usr/share/man/man1/"
    cp "$OUT/obj-$native/share/bash-completion/completions/limpet" "$stage/usr/share/bash-completion/completions/"
    cp tools/package/copyright "$doc/copyright"
    cp tools/package/changelog "$doc/changelog"
    cp tools/package/overrides "$stage/usr/share/lintian/overrides/limpet"
    gzip -9nf "$stage/usr/share/man/man1/limpet.1" "$doc/changelog"

    [ "$arch" = amd64 ] || libs=/usr/lib/aarch64-linux-gnu
    [ "$arch" = "$native" ] || libs=${XDG_CACHE_HOME:-$HOME/.cache}/limpet/sysroot-$arch$libs
    need=$(depends "$stage" "$libs")
    cat >"$stage/DEBIAN/control" <<EOF
Package: limpet
Version: $version
Architecture: $arch
Maintainer: $(sed -n 's/^ -- \(.*>\)  .*/\1/p;T;q' tools/package/changelog)
Installed-Size: $(find "$stage/usr" -type f -printf '%s\n' | awk '{n += int(($1 + 1023) / 1024)} END {print n}')
Depends: $need
Recommends: ca-certificates, nftables, passt
Suggests: qemu-system-x86, qemu-system-arm
Section: admin
Priority: optional
Description: run OCI images, each in its own micro-VM
 Limpet runs an OCI image in a micro-VM of its own, in milliseconds and a few
 MiB, under a guest kernel that speaks the Linux system call ABI. There is no
 daemon: limpet starts a small monitor that uses /dev/kvm.
 .
 Users of the group kvm can run images; "limpet doctor" says what a host lacks.
EOF
    (cd "$stage" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"
    chmod -R u=rwX,go=rX "$stage"
    find "$stage" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
    deb=$OUT/limpet_${version}_$arch.deb
    dpkg-deb --root-owner-group -Zxz -b "$stage" "$deb" >/dev/null
    rm -rf "$stage"
    echo "$deb"
}

for arch in $arches; do
    case $arch in amd64 | arm64) package "$arch" ;; *) die "usage: package.sh [amd64|arm64|all] [OUT]" ;; esac
done
