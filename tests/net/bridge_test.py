# SPDX-License-Identifier: Apache-2.0
"""bridge_test.py [NAME...]: networks, rules and ports of the host, with Linux
in a namespace in the place of each VM (standin.c). All in namespaces of our own:

  outside                     host side of the test                  stand-in VMs
  x0 10.99.0.2/24 <--veth--> h0 10.99.0.1/24 -- limpet0 / lb-... <--tap--> eth0
     fd99::2/64                 fd99::1/64      172.17.0.1/16

Needs root, /dev/net/tun and nft.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from world import enter, must, sh

OUT = "x%d" % os.getpid()


def outside(text, **kw):
    return sh(f"ip netns exec {OUT} sh -c '{text}'", **kw)


def make_world():
    must(f"""ip link set lo up; ip netns add {OUT}
    ip link add h0 type veth peer name x0 netns {OUT}
    ip addr add 10.99.0.1/24 dev h0; ip -6 addr add fd99::1/64 dev h0 nodad; ip link set h0 mtu 1400 up
    ip route add default via 10.99.0.2
    ip netns exec {OUT} sh -c 'ip link set lo up; ip addr add 10.99.0.2/24 dev x0; ip addr add 169.254.169.254/32 dev x0
      ip -6 addr add fd99::2/64 dev x0 nodad; ip link set x0 mtu 1400 up'
    ip route add 169.254.169.254 via 10.99.0.2
    """)


class Servers:
    """Answer on ports of the host and outside: `name` and the peer's address."""

    CODE = """
import socket,sys,threading
def serve(s, name):
    while True:
        c, peer = s.accept()
        c.sendall(f"{name} {peer[0]}\\n".encode()); c.close()
for port in map(int, sys.argv[2:]):
    for fam, addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        s = socket.socket(fam, socket.SOCK_STREAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if fam == socket.AF_INET6: s.setsockopt(41, 26, 1)
        s.bind((addr, port)); s.listen(50)
        threading.Thread(target=serve, args=(s, sys.argv[1])).start()
print("ready", flush=True)
"""


SERVE = ["python3", "-c", Servers.CODE]


ASK = ("import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),int(sys.argv[3])); "
       "s.settimeout(int(sys.argv[3])); print(s.recv(99).decode())")


def get(addr, port, where=None, patience=60):
    """What a TCP server says, or '' when nothing comes."""
    cmd = ["python3", "-c", ASK, addr, str(port), str(patience)]
    if where is outside:
        cmd = ["ip", "netns", "exec", OUT, *cmd]
    return subprocess.run(cmd, capture_output=True, text=True, timeout=200).stdout.strip()


def silent(addr, port, where=None):
    """Nobody answers there, and is not waited for long."""
    return get(addr, port, where, 2) == ""


def serve(where, name, *ports):
    """A process that listens already."""
    cmd = [*SERVE, name, *map(str, ports)]
    if where == OUT:
        cmd = ["ip", "netns", "exec", OUT, *cmd]
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n", cmd
    return p


PROBE = ("import socket,sys\n"
         "for a in sys.argv[1:]:\n"
         " h,p,t=a.rsplit('=',2)\n"
         " try:\n"
         "  s=socket.create_connection((h,int(p)),int(t)); s.settimeout(int(t)); r=s.recv(99).decode().split()[0]\n"
         " except OSError as e: r='-'\n"
         " print(h+'='+p,r,flush=True)\n")


def probe(box, want, flags=("--network", "bridge"), before=""):
    """From inside a VM: {target: who answers, - for nobody}, which is waited for
    only shortly."""
    at = [f"{target}={2 if who == '-' else 60}" for target, who in want.items()]
    p = box.run("sh", "-c", before + ' exec python3 -c "$0" "$@"', PROBE, *at, flags=("--rm", *flags))
    assert p.returncode == 0, p
    got = dict(line.split() for line in p.stdout.splitlines())
    assert got == want, (got, want, p)


