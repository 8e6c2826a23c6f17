# SPDX-License-Identifier: Apache-2.0
"""limpet run: results, what the monitor is told, and what is left behind."""
import json
import os
import re
import shutil
import subprocess

import harness


def check(p, code, out=None, err=None):
    assert p.returncode == code, p
    assert out is None or p.stdout == out, p
    assert err is None or re.search(err, p.stderr), p


def test_results(box):
    check(box.run("echo", "hi", "there"), 0, "hi\nthere\n", "^$")
    check(box.run(), 0, "default\n", "^$")
    check(box.run("exit", "42"), 42, "", "^$")
    check(box.run("signal", "15"), 143, "", "^$")
    check(box.run("both"), 0, "to stdout\n", "^to stderr\n$")


def test_failures_of_exec(box):
    check(box.run("foo"), 127, "",
          r'^limpet: exec: "foo": executable file not found in \$PATH\n$')
    check(box.run("/foo"), 127, "",
          r'^limpet: exec: "/foo": no such file or directory\n$')
    check(box.run("noexec", "13"), 126, "", 'exec: "noexec": permission denied')
    check(box.run("noexec", "21"), 126, "", "permission denied")
    check(box.run("noexec", "8"), 126, "", "exec format error")


def test_failures_of_the_vm(box):
    check(box.run("oom"), 137, "", r"^limpet: guest out of memory: killed hog "
          r"\(pid 1\) \(give the VM more with -m\)\n$")
    check(box.run("oomkid"), 0, "", r"^limpet: guest out of memory: killed hog  "
          r"\(pid 7\) \(give the VM more with -m\)\n$")
    p = box.run("panic")
    check(p, 125, "", "kernel panicked: it was time")
    assert "at fake_program+0x1" in p.stderr and "\x1b" not in p.stderr, p
    check(box.run("die"), 125, "", r"died(.|\n)*last words")


def test_nothing_is_left_with_rm(box):
    for what in ("echo", "exit", "foo", "panic", "die"):
        box.run(what)
    assert box.ids() == [] and os.listdir(box.root + "/names") == []
    box.run("echo", flags=())
    assert len(box.ids()) == 1


def test_config(box):
    c = box.config()
    mem = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    assert c["memory"] <= min(mem, 1 << 30) and c["memory"] % (2 << 20) == 0
    assert c["vcpus"] == min(os.sysconf("SC_NPROCESSORS_ONLN"), 4)
    assert c["stdio"]["stdin_fd"] == -1 and c["stdio"]["log_fd"] == -1
    k = c["containers"][0]
    assert k["stdin"] is False and k["tty"] is False and k["cwd"] == "/"
    assert k["uid"] == 0 and k["gid"] == 0 and k["gids"] == [0]
    assert re.fullmatch("[0-9a-f]{12}", k["hostname"])
    assert k["env"] == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=" + k["hostname"], "HOME=/root"]
    files = {f["path"]: f["data"] for f in k["files"]}
    assert files["/etc/hostname"] == k["hostname"] + "\n"
    assert "127.0.0.1\tlocalhost" in files["/etc/hosts"]
    assert k["hostname"] in files["/etc/hosts"]
    assert "/etc/resolv.conf" in files


def test_flags(box):
    c = box.config(flags=["-m", "100m", "--vcpus=3", "--name", "n1", "-w/tmp",
                          "--hostname=h.example", "-u", "app:video"])
    assert c["memory"] == 100 << 20 and c["vcpus"] == 3 and c["name"] == "n1"
    k = c["containers"][0]
    assert k["cwd"] == "/tmp" and k["hostname"] == "h.example"
    assert (k["uid"], k["gid"], k["gids"]) == (1000, 44, [44])
    assert "HOME=/app" in k["env"] and "HOSTNAME=h.example" in k["env"]
    assert box.config(flags=["-m", "17m"])["memory"] == 18 << 20
    # Flags end at the image: the rest is the program's.
    p = box.run("echo", "-it", "--rm", "--", "-x")
    check(p, 0, "-it\n--rm\n--\n-x\n")
    check(box.limpet("run", "--rm=true", "--", box.image, "echo", "y"), 0, "y\n")
    check(box.limpet("run", "--rm=false", box.image, "echo", "y"), 0, "y\n")
    assert len(box.ids()) == 1


