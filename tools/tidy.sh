#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tidy.sh BUILD [FILE...]: clang-tidy, which includes the checkers of scan-build
# (clang-analyzer-*), with the tree's .clang-tidy over host code as BUILD
# compiles it. A finding is an error. The guest takes ten times as long and has
# findings of its own: name its files to look at them.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
shift
known=$(mktemp)
trap 'rm -f "$known"' EXIT
python3 - "$build" "$@" >"$known" <<'EOF'
import json, os, sys
build, only = sys.argv[1], sys.argv[2:]
top = os.getcwd() + "/"
done = set()
for c in json.load(open(build + "/compile_commands.json")):
    name = c["file"].removeprefix(top)
    wanted = name in only if only else name.startswith(("base/", "image/", "net/", "vmm/", "supervisor/", "cli/"))
    if wanted and name.endswith(".c") and name not in done:
        print(name)
    done.add(name)
EOF
# gcc's own warning flags are nothing to clang.
xargs -a "$known" -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet \
    --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-unused-command-line-argument
