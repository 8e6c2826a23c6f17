# SPDX-License-Identifier: Apache-2.0
"""images, inspect, tag, rmi, image prune on a hand-made store."""
import hashlib
import json
import os
import re

import harness


def image_id(name):
    return hashlib.sha256(b"manifest" + name.encode()).hexdigest()


def rows(box, *flags):
    p = box.limpet("images", *flags)
    assert p.returncode == 0, p
    return [re.split(r" {2,}", line) for line in p.stdout.rstrip("\n").split("\n")]


def test_empty_store(box):
    box.root = box.dir + "/empty"
    assert box.limpet("images").stdout.startswith("REPOSITORY   TAG   IMAGE ID   CREATED   SIZE")
    assert box.limpet("images", "-q").stdout == ""
    p = box.limpet("rmi", "nginx")
    assert p.returncode == 1 and "No such image: nginx" in p.stderr, p


def test_tag_list_remove(box):
    short = image_id("img")[:12]
    assert box.limpet("tag", box.image, "web").returncode == 0
    assert box.limpet("tag", "web", "h.example:5000/a/b:v1").returncode == 0
    assert box.limpet("tag", short, "other:2").returncode == 0
    found = {tuple(r[:3]) for r in rows(box)[1:]}
    assert found == {(box.image, "<none>", short), ("web", "latest", short),
                     ("h.example:5000/a/b", "v1", short), ("other", "2", short)}, found
    assert rows(box, "-q") == [[short]] * 4
    assert [r[0] for r in rows(box, "web")[1:]] == ["web"]
    assert rows(box, "web:nope")[1:] == []
    one = json.loads(box.limpet("images", "--format", "json", "other").stdout)
    assert (one["Repository"], one["Tag"], one["ID"]) == ("other", "2", short), one

    p = box.limpet("rmi", short)
    assert p.returncode == 1 and "4 names" in p.stderr, p
    p = box.limpet("rmi", "web", "other:2")
    assert p.stdout == "Untagged: web\nUntagged: other:2\n", p
    assert box.limpet("rmi", "-f", short).stdout == f"Untagged: {short}\nDeleted: " \
        f"sha256:{image_id('img')}\n"
    for d in ("images", "meta", "layers", "refs"):
        assert os.listdir(f"{box.root}/{d}") == [], d


def test_run_by_name_and_id(box):
    assert box.limpet("tag", box.image, "web").returncode == 0
    for ref in ("web", "web:latest", image_id("img")[:12], "sha256:" + image_id("img")):
        p = box.limpet("run", "--rm", "--pull", "never", ref)
        assert p.returncode == 0 and p.stdout == "default\n", p
    p = box.limpet("run", "--rm", "--pull", "never", "0" * 12)
    assert p.returncode == 125 and "No such image" in p.stderr, p


def test_ambiguous_id(box):
    for i in range(300):
        box.add_image("more%d" % i)
    ids = [image_id("more%d" % i) for i in range(300)] + [image_id("img")]
    start = next(x[:4] for x in ids if sum(y.startswith(x[:4]) for y in ids) == 1)
    assert len(json.loads(box.limpet("inspect", start).stdout)) == 1
    twins = [x for x in ids if sum(y[:4] == x[:4] for y in ids) > 1]
    if twins:
        p = box.limpet("inspect", twins[0][:4])
        assert p.returncode == 1 and "several images" in p.stderr, p


def test_inspect(box):
    assert box.limpet("tag", box.image, "web:1").returncode == 0
    p = box.limpet("inspect", "web:1", "nothing")
    assert p.returncode == 1 and "No such image: nothing" in p.stderr, p
    [one] = json.loads(p.stdout)
    assert one["Id"] == "sha256:" + image_id("img") and one["RepoTags"] == ["web:1"], one
    assert one["Config"]["Cmd"] == ["echo", "default"] and one["Os"] == "linux", one


