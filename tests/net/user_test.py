# SPDX-License-Identifier: Apache-2.0
"""user_test.py [NAME...]: --network user: VMs behind the gate and passt, as an
ordinary user of the group of /dev/kvm (a node of our own in a private /dev),
in a network namespace of the test's:

  outside                    host side of the test          VMs of uid 1001
  x0 10.99.0.2/24 <--veth--> h0 10.99.0.1/24  <-- passt --> eth0 10.99.0.1/24
     fd99::2/64                 fd99::1/64        (its own sockets)  fd99::1/64
     169.254.169.254            10.98.0.1/32, a service on every address

Needs root, /dev/kvm and passt.
"""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from world import BIN, IMAGES, enter, must, wait_for

OUT = "x%d" % os.getpid()
UID, GROUP = "1001", "4207"
PRIVATE_DEV = ("set -e; minor=$(stat -c %T /dev/kvm); mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; "
               "mknod -m 666 /dev/urandom c 1 9; "
               f"mknod -m 660 /dev/kvm c 10 0x$minor; chgrp {GROUP} /dev/kvm; exec \"$@\"")
AS_USER = ["unshare", "-m", "sh", "-c", PRIVATE_DEV, "sh", "setpriv", "--reuid", UID, "--regid", UID,
           "--bounding-set=-all", "--inh-caps=-all", f"--groups={GROUP}"]


def make_world():
    must(f"""ip link set lo up; ip netns add {OUT}
    ip link add h0 type veth peer name x0 netns {OUT}
    ip addr add 10.99.0.1/24 dev h0; ip addr add 10.98.0.1/32 dev h0
    ip -6 addr add fd99::1/64 dev h0 nodad; ip link set h0 mtu 1400 up
    ip route add default via 10.99.0.2; ip -6 route add default via fd99::2
    echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range
    ip netns exec {OUT} sh -c 'ip link set lo up; ip addr add 10.99.0.2/24 dev x0; ip addr add 169.254.169.254/32 dev x0
      ip -6 addr add fd99::2/64 dev x0 nodad; ip link set x0 mtu 1400 up'
    """)


# Answers with its name and the peer's address, over TCP and UDP, both families.
SERVE = """
import socket, sys, threading
name, ports = sys.argv[1], [int(p) for p in sys.argv[2:]]
def tcp(fam, addr, port):
    s = socket.socket(fam, socket.SOCK_STREAM); s.setsockopt(1, 2, 1)
    if fam == socket.AF_INET6: s.setsockopt(41, 26, 1)
    s.bind((addr, port)); s.listen(50)
    while True:
        c, peer = s.accept(); c.sendall(f"{name} {peer[0]}\\n".encode()); c.close()
def udp(fam, addr, port):
    s = socket.socket(fam, socket.SOCK_DGRAM)
    if fam == socket.AF_INET6: s.setsockopt(41, 26, 1)
    s.bind((addr, port))
    while True:
        d, peer = s.recvfrom(70000); s.sendto(f"{name} {peer[0]} {len(d)}\\n".encode(), peer)
for port in ports:
    for fam, addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for f in (tcp, udp): threading.Thread(target=f, args=(fam, addr, port)).start()
print("ready", flush=True)
"""
# "PATIENCE tcp|udp HOST PORT [SIZE]" -> the answer, or - .
ASK = """
import socket, sys, time
def ask(patience, kind, host, port, size=5):
    fam = socket.AF_INET6 if ':' in host else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
    if kind == 'tcp':
        s.settimeout(int(patience)); s.connect((host, int(port)))
        return s.recv(99)
    s.settimeout(3); end = time.monotonic() + int(patience); s.connect((host, int(port)))
    while True:
        try:
            s.send(bytes(int(size)))
            return s.recv(99)
        except TimeoutError:
            if time.monotonic() > end: raise
for a in sys.argv[1:]:
    try: r = ask(*a.split()).decode().strip()
    except OSError as e: r = '-'
    print(a.split(None, 1)[1], '=>', r, flush=True)
"""


def parse(text):
    return dict(line.split(" => ", 1) for line in text.splitlines() if " => " in line)


