#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lab.sh: run a command on an emulated Linux host that has hardware
# virtualization (QEMU TCG), so that /dev/kvm in there is the real thing:
# x86-64 (an EPYC with SVM and nested paging), or arm64 with EL2.
#
#   lab.sh [OPTION...] -- CMD [ARG...]
#   lab.sh [--arch ARCH] --prepare   only download and build what is needed
#     --arch x86_64|arm64   --smp N   --mem MIB   --timeout S   --log FILE
#     --icount      one CPU whose nanoseconds are instructions (QEMU -icount)
#     --idle S      no output for so long: it froze, and counts as out of time
#     --cpu MODEL   arm64: neoverse-n1 (default), cortex-a53, -a72, -a76 ...
#     --gic 2|3     arm64: 3 (default)
#     --pages 4|16  arm64: KiB of the host's pages: 4 (default)
#     --share DIR   arm64: DIR of this machine is there too, read-only
#     --qemu ARG    one more argument for QEMU, such as a virtio-blk disk
#
# CMD runs as root in the current directory. On x86-64 it sees this machine's
# files, on arm64 a small Debian (bash, coreutils, util-linux, python3) and of
# this machine the tree that lab.sh is in and what is shared; over virtiofs,
# under a throw-away overlay. Its output comes out live; the exit status is
# CMD's; 124 out of time; 125 the lab itself failed. Needs root,
# qemu-system-x86 or -arm, qemu-system-common (virtiofsd), cpio, kmod and, once,
# Debian's mirror. Cache: LAB_CACHE (~/.cache/limpet-lab).
set -euo pipefail
die() { echo "lab: $*" >&2; exit 125; }
ARCH=x86_64 CPU= GIC=3 PAGES=4 SHARE=() EXTRA=() SMP=2 MEM=2048 TIMEOUT=600 IDLE= LOG= ACCEL=(-accel tcg,thread=multi) PREPARE=
while [ $# -gt 0 ]; do
    case $1 in
    --) shift; break ;;
    --prepare) PREPARE=1; shift ;;
    --arch) ARCH=$2; shift 2 ;;
    --cpu) CPU=$2; shift 2 ;;
    --gic) GIC=$2; shift 2 ;;
    --pages) PAGES=$2; shift 2 ;;
    --share) SHARE+=("$(realpath "$2")"); shift 2 ;;
    --qemu) EXTRA+=("$2"); shift 2 ;;
    --smp) SMP=$2; shift 2 ;;
    --mem) MEM=$2; shift 2 ;;
    --timeout) TIMEOUT=$2; shift 2 ;;
    --icount) ACCEL=(-accel "tcg,thread=single" -icount "shift=0,sleep=off") SMP=1; shift ;;
    --idle) IDLE=$2; shift 2 ;;
    --log) LOG=$2; shift 2 ;;
    *) die "unknown option $1" ;;
    esac
done
[ -n "$PREPARE" ] || [ $# -gt 0 ] || die "no command after --"
[ "$(id -u)" = 0 ] || die "must be root"
case $ARCH in
x86_64) QEMU=qemu-system-x86_64 PACKAGE=qemu-system-x86 KVM_MODULE=kvm_amd ;;
arm64) QEMU=qemu-system-aarch64 PACKAGE=qemu-system-arm KVM_MODULE= ;;
*) die "--arch $ARCH: use x86_64 or arm64" ;;
esac
TOP=$(cd "$(dirname "$0")/../.." && pwd)
# Each version of what fills the cache has its own: others may be running.
KEY=$(cat "$0" "$TOP"/tools/{sysroot,stock-kernel}.sh | cksum | cut -d' ' -f1)
CACHES=${LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/limpet-lab}
case $ARCH-$PAGES in
x86_64-4 | arm64-4) CACHE=$CACHES/$ARCH-$KEY ;;
arm64-16) CACHE=$CACHES/$ARCH-16k-$KEY ;;
*) die "--pages $PAGES: 4, or 16 on arm64" ;;
esac
VIRTIOFSD=/usr/lib/qemu/virtiofsd
for tool in $QEMU cpio depmod modprobe; do
    command -v $tool >/dev/null || die "$tool is missing: apt-get install $PACKAGE cpio kmod"
done
[ -x $VIRTIOFSD ] || die "$VIRTIOFSD is missing: apt-get install qemu-system-common"
mkdir -p "$CACHE"

