# SPDX-License-Identifier: Apache-2.0
"""dns_test.py [NAME...]: names of containers on networks, and what is passed
on. bridge_test.py's world, with two name servers outside:

  10.99.0.2:53, 10.99.0.3:53 (UPSTREAM) <--veth--> h0 -- lb-... <--tap--> stand-ins

The host's /etc/resolv.conf is one of the test's (a mount namespace). Real VMs
ask too where there is /dev/kvm and LIMPET_BIN.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import bridge_test
from bridge_test import OUT, Vm, gone, keepers, kill, must
from world import BIN, IMAGES, once_more

DIR = tempfile.mkdtemp(prefix="limpet-dns-")
LOG = DIR + "/asked"
KVM = os.path.exists("/dev/kvm") and "LIMPET_BIN" in os.environ

UPSTREAM = r"""
import socket, struct, sys, threading
log = open(sys.argv[1], 'a', buffering=1)
def question(m):
    at, labels = 12, []
    while m[at]:
        labels.append(m[at + 1:at + 1 + m[at]].decode('latin1')); at += 1 + m[at]
    return '.'.join(labels), struct.unpack('!H', m[at + 1:at + 3])[0], at + 5
def answer(m, me, tcp):
    name, typ, end = question(m)
    def make(rcode=0, data=None, tc=0):
        r = b'' if data is None else b'\xc0\x0c' + struct.pack('!HHIH', typ, 1, 60, len(data)) + data
        return m[:2] + struct.pack('!HHHHH', 0x8180 | rcode | tc, 1, 1 if r else 0, 0, 0) + m[12:end] + r
    if name == 'nx.test': return [make(3)]
    if name == 'mute.test' or (name == 'half.test' and me == '10.99.0.2'): return []
    if name == 'fail.test' and me == '10.99.0.2': return [make(2)]
    if name == 'big.test':
        return [make(data=b''.join(b'\xc8' + b'x' * 200 for _ in range(15)))] if tcp else [make(tc=0x200)]
    if name == 'wide.test': return [make(data=b''.join(b'\xc8' + b'x' * 200 for _ in range(3)))]
    ip = socket.inet_aton({'10.99.0.2': '1.2.3.4', '10.99.0.3': '5.6.7.8'}[me])
    if name == 'spoof.test' and not tcp:
        lie = make(data=socket.inet_aton('6.6.6.6'))
        return [bytes([lie[0] ^ 1]) + lie[1:], lie[:13] + b'S' + lie[14:17] + b'x' + lie[18:], lie[:11], make(data=ip)]
    return [make(data=ip)] if typ == 1 else [make()]
def udp(me, s):
    while True:
        m, a = s.recvfrom(9999)
        print('udp', me, a[0], a[1], struct.unpack('!H', m[:2])[0], question(m)[0], file=log)
        for r in answer(m, me, False): s.sendto(r, a)
def tcp(me, s):
    while True:
        c, a = s.accept(); c.settimeout(60)
        try:
            n = struct.unpack('!H', c.recv(2))[0]; m = c.recv(n)
            print('tcp', me, a[0], a[1], struct.unpack('!H', m[:2])[0], question(m)[0], file=log)
            for r in answer(m, me, True):
                r = struct.pack('!H', len(r)) + r
                c.sendall(r[:1]); c.sendall(r[1:700]); c.sendall(r[700:])
        except OSError: pass
        c.close()
for me in ('10.99.0.2', '10.99.0.3'):
    u = socket.socket(2, 2); u.bind((me, 53))
    t = socket.socket(); t.setsockopt(1, 2, 1); t.bind((me, 53)); t.listen(50)
    for f, s in ((udp, u), (tcp, t)): threading.Thread(target=f, args=(me, s)).start()
