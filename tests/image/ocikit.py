# SPDX-License-Identifier: Apache-2.0
"""Makes OCI layouts and archives out of hand-made tar layers, good and bad."""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."


def sha(data):
    return hashlib.sha256(data).hexdigest()


def entry(name, kind="file", data=b"", **kw):
    """One tar member: (TarInfo, contents)."""
    t = tarfile.TarInfo(name)
    t.type = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE,
              "sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
              "chr": tarfile.CHRTYPE, "blk": tarfile.BLKTYPE,
              "fifo": tarfile.FIFOTYPE}[kind]
    t.mode = kw.get("mode", 0o755 if kind == "dir" else 0o644)
    t.uid = kw.get("uid", 0)
    t.gid = kw.get("gid", 0)
    t.mtime = kw.get("mtime", 1700000000)
    t.linkname = kw.get("to", "")
    t.devmajor, t.devminor = kw.get("dev", (0, 0))
    t.size = len(data)
    for key, value in kw.get("xattrs", {}).items():
        # tarfile writes text; surrogates carry any byte through.
        t.pax_headers["SCHILY.xattr." + key] = value.decode(
            "utf-8", "surrogateescape")
    t.pax_headers.update(kw.get("pax", {}))
    return t, data


def tar(*entries):
    """Members, or bytes that go in as they are, as one tar archive."""
    out = io.BytesIO()
    for e in entries:
        if isinstance(e, bytes):
            out.write(e)
            continue
        info, data = e
        out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        out.write(data + b"\0" * (-len(data) % 512))
    out.write(b"\0" * 1024)
    return out.getvalue()


def header(name, size, typeflag=b"0", gnu=b"", magic=b"ustar  \0"):
    """A raw header; `gnu` goes to byte 386, where old GNU sparse maps are."""
    h = bytearray(512)
    h[0:len(name)] = name
    h[100:108] = b"0000644\0"
    h[108:116] = h[116:124] = b"0000000\0"
    h[124:136] = b"%011o\0" % size
    h[136:148] = b"00000000000\0"
    h[156:157] = typeflag
    h[257:265] = magic
    h[386:386 + len(gnu)] = gnu
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)


def gnu_sparse(name, real_size, chunks, stored):
    """Old GNU sparse member: up to four (offset, length) pairs."""
    pairs = b"".join(b"%011o\0%011o\0" % c for c in chunks).ljust(96, b"\0")
    size = b"%011o\0" % real_size
    if len(size) > 12:
        size = b"\x80\0\0\0" + real_size.to_bytes(8, "big")
    gnu = pairs + b"\0" + size
    return header(name, len(stored), b"S", gnu) + stored + \
        b"\0" * (-len(stored) % 512)


def pax_sparse(name, real_size, chunks, stored):
    """PAX sparse 1.0: the map is text in front of the stored bytes."""
    text = b"%d\n" % len(chunks) + b"".join(b"%d\n%d\n" % c for c in chunks)
    body = text + b"\0" * (-len(text) % 512) + stored
    t, _ = entry("GNUSparseFile.0/" + name)
    t.size = len(body)
    t.pax_headers.update({
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0",
        "GNU.sparse.name": name, "GNU.sparse.realsize": str(real_size)})
    return t.tobuf(tarfile.PAX_FORMAT) + body + b"\0" * (-len(body) % 512)


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0), "+gzip"
    if how == "zstd":
        return subprocess.run(["zstd", "-qc"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout, "+zstd"
    return data, ""


class Layout:
    """An OCI layout under construction."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path + "/blobs/sha256")
        self.index = []
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def write(self, name, data):
        with open(os.path.join(self.path, name), "wb") as f:
            f.write(data)

    def blob_path(self, digest):
        return self.path + "/blobs/sha256/" + digest.split(":")[-1]

    def blob(self, data, media=None):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        self.write("blobs/sha256/" + sha(data), data)
        d = {"digest": "sha256:" + sha(data), "size": len(data)}
        if media:
            d["mediaType"] = media
        return d

    def manifest(self, layers, config=None, how="gzip", arch="amd64",
                 media=OCI + "manifest.v1+json", **extra):
        """Blobs of one image; returns the manifest's descriptor."""
        descs, ids = [], []
        for data in layers:
            packed, suffix = compress(data, how)
            descs.append(self.blob(packed, OCI + "layer.v1.tar" + suffix))
            ids.append("sha256:" + sha(data))
        doc = {"architecture": arch, "os": "linux",
               "config": {} if config is None else config,
               "rootfs": {"type": "layers", "diff_ids": ids}}
        doc.update(extra)
        m = {"schemaVersion": 2, "layers": descs,
             "config": self.blob(doc, OCI + "config.v1+json")}
        if media:
            m["mediaType"] = media
        return self.blob(m, media)

    def add(self, desc, tag=None, **more):
        desc = dict(desc, **more)
        if tag:
            desc["annotations"] = {"org.opencontainers.image.ref.name": tag}
        self.index.append(desc)
        self.finish()
        return desc

    def finish(self):
        self.write("index.json", json.dumps(
            {"schemaVersion": 2, "manifests": self.index}).encode())

    def image(self, *layers, tag=None, **kw):
        self.add(self.manifest(layers, **kw), tag)
        return self


def oci_archive(layout, path):
    with tarfile.open(path, "w") as t:
        for name in ("oci-layout", "index.json", "blobs"):
            t.add(os.path.join(layout.path, name), name)


def docker_archive(path, layers, config=None, tags=("x:latest",),
                   arch="amd64", links=False):
    doc = json.dumps({
        "architecture": arch, "os": "linux", "config": config or {},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + sha(x) for x in layers]}}).encode()
    names = []
    with tarfile.open(path, "w") as t:
        def put(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        put(sha(doc) + ".json", doc)
        for x in layers:
            put(sha(x) + ".tar", x)
            if links:
                info = tarfile.TarInfo(sha(x)[:12] + "/layer.tar")
                info.type = tarfile.SYMTYPE
                info.linkname = "../" + sha(x) + ".tar"
                t.addfile(info)
            names.append(info.name if links else sha(x) + ".tar")
        put("manifest.json", json.dumps([{
            "Config": sha(doc) + ".json", "RepoTags": list(tags),
            "Layers": names}]).encode())
