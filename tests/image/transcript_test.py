#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Docker Hub, GHCR and quay as they were seen to behave: challenges, tokens and
their errors, where blobs and uploads go (transcripts/*.txt)."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import harness
import transcript
from ocikit import Layout, entry, oci_archive, sha, tar

if shutil.which("openssl") is None:
    print("SKIP: openssl is not installed")
    sys.exit(77)

FOLDER = os.path.dirname(os.path.abspath(__file__)) + "/transcripts/"
LAYERS = (tar(entry("etc", "dir"), entry("etc/a", data=b"a")),
          tar(entry("b", data=bytes(range(256)) * 100)))
KEYS = {"docker.io": "https://index.docker.io/v1/"}


class Transcripts(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="limpet-transcript-test.")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        l = Layout(cls.folder + "/image").image(*LAYERS)
        cls.layout, cls.digest = l.path, l.index[0]["digest"]
        oci_archive(l, cls.folder + "/image.tar")
        transcript.make_certs(cls.folder)

    def play(self, name, **names):
        p = transcript.Player(self.folder, FOLDER + name + ".txt", self.layout,
                              dict(names, manifest=self.digest))
        self.addCleanup(p.stop)
        return p

    def limpet(self, player, verb, *args, host=None, login=None):
        auth = self.dir + "/auth.json"
        with open(auth, "w") as f:
            json.dump({"auths": {KEYS.get(host, host): login}} if login else {}, f)
        env = dict(os.environ, HOME=self.dir, LIMPET_BACKOFF_MS="30", REGISTRY_AUTH_FILE=auth)
        if player:
            env["https_proxy"] = "http://127.0.0.1:%d" % player.port
        return subprocess.run(
            [harness.PROGRAM, verb, "--root", self.root, "--arch", "amd64", *args] +
            (["--cert-dir", player.trust] if player else []),
            capture_output=True, text=True, env=env, timeout=300, check=False)

    def good(self, player, *args, **kw):
        p = self.limpet(player, *args, **kw)
        self.assertEqual((p.returncode, player.odd if player else []), (0, []), p.stderr)
        return p

    def bad(self, player, *args, words=(), **kw):
        p = self.limpet(player, *args, **kw)
        self.assertEqual((p.returncode, player.odd), (125, []), p.stderr)
        line = p.stderr.rstrip("\n").split("\n")[-1]
        for word in words:
            self.assertIn(word, line)
        for secret in ("s3cret", "wrong\n", "hub.", "Z2hjcg", "quay.jwt"):
            self.assertNotIn(secret, p.stderr)
        self.assertEqual(player.unused(), [])

    def edge(self, user="edge", word="s3cret"):
        return {"username": user, "password": word}

    def loaded(self):
        self.good(None, "load", "-i", self.folder + "/image.tar")
        return self.digest[7:]

    def pushed(self, player):
        """All of the image, byte for byte."""
        with open(self.layout + "/blobs/" + self.digest.replace(":", "/")) as f:
            m = json.load(f)
        self.assertEqual(player.unused(), [])
        self.assertEqual(set(player.got), {"1", m["config"]["digest"],
                                           *(x["digest"] for x in m["layers"])})
        self.assertEqual("sha256:" + sha(player.got["1"]), self.digest)

    def test_hub_pull(self):
        p = self.play("hub-pull")
        for _ in range(2):
            self.assertEqual(self.good(p, "pull", "three:1").stdout.strip(), self.digest[7:])
        self.assertEqual(p.unused(), [])

    def test_hub_limit(self):
        self.bad(self.play("hub-limit"), "pull", "three:1",
                 words=("TOOMANYREQUESTS", "pull rate limit", "HTTP 429"))

    def test_hub_password(self):
        self.bad(self.play("hub-password"), "pull", "three:1", host="docker.io",
                 login=self.edge(word="wrong"),
                 words=("incorrect username or password", "limpet login"))

    def test_hub_push_with_an_identity_token(self):
        p = self.play("hub-push")
        self.good(p, "push", self.loaded(), "edge/three:1", host="docker.io",
                  login={"auth": "ZWRnZTo=", "identitytoken": "dckr_identity/+="})
        self.pushed(p)

    def test_hub_denied(self):
        self.bad(self.play("hub-denied"), "push", self.loaded(), "three:1", host="docker.io",
                 login=self.edge(), words=("DENIED", "limpet login docker.io as somebody"))

    def test_ghcr_pull(self):
        p = self.play("ghcr-pull")
        self.good(p, "pull", "ghcr.io/edge/three:1", host="ghcr.io", login=self.edge())
        self.assertEqual(p.unused(), [])

    def test_ghcr_private(self):
        self.bad(self.play("ghcr-private"), "pull", "ghcr.io/edge/three:1",
                 words=("UNAUTHORIZED", "limpet login first"))

    def test_ghcr_push(self):
        p = self.play("ghcr-push")
        self.good(p, "push", "--from", "ghcr.io/edge/three:1", self.loaded(),
                  "ghcr.io/edge/other:1", host="ghcr.io", login=self.edge())
        self.pushed(p)

    def test_ghcr_denied(self):
        self.bad(self.play("ghcr-denied"), "push", self.loaded(), "ghcr.io/edge/other:1",
                 host="ghcr.io", login=self.edge(),
                 words=("DENIED", "expected scopes", "limpet login ghcr.io as somebody"))

    def test_quay_pull(self):
        p = self.play("quay-pull")
        self.good(p, "pull", "quay.io/org/three:1", host="quay.io", login=self.edge("org+robot"))
        self.assertEqual(p.unused(), [])

    def test_quay_password(self):
        self.bad(self.play("quay-password"), "pull", "quay.io/org/three:1", host="quay.io",
                 login=self.edge("org+robot", "wrong"), words=("Could not find robot", "limpet login"))

    def test_quay_push(self):
        p = self.play("quay-push")
        self.good(p, "push", self.loaded(), "quay.io/org/three:1", host="quay.io",
                  login=self.edge("org+robot"))
        self.pushed(p)

    def test_resume(self):
        """One PATCH fails after 100 bytes: they are not sent again."""
        hex_ = self.loaded()
        with open(self.layout + "/blobs/" + self.digest.replace(":", "/")) as f:
            m = json.load(f)
        blobs = [m["config"], *m["layers"]]
        big = max(blobs, key=lambda x: x["size"])
        p = self.play("resume", big=big["digest"], last=str(big["size"] - 1))
        self.good(p, "push", hex_, "quay.io/org/three:1")
        self.assertEqual(p.unused(), [])
        self.assertEqual(len(p.got[big["digest"]]), big["size"])


if __name__ == "__main__":
    harness.main()
