#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py KERNEL [NAME...]: containers under a stock Linux kernel, in limpet's
own VMs: standard virtio drivers against our devices. Prints one TAP line per
case. LIMPET_BIN, LIMPET_IMAGES and LIMPET_ROOT as for tests/boot/run.py."""
import os
import re
import subprocess
import sys
import time

os.environ.setdefault("LIMPET_NETWORK", "none")
BIN = os.environ["LIMPET_BIN"]
IMAGES = os.environ["LIMPET_IMAGES"]
LIMIT_S = 120


class Case:
    def __init__(self, name, image, *cmd, flags=(), stdin=None, code=0, out="", err=""):
        self.name, self.image, self.cmd, self.flags = name, image, list(cmd), list(flags)
        self.stdin, self.code, self.out, self.err = stdin, code, out, err  # out, err: regular expressions


CASES = [
    Case("hello", "cstatic", out=r"hello from c uid 0 argc 1\n"),
    # The configuration of the container, two CPUs, its own /dev, /proc and
    # /sys, the rng device, the writable layer; exit code, both outputs.
    Case("container", "busybox", "sh", "-c",
         "uname -sn; id; pwd; echo $A; nproc; umask; ulimit -n; echo $$; cat /etc/hostname; "
         "cat /sys/class/misc/hw_random/rng_current; grep -c . /proc/self/mountinfo >/dev/null; "
         "head -c 9 /dev/urandom | wc -c; echo x > /tmp/f; cat /tmp/f; cat; echo err >&2; exit 7",
         flags=["--vcpus", "2", "--hostname", "box", "-u", "app", "-w", "/tmp/new/dir", "-e", "A=b c"],
         code=7, err="err\n",
         out=r"Linux box\nuid=1000\(app\) gid=1000\(app\) groups=.*video.*\n/tmp/new/dir\nb c\n2\n0022\n1024\n1\n"
             r"box\nvirtio_rng.0\n9\nx\n"),
    Case("stdin", "busybox", "sh", "-c", "md5sum; echo end", flags=["-i"],
         stdin="0123456789abcdef\n" * 20000, out=r"[0-9a-f]{32}  -\nend\n"),
    Case("signal_death", "python3", "python3", "-c",
         "import ctypes, sys; print(sys.version_info[0], 6 * 7, flush=True); ctypes.string_at(0)",
         code=139, out=r"3 42\n"),
    Case("stdout_large", "busybox", "sh", "-c", "seq 1 100000; nosuch 2>/dev/null; echo $? >&2; kill -9 $$; echo alive",
         out="(\\d+\\n){100000}alive\n", err="127\n"),
    Case("terminal", "busybox", "sh", "-c", "tty; test -t 2 && stty size; exit 3", flags=["-t"], code=3,
         out="/dev/pts/0\n24 80\n"),
    Case("not_found", "busybox", "/no/such/program", code=127, err="no such file or directory"),
    Case("kernel_panic", "cstatic", flags=["--cmdline", "rdinit=/no/such/init"], code=125,
         err="kernel panicked: .*Unable to mount root fs"),
]


def run(kernel, case):
    command = [os.path.join(BIN, "limpet"), "run", "--rm", "--vcpus", "1", "-m", "512m", "--kernel", kernel]
    command += case.flags + [f"oci:{IMAGES}/{case.image}"] + case.cmd
    try:
        p = subprocess.run(command, input=case.stdin, capture_output=True, text=True, timeout=LIMIT_S,
                           **({} if case.stdin is not None else {"stdin": subprocess.DEVNULL}))
    except subprocess.TimeoutExpired:
        return f"no end after {LIMIT_S} s"
    if p.returncode != case.code:
        return f"exit code {p.returncode}, want {case.code}; stderr {p.stderr[-1500:]!r}"
    if not re.fullmatch(case.out, p.stdout):
        return f"stdout {p.stdout[-600:]!r} does not match {case.out!r}"
    if not re.search(case.err, p.stderr) or (case.err == "" and p.stderr != ""):
        return f"stderr {p.stderr[-1500:]!r} is not {case.err!r}"
    return None


def main():
    kernel, names = sys.argv[1], sys.argv[2:]
    chosen = [c for c in CASES if not names or c.name in names]
    failed = 0
    print(f"1..{len(chosen)}")
    for n, case in enumerate(chosen, 1):
        start = time.monotonic()
        why = run(kernel, case)
        failed += why is not None
        print(f"{'not ok' if why else 'ok'} {n} - {case.name} ({time.monotonic() - start:.1f} s)", flush=True)
        if why:
            print("#", why, flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


sys.exit(main())