init_script() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
modprobe -qa virtio_pci virtio_blk virtio_console virtiofs overlay kvm_amd tun loop erofs
mkdir -p /lower /up /root2
mount -t virtiofs -o ro root /lower && mount -t tmpfs -o size=70% u /up || poweroff -f
mkdir /up/u /up/w
. /lab
mount -t overlay -o lowerdir=/lower$lower,upperdir=/up/u,workdir=/up/w o /root2
for m in proc sys dev; do mount --bind /$m /root2/$m; done
cd /root2
mkdir -p dev/pts dev/shm
mount -t devpts -o ptmxmode=666 p dev/pts
for t in dev/shm tmp run; do mount -t tmpfs -o mode=1777 t $t; done
mount -t cgroup2 c sys/fs/cgroup
for s in $shares; do mkdir -p .$s; mount --bind /lower$s .$s; done
ln -sf /proc/self/fd dev/fd
/bin/busybox ip link set lo up
/bin/busybox hostname lab
cp /cmd run/cmd
port() { for p in sys/class/virtio-ports/*; do [ "$(cat $p/name)" = $1 ] && echo dev/${p##*/}; done; }
mkfifo /pipe
cat /pipe >$(port out) & reader=$!
mount --move . / # a chroot alone may not make user namespaces
chroot . /bin/bash /run/cmd </dev/null >/pipe 2>&1
echo $? >/rc
n=0; while kill -0 $reader 2>/dev/null && [ $n -lt 40 ]; do sleep 0.05; n=$((n+1)); done
cat /rc >$(port rc)
poweroff -f
INIT
}