class Vm:
    """A detached VM, and its address."""

    def __init__(self, box, *cmd, flags=("--network", "bridge")):
        p = box.limpet("run", "-d", *flags, box.image, *cmd)
        assert p.returncode == 0, p
        self.id = p.stdout.strip()
        self.box = box
        with open(f"{box.root}/vms/{self.id}/config.json") as f:
            self.config = json.load(f)
        self.net = self.config["network"][0]
        self.ip = self.net["addresses"][0].split("/")[0]
        with open(f"{box.root}/vms/{self.id}/lock") as f:
            self.pid = int(f.read())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        kill(self.pid)
        self.box.limpet("rm", "-f", self.id)


def web(box, name, *flags, port=80):
    import harness
    vm = Vm(box, *SERVE, name, str(port), flags=flags or ("--network", "bridge"))
    harness.wait_for(lambda: get(vm.ip, port, patience=5).startswith(name), 120)
    return vm


def leftovers():
    """Taps, and elements of sets that belong to VMs."""
    taps = must("ip -br link").splitlines()
    sets = json.loads(must("nft -j list sets; true") or '{"nftables":[]}')
    elems = []
    for x in sets["nftables"]:
        s = x.get("set")
        if s and s["name"] not in ("bridges", "same", "routed", "internal", "apart", "nets4", "nets6", "rules_3"):
            elems += s.get("elem", [])
    maps = json.loads(must("nft -j list maps; true") or '{"nftables":[]}')
    for x in maps["nftables"]:
        elems += x.get("map", {}).get("elem", [])
    return [t for t in taps if t.startswith("lp")] + elems


def claims(box):
    found = []
    for d, _, files in os.walk(box.root + "/networks/claims"):
        found += [f for f in files if f[0] != "." and os.readlink(f"{d}/{f}") != "gateway"]
    leases = box.root + "/networks/leases"
    return found + (os.listdir(leases) if os.path.isdir(leases) else [])


def gone(box):
    import harness
    harness.wait_for(lambda: not leftovers() and not claims(box), 120)


# ---- tests ----

def test_out_and_in(box):
    """A VM reaches the world with the host's address, and answers the host."""
    with web(box, "vm") as vm:
        assert vm.ip == "172.17.0.2", vm.net
        assert vm.net["mtu"] == 1400 and vm.net["gateways"] == ["172.17.0.1"], vm.net
        assert vm.net["mac"] == "02:42:ac:11:00:02", vm.net
        assert get(vm.ip, 80) == "vm 172.17.0.1"
        s = serve(OUT, "world", 8000)
        try:
            probe(box, {"10.99.0.2=8000": "world"})
        finally:
            s.kill()
    with web(box, "next") as vm:  # connections of the first are known for a while
        assert vm.ip not in ("172.17.0.1", "172.17.0.2"), vm.net
    gone(box)


def test_default(box):
    """Without --network, root gets the bridge; what stands in its way is said."""
    chosen = {"LIMPET_NETWORK": ""}
    p = box.limpet("run", "-d", "--name", "plain", box.image, *SERVE, "plain", "80", env=chosen)
    assert p.returncode == 0 and p.stderr == "", p
    with open(f"{box.root}/vms/{p.stdout.strip()}/config.json") as f:
        assert json.load(f)["network"][0]["mode"] == "bridge"
    box.limpet("rm", "-f", "plain")
    gone(box)
    p = box.limpet("run", "--rm", "--ip", "10.1.1.1", box.image, "true", env=chosen)
    assert p.returncode == 125 and "the default network (--network none: without): " in p.stderr, p
    gone(box)


def test_isolation(box):
    """From inside: not the host, not link-local, not another network."""
    assert box.limpet("network", "create", "other").returncode == 0
    host = serve("", "host", 8001)
    world = serve(OUT, "world", 8001)
    try:
        with web(box, "neighbour") as near, web(box, "stranger", "--network", "other") as far:
            want = {**{f"{a}=8001": "-" for a in ("10.99.0.1", "172.17.0.1", "127.0.0.1", "169.254.169.254")}, f"{far.ip}=80": "-",
                    f"{near.ip}=80": "neighbour", "10.99.0.2=8001": "world"}
            probe(box, want, before="ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 172.17.0.1;")
            # the host itself and the world, to the VMs
            assert get(far.ip, 80).startswith("stranger")
            outside("ip route add 172.16.0.0/12 via 10.99.0.1")
            assert silent(far.ip, 80, outside) and silent(near.ip, 80, outside)
    finally:
        host.kill()
        world.kill()


