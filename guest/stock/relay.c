// SPDX-License-Identifier: Apache-2.0
/* Between the console's ports and the program, until it ends. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/stock/stock.h"

#define VEOF_CHAR 4 /* what ends the input of a terminal: ^D */

/* One direction of one stream. */
struct flow {
    int from;       /* -1: nothing more comes */
    int to;         /* -1: bytes are thrown away */
    uint64_t total; /* bytes read */
    size_t at, size;
    char data[32768]; /* what one write to a port may take at most */
};

struct relay {
    struct program *program;
    bool tty;
    bool ended; /* stdin has an end, after `last` bytes */
    uint64_t last;
    bool exited;
    int status;
    struct flow in, out, err;
    size_t frame_size;
    uint8_t frame[CTL_FRAME_MAX];
};

static void flow_read(struct flow *f)
{
    ssize_t n = read(f->from, f->data, sizeof(f->data));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* a terminal without program reads as an error */
        f->from = -1;
        return;
    }
    f->at = 0;
    f->size = f->to < 0 ? 0 : (size_t)n;
    f->total += (uint64_t)n;
}

static void flow_write(struct flow *f)
{
    ssize_t n = write(f->to, f->data + f->at, f->size - f->at);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        f->to = -1;
        f->at = f->size = 0;
    }
    if (n > 0)
        f->at += (size_t)n;
    if (f->at == f->size)
        f->at = f->size = 0;
}

/* ---- frames ---- */

static void frame_use(struct relay *r, const struct ctl_header *h,
                      const uint8_t *payload)
{
    struct ctl_signal s;
    struct ctl_winsize w;
    if (h->type == CTL_SIGNAL && h->size == sizeof(s)) {
        memcpy(&s, payload, sizeof(s));
        if (s.signo >= 1 && s.signo <= 64)
            (void)kill(r->program->pid, (int)s.signo);
    } else if (h->type == CTL_WINSIZE && h->size == sizeof(w) && r->tty) {
        memcpy(&w, payload, sizeof(w));
        const struct winsize size = {.ws_row = w.rows, .ws_col = w.cols};
        (void)ioctl(r->program->out, TIOCSWINSZ, &size);
    } else if (h->type == CTL_STDIN_EOF && h->size == sizeof(r->last)) {
        memcpy(&r->last, payload, sizeof(r->last));
        r->ended = true;
    }
}

static void frames_read(struct relay *r)
{
    ssize_t n = read(ports[BOOT_PORT_CTL], r->frame + r->frame_size,
                     sizeof(r->frame) - r->frame_size);
    if (n <= 0)
        return;
    r->frame_size += (size_t)n;
    size_t at = 0;
    struct ctl_header h;
    while (r->frame_size - at >= sizeof(h)) {
        memcpy(&h, r->frame + at, sizeof(h));
        if (h.size > sizeof(r->frame) - sizeof(h))
            stock_exit(CTL_PANIC, EPROTO, "init: a frame is too long");
        if (h.size > r->frame_size - at - sizeof(h))
            break;
        frame_use(r, &h, r->frame + at + sizeof(h));
        at += sizeof(h) + h.size;
    }
    r->frame_size -= at;
    memmove(r->frame, r->frame + at, r->frame_size);
}

/* ---- one round ---- */

/* All of stdin is with the program: it sees the end. */
static void end_input(struct relay *r)
{
    static const char eof = VEOF_CHAR;
    if (!r->ended || r->in.total < r->last || r->in.size > 0)
        return;
    r->in.from = -1;
    r->ended = false;
    if (r->tty)
        (void)!write(r->program->in, &eof, 1);
    else if (r->program->in >= 0)
        (void)close(r->program->in);
    r->in.to = -1;
}

static void reap(struct relay *r, int signals)
{
    struct signalfd_siginfo info;
    (void)!read(signals, &info, sizeof(info));
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        if (pid != r->program->pid)
            continue;
        r->exited = true;
        r->status = status;
        r->in.from = r->in.to = -1;
        r->in.at = r->in.size = 0;
    }
}

static struct pollfd want(const struct flow *f, bool reading)
{
    if (reading)
        return (struct pollfd){.fd = f->size == 0 ? f->from : -1,
                               .events = POLLIN};
    return (struct pollfd){.fd = f->size > 0 ? f->to : -1, .events = POLLOUT};
}

/* False when the program has ended and nothing is left to move. */
static bool step(struct relay *r, int signals)
{
    struct flow *const flows[] = {&r->in, &r->out, &r->err};
    struct pollfd p[2 + 2 * ARRAY_COUNT(flows)] = {
        {.fd = signals, .events = POLLIN},
        {.fd = ports[BOOT_PORT_CTL], .events = POLLIN},
    };
    bool pending = false;
    for (unsigned i = 0; i < ARRAY_COUNT(flows); i++) {
        p[2 + 2 * i] = want(flows[i], true);
        p[3 + 2 * i] = want(flows[i], false);
        pending = pending || (flows[i]->size > 0 && flows[i]->to >= 0);
    }
    /* The namespace is dead by the time its first process is reaped: what is
     * in its pipes is all. */
    int ready = poll(p, ARRAY_COUNT(p), r->exited && !pending ? 0 : -1);
    if (ready < 0)
        return errno == EINTR;
    if (p[0].revents != 0)
        reap(r, signals);
    if (p[1].revents != 0)
        frames_read(r);
    for (unsigned i = 0; i < ARRAY_COUNT(flows); i++) {
        if (p[2 + 2 * i].revents != 0 && flows[i]->from >= 0)
            flow_read(flows[i]);
        if (p[3 + 2 * i].revents != 0 && flows[i]->to >= 0)
            flow_write(flows[i]);
    }
    end_input(r);
    return ready > 0 || !r->exited || pending;
}

int relay_run(const struct record *rec, struct program *p)
{
    static struct relay r;
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0)
        stock_fail("signalfd");
    r.program = p;
    r.tty = (rec->head.flags & BOOT_CONT_TTY) != 0;
    r.in.from = p->in >= 0 ? ports[BOOT_PORT_STDIO] : -1;
    r.in.to = p->in;
    r.out.from = p->out;
    r.out.to = ports[BOOT_PORT_STDIO];
    r.err.from = p->err;
    r.err.to = ports[BOOT_PORT_STDERR];
    reap(&r, signals); /* it may have ended before the signal was blocked */
    while (step(&r, signals))
        ;
    return r.status;
}