print('ready', flush=True)
"""


def asked(name):
    """How the servers outside were asked for a name."""
    with open(LOG) as f:
        return [line.split() for line in f if line.split()[-1] == name]


def start_upstream():
    with open(DIR + "/resolv.conf", "w") as f:
        f.write("nameserver 10.99.0.2\nnameserver 10.99.0.3\n")
    must(f"ip netns exec {OUT} ip addr add 10.99.0.3/24 dev x0; mount --bind {DIR}/resolv.conf /etc/resolv.conf")
    open(LOG, "w").close()
    start_upstream.process = subprocess.Popen(["ip", "netns", "exec", OUT, "python3", "-c", UPSTREAM, LOG], stdout=subprocess.PIPE, text=True)
    assert start_upstream.process.stdout.readline() == "ready\n"


def gateway(box, network):
    import json
    return json.loads(box.limpet("network", "inspect", network).stdout)[0]["IPAM"]["Config"][0]["Gateway"]


def create(box, *flags):
    p = box.limpet("network", "create", *flags)
    assert p.returncode == 0, p


def patiently(check, forget=True):
    """Who answers a question of ours after two seconds is passed over, as it
    shall be: where all stood still for that long, once more."""
    def truncate():
        if forget:
            open(LOG, "w").close()
    once_more(check, 5, truncate)


def dig(box, network, *queries, server=None, flags=(), patience=60):
    """Each query from a VM on a network: (status, answers); '' if nothing came."""
    server = server or gateway(box, network)
    script = "".join(f"echo '>>'; dig +tries=1 +time={patience} +noall +comments +answer @{server} {q};" for q in queries)
    p = box.run("sh", "-c", script, flags=("--rm", "--network", network, *flags))
    out = []
    for part in p.stdout.split(">>\n")[1:]:
        status = [line.split("status: ")[1].split(",")[0] for line in part.splitlines() if "status: " in line]
        lines = [line.split(None, 4) for line in part.splitlines() if line and line[0] != ";"]
        out.append((status[0] if status else "", sorted(f[4] for f in lines)))
    assert len(out) == len(queries), p
    return out if len(out) > 1 else out[0]


def named(box, name, network="one", *flags):
    return Vm(box, "sleep", "1000", flags=("--name", name, "--network", network, *flags))


# ---- tests ----

def test_names(box):
    """Name, alias, ID, host name, each also with the network's name; PTR."""
    create(box, "one")
    with named(box, "web", "one", "--network-alias", "www", "--hostname", "Server") as vm:
        short = vm.id[:12]
        reverse = ".".join(reversed(vm.ip.split("."))) + ".in-addr.arpa"
        got = dig(box, "one", "web", "WEB", "www", short, "server", "web.one", "www.ONE", "web AAAA", "web TXT",
                  f"{reverse} PTR", "web +tcp", "web +noedns", "web.", "web.two")
        assert got[:7] == [("NOERROR", [vm.ip])] * 7, got
        assert got[7:9] == [("NOERROR", [])] * 2, got
        assert got[9] == ("NOERROR", ["web.one."]), got
        assert got[10:13] == [("NOERROR", [vm.ip])] * 3, got
        assert got[13][1] != [vm.ip], got
        assert not asked("web") and not asked(reverse), asked("web")
    gone(box)


def test_case(box):
    """Two containers whose names differ by case only: neither takes the other's."""
    create(box, "one")
    create(box, "two")
    with named(box, "Web") as first, named(box, "web", "two") as other:
        assert dig(box, "two", "web") == ("NOERROR", [other.ip])
        assert dig(box, "one", "web", "-x " + first.ip) == [("NOERROR", [first.ip]), ("NOERROR", ["web.one."])]
    gone(box)


def test_six(box):
    create(box, "--ipv6", "six")
    with named(box, "web", "six") as vm:
        v6 = [a.split("/")[0] for a in vm.net["addresses"] if ":" in a][0]
        got = dig(box, "six", "web AAAA", "web A", "-x " + v6)
        assert got == [("NOERROR", [v6]), ("NOERROR", [vm.ip]), ("NOERROR", ["web.six."])], got
    gone(box)


