#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the tests of a ctest JUnit file say beside passed and failed, a line
each. Skipped ones with their reason: lines of output that start with SKIP, or
unittest's "... skipped 'why'". Cases that passed only the second time:
run.py's lines "# UNSTABLE: ..."."""
import sys
import xml.etree.ElementTree as tree

skipped = 0
for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    reasons = [line for line in lines if line.startswith("SKIP") or " ... skipped " in line]
    if case.find("skipped") is not None or reasons:
        for reason in reasons or ["no reason given (a defect)"]:
            print(f"skipped: {case.get('name')}: {reason}")
            skipped += 1
    for line in lines:
        if line.startswith("# UNSTABLE: "):
            print(f"UNSTABLE: {case.get('name')}: {line[12:]}")
print(f"{skipped} skipped") if skipped else None
