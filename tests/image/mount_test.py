# SPDX-License-Identifier: Apache-2.0
"""Linux mounts what we export and sees, entry by entry, what our own reader
sees: kinds, modes, owners, nanoseconds, hard links, devices, xattrs, data."""
import os
import stat
import subprocess
import sys

import convert_test
import erofs
import harness
from ocikit import Layout, entry, tar

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "sym",
         stat.S_IFCHR: "chr", stat.S_IFBLK: "blk", stat.S_IFIFO: "fifo"}


def why_not():
    """None when this machine can loop-mount EROFS, else the reason."""
    if os.geteuid() != 0:
        return "not root"
    with open("/proc/filesystems") as f:
        if "erofs" not in f.read().split():
            p = subprocess.run(["modprobe", "erofs"], stderr=subprocess.PIPE)
            if p.returncode != 0:
                return "this kernel has no erofs"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices"
    return None


def of_mount(path):
    """The same description erofs.read() gives, from a mounted tree."""
    s = os.lstat(path)
    kind = KINDS[stat.S_IFMT(s.st_mode)]
    dev = 0
    if kind in ("chr", "blk"):
        major, minor = os.major(s.st_rdev), os.minor(s.st_rdev)
        dev = minor & 0xff | major << 8 | (minor & ~0xff) << 12
    data = None
    if kind == "file":
        with open(path, "rb") as f:
            data = f.read()
    link = os.readlink(path) if kind == "sym" else None
    xattrs = {n.encode(): os.getxattr(path, n, follow_symlinks=False)
              for n in os.listxattr(path, follow_symlinks=False)}
    return (kind, stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid,
            s.st_mtime_ns, s.st_size, s.st_nlink, data, link, dev,
            xattrs), s.st_ino


def of_reader(n):
    return (n.kind, n.mode, n.uid, n.gid, n.mtime * 10**9 + n.ns, n.size,
            n.nlink, n.data if n.kind == "file" else None, n.link, n.rdev,
            n.xattrs)


class Mount(harness.Case):
    def mounted(self, image):
        at = self.dir + "/mnt"
        os.makedirs(at, exist_ok=True)
        p = subprocess.run(["mount", "-t", "erofs", "-o", "loop,ro", image,
                            at], stdout=subprocess.PIPE, timeout=300,
                           stderr=subprocess.STDOUT, text=True)
        self.assertEqual(p.returncode, 0, p.stdout)
        self.addCleanup(subprocess.run, ["umount", at], check=True)
        return at.encode()

    def compare(self, ref):
        image = self.export(ref)
        ours = erofs.read(image)
        at = self.mounted(image)
        seen, numbers = {}, {}
        todo = [b"/"]
        while todo:
            name = todo.pop()
            facts, ino = of_mount(at + name)
            seen[name] = facts
            numbers.setdefault(ino, set()).add(name)
            if facts[0] == "dir":
                todo += [os.path.join(name, x) for x in os.listdir(at + name)]
        self.assertEqual(seen.keys(), ours.keys())
        for name, n in ours.items():
            want = of_reader(n)
            if n.kind == "sym" and not n.xattrs:
                self.assertEqual(seen[name][:7], want[:7], name)
            self.assertEqual(seen[name], want, name)
        groups = {}
        for name, n in ours.items():
            groups.setdefault(n.nid, set()).add(name)
        self.assertEqual(sorted(map(sorted, numbers.values())),
                         sorted(map(sorted, groups.values())))

    def test_every_kind_of_entry(self):
        l = Layout(self.dir + "/l").image(convert_test.everything())
        self.compare("oci:" + l.path)

    def test_directories_of_every_size(self):
        """Around each block boundary, inline and not."""
        entries = [entry("d%d/%0*d" % (n, width, i))
                   for n, width in ((15, 255), (16, 255), (17, 240), (31, 120),
                                    (33, 111), (300, 8), (1, 1), (290, 200))
                   for i in range(n)]
        l = Layout(self.dir + "/l").image(tar(*entries))
        self.compare("oci:" + l.path)

    def test_xattrs_across_blocks(self):
        entries = [entry("f%d" % i, data=b"x" * i, xattrs={
            "user.a": b"v" * (i * 37), "user.b": b"w" * i})
            for i in range(0, 200, 3)]
        entries += [entry("d%d/f" % i, xattrs={"security.x": b"1" * i})
                    for i in range(0, 4000, 333)]
        entries += [entry("d%d" % i, "dir", xattrs={"trusted.x": b"1" * i})
                    for i in range(0, 4000, 333)]
        l = Layout(self.dir + "/l").image(tar(*entries))
        self.compare("oci:" + l.path)


if __name__ == "__main__":
    REASON = why_not()
    if REASON:
        print("SKIP loop mount of EROFS:", REASON)
        sys.exit(77)
    harness.main()
