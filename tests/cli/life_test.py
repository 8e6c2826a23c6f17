# SPDX-License-Identifier: Apache-2.0
"""The life of containers: -d, ps, logs, stop, kill, wait, rm, signals."""
import json
import os
import re
import signal

import harness


def detach(box, *args, flags=()):
    p = box.limpet("run", "-d", *flags, box.image, *args)
    assert p.returncode == 0 and re.fullmatch("[0-9a-f]{64}\n", p.stdout), p
    return p.stdout.strip()


def ready(box, ref):
    harness.wait_for(lambda: "ready" in box.limpet("logs", ref).stdout)


def status(box, ref):
    for line in box.limpet("ps", "-a", "--format", "json",
                           "--no-trunc").stdout.splitlines():
        row = json.loads(line)
        if ref in (row["ID"], row["Names"]):
            return row
    return None


def fails(p, *why):
    assert p.returncode == 1 and p.stdout == "", p
    for w in why:
        assert w in p.stderr, p


def test_detached_life(box):
    cid = detach(box, "serve", flags=["--name", "web"])
    ready(box, "web")
    row = status(box, cid)
    assert row["State"] == "running" and row["Status"].startswith("Up "), row
    assert row["Names"] == "web" and row["Command"] == '"serve"'
    assert box.limpet("ps", "-q").stdout == cid[:12] + "\n"
    fails(box.limpet("rm", "web"), 'Error: cannot remove container "web": '
          "container is running: stop the container before removing or force")
    p = box.limpet("stop", cid[:6])
    assert p.returncode == 0 and p.stdout == cid[:6] + "\n", p
    assert status(box, cid)["Status"].startswith("Exited (143) ")
    assert box.limpet("ps", "-q").stdout == ""
    assert box.limpet("wait", "web").stdout == "143\n"
    assert box.limpet("logs", "web").stdout == "ready\nsignal 15\n"
    assert box.limpet("stop", "web").returncode == 0
    fails(box.limpet("kill", "web"), "cannot kill container: web: container "
          + cid + " is not running")
    assert box.limpet("rm", "web").stdout == "web\n"
    assert box.ids() == [] and os.listdir(box.root + "/names") == []


def test_detached_that_cannot_start(box):
    """docker's: the ID, the reason, 127 or 126; kept unless --rm."""
    for args, code, why in (
            (["foo"], 127, 'exec: "foo": executable file not found in $PATH'),
            (["/foo"], 127, 'exec: "/foo": no such file or directory'),
            (["noexec", "13"], 126, 'exec: "noexec": permission denied'),
            (["panic"], 125, "kernel panicked: it was time"),
            (["die"], 125, "last words")):
        for flags in ([], ["--rm"]):
            p = box.limpet("run", "-d", *flags, box.image, *args)
            assert p.returncode == code and why in p.stderr, p
            assert re.fullmatch("[0-9a-f]{64}\n", p.stdout), p
            assert (p.stdout.strip() in box.ids()) == (not flags), p
    assert box.limpet("ps", "-q").stdout == ""
    # A program that ran and has ended already is a success.
    detach(box, "exit", "3", flags=["--name", "three"])
    assert box.limpet("wait", "three").stdout == "3\n"


def test_no_such_container(box):
    box.run("echo", flags=["--name", "one"])
    for verb in ("logs", "stop", "kill", "wait", "rm"):
        fails(box.limpet(verb, "nosuch"), "Error: No such container: nosuch\n")
        fails(box.limpet(verb, "../vms"), "Error: No such container: ../vms\n")
        fails(box.limpet(verb, ""), "Error: No such container: \n")
    p = box.limpet("rm", "-f", "nosuch")
    assert p.returncode == 0 and "No such container" in p.stderr, p
    p = box.limpet("rm", "nosuch", "one")
    assert p.returncode == 1 and p.stdout == "one\n", p


def test_foreground_is_kept_without_rm(box):
    box.run("both", flags=["--name", "bb"])
    p = box.limpet("logs", "bb")
    assert p.stdout == "to stdout\n" and p.stderr == "to stderr\n", p
    p = box.limpet("logs", "-t", "bb")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z to stdout\n",
                        p.stdout), p
    assert status(box, "bb")["Status"].startswith("Exited (0) ")