# Kernel and busybox of this machine's release, unpacked into W/x.
download_x86_64() {
    local kernel
    mkdir -p "$W/x"
    kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
    [ -n "$kernel" ] || { apt-get -q update >/dev/null 2>&1
        kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/ {print $2; exit}'); }
    [ -n "$kernel" ] || die "no linux-image-cloud-amd64 in apt's sources"
    for try in 1 2 3; do
        (cd "$W" && apt-get -q -o APT::Sandbox::User=root download "$kernel" busybox-static) >"$W/log" 2>&1 && break
        [ $try = 3 ] && { tail -3 "$W/log" >&2; die "cannot download $kernel"; }
        sleep 3
    done
    for deb in "$W"/*.deb; do dpkg -x "$deb" "$W/x"; done
}
# The same, and a userland for CMD; it stays as the root that CMD sees.
download_arm64() {
    "$TOP/tools/sysroot.sh" arm64 "$CACHE/root" linux-image-cloud-arm64 busybox-static bash \
        coreutils util-linux mount grep sed findutils tar gzip procps iproute2 debianutils strace \
        python3-minimal libpython3-stdlib libarchive13 libcurl4 libssl3 libjansson4 libfdt1 libcmocka0 || die "cannot download the arm64 userland"
    ln -sfn bash "$CACHE/root/usr/bin/sh"
    ln -sfn python3.11 "$CACHE/root/usr/bin/python3"
    printf 'root:x:0:0:root:/root:/bin/bash\n' >"$CACHE/root/etc/passwd"
    printf 'root:x:0:\n' >"$CACHE/root/etc/group"
    mkdir -p "$CACHE"/root/{proc,sys,dev,run,tmp,root,home}
    ln -s "$CACHE/root" "$W/x"
}
# Bookworm's own kernels have pages of 4 KiB; its backports have one of 16.
download_arm64_16k() {
    LAB_CACHE=$CACHES "$0" --arch arm64 --prepare
    ln -sfn "$CACHES/arm64-$KEY/root" "$CACHE/root"
    "$TOP/tools/stock-kernel.sh" "$W/x" arm64 linux-image-arm64-16k bookworm-backports >/dev/null || die "no kernel with pages of 16 KiB"
    mkdir -p "$W/x/bin"
    cp "$CACHE/root/bin/busybox" "$W/x/bin/"
    find "$W/x/lib/modules" -name '*.ko.xz' -exec xz -d {} +
}

prepare() {
    local W=$CACHE/work version
    rm -rf "$W"
    mkdir -p "$W/root"
    case $PAGES in
    4) "download_$ARCH" ;;
    *) "download_${ARCH}_${PAGES}k" ;;
    esac
    version=$(basename "$W"/x/boot/vmlinuz-*)
    version=${version#vmlinuz-}
    depmod -b "$W/x" "$version"
    local R=$W/root f
    mkdir -p "$R"/{bin,sbin,proc,sys,dev,lib/modules/"$version"}
    cp "$W/x/bin/busybox" "$R/bin/busybox"
    ln -s /bin/busybox "$R/sbin/modprobe"
    for m in virtio_pci virtio_blk virtio_console virtiofs overlay $KVM_MODULE tun loop erofs; do
        modprobe -d "$W/x" -S "$version" --show-depends $m | awk '$1 == "insmod" {print $2}'
    done | sort -u | while read -r f; do
        mkdir -p "$R/$(dirname "${f#"$W"/x/}")"
        cp "$f" "$R/${f#"$W"/x/}"
    done
    cp "$W/x/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$R/lib/modules/$version/"
    depmod -b "$R" "$version"
    init_script >"$R/init"
    chmod 755 "$R/init"
    (cd "$R" && find . | sort | cpio -o -H newc --quiet -R 0:0 | gzip -1) >"$CACHE/initrd"
    cp "$W/x/boot/vmlinuz-$version" "$CACHE/vmlinuz"
    rm -rf "$W"
    echo "$KEY" >"$CACHE/ready"
}

exec 9>"$CACHE/lock"
flock -w 900 9 || die "another run holds $CACHE/lock"
[ "$(cat "$CACHE/ready" 2>/dev/null)" = "$KEY" ] || prepare
exec 9>&-
[ -z "$PREPARE" ] || { echo "lab: ready"; exit 0; }

T=$(mktemp -d)
PIDS=()
cleanup() {
    trap - EXIT
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

$VIRTIOFSD --socket-path="$T/root.sock" -o source=/,sandbox=chroot,cache=always >"$T/fs.log" 2>&1 &
FSD=$!
PIDS+=($FSD)
for _ in $(seq 100); do [ -S "$T/root.sock" ] && break; sleep 0.05; done
[ -S "$T/root.sock" ] || { cat "$T/fs.log" >&2; die "virtiofsd did not start"; }
# A VM that is always there: Linux patches __schedule when the first one comes
# and the last one goes (preempt_notifier_key), and QEMU 7.2 may go on with the
# INT3 it translated meanwhile: both CPUs took it for ever, once in 60 VMs.
KEEP='import fcntl, os, time; fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR), 0xae01, 0); time.sleep(1e8)'
{
    [ "$ARCH" = x86_64 ] || PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
    printf 'export PATH=%q HOME=/root LAB=1\n' "$PATH"
    printf 'python3 -c %q >/dev/null 2>&1 &\ncd %q || exit 125\nexec' "$KEEP" "$PWD"
    printf ' %q' "$@"
    echo
} >"$T/cmd"
{
    if [ "$ARCH" = arm64 ]; then printf 'lower=%q\nshares=%q\n' "$(realpath "$CACHE/root")" "$TOP ${SHARE[*]}"; fi
} >"$T/lab"
cat "$CACHE/initrd" <(cd "$T" && printf 'cmd\nlab\n' | cpio -o -H newc --quiet | gzip -1) >"$T/initrd"
: >"$T/out"
if [ "$ARCH" = arm64 ]; then
    MACHINE="virt,virtualization=on,gic-version=$GIC" TTY=ttyAMA0
    CPU=${CPU:-neoverse-n1}
else
    MACHINE=q35 TTY=ttyS0
    CPU=EPYC,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec
fi
timeout --foreground -k 5 "$TIMEOUT" $QEMU -M "$MACHINE,memory-backend=mem" -cpu "$CPU" \
    "${ACCEL[@]}" -smp "$SMP" -m "$MEM" -object memory-backend-memfd,id=mem,size="${MEM}M",share=on \
    -nodefaults -no-user-config -display none -no-reboot -serial file:"${LOG:-$T/console}" -device virtio-rng-pci \
    -chardev socket,id=root,path="$T/root.sock" -device vhost-user-fs-pci,chardev=root,tag=root \
    -device virtio-serial-pci,ioeventfd=off \
    -chardev file,id=out,path="$T/out" -device virtserialport,chardev=out,name=out \
    -chardev file,id=rc,path="$T/rc" -device virtserialport,chardev=rc,name=rc \
    -kernel "$CACHE/vmlinuz" -initrd "$T/initrd" \
    "${EXTRA[@]}" \
    -append "console=$TTY panic=-1 loglevel=5 tsc=reliable" </dev/null 2>"$T/qemu.err" &
HOST=$!
PIDS+=($HOST)
tail -n +1 -f -s 0.1 --pid=$HOST "$T/out" &
TAIL=$!
frozen() { # which part of it
    echo "lab: silent for $IDLE s"
    if kill -0 $FSD 2>/dev/null; then echo "lab: virtiofsd is there"; else echo "lab: virtiofsd has ended"; fi
    tail -n 5 "$T/fs.log"
    top -H -b -n 1 -w 100 -p "$(pgrep -P $HOST | paste -sd,)" | sed -n '7,14p'
    tail -n 5 "${LOG:-$T/console}"
}
watch() { # until $HOST ends, or is silent for $IDLE seconds
    local now last=-1 since=$SECONDS
    while kill -0 $HOST 2>/dev/null; do
        now=$(stat -c %s "$T/out")
        [ "$now" = $last ] || { last=$now since=$SECONDS; }
        [ $((SECONDS - since)) -lt "$IDLE" ] || { frozen >&2; : >"$T/idle"; kill $HOST; return; }
        sleep 1
    done
}
[ -z "$IDLE" ] || { watch & PIDS+=($!); }
status=0
wait $HOST || status=$?
wait $TAIL || true
cat "$T/qemu.err" >&2
if [ -s "$T/rc" ]; then exit "$(tr -cd 0-9 <"$T/rc")"; fi
[ ! -e "$T/idle" ] || exit 124
[ $status != 124 ] || { echo "lab: out of time after $TIMEOUT s" >&2; exit 124; }
tail -n 20 "${LOG:-$T/console}" >&2 || true
die "no exit status (QEMU $status)"