def test_egress(box):
    world = serve(OUT, "world", 8002)
    try:
        with web(box, "neighbour") as near:
            at = ["10.99.0.2=8002", f"{near.ip}=80"]
            for said, want in ((("none",), ["-", "-"]), (("10.99.0.0/24",), ["world", "-"]),
                               (("172.17.0.0/16",), ["-", "neighbour"]), (("10.0.0.0/8", near.ip), ["world", "neighbour"]),
                               # one within another, in both orders, and one twice
                               (("10.0.0.0/8", "10.1.0.0/16"), ["world", "-"]), (("10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8"), ["world", "-"]),
                               (("172.17.0.0/16", near.ip, "10.99.0.2", "10.99.0.0/16"), ["world", "neighbour"])):
                flags = [x for s in said for x in ("--egress", s)]
                probe(box, dict(zip(at, want)), flags=("--network", "bridge", *flags))
            with web(box, "caged", "--network", "bridge", "-p", "9002:80", "--egress", "none"):
                assert get("10.99.0.1", 9002, outside).startswith("caged")  # answers are no egress
    finally:
        world.kill()
    gone(box)


SPOOF = r"""
import socket, struct, sys
mine, victim, gate = (socket.inet_aton(a) for a in sys.argv[1:4])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
me = s.getsockname()[4]
all_ = b'\xff' * 6
liar = bytes.fromhex('020000000099')
def csum(b):
    t = sum(struct.unpack('!%dH' % (len(b) // 2), b)); t = (t >> 16) + (t & 0xffff); return ~(t + (t >> 16)) & 0xffff
def ip4(src, dst, proto, data):
    h = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(data), 1, 0, 64, proto, 0, src, dst)
    return h[:10] + struct.pack('!H', csum(h)) + h[12:] + data
def udp(sp, dp, data): return struct.pack('!HHHH', sp, dp, 8 + len(data), 0) + data
def tcp(sp, dp): return struct.pack('!HHIIBBHHH', sp, dp, 1, 0, 5 << 4, 2, 1000, 0, 0)
def arp(eth, op, sha, spa, tpa): return all_ + eth + b'\x08\x06' + struct.pack('!HHBBH6s4s6s4s', 1, 0x800, 6, 4, op, sha, spa, b'\0' * 6, tpa)
def eth4(src, p): return all_ + src + b'\x08\x00' + p
six = lambda src, typ, body: b'\x33\x33\0\0\0\1' + me + b'\x86\xdd' + struct.pack('!IHBB', 6 << 28, 4 + len(body), 58, 255) + socket.inet_pton(10, src) + socket.inet_pton(10, 'ff02::1') + bytes([typ, 0, 0, 0]) + body
ll = 'fe80::%x:%xff:fe%02x:%x' % ((me[0] ^ 2) << 8 | me[1], me[2], me[3], me[4] << 8 | me[5])
b255 = socket.inet_aton('255.255.255.255')
bad = {
 'mac': eth4(liar, ip4(mine, b255, 17, udp(7, 7, b'mac'))),
 'ip': eth4(me, ip4(victim, b255, 17, udp(7, 7, b'ip'))),
 'tcp-mac': eth4(liar, ip4(mine, b255, 6, tcp(7, 7))),
 'tcp-ip': eth4(me, ip4(victim, b255, 6, tcp(7, 7))),
 'tcp-vlan': all_ + me + b'\x81\0\0\5\x08\0' + ip4(mine, b255, 6, tcp(7, 7)),
 'arp-ip': arp(me, 2, me, victim, gate),
 'arp-mac': arp(me, 2, liar, mine, gate),
 'arp-eth': arp(liar, 2, liar, mine, gate),
 'dhcp': eth4(me, ip4(mine, b255, 17, udp(67, 68, b'dhcp'))),
 'vlan': all_ + me + b'\x81\0\0\5\x08\0' + ip4(mine, b255, 17, udp(7, 7, b'vlan')),
 'ra': six(ll, 134, bytes(12)),
 'na': six(ll, 136, b'\x20\0\0\0' + socket.inet_pton(10, 'fd00::1')),
 'ip6': six('fd00::66', 128, bytes(4)),
 'stp': b'\x01\x80\xc2\0\0\0' + me + b'\0\x26' + b'\x42\x42\3' + bytes(35),
 'raw': all_ + me + b'\x88\xb5' + b'raw' * 20,
}
good = {'good-arp': arp(me, 1, me, mine, victim), 'good-tcp': eth4(me, ip4(mine, victim, 6, tcp(7, 7))),
        'good-ip': eth4(me, ip4(mine, b255, 17, udp(7, 7, b'good')))}
for name, f in list(bad.items()) + list(good.items()):
    s.send(f)
import time; time.sleep(1000)
"""


