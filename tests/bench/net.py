#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""net.py BIN IMAGES ROUNDS WORK [PREFIX]: servers in VMs against the same files
under runc; lines as tests/bench/run prints. Both are there at once, in network
namespaces of our own, and are asked in turns:

  clients, limpet0 172.17.0.1/16 -- tap --> VMs
           base0  10.88.0.1/24   -- veth -> runc in namespaces, nftables NAT

On a machine with other work: chrt -r 1 net.py ..., then all of it but the start
is at real-time priority, on both sides."""
import glob
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BIN, IMAGES, ROUNDS, WORK = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
sys.path.insert(0, os.path.join(HERE, "../net"))
import badpath  # noqa: E402
ONLY = sys.argv[5] if len(sys.argv) > 5 else "net."
SECONDS = int(os.environ.get("LIMPET_BENCH_SECONDS", "4"))
LIMPET = os.path.join(BIN, "limpet")
STORE = os.path.join(WORK, "store")
CAPS = ["CAP_" + c for c in ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "NET_BIND_SERVICE", "KILL", "SETPCAP")]
NGINX = """user root; worker_processes 1; pid /tmp/nginx.pid; error_log /tmp/error.log;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; default_type text/html;
 server { listen 80 backlog=1024; root /var/www/bench; } }
"""


def line(name, value, unit, ratio=None, note=""):
    shown = "-" if ratio is None else f"{ratio:.2f}"
    print(f"{name:<34} {value:>12.2f} {unit:<6} {shown}" + (f"  # {note}" if note else ""), flush=True)


def wanted(name):
    return name.startswith(ONLY) or ONLY.startswith(name)


def must(*words, **kw):
    p = subprocess.run(words, capture_output=True, text=True, timeout=120, **kw)
    if p.returncode != 0:
        raise OSError(f"{' '.join(words)}: {p.stderr.strip()[-300:]}")
    return p.stdout


def image(name):
    """The fixture's files and what the benchmarks add: (layout, root)."""
    root, layout = f"{WORK}/{name}-root", f"{WORK}/{name}-layout"
    if os.path.exists(layout):
        return layout, root
    must(sys.executable, f"{HERE}/../boot/unpack.py", f"{IMAGES}/{name}", root)
    shutil.copy(f"{BIN}/bench-udp", f"{root}/bench-udp")
    os.makedirs(f"{root}/var/www/bench", exist_ok=True)
    with open(f"{root}/var/www/bench/index.html", "w") as f:
        f.write("<html>" + "x" * 598 + "</html>\n")
    with open(f"{root}/nginx.conf", "w") as f:
        f.write(NGINX)
    must(f"{HERE}/../../tools/mkoci.py", layout, "--arch", "amd64", "--layer", root)
    return layout, root


