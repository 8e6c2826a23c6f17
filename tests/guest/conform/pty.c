// SPDX-License-Identifier: Apache-2.0
/* pty(7): what both sides hold, and one side without the other. */
#include <sys/ioctl.h>
#include <termios.h>

#include "tests/guest/conform/t.h"

#define HELD 12000 /* bytes that a pty holds each way at least */

static char big[70000], back[70000];

/* A new pair; `lflag` and `iflag` are taken away, the rest is the default. */
static int master(int *slave, tcflag_t iflag, tcflag_t lflag)
{
    int m = posix_openpt(O_RDWR | O_NOCTTY);
    struct termios t;
    unlockpt(m);
    *slave = open(ptsname(m), O_RDWR | O_NOCTTY);
    tcgetattr(*slave, &t);
    t.c_iflag &= ~iflag;
    t.c_lflag &= ~lflag;
    t.c_oflag = 0;
    tcsetattr(*slave, TCSANOW, &t);
    return m;
}

static int raw(int *slave)
{
    return master(slave, (tcflag_t)-1, ICANON | ECHO | ISIG | IEXTEN);
}

static void nonblock(int fd, bool on)
{
    fcntl(fd, F_SETFL, O_RDWR | (on ? O_NONBLOCK : 0));
}

static void lines(size_t length)
{
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] =
            i % length == length - 1 ? '\n' : (char)('a' + i / length % 26);
}

/* Without blocking, until it were `size` or none for a second. */
static size_t fill(int fd, size_t size)
{
    size_t n = 0;
    ssize_t r;
    nonblock(fd, true);
    for (int idle = 0; n < size && idle < 1000; idle++) {
        for (; n < size && (r = write(fd, big + n, size - n)) > 0; idle = 0)
            n += (size_t)r;
        if (n < size)
            t_sleep_ms(1);
    }
    nonblock(fd, false);
    return n;
}

static size_t drain(int fd, size_t size)
{
    size_t n = 0;
    ssize_t r;
    nonblock(fd, true);
    for (int idle = 0; n < size && idle < 1000; idle++) {
        for (; n < size && (r = read(fd, back + n, size - n)) > 0; idle = 0)
            n += (size_t)r;
        if (n < size)
            t_sleep_ms(1);
    }
    nonblock(fd, false);
    return n;
}

