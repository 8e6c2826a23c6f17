# SPDX-License-Identifier: Apache-2.0
"""Reads an EROFS image strictly by docs/image.md, as an oracle for tests.

read(path) -> {path: Node}. Everything the page promises is asserted."""
import collections
import os
import struct

Node = collections.namedtuple(
    "Node", "kind mode uid gid mtime ns size nlink nid data link rdev xattrs")
KINDS = {0o100000: ("file", 1), 0o040000: ("dir", 2), 0o020000: ("chr", 3),
         0o060000: ("blk", 4), 0o010000: ("fifo", 5), 0o120000: ("sym", 7)}
PREFIX = {1: b"user.", 2: b"system.posix_acl_access",
          3: b"system.posix_acl_default", 4: b"trusted.", 6: b"security."}
BLOCK = 4096


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc


class Image:
    def __init__(self, path):
        self.f = open(path, "rb")
        self.size = os.fstat(self.f.fileno()).st_size
        block0 = bytearray(self.at(0, BLOCK))
        (magic, crc, compat, bits, slots, self.root, self.inos, self.time, ns,
         self.blocks, meta, xattr) = struct.unpack_from("<IIIBBHQQIIII",
                                                        block0, 1024)
        assert magic == 0xE0F5E1E2 and compat == 3 and bits == 12
        assert (slots, ns, meta, xattr) == (0, 0, 0, 0)
        assert self.blocks * BLOCK == self.size, (self.blocks, self.size)
        assert self.size % (2 << 20) == 0
        self.uuid = bytes(block0[1024 + 48:1024 + 64])
        assert not any(block0[1024 + 64:1024 + 128])
        block0[1028:1032] = b"\0" * 4
        assert crc32c(block0[1024:]) == crc, "checksum"
        assert self.root in (36, 128)

    def at(self, offset, size):
        self.f.seek(offset)
        data = self.f.read(size)
        assert len(data) == size, "outside the image"
        return data

    def xattrs(self, offset, count):
        if count == 0:
            return {}, 0
        area = self.at(offset, 12 + (count - 1) * 4)
        assert not any(area[:12])
        out, keys, at = {}, [], 12
        while at < len(area):
            n, prefix, size = struct.unpack_from("<BBH", area, at)
            name = area[at + 4:at + 4 + n]
            keys.append((prefix, name))
            end = at + 4 + n + size
            out[PREFIX[prefix] + name] = area[at + 4 + n:end]
            assert not any(area[end:(end + 3) & ~3])
            at = (end + 3) & ~3
        assert keys == sorted(keys)
        return out, len(area)

    def node(self, nid):
        at = nid * 32
        assert at % BLOCK + 64 <= BLOCK, "inode crosses a block"
        (form, icount, mode, zero, size, u, ino, uid, gid, mtime, ns,
         nlink) = struct.unpack_from("<HHHHQIIIIqII", self.at(at, 64))
        assert form in (1, 5) and zero == 0 and ns < 10**9
        kind = KINDS[mode & 0o170000][0]
        xattrs, area = self.xattrs(at + 64, icount)
        assert kind in ("dir", "sym") or form == 1
        tail = size % BLOCK if form == 5 else 0
        whole = size - tail
        data = self.at(u * BLOCK, whole) if whole else b""
        if form == 1 and size % BLOCK and kind not in ("chr", "blk"):
            end = self.at(u * BLOCK + size, -size % BLOCK)
            assert not any(end), "last block not zero-padded"
        if form == 5:
            assert tail > 0 and at % BLOCK + 64 + area + tail <= BLOCK
            assert whole or u == 0
            data += self.at(at + 64 + area, tail)
        if kind in ("chr", "blk", "fifo"):
            assert size == 0
        return Node(kind, mode & 0o7777, uid, gid, mtime, ns, size, nlink, nid,
                    data if kind in ("file", "dir") else None,
                    data if kind == "sym" else None,
                    u if kind in ("chr", "blk") else 0, xattrs), ino

    @staticmethod
    def entries(data):
        for base in range(0, len(data), BLOCK):
            block = data[base:base + BLOCK]
            count = struct.unpack_from("<H", block, 8)[0] // 12
            heads = [struct.unpack_from("<QHBB", block, i * 12)
                     for i in range(count)]
            for i, (nid, start, kind, zero) in enumerate(heads):
                assert zero == 0
                end = heads[i + 1][1] if i + 1 < count else len(block)
                yield block[start:end].split(b"\0")[0], nid, kind


def read(path):
    image = Image(path)
    try:
        return walk(image)
    finally:
        image.f.close()


def walk(image):
    out, inos, links = {}, {}, collections.Counter()
    todo = [(b"/", image.root, image.root)]
    while todo:
        name, nid, parent = todo.pop()
        n, ino = image.node(nid)
        out[name] = n
        assert inos.setdefault(ino, nid) == nid, "i_ino not unique"
        links[nid] += 1
        if n.kind != "dir":
            continue
        names = list(image.entries(n.data))
        assert [x[0] for x in names] == sorted({x[0] for x in names}), name
        assert dict((x[0], x[1]) for x in names)[b"."] == nid
        assert dict((x[0], x[1]) for x in names)[b".."] == parent
        links[nid] += 1
        for child, child_nid, kind in names:
            if child in (b".", b".."):
                continue
            full = (name if name != b"/" else b"") + b"/" + child
            todo.append((full, child_nid, nid))
            child_kind = image.node(child_nid)[0].kind
            assert kind == {v[0]: v[1] for v in KINDS.values()}[child_kind]
            links[nid] += child_kind == "dir"
    for name, n in out.items():
        assert n.nlink == links[n.nid], (name, n.nlink, links[n.nid])
    assert image.inos == len(inos) == max(inos), "inos"
    return out
