// SPDX-License-Identifier: Apache-2.0
/* The process between a VM and passt: reads, judges, writes. */
#include "net/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/helper.h"
#include "net/loop.h"
#include "net/nl.h"
#include "net/plan.h"

enum {
    GATE_ROOM = 256 << 10,  /* of each way */
    GATE_FRAME_MAX = 66000, /* an IP packet and its Ethernet header */
    GATE_CACHE = 256,       /* a power of 2 */
    GATE_TURNS = 16,        /* before the other way gets its turn */
    GATE_NEWS = 16 << 10,
    GATE_FD_VM = 3,    /* inherited */
    GATE_FD_WORLD = 4, /* our end of passt's socket */
    GATE_FD_PASST = 5, /* its end */
    GATE_FD_CHILD = 3, /* its number there: --fd 3 */
    GATE_FAILED = 127,
    GATE_WAITS = 100, /* for passt to read, each at most ... */
    GATE_WAIT_MS = 2,
};

struct gate;

/* What comes from one end and goes to the other. Bytes [start, good) may go,
 * [good, end) are a frame that is not there yet. */
struct gate_way {
    struct gate *g;
    int from, to;
    bool outward; /* from the VM */
    bool full;    /* `to` takes no more for now */
    size_t start, good, end;
    uint8_t data[GATE_ROOM];
};

/* An fd of the loop. */
struct gate_ear {
    struct loop_fd f; /* first */
    struct gate *g;
};

struct gate {
    const struct gate_rules *rules;
    struct gate_way out, in;
    struct gate_ear vm, passt, news;
    struct loop loop;
    int drain; /* an epoll that wakes when passt has read */
    struct nl routes;
    bool over;
    /* What the routes said, until they change; who may be answered. */
    struct gate_known {
        bool known, local;
        struct net_addr dst;
    } known[GATE_CACHE];
    struct gate_flow flow[GATE_CACHE];
    /* Connections whose guest has closed its half. */
    struct gate_half {
        struct gate_flow flow;
        bool ended;   /* the peer too, ... */
        uint32_t end; /* at this sequence number */
    } half[GATE_CACHE];
};

static struct gate g_gate; /* too large for a stack */

static unsigned gate_hash(const struct net_addr *a, unsigned more)
{
    uint32_t h = 2166136261U ^ more; /* FNV-1a */
    for (unsigned i = 0; i < (a->v6 ? 16U : 4U); i++)
        h = (h ^ a->b[i]) * 16777619U;
    return (h ^ h >> 16) % GATE_CACHE;
}

/* ---- the host's addresses ---- */

struct gate_reader {
    struct nl_reader r; /* first */
    bool local;
};

static void gate_take_route(struct nl_reader *r, uint16_t type,
                            const uint8_t *data, size_t size)
{
    struct rtmsg h;
    if (type != RTM_NEWROUTE || size < sizeof(h))
        return;
    memcpy(&h, data, sizeof(h));
    ((struct gate_reader *)r)->local =
        h.rtm_type == RTN_LOCAL || h.rtm_type == RTN_BROADCAST ||
        h.rtm_type == RTN_ANYCAST || h.rtm_type == RTN_MULTICAST;
}

/* As the kernel will decide for passt: where no route leads, nothing goes. */
static bool gate_ask(struct gate *g, const struct net_addr *dst)
{
    const struct rtmsg h = {.rtm_family = dst->v6 ? AF_INET6 : AF_INET,
                            .rtm_dst_len = dst->v6 ? 128 : 32};
    struct gate_reader r = {.r = {gate_take_route}};
    struct nl_msg m = {0};
    nl_begin(&g->routes, &m, RTM_GETROUTE, NLM_F_ACK, &h, sizeof(h));
    nl_put(&m, RTA_DST, dst->b, dst->v6 ? 16 : 4);
    int code = nl_dump(&g->routes, &m, &r.r);
    if (code == -ENOMEM || code == -ENOBUFS || code == -EAGAIN)
        return true; /* not known is not allowed */
    return r.local;
}

