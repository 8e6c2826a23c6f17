# SPDX-License-Identifier: Apache-2.0
"""host_test.py [CASE...]: real VMs in the surroundings hosts have: an ordinary
user of the group that owns /dev/kvm (a node of our own in a private /dev),
one outside it, root without CAP_SYS_RESOURCE, no user namespaces."""
import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

BIN = os.path.abspath(os.environ["LIMPET_BIN"])
IMAGE = os.path.abspath(os.path.join(os.environ.get("LIMPET_IMAGES", "build/images"), "busybox"))
UID, GROUP = "1001", "4207"
# /dev with null and a copy of the kvm node that belongs to GROUP.
PRIVATE_DEV = ("set -e; minor=$(stat -c %T /dev/kvm); mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; "
               f"mknod -m 660 /dev/kvm c 10 0x$minor; chgrp {GROUP} /dev/kvm; exec \"$@\"")


def as_user(*groups):
    return ["unshare", "-m", "sh", "-c", PRIVATE_DEV, "sh", "setpriv", "--reuid", UID, "--regid", UID,
            "--bounding-set=-all", "--inh-caps=-all", f"--groups={','.join(groups)}" if groups else "--clear-groups"]


def missing():
    if os.geteuid() != 0:
        return "needs root to become uid 1001"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as e:
        return f"/dev/kvm: {e.strerror}"
    if not os.path.exists(IMAGE + "/index.json"):
        return IMAGE + " is not there: tests/fixtures/make-images.sh makes it"
    return None


class Place:
    """Programs, image and an empty store where any user can reach them."""

    def __init__(self, folder):
        self.folder = folder
        os.chmod(folder, 0o755)
        self.bin = folder + "/bin"
        os.mkdir(self.bin)
        for name in ("limpet", "limpet-vmm", "limpet-image", "limpet-kernel.x86_64"):
            shutil.copy(f"{BIN}/{name}", self.bin)
        shutil.copytree(IMAGE, folder + "/image")
        os.mkdir(folder + "/home")
        os.chown(folder + "/home", int(UID), int(UID))
        self.env = {"PATH": os.environ["PATH"], "HOME": folder + "/home", "LIMPET_ROOT": folder + "/home/store",
                    "LIMPET_NETWORK": "none"}

    def command(self, prefix, *args):
        return [*prefix, self.bin + "/limpet", *args]

    def run(self, prefix, *args):
        return subprocess.run(self.command(prefix, "run", *args), env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)

    def log(self):
        """vmm.log of the only container, which then goes."""
        vms = self.env["LIMPET_ROOT"] + "/vms"
        (one,) = os.listdir(vms)
        with open(f"{vms}/{one}/vmm.log") as f:
            text = f.read()
        subprocess.run(self.command([], "rm", one), env=self.env, check=True, stdout=subprocess.DEVNULL)
        return text