def text_of(f):
    return os.pread(f.fileno(), 1 << 16, 0).decode()


def test_spoofing(box):
    """What a VM must not send reaches neither a neighbour nor the host."""
    import harness
    if not shutil.which("tcpdump"):
        print("SKIP test_spoofing: tcpdump is not installed")
        return
    with Vm(box, "sleep", "1000") as ear, tempfile.TemporaryFile("w+") as said:
        cap = subprocess.Popen(["tcpdump", "-nexlUi", "limpet0"], stdout=subprocess.PIPE, stderr=said, text=True)
        harness.wait_for(lambda: "listening on" in text_of(said))
        with Vm(box, "python3", "-c", SPOOF, "172.17.0.3", ear.ip, "172.17.0.1", flags=("--network", "bridge", "--ip", "172.17.0.3")):
            late = threading.Timer(120, cap.kill)
            late.start()
            seen = ""  # the good ones are the last: what was before has come
            while "172.17.0.3.7 > 255.255.255.255.7" not in seen and (line := cap.stdout.readline()):
                seen += line
            late.cancel()
        cap.terminate()
        seen += cap.communicate()[0]
        assert "02:00:00:00:00:99" not in seen, seen
        assert "8100" not in seen and "88b5" not in seen and "fd00::66" not in seen, seen
        assert "router advertisement" not in seen and "is-at" not in seen.replace(f"{ear.ip} is-at {ear.net['mac']}", ""), seen
        assert "who-has 172.17.0.2" in seen and "172.17.0.3.7 > 255.255.255.255.7" in seen, seen
        assert f"172.17.0.3.7 > {ear.ip}.7: Flags [S]" in seen and seen.count("255.255.255.255") == 1, seen
    gone(box)


def test_ports(box):
    """One port, from everywhere; the source address kept where it can be."""
    with web(box, "vm", "--network", "bridge", "-p", "9080:80") as vm:
        assert get("10.99.0.1", 9080, outside) == "vm 10.99.0.2"
        assert get("10.99.0.1", 9080).startswith("vm")
        assert get("172.17.0.1", 9080).startswith("vm")
        assert get("127.0.0.1", 9080) == "vm 172.17.0.1"
        assert get("::1", 9080) == "vm 172.17.0.1"
        assert get("fd99::1", 9080, outside).startswith("vm")
        probe(box, {"10.99.0.1=9080": "vm"})
        me = box.limpet("run", "--rm", "--network", "bridge", "-p", "9081:80", box.image, "sh", "-c",
                        'python3 -c "$0" self 80 >"$2" & until grep ready "$2"; do sleep 0.1; done; '
                        'python3 -c "$1" 10.99.0.1=9081=60; kill $!', Servers.CODE, PROBE, box.dir + "/ready")
        assert "10.99.0.1=9081 self" in me.stdout, me
        taken = box.limpet("run", "--rm", "--network", "bridge", "-p", "9080:80", box.image, "true")
        assert taken.returncode == 125 and "port is already allocated" in taken.stderr, taken
        shown = box.limpet("port", vm.id)
        assert shown.stdout == "80/tcp -> 0.0.0.0:9080\n80/tcp -> [::]:9080\n", shown
        ps = box.limpet("ps").stdout
        assert "0.0.0.0:9080->80/tcp, [::]:9080->80/tcp" in ps, ps
    gone(box)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0", 9080))