def test_environment(box):
    with open(box.dir + "/env", "w") as f:
        f.write("# no\n\n  A=file\nB=b c\nHOSTVAR\nMISSING\nC=#x\r\n")
    c = box.config(flags=["-e", "A=flag", "--env-file", box.dir + "/env",
                          "-e", "HOSTVAR2", "-e", "NOSUCH", "-eX="],
                   env={"HOSTVAR": "1", "HOSTVAR2": "2"})
    env = c["containers"][0]["env"][2:]
    assert env == ["A=flag", "B=b c", "HOSTVAR=1", "C=#x", "HOSTVAR2=2", "X=",
                   "HOME=/root"], env
    with open(box.dir + "/env", "w") as f:
        f.write("A B=1\n")
    check(box.run(flags=["--env-file", box.dir + "/env"]), 125, "",
          "variable 'A B' contains whitespaces")
    check(box.run(flags=["--env-file", box.dir + "/none"]), 125, "", "/none: ")
    check(box.run(flags=["-e", "=x"]), 125, "", "invalid environment variable")


def test_image_defaults(box):
    box.add_image("two", entrypoint=["config"], cmd=["x"], workdir="/w",
                  user="app", env=["PATH=/p", "E=1", "HOME=/h"])
    k = box.config()["containers"][0]
    assert k["args"] == ["config", "config"] and k["uid"] == 1000
    assert k["cwd"] == "/w" and k["env"][0] == "PATH=/p"
    assert k["env"][2:] == ["E=1", "HOME=/h"], k["env"]
    k = json.loads(box.run().stdout)["containers"][0]
    assert k["args"] == ["config", "x"]
    # -e NAME without a value on the host takes the variable away.
    k = json.loads(box.run(flags=["--rm", "-e", "E"]).stdout)["containers"][0]
    assert "E=1" not in k["env"]
    check(box.run(flags=["--rm", "--entrypoint", "echo"]), 0, "")
    check(box.run("z", flags=["--rm", "--entrypoint", "echo"]), 0, "z\n")
    check(box.run(flags=["--rm", "--entrypoint="]), 125, "",
          "no command specified")
    check(box.run("echo", "q", flags=["--rm", "--entrypoint", ""]), 0, "q\n")
    box.add_image("three", cmd=[])
    check(box.run(), 125, "", "^limpet: no command specified\n$")
    assert box.ids() == []


def test_users(box):
    def ids(user):
        k = box.config(flags=["-u", user])["containers"][0]
        return k["uid"], k["gid"], k["gids"]
    assert ids("app") == (1000, 1001, [1001, 44])
    assert ids("1000") == (1000, 1001, [1001, 44])
    assert ids("4242") == (4242, 0, [0])
    assert ids("app:7") == (1000, 7, [7])
    check(box.run(flags=["--rm", "-u", "nobody"]), 125, "",
          "^limpet: unable to find user nobody: no matching entries in "
          "passwd file\n$")
    check(box.run(flags=["--rm", "-u", "app:x"]), 125, "",
          "unable to find group x: no matching entries in group file")
    assert box.ids() == []


def test_stdin(box):
    check(box.run("cat", flags=["--rm", "-i"], input="a\nb\n"), 0,
          "ready\na\nb\nstdin eof\n")
    # Without -i the program has none, whatever ours is.
    c = box.config(input="x")
    assert c["stdio"]["stdin_fd"] == -1
    check(box.run("echo", flags=["--rm", "-it"], input="x"), 125, "",
          "^limpet: the input device is not a TTY\n$")


