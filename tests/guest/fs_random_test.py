# SPDX-License-Identifier: Apache-2.0
"""fs_random_test.py STEPS SEED...: fs_random.py gives the same results in the
guest and in the same files under the host's kernel, as root and as a user."""
import difflib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault("LIMPET_NETWORK", "none")
BIN = os.environ["LIMPET_BIN"]
IMAGE = os.path.join(os.environ.get("LIMPET_IMAGES", "build/images"), "python3")
# The same files, on a tmpfs as in the guest: sizes and times are the file
# system's to choose, and tmpfs is what the guest's upper layer is.
NATIVE = ("mount -t tmpfs t $1/tmp; mount -t proc p $1/proc; r=$1; shift; "
          "exec chroot $r python3 -c \"$@\"")


def missing():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm cannot be opened"
    if os.geteuid() != 0:
        return "the oracle needs root (chroot, mount)"
    if not os.path.exists(IMAGE + "/index.json"):
        return IMAGE + " is not there: tests/fixtures/make-images.sh makes it"
    return None


def output(command):
    p = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert p.returncode == 0, (command[:4], p.returncode, p.stderr)
    return p.stdout.splitlines()


def main():
    why = missing()
    if why:
        print("SKIP", why)
        return 77
    steps, seeds = sys.argv[1], sys.argv[2:]
    with open(HERE + "/fs_random.py") as f:
        script = f.read()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="limpet-fsrand-") as folder:
        root = folder + "/root"
        subprocess.run([sys.executable, HERE + "/../boot/unpack.py", IMAGE, root], check=True)
        os.environ["LIMPET_ROOT"] = folder + "/store"
        for seed in seeds:
            for uid in ("0", "1000"):
                args = [script, seed, uid, steps]
                want = output(["unshare", "-mpf", "sh", "-c", NATIVE, "sh", root] + args)
                got = output([BIN + "/limpet", "run", "--rm", "oci:" + IMAGE, "python3", "-c"] + args)
                same = got == want
                failed += not same
                print("ok" if same else "not ok", "seed", seed, "uid", uid, len(want), "lines", flush=True)
                for line in list(difflib.unified_diff(want, got, "host", "guest", n=2))[:12]:
                    print("#", line)
    return 1 if failed else 0


sys.exit(main())
