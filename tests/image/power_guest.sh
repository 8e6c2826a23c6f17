#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# power_guest.sh WORK BIN PORT ROUNDS MARK [PRELOAD]: on the emulated host: pull,
# convert, tag, prune on /dev/vda. What the store has promised to have is written
# behind the file system (4 KiB block MARK) and so is in the log, in its order.
set -euo pipefail
W=$1 BIN=$2 PORT=$3 ROUNDS=$4 MARK=$5 PRELOAD=${6-}
export HOME=$W LIMPET_ROOT=/run/disk/store
mkdir -p /run/disk
mount /dev/vda /run/disk
docker-registry serve "$W/guest.yml" >"/tmp/registry.log" 2>&1 &
for _ in $(seq 200); do (: >"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break; sleep 0.1; done
promise() { echo "$*" | dd of=/dev/vda bs=4096 seek="$MARK" conv=sync,notrunc oflag=direct status=none; }
image() { # with the library that makes fsync(2) do nothing, if there is one
    LD_PRELOAD=$PRELOAD "$BIN/limpet-image" "$@" >/dev/null
}
# Somebody else on the disk who syncs: the journal is written when it likes.
while :; do dd if=/dev/zero of=/run/disk/other bs=4k count=1 conv=notrunc,fsync status=none; sleep 0.15; done &
other=$!
have=
for i in $(seq "$ROUNDS"); do
    name=r$((i % 2 ? i : i - 1)) # a second pull of the same adds blobs only
    if [ $((i % 2)) = 1 ]; then image pull -q "127.0.0.1:$PORT/a/$name:1"
    else image pull -q --keep-blobs "127.0.0.1:$PORT/a/$name:1"; fi
    have="$have $name"; promise "$have"
    image ensure "oci:$W/layouts/o$i"
    have="$have o$i"; promise "$have"
    if [ $((i % 4)) = 0 ]; then
        promise
        "$BIN/limpet" image prune -af >/dev/null
        have=
    fi
done
kill $other
umount /run/disk