def test_port_again(box):
    """A port is free for the next VM as soon as the one before has ended, even
    if the helper that has its sockets is late."""
    for late in (False, False, True, True):
        p = box.run("true", flags=("--rm", "--network", "bridge", "-p", "9400:80"))
        assert p.returncode == 0, p
        if late:
            helper = keepers(box)[1]
            os.kill(helper, signal.SIGSTOP)
            threading.Timer(1, kill, (helper,), {"sig": signal.SIGCONT}).start()
    gone(box)


def test_udp_port(box):
    echo = "import socket; s=socket.socket(2,2); s.bind(('0.0.0.0',7))\nwhile True: d,a=s.recvfrom(2000); s.sendto(d+a[0].encode(),a)"
    ask = ("import socket,sys,time\nf=10 if ':' in sys.argv[1] else 2; s=socket.socket(f,2); s.settimeout(2); s.connect((sys.argv[1],9007))\n"
           "for _ in range(60):\n"
           " try: s.send(b'hi '); print(s.recv(99).decode()); break\n"
           " except TimeoutError: pass\n"
           " except OSError: time.sleep(1)\n")
    with Vm(box, "python3", "-c", echo, flags=("--network", "bridge", "-p", "9007:7/udp")):
        one = subprocess.run(["ip", "netns", "exec", OUT, "python3", "-c", ask, "10.99.0.1"], capture_output=True, text=True)
        assert one.stdout.strip() == "hi 10.99.0.2", one
        for addr in ("127.0.0.1", "::1", "10.99.0.1"):
            p = subprocess.run(["python3", "-c", ask, addr], capture_output=True, text=True)
            assert p.stdout.startswith("hi "), (addr, p)
    gone(box)


HEAR = ("import socket,sys; s=socket.socket(10,2); s.bind(('::',7)); want={'::ffff:10.99.0.2','fd99::2'}\n"
        "while want: want.discard(s.recvfrom(99)[1][0])\n"
        "open(sys.argv[1],'w').close()\n"
        "while True: s.recv(99)")
SEND = ("import socket,sys,time; f=10 if ':' in sys.argv[1] else 2; s=socket.socket(f,2)\n"
        "if f==10: s.setsockopt(41,26,1)\n"
        "s.bind(('',int(sys.argv[3])))\n"
        "while True: s.sendto(b'x',(sys.argv[1],int(sys.argv[2]))); time.sleep(0.2)")


def test_udp_flow(box):
    """Who never stops sending from one port reaches the VM that has it now, and
    not by way of the proxy, which has another address."""
    import harness

    def hears(name):
        said = f"{box.dir}/{name}"
        vm = Vm(box, "python3", "-c", HEAR, said, flags=("--network", "dual", "-p", "9014:7/udp"))
        harness.wait_for(lambda: os.path.exists(said), 60)
        return vm

    def flows(text):
        with open("/proc/net/nf_conntrack") as f:
            return [line for line in f if text in line]

    must("echo 600 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout")  # nothing here ends by itself
    assert box.limpet("network", "create", "--ipv6", "dual").returncode == 0
    senders = []

    def send(to, port):
        senders.append(subprocess.Popen(["ip", "netns", "exec", OUT, "python3", "-c", SEND, to, "9014", port]))

    send("10.99.0.1", "7777")
    send("fd99::1", "7777")
    try:
        with hears("first") as one:
            # another's, which only passes through, to the same port
            p = box.run("python3", "-c", SEND.replace("while True", "for _ in range(2)"), "10.99.0.2", "9014", "7777",
                        flags=("--rm", "--network", "bridge"))
            assert p.returncode == 0, p
        with hears("at once") as two:  # the first one's sockets and rules were there until now
            assert one.ip != two.ip, one.ip
        gone(box)
        old = two.ip
        if os.path.exists("/proc/net/nf_conntrack"):
            assert not flows(f"src={old} dst=10.99.0.2 sport=7 dport=7777")
            harness.wait_for(lambda: flows("dst=10.99.0.1 sport=7777 dport=9014"))  # the host's own, now
        with hears("later") as late:
            if os.path.exists("/proc/net/nf_conntrack"):
                assert flows("dst=10.99.0.2 sport=7777 dport=9014"), flows("9014")
                # who begins while our rules are not there, but somebody else's, so that flows are known
                must("nft add table inet theirs; nft add chain inet theirs c { type filter hook input priority 0 \\; }; "
                     "nft add rule inet theirs c ct state new accept; nft delete table inet limpet")
                send("10.99.0.1", "7778")
                harness.wait_for(lambda: flows("dst=10.99.0.1 sport=7778 dport=9014"))
                with Vm(box, "sleep", "1000"):
                    harness.wait_for(lambda: flows(f"src={late.ip} dst=10.99.0.2 sport=7 dport=7778"), 60)
    finally:
        for p in senders:
            p.kill()
        sh("nft delete table inet theirs")
    gone(box)
    assert box.limpet("network", "rm", "dual").returncode == 0


