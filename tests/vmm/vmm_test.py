# SPDX-License-Identifier: Apache-2.0
"""Boot tests of limpet-vmm with the toy guest: vmm_test.py VMM TOY CASE...
Several cases: one TAP line each."""
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from launch import Vm

VMM, TOY, CASES = sys.argv[1], sys.argv[2], sys.argv[3:]
CTL_EXIT, CTL_SIGNAL, CTL_WINSIZE = 1, 2, 3
MIB = 1 << 20
ARM = os.uname().machine == "aarch64"
KERNEL = 0xFFFF000040200000 if ARM else 0xFFFFFFFF80200000


def skip(why):
    print(f"SKIP {why}")
    sys.exit(77)


def need_kvm():
    """On x86-64 the toy guest is for KVM_PVM: open /dev/kvm and see a native
    vCPU before deciding anything."""
    try:
        fd = os.open("/dev/kvm", os.O_RDWR)
    except OSError as e:
        skip(f"/dev/kvm: {e.strerror}")
    if ARM:
        os.close(fd)
        return
    try:
        vm = fcntl.ioctl(fd, 0xAE01, 0)
        vcpu = fcntl.ioctl(vm, 0xAE41, 0)
        msr = bytearray(struct.pack("<IIIIQ", 1, 0, 0x4B564D11, 0, 0))
        if fcntl.ioctl(vcpu, 0xC008AE88, msr) != 1:
            skip("the toy guest needs KVM_PVM")
        os.close(vcpu)
        os.close(vm)
    except OSError as e:
        skip(f"KVM cannot make a vCPU: {e.strerror}")
    os.close(fd)


def run(*args, **kw):
    """Start the toy with pipes; returns (vm, stdout fd, stderr fd)."""
    out_r, out_w = os.pipe()
    err_r, err_w = os.pipe()
    kw.setdefault("stdout", out_w)
    kw.setdefault("stderr", err_w)
    vm = Vm(VMM, TOY, list(args), **kw)
    os.close(out_w)
    os.close(err_w)
    return vm, out_r, err_r


def slurp(fd):
    parts = []
    while True:
        data = os.read(fd, 1 << 16)
        if not data:
            return b"".join(parts)
        parts.append(data)


def ends(vm, status, kind, code):
    got, record = vm.wait()
    assert record is not None, f"no exit record, status {got}: {vm.text()}"
    assert (got, record["kind"], record["code"]) == (status, kind, code), (
        got, record, vm.text())
    return record


def case_hello():
    vm, out, err = run("hello", "world\n")
    record = ends(vm, 0, "exited", 0)
    assert slurp(out) == b"world\n" and slurp(err) == b"error\n"
    assert record["entry_tsc"] and record["exits"] == 1, record
    assert vm.text() == "", vm.text()
    kind, payload = vm.frame()
    fields = struct.unpack_from("<IIQQQQII", payload)
    assert kind == CTL_EXIT and fields[0:3] == (0, 0, record["entry_tsc"])


def case_exit_codes():
    for code in (1, 7, 255):
        vm, _, _ = run("exit", str(code))
        ends(vm, 0, "exited", code)


def case_stdin_echo():
    data = os.urandom(3 * MIB + 17)
    # A pipe, a file and a socket; then nothing at all.
    in_r, in_w = os.pipe()
    feed = threading.Thread(
        target=lambda: (os.fdopen(in_w, "wb").write(data)))
    vm, out, _ = run("echo", stdin=in_r)
    os.close(in_r)
    feed.start()
    assert slurp(out) == data
    ends(vm, 0, "exited", 0)
    with tempfile.TemporaryFile() as f:
        f.write(data)
        f.seek(0)
        vm, out, _ = run("echo", stdin=f.fileno())
        assert slurp(out) == data
        ends(vm, 0, "exited", 0)
    ours, theirs = socket.socketpair()
    vm, out, _ = run("echo", stdin=theirs.fileno())
    theirs.close()
    ours.sendall(b"socket")
    ours.close()
    assert slurp(out) == b"socket"
    ends(vm, 0, "exited", 0)
    vm, out, _ = run("echo", stdin=-1)
    ends(vm, 0, "exited", 0)


