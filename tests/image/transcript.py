# SPDX-License-Identifier: Apache-2.0
"""Plays what Docker Hub, GHCR and quay were seen to say (transcripts/*.txt): a
proxy that ends TLS for any host, so that limpet uses their real addresses.

    > METHOD URL [*]         a request; * : any number of times
    > Header: text           must be like this; "-": must not be there
    > body name=value&...    of a form
    < STATUS                 the answer
    < Header: text
    < body text, or @NAME for the bytes of a blob of the layout

{digest} in a URL stands for any, {n} for a number: that of the URL, or another
one each time. @manifest is a name from the test. An answer is given once unless
its request says *."""
import base64
import hashlib
import http.server
import os
import re
import ssl
import subprocess
import threading
import urllib.parse

import registry

HOSTS = ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com",
         "ghcr.io", "pkg-containers.githubusercontent.com", "quay.io", "cdn01.quay.io")


class Exchange:
    def __init__(self, method, url, often):
        self.method, self.url, self.often, self.used = method, url, often, 0
        self.headers, self.form = {}, None
        self.status, self.answer, self.body = 0, [], ""
        parts = urllib.parse.urlsplit(url)
        self.query = sorted(urllib.parse.parse_qsl(parts.query))
        place = "%s://%s%s" % parts[:3]
        self.place = re.compile(re.escape(place).replace(r"\{digest\}", "sha256:[0-9a-f]{64}")
                                .replace(r"\{n\}", "[0-9]+"))

    def matches(self, method, url, headers, body):
        parts = urllib.parse.urlsplit(url)
        query = [(k, "{digest}" if v.startswith("sha256:") else v)
                 for k, v in urllib.parse.parse_qsl(parts.query)]
        form = None if self.form is None else sorted(urllib.parse.parse_qsl(body.decode("latin-1")))
        return (self.often or not self.used) and method == self.method and \
            self.place.fullmatch("%s://%s%s" % parts[:3]) and sorted(query) == self.query and \
            form == self.form and all(
                headers.get(k, "-") == v for k, v in self.headers.items())


def parse(path, names):
    found = []
    with open(path) as f:
        text = f.read()
    for name, value in names.items():
        text = text.replace("@" + name, value)
    for line in [x for x in text.split("\n") if x[:1] in ("<", ">")]:
        kind, text = line[0], line[2:]
        if kind == ">" and re.match("[A-Z]+ https?://", text):
            words = text.split()
            found.append(Exchange(words[0], words[1], words[2:] == ["*"]))
        elif kind == ">" and text.startswith("body "):
            found[-1].form = sorted(urllib.parse.parse_qsl(text[5:]))
        elif kind == ">":
            name, value = text.split(": ", 1)
            if value.startswith("Basic "):
                value = "Basic " + base64.b64encode(value[6:].encode()).decode()
            found[-1].headers[name] = value
        elif re.fullmatch("[0-9]{3}", text):
            found[-1].status = int(text)
        elif text.startswith("body "):
            found[-1].body = text[5:]
        else:
            found[-1].answer.append(text.split(": ", 1))
    return found


class Player:
    """An https proxy on 127.0.0.1:`port`. What it was asked that no exchange
    is for is in `odd`."""

    def __init__(self, folder, path, layout, names):
        self.exchanges, self.odd = parse(path, names), []
        self.layout, self.uploads, self.got = layout, {}, {}
        self.trust = folder + "/trust"
        self.lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/server.pub", folder + "/server.pem")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            host = ""

            def do_CONNECT(self):
                self.host = self.path.rsplit(":", 1)[0]
                self.send_response(200)
                self.end_headers()
                try:
                    self.connection = context.wrap_socket(self.connection, server_side=True)
                except OSError:  # they went away
                    self.close_connection = True
                    return
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
                self.close_connection = False

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.answer(self, "https://" + self.host + self.path, body)

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

            def finish(self):
                super().finish()
                self.connection.close()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def answer(self, h, url, body):
        count = 0
        with self.lock:
            x = next((x for x in self.exchanges
                      if x.matches(h.command, url, h.headers, body)), None)
            if x is None:
                self.odd.append("%s %s %s %r" % (h.command, url, h.headers.get("Authorization"),
                                                 body[:200]))
            else:
                count = x.used = x.used + 1
            if h.command in ("PUT", "PATCH"):
                # What failed in the middle has left 100 bytes.
                self.keep(url, body if x and x.status < 500 else body[:100])
        status, text = (x.status, x.body) if x else (418, "")
        data = self.contents(text, url)
        h.send_response(status)
        for name, value in x.answer if x else ():
            h.send_header(name, value.replace("{digest}", digest_of(url))
                          .replace("{all}", "0-%d" % (len(body) - 1))
                          .replace("{n}", number_of(url) or str(count)))
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        if h.command != "HEAD":
            h.wfile.write(data)

    def keep(self, url, body):
        """What was pushed, by its digest or tag."""
        parts = urllib.parse.urlsplit(url)
        digest = dict(urllib.parse.parse_qsl(parts.query)).get("digest")
        if "/manifests/" in parts.path:
            self.got[parts.path.rsplit("/", 1)[1]] = body
        elif digest:
            data = self.uploads.pop(parts.path, b"") + body
            assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
            self.got[digest] = data
        else:
            self.uploads[parts.path] = self.uploads.get(parts.path, b"") + body

    def contents(self, text, url):
        if not text.startswith("@"):
            return text.encode()
        name = digest_of(url) if text == "@blob" else text[1:]
        with open(self.layout + "/blobs/" + name.replace(":", "/"), "rb") as f:
            return f.read()

    def unused(self):
        return ["%s %s" % (x.method, x.url) for x in self.exchanges if not x.used]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def number_of(url):
    found = re.search("/n([0-9]+)", url)
    return found.group(1) if found else None


def digest_of(url):
    found = re.search("sha256(?::|%3A)([0-9a-f]{64})", url)
    return "sha256:" + found.group(1) if found else "none"


def make_certs(d):
    os.makedirs(d + "/trust", exist_ok=True)
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    registry.openssl("req", "-x509", *ec, "-days", "30", "-subj", "/CN=ca", "-keyout",
                     d + "/ca.pem", "-out", d + "/trust/ca.crt")
    registry.openssl("req", *ec, "-subj", "/CN=any", "-keyout", d + "/server.pem", "-out",
                     d + "/server.csr")
    with open(d + "/ext", "w") as f:
        f.write("subjectAltName=" + ",".join("DNS:" + h for h in HOSTS) +
                "\nbasicConstraints=CA:FALSE\n")
    subprocess.run(["openssl", "x509", "-req", "-in", d + "/server.csr", "-CA",
                    d + "/trust/ca.crt", "-CAkey", d + "/ca.pem", "-CAcreateserial", "-days",
                    "30", "-extfile", d + "/ext", "-out", d + "/server.pub"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
