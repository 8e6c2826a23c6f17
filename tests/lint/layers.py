#!/usr/bin/env python3
"""Architecture as a test: include rules of layers.conf, no header cycles, no
architecture #if outside arch/ and abi/, size limits, forbidden patterns."""
import os
import re
import sys

ROOT = sys.argv[1] if len(sys.argv) > 1 else "."
HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)
ARCH_IF = re.compile(r"^[ \t]*#[ \t]*(?:el)?if.*\b__(?:x86_64|aarch64)__", re.M)
FILE_MAX, TEST_MAX, HEADER_MAX, FUNCTION_MAX = 600, 800, 400, 80
# Flat lists of facts, one a line, in the order they happen.
LISTS, LIST_MAX = "tests/guest/conform/", 160
PATTERNS = [
    (re.compile(r"\bfor\s*\(.*<\s*(?:\(int\)\s*)?sizeof\s*\(?[^;/]*;"), "loop bounded by sizeof, use ARRAY_COUNT"),
    (re.compile(r"\b(?:strcpy|strcat|sprintf|vsprintf|atoi|atol|strtok|gets)\s*\("), "unbounded string function"),
    (re.compile(r"\bassert\([^=!<>]*[^=!<>]=[^=]"), "side effect inside assert"),
    (re.compile(r"\bTODO\b(?!\(#\d+\))"), "TODO without an issue number"),
]
EXIT = re.compile(r"(?<![\w_])exit\s*\(")


def layer_rules():
    rules = {}
    for line in open(os.path.join(HERE, "layers.conf")):
        line = line.split("#")[0].strip()
        if line:
            who, whom = line.split(":")
            rules[who.strip()] = whom.split()
    return rules


def sources(rules):
    for top in rules:
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".S")):
                    path = os.path.relpath(os.path.join(folder, name), ROOT)
                    yield top, path, open(os.path.join(ROOT, path), errors="replace").read()


def allowed(rules, top, inc):
    if rules[top] == ["*"] or inc.split("/")[0] == top:
        return True
    return any(inc == a or inc.startswith(a + "/") for a in rules[top])


def functions(text):
    """(name, first line, lines) of each function body: a line that is only '{'
    opens one, a line that is only '}' closes it."""
    lines, start = text.split("\n"), None
    for n, line in enumerate(lines):
        if line == "{":
            start = n
        elif line == "}" and start is not None:
            yield lines[start - 1].strip(), start, n - start + 1
            start = None


def check_file(rules, top, path, text):
    bad = []
    for inc in INCLUDE.findall(text):
        if not allowed(rules, top, inc):
            bad.append(f"{path}: may not include {inc}")
        if not os.path.exists(os.path.join(ROOT, inc)):
            bad.append(f"{path}: {inc} is not a path from the repository root")
    if ARCH_IF.search(text) and "/arch/" not in path and top not in ("abi", "tests"):
        bad.append(f"{path}: architecture #if outside arch/")
    if not text.startswith("// SPDX-License-Identifier: Apache-2.0"):
        bad.append(f"{path}: no SPDX line")
    lines = text.count("\n")
    file_max = TEST_MAX if top == "tests" else FILE_MAX
    if path.endswith(".c") and lines > file_max:
        bad.append(f"{path}: {lines} lines, at most {file_max}")
    if path.endswith(".h") and lines > HEADER_MAX and "/nr.h" not in path:
        bad.append(f"{path}: {lines} lines, at most {HEADER_MAX}")
    if path.endswith(".c"):
        for name, line, count in functions(text):
            most = LIST_MAX if path.startswith(LISTS) else FUNCTION_MAX
            if count > most:
                bad.append(f"{path}:{line}: {count} lines, at most {most}: {name}")
    if path.endswith((".c", ".h")) and top != "tests":
        for n, line in enumerate(text.split("\n"), 1):
            for pattern, why in PATTERNS:
                if pattern.search(line) and "NOLINT" not in line:
                    bad.append(f"{path}:{n}: {why}")
            if top not in ("guest", "tests") and EXIT.search(line) and \
                    not path.endswith("main.c") and not line.lstrip().startswith(("*", "/*", "//")):
                bad.append(f"{path}:{n}: exit() outside main.c")
    return bad


def cycles(graph):
    state, bad = {}, []

    def visit(path, trail):
        if state.get(path) == 2 or path not in graph:
            return
        if state.get(path) == 1:
            bad.append("cycle: " + " -> ".join(trail[trail.index(path):] + [path]))
            return
        state[path] = 1
        for nxt in graph[path]:
            visit(nxt, trail + [path])
        state[path] = 2

    for path in graph:
        visit(path, [])
    return bad


def main():
    rules, graph, bad, sizes = layer_rules(), {}, [], []
    for top, path, text in sources(rules):
        graph[path] = INCLUDE.findall(text)
        bad += check_file(rules, top, path, text)
        if path.endswith(".c"):
            sizes += [count for _, _, count in functions(text)]
    bad += cycles(graph)
    sizes.sort()
    p95 = sizes[len(sizes) * 95 // 100] if sizes else 0
    if p95 > 60:
        bad.append(f"95th percentile of function length is {p95}, at most 60")
    print("\n".join(sorted(set(bad))) or
          f"lint: {len(graph)} files, {len(sizes)} functions, p95 {p95} lines, no finding")
    return bool(bad)


sys.exit(main())
