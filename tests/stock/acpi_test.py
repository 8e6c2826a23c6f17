#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""acpi_test.py VMM_LINUX_TEST: iasl reads each ACPI table of ours without an
error, and what it wrote compiles again, without an error or a warning that
counts, to a table of the same length."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

if shutil.which("iasl") is None:
    print("SKIP iasl is not installed (acpica-tools)")
    sys.exit(77)
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.argv[1], "--dump", folder], check=True)
    tables = sorted(f[:-4] for f in os.listdir(folder))
    assert tables == ["apic", "dsdt", "facp", "xsdt"], tables
    for name in tables:
        aml = os.path.join(folder, name + ".aml")
        got = subprocess.run(["iasl", "-d", aml], capture_output=True, text=True, timeout=300)
        text = got.stdout + got.stderr
        assert got.returncode == 0 and not re.search("error|warning|invalid|incorrect", text, re.I), text
        size = os.path.getsize(aml)
        dsl = os.path.join(folder, name + ".dsl")
        if name == "dsdt":
            source = open(dsl).read()
            assert source.count('"LNRO0005"') == 3 and source.count("Memory32Fixed") == 3, source
            assert source.count("Edge, ActiveHigh, Exclusive") == 3 and "_S5" in source, source
        got = subprocess.run(["iasl", "-p", os.path.join(folder, "again"), dsl], capture_output=True, text=True, timeout=300)
        text = got.stdout + got.stderr
        assert got.returncode == 0 and " 0 Errors" in text, text
        again = os.path.getsize(os.path.join(folder, "again.aml"))
        assert name == "dsdt" and again <= size or again == size, (name, size, again)
        print("ok", name, size, "bytes")
