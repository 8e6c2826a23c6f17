# SPDX-License-Identifier: Apache-2.0
"""panic_test.py PLATFORM (kvm, emulate): a kernel with planted bugs
(planted.c) ends the VM with 125, says why and where in vmm.log."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("LIMPET_NETWORK", "none")
BIN = os.environ["LIMPET_BIN"]
IMAGE = os.path.join(os.environ.get("LIMPET_IMAGES", "build/images"), "busybox")
PLATFORM = sys.argv[1]
# Name length of planted.c: the reason, and the innermost frames.
CASES = [
    (1, r"kernel panic: planted 42", "__wrap_sys_sethostname"),
    (2, r"kernel panic: exception 14 at \S+ on CPU \d", "trap_panic"),
    (3, r"kernel panic: exception 6 at \S+ on CPU \d", "trap_panic"),
    (4, r"kernel panic: .*planted\.c:\d+: a\[1\] != PLANT_ASSERT",
     "__wrap_sys_sethostname"),
    (5, r"kernel panic: the kernel stack of \w+ \(\d+\) overflowed",
     "__wrap_sys_sethostname"),
]


def missing():
    if PLATFORM == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm cannot be opened"
    if PLATFORM == "emulate" and not shutil.which("qemu-system-x86_64"):
        return "qemu-system-x86_64 is not installed"
    if not os.path.exists(IMAGE + "/index.json"):
        return IMAGE + " is not there: tests/fixtures/make-images.sh makes it"
    return None


def check(env, length, reason, frame):
    name = "p%d" % length
    command = [BIN + "/limpet", "run", "--name", name]
    if PLATFORM == "emulate":
        command += ["--accel", "emulate"]
    command += ["oci:" + IMAGE, "sh", "-c", "echo before; hostname " + "x" * length]
    p = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert p.returncode == 125, p
    assert p.stdout == "before\n", p
    assert re.search(reason, p.stderr), p.stderr
    vms = os.path.join(env["LIMPET_ROOT"], "vms")
    (vm,) = os.listdir(vms)
    with open(f"{vms}/{vm}/vmm.log") as f:
        log = f.read()
    assert re.search("guest: .*" + reason, log), log
    trace = re.findall(r"\[<[0-9a-f]{16}>\] (\w+)[.\w]*\+0x[0-9a-f]+", log)
    assert frame in trace and "syscall_serve" in trace, log
    if frame == "trap_panic":
        assert re.search(r"guest: .*rip [0-9a-f]{16} rsp", log), log
    subprocess.run([BIN + "/limpet", "rm", name], env=env, check=True,
                   stdout=subprocess.DEVNULL)


def main():
    why = missing()
    if why:
        print("SKIP", why)
        return 77
    with tempfile.TemporaryDirectory(prefix="limpet-panic-") as folder:
        libexec = folder + "/libexec"
        os.mkdir(libexec)
        for name in ("limpet-vmm", "limpet-image"):
            shutil.copy(f"{BIN}/{name}", libexec)
        for name in os.listdir(os.environ["PLANTED"]):
            shutil.copy(os.path.join(os.environ["PLANTED"], name), libexec)
        env = dict(os.environ, LIMPET_LIBEXEC=libexec, LIMPET_ROOT=folder + "/store")
        for case in CASES:
            check(env, *case)
            print("ok", case[0], flush=True)
    return 0


sys.exit(main())
