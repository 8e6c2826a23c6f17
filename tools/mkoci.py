#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make or extend an OCI image layout from directories, standard library only.

  mkoci.py OUT --arch amd64 --layer DIR [--layer DIR ...] [--cmd WORD ...]
           [--entrypoint WORD ...] [--env K=V ...] [--workdir D] [--user U]
           [--tag latest] [--compress gzip|none]

Each DIR becomes one layer (owner root unless --keep-owner, times fixed, so the
same input gives the same bytes). A second call with another --arch adds that
platform under the same tag, as a nested index, the way registries serve it."""
import argparse
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1700000000"))
OCI = "application/vnd.oci.image."


def parse():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--arch", required=True)
    p.add_argument("--layer", action="append", required=True)
    for many in ("cmd", "entrypoint", "env"):
        p.add_argument("--" + many, action="append", default=[])
    for one in ("workdir", "user", "stop-signal"):
        p.add_argument("--" + one, default="")
    p.add_argument("--tag", default="latest")
    p.add_argument("--compress", choices=["gzip", "none"], default="gzip")
    p.add_argument("--keep-owner", action="store_true")
    return p.parse_args()


def pack(folder, keep_owner):
    """A deterministic tar of everything below `folder`."""
    links, raw = {}, io.BytesIO()
    tar = tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT)
    for top, dirs, files in os.walk(folder):
        dirs.sort()
        for name in sorted(dirs + files):
            path = os.path.join(top, name)
            info = tar.gettarinfo(path, os.path.relpath(path, folder))
            st = os.lstat(path)
            info.mtime = EPOCH
            if not keep_owner:
                info.uid = info.gid = 0
            info.uname = info.gname = ""
            if stat.S_ISREG(st.st_mode):
                key = (st.st_dev, st.st_ino)
                if st.st_nlink > 1 and key in links:
                    info.type, info.linkname, info.size = tarfile.LNKTYPE, links[key], 0
                    tar.addfile(info)
                    continue
                links[key] = info.name
                info.type, info.size = tarfile.REGTYPE, st.st_size
                with open(path, "rb") as data:
                    tar.addfile(info, data)
            else:
                tar.addfile(info)
    tar.close()
    return raw.getvalue()


def main():
    a = parse()
    blobs = os.path.join(a.out, "blobs", "sha256")
    os.makedirs(blobs, exist_ok=True)

    def blob(data, media):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as f:
            f.write(data)
        return {"mediaType": media, "digest": "sha256:" + digest, "size": len(data)}

    layers, diff_ids = [], []
    for folder in a.layer:
        data = pack(folder, a.keep_owner)
        diff_ids.append("sha256:" + hashlib.sha256(data).hexdigest())
        media = OCI + "layer.v1.tar"
        if a.compress == "gzip":
            data, media = gzip.compress(data, 6, mtime=0), media + "+gzip"
        layers.append(blob(data, media))
    run = {"Env": a.env or ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    for key, value in (("Cmd", a.cmd), ("Entrypoint", a.entrypoint), ("WorkingDir", a.workdir),
                       ("User", a.user), ("StopSignal", a.stop_signal)):
        if value:
            run[key] = value
    config = {"architecture": a.arch, "os": "linux", "created": "2023-11-14T22:13:20Z",
              "config": run, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    dump = lambda o: json.dumps(o, sort_keys=True).encode()
    manifest = blob(dump({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                          "config": blob(dump(config), OCI + "config.v1+json"),
                          "layers": layers}), OCI + "manifest.v1+json")
    manifest["platform"] = {"architecture": a.arch, "os": "linux"}
    if a.arch == "arm64":
        manifest["platform"]["variant"] = "v8"

    top = {"schemaVersion": 2, "manifests": []}
    index_file, ref = os.path.join(a.out, "index.json"), "org.opencontainers.image.ref.name"
    if os.path.exists(index_file):
        top = json.load(open(index_file))
    platforms = []
    for entry in [m for m in top["manifests"] if m.get("annotations", {}).get(ref) == a.tag]:
        nested = json.load(open(os.path.join(blobs, entry["digest"].split(":")[1])))
        platforms = [m for m in nested["manifests"] if m["platform"]["architecture"] != a.arch]
        top["manifests"].remove(entry)
    index = blob(dump({"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                       "manifests": platforms + [manifest]}), OCI + "index.v1+json")
    index["annotations"] = {ref: a.tag}
    top["manifests"].append(index)
    with open(os.path.join(a.out, "oci-layout"), "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}\n')
    with open(index_file, "wb") as f:
        f.write(dump(top))


main()
