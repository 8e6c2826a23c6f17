// SPDX-License-Identifier: Apache-2.0
#include "supervisor/emuhost.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "supervisor/crilog.h"
#include "supervisor/state.h"

/* Bytes on their way in one direction. Chunks of PIPE_BUF: a pipe that poll()
 * calls writable takes one without blocking. */
struct emuhost_pump {
    int from, to;       /* from -1: ended; to -1: thrown away */
    const char *stream; /* for the log; NULL: not logged */
    char data[EMUHOST_CHUNK];
    size_t size;
};

enum { PUMP_OUT, PUMP_ERR, PUMP_IN, PUMP_COUNT };

static void emuhost_pump_write(struct emuhost_pump *p)
{
    ssize_t n = p->to < 0 ? (ssize_t)p->size : write(p->to, p->data, p->size);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        p->to = -1; /* the reader is gone: the program must not notice */
        n = (ssize_t)p->size;
    }
    p->size -= (size_t)n;
    memmove(p->data, p->data + n, p->size);
}

/* False at the end of the source. */
static bool emuhost_pump_read(const struct emuhost *m, struct emuhost_pump *p)
{
    ssize_t n = read(p->from, p->data, sizeof(p->data));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        p->from = -1;
        return false;
    }
    p->size = (size_t)n;
    if (p->stream != NULL && m->log_fd >= 0)
        crilog_write(m->log_fd, p->stream, p->data, p->size);
    return true;
}

static void emuhost_send_ctl(const struct emuhost *m, uint32_t type,
                             const void *payload, uint32_t size)
{
    uint8_t frame[64];
    struct ctl_header h = {.type = type, .size = size};
    memcpy(frame, &h, sizeof(h));
    memcpy(frame + sizeof(h), payload, size);
    /* A guest that does not read loses frames; it must not stop us. Frames
     * are far smaller than what a socket takes in one piece. */
    (void)send(m->ports[BOOT_PORT_CTL], frame, sizeof(h) + size,
               MSG_DONTWAIT | MSG_NOSIGNAL);
}

void emuhost_end(const struct emuhost *m, const struct instance_exit *x,
                 const char *why)
{
    struct instance_exit end = *x;
    if (why != NULL)
        (void)snprintf(end.msg, sizeof(end.msg), "%s", why);
    state_record(m->exit_fd, &end);

    uint8_t frame[CTL_FRAME_MAX];
    uint32_t text = (uint32_t)strlen(end.msg);
    struct ctl_exit out = {
        .kind = end.kind, .code = end.code, .msg_size = text};
    struct ctl_header h = {.type = CTL_EXIT,
                           .size = (uint32_t)sizeof(out) + text};
    memcpy(frame, &h, sizeof(h));
    memcpy(frame + sizeof(h), &out, sizeof(out));
    memcpy(frame + sizeof(h) + sizeof(out), end.msg, text);
    for (size_t i = 0; i < ARRAY_COUNT(m->clients); i++)
        if (m->clients[i] >= 0)
            (void)send(m->clients[i], frame, sizeof(h) + h.size, MSG_NOSIGNAL);
}

