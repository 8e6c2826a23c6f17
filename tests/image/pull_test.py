#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pulling: real registries, all kinds of authentication, and everything that
goes wrong on the way (a proxy that misbehaves on purpose)."""
import json
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
from ocikit import Layout, entry, sha, tar

if registry.missing():
    print("SKIP: %s is not installed" % registry.missing())
    sys.exit(77)

NOISE = random.Random(7).randbytes(3 << 20)
LAYERS = (tar(entry("etc", "dir"), entry("etc/passwd", data=b"root:x:0:0::/:/bin/sh\n")),
          tar(entry("big", data=NOISE), entry("small", data=b"small")),
          tar(entry("etc/.wh.passwd"), entry("last", data=b"last")))


class Pull(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="limpet-pull-test.")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.plain = registry.Registry(cls.folder + "/plain")
        cls.addClassCleanup(cls.plain.stop)
        cls.layout = Layout(cls.folder + "/image").image(*LAYERS).path
        cls.plain.push(cls.layout, "public/three:1")
        cls.want = None

    def pull(self, ref, *flags, auth=None, **kw):
        env = dict(os.environ, HOME=self.dir, LIMPET_BACKOFF_MS="50", **kw.pop("env", {}))
        env.pop("REGISTRY_AUTH_FILE", None)
        env.pop("DOCKER_CONFIG", None)
        env.pop("XDG_RUNTIME_DIR", None)
        if auth:
            env["REGISTRY_AUTH_FILE"] = auth
        return self.run_image("pull", *flags, ref, env=env, **kw)

    def pulled(self, ref, *flags, **kw):
        p = self.pull(ref, *flags, **kw)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertRegex(p.stdout, "^[0-9a-f]{64}\n$")
        return p

    def fails(self, ref, *words, **kw):
        """One line at the end with all words, nothing half-made."""
        p = self.pull(ref, *kw.pop("flags", ()), **kw)
        self.assertEqual((p.returncode, p.stdout), (125, ""), p.stderr)
        line = p.stderr.rstrip("\n").split("\n")[-1]
        self.assertTrue(line.startswith("limpet-image: "), p.stderr)
        for word in words:
            self.assertIn(word, line)
        if "root" not in kw:
            self.assertEqual([f for f in self.store_files()
                              if not f.startswith("layers/")], [])
        return p

    def proxy(self, fault):
        p = registry.FaultProxy(self.plain)
        p.fault = fault
        self.addCleanup(p.stop)
        return p

    def digest(self, name="public/three", tag="1"):
        import http.client
        c = http.client.HTTPConnection("127.0.0.1", self.plain.port)
        c.request("HEAD", "/v2/%s/manifests/%s" % (name, tag), headers={
            "Accept": "application/vnd.oci.image.manifest.v1+json"})
        digest = c.getresponse().getheader("Docker-Content-Digest")
        c.close()
        return digest


class Registries(Pull):
    def test_same_as_from_the_layout(self):
        """The store's files do not depend on how the image came in."""
        hex_ = self.pulled(self.plain.host + "/public/three:1").stdout.strip()
        mine = self.contents()
        self.root = self.dir + "/other"
        self.assertEqual(self.ensure("oci:" + self.layout), hex_)
        self.assertEqual(mine, self.contents())

    def contents(self):
        found = {}
        for name in self.store_files():
            with open(self.root + "/" + name, "rb") as f:
                found[name] = sha(f.read())
        return {k: v for k, v in found.items() if not k.startswith("refs/")}

    def test_second_pull(self):
        ref = self.plain.host + "/public/three:1"
        self.pulled(ref)
        before = len(self.plain.requests())
        p = self.pulled(ref)
        self.assertIn("up to date", p.stderr)
        self.assertLessEqual(len(self.plain.requests()) - before, 2)

    def test_run_form_says_what_it_did(self):
        ref = self.plain.host + "/public/three:1"
        p = self.run_image("ensure", ref)
        self.assertEqual(p.stderr.count(": Pull complete\n"), 3)
        self.assertIn("Status: Downloaded newer image for " + ref, p.stderr)
        self.assertEqual(self.run_image("ensure", ref).stderr, "")

    def test_run_form_needs_no_network_twice(self):
        ref = self.plain.host + "/public/three:1"
        hex_ = self.ensure_quiet(ref)
        before = len(self.plain.requests())
        self.assertEqual(self.ensure_quiet(ref), hex_)
        self.assertEqual(len(self.plain.requests()), before)

    def ensure_quiet(self, ref):
        p = self.run_image("ensure", "-q", ref)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        return p.stdout.strip()

    def test_layers_are_shared(self):
        more = Layout(self.dir + "/more").image(*LAYERS, tar(entry("x", data=b"x"))).path
        self.plain.push(more, "public/four:1")
        self.pulled(self.plain.host + "/public/three:1")
        before = len(self.plain.requests())
        p = self.pulled(self.plain.host + "/public/four:1")
        self.assertEqual(p.stderr.count("Already exists"), 3)
        fetched = [r for r in self.plain.requests()[before:] if "/blobs/" in r]
        self.assertEqual(len(fetched), 2)  # configuration and one layer

    def test_by_digest(self):
        d = self.digest()
        p = self.pulled(self.plain.host + "/public/three@" + d)
        self.assertEqual(p.stdout.strip(), d[7:])
        self.fails(self.plain.host + "/public/three@sha256:" + "0" * 64, "not found",
                   root=self.dir + "/s2")

    def test_basic_and_token_over_tls(self):
        for auth in ("basic", "token"):
            with self.subTest(auth):
                r = registry.Registry("%s/%s" % (self.dir, auth), auth, tls=True)
                self.addCleanup(r.stop)
                r.push(self.layout, "private/three:1")
                ref = r.host + "/private/three:1"
                tls = ("--cert-dir", r.folder + "/trust")
                self.fails(ref, "certificate", "/etc/docker/certs.d", "--tls-verify")
                self.fails(ref, "login", flags=tls)
                bad = self.dir + "/bad.json"
                with open(bad, "w") as f:
                    json.dump({"auths": {r.host: {"username": "edge", "password": "x"}}}, f)
                self.fails(ref, "denied" if auth == "basic" else "refused", flags=tls, auth=bad)
                self.pulled(ref, *tls, auth=r.auth_file)
                self.pulled(ref, "--tls-verify=false", auth=r.auth_file)
                before = len(r.requests())
                asked = r.tokens.asked if r.tokens else 0
                p = self.pulled(ref, *tls, auth=r.auth_file)
                self.assertIn("up to date", p.stderr)
                trips = len(r.requests()) - before + (r.tokens.asked if r.tokens else 0) - asked
                self.assertLessEqual(trips, 2)
                shutil.rmtree(self.root)

    def test_public_part_of_a_token_registry(self):
        r = registry.Registry(self.dir + "/r", "token")
        self.addCleanup(r.stop)
        r.push(self.layout, "public/three:1")
        self.pulled(r.host + "/public/three:1")
        r.tokens.answer = 200, b'{"token": "no\\nheader"}'
        self.fails(r.host + "/public/three:2", "token", root=self.dir + "/s2")
        r.tokens.answer = 200, b"<html>"
        self.fails(r.host + "/public/three:2", "token", root=self.dir + "/s3")

    def test_docker_config_and_helper(self):
        r = registry.Registry(self.dir + "/r", "basic")
        self.addCleanup(r.stop)
        r.push(self.layout, "a/three:1")
        os.makedirs(self.dir + "/.docker")
        config = self.dir + "/.docker/config.json"
        shutil.copy(r.auth_file, config)
        self.pulled(r.host + "/a/three:1")
        shutil.rmtree(self.root)
        with open(self.dir + "/docker-credential-toy", "w") as f:
            f.write('#!/bin/sh\nread host; [ "$1" = get ] || exit 1\n'
                    '[ "$host" = %s ] || { echo credentials not found; exit 1; }\n'
                    'echo \'{"Username":"edge","Secret":"s3cret"}\'\n' % r.host)
        os.chmod(self.dir + "/docker-credential-toy", 0o755)
        with open(config, "w") as f:
            json.dump({"credHelpers": {r.host: "toy"}}, f)
        self.pulled(r.host + "/a/three:1",
                    env={"PATH": self.dir + ":" + os.environ["PATH"]})
        with open(config, "w") as f:
            f.write("{")
        self.fails(r.host + "/a/three:1", ".docker/config.json", root=self.dir + "/s2")

    def test_bad_certificates(self):
        """Expired, and somebody else's: no advice to trust a CA helps there."""
        r = registry.Registry(self.dir + "/r", tls=True)
        r.stop()
        for how, word in (({"days": -1}, "expired"), ({"names": "DNS:x.example"}, "subject name")):
            registry.make_certs(r.folder + "/certs", **how)
            shutil.copy(r.folder + "/certs/ca.crt", r.folder + "/trust/ca.crt")
            self.assertTrue(r.start())
            self.addCleanup(r.stop)
            self.fails(r.host + "/public/three:1", word, "--tls-verify",
                       flags=("--cert-dir", r.folder + "/trust"))
            r.stop()

    def test_mirrors(self):
        other = registry.Registry(self.dir + "/mirror")
        self.addCleanup(other.stop)
        other.push(self.layout, "library/three:1")
        config = self.dir + "/registries.json"
        dead = "http://127.0.0.1:%d" % registry.dead_port()
        with open(config, "w") as f:
            json.dump({"docker.io": {"mirrors": [dead, "http://" + other.host]}}, f)
        self.pulled("three:1", env={"LIMPET_REGISTRIES": config})
        with open(config, "w") as f:
            json.dump({"docker.io": {"mirrors": ["ftp://x"]}}, f)
        self.fails("three:1", config, env={"LIMPET_REGISTRIES": config}, root=self.dir + "/s2")

    def test_wrong_platform(self):
        self.fails(self.plain.host + "/public/three:1", "linux/arm64", "linux/amd64",
                   arch="arm64")

    def test_nobody_there(self):
        self.fails("127.0.0.1:%d/x/y" % registry.dead_port(), "connect")
        self.fails(self.plain.host + "/public/none:1", "not found")
        self.fails(self.plain.host + "/public/three:9", "not found", "public/three:9")


