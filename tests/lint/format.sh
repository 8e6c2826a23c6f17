#!/bin/bash
# Layout is clang-format's business: every file is as it would write it.
cd "$1" || exit 1
mapfile -t files < <(find abi base boards image net vmm supervisor cli guest tests \
    \( -name '*.c' -o -name "*.h" \) ! -name nr.h | sort)
clang-format --dry-run -Werror "${files[@]}" 2>&1 | grep -E 'error|warning' | head -20
[ "${PIPESTATUS[0]}" = 0 ] && echo "format: ${#files[@]} files"
