# SPDX-License-Identifier: Apache-2.0
"""limpet doctor on hosts made of files: each check finds its failure, names a
fix and decides the exit code. Verdicts of all kinds: unit_supervisor_doctor."""
import json
import os
import pty
import re
import shutil
import subprocess

import harness

GOOD = {
    "/proc/cpuinfo": "processor\t: 0\nmodel name\t: X\nflags\t\t: fpu vmx\n",
    "/proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable:    2000000 kB\n",
    "/proc/sys/user/max_user_namespaces": "1000\n",
    "/proc/sys/kernel/seccomp/actions_avail": "kill_process trap errno allow\n",
    "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
    "/sys/kernel/security/lsm": "capability,landlock,yama",
    "/dev/net/tun": "",
    "/usr/bin/nft": "",
    "/usr/bin/passt": "",
    "/sys/module/bridge/x": "",
    "/proc/sys/net/ipv4/ip_forward": "0\n",
    "/proc/sys/net/ipv4/ping_group_range": "0\t2147483647\n",
}


def host(box, change=None):
    """A root with the good files, changed; None removes one."""
    root = box.dir + "/host"
    shutil.rmtree(root, ignore_errors=True)
    for path, text in {**GOOD, **(change or {})}.items():
        if text is not None:
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            with open(root + path, "w") as f:
                f.write(text)
    for name in ("limpet-image",):
        open(f"{box.libexec}/{name}", "w").close()
    return root


def doctor(box, change=None, env=None, args=()):
    env = {"LIMPET_DOCTOR_ROOT": host(box, change), "LIMPET_KVM": "/dev/kvm", **(env or {})}
    p = box.limpet("doctor", "--format", "json", *args, env=env)
    assert p.stderr == "", p
    doc = json.loads(p.stdout)
    assert p.returncode == (0 if doc["ok"] else 1), p
    assert doc["ok"] == all(c["status"] != "fail" for c in doc["checks"]), doc
    assert all(("fix" in c) == (c["status"] != "ok") for c in doc["checks"]), doc
    return {c["check"]: c for c in doc["checks"]}


def test_changes(box):
    base = doctor(box)
    rows = [
        ("tun", "warn", {"/dev/net/tun": None}, "modprobe tun"),
        ("bridges", "warn", {"/usr/bin/nft": None}, "apt-get install nftables"),
        ("bridges", "warn", {"/sys/module/bridge/x": None}, "modprobe bridge"),
        ("passt", "warn", {"/usr/bin/passt": None}, "apt-get install passt"),
        ("passt", "warn", {"/proc/sys/net/ipv4/ping_group_range": "1\t0\n"}, "ping_group_range="),
        ("cgroups", "warn", {"/sys/fs/cgroup/cgroup.controllers": None}, "mount -t cgroup2"),
        ("cgroups", "warn", {"/sys/fs/cgroup/cgroup.controllers": None,
                             "/sys/fs/cgroup/memory/x": ""}, "unified_cgroup_hierarchy=1"),
        ("cgroups", "warn", {"/sys/fs/cgroup/cgroup.controllers": "cpu pids"},
         "cgroup_enable=memory"),
        ("namespaces", "warn", {"/proc/sys/user/max_user_namespaces": "0"},
         "sysctl -w user.max_user_namespaces"),
        ("namespaces", "warn", {"/proc/sys/user/max_user_namespaces": None}, "CONFIG_USER_NS"),
        ("memory", "fail", {"/proc/meminfo": "MemAvailable: 20000 kB\n"}, "limpet stop"),
        ("memory", "warn", {"/proc/meminfo": None}, "mount -t proc"),
        ("seccomp", "fail", {"/proc/sys/kernel/seccomp/actions_avail": None}, "SECCOMP_FILTER"),
        ("landlock", "warn", {"/sys/kernel/security/lsm": "capability,yama"}, "lsm="),
        ("landlock", "warn", {"/sys/kernel/security/lsm": None}, "SECURITY_LANDLOCK"),
        ("board", "warn", {"/etc/limpet/board.json": "{"}, "correct or remove that file"),
    ]
    for name, status, change, fix in rows:
        assert base[name]["status"] == "ok", base[name]
        got = doctor(box, change)
        assert got[name]["status"] == status and fix in got[name]["fix"], (change, got[name])
        others = {k for k in base if got[k]["status"] != base[k]["status"]}
        assert others <= {name}, (change, others)


