#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh OUT CACHE IMAGES: make the packages in OUT and look into them, make
# amd64's again from a copy and compare, install it on a bare bookworm (kept in
# CACHE) that has what the package depends on and no more, and run an image
# there as an ordinary user of the group kvm. arm64's files do that, uninstalled,
# on an emulated host.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
OUT=$1 CACHE=$2 image=${LIMPET_IMAGES:-$3}/cstatic
fail() { echo "FAIL: $*"; exit 1; }
skip() { echo "SKIP $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root to install a package"
[ "$(uname -m)" = x86_64 ] || skip "makes both packages on amd64 only"
[ -w /dev/kvm ] || skip "no /dev/kvm"
[ -e "$image/index.json" ] || skip "$image is not there: tests/fixtures/make-images.sh makes it"
work=$(mktemp -d "${TMPDIR:-/tmp}/limpet-package.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Contents. VERSION in the file name is the changelog's.
inspect() { # ARCH MACHINE KERNEL-FILE...
    local deb dir=$work/$1 arch=$1 machine=$2 name
    shift 2
    deb=$(echo "$OUT"/limpet_*_"$arch".deb)
    [ "$(dpkg-deb -f "$deb" Architecture)" = "$arch" ] || fail "$deb: wrong Architecture"
    dpkg-deb -R "$deb" "$dir"
    (cd "$dir" && md5sum --quiet -c DEBIAN/md5sums) || fail "$arch: md5sums"
    for name in bin/limpet libexec/limpet/limpet-{vmm,image,stock-init} "${@/#/libexec/limpet/}"; do
        [ -f "$dir/usr/$name" ] || fail "$arch: no /usr/$name"
        case $name in *.image) continue ;; esac
        readelf -h "$dir/usr/$name" | grep -q "Machine: .*$machine" || fail "$arch: /usr/$name is not for $machine"
        case $name in *.debug) continue ;; esac
        ! readelf -SW "$dir/usr/$name" | grep -q '\.debug_' || fail "$arch: /usr/$name is not stripped"
    done
    for name in "$root"/boards/*/board.json; do
        cmp "$name" "$dir/usr/share/limpet/boards/$(basename "$(dirname "$name")").json" || fail "$arch: board profiles"
    done
    zcat "$dir/usr/share/man/man1/limpet.1.gz" | grep -q '^\.TH LIMPET 1' || fail "$arch: no manual page"
    bash -n "$dir/usr/share/bash-completion/completions/limpet" || fail "$arch: completion"
    grep -q Apache-2.0 "$dir/usr/share/doc/limpet/copyright" || fail "$arch: copyright"
    zcat "$dir/usr/share/doc/limpet/changelog.gz" | grep -q "($(dpkg-deb -f "$deb" Version))" || fail "$arch: changelog"
    ! find "$dir" \( -perm /6022 -o ! -uid 0 \) ! -type l | grep . || fail "$arch: modes or owners"
    readelf -dW "$dir"/usr/libexec/limpet/limpet-image | grep -o 'NEEDED.*' | grep -v ld-linux | sort >"$work/needed-$arch"
    dpkg-deb -f "$deb" Depends >"$work/depends-$arch"
    # Nothing of the place it was made in.
    ! grep -rlF "$(realpath "$root")" "$dir" || fail "$arch: names the directory of the build"
    echo "ok contents of $deb: $(stat -c %s "$deb") bytes"
}
"$root/tools/package.sh" amd64 "$OUT"
inspect amd64 X86-64 limpet-kernel.x86_64{,.debug}
if command -v aarch64-linux-gnu-gcc >/dev/null; then
    "$root/tools/package.sh" arm64 "$OUT"
    inspect arm64 AArch64 limpet-kernel.arm64{,.debug,.image}
    # The run below proves amd64's dependencies; these are to be the same.
    cmp "$work/needed-amd64" "$work/needed-arm64" || fail "arm64's programs need other libraries"
    diff <(grep -o 'lib[a-z0-9]*' "$work/depends-amd64") <(grep -o 'lib[a-z0-9]*' "$work/depends-arm64") ||
        fail "arm64 depends on other packages"
else
    echo "SKIP arm64: no cross compiler (tools/packages.sh cross)"
fi
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning "$OUT"/limpet_*.deb || fail "lintian"
else
    echo "SKIP lintian is not installed"
fi

mkdir "$work/source"
tar -C "$root" --exclude='./build*' --exclude=./.git -c . | tar -x -C "$work/source"
"$work/source/tools/package.sh" amd64 "$work/again" >/dev/null
cmp "$OUT"/limpet_*_amd64.deb "$work"/again/limpet_*_amd64.deb || fail "two builds differ"
echo "ok two builds give the same bytes"

# A bare Debian with the dependencies and nothing of ours.
packages=$(grep -o 'lib[a-z0-9]*' "$work/depends-amd64" | paste -sd,)
bare=$CACHE/bare-$(echo "$packages" | cksum | cut -d' ' -f1).tar
if [ ! -e "$bare" ]; then
    command -v mmdebstrap >/dev/null || skip "no mmdebstrap: tools/packages.sh test"
    mkdir -p "$CACHE"
    mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$bare.new.tar" >"$work/log" 2>&1 || {
        rm -f "$bare.new.tar"
        skip "mmdebstrap could not make a bare root: $(tail -1 "$work/log")"
    }
    mv "$bare.new.tar" "$bare"
fi
mkdir "$work/root"
tar -x --exclude=./dev/* -C "$work/root" -f "$bare"
cp "$OUT"/limpet_*_amd64.deb "$work/root/limpet.deb"
cp -r "$image" "$work/root/image"
cp "$here/inside.sh" "$work/root/inside.sh"
# Its own mounts, /dev with a node of the group kvm; pivot_root, since a
# program in a chroot gets no user namespace and so no jail.
status=0
timeout -k 5 600 unshare -m -p -f -i -n --propagation private bash -euc '
    minor=$(stat -c %T /dev/kvm)
    mount --bind "$0" "$0"
    cd "$0"
    mount -t tmpfs -o mode=755 none dev
    mknod -m 666 dev/null c 1 3; mknod -m 666 dev/urandom c 1 9; mknod -m 666 dev/zero c 1 5
    mknod -m 660 dev/kvm c 10 "0x$minor"
    mount -t proc none proc
    pivot_root . mnt
    umount -l /mnt
    exec /bin/bash /inside.sh' "$work/root" </dev/null || status=$?
[ $status = 0 ] || fail "in the bare root: exit code $status"
echo "ok ran in a bare root"

[ -d "$work/arm64" ] || exit 0
if ! command -v qemu-system-aarch64 >/dev/null; then
    echo "SKIP arm64's run: no qemu-system-aarch64 (tools/packages.sh cross)"
    exit 0
fi
if ! grep -rqE '"architecture": ?"arm64"' "$image"; then
    echo "SKIP arm64's run: $image has no arm64 (ARCHES of make-images.sh)"
    exit 0
fi
cp -r "$image" "$work/image"
chmod 755 "$work"
cat >"$work/arm64.sh" <<'EOF'
set -e
cp -a "$1/arm64/usr/." /usr/
chmod 666 /dev/kvm
mkdir -p -m 777 /tmp/home
as() { setpriv --reuid 1000 --regid 1000 --clear-groups env -i HOME=/tmp/home PATH="$PATH" "$@"; }
as limpet version
as limpet doctor | grep -F 'in /usr/libexec/limpet'
[ "$(as limpet run --rm "oci:$1/image")" = "hello from c uid 0 argc 1" ]
EOF
"$here/../lab/cases.sh" --arch arm64 --timeout 1000 --share "$work" -- bash "$work/arm64.sh" "$work" ||
    fail "arm64's files on an emulated host: exit code $?"
echo "ok ran arm64's files on an emulated host as uid 1000"
