#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py PLATFORM [--smoke] [NAME-PREFIX...]: run the cases of cases.py.

PLATFORM: kvm (this machine's /dev/kvm), emulate (QEMU without KVM), native
(only the oracle), emulate-arm64 (QEMU runs the kernel and the images of arm64,
the oracle those of amd64; LIMPET_ARM64 is the cross build, build-arm64). Prints
one TAP line per case. Environment: LIMPET_BIN (build/bin), LIMPET_IMAGES,
LIMPET_ROOT; LIMPET_JOBS (2): cases at a time; LIMPET_LOAD_S: servers too, so many seconds under load;
LIMPET_FLAGS: more options of `limpet run`; LIMPET_SHARE: share_of();
LAB: this is an emulated host: one case at a time, with more time for each. Images without this
machine's platform are left out. At most three cases that failed run again: what
passes then is named "UNSTABLE", which tools/check.sh repeats. Exit 77 with a SKIP line when the platform is
not there."""
import concurrent.futures
import contextlib
import fnmatch
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import ARCH, CASES  # noqa: E402

BIN = os.environ.get("LIMPET_BIN", "build/bin")
os.environ.setdefault("LIMPET_NETWORK", "none")
IMAGES = os.environ.get("LIMPET_IMAGES", "build/images")
BUILT = os.path.join(BIN, "../images")  # what the build itself makes
JOBS = 1 if "LAB" in os.environ else int(os.environ.get("LIMPET_JOBS", "2"))
# Only against hangs: a conform program ends itself before.
LIMIT_S = {"kvm": 240 if "LAB" in os.environ else 180, "emulate": 240, "emulate-arm64": 240, "native": 180}
SPARE = 3  # cases of a list that may run a second time
ARM64 = os.environ.get("LIMPET_ARM64", "build-arm64")
FLAGS = os.environ.get("LIMPET_FLAGS", "").split()
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Lines that only say where they ran.
NOISE = re.compile(r"^limpet: .*emulat.*\n", re.M)


def image_path(name, platform=""):
    """The cross build's own come first: IMAGES may have those of this machine."""
    folders = ([os.path.join(ARM64, "images")] if platform == "emulate-arm64" else []) + [IMAGES, BUILT]
    paths = [os.path.join(folder, name) for folder in folders]
    return next((p for p in paths if os.path.exists(os.path.join(p, "index.json"))), paths[-1])


class Roots:
    """Unpacked images, for the oracle."""

    def __init__(self, folder):
        self.folder, self.made, self.lock = folder, {}, threading.Lock()

    def get(self, image):
        with self.lock:
            if image not in self.made:
                self.made[image] = self.unpack(image)
            return self.made[image]

    def unpack(self, image):
        root = os.path.join(self.folder, image)
        if not os.path.isdir(root):
            subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "unpack.py"),
                            image_path(image), root + ".new"], check=True)
            os.rename(root + ".new", root)
        return root


def worker_environment(mine=threading.local(), count=itertools.count()):
    """Each worker has containers and images of its own."""
    if not hasattr(mine, "env"):
        mine.env = dict(os.environ)
        n = next(count)
        if n and "LIMPET_ROOT" in mine.env:
            mine.env["LIMPET_ROOT"] += f"-{n}"
    return mine.env