def case_slow_stdout():
    # Nobody reads for a while: nothing may be lost, the monitor stays alive.
    vm, out, _ = run("big", "64")
    time.sleep(0.3)
    os.kill(vm.monitor(), 0)
    want = bytes(ord("a") + i % 26 for i in range(65536)) * 64
    assert slurp(out) == want
    ends(vm, 0, "exited", 0)
    # A reader that goes away does not stop the guest.
    vm, out, _ = run("big", "64")
    os.close(out)
    ends(vm, 0, "exited", 0)


def case_big_output():
    with tempfile.TemporaryFile() as f:
        vm, _, _ = run("big", "512", stdout=f.fileno())
        ends(vm, 0, "exited", 0)
        assert f.seek(0, 2) == 512 * 65536


def case_full_file():
    """A file that takes no more: said once, and the guest goes on."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    with tempfile.TemporaryFile() as f:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, old[1]))
        vm, _, _ = run("big", "8", stdout=f.fileno())
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        ends(vm, 0, "exited", 0)
        assert f.seek(0, 2) == 100000
        assert vm.text().count("output is lost") == 1, vm.text()


def case_cri_log():
    with tempfile.TemporaryFile() as log:
        vm, _, _ = run("hello", "one\ntwo", config=lambda c: c["stdio"].update(
            log_fd=log.fileno()))
        ends(vm, 0, "exited", 0)
        log.seek(0)
        lines = [line.split(" ", 3) for line in log.read().decode().split("\n")
                 if line]
    today = time.strftime("%Y-%m-%dT", time.gmtime())
    assert all(line[0].startswith(today) for line in lines), lines
    assert [line[1:] for line in lines] == [
        ["stdout", "F", "one"], ["stdout", "P", "two"],
        ["stderr", "F", "error"]], lines


def case_cpus():
    vm, _, _ = run("cpus", "4", vcpus=4)
    ends(vm, 0, "exited", 0)


def case_interrupts():
    vm, out, _ = run("irq", "100")
    ends(vm, 0, "exited", 0)
    assert slurp(out) == b"irq\n" * 100


def case_rng():
    vm, _, _ = run("rng")
    ends(vm, 0, "exited", 0)


def case_disk():
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"".join(bytes([i]) * 512 for i in range(8)))
        f.flush()
        vm, out, _ = run("disk", "5", disks=[(f.name, True)])
        ends(vm, 0, "exited", 0)
        assert slurp(out) == bytes([5]) * 512
        vm, out, _ = run("disk", "8", disks=[(f.name, False)])
        ends(vm, 0, "exited", 1)  # past the end: an I/O error
        assert slurp(out) == b""


def image_files(directory):
    names = []
    for i, size in enumerate((2 * MIB, 4 * MIB, 2 * MIB)):
        name = os.path.join(directory, f"layer{i}")
        with open(name, "wb") as f:
            f.truncate(size)
            f.write(b"start %d" % i)
            f.seek(size - 4096)
            f.write(b"end %d" % i)
        names.append(name)
    return names


def case_image_window():
    with tempfile.TemporaryDirectory() as d:
        names = image_files(d)
        for at, want in ((0, b"start 0"), (2 * MIB, b"start 1"),
                         (6 * MIB - 4096, b"end 1"), (6 * MIB, b"start 2")):
            vm, out, _ = run("image", str(at), images=names)
            ends(vm, 0, "exited", 0)
            assert slurp(out).rstrip(b"\0") == want
        os.truncate(names[1], 4 * MIB - 1)
        vm, _, _ = run("image", "0", images=names)
        record = ends(vm, 125, "monitor", 125)
        assert "layer1" in record["message"], record


def case_damaged_image():
    with tempfile.TemporaryDirectory() as d:
        names = image_files(d)
        in_r, _in_w = os.pipe()
        vm, out, _ = run("late_image", str(4 * MIB), images=names, stdin=in_r)
        assert os.read(out, 6) == b"ready\n"
        os.truncate(names[1], 4096)
        os.write(_in_w, b"go")
        record = ends(vm, 125, "monitor", 125)
        assert "layer1" in record["message"], record


def case_reset():
    vm, _, _ = run("reset")
    ends(vm, 0, "exited", 0)


def case_hostile():
    for kind in range(8):
        vm, out, _ = run("hostile", str(kind))
        ends(vm, 0, "exited", 0)
        assert slurp(out) == b"alive\n", kind


def case_crash():
    if ARM:  # KVM on arm64 has nothing like a triple fault
        vm, _, _ = run("crash", symbols=TOY)
        ends(vm, 0, "panic", 4)  # synchronous exception of this EL
        assert "toy_crash+0x" in vm.text(), vm.text()
        return
    vm, _, _ = run("crash", symbols=TOY)
    record = ends(vm, 125, "monitor", 125)
    assert "triple fault" in record["message"], record
    assert "toy_crash+0x" in vm.text(), vm.text()


def case_poweroff():
    vm, _, _ = run("poweroff")
    record = ends(vm, 125, "monitor", 125)
    assert "powered off" in record["message"], record
    if ARM:  # PSCI SYSTEM_OFF
        vm, _, _ = run("off")
        record = ends(vm, 125, "monitor", 125)
        assert "powered off" in record["message"], record
    vm, _, _ = run("last_words")
    record = ends(vm, 0, "panic", 125)
    assert record["message"] == "tired", record
    assert vm.text().count("tired") == 1, vm.text()


def case_output_before_the_end():
    """However it ended, a slow reader gets what was written before."""
    for how, status, kind, code in (("panic", 0, "panic", 125),
                                    ("poweroff", 125, "monitor", 125),
                                    ("crash", 0 if ARM else 125,
                                     "panic" if ARM else "monitor",
                                     4 if ARM else 125)):
        vm, out, _ = run("full", how)
        # The pipe is full, and the guest is gone or waits for a reader.
        time.sleep(0.3)
        assert slurp(out) == b"x" * 3 * 65536, how
        ends(vm, status, kind, code)


def case_panic_symbols():
    vm, _, _ = run("panic", symbols=TOY)
    ends(vm, 0, "panic", 1)
    assert f"[<{KERNEL + 1:016x}>] toy_start+0x1" in vm.text(), vm.text()


def case_clients():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "ctl")
        listen = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listen.bind(path)
        listen.listen()
        in_r, _in_w = os.pipe()
        vm, _, _ = run("echo", stdin=in_r, listen=listen)
        clients = []
        for _ in range(3):
            c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            c.settimeout(60)
            c.connect(path)
            clients.append(c)
        # Nonsense costs the sender its connection, nothing else.
        clients[0].send(b"\xff" * 40)
        assert clients[0].recv(100) == b""
        clients[1].send(struct.pack("<IIHHI", CTL_WINSIZE, 8, 50, 132, 0))
        clients[1].send(struct.pack("<IIII", CTL_SIGNAL, 8, 15, 0))
        for c in clients[1:]:
            data = c.recv(2048)
            assert struct.unpack_from("<IIII", data)[0::2] == (1, 1), data
        ends(vm, 0, "signalled", 15)


def case_sigterm():
    vm, out, _ = run("spin")
    assert os.read(out, 9) == b"spinning\n"
    os.kill(vm.monitor(), signal.SIGTERM)
    record = ends(vm, 125, "monitor", 143)
    assert "SIGTERM" in record["message"], record


def vmm_fails(config, *needles):
    """The monitor refuses this configuration text on stderr."""
    with tempfile.TemporaryFile() as f:
        f.write(config)
        f.seek(0)
        p = subprocess.run([VMM, "--config-fd", str(f.fileno())],
                           pass_fds=[f.fileno()], stderr=subprocess.PIPE,
                           timeout=60, check=False)
    text = p.stderr.decode()
    assert p.returncode == 125 and text.count("\n") == 1, (p, text)
    assert all(n in text for n in needles), text


def case_bad_config():
    good = {"version": 1, "memory": 64 * MIB, "vcpus": 1,
            "stdio": {}, "containers": [{"args": ["x"]}]}
    vmm_fails(b"", "config")
    vmm_fails(b"[]", "object")
    vmm_fails(b"[" * 5000, "nested")
    vmm_fails(b"{" + b" " * MIB + b"}", "1048576")
    vmm_fails(json.dumps(good).encode(), "kvm_fd")
    for change, needle in (({"version": 2}, "version"),
                           ({"surprise": 1}, "surprise"),
                           ({"memory": 1}, "memory"),
                           ({"memory": 16 * MIB + 4096}, "memory"),
                           ({"vcpus": 0}, "vcpus"),
                           ({"vcpus": 33}, "vcpus"),
                           ({"image_fds": ["a"]}, "image_fds"),
                           ({"disks": [{}]}, "fd"),
                           ({"containers": []}, "container"),
                           ({"containers": [{"args": []}]}, "args"),
                           ({"containers": [{"args": [1]}]}, "args")):
        vmm_fails(json.dumps({**good, **change}).encode(), needle)


def case_bad_kernel():
    with tempfile.NamedTemporaryFile() as f:
        for content, needle in ((b"", "truncated"), (b"#!/bin/sh\n" * 20,
                                                     "ELF")):
            f.seek(0)
            f.truncate()
            f.write(content)
            f.flush()
            vm = Vm(VMM, f.name, ["x"])
            record = ends(vm, 125, "monitor", 125)
            assert needle in record["message"], record


def max_vcpus():
    """Of our machine, at most what the host's GICv2 or GICv3 allows."""
    kvm = os.open("/dev/kvm", os.O_RDWR)
    most = fcntl.ioctl(kvm, 0xAE03, 66)  # KVM_CHECK_EXTENSION, MAX_VCPUS
    os.close(kvm)
    return min(32, most)


