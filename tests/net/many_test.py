# SPDX-License-Identifier: Apache-2.0
"""many_test.py [COUNT]: 200 real VMs on one bridge at once, each answering over
HTTP, in a network namespace of our own; what they cost is printed. And what an
interface costs at the start: `--network bridge` beyond `--network none`, medians
of runs that alternate, in the launcher (until the monitor is spawned) and in all.

Needs root, /dev/kvm, /dev/net/tun and nft.
"""
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from world import BIN, BUSYBOX, enter

WIRE_RUNS = 60


def limpet(store, verb, *args, **env):
    return subprocess.run([BIN + "/limpet", verb, "--root", store, *args], capture_output=True, text=True, timeout=300,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **env))


def start(store, n):
    p = limpet(store, "run", "-d", "-m", "32m", "--vcpus", "1", "--name", f"vm{n}", "--network", "bridge", BUSYBOX, "sh",
               "-c", "mkdir /tmp/w; hostname >/tmp/w/name; exec httpd -f -p 80 -h /tmp/w")
    assert p.returncode == 0, p
    return p.stdout.strip()


def get(addr):
    with socket.create_connection((addr, 80), 120) as s:
        s.settimeout(120)
        s.sendall(b"GET /name HTTP/1.0\r\n\r\n")
        data = b""
        while part := s.recv(9999):
            data += part
    return data.split(b"\r\n\r\n", 1)[1].decode().strip()


def answer(store, vm):
    import json
    with open(f"{store}/vms/{vm}/config.json") as f:
        addr = json.load(f)["network"][0]["addresses"][0].split("/")[0]
    end = time.time() + 300
    while True:
        try:
            assert get(addr) == vm[:12], (addr, vm)
            return addr
        except ConnectionRefusedError:  # its server has not begun yet
            assert time.time() < end
            time.sleep(0.1)


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def available():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable"))


def test_many(store, count):
    before = available()
    begin = time.time()
    with ThreadPoolExecutor(4) as pool:
        vms = list(pool.map(lambda n: start(store, n), range(count)))
        started = time.time() - begin
        addrs = list(pool.map(lambda vm: answer(store, vm), vms))
        answered = time.time() - begin
        assert len(set(addrs)) == count
        again = time.time()
        list(pool.map(lambda vm: answer(store, vm), vms))
        again = time.time() - again
    monitors = [int(open(f"{store}/vms/{vm}/lock").read()) for vm in vms]
    memory = sum(map(pss, monitors))
    print(f"# {count} VMs: started in {started:.1f} s ({started / count * 1e3:.0f} ms each, 4 at a time), all answered "
          f"after {answered:.1f} s, again in {again:.1f} s; monitors with guests {memory / count / 1024:.1f} MiB each "
          f"(Pss), the host has {(before - available()) / count / 1024:.1f} MiB less for each", flush=True)
    begin = time.time()
    assert limpet(store, "rm", "-f", *vms).returncode == 0
    end = time.time() + 300
    while "lp" in subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout:
        assert time.time() < end, "taps stay"
        time.sleep(0.2)
    print(f"# removed in {time.time() - begin:.1f} s", flush=True)


def wire(store, network):
    phases = store + "/phases"
    begin = time.clock_gettime(time.CLOCK_MONOTONIC)
    p = limpet(store, "run", "--rm", "--network", network, BUSYBOX, "true", LIMPET_PHASES=phases)
    took = time.clock_gettime(time.CLOCK_MONOTONIC) - begin
    assert p.returncode == 0, p
    with open(phases) as f:
        at = {k: int(v) for k, v in (line.split() for line in f)}
    os.unlink(phases)
    return (at["cli_spawn"] - at["cli_start"]) / 1e6, took * 1e3


def test_wire(store, _):
    vm = limpet(store, "run", "-d", "--network", "bridge", BUSYBOX, "sleep", "1000").stdout.strip()
    got = {"none": [], "bridge": []}
    for _ in range(WIRE_RUNS):
        for kind in random.sample(sorted(got), 2):
            got[kind].append(wire(store, kind))
            time.sleep(0.1)  # what is left of the last one
    limpet(store, "rm", "-f", vm)
    for i, what in enumerate(("launcher", "whole run")):
        n, b = ([r[i] for r in got[k]] for k in ("none", "bridge"))
        print(f"# {what}: none {statistics.median(n):.2f} ms, bridge {statistics.median(b):.2f} ms; difference "
              f"{statistics.median(b) - statistics.median(n):.2f} (least: {min(b) - min(n):.2f})", flush=True)


def main():
    enter({"nft": "nftables"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory(prefix="limpet-many-", ignore_cleanup_errors=True) as store:
        try:
            for test in (test_wire, test_many):
                test(store, count)
                print("ok " + test.__name__, flush=True)
        finally:
            ids = limpet(store, "ps", "-aq").stdout.split()
            if ids:
                limpet(store, "rm", "-f", *ids)
            limpet(store, "network", "prune", "-f")
            time.sleep(0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
