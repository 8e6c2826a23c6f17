// SPDX-License-Identifier: Apache-2.0
/* The keeper itself: reads leases, hands sockets to its child, sweeps. */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "net/bridge.h"
#include "net/helper.h"
#include "net/keep.h"
#include "net/keepdns.h"
#include "net/link.h"
#include "net/loop.h"

enum {
    KEEPER_IDLE_MS = 5000,   /* without a VM; then it ends */
    KEEPER_SWEEP_MS = 100,   /* to the next look after a tap has gone */
    KEEPER_ROUND_MS = 30000, /* when nothing was heard */
    KEEPER_LOOKS = 20,       /* how many: its monitor may still be dying */
    KEEPER_LINK_BUFFER = 16 << 10,
};

/* An interface that it knows. */
struct keeper_vm {
    struct keeper_vm *next;
    uint32_t number;  /* in messages to the helper */
    uint32_t network; /* of names; 0: not told yet */
    char key[LEASE_KEY_SIZE];
};

struct keeper;

/* An fd of the keeper's own. */
struct keeper_ear {
    struct loop_fd f; /* first */
    struct keeper *k;
};

struct keeper {
    struct store store;
    struct bridge_host host;
    struct loop loop;
    struct keeper_ear listener, links;
    struct keepdns names;
    int helper; /* fd */
    int helper_pid;
    int empty; /* directory */
    struct keeper_vm *vms;
    bool over;
    uint32_t next_number;
    unsigned looks;  /* sweeps still to do */
    int64_t look_ms; /* when the next one is */
    int64_t idle_ms; /* since when there is no VM; 0: there are */
};

/* One launcher. */
struct keeper_client {
    struct loop_fd f; /* first */
    struct keeper *k;
};

static void keeper_look(struct keeper *k, unsigned times)
{
    k->looks = times > k->looks ? times : k->looks;
    k->look_ms = 0;
}

static struct keeper_vm *keeper_find(const struct keeper *k, const char *key)
{
    struct keeper_vm *v = k->vms;
    while (v != NULL && strcmp(v->key, key) != 0)
        v = v->next;
    return v;
}

static struct keeper_vm *keeper_know(struct keeper *k, const char *key)
{
    struct keeper_vm *v = keeper_find(k, key);
    if (v != NULL || (v = calloc(1, sizeof(*v))) == NULL)
        return v;
    v->number = ++k->next_number;
    (void)snprintf(v->key, sizeof(v->key), "%s", key);
    v->next = k->vms;
    k->vms = v;
    return v;
}

/* A socket of port `index`, to be served for its lease; the helper gets its
 * own copy. */
static void keeper_pass(struct keeper *k, const struct keeper_vm *v,
                        const struct lease *l, unsigned index, int fd)
{
    if (index >= l->ports.count)
        return;
    const struct port *p = &l->ports.port[index];
    struct helper_msg m = {.kind = HELPER_PROXY,
                           .vm = v->number,
                           .udp = p->udp,
                           .v6 = !l->has4,
                           .port = p->guest};
    memcpy(m.addr, l->has4 ? l->ip4.b : l->ip6.b, sizeof(m.addr));
    (void)helper_send(k->helper, &m, fd);
}

static void keeper_name(struct keeper *k, struct keeper_vm *v,
                        const struct lease *l)
{
    int network = v->network == 0 ? keepdns_join(&k->names, v->number, l) : 0;
    if (network > 0)
        v->network = (uint32_t)network;
}

/* ---- launchers ---- */

static void client_close(struct keeper_client *c)
{
    loop_forget(&c->k->loop, &c->f);
    (void)close(c->f.fd);
    free(c);
}

static void keeper_forget(struct keeper *k);

/* Returns what the launcher is answered: enum keep_answer. */
static uint8_t client_take(struct keeper *k, const struct keep_msg *m,
                           const int *fds, size_t fd_count)
{
    struct lease l;
    struct err e;
    if (memchr(m->key, '\0', sizeof(m->key)) == NULL ||
        strchr(m->key, '/') != NULL)
        return KEEP_DONE;
    if (m->key[0] == '\0') {
        const struct helper_msg after = {.kind = HELPER_AFTER};
        keeper_forget(k);
        if (fd_count > 0)
            (void)helper_send(k->helper, &after, fds[0]);
        keeper_look(k, 2);
        return KEEP_DONE;
    }
    if (lease_read(&k->store, m->key, &l, &e) < 0) {
        log_warn("lease %s: %s", m->key, e.msg);
        return KEEP_DONE;
    }
    if (m->refilled != 0)
        keepdns_refill(&k->names);
    struct keeper_vm *v = keeper_know(k, m->key);
    if (v != NULL)
        keeper_name(k, v, &l);
    for (size_t i = 0; v != NULL && i < m->count && i < fd_count; i++)
        keeper_pass(k, v, &l, m->at[i].port, fds[i]);
    k->idle_ms = 0;
    uint8_t answer =
        keepdns_serves(&k->names, l.network) ? KEEP_NAMES : KEEP_DONE;
    lease_fini(&l);
    return answer;
}

