# SPDX-License-Identifier: Apache-2.0
"""netns_test.py [NAME...]: --network netns:PATH, a VM in the place of an
interface of another namespace, as CNI plugins prepare it:

  the test's namespace            namespace "pod"                     VM
  p0 10.88.0.1/24  <---veth--->  eth0 10.88.0.2/24 <-tc-> limpet <--> eth0, the same
     fd88::1/64                       fd88::2/64                      MAC and addresses

Needs root, /dev/kvm, /dev/net/tun and tc.
"""
import os
import signal
import socket
import subprocess
import sys
import tempfile

import world
from world import BIN, BUSYBOX, must, ping, wait_for

POD = "pod%d" % os.getpid()
MAC = "02:aa:00:00:00:07"


def pod(text):
    return must(f"ip netns exec {POD} sh -c '{text}'")


def make_pod(addr="10.88.0.2/24", routes="ip route add default via 10.88.0.1"):
    must(f"""ip link del p0 2>/dev/null; ip netns del {POD} 2>/dev/null; ip netns add {POD}
    ip link add p0 type veth peer name eth0 netns {POD}
    ip addr add 10.88.0.1/24 dev p0; ip -6 addr add fd88::1/64 dev p0 nodad; ip link set p0 mtu 1400 up""")
    pod(f"ip link set lo up; ip link set eth0 address {MAC} mtu 1400 up; ip addr add {addr} dev eth0; "
        f"ip -6 addr add fd88::2/64 dev eth0 nodad; {routes}; ip -6 route add default via fd88::1")


class Vm:
    def __init__(self, store, script, path=None, name="vm"):
        self.store, self.name = store, name
        p = limpet(store, "run", "-d", "--name", name, "--network", f"netns:{path or POD}", BUSYBOX, "sh", "-c",
                   script + "; echo ready; sleep 1000")
        assert p.returncode == 0, p
        self.id = p.stdout.strip()
        with open(f"{store}/vms/{self.id}/lock") as f:
            self.pid = int(f.read())
        wait_for(lambda: "ready" in self.log())

    def log(self):
        return limpet(self.store, "logs", self.name).stdout

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        limpet(self.store, "rm", "-f", self.name)


def limpet(store, verb, *args):
    return subprocess.run([BIN + "/limpet", verb, "--root", store, *args], capture_output=True, text=True, timeout=200,
                          stdin=subprocess.DEVNULL)


def clean():
    """Nothing of ours in the namespace, and its own interface works again."""
    wait_for(lambda: "ingress" not in pod("tc qdisc") and "limpet" not in pod("ip link"))


def get(addr, path):
    s = socket.create_connection((addr, 80), 60)
    s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    data = b""
    while part := s.recv(1 << 20):
        data += part
    return data.split(b"\r\n\r\n", 1)[1]


def test_in_its_place(store):
    with Vm(store, "ip addr; ip route; dd if=/dev/urandom of=/tmp/big bs=1M count=8; md5sum /tmp/big; httpd -h /tmp") as vm:
        log = vm.log()
        for want in (MAC, "10.88.0.2/24", "fd88::2/64", "mtu 1400", "default via 10.88.0.1"):
            assert want in log, log
        for to in ("10.88.0.2", "fd88::2"):
            ping(to)
            ping(to, "-s", "5000")
        import hashlib
        assert hashlib.md5(get("10.88.0.2", "/big")).hexdigest() in log
        assert get("fd88::2", "/big") == get("10.88.0.2", "/big")
        assert MAC in must("ip neigh show dev p0")
        shown = must(f"cat '{store}/vms/{vm.id}/config.json'")
        assert '"10.88.0.2/24"' in shown, shown
    clean()
    ping("10.88.0.2")  # the namespace itself again


def test_outward(store):
    s = socket.create_server(("10.88.0.1", 8000))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("10.88.0.1", 53))
    s.settimeout(60)
    u.settimeout(60)
    with Vm(store, "echo over-tcp | nc 10.88.0.1 8000 & nslookup -type=a x.test 10.88.0.1 >/dev/null 2>&1 & true"):
        c, peer = s.accept()
        assert peer[0] == "10.88.0.2" and c.recv(99) == b"over-tcp\n"
        assert b"\1x\4test\0" in u.recvfrom(999)[0]
    clean()