def run(command, case, limit):
    """Files, not pipes: a monitor that outlives its CLI must not hold us."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write((case.stdin or "").encode())
        stdin.seek(0)
        p = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=err, start_new_session=True,
                             env=worker_environment())
        try:
            code = p.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = "timeout"
            stop(p)
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(errors="replace"), NOISE.sub("", err.read().decode(errors="replace"))


def stop(p):
    """End a command that hangs, and the VM behind it."""
    limpet = os.path.join(BIN, "limpet")
    ids = subprocess.run([limpet, "ps", "-q"], capture_output=True, text=True, timeout=120,
                         env=worker_environment()).stdout.split()
    if ids:
        subprocess.run([limpet, "rm", "-f"] + ids, stdout=subprocess.DEVNULL, timeout=120, env=worker_environment())
    p.kill()
    p.wait()


def guest_command(platform, case):
    command = [os.path.join(BIN, "limpet"), "run", "--rm"]
    if case.stdin is not None:
        command.append("-i")
    if platform.startswith("emulate"):
        command += ["--accel", "emulate"]
    if platform == "emulate-arm64":
        command += ["--platform", "linux/arm64"]
    return command + FLAGS + case.flags + ["oci:" + image_path(case.image, platform)] + case.cmd


def native_command(roots, case):
    """The same files and command under the host's kernel, in namespaces of its
    own: entrypoints as the images of make-images.sh have them."""
    root = roots.get(case.image)
    entry = {"cstatic": ["/app"], "frames": ["/app"], "gostatic": ["/app"], "ruststatic": ["/app"], "sqlite": ["sqlite3"]}
    words = entry.get(case.image, []) + case.cmd if case.entry is None else case.entry + case.cmd
    # A throw-away writable layer; /dev with the few nodes a container has.
    script = ('set -e; ip link set lo up; r=$1; t=$2; shift 2; mount -t tmpfs t $t; mkdir $t/u $t/w; '
              'mount -t overlay o -o lowerdir=$r,upperdir=$t/u,workdir=$t/w $r; mkdir -p $r/proc $r/dev; '
              'mount -t proc p $r/proc; mount -t tmpfs d $r/dev; '
              'for n in null zero full random urandom tty; do touch $r/dev/$n; mount --bind /dev/$n $r/dev/$n; done; '
              'ln -s /proc/self/fd $r/dev/fd; mkdir $r/dev/shm $r/dev/pts; mount -t tmpfs s $r/dev/shm; '
              'mount -t devpts -o newinstance,ptmxmode=666,mode=620 p $r/dev/pts; ln -s pts/ptmx $r/dev/ptmx; cd $r; '
              'exec env -i PATH="$P" HOME=/root chroot . "$@"')
    work = os.path.join(roots.folder, "work")
    os.makedirs(work, exist_ok=True)
    return ["env", f"P={PATH}", "unshare", "-mpfiun", "sh", "-c", script, "sh", root, work] + words


def expected_differences(platform):
    """Labels of expect.cfg, those for this platform included."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../guest/conform/expect.cfg")
    words = [line.split() for line in open(path) if line.strip() and not line.startswith("#")]
    return [w[1] if w[0] == platform else w[0] for w in words if w[0] == platform or "." in w[0]]


def judge_lines(got, want, known):
    """Each line is "program.label value": the same, unless known to differ (or
    to be missing here)."""
    ours, theirs = ([line.partition(" ") for line in text.splitlines()] for text in (got, want))
    labels = {x[0] for x in ours}
    theirs = [x for x in theirs if x[0] in labels or x[0] not in known]
    bad = []
    if [x[0] for x in ours] != [x[0] for x in theirs]:
        for n, (a, b) in enumerate(itertools.zip_longest(ours, theirs)):
            if a is None or b is None or a[0] != b[0]:
                return f"line {n}: {''.join(a or ())!r}, the host's kernel gives {''.join(b or ())!r}"
    for (label, _, a), (_, _, b) in zip(ours, theirs):
        rule = next((k for k in known if fnmatch.fnmatchcase(label, k)), None)
        if a != b and rule is None:
            bad.append(f"{label}: {a!r}, the host's kernel gives {b!r}")
        elif a == b and rule == label:
            bad.append(f"{label}: agrees, but expect.cfg says it differs")
    return "\n# ".join(bad) or None


def judge(case, got, oracle, platform):
    code, out, err = got
    if code == "timeout":
        return "timed out"
    if oracle is not None and case.lines:
        why = judge_lines(out, oracle[1], expected_differences(platform))
        return why or (f"exit code {code}, stderr {err[:300]!r}" if code != 0 or err else None)
    if oracle is not None:
        want_code, want_out, want_err = oracle
        if want_code < 0:
            want_code = 128 - want_code
        if code != want_code:
            return f"exit code {code}, the host's kernel gives {want_code}"
        if out != want_out:
            return f"stdout {out[:300]!r}, the host's kernel gives {want_out[:300]!r}"
        if err != want_err:
            return f"stderr {err[:300]!r}, the host's kernel gives {want_err[:300]!r}"
        return None
    if case.code is not None and code != case.code:
        return f"exit code {code}, want {case.code}"
    if case.out is not None and not re.fullmatch(case.out, out):
        return f"stdout {out[:300]!r} does not match {case.out!r}"
    if case.err is not None and not re.search(case.err, err):
        return f"stderr {err[:300]!r} has no {case.err!r}"
    return None


def image_there(platform, case):
    """It is made, and for this machine (or the case wants another's)."""
    layout = image_path(case.image, platform)
    arch = "arm64" if platform == "emulate-arm64" else ARCH
    try:
        with open(os.path.join(layout, "index.json")) as f:
            digest = json.load(f)["manifests"][0]["digest"]
        with open(os.path.join(layout, "blobs", *digest.split(":"))) as f:
            there = [m["platform"]["architecture"] for m in json.load(f)["manifests"]]
    except (OSError, KeyError):
        return False
    if case.foreign:
        return arch == ARCH
    return arch in there and case.only in (None, arch)


