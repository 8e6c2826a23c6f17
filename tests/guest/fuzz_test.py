#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fuzz_test.py [SECONDS [SEED]]: conform/run/fuzz.c against limpet-kernel-ubsan.
The kernel has to be there when the time is over. Environment: LIMPET_BIN, UBSAN
(the kernel's directory), LIMPET_FUZZ_SECONDS."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("LIMPET_NETWORK", "none")
BIN = os.environ["LIMPET_BIN"]
SECONDS = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LIMPET_FUZZ_SECONDS", "60")
SEED = sys.argv[2] if len(sys.argv) > 2 else str(int(time.time()))


def tell(store):
    """What the monitor said of a VM that ended badly."""
    vms = store + "/vms"
    for vm in os.listdir(vms) if os.path.isdir(vms) else []:
        log = f"{vms}/{vm}/vmm.log"
        if os.path.exists(log):
            print(open(log, errors="replace").read()[-6000:])


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("SKIP /dev/kvm cannot be opened")
        return 77
    with tempfile.TemporaryDirectory(prefix="limpet-fuzz-") as folder:
        libexec = folder + "/libexec"
        os.mkdir(libexec)
        for name in ("limpet-vmm", "limpet-image"):
            shutil.copy(f"{BIN}/{name}", libexec)
        for name in os.listdir(os.environ["UBSAN"]):
            shutil.copy(os.path.join(os.environ["UBSAN"], name), libexec)
        env = dict(os.environ, LIMPET_LIBEXEC=libexec, LIMPET_ROOT=folder + "/store")
        command = [BIN + "/limpet", "run", "--name", "fuzz", "-m", "256m", f"oci:{BIN}/../images/conform",
                   "/fuzz", SECONDS, SEED]
        with open(folder + "/out", "w+") as out:
            p = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            try:
                code = p.wait(timeout=float(SECONDS) + 90)
            except subprocess.TimeoutExpired:
                code = "hang"
            out.seek(0)
            text = out.read()
        print(text)
        if code != 0 or "fuzz: done" not in text:
            print(f"not ok: exit {code}, seed {SEED}")
            tell(env["LIMPET_ROOT"])
        subprocess.run([BIN + "/limpet", "rm", "-f", "fuzz"], env=env, stdout=subprocess.DEVNULL, timeout=60)
        return 0 if code == 0 and "fuzz: done" in text else 1


sys.exit(main())