def test_come_and_go(box):
    create(box, "one")
    with named(box, "first"):
        with named(box, "second") as vm:
            assert dig(box, "one", "second") == ("NOERROR", [vm.ip])
        gone_from = time.monotonic() + 120
        while dig(box, "one", "second")[1] == [vm.ip]:
            assert time.monotonic() < gone_from
        with named(box, "second") as again:
            assert dig(box, "one", "second", "first")[0] == ("NOERROR", [again.ip])
    gone(box)


def test_only_shared_networks(box):
    create(box, "one")
    create(box, "two")
    with named(box, "aa", "one") as a, named(box, "bb", "two") as b, \
            Vm(box, "sleep", "1000", flags=("--name", "both", "--network", "one", "--network", "two")):
        assert dig(box, "one", "aa", "bb", "bb.two")[0] == ("NOERROR", [a.ip])
        for got in dig(box, "one", "bb", "bb.two", "-x " + b.ip):
            assert b.ip not in got[1] and "bb.two." not in got[1], got
        got = dig(box, "one", "aa", "bb", "bb.two", "-x " + b.ip, flags=("--network", "two"))
        assert got == [("NOERROR", [a.ip]), ("NOERROR", [b.ip]), ("NOERROR", [b.ip]), ("NOERROR", ["bb.two."])], got
        # nobody else's resolver, and none on the default network
        assert dig(box, "two", "aa", server=gateway(box, "one"), patience=3) == ("", [])
        with Vm(box, "sleep", "1000", flags=("--network", "bridge")):
            assert dig(box, "bridge", "aa", patience=3) == ("", [])
            assert dig(box, "bridge", "aa", server=gateway(box, "one"), patience=3) == ("", [])
        # nor from outside
        must(f"ip netns exec {OUT} ip route add 172.16.0.0/12 via 10.99.0.1; true")
        p = bridge_test.outside(f"dig +tries=1 +time=1 @{gateway(box, 'one')} aa")
        assert a.ip not in p.stdout, p
    gone(box)


def test_several(box):
    """One alias of three: all of them, another first now and then."""
    create(box, "one")
    with named(box, "aa", "one", "--network-alias", "pool") as a, named(box, "bb", "one", "--network-alias", "pool") as b, \
            named(box, "cc", "one", "--network-alias", "pool") as c:
        p = box.run("sh", "-c", f"for i in $(seq 60); do dig +time=60 +short @{gateway(box, 'one')} pool | tr '\\n' ' '; echo; done",
                    flags=("--rm", "--network", "one"))
        lines = [line.split() for line in p.stdout.splitlines()]
        assert len(lines) == 60 and all(sorted(x) == sorted((a.ip, b.ip, c.ip)) for x in lines), p
        assert {x[0] for x in lines} == {a.ip, b.ip, c.ip}, lines
    gone(box)


def test_forwarding(box):
    create(box, "one")

    def kinds():
        got = dig(box, "one", "a.test", "nx.test", "fail.test", "half.test", "spoof.test", "big.test TXT", "wide.test TXT",
                  "wide.test TXT +noedns", "a.test +tcp", "nx.test +tcp")
        assert got[0] == ("NOERROR", ["1.2.3.4"]), got
        assert got[1] == ("NXDOMAIN", []), got
        assert got[2] == got[3] == ("NOERROR", ["5.6.7.8"]), got
        assert got[4] == ("NOERROR", ["1.2.3.4"]), got
        assert len(got[5][1]) == 1 and len(got[5][1][0]) > 3000, got[5]
        assert got[6] == got[7] and len(got[6][1][0]) > 600, got
        assert got[8:] == [("NOERROR", ["1.2.3.4"]), ("NXDOMAIN", [])], got
        assert [x[0] for x in asked("big.test")] == ["udp", "tcp"], asked("big.test")

    def thirty():
        """Never twice from the same port with the same ID, and nothing in order."""
        p = box.run("sh", "-c", f"for i in $(seq 30); do dig +time=60 +short @{gateway(box, 'one')} $i.test; done",
                    flags=("--rm", "--network", "one"))
        assert p.stdout.count("1.2.3.4") == 30, p
        ports = [int(asked(f"{i}.test")[0][3]) for i in range(1, 31)]
        ids = [int(asked(f"{i}.test")[0][4]) for i in range(1, 31)]
        assert len(set(ports)) > 25 and len(set(ids)) > 25 and ids != sorted(ids), (ports, ids)
    with named(box, "keep"):
        patiently(kinds)
    patiently(thirty)
    gone(box)