def words(what, silent):
    """For ASK: who is not to answer is waited for only shortly."""
    return [f"{2 if w in silent else 60} {w}" for w in what]


def ask(*what, outside=False, silent=()):
    cmd = ["python3", "-c", ASK, *words(what, silent)]
    if outside:
        cmd = ["ip", "netns", "exec", OUT, *cmd]
    return parse(subprocess.run(cmd, capture_output=True, text=True, timeout=300).stdout)


class Server:
    def __init__(self, where, name, *ports):
        cmd = ["python3", "-u", "-c", SERVE, name, *map(str, ports)]
        if where:
            cmd = ["ip", "netns", "exec", where, *cmd]
        self.p = subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True)
        assert self.p.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.p.kill()
        self.p.wait()


class Place:
    """Programs, images and a store where uid 1001 can reach them."""

    def __init__(self, folder):
        os.chmod(folder, 0o755)
        self.bin = folder + "/bin"
        os.mkdir(self.bin)
        for name in ("limpet", "limpet-vmm", "limpet-image", "limpet-net", f"limpet-kernel.{os.uname().machine}"):
            shutil.copy(f"{BIN}/{name}", self.bin)
        self.images = folder + "/images"
        os.mkdir(self.images)
        for name in ("busybox", "python3"):
            shutil.copytree(f"{IMAGES}/{name}", f"{self.images}/{name}")
        os.mkdir(folder + "/home")
        os.chown(folder + "/home", int(UID), int(UID))
        self.root = folder + "/home/store"
        self.env = {"PATH": os.environ["PATH"], "HOME": folder + "/home", "LIMPET_ROOT": self.root}

    def limpet(self, *args, prefix=None, **kw):
        kw.setdefault("timeout", 300)
        return subprocess.run([*(AS_USER if prefix is None else prefix), self.bin + "/limpet", *args], env=self.env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, **kw)

    def run(self, *args, flags=(), image="python3"):
        return self.limpet("run", "--rm", "--network", "user", *flags, f"oci:{self.images}/{image}", *args)

    def probe(self, *what, flags=(), before="", silent=()):
        p = self.run("sh", "-c", before + ' exec python3 -c "$0" "$@"', ASK, *words(what, silent), flags=flags)
        assert p.returncode == 0, p
        return parse(p.stdout)


class Vm:
    def __init__(self, place, *flags, name="vm", serve=("80",)):
        self.place, self.name = place, name
        p = place.limpet("run", "-d", "--name", name, "--network", "user", *flags, f"oci:{place.images}/python3",
                         "python3", "-u", "-c", SERVE, name, *serve)
        assert p.returncode == 0, p
        self.id = p.stdout.strip()
        with open(f"{place.root}/vms/{self.id}/lock") as f:
            self.pid = int(f.read())
        wait_for(lambda: "ready" in place.limpet("logs", name).stdout)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.place.limpet("rm", "-f", self.name)


def children():
    """Processes of ours in this namespace: {pid: command}."""
    out = {}
    for p in os.listdir("/proc"):
        try:
            if os.readlink(f"/proc/{p}/ns/net") != os.readlink("/proc/self/ns/net"):
                continue
            with open(f"/proc/{p}/stat") as f:
                state = f.read().rsplit(") ", 1)[1][0]
            with open(f"/proc/{p}/comm") as f:
                comm = f.read().strip()
        except OSError:
            continue
        if state != "Z" and (comm.startswith("passt") or comm == "limpet-net"):
            out[int(p)] = comm
    return out


def gone():
    wait_for(lambda: not children())
    # The kernel closes the sockets of who ends after its entry in /proc is empty.
    wait_for(lambda: ":9" not in must("ss -Hlntu | awk '{print $5}'").replace("]", ""))


# ---- tests ----

def test_default(place):
    """Without --network, an ordinary user gets passt; without a route nothing
    but lo, and hears why."""
    show = ["run", "--rm", f"oci:{place.images}/busybox", "sh", "-c", "ip addr"]
    p = place.limpet(*show)
    assert "10.99.0.1/24" in p.stdout and p.stderr == "", p
    p = place.limpet(*show, prefix=["unshare", "-n", *AS_USER])
    assert p.returncode == 0 and "127.0.0.1" in p.stdout and "eth0" not in p.stdout, p
    assert "no network for the container: bridge: " in p.stderr and "no default route" in p.stderr, p
    gone()


