# SPDX-License-Identifier: Apache-2.0
"""What the tests of the commands share: a hand-made store and a fake monitor.

Usage of a test: harness.main(globals()) runs every function test_*.
LIMPET is the program, FAKE the directory with the fake limpet-vmm.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

LIMPET = os.environ["LIMPET"]
os.environ.setdefault("LIMPET_NETWORK", "none")
FAKE = os.environ["FAKE"]
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
MIB2 = 2 << 20


class Box:
    """A store with one image, and a libexec directory, in a fresh place."""

    def __init__(self, **run):
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix="limpet-cli-"))
        self.root = self.dir + "/root with space"
        self.libexec = self.dir + "/libexec"
        os.makedirs(self.libexec)
        for name in ("limpet-kernel.x86_64", "limpet-kernel.arm64"):
            open(f"{self.libexec}/{name}", "w").close()
        shutil.copy(FAKE + "/limpet-vmm", self.libexec)
        self.add_image(**run)

    def add_image(self, name="img", tag="", **run):
        layout = f"{self.dir}/{name}"
        os.makedirs(layout, exist_ok=True)
        index = json.dumps({"name": name, "tag": tag}).encode()
        with open(layout + "/index.json", "wb") as f:
            f.write(index)
        self.image = f"oci:{layout}" + (f":{tag}" if tag else "")
        text = f"oci:{layout}:{tag}@{hashlib.sha256(index).hexdigest()}:{ARCH}"
        key = hashlib.sha256(text.encode()).hexdigest()
        hexid = hashlib.sha256(b"manifest" + name.encode()).hexdigest()
        for d in ("images", "meta", "layers", "refs", "tmp"):
            os.makedirs(f"{self.root}/{d}", exist_ok=True)
        files = [f"meta/{hexid}.erofs", f"layers/{hexid}.data"]
        for n in files:
            with open(f"{self.root}/{n}", "wb") as f:
                f.truncate(MIB2)
        full = {"entrypoint": [], "cmd": ["echo", "default"], "env": [],
                "workdir": "", "user": "", "stop_signal": "",
                "exposed_ports": [], "volumes": [], "labels": {}}
        full.update(run)
        doc = {"version": 1, "manifest": "sha256:" + hexid,
               "config": "sha256:" + hexid, "os": "linux",
               "architecture": ARCH, "created": "", "files": files,
               "size": 2 * MIB2, "layers": [], "run": full,
               "users": [["root", 0, 0, "/root"], ["app", 1000, 1001, "/app"]],
               "groups": [["root", 0, []], ["app", 1001, []],
                          ["video", 44, ["app"]]]}
        with open(f"{self.root}/images/{hexid}.json", "w") as f:
            json.dump(doc, f)
        with open(f"{self.root}/refs/{key}", "w") as f:
            f.write(f"{hexid}\n{self.image}\n")

    def env(self, **extra):
        e = dict(os.environ, LIMPET_ROOT=self.root, LIMPET_LIBEXEC=self.libexec,
                 LIMPET_KVM="/dev/null")
        e.update(extra)
        return e

    def limpet(self, *args, input=None, env=None, **kw):
        kw.setdefault("timeout", 200)
        return subprocess.run(
            [LIMPET, *args], input=input, capture_output=True, text=True,
            env=self.env(**(env or {})),
            **({} if input is not None else {"stdin": subprocess.DEVNULL}),
            **kw)

    def run(self, *args, flags=("--rm",), **kw):
        return self.limpet("run", *flags, self.image, *args, **kw)

    def config(self, *args, flags=(), **kw):
        """The monitor's configuration for `run FLAGS IMAGE ARGS`."""
        p = self.run("config", *args, flags=("--rm", *flags), **kw)
        assert p.returncode == 0, p
        return json.loads(p.stdout)

    def spawn(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            [LIMPET, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=self.env(), **kw)

    def ids(self):
        try:
            return sorted(os.listdir(self.root + "/vms"))
        except FileNotFoundError:
            return []

    def close(self):
        self.limpet("rm", "-f", *self.ids()) if self.ids() else None
        shutil.rmtree(self.dir)


def wait_for(what, seconds=60):
    """Until what() is true; a fixed sleep would be a race or a delay."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.01)
    raise AssertionError("waited for something that did not happen")


def main(names):
    tests = [(n, f) for n, f in names.items() if n.startswith("test_")]
    if len(sys.argv) > 1:
        tests = [(n, f) for n, f in tests if n in sys.argv[1:]]
    failed = 0
    for name, f in tests:
        box = Box()
        try:
            f(box)
            print("ok", name, flush=True)
        except Exception as e:
            failed += 1
            print("FAILED", name, type(e).__name__, e, flush=True)
            import traceback
            traceback.print_exc()
        finally:
            box.close()
    print(f"{len(tests) - failed} of {len(tests)} passed")
    sys.exit(1 if failed or not tests else 0)