def case_too_many_cpus():
    """More than the interrupt controller allows: both numbers are named."""
    most = max_vcpus()
    vm, _, _ = run("cpus", str(most), vcpus=most)
    ends(vm, 0, "exited", 0)
    if most == 32:
        skip("this host allows as many vCPUs as our machine can have")
    vm, _, _ = run("hello", "x", vcpus=most + 1)
    record = ends(vm, 125, "monitor", 125)
    assert f"{most + 1} vCPUs" in record["message"], record
    assert f"allows {most}" in record["message"], record


def case_does_not_fit():
    def big(cfg):
        cfg["containers"][0]["files"] = [
            {"path": f"/f{i}", "mode": 0o644, "data": "x" * 100000}
            for i in range(9)]
        cfg["vcpus"] = max_vcpus()
        cfg["memory"] = 63 << 30
        cfg["disks"] = []

    def bigger(cfg):
        big(cfg)
        cfg["image_fds"] = cfg["image_fds"] * 100

    with tempfile.NamedTemporaryFile() as f:
        f.truncate(8 << 30)
        vm, _, _ = run("exit", "3", config=big)
        ends(vm, 0, "exited", 3)
        vm, _, _ = run("exit", "3", images=[f.name], config=bigger)
        record = ends(vm, 125, "monitor", 125)
        assert ("too large" in record["message"] or
                "does not fit" in record["message"]), record


