#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cases.sh [OPTION OF lab.sh...] -- CMD [ARG...]: a list of test cases in an
# emulated host. QEMU's emulation of such a host has been seen to freeze as a
# whole: no process in it runs any more (lab.sh knows one reason, and avoids it).
# Then it is booted again, at most three times, and tests/boot/run.py goes on with
# the case it stood in: /tmp/lab-skip in there has how many of its cases are over.
# Exit 0: CMD ended with 0 and no case failed.
set -u
options=()
while [ "$1" != -- ]; do options+=("$1"); shift; done
shift
out=$(mktemp) over=0
trap 'rm -f "$out"' EXIT
for try in 1 2 3 4; do
    "$(dirname "$0")/lab.sh" --idle 200 "${options[@]}" -- \
        bash -c 'echo "$0" >/tmp/lab-skip; exec "$@"' $over "$@" 2>&1 |
        tee -a "$out"
    status=${PIPESTATUS[0]}
    over=$(grep -cE '^(not )?ok [0-9]+ - .* \([0-9]+ ms\)$' "$out")
    [ $status = 124 ] && [ $try != 4 ] || break
    echo "# the emulated host froze after $over cases: on with the next one"
done
if [ $status = 0 ] && grep -q '^not ok' "$out"; then status=1; fi
exit $status