def schedstat(pid):
    """Nanoseconds on a CPU, of all threads; interrupts in between count."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            total += int(open(path).read().split()[0])
        except OSError:
            pass
    return total


RT = os.sched_getscheduler(0) == os.SCHED_RR


class Side:
    def promote(self):
        """To our priority, which a cgroup of its own cannot have."""
        for pid in self.pids() if RT else ():
            with open("/sys/fs/cgroup/cpu/cgroup.procs", "w") as f:
                f.write(str(pid))
            for tid in os.listdir(f"/proc/{pid}/task"):
                os.sched_setscheduler(int(tid), os.SCHED_RR, os.sched_param(1))

    def cpu(self):
        return sum(schedstat(p) for p in self.pids())

    def wakeups(self):
        total = 0
        for pid in self.pids():
            for path in glob.glob(f"/proc/{pid}/task/*/status"):
                total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", open(path).read(), re.M)[1])
        return total

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.end()


class Vm(Side):
    name = "limpet"

    def __init__(self, what, command):
        self.id = must(LIMPET, "run", "-d", "--network", "bridge", "oci:" + image(what)[0], *command).strip()
        config = json.load(open(f"{STORE}/vms/{self.id}/config.json"))
        self.ip = config["network"][0]["addresses"][0].split("/")[0]

    def pids(self):
        return [int(open(f"{STORE}/vms/{self.id}/lock").read())]

    def end(self):
        subprocess.run([LIMPET, "rm", "-f", self.id], capture_output=True)


class Bundle:
    count = 0

    def __init__(self, what, command):
        Bundle.count += 1
        self.n, self.ns = Bundle.count, f"lb{os.getpid()}-{Bundle.count}"
        self.path = f"{WORK}/bundle{self.n}"
        os.makedirs(self.path)
        must("runc", "spec", cwd=self.path)
        with open(f"{self.path}/config.json") as f:
            spec = json.load(f)
        spec["process"].update(terminal=False, args=command, env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], cwd="/tmp",
                               capabilities={k: CAPS for k in ("bounding", "effective", "permitted")})
        spec["root"] = {"path": image(what)[1], "readonly": False}
        for n in spec["linux"]["namespaces"]:
            if n["type"] == "network":
                n["path"] = f"/run/netns/{self.ns}"
        with open(f"{self.path}/config.json", "w") as f:
            json.dump(spec, f)


class Runc(Side):
    """A namespace with one end of a veth pair; the other is a port of base0."""
    name = "runc"

    def __init__(self, what, command, bundle=None):
        bundle = bundle or Bundle(what, command)
        self.ns, self.ip = bundle.ns, f"10.88.0.{bundle.n + 1}"
        self.p = subprocess.Popen(["sh", "-ec", f"""ip netns add {self.ns}
            ip link add vb{bundle.n} type veth peer name eth0 netns {self.ns}
            ip link set vb{bundle.n} master base0 up
            ip -n {self.ns} -batch - <<E
link set lo up
addr add {self.ip}/24 dev eth0
link set eth0 up
route add default via 10.88.0.1
E
            exec chrt -o 0 runc --root {WORK}/runc run -b {bundle.path} {self.ns}"""], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def pids(self):
        want = os.stat(f"/run/netns/{self.ns}").st_ino
        out = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino == want:
                    out.append(int(pid))
            except OSError:
                pass
        return out

    def end(self):
        subprocess.run(["runc", "--root", f"{WORK}/runc", "kill", self.ns, "KILL"], capture_output=True)
        self.p.wait()
        must("ip", "netns", "del", self.ns)


def until_open(side, port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection((side.ip, port), 1).close()
            time.sleep(0.3)  # for its workers
            side.promote()
            return
        except OSError:
            time.sleep(0.02)
    raise OSError(f"{side.name}: nothing answers at {side.ip}:{port}")


def turns(sides, measure, rounds=None):
    """Medians of what measure(side) gives, column by column, for each side."""
    rows = [[] for _ in sides]
    for n in range((rounds or ROUNDS) + 1):
        for row, side in zip(rows, sides):
            got = measure(side)
            if n > 0:
                row.append(got)
    return [[statistics.median(c) for c in zip(*row)] for row in rows]


NGINX_RUN = ["nginx", "-c", "/nginx.conf", "-g", "daemon off;"]


def client(side, *words):
    """Standard output of a client, its own CPU seconds, the server's."""
    before, usage = side.cpu(), os.times()
    out = must(*words)
    after = os.times()
    mine = after.children_user + after.children_system - usage.children_user - usage.children_system
    return out, mine, (side.cpu() - before) / 1e9