static void client_ready(struct loop_fd *f, uint32_t events)
{
    struct keeper_client *c = (struct keeper_client *)f;
    union {
        char space[CMSG_SPACE(sizeof(int) * KEEP_FDS)];
        struct cmsghdr align;
    } control;
    struct keep_msg m;
    struct iovec v = {.iov_base = &m, .iov_len = sizeof(m)};
    struct msghdr h = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = sizeof(control.space)};
    int fds[KEEP_FDS];
    size_t count = 0;
    (void)events;
    ssize_t n = recvmsg(f->fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const struct cmsghdr *x = n > 0 ? CMSG_FIRSTHDR(&h) : NULL;
    if (x != NULL && x->cmsg_type == SCM_RIGHTS) {
        count = (x->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(x), count * sizeof(int));
    }
    if (n == sizeof(m)) {
        uint8_t answer = client_take(c->k, &m, fds, count);
        if (m.last != 0)
            (void)send(f->fd, &answer, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
    if (n != sizeof(m))
        client_close(c);
}

static void listener_ready(struct loop_fd *f, uint32_t events)
{
    struct keeper *k = ((struct keeper_ear *)f)->k;
    (void)events;
    int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
    struct keeper_client *c = fd >= 0 ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    c->k = k;
    c->f = (struct loop_fd){.fd = fd, .ready = client_ready};
    (void)loop_watch(&k->loop, &c->f, EPOLLIN);
}

/* ---- what has gone ---- */

/* Interfaces come and go; ours that goes is a VM that ended. What exactly
 * happened the leases tell, so nothing is read but the fact. */
static void links_ready(struct loop_fd *f, uint32_t events)
{
    struct keeper *k = ((struct keeper_ear *)f)->k;
    static union {
        struct nlmsghdr h;
        char space[KEEPER_LINK_BUFFER];
    } in;
    (void)events;
    ssize_t n = recv(f->fd, &in, sizeof(in), MSG_DONTWAIT);
    /* ENOBUFS: more happened than was told. */
    if (n < 0 ? errno == ENOBUFS
              : (size_t)n >= sizeof(in.h) && in.h.nlmsg_type == RTM_DELLINK)
        keeper_look(k, KEEPER_LOOKS);
}

/* The helper forgets whose lease is not there. */
static void keeper_forget(struct keeper *k)
{
    struct keeper_vm **at = &k->vms;
    while (*at != NULL) {
        struct keeper_vm *v = *at;
        char path[LEASE_KEY_SIZE + 16];
        (void)snprintf(path, sizeof(path), "leases/%s", v->key);
        if (faccessat(k->store.dir, path, F_OK, 0) == 0 || errno != ENOENT) {
            at = &v->next;
            continue;
        }
        const struct helper_msg m = {.kind = HELPER_DROP, .vm = v->number};
        (void)helper_send(k->helper, &m, -1);
        if (v->network != 0)
            keepdns_leave(&k->names, v->network);
        *at = v->next;
        free(v);
    }
}

/* Nobody can come while the lock is held: launchers connect under it. */
static void keeper_end(struct keeper *k)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "keeper-%llu",
                   (unsigned long long)k->store.ns);
    (void)unlinkat(k->store.dir, name, 0);
    log_info("keeper ends: no VM is left");
    k->over = true;
}

static void keeper_sweep(struct keeper *k)
{
    int code = store_trylock(&k->store);
    k->over = code == -ENOENT; /* somebody removed the store */
    if (code < 0)
        return; /* a launcher is at work: later */
    unsigned left = bridge_sweep(&k->host);
    keeper_forget(k);
    k->looks = k->looks > 0 ? k->looks - 1 : 0;
    if (left > 0)
        k->idle_ms = 0;
    else if (k->idle_ms == 0)
        k->idle_ms = loop_now_ms();
    else if (loop_now_ms() - k->idle_ms > KEEPER_IDLE_MS)
        keeper_end(k);
    store_unlock(&k->store);
}

