#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# inside.sh: process 1 of the bare Debian of run.sh: install, use, remove.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "FAIL: $*"; exit 1; }
dpkg -i /limpet.deb >/log 2>&1 || { cat /log; fail "dpkg -i"; }
[ -z "$(dpkg --audit)" ] || fail "dpkg --audit"
! ldd /usr/libexec/limpet/limpet-image | grep 'not found' || fail "limpet-image lacks libraries"
getent group kvm >/dev/null || groupadd -r kvm
chgrp kvm /dev/kvm
useradd -m -G kvm user
useradd -m other
as() { setpriv --reuid "$1" --regid "$1" --init-groups env -i HOME="/home/$1" PATH="$PATH" "${@:2}"; }

as user limpet version || fail "limpet version"
as user limpet doctor | tee /log || true
grep -q 'in /usr/libexec/limpet' /log || fail "doctor does not look into /usr/libexec/limpet"
as user limpet board >/log 2>&1 || { cat /log; fail "limpet board"; }
for round in converted cached; do
    out=$(as user limpet run --rm oci:/image) || fail "limpet run: exit code $?"
    [ "$out" = "hello from c uid 0 argc 1" ] || fail "limpet run: $out"
    echo "ok ran an image ($round) as $(as user id -un) of $(as user id -Gn)"
done
[ "$(stat -c %U /home/user/.local/share/limpet)" = user ] || fail "the store is not the user's"
! as other limpet run --rm oci:/image >/log 2>&1 || fail "a user outside kvm ran an image"
grep -q kvm /log || { cat /log; fail "the message says nothing of /dev/kvm"; }
dpkg -P limpet >/log 2>&1 || { cat /log; fail "dpkg -P"; }
! find /usr -name '*limpet*' | grep . || fail "files are left after dpkg -P"
