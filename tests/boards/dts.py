# SPDX-License-Identifier: Apache-2.0
"""A second reading of device trees: dtc's text, parsed here, no libfdt.

facts(file) gives what `limpet board --dtb` must find."""
import re
import subprocess

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>|\[[^\]]*\]|[{};=,]|[^\s{};=,<\["]+')
GICS = {"arm,gic-400": 2, "arm,cortex-a15-gic": 2, "arm,cortex-a7-gic": 2,
        "qcom,msm-qgic2": 2, "arm,cortex-a9-gic": 1, "arm,pl390": 1,
        "arm,eb11mp-gic": 1, "arm,arm11mp-gic": 1, "arm,gic-v3": 3,
        "qcom,msm8996-gic-v3": 3, "arm,gic-v5": 5}
UARTS = {"arm,pl011", "arm,sbsa-uart", "snps,dw-apb-uart", "ns16550a"}


class Node:
    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.props, self.kids = {}, []

    def walk(self):
        yield self
        for k in self.kids:
            yield from k.walk()

    def path(self):
        if self.parent is None:
            return ""
        return self.parent.path() + "/" + self.name

    def strings(self, name):
        v = self.props.get(name, b"")
        return v[:-1].decode("latin-1").split("\0") if v else []

    def string(self, name):
        return (self.strings(name) or [None])[0]

    def cells(self, name):
        v = self.props.get(name, b"")
        return [int.from_bytes(v[i:i + 4], "big") for i in range(0, len(v), 4)]

    def cell(self, name, default=None):
        return (self.cells(name) or [default])[0]

    def enabled(self):
        good = self.string("status") in (None, "okay", "ok")
        return good and (self.parent is None or self.parent.enabled())

    def at(self, path):
        node = self
        for part in [p for p in path.split("/") if p]:
            node = next((k for k in node.kids if k.name == part), None)
            if node is None:
                return None
        return node


def value(token):
    if token[0] == '"':
        return eval(token.replace("\n", "\\n"), {"__builtins__": {}}).encode("latin-1") + b"\0"
    if token[0] == "<":
        return b"".join(int(c, 0).to_bytes(4, "big") for c in token[1:-1].split())
    return bytes.fromhex(token[1:-1].replace(" ", ""))


def parse(text):
    root, node, name, pending = None, None, None, []
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = text.replace("/dts-v1/;", "", 1)
    text = re.sub(r"/memreserve/[^;]*;", "", text)
    for t in TOKEN.findall(text):
        if t == "{":
            new = Node(pending[-1], node)
            if node is None:
                root = new
            else:
                node.kids.append(new)
            node, pending = new, []
        elif t == "}":
            node, pending = node.parent, []
        elif t == ";":
            if name is not None:
                node.props[name] = b"".join(value(p) for p in pending)
            elif pending:
                node.props[pending[0]] = b""
            name, pending = None, []
        elif t == "=":
            name, pending = pending[0], []
        elif t != ",":
            pending.append(t)
    return root


def read(path):
    text = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", path], check=True,
                          capture_output=True).stdout.decode("latin-1")
    return parse(text)


def number(cells):
    n = 0
    for c in cells:
        n = n << 32 | c
    return n


def address(node):
    """Of reg[0] on the CPU's bus, or None."""
    bus = node.parent
    at = number(node.cells("reg")[:bus.cell("#address-cells", 2)])
    while bus.parent is not None:
        if "ranges" not in bus.props:
            return None
        child, size = bus.cell("#address-cells", 2), bus.cell("#size-cells", 1)
        up = bus.parent.cell("#address-cells", 2)
        cells, step = bus.cells("ranges"), child + up + size
        for i in range(0, len(cells), step):
            first = number(cells[i:i + child])
            if first <= at < first + number(cells[i + child + up:i + step]):
                at += number(cells[i + child:i + child + up]) - first
                break
        else:
            if cells:
                return None
        bus = bus.parent
    return at


def cpu_clusters(root):
    top = root.at("/cpus")
    cpus = [k for k in (top.kids if top else []) if k.string("device_type") == "cpu" and
            not (k.string("status") or "").startswith("fail")]
    where = {}
    for leaf in ((top.at("cpu-map") if top else None) or Node("", None)).walk():
        ref = leaf.cell("cpu")
        cpu = next((c for c in cpus if ref is not None and c.cell("phandle") == ref), None)
        while cpu is not None and not leaf.name.startswith("cluster") and leaf.name != "cpu-map":
            leaf = leaf.parent
        if cpu is not None:
            where[cpu] = leaf
    groups = {}
    for c in cpus:
        key = (where.get(c), c.string("compatible"))
        groups[key] = groups.get(key, 0) + 1
    return len(cpus), [(kind, n) for (_, kind), n in groups.items()]


def gic(root):
    nodes = list(root.walk())
    ref = root.cell("interrupt-parent")
    first = [n for n in nodes if ref is not None and n.cell("phandle") == ref]
    for n in first + nodes:
        for c in n.strings("compatible"):
            if c in GICS and n.enabled():
                return n, GICS[c]
    return None, 0


def facts(path):
    root = read(path)
    count, clusters = cpu_clusters(root)
    node, version = gic(root)
    serial = []
    for n in root.walk():
        if n.enabled() and "reg" in n.props and (
                re.match("(serial|uart)@", n.name) or UARTS & set(n.strings("compatible"))):
            at = address(n)
            serial.append((n.path(), n.string("compatible"), None if at is None else hex(at)))
    its = node is not None and any(
        "arm,gic-v3-its" in n.strings("compatible") and n.enabled() for n in node.walk())
    return {"model": root.string("model"), "compatible": root.strings("compatible"),
            "cpus": count, "clusters": clusters, "gic.version": version,
            "gic.node": node.path() if node else None, "gic.its": its,
            "serial": sorted(serial)}
