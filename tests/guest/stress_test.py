#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stress_test.py [STRESSOR...]: stress-ng with --verify, one VM for each, 1 s
(LIMPET_STRESS_SECONDS), two VMs at a time. stress.cfg says which must pass and
which are skipped and why; an unexpected pass fails too."""
import concurrent.futures
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault("LIMPET_NETWORK", "none")
BIN = os.environ["LIMPET_BIN"]
IMAGE = os.path.join(os.environ.get("LIMPET_IMAGES", "build/images"), "stress")
SECONDS = os.environ.get("LIMPET_STRESS_SECONDS", "1")


def wanted():
    """name -> reason to skip, or None."""
    rules = {}
    for line in open(HERE + "/stress.cfg"):
        words = line.split(None, 2)
        if words and not line.startswith("#"):
            rules[words[1]] = words[2].strip() if words[0] == "skip" else None
    return rules


def run(name):
    """None, or what went wrong."""
    vm = f"stress-{name}-{os.getpid()}"
    command = [BIN + "/limpet", "run", "--rm", "--name", vm, "-m", "512m", "oci:" + IMAGE, "--verify", "-t", SECONDS,
               "--temp-path", "/tmp", "--" + name, "2"]
    try:
        p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, errors="replace", timeout=float(SECONDS) + 40)
    except subprocess.TimeoutExpired:
        subprocess.run([BIN + "/limpet", "rm", "-f", vm], stdout=subprocess.DEVNULL, timeout=60)
        return "hangs"
    if p.returncode == 0 and "skipped stressor" not in p.stdout:
        return None
    return f"exit {p.returncode}: " + " | ".join(p.stdout.splitlines()[1:6])


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("SKIP /dev/kvm cannot be opened")
        return 77
    if not os.path.exists(IMAGE + "/index.json"):
        print(f"SKIP {IMAGE} is not there: tests/fixtures/make-images.sh makes it")
        return 77
    rules, failed = wanted(), 0
    names = sys.argv[1:] or list(rules)
    with concurrent.futures.ThreadPoolExecutor(2) as two:
        for name, why in zip(names, two.map(run, names)):
            skip = rules.get(name)
            good = (why is None) == (skip is None)
            failed += not good
            note = f" # skip {skip}" if skip else ""
            if not good:
                note = f" # {why or 'passes, but stress.cfg skips it'}"
            print(f"{'ok' if good else 'not ok'} - {name}{note}", flush=True)
    return 1 if failed else 0


sys.exit(main())