def test_port_forms(box):
    with web(box, "vm", "--network", "bridge", "-p", "127.0.0.1:9100:80", "-p", "10.99.0.1:9101-9102:80-81", "-P",
             "--expose", "80") as vm:
        assert get("127.0.0.1", 9100).startswith("vm") and silent("10.99.0.1", 9100, outside)
        assert get("10.99.0.1", 9101, outside) == "vm 10.99.0.2" and silent("127.0.0.1", 9101)
        chosen = [p["host"] for p in vm.config["ports"] if p["host"] > 9102]
        assert len(chosen) == 1 and get("10.99.0.1", chosen[0], outside).startswith("vm"), vm.config["ports"]
    for bad in ("x", "80:", "0:80", "70000:80", "1-2:80", "80/sctp", "1.2.3:80:80", "80:80:80:80"):
        p = box.limpet("run", "--rm", "--network", "bridge", "-p", bad, box.image, "true")
        assert p.returncode == 125 and "nvalid" in p.stderr, (bad, p)
    p = box.limpet("run", "--rm", "--network", "none", "-p", "1:1", box.image, "true")
    assert p.returncode == 125 and "published" in p.stderr, p
    gone(box)


def test_networks(box):
    made = box.limpet("network", "create", "--subnet", "10.50.0.0/24", "--gateway", "10.50.0.254", "--label", "a=b", "-o", "mtu=1300",
                      "--internal", "inner")
    assert re.fullmatch("[0-9a-f]{64}\n", made.stdout), made
    ls = box.limpet("network", "ls")
    assert re.search(r"^NETWORK ID +NAME +DRIVER +SCOPE", ls.stdout) and "inner" in ls.stdout, ls
    shown = json.loads(box.limpet("network", "inspect", "inner").stdout)[0]
    assert shown["Name"] == "inner" and shown["Internal"] is True and shown["Labels"] == {"a": "b"}, shown
    assert shown["IPAM"]["Config"] == [{"Subnet": "10.50.0.0/24", "Gateway": "10.50.0.254"}], shown
    with web(box, "in", "--network", "inner", "--ip", "10.50.0.9") as vm:
        assert vm.ip == "10.50.0.9" and vm.net["mtu"] == 1300 and vm.net["gateways"] == [], vm.net
        twice = box.limpet("run", "--rm", "--network", "inner", "--ip", "10.50.0.9", box.image, "true")
        assert twice.returncode == 125 and "already in use" in twice.stderr, twice
        busy = box.limpet("network", "rm", "inner")
        assert busy.returncode == 1 and "in use" in busy.stderr, busy
        probe(box, {"10.99.0.2=1": "-", "10.50.0.9=80": "in"}, flags=("--network", "inner"))
    gone(box)
    for args, word in ((["--subnet", "10.50.0.0/16", "x"], "overlaps"), (["--subnet", "10.99.0.0/16", "x"], "overlaps"),
                       (["inner"], "already exists"), (["bad name"], "invalid network name"), (["host"], "mode"),
                       (["--gateway", "1.2.3.4", "--subnet", "10.51.0.0/24", "x"], "gateway")):
        p = box.limpet("network", "create", *args)
        assert p.returncode == 1 and word in p.stderr, (args, p)
    missing_one = box.limpet("run", "--rm", "--network", "nosuch", box.image, "true")
    assert missing_one.returncode == 125 and "network nosuch not found" in missing_one.stderr, missing_one
    assert box.limpet("network", "rm", "inner").returncode == 0
    assert "lb-" not in must("ip -br link")