def test_router_elsewhere(store):
    """As Calico has it: one address, and a router that is on the link all the same."""
    make_pod("10.88.0.2/32", "ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1")
    must("echo 1 > /proc/sys/net/ipv4/conf/p0/proxy_arp; echo 1 > /proc/sys/net/ipv4/ip_forward; ip addr add 169.254.1.1/32 dev p0")
    with Vm(store, "ip route; ping -c 1 -W 60 10.88.0.1") as vm:
        assert "default via 169.254.1.1" in vm.log() and " 0% packet loss" in vm.log(), vm.log()
        ping("10.88.0.2")
    clean()
    make_pod()


FAR = "far%d" % os.getpid()


def make_far():
    """A network behind the test's namespace: FAR has 10.99.0.2 and fd99::2."""
    must(f"""ip link del f0 2>/dev/null; ip netns del {FAR} 2>/dev/null; ip netns add {FAR}
    ip link add f0 type veth peer name eth0 netns {FAR}
    ip addr add 10.99.0.1/24 dev f0; ip -6 addr add fd99::1/64 dev f0 nodad; ip link set f0 up
    ip -n {FAR} addr add 10.99.0.2/24 dev eth0; ip -n {FAR} addr add fd99::2/64 dev eth0 nodad
    ip -n {FAR} link set lo up; ip -n {FAR} link set eth0 up
    ip -n {FAR} route add default via 10.99.0.1; ip -n {FAR} route add default via fd99::1
    echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding""")


