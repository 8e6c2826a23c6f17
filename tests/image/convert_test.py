# SPDX-License-Identifier: Apache-2.0
"""Good images: what went into the layers is what the EROFS says."""
import contextlib
import fcntl
import json
import os
import random
import shutil
import stat
import struct
import subprocess
import unittest

import harness
from ocikit import (DOCKER, OCI, Layout, docker_archive, entry, gnu_sparse,
                    oci_archive, pax_sparse, sha, tar)

# rw for the owner and r for uid 1000, the group, the mask and others.
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 2**32 - 1, 2, 4, 1000,
                  4, 4, 2**32 - 1, 16, 4, 2**32 - 1, 32, 4, 2**32 - 1)
CAP = bytes.fromhex("0100000200040000000000000000000000000000")


def everything():
    """One layer with every kind of entry."""
    return tar(
        entry("./", "dir", mode=0o751, uid=3, gid=4),
        entry("etc/", "dir"),
        entry("etc/passwd", data=b"root:x:0:0:r:/root:/bin/sh\n"
              b"app:x:1000:1001::/home/app:\nbroken line\nbad:x:no:1::/:\n"
              b"\xff\xfe:x:1:1::/:\n"),
        entry("etc/group", data=b"root:x:0:\nvideo:x:44:app,root\n"),
        entry("/abs/file", data=b"leading slash\n", mode=0o4755, uid=123,
              gid=70000, mtime=1234567890.123456789),
        entry("empty"),
        entry("old", mtime=-1.25, pax={"mtime": "-1.250000000"}),
        entry("exact", data=b"\x5a" * 8192),
        entry("big", data=random.Random(1).randbytes(9 << 20)),
        entry("bin", "sym", to="usr/bin"),
        entry("usr/bin/sh", data=b"#!"),
        entry("loop1", "sym", to="loop2"),
        entry("loop2", "sym", to="loop1"),
        entry("up", "sym", to="../../../etc/passwd"),
        entry("long", "sym", to="x" * 4095),
        entry("long2", "sym", to="y" * 4000),
        entry("usr/again", "hard", to="./abs/file"),
        entry("symhard", "hard", to="bin"),
        entry("dev/null", "chr", dev=(1, 3), mode=0o666),
        entry("dev/big", "blk", dev=(259, 70000)),
        entry("pipe", "fifo"),
        entry("ping", data=b"\x7fELF", xattrs={
            "security.capability": CAP, "user.b": b"\0\xff binary",
            "user.a": b"", "trusted.t": b"1", "other.z": b"dropped",
            "system.posix_acl_access": ACL}),
        entry("big-xattr", "sym", to="t", xattrs={
            "trusted.%d" % i: bytes([i]) * 60000 for i in range(4)}),
        entry("n\u00e4me", data=b"utf-8"),
        entry("z" * 255, data=b"longest"),
        entry("-before-dot", data=b"1"), entry("+x", data=b"2"),
    )


