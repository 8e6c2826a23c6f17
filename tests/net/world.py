# SPDX-License-Identifier: Apache-2.0
"""What the tests of networks share: what must be there, a network namespace of
their own, commands and patience."""
import os
import shutil
import subprocess
import sys
import time

BIN = os.path.abspath(os.environ.get("LIMPET_BIN", ""))
IMAGES = os.path.abspath(os.environ.get("LIMPET_IMAGES", "build/images"))
BUSYBOX = f"oci:{IMAGES}/busybox"


def missing(tools, devices, images):
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    for tool, package in tools.items():
        if not shutil.which(tool):
            return f"{tool} is not installed: apt-get install {package}"
    for path in devices:
        try:
            os.close(os.open(path, os.O_RDWR))
        except OSError as e:
            return f"{path}: {e.strerror}"
    for name in images:
        if not os.path.exists(f"{IMAGES}/{name}/index.json"):
            return f"{IMAGES}/{name} is not there: tests/fixtures/make-images.sh makes it"
    return None


def enter(tools={}, devices=("/dev/kvm", "/dev/net/tun"), images=("busybox",), what=("-n",)):
    """Go on in namespaces of `what`, or skip the test. tools: {program: package}."""
    why = missing(tools, devices, images)
    if why:
        print("skip: " + why)
        sys.exit(77)
    if "LIMPET_NET_INSIDE" not in os.environ:
        os.environ["LIMPET_NET_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", *what, sys.executable, *sys.argv])


def sh(text, timeout=120, **kw):
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=timeout, **kw)


def must(text, **kw):
    p = sh(text, **kw)
    assert p.returncode == 0, (text, p)
    return p.stdout


def wait_for(done, seconds=120):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def once_more(check, tries, before=lambda: None):
    """check(), again if its assertions do not hold, at most `tries` times in
    all: for what this machine's standing still may change."""
    for left in reversed(range(tries)):
        try:
            return check()
        except AssertionError as e:
            if left == 0:
                raise
            print("# once more:", str(e)[:300], flush=True)
        before()


def ping(to, *flags):
    """All of five are answered. Where some were late (ping waits for the last
    two round trips, however long -W) five more are sent."""
    end = time.monotonic() + 120
    while True:
        p = subprocess.run(["ping", "-c", "5", "-i", "0.2", "-W", "30", *flags, to], capture_output=True, text=True)
        if p.returncode == 0 and " 0% packet loss" in p.stdout:
            return
        assert time.monotonic() < end, p.stdout + p.stderr
