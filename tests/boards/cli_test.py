#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`limpet board`: profiles agree with device trees, layers, a host with files
of its own, bad input. cli_test.py CACHE"""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

import dts

LIMPET = os.environ["LIMPET"]
CACHE = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
BOARDS = HERE + "/../../boards"
CORPUS = HERE + "/../fuzz/corpus/board_dtb"
DTB = {"raspberry-pi-4": "broadcom/bcm2711-rpi-4-b", "raspberry-pi-5": "broadcom/bcm2712-rpi-5-b",
       "rock-5b": "rockchip/rk3588-rock-5b"}
TMP = tempfile.mkdtemp(prefix="limpet-board-")


def board(*args, root="", code=0, **env):
    env.setdefault("HOME", TMP + "/nobody")
    p = subprocess.run([LIMPET, "board", *args], capture_output=True, text=True, timeout=300,
                       env=dict(os.environ, LIMPET_DOCTOR_ROOT=root, LIMPET_KVM="/dev/null",
                                NO_COLOR="1", XDG_CONFIG_HOME="", **env))
    assert p.returncode == code, p
    return p


def facts(*args, **kw):
    return json.loads(board("--format", "json", *args, **kw).stdout)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb" if isinstance(text, bytes) else "w") as f:
        f.write(text)
    return path


def unpack(node, path):
    """A device tree as the kernel shows it below /proc."""
    os.makedirs(path, exist_ok=True)
    for name, value in node.props.items():
        write(f"{path}/{name}", value)
    write(path + "/name", node.name.split("@")[0].encode() + b"\0")
    for kid in node.kids:
        unpack(kid, f"{path}/{kid.name}")


def test_every_folder():
    """A profile each, of the folder's name; layouts are there; no warnings."""
    shared = os.path.dirname(LIMPET) + "/../share/limpet/boards"
    for folder in sorted(glob.glob(BOARDS + "/*/")):
        name = folder.split("/")[-2]
        assert json.load(open(folder + "board.json"))["name"] == name, folder
        layout = json.load(open(folder + "board.json"))["facts"].get("layout")
        assert layout is None or os.path.exists(f"{BOARDS}/../{layout['value']}"), layout
        assert open(f"{shared}/{name}.json").read() == open(folder + "board.json").read(), name
    doc = facts("--dtb", CORPUS + "/qemu-virt-gic3.dtb")
    assert (doc["board"], doc["warnings"]) == ("qemu-virt-arm64", []), doc
    # Our two machines have one name; the CPU tells them apart.
    text = '/dts-v1/; / { compatible = "limpet,virt"; %s };'
    for cpus, want in (("", "virt-x86_64"),
                       ('cpus { cpu@0 { compatible = "arm,armv8"; }; };', "virt-arm64")):
        subprocess.run(["dtc", "-q", "-O", "dtb", "-o", TMP + "/our.dtb", "-"], check=True,
                       input=text % cpus, text=True)
        assert facts("--dtb", TMP + "/our.dtb")["board"] == want, want


def test_profiles_agree():
    """Each profile fits its device tree, and no fact with a source differs
    from what the tree says."""
    for name, path in DTB.items():
        path = f"{CACHE}/dtb/{path}.dtb"
        if not os.path.exists(path):
            print("# no", path)
            continue
        doc = facts("--dtb", path)
        assert doc["board"] == name, doc["board"]
        wrong = {k: f for k, f in doc["facts"].items() if "instead_of" in f}
        assert not wrong, wrong
        assert doc["facts"]["memory.reserve"]["unverified"] is True
        assert doc["facts"]["clusters"]["from"] == "profile"


def test_layers():
    root = TMP + "/layers"
    unpack(dts.read(CORPUS + "/bcm2712-rpi-5-b.dtb"), root + "/proc/device-tree")
    doc = facts(root=root)
    assert doc["board"] == "raspberry-pi-5", doc
    assert doc["facts"]["cpus"] == {"value": 4, "from": "probe",
                                    "source": "/proc/device-tree:/cpus"}, doc["facts"]["cpus"]
    assert doc["facts"]["serial"]["value"][0]["address"] == "0x107d001000"
    one = '{"schema": 1, "facts": {"cpus": {"value": %d}, "labels.%s": {"value": "x"}}}'
    write(root + "/etc/limpet/board.json", one % (3, "machine"))
    write(root + TMP + "/me/.config/limpet/board.json", one % (2, "mine"))
    mine = write(TMP + "/mine.json", one % (1, "flag"))
    cpus = facts(root=root)["facts"]["cpus"]
    assert (cpus["value"], cpus["from"], cpus["instead_of"]) == (3, "override", 4), cpus
    assert cpus["source"] == root + "/etc/limpet/board.json"
    assert facts(root=root, HOME=TMP + "/me")["facts"]["cpus"]["value"] == 2
    doc = facts("--profile", mine, root=root, HOME=TMP + "/me")
    assert doc["facts"]["cpus"]["value"] == 1
    assert {"labels.machine", "labels.mine", "labels.flag"} <= set(doc["facts"]), doc["facts"]
    text = board("--profile", mine, root=root).stdout
    assert "Board: Raspberry Pi 5 (profile raspberry-pi-5)" in text, text
    assert "1 (instead of 3)" in text, text
    # Another machine's tree has nothing to do with this machine's files.
    doc = facts("--dtb", CORPUS + "/bcm2712-rpi-5-b.dtb", root=root, HOME=TMP + "/me")
    assert doc["facts"]["cpus"]["value"] == 4


