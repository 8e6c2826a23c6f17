# SPDX-License-Identifier: Apache-2.0
"""The log of QEMU's blklogwrites (that of Linux's dm-log-writes): every write
and flush of a disk in their order. Cut it anywhere to have the disk as a power
cut leaves it: what was flushed is there, of what was not any part."""
import struct

MAGIC = 0x6a736677736872
HEAD = struct.Struct("<QQQI")   # magic, version, entries, sector size
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, data length
FLUSH, DISCARD = 1, 4


class Write:
    def __init__(self, at, data, size):
        self.at, self.data, self.size = at, data, size  # data None: discarded

    def apply(self, disk):
        if self.data is not None:
            disk[self.at:self.at + self.size] = self.data


def read(path):
    """[[Write...], ...]: the writes before each flush; the last list had none."""
    spans = [[]]
    with open(path, "rb") as f:
        magic, version, count, sector = HEAD.unpack(f.read(HEAD.size))
        if (magic, version) != (MAGIC, 1):
            raise ValueError(path + " is no write log")
        at = sector
        for _ in range(count):
            f.seek(at)
            where, sectors, flags, _ = ENTRY.unpack(f.read(ENTRY.size))
            size = sectors * sector
            at += sector
            if flags & FLUSH:
                spans.append([])
            if size == 0:
                continue
            if flags & DISCARD:
                continue
            f.seek(at)
            spans[-1].append(Write(where * sector, f.read(size), size))
            at += size
    return spans


def some(writes, rng):
    """A part of writes that were under way: each of them there, not there, or
    torn at a sector."""
    for w in writes:
        luck = rng.random()
        if luck < 0.45:
            yield w
        elif luck < 0.55 and w.size > 512:
            n = rng.randrange(1, w.size // 512) * 512
            yield Write(w.at, w.data[:n], n)
