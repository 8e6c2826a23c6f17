// SPDX-License-Identifier: Apache-2.0
/* Signals of files that become ready: O_ASYNC, F_SETOWN, F_SETSIG; and the
 * oldest terminal calls, struct termio. */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "tests/guest/conform/t.h"

#ifndef TCGETA
#define TCGETA  0x5405
#define TCSETA  0x5406
#define TCSETAW 0x5407
#define TCSETAF 0x5408
#endif

struct old_termio { /* struct termio, which musl has not */
    unsigned short c_iflag, c_oflag, c_cflag, c_lflag;
    unsigned char c_line, c_cc[8];
};

static sigset_t set;

/* The next of our signals: what it tells. */
static void tell(const char *label, long ms)
{
    siginfo_t si;
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    int s = sigtimedwait(&set, &si, &wait);

    if (s < 0)
        t_say(label, "%s", t_errno(errno));
    else if (s == SIGIO)
        t_say(label, "SIGIO code %d", si.si_code);
    else
        t_say(label, "signal %d code %d band %#lx fd %d", s - SIGRTMIN,
              si.si_code, si.si_band, si.si_fd);
}

static void next(const char *label)
{
    tell(label, 60000);
}

/* There should be none: time for a wrong one to come. */
static void none(const char *label)
{
    tell(label, 100);
}

static void drain(void)
{
    siginfo_t si;
    struct timespec none = {0, 20000000};

    while (sigtimedwait(&set, &si, &none) > 0)
        ;
}

static void owners(int fd)
{
    struct f_owner_ex ex = {9, 9};

    T("owner_none", fcntl(fd, F_GETOWN));
    T("owner_ex", fcntl(fd, F_GETOWN_EX, &ex));
    t_say("owner_ex_is", "%d %d", ex.type, ex.pid);
    T("owner", fcntl(fd, F_SETOWN, getpid()));
    YES("owner_is", fcntl(fd, F_GETOWN) == getpid());
    fcntl(fd, F_GETOWN_EX, &ex);
    t_say("owner_pid", "%d %d", ex.type, ex.pid == getpid());
    ex = (struct f_owner_ex){F_OWNER_TID, (int)SC(gettid)};
    T("owner_tid", fcntl(fd, F_SETOWN_EX, &ex));
    fcntl(fd, F_GETOWN_EX, &ex);
    t_say("owner_tid_is", "%d %d", ex.type, ex.pid == getpid());
    ex = (struct f_owner_ex){F_OWNER_PGRP, getpgrp()};
    T("owner_group", fcntl(fd, F_SETOWN_EX, &ex));
    ex.type = 7;
    T("owner_type", fcntl(fd, F_SETOWN_EX, &ex));
    ex = (struct f_owner_ex){F_OWNER_PID, 99999999};
    T("owner_gone", fcntl(fd, F_SETOWN_EX, &ex));
    T("owner_ptr", SC(fcntl, fd, F_SETOWN_EX, BAD_PTR));
    T("owner_clear", fcntl(fd, F_SETOWN, 0));
    T("owner_cleared", fcntl(fd, F_GETOWN));
    T("sig_none", fcntl(fd, F_GETSIG));
    T("sig_bad", fcntl(fd, F_SETSIG, 65));
    T("sig_set", fcntl(fd, F_SETSIG, SIGRTMIN));
    YES("sig_get", fcntl(fd, F_GETSIG) == SIGRTMIN);
    T("sig_clear", fcntl(fd, F_SETSIG, 0));
}

static void pipes(void)
{
    int p[2], other[2];
    char c[8192];

    pipe(p);
    dup2(p[0], 70);
    owners(70);
    fcntl(70, F_SETOWN, getpid());
    write(p[1], "x", 1);
    none("not_async");
    T("async", fcntl(70, F_SETFL, O_ASYNC | O_NONBLOCK));
    YES("async_is", (fcntl(70, F_GETFL) & O_ASYNC) != 0);
    read(70, c, sizeof(c));
    drain();
    write(p[1], "x", 1);
    next("pipe");
    none("pipe_once");
    fcntl(70, F_SETSIG, SIGRTMIN);
    read(70, c, sizeof(c));
    drain();
    write(p[1], "x", 1);
    next("pipe_sig");
    struct f_owner_ex ex = {F_OWNER_TID, (int)SC(gettid)};
    fcntl(70, F_SETOWN_EX, &ex);
    read(70, c, sizeof(c));
    drain();
    write(p[1], "x", 1);
    next("pipe_tid");
    fcntl(70, F_SETOWN, 0);
    write(p[1], "x", 1);
    none("nobody");
    /* Another process, told by us. */
    pipe(other);
    pid_t pid = fork();
    if (pid == 0) {
        write(other[1], "r", 1);
        next("child");
        _exit(0);
    }
    read(other[0], c, 1);
    T("owner_child", fcntl(70, F_SETOWN, pid));
    write(p[1], "x", 1);
    waitpid(pid, NULL, 0);
    fcntl(70, F_SETOWN, getpid());
    int off = 0, on = 1;
    T("off", ioctl(70, FIOASYNC, &off));
    YES("off_is", (fcntl(70, F_GETFL) & O_ASYNC) == 0);
    write(p[1], "x", 1);
    none("off_none");
    T("on", ioctl(70, FIOASYNC, &on));
    YES("on_is", (fcntl(70, F_GETFL) & O_ASYNC) != 0);
    read(70, c, sizeof(c));
    drain();
    close(p[1]);
    next("hangup");
    close(70);
    close(p[0]);
    none("closed");
}

