# SPDX-License-Identifier: Apache-2.0
"""What the converter's end-to-end tests share: running it, looking inside."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import erofs

# The leak check of sanitized builds needs ptrace, which our filter forbids.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "limpet-image"
with open(PROGRAM, "rb") as f:
    SANITIZED = b"__asan_init" in f.read()  # it has much more memory then


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="limpet-image-test.")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.root = self.dir + "/store"

    def run_image(self, *args, root=None, **kw):
        verb, rest = args[0], args[1:]
        return subprocess.run(
            [PROGRAM, verb, "--root", root or self.root, "--arch",
             kw.pop("arch", "amd64"), *rest],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300,
            text=True, errors="surrogateescape", **kw)

    def ensure(self, ref, **kw):
        p = self.run_image("ensure", ref, **kw)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        self.assertRegex(p.stdout, "^[0-9a-f]{64}\n$")
        return p.stdout.strip()

    def export(self, ref, **kw):
        out = self.dir + "/exported"
        p = self.run_image("export", "--erofs", ref, out, **kw)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        return out

    def tree(self, ref, **kw):
        """{path: Node} of the converted image, fsck.erofs having agreed."""
        out = self.export(ref, **kw)
        if shutil.which("fsck.erofs"):
            p = subprocess.run(["fsck.erofs", "-d1", out], timeout=120,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
            self.assertEqual(p.returncode, 0, p.stdout)
        return erofs.read(out)

    def store_files(self):
        """Everything in the store except its locks and empty directories."""
        found = []
        for base, _, files in os.walk(self.root):
            found += [os.path.relpath(os.path.join(base, f), self.root)
                      for f in files]
        return sorted(f for f in found
                      if f != "lock" and not f.startswith("locks/"))

    def refused(self, ref, *words, root=None, **kw):
        """One line on stderr with all `words`, 125, nothing half-made."""
        p = self.run_image("ensure", ref, root=root, **kw)
        self.assertEqual(p.returncode, 125, p.stderr)
        self.assertEqual(p.stdout, "")
        self.assertEqual(p.stderr.count("\n"), 1, p.stderr)
        self.assertTrue(p.stderr.startswith("limpet-image: "), p.stderr)
        for word in words:
            self.assertIn(word, p.stderr)
        left = [f for f in self.store_files()
                if not f.startswith("layers/")] if root is None else []
        self.assertEqual(left, [])
        return p.stderr


def proc_text(pid, name):
    """A file of a process, "" when the process has gone."""
    try:
        with open("/proc/%s/%s" % (pid, name)) as f:
            return f.read()
    except OSError:
        return ""


def peak_kib(argv, **kw):
    """(exit code, stderr, the most memory that any of its processes had)."""
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **kw)
    peaks = {}
    while p.poll() is None:
        pids = {p.pid}
        for _ in range(3):  # children, and theirs
            for d in filter(str.isdigit, os.listdir("/proc")):
                stat = proc_text(d, "stat")
                if stat and int(stat.rpartition(")")[2].split()[1]) in pids:
                    pids.add(int(d))
        for pid in pids:
            text = proc_text(pid, "status")
            if "limpet" in text.split("\n")[0] and "VmHWM" in text:
                peaks[pid] = int(text.split("VmHWM:")[1].split()[0])
        time.sleep(0.01)
    with p.stderr:
        return p.returncode, p.stderr.read(), max(peaks.values(), default=0)


def main():
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:], verbosity=2)