/* A whole frame of the guest. 1: it was the end, *out. */
static int emuhost_frame(struct emuhost *m, const struct ctl_header *h,
                         struct instance_exit *out)
{
    const uint8_t *payload = m->frame + sizeof(*h);
    if (h->type == CTL_LOG)
        klog_write(&m->klog, (const char *)payload, h->size);
    if ((h->type == CTL_STARTED || h->type == CTL_KILLED) &&
        h->size <= CTL_MSG_MAX && m->notices < CTL_NOTICES_MAX) {
        m->notices++;
        for (size_t i = 0; i < ARRAY_COUNT(m->clients); i++)
            if (m->clients[i] >= 0)
                (void)send(m->clients[i], m->frame, sizeof(*h) + h->size,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (h->type != CTL_EXIT)
        return 0;
    return instance_exit_decode(payload, h->size, out, NULL) < 0 ? -EPROTO : 1;
}

/* Collect bytes of the control port. 1: the end; negative: not a frame. */
static int emuhost_read_ctl(struct emuhost *m, struct instance_exit *out)
{
    struct ctl_header h;
    size_t want = sizeof(h);
    if (m->frame_size >= sizeof(h)) {
        memcpy(&h, m->frame, sizeof(h));
        want = sizeof(h) + h.size; /* checked when the header was complete */
    }
    ssize_t n = read(m->ports[BOOT_PORT_CTL], m->frame + m->frame_size,
                     want - m->frame_size);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -EPIPE;
    m->frame_size += (size_t)n;
    if (m->frame_size < sizeof(h))
        return 0;
    memcpy(&h, m->frame, sizeof(h));
    if (h.size > CTL_FRAME_MAX - sizeof(h))
        return -EPROTO;
    if (m->frame_size < sizeof(h) + h.size)
        return 0;
    m->frame_size = 0;
    return emuhost_frame(m, &h, out);
}

/* False when there is no more for now. */
static bool emuhost_read_debug(struct emuhost *m)
{
    char text[1024];
    ssize_t n = recv(m->debug, text, sizeof(text), MSG_DONTWAIT);
    if (n > 0)
        klog_write(&m->klog, text, (size_t)n);
    else if (n == 0)
        m->debug = -1;
    return n > 0;
}

/* A client may send signals and sizes; anything else ends its connection. */
static void emuhost_serve(struct emuhost *m, size_t i)
{
    uint8_t frame[CTL_FRAME_MAX];
    struct ctl_header h;
    ssize_t n = recv(m->clients[i], frame, sizeof(frame), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool good = n >= (ssize_t)sizeof(h);
    if (good) {
        memcpy(&h, frame, sizeof(h));
        good =
            h.size == (size_t)n - sizeof(h) &&
            ((h.type == CTL_SIGNAL && h.size == sizeof(struct ctl_signal)) ||
             (h.type == CTL_WINSIZE && h.size == sizeof(struct ctl_winsize)));
    }
    if (good) {
        emuhost_send_ctl(m, h.type, frame + sizeof(h), h.size);
        return;
    }
    (void)close(m->clients[i]);
    m->clients[i] = -1;
}

static void emuhost_accept(struct emuhost *m)
{
    int fd = accept4(m->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < ARRAY_COUNT(m->clients); i++) {
        if (m->clients[i] < 0) {
            m->clients[i] = fd;
            return;
        }
    }
    if (fd >= 0)
        (void)close(fd);
}

static void emuhost_pumps(struct emuhost *m, struct emuhost_pump *pumps,
                          const struct pollfd *p)
{
    for (int i = 0; i < PUMP_COUNT; i++) {
        if (p[2 * (size_t)i].revents != 0 && !emuhost_pump_read(m, &pumps[i]) &&
            i == PUMP_IN)
            emuhost_send_ctl(m, CTL_STDIN_EOF, &m->stdin_bytes,
                             sizeof(m->stdin_bytes));
        size_t before = pumps[i].size;
        if (p[2 * (size_t)i + 1].revents != 0 ||
            (before > 0 && pumps[i].to < 0))
            emuhost_pump_write(&pumps[i]);
        if (i == PUMP_IN)
            m->stdin_bytes += before - pumps[i].size;
    }
}

/* The guest said it has ended: what it wrote before is in the sockets. */
static void emuhost_drain(const struct emuhost *m, struct emuhost_pump *pumps)
{
    for (int i = PUMP_OUT; i <= PUMP_ERR; i++) {
        struct emuhost_pump *p = &pumps[i];
        for (;;) {
            while (p->size > 0) {
                struct pollfd out = {.fd = p->to, .events = POLLOUT};
                if (p->to >= 0)
                    (void)poll(&out, 1, -1);
                emuhost_pump_write(p);
            }
            struct pollfd f = {.fd = p->from, .events = POLLIN};
            if (p->from < 0 || poll(&f, 1, 0) <= 0 || !emuhost_pump_read(m, p))
                break;
        }
    }
}

enum {
    POLL_CTL = 2 * PUMP_COUNT,
    POLL_DEBUG,
    POLL_QEMU,
    POLL_TERM,
    POLL_LISTEN,
    POLL_CLIENTS,
    POLL_COUNT = POLL_CLIENTS + EMUHOST_CLIENTS
};

static void emuhost_fill_poll(const struct emuhost *m,
                              const struct emuhost_pump *pumps, int term,
                              struct pollfd *p)
{
    for (int i = 0; i < PUMP_COUNT; i++) {
        bool full = pumps[i].size > 0;
        p[2 * (size_t)i] =
            (struct pollfd){.fd = full ? -1 : pumps[i].from, .events = POLLIN};
        p[2 * (size_t)i + 1] =
            (struct pollfd){.fd = full ? pumps[i].to : -1, .events = POLLOUT};
    }
    p[POLL_CTL] =
        (struct pollfd){.fd = m->ports[BOOT_PORT_CTL], .events = POLLIN};
    p[POLL_DEBUG] = (struct pollfd){.fd = m->debug, .events = POLLIN};
    p[POLL_QEMU] = (struct pollfd){.fd = m->qemu, .events = POLLIN};
    p[POLL_TERM] = (struct pollfd){.fd = term, .events = POLLIN};
    p[POLL_LISTEN] = (struct pollfd){.fd = m->listen_fd, .events = POLLIN};
    for (int i = 0; i < EMUHOST_CLIENTS; i++)
        p[POLL_CLIENTS + i] =
            (struct pollfd){.fd = m->clients[i], .events = POLLIN};
}

/* One round: 0, 1 with the guest's *out, or why there is none. */
static int emuhost_step(struct emuhost *m, struct emuhost_pump *pumps, int term,
                        struct instance_exit *out)
{
    struct pollfd p[POLL_COUNT];
    emuhost_fill_poll(m, pumps, term, p);
    if (poll(p, POLL_COUNT, -1) < 0)
        return errno == EINTR ? 0 : -errno;
    emuhost_pumps(m, pumps, p);
    for (size_t i = 0; i < EMUHOST_CLIENTS; i++)
        if (p[POLL_CLIENTS + i].revents != 0)
            emuhost_serve(m, i);
    if (p[POLL_LISTEN].revents != 0)
        emuhost_accept(m);
    if (p[POLL_DEBUG].revents != 0)
        (void)emuhost_read_debug(m);
    if (p[POLL_TERM].revents != 0)
        return -ECANCELED;
    /* Its last frame may have come after the look, its end before. */
    if (p[POLL_CTL].revents == 0 && p[POLL_QEMU].revents != 0)
        (void)poll(&p[POLL_CTL], 1, 0);
    if (p[POLL_CTL].revents != 0)
        return emuhost_read_ctl(m, out);
    return p[POLL_QEMU].revents != 0 ? -EPIPE : 0;
}

/* The guest kernel's last words, without "kernel panic: ". */
static void emuhost_panic(const struct emuhost *m)
{
    static const char head[] = "kernel panic: ";
    const struct instance_exit x = {.kind = CTL_PANIC};
    const char *at = strstr(m->klog.panic, head);
    emuhost_end(m, &x, at != NULL ? at + sizeof(head) - 1 : m->klog.panic);
}

int emuhost_run(struct emuhost *m)
{
    struct emuhost_pump pumps[PUMP_COUNT] = {
        [PUMP_OUT] = {.from = m->ports[BOOT_PORT_STDIO],
                      .to = m->stdout_fd,
                      .stream = "stdout"},
        [PUMP_ERR] = {.from = m->ports[BOOT_PORT_STDERR],
                      .to = m->stderr_fd,
                      .stream = "stderr"},
        [PUMP_IN] = {.from = m->stdin_fd, .to = m->ports[BOOT_PORT_STDIO]},
    };
    struct instance_exit x = {.kind = CTL_MONITOR};
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    AUTO_CLOSE int term = signalfd(-1, &set, SFD_CLOEXEC);
    int code;
    do {
        code = emuhost_step(m, pumps, term, &x);
    } while (code == 0);
    emuhost_drain(m, pumps);
    while (m->debug >= 0 && emuhost_read_debug(m))
        continue;
    klog_flush(&m->klog);
    if (code == 1)
        emuhost_end(m, &x, NULL);
    else if (code == -ECANCELED)
        emuhost_end(m, &x, "ended by SIGTERM");
    else if (code == -EPROTO)
        emuhost_end(m, &x, "the guest sent a malformed control frame");
    else if (m->klog.panic[0] != '\0')
        emuhost_panic(m);
    else
        emuhost_end(m, &x, "QEMU ended without a status of the guest");
    return code == 1 ? 0 : -EPIPE;
}
