# SPDX-License-Identifier: Apache-2.0
"""connect_test.py [NAME...]: network connect and disconnect of VMs that run, in
a network namespace of the test's, whose host side is the gateway of them all.
Needs root, /dev/kvm, nft.
"""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from world import BIN, BUSYBOX, IMAGES, enter, must, ping, sh, wait_for

PYTHON = f"oci:{IMAGES}/python3"


class Store:
    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="limpet-connect-")

    def limpet(self, *args, patience=200):
        return subprocess.run([BIN + "/limpet", *args], capture_output=True, text=True, timeout=patience,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, LIMPET_ROOT=self.root))

    def ok(self, *args):
        p = self.limpet(*args)
        assert p.returncode == 0, p
        return p.stdout

    def refused(self, text, *args):
        p = self.limpet(*args)
        assert p.returncode == 1 and text in p.stderr, (text, p)

    def leases(self):
        return sorted(os.listdir(self.root + "/networks/leases"))

    def claims(self, network):
        return sorted(os.path.basename(p) for p in glob.glob(f"{self.root}/networks/claims/{network}/[0-9]*"))

    def endpoints(self, network):
        """{name: IPv4 address}"""
        found = json.loads(self.ok("network", "inspect", network))[0]["Containers"]
        return {c["Name"]: c["IPv4Address"].split("/")[0] for c in found.values()}


def taps():
    return sorted(re.findall(r"^\d+: (lp\w+)", must("ip -o link"), re.M))


def rules():
    """How many elements of sets there are."""
    p = json.loads(must("nft -j list ruleset"))
    return sum(len(o["set"].get("elem", [])) for o in p["nftables"] if "set" in o) + sum(
        len(o["map"].get("elem", [])) for o in p["nftables"] if "map" in o)


class Vm:
    """A VM whose shell reads commands."""

    def __init__(self, store, name, *flags, image=BUSYBOX, command=("sh",)):
        self.store, self.name = store, name
        self.p = subprocess.Popen([BIN + "/limpet", "run", "--rm", "-i", "--name", name, *flags, image, *command],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  env=dict(os.environ, LIMPET_ROOT=store.root))
        self.sh(":")

    def tell(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()

    def sh(self, text):
        self.tell(f"{{ {text}\n}} 2>&1; echo '<'$?'>'")
        seen = ""
        while not re.search(r"<\d+>\n$", seen):
            line = self.p.stdout.readline()
            assert line, (self.name, text, seen)
            seen += line
        return re.sub(r"<\d+>\n$", "", seen)

    def pid(self):
        """Of the monitor."""
        for path in glob.glob(f"{self.store.root}/vms/*/config.json"):
            with open(path) as f:
                if json.load(f)["name"] == self.name:
                    with open(os.path.dirname(path) + "/lock") as lock:
                        return int(lock.read())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.store.limpet("kill", self.name)
        self.p.wait(120)


def gone(store):
    """Nothing of any VM is left."""
    wait_for(lambda: taps() == [] and store.leases() == [])


def test_connect(store):
    with Vm(store, "web", "--network", "one") as web, Vm(store, "peer", "--network", "two") as peer:
        web.sh("mkdir /www; echo hello > /www/index.html; httpd -p 80 -h /www")
        store.ok("network", "connect", "--alias", "www", "two", "web")
        ip = store.endpoints("two")["web"]
        assert ip in web.sh("ip addr show dev eth1")
        assert f"dev eth1" in web.sh("ip route get " + store.endpoints("two")["peer"])
        ping(ip)
        for name in ("web", "www", "web.two", ip):
            seen = peer.sh(f"wget -q -O - http://{name}/")
            assert seen == "hello\n", (name, seen)
        assert "0% packet loss" in web.sh("ping -c 2 -W 30 peer")  # names of both, both ways
        assert "web" in store.endpoints("one") and len(taps()) == 3
        store.refused("endpoint with name web already exists in network two", "network", "connect", "two", "web")
        seen = web.sh("ip route; ip route get 9.9.9.9")
        assert "default via" in seen and "9.9.9.9 via" in seen.splitlines()[-1] and "dev eth0" in seen.splitlines()[-1], seen
        sys_files = "cat /sys/class/net/eth1/ifindex /sys/class/net/eth1/address"
        first = web.sh(sys_files).split()
        assert len(first) == 2, first
        # The interface goes, and its name, address and rules.
        store.ok("network", "disconnect", "two", "web")
        assert "eth1" not in web.sh("ip link; ip route; cat /proc/net/dev; ls /sys/class/net; ip neigh")
        assert len(taps()) == 2 and "web" not in store.endpoints("two") and ip not in store.claims("two")
        assert "bad address" in peer.sh("wget -q -O - http://www/")
        store.refused("container", "network", "disconnect", "two", "web")
        # Again: at the same place, with the address that is wanted.
        store.ok("network", "connect", "--ip", ip, "two", "web")
        assert store.endpoints("two")["web"] == ip
        assert peer.sh("wget -q -O - http://web/") == "hello\n"
        second = web.sh(sys_files).split()
        assert int(second[0]) > int(first[0]) and second[1] == first[1], (first, second)
    gone(store)


def test_first_interface(store):
    """Started with it, and its ports go with it."""
    with Vm(store, "web", "--network", "one", "-p", "18080:80") as web:
        web.sh("mkdir /www; echo hello > /www/index.html; httpd -p 80 -h /www")

        def get(to):
            p = sh(f"python3 -c \"import urllib.request as u; print(u.urlopen('http://{to}/', timeout=10).read())\"")
            return "hello" in p.stdout
        wait_for(lambda: get("127.0.0.1:18080"))
        assert "18080" in store.ok("port", "web") and "18080" in store.ok("ps")
        before = rules()
        ip = store.endpoints("one")["web"]
        store.ok("network", "connect", "two", "web")
        store.ok("network", "disconnect", "one", "web")
        assert rules() < before + 4 and store.claims("one") == [ip.rsplit(".", 1)[0] + ".1"] or ip not in store.claims("one")
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 18080))  # nobody has it
        s.close()
        assert not get("127.0.0.1:18080")
        assert store.ok("port", "web") == "" and "18080" not in store.ok("ps")
        assert "eth0" not in web.sh("ip link") and "default via" in web.sh("ip route show dev eth1")
        assert get(store.endpoints("two")["web"])
        # Its place is free again.
        store.ok("network", "connect", "one", "web")
        assert "eth0" in web.sh("ip link") and get(store.endpoints("one")["web"])
        store.ok("network", "disconnect", "two", "web")
        store.ok("network", "disconnect", "one", "web")
        assert taps() == [] and web.sh("ls /sys/class/net") == "lo\n"
        store.ok("network", "connect", "one", "web")
        assert get(store.endpoints("one")["web"])
    gone(store)