def check_threads(pid):
    """Every thread of the monitor while its guest runs."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            s = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1" and int(s["CapEff"], 16) == 0, s
        assert s["Uid"].split() == [UID] * 4, s
        for space in ("user", "mnt", "net", "ipc", "uts", "pid", "cgroup"):
            assert os.readlink(f"/proc/self/ns/{space}") != os.readlink(f"/proc/{pid}/task/{task}/ns/{space}"), space
    assert os.listdir(f"/proc/{pid}/root") == []


def case_user(place):
    p = place.run(as_user(GROUP), "oci:" + place.folder + "/image", "sh", "-c", "id -u; echo out; echo err >&2; exit 7")
    assert (p.returncode, p.stdout, p.stderr) == (7, "0\nout\n", "err\n"), p
    assert "jail: no" not in (log := place.log()) and "refuses" not in log, log
    p = subprocess.Popen(place.command(as_user(GROUP), "run", "--rm", "-i", "oci:" + place.folder + "/image", "sh", "-c",
                                       "echo ready; cat"), env=place.env, text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    (one,) = os.listdir(place.folder + "/home/store/vms")
    with open(f"{place.folder}/home/store/vms/{one}/lock") as f:
        check_threads(int(f.read()))
    assert p.communicate("bye\n", timeout=60)[0] == "bye\n" and p.returncode == 0
    for base, dirs, files in os.walk(place.folder + "/home"):
        for name in dirs + files:
            assert os.lstat(os.path.join(base, name)).st_uid == int(UID), (base, name)


def case_cpuid_cache(place):
    """Made by the first run, whoever wins; damage and age do no harm."""
    place.env["LIMPET_ROOT"] = root = place.folder + "/store"
    image = "oci:" + place.folder + "/image"
    runs = [subprocess.Popen(place.command([], "run", "--rm", image, "echo", "x"), env=place.env, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for _ in range(8)]
    assert [p.communicate(timeout=60)[0] for p in runs] == ["x\n"] * 8
    (name,) = os.listdir(root + "/cache")
    path = f"{root}/cache/{name}"
    with open(path, "rb") as f:
        good = f.read()
    assert name.startswith("cpuid-") and len(good) > 1000
    shutil.copy(path, root + "/cache/cpuid-old")
    for content in (b"", good[:-1], b"rubbish" * 500):
        os.chmod(path, 0o600)
        with open(path, "wb") as f:
            f.write(content)
        assert place.run([], "--rm", image, "echo", "x").stdout == "x\n"
    os.unlink(path)
    assert place.run([], "--rm", image, "echo", "x").stdout == "x\n"
    assert os.listdir(root + "/cache") == [name]


def case_other_user(place):
    p = place.run(as_user(), "oci:" + place.folder + "/image", "true")
    assert p.returncode == 125 and "no permission: add your user to its group (usermod -aG kvm USER)" in p.stderr, p
    assert f"limpet run --accel emulate oci:{place.folder}/image true\n" in p.stderr, p


def case_foreign_terminal(place):
    """A terminal of another user (sudo), whose reader stands still: the monitor
    still hears, also where it cannot open the terminal for itself."""
    place.env["LIMPET_ROOT"] = place.folder + "/store"
    master, slave = pty.openpty()
    os.fchown(slave, int(UID), int(UID))
    p = subprocess.Popen(place.command([], "run", "--rm", "oci:" + place.folder + "/image", "yes"), env=place.env,
                         stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL)
    waiting, end = -1, time.monotonic() + 60
    while waiting != (now := fcntl.ioctl(master, termios.FIONREAD, b"1234")) or now == bytes(4):
        waiting = now
        assert time.monotonic() < end
        time.sleep(1)
    (one,) = os.listdir(place.folder + "/store/vms")
    with open(f"{place.folder}/store/vms/{one}/lock") as f:
        os.kill(int(f.read()), signal.SIGTERM)
    code = p.wait(timeout=60)
    assert code == 125, code
    os.close(master)
    os.close(slave)


def case_no_sys_resource(place):
    p = place.run(["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-all"], "oci:" + place.folder + "/image",
                  "echo", "x")
    assert (p.returncode, p.stdout, p.stderr) == (0, "x\n", ""), p
    assert "jail: no" not in (log := place.log()), log  # limits are only lowered


def case_no_user_namespaces(place):
    place.env["LIMPET_ROOT"] = place.folder + "/store"  # the other one's owner has no uid in there
    p = place.run(["unshare", "-Ur", "sh", "-c", 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"', "sh"],
                  "oci:" + place.folder + "/image", "echo", "x")
    assert (p.returncode, p.stdout, p.stderr) == (0, "x\n", ""), p
    log = place.log()
    assert "refuses the monitor its own user namespace" in log and "jail: no user namespace: " in log, log


def main():
    why = missing()
    if why:
        print("SKIP", why)
        return 77
    for name, case in list(globals().items()):
        if name.startswith("case_") and (len(sys.argv) == 1 or name[5:] in sys.argv[1:]):
            with tempfile.TemporaryDirectory(prefix="limpet-host-") as folder:
                start = time.monotonic()
                case(Place(folder))
                print(f"ok {name[5:]} ({time.monotonic() - start:.1f} s)", flush=True)
    return 0


sys.exit(main())
