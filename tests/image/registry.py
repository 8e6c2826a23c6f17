# SPDX-License-Identifier: Apache-2.0
"""Registries for the tests: Debian's docker-registry with TLS and each kind of
authentication, a token server, and a proxy in front of it that misbehaves."""
import base64
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

USER, WORD = "edge", "s3cret"
DEAD = []


def missing():
    """What is not installed, or None."""
    for tool in ("docker-registry", "skopeo", "openssl", "htpasswd"):
        if shutil.which(tool) is None:
            return tool
    return None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def dead_port():
    """Nobody listens there, and nobody else can come to."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    DEAD.append(s)
    return s.getsockname()[1]


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certs(folder, days=30, names="DNS:localhost,IP:127.0.0.1"):
    """ca.crt for clients; a certificate server.pub, server.pem for `names`."""
    d = folder
    os.makedirs(d, exist_ok=True)
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *ec, "-days", "30", "-subj", "/CN=ca", "-keyout",
            d + "/ca-key.pem", "-out", d + "/ca.crt")
    openssl("req", *ec, "-subj", "/CN=localhost", "-keyout", d + "/server.pem",
            "-out", d + "/server.csr")
    with open(d + "/ext", "w") as f:
        f.write("subjectAltName=%s\nbasicConstraints=CA:FALSE\n" % names)
    openssl("x509", "-req", "-in", d + "/server.csr", "-CA", d + "/ca.crt",
            "-CAkey", d + "/ca-key.pem", "-CAcreateserial", "-days",
            str(days), "-extfile", d + "/ext", "-out", d + "/server.pub")


class TokenServer:
    """The Bearer flow of Docker Hub, for docker-registry. RS256 by openssl."""

    def __init__(self, folder):
        self.key, self.crt = folder + "/token.pem", folder + "/token.pub"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                "-subj", "/CN=issuer", "-keyout", self.key, "-out", self.crt)
        self.asked = 0
        self.answer = None  # (status, body) instead of a token
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = outer.on_get(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def on_get(self, request):
        self.asked += 1
        if self.answer is not None:
            return self.answer
        query = urllib.parse.parse_qs(urllib.parse.urlparse(request.path).query)
        said = request.headers.get("Authorization", "")
        who = ""
        if said.startswith("Basic "):
            who = base64.b64decode(said[6:]).decode()
            if who != "%s:%s" % (USER, WORD):
                return 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"bad password"}]}'
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = re.match("([a-z]+):(.+):(.*)$", scope).groups()
            allowed = actions.split(",") if who or name.startswith("public/") else []
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        token = self.sign({"iss": "issuer", "sub": who, "aud": query["service"][0],
                           "exp": now + 300, "nbf": now - 5,
                           "iat": now, "jti": str(time.time_ns()),
                           "access": access})
        return 200, json.dumps({"token": token}).encode()

    def sign(self, claims):
        def b64(b):
            return base64.urlsafe_b64encode(b).rstrip(b"=").decode()
        with open(self.crt) as f:
            der = "".join(x for x in f.read().splitlines() if not x.startswith("-"))
        text = b64(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [der]}).encode()) \
            + "." + b64(json.dumps(claims).encode())
        p = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key],
                           input=text.encode(), stdout=subprocess.PIPE, check=True)
        return text + "." + b64(p.stdout)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Registry:
    """docker-registry on 127.0.0.1. auth: plain, basic or token."""

    def __init__(self, folder, auth="plain", tls=False):
        os.makedirs(folder)
        self.folder, self.tls, self.tokens, self.marks = folder, tls, None, 0
        lines = ["version: 0.1", "log: {level: info}", "storage:",
                 "  filesystem: {rootdirectory: %s/data}" % folder,
                 "  delete: {enabled: true}", "http:",
                 "  addr: ADDRESS", "  secret: test"]
        if tls:
            make_certs(folder + "/certs")
            os.makedirs(folder + "/trust")
            shutil.copy(folder + "/certs/ca.crt", folder + "/trust/ca.crt")
            lines += ["  tls: {certificate: %s/certs/server.pub, key: "
                      "%s/certs/server.pem}" % (folder, folder)]
        if auth == "basic":
            with open(folder + "/htpasswd", "w") as f:
                subprocess.run(["htpasswd", "-Bbn", USER, WORD], stdout=f, check=True)
            lines += ["auth:", "  htpasswd: {realm: test, path: %s/htpasswd}" % folder]
        if auth == "token":
            self.tokens = TokenServer(folder)
            lines += ["auth:", "  token: {realm: 'http://127.0.0.1:%d/token', "
                      "service: test, issuer: issuer, rootcertbundle: %s}"
                      % (self.tokens.port, self.tokens.crt)]
        self.config = "\n".join(lines) + "\n"
        self.auth_file = folder + "/auth.json"
        self.log = folder + "/log"
        for _ in range(5):  # another program may take the port before us
            self.port = free_port()
            self.host = "127.0.0.1:%d" % self.port
            if self.start():
                break
        else:
            raise RuntimeError("docker-registry does not start: " + open(self.log).read()[-500:])
        word = base64.b64encode(("%s:%s" % (USER, WORD)).encode()).decode()
        with open(self.auth_file, "w") as f:
            json.dump({"auths": {self.host: {"auth": word}}}, f)

    def start(self):
        """Until it answers, or False: it has ended. It may have been stopped before."""
        with open(self.folder + "/config.yml", "w") as f:
            f.write(self.config.replace("ADDRESS", self.host))
        with open(self.log, "a") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                ["docker-registry", "serve", self.folder + "/config.yml"],
                stdout=log, stderr=log)
        end = time.monotonic() + 120
        while self.process.poll() is None and time.monotonic() < end:
            with open(self.log) as f:
                f.seek(begin)
                if "listening on" in f.read():
                    return True
            time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        return False

    def push(self, layout, name, *flags):
        env = dict(os.environ, REGISTRY_AUTH_FILE=self.auth_file)
        trust = ["--dest-tls-verify=false"] if not self.tls else \
            ["--dest-cert-dir", self.folder + "/trust"]
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", *flags, *trust,
                        "oci:" + layout, "docker://%s/%s" % (self.host, name)],
                       env=env, check=True, timeout=300)

    def requests(self):
        """Request lines so far: the access log's, which come after the answers."""
        self.marks += 1
        mark = "/v2/?mark=%d" % self.marks
        c = http.client.HTTPSConnection(self.host, context=ssl._create_unverified_context()) \
            if self.tls else http.client.HTTPConnection(self.host)
        c.request("GET", mark)
        c.getresponse().read()
        c.close()
        old, text = None, ""
        end = time.monotonic() + 60
        while '"GET %s ' % mark not in text or text != old:
            if time.monotonic() > end:
                raise RuntimeError("%s does not say %s" % (self.log, mark))
            time.sleep(0.2)
            old = text
            with open(self.log) as f:
                text = f.read()
        found = re.findall(r'"((?:GET|HEAD|POST|PUT|PATCH) [^ ]+)', text)
        return [x for x in found if "/v2/?mark=" not in x]

    def stop(self):
        self.process.kill()
        self.process.wait()
        if self.tokens is not None:
            self.tokens.stop()


