# SPDX-License-Identifier: Apache-2.0
"""limpet run --accel emulate: our side against tests/fake/qemu.py, and the
command line against the real QEMU with a kernel of a few instructions."""
import json
import os
import re
import shutil
import signal
import struct
import subprocess

import harness

HERE = os.path.dirname(os.path.abspath(__file__))


def fake_qemu(box):
    os.mkdir(box.dir + "/bin")
    for arch in ("x86_64", "aarch64"):
        shutil.copy(HERE + "/../fake/qemu.py",
                    f"{box.dir}/bin/qemu-system-{arch}")
    return {"PATH": box.dir + "/bin:" + os.environ["PATH"]}


def run(box, env, *args, flags=("--rm",), **kw):
    return box.run(*args, flags=(*flags, "--accel", "emulate"), env=env, **kw)


def test_output_and_status(box):
    env = fake_qemu(box)
    p = run(box, env, "both")
    assert p.returncode == 0 and p.stdout == "to stdout\n", p
    assert re.fullmatch(
        "limpet: emulating with qemu-system-.* and one CPU: slow and right\n"
        "to stderr\n", p.stderr), p
    assert run(box, env, "exit", "9").returncode == 9
    p = run(box, env, "oom")
    assert p.returncode == 137 and "killed hog (pid 1)" in p.stderr, p
    # More than any socket or pipe holds, all of it before the status.
    p = run(box, env, "much", "20000")
    assert p.returncode == 0 and p.stdout.count("\n") == 20000, p.returncode
    assert len(p.stdout) == 20000 * 80
    assert box.ids() == []


def test_stdin(box):
    env = fake_qemu(box)
    text = "".join(f"line {i}\n" for i in range(30000))
    p = run(box, env, "cat", flags=("--rm", "-i"), input=text)
    assert p.returncode == 0 and p.stdout == text, p.returncode


def test_failures(box):
    env = fake_qemu(box)
    p = run(box, env, "die")
    assert p.returncode == 125, p
    assert "QEMU ended without a status of the guest" in p.stderr, p
    p = run(box, env, "panic", flags=())
    assert p.returncode == 125 and "kernel panic: planted" in p.stderr, p
    log = open(f"{box.root}/vms/{box.ids()[0]}/vmm.log").read()
    assert "guest:   [<ffffffff80200000>]" in log, log
    assert box.limpet("rm", box.ids()[0]).returncode == 0
    p = run(box, env, "nonsense")
    assert p.returncode == 125 and "malformed control frame" in p.stderr, p
    p = run(box, {"PATH": box.dir}, "both")
    assert p.returncode == 125 and "needs qemu-system-" in p.stderr, p
    os.unlink(box.libexec + "/limpet-vmm")
    p = run(box, env, "both")
    assert p.returncode == 125 and "limpet-vmm: No such file" in p.stderr, p
    assert box.ids() == []


def test_notices(box):
    env = fake_qemu(box)
    p = run(box, env, "oomkid")
    assert p.returncode == 0 and p.stderr.count("out of memory: killed hog") == 8, p
    p = box.limpet("run", "-d", "--rm", "--accel", "emulate", box.image,
                   "noexec", env=env)
    assert p.returncode == 127 and "not found in $PATH" in p.stderr, p
    assert box.ids() == []


def test_life(box):
    env = fake_qemu(box)
    p = box.limpet("run", "-d", "--name", "em", "--accel", "emulate",
                   box.image, "serve", env=env)
    assert p.returncode == 0, p
    harness.wait_for(lambda: "ready" in box.limpet("logs", "em").stdout)
    log = f"{box.root}/vms/{p.stdout.strip()}/vmm.log"
    harness.wait_for(lambda: "fake kernel boots" in open(log).read())
    assert box.limpet("ps", "-q").stdout.strip() == p.stdout[:12]
    assert box.limpet("kill", "-s", "USR1", "em").returncode == 0
    assert box.limpet("wait", "em").stdout == "138\n"
    assert box.limpet("rm", "em").returncode == 0


