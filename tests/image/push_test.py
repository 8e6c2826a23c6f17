#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushing: what a registry has afterwards is what was pulled, loaded or tagged,
byte for byte; with each kind of authentication, and through broken links."""
import http.client
import json
import os
import pty
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import harness
import registry
from ocikit import Layout, docker_archive, entry, oci_archive, sha, tar

if registry.missing():
    print("SKIP: %s is not installed" % registry.missing())
    sys.exit(77)

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NOISE = random.Random(8).randbytes(3 << 20)
LAYERS = (tar(entry("etc", "dir"), entry("etc/a", data=b"a")),
          tar(entry("big", data=NOISE)), tar(entry("last", data=b"last")))


def process_tree(pid):
    """{name: status} of a process and its children that are alive."""
    found = {}
    for d in os.listdir("/proc"):
        try:
            with open("/proc/%s/status" % d) as f:
                text = f.read()
        except OSError:
            continue
        if ("\nPid:\t%d\n" % pid in text or "\nPPid:\t%d\n" % pid in text) and \
                "State:\tZ" not in text:
            found[text.split()[1]] = text
    return found


class Push(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="limpet-push-test.")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.here = registry.Registry(cls.folder + "/here")
        cls.addClassCleanup(cls.here.stop)
        cls.there = registry.Registry(cls.folder + "/there")
        cls.addClassCleanup(cls.there.stop)
        cls.layout = Layout(cls.folder + "/image").image(*LAYERS).path
        cls.here.push(cls.layout, "public/three:1")
        cls.source = cls.here.host + "/public/three:1"
        cls.both = cls.make_index(cls.folder + "/both")
        cls.here.push(cls.both, "public/both:1", "--all")

    @staticmethod
    def make_index(path):
        """Two platforms that share a layer, and an attestation."""
        l = Layout(path)
        kids = [l.manifest(LAYERS[:2] + (tar(entry(a, data=a.encode())),), arch=a)
                for a in ("amd64", "arm64")]
        for d, a in zip(kids, ("amd64", "arm64")):
            d["platform"] = {"os": "linux", "architecture": a}
        note = l.blob(b'{"in-toto": 1}', "application/vnd.in-toto+json")
        kids.append(l.blob({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [note],
                            "config": l.blob({"os": "unknown", "architecture": "unknown"},
                                             "application/vnd.oci.image.config.v1+json")},
                           MANIFEST))
        kids[-1]["platform"] = {"os": "unknown", "architecture": "unknown"}
        index = l.blob({"schemaVersion": 2, "mediaType": INDEX, "manifests": kids}, INDEX)
        l.add(index, "both")
        return path

    def image(self, verb, *args, auth=None, env=None):
        env = dict(os.environ, HOME=self.dir, LIMPET_BACKOFF_MS="30", **env or {})
        for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
            env.pop(name, None)
        if auth:
            env["REGISTRY_AUTH_FILE"] = auth
        return subprocess.run([harness.PROGRAM, verb, "--root", self.root, "--arch", "amd64", *args],
                              capture_output=True, text=True, timeout=300, env=env,
                              check=False)

    def pulled(self, ref=None, *flags):
        p = self.image("pull", "-q", *flags, ref or self.source)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout.strip()

    def pushed(self, hex_, to, *flags, **kw):
        p = self.image("push", *flags, hex_, to, **kw)
        self.assertEqual(p.returncode, 0, p.stderr)
        if "-q" not in flags:
            self.assertRegex(p.stdout, "^[^ ]+: digest: sha256:%s size: [0-9]+\n$" % hex_)
        return p

    def refused(self, hex_, to, *words, flags=(), **kw):
        p = self.image("push", *flags, hex_, to, **kw)
        self.assertEqual((p.returncode, p.stdout), (125, ""), p.stderr)
        line = p.stderr.rstrip("\n").split("\n")[-1]
        self.assertTrue(line.startswith("limpet-image: " + to), p.stderr)
        for word in words:
            self.assertIn(word, line)
        return p

    def manifest(self, reg, name, tag):
        c = http.client.HTTPConnection("127.0.0.1", reg.port)
        c.request("GET", "/v2/%s/manifests/%s" % (name, tag),
                  headers={"Accept": "%s, %s" % (INDEX, MANIFEST)})
        r = c.getresponse()
        body = r.read()
        c.close()
        return r.status, r.getheader("Content-Type"), body

    def same(self, reg, name, tag, hex_):
        """The registry's copy is the one with this digest, and complete."""
        status, type_, body = self.manifest(reg, name, tag)
        self.assertEqual((status, sha(body)), (200, hex_), body[:300])
        self.assertEqual(type_, json.loads(body).get("mediaType", MANIFEST))
        out = tempfile.mkdtemp(dir=self.dir)
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--all", "--preserve-digests",
                        "--src-tls-verify=false", "docker://%s/%s:%s" % (reg.host, name, tag),
                        "oci:%s:x" % out], check=True, timeout=300)
        with open(out + "/index.json") as f:
            self.assertEqual(json.load(f)["manifests"][0]["digest"], "sha256:" + hex_)
        return out

    def proxy(self, fault, upstream=None):
        p = registry.FaultProxy(upstream or self.there)
        p.fault = fault
        self.addCleanup(p.stop)
        return p


