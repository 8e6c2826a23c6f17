# SPDX-License-Identifier: Apache-2.0
"""loss_test.py [NAME...]: TCP of a VM and TCP of Linux over a path that loses,
reorders and doubles frames, 20 ms long each way (badpath.py draws it). What is
compared are the bytes and what both ends counted, never times. Needs root,
/dev/kvm and /dev/net/tun.
"""
import os
import sys
import tempfile

import badpath
import tap_test
from world import enter, once_more

TOOLS = os.path.abspath(os.environ["LIMPET_NET_TOOLS"])


def stream(store, far_gives, mib, **bad):
    """What the giver and the taker count, and what befell the frames."""
    p = badpath.Path(TOOLS, tap_test.BIN + "/limpet", store, "vm", **bad)
    try:
        giver, taker = p.stream(far_gives, mib, "cubic")
    finally:
        done = p.close()
    assert giver["bytes"] == taker["bytes"] == mib << 20 and taker["wrong"] == 0, (giver, taker, done)
    assert giver["sack"] == taker["sack"] == 1, (giver, taker)
    return giver, taker, done


def test_clean(store):
    for far_gives in (True, False):
        stream(store, far_gives, 8)


def counted(check):
    """Who waits for an answer gives frames up that are late: where this machine
    stood still, what is counted is its own, and one try of four has to do."""
    once_more(check, 4)


def test_loss(store):
    """What is lost goes again, and little else (SACK: RFC 6675, 8985)."""
    def check():
        giver, _, done = stream(store, far_gives, 2, loss=20)
        assert done["lost"] > 10 and giver["retrans"] > 0, (giver, done)
        assert giver["retrans"] <= 3 * done["lost"] + 20, (giver, done)
    for far_gives in (True, False):
        counted(check)


def test_reordering(store):
    """Nothing is lost: a VM that gives finds out that it waited too short."""
    def gives():
        giver, _, done = stream(store, True, 12, reorder=30)
        assert done["moved"] > 100 and giver["retrans"] < done["moved"] // 2, (giver, done)
        assert giver["reordering"] > 0, giver

    def takes():
        _, taker, done = stream(store, False, 12, reorder=30)
        assert taker["ooo"] >= done["moved"] // 4, (taker, done)
    counted(gives)
    counted(takes)


def test_doubled(store):
    """Each side tells the other what came twice (RFC 2883)."""
    def check():
        giver, _, done = stream(store, far_gives, 8, double=20)
        assert done["doubled"] > 50 and giver["dsacks"] > done["doubled"] // 8, (giver, done)
    for far_gives in (True, False):
        counted(check)


def test_all_at_once(store):
    for far_gives in (True, False):
        for seed in (2, 3):
            giver, _, done = stream(store, far_gives, 1, delay_ms=5, loss=30, reorder=30, double=30, seed=seed)
            assert giver["retrans"] > 0, (giver, done)


def main():
    enter(what=("-n", "-m"))
    os.system("ip link set lo up")
    tests = {n[5:]: f for n, f in globals().items() if n.startswith("test_")}
    bad = 0
    with tempfile.TemporaryDirectory(prefix="limpet-loss.") as store:
        for name in sys.argv[1:] or tests:
            try:
                tests[name](store)
                print("ok -", name, flush=True)
            except Exception as e:  # what is left still runs
                bad += 1
                print(f"not ok - {name}: {type(e).__name__}: {e}", flush=True)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
