# SPDX-License-Identifier: Apache-2.0
"""fs_random.py SEED UID STEPS: random calls on a few names below /tmp/fsrand,
one line each with its result or errno. Run on two kernels with the same
arguments the output must be the same: ours and the host's (chroot)."""
import ctypes
import errno
import os
import random
import stat
import sys

seed, uid, steps = (int(a) for a in sys.argv[1:4])
top = "/tmp/fsrand"
base = top + "/q" * 6  # "..", a few times, stays below `top`
libc = ctypes.CDLL(None, use_errno=True)
os.umask(0o022)
os.system("rm -rf " + top)
os.makedirs(base)
for depth in range(7):
    os.chmod(top + "/q" * depth, 0o777)
os.chdir(base)
random.seed(seed)
if uid:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)

pick = random.choice
ACCESS = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND]
FLAGS = [0, 0, os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_TRUNC, os.O_DIRECTORY, os.O_NOFOLLOW,
         os.O_CREAT | os.O_TRUNC, os.O_CREAT | os.O_NOFOLLOW, os.O_PATH, os.O_PATH | os.O_NOFOLLOW]


def path():
    names = ["a", "b", "c", "d", "e"] + ([".", ".."] if random.random() < .15 else [])
    s = "/".join(pick(names) for _ in range(random.randint(1, 3)))
    s += "/" if random.random() < .12 else ""
    s = "" if random.random() < .03 else s
    return base + "/" + s if random.random() < .05 else s


def attempt(fn, *args):
    try:
        return fn(*args)
    except OSError as e:
        return errno.errorcode[e.errno]


def show(st):
    whole = not stat.S_ISDIR(st.st_mode)
    return oct(st.st_mode), st.st_uid, (st.st_nlink, st.st_size) if whole else None


def open_and_use(name, flags):
    fd = os.open(name, flags | os.O_NONBLOCK, 0o666)
    wrote = attempt(os.write, fd, b"x" * random.randint(1, 9000)) if flags & 3 else None
    got = attempt(os.read, fd, 100)
    at = attempt(os.lseek, fd, random.randint(-5, 20), os.SEEK_CUR)
    os.close(fd)
    return wrote, got if isinstance(got, str) else len(got), at


def renameat2(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


OPS = {
    "open": lambda: open_and_use(path(), pick(ACCESS) | pick(FLAGS)),
    "mkdir": lambda: os.mkdir(path(), pick([0o755, 0o777])),
    "rmdir": lambda: os.rmdir(path()),
    "unlink": lambda: os.unlink(path()),
    "rename": lambda: os.rename(path(), path()),
    "renameat2": lambda: renameat2(path(), path(), pick([0, 1, 2, 3])),
    "link": lambda: os.link(path(), path(), follow_symlinks=random.random() < .5),
    "symlink": lambda: os.symlink(path(), path()),
    "readlink": lambda: os.readlink(path()),
    "stat": lambda: show(os.stat(path())),
    "lstat": lambda: show(os.lstat(path())),
    "list": lambda: sorted(os.listdir(path())),
    "chmod": lambda: os.chmod(path(), pick([0o755, 0o600, 0o4755, 0o2755, 0o1777, 0o644])),
    "chown": lambda: os.chown(path(), pick([-1, 0, uid]), pick([-1, 0, uid]), follow_symlinks=random.random() < .5),
    "truncate": lambda: os.truncate(path(), random.randint(0, 20000)),
    "access": lambda: os.access(path(), pick([0, 1, 2, 4, 7])),
    "utime": lambda: os.utime(path(), pick([None, (1, 2)]), follow_symlinks=random.random() < .5),
    "mkfifo": lambda: os.mkfifo(path()),
    "chdir": lambda: (os.chdir(path()), os.getcwd())[1],
    "back": lambda: os.chdir(base),
}
for step in range(steps):
    name = pick(list(OPS))
    print(step, name, attempt(OPS[name]))