def microseconds(text):
    m = re.match(r"([\d.]+)(us|ms|s)", text)
    return float(m[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[m[2]]


def http():
    def wrk(side):
        out, mine, theirs = client(side, "wrk", "-t1", "-c64", f"-d{SECONDS}s", "--latency", f"http://{side.ip}/")
        bad = re.search("Non-2xx.*|Socket errors.*", out)
        if bad:
            raise OSError(f"wrk at {side.name}: {bad[0]}")
        requests = int(re.search(r"(\d+) requests in", out)[1])
        rate = float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1])
        p99 = microseconds(re.search(r"99%\s+(\S+)", out)[1])
        return rate, p99, theirs / requests * 1e5, (mine + theirs) / requests * 1e5
    with Runc("nginx", NGINX_RUN) as base, Vm("nginx", NGINX_RUN) as vm:
        for side in (base, vm):
            until_open(side, 80)
        b, a = turns((base, vm), wrk)
    line("net.http.rate", a[0], "1/s", a[0] / b[0], f"nginx, wrk with 64 connections; runc {b[0]:.0f}")
    line("net.http.p99", a[1], "us", a[1] / b[1], f"runc {b[1]:.0f}")
    line("net.http.cpu", a[2], "s", a[2] / b[2], f"CPU of server or monitor per 100,000 requests; runc {b[2]:.2f}")
    line("net.http.cpu-all", a[3], "s", a[3] / b[3], f"the client's too; runc {b[3]:.2f}")


def redis():
    def bench(side):
        out = must("redis-benchmark", "-h", side.ip, "-t", "set,get", "-P", "16", "-n", str(100000 * SECONDS), "--csv")
        rows = dict(r.split(",")[:2] for r in out.replace('"', "").splitlines())
        return float(rows["GET"]), float(rows["SET"])
    words = ["redis-server", "--save", "", "--protected-mode", "no", "--bind", "0.0.0.0"]
    with Runc("redis", words) as base, Vm("redis", words) as vm:
        for side in (base, vm):
            until_open(side, 6379)
        b, a = turns((base, vm), bench)
    for i, what in enumerate(("get", "set")):
        line("net.redis." + what, a[i], "1/s", a[i] / b[i], f"pipeline 16; runc {b[i]:.0f}")


def received(words):
    """Of iperf3; its server says for a moment that it is busy."""
    for _ in range(20):
        p = subprocess.run(words, capture_output=True, text=True, timeout=60)
        got = json.loads(p.stdout)
        if "error" not in got:
            return got["end"]["sum_received"]["bits_per_second"] / 1e9
        time.sleep(0.1)
    raise OSError(f"{words}: {got['error']}")


def stream():
    def both_ways(side):
        words = ["iperf3", "-c", side.ip, "-J", "-t", str(SECONDS)]
        return received(words), received(words + ["-R"])
    with Runc("iperf3", ["iperf3", "-s"]) as base, Vm("iperf3", ["iperf3", "-s"]) as vm:
        for side in (base, vm):
            until_open(side, 5201)
        b, a = turns((base, vm), both_ways)
        line("net.stream.in", a[0], "Gbit/s", a[0] / b[0], f"iperf3, host to guest; runc {b[0]:.1f}")
        line("net.stream.out", a[1], "Gbit/s", a[1] / b[1], f"guest to host; runc {b[1]:.1f}")
        between(base, vm)


def between(base, vm):
    """A client beside each server, run anew for each turn."""
    def other(side):
        words = ["iperf3", "-c", side.ip, "-J", "-t", str(SECONDS)]
        if side is vm:
            return [received([LIMPET, "run", "--rm", "--network", "bridge", "oci:" + image("iperf3")[0], *words])]
        return [received(["ip", "netns", "exec", peer.ns, *words])]
    with Runc("iperf3", ["sleep", "1000"]) as peer:
        time.sleep(0.5)
        peer.promote()
        b, a = turns((base, vm), other)
    line("net.stream.between", a[0], "Gbit/s", a[0] / b[0], f"VM to VM; runc {b[0]:.1f}")


def udp():
    def ask(side):
        return [float(x) for x in must(f"{BIN}/bench-udp", "ask", side.ip, "7", "5000").split()]
    words = ["/bench-udp", "serve", "7"]
    with Runc("nginx", words) as base, Vm("nginx", words) as vm:
        time.sleep(1)
        base.promote()
        b, a = turns((base, vm), ask)
    line("net.udp.turn", a[0], "us", a[0] / b[0], f"64 bytes to an echo and back; runc {b[0]:.1f}")
    line("net.udp.p99", a[1], "us", a[1] / b[1], f"runc {b[1]:.1f}")


