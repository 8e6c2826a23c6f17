#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random points (LIMPET_KILLS, 200) of whatever writes to the
store: nothing partial is visible, and the next pull succeeds."""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import harness
import registry
import storecheck
from ocikit import Layout, entry, tar

if registry.missing():
    print("SKIP: %s is not installed" % registry.missing())
    sys.exit(77)

KILLS = int(os.environ.get("LIMPET_KILLS", "200"))
SEED = int(os.environ.get("LIMPET_SEED", "5"))
NOISE = random.Random(11)
BASE = tar(entry("etc", "dir"), entry("etc/passwd", data=b"root:x:0:0::/:/bin/sh\n"))
ONE = (BASE, tar(entry("big", data=NOISE.randbytes(1 << 20)), entry("small", data=b"s")),
       tar(entry("etc/.wh.passwd"), entry("last", data=b"last")))
TWO = (BASE, tar(entry("other", data=NOISE.randbytes(700000))))


class Crash(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="limpet-crash-test.")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.reg = registry.Registry(cls.folder + "/reg")
        cls.addClassCleanup(cls.reg.stop)
        cls.layouts = []
        for name, layers in (("one", ONE), ("two", TWO)):
            layout = Layout(f"{cls.folder}/{name}").image(*layers).path
            cls.reg.push(layout, f"public/{name}:1")
            cls.layouts.append("oci:" + layout)
        cls.refs = [f"{cls.reg.host}/public/{n}:1" for n in ("one", "two")]
        cls.limpet = os.path.join(os.path.dirname(harness.PROGRAM), "limpet")

    def command(self, verb, *args):
        where = ["--root", self.root]
        if verb == "prune":
            return [self.limpet, "image", "prune", "-af", *where]
        return [harness.PROGRAM, verb, *where, "--arch", "amd64", *args]

    def start(self, command):
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                start_new_session=True, env=dict(os.environ, HOME=self.dir))

    def finish(self, command):
        p = self.start(command)
        _, said = p.communicate(timeout=300)
        self.assertEqual(p.returncode, 0, (command, said))

    def kill(self, command, after):
        """Whether there was somebody left to be killed."""
        p = self.start(command)
        time.sleep(after)
        alive = p.poll() is None
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.communicate(timeout=300)
        return alive

    def time(self, command):
        start = time.monotonic()
        self.finish(command)
        return time.monotonic() - start

    def whole(self):
        """The store when nothing went wrong, blobs of layers included."""
        for ref in self.refs:
            self.finish(self.command("pull", "-q", "--keep-blobs", ref))
        archive = self.dir + "/archive.tar"
        ids = [n[:64] for n in storecheck.listing(self.root, "images")]
        self.finish(self.command("save", "-o", archive, *ids))
        return storecheck.contents(self.root), archive

    def test_killed_anywhere(self):
        rng = random.Random(SEED)
        whole, archive = self.whole()
        self.assertEqual(storecheck.problems(self.root, whole), [])
        ways = [self.command("pull", "-q", self.refs[0]),
                self.command("pull", "-q", "--keep-blobs", self.refs[0]),
                self.command("ensure", self.layouts[0]),
                self.command("load", "-i", archive),
                self.command("prune")]
        shutil.rmtree(self.root)
        took = []
        for way in ways:
            took.append(self.time(way))
            if way is not ways[3]:
                shutil.rmtree(self.root, ignore_errors=True)
        hits = i = 0
        while hits < KILLS and i < 4 * KILLS:
            i += 1
            k = rng.randrange(len(ways))
            if k == 4 and rng.random() < 0.7:
                self.finish(ways[0])
            hit = self.kill(ways[k], rng.random() * took[k] * 1.1)
            hits += hit
            took[k] *= 1.02 if hit else 0.9  # this machine's pace changes
            what = f"kill {i} of seed {SEED}: {' '.join(ways[k][:2])}"
            self.assertEqual(storecheck.problems(self.root, whole), [], what)
            if rng.random() < 0.65:
                continue  # the next one finds what this one left
            for ref in self.refs:
                self.finish(self.command("pull", "-q", ref))
            self.assertEqual(storecheck.problems(self.root, whole), [], what)
            self.assertEqual(len(storecheck.listing(self.root, "images")), 2, what)
            self.assertEqual(len(storecheck.listing(self.root, "refs")) >= 2, True, what)
            self.assertEqual(storecheck.listing(self.root, "tmp"), [], what)
            shutil.rmtree(self.root)
        print("%d of %d hit a running program" % (hits, i))
        self.assertEqual(hits, KILLS, "too few were still running")

    def test_records_come_back_from_the_files(self):
        """Without records, metadata and names a pull makes them again from what
        the layers' files say, and fetches no layer."""
        self.finish(self.command("pull", "-q", self.refs[0]))
        whole = storecheck.contents(self.root)
        for folder in ("images", "meta", "refs"):
            shutil.rmtree(f"{self.root}/{folder}")
        before = len(self.reg.requests())
        self.finish(self.command("pull", "-q", self.refs[0]))
        self.assertEqual(storecheck.contents(self.root), whole)
        asked = self.reg.requests()[before:]
        layers = {n for n in os.listdir(self.layouts[0][4:] + "/blobs/sha256")
                  if f"blobs/{n}" not in whole}
        self.assertEqual(len(layers), 3)
        self.assertEqual([x for x in asked if any(n in x for n in layers)], [])

    def test_many_at_once(self):
        """Pulls, conversions, loads, exports and prunes of one store together."""
        whole, archive = self.whole()
        shutil.rmtree(self.root)
        rng = random.Random(SEED)
        ways = [self.command("pull", "-q", self.refs[0]),
                self.command("pull", "-q", "--keep-blobs", self.refs[1]),
                self.command("ensure", self.layouts[0]), self.command("ensure", self.layouts[1]),
                self.command("load", "-i", archive), self.command("prune")]
        for _ in range(6):
            running = [(way, self.start(way)) for way in rng.choices(ways, k=8)]
            for way, p in running:
                _, said = p.communicate(timeout=300)
                busy = b"try again" in said and way == ways[5]
                self.assertTrue(p.returncode == 0 or busy, (way, said))
            self.assertEqual(storecheck.problems(self.root, whole), [])

    def test_read_only(self):
        """A store that cannot be written is one to read from."""
        if os.geteuid() != 0:
            self.skipTest("mounting needs root")
        self.finish(self.command("ensure", self.layouts[0]))
        there = self.dir + "/there"
        os.mkdir(there)
        subprocess.run(["mount", "--bind", self.root, there], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", there], check=True)
            out = self.dir + "/exported"
            for words in (["ensure"], ["resolve"], ["export", "--erofs"]):
                p = self.run_image(*words, self.layouts[0], *([out] if words[1:] else []), root=there)
                self.assertEqual((p.returncode, p.stderr), (0, ""), words)
            self.assertGreater(os.path.getsize(out), 1 << 20)
            p = self.run_image("ensure", self.layouts[1], root=there)
            self.assertEqual(p.returncode, 125)
            self.assertIn("Read-only file system", p.stderr)
        finally:
            subprocess.run(["umount", there], check=True)

    def test_prune_sweeps_what_was_killed(self):
        """Names and files under way are gone after a prune."""
        self.finish(self.command("ensure", self.layouts[0]))
        for left in ("tmp/1234.5", "refs/%s.new.77" % ("a" * 64)):
            with open(f"{self.root}/{left}", "w") as f:
                f.write("x")
        self.finish([self.limpet, "image", "prune", "-f", "--root", self.root])
        self.assertEqual(storecheck.listing(self.root, "tmp"), [])
        self.assertEqual(len(storecheck.listing(self.root, "refs")), 1)
        self.assertEqual(len(storecheck.listing(self.root, "images")), 1)


if __name__ == "__main__":
    harness.main()