class Convert(harness.Case):
    def test_every_kind_of_entry(self):
        for how in ("none", "gzip", "zstd"):
            with self.subTest(how):
                self.root = self.dir + "/store-" + how
                l = Layout(self.dir + "/" + how).image(
                    everything(), how=how, config={"Cmd": ["sh"]})
                self.check_everything(self.tree("oci:" + l.path))

    def check_everything(self, t):
        root = t[b"/"]
        self.assertEqual((root.mode, root.uid, root.gid), (0o751, 3, 4))
        f = t[b"/abs/file"]
        self.assertEqual((f.data, f.mode, f.uid, f.gid, f.nlink),
                         (b"leading slash\n", 0o4755, 123, 70000, 2))
        self.assertEqual(f.mtime, 1234567890)
        self.assertTrue(f.ns > 0)
        self.assertEqual(f, t[b"/usr/again"])
        self.assertEqual(t[b"/symhard"], t[b"/bin"])
        self.assertEqual((t[b"/bin"].link, t[b"/bin"].nlink), (b"usr/bin", 2))
        self.assertEqual((t[b"/empty"].size, t[b"/empty"].data), (0, b""))
        self.assertEqual((t[b"/old"].mtime, t[b"/old"].ns), (-2, 750000000))
        self.assertEqual(t[b"/exact"].data, b"\x5a" * 8192)
        self.assertEqual(t[b"/big"].data, random.Random(1).randbytes(9 << 20))
        self.assertEqual(t[b"/loop1"].link, b"loop2")
        self.assertEqual(t[b"/up"].link, b"../../../etc/passwd")
        self.assertEqual(t[b"/long"].link, b"x" * 4095)
        self.assertEqual(t[b"/long2"].link, b"y" * 4000)
        self.assertEqual(t[b"/dev/null"].rdev, 1 << 8 | 3)
        self.assertEqual(t[b"/dev/big"].rdev,
                         70000 & 0xff | 259 << 8 | (70000 & ~0xff) << 12)
        self.assertEqual(t[b"/pipe"].kind, "fifo")
        self.assertEqual(t[b"/ping"].xattrs, {
            b"security.capability": CAP, b"user.b": b"\0\xff binary",
            b"user.a": b"", b"trusted.t": b"1",
            b"system.posix_acl_access": ACL})
        self.assertEqual(len(t[b"/big-xattr"].xattrs), 4)
        self.assertEqual(t[b"/big-xattr"].link, b"t")
        self.assertEqual(t["/n\u00e4me".encode()].data, b"utf-8")
        self.assertEqual(t[b"/" + b"z" * 255].data, b"longest")
        self.assertEqual(t[b"/dev"].mode, 0o755)

    def test_record(self):
        l = Layout(self.dir + "/l").image(everything(), tag="v1", config={
            "Entrypoint": ["/bin/sh"], "Cmd": None, "Env": ["A=b"],
            "WorkingDir": "/w", "User": "app", "StopSignal": "SIGINT",
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}},
            "Labels": {"k": "v"}}, created="2024-01-02T03:04:05.6Z")
        hex_ = self.ensure("oci:%s:v1" % l.path)
        self.assertEqual("sha256:" + hex_, l.index[0]["digest"])
        with open("%s/images/%s.json" % (self.root, hex_)) as f:
            r = json.load(f)
        self.assertEqual(r["version"], 1)
        self.assertEqual(r["manifest"], "sha256:" + hex_)
        self.assertEqual((r["os"], r["architecture"]), ("linux", "amd64"))
        self.assertEqual(r["layers"], ["sha256:" + sha(everything())])
        self.assertEqual(r["files"], ["meta/%s.erofs" % hex_,
                                      "layers/%s.data" % sha(everything())])
        sizes = [os.stat(self.root + "/" + f) for f in r["files"]]
        self.assertEqual(r["size"], sum(s.st_size for s in sizes))
        for s in sizes:
            self.assertEqual(s.st_size % (2 << 20), 0)
            self.assertEqual(stat.S_IMODE(s.st_mode), 0o444)
        self.assertEqual(r["run"], {
            "entrypoint": ["/bin/sh"], "cmd": [], "env": ["A=b"],
            "workdir": "/w", "user": "app", "stop_signal": "SIGINT",
            "exposed_ports": ["80/tcp"], "volumes": ["/v"],
            "labels": {"k": "v"}})
        self.assertEqual(r["users"], [["root", 0, 0, "/root"],
                                      ["app", 1000, 1001, "/home/app"]])
        self.assertEqual(r["groups"], [["root", 0, []],
                                       ["video", 44, ["app", "root"]]])
        self.assertEqual(os.listdir(self.root + "/tmp"), [])

    def test_layers_merge(self):
        low = tar(
            entry("lib", "sym", to="usr/lib"), entry("usr/lib/a", data=b"a"),
            entry("gone", data=b"x"), entry("dir/sub/deep", data=b"x"),
            entry("dir/kept", data=b"k"), entry("opq/x", data=b"x"),
            entry("opq/y/z", data=b"x"), entry("was-dir/f", data=b"x"),
            entry("was-file", data=b"x"), entry("attr/", "dir"),
            entry("attr/f", data=b"f"), entry("src", data=b"lower"),
            entry("name", data=b"1"), entry("name2", "hard", to="name"))
        high = tar(
            entry("lib/b", data=b"b"), entry(".wh.gone"),
            entry("dir/.wh.sub"), entry("opq/new", data=b"n"),
            entry("opq/.wh..wh..opq"), entry("was-dir", data=b"file now"),
            entry("was-file/", "dir"), entry("was-file/in", data=b"i"),
            entry("attr/", "dir", mode=0o700, uid=5), entry(".wh..wh.plnk/1"),
            entry("to-lower", "hard", to="src"), entry(".wh.name"),
            entry("name", data=b"2"), entry("dup", data=b"1"),
            entry("dup", data=b"2"))
        l = Layout(self.dir + "/l").image(low, high)
        t = self.tree("oci:" + l.path)
        self.assertEqual({k: n.data for k, n in t.items()
                          if n.kind == "file"}, {
            b"/usr/lib/a": b"a", b"/usr/lib/b": b"b", b"/dir/kept": b"k",
            b"/opq/new": b"n", b"/was-dir": b"file now",
            b"/was-file/in": b"i", b"/attr/f": b"f", b"/src": b"lower",
            b"/to-lower": b"lower", b"/name": b"2", b"/name2": b"1",
            b"/dup": b"2"})
        self.assertEqual(t[b"/lib"].link, b"usr/lib")
        self.assertEqual((t[b"/attr"].mode, t[b"/attr"].uid), (0o700, 5))
        self.assertEqual(t[b"/src"].nid, t[b"/to-lower"].nid)
        self.assertEqual(t[b"/name2"].nlink, 1)

    def test_random_layers_against_a_naive_model(self):
        r = random.Random(7)
        names = ["a", "b", "c", "-d", "e" * 100]
        for round_ in range(8):
            model, layers = {}, []
            for _ in range(4):
                entries, layer_new = [], set()
                for _ in range(40):
                    path = "/".join(r.choice(names) for _ in range(
                        r.randint(1, 3)))
                    parents = [path[:i] for i, c in enumerate(path)
                               if c == "/"]
                    if any(model.get(p, "dir") != "dir" for p in parents):
                        continue
                    if r.random() < 0.2:
                        if path in model and path not in layer_new and \
                                not any(p == path or p.startswith(path + "/")
                                        for p in layer_new):
                            d, _, b = path.rpartition("/")
                            entries.append(entry(
                                (d + "/" if d else "") + ".wh." + b))
                            for p in [p for p in model if p == path or
                                      p.startswith(path + "/")]:
                                del model[p]
                        continue
                    if path in layer_new:
                        continue
                    data = r.randbytes(r.choice([1, 10, 5000]))
                    for p in parents:
                        model[p] = "dir"
                        layer_new.add(p)
                    for p in [p for p in model if p.startswith(path + "/")]:
                        del model[p]
                        layer_new.discard(p)
                    model[path] = data
                    layer_new.add(path)
                    entries.append(entry(path, data=data))
                # A whiteout never hides its own layer: keep the model simple
                # by writing a layer's whiteouts first, as ours are applied.
                entries.sort(key=lambda e: ".wh." not in e[0].name)
                layers.append(tar(*entries))
            l = Layout("%s/r%d" % (self.dir, round_)).image(*layers)
            t = self.tree("oci:" + l.path)
            got = {k.decode()[1:]: n.data if n.kind == "file" else "dir"
                   for k, n in t.items() if k != b"/"}
            self.assertEqual(got, model)

    def test_sparse_files_become_holes(self):
        big = 64 << 20
        layer = tar(
            gnu_sparse(b"old", big, [(0, 512), (32 << 20, 1024), (big, 0)],
                       b"A" * 512 + b"B" * 1024),
            pax_sparse("new", big, [(1 << 20, 512), (big - 512, 512)],
                       b"C" * 512 + b"D" * 512))
        l = Layout(self.dir + "/l").image(layer)
        t = self.tree("oci:" + l.path)
        want = bytearray(big)
        want[0:512] = b"A" * 512
        want[32 << 20:(32 << 20) + 1024] = b"B" * 1024
        self.assertTrue(t[b"/old"].data == want)
        want = bytearray(big)
        want[1 << 20:(1 << 20) + 512] = b"C" * 512
        want[big - 512:] = b"D" * 512
        self.assertTrue(t[b"/new"].data == want)
        data = "%s/layers/%s.data" % (self.root, sha(layer))
        self.assertGreater(os.stat(data).st_size, 2 * big - 1)
        self.assertLess(os.stat(data).st_blocks * 512, 40 << 20)

    def test_equal_files_are_stored_once(self):
        one = random.Random(3).randbytes(6 << 20)
        layer = tar(*[entry("f%d" % i, data=one) for i in range(5)],
                    entry("other", data=one[:-1] + b"!"),
                    entry("tail", data=b"tail"))
        l = Layout(self.dir + "/l").image(layer, how="none")
        t = self.tree("oci:" + l.path)
        for i in range(5):
            self.assertTrue(t[b"/f%d" % i].data == one)
        self.assertTrue(t[b"/other"].data == one[:-1] + b"!")
        self.assertEqual(t[b"/tail"].data, b"tail")
        data = "%s/layers/%s.data" % (self.root, sha(layer))
        self.assertEqual(os.stat(data).st_size, 14 << 20)

    def test_large_directory(self):
        names = ["%s%05d" % ("n" * (i % 200), i) for i in range(3000)]
        l = Layout(self.dir + "/l").image(
            tar(*[entry("d/" + n, data=b"x") for n in names]))
        t = self.tree("oci:" + l.path)
        self.assertEqual(sorted(k[3:].decode() for k in t
                                if k.startswith(b"/d/")), sorted(names))

    def test_empty_layers_and_images(self):
        empty = tar()
        l = Layout(self.dir + "/l").image(empty, tar(entry("f", data=b"1")),
                                          empty, b"")
        hex_ = self.ensure("oci:" + l.path)
        with open("%s/images/%s.json" % (self.root, hex_)) as f:
            self.assertEqual(len(json.load(f)["files"]), 2)
        self.assertEqual(set(self.tree("oci:" + l.path)), {b"/", b"/f"})
        none = Layout(self.dir + "/none").image()
        self.assertEqual(set(self.tree("oci:" + none.path)), {b"/"})

    def test_deterministic(self):
        l = Layout(self.dir + "/l").image(everything(),
                                          tar(entry("usr/x", data=b"1")))
        found = []
        for i in range(2):
            self.root = "%s/s%d" % (self.dir, i)
            with open(self.export("oci:" + l.path), "rb") as f:
                found.append(sha(f.read()))
        self.assertEqual(found[0], found[1])