static void writers(void)
{
    int p[2];
    static char c[65536];

    pipe(p);
    dup2(p[1], 71);
    fcntl(71, F_SETFL, O_ASYNC | O_NONBLOCK);
    fcntl(71, F_SETOWN, getpid());
    fcntl(71, F_SETSIG, SIGRTMIN + 1);
    while (write(71, c, sizeof(c)) > 0)
        ;
    drain();
    read(p[0], c, sizeof(c));
    next("room");
    close(p[0]);
    close(p[1]);
    close(71);
    drain();
}

static void sockets(void)
{
    int s[2];
    char c[16];

    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    dup2(s[0], 72);
    T("sock_async", fcntl(72, F_SETFL, O_ASYNC | O_NONBLOCK));
    T("sock_owner", fcntl(72, F_SETOWN, getpid()));
    fcntl(72, F_SETSIG, SIGRTMIN + 2);
    write(s[1], "x", 1);
    next("sock");
    read(72, c, sizeof(c));
    drain();
    close(72);
    close(s[0]);
    write(s[1], "y", 1);
    none("sock_closed");
}

static void terminals(void)
{
    int m = posix_openpt(O_RDWR | O_NOCTTY), s;
    struct old_termio a, b;
    struct termios full;

    grantpt(m);
    unlockpt(m);
    s = open(ptsname(m), O_RDWR | O_NOCTTY | O_NONBLOCK);
    dup2(s, 73);
    T("tcgeta", ioctl(73, TCGETA, &a));
    tcgetattr(73, &full);
    YES("tcgeta_same", a.c_iflag == (full.c_iflag & 0xffff) &&
                           a.c_lflag == (full.c_lflag & 0xffff) &&
                           a.c_oflag == (full.c_oflag & 0xffff) &&
                           a.c_cc[0] == 3);
    a.c_lflag &= (unsigned short)~(ECHO | ICANON);
    a.c_cc[VINTR] = 7;
    T("tcseta", ioctl(73, TCSETA, &a));
    T("tcsetaw", ioctl(73, TCSETAW, &a));
    T("tcsetaf", ioctl(73, TCSETAF, &a));
    ioctl(73, TCGETA, &b);
    YES("tcseta_is", a.c_lflag == b.c_lflag && b.c_cc[VINTR] == 7);
    tcgetattr(73, &full);
    YES("tcseta_new", (full.c_lflag & (ECHO | ICANON)) == 0 &&
                          full.c_cc[VINTR] == 7 && full.c_cc[VSTART] == 17);
    T("tcgeta_ptr", ioctl(73, TCGETA, BAD_PTR));
    T("tcseta_ptr", ioctl(73, TCSETA, BAD_PTR));
    struct termios fixed;
    memset(&fixed, 0xee, sizeof(fixed));
    T("fixed", ioctl(73, TIOCGLCKTRMIOS, &fixed));
    YES("fixed_none", fixed.c_lflag == 0 && fixed.c_cc[0] == 0);
    fixed.c_lflag = ECHO;
    fixed.c_cc[VINTR] = 1;
    T("fix", ioctl(73, TIOCSLCKTRMIOS, &fixed));
    tcgetattr(73, &full);
    full.c_lflag |= ECHO | ISIG;
    full.c_lflag &= (tcflag_t)~IEXTEN;
    full.c_cc[VINTR] = 9;
    full.c_cc[VQUIT] = 9;
    T("fixed_set", tcsetattr(73, TCSANOW, &full));
    tcgetattr(73, &full);
    t_say("fixed_is", "%d %d %d %d", (full.c_lflag & ECHO) != 0,
          (full.c_lflag & IEXTEN) != 0, full.c_cc[VINTR], full.c_cc[VQUIT]);
    T("fixed_ptr", ioctl(73, TIOCSLCKTRMIOS, BAD_PTR));
    T("tcgeta_file", ioctl(t_file("plain", 1), TCGETA, &a));
    T("tty_async", fcntl(73, F_SETFL, O_ASYNC | O_NONBLOCK | O_RDWR));
    T("tty_owner", fcntl(73, F_SETOWN, getpid()));
    fcntl(73, F_SETSIG, SIGRTMIN + 3);
    drain();
    write(m, "q", 1);
    next("tty");
}

int main(void)
{
    t_begin("sigio");
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    for (int i = 0; i < 4; i++)
        sigaddset(&set, SIGRTMIN + i);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pipes();
    writers();
    sockets();
    terminals();
    return 0;
}