def arm64_libexec(folder):
    """Our programs and the kernel of the cross build in one place."""
    os.mkdir(folder)
    for build, start in ((BIN, "limpet-vmm"), (BIN, "limpet-image"), (os.path.join(ARM64, "bin"), "limpet-kernel.arm64")):
        for name in os.listdir(build):
            if name.startswith(start):
                os.symlink(os.path.abspath(os.path.join(build, name)), os.path.join(folder, name))
    os.environ["LIMPET_LIBEXEC"] = folder


def platform_missing(platform):
    if platform == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm cannot be opened"
    if platform == "emulate" and subprocess.run(["which", "qemu-system-x86_64"], capture_output=True).returncode:
        return "qemu-system-x86_64 is not installed"
    if platform == "emulate-arm64" and subprocess.run(["which", "qemu-system-aarch64"], capture_output=True).returncode:
        return "qemu-system-aarch64 is not installed"
    if platform == "emulate-arm64" and not os.path.exists(f"{ARM64}/bin/limpet-kernel.arm64.image"):
        return f"{ARM64}/bin has no limpet-kernel.arm64.image: build with cmake/aarch64.cmake"
    if os.geteuid() != 0:
        return "the oracle needs root (chroot, mount)"
    return None


def short_of_time():
    """An emulated host is a hundred times slower: breadth there is for --long."""
    return "LAB" in os.environ and not os.environ.get("LIMPET_LONG")


def share_of(chosen):
    """LIMPET_SHARE=K/N, of hosts that share a list: the smoke cases, and of the
    others the Kth of each N."""
    k, n = map(int, os.environ.get("LIMPET_SHARE", "1/1").split("/"))
    others = [c for c in chosen if not c.smoke][k - 1::n]
    return [c for c in chosen if c.smoke or c in others]


def over(chosen):
    """How many of these cases ran before the emulated host froze (cases.sh)."""
    if "LAB" not in os.environ or not os.path.exists("/tmp/lab-skip"):
        return 0
    with open("/tmp/lab-skip", "r+") as f:
        skip = int(f.read())
        f.seek(0)
        f.truncate()
        f.write(str(max(0, skip - len(chosen))))
    return min(skip, len(chosen))


def one(platform, roots, case):
    """Why it failed or None, seconds, standard error."""
    oracle = run(native_command(roots, case), case, LIMIT_S["native"] + case.limit) if case.native or platform == "native" else None
    start = time.monotonic()
    got = oracle if platform == "native" else run(guest_command(platform, case), case, LIMIT_S[platform] + case.limit)
    why = judge(case, got, None if platform == "native" else oracle, platform)
    return why, time.monotonic() - start, got[2]


def one_or_again(platform, roots, case, spare):
    """As one(), and why the first of two attempts failed: machines are shared and
    stand still. Only few cases have a second one: what is broken fails."""
    result = one(platform, roots, case)
    if result[0] is None or not spare.acquire(blocking=False):
        return *result, None
    return *one(platform, roots, case), result[0]


def main():
    platform, prefixes = sys.argv[1], sys.argv[2:]
    smoke = "--smoke" in prefixes
    prefixes = [p for p in prefixes if p != "--smoke"]
    missing = platform_missing(platform)
    if missing:
        print("SKIP", missing)
        return 77
    os.setpriority(os.PRIO_PROCESS, 0, 0)  # as in a VM, whatever this machine's other work is
    failed = 0
    chosen = [c for c in CASES if (not prefixes or any(c.name.startswith(p) for p in prefixes)) and
              (platform != "emulate" or c.smoke or prefixes) and
              (not c.load or prefixes or "LIMPET_LOAD_S" in os.environ) and
              (not c.breadth or prefixes or platform in ("kvm", "native") and not short_of_time()) and
              (c.smoke or not smoke) and
              (platform != "native" or c.native) and image_there(platform, c)]
    chosen = share_of(chosen)
    kept = os.environ.get("LIMPET_ORACLE")  # for the next run too
    with contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        roots = Roots(folder)
        if platform == "emulate-arm64":
            arm64_libexec(os.path.join(folder, "libexec"))
        skip = over(chosen)
        print(f"1..{len(chosen)}")
        workers = concurrent.futures.ThreadPoolExecutor(JOBS)
        spare = threading.Semaphore(SPARE)
        todo = [workers.submit(one_or_again, platform, roots, case, spare) for case in chosen[skip:]]
        for n, (case, result) in enumerate(zip(chosen[skip:], todo), skip + 1):
            why, spent, stderr, before = result.result()
            failed += why is not None
            print(f"{'not ok' if why else 'ok'} {n} - {case.name} ({spent * 1000:.0f} ms)", flush=True)
            if why:
                print(f"# {why}\n# stderr: {stderr[:500]!r}", flush=True)
            if before:
                what = "before" if why else f"UNSTABLE: {case.name} passed the second time, before"
                print(f"# {what}: {before}", flush=True)
    print(f"{len(chosen) - skip - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


sys.exit(main())