static bool gate_is_local(struct gate *g, const struct net_addr *dst)
{
    struct gate_known *k = &g->known[gate_hash(dst, 0)];
    if (!k->known || !plan_equal(&k->dst, dst))
        *k = (struct gate_known){
            .known = true, .local = gate_ask(g, dst), .dst = *dst};
    return k->local;
}

static void gate_forget(struct gate *g)
{
    memset(g->known, 0, sizeof(g->known));
}

/* Addresses or routes have changed; which, the next question tells. */
static void news_ready(struct loop_fd *f, uint32_t events)
{
    static uint8_t in[GATE_NEWS];
    struct gate *g = ((struct gate_ear *)f)->g;
    (void)events;
    while (recv(f->fd, in, sizeof(in), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
        continue;
    gate_forget(g);
}

/* ---- frames ---- */

static struct gate_flow *gate_slot(struct gate *g, const struct gate_flow *f)
{
    return &g->flow[gate_hash(&f->peer,
                              (unsigned)f->peer_port << 16 | f->port)];
}

static bool flow_equal(const struct gate_flow *k, const struct gate_flow *f)
{
    return k->peer.prefix != 0 && plan_equal(&k->peer, &f->peer) &&
           k->peer_port == f->peer_port && k->port == f->port;
}

static bool gate_may_answer(struct gate *g, const struct gate_flow *f)
{
    return flow_equal(gate_slot(g, f), f);
}

/*
 * After the guest's FIN, passt of 2023-03 sends what is acknowledged again, as
 * new bytes, without end. So nothing is acknowledged then but the peer's FIN:
 * passt's window is what can still come, and who wants more, or later, sees a
 * reset and no wrong bytes. false: the frame may not go on.
 */
static bool gate_half_closed(struct gate *g, const uint8_t *frame, size_t size,
                             bool outward)
{
    struct gate_segment s;
    if (!gate_segment(frame, size, outward, &s))
        return true;
    struct gate_half *h = &g->half[gate_slot(g, &s.flow) - g->flow];
    bool known = flow_equal(&h->flow, &s.flow);
    if (known && (s.syn || s.rst)) {
        *h = (struct gate_half){0};
    } else if (known && !outward && s.fin) {
        h->ended = true;
        h->end = s.end;
    } else if (known && outward) {
        return h->ended && s.ack == h->end;
    } else if (outward && s.fin && !s.rst) {
        *h = (struct gate_half){.flow = s.flow};
    }
    return true;
}

/* A frame of our own among those to the VM. If there is no room, the guest
 * asks again. */
static void way_insert(struct gate_way *w, const uint8_t *frame, size_t size)
{
    uint32_t length = htonl((uint32_t)size);
    size_t whole = sizeof(length) + size;
    if (sizeof(w->data) - w->end < whole)
        return;
    uint8_t *at = w->data + w->good;
    memmove(at + whole, at, w->end - w->good);
    memcpy(at, &length, sizeof(length));
    memcpy(at + sizeof(length), frame, size);
    w->good += whole;
    w->end += whole;
}

static void way_write(struct gate_way *w)
{
    w->full = false;
    while (w->start < w->good) {
        ssize_t n = send(w->to, w->data + w->start, w->good - w->start,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            w->full = errno == EAGAIN;
            w->g->over = !w->full || w->g->over;
            return;
        }
        w->start += (size_t)n;
    }
    memmove(w->data, w->data + w->good, w->end - w->good);
    w->end -= w->good;
    w->start = w->good = 0;
}

/* Has passt read all that was written? */
static bool gate_is_read(const struct gate *g)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof(info);
    (void)getsockopt(g->out.to, SOL_SOCKET, SO_MEMINFO, info, &size);
    return info[SK_MEMINFO_WMEM_ALLOC] == 0;
}

static bool gate_await_read(struct gate *g)
{
    struct epoll_event ev;
    for (int i = 0; i < GATE_WAITS && !gate_is_read(g); i++)
        (void)epoll_wait(g->drain, &ev, 1, GATE_WAIT_MS);
    return gate_is_read(g);
}

/*
 * A SYN-ACK goes alone: the passt that needs gate_ack() also turns in a circle
 * for ever if it reads one and the flow's next frame at once. One that cannot
 * go now is dropped; the guest says it again.
 */
static void way_open(struct gate_way *w, size_t whole)
{
    uint8_t ack[GATE_ACK_MAX];
    struct gate *g = w->g;
    way_write(w);
    const uint8_t *at = w->data + w->good;
    size_t size =
        gate_ack(at + sizeof(uint32_t), whole - sizeof(uint32_t), ack);
    if (w->full || g->over || size == 0 || !gate_await_read(g))
        return;
    ssize_t n = send(w->to, at, whole, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n != (ssize_t)whole)
        g->over = true;
    else if (gate_await_read(g))
        way_insert(&g->in, ack, size);
}

/* May it go on? */
static bool gate_frame(struct gate_way *w, const uint8_t *frame, size_t size)
{
    struct gate *g = w->g;
    struct gate_flow flow;
    struct gate_frame f;
    if (!gate_half_closed(g, frame, size, w->outward))
        return false;
    if (!w->outward) {
        if (gate_learn(frame, size, &flow))
            *gate_slot(g, &flow) = flow;
        return true;
    }
    enum gate_verdict v = gate_judge(g->rules, frame, size, &f);
    if (v == GATE_PASS || (v == GATE_ASK && !gate_is_local(g, &f.dst)))
        return true;
    return f.udp && gate_may_answer(g, &f.flow);
}

/* The guest's first words as passt wants them. Returns the frame's size. */
static size_t way_cut(struct gate_way *w, size_t size)
{
    uint8_t *at = w->data + w->good;
    uint8_t *frame = at + sizeof(uint32_t);
    size_t now = w->outward ? gate_introduce(frame, size) : 0;
    if (now == 0)
        return size;
    const uint32_t length = htonl((uint32_t)now);
    memcpy(at, &length, sizeof(length));
    size_t rest = w->end - w->good - sizeof(length) - size;
    memmove(frame + now, frame + size, rest);
    w->end -= size - now;
    return now;
}

/* Look at all frames that are complete; what may not go is taken out. */
static void way_judge(struct gate_way *w)
{
    uint32_t size;
    while (w->end - w->good >= sizeof(size)) {
        memcpy(&size, w->data + w->good, sizeof(size));
        size = ntohl(size);
        if (size > GATE_FRAME_MAX) {
            w->g->over = true; /* no way back into step */
            return;
        }
        size_t whole = sizeof(size) + size;
        if (w->end - w->good < whole)
            return;
        size = (uint32_t)way_cut(w, size);
        whole = sizeof(size) + size;
        const uint8_t *frame = w->data + w->good + sizeof(size);
        if (w->outward && gate_opens(frame, size)) {
            way_open(w, whole);
        } else if (gate_frame(w, frame, size)) {
            w->good += whole;
            continue;
        }
        w->end -= whole;
        memmove(w->data + w->good, w->data + w->good + whole, w->end - w->good);
    }
}

/* false: nothing there. */
static bool way_read(struct gate_way *w)
{
    ssize_t n =
        recv(w->from, w->data + w->end, sizeof(w->data) - w->end, MSG_DONTWAIT);
    if (n > 0) {
        w->end += (size_t)n;
        way_judge(w);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        w->g->over = true;
    return false;
}

static void way_run(struct gate_way *w)
{
    for (int i = 0; i < GATE_TURNS && !w->g->over; i++) {
        way_write(w);
        if (w->full || w->g->over || !way_read(w))
            return;
    }
    way_write(w);
}

static void gate_watch(struct gate *g)
{
    const uint32_t in = EPOLLIN;
    const uint32_t out = EPOLLOUT;
    uint32_t vm = (g->out.full ? 0 : in) | (g->in.full ? out : 0);
    uint32_t passt = (g->in.full ? 0 : in) | (g->out.full ? out : 0);
    if (vm != g->vm.f.events)
        (void)loop_watch(&g->loop, &g->vm.f, vm);
    if (passt != g->passt.f.events)
        (void)loop_watch(&g->loop, &g->passt.f, passt);
}

/* What either end has to say: it is gone, or one of the ways can go on. */
static void end_ready(struct loop_fd *f, uint32_t events)
{
    struct gate *g = ((struct gate_ear *)f)->g;
    way_run(&g->out);
    way_run(&g->in);
    if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        g->over = true;
    gate_watch(g);
}

/* ---- life ---- */

static int gate_listen(struct gate *g, struct err *e)
{
    const struct sockaddr_nl a = {.nl_family = AF_NETLINK,
                                  .nl_groups =
                                      RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                      RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    struct nl news;
    int code = nl_open(&news, NETLINK_ROUTE, e);
    if (code < 0)
        return code;
    g->news =
        (struct gate_ear){.f = {.fd = news.fd, .ready = news_ready}, .g = g};
    if (bind(news.fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
        return err_set(e, -errno, "netlink: %s", strerror(errno));
    return 0;
}

static int gate_init(struct gate *g, int vm, int passt, struct err *e)
{
    g->out.g = g->in.g = g;
    g->out.outward = true;
    g->out.from = g->in.to = vm;
    g->in.from = g->out.to = passt;
    g->vm = (struct gate_ear){.f = {.fd = vm, .ready = end_ready}, .g = g};
    g->passt =
        (struct gate_ear){.f = {.fd = passt, .ready = end_ready}, .g = g};
    int code = loop_open(&g->loop, e);
    if (code == 0)
        code = nl_open(&g->routes, NETLINK_ROUTE, e);
    if (code == 0)
        code = gate_listen(g, e);
    if (code == 0 && (loop_watch(&g->loop, &g->vm.f, EPOLLIN) < 0 ||
                      loop_watch(&g->loop, &g->passt.f, EPOLLIN) < 0 ||
                      loop_watch(&g->loop, &g->news.f, EPOLLIN) < 0))
        code = err_set(e, -errno, "epoll: %s", strerror(errno));
    struct epoll_event ev = {.events = EPOLLOUT | EPOLLET};
    g->drain = epoll_create1(EPOLL_CLOEXEC);
    if (code == 0 &&
        (g->drain < 0 || epoll_ctl(g->drain, EPOLL_CTL_ADD, passt, &ev) < 0))
        code = err_set(e, -errno, "epoll: %s", strerror(errno));
    return code;
}

/* In the foreground: so it is our child, and we can end it. */
static pid_t gate_start_passt(char **argv)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (dup2(GATE_FD_PASST, GATE_FD_CHILD) != GATE_FD_CHILD ||
        close_range(GATE_FD_CHILD + 1, ~0U, 0) < 0)
        _exit(GATE_FAILED);
    (void)execv(argv[0], argv);
    _exit(GATE_FAILED);
}

int gate_main(const struct gate_rules *r, char **passt)
{
    struct gate *g = &g_gate;
    struct err e = {0};
    int code = -EINVAL;
    g->rules = r;
    (void)signal(SIGCHLD, SIG_DFL); /* its pid stays ours */
    pid_t pid = passt != NULL ? gate_start_passt(passt) : 0;
    /* Its messages, and the pipe that says that it is ready, are its alone. */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (passt != NULL) {
        (void)dup2(null, STDOUT_FILENO);
        (void)close(GATE_FD_PASST);
    }
    if (pid >= 0)
        code = gate_init(g, GATE_FD_VM, GATE_FD_WORLD, &e);
    (void)dup2(null, STDERR_FILENO);
    if (code == 0)
        code = jail_shut(pid, &e);
    while (code == 0 && !g->over)
        loop_run(&g->loop, -1);
    /* What does not look at its socket any more would never see it close. */
    if (pid > 0)
        (void)kill(pid, SIGKILL);
    return code < 0;
}
