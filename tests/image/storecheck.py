# SPDX-License-Identifier: Apache-2.0
"""What may be in a store after it was cut off at any point: everything with a
name is whole. A store that was never cut off says what whole is."""
import hashlib
import json
import os

DIRS = ("images", "meta", "layers", "blobs")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def listing(root, folder):
    try:
        return sorted(os.listdir(os.path.join(root, folder)))
    except FileNotFoundError:
        return []


def contents(root):
    """{name: digest} of all files whose names say what is in them."""
    return {f"{d}/{n}": digest(f"{root}/{d}/{n}")
            for d in DIRS for n in listing(root, d)}


def problems(root, whole):
    """What is wrong with the store, a list of lines. `whole`: contents() of a
    store with the same images."""
    bad = []
    have = {}
    for name, is_ in contents(root).items():
        folder, base = name.split("/")
        if folder == "blobs":
            if is_ != base:
                bad.append(f"{name}: other contents")
        elif name not in whole:
            bad.append(f"{name}: nobody made it")
        elif is_ != whole[name]:
            bad.append(f"{name}: partial ({os.path.getsize(root + '/' + name)} bytes)")
        have[name] = is_
    for name in [n for n in have if n.startswith("images/")]:
        try:
            with open(f"{root}/{name}") as f:
                record = json.load(f)
        except ValueError:
            continue  # partial, said above
        needed = record["files"] + [f"blobs/{record[k][7:]}" for k in ("manifest", "config")]
        needed += [f"layers/{x[7:]}{s}" for x in record["layers"] for s in (".data", ".index")]
        bad += [f"{name}: no {x}" for x in needed if x not in have]
    for name in listing(root, "refs"):
        with open(f"{root}/refs/{name}") as f:
            text = f.read()
        if f"images/{text[:64]}.json" not in have:
            bad.append(f"refs/{name}: leads nowhere: {text[:80]!r}")
    return bad
