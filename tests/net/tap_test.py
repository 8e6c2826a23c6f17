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
import struct
import subprocess
import sys
import tempfile
import time

from world import BIN, BUSYBOX, enter, ping

HOST4, HOST6, VM4, VM6 = "10.77.0.1", "fd77::1", "10.77.0.2", "fd77::2"


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

    def wait_for(self, text, seconds=120):
        end = time.time() + seconds
        seen = ""
        while time.time() < end:
            line = self.p.stdout.readline()
            seen += line
            if text in line:
                return seen
            if line == "":
                break
        raise AssertionError(f"no {text!r} in {seen!r}")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        subprocess.run(limpet("kill", "--root", self.store, "vm"), capture_output=True)
        self.p.wait(120)


def tap_vm(store, script, *flags):
    return Vm(store, ["sh", "-c", "echo ready; " + script], "--network", "tap:t0", "--ip", VM4 + "/24", "--ip6",
              VM6 + "/64", "--gateway", HOST4, *flags)


def test_ping(store):
    with tap_vm(store, "sleep 1000") as vm:
        vm.wait_for("ready")
        for to in (VM4, VM6):
            ping(to)
            ping(to, "-s", "1472" if to == VM4 else "1452")
            ping(to, "-s", "9000")  # in fragments


def test_interfaces_are_what_was_said(store):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Vm(store, ["sh", "-c", "ip addr; ip route; echo done; sleep 1000"], "--network",
            f"tap:t0,ip={VM4}/24,ip6={VM6}/64,gateway={HOST4},mac-address=02:00:00:00:00:0a,mtu=1400", "--network",
            f"fd:{theirs.fileno()},ip=10.9.0.1/16,mac-address=02:00:00:00:00:0b", fds=(theirs.fileno(),)) as vm:
        text = vm.wait_for("done")
        eth0, eth1 = text[text.index("eth0:"):text.index("eth1:")], text[text.index("eth1:"):]
        for want in ("mtu 1400", "02:00:00:00:00:0a", VM4 + "/24", VM6 + "/64"):
            assert want in eth0, text
        for want in ("mtu 1500", "02:00:00:00:00:0b", "10.9.0.1/16"):
            assert want in eth1, text
        assert f"default via {HOST4} dev eth0" in text and "10.9.0.0/16 dev eth1" in text, text
    ours.close()
    theirs.close()


def test_emulated(store):
    with tap_vm(store, "sleep 1000", "--accel", "emulate") as vm:
        vm.wait_for("ready", 250)
        ping(VM4)
        ping(VM6, "-s", "9000")


def link_stats():
    p = subprocess.run(["ip", "-s", "-j", "link", "show", "t0"], capture_output=True, text=True, check=True)
    return json.loads(p.stdout)[0]["stats64"]


def connect(port):
    for _ in range(600):
        try:
            s = socket.create_connection((VM4, port), 60)
            s.settimeout(120)
            return s
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError(f"nobody listens at {VM4}:{port}")


def test_segments_of_64_kib(store):
    """What went in over TCP comes out again, and the tap carried it in frames
    many times the MTU."""
    data = os.urandom(1 << 20) * 32
    with tap_vm(store, "nc -l -p 5001 > /tmp/data; httpd -p 5002 -h /tmp; sleep 1000") as vm:
        vm.wait_for("ready")
        before = link_stats()
        with connect(5001) as s:
            s.sendall(data)
        got = bytearray()
        with connect(5002) as s:
            s.sendall(b"GET /data HTTP/1.0\r\n\r\n")
            while b"\r\n\r\n" not in got:
                got += s.recv(1 << 20)
            del got[:got.index(b"\r\n\r\n") + 4]
            while len(got) < len(data):
                part = s.recv(1 << 20)
                assert part, len(got)
                got += part
        assert got == data
        now = link_stats()
        packets = {way: now[way]["packets"] - before[way]["packets"] for way in ("rx", "tx")}
        assert max(packets.values()) < len(data) / 1448 / 2, packets
        print("#", packets)


def test_rate(store):
    """10 Mbit/s: what is sent faster arrives late or not at all, never faster."""
    with tap_vm(store, "sleep 1000", "--net-rate", "10M") as vm:
        vm.wait_for("ready")
        ping(VM4)
        begin = time.monotonic()
        before = link_stats()["tx"]["bytes"]
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(3000):
            s.sendto(bytes(1400), (VM4, 9))
        time.sleep(1)
        tx = link_stats()["tx"]["bytes"] - before
        took = time.monotonic() - begin
        assert tx < 1_500_000 + 1_250_000 * took, (tx, took)


def test_link_goes(store):
    with tap_vm(store, "while cat /etc/hostname; do sleep 1; done") as vm:
        vm.wait_for("ready")
        ping(VM4)
        ip("link", "del", "t0")
        for _ in range(3):
            vm.wait_for("\n")  # the VM lives on
    make_tap()


def arp_request(sender):
    return (b"\xff" * 6 + sender + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + sender +
            socket.inet_aton(HOST4) + bytes(6) + socket.inet_aton(VM4))


def check_frames(store, kind, put, get):
    """The other end of a socket asks for the VM's address by hand."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.settimeout(120)
    with Vm(store, ["sh", "-c", "echo ready; sleep 1000"], "--network",
            f"fd:{theirs.fileno()},ip={VM4}/24,mac-address=02:00:00:00:00:07", fds=(theirs.fileno(),)) as vm:
        theirs.close()
        vm.wait_for("ready")
        put(ours, arp_request(b"\x02\0\0\0\0\x01"))
        while True:
            frame = get(ours)
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x02":
                break
        assert frame[22:28] == b"\x02\0\0\0\0\x07" and frame[28:32] == socket.inet_aton(VM4), frame


def test_packet_socket(store):
    check_frames(store, socket.SOCK_SEQPACKET, lambda s, f: s.send(f), lambda s: s.recv(65536))


def test_stream_socket(store):
    def exactly(s, n):
        data = b""
        while len(data) < n:
            data += s.recv(n - len(data))
        return data

    check_frames(store, socket.SOCK_STREAM, lambda s, f: s.sendall(struct.pack("!I", len(f)) + f),
                 lambda s: exactly(s, struct.unpack("!I", exactly(s, 4))[0]))


def test_state_says_what_there_is(store):
    p = subprocess.run(limpet("run", "--root", store, "--name", "kept", "--network",
                              f"tap:t0,ip={VM4}/24,mac-address=02:00:00:00:00:09,dns=9.9.9.9", BUSYBOX, "cat",
                              "/etc/hosts", "/etc/resolv.conf"), capture_output=True, text=True, timeout=200)
    assert p.returncode == 0 and re.search(rf"^{VM4}\s", p.stdout, re.M), p
    assert "nameserver 9.9.9.9" in p.stdout, p
    found = subprocess.run(["grep", "-rl", "02:00:00:00:00:09", store + "/vms"], capture_output=True, text=True)
    assert "config.json" in found.stdout, found
    subprocess.run(limpet("rm", "--root", store, "kept"), check=True, capture_output=True)


def main():
    enter()
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
