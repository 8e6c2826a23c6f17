#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nolibc_test.py: nolibc-test of Debian's linux-source-6.1, downloaded and built
here, on the host's kernel and in a VM: every test that passes natively passes.
Environment: LIMPET_BIN, NOLIBC (where the sources stay between runs)."""
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault("LIMPET_NETWORK", "none")
BIN = os.environ["LIMPET_BIN"]
KEEP = os.path.abspath(os.environ.get("NOLIBC", "build/nolibc"))
TREE = "linux-source-6.1"
TEST = f"{TREE}/tools/testing/selftests/nolibc"
INCLUDE = f"{TREE}/tools/include/nolibc"
# Not about the kernel: the name of the terminal in the environment.
SKIP = {"getenv_TERM"}


def sh(*command, **more):
    return subprocess.run(command, check=True, **more)


def sources():
    """The two folders of the package that matter, once."""
    if os.path.exists(f"{KEEP}/{TEST}"):
        return
    os.makedirs(KEEP, exist_ok=True)
    sh("apt-get", "-q", "download", TREE, cwd=KEEP, stdout=subprocess.DEVNULL)
    deb = glob.glob(f"{KEEP}/{TREE}_*.deb")[0]
    sh("sh", "-c", f"dpkg-deb --fsys-tarfile {deb} | tar -xO ./usr/src/{TREE}.tar.xz | tar -xJ {TREE}/tools/include "
       f"{TEST}", cwd=KEEP)
    os.unlink(deb)


def passed(text):
    return set(re.findall(r"^\d+ (\w+).*\[OK\]", text, re.M)) - SKIP


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("SKIP /dev/kvm cannot be opened")
        return 77
    sources()
    with tempfile.TemporaryDirectory(prefix="limpet-nolibc-") as folder:
        root = folder + "/root"
        os.makedirs(root + "/tmp")
        program = root + "/nolibc-test"
        sh("gcc", "-Os", "-fno-ident", "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-static", "-nostdlib",
           "-include", f"{KEEP}/{INCLUDE}/nolibc.h", f"-I{KEEP}/{INCLUDE}", "-o", program, f"{KEEP}/{TEST}/nolibc-test.c",
           "-lgcc")
        sh(f"{HERE}/../../tools/mkoci.py", folder + "/image", "--arch", "amd64", "--layer", root, "--compress", "none")
        native = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout
        guest = subprocess.run([BIN + "/limpet", "run", "--rm", "oci:" + folder + "/image", "/nolibc-test"],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120).stdout
    lost = sorted(passed(native) - passed(guest))
    print(f"{len(passed(guest))} pass, natively {len(passed(native))}; lost: {lost or 'none'}")
    return 1 if lost or not passed(native) else 0


sys.exit(main())