/* ---- life ---- */

/* After a crash of an earlier keeper: its ports again, from the leases. */
struct keeper_restore {
    struct lease_reader r; /* first */
    struct keeper *k;
};

static int restore_one(struct lease_reader *r, const struct lease *l)
{
    struct keeper *k = ((struct keeper_restore *)r)->k;
    char key[LEASE_KEY_SIZE];
    if (l->ns != k->store.ns || !lease_is_alive(&k->store, l))
        return 0;
    lease_key(l, key);
    struct keeper_vm *v = keeper_know(k, key);
    if (v != NULL)
        keeper_name(k, v, l);
    for (unsigned i = 0; v != NULL && i < l->ports.count; i++) {
        int fds[2];
        struct port p = l->ports.port[i];
        if (port_take(&p, fds, NULL) < 0)
            continue; /* its launcher has them and is about to send them */
        for (int n = 0; n < 2; n++) {
            if (fds[n] < 0)
                continue;
            keeper_pass(k, v, l, i, fds[n]);
            (void)close(fds[n]);
        }
    }
    return 0;
}

static int keeper_start_helper(struct keeper *k, struct err *e)
{
    struct keeper_restore r = {.r = {restore_one}, .k = k};
    k->helper = helper_start(k->empty, &k->helper_pid, e);
    if (k->helper < 0)
        return k->helper;
    keepdns_reset(&k->names, k->helper);
    for (struct keeper_vm *v = k->vms; v != NULL; v = v->next)
        v->network = 0;
    (void)lease_each(&k->store, &r.r);
    return 0;
}

static int keeper_watch_links(struct keeper *k, struct err *e)
{
    const struct sockaddr_nl a = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_ROUTE);
    k->links =
        (struct keeper_ear){.f = {.fd = fd, .ready = links_ready}, .k = k};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
        return err_set(e, -errno, "netlink: %s", strerror(errno));
    return 0;
}

static int keeper_init(struct keeper *k, int listener, int root, struct err *e)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    int code = store_open(&k->store, root, e);
    if (code == 0)
        code = bridge_open(&k->host, &k->store, e);
    if (code == 0)
        code = loop_open(&k->loop, e);
    if (code < 0)
        return code;
    (void)mkdirat(k->store.dir, "empty", 0555);
    k->names.host = &k->host;
    k->empty = openat(k->store.dir, "empty", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (k->empty < 0)
        return err_set(e, -errno, "networks/empty: %s", strerror(errno));
    k->listener = (struct keeper_ear){
        .f = {.fd = listener, .ready = listener_ready}, .k = k};
    (void)fcntl(listener, F_SETFD, FD_CLOEXEC);
    (void)fcntl(listener, F_SETFL, O_NONBLOCK);
    (void)fcntl(root, F_SETFD, FD_CLOEXEC);
    code = keeper_watch_links(k, e);
    if (code == 0)
        code = keeper_start_helper(k, e);
    if (code == 0 && (loop_watch(&k->loop, &k->listener.f, EPOLLIN) < 0 ||
                      loop_watch(&k->loop, &k->links.f, EPOLLIN) < 0))
        code = err_set(e, -errno, "epoll: %s", strerror(errno));
    return code;
}

/* A dead helper is replaced: its listening sockets come back from leases. */
static int keeper_check_helper(struct keeper *k, struct err *e)
{
    if (waitpid(k->helper_pid, NULL, WNOHANG) != k->helper_pid)
        return 0;
    log_warn("the helper of networks died; starting another");
    (void)close(k->helper);
    return keeper_start_helper(k, e);
}

int keeper_main(int listener, int root)
{
    struct keeper k = {.store = {.lock = -1}, .helper = -1};
    struct err e = {0};
    log_init(STDERR_FILENO, LOG_WARN);
    int code = keeper_init(&k, listener, root, &e);
    keeper_look(&k, 1);
    while (code == 0 && !k.over) {
        int wait = k.looks > 0 ? KEEPER_SWEEP_MS : 1000;
        loop_run(&k.loop, wait);
        code = keeper_check_helper(&k, &e);
        keepdns_tick(&k.names);
        int64_t now = loop_now_ms();
        bool soon = k.looks > 0 || k.idle_ms != 0;
        if (code == 0 && now >= k.look_ms) {
            keeper_sweep(&k);
            k.look_ms = now + (soon ? KEEPER_SWEEP_MS : KEEPER_ROUND_MS);
        }
    }
    if (code < 0)
        log_error("keeper: %s", e.msg);
    return code < 0;
}