def test_outward(place):
    """TCP, UDP, both families, large datagrams, echo; the host's own addresses."""
    with Server(OUT, "world", 8000):
        what = ["tcp 10.99.0.2 8000", "udp 10.99.0.2 8000", "tcp fd99::2 8000", "udp fd99::2 8000",
                "udp 10.99.0.2 8000 30000"]
        got = place.probe(*what, before="ping -c 1 -W 60 10.99.0.2; ping -c 1 -W 60 fd99::2;")
        assert got == {what[0]: "world 10.99.0.1", what[1]: "world 10.99.0.1 5", what[2]: "world fd99::1",
                       what[3]: "world fd99::1 5", what[4]: "world 10.99.0.1 30000"}, got
    p = place.run("sh", "-c", "ping -c 1 -W 60 10.99.0.2 && ping -c 1 -W 60 -6 fd99::2; ip addr; ip route", image="busybox")
    assert p.stdout.count(" 0% packet loss") == 2, p
    for want in ("10.99.0.1/24", "fd99::1/64", "mtu 65520", "default via 10.99.0.2"):
        assert want in p.stdout, p
    gone()


def test_not_the_host(place):
    """Neither loopback nor any address of the host, nor link-local; also those
    that come while the VM runs."""
    every = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "10.98.0.1", "10.99.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"]
    off_lo = "ip addr del 127.0.0.1/8 dev lo; ip -6 addr del ::1/128 dev lo; ip addr del 10.99.0.1/24 dev eth0; " \
             "ip addr add 10.99.0.77/24 dev eth0; ip route replace default via 10.99.0.2; " \
             "for a in 127.0.0.1 127.0.0.2; do ip route add $a via 10.99.0.2; done; ip -6 route add ::1 via fd99::2;"
    what = [f"{kind} {a} 8001" for a in every for kind in ("tcp", "udp")]
    with Server("", "host", 8001), Server(OUT, "world", 8001):
        assert ask("tcp 127.0.0.1 8001", "tcp 10.98.0.1 8001") == {"tcp 127.0.0.1 8001": "host 127.0.0.1",
                                                                   "tcp 10.98.0.1 8001": "host 10.98.0.1"}
        got = place.probe("tcp 10.99.0.2 8001", *what, before=off_lo, silent=what)
        assert got.pop("tcp 10.99.0.2 8001").startswith("world"), got
        assert set(got.values()) == {"-"} and len(got) == len(what), got
    gone()


def test_egress(place):
    with Server(OUT, "world", 8002):
        what = ["tcp 10.99.0.2 8002", "udp 10.99.0.2 8002", "tcp fd99::2 8002"]
        for said, want in ((("none",), "---"), (("10.99.0.0/24",), "ww-"), (("fd99::/64",), "--w"),
                           (("10.0.0.0/8", "fd00::/8"), "www")):
            got = place.probe(*what, flags=[x for s in said for x in ("--egress", s)],
                              silent=[w for w, first in zip(what, want) if first == "-"])
            assert "".join(got[w][0] for w in what) == want, (said, got)
    with Vm(place, "--egress", "none", "-p", "9080:80", "-p", "9080:80/udp"):  # answers are no egress
        got = ask("tcp 10.99.0.1 9080", "udp 10.99.0.1 9080", outside=True)
        assert got == {"tcp 10.99.0.1 9080": "vm 10.99.0.2", "udp 10.99.0.1 9080": "vm 10.99.0.2 5"}, got
        assert ask("tcp 127.0.0.1 9080")["tcp 127.0.0.1 9080"].startswith("vm")
    gone()


