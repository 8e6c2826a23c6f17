#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""unpack.py LAYOUT DEST: a plain unpack of an image of ours (of this machine's
platform) with tar, for the oracle. Whiteouts as the image specification says."""
import json
import os
import shutil
import subprocess
import sys

layout, dest = sys.argv[1:3]
arch = "arm64" if os.uname().machine == "aarch64" else "amd64"
blob = lambda digest: os.path.join(layout, "blobs", *digest.split(":"))
doc = json.load(open(os.path.join(layout, "index.json")))
while "layers" not in doc:
    pick = [m for m in doc["manifests"] if m.get("platform", {}).get("architecture", arch) == arch]
    doc = json.load(open(blob(pick[0]["digest"])))
os.makedirs(dest, exist_ok=True)
for layer in doc["layers"]:
    names = subprocess.run(["tar", "-tf", blob(layer["digest"])], check=True, capture_output=True, text=True).stdout.split("\n")
    for name in names:
        base = os.path.basename(name)
        if not base.startswith(".wh."):
            continue
        folder = os.path.join(dest, os.path.dirname(name))
        victims = os.listdir(folder) if base == ".wh..wh..opq" else [base[4:]]
        for v in victims:
            path = os.path.join(folder, v)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    subprocess.run(["tar", "-xf", blob(layer["digest"]), "-C", dest, "--exclude=.wh.*", "--keep-directory-symlink",
                    "--numeric-owner", "-p"], check=True)