class Faults(Pull):
    def layer(self, path):
        return "/blobs/" in path

    def test_cut_connections_resume(self):
        """Every body ends early, twice; what came is not asked for again."""
        def fault(h, path, n):
            return self.layer(path) and n <= 2 and h.forward(cut=70000 * n)
        p = self.proxy(fault)
        self.pulled(p.host + "/public/three:1")
        ranges = [h.get("Range") for _, path, h in p.seen if h.get("Range")]
        self.assertIn("bytes=70000-", ranges)

    def test_ranges_ignored(self):
        def fault(h, path, n):
            if self.layer(path):
                del h.headers["Range"]
                return n == 1 and h.forward(cut=100000)
            return False
        self.pulled(self.proxy(fault).host + "/public/three:1")

    def test_corruption(self):
        def once(h, path, n):
            return self.layer(path) and n == 1 and h.forward(
                change=lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:])

        def always(h, path, n):
            return self.layer(path) and h.forward(
                change=lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:])
        self.fails(self.proxy(always).host + "/public/three:1", "sha256:")
        p = self.proxy(lambda h, path, n: len(NOISE) and once(h, path, n)
                       if "Range" in h.headers or n else False)
        # The configuration is not fetched twice: a wrong one is refused.
        p.fault = lambda h, path, n: path.endswith(self.layers()[1]) and once(h, path, n)
        self.pulled(p.host + "/public/three:1")

    def layers(self):
        with open(self.layout + "/index.json") as f:
            m = json.load(f)["manifests"][0]["digest"]
        with open(self.layout + "/blobs/" + m.replace(":", "/")) as f:
            return [x["digest"] for x in json.load(f)["layers"]]

    def test_wrong_sizes(self):
        big = lambda h, path, n: path.endswith(self.layers()[0]) and h.forward(
            change=lambda b: b + b"more")
        self.fails(self.proxy(big).host + "/public/three:1", "more bytes")
        lying = lambda h, path, n: self.layer(path) and h.forward(length=1 << 40)
        self.fails(self.proxy(lying).host + "/public/three:1", "transfer closed")

    def endless(self, where, status):
        """A body without an end where `where(path)`."""
        def fault(h, path, n):
            if not where(path):
                return False
            h.send_response(status)
            h.end_headers()
            while True:
                h.wfile.write(b" " * 65536)
        return self.proxy(fault).host + "/public/three:1"

    def test_endless_bodies(self):
        self.fails(self.endless(lambda p: "/manifests/" in p, 403), "access denied")
        self.fails(self.endless(lambda p: "/manifests/" in p, 404), "not found")
        self.fails(self.endless(self.layer, 404), "not found")
        self.fails(self.endless(lambda p: p.endswith(self.layers()[0]), 200), "more bytes")
        p = self.proxy(lambda h, path, n: "/v2/" in path and h.say(
            401, WWW_Authenticate='Bearer realm="http://%s/token"' % p.host) or
            self.spew(h))
        self.fails(p.host + "/public/three:1", "64 KiB of a token")

    @staticmethod
    def spew(h):
        h.send_response(200)
        h.end_headers()
        while True:
            h.wfile.write(b" " * 65536)

    def test_layer_bombs(self):
        """A limit that was set holds for what arrives; nothing is left."""
        bomb = Layout(self.dir + "/b").image(tar(entry("z", data=bytes(8 << 20))), how="zstd")
        self.plain.push(bomb.path, "public/bomb:1")
        ref = self.plain.host + "/public/bomb:1"
        self.fails(ref, "unpacks to more than 1048576 bytes", "LIMPET_MAX_LAYER_SIZE",
                   env={"LIMPET_MAX_LAYER_SIZE": "1M"})
        self.assertEqual(self.store_files(), [])
        self.fails(ref, "not a size", env={"LIMPET_MAX_LAYER_SIZE": "much"})
        self.pulled(ref, env={"LIMPET_MAX_LAYER_SIZE": "9M"})

    def test_worker_stops_reading(self):
        """What it was still to be sent is more than its pipe holds."""
        noise = random.Random(3).randbytes(12 << 20)
        big = Layout(self.dir + "/b").image(tar(entry("z", data=noise)))
        self.plain.push(big.path, "public/big:1")
        self.fails(self.plain.host + "/public/big:1", "unpacks to more than",
                   env={"LIMPET_MAX_LAYER_SIZE": "1M"})
        self.assertEqual(self.store_files(), [])

    def test_100_mib_of_json(self):
        body = b'{"config":' + b" " * (100 << 20) + b"{}}"
        p = self.proxy(lambda h, path, n: "/manifests/" in path and h.say(200, body))
        code, text, peak = harness.peak_kib([harness.PROGRAM, "pull", "--root", self.root,
                                             p.host + "/public/three:1"])
        self.assertEqual(code, 125)
        self.assertIn("larger", text)
        self.assertTrue(peak < 64 << 10 or harness.SANITIZED, peak)

    def test_bounded_memory(self):
        """However large a layer is."""
        noise = random.Random(4).randbytes(64 << 20)
        big = Layout(self.dir + "/b").image(tar(entry("z", data=noise)), how="none")
        self.plain.push(big.path, "public/large:1")
        code, text, peak = harness.peak_kib([
            harness.PROGRAM, "pull", "--root", self.root, "--arch", "amd64", "--limit-rate",
            "64M", self.plain.host + "/public/large:1"])
        self.assertEqual(code, 0, text)
        self.assertTrue(1000 < peak < 64 << 10 or harness.SANITIZED, peak)

    def test_endless_document(self):
        def fault(h, path, n):
            if "/manifests/" not in path:
                return False
            h.send_response(200)
            h.end_headers()
            while True:
                h.wfile.write(b" " * 65536)
        self.fails(self.proxy(fault).host + "/public/three:1", "larger")

    def test_redirects(self):
        p = self.proxy(lambda h, path, n: h.say(307, Location=path))
        self.fails(p.host + "/public/three:1", "redirects")
        there = self.plain.host
        p = self.proxy(lambda h, path, n: self.layer(path) and h.say(
            307, Location="http://%s%s" % (there, path)))
        self.pulled(p.host + "/public/three:1")

    def test_too_many_requests(self):
        p = self.proxy(lambda h, path, n: n <= 2 and h.say(429, Retry_After="1"))
        self.pulled(p.host + "/public/three:1")
        p = self.proxy(lambda h, path, n: n <= 2 and h.say(503))
        self.pulled(p.host + "/public/three:1", root=self.dir + "/s2")

    def test_odd_challenges(self):
        for text in ("Bearer", "Bearer realm=ftp://x", 'Bearer realm="http://', "Digest x=y",
                     "Bearer " + "a" * 5000):
            p = self.proxy(lambda h, path, n, t=text: h.say(401, WWW_Authenticate=t))
            self.fails(p.host + "/public/three:1", "401")

    def test_error_text_is_one_printable_line(self):
        body = json.dumps({"errors": [{"code": "X", "message": "a\nb\x1b[31m" + "c" * 900}]})
        p = self.proxy(lambda h, path, n: h.say(403, body.encode()))
        self.fails(p.host + "/public/three:1", "a?b?[31m")

    def test_tag_moves_mid_pull(self):
        """The second manifest under that tag is never looked at."""
        other = Layout(self.dir + "/o").image(tar(entry("other", data=b"o"))).path
        self.plain.push(other, "public/moving:2")
        self.plain.push(self.layout, "public/moving:1")
        want = self.digest("public/moving")[7:]

        def fault(h, path, n):
            if path.endswith("/manifests/1") and n > 1:
                h.path = path[:-1] + "2"
            return False
        p = self.pulled(self.proxy(fault).host + "/public/moving:1")
        self.assertEqual(p.stdout.strip(), want)

    def test_manifest_bombs(self):
        def serve(doc):
            body = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
            return self.proxy(lambda h, path, n: "/manifests/" in path and h.say(
                200, body, Content_Type="application/vnd.oci.image.manifest.v1+json"))
        one = {"digest": "sha256:" + "1" * 64, "size": 1}
        self.fails(serve({"config": one, "layers": [one] * 10000}).host + "/a/b", "layers")
        self.fails(serve({"manifests": [one] * 10000}).host + "/a/b", "manifests")
        self.fails(serve(b"[" * 100000).host + "/a/b", "blobs/sha256")
        self.fails(serve(b"\xff\xfe").host + "/a/b", "blobs/sha256")
        self.fails(serve({"fsLayers": []}).host + "/a/b", "schema 1")
        huge = dict(one, size=1 << 62)
        self.fails(serve({"config": huge, "layers": []}).host + "/a/b", "not found")
        me = {}
        text = json.dumps(me)
        self.fails(serve(text.encode()).host + "/a/b@sha256:" + sha(b"x"), "wrong digest")

    def test_disk_full(self):
        if os.geteuid() != 0:
            self.skipTest("mounting needs root")
        os.mkdir(self.root)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", self.root], check=True)
        try:
            self.fails(self.plain.host + "/public/three:1", "No space left")
        finally:
            subprocess.run(["umount", self.root], check=True)

    def test_killed_at_random_points(self):
        """Whatever was left, the next pull succeeds and is complete."""
        rng = random.Random(1)
        ref = self.plain.host + "/public/three:1"
        rounds = int(os.environ.get("LIMPET_KILLS", "20"))
        for i in range(rounds):
            p = subprocess.Popen([harness.PROGRAM, "pull", "-q", "--root", self.root,
                                  "--arch", "amd64", ref], stdout=subprocess.DEVNULL)
            time.sleep(rng.random() * 0.08)
            p.send_signal(signal.SIGKILL)
            p.wait()
            if i % 5 == 4:
                self.pulled(ref, "-q")
                self.assertEqual(len([f for f in self.store_files()
                                      if not f.startswith("tmp/")]), 1 + 1 + 6 + 1 + 2)
                self.tree_of(ref)
                shutil.rmtree(self.root)

    def tree_of(self, ref):
        out = self.dir + "/exported"
        p = self.run_image("export", "--erofs", ref, out)
        self.assertEqual(p.returncode, 0, p.stderr)
        if shutil.which("fsck.erofs"):
            subprocess.run(["fsck.erofs", out], check=True, stdout=subprocess.DEVNULL,
                           timeout=300)

    def test_two_at_once(self):
        ref = self.plain.host + "/public/three:1"
        ps = [subprocess.Popen([harness.PROGRAM, "pull", "-q", "--root", self.root, "--arch",
                                "amd64", ref], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
              for _ in range(4)]
        outs = [p.communicate(timeout=300) + (p.returncode,) for p in ps]
        self.assertEqual(len(set(outs)), 1, outs)
        self.assertEqual(outs[0][2], 0, outs)


if __name__ == "__main__":
    harness.main()
