# SPDX-License-Identifier: Apache-2.0
"""Start limpet-vmm as the CLI does: inherited fds and a JSON configuration."""
import ctypes
import json
import os
import socket
import struct
import tempfile
import time

CLONE_NEWPID = 0x20000000
CLONE_NEWUSER = 0x10000000
KINDS = ["exited", "signalled", "panic", "noexec", "oom", "monitor"]


class Vm:
    """One monitor. `stdin`, `stdout`, `stderr` are fds; the rest is config."""

    def __init__(self, vmm, kernel, args, stdin=None, stdout=None, stderr=None,
                 memory=64 << 20, vcpus=1, images=(), disks=(), listen=None,
                 phases=False, symbols=None, log=None, uid=None, pidns=True,
                 config=None, cpuid=None, kvm="/dev/kvm"):
        self.null = os.open("/dev/null", os.O_RDWR)
        self.log = log if log is not None else tempfile.TemporaryFile()
        self.exit = tempfile.TemporaryFile()
        self.phases = tempfile.TemporaryFile() if phases else None
        self.client, theirs = socket.socketpair(socket.AF_UNIX,
                                                socket.SOCK_SEQPACKET)
        kvm_fd = os.open(kvm, os.O_RDWR)
        kernel_fd = os.open(kernel, os.O_RDONLY)
        symbols_fd = os.open(symbols, os.O_RDONLY) if symbols else -1
        image_fds = [os.open(p, os.O_RDONLY) for p in images]
        disk_fds = [(os.open(p, os.O_RDONLY if ro else os.O_RDWR), ro)
                    for p, ro in disks]
        cfg = {
            "version": 1, "name": "test", "kvm_fd": kvm_fd,
            "kernel_fd": kernel_fd, "symbols_fd": symbols_fd,
            "memory": memory, "vcpus": vcpus, "image_fds": image_fds,
            "disks": [{"fd": f, "readonly": ro} for f, ro in disk_fds],
            "stdio": {
                "stdin_fd": self.null if stdin is None else stdin,
                "stdout_fd": self.null if stdout is None else stdout,
                "stderr_fd": self.null if stderr is None else stderr,
                "tty": False, "log_fd": -1},
            "client_fd": theirs.fileno(),
            "listen_fd": listen.fileno() if listen else -1,
            "exit_fd": self.exit.fileno(), "vmm_log_fd": self.log.fileno(),
            "phases_fd": self.phases.fileno() if self.phases else -1,
            "cpuid_cache_fd": -1 if cpuid is None else cpuid,
            "containers": [{"args": args, "env": ["A=b"], "stdin": True}],
        }
        if config:
            config(cfg)
        cfg_file = tempfile.TemporaryFile()
        cfg_file.write(json.dumps(cfg).encode())
        cfg_file.seek(0)
        self.start = time.monotonic_ns()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._child(vmm, cfg_file.fileno(), uid, pidns)
            finally:
                os._exit(111)
        theirs.close()
        cfg_file.close()
        for fd in [kvm_fd, kernel_fd] + image_fds + [f for f, _ in disk_fds]:
            os.close(fd)
        if symbols_fd >= 0:
            os.close(symbols_fd)

    @staticmethod
    def _child(vmm, cfg_fd, uid, pidns):
        libc = ctypes.CDLL(None, use_errno=True)
        if uid is not None:
            os.setgroups([os.stat("/dev/kvm").st_gid])
            os.setgid(uid)
            os.setuid(uid)
            libc.prctl(4, 1)  # PR_SET_DUMPABLE, as after a login
        # Inherit everything: the monitor closes what it was not told about.
        for fd in os.listdir("/proc/self/fd"):
            try:
                os.set_inheritable(int(fd), True)
            except OSError:
                pass
        libc.prctl(1, 9)  # PR_SET_PDEATHSIG: nothing outlives the test
        if pidns:
            Vm._user_namespace(libc)
        if pidns and libc.unshare(CLONE_NEWPID) == 0:
            pid = os.fork()
            if pid != 0:
                os.closerange(3, 4096)  # pipes must end when the VM does
                _, status = os.waitpid(pid, 0)
                os._exit(os.waitstatus_to_exitcode(status) & 255)
        libc.prctl(1, 9)
        os.execv(vmm, [vmm, "--config-fd", str(cfg_fd)])

    @staticmethod
    def _user_namespace(libc):
        """As docs/vmm.md: root in there is the launcher, nothing else."""
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(CLONE_NEWUSER) != 0:
            return
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"),
                           ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as f:
                f.write(text)

    def wait(self, timeout=60):
        """Exit status of the monitor and its exit record (or None)."""
        end = time.monotonic() + timeout
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                self.kill()
                raise TimeoutError("monitor still runs; log: " + self.text())
            time.sleep(0.002)
        self.exit.seek(0)
        line = self.exit.read()
        return (os.waitstatus_to_exitcode(status),
                json.loads(line) if line else None)

    def kill(self):
        for pid in [self.monitor(), self.pid]:
            try:
                os.kill(pid, 9)
            except OSError:
                pass
        os.waitpid(self.pid, 0)

    def monitor(self):
        """Host pid of the monitor itself."""
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
                children = f.read().split()
        except OSError:
            children = []
        return int(children[0]) if children else self.pid

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def frame(self):
        """The next control frame: (type, payload)."""
        self.client.settimeout(60)
        data = self.client.recv(2048)
        kind, size = struct.unpack_from("<II", data)
        assert len(data) == 8 + size, data
        return kind, data[8:]
