# SPDX-License-Identifier: Apache-2.0
"""limpet run with a terminal: raw mode, sizes, signals, job control."""
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import harness


class Terminal:
    """limpet as the session leader of a pty of 40 x 100."""

    def __init__(self, box, *args, rows=40, cols=100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execve(harness.LIMPET, ["limpet", "run", *args], box.env(
                    START_ROWS=str(rows)))
            finally:
                os._exit(99)
        self.resize(rows, cols)
        self.text = b""

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, cols, 0, 0))

    def expect(self, want, seconds=60):
        end = time.monotonic() + seconds
        while want not in self.text:
            left = end - time.monotonic()
            assert left > 0, (want, self.text)
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.text += os.read(self.fd, 4096)
                except OSError:
                    assert want in self.text, (want, self.text)
        return self.text

    def send(self, data):
        os.write(self.fd, data)

    def lflag(self):
        return termios.tcgetattr(self.fd)[3]

    def wait(self, seconds=60):
        def ended():
            if select.select([self.fd], [], [], 0)[0]:
                try:
                    self.text += os.read(self.fd, 4096)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and [os.waitstatus_to_exitcode(status)]
        return harness.wait_for(ended, seconds)[0]


def test_raw_mode_and_back(box):
    t = Terminal(box, "--rm", "-it", box.image, "serve")
    before = termios.ICANON | termios.ECHO | termios.ISIG
    t.expect(b"ready")
    harness.wait_for(lambda: t.lflag() & before == 0)
    # Control characters are the program's, not ours.
    t.send(b"a\x03b\x1a\n")
    t.expect(b"a\x03b\x1a\n")
    t.send(b"bye")
    # The pty's line discipline outlives its slave on Linux.
    assert t.wait() == 7, t.text
    assert t.lflag() & before == before


def test_terminal_is_restored_when_killed_inside(box):
    for name, sig, code in (("TERM", 15, 143), ("HUP", 1, 129)):
        t = Terminal(box, "--rm", "-it", box.image, "serve")
        t.expect(b"ready")
        harness.wait_for(lambda: t.lflag() & termios.ICANON == 0)
        os.kill(t.pid, sig)
        t.expect(b"signal %d" % sig)
        assert t.wait() == code, (name, t.text)
        assert t.lflag() & termios.ICANON
    t = Terminal(box, "--rm", "-it", box.image, "die")
    t.expect(b"last words")
    assert t.wait() == 125
    assert t.lflag() & termios.ICANON


def test_window_size(box):
    t = Terminal(box, "--rm", "-it", "--name", "ww", box.image, "serve")
    t.expect(b"ready")
    t.resize(50, 120)
    t.expect(b"winsize 50 120")
    t.send(b"bye")
    assert t.wait() == 7


def test_terminal_in_config(box):
    t = Terminal(box, "--rm", "-it", box.image, "config")
    t.expect(b'"version"')
    assert t.wait() == 0
    text = t.text.decode()
    assert '"tty": true' in text and '"TERM=xterm"' in text
    assert '"stdin": true' in text


def test_terminal_without_t(box):
    """Without -t our terminal stays cooked and Ctrl-C becomes a signal."""
    t = Terminal(box, "--rm", "-i", box.image, "serve")
    t.expect(b"ready")
    assert t.lflag() & termios.ISIG
    t.send(b"line\n")
    t.expect(b"line\r\nline\r\n")
    t.send(b"\x03")
    t.expect(b"signal 2")
    assert t.wait() == 130


def test_end_of_file_on_terminal(box):
    t = Terminal(box, "--rm", "-i", box.image, "cat")
    t.expect(b"ready")
    t.send(b"\x04")
    t.expect(b"stdin eof")
    assert t.wait() == 0


def test_monitor_survives_hangup_of_the_terminal(box):
    """A closed terminal is told to the program; it does not kill the VM."""
    t = Terminal(box, "-it", "--name", "hh", box.image, "deaf")
    t.expect(b"ready")
    os.close(t.fd)
    harness.wait_for(lambda: "signal 1" in box.limpet("logs", "hh").stdout)
    assert box.limpet("ps", "-q").stdout
    os.kill(t.pid, signal.SIGKILL)
    os.waitpid(t.pid, 0)
    assert box.limpet("kill", "hh").returncode == 0


harness.main(globals())
