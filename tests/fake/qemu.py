#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for qemu-system-x86_64: takes its arguments, plays the guest.

The blob is what tests/fake/vmm.c writes for one: the configuration.
"""
import json
import os
import re
import select
import struct
import sys

CTL_EXIT, CTL_SIGNAL, CTL_WINSIZE, CTL_LOG, CTL_STDIN_EOF = 1, 2, 3, 4, 5
CTL_STARTED, CTL_KILLED = 6, 7


def value(flag, pattern):
    for a, b in zip(sys.argv, sys.argv[1:]):
        m = re.search(pattern, b)
        if a == flag and m:
            return m.group(1)
    raise SystemExit(f"fake qemu: no {flag} {pattern}")


def port(name):
    chardev = value("-device", rf"^virtserialport,chardev=(\w+),name=limpet\.{name}$")
    return int(value("-chardev", rf"^socket,id={chardev},fd=(\d+)$"))


def frame(kind, payload):
    os.write(ctl, struct.pack("<II", kind, len(payload)) + payload)


def end(kind, code, text=b""):
    head = struct.pack("<IIQQQQII", kind, code, 1, 2, 3, 4, 5, len(text))
    frame(CTL_EXIT, head + text)
    sys.exit(1)  # what isa-debug-exit makes of 0


def read_frame():
    head = os.read(ctl, 8)
    if len(head) < 8:
        sys.exit(0)
    kind, size = struct.unpack("<II", head)
    return kind, os.read(ctl, size)


stdio, stderr, ctl = port("stdio"), port("stderr"), port("ctl")
config = json.load(open(value("-initrd", "(.*)")))
args = config["containers"][0]["args"]
frame(CTL_LOG, b"fake kernel boots\n")
if config["containers"][0].get("report_start") and args[0] != "noexec":
    frame(CTL_STARTED, b"")
if args[0] == "args":
    os.write(stdio, ("\n".join(sys.argv[1:]) + "\n").encode())
elif args[0] == "disk":
    desc = open(value("-drive", "file=(/proc/self/fd/.*)")).read()
    os.write(stdio, desc.encode())
elif args[0] == "both":
    os.write(stdio, b"to stdout\n")
    os.write(stderr, b"to stderr\n")
elif args[0] == "much":
    for i in range(int(args[1])):
        os.write(stdio, b"%079d\n" % i)
elif args[0] == "cat":
    got = 0
    while True:
        ready = select.select([stdio, ctl], [], [])[0]
        if stdio in ready:
            data = os.read(stdio, 65536)
            got += len(data)
            os.write(stdio, data)
            continue
        kind, payload = read_frame()
        if kind == CTL_STDIN_EOF:
            want = struct.unpack("<Q", payload)[0]
            while got < want:
                data = os.read(stdio, 65536)
                got += len(data)
                os.write(stdio, data)
            end(0, 0)
elif args[0] == "serve":
    os.write(stdio, b"ready\n")
    while True:
        kind, payload = read_frame()
        if kind == CTL_SIGNAL:
            end(1, struct.unpack("<II", payload)[0])
        os.write(stdio, b"frame %d\n" % kind)
elif args[0] == "exit":
    end(0, int(args[1]))
elif args[0] == "oom":
    end(4, 9, b"hog (pid 1)")
elif args[0] == "oomkid":
    for i in range(50):
        frame(CTL_KILLED, b"hog (pid %d)" % i)
elif args[0] == "noexec":
    end(3, 2, b"noexec")
elif args[0] == "nonsense":
    os.write(ctl, b"\xff" * 64)
    os.read(ctl, 1)
elif args[0] == "die":
    sys.exit(0)
elif args[0] == "panic":
    debug = int(value("-chardev", r"^socket,id=debug,fd=(\d+)$"))
    os.write(debug, b"[0.1] kernel panic: planted\n  [<ffffffff80200000>]\n")
    sys.exit(1)
end(0, 0)
