// SPDX-License-Identifier: Apache-2.0
#include "cli/attach.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "cli/run.h"
#include "supervisor/client.h"

enum { ATTACH_CHUNK = 4096 };

struct attach {
    struct launch *launch;
    bool tty;
    bool raw; /* `saved` is what to go back to */
    struct termios saved;
    int signals;              /* signalfd */
    char chunk[ATTACH_CHUNK]; /* terminal input not yet taken */
    size_t chunk_size;
};

static void attach_signal_set(sigset_t *set)
{
    static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                    SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
    (void)sigemptyset(set);
    for (size_t i = 0; i < ARRAY_COUNT(forwarded); i++)
        (void)sigaddset(set, forwarded[i]);
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
        (void)sigaddset(set, i);
}

void attach_block_signals(void)
{
    sigset_t set;
    attach_signal_set(&set);
    (void)sigaddset(&set, SIGPIPE); /* a full pipe is seen by its errno */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

void attach_unblock_signals(void)
{
    sigset_t set;
    attach_signal_set(&set);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void attach_make_raw(struct attach *a)
{
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &a->saved) < 0)
        return;
    t = a->saved;
    cfmakeraw(&t);
    a->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static void attach_restore(struct attach *a)
{
    if (a->raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &a->saved);
    a->raw = false;
}

static void attach_pass_signal(struct attach *a)
{
    struct signalfd_siginfo si;
    if (read(a->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
        return;
    if (si.ssi_signo != SIGWINCH) {
        (void)client_send_signal(a->launch->client, si.ssi_signo);
        return;
    }
    struct winsize w;
    if (a->tty && (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0 ||
                   ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0))
        (void)client_send_winsize(a->launch->client, w.ws_row, w.ws_col);
}

static void attach_close_pump(struct attach *a)
{
    (void)close(a->launch->stdin_pump);
    a->launch->stdin_pump = -1;
}

static void attach_pump_in(struct attach *a)
{
    ssize_t n = read(STDIN_FILENO, a->chunk, sizeof(a->chunk));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        attach_close_pump(a);
    else
        a->chunk_size = (size_t)n;
}

static void attach_pump_out(struct attach *a)
{
    ssize_t n = write(a->launch->stdin_pump, a->chunk, a->chunk_size);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        attach_close_pump(a);
    if (n <= 0)
        return;
    a->chunk_size -= (size_t)n;
    memmove(a->chunk, a->chunk + n, a->chunk_size);
}

/* One round. 1: the VM ended, *out says how. */
static int attach_step(struct attach *a, struct instance_exit *out,
                       struct err *e)
{
    int pump = a->launch->stdin_pump;
    struct pollfd p[] = {
        {.fd = a->launch->client, .events = POLLIN},
        {.fd = a->signals, .events = POLLIN},
        {.fd = pump >= 0 && a->chunk_size == 0 ? STDIN_FILENO : -1,
         .events = POLLIN},
        {.fd = a->chunk_size > 0 ? pump : -1, .events = POLLOUT},
    };
    if (poll(p, ARRAY_COUNT(p), -1) < 0)
        return errno == EINTR ? 0
                              : err_set(e, -errno, "poll: %s", strerror(errno));
    if (p[0].revents != 0) {
        int code = client_read(a->launch->client, out, e);
        if (code == CLIENT_KILLED)
            report_killed(out->msg);
        if (code < 0 || code == CLIENT_EXIT)
            return code;
    }
    if (p[1].revents != 0)
        attach_pass_signal(a);
    if (p[2].revents != 0)
        attach_pump_in(a);
    if (p[3].revents != 0)
        attach_pump_out(a);
    return 0;
}

int attach_run(struct launch *l, const struct run_opts *o,
               struct instance_exit *out, struct err *e)
{
    struct attach a = {.launch = l, .tty = o->tty};
    sigset_t set;
    attach_signal_set(&set);
    a.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (a.signals < 0)
        return err_set(e, -errno, "signalfd: %s", strerror(errno));
    if (l->stdin_pump >= 0)
        (void)fcntl(l->stdin_pump, F_SETFL, O_NONBLOCK);
    if (o->tty && o->interactive)
        attach_make_raw(&a);

    int code;
    do {
        code = attach_step(&a, out, e);
    } while (code == 0);
    attach_restore(&a);
    (void)close(a.signals);
    return code < 0 ? code : 0;
}
