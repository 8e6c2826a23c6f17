# SPDX-License-Identifier: Apache-2.0
"""tap_test.py [NAME...]: a VM at a tap, in a network namespace of the test's:

    host side of the namespace                    VM
    t0  10.77.0.1/24  fd77::1/64  <-- tap -->  eth0  10.77.0.2/24  fd77::2/64

and at sockets that carry frames (--network fd:N). Needs root and /dev/kvm.
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

BIN = os.path.abspath(os.environ["LIMPET_BIN"])
IMAGES = os.path.abspath(os.environ.get("LIMPET_IMAGES", "build/images"))
BUSYBOX = f"oci:{IMAGES}/busybox"
HOST4, HOST6, VM4, VM6 = "10.77.0.1", "fd77::1", "10.77.0.2", "fd77::2"


def missing():
    if os.geteuid() != 0:
        return "needs root for a network namespace"
    for path in ("/dev/kvm", "/dev/net/tun"):
        try:
            os.close(os.open(path, os.O_RDWR))
        except OSError as e:
            return f"{path}: {e.strerror}"
    if not os.path.exists(f"{IMAGES}/busybox/index.json"):
        return f"{IMAGES}/busybox is not there: tests/fixtures/make-images.sh makes it"
    return None


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def make_tap(mtu=1500):
    ip("tuntap", "add", "t0", "mode", "tap")
    ip("link", "set", "t0", "mtu", str(mtu), "up")
    ip("addr", "add", HOST4 + "/24", "dev", "t0")
    ip("-6", "addr", "add", HOST6 + "/64", "dev", "t0", "nodad")


def limpet(*args):
    return [BIN + "/limpet", *args]


class Vm:
    """`script` in a VM; its lines can be waited for."""

    def __init__(self, store, script, *flags, image=BUSYBOX, fds=()):
        self.store = store
        self.p = subprocess.Popen(
            limpet("run", "--rm", "--name", "vm", "--root", store, *flags, image, *script), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, pass_fds=fds)

    def wait_for(self, text, seconds=20):
        end = time.time() + seconds
        seen = ""
        while time.time() < end:
            line = self.p.stdout.readline()
            seen += line
            if text in line:
                return line
            if line == "":
                break
        raise AssertionError(f"no {text!r} in {seen!r}")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        subprocess.run(limpet("kill", "--root", self.store, "vm"), capture_output=True)
        self.p.wait(20)


def tap_vm(store, script, *flags):
    return Vm(store, ["sh", "-c", "echo ready; " + script], "--network", "tap:t0", "--ip", VM4 + "/24", "--ip6",
              VM6 + "/64", "--gateway", HOST4, *flags)


def test_rate(store):
    """10 Mbit/s: what is sent faster arrives late or not at all, never faster."""
    with tap_vm(store, "sleep 100", "--net-rate", "10M") as vm:
        vm.wait_for("ready")
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(3000):
            s.sendto(bytes(1400), ("10.77.0.255", 9))
        time.sleep(1)
        p = subprocess.run(["ip", "-s", "-j", "link", "show", "t0"], capture_output=True, text=True, check=True)
        tx = json.loads(p.stdout)[0]["stats64"]["tx"]["bytes"]
        assert tx < 3_000_000, tx


def test_link_goes(store):
    with tap_vm(store, "while cat /etc/hostname; do sleep 1; done") as vm:
        vm.wait_for("ready")
        ip("link", "del", "t0")
        for _ in range(3):
            vm.wait_for("\n")  # the VM lives on
    make_tap()


def test_state_says_what_there_is(store):
    p = subprocess.run(limpet("run", "--root", store, "--name", "kept", "--network",
                              f"tap:t0,ip={VM4}/24,mac-address=02:00:00:00:00:09,dns=9.9.9.9", BUSYBOX, "cat",
                              "/etc/hosts", "/etc/resolv.conf"), capture_output=True, text=True, timeout=60)
    assert p.returncode == 0 and re.search(rf"^{VM4}\s", p.stdout, re.M), p
    assert "nameserver 9.9.9.9" in p.stdout, p
    found = subprocess.run(["grep", "-rl", "02:00:00:00:00:09", store + "/vms"], capture_output=True, text=True)
    assert "config.json" in found.stdout, found
    subprocess.run(limpet("rm", "--root", store, "kept"), check=True, capture_output=True)


def main():
    why = missing()
    if why:
        print("skip: " + why)
        return 77
    if "LIMPET_NET_INSIDE" not in os.environ:
        os.environ["LIMPET_NET_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    ip("link", "set", "lo", "up")
    make_tap()
    names = sys.argv[1:] or [n for n in globals() if n.startswith("test_")]
    with tempfile.TemporaryDirectory(prefix="limpet-net-") as store:
        for name in names:
            globals()[name](store)
            print("ok " + name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
