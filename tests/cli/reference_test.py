# SPDX-License-Identifier: Apache-2.0
"""The manual page and bash's completion say what the verbs' --help says."""
import os
import re
import shutil
import subprocess

import harness

BASH = r"""
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_limpet
printf '%s\n' "${COMPREPLY[@]}"
"""


def complete(box, *words, script=None):
    if script is None:
        script = box.dir + "/completion"
        with open(script, "w") as f:
            f.write(box.limpet("completion", "bash").stdout)
    path = os.path.dirname(harness.LIMPET) + ":" + os.environ["PATH"]
    p = subprocess.run(["bash", "-u", "-c", BASH, "bash", script, "limpet", *words], text=True,
                       capture_output=True, timeout=200, env=box.env(PATH=path))
    assert p.returncode == 0 and p.stderr == "", p
    return p.stdout.split()


def verbs(box):
    text = box.limpet("help").stdout
    found = re.findall(r"^  ([a-z]+) +\S", text, re.M)
    assert len(found) > 10, text
    return found


def network_verbs(box):
    found = re.findall(r"^  (network [a-z]+) +\S", box.limpet("network", "--help").stdout, re.M)
    assert "network create" in found and len(found) == 7, found
    return found


def flags(box, verb):
    """(long, letter or None, takes a value) of --help."""
    text = box.limpet(*verb.split(), "--help").stdout
    assert verb in ("help", "version") or text.startswith(f"Usage: limpet {verb} "), text
    return re.findall(r"^  (?:-(.), |    )--([a-z0-9-]+)( VALUE)?", text, re.M)


def plain(text):
    return text.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")


def test_man(box):
    page = plain(box.limpet("help", "--man").stdout)
    for verb in verbs(box) + network_verbs(box):
        part = re.search(rf"^\.SS limpet {verb} .*\n(?:(?!\.S[SH]).*\n)*", page, re.M)
        assert part, verb
        want = [f"-{a}, --{n}{v}" if a else f"--{n}{v}" for a, n, v in flags(box, verb)]
        have = [line for line in part.group().split("\n") if line.startswith("-")]
        assert have == want, (verb, have, want)
    if shutil.which("groff"):
        p = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=box.limpet("help", "--man").stdout,
                           capture_output=True, text=True)
        assert p.returncode == 0 and p.stderr == "", p.stderr


def test_bash(box):
    assert complete(box, "") == verbs(box)
    assert complete(box, "he") == ["help"] and complete(box, "help", "do") == ["doctor"]
    assert complete(box, "network", "") == [v.split()[1] for v in network_verbs(box)]
    for verb in verbs(box) + network_verbs(box):
        want = {f"--{n}" for _, n, _ in flags(box, verb)} | {
            f"-{a}" for a, _, _ in flags(box, verb) if a}
        assert set(complete(box, *verb.split(), "-")) == want, verb
        for _, name, value in flags(box, verb):
            if value and name != "format":
                assert complete(box, *verb.split(), "--" + name, "-") == [], (verb, name)
    assert complete(box, "ps", "--format", "j") == ["json"]
    assert complete(box, "nonsense", "-") == []


def test_containers(box):
    box.run("echo", flags=["--name", "one"])
    box.run("echo", flags=["--name", "other"])
    assert sorted(complete(box, "rm", "-f", "o")) == ["one", "other"]
    assert complete(box, "logs", "ot") == ["other"]


def test_built_files(box):
    share = os.path.dirname(harness.LIMPET) + "/../share"
    assert open(share + "/man/man1/limpet.1").read() == box.limpet("help", "--man").stdout
    assert (open(share + "/bash-completion/completions/limpet").read() ==
            box.limpet("completion", "bash").stdout)
    assert box.limpet("completion", "fish").returncode == 125
    assert box.limpet("completion").returncode == 125


harness.main(globals())
