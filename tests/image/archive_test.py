#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""save and load: what skopeo and umoci read back, and what they wrote."""
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import unittest

import harness
import registry
from ocikit import Layout, docker_archive, entry, oci_archive, sha, tar

for tool in ("skopeo", "umoci"):
    if shutil.which(tool) is None:
        print("SKIP: %s is not installed" % tool)
        sys.exit(77)

LAYERS = (tar(entry("etc", "dir"), entry("etc/a", data=b"a")),
          tar(entry("b", data=b"b" * 100000)))


class Archive(harness.Case):
    def setUp(self):
        super().setUp()
        self.layout = Layout(self.dir + "/l").image(*LAYERS, config={"Cmd": ["sh"]})
        self.hex = self.layout.index[0]["digest"][7:]
        self.file = self.dir + "/saved.tar"

    def verb(self, *args, code=0, **kw):
        p = subprocess.run([harness.PROGRAM, args[0], "--root", self.root, *args[1:]],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, **kw)
        self.assertEqual(p.returncode, code, p.stderr)
        return p.stdout.decode("latin-1") if code == 0 else p.stderr.decode()

    def load(self, file, **kw):
        return self.verb("load", "--arch", "amd64", "-i", file, **kw)

    def loaded(self, name="x.example/a/b:1"):
        """The image, with its blobs and this name."""
        self.layout.index = []
        self.layout.add(dict(self.layout_descriptor(), annotations={
            "io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1"}))
        oci_archive(self.layout, self.dir + "/in.tar")
        self.assertEqual(self.load(self.dir + "/in.tar"), "Loaded image: %s\n" % name)

    def layout_descriptor(self):
        return {"mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": "sha256:" + self.hex,
                "size": os.stat(self.layout.blob_path(self.hex)).st_size}

    def skopeo(self, *args):
        return subprocess.run(["skopeo", "--insecure-policy", *args], check=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def test_round_trip(self):
        self.loaded()
        self.verb("save", "-o", self.file, self.hex + "=x.example/a/b:1")
        with open(self.file, "rb") as f:
            first = f.read()
        shutil.rmtree(self.root)
        self.assertEqual(self.load(self.file), "Loaded image: x.example/a/b:1\n")
        self.verb("save", "-o", self.file, self.hex + "=x.example/a/b:1")
        with open(self.file, "rb") as f:
            self.assertEqual(f.read(), first)  # same image, same bytes
        self.assertEqual(self.verb("save", self.hex + "=x.example/a/b:1").encode("latin-1"),
                         first)

    def test_save_is_confined(self):
        """While it writes, it is under a filter and can get no more rights."""
        noise = random.Random(1).randbytes(1 << 20)
        big = Layout(self.dir + "/big").image(tar(entry("x", data=noise)), tag="y/z:1")
        oci_archive(big, self.dir + "/big.tar")
        self.load(self.dir + "/big.tar")
        p = subprocess.Popen([harness.PROGRAM, "save", "--root", self.root,
                              big.index[0]["digest"][7:]], stdout=subprocess.PIPE)
        try:
            p.stdout.read(1)
            with open("/proc/%d/status" % p.pid) as f:
                status = f.read()
        finally:
            p.stdout.close()
            p.wait()
        self.assertRegex(status, r"Seccomp:\s2\n")
        self.assertRegex(status, r"NoNewPrivs:\s1\n")

    def test_skopeo_and_umoci_read_it(self):
        self.loaded()
        self.verb("save", "-o", self.file, self.hex + "=x.example/a/b:1")
        self.skopeo("copy", "oci-archive:%s:1" % self.file, "oci:%s/back:t" % self.dir)
        with open(self.dir + "/back/index.json") as f:
            self.assertEqual(json.load(f)["manifests"][0]["digest"], "sha256:" + self.hex)
        subprocess.run(["umoci", "unpack", "--rootless", "--image", self.dir + "/back:t",
                        self.dir + "/bundle"], check=True, timeout=300,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.dir + "/bundle/rootfs/b", "rb") as f:
            self.assertEqual(f.read(), b"b" * 100000)
        doc = json.loads(self.skopeo("inspect", "--config", "docker-archive:%s:x.example/a/b:1"
                                     % self.file))
        self.assertEqual(doc["config"]["Cmd"], ["sh"])
        self.skopeo("copy", "docker-archive:%s:x.example/a/b:1" % self.file,
                    "oci:%s/again:t" % self.dir)

    def test_standard_input_and_compressed(self):
        self.loaded()
        self.verb("save", "-o", self.file, self.hex)
        with open(self.file, "rb") as f:
            packed = subprocess.run(["gzip", "-c"], stdin=f, stdout=subprocess.PIPE,
                                    check=True).stdout
        shutil.rmtree(self.root)
        self.assertRegex(self.verb("load", "--arch", "amd64", input=packed),
                         "^Loaded image ID: sha256:[0-9a-f]{64}\n$")
        self.assertEqual(os.listdir(self.root + "/tmp"), [])

    def test_docker_archive(self):
        for links in (False, True):
            file = self.dir + "/d%d.tar" % links
            docker_archive(file, LAYERS, tags=("n:1", "h.example/m:2"), links=links)
            self.assertEqual(self.load(file), "Loaded image: n:1\nLoaded image: h.example/m:2\n")
        [record] = os.listdir(self.root + "/images")
        hex_ = record.split(".")[0]
        for name in os.listdir(self.root + "/blobs"):
            with open(self.root + "/blobs/" + name, "rb") as f:
                self.assertEqual(sha(f.read()), name)
        self.verb("save", "-o", self.file, hex_ + "=n:1", hex_ + "=h.example/m:2")
        with tarfile.open(self.file) as t:
            [item] = json.load(t.extractfile("manifest.json"))
            index = json.load(t.extractfile("index.json"))
            names = t.getnames()
        self.assertEqual(item["RepoTags"], ["n:1", "h.example/m:2"])
        self.assertEqual([m["annotations"]["io.containerd.image.name"]
                          for m in index["manifests"]],
                         ["docker.io/library/n:1", "h.example/m:2"])
        self.assertEqual(len(names), len(set(names)))
        self.skopeo("copy", "oci-archive:%s:1" % self.file, "oci:%s/back:t" % self.dir)

    def test_written_by_skopeo(self):
        self.skopeo("copy", "oci:" + self.layout.path,
                    "docker-archive:%s/s.tar:name.example/r:5" % self.dir)
        self.assertEqual(self.load(self.dir + "/s.tar"), "Loaded image: name.example/r:5\n")

    def test_what_is_missing_is_named(self):
        self.ensure("oci:" + self.layout.path)
        text = self.verb("save", "-o", self.file, self.hex + "=n:1", code=125)
        self.assertIn("is not in the store", text)
        self.assertIn("n:1: layer sha256:", text)
        self.assertFalse(os.path.exists(self.file))

    def test_keep_fetches_it_from_the_layout(self):
        self.ensure("oci:" + self.layout.path)
        self.verb("keep", "--arch", "amd64", "oci:" + self.layout.path, self.hex)
        self.verb("save", "-o", self.file, self.hex)
        self.skopeo("copy", "oci-archive:" + self.file, "oci:%s/back:t" % self.dir)

    def test_keep_refuses_another_image(self):
        self.ensure("oci:" + self.layout.path)
        other = Layout(self.dir + "/other").image(LAYERS[0])
        self.assertIn("another image", self.verb(
            "keep", "--arch", "amd64", "oci:" + other.path, self.hex, code=125))

    def command(self, *args):
        limpet = os.path.join(os.path.dirname(harness.PROGRAM), "limpet")
        if not os.path.exists(limpet):
            self.skipTest("limpet is not built")
        p = subprocess.run([limpet, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=300, env=dict(os.environ, LIMPET_ROOT=self.root), text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout

    def test_command(self):
        """By name and by ID; missing layers come from the layout, or a registry."""
        self.assertEqual(self.run_image("ensure", "oci:" + self.layout.path).returncode, 0)
        short = self.command("images", "-q").strip()
        self.command("tag", short, "n:1")
        self.command("save", "-o", self.file, "n:1", short)
        with tarfile.open(self.file) as t:
            [item] = json.load(t.extractfile("manifest.json"))
        self.assertEqual(item["RepoTags"], ["n:1"])
        self.assertEqual(self.command("load", "-i", self.file).split("\n")[0],
                         "Loaded image: n:1")

    @unittest.skipIf(registry.missing(), "no registry")
    def test_command_fetches_from_the_registry(self):
        r = registry.Registry(self.dir + "/registry")
        self.addCleanup(r.stop)
        r.push(self.layout.path, "public/x:1")
        ref = r.host + "/public/x:1"
        self.command("pull", "-q", ref)
        refs = os.listdir(self.root + "/refs")
        self.command("save", "-o", self.file, ref)
        self.assertEqual(os.listdir(self.root + "/refs"), refs)
        self.skopeo("copy", "oci-archive:%s:1" % self.file, "oci:%s/back:t" % self.dir)

    def test_bad_archives(self):
        with tarfile.open(self.dir + "/none.tar", "w"):
            pass
        self.assertIn("neither", self.load(self.dir + "/none.tar", code=125))
        self.assertIn("No such file", self.load(self.dir + "/absent", code=125))
        with open(self.layout.blob_path(self.layer()), "r+b") as f:
            f.seek(20)
            f.write(b"damage")
        oci_archive(self.layout, self.dir + "/bad.tar")
        self.assertIn("wrong digest", self.load(self.dir + "/bad.tar", code=125))
        self.assertEqual(os.listdir(self.root + "/images"), [])
        self.assertNotIn(self.layer(), os.listdir(self.root + "/blobs"))
        docker_archive(self.dir + "/name.tar", LAYERS, tags=("Bad Name",))
        self.load(self.dir + "/name.tar", code=125)

    def layer(self):
        with open(self.layout.blob_path(self.hex)) as f:
            return json.load(f)["layers"][1]["digest"][7:]


if __name__ == "__main__":
    harness.main()