def case_blob():
    cfg = {"version": 1, "memory": 64 * MIB, "vcpus": 1, "kvm_fd": -1,
           "stdio": {}, "containers": [
               {"args": ["/bin/x", "y"], "env": ["A=b"], "files": [
                   {"path": "/etc/f", "mode": 420, "data": "text"}]}]}
    with tempfile.TemporaryFile() as f, tempfile.TemporaryFile() as blob:
        f.write(json.dumps(cfg).encode())
        f.seek(0)
        subprocess.run([VMM, "--config-fd", str(f.fileno()), "--blob-fd",
                        str(blob.fileno())], check=True, timeout=60,
                       pass_fds=[f.fileno(), blob.fileno()])
        blob.seek(0)
        data = blob.read()
    magic, version, size, platform, cpus, fdt, fdt_size, cont, cont_size = \
        struct.unpack_from("<QIIIIQQQQ", data)
    assert (magic, version, size) == (0x3154504D494C4C21, 2, 256)
    assert (platform, cpus) == (3, 1) and len(data) == cont + cont_size
    assert struct.unpack_from(">II", data, fdt) == (0xD00DFEED, fdt_size)
    rec = data[cont:]
    assert struct.unpack_from("<I", rec)[0] == cont_size
    argc, envc, files = struct.unpack_from("<III", rec, 20)
    strings = struct.unpack_from("<I", rec, 184)[0]
    assert (argc, envc, files) == (2, 1, 1)
    assert rec[strings:].startswith(
        b"/bin/x\0y\0A=b\0/\0limpet\0/etc/f\0text"), rec[strings:]


