# SPDX-License-Identifier: Apache-2.0
"""One TCP stream over a bad path, for loss_test.py and tests/bench/net.py:

  net_flow, in this namespace              net_flow in a VM, or in a namespace
  a0 10.9.0.1/24 <-- tap, net_impair, socket or tap --> eth0 10.9.0.2/24
"""
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

ONE, TWO = "10.9.0.1", "10.9.0.2"
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def up(name, addr):
    subprocess.run(["sh", "-ec", f"ip addr add {addr}/24 dev {name}; ip link set {name} up; "
                    "echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save"], check=True)


def congestion():
    """What both sides of a comparison have."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as f:
        return "cubic" if "cubic" in f.read().split() else "reno"


def image(tools, store):
    """An image of net_flow alone."""
    layout, root = store + "/flow-layout", store + "/flow-root"
    if not os.path.exists(layout):
        os.makedirs(root)
        subprocess.run(["cp", tools + "/net_flow", root + "/net_flow"], check=True)
        mkoci = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/mkoci.py")
        subprocess.run([mkoci, layout, "--arch", "amd64" if os.uname().machine == "x86_64" else "arm64", "--layer", root],
                       check=True)
    return "oci:" + layout


class Path:
    """Two ends and what is between; loss, reorder and double in per mille."""

    def __init__(self, tools, limpet, store, far, delay_ms=20, loss=0, reorder=0, double=0, seed=1):
        self.tools = tools
        self.a = tap("a0")
        up("a0", ONE)
        self.give = ()
        if far == "vm":
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for s in (here, there):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            self.b, self.there = here.detach(), there.detach()
            self.far = [limpet, "run", "--rm", "--root", store, "--network", f"fd:{self.there},ip={TWO}/24", image(tools, store)]
            self.flow = "/net_flow"
            self.give = (self.there,)
        else:
            self.b, self.there = tap("b0"), -1
            name = f"far{os.getpid()}"
            subprocess.run(["sh", "-ec", f"ip netns add {name}; ip link set b0 netns {name}; ip netns exec {name} sh -ec '"
                            f"ip addr add {TWO}/24 dev b0; ip link set b0 up'"], check=True)
            self.name = name
            self.far = ["ip", "netns", "exec", name]
            self.flow = tools + "/net_flow"
        words = [delay_ms * 1000, loss * 100, reorder * 100, double * 100, seed]
        self.impair = subprocess.Popen([tools + "/net_impair", str(self.a), str(self.b), *map(str, words)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, pass_fds=(self.a, self.b))

    def _spawn(self, far, *words):
        base = self.far + [self.flow] if far else [self.tools + "/net_flow"]
        return subprocess.Popen(base + list(map(str, words)), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                                pass_fds=self.give if far else ())

    def stream(self, far_gives, mib, cc=None):
        """What the giver and the taker say."""
        taker = self._spawn(not far_gives, "take", 7001)
        assert taker.stdout.readline() == "ready\n"
        giver = self._spawn(far_gives, "give", ONE if far_gives else TWO, 7001, mib, cc or congestion())
        said = [p.communicate(timeout=400)[0] for p in (giver, taker)]
        assert giver.returncode == 0 and taker.returncode == 0, said
        return json.loads(said[0]), json.loads(said[1])

    def close(self):
        """What was done to the frames."""
        done = json.loads(self.impair.communicate(timeout=120)[0])
        for fd in (self.a, self.b, self.there):
            if fd >= 0:
                os.close(fd)
        if self.there < 0:
            subprocess.run(["ip", "netns", "del", self.name], check=True)
        return done


if __name__ == "__main__":  # one line for a try: TOOLS LIMPET STORE vm|linux out|in MIB [key=value ...]
    tools, limpet, store, far, way, mib = sys.argv[1:7]
    p = Path(tools, limpet, store, far, **{k: int(v) for k, v in (x.split("=") for x in sys.argv[7:])})
    giver, taker = p.stream(way == "out", int(mib))
    print(far, way, f"{taker['bytes'] / taker['seconds'] / 1e6:.1f} MB/s", giver, taker, p.close())