def test_six(store):
    """Both families, and the addresses that were wanted."""
    store.ok("network", "create", "--ipv6", "--subnet", "10.66.0.0/24", "--subnet", "fd66::/64", "six")
    with Vm(store, "web", "--network", "one") as web, Vm(store, "peer", "--network", "six") as peer:
        for _ in range(2):
            store.ok("network", "connect", "--ip", "10.66.0.9", "--ip6", "fd66::9", "six", "web")
            seen = web.sh("ip addr show dev eth1; ip -6 route")
            assert "10.66.0.9/24" in seen and "fd66::9/64" in seen and "default via fd66::1 dev eth1" in seen, seen
            for to in ("10.66.0.9", "fd66::9"):
                assert "0% packet loss" in peer.sh(f"ping -c 1 -W 30 {to}")
                ping(to)
            store.ok("network", "disconnect", "six", "web")
            seen = web.sh("ip addr; ip -6 route; cat /proc/net/if_inet6 /proc/net/ipv6_route")
            assert "fd66" not in seen and "eth1" not in seen, seen
    store.ok("network", "rm", "six")
    gone(store)


MEMBER = r"""
import socket, struct, time
s = socket.socket(2, 2)
s.setsockopt(0, 35, struct.pack("4s4si", socket.inet_aton("239.1.2.3"), bytes(4), socket.if_nametoindex("eth1")))
b = socket.socket(2, 2)
b.setsockopt(1, 25, b"eth1\0")
print("joined", flush=True)
while "eth1" in open("/proc/net/dev").read():
    time.sleep(0.05)
try:
    b.sendto(b"x", ("9.9.9.9", 9))
    print("sent")
except OSError as e:
    print("no way", e.errno)
s.close()
"""


def test_groups(store):
    """A socket that is in a group there, or bound to it, outlives it."""
    with Vm(store, "web", "--network", "one", image=PYTHON) as web:
        store.ok("network", "connect", "two", "web")
        web.tell(f"cat > /g.py <<'EOF'\n{MEMBER}EOF")
        web.tell("python3 /g.py &")
        assert web.p.stdout.readline() == "joined\n"
        store.ok("network", "disconnect", "two", "web")
        seen = web.sh("wait; cat /proc/net/igmp")
        assert "no way 19" in seen and "eth1" not in seen, seen  # ENODEV
        store.ok("network", "connect", "two", "web")
        ping(store.endpoints("two")["web"])
    gone(store)