def test_logs_tail_and_follow(box):
    detach(box, "serve", flags=["--name", "ll"])
    ready(box, "ll")
    f = box.spawn("logs", "-f", "ll")
    assert f.stdout.readline() == "ready\n"
    box.limpet("kill", "-s", "USR1", "ll")
    assert f.stdout.readline() == "signal 10\n"
    box.limpet("kill", "-s", "12", "ll")
    assert f.communicate(timeout=200)[0] == "signal 12\n"
    assert f.returncode == 0
    assert box.limpet("logs", "--tail", "2", "ll").stdout == (
        "signal 10\nsignal 12\n")
    assert box.limpet("logs", "-n0", "ll").stdout == ""
    assert box.limpet("logs", "--tail=all", "ll").stdout.count("\n") == 3
    assert box.limpet("logs", "--tail", "xx", "ll").returncode == 125


def test_rm_leaves_no_log_in_foreground(box):
    p = box.spawn("run", "--rm", "--name", "ff", box.image, "serve")
    assert p.stdout.readline() == "ready\n"
    fails(box.limpet("logs", "ff"), "ff keeps no log")
    p.send_signal(signal.SIGTERM)
    assert p.wait(60) == 143


def test_signals_are_passed_on(box):
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
                signal.SIGUSR2):
        p = box.spawn("run", "--rm", box.image, "serve")
        assert p.stdout.readline() == "ready\n"
        p.send_signal(signal.SIGUSR1)
        assert p.stdout.readline() == "signal 10\n"
        p.send_signal(sig)
        assert p.communicate(timeout=200)[0] == f"signal {int(sig)}\n"
        assert p.returncode == 128 + sig
    assert box.ids() == []


def test_stop_becomes_kill(box):
    detach(box, "stubborn", flags=["--name", "ss"])
    ready(box, "ss")
    assert box.limpet("stop", "-t", "1", "ss").returncode == 0
    assert status(box, "ss")["Status"].startswith("Exited (137) ")
    assert box.limpet("logs", "ss").stdout == "ready\nsignal 15\nsignal 9\n"
    box.add_image("stop", stop_signal="SIGRTMIN+3")
    detach(box, "serve", flags=["--name", "rr"])
    ready(box, "rr")
    box.limpet("stop", "rr")
    assert box.limpet("logs", "rr").stdout == "ready\nsignal 37\n"


