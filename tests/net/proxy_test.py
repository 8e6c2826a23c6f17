# SPDX-License-Identifier: Apache-2.0
"""proxy_test.py [NAME...]: what peers and guests do to the proxy of published
ports, and that the ports of other VMs answer all the same. The world is that of
bridge_test.py."""
import os
import resource
import select
import socket
import struct
import time

import bridge_test
from bridge_test import Servers, Vm, get, gone, keepers, web

VM_FLOWS = 512  # net/proxy.c
PEERS = 1100


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu(pid):
    """Seconds that a process has run for."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def readable(sockets, seconds):
    p = select.poll()
    for s in sockets:
        p.register(s, select.POLLIN)
    ready = {fd for fd, _ in p.poll(seconds * 1000)}
    return {s for s in sockets if s.fileno() in ready}


def udp_peers(port, count):
    """Each asks a few times, until it is answered or the others are."""
    peers = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(count)]
    for at in range(0, count, 50):
        waiting = set(peers[at:at + 50])
        for s in waiting:
            s.connect(("::1", port))
        for _ in range(5):
            for s in waiting:
                s.send(b"hi")
            end = time.monotonic() + 1
            while waiting and time.monotonic() < end:
                waiting -= readable(waiting, 0.1)
    return peers


ECHO = """
import socket
s = socket.socket(2, 2); s.bind(("0.0.0.0", 7))
while True:
    d, a = s.recvfrom(2000); s.sendto(d, a)
"""


def test_udp_peers(box):
    """More of them than there is room for: the oldest go, nothing else does."""
    import harness
    with Vm(box, "sh", "-c", 'python3 -c "$0" same 80 & exec python3 -c "$1"', Servers.CODE, ECHO,
            flags=("--network", "bridge", "-p", "9500:7/udp", "-p", "9501:80")), \
            web(box, "other", "--network", "bridge", "-p", "9502:80"):
        harness.wait_for(lambda: get("127.0.0.1", 9501, patience=5).startswith("same"), 120)
        helper = keepers(box)[1]
        before = fds(helper)
        peers = udp_peers(9500, PEERS)
        assert get("127.0.0.1", 9502).startswith("other") and get("::1", 9502).startswith("other")
        assert get("127.0.0.1", 9501).startswith("same")
        assert fds(helper) - before <= VM_FLOWS, fds(helper)
        last = udp_peers(9500, 1)[0]
        assert readable([last], 30) and last.recv(9) == b"hi"
        for s in [last, *peers]:
            s.close()
    gone(box)


def get_once(port):
    """What is said first, before we end the connection; b"" when it is refused."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        try:
            return s.recv(99)
        except ConnectionResetError:
            return b""


NEVER = """
import resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
s = socket.create_server(("0.0.0.0", 80), backlog=1000); kept = []
while True:
    c, _ = s.accept(); c.sendall(b"never\\n"); kept.append(c)
"""


def test_guest_never_closes(box):
    """What its clients have left takes no other VM's place, and goes in the end."""
    import harness
    with Vm(box, "python3", "-c", NEVER, flags=("--network", "bridge", "-p", "9510:80")) as vm, \
            web(box, "other", "--network", "bridge", "-p", "9511:80"):
        harness.wait_for(lambda: get(vm.ip, 80, patience=5) == "never", 120)
        helper = keepers(box)[1]
        before = fds(helper)
        with socket.create_connection(("127.0.0.1", 9510), timeout=60) as quiet:
            assert quiet.recv(99) == b"never\n"
            answered = [get_once(9510) for _ in range(PEERS)]
            assert get("127.0.0.1", 9511).startswith("other")
            assert VM_FLOWS - 1 <= answered.count(b"never\n") < PEERS, answered.count(b"never\n")
            assert fds(helper) - before <= 2 * VM_FLOWS, fds(helper)
            harness.wait_for(lambda: fds(helper) <= before + 2, 200)
            assert not readable([quiet], 0)  # which has not ended
        assert get("127.0.0.1", 9510) == "never"
    gone(box)


DEAF = 'nft add table inet deaf && nft "add chain inet deaf in { type filter hook input priority 0; policy drop; }"; echo >"$0"; sleep 1000'


def test_reset_while_connecting(box):
    """A client leaves before a guest that answers nothing has answered."""
    import harness
    with Vm(box, "sh", "-c", DEAF, box.dir + "/deaf", flags=("--network", "bridge", "-p", "9520:80")):
        harness.wait_for(lambda: os.path.exists(box.dir + "/deaf"))
        harness.wait_for(lambda: len(keepers(box)) == 2)
        helper = keepers(box)[1]
        before, ran = fds(helper), cpu(helper)
        clients = [socket.create_connection(("127.0.0.1", 9520), timeout=60) for _ in range(5)]
        harness.wait_for(lambda: fds(helper) >= before + 10)
        for s in clients:
            reset(s)
        try:
            harness.wait_for(lambda: fds(helper) <= before, 60)  # connect() tries for two minutes
        finally:
            print("# the helper ran for %.2f s" % (cpu(helper) - ran), flush=True)
        assert cpu(helper) - ran < 1
    gone(box)


FULL = """
import socket, struct, sys
s = socket.create_server(("0.0.0.0", 80))
open(sys.argv[1] + "ready", "w").close()
c, _ = s.accept(); c.settimeout(3)
try:
    while True: c.send(bytes(1 << 16))
except OSError: pass
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
open(sys.argv[1] + "reset", "w").close()
import time; time.sleep(1000)
"""


def test_reset_while_full(box):
    """A guest resets what its client does not read yet: nothing turns in a
    circle, and the client gets what has come."""
    import harness
    with Vm(box, "python3", "-c", FULL, box.dir + "/", flags=("--network", "bridge", "-p", "9530:80")):
        harness.wait_for(lambda: os.path.exists(box.dir + "/ready"))
        harness.wait_for(lambda: len(keepers(box)) == 2)
        helper = keepers(box)[1]
        before = fds(helper)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", 9530))
            harness.wait_for(lambda: os.path.exists(box.dir + "/reset"), 120)
            ran = cpu(helper)
            time.sleep(3)
            ran = cpu(helper) - ran
            print("# the helper ran for %.2f s" % ran, flush=True)
            assert ran < 0.3 and fds(helper) == before + 2, (ran, fds(helper))
            s.settimeout(60)
            got = 0
            while data := s.recv(1 << 16):
                got += len(data)
            assert got > 1 << 16, got
        harness.wait_for(lambda: fds(helper) <= before, 60)
    gone(box)


def test_half_closed(box):
    """An answer that comes after the client's end is not lost."""
    import harness
    late = ("import socket, sys\ns = socket.create_server(('0.0.0.0', 80)); open(sys.argv[1], 'w').close()\nwhile True:\n c, _ = s.accept()\n"
            " while c.recv(99): pass\n c.sendall(bytes(8 << 20)); c.close()")
    with Vm(box, "python3", "-c", late, box.dir + "/ready", flags=("--network", "bridge", "-p", "9540:80")):
        harness.wait_for(lambda: os.path.exists(box.dir + "/ready"))
        for _ in range(5):
            got = 0
            with socket.create_connection(("127.0.0.1", 9540), timeout=60) as s:
                s.sendall(b"go")
                s.shutdown(socket.SHUT_WR)
                while data := s.recv(1 << 16):
                    got += len(data)
            assert got == 8 << 20, got
    gone(box)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    bridge_test.main(globals())