def test_other_servers(box):
    """--dns; the host's when its file changes; --internal and --egress."""
    create(box, "one")
    create(box, "--internal", "inner")

    def ask(want, *args, **kw):
        def check():
            got = dig(box, *args, **kw)
            assert got == want, (got, want)
        patiently(check, forget=False)
    ask(("NOERROR", ["5.6.7.8"]), "one", "a.test", flags=("--dns", "10.99.0.3"))
    ask(("NOERROR", ["5.6.7.8"]), "one", "half.test", flags=("--dns", "10.99.0.66", "--dns", "10.99.0.3"))
    with named(box, "inside", "inner") as vm:
        ask([("NOERROR", [vm.ip]), ("SERVFAIL", [])], "inner", "inside", "inner.test")
        ask([("NOERROR", [vm.ip]), ("NOERROR", ["1.2.3.4"])], "inner", "inside", "out.test", flags=("--network", "one"))
    ask(("SERVFAIL", []), "one", "caged.test", flags=("--egress", "none"))
    assert not asked("caged.test") and not asked("inner.test")
    ask(("NOERROR", ["5.6.7.8"]), "one", "a.test", flags=("--egress", "10.99.0.3/32"))
    with named(box, "keep"):
        try:
            with open(DIR + "/resolv.conf", "w") as f:
                f.write("nameserver 10.99.0.3\n")
            ask(("NOERROR", ["5.6.7.8"]), "one", "a.test")
        finally:
            with open(DIR + "/resolv.conf", "w") as f:
                f.write("nameserver 10.99.0.2\nnameserver 10.99.0.3\n")
    gone(box)


def test_kill_anything(box):
    """kill -9 of keeper and helper: names come back, and leave in the end."""
    import harness
    create(box, "one")
    for victims in ("helper", "keeper"):
        with named(box, "web") as vm:
            procs = keepers(box)
            kill(*(procs[1:] if victims == "helper" else procs))
            if victims == "helper":
                harness.wait_for(lambda: [p for p in keepers(box) if p not in procs])

            def check():
                got = dig(box, "one", "web", "a.test")
                assert got == [("NOERROR", [vm.ip]), ("NOERROR", ["1.2.3.4"])], got
            patiently(check)
    gone(box)


def test_flushed_rules_come_back(box):
    create(box, "one")
    create(box, "two")
    with named(box, "web") as vm, named(box, "other", "two"):
        must("nft flush ruleset")
        with named(box, "new", "two"):
            assert dig(box, "one", "web") == ("NOERROR", [vm.ip])
    gone(box)
    assert box.limpet("network", "prune", "-f").returncode == 0
    assert "limpet" not in must("nft list tables")


def test_network_made_again(box):
    """Another network of the same name, before the keeper knows of the first one's end."""
    import harness
    import threading
    create(box, "one")
    with named(box, "web") as vm:
        keeper = keepers(box)[0]
        os.kill(keeper, signal.SIGSTOP)
        try:
            os.kill(vm.pid, signal.SIGKILL)
            harness.wait_for(lambda: box.limpet("network", "rm", "one").returncode == 0)
            create(box, "one")
            threading.Timer(1, kill, (keeper,), {"sig": signal.SIGCONT}).start()
            with named(box, "next") as new:
                assert dig(box, "one", "next", "next +tcp") == [("NOERROR", [new.ip])] * 2
                harness.wait_for(lambda: dig(box, "one", "web")[1] == ["1.2.3.4"])
                assert dig(box, "one", "next") == ("NOERROR", [new.ip])
        finally:
            kill(keeper, sig=signal.SIGCONT)
    gone(box)