class Kinds(harness.Case):
    """All the ways an image is wrapped."""
    layers = [tar(entry("f", data=b"low")), tar(entry("g", data=b"high"))]

    def check(self, ref, **kw):
        t = self.tree(ref, **kw)
        self.assertEqual((t[b"/f"].data, t[b"/g"].data), (b"low", b"high"))

    def test_without_media_type(self):
        l = Layout(self.dir + "/l").image(*self.layers, media=None)
        self.check("oci:" + l.path)

    def test_docker_media_types_and_nested_index(self):
        l = Layout(self.dir + "/l")
        ms = [dict(l.manifest(self.layers, arch=a, media=DOCKER + "v2+json"),
                   platform={"os": "linux", "architecture": a})
              for a in ("arm64", "amd64")]
        ms[0]["platform"]["variant"] = "v8"
        for media in (DOCKER + "list.v2+json", None):
            inner = l.blob({"schemaVersion": 2, "manifests": ms}, media)
        outer = l.blob({"schemaVersion": 2, "manifests": [inner]},
                       OCI + "index.v1+json")
        l.add(outer, "latest")
        self.check("oci:%s:latest" % l.path)
        one = self.ensure("oci:%s:latest" % l.path)
        two = self.ensure("oci:%s:latest" % l.path, arch="arm64")
        self.assertEqual(["sha256:" + two, "sha256:" + one],
                         [m["digest"] for m in ms])

    def test_other_platform_may_be_absent(self):
        l = Layout(self.dir + "/l")
        l.add({"digest": "sha256:" + "0" * 64, "size": 5,
               "platform": {"os": "linux", "architecture": "s390x"}})
        l.add(l.manifest(self.layers))
        self.check("oci:" + l.path)

    def test_tags(self):
        l = Layout(self.dir + "/l")
        l.add(l.manifest(self.layers), "one")
        l.add(l.manifest([tar(entry("h", data=b"2"))]), "two")
        self.check("oci:%s:one" % l.path)
        self.assertIn(b"/h", self.tree("oci:%s:two" % l.path))
        self.refused_tag("oci:" + l.path, "one, two")
        self.refused_tag("oci:%s:three" % l.path, "three", "one, two")

    def refused_tag(self, ref, *words):
        p = self.run_image("ensure", ref)
        self.assertEqual(p.returncode, 125)
        for w in words:
            self.assertIn(w, p.stderr)

    def test_oci_archive(self):
        l = Layout(self.dir + "/l").image(*self.layers)
        oci_archive(l, self.dir + "/a.tar")
        self.check("oci-archive:%s/a.tar" % self.dir)
        # The same image, whatever it came in.
        self.assertEqual(self.ensure("oci:" + l.path),
                         self.ensure("oci-archive:%s/a.tar" % self.dir))

    def test_docker_archive(self):
        for links in (False, True):
            path = "%s/d%d.tar" % (self.dir, links)
            docker_archive(path, self.layers, links=links)
            self.check("docker-archive:" + path)
            self.check("docker-archive:%s:latest" % path)

    def test_compressed_archives(self):
        l = Layout(self.dir + "/l").image(*self.layers)
        plain = self.dir + "/p.tar"
        oci_archive(l, plain)
        docker_archive(self.dir + "/d.tar", self.layers)
        want = self.ensure("oci-archive:" + plain)
        for tool, suffix in (("gzip", "gz"), ("zstd", "zst"), ("xz", "xz"),
                             ("bzip2", "bz2")):
            if shutil.which(tool) is None:
                print("SKIP no", tool)
                continue
            for kind, name in (("oci-archive", "p"), ("docker-archive", "d")):
                path = "%s/%s.tar.%s" % (self.dir, name, suffix)
                with open("%s/%s.tar" % (self.dir, name), "rb") as f, \
                        open(path, "wb") as out:
                    subprocess.run([tool, "-c"], stdin=f, stdout=out,
                                   check=True)
                self.check("%s:%s" % (kind, path))
            self.assertEqual(self.ensure("oci-archive:%s/p.tar.%s" %
                                         (self.dir, suffix)), want)
        self.assertEqual(os.listdir(self.root + "/tmp"), [])

    @unittest.skipUnless(shutil.which("skopeo"), "no skopeo")
    def test_what_skopeo_writes(self):
        l = Layout(self.dir + "/l").image(*self.layers, tag="latest")
        for kind in ("oci-archive", "docker-archive"):
            path = "%s/%s.tar" % (self.dir, kind)
            p = subprocess.run(
                ["skopeo", "--insecure-policy", "copy", "oci:%s:latest" %
                 l.path, "%s:%s:x:latest" % (kind, path)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            self.assertEqual(p.returncode, 0, p.stdout)
            self.check("%s:%s" % (kind, path))


class Store(harness.Case):
    def layout(self, name="l", **kw):
        return Layout(self.dir + "/" + name).image(
            tar(entry("base", data=b"base")), tar(entry(name, data=b"x")),
            **kw)

    def test_second_run_converts_nothing(self):
        l = self.layout()
        self.assertEqual(self.run_image("resolve", "oci:" + l.path).returncode,
                         3)
        hex_ = self.ensure("oci:" + l.path)
        before = {f: os.stat(self.root + "/" + f).st_ino
                  for f in self.store_files()}
        shutil.rmtree(l.path + "/blobs")
        self.assertEqual(self.ensure("oci:" + l.path), hex_)
        self.assertEqual({f: os.stat(self.root + "/" + f).st_ino
                          for f in self.store_files()}, before)
        p = self.run_image("resolve", "oci:" + l.path)
        self.assertEqual((p.returncode, p.stdout), (0, hex_ + "\n"))

    def test_shared_layer_is_not_read_again(self):
        one = self.layout("one")
        self.ensure("oci:" + one.path)
        two = self.layout("two")
        with open(two.blob_path(two.index[0]["digest"])) as f:
            shared = json.load(f)["layers"][0]["digest"]
        os.unlink(two.blob_path(shared))
        self.assertIn(b"/two", self.tree("oci:" + two.path))

    def test_damaged_store_heals(self):
        l = self.layout()
        self.ensure("oci:" + l.path)
        os.unlink("%s/layers/%s.data" % (
            self.root, sha(tar(entry("l", data=b"x")))))
        self.assertEqual(self.run_image("resolve", "oci:" + l.path).returncode,
                         3)
        self.assertEqual(self.tree("oci:" + l.path)[b"/l"].data, b"x")

    def test_left_overs_are_swept(self):
        os.makedirs(self.root + "/tmp")
        with open(self.root + "/tmp/99999.0", "w") as f:
            f.write("half")
        self.ensure("oci:" + self.layout().path)
        self.assertEqual(os.listdir(self.root + "/tmp"), [])

    def test_many_runs_at_once(self):
        l = Layout(self.dir + "/l").image(
            tar(entry("f", data=random.Random(5).randbytes(20 << 20))))
        ps = [subprocess.Popen([harness.PROGRAM, "ensure", "--root", self.root,
                                "--arch", "amd64", "oci:" + l.path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
              for _ in range(6)]
        outs = [p.communicate(timeout=300) + (p.returncode,) for p in ps]
        want = (l.index[0]["digest"][7:].encode() + b"\n", b"", 0)
        self.assertEqual(outs, [want] * 6)
        self.assertEqual(len(self.store_files()), 7)  # image meta 2 layer ref 2 blobs

    def test_rights_are_given_up_before_parsing(self):
        """The layers' locks stop it after it has confined itself."""
        l = self.layout()
        os.makedirs(self.root + "/locks")
        with contextlib.ExitStack() as held:
            for i in range(256):
                lock = held.enter_context(
                    open("%s/locks/%02x" % (self.root, i), "w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            p = subprocess.Popen([harness.PROGRAM, "ensure", "--root",
                                  self.root, "--arch", "amd64",
                                  "oci:" + l.path], stdout=subprocess.PIPE)
            status = {}
            while status.get("Seccomp") != "2" and p.poll() is None:
                with open("/proc/%d/status" % p.pid) as f:
                    status = dict(x.split(":\t", 1) for x in
                                  f.read().replace("\t ", "\t").split("\n")
                                  if ":\t" in x)
            self.assertIsNone(p.poll())
            with open("/proc/%d/limits" % p.pid) as f:
                limits = f.read()
        self.assertEqual(p.communicate(timeout=300)[0].strip().decode(),
                         l.index[0]["digest"].split(":")[1])
        self.assertEqual(status["NoNewPrivs"], "1")
        # At most reading what belongs to others (CAP_DAC_READ_SEARCH).
        self.assertEqual(int(status["CapEff"], 16) & ~(1 << 2), 0)
        self.assertEqual(int(status["CapPrm"], 16) & ~(1 << 2), 0)
        self.assertRegex(limits, r"Max core file size +0 +0 ")

    @unittest.skipUnless(os.geteuid() == 0, "becoming another user needs root")
    def test_ordinary_user(self):
        """Devices, owners, trusted xattrs: nothing needs root."""
        l = Layout(self.dir + "/l").image(everything())
        os.chmod(self.dir, 0o777)
        subprocess.run(["chmod", "-R", "a+rX", l.path], check=True)
        hex_ = self.ensure("oci:" + l.path, user=1001, group=1001,
                           extra_groups=[])
        with open("%s/meta/%s.erofs" % (self.root, hex_), "rb") as f:
            mine = f.read()
        self.root = self.dir + "/roots"
        self.ensure("oci:" + l.path)
        with open("%s/meta/%s.erofs" % (self.root, hex_), "rb") as f:
            self.assertEqual(sha(f.read()), sha(mine))

    def test_default_root(self):
        l = self.layout()
        env = dict(os.environ, LIMPET_ROOT=self.dir + "/by-env")
        p = subprocess.run([harness.PROGRAM, "ensure", "--arch", "amd64",
                            "oci:" + l.path], env=env, timeout=300,
                           stdout=subprocess.PIPE)
        self.assertEqual(p.returncode, 0)
        self.assertTrue(os.path.isdir(self.dir + "/by-env/images"))


if __name__ == "__main__":
    harness.main()