def test_monitor_ends_by_sigterm(box):
    env = dict(box.env(), **fake_qemu(box))
    p = subprocess.Popen([harness.LIMPET, "run", "--accel", "emulate",
                          box.image, "serve"], env=env, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    pid = int(open(f"{box.root}/vms/{box.ids()[0]}/lock").read())
    os.kill(pid, signal.SIGTERM)
    out, err = p.communicate(timeout=200)
    assert p.returncode == 125 and "ended by SIGTERM" in err, err


def test_arguments(box):
    args = run(box, fake_qemu(box), "args", flags=("--rm", "-m", "64m")).stdout
    args = args.splitlines()
    for want in (["-machine", "microvm,acpi=off"], ["-accel", "tcg"],
                 ["-global", "virtio-mmio.force-legacy=false"],
                 ["-cpu", "max"], ["-smp", "1"], ["-m", "64M"]):
        at = args.index(want[0])
        assert args[at + 1] == want[1], args


def qmp(proc, command, **arguments):
    proc.stdin.write(json.dumps({"execute": command, "arguments": arguments})
                     + "\n")
    proc.stdin.flush()
    while True:
        answer = json.loads(proc.stdout.readline())
        if "event" not in answer and "QMP" not in answer:
            return answer["return"]


def test_disk(box):
    """The files one after another, each once: by the text, and by QEMU."""
    for d, byte in (("meta", b"\x11"), ("layers", b"\x22")):
        for name in os.listdir(f"{box.root}/{d}"):
            with open(f"{box.root}/{d}/{name}", "wb") as f:
                f.write(byte * harness.MIB2)
    desc = run(box, fake_qemu(box), "disk").stdout
    sectors = harness.MIB2 // 512
    assert [l.split()[1] for l in desc.splitlines() if " FLAT " in l] == [
        str(sectors)] * 2, desc
    program = shutil.which("qemu-system-x86_64")
    if not program:
        print("SKIP the rest of test_disk: no qemu-system-x86_64")
        return
    with open(box.dir + "/d.vmdk", "w") as f:
        f.write(desc)
    q = subprocess.Popen(
        [program, "-M", "none", "-nodefaults", "-display", "none", "-qmp",
         "stdio", "-drive", "if=none,id=root,format=vmdk,readonly=on,"
         f"file={box.dir}/d.vmdk"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        qmp(q, "qmp_capabilities")
        image = qmp(q, "query-block")[0]["inserted"]["image"]
        assert image["virtual-size"] == 2 * harness.MIB2, image
        # qemu-io prints to our pipe; a second line is the QMP answer.
        for at, byte in ((0, 0x11), (harness.MIB2 - 512, 0x11),
                         (harness.MIB2, 0x22), (2 * harness.MIB2 - 512, 0x22)):
            q.stdin.write(json.dumps({
                "execute": "human-monitor-command", "arguments": {
                    "command-line":
                    f'qemu-io root "read -P {byte} {at} 512"'}}) + "\n")
            q.stdin.flush()
            text = ""
            while '"return"' not in text:
                text += q.stdout.readline()
            assert "read 512/512" in text and "failed" not in text, text
    finally:
        q.kill()
        q.communicate()


def tiny_kernel(path):
    """A PVH kernel that prints the first bytes of its initrd on port 0xe9
    and ends QEMU through port 0xf4."""
    code = bytes.fromhex(
        "8b7310"      # mov esi, [ebx+16]  hvm_start_info.modlist_paddr
        "8b36"        # mov esi, [esi]     its first module's address
        "b914000000"  # mov ecx, 20
        "ac"          # lodsb
        "e6e9"        # out 0xe9, al
        "e2fb"        # loop -5
        "b0 0a e6e9"  # newline
        "31c0"        # xor eax, eax
        "e7f4"        # out 0xf4, eax
        "f4ebfd".replace(" ", ""))
    note = struct.pack("<III", 4, 4, 18) + b"Xen\0" + struct.pack("<I", 0x200000)
    base, off = 0x200000, 0x1000
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, base, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    noteoff = 64 + 2 * 56
    elf += struct.pack("<IIQQQQQQ", 1, 5, off, base, base, len(code),
                       len(code), 4096)
    elf += struct.pack("<IIQQQQQQ", 4, 4, noteoff, 0, 0, len(note), len(note),
                       4)
    elf += note
    with open(path, "wb") as f:
        f.write(elf.ljust(off, b"\0") + code)


def test_real_qemu(box):
    if os.uname().machine != "x86_64" or not shutil.which("qemu-system-x86_64"):
        print("SKIP test_real_qemu: no qemu-system-x86_64 on an x86-64 host")
        return
    tiny_kernel(box.libexec + "/limpet-kernel.x86_64")
    p = run(box, {}, "x", flags=("--name", "tiny"), timeout=300)
    log = open(f"{box.root}/vms/{box.ids()[0]}/vmm.log").read()
    assert p.returncode == 125, p
    assert "QEMU ended without a status of the guest" in p.stderr, p
    assert '{"version": 1, "name' in log, log  # the blob arrived as initrd


harness.main(globals())