def test_early_question(box):
    """What a VM asks before the keeper knows it is answered then."""
    import threading
    create(box, "one")
    with named(box, "web") as vm:
        keeper = keepers(box)[0]
        for query in ("web", "web +tcp"):
            os.kill(keeper, signal.SIGSTOP)
            woken = []

            def wake():
                woken.append(keeper)
                kill(keeper, sig=signal.SIGCONT)
            threading.Timer(2, wake).start()
            assert dig(box, "one", query) == ("NOERROR", [vm.ip]), query
            assert woken, query
    gone(box)


def test_port_53_is_nobodys(box):
    """Somebody of the host, or a container, may have all of port 53."""
    create(box, "one")
    busy = subprocess.Popen([sys.executable, "-c", "import socket,time; a=[socket.socket(2,t) for t in (1,2)]; [s.bind(('0.0.0.0',53)) for s in a]; "
                             "a[0].listen(); print('up',flush=True); time.sleep(1000)"], stdout=subprocess.PIPE)
    busy.stdout.readline()
    try:
        with named(box, "web") as vm:
            got = dig(box, "one", "web", "web +tcp")
            assert got == [("NOERROR", [vm.ip])] * 2, got
    finally:
        busy.kill()
        busy.wait()
    with named(box, "web") as vm, named(box, "hole", "one", "-p", "53:53/udp", "-p", "53:53"):
        got = dig(box, "one", "web", "web +tcp")
        assert got == [("NOERROR", [vm.ip])] * 2, got
    gone(box)


HOSTILE = r"""
import os, random, socket, struct, sys, time
gw = sys.argv[1]
ask = struct.pack('!6H', 1, 0x100, 1, 0, 0, 0) + b'\3web\0\0\1\0\1'
s = socket.socket(2, 2); s.connect((gw, 53)); s.settimeout(0.3)
random.seed(7)
junk = [b'', b'\0', ask[:11], ask[:12], ask[:15], ask + b'x', ask[:12] + b'\xc0\x0c\0\1\0\1', ask[:12] + b'\xff' * 400,
        struct.pack('!6H', 1, 0x100, 65535, 65535, 65535, 65535) + b'\0' * 500, struct.pack('!6H', 1, 0x8180, 1, 0, 0, 0) + ask[12:],
        ask[:12] + (b'\x3f' + b'a' * 63) * 40 + b'\0\0\1\0\1', os.urandom(5000), b'\0' * 60000]
for _ in range(400):
    m = bytearray(ask * random.choice((1, 1, 3)))
    for _ in range(random.randrange(1, 5)): m[random.randrange(len(m))] = random.randrange(256)
    junk.append(bytes(m))
for m in junk:
    try: s.send(m)
    except OSError: pass
for m in junk[:60]:
    t = socket.create_connection((gw, 53), 60)
    try: t.sendall(struct.pack('!H', random.choice((len(m), 0, 1, 65535)) & 65535) + m)
    except OSError: pass
    t.close()
idle = [socket.create_connection((gw, 53), 60) for _ in range(20)]
for t in idle:
    try: t.sendall(b'\0')
    except OSError: pass
# more than may be under way, of what nobody answers
mute = socket.socket(2, 2); mute.connect((gw, 53))
for i in range(2000):
    mute.send(struct.pack('!6H', i, 0x100, 1, 0, 0, 0) + b'\4mute\4test\0\0\1\0\1')
print('sent', flush=True)
time.sleep(1000)
"""


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_hostile(box):
    """Nonsense, floods and open connections of one VM: others are answered, and what is held is bounded."""
    create(box, "one")
    with named(box, "web") as vm:
        helper = keepers(box)[1]
        before = fds(helper)
        bad = box.spawn("run", "--rm", "--name", "bad", "--network", "one", box.image, "python3", "-c", HOSTILE, gateway(box, "one"))
        assert bad.stdout.readline() == "sent\n", bad

        def check():
            got = dig(box, "one", "web", "a.test", "web +tcp")
            assert got == [("NOERROR", [vm.ip]), ("NOERROR", ["1.2.3.4"]), ("NOERROR", [vm.ip])], got
        patiently(check, forget=False)
        assert fds(helper) - before <= 64 + 8 + 8, os.listdir(f"/proc/{helper}/fd")
        assert 0 < len(asked("mute.test")) <= 64 * 4, len(asked("mute.test"))
        p = box.limpet("rm", "-f", "bad")
        assert p.returncode == 0, p
        bad.communicate()
        import harness
        harness.wait_for(lambda: fds(helper) <= before + 1, 120)
        assert keepers(box)[1] == helper
    gone(box)