def answers(ip):
    try:
        with socket.create_connection((ip, 80), 0.02) as s:
            s.settimeout(1)
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return s.recv(99).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def starts():
    def first(kind):
        start = time.monotonic()
        if kind is Vm:
            ip = "172.17.9.9"
            p = subprocess.Popen(["chrt", "-o", "0", LIMPET, "run", "--rm", "--name", "first", "--network", "bridge", "--ip", ip,
                                  "oci:" + image("nginx")[0], *NGINX_RUN], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            side = Runc("nginx", NGINX_RUN, prepared.pop())
            ip = side.ip
        while not answers(ip):
            if time.monotonic() > start + 20:
                raise OSError(f"no answer from {ip}")
            time.sleep(0.001)
        took = (time.monotonic() - start) * 1e3
        if kind is Vm:
            must(LIMPET, "kill", "first")
            p.wait()
        else:
            side.end()
        return [took]
    rounds = max(ROUNDS * 2, 10)
    prepared = [Bundle("nginx", NGINX_RUN) for _ in range(rounds + 1)]
    with Vm("nginx", ["/bench-udp", "serve", "7"]):  # the network is there
        b, a = turns((Runc, Vm), first, rounds)
    line("net.start", a[0], "ms", a[0] / b[0], f"to the first 200 of nginx, wiring included; runc {b[0]:.1f}")


def idle():
    with Vm("nginx", NGINX_RUN) as vm:
        until_open(vm, 80)
        time.sleep(3)
        before = vm.wakeups()
        time.sleep(15)
        line("net.idle", (vm.wakeups() - before) / 15, "1/s", None, "wake-ups of the monitor's threads, nginx idle at a bridge")


def paths():
    """TCP over a bad path, 20 ms each way, against Linux in the VM's place."""
    for name, way, mib, bad in (("loss-in", False, 1, {"loss": 10}), ("loss-out", True, 1, {"loss": 10}),
                                ("reorder-in", False, 24, {"reorder": 30}), ("reorder-out", True, 24, {"reorder": 30}),
                                ("double-in", False, 24, {"double": 10}), ("double-out", True, 24, {"double": 10})):
        rows = {"linux": [], "vm": []}
        for n in range(ROUNDS):
            for far, row in rows.items():
                p = badpath.Path(BIN, LIMPET, STORE, far, seed=n + 1, **bad)
                taker = p.stream(way, mib)[1]
                p.close()
                row.append(taker["bytes"] / taker["seconds"] / 1e6)
        b, a = (statistics.median(rows[far]) for far in ("linux", "vm"))
        line("net.path." + name, a, "MB/s", a / b, f"a stream over a bad path of 20 ms; Linux {b:.2f}")


def inside():
    must("sh", "-ec", "ip link set lo up; ip link add base0 type bridge; ip addr add 10.88.0.1/24 dev base0; ip link set base0 up; "
         "echo 1 > /proc/sys/net/ipv4/ip_forward")  # or limpet forwards for its own VMs only
    must("nft", "-f", "-", input="""table inet base { chain post { type nat hook postrouting priority srcnat;
        ip saddr 10.88.0.0/24 oifname != "base0" masquerade
        }
        }
""")
    os.environ["LIMPET_ROOT"] = STORE
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for name, fn in (("net.http.", http), ("net.redis.", redis), ("net.stream.", stream), ("net.udp.", udp),
                     ("net.start", starts), ("net.idle", idle), ("net.path.", paths)):
        if not wanted(name):
            continue
        try:
            fn()
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, AssertionError) as problem:
            print(f"{name + '*':<34} {'-':>12} {'-':<6} -  # {str(problem)[:300]}", flush=True)


def main():
    if "LIMPET_BENCH_INSIDE" not in os.environ:
        os.environ["LIMPET_BENCH_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-n", "-m", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        inside()
    finally:
        subprocess.run([LIMPET, "network", "prune", "-f"], capture_output=True)


if __name__ == "__main__":
    main()