class FaultProxy:
    """Plain HTTP in front of a plain Registry. `fault(handler, path, n)` sees
    the n-th request for `path` first and returns True if it has answered."""

    def __init__(self, upstream):
        self.fault = lambda *_: False
        self.seen = []
        self.counts = {}
        lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with lock:
                    n = outer.counts[self.path] = outer.counts.get(self.path, 0) + 1
                outer.seen.append((self.command, self.path, dict(self.headers)))
                self.close_connection = True
                try:
                    if not outer.fault(self, self.path, n):
                        self.forward()
                except (BrokenPipeError, ConnectionResetError):
                    pass

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

            def fetch(self):
                c = http.client.HTTPConnection("127.0.0.1", upstream.port)
                headers = {k: v for k, v in self.headers.items()
                           if k.lower() != "connection"}
                size = int(self.headers.get("Content-Length", 0))
                c.request(self.command, self.path, headers=headers,
                          body=self.rfile.read(size) if size else None)
                r = c.getresponse()
                body = r.read()
                c.close()
                return r, body

            def forward(self, cut=None, change=None, length=None):
                """Pass it on, perhaps only `cut` bytes, changed, or with a wrong length."""
                r, body = self.fetch()
                self.send_response(r.status)
                for k, v in r.getheaders():
                    if k.lower() not in ("connection", "content-length", "date", "server"):
                        self.send_header(k, v)
                if change is not None:
                    body = change(body)
                size = r.getheader("Content-Length") if self.command == "HEAD" else len(body)
                self.send_header("Content-Length", str(length if length is not None else size))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body if cut is None else body[:cut])
                self.wfile.flush()
                return True

            def cut_upload(self, size):
                """Only `size` bytes of the request's body reach the registry."""
                s = socket.create_connection(("127.0.0.1", upstream.port))
                lines = ["%s %s HTTP/1.1" % (self.command, self.path)]
                lines += ["%s: %s" % kv for kv in self.headers.items()]
                s.sendall("\r\n".join(lines + ["", ""]).encode() + self.rfile.read(size))
                s.shutdown(socket.SHUT_WR)
                s.settimeout(120)
                while s.recv(9999):  # until it has dealt with them
                    pass
                s.close()
                self.connection.close()
                return True

            def say(self, status, body=b"", **headers):
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k.replace("_", "-"), v)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                return True

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.host = "127.0.0.1:%d" % self.port
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
