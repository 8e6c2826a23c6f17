# SPDX-License-Identifier: Apache-2.0
"""firewall_test.py [NAME...]: the host's rules when something is odd: frames
that no chain of a bridge sees, networks half made, tables that went, a second
store, a port whose keeper died. bridge_test.py's world.
"""
import os
import re
import subprocess

import bridge_test
from bridge_test import OUT, Vm, get, gone, keepers, kill, outside, probe, serve, silent, web
from world import must, sh

# To groups of 802.1D that a bridge takes for itself: with somebody else's
# source, and to the host. Then a file says so.
RESERVED = r"""
import socket, struct, sys, time
mine, victim, gate, done = sys.argv[1:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
me = s.getsockname()[4]
his = b'\x02\x42' + socket.inet_aton(victim)
def csum(b):
    t = sum(struct.unpack('!%dH' % (len(b) // 2), b)); t = (t >> 16) + (t & 0xffff); return ~(t + (t >> 16)) & 0xffff
def udp(src, dst, port, data):
    u = struct.pack('!HHHH', 7, port, 8 + len(data), 0) + data
    h = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(u), 1, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return h[:10] + struct.pack('!H', csum(h)) + h[12:] + u
for last in (0, 3, 13, 14, 15):
    to = b'\x01\x80\xc2\0\0' + bytes([last])
    s.send(to + his + b'\x88\xcc' + bytes(46))
    for src in (me, his):
        s.send(to + src + b'\x08\0' + udp(mine, gate, 8003, b'reserved %d' % last))
    s.send(to + me + b'\x08\x06' + struct.pack('!HHBBH6s4s6s4s', 1, 0x800, 6, 4, 1, me, socket.inet_aton(mine), b'\0' * 6, socket.inet_aton(gate)))
s.settimeout(1)
try:
    while True:
        f = s.recv(2000)
        if f[12:14] == b'\x08\x06' and f[28:32] == socket.inet_aton(gate): open(done + '.arp', 'w').close()
except TimeoutError: pass
time.sleep(5)  # the victim has said hello by then
for last in (3, 14): s.send(b'\x01\x80\xc2\0\0' + bytes([last]) + his + b'\x88\xcc' + bytes(46))
open(done, 'w').close()
time.sleep(1000)
"""


def test_reserved_groups(box):
    """They move nobody's MAC, and reach no service of the host."""
    import harness
    for dev in ("all", "default"):
        must(f"echo 0 > /proc/sys/net/ipv4/conf/{dev}/rp_filter")
    import socket
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.bind(("0.0.0.0", 8003))
    done = box.dir + "/done"
    with Vm(box, "sleep", "1000") as near, Vm(box, "python3", "-c", RESERVED, "172.17.0.9", near.ip, "172.17.0.1", done,
                                              flags=("--network", "bridge", "--ip", "172.17.0.9")):
        harness.wait_for(lambda: os.path.exists(done), 120)
        mac = near.net["mac"]
        at = [line for line in must("bridge fdb show br limpet0").splitlines() if line.startswith(mac)]
        taps = {t for line in at for t in re.findall(r"dev (lp\S+)", line)}
        assert len(taps) == 1 and near.id[:6] in taps.pop(), at
        ear.setblocking(False)
        try:
            assert not ear.recv(99)
        except BlockingIOError:
            pass
        assert not os.path.exists(done + ".arp")
    ear.close()
    gone(box)


HOST = {"10.99.0.1=8004": "-", "172.17.0.1=8004": "-", "10.99.0.2=8004": "world"}


def servers():
    return serve("", "host", 8004), serve(OUT, "world", 8004)


def test_half_made(box):
    """A bridge whose maker was killed, tables whose filling failed."""
    with Vm(box, "sleep", "1000"):
        alias = re.search(r"alias (limpet .*)", must("ip link show limpet0"))[1]
    gone(box)
    assert box.limpet("network", "prune", "-f").returncode == 0
    procs = servers()
    try:
        must(f"ip link add limpet0 type bridge; ip link set limpet0 alias '{alias}' up")
        probe(box, HOST)
        with Vm(box, "sleep", "1000"):
            must("nft flush ruleset")
            bad = box.root + "/networks/bad.json"
            with open(bad, "w") as f:
                f.write("{")
            p = box.run("true", flags=("--rm", "--network", "bridge"))
            assert p.returncode == 125 and "bad" in p.stderr, p
            os.unlink(bad)
            probe(box, HOST)
    finally:
        kill(*(p.pid for p in procs))
    gone(box)


LATER = """
import os, socket, sys, time
while not os.path.exists(sys.argv[1]): time.sleep(0.1)
said = []
for a in ("10.99.0.1", "172.17.0.1", "10.99.0.2"):
    try: said.append(socket.create_connection((a, 8004), 60 if a == "10.99.0.2" else 2).recv(99).decode().split()[0])
    except OSError: said.append("-")
open(sys.argv[1] + ".said", "w").write(" ".join(said))
time.sleep(1000)
"""


def test_two_stores(box):
    """What one store prunes or fills, the other's VMs keep their rules."""
    import harness
    other = {"LIMPET_ROOT": box.dir + "/other"}
    sh(f"cp -r '{box.root}' '{other['LIMPET_ROOT']}'; rm -rf '{other['LIMPET_ROOT']}/networks' '{other['LIMPET_ROOT']}/vms'")
    procs = servers()

    def said(go):
        open(go, "w").close()
        harness.wait_for(lambda: os.path.exists(go + ".said") and os.path.getsize(go + ".said"), 150)
        return open(go + ".said").read()
    try:
        with Vm(box, "python3", "-c", LATER, box.dir + "/one"), Vm(box, "python3", "-c", LATER, box.dir + "/two"):
            assert box.limpet("network", "prune", "-f", env=other).returncode == 0
            assert "table inet limpet" in must("nft list tables")
            assert said(box.dir + "/one") == "- - world"
            must("nft flush ruleset")
            p = box.run("true", flags=("--rm", "--network", "bridge"), env=other)
            assert p.returncode == 0, p
            probe(box, HOST)  # a run of ours fills in what is missing, for all of ours
            assert said(box.dir + "/two") == "- - world"
    finally:
        kill(*(p.pid for p in procs))
        box.limpet("network", "prune", "-f", env=other)
    gone(box)


def test_port_is_kept(box):
    """Nobody else gets a port, nor takes it away, while its keeper is dead."""
    with web(box, "vm", "--network", "bridge", "-p", "9200:80"):
        for _ in range(3):
            kill(*keepers(box))
            p = box.run("true", flags=("--rm", "--network", "bridge", "-p", "9200:80"))
            assert p.returncode == 125 and "port is already allocated" in p.stderr, p
            assert get("10.99.0.1", 9200, outside).startswith("vm")
    gone(box)


def test_forwarding_goes_with_the_last(box):
    """A host that routed nothing routes nothing afterwards; one with another
    bridge may need it by now."""
    read = "cat /proc/sys/net/ipv4/ip_forward"
    for other in (False, True):
        must("echo 0 > /proc/sys/net/ipv4/ip_forward")
        assert box.run("true", flags=("--rm", "--network", "bridge")).returncode == 0
        gone(box)
        assert must(read) == "1\n"
        if other:
            must("ip link add br9 type bridge; ip link set br9 up")
        p = box.limpet("network", "prune", "-f")
        assert p.returncode == 0 and "net.ipv4.ip_forward" in p.stderr, p
        assert must(read) == ("1\n" if other else "0\n"), p
    must("ip link del br9")


if __name__ == "__main__":
    bridge_test.main(globals())