def test_real_vms(box):
    """busybox's nslookup and ping, and glibc, in VMs of ours."""
    if not KVM or not os.path.exists(f"{IMAGES}/busybox/index.json"):
        print("# no KVM or no images: not with real VMs")
        return
    root = DIR + "/root"

    def limpet(*args):
        env = {k: v for k, v in os.environ.items() if k not in ("LIMPET_KVM", "LIMPET_LIBEXEC")}
        return subprocess.run([BIN + "/limpet", args[0], *args[1:]], capture_output=True, text=True, timeout=200,
                              env=dict(env, LIMPET_ROOT=root), stdin=subprocess.DEVNULL)
    busybox = f"oci:{IMAGES}/busybox"
    try:
        assert limpet("network", "create", "real").returncode == 0
        p = limpet("run", "-d", "--name", "web", "--network", "real", "--network-alias", "www", busybox, "sleep", "1000")
        assert p.returncode == 0, p

        def tools():
            p = limpet("run", "--rm", "--network", "real", "--dns-search", "test", "--add-host", "fixed:10.1.2.3", busybox, "sh", "-c",
                       "cat /etc/resolv.conf /etc/hosts; nslookup www.; nslookup a.test; ping -c 1 -W 60 web; ping -c 1 -W 1 fixed")
            assert "options ndots:0" in p.stdout and "search test\n" in p.stdout and "10.1.2.3\tfixed" in p.stdout, p
            assert "1.2.3.4" in p.stdout and "1 packets received" in p.stdout and "PING fixed (10.1.2.3)" in p.stdout, p
        patiently(tools)
        code = ("import socket; w = socket.getaddrinfo('www', 80, 2, 1)[0][4][0]; print(w, socket.gethostbyaddr(w)[0], "
                "socket.getaddrinfo('a.test', 80, 0, 1)[0][4][0])")

        def glibc():
            p = limpet("run", "--rm", "--network", "real", f"oci:{IMAGES}/python3", "python3", "-c", code)
            assert p.returncode == 0 and p.stdout.split()[1:] == ["web.real", "1.2.3.4"], p
        patiently(glibc)
        p = limpet("run", "--rm", "--network", "none", "--dns", "9.9.9.9", "--dns-option", "use-vc", busybox, "cat", "/etc/resolv.conf")
        assert p.stdout == "nameserver 9.9.9.9\noptions use-vc\n", p

        def by_itself():
            p = limpet("run", "--rm", "--network", "bridge", busybox, "sh", "-c", "cat /etc/resolv.conf; nslookup a.test")
            assert p.stdout.startswith("nameserver 10.99.0.2\nnameserver 10.99.0.3\n") and "1.2.3.4" in p.stdout, p
        patiently(by_itself)
    finally:
        limpet("kill", "web")
        limpet("rm", "-f", "web")
        time.sleep(0.5)
        limpet("network", "prune", "-f")
        for pid in os.listdir("/proc"):
            try:
                if os.readlink(f"/proc/{pid}/exe") == BIN + "/limpet-net" and \
                        os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass


if __name__ == "__main__":
    try:
        bridge_test.main(globals(), ("-n", "-m"), start_upstream, {"nft": "nftables", "dig": "bind9-dnsutils"})
    finally:
        if hasattr(start_upstream, "process"):
            start_upstream.process.kill()
        shutil.rmtree(DIR, ignore_errors=True)