def test_ports(place):
    """From outside with the source kept, from the host, on one address, ranges,
    chosen, UDP; taken ones say so."""
    with Vm(place, "-p", "9081:80", "-p", "9082-9083:81-82", "-p", "127.0.0.1:9084:80", "-p", "10.99.0.1:9085:80",
            "-p", "9086:80/udp", "-p", "80", serve=("80", "81", "82")) as vm:
        got = ask("tcp 10.99.0.1 9081", "tcp fd99::1 9081", "tcp 10.99.0.1 9082", "tcp 10.99.0.1 9083",
                  "tcp 10.99.0.1 9084", "tcp 10.99.0.1 9085", "udp 10.99.0.1 9086", "udp fd99::1 9086",
                  "udp 10.99.0.1 9081", outside=True, silent=("tcp 10.99.0.1 9084", "udp 10.99.0.1 9081"))
        assert list(got.values()) == ["vm 10.99.0.2", "vm fd99::2", "vm 10.99.0.2", "vm 10.99.0.2", "-",
                                      "vm 10.99.0.2", "vm 10.99.0.2 5", "vm fd99::2 5", "-"], got
        near = ask("tcp 127.0.0.1 9081", "tcp ::1 9081", "tcp 10.99.0.1 9081", "tcp 10.98.0.1 9081",
                   "tcp 127.0.0.1 9084")  # UDP from loopback: passt cannot, with --no-map-gw
        assert all(v.startswith("vm ") for v in near.values()), near
        shown = place.limpet("port", vm.name).stdout
        chosen = re.search(r"80/tcp -> 0.0.0.0:(\d+)", shown)
        assert "81/tcp -> 0.0.0.0:9082" in shown and chosen, shown
        taken = place.run("true", flags=("-p", "9081:80"))
        assert taken.returncode == 125 and "port is already allocated" in taken.stderr, taken
        assert "9081->80/tcp" in place.limpet("ps").stdout
    twice = place.run("true", flags=("-p", "127.0.0.1:9087:80", "-p", "10.99.0.1:9087:81"))
    assert twice.returncode == 125 and "passt" in twice.stderr, twice
    gone()


def test_said_addresses(place):
    p = place.limpet("run", "--rm", "--network", "user,ip=192.0.2.77/24,mac-address=02:00:00:00:00:09,dns=9.9.9.9,mtu=1300",
                     f"oci:{place.images}/busybox", "sh", "-c",
                     "ip addr; ip route; cat /etc/resolv.conf; ping -c 1 -W 60 10.99.0.2")
    for want in ("192.0.2.77/24", "02:00:00:00:00:09", "default via 192.0.2.1", "nameserver 9.9.9.9", "mtu 1300",
                 " 0% packet loss"):
        assert want in p.stdout, p
    p = place.run("ip", "addr", image="busybox", flags=("--network", "user"))
    assert p.returncode == 125 and "once" in p.stderr, p
    gone()


def test_data(place):
    """16 MiB in and out again are what they were."""
    sink = "import socket,hashlib; s=socket.create_connection(('10.99.0.2',8003)); h=hashlib.sha256()\n" \
           "while d:=s.recv(1<<20): h.update(d)\nprint(h.hexdigest())\n" \
           "s=socket.create_connection(('10.99.0.2',8004)); s.sendall(bytes(range(256))*65536); s.shutdown(1); s.recv(1)"
    world = """
import socket,hashlib,os
def listen(p): s=socket.socket(); s.setsockopt(1,2,1); s.bind(('0.0.0.0',p)); s.listen(1); return s
a,b=listen(8003),listen(8004); print('ready',flush=True)
d=os.urandom(1<<20)*16; c,_=a.accept(); c.sendall(d); c.close(); print(hashlib.sha256(d).hexdigest(),flush=True)
c,_=b.accept(); n=hashlib.sha256()
while d:=c.recv(1<<20): n.update(d)
print(n.hexdigest(),flush=True)
"""
    w = subprocess.Popen(["ip", "netns", "exec", OUT, "python3", "-c", world], stdout=subprocess.PIPE, text=True)
    assert w.stdout.readline() == "ready\n"
    p = place.run("python3", "-c", sink)
    out, back = w.communicate(timeout=300)[0].split()
    import hashlib
    assert p.stdout.strip() == out and back == hashlib.sha256(bytes(range(256)) * 65536).hexdigest(), (p, out, back)
    gone()


