#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh: from a bare Debian bookworm to a program in its own micro-VM: install
# what is missing, build, make a small real image, run it, say how long it took.
# Safe to repeat; works offline and without root once the packages are there.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '%s\n' "$*"; }

tools/packages.sh build demo
export LIMPET_ROOT=${LIMPET_ROOT:-$PWD/build/demo-store}
export LIMPET_NETWORK=none # it leaves the host's network alone
[ -w . ] || { echo "demo: $PWD is not writable: clone it somewhere of your own" >&2; exit 1; }

accel=()
if ! (exec 3<>/dev/kvm) 2>/dev/null; then
    say "/dev/kvm cannot be opened here: the demo emulates (slow and right)."
    tools/packages.sh emulate
    accel=(--accel emulate)
fi

say "1. Building (gcc, cmake, ninja)"
cmake -S . -B build -G Ninja >build.log 2>&1 || { cat build.log >&2; exit 1; }
mv build.log build/configure.log
ninja -C build limpet limpet-vmm limpet-image limpet-kernel >build/ninja.log 2>&1 ||
    { tail -30 build/ninja.log >&2; exit 1; }
limpet=$PWD/build/bin/limpet
ls -l build/bin/limpet build/bin/limpet-vmm build/bin/limpet-kernel.x86_64 |
    awk '{printf "   %-45s %7.0f KiB\n", $NF, $5 / 1024}'

say "2. Making an OCI image: Debian's busybox"
image=$PWD/build/demo-image
if [ ! -e "$image/index.json" ]; then
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,root,home}
    chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    tools/mkoci.py "$image" --arch amd64 --layer "$root" --cmd sh --env PATH=/bin
    rm -rf "$root"
fi
echo "   oci:$image"

say "3. First run: the image is converted, then started in a micro-VM"
time_run() {
    local from to
    from=$(date +%s%N)
    "$limpet" run "${accel[@]}" --rm "oci:$image" "$@"
    to=$(date +%s%N)
    awk -v t=$((to - from)) 'BEGIN {printf "   whole command: %.1f ms\n", t / 1e6}'
}
time_run sh -c 'echo "   hello from $(uname -s) $(uname -r), pid $$, $(grep -c processor /proc/cpuinfo) CPUs, $(awk "/MemTotal/ {print int(\$2/1024)}" /proc/meminfo) MiB"'
say "4. Again: nothing is converted"
time_run echo "   hello again"

say "5. Yours now. Paste one of these:"
run="LIMPET_ROOT=$LIMPET_ROOT $limpet run ${accel[*]}${accel[*]:+ }"
echo "   ${run}-it --rm oci:$image            # a shell with job control: sleep 100 & jobs; fg; Ctrl-C; exit"
echo "   ${run}-m 128m oci:$image sh -c 'head -c 500m /dev/zero | tail > /dev/null; echo tail was killed: \$?'   # a crash stays inside its VM"
echo "   LIMPET_ROOT=$LIMPET_ROOT $limpet ps -a"
