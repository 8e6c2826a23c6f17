# SPDX-License-Identifier: Apache-2.0
"""Names are claims: one winner, random ones given, crashes forgiven."""
import concurrent.futures
import os
import re

import harness


def test_conflict(box):
    box.run("echo", flags=["--name", "one"])
    p = box.run("echo", flags=["--name", "one"])
    assert p.returncode == 125, p
    assert ('Conflict. The container name "/one" is already in use by '
            f'container "{box.ids()[0]}"') in p.stderr, p
    assert len(box.ids()) == 1
    box.limpet("rm", "one")
    assert box.run("echo", flags=["--name", "one"]).returncode == 0


def test_random_names(box):
    for _ in range(5):
        box.run("echo", flags=())
    names = os.listdir(box.root + "/names")
    assert len(names) == 5, names
    assert all(re.fullmatch(r"[a-z]+_[a-z]+\d*", n) for n in names), names


def test_one_winner(box):
    """Eight at once want a name whose last claim a crash left behind."""
    box.run("echo")
    os.symlink("../vms/" + "c" * 64, box.root + "/names/prize")

    def claim(_):
        return box.run("echo", flags=["--name", "prize"]).returncode
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(claim, range(8)))
    assert codes == [0] + [125] * 7, codes
    assert len(box.ids()) == 1


def test_prefixes(box):
    ids = []
    while len({i[0] for i in ids}) == len(ids):
        box.run("echo", flags=())
        ids = box.ids()
    first = [i[0] for i in ids]
    twice = next(c for c in first if first.count(c) > 1)
    p = box.limpet("rm", twice)
    assert p.returncode == 1 and (
        f"multiple IDs found with provided prefix: {twice}") in p.stderr, p
    assert box.limpet("rm", ids[0][:20]).returncode == 0
    assert box.limpet("rm", ids[1]).returncode == 0


harness.main(globals())