def test_half_closed(place):
    """What comes after the guest has closed its half comes once; the end may be
    a reset (passt 2023-03 cannot say it), but never other bytes."""
    ask = ("import socket; s=socket.create_connection(('10.99.0.2',8006)); s.settimeout(120); s.shutdown(1); n=b''\n"
           "try:\n while d:=s.recv(1<<16): n+=d\nexcept ConnectionResetError: pass\nprint(len(n), n[:6], n[-6:])")
    world = ("import socket,time; l=socket.socket(); l.setsockopt(1,2,1); l.bind(('0.0.0.0',8006)); l.listen(1)\n"
             "print('ready',flush=True); c,_=l.accept(); c.sendall(b'hello\\n'); time.sleep(0.5)\n"
             "print(len(c.recv(9)), flush=True); c.sendall(b'x'*20000+b'world\\n'); c.close()")
    w = subprocess.Popen(["ip", "netns", "exec", OUT, "python3", "-c", world], stdout=subprocess.PIPE, text=True)
    assert w.stdout.readline() == "ready\n"
    p = place.run("python3", "-c", ask)
    w.kill()
    assert p.stdout == "20012 b'hello\\n' b'world\\n'\n", p
    gone()


def test_end(place):
    """Whoever dies, the rest goes; a VM lives on without its network."""
    for victim in ("monitor", "passt", "gate"):
        with Vm(place, "-p", "9088:80") as vm:
            procs = children()
            passt = [p for p, c in procs.items() if c.startswith("passt")]
            gate = [p for p, c in procs.items() if c == "limpet-net"]
            assert len(passt) == 1 and len(gate) == 1, procs
            for pid in (*passt, *gate):
                with open(f"/proc/{pid}/status") as f:
                    status = f.read()
                assert re.search(r"^CapEff:\t0+$", status, re.M) and "NoNewPrivs:\t1" in status, status
                assert "Seccomp:\t2" in status, status
            os.kill({"monitor": vm.pid, "passt": passt[0], "gate": gate[0]}[victim], signal.SIGKILL)
            gone()
            if victim != "monitor":
                up = place.limpet("ps", "-q")
                assert vm.id[:12] in up.stdout, up
    gone()


def test_as_root(place):
    """passt makes itself nobody, the gate too."""
    place.env["LIMPET_ROOT"] = place.root + "-of-root"
    try:
        with Server(OUT, "world", 8005):
            p = place.limpet("run", "--rm", "--network", "user", f"oci:{place.images}/python3", "python3", "-c", ASK,
                             *words(("tcp 10.99.0.2 8005", "tcp 10.98.0.1 8005"), ("tcp 10.98.0.1 8005",)), prefix=[])
            assert parse(p.stdout) == {"tcp 10.99.0.2 8005": "world 10.99.0.1", "tcp 10.98.0.1 8005": "-"}, p
    finally:
        place.env["LIMPET_ROOT"] = place.root
    gone()


def test_what_is_missing(place):
    old = place.env["PATH"]
    cases = ((["unshare", "-m", "sh", "-c", "for p in /usr/bin/passt /bin/passt; do [ ! -e $p ] || mount --bind /dev/zero $p; done; "
               'exec "$@"', "sh"], "apt-get install passt"),
             (["unshare", "-n"], "ip route add default via"))
    for prefix, want in cases:
        p = place.limpet("run", "--rm", "--network", "user", f"oci:{place.images}/busybox", "true", prefix=prefix)
        assert p.returncode == 125 and want in p.stderr, p
    place.env["PATH"] = old
    p = place.run("true", image="busybox", flags=("--ip", "10.0.0.1/24", "--ip", "10.0.0.2/24"))
    assert p.returncode == 125 and "one address of each family" in p.stderr, p
    gone()


def raw_gate(*rules):
    """The gate itself, with us in the place of monitor and passt."""
    vm, vm_there = socket.socketpair()
    net, net_there = socket.socketpair()
    p = subprocess.Popen([BIN + "/limpet-net", "gate", *rules], stdin=subprocess.DEVNULL, close_fds=False,
                         preexec_fn=lambda: (os.dup2(vm_there.fileno(), 100), os.dup2(net_there.fileno(), 101),
                                             os.dup2(100, 3), os.dup2(101, 4), os.closerange(5, 200)))
    vm_there.close()
    net_there.close()
    return p, vm, net