def test_isolation(store):
    """Two networks do not meet through the host when one VM is on both."""
    with Vm(store, "both", "--network", "one"), Vm(store, "left", "--network", "one") as left, \
            Vm(store, "right", "--network", "two"):
        store.ok("network", "connect", "two", "both")
        right = store.endpoints("two")
        left.sh(f"ip route add {right['right']}/32 via {store.endpoints('one')['both']}")
        assert "100% packet loss" in left.sh(f"ping -c 1 -W 2 {right['right']}")
        assert "bad address" in left.sh("ping -c 1 -W 2 right")
        assert "100% packet loss" in left.sh(f"ping -c 1 -W 2 {right['both']}")
    gone(store)


def test_egress(store):
    """What the container may reach it may reach from there, and no more."""
    with Vm(store, "held", "--network", "one", "--egress", "none") as held, Vm(store, "peer", "--network", "two"):
        store.ok("network", "connect", "two", "held")
        assert "100% packet loss" in held.sh("ping -c 1 -W 2 " + store.endpoints("two")["peer"])
    gone(store)


def test_errors(store):
    with Vm(store, "web", "--network", "one"), Vm(store, "lone", "--network", "none"):
        c, d = ("network", "connect"), ("network", "disconnect")
        store.refused("No such container: nobody", *c, "one", "nobody")
        store.refused("network nowhere not found", *c, "nowhere", "web")
        store.refused("network nowhere not found", *d, "nowhere", "web")
        store.refused("is not connected to network two", *d, "two", "web")
        store.refused("already exists in network one", *c, "one", "web")
        store.refused("was started with --network none", *c, "one", "lone")
        store.refused("is not in network two", *c, "--ip", "9.9.9.9", "two", "web")
        store.refused("has no IPv6", *c, "--ip6", "fd00::9", "two", "web")
        with Vm(store, "peer", "--network", "two"):
            store.refused("is already in use", *c, "--ip", store.endpoints("two")["peer"], "two", "web")
        assert store.endpoints("two") == {} and len(taps()) == 1 and len(store.leases()) == 1
        for i in range(5):
            store.ok("network", "create", f"more{i}")
        for i in range(3):
            store.ok(*c, f"more{i}", "web")
        store.refused("has no place for another interface", *c, "more3", "web")
        assert len(taps()) == 4 and store.endpoints("more3") == {}
        store.ok(*d, "more1", "web")
        store.ok(*c, "more3", "web")
    for i in range(5):
        store.ok("network", "rm", f"more{i}")
    store.ok("run", "-d", "--name", "ended", "--network", "one", BUSYBOX, "true")
    store.ok("wait", "ended")
    store.refused("is not running", *c, "two", "ended")
    store.ok("rm", "ended")
    gone(store)


MEMORY = "grep -E 'MemFree' /proc/meminfo"


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_many_times(store):
    """No place, tap, lease, fd of the monitor or page of the guest is lost."""
    with Vm(store, "web", "--network", "one") as web, Vm(store, "peer", "--network", "two"):
        def free():
            return int(re.search(r"(\d+) kB", web.sh(MEMORY)).group(1))

        def turn():
            store.ok("network", "connect", "two", "web")
            assert "0% packet loss" in web.sh("ping -c 1 -W 30 peer")
            store.ok("network", "disconnect", "two", "web")
        for _ in range(3):
            turn()
        files, memory, elements = fds(web.pid()), free(), rules()
        for _ in range(50):
            turn()
        assert fds(web.pid()) <= files, (files, os.listdir(f"/proc/{web.pid()}/fd"))
        assert free() > memory - 1024, (memory, free())
        assert rules() == elements and len(taps()) == 2 and len(store.leases()) == 2
        assert len(store.claims("two")) <= 2, store.claims("two")
    gone(store)


LOAD = ("import socket,threading\n"
        "def serve(c):\n"
        " try:\n"
        "  while c.recv(65536): c.sendall(b'x'*65536)\n"
        " except OSError: pass\n"
        "s=socket.socket(); s.setsockopt(1,2,1); s.bind(('',7)); s.listen(9); print('up', flush=True)\n"
        "while True: threading.Thread(target=serve,args=(s.accept()[0],),daemon=True).start()\n")


