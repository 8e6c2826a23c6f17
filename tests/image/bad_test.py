# SPDX-License-Identifier: Apache-2.0
"""Bad images: one line that names the file and the reason, 125, and nothing
half-made in the store."""
import gzip
import json
import os
import shutil
import subprocess
import unittest

import harness
from ocikit import (OCI, Layout, docker_archive, entry, gnu_sparse, header,
                    oci_archive, pax_sparse, sha, tar)

GOOD = tar(entry("f", data=b"good"))


class Bad(harness.Case):
    def layout(self, *layers, name="l", **kw):
        return Layout(self.dir + "/" + name).image(*layers, **kw)

    def refuse_layer(self, *words, layer=None, entries=(), name="l"):
        l = self.layout(layer if layer is not None else tar(*entries),
                        name=name)
        with open(l.blob_path(l.index[0]["digest"])) as f:
            blob = json.load(f)["layers"][0]["digest"]
        return self.refused("oci:" + l.path, l.path, blob.split(":")[1],
                            *words)


class Documents(Bad):
    def test_not_a_layout(self):
        self.refused("oci:%s/absent" % self.dir, "absent",
                     "No such file or directory")
        os.mkdir(self.dir + "/empty")
        self.refused("oci:%s/empty" % self.dir, "empty", "not an OCI layout")
        with open(self.dir + "/file", "w") as f:
            f.write("text")
        self.refused("oci:%s/file" % self.dir, "file")
        self.refused("oci-archive:%s/file" % self.dir, "file")
        self.refused("docker-archive:%s/empty" % self.dir, "empty")
        l = self.layout(GOOD)
        os.unlink(l.path + "/oci-layout")
        self.refused("oci:" + l.path, "oci-layout", "not an OCI layout")

    def test_bad_references(self):
        for ref, why in (("oci:", "no path"), ("Alpine", "lower case"),
                         ("docker://x y", "odd characters"),
                         ("h:123456/x", "HOST[:PORT]"), ("x:", "tag"),
                         ("a/b:c d", "tag"), ("x@sha256:12", "digest"),
                         ("a..b", "odd"), ("", "no repository")):
            self.refused(ref, why, root=self.dir + "/s")

    def test_blob_missing(self):
        l = self.layout(GOOD)
        manifest = l.index[0]["digest"]
        with open(l.blob_path(manifest)) as f:
            m = json.load(f)
        for digest in (m["layers"][0]["digest"], m["config"]["digest"],
                       manifest):
            os.unlink(l.blob_path(digest))
            self.refused("oci:" + l.path, digest.split(":")[1], "missing")

    def damage(self, change, *words):
        """Each blob in turn is changed; each is found out."""
        l = self.layout(tar(entry("f", data=bytes(range(256)) * 999)))
        with open(l.blob_path(l.index[0]["digest"])) as f:
            m = json.load(f)
        for i, d in enumerate((l.index[0], m["config"], m["layers"][0])):
            path = l.blob_path(d["digest"])
            with open(path, "rb") as f:
                good = f.read()
            l.write(path, change(good))
            self.refused("oci:" + l.path, d["digest"].split(":")[1], *words)
            l.write(path, good)
        self.ensure("oci:" + l.path)

    def test_blob_truncated(self):
        self.damage(lambda b: b[:len(b) // 2], "truncated")

    def test_blob_empty(self):
        self.damage(lambda b: b"", "truncated")

    def test_blob_oversized(self):
        self.damage(lambda b: b + b"x", "oversized")

    def test_blob_of_wrong_digest(self):
        self.damage(lambda b: b[:-1] + bytes([b[-1] ^ 1]), "wrong digest")
        shutil.rmtree(self.dir + "/l")
        shutil.rmtree(self.root)
        self.damage(lambda b: b[:30] + bytes([b[30] ^ 255]) + b[31:],
                    "wrong digest")

    def test_wrong_diff_id(self):
        for how in ("none", "gzip", "zstd"):
            l = Layout(self.dir + "/" + how)
            m = l.manifest([GOOD], how=how, rootfs={
                "type": "layers", "diff_ids": ["sha256:" + "1" * 64]})
            l.add(m)
            self.refused("oci:" + l.path, "wrong diff_id", sha(GOOD))

    def test_blob_is_a_fifo(self):
        l = self.layout(GOOD)
        path = l.blob_path(l.index[0]["digest"])
        os.unlink(path)
        os.mkfifo(path)
        self.refused("oci:" + l.path, "not a regular file")

    def test_index_json(self):
        l = self.layout(GOOD)
        deep = b"[" * 5000 + b"]" * 5000
        for text, word in (
                (b"", "malformed"), (b"{", "malformed"), (b"[]", "object"),
                (b'{"manifests":7}', "not an array"),
                (b'{"manifests":[]}', "no manifests"),
                (b'{"manifests":[7]}', "object"),
                (b'{"manifests":[{"digest":7,"size":1}]}', "not a string"),
                (b'{"manifests":[{"digest":"sha256:zz","size":1}]}', "digest"),
                (b'{"manifests":[{"digest":"sha256:../../x","size":1}]}',
                 "digest"),
                (b'{"manifests":[{"digest":"md5:11","size":1}]}', "sha256"),
                (b'{"manifests":[{"digest":"sha256:' + b"0" * 64 +
                 b'","size":-1}]}', "size"),
                (b'{"manifests":[{"digest":"sha256:' + b"0" * 64 +
                 b'","size":"9"}]}', "size"),
                (b'{"manifests":' + deep + b"}", "deep"),
                (b'\xff\xfe{"manifests":[]}', "malformed")):
            with self.subTest(text[:60]):
                l.write("index.json", text)
                self.refused("oci:" + l.path, "index.json", word)

    def test_manifest(self):
        config = {"digest": "sha256:" + "0" * 64, "size": 5}
        for doc, word in (
                (b"nonsense", "malformed"), (b"[]", "object"), ({}, "config"),
                ({"config": 7, "layers": []}, "config"),
                ({"config": config}, "layers"),
                ({"config": config, "layers": {}}, "layers"),
                ({"config": config, "layers": ["x"]}, "object"),
                ({"config": config, "layers": [config] * 600}, "layers"),
                ({"config": config, "layers": [dict(
                    config, mediaType="x.tar+encrypted")]}, "encrypted"),
                ({"manifests": [config], "layers": []}, "both")):
            with self.subTest(str(doc)[:60]):
                shutil.rmtree(self.dir + "/l", ignore_errors=True)
                l = Layout(self.dir + "/l")
                d = l.add(l.blob(doc))
                self.refused("oci:" + l.path, d["digest"].split(":")[1], word)

    def test_configuration(self):
        for i, (doc, word) in enumerate((
                ({"architecture": 7}, "architecture"),
                ({"rootfs": None}, "rootfs"),
                ({"rootfs": {"diff_ids": 7}}, "diff_ids"),
                ({"rootfs": {"diff_ids": [7]}}, "diff_ids"),
                ({"rootfs": {"diff_ids": []}}, "0 diff_ids for 1 layers"),
                ({"config": []}, "config"), ({"config": {"Env": "A=b"}}, "Env"),
                ({"config": {"Cmd": [7]}}, "Cmd"),
                ({"config": {"User": 7}}, "User"),
                ({"config": {"Labels": {"a": 7}}}, "Labels"),
                ({"config": {"ExposedPorts": []}}, "ExposedPorts"))):
            with self.subTest(doc):
                l = Layout("%s/c%d" % (self.dir, i))
                l.add(l.manifest([GOOD], **doc))
                with open(l.blob_path(l.index[0]["digest"])) as f:
                    name = json.load(f)["config"]["digest"].split(":")[1]
                self.refused("oci:" + l.path, name, word)

    def test_indexes_in_circles_or_too_deep(self):
        l = Layout(self.dir + "/deep")
        d = l.manifest([GOOD])
        for _ in range(6):
            d = l.blob({"manifests": [d]}, OCI + "index.v1+json")
        l.add(d)
        self.refused("oci:" + l.path, "nested deeper")
        wide = Layout(self.dir + "/wide")
        d = wide.blob({"manifests": []}, OCI + "index.v1+json")
        wide.add(wide.blob({"manifests": [d] * 2000}))
        self.refused("oci:" + wide.path, "more than")

    def test_platform_is_absent(self):
        l = Layout(self.dir + "/l")
        for arch, variant in (("amd64", None), ("arm", "v7")):
            p = {"os": "linux", "architecture": arch}
            if variant:
                p["variant"] = variant
            l.add(l.manifest([GOOD], arch=arch), platform=p)
        self.refused("oci:" + l.path, "linux/arm64", "linux/amd64",
                     "linux/arm/v7", arch="arm64")
        # Without a platform in the index the configuration says it.
        l = self.layout(GOOD, name="bare", arch="s390x")
        self.refused("oci:" + l.path, "linux/amd64", "linux/s390x")
        docker_archive(self.dir + "/d.tar", [GOOD], arch="arm64")
        self.refused("docker-archive:%s/d.tar" % self.dir, "linux/amd64",
                     "linux/arm64")

    def test_archives(self):
        l = self.layout(GOOD)
        oci_archive(l, self.dir + "/a.tar")
        with open(self.dir + "/a.tar", "rb") as f:
            good = f.read()
        packed = gzip.compress(good)
        l.write(self.dir + "/cut.tar.gz", packed[:len(packed) // 2])
        self.refused("oci-archive:%s/cut.tar.gz" % self.dir, "cut.tar.gz",
                     "damaged compressed archive")
        l.write(self.dir + "/bad.tar.gz", packed[:99] + bytes(99) + packed[198:])
        self.refused("oci-archive:%s/bad.tar.gz" % self.dir, "bad.tar.gz",
                     "damaged compressed archive")
        l.write(self.dir + "/no.tar.gz", gzip.compress(b"hello"))
        self.refused("oci-archive:%s/no.tar.gz" % self.dir, "no.tar.gz",
                     "not a tar archive")
        l.write(self.dir + "/cut.tar", good[:len(good) // 2])
        self.refused("oci-archive:%s/cut.tar" % self.dir, "cut.tar")
        self.refused("docker-archive:%s/a.tar" % self.dir,
                     "not a docker archive")
        docker_archive(self.dir + "/d.tar", [GOOD])
        self.refused("oci-archive:%s/d.tar" % self.dir, "not an OCI")
        with open(self.dir + "/d.tar", "rb") as f:
            bad = f.read().replace(b"good", b"evil")
        l.write(self.dir + "/evil.tar", bad)
        self.refused("docker-archive:%s/evil.tar" % self.dir, "wrong diff_id")


class Layers(Bad):
    def test_paths_that_leave_the_root(self):
        for i, name in enumerate(("../x", "a/../../x", "./../x", "/../x",
                                  "..", "a/b/../../../c")):
            self.refuse_layer(name[:20], "leaves the root",
                              entries=[entry(name)], name="p%d" % i)
        # Dots that stay inside are harmless.
        l = self.layout(tar(entry("a/../b", data=b"1")), name="ok")
        self.assertEqual(self.tree("oci:" + l.path)[b"/b"].data, b"1")

    def test_hard_links(self):
        self.refuse_layer("hl", "leaves the root", name="h0",
                          entries=[entry("hl", "hard", to="../../etc/shadow")])
        self.refuse_layer("hl", "nowhere", "missing", name="h1",
                          entries=[entry("hl", "hard", to="nowhere")])
        self.refuse_layer("directory", name="h2", entries=[
            entry("d/", "dir"), entry("hl", "hard", to="d")])
        self.refuse_layer("missing", name="h3", entries=[
            entry("a", "hard", to="b"), entry("b", "hard", to="a")])
        l = self.layout(tar(entry("f")), tar(entry(".wh.f"), entry(
            "hl", "hard", to="f")), name="h4")
        self.refused("oci:" + l.path, "hl", "missing")

    def test_names_that_are_too_long(self):
        self.refuse_layer("5000 bytes", entries=[entry("n" * 5000)], name="a")
        self.refuse_layer("256 bytes", entries=[entry("d/" + "n" * 256)],
                          name="b")
        self.refuse_layer("4095", entries=[entry("/".join(["abc"] * 2000))],
                          name="c")
        self.refuse_layer("4095", entries=[entry("s", "sym", to="t" * 5000)],
                          name="d")

    def test_links_in_the_way(self):
        self.refuse_layer("symbolic links", name="loop", entries=[
            entry("a", "sym", to="b"), entry("b", "sym", to="a"),
            entry("a/f")])
        self.refuse_layer("not a directory", name="file", entries=[
            entry("f", data=b"x"), entry("f/g")])
        # Links that point out of the root end at the root.
        l = self.layout(tar(entry("out", "sym", to="../../../../esc"),
                            entry("abs", "sym", to="/esc"),
                            entry("esc/", "dir"), entry("out/x", data=b"1"),
                            entry("abs/y", data=b"2")), name="out")
        t = self.tree("oci:" + l.path)
        self.assertEqual((t[b"/esc/x"].data, t[b"/esc/y"].data), (b"1", b"2"))
        self.assertEqual(t[b"/out"].link, b"../../../../esc")

    def test_whiteouts_of_nothing(self):
        for i, name in enumerate((".wh.", "d/.wh..", "d/.wh...")):
            self.refuse_layer("whiteout", entries=[entry(name)],
                              name="w%d" % i)

    def test_sparse_maps(self):
        ten = 10 << 30
        k = 512
        cases = {
            "old-10g": gnu_sparse(b"s", ten, [(0, k)], b"x" * k),
            "pax-10g": pax_sparse("s", ten, [(0, k)], b"x" * k),
            "backwards": gnu_sparse(b"s", 8 * k, [(4 * k, k), (0, k)],
                                    b"x" * 2 * k),
            "overlap": pax_sparse("s", 8 * k, [(0, 2 * k), (k, 2 * k)],
                                  b"x" * 4 * k),
            "past-end": pax_sparse("s", k, [(4 * k, k)], b"x" * k),
            "more-than-stored": pax_sparse("s", 64 * k, [(0, 9 * k)],
                                           b"x" * k),
            "less-than-stored": pax_sparse("s", 64 * k, [(0, k)],
                                           b"x" * 9 * k),
            "huge-numbers": pax_sparse("s", 1 << 62, [(1 << 61, 1 << 60)],
                                       b"x" * k),
            "wraps": pax_sparse("s", 8 * k, [((1 << 64) - k, k)], b"x" * k),
        }
        for name, member in cases.items():
            with self.subTest(name):
                self.refuse_layer(name=name, layer=tar(member))

    def test_many_holes(self):
        """Each hole is legal, together they are 10 GiB."""
        one = [pax_sparse("s%d" % i, 1 << 30, [(0, 512)], b"x" * 512)
               for i in range(10)]
        self.refuse_layer("GiB", layer=tar(*one))

    def test_not_a_tar(self):
        self.refuse_layer("not a tar", layer=b"plain text " * 1000, name="t")
        self.refuse_layer(layer=GOOD[:700], name="cut")
        self.refuse_layer(layer=tar(entry("f", data=b"x" * 9000))[:5000],
                          name="cut2")
        self.refuse_layer(layer=header(b"f", 1 << 40)[:512], name="big")
        self.refuse_layer(layer=GOOD[:512 + 512] + b"\1" * 4096, name="tail")

    def test_damaged_compression(self):
        """The digest is right; what it covers is not gzip to the end."""
        for how in ("gzip", "zstd"):
            l = Layout(self.dir + "/" + how)
            m = l.manifest([tar(entry("f", data=os.urandom(1 << 20)))],
                           how=how)
            with open(l.blob_path(m["digest"])) as f:
                doc = json.load(f)
            with open(l.blob_path(doc["layers"][0]["digest"]), "rb") as f:
                cut = f.read()[:-60000]
            doc["layers"][0] = l.blob(cut)
            l.add(l.blob(doc))
            self.refused("oci:" + l.path, sha(cut))

    def test_bombs(self):
        """By what the descriptor declares, and by what was configured. The
        files are equal: unlike their stream they fit on any disk."""
        l = Layout(self.dir + "/zstd")
        mib = entry("f", data=bytes(1 << 20))
        layer = subprocess.run(
            ["zstd", "-qc"], input=b"".join(x.tobuf() + d for x, d in [mib]) * 1100 +
            bytes(1024), stdout=subprocess.PIPE, check=True).stdout
        m = l.manifest([GOOD], how="none")
        with open(l.blob_path(m["digest"])) as f:
            doc = json.load(f)
        doc["layers"][0] = l.blob(layer)
        l.add(l.blob(doc))
        self.refused("oci:" + l.path, sha(layer), "more than 1073741824 bytes")
        self.assertEqual(self.store_files(), [])
        for how in ("gzip", "zstd", "none"):
            l = self.layout(tar(entry("f", data=bytes(3 << 20))), name=how + "2", how=how)
            self.refused("oci:" + l.path, "more than 2097152 bytes", "LIMPET_MAX_LAYER_SIZE",
                         env=dict(os.environ, LIMPET_MAX_LAYER_SIZE="2M"))
            self.assertEqual(self.store_files(), [])
            self.ensure("oci:" + l.path, env=dict(os.environ, LIMPET_MAX_LAYER_SIZE="4M"))
            shutil.rmtree(self.root)

    def test_owners_devices_attributes(self):
        self.refuse_layer("owner", name="o", entries=[
            entry("f", uid=1 << 33)])
        self.refuse_layer("owner", name="o2", entries=[
            entry("f", pax={"uid": "-5"})])
        self.refuse_layer("too large", name="x", entries=[
            entry("f", xattrs={"user.big": b"x" * 70000})])
        self.refuse_layer("root", name="r", entries=[entry("./", "sym",
                                                           to="x")])

    def test_one_line_whatever_the_name(self):
        err = self.refuse_layer("leaves", entries=[
            entry("../a\nb\x1b[31mc")])
        self.assertNotIn("\x1b", err)


class Disk(Bad):
    BIG = tar(entry("f", data=os.urandom(6 << 20)))

    def test_file_size_limit(self):
        l = self.layout(self.BIG)
        self.refused("oci:" + l.path, "File too large", preexec_fn=lambda: (
            __import__("resource").setrlimit(
                __import__("resource").RLIMIT_FSIZE, (5 << 20, 5 << 20))))
        self.assertEqual(self.store_files(), [])
        self.ensure("oci:" + l.path)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs needs root")
    def test_disk_full(self):
        l = self.layout(self.BIG)
        os.mkdir(self.root)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "limpet-test",
                        self.root], check=True)
        self.addCleanup(subprocess.run, ["umount", self.root], check=True)
        self.refused("oci:" + l.path, "No space left on device")
        self.assertEqual(self.store_files(), [])
        subprocess.run(["mount", "-o", "remount,size=64m", self.root],
                       check=True)
        self.ensure("oci:" + l.path)

    def test_store_cannot_be_made(self):
        l = self.layout(GOOD)
        with open(self.dir + "/file", "w") as f:
            f.write("x")
        self.refused("oci:" + l.path, "file", root=self.dir + "/file/store")

    def test_killed_in_the_middle(self):
        """Whatever a killed run left, the next one converts and sweeps."""
        l = self.layout(tar(entry("f", data=os.urandom(48 << 20))))
        for delay in (0.0, 0.02, 0.05, 0.1):
            p = subprocess.Popen([harness.PROGRAM, "ensure", "--root",
                                  self.root, "oci:" + l.path],
                                 stdout=subprocess.DEVNULL)
            try:
                p.wait(delay)
            except subprocess.TimeoutExpired:
                p.kill()
            p.wait()
        self.ensure("oci:" + l.path)
        self.assertEqual(os.listdir(self.root + "/tmp"), [])


if __name__ == "__main__":
    harness.main()