def test_internal_ports(box):
    """Ports are those of the first network that is not internal; without one the
    container runs, and it is said that nobody reaches them."""
    for name, subnet in (("inner", "10.61.0.0/24"), ("deeper", "10.62.0.0/24")):
        assert box.limpet("network", "create", "--internal", "--subnet", subnet, name).returncode == 0
    p = box.limpet("run", "-d", "--network", "inner", "--network", "bridge", "-p", "9500:80", box.image, "sleep", "1000")
    assert p.returncode == 0 and p.stderr == "", p
    led = must("nft list map inet limpet any4")
    assert re.search(r"tcp \. 9500 : 172\.17\.\d+\.\d+ \. 80", led), led
    assert box.limpet("port", p.stdout.strip()).stdout == "80/tcp -> 0.0.0.0:9500\n80/tcp -> [::]:9500\n"
    box.limpet("rm", "-f", p.stdout.strip())
    gone(box)
    for flags in (("--network", "inner"), ("--network", "inner", "--network", "deeper")):
        p = box.limpet("run", "-d", *flags, "-p", "9500:80", box.image, "sleep", "1000")
        assert p.returncode == 0 and "network is internal" in p.stderr and "--network bridge" in p.stderr, p
        shown = box.limpet("port", p.stdout.strip())
        assert shown.stdout == "" and "9500" not in box.limpet("ps").stdout, shown
        assert "9500" not in must("nft list map inet limpet any4")
        with socket.socket() as s:  # it is anybody's
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("0.0.0.0", 9500))
        box.limpet("rm", "-f", p.stdout.strip())
    gone(box)
    for name in ("inner", "deeper"):
        assert box.limpet("network", "rm", name).returncode == 0


def test_not_ours(box):
    """A bridge of somebody else's is left alone, and others' tables, too."""
    must("ip link add limpet0 type bridge; nft add table inet theirs; nft add table bridge limpetx")
    try:
        with Vm(box, "sleep", "1000"):
            assert "limpet1" in must("ip -br link")
        gone(box)
        must("ip link del limpet1; ip link add limpet1 type bridge")
        p = box.limpet("run", "--rm", "--network", "bridge", box.image, "true")
        assert p.returncode == 125 and "not limpet's" in p.stderr, p
        assert box.limpet("network", "prune", "-f").returncode == 0
        assert "limpet1" in must("ip -br link") and "theirs" in must("nft list tables")
    finally:
        sh("ip link del limpet0; ip link del limpet1; nft delete table inet theirs; nft delete table bridge limpetx")


def test_ipv6(box):
    assert box.limpet("network", "create", "--ipv6", "six").returncode == 0
    world = serve(OUT, "world", 8006)
    try:
        with web(box, "vm", "--network", "six", "-p", "9006:80") as vm:
            v6 = [a.split("/")[0] for a in vm.net["addresses"] if ":" in a][0]
            assert v6.startswith("fd") and get(v6, 80).startswith("vm"), vm.net
            assert get("fd99::1", 9006, outside) == "vm fd99::2"
            assert get("::1", 9006).startswith("vm")
            host = serve("", "host", 8006)
            try:
                probe(box, {"fd99::2=8006": "world", "fd99::1=8006": "-", f"{v6}=80": "vm"}, flags=("--network", "six"))
            finally:
                host.kill()
    finally:
        world.kill()
    gone(box)


def test_isolated(box):
    assert box.limpet("network", "create", "-o", "isolation=true", "apart").returncode == 0
    with web(box, "vm", "--network", "apart") as vm:
        probe(box, {f"{vm.ip}=80": "-"}, flags=("--network", "apart"))
        assert get(vm.ip, 80).startswith("vm")
    gone(box)


