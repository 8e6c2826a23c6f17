# SPDX-License-Identifier: Apache-2.0
"""flood_test.py: a hostile neighbour of a VM, in a network namespace of the
test's:

    this test, raw frames  -->  t0 (tap)  -->  eth0 of the VM
                                10.78.0.1/24   10.78.0.2/24, fd78::2/64

Floods of ARP, neighbour solicitations, SYNs, fragments and plain noise: after
each the VM answers pings, still serves, and has not lost memory to it. Needs
root and /dev/kvm.
"""
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

from world import BIN, IMAGES, enter, ping

HOST, VM, HOST6, VM6 = "10.78.0.1", "10.78.0.2", "fd78::1", "fd78::2"
MAC = bytes.fromhex("020000000078")
COUNT = 20000


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def csum(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def ether(kind, payload):
    src = bytes([2]) + random.randbytes(5)
    return MAC + src + struct.pack("!H", kind) + payload


def ip4(src, protocol, payload, frag=0, ident=7):
    h = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ident, frag, 64, protocol, 0) + src + socket.inet_aton(VM)
    return h[:10] + struct.pack("!H", csum(h)) + h[12:] + payload


def random_neighbour():
    return socket.inet_aton(f"10.78.0.{random.randrange(3, 250)}")


def arp_frame():
    src = bytes([2]) + random.randbytes(5)
    body = struct.pack("!HHBBH", 1, 0x800, 6, 4, random.choice((1, 2))) + src + random_neighbour() + MAC + \
        socket.inet_aton(VM)
    return b"\xff" * 6 + src + b"\x08\x06" + body


def solicitation_frame():
    src, dst = socket.inet_pton(socket.AF_INET6, f"fd78::{random.randrange(3, 65000):x}"), \
        socket.inet_pton(socket.AF_INET6, VM6)
    body = struct.pack("!BBHI", 135, 0, 0, 0) + dst + b"\x01\x01" + bytes([2]) + random.randbytes(5)
    sum6 = csum(src + dst + struct.pack("!II", len(body), 58) + body)
    body = body[:2] + struct.pack("!H", sum6) + body[4:]
    return ether(0x86dd, struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + src + dst + body)


def syn_frame():
    src = random_neighbour() if random.random() < 0.5 else random.randbytes(4)
    t = struct.pack("!HHIIBBHHH", random.randrange(1024, 65000), 8080, random.getrandbits(32), 0, 5 << 4, 2, 65535, 0, 0)
    pseudo = src + socket.inet_aton(VM) + struct.pack("!BBH", 0, 6, len(t))
    t = t[:16] + struct.pack("!H", csum(pseudo + t)) + t[18:]
    return ether(0x800, ip4(src, 6, t))


def fragment_frame():
    off = random.randrange(0, 8000) | random.choice((0, 0x2000, 0x2000))
    size = random.choice((8, 400, 1480))
    return ether(0x800, ip4(random_neighbour(), 17, bytes(size), off, random.getrandbits(16)))


def noise_frame():
    payload = random.randbytes(random.randrange(0, 200))
    kind = random.choice((0x800, 0x86dd, 0x806, 0x88cc))
    if kind == 0x800 and random.random() < 0.7:
        payload = ip4(random_neighbour(), random.choice((1, 2, 6, 17, 58, 250)), payload)
    return ether(kind, payload)


class Vm:
    def __init__(self, store):
        script = ("echo ready; httpd -p 8080 -h /etc; while read -r x; do grep MemFree /proc/meminfo; "
                  "wc -l < /proc/net/arp; echo done; done")
        self.store = store
        self.p = subprocess.Popen([
            BIN + "/limpet", "run", "--rm", "-i", "--name", "flood", "--root", store, "--network",
            f"tap:t0,ip={VM}/24,ip6={VM6}/64,gateway={HOST},mac-address={MAC.hex(':')}", f"oci:{IMAGES}/busybox", "sh",
            "-c", script
        ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.wait("ready")

    def wait(self, text):
        seen = ""
        for line in self.p.stdout:
            seen += line
            if text in line:
                return seen
        raise AssertionError(f"no {text!r} in {seen!r}")

    def ask(self):
        """KiB of free memory, lines of the ARP table."""
        self.p.stdin.write("x\n")
        self.p.stdin.flush()
        text = self.wait("done")
        return int(re.search(r"MemFree:\s+(\d+)", text).group(1)), int(text.split()[-2])

    def end(self):
        subprocess.run([BIN + "/limpet", "kill", "--root", self.store, "flood"], capture_output=True)
        self.p.wait(120)


def alive():
    for to in (VM, VM6):
        ping(to)
    with socket.create_connection((VM, 8080), 120) as s:
        s.settimeout(120)
        s.sendall(b"GET /passwd HTTP/1.0\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1."), "no answer"


def main():
    enter()
    ip("link", "set", "lo", "up")
    ip("tuntap", "add", "t0", "mode", "tap")
    ip("link", "set", "t0", "up")
    ip("addr", "add", HOST + "/24", "dev", "t0")
    ip("-6", "addr", "add", HOST6 + "/64", "dev", "t0", "nodad")
    random.seed(6)
    with tempfile.TemporaryDirectory() as store:
        vm = Vm(store)
        try:
            alive()
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            wire.bind(("t0", 0))
            before, _ = vm.ask()
            for make in (arp_frame, solicitation_frame, syn_frame, fragment_frame, noise_frame):
                frames = [make() for _ in range(2000)]
                for i in range(COUNT):
                    try:
                        wire.send(frames[i % len(frames)])
                    except OSError:  # the tap's queue is full
                        time.sleep(0.001)
                alive()
                free, arp = vm.ask()
                assert before - free < 24 * 1024, f"{make.__name__}: {before - free} KiB are gone"
                assert arp < 600, f"{arp} neighbours"
                print(f"ok {make.__name__}: {before - free} KiB, {arp} lines of ARP", flush=True)
        finally:
            vm.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