def pull(ip, until):
    """Bytes both ways until told."""
    while not until.is_set():
        try:
            s = socket.create_connection((ip, 7), 1)
            s.settimeout(1)
            while not until.is_set():
                s.sendall(b"y" * 65536)
                s.recv(65536)
        except OSError:
            until.wait(0.05)


def test_under_load(store):
    """Frames of both directions are under way when the interface goes, on two
    CPUs; the other interface does not notice."""
    with Vm(store, "web", "--network", "one", "--vcpus", "2", image=PYTHON) as web:
        web.tell(f"python3 -c \"{LOAD}\" >/dev/null 2>&1 &")
        over = threading.Event()
        one = store.endpoints("one")["web"]
        threads = []
        for _ in range(8):
            store.ok("network", "connect", "two", "web")
            stop = threading.Event()
            ip = store.endpoints("two")["web"]
            threads = [threading.Thread(target=pull, args=(ip, stop)) for _ in range(3)]
            for t in threads:
                t.start()
            over.wait(0.5)
            store.ok("network", "disconnect", "two", "web")
            stop.set()
            for t in threads:
                t.join()
        ping(one)
        assert "eth1" not in web.sh("cat /proc/net/dev")
    gone(store)


def test_killed(store):
    """kill -9 of whoever does it, at any point, and of the monitor."""
    with Vm(store, "web", "--network", "one") as web:
        for verb in ("connect", "disconnect") * 12:
            p = subprocess.Popen([BIN + "/limpet", "network", verb, "two", "web"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=dict(os.environ, LIMPET_ROOT=store.root))
            threading.Event().wait(0.002 * (hash(os.urandom(4)) % 12))
            p.kill()
            p.wait()
        wait_for(lambda: len(taps()) == len(store.leases()))
        store.limpet("network", "disconnect", "--force", "two", "web")
        wait_for(lambda: len(taps()) == 1 and store.endpoints("two") == {})
        store.ok("network", "connect", "two", "web")
        assert "2 packets received" in web.sh("ping -c 2 -W 30 " + store.endpoints("two")["web"])
        ping(store.endpoints("two")["web"])
        os.kill(web.pid(), signal.SIGKILL)
        web.p.wait(120)
    gone(store)
    assert store.endpoints("two") == {}


def test_early(store):
    """While its kernel starts."""
    for _ in range(10):
        vm = store.ok("run", "-d", "--name", "web", "--network", "one", BUSYBOX, "sleep", "1000").strip()
        store.ok("network", "connect", "two", "web")
        store.ok("network", "disconnect", "one", "web")
        ping(store.endpoints("two")["web"])
        with open(f"{store.root}/vms/{vm}/vmm.log") as log:
            assert "error" not in log.read().lower()
        store.ok("rm", "-f", "web")
    gone(store)


def test_stopped(store):
    """A monitor that stands still is not waited for long; what it finds when it
    goes on is taken back."""
    with Vm(store, "web", "--network", "one") as web:
        pid = web.pid()
        os.kill(pid, signal.SIGSTOP)
        store.refused("did not answer within 10 s", "network", "connect", "two", "web")
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: len(taps()) == 1 and len(store.leases()) == 1)
        wait_for(lambda: "eth1" not in web.sh("cat /proc/net/dev"))
        store.ok("network", "connect", "two", "web")
        ping(store.endpoints("two")["web"])
    gone(store)


def test_mute_guest(store):
    """A kernel that stands still keeps neither its interface nor anybody up."""
    with Vm(store, "web", "--network", "one") as web:
        store.ok("network", "connect", "two", "web")
        store.ok("network", "disconnect", "--force", "two", "web")
        assert len(taps()) == 1
        wait_for(lambda: "eth1" not in web.sh("cat /proc/net/dev"))
        store.ok("network", "connect", "two", "web")
        ping(store.endpoints("two")["web"])
    gone(store)


def main():
    enter({"nft": "nftables", "ping": "iputils-ping"}, images=("busybox", "python3"))
    must("ip link set lo up")
    tests = {k[5:]: v for k, v in globals().items() if k.startswith("test_")}
    failed = 0
    for name in sys.argv[1:] or tests:
        store = Store()
        try:
            for network in ("one", "two"):
                store.ok("network", "create", network)
            tests[name](store)
            store.ok("network", "rm", "one", "two")
            store.ok("network", "prune")
            print("ok", name, flush=True)
        except Exception as e:
            failed += 1
            print("FAILED", name, repr(e)[:3000], flush=True)
            print(sh(f"tail -n 20 {store.root}/vms/*/vmm.log {store.root}/networks/keeper.log").stdout, flush=True)
        finally:
            shutil.rmtree(store.root, ignore_errors=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