def test_bad_usage(box):
    for args, why in [
            (["--nope"], "unknown flag: --nope"),
            (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
            (["--name"], "flag needs an argument: --name"),
            (["-m", "x"], "invalid size: 'x'"),
            (["-m", "1m"], "between 16 MiB and 64 GiB"),
            (["--vcpus", "0"], "between 1 and 32"),
            (["--pull", "often"], "must be missing, always or never"),
            (["--accel", "x"], "must be kvm, emulate"),
            (["--rm=x"], 'invalid argument "x" for "--rm"'),
            (["--hostname", "a" * 70], "invalid hostname"),
            ([], "run needs an image")]:
        p = box.limpet("run", *args)
        assert p.returncode == 125 and why in p.stderr, (args, p)
        assert "See 'limpet run --help'." in p.stderr
    check(box.limpet("run", "--platform", "linux/s390x", box.image), 125, "",
          "--platform linux/s390x: must be linux/amd64 or linux/arm64")
    other = "linux/arm64" if os.uname().machine == "x86_64" else "linux/amd64"
    check(box.limpet("run", "--platform", other, box.image), 125, "",
          f"--platform {other}: this host runs linux/.*--accel emulate")
    check(box.limpet("run", "Debian"), 125, "", "Debian: not an image")
    check(box.limpet("run", "--pull", "never", "debian"), 125, "",
          "debian: No such image")
    check(box.limpet("run", "oci:/nowhere"), 125, "", "/nowhere: No such file")
    check(box.run(flags=["--name", "a/b"]), 125, "", "Invalid container name")
    check(box.run(flags=["-w", "rel"]), 125, "", "needs to be an absolute path")
    check(box.limpet("frob"), 125, "", "'frob' is not a limpet command")
    assert box.ids() == []


def test_monitor_missing(box):
    os.unlink(box.libexec + "/limpet-vmm")
    check(box.run("echo"), 125, "", "limpet-vmm: No such file")
    os.unlink(box.libexec + "/limpet-kernel.x86_64")
    check(box.run("echo"), 125, "", "limpet-kernel.x86_64: No such file")
    assert box.ids() == []


def test_isolation_of_the_monitor(box):
    """Its own namespaces and session, and no file it was not given."""
    r, w = os.pipe()
    p = box.run("self", pass_fds=(r, w))
    os.close(r)
    os.close(w)
    assert p.stdout.startswith("pid 1 ppid 0 sid 1 uid 0\n"), p.stdout
    lines = [l.split()[2] for l in p.stdout.splitlines()[1:]]
    pipes = [l for l in lines if l.startswith("pipe:")]
    assert len(pipes) == 2, p.stdout
    assert "/dev/null" == lines[0], p.stdout
    assert not [l for l in lines if l.endswith(("/libexec", "/img"))]


def test_ordinary_user(box):
    """uid 1001, its own files only; still pid 1 and uid 0 in there."""
    if os.geteuid() != 0:
        print("SKIP test_ordinary_user: needs root to become uid 1001")
        return
    program = shutil.copy(harness.LIMPET, box.dir + "/limpet")
    subprocess.run(["chown", "-R", "1001:1001", box.dir], check=True)
    p = subprocess.run([program, "run", box.image, "self"], user=1001,
                       group=1001, extra_groups=[], capture_output=True,
                       text=True, env=box.env(), stdin=subprocess.DEVNULL,
                       timeout=200)
    assert p.returncode == 0, p
    assert p.stdout.startswith("pid 1 ppid 0 sid 1 uid 0\n"), p
    assert os.stat(f"{box.root}/vms/{box.ids()[0]}/vmm.log").st_uid == 1001


def test_no_user_namespaces(box):
    """A host that refuses them: it runs, and the log says what is missing."""
    if subprocess.run(["unshare", "-Ur", "true"]).returncode != 0:
        print("SKIP test_no_user_namespaces: unshare -Ur is refused here")
        return
    p = subprocess.run(
        ["unshare", "-Ur", "sh", "-c",
         'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"', "sh",
         harness.LIMPET, "run", box.image, "self"],
        capture_output=True, text=True, env=box.env(), timeout=200)
    check(p, 0, None, "^$")
    assert p.stdout.startswith("pid 1 "), p
    log = open(f"{box.root}/vms/{box.ids()[0]}/vmm.log").read()
    assert "refuses the monitor its own user namespace" in log, log


def ensure_script(box, text):
    path = box.libexec + "/limpet-image"
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


def test_image_not_in_store(box):
    box.add_image("new")
    hexid = os.listdir(box.root + "/images")
    new = [h for h in hexid if json.load(
        open(f"{box.root}/images/{h}"))["run"]][0][:-5]
    for f in os.listdir(box.root + "/refs"):
        os.unlink(f"{box.root}/refs/{f}")
    check(box.run(flags=["--pull", "never"]), 125, "", "No such image")
    ensure_script(box, f'echo "$@" >{box.dir}/args; echo {new}')
    check(box.run("echo", "x"), 0, "x\n", "^$")
    args = open(box.dir + "/args").read()
    assert args == f"ensure --root {box.root} --arch {harness.ARCH} {box.image}\n"
    ensure_script(box, "echo 'limpet-image: x: bad blob' >&2; exit 125")
    check(box.run(), 125, "", "^limpet-image: x: bad blob\n$")
    ensure_script(box, "kill -9 $$")
    check(box.run(), 125, "", "limpet-image was killed by signal 9")
    ensure_script(box, "echo hello")
    check(box.run(), 125, "", "printed no image ID")
    assert box.ids() == []


def test_pull_modes(box):
    """missing says so as docker does, and -q nothing; never asks nobody."""
    new = os.listdir(box.root + "/images")[0][:-5]
    ensure_script(box, f'echo "$@" >>{box.dir}/args; echo layers >&2; echo {new}')

    def asked():
        path = box.dir + "/args"
        if not os.path.exists(path):
            return []
        with open(path) as f:
            lines = f.read().replace(f" --root {box.root} --arch {harness.ARCH}", "").split("\n")
        os.unlink(path)
        return lines[:-1]

    def run(*flags, ref="web", want=0, words="^$", out="x\n"):
        check(box.limpet("run", "--rm", *flags, ref, "echo", "x"), want, out, words)
    run(words="^Unable to find image 'web:latest' locally\nlayers\n$")
    assert asked() == ["ensure web"]
    run("-q", words="^layers\n$")
    assert asked() == ["ensure web -q"]
    run("--pull", "never", want=125, words="No such image", out="")
    assert asked() == []
    run("--pull", "always", words="^layers\n$")
    assert asked() == ["pull web"]
    run(ref="oci:" + box.dir, want=125, words="index.json", out="")
    assert box.limpet("tag", box.image, "web").returncode == 0
    run()
    run("--pull", "never")
    assert asked() == []
    run("--pull", "always", words="^layers\n$")
    assert asked() == ["pull web"]
    ensure_script(box, "exit 125")
    check(box.run("echo", "x"), 0, "x\n")
    check(box.run(flags=["--rm", "--pull", "always"]), 125, "", "^$")


def test_image_verb(box):
    ensure_script(box, f'echo "$@"; exit 3')
    p = box.limpet("image", "export", "--erofs", "oci:x", "f")
    check(p, 3, "export --erofs oci:x f\n")
    os.unlink(box.libexec + "/limpet-image")
    check(box.limpet("image", "export"), 125, "", "limpet-image: No such file")


def test_damaged_store(box):
    for name in os.listdir(box.root + "/images"):
        path = f"{box.root}/images/{name}"
        good = open(path).read()
        for bad, why in [("{", "malformed JSON"), ("[]", "not a JSON object"),
                         (good.replace("meta/", "../"), "names something"),
                         (good.replace("layers/", "layers/../"), "names some"),
                         (good.replace(".data", ".gone"), "No such file")]:
            with open(path, "w") as f:
                f.write(bad)
            check(box.run("echo"), 125, "", why)
    assert box.ids() == []


def test_no_kvm(box):
    """/dev/kvm hidden or refused, in a mount namespace of our own."""
    env = box.env()
    del env["LIMPET_KVM"]

    def run(setup, *args):
        script = f'{setup}; exec "$@"'
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", harness.LIMPET, *args],
            capture_output=True, text=True, env=env, timeout=200)
    if os.geteuid() != 0:
        print("SKIP test_no_kvm: needs root to hide /dev/kvm")
        return
    p = run("mount -t tmpfs none /dev; mknod /dev/null c 1 3", "run", "--rm",
            "--name", "a b", "-e", "A=it's", box.image, "echo", "$x")
    check(p, 125, "", "/dev/kvm: not there: load the module")
    assert (f"  limpet run --rm --name 'a b' -e 'A=it'\\''s' --accel emulate "
            f"{box.image} echo '$x'\n") in p.stderr, p.stderr
    p = run("mount -t tmpfs none /dev; mknod /dev/null c 1 3; mkdir /dev/kvm",
            "run", "--rm", box.image)
    check(p, 125, "", "/dev/kvm: ")


def test_help(box):
    p = box.limpet("run", "--help")
    assert p.returncode == 0 and "--entrypoint VALUE" in p.stdout
    assert "--volume" not in p.stdout
    assert box.limpet("version").stdout == box.limpet("--version").stdout
    assert "Usage: limpet logs" in box.limpet("help", "logs").stdout
    for verb in ("ps", "stop", "kill", "wait", "rm", "image"):
        p = box.limpet(verb, "--help")
        assert p.returncode == 0 and f"Usage: limpet {verb}" in p.stdout, p


harness.main(globals())