def dead(pid):
    """Gone; or an entry that is left where pid 1 does not reap."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return ") Z " in f.read()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_deaf_guest_is_killed_with_its_monitor(box):
    detach(box, "deaf", flags=["--name", "dd"])
    ready(box, "dd")
    pid = int(open(f"{box.root}/vms/{box.ids()[0]}/lock").read())
    assert "fake-vmm" in open(f"/proc/{pid}/comm").read()
    assert box.limpet("kill", "dd").stdout == "dd\n"
    assert dead(pid)
    assert status(box, "dd")["Status"].startswith("Exited (137) ")


def test_rm_force(box):
    detach(box, "serve", flags=["--name", "aa"])
    detach(box, "deaf", flags=["--name", "bb"])
    ready(box, "aa")
    ready(box, "bb")
    p = box.limpet("rm", "-f", "aa", "bb")
    assert p.returncode == 0 and p.stdout == "aa\nbb\n", p
    assert box.ids() == []


def test_rm_force_in_foreground(box):
    """Its launcher removes it (--rm) at the same moment: no failure of either."""
    names = [f"dd{i}" for i in range(8)]
    runs = [box.spawn("run", "--rm", "--name", n, box.image, "deaf") for n in names]
    for p in runs:
        assert p.stdout.readline() == "ready\n"
    for p in [box.spawn("rm", "-f", n) for n in names]:
        said = p.communicate(timeout=200)
        assert p.returncode == 0, said
    for p in runs:
        p.communicate(timeout=200)
    assert box.ids() == [] and os.listdir(box.root + "/names") == []


def test_wait_for_running(box):
    detach(box, "serve", flags=["--name", "aa"])
    detach(box, "serve", flags=["--name", "bb"])
    ready(box, "aa")
    ready(box, "bb")
    w = box.spawn("wait", "aa", "bb")
    box.limpet("kill", "-s", "TERM", "aa")
    assert w.stdout.readline() == "143\n"
    assert w.poll() is None
    box.limpet("kill", "bb")
    assert w.communicate(timeout=200)[0] == "137\n"


def test_dead_monitor(box):
    cid = detach(box, "serve", flags=["--name", "xx"])
    ready(box, "xx")
    w = box.spawn("wait", "xx")
    f = box.spawn("run", "--name", "fg", box.image, "serve")
    assert f.stdout.readline() == "ready\n"
    for name in ("xx", "fg"):
        i = status(box, name)["ID"]
        os.kill(int(open(f"{box.root}/vms/{i}/lock").read()), signal.SIGKILL)
    assert w.communicate(timeout=200)[0] == "125\n"
    out, err = f.communicate(timeout=200)
    assert f.returncode == 125 and "died" in err, err
    assert status(box, cid)["Status"] == "Dead (125)"
    assert box.limpet("wait", "xx").stdout == "125\n"
    assert box.limpet("rm", "xx", "fg").returncode == 0


def test_launcher_killed(box):
    """The VM goes on; a --rm container then vanishes when it has ended."""
    p = box.spawn("run", "--rm", "--name", "kk", box.image, "serve")
    assert p.stdout.readline() == "ready\n"
    p.kill()
    p.wait()
    assert status(box, "kk")["State"] == "running"
    assert box.limpet("stop", "kk").returncode == 0
    assert status(box, "kk") is None
    assert box.ids() == [] and os.listdir(box.root + "/names") == []


def test_detached_rm(box):
    detach(box, "serve", flags=["--rm", "--name", "kk"])
    ready(box, "kk")
    assert box.limpet("stop", "kk").returncode == 0
    # Nothing swept it yet: the name is free all the same.
    detach(box, "serve", flags=["--name", "kk"])
    assert len(box.ids()) == 1


def test_litter(box):
    """What crashes leave is neither shown nor in the way."""
    box.run("echo", flags=["--name", "ok"])
    fresh, old = "a" * 64, "b" * 64
    for d in (fresh, old):
        os.mkdir(f"{box.root}/vms/{d}")
    os.utime(f"{box.root}/vms/{old}", (1, 1))
    os.symlink("../vms/" + "c" * 64, box.root + "/names/gone")
    os.mkdir(box.root + "/vms/strange")
    assert len(box.limpet("ps", "-aq").stdout.split()) == 1
    assert fresh in box.ids() and old not in box.ids()
    assert box.run("echo", "yy", flags=["--rm", "--name", "gone"]).stdout == "yy\n"
    # Damaged files are an error of that container only.
    cid = [i for i in box.ids() if len(i) == 64 and i != fresh][0]
    with open(f"{box.root}/vms/{cid}/config.json", "w") as f:
        f.write('{"name": 1}')
    assert box.limpet("ps", "-a").returncode == 0
    fails(box.limpet("rm", "ok"), "config.json")
    assert box.limpet("rm", "-f", "ok").returncode == 0
    assert cid not in box.ids()
    os.rmdir(f"{box.root}/vms/{fresh}")
    os.rmdir(box.root + "/vms/strange")


def test_detached_stdin(box):
    """-dit keeps stdin open and silent: no end of file, no error."""
    detach(box, "cat", flags=["-it", "--name", "cc"])
    ready(box, "cc")
    box.limpet("kill", "-s", "USR1", "cc")
    harness.wait_for(lambda: box.limpet("logs", "cc").stdout == "ready\nsignal 10\n")
    box.limpet("kill", "cc")


def test_table(box):
    box.run("echo", "a long command with words", flags=["--name", "tt"])
    head, row = box.limpet("ps", "-a").stdout.splitlines()
    assert head.split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED",
                            "STATUS", "PORTS", "NAMES"]
    at = head.index("COMMAND")
    assert row[at:].startswith('"echo a long command…"'), row
    # One character less than bytes: columns count characters.
    assert row[head.index("CREATED"):].startswith("Less than a second ago") or \
        " ago" in row[head.index("CREATED"):]
    assert row.endswith(" tt")
    assert '"echo a long command with words"' in box.limpet(
        "ps", "-a", "--no-trunc").stdout
    assert box.limpet("ps", "--format", "xx").returncode == 125
    assert box.limpet("ps", "xx").returncode == 125


def test_mistakes(box):
    for args in (["kill", "-s", "NOPE", "xx"], ["stop", "-t", "xx", "yy"],
                 ["stop"], ["logs"], ["logs", "aa", "bb"], ["rm", "-v", "xx"],
                 ["ps", "-f", "xx"], ["wait", "--nope"]):
        p = box.limpet(*args)
        assert p.returncode == 125 and "--help" in p.stderr, (args, p)


harness.main(globals())