def routes_of(text):
    """`ip route` of busybox, but for groups, lo, and one of several ways (10.98.0.0/16)."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return sorted(x for x in lines if x and not x.startswith(("multicast", "::1 ", "10.98.", "nexthop")))


ASK = "echo =4; ip route; echo =6; ip -6 route; echo =proc; cat /proc/net/route; echo =end"


def same_routes(log):
    """The guest's routes are the namespace's."""
    for family, guest in (("-4", log.split("=4\n")[1].split("=6\n")[0]), ("-6", log.split("=6\n")[1].split("=proc")[0])):
        want = routes_of(pod(f"busybox ip {family} route"))
        assert routes_of(guest) == want, (family, want, routes_of(guest))


def test_routes(store):
    """All routes by the interface, and a peer that only one of them leads to."""
    make_pod(routes="ip route add 10.99.0.0/24 via 10.88.0.1 metric 50 src 10.88.0.2; "
             "ip route add 10.98.0.0/16 nexthop via 10.88.0.1 nexthop via 10.88.0.3; "
             "ip route add 10.97.0.0/16 via 172.31.0.9 dev eth0 onlink metric 7; ip route add 10.96.1.7 dev eth0; "
             "ip route add 10.94.0.0/16 dev lo; ip route add 10.93.0.0/16 via 10.88.0.1 table 77; "
             "ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1; "
             "ip route add default via 10.88.0.77 metric 9; "
             "ip -6 route add fd99::/64 via fd88::1 metric 33; ip -6 route add fd97::/48 via fe80::77 dev eth0; "
             "ip -6 route add fd96::/48 dev eth0 metric 5")
    pod("ip -6 route del default; ip -6 route add default via fd88::77")
    make_far()
    server = subprocess.Popen(["ip", "netns", "exec", FAR, "busybox", "httpd", "-f", "-p", "[::]:80", "-h", "/etc"])
    try:
        with Vm(store, ASK + "; ping -c 2 -W 60 10.99.0.2 && echo far4; ping -6 -c 2 -W 60 fd99::2 && echo far6; "
                "wget -q -O - http://10.99.0.2/hostname >/dev/null && echo get4; "
                "wget -q -O - http://[fd99::2]/hostname >/dev/null && echo get6; "
                "ping -c 1 -W 1 10.95.0.1 || echo nowhere") as vm:
            log = vm.log()
            for want in ("far4", "far6", "get4", "get6", "nowhere", "10.98.0.0/16 via 10.88.0.1 dev eth0"):
                assert want in log, log
            pod("ip route del 10.94.0.0/16")  # by lo: not ours to take
            same_routes(log)
            # interface, destination, gateway, flags, references, use, metric
            rows = [line.split() for line in log.split("=proc\n")[1].split("=end")[0].splitlines()[1:]]
            assert any(r[:3] == ["eth0", "0000630A", "0100580A"] and r[6] == "50" for r in rows), rows
    finally:
        server.kill()
        server.wait()
        world.sh(f"ip netns del {FAR}; ip link del f0")
    clean()
    make_pod()


def test_ptp(store):
    """As the ptp plugin has it: all of the subnet by the router."""
    make_pod(addr="10.88.0.2/24 noprefixroute",
             routes="ip route add 10.88.0.1 dev eth0 src 10.88.0.2; ip route add 10.88.0.0/24 via 10.88.0.1 src 10.88.0.2; "
             "ip route add default via 10.88.0.1")
    must("ip addr add 10.88.0.9/32 dev lo; echo 0 > /proc/sys/net/ipv4/conf/p0/proxy_arp; "
         "echo 1 > /proc/sys/net/ipv4/conf/p0/arp_ignore")
    try:
        with Vm(store, ASK + "; ip addr; ping -c 2 -W 60 10.88.0.9 && echo far") as vm:
            log = vm.log()
            assert "far\n" in log, log
            same_routes(log)
    finally:
        must("ip addr del 10.88.0.9/32 dev lo")
    clean()
    make_pod()


def test_several(store):
    """As multus has it: every link of the namespace is an interface of the VM."""
    must(f"""ip link add p1 type veth peer name net1 netns {POD}; ip link add p2 type veth peer name net2 netns {POD}
    ip addr add 10.77.0.1/24 dev p1; ip -6 addr add fd77::1/64 dev p1 nodad; ip link set p1 up; ip link set p2 up""")
    pod("ip addr add 10.77.0.2/24 dev net1; ip -6 addr add fd77::2/64 dev net1 nodad; ip link set net1 mtu 1300 up; "
        "ip route add 10.76.0.0/16 via 10.77.0.1; ip link set net2 up; ip link add br7 type bridge; ip link set br7 up; "
        "ip link add v7 type veth peer name w7; ip link set v7 master br7 up")
    try:
        with Vm(store, ASK + "; ip addr; ip link; ping -c 2 -W 60 10.77.0.1 && echo on1; ping -c 2 -W 60 10.88.0.1 && echo on0; "
                "cat /etc/resolv.conf") as vm:
            log = vm.log()
            for want in ("on0", "on1", "eth2", "10.77.0.2/24", "fd77::2/64", "mtu 1300",
                         "10.76.0.0/16 via 10.77.0.1 dev eth1"):
                assert want in log, log
            assert "eth3" not in log, log
            servers = [line for line in log.splitlines() if line.startswith("nameserver")]
            assert len(servers) == len(set(servers)), servers
            ping("10.77.0.2")
            ping("fd77::2")
            ping("10.88.0.2")
            assert pod("tc qdisc").count("ingress") == 6, pod("tc qdisc")
        clean()
        ping("10.77.0.2")
        pod("ip link set net1 down; tc qdisc add dev net2 ingress; tc filter add dev net2 parent ffff: prio 5 u32 match u32 0 0 flowid :1")
        p = limpet(store, "run", "--rm", "--network", f"netns:{POD}", BUSYBOX, "true")
        assert p.returncode == 125 and "net2 has traffic control of somebody else" in p.stderr, p
        wait_for(lambda: "limpet" not in pod("ip link"))  # eth0 as it was
        wait_for(lambda: "ingress" not in pod("tc qdisc show dev eth0"))
    finally:
        must("ip link del p1; ip link del p2")
        pod("ip link del br7; ip link del v7")
    make_pod()


def test_end(store):
    """kill -9 of the monitor or the guard, or both; and the next one comes."""
    for victims in ("monitor", "guard", "both"):
        with Vm(store, "true") as vm:
            guards = [int(p) for p in os.listdir("/proc") if p.isdigit() and is_guard(p)]
            assert len(guards) == 1, guards
            for pid in {"monitor": [vm.pid], "guard": guards, "both": [*guards, vm.pid]}[victims]:
                os.kill(pid, signal.SIGKILL)
            if victims == "guard":
                ping("10.88.0.2")
        if victims == "monitor":
            clean()
        wait_for(lambda: "limpet" not in pod("ip link"))
    with Vm(store, "true"):  # over what the last one left
        ping("10.88.0.2")
    clean()


def is_guard(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read().startswith("limpet-net\0guard") and \
                os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(f"/run/netns/{POD}").st_ino
    except OSError:
        return False


def test_refused(store):
    def refused(path, want, *flags):
        p = limpet(store, "run", "--rm", "--network", f"netns:{path}", *flags, BUSYBOX, "true")
        assert p.returncode == 125 and want in p.stderr, (path, p)

    def links():  # but not whether an address of the kernel's is still "tentative"
        return must("ip -d link; tc qdisc; ip addr").replace(" tentative", "")

    before = links()
    refused("/proc/self/ns/net", "the host's own namespace")
    refused(f"/proc/{os.getpid()}/ns/net", "the host's own namespace")
    refused("/proc/self/ns/uts", "not a network namespace")
    refused("/etc/passwd", "not a network namespace")
    refused("nobody-made-it", "No such file")
    refused(POD + ",ip=10.0.0.1/24", "those of the interface")
    refused(POD, "--egress", "--egress", "none")
    refused(POD, "-p:", "-p", "80:80")
    assert links() == before
    with Vm(store, "true"):
        refused("/run/netns/" + POD, "has taken it")
        ping("10.88.0.2")
    clean()
    pod("tc qdisc add dev eth0 ingress; tc filter add dev eth0 parent ffff: prio 5 u32 match u32 0 0 flowid :1")
    refused(POD, "traffic control of somebody else")
    assert "pref 5" in pod("tc filter show dev eth0 parent ffff:") and "limpet" not in pod("ip link")
    pod("tc qdisc del dev eth0 ingress")
    pod("for i in $(seq 62); do ip route add 10.60.$i.0/24 via 10.88.0.1 || exit; done; ip route add 10.61.0.0/24 via inet6 fd88::1")
    refused(POD, "eth0: route to 10.61.0.0/24: has a router of another family")
    pod("ip route del 10.61.0.0/24; ip route add 10.61.0.0/24 via 10.88.0.1")
    refused(POD, "eth0: more than 64 routes")
    assert "limpet" not in pod("ip link")
    pod("ip route del 10.61.0.0/24")
    with Vm(store, ASK) as vm:
        same_routes(vm.log())
    clean()
    pod("ip addr flush dev eth0")
    refused(POD, "eth0 has no address")
    pod("ip link set eth0 down")
    refused(POD, "no interface but lo is up")
    make_pod()


def test_namespace_goes(store):
    """The other end of the veth is deleted: the VM lives on, without a network."""
    with Vm(store, "true") as vm:
        must("ip link del p0")
        wait_for(lambda: "eth0" not in pod("ip link"))
        assert vm.id[:12] in limpet(store, "ps", "-q").stdout
    wait_for(lambda: "limpet" not in pod("ip link"))
    make_pod()


def main():
    world.enter({"tc": "iproute2"})
    must("ip link set lo up")
    make_pod()
    names = sys.argv[1:] or [n for n in globals() if n.startswith("test_")]
    try:
        with tempfile.TemporaryDirectory(prefix="limpet-netns-") as store:
            for name in names:
                globals()[name](store)
                print("ok " + name, flush=True)
    finally:
        world.sh(f"ip netns del {POD}", timeout=30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