def test_containers_hold_images(box):
    p = box.run(flags=["--name", "holder"])
    assert p.returncode == 0, p
    p = box.limpet("rmi", box.image)
    assert p.returncode == 1 and "1 container is made from it" in p.stderr, p
    p = box.limpet("image", "prune", "-a", "-f")
    assert p.stdout.startswith("Deleted images: 0\n"), p
    p = box.limpet("rm", "holder")
    assert p.returncode == 0, p
    p = box.limpet("rmi", box.image)
    assert p.returncode == 0, p


def test_prune(box):
    old = box.image
    box.add_image("second")
    orphan = f"{box.root}/layers/{'a' * 64}.data"
    open(orphan, "w").close()
    p = box.limpet("image", "prune", input="n\n")
    assert "Are you sure" in p.stdout and os.path.exists(orphan), p
    p = box.limpet("image", "prune", input="y\n")
    assert "Deleted images: 0" in p.stdout and not os.path.exists(orphan), p
    assert len(os.listdir(box.root + "/images")) == 2
    p = box.limpet("image", "prune", "--keep-storage", "x")
    assert p.returncode == 125 and "--keep-storage" in p.stderr, p
    p = box.limpet("image", "prune", "-f", "--keep-storage", "64GiB")
    assert "Deleted images: 0" in p.stdout, p
    p = box.limpet("image", "prune", "-af")
    assert "Deleted images: 2" in p.stdout, p
    assert os.listdir(box.root + "/images") == [] and old


def put_blob(box, name, doc):
    os.makedirs(box.root + "/blobs", exist_ok=True)
    with open(f"{box.root}/blobs/{name}", "w") as f:
        json.dump(doc, f)


def test_prune_removes_blobs(box):
    """Documents and layers of images that are there stay, others go."""
    layer, index = "c" * 64, "d" * 64
    put_blob(box, image_id("img"), {"layers": [{"digest": "sha256:" + layer}]})
    for name in (layer, index, "e" * 64):
        put_blob(box, name, {})
    assert box.limpet("tag", box.image, "web").returncode == 0
    for ref in os.listdir(box.root + "/refs"):
        with open(f"{box.root}/refs/{ref}", "r+") as f:
            if "docker://" in f.read():
                f.write("sha256:" + index + "\n")
    assert box.limpet("image", "prune", "-f").returncode == 0
    assert set(os.listdir(box.root + "/blobs")) == {image_id("img"), layer, index}
    assert box.limpet("rmi", "web").returncode == 0
    assert box.limpet("image", "prune", "-f").returncode == 0
    assert set(os.listdir(box.root + "/blobs")) == {image_id("img"), layer}
    assert box.limpet("rmi", box.image).returncode == 0
    assert os.listdir(box.root + "/blobs") == []


def test_shared_store(box):
    """What the own store lacks is found in LIMPET_SHARED, which stays as it is."""
    assert box.limpet("tag", box.image, "web").returncode == 0
    shared, box.root = box.root, box.dir + "/own"
    before = sorted(os.walk(shared))
    env = {"LIMPET_SHARED": shared}
    for ref in ("web", image_id("img")[:12], box.image):
        p = box.limpet("run", "--rm", "--pull", "never", ref, env=env)
        assert p.returncode == 0 and p.stdout == "default\n", p
    assert image_id("img")[:12] in box.limpet("images", env=env).stdout
    assert json.loads(box.limpet("inspect", "web", env=env).stdout)[0]["RepoTags"] == ["web:latest"]
    assert sorted(os.walk(shared)) == before
    p = box.limpet("run", "--rm", "--pull", "never", "web")
    assert p.returncode == 125 and "No such image" in p.stderr, p
    assert image_id("img")[:12] not in box.limpet("images").stdout
    p = box.limpet("run", "--rm", "web", env={"LIMPET_SHARED": "/nowhere"})
    assert p.returncode == 125 and "LIMPET_SHARED: /nowhere" in p.stderr, p
    p = box.limpet("rmi", "web", env=env)
    assert p.returncode == 1 and "No such image" in p.stderr, p


