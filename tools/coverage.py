#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""coverage.py BUILD: lines that the unit tests of BUILD (LIMPET_COVERAGE=ON, run
already) reached, per directory, against the floors of tests/coverage.floor.
A floor only rises: below it is a failure, well above it a hint."""
import collections
import json
import os
import subprocess
import sys

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(top + "/tests/coverage.floor") as f:
    floors = {w[0]: int(w[1]) for w in (row.split() for row in f) if w and w[0] != "#"}
filters = [word for name in floors for word in ("--filter", f"{top}/{name}/")]
text = subprocess.run(["gcovr", "-r", top, "--object-directory", sys.argv[1], "--json-summary", "-", *filters],
                      check=True, capture_output=True, text=True).stdout
seen = collections.defaultdict(lambda: [0, 0])
for file in json.loads(text)["files"]:
    for name in floors:
        if file["filename"].startswith(name + "/"):
            seen[name][0] += file["line_covered"]
            seen[name][1] += file["line_total"]
failed = False
for name, floor in floors.items():
    covered, total = seen[name]
    percent = 100 * covered / total if total else 0
    note = f"BELOW ITS FLOOR of {floor}" if percent < floor else f"raise its floor of {floor}" if percent > floor + 8 else ""
    failed |= percent < floor
    print(f"{name:<14} {percent:5.1f} % of {total} lines {note}".rstrip())
sys.exit(failed)
