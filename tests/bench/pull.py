#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pull.py BIN IMAGES RUNS WORK: pulling against skopeo + umoci, podman and
containerd, from a registry on this machine; lines as tests/bench/run prints."""
import glob
import gzip
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../image")]
import ocikit  # noqa: E402
import registry  # noqa: E402

BIN, IMAGES, RUNS, WORK = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
LIMPET_IMAGE = os.path.join(BIN, "limpet-image")
NAMES = ("redis", "python3")
BIG_MIB = int(os.environ.get("LIMPET_BENCH_MIB", "1024"))


def line(name, value, unit, ratio=None, note=""):
    shown = "-" if ratio is None else f"{ratio:.2f}"
    print(f"{name:<34} {value:>12.2f} {unit:<6} {shown}" + (f"  # {note}" if note else ""), flush=True)


def missing(name, why):
    print(f"{name:<34} {'-':>12} {'-':<6} -  # {why}", flush=True)


def run(*command, **kw):
    p = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **kw)
    if p.returncode != 0:
        raise OSError(f"{command[0]}: " + (p.stderr.strip().splitlines() or ["failed"])[-1][:160])


class Limpet:
    name = "limpet"

    def pull(self, ref):
        run(LIMPET_IMAGE, "pull", "-q", "--root", WORK + "/limpet", ref)

    def clean(self, ref):
        shutil.rmtree(WORK + "/limpet")


class Skopeo:
    name = "skopeo-umoci"

    def pull(self, ref):
        run("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "docker://" + ref,
            f"oci:{WORK}/skopeo:x")
        run("umoci", "unpack", "--image", WORK + "/skopeo:x", WORK + "/bundle")

    def clean(self, ref):
        shutil.rmtree(WORK + "/skopeo")
        shutil.rmtree(WORK + "/bundle")


class Podman:
    name = "podman"

    def pull(self, ref):
        run("podman", "--root", WORK + "/podman", "--runroot", WORK + "/podman-run", "--storage-driver", "overlay",
            "pull", "-q", "--tls-verify=false", ref)

    def clean(self, ref):
        run("podman", "--root", WORK + "/podman", "--runroot", WORK + "/podman-run", "--storage-driver", "overlay",
            "rmi", "-af")


class Ctr:
    name = "ctr"

    def __init__(self):
        self.socket = WORK + "/c.sock"
        with open(WORK + "/c.toml", "w") as f:
            f.write(f'version = 2\nroot = "{WORK}/c-root"\nstate = "{WORK}/c-state"\n'
                    'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                    f'[grpc]\naddress = "{self.socket}"\n')
        self.daemon = subprocess.Popen(["containerd", "-c", WORK + "/c.toml"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        for _ in range(100):
            if os.path.exists(self.socket):
                break
            time.sleep(0.1)

    def pull(self, ref):
        run("ctr", "-a", self.socket, "images", "pull", "--plain-http", "--snapshotter", "overlayfs", ref)

    def clean(self, ref):
        run("ctr", "-a", self.socket, "images", "rm", "--sync", ref)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait()


def speed(reg, name, size):
    ref = f"{reg.host}/{name}:1"
    sides = [Limpet()]
    for kind, tool in ((Skopeo, "umoci"), (Podman, "podman"), (Ctr, "containerd")):
        if shutil.which(tool) is None:
            missing(f"pull.{name}.{kind.name}", f"no {tool}")
            continue
        sides.append(kind())
    took = {}
    for n in range(RUNS + 1):
        for side in list(sides):
            start = time.monotonic()
            try:
                side.pull(ref)
                took.setdefault(side.name, []).append(time.monotonic() - start)
                side.clean(ref)
            except OSError as problem:
                missing(f"pull.{name}.{side.name}", str(problem))
                sides.remove(side)
                took.pop(side.name, None)
    for side in sides:
        if hasattr(side, "stop"):
            side.stop()
    middle = {k: statistics.median(v[1:]) for k, v in took.items()}
    line(f"pull.{name}", middle["limpet"] * 1e3, "ms", None, f"{size / middle['limpet'] / 1e6:.0f} MB/s of layers")
    for k, v in middle.items():
        if k != "limpet":
            line(f"pull.{name}.{k}", v * 1e3, "ms", v / middle["limpet"], "times as long as limpet")


def layers_of(layout):
    """Paths of one image's layers."""
    def blob(d):
        return os.path.join(layout, "blobs", *d.split(":"))
    doc = json.load(open(os.path.join(layout, "index.json")))
    while "layers" not in doc:
        doc = json.load(open(blob([m for m in doc["manifests"] if m.get("platform", {}).get(
            "architecture", "amd64") == "amd64"][0]["digest"])))
    return [blob(x["digest"]) for x in doc["layers"]]


def disk(name):
    """Bytes on the disk against the layers', and the room for files' tails."""
    plain, files = 0, 0
    for path in layers_of(os.path.join(IMAGES, name)):
        with gzip.open(path) as f:
            while data := f.read(1 << 20):
                plain += len(data)
        with tarfile.open(path) as t:
            files += sum(m.isreg() for m in t)
    store = WORK + "/disk"
    run(LIMPET_IMAGE, "ensure", "--root", store, "oci:" + os.path.join(IMAGES, name))
    used = sum(os.stat(p).st_blocks * 512 for p in glob.glob(store + "/*/*"))
    shutil.rmtree(store)
    line(f"pull.{name}.disk", used / 2**20, "MiB", used / plain,
         f"layers {plain / 2**20:.1f} MiB, {files} files, {used - plain:+d} bytes of {4096 * files} allowed")
    return plain


