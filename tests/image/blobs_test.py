#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the store keeps of an image as registries have it: blobs/."""
import os
import shutil
import sys
import tempfile

import harness
import registry
from ocikit import Layout, docker_archive, entry, sha, tar

if registry.missing():
    print("SKIP: %s is not installed" % registry.missing())
    sys.exit(77)

LAYERS = (tar(entry("etc", "dir"), entry("etc/a", data=b"a")),
          tar(entry("b", data=b"b" * 10000)))


class Blobs(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="limpet-blobs-test.")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.reg = registry.Registry(cls.folder + "/plain")
        cls.addClassCleanup(cls.reg.stop)
        cls.layout = Layout(cls.folder + "/image").image(*LAYERS).path
        cls.all = set(os.listdir(cls.layout + "/blobs/sha256"))
        cls.layers = {x for x in cls.all if cls.magic(x) == b"\x1f\x8b"}
        cls.reg.push(cls.layout, "public/two:1")

    @classmethod
    def magic(cls, name):
        with open(cls.layout + "/blobs/sha256/" + name, "rb") as f:
            return f.read(2)

    def pull(self, *flags, ref=None):
        env = dict(os.environ, HOME=self.dir, LIMPET_BACKOFF_MS="50")
        p = self.run_image("pull", "-q", *flags, ref or self.reg.host + "/public/two:1",
                           env=env)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout.strip()

    def blobs(self):
        """Names, each checked against its contents."""
        names = set(os.listdir(self.root + "/blobs"))
        for name in names:
            with open(self.root + "/blobs/" + name, "rb") as f:
                self.assertEqual(sha(f.read()), name)
        return names

    def test_documents_of_a_layout(self):
        self.ensure("oci:" + self.layout)
        self.assertEqual(self.blobs(), self.all - self.layers)

    def test_configuration_of_a_docker_archive(self):
        docker_archive(self.dir + "/a.tar", LAYERS)
        self.ensure("docker-archive:" + self.dir + "/a.tar")
        self.assertEqual(len(self.blobs()), 1)

    def test_documents_of_a_pull(self):
        hex_ = self.pull()
        self.assertIn(hex_, self.blobs())
        self.assertEqual(self.blobs(), self.all - self.layers)

    def test_documents_of_an_older_store_come_back(self):
        hex_ = self.ensure("oci:" + self.layout)
        for name in os.listdir(self.root + "/blobs"):
            os.unlink(self.root + "/blobs/" + name)
        self.assertEqual(self.pull(), hex_)
        self.assertEqual(self.blobs(), self.all - self.layers)

    def test_index_of_a_pull(self):
        l = Layout(self.dir + "/index")
        ours, theirs = (l.manifest(LAYERS, arch=a) for a in ("amd64", "arm64"))
        for d, a in ((ours, "amd64"), (theirs, "arm64")):
            l.add(d, "x", platform={"os": "linux", "architecture": a})
        index = l.blob({"schemaVersion": 2, "manifests": l.index,
                        "mediaType": "application/vnd.oci.image.index.v1+json"},
                       "application/vnd.oci.image.index.v1+json")
        l.index = []
        l.add(index, "both")
        self.reg.push(l.path, "public/both:1", "--all")
        hex_ = self.pull(ref=self.reg.host + "/public/both:1")
        self.assertEqual("sha256:" + hex_, ours["digest"])
        self.assertEqual(len(self.blobs()), 3)  # index, manifest, configuration

    def test_keep_blobs(self):
        self.pull("--keep-blobs")
        self.assertEqual(self.blobs(), self.all)

    def test_keep_blobs_of_an_image_that_is_there(self):
        hex_ = self.pull()
        data = {f: os.stat(self.root + "/" + f).st_ino for f in self.store_files()
                if f.startswith("layers/")}
        self.assertEqual(self.pull("--keep-blobs"), hex_)
        self.assertEqual(self.blobs(), self.all)
        # The layers' files are in use perhaps, so they are not replaced.
        self.assertEqual({f: os.stat(self.root + "/" + f).st_ino for f in data}, data)
        before = len(self.reg.requests())
        self.pull("--keep-blobs")
        self.assertLessEqual(len(self.reg.requests()) - before, 2)


if __name__ == "__main__":
    harness.main()
