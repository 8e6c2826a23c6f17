#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print each skipped test of a ctest JUnit file by name with its reason: the
lines of its output that start with SKIP, or unittest's "... skipped 'why'"."""
import sys
import xml.etree.ElementTree as tree

skipped = 0
for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    text = (case.findtext("system-out") or "")
    reasons = [l.strip() for l in text.splitlines() if l.strip().startswith("SKIP") or " ... skipped " in l]
    if case.find("skipped") is not None or reasons:
        for reason in reasons or ["no reason given (a defect)"]:
            print(f"skipped: {case.get('name')}: {reason}")
            skipped += 1
print(f"{skipped} skipped") if skipped else None