/* Both ends are held by whoever reads only after all is written. */
static void deadlock(void)
{
    int s, m = raw(&s);
    pid_t pid = fork();
    if (pid == 0) {
        char piece[4096];
        ssize_t n;
        close(m);
        while ((n = read(s, piece, sizeof(piece))) > 0)
            write(s, piece, (size_t)n);
        _exit(0);
    }
    T("echo_write", write(m, big, 20000));
    T("echo_back", drain(m, 20000));
    YES("echo_same", memcmp(big, back, 20000) == 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(m);
    close(s);
}

static void one_way(const char *label, int from, int to)
{
    char name[64];
    memset(back, 0, sizeof(back));
    snprintf(name, sizeof(name), "%s_held", label);
    size_t n = fill(from, HELD);
    T(name, n);
    snprintf(name, sizeof(name), "%s_read", label);
    T(name, drain(to, n));
    snprintf(name, sizeof(name), "%s_same", label);
    YES(name, memcmp(big, back, HELD) == 0);
}

static void held(void)
{
    int s, m = raw(&s);
    one_way("in", m, s);
    one_way("out", s, m);
    one_way("in_again", m, s);
    close(s);
    close(m);
    m = master(&s, 0, ECHO);
    one_way("lines", m, s);
    close(s);
    close(m);
    m = master(&s, 0, 0);
    one_way("echoed", m, s);
    close(s);
    close(m);
}

/* Not all there is goes in, and reading makes room. */
static void full(void)
{
    int s, m = raw(&s);
    struct pollfd p = {.fd = m, .events = POLLOUT};
    size_t n = fill(m, sizeof(big));
    nonblock(m, true);
    YES("full_bounded", n < sizeof(big));
    T("full_poll", poll(&p, 1, 0));
    T("full_write", write(m, "x", 1));
    YES("full_read", drain(s, n) == n);
    YES("full_same", memcmp(big, back, n) == 0);
    T("full_room", poll(&p, 1, 30000));
    T("full_write_room", write(m, "y", 1));
    T("full_rest", drain(s, 1));
    t_say("full_rest", "%c", back[0]);
    close(s);
    close(m);
}

/* Complete lines are read while a long one waits for its end. */
static void long_line(void)
{
    int s, m = master(&s, 0, ECHO);
    size_t total = 50 * 20 + 3501;
    for (size_t i = 1000; i < total; i++)
        big[i] = i == total - 1 ? '\n' : 'L';
    size_t n = fill(m, total);
    T("long_write", n);
    T("long_read", n == total ? drain(s, total) : 0);
    YES("long_same", memcmp(big, back, total) == 0);
    close(s);
    close(m);
}

static void flush(void)
{
    int s, m = raw(&s), n = -1;
    fill(m, HELD);
    T("flush", tcflush(s, TCIFLUSH));
    write(m, "new", 3);
    t_arrives(s, POLLIN);
    YES("flush_arrives", UNTIL(ioctl(s, FIONREAD, &n) == 0 && n >= 3));
    T("flush_left", n);
    T("flush_read", read(s, back, 10));
    t_say("flush_read", "%.3s", back);
    close(s);
    close(m);
}

/* What is written while no slave is open waits for one. */
static void closed(void)
{
    int s, m = master(&s, 0, 0);
    struct pollfd p = {.fd = m, .events = POLLIN | POLLOUT};
    char name[64];
    snprintf(name, sizeof(name), "%s", ptsname(m));
    close(s);
    poll(&p, 1, 0);
    t_say("closed_poll", "%x", (unsigned)p.revents);
    T("closed_write", write(m, "x\n", 2));
    t_arrives(m, POLLIN);
    T("closed_echo", read(m, back, 10));
    T("closed_read", read(m, back, 10));
    s = open(name, O_RDWR | O_NOCTTY);
    poll(&p, 1, 0);
    t_say("reopened_poll", "%x", (unsigned)p.revents);
    nonblock(s, true);
    t_arrives(s, POLLIN);
    T("reopened_read", read(s, back, 10));
    t_say("reopened_read", "%.1s", back);
    /* Input from before the close stays, too. */
    write(m, "kept\n", 5);
    t_arrives(s, POLLIN);
    close(s);
    s = open(name, O_RDWR | O_NOCTTY);
    nonblock(s, true);
    T("kept_read", read(s, back, 10));
    close(s);
    lines(50);
    size_t n = fill(m, HELD);
    T("closed_many", n);
    s = open(name, O_RDWR | O_NOCTTY);
    T("reopened_many", drain(s, n));
    close(s);
    close(m);
}

/* What the master reads with TIOCPKT, and how poll(2) calls it. */
static void told(const char *label, int m)
{
    struct pollfd p = {.fd = m, .events = POLLIN | POLLPRI};
    unsigned char b[8];
    char line[40] = "";
    t_arrives(m, POLLIN);
    poll(&p, 1, 0);
    ssize_t n = read(m, b, sizeof(b));
    if (n < 0)
        T(label, n);
    for (ssize_t i = 0; i < n; i++)
        snprintf(line + 3 * i, 4, " %02x", b[i]);
    if (n >= 0)
        t_say(label, "%x:%s", (unsigned)p.revents, line);
}

static void change(int s, tcflag_t iflag, tcflag_t lflag, cc_t stop)
{
    struct termios t;
    tcgetattr(s, &t);
    t.c_iflag ^= iflag;
    t.c_lflag ^= lflag;
    t.c_cc[VSTOP] = stop;
    tcsetattr(s, TCSANOW, &t);
}

static void packet(void)
{
    int s, m = master(&s, 0, ECHO), on = 1, off = 0, now = -1;
    nonblock(m, true);
    T("pkt_slave", ioctl(s, TIOCPKT, &on));
    T("pkt_fault", ioctl(m, TIOCPKT, NULL));
    tcflush(s, TCIFLUSH); /* before it: not told */
    T("pkt_on", ioctl(m, TIOCPKT, &on));
    T("pkt_get", ioctl(m, _IOR('T', 0x38, int), &now));
    t_say("pkt_get", "%d", now);
    T("pkt_none", read(m, back, 10));
    write(s, "data", 4);
    told("pkt_data", m);
    write(s, "12345678", 8);
    told("pkt_more", m);
    told("pkt_rest", m);
    write(s, "x", 1);
    t_arrives(m, POLLIN);
    T("pkt_one", read(m, back, 1));
    told("pkt_after_one", m);
    tcflush(s, TCIFLUSH);
    told("pkt_flush_in", m);
    tcflush(s, TCOFLUSH);
    told("pkt_flush_out", m);
    tcflush(s, TCIOFLUSH);
    told("pkt_flush_both", m);
    write(s, "d", 1);
    t_arrives(m, POLLIN);
    tcflow(s, TCOOFF);
    told("pkt_stop", m);
    told("pkt_kept", m);
    tcflow(s, TCOOFF);
    T("pkt_stop_again", read(m, back, 10));
    tcflow(s, TCOON);
    told("pkt_start", m);
    tcflow(s, TCOOFF);
    tcflow(s, TCOON);
    told("pkt_stop_start", m);
    write(m, "\023", 1);
    told("pkt_ctrl_s", m);
    write(m, "\021", 1);
    told("pkt_ctrl_q", m);
    change(s, IXON, 0, 023);
    told("pkt_nostop", m);
    change(s, IXON, 0, 023);
    told("pkt_dostop", m);
    change(s, 0, 0, 'S');
    told("pkt_other_stop", m);
    change(s, 0, 0, 023);
    told("pkt_usual_stop", m);
    change(s, 0, ECHO, 023);
    T("pkt_echo", read(m, back, 10));
    change(s, 0, ECHO | EXTPROC, 023);
    told("pkt_extproc", m);
    change(s, 0, EXTPROC, 023);
    told("pkt_extproc_off", m);
    tcflush(s, TCIFLUSH);
    T("pkt_status_fault", SC(read, m, BAD_PTR, 1));
    T("pkt_off", ioctl(m, TIOCPKT, &off));
    tcflush(s, TCIFLUSH);
    T("pkt_off_none", read(m, back, 10));
    write(s, "z", 1);
    told("pkt_off_data", m);
    close(s);
    close(m);
}

/* Of the child, whose terminal it is: what TIOCSIG and ^C do. */
static void signals(void)
{
    int s, m = master(&s, 0, 0), on = 1;
    setsid();
    T("sig_early", ioctl(m, TIOCSIG, SIGINT));
    T("sig_ctty", ioctl(s, TIOCSCTTY, 0));
    t_catch(SIGQUIT, 0);
    t_catch(SIGTSTP, 0);
    t_catch(SIGINT, 0);
    T("sig_slave", ioctl(s, TIOCSIG, SIGINT));
    T("sig_kill", ioctl(m, TIOCSIG, SIGKILL));
    T("sig_none", ioctl(m, TIOCSIG, 0));
    T("sig_hits", t_hits);
    T("sig_int", ioctl(m, TIOCSIG, SIGINT));
    YES("sig_came", UNTIL(t_last == SIGINT));
    T("sig_quit", ioctl(m, TIOCSIG, SIGQUIT));
    YES("sig_came", UNTIL(t_last == SIGQUIT));
    T("sig_tstp", ioctl(m, TIOCSIG, SIGTSTP));
    YES("sig_came", UNTIL(t_last == SIGTSTP));
    nonblock(m, true);
    T("sig_no_echo", read(m, back, 10));
    ioctl(m, TIOCPKT, &on);
    write(m, "typed\003", 6);
    YES("sig_came", UNTIL(t_last == SIGINT));
    unsigned char b[64] = {0}; /* told of both, in one read or two */
    ssize_t n = 0;
    (void)UNTIL(((n = read(m, b + 1, 63)) == 1 && (b[0] |= b[1]) == 3));
    t_say("sig_ctrl_c", "%zd %x", n, b[0]);
    signal(SIGHUP, SIG_IGN);
    close(s);
    close(m);
}

/* The master ends: so does the name, whoever has the slave. */
static void gone(void)
{
    int s, m = master(&s, 0, 0);
    struct pollfd p = {.fd = s, .events = POLLIN | POLLOUT | POLLPRI};
    struct stat st;
    char name[64], link[64], to[64];
    snprintf(name, sizeof(name), "%s", ptsname(m));
    snprintf(link, sizeof(link), "/proc/self/fd/%d", s);
    fstat(s, &st);
    T("gone_links_before", st.st_nlink);
    T("gone_access_before", access(name, F_OK));
    close(m);
    T("gone_poll", poll(&p, 1, 0));
    t_say("gone_poll", "%x", (unsigned)p.revents);
    T("gone_access", access(name, F_OK));
    T("gone_stat", stat(name, &st));
    T("gone_open", open(name, O_RDWR | O_NOCTTY));
    T("gone_open_fd", open(link, O_RDWR | O_NOCTTY));
    fstat(s, &st);
    T("gone_links", st.st_nlink);
    ssize_t n = readlink(link, to, sizeof(to) - 1);
    to[n > 0 ? n : 0] = '\0';
    YES("gone_deleted", strstr(to, " (deleted)") != NULL);
    T("gone_read", read(s, back, 1));
    T("gone_write", write(s, "x", 1));
    T("gone_tcgets", ioctl(s, TCGETS, back));
    /* Its number is free for another, which has a name of its own. */
    int s2, m2 = master(&s2, 0, 0);
    OK("gone_next", access(ptsname(m2), F_OK));
    write(m2, "next\n", 5);
    t_arrives(s2, POLLIN);
    T("gone_next_read", read(s2, back, 10));
    close(s);
    T("gone_next_stays", access(ptsname(m2), F_OK));
    close(s2);
    close(m2);
}

int main(void)
{
    t_begin("pty");
    lines(50);
    held();
    full();
    lines(20);
    long_line();
    flush();
    closed();
    gone();
    packet();
    t_child("signals", signals);
    deadlock(); /* a hang ends the program */
    return 0;
}