def fnv1a(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 % (1 << 64)
    return h


def case_cpuid_cache():
    kvm = os.open("/dev/kvm", os.O_RDWR)
    with tempfile.TemporaryFile() as f:
        subprocess.run([VMM, "--kvm-fd", str(kvm), "--cache-fd", str(f.fileno())],
                       pass_fds=[kvm, f.fileno()], check=True, timeout=60)
        f.seek(0)
        good = f.read()
    os.close(kvm)
    head, table = bytearray(good[:56]), bytearray(good[56:])
    assert struct.unpack_from("<I", table)[0] * 40 + 8 == len(table)
    # Addresses of 51 bits: KVM refuses such a table, so this one is seen.
    strange = table[:]
    for at in range(8, len(strange), 40):
        if struct.unpack_from("<I", strange, at)[0] == 0x80000008:
            strange[at + 13] = 51
    struct.pack_into("<Q", head, 8, fnv1a(strange))
    other_cpu = head[:]
    other_cpu[24] ^= 1
    for content, used in ((good, None), (head + strange, True), (good[:56] + strange, False),
                          (other_cpu + strange, False), (head + strange[:-40], False),
                          (head + strange + b"x", False), (b"rubbish", False), (b"", False)):
        with tempfile.TemporaryFile() as f:
            f.write(content)
            f.flush()
            vm, _, _ = run("irq", "1", cpuid=f.fileno())
            if used:
                record = ends(vm, 125, "monitor", 125)
                assert "KVM_SET_CPUID2" in record["message"], record
            else:
                ends(vm, 0, "exited", 0)


def status_of(pid, task):
    with open(f"/proc/{pid}/task/{task}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def check_jail(vm, out, spaces):
    """Every thread of the monitor, while its guest runs."""
    assert os.read(out, 9) == b"spinning\n"
    pid = vm.monitor()
    tasks = os.listdir(f"/proc/{pid}/task")
    assert len(tasks) >= 3, tasks  # device thread, two vCPUs, KVM's own
    for task in tasks:
        # CPU 1's thread locks itself as its first act, whenever that is.
        end = time.monotonic() + 60
        while (s := status_of(pid, task))["Seccomp"] != "2":
            assert time.monotonic() < end, s
            time.sleep(0.01)
        assert s["NoNewPrivs"] == "1", s
        for cap in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            assert int(s[cap], 16) == 0, (cap, s)
        for ns in spaces:
            mine = os.readlink(f"/proc/self/ns/{ns}")
            theirs = os.readlink(f"/proc/{pid}/task/{task}/ns/{ns}")
            assert mine != theirs, ns
    assert os.listdir(f"/proc/{pid}/root") == []
    with open(f"/proc/{pid}/mountinfo") as f:
        mounts = f.read().splitlines()
    assert len(mounts) == 1 and " ro," in mounts[0], mounts
    with open(f"/proc/{pid}/limits") as f:
        limits = {line[:26].strip(): line[26:].split()[:2] for line in f}
    assert limits["Max core file size"] == ["0", "0"], limits
    assert int(limits["Max open files"][1]) < 2048, limits
    links = [os.readlink(f"/proc/{pid}/fd/{n}")
             for n in os.listdir(f"/proc/{pid}/fd")]
    assert not any("canary" in link for link in links), links
    os.kill(pid, signal.SIGTERM)
    ends(vm, 125, "monitor", 143)


ALL_SPACES = ("user", "mnt", "net", "ipc", "uts", "pid")


def case_jail():
    with tempfile.NamedTemporaryFile(suffix="canary"):
        vm, out, _ = run("spin", vcpus=2)
        check_jail(vm, out, ALL_SPACES)
        assert "jail: no" not in vm.text(), vm.text()
    calls = subprocess.run([VMM, "--print-seccomp"], stdout=subprocess.PIPE,
                           check=True).stdout.decode().split("\n")
    vcpu = [c.split()[1] for c in calls if c.startswith("vcpu ")]
    print(f"vCPU thread: {len(vcpu)} calls:", *vcpu)
    assert 0 < len(vcpu) <= 20


def case_user():
    if os.getuid() != 0:
        skip("needs root to become uid 1001")
    before = os.stat("/dev/kvm")
    os.chmod("/dev/kvm", 0o666)
    try:
        for pidns in (True, False):  # with the launcher's part, without
            vm, out, _ = run("spin", vcpus=2, uid=1001, pidns=pidns)
            check_jail(vm, out, ALL_SPACES if pidns else ALL_SPACES[:-1])
            assert "jail: no" not in vm.text(), vm.text()
        vm, out, err = run("hello", "x", uid=1001)
        ends(vm, 0, "exited", 0)
        assert slurp(out) == b"x" and slurp(err) == b"error\n"
    finally:
        os.chmod("/dev/kvm", before.st_mode & 0o777)


def rerun(case, *prefix):
    p = subprocess.run([*prefix, sys.executable, __file__, VMM, TOY, case],
                       timeout=250, check=False)
    if p.returncode == 77:
        sys.exit(77)
    assert p.returncode == 0, p


def case_unshared():
    rerun("hello", "unshare", "-rn")


def case_no_namespaces():
    """Where user namespaces are forbidden the VM runs, and says what is
    missing by name."""
    if os.getuid() != 0:
        skip("needs root to forbid namespaces")
    # A user namespace of its own, in which no further ones may be made.
    rerun("hello_without", "unshare", "-r", "--", "sh", "-c",
          'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" "$@"')


def case_hello_without():
    vm, out, _ = run("hello", "x", uid=None)
    ends(vm, 0, "exited", 0)
    assert slurp(out) == b"x"
    assert "jail: no user namespace" in vm.text(), vm.text()


def case_start_time():
    """Prints; never asserts a time."""
    rows = {}
    for _ in range(20):
        vm, _, _ = run("exit", "0", phases=True)
        ends(vm, 0, "exited", 0)
        vm.phases.seek(0)
        ns = {n: int(t) for n, t in
              (line.split() for line in vm.phases.read().decode().split("\n")
               if line)}
        assert set(ns) == {"vmm_start", "vmm_jail", "vmm_vm", "vmm_run",
                           "mark_1", "vmm_exit"}, ns
        for name, t in ns.items():
            rows.setdefault(name, []).append((t - ns["vmm_start"]) / 1e6)
    for name, times in rows.items():
        times.sort()
        print(f"{name:10} median {times[10]:.2f} ms, best {times[0]:.2f} ms "
              "after main()")


def main():
    failed = 0
    for n, case in enumerate(CASES, 1):
        try:
            if case not in ("bad_config", "blob"):
                need_kvm()
            globals()["case_" + case]()
            print(f"ok {n} - {case}", flush=True)
        except SystemExit as e:  # a skip
            if e.code != 77 or len(CASES) == 1:
                raise
        except (AssertionError, OSError, TimeoutError):
            if len(CASES) == 1:
                raise
            failed += 1
            print(f"not ok {n} - {case}", flush=True)
            traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