class Plain(Push):
    def test_kept_blobs(self):
        hex_ = self.pulled(None, "--keep-blobs")
        p = self.pushed(hex_, self.there.host + "/a/kept:2")
        self.assertIn("The push refers to repository [%s/a/kept]" % self.there.host, p.stderr)
        self.assertEqual(p.stderr.count(": Pushed\n"), 4)
        out = self.same(self.there, "a/kept", "2", hex_)
        if shutil.which("umoci"):
            subprocess.run(["umoci", "unpack", "--rootless", "--image", out + ":x",
                            self.dir + "/bundle"], check=True, stdout=subprocess.DEVNULL,
                           timeout=300)
            with open(self.dir + "/bundle/rootfs/big", "rb") as f:
                self.assertEqual(f.read(), NOISE)
        p = self.pushed(hex_, self.there.host + "/a/kept:3")
        self.assertEqual(p.stderr.count(": Layer already exists\n"), 4)
        p = self.pushed(hex_, self.there.host + "/a/kept:3", "-q")
        self.assertEqual((p.stdout, p.stderr), (self.there.host + "/a/kept:3\n", ""))

    def test_streamed(self):
        """No layer is here: it goes from one registry to the other, and the
        store stays as it was."""
        hex_ = self.pulled()
        before = self.store_files()
        p = self.pushed(hex_, self.there.host + "/a/streamed", "--from", self.source)
        self.assertIn("latest: digest", p.stdout)
        self.assertEqual(p.stderr.count(": Pushed\n"), 4)
        self.assertEqual(self.store_files(), before)
        self.same(self.there, "a/streamed", "latest", hex_)

    def test_mounted(self):
        hex_ = self.pulled()
        before = len(self.here.requests())
        p = self.pushed(hex_, self.here.host + "/other/three:1", "--from", self.source)
        self.assertEqual(p.stderr.count(": Mounted from public/three\n"), 4)
        self.assertEqual([r for r in self.here.requests()[before:] if r.startswith("PATCH")], [])
        self.same(self.here, "other/three", "1", hex_)

    def test_mount_refused(self):
        """A registry that cannot mount opens a session, or says no."""
        def fault(h, path, n):
            if "mount=" not in path:
                return False
            if h.command == "POST" and answer:
                return h.say(answer)
            h.path = path.split("?")[0]
            return False
        hex_ = self.pulled()
        for answer in (0, 405):
            p = self.proxy(fault, self.here)
            # The same registry by its name, another way to it.
            source = p.host + "/public/three:1"
            self.pushed(hex_, "%s/again/n%d:1" % (p.host, answer), "--from", source)
            self.same(self.here, "again/n%d" % answer, "1", hex_)

    def test_not_here(self):
        """Neither blobs nor where they are: a message, and nothing is tagged."""
        hex_ = self.pulled()
        self.refused(hex_, self.there.host + "/a/none:1", "neither there nor in the store",
                     "--keep-blobs")
        self.assertEqual(self.manifest(self.there, "a/none", "1")[0], 404)
        dead = "127.0.0.1:%d/x/y:1" % registry.dead_port()
        self.refused(hex_, self.there.host + "/a/none:1", "fetching what the store lacks",
                     flags=("--from", dead))
        self.refused("0" * 64, self.there.host + "/a/none:1", "not in the store")

    def test_all_platforms(self):
        hex_ = self.pulled(self.here.host + "/public/both:1", "--platform", "linux/amd64")
        with open(self.both + "/index.json") as f:
            index = json.load(f)["manifests"][0]["digest"][7:]
        self.assertNotEqual(hex_, index)
        p = self.pushed(index, self.there.host + "/a/both:1", "--from",
                        self.here.host + "/public/both:1")
        self.assertEqual(p.stderr.count(": Pushed\n"), 4 + 2 + 2)
        self.same(self.there, "a/both", "1", index)
        p = self.pushed(hex_, self.there.host + "/a/both:amd64")
        self.assertEqual(p.stderr.count(": Layer already exists\n"), 4)
        self.same(self.there, "a/both", "amd64", hex_)

    def test_loaded(self):
        """docker-archives have no manifest; ours is pushed as it was made."""
        docker_archive(self.dir + "/d.tar", LAYERS, tags=("x/d:1",))
        oci_archive(Layout(self.dir + "/l").image(*LAYERS, tag="y/o:1"), self.dir + "/o.tar")
        for name, n in (("d", 4), ("o", 4)):
            p = self.image("load", "-i", "%s/%s.tar" % (self.dir, name))
            self.assertEqual(p.returncode, 0, p.stderr)
            [hex_] = [x[:-5] for x in os.listdir(self.root + "/images")]
            p = self.pushed(hex_, self.there.host + "/loaded/" + name)
            self.assertEqual(p.stderr.count(": Pushed\n"), n)
            self.same(self.there, "loaded/" + name, "latest", hex_)
            shutil.rmtree(self.root)

    def test_schema_2(self):
        """docker's media types stay."""
        self.here.push(self.layout, "public/docker:1", "--format", "v2s2")
        hex_ = self.pulled(self.here.host + "/public/docker:1")
        self.pushed(hex_, self.there.host + "/a/docker:1", "--from",
                    self.here.host + "/public/docker:1")
        c = http.client.HTTPConnection("127.0.0.1", self.there.port)
        c.request("GET", "/v2/a/docker/manifests/1", headers={
            "Accept": "application/vnd.docker.distribution.manifest.v2+json"})
        r = c.getresponse()
        self.assertEqual(sha(r.read()), hex_)
        self.assertIn("distribution.manifest.v2", r.getheader("Content-Type"))
        c.close()

    def test_each_authentication(self):
        for auth in ("basic", "token"):
            with self.subTest(auth):
                r = registry.Registry("%s/%s" % (self.dir, auth), auth, tls=True)
                self.addCleanup(r.stop)
                hex_ = self.pulled()
                ref, tls = r.host + "/private/three:1", ("--cert-dir", r.folder + "/trust")
                from_ = ("--from", self.source)
                self.refused(hex_, ref, "certificate", flags=from_, auth=r.auth_file)
                self.refused(hex_, ref, "limpet login " + r.host, flags=from_ + tls)
                bad = self.dir + "/bad.json"
                with open(bad, "w") as f:
                    json.dump({"auths": {r.host: {"username": "edge", "password": "x"}}}, f)
                self.refused(hex_, ref, "login", flags=from_ + tls, auth=bad)
                self.pushed(hex_, ref, *from_, *tls, auth=r.auth_file)
                self.pushed(hex_, r.host + "/private/other:1", "--from", ref,
                            "--tls-verify=false", auth=r.auth_file)
                shutil.rmtree(self.root)
                env = dict(os.environ, REGISTRY_AUTH_FILE=r.auth_file)
                for name in ("three", "other"):
                    p = subprocess.run(["skopeo", "inspect", "--raw", "--cert-dir",
                                        r.folder + "/trust", "docker://%s/private/%s:1"
                                        % (r.host, name)], env=env, capture_output=True,
                                       timeout=300, check=True)
                    self.assertEqual(sha(p.stdout), hex_)

    def test_confined(self):
        """While bytes go out: who reads documents is gone, and who has the
        network can get no more rights."""
        hex_ = self.pulled()
        names, confined = set(), []

        def settled():
            tree = process_tree(p.pid)
            names.update(tree)
            return len(tree) == 2 and all(
                re.search(r"\nNoNewPrivs:\t1\n", status) and
                re.search(r"\nCapEff:\t0000000000000[04]0?[04]\n", status)
                for status in tree.values())

        def fault(h, path, n):
            # Who fetches layers confines itself when it is asked for the first.
            end = time.monotonic() + 10
            while h.command == "PATCH" and not confined and time.monotonic() < end:
                if settled():
                    confined.append(path)
                time.sleep(0.02)
            return False
        ref = self.proxy(fault).host + "/a/confined:1"
        p = subprocess.Popen([harness.PROGRAM, "push", "--root", self.root, "--from", self.source,
                              hex_, ref], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertEqual(p.wait(300), 0)
        self.assertEqual(names, {"limpet-image", "limpet-fetch"})
        self.assertTrue(confined)

    def test_nobody_there(self):
        hex_ = self.pulled()
        self.refused(hex_, "127.0.0.1:%d/x/y:1" % registry.dead_port(), "connect")
        self.refused(hex_, self.there.host + "/a/b@sha256:" + "1" * 64, "digest")
        for name, word in (("/Bad:1", "lower case"), ("/a b:1", "odd"), ("/a//b:1", ""),
                           ("/a:" + "t" * 129, "tag"), ("/" + "a" * 300, ""), ("/../x", ""),
                           ("/a\n:1", "odd"), ("/a:b:c", "")):
            before = len(self.there.requests())
            p = self.image("push", hex_, self.there.host + name)
            self.assertEqual((p.returncode, p.stdout, p.stderr.count("\n")), (125, "", 1), p)
            self.assertIn(word, p.stderr)
            self.assertEqual(len(self.there.requests()), before)

    def test_bounded_memory(self):
        hex_ = self.pulled()
        code, text, peak = harness.peak_kib([
            harness.PROGRAM, "push", "--root", self.root, "--limit-rate", "4M", "--from",
            self.source, hex_, self.there.host + "/a/mem:1"])
        self.assertEqual(code, 0, text)
        self.assertTrue(1000 < peak < 64 << 10 or harness.SANITIZED, peak)


class Commands(Push):
    """limpet push, which resolves names and finds where an image came from."""
    LIMPET = os.path.dirname(harness.PROGRAM) + "/limpet"

    def limpet(self, verb, *args, ok=True):
        env = dict(os.environ, HOME=self.dir, LIMPET_ROOT=self.root, LIMPET_BACKOFF_MS="30",
                   LIMPET_LIBEXEC=os.path.dirname(harness.PROGRAM))
        p = subprocess.run([self.LIMPET, verb, *args], env=env, capture_output=True, text=True,
                           timeout=300, check=False)
        self.assertEqual(p.returncode == 0, ok, p.stderr)
        return p.stdout if ok else p.stderr

    def test_names(self):
        there = self.there.host
        hex_ = self.limpet("pull", "-q", self.source).strip()
        self.assertIn("3: digest: sha256:" + hex_,
                      self.limpet("push", self.source, there + "/n/dest:3"))
        self.same(self.there, "n/dest", "3", hex_)
        self.limpet("tag", self.source, there + "/n/tagged")
        self.assertEqual(self.limpet("push", "-q", there + "/n/tagged"),
                         there + "/n/tagged:latest\n")
        self.same(self.there, "n/tagged", "latest", hex_)
        self.limpet("push", hex_[:12], there + "/n/id:1")
        self.same(self.there, "n/id", "1", hex_)
        self.assertIn("say where to", self.limpet("push", hex_[:12], ok=False))
        self.assertIn("No such image", self.limpet("push", "nothing", ok=False))
        self.assertIn("digest reference", self.limpet(
            "push", self.source, there + "/n/x@sha256:" + hex_, ok=False))
        self.assertIn("name each tag", self.limpet("push", "-a", self.source, ok=False))

    def test_without_its_origin(self):
        """Untagged from where it came: it cannot be fetched, and that is said."""
        there = self.there.host + "/n/orphan:1"
        self.limpet("pull", "-q", self.source)
        self.limpet("tag", self.source, there)
        self.limpet("rmi", self.source)
        self.assertIn("--keep-blobs", self.limpet("push", there, ok=False))
        hex_ = self.limpet("pull", "-q", "--keep-blobs", self.source).strip()
        self.limpet("rmi", self.source)
        self.limpet("push", there)
        self.same(self.there, "n/orphan", "1", hex_)

    def test_layout(self):
        self.image("ensure", "oci:" + self.layout)
        self.assertIn("say where to", self.limpet("push", "oci:" + self.layout, ok=False))
        self.limpet("push", "oci:" + self.layout, self.there.host + "/n/layout:1")
        with open(self.layout + "/index.json") as f:
            hex_ = json.load(f)["manifests"][0]["digest"][7:]
        self.same(self.there, "n/layout", "1", hex_)

    def test_all_platforms(self):
        both = self.here.host + "/public/both:1"
        hex_ = self.limpet("pull", "-q", both).strip()
        self.limpet("push", both, self.there.host + "/n/one:1")
        self.same(self.there, "n/one", "1", hex_)
        self.limpet("push", "--all-platforms", both, self.there.host + "/n/both:1")
        with open(self.both + "/index.json") as f:
            self.same(self.there, "n/both", "1", json.load(f)["manifests"][0]["digest"][7:])

    def test_progress_on_a_terminal(self):
        """A bar per layer where somebody looks."""
        self.limpet("pull", "-q", self.source)
        env = dict(os.environ, LIMPET_ROOT=self.root,
                   LIMPET_LIBEXEC=os.path.dirname(harness.PROGRAM))
        ours, theirs = pty.openpty()
        p = subprocess.Popen([self.LIMPET, "push", "--limit-rate", "1M", self.source,
                              self.there.host + "/n/bars:1"], stderr=theirs, env=env,
                             stdout=subprocess.DEVNULL)
        os.close(theirs)
        text = b""
        try:
            while True:
                text += os.read(ours, 65536)
        except OSError:
            os.close(ours)
        self.assertEqual(p.wait(300), 0, text)
        self.assertRegex(text.decode(), r"[0-9a-f]{12}: Pushing \[=+>")
        self.assertIn(": Pushed", text.decode())


class Faults(Push):
    def push(self, fault, name, streamed=True, ok=True, words=()):
        hex_ = self.pulled(None, *([] if streamed else ["--keep-blobs"]))
        p = self.proxy(fault)
        ref = "%s/%s:1" % (p.host, name)
        flags = ("--from", self.source) if streamed else ()
        if ok:
            out = self.pushed(hex_, ref, *flags)
            self.same(self.there, name, "1", hex_)
        else:
            out = self.refused(hex_, ref, *words, flags=flags)
        return p, out

    def test_cut_uploads(self):
        """Each body ends early, from a file and from the other registry."""
        for streamed in (False, True):
            def fault(h, path, n):
                size = int(h.headers.get("Content-Length", 0))
                if h.command != "PATCH" or size < 100000:
                    return False
                h.server.cuts = getattr(h.server, "cuts", 0) + 1
                return h.server.cuts <= 2 and h.cut_upload(70000 * h.server.cuts)
            p, _ = self.push(fault, "cut/s%d" % streamed, streamed)
            self.assertGreaterEqual(p.server.cuts, 3)

    def test_cut_source(self):
        """The registry that it comes from breaks off in the middle."""
        source = self.proxy(lambda h, path, n: "/blobs/" in path and n <= 2 and
                            h.forward(cut=70000 * n), self.here)
        hex_ = self.pulled()
        self.pushed(hex_, self.there.host + "/cut/source:1", "--from",
                    source.host + "/public/three:1")
        self.same(self.there, "cut/source", "1", hex_)
        self.assertIn("bytes=70000-", [h.get("Range") for _, _, h in source.seen])

    def test_source_corrupts(self):
        """What arrives wrong is refused there, and sent once more."""
        def once(h, path, n):
            return "/blobs/" in path and n == 1 and h.forward(
                change=lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:])

        def always(h, path, n):
            return "/blobs/" in path and h.forward(
                change=lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:])
        hex_ = self.pulled()
        ref = self.proxy(once, self.here).host + "/public/three:1"
        self.pushed(hex_, self.there.host + "/corrupt/once:1", "--from", ref)
        self.same(self.there, "corrupt/once", "1", hex_)
        ref = self.proxy(always, self.here).host + "/public/three:1"
        self.refused(hex_, self.there.host + "/corrupt/always:1", "DIGEST_INVALID", "--keep-blobs",
                     flags=("--from", ref))
        self.assertEqual(self.manifest(self.there, "corrupt/always", "1")[0], 404)

    def test_lost_answers(self):
        """The registry did it, and the answer was lost."""
        for verb in ("PUT", "PATCH", "POST"):
            lost = []

            def fault(h, path, n):
                if h.command != verb or lost:
                    return False
                lost.append(path)
                h.fetch()
                h.connection.close()
                return True
            self.push(fault, "lost/" + verb.lower())
            self.assertEqual(len(lost), 1)

    def test_busy(self):
        """The first two requests of each kind meet a registry with other work."""
        for status, more in ((429, {"Retry_After": "1"}), (503, {})):
            seen = []

            def fault(h, path, n):
                seen.append(h.command)
                return seen.count(h.command) <= 2 and h.say(status, **more)
            self.push(fault, "busy/n%d" % status)
        text = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'
        self.push(lambda h, path, n: h.command == "POST" and h.say(429, text), "busy/always",
                  ok=False, words=("TOOMANYREQUESTS", "try again later"))

    def test_refusals(self):
        def says(verb, status, code):
            text = json.dumps({"errors": [{"code": code, "message": "why not"}]}).encode()
            return lambda h, path, n: h.command == verb and h.say(status, text)
        for i, (verb, status, code, word) in enumerate((
                ("POST", 403, "DENIED", "limpet login 127.0.0.1"),
                ("POST", 401, "UNAUTHORIZED", "limpet login 127.0.0.1"),
                ("POST", 404, "NAME_UNKNOWN", "make the repository"),
                ("POST", 405, "UNSUPPORTED", "nobody can push there"),
                ("PATCH", 413, "SIZE", "nothing that large"),
                ("PUT", 400, "MANIFEST_BLOB_UNKNOWN", "push again"))):
            self.push(says(verb, status, code), "no/n%d" % i, ok=False,
                      words=(code, "why not", "HTTP %d" % status, word))

    def test_endless_error(self):
        def fault(h, path, n):
            if h.command != "POST":
                return False
            h.send_response(403)
            h.end_headers()
            while True:
                h.wfile.write(b" " * 65536)
        self.push(fault, "odd/endless", ok=False, words=("access denied", "HTTP 403"))

    def test_odd_addresses(self):
        for where in ("", "ftp://x/y", "http://", "/" + "a" * 5000):
            self.push(lambda h, path, n, w=where: h.command == "POST" and h.say(202, Location=w),
                      "odd/address", ok=False)

    def test_other_digest(self):
        fault = lambda h, path, n: "/manifests/" in path and h.command == "PUT" and h.say(
            201, Docker_Content_Digest="sha256:" + "2" * 64)
        self.push(fault, "odd/digest", ok=False, words=("stored", "2" * 64))

    def test_endless_redirects(self):
        self.push(lambda h, path, n: h.say(307, Location=path), "odd/loop", ok=False,
                  words=("redirects",))

    def test_credentials_stay(self):
        """Uploads may go to another address; what we log in with may not."""
        seen = []

        def fault(h, path, n):
            seen.append(h.headers.get("Authorization"))
            return False
        storage = self.proxy(fault)
        here = storage.host

        def challenge(h, path, n):
            if not h.headers.get("Authorization"):
                return h.say(401, WWW_Authenticate='Basic realm="x"')
            if h.command != "POST":
                return False
            r, _ = h.fetch()
            there = r.getheader("Location")
            return h.say(202, Location="http://" + here + "/" + there.split("/", 3)[3])
        hex_ = self.pulled()
        p = self.proxy(challenge)
        auth = self.dir + "/auth.json"
        with open(auth, "w") as f:
            json.dump({"auths": {p.host: {"username": "edge", "password": "s3cret"}}}, f)
        self.pushed(hex_, p.host + "/odd/storage:1", "--from", self.source, auth=auth)
        self.same(self.there, "odd/storage", "1", hex_)
        self.assertEqual(set(seen), {None})

    def test_damaged_store(self):
        hex_ = self.pulled(None, "--keep-blobs")
        big = max((self.root + "/blobs/" + x for x in os.listdir(self.root + "/blobs")),
                  key=os.path.getsize)
        os.chmod(big, 0o600)
        with open(big, "r+b") as f:
            f.seek(1000)
            f.write(b"wrong")
        self.refused(hex_, self.there.host + "/damaged/a:1", "DIGEST_INVALID", "damaged")
        with open(big, "r+b") as f:
            f.truncate(5000)
        self.refused(hex_, self.there.host + "/damaged/a:1", "nor in the store")


if __name__ == "__main__":
    harness.main()