def test_kvm(box):
    none = {"LIMPET_KVM": box.dir + "/none"}
    got = doctor(box, env=none)
    assert got["kvm"]["fix"] == "modprobe kvm_intel", got["kvm"]
    assert got["kvm kind"]["status"] == "fail"
    got = doctor(box, {"/proc/cpuinfo": "processor : 0\nflags : fpu\n\nprocessor : 1\nflags : svm\n"}, none)
    assert "firmware" in got["kvm"]["fix"], got["kvm"]
    got = doctor(box, {"/sys/module/kvm/x": ""}, none)
    assert "mknod /dev/kvm c 10 232" in got["kvm"]["fix"], got["kvm"]
    got = doctor(box, env={"LIMPET_KVM": "/dev/null"})
    assert "not KVM" in got["kvm"]["found"] and "mknod" in got["kvm"]["fix"], got["kvm"]


def test_store(box):
    got = doctor(box, args=["--root", "/proc/self/status/x"])
    assert got["store"]["status"] == "fail" and "install -d -m 0700" in got["store"]["fix"]
    got = doctor(box, args=["--root", box.image[4:] + "/index.json"])
    assert "Not a directory" in got["store"]["found"], got["store"]
    got = doctor(box, args=["--root", box.dir + "/not/yet/there"])
    assert "MiB free" in got["store"]["found"] or " on " in got["store"]["found"], got["store"]
    if os.path.isdir("/dev/shm") and os.stat("/dev/shm").st_dev != os.stat("/dev").st_dev:
        got = doctor(box, args=["--root", "/dev/shm/limpet"])
        assert "tmpfs" in got["store"]["found"] and "LIMPET_ROOT" in got["store"]["fix"]


def test_programs(box):
    kernel = {"x86_64": "limpet-kernel.x86_64", "aarch64": "limpet-kernel.arm64"}[os.uname().machine]
    for name in (kernel, "limpet-vmm", "limpet-image"):
        doctor(box)
        os.rename(f"{box.libexec}/{name}", box.dir + "/away")
        got = box.limpet("doctor", env={"LIMPET_DOCTOR_ROOT": box.dir + "/host"})
        assert got.returncode == 1 and f"{name}: No such file" in got.stdout, got
        assert "LIMPET_LIBEXEC" in got.stdout
        os.rename(box.dir + "/away", f"{box.libexec}/{name}")


def test_board(box):
    assert "unknown" in doctor(box)["board"]["found"]
    got = doctor(box, {"/proc/cpuinfo": "processor: 0\nvendor_id: GenuineIntel\ncpu family: 6\n"
                       "model: 190\nmodel name: Intel(R) N100\nflags: vmx\n"})
    assert "(profile intel-n100)" in got["board"]["found"], got["board"]


def test_table(box):
    env = {"LIMPET_DOCTOR_ROOT": host(box, {"/dev/net/tun": None}), "LIMPET_KVM": "/dev/null"}
    p = box.limpet("doctor", env=env)
    assert p.returncode == 1 and "\033" not in p.stdout, p
    assert re.search(r"^FAIL +kvm +/dev/null: not KVM", p.stdout, re.M), p.stdout
    assert re.search(r"^warn +tun +/dev/net/tun: No such file", p.stdout, re.M), p.stdout
    assert re.search(r"^ +fix: modprobe tun", p.stdout, re.M), p.stdout
    assert box.limpet("doctor", "--format", "x").returncode == 125
    assert box.limpet("doctor", "x").returncode == 125
    # Colours on a terminal, unless NO_COLOR.
    for no, want in (("", True), ("1", False)):
        ours, theirs = pty.openpty()
        q = subprocess.Popen([harness.LIMPET, "doctor"], stdin=theirs, stdout=theirs,
                             env=box.env(**env, TERM="xterm", NO_COLOR=no))
        os.close(theirs)
        out = b""
        try:
            while chunk := os.read(ours, 65536):
                out += chunk
        except OSError:
            pass
        q.wait(200)
        os.close(ours)
        assert (b"\033[31mFAIL\033[0m" in out) == want, out


harness.main(globals())