def cpu(name):
    """Seconds of one core: conversion, and zcat of the same layers."""
    def seconds(*command):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["taskset", "-c", "0", *command], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    layout = os.path.join(IMAGES, name)
    ours, theirs = [], []
    for _ in range(RUNS + 1):
        theirs.append(seconds("zcat", *layers_of(layout)))
        ours.append(seconds(LIMPET_IMAGE, "ensure", "--root", WORK + "/cpu", "oci:" + layout))
        shutil.rmtree(WORK + "/cpu")
    a, b = statistics.median(ours[1:]), statistics.median(theirs[1:])
    line(f"pull.{name}.cpu", a * 1e3, "ms", a / b, f"conversion against zcat, {b * 1e3:.0f} ms; goal 1.3")


class Watch(threading.Thread):
    """The most memory that all processes of a session had at once."""

    def __init__(self, session):
        super().__init__(daemon=True)
        self.session, self.peak, self.each = session, 0, {}

    def run(self):
        while self.session is not None:
            total = 0
            for path in glob.glob("/proc/[0-9]*/stat"):
                try:
                    with open(path) as f:
                        fields = f.read().rpartition(")")[2].split()
                    if int(fields[3]) != self.session:
                        continue
                    base = os.path.dirname(path)
                    with open(base + "/status") as f:
                        hwm = [int(x.split()[1]) for x in f if x.startswith("VmHWM")]
                    with open(base + "/smaps_rollup") as f:
                        total += [int(x.split()[1]) for x in f if x.startswith("Pss:")][0]
                    self.each[base] = hwm[0]
                except (OSError, IndexError, ValueError):
                    continue
            self.peak = max(self.peak, total)
            time.sleep(0.02)


def few_files(t, rng):
    """BIG_MIB of half compressible bytes."""
    words = [rng.randbytes(64) for _ in range(4096)]
    for n in range(4):
        info = tarfile.TarInfo(f"file{n}")
        info.size = (BIG_MIB << 20) // 4
        t.write(info.tobuf())
        for _ in range(info.size >> 20):
            t.write(b"".join(rng.choices(words, k=8192)) + rng.randbytes(1 << 19))


def many_files(t, _):
    for n in range(100000):
        info = tarfile.TarInfo(f"usr/lib/python3/dist-packages/dir{n // 100}/some_module_file_{n}.py")
        info.size = 20
        t.write(info.tobuf() + b"%020d" % n + bytes(492))


def memory(reg, name, fill, note):
    layout = ocikit.Layout(f"{WORK}/{name}")
    path = f"{WORK}/{name}.tar"
    with open(path, "wb") as f:
        fill(f, random.Random(1))
        f.write(b"\0" * 1024)
    size = os.path.getsize(path)
    diff = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout[:64]
    run("gzip", "-1f", path)
    blob = subprocess.run(["sha256sum", path + ".gz"], check=True, capture_output=True, text=True).stdout[:64]
    packed = os.path.getsize(path + ".gz")
    os.rename(path + ".gz", layout.blob_path(blob))
    config = layout.blob({"architecture": "amd64", "os": "linux", "config": {},
                          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff]}}, ocikit.OCI + "config.v1+json")
    layout.add(layout.blob({"schemaVersion": 2, "mediaType": ocikit.OCI + "manifest.v1+json", "config": config,
                            "layers": [{"mediaType": ocikit.OCI + "layer.v1.tar+gzip", "digest": "sha256:" + blob,
                                        "size": packed}]}, ocikit.OCI + "manifest.v1+json"))
    ref = f"{reg.host}/{name}:1"
    run("skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", "oci:" + layout.path, "docker://" + ref)
    shutil.rmtree(layout.path)
    start = time.monotonic()
    p = subprocess.Popen([LIMPET_IMAGE, "pull", "-q", "--root", WORK + "/m", ref], start_new_session=True,
                         stdout=subprocess.DEVNULL)
    watch = Watch(p.pid)
    watch.start()
    p.wait()
    took = time.monotonic() - start
    watch.session = None
    watch.join()
    shutil.rmtree(WORK + "/m", ignore_errors=True)
    if p.returncode != 0:
        raise OSError(f"pull of {name} failed")
    line("pull.memory." + name, watch.peak / 1024, "MiB", None, f"all processes at once (PSS), {note}; goal 64; VmHWM each "
         + " ".join(f"{x / 1024:.0f}" for x in watch.each.values()))
    line("pull." + name, took, "s", None, f"{size / took / 2**20:.0f} MiB/s")


def main():
    why = registry.missing()
    if why:
        missing("pull.*", f"no {why}")
        return
    reg = registry.Registry(WORK + "/registry")
    try:
        for name in NAMES:
            layout = os.path.join(IMAGES, name)
            if not os.path.exists(layout):
                missing("pull." + name, "no such image")
                continue
            reg.push(layout, name + ":1")
            plain = disk(name)
            speed(reg, name, plain)
            cpu(name)
            ref = f"{reg.host}/{name}:1"
            Limpet().pull(ref)
            before = len(reg.requests())
            Limpet().pull(ref)
            time.sleep(0.2)
            line(f"pull.{name}.again", len(reg.requests()) - before, "trips", None, "second pull; goal 2")
            Limpet().clean(ref)
        memory(reg, "big", few_files, f"a layer of {BIG_MIB} MiB")
        memory(reg, "many", many_files, "100,000 files")
    finally:
        reg.stop()


main()
