#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""power_test.py LIMPET-IMAGE NOFSYNC.so: power cuts. An emulated host works on
a store on an ext4 disk whose writes QEMU logs; the log is cut at 200 flushes
(LIMPET_CUTS), with and without a part of what came after them. Each disk that
comes out is mounted here: the store opens, nothing partial is visible, what was
promised is there, the next pull succeeds. The same without fsync must fail."""
import os
import random
import shutil
import subprocess
import sys
import tempfile

import harness
import registry
import storecheck
import writelog
from ocikit import Layout, entry, tar

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.join(HERE, "../lab/lab.sh")
NOFSYNC = os.path.abspath(sys.argv.pop(2)) if len(sys.argv) > 2 else None
CUTS = int(os.environ.get("LIMPET_CUTS", "200"))
SEED = int(os.environ.get("LIMPET_SEED", "5"))
ROUNDS = 12
DISK_SIZE, FS_SIZE, MARK_AT = 64 << 20, 60 << 20, 62 << 20


def why_not():
    if os.geteuid() != 0:
        return "mounting needs root"
    for tool in ("qemu-system-x86_64", "mkfs.ext4", "cpio"):
        if shutil.which(tool) is None:
            return tool + " is not installed"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices"
    return registry.missing() and registry.missing() + " is not installed"


if why_not():
    print("SKIP: " + why_not())
    sys.exit(77)


class Power(harness.Case):
    @classmethod
    def setUpClass(cls):
        # The emulated host has a /tmp of its own.
        cls.folder = tempfile.mkdtemp(prefix="power.", dir=os.path.dirname(harness.PROGRAM) + "/..")
        cls.folder = os.path.realpath(cls.folder)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.makedirs(cls.folder + "/layouts")
        cls.reg = registry.Registry(cls.folder + "/reg")
        cls.addClassCleanup(cls.reg.stop)
        noise = random.Random(3)
        base = tar(entry("etc", "dir"), entry("etc/passwd", data=b"root:x:0:0::/:/bin/sh\n"))
        cls.refs, cls.ids = {}, {}
        for i in range(1, ROUNDS + 1):
            for kind in ("r", "o"):
                name = f"{kind}{i}"
                layout = Layout(f"{cls.folder}/layouts/{name}").image(
                    base, tar(entry("n", data=noise.randbytes(noise.randrange(300000))),
                              entry("m", data=noise.randbytes(5000)))).path
                cls.refs[name] = "oci:" + layout
                if kind == "r":
                    cls.refs[name] = f"{cls.reg.host}/a/{name}:1"
                    cls.reg.push(layout, f"a/{name}:1")
        store = cls.folder + "/whole"
        for name, ref in cls.refs.items():
            out = subprocess.run([harness.PROGRAM, "pull", "-q", "--keep-blobs", "--root", store,
                                  "--arch", "amd64", ref], check=True, stdout=subprocess.PIPE,
                                 text=True).stdout
            cls.ids[name] = out.strip()
        cls.whole = storecheck.contents(store)
        with open(cls.reg.folder + "/config.yml") as f:
            text = f.read().replace("delete: {enabled: true}", "maintenance: {readonly: {enabled: true}}")
        with open(cls.folder + "/guest.yml", "w") as f:
            f.write(text)

    def record(self, preload=""):
        """The spans between flushes of one life of the store on a disk."""
        disk, log = self.dir + "/disk", self.dir + "/log"
        for path, size in ((disk, DISK_SIZE), (log, 1 << 30)):
            with open(path, "wb") as f:
                f.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk,
                        str(FS_SIZE >> 10)], check=True)
        with open(disk, "rb") as f:
            self.start = f.read()
        extra = ["-blockdev", f"driver=file,filename={disk},node-name=f0",
                 "-blockdev", f"driver=file,filename={log},node-name=l0",
                 "-blockdev", "driver=blklogwrites,node-name=b0,file=f0,log=l0,log-sector-size=512",
                 "-device", "virtio-blk-pci,drive=b0,write-cache=on"]
        words = [LAB, "--timeout", "1500"] + [w for x in extra for w in ("--qemu", x)]
        p = subprocess.run(words + ["--", HERE + "/power_guest.sh", self.folder,
                                    os.path.dirname(os.path.abspath(harness.PROGRAM)),
                                    str(self.reg.port), str(ROUNDS), str(MARK_AT >> 12), preload],
                           cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=1600)
        self.assertEqual(p.returncode, 0, p.stdout)
        return writelog.read(log)

    def problems(self, promised, next_ref):
        """Of the mounted disk."""
        root = self.dir + "/mnt/store"
        bad = storecheck.problems(root, self.whole)
        there = [n[:64] for n in storecheck.listing(root, "images")]
        bad += [f"{n} was promised and is gone" for n in promised if self.ids[n] not in there]
        p = subprocess.run([harness.PROGRAM, "pull", "-q", "--root", root, "--arch", "amd64",
                            next_ref], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=300)
        if p.returncode != 0:
            bad.append("the next pull fails: " + p.stderr.strip())
        else:
            bad += storecheck.problems(root, self.whole)
            if f"images/{p.stdout.strip()}.json" not in storecheck.contents(root):
                bad.append("the next pull made no image")
        return bad

    def check(self, disk, next_ref):
        os.makedirs(self.dir + "/mnt", exist_ok=True)
        # A new file each time: a loop device on its way out would be taken again
        # for the same one, with what it still knows of the disk before.
        fd, path = tempfile.mkstemp(dir=self.scratch)
        with open(fd, "wb") as f:
            f.write(disk)
        promised = bytes(disk[MARK_AT:MARK_AT + 4096]).rstrip(b"\0").decode().split()
        p = subprocess.run(["mount", "-o", "loop", path, self.dir + "/mnt"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode != 0:
            self.fail("the disk does not mount: " + p.stdout)
        try:
            return self.problems(promised, next_ref)
        finally:
            subprocess.run(["umount", self.dir + "/mnt"], check=True)
            os.unlink(path)

    def cut(self, spans, enough):
        """[(flush, problems)] of cuts at chosen flushes, `enough` at most bad."""
        rng = random.Random(SEED)
        self.scratch = tempfile.mkdtemp(
            prefix="limpet-power.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        chosen = set(rng.sample(range(1, len(spans)), min(CUTS, len(spans) - 1)))
        found, made = [], 0
        disk = bytearray(self.start)
        for i, span in enumerate(spans):
            if i in chosen:  # everything before flush i is there
                made += 1
                torn = bytearray(disk)
                if rng.random() < 0.5:
                    for w in writelog.some(span, rng):
                        w.apply(torn)
                bad = self.check(torn, self.refs[f"r{rng.randrange(ROUNDS) + 1}"])
                if bad:
                    found.append((i, bad[:5]))
                if len(found) >= enough:
                    break
            for w in span:
                w.apply(disk)
        print("%d flushes, %d cuts, %d bad" % (len(spans) - 1, made, len(found)))
        return found

    def test_power_cuts(self):
        spans = self.record()
        self.assertGreaterEqual(len(spans) - 1, CUTS, "too few flushes")
        self.assertEqual(self.cut(spans, 3), [])

    def test_without_fsync(self):
        """What this test is worth: it notices a program that does not sync."""
        if NOFSYNC is None:
            self.skipTest("no library without fsync was given")
        found = self.cut(self.record(NOFSYNC), 1)
        self.assertNotEqual(found, [], "a store without fsync passed")
        print("without fsync, flush %d: %s" % (found[0][0], found[0][1][0]))


if __name__ == "__main__":
    harness.main()
