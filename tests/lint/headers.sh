#!/bin/bash
# Every header compiles alone, included twice, with the flags of its side.
#   headers.sh ROOT [CC]
set -u
cd "$1" || exit 1
CC=${2:-gcc}
fail=0
for h in $(find abi base boards image net vmm supervisor cli guest -name '*.h' ! -path '*/fake/*' | sort); do
    case $h in
    guest/arch/*/include/*) continue ;; # found as <arch_types.h> below
    guest/arch/aarch64/*) set -- -ffreestanding -Iguest/arch/aarch64/include ;;
    guest/* | abi/*) set -- -ffreestanding -Iguest/arch/x86_64/include ;;
    *) set -- -D_GNU_SOURCE ;;
    esac
    if ! printf '#include "%s"\n#include "%s"\n' "$h" "$h" |
        $CC -std=gnu17 -Wall -Wextra -Werror -fsyntax-only -I. "$@" -x c - 2>/tmp/headers.$$; then
        echo "$h does not compile alone:"
        head -5 /tmp/headers.$$
        fail=1
    fi
done
rm -f /tmp/headers.$$
[ $fail = 0 ] && echo "headers: all compile alone"
exit $fail