def test_blob():
    """/sys/firmware/fdt when there is no /proc/device-tree."""
    root = TMP + "/blob"
    os.makedirs(root + "/sys/firmware")
    shutil.copy(CORPUS + "/amlogic-a4-a113l2-ba400.dtb", root + "/sys/firmware/fdt")
    doc = facts(root=root)
    assert doc["facts"]["clusters"]["source"] == "/sys/firmware/fdt:/cpus", doc["facts"]
    assert doc["board"] is None
    assert "Board: unknown: no profile fits this machine" in board(root=root).stdout


def test_dmi_and_cpu():
    root = TMP + "/n100"
    block = ("processor\t: %d\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 190\n"
             "model name\t: Intel(R) N100\nflags\t\t: fpu vmx\n\n")
    write(root + "/proc/cpuinfo", "".join(block % i for i in range(4)))
    write(root + "/proc/meminfo", "MemTotal:        8000000 kB\n")
    write(root + "/sys/class/dmi/id/product_name", "Gate\x1bway\n")
    doc = facts(root=root)
    have = {k: f["value"] for k, f in doc["facts"].items()}
    assert doc["board"] == "intel-n100", doc
    assert have["clusters"] == [{"cpu": "Intel(R) N100", "count": 4}]
    assert have["memory.total"] == 8000000 * 1024 and have["model"] == "Gate?way"
    # Seen beats a guess: KVM cannot be opened here, whatever the CPU could.
    assert have["kvm.kind"] == "none"
    write(root + "/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n"
          "processor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n")
    doc = facts(root=root)
    assert doc["board"] is None
    assert [c["cpu"] for c in doc["facts"]["clusters"]["value"]] == [
        "arm,cortex-a72", "arm,cortex-a53"], doc["facts"]["clusters"]


def test_bad_input():
    def refused(want, *args):
        p = board(*args, code=1)
        assert want in p.stderr and p.stderr.count("\n") == 1 and p.stdout == "", p
    good = open(CORPUS + "/bcm2712-rpi-5-b.dtb", "rb").read()
    cut = write(TMP + "/cut.dtb", good[:len(good) // 2])
    refused("cut.dtb: not a good device tree", "--dtb", cut)
    refused("few for a device tree", "--dtb", write(TMP + "/few.dtb", b"\xd0\r\xfe\xed"))
    refused("at most 2097152", "--dtb", write(TMP + "/big.dtb", good + bytes(2 << 20)))
    refused("nothing.dtb: No such file", "--dtb", TMP + "/nothing.dtb")
    refused("/bad.json: ", "--profile", write(TMP + "/bad.json", '{"schema": 1, "facts": {'))
    refused('unknown fact "cpuz"', "--profile", write(
        TMP + "/x.json", '{"schema":1,"facts":{"cpuz":{"value":1}}}'))
    refused("at most 262144", "--profile", write(TMP + "/l.json", " " * (300 << 10)))
    # A shipped profile that is broken is named; the others still work.
    boards = TMP + "/boards"
    shutil.copytree(os.path.dirname(LIMPET) + "/../share/limpet/boards", boards)
    write(boards + "/a.json", "{")
    doc = facts("--dtb", CORPUS + "/bcm2712-rpi-5-b.dtb", LIMPET_BOARDS=boards)
    assert doc["board"] == "raspberry-pi-5" and "a.json" in doc["warnings"][0], doc
    p = board("--format", "xml", code=125)
    assert "must be table or json" in p.stderr, p
    assert "takes no arguments" in board("x", code=125).stderr


def main():
    failed = 0
    for name, f in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            f()
            print("ok", name, flush=True)
        except Exception:
            import traceback
            failed += 1
            print("FAILED", name)
            traceback.print_exc()
    shutil.rmtree(TMP)
    sys.exit(failed > 0)


main()