def frame(dst, dport, sport=7, kind=17, src="10.99.0.77", extra=b""):
    data = struct.pack("!HHHH", sport, dport, 8 + len(extra), 0) + extra
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 1, 0, 64, kind, 0, socket.inet_aton(src), socket.inet_aton(dst))
    f = b"\2" * 12 + b"\x08\0" + ip + data
    return struct.pack("!I", len(f)) + f


def test_gate(place):
    """Frames in pieces and in bulk; new addresses; answers; nonsense ends it."""
    p, vm, net = raw_gate("open")
    good, bad = frame("10.99.0.2", 1), frame("10.98.0.1", 2)
    for b in good + bad + good:
        vm.send(bytes([b]))
    net.settimeout(60)
    got = b""
    while len(got) < 2 * len(good):
        got += net.recv(1000)
    assert got == good * 2
    bulk = [frame("10.99.0.2" if i % 3 else "127.0.0.1", i, extra=bytes(i * 7 % 30000)) for i in range(1, 300)]
    want = b"".join(f for i, f in enumerate(bulk, 1) if i % 3)
    sender = subprocess.Popen([sys.executable, "-c", "import sys,socket; s=socket.socket(fileno=int(sys.argv[1])); "
                               "s.sendall(sys.stdin.buffer.read()); s.detach()", str(vm.fileno())], stdin=subprocess.PIPE,
                              pass_fds=[vm.fileno()])
    sender.stdin.write(b"".join(bulk))
    sender.stdin.close()
    got = b""
    while len(got) < len(want):
        got += net.recv(1 << 20)
    assert got == want
    sender.wait()
    # an address that the host gets now, and loses again
    there = frame("192.0.2.5", 9)

    def passes(what, want):
        """As soon as the gate has heard of it."""
        end = time.monotonic() + 60
        while True:
            vm.send(what + good)
            got = b""
            while not got.endswith(good):
                got += net.recv(1000)
            if (got == what + good) == want:
                return
            assert got == (good if want else what + good) and time.monotonic() < end, got
            time.sleep(0.05)
    vm.send(there)
    assert net.recv(1000) == there
    must("ip addr add 192.0.2.5/32 dev h0")
    passes(there, False)
    must("ip addr del 192.0.2.5/32 dev h0")
    passes(there, True)
    # whoever asked by UDP is answered, at that port alone
    net.send(frame("10.99.0.77", 53, 999, src="10.98.0.1"))
    vm.settimeout(60)
    assert vm.recv(1000)
    answer = frame("10.98.0.1", 999, 53)
    vm.send(frame("10.98.0.1", 998, 53) + frame("10.98.0.1", 999, 54) + answer)
    assert net.recv(1000) == answer
    # nobody reads: it waits, and goes on
    flood = good * 20000
    vm.setblocking(False)
    sent = 0
    for _ in range(200):
        try:
            sent += vm.send(flood[sent % len(good):])
        except BlockingIOError:
            time.sleep(0.01)
    vm.setblocking(True)
    rest = 0
    while rest < sent - sent % len(good):
        rest += len(net.recv(1 << 20))
    if sent % len(good):
        vm.send(good[sent % len(good):])
        assert net.recv(1 << 20) == good
    vm.send(struct.pack("!I", 1 << 30))
    assert p.wait(60) == 0 and net.recv(100) == b""
    for end in (0, 1):
        p, *socks = raw_gate("limited")
        socks[end].close()
        assert p.wait(60) == 0


def main():
    enter({"passt": "passt"}, ["/dev/kvm"], ["busybox", "python3"])
    make_world()
    names = sys.argv[1:] or [n for n in globals() if n.startswith("test_")]
    try:
        with tempfile.TemporaryDirectory(prefix="limpet-user-") as folder:
            place = Place(folder)
            for name in names:
                globals()[name](place)
                print("ok " + name, flush=True)
    finally:
        subprocess.run(["ip", "netns", "del", OUT])
    return 0


if __name__ == "__main__":
    sys.exit(main())