def test_prune_keeps_the_newest(box):
    """--keep-storage: the oldest go first, until no more than that is there."""
    for i, created in enumerate(("2020", "2023", "2021", "2022")):
        box.add_image(created)
        h = image_id(created)
        path = f"{box.root}/images/{h}.json"
        with open(path) as f:
            doc = json.load(f)
        doc.update(created=created + "-01-01T00:00:00Z", layers=["sha256:" + h])
        with open(path, "w") as f:
            json.dump(doc, f)
        with open(f"{box.root}/layers/{h}.data", "wb") as f:
            f.write(os.urandom(1 << 20))
    box.image = "oci:" + box.dir + "/img"
    assert box.limpet("rmi", "-f", image_id("img")[:12]).returncode == 0
    p = box.limpet("image", "prune", "-f", "--keep-storage", "3MiB")
    assert "Deleted images: 1" in p.stdout, p
    left = {n[:64] for n in os.listdir(box.root + "/images")}
    assert left == {image_id(c) for c in ("2021", "2022", "2023")}, left
    p = box.limpet("image", "prune", "-f", "--keep-storage", "1100KiB")
    assert "Deleted images: 2" in p.stdout, p
    assert os.listdir(box.root + "/images") == [image_id("2023") + ".json"]
    assert os.listdir(box.root + "/layers") == [image_id("2023") + ".data"]


def test_history(box):
    p = box.limpet("history", box.image)
    assert p.returncode == 1 and "configuration is not in the store" in p.stderr, p
    long = "RUN /bin/sh -c\t" + "\u00e9" * 60
    put_blob(box, image_id("img"), {"history": [
        {"created": "2020-01-02T03:04:05.678Z", "created_by": "ADD rootfs", "comment": "base"},
        {"created": "2020-01-02T03:04:06Z", "created_by": long},
        {"created_by": "CMD [\"sh\"]", "empty_layer": True}]})
    record = f"{box.root}/images/{image_id('img')}.json"
    with open(record) as f:
        doc = json.load(f)
    doc["layers"] = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
    with open(record, "w") as f:
        json.dump(doc, f)
    with open(f"{box.root}/layers/{'b' * 64}.data", "wb") as f:
        f.write(b"x" * 8192)
    lines = [re.split(r" {2,}", x) for x in
             box.limpet("history", box.image).stdout.rstrip("\n").split("\n")]
    assert lines[0][:5] == ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], lines
    assert lines[1][:4] == [image_id("img")[:12], "N/A", 'CMD ["sh"]', "0B"], lines
    assert lines[2][0] == "<missing>" and lines[2][3] == "8.19kB", lines
    assert lines[2][2] == "RUN /bin/sh -c " + "\u00e9" * 29 + "\u2026", lines
    assert lines[3][0] == "<missing>" and lines[3][2:] == ["ADD rootfs", "0B", "base"], lines
    assert box.limpet("history", "-q", box.image).stdout == \
        image_id("img")[:12] + "\n<missing>\n<missing>\n"
    p = box.limpet("history", "--no-trunc", "--human=false", "--format", "json", box.image)
    rows_ = [json.loads(x) for x in p.stdout.splitlines()]
    assert rows_[0]["ID"] == "sha256:" + image_id("img"), rows_
    assert rows_[1]["CreatedBy"] == long.replace("\t", " "), rows_
    assert rows_[1]["Size"] == "8192" and rows_[2]["CreatedAt"] == "2020-01-02T03:04:05Z", rows_
    p = box.limpet("history", "nothing")
    assert p.returncode == 1 and "No such image: nothing" in p.stderr, p


def test_busy_store(box):
    import fcntl
    with open(box.root + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        p = box.limpet("rmi", box.image)
        assert p.returncode == 1 and "try again" in p.stderr, p
        assert box.limpet("tag", box.image, "x").returncode == 0


def test_bad_names(box):
    p = box.limpet("tag", box.image, "Bad")
    assert p.returncode == 1 and "lower case" in p.stderr, p
    p = box.limpet("tag", box.image, "a@sha256:" + "1" * 64)
    assert p.returncode == 1 and "digest" in p.stderr, p
    p = box.limpet("pull", "--frob", "x")
    assert p.returncode == 125 and "--frob" in p.stderr, p


if __name__ == "__main__":
    harness.main(globals())
