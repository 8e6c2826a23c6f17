#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write docs/syscalls.md from the call lists of guest/sys/calls_*.h."""
import glob
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
every = re.findall(r"X\((\w+), (\d+)\)", open(f"{ROOT}/abi/linux/x86_64/nr.h").read())
done = set()
for path in glob.glob(f"{ROOT}/guest/sys/calls_*.h"):
    done |= set(re.findall(r"X\((\w+)\)", open(path).read())) - {"name"}
have = [n for n, _ in every if n in done]
lack = [n for n, _ in every if n not in done]
with open(f"{ROOT}/docs/syscalls.md", "w") as out:
    out.write("# System calls\n\nMade by `tools/syscalls.py` from `guest/sys/calls_*.h`.\n\n"
              f"Implemented: {len(have)} of the {len(every)} that x86-64 has.\n\n")
    out.write(", ".join(f"`{n}`" for n in have))
    out.write(f"\n\nNot implemented (ENOSYS, logged once per program by name): {len(lack)}.\n\n")
    out.write(", ".join(f"`{n}`" for n in lack) + "\n")
print(f"{len(have)} implemented, {len(lack)} not")