def keepers(box):
    """The keeper and its helper."""
    out = []
    for p in os.listdir("/proc"):
        try:
            with open(f"/proc/{p}/stat") as f:
                parent = int(f.read().rpartition(") ")[2].split()[1])
            if os.readlink(f"/proc/{p}/exe") == box.libexec + "/limpet-net" and \
                    os.readlink(f"/proc/{p}/ns/net") == os.readlink("/proc/self/ns/net"):
                out.append((int(p), parent))
        except OSError:
            pass
    ours = {p for p, _ in out}
    return [p for p, parent in out if parent not in ours] + [p for p, parent in out if parent in ours]


def kill(*pids, sig=signal.SIGKILL):
    """Who is left of them: a helper dies with its keeper."""
    for pid in pids:
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass


def test_kill_anything(box):
    """kill -9 of monitor, keeper and helper, in any order: nothing stays."""
    import harness
    for victims in ("vm", "keeper", "helper", "all"):
        with web(box, "vm", "--network", "bridge", "-p", "9200:80") as vm:
            harness.wait_for(lambda: len(keepers(box)) == 2)
            procs = keepers(box)
            kill(*{"vm": [vm.pid], "keeper": procs[:1], "helper": procs[1:], "all": [*procs, vm.pid]}[victims])
            if victims == "helper":
                harness.wait_for(lambda: get("::1", 9200, patience=5).startswith("vm"), 120)
            if victims == "keeper":
                assert get("10.99.0.1", 9200, outside).startswith("vm")  # rules need nobody
                with web(box, "two", "--network", "bridge"):
                    harness.wait_for(lambda: get("::1", 9200, patience=5).startswith("vm"), 120)
        if victims == "all":
            assert box.limpet("network", "prune", "-f").returncode == 0
        gone(box)


def test_flushed_rules_come_back(box):
    with web(box, "vm", "--network", "bridge", "-p", "9300:80"):
        must("nft flush ruleset")
        with Vm(box, "sleep", "1000"):
            assert get("10.99.0.1", 9300, outside) == "vm 10.99.0.2"
    gone(box)


def test_prune_leaves_nothing(box):
    assert box.limpet("network", "create", "spare").returncode == 0
    with Vm(box, "sleep", "1000", flags=("--network", "spare")):
        p = box.limpet("network", "prune", "-f")
        assert p.returncode == 0 and "spare" not in p.stdout, p
    gone(box)
    p = box.limpet("network", "prune", "-f")
    assert p.returncode == 0 and "spare" in p.stdout, p
    links = must("ip -br link")
    assert "limpet" not in links and "lb-" not in links, links
    assert "limpet" not in must("nft list tables")


def test_many(box):
    """Twenty at once start and leave; none has another's address."""
    go = box.dir + "/go"
    ps = [box.spawn("run", "--rm", "--network", "bridge", box.image, "sh", "-c",
                    'ip -4 -br addr show eth0; until [ -e "$0" ]; do sleep 0.2; done', go) for _ in range(20)]
    first = [p.stdout.readline() for p in ps]
    open(go, "w").close()
    outs = [(line, p.communicate(timeout=200)) for line, p in zip(first, ps)]
    assert all(p.returncode == 0 for p in ps), outs
    ips = {o[0].split()[2] for o in outs}
    assert len(ips) == 20, ips
    gone(box)


def main(names, what=("-n",), before=None, tools={"nft": "nftables"}):
    """Run the tests of `names` in namespaces of `what`, after `before`."""
    enter(tools, ["/dev/net/tun"], (), what)
    import harness
    old = harness.Box.__init__

    def init(self, **run):
        old(self, **run)
        shutil.copy(os.environ["NETD"], self.libexec)
    harness.Box.__init__ = init
    close = harness.Box.close

    def end(self):
        kill(*keepers(self))
        self.limpet("rm", "-f", *self.ids())
        self.limpet("network", "prune", "-f")
        close(self)
    harness.Box.close = end
    make_world()
    try:
        if before:
            before()
        harness.main(names)
    finally:
        sh(f"ip netns del {OUT}")


if __name__ == "__main__":
    main(globals())
