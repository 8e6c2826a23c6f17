// SPDX-License-Identifier: Apache-2.0
#include "net/netns.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/lease.h"
#include "net/link.h"
#include "net/nl.h"
#include "net/redirect.h"
#include "net/resolv.h"
#include "net/run.h"

enum { NETNS_NEWS = 16 << 10 };

/* ---- the namespace ---- */

/* Redirecting the interface of the host itself would take the host off its
 * network. 1's namespace cannot be read by everybody; our own can. */
static int netns_check(int own, int other, const char *path, struct err *e)
{
    struct stat a;
    struct stat b;
    if (fstat(own, &a) < 0 || fstat(other, &b) < 0)
        return err_set(e, -errno, "--network netns:%s: %s", path,
                       strerror(errno));
    if (ioctl(other, NS_GET_NSTYPE) != CLONE_NEWNET)
        return err_set(e, -EINVAL,
                       "--network netns:%s: not a network namespace: ip netns "
                       "list, or /proc/PID/ns/net",
                       path);
    if (a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return err_set(e, -EINVAL,
                       "--network netns:%s: that is the host's own namespace, "
                       "which would lose its network: use --network bridge",
                       path);
    return 0;
}

static int netns_open(const char *path, struct err *e)
{
    char full[PATH_MAX];
    bool name = strchr(path, '/') == NULL;
    (void)snprintf(full, sizeof(full), "%s%s", name ? "/run/netns/" : "", path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_set(e, -errno, "--network netns:%s: %s", path,
                            strerror(errno))
                  : fd;
}

/* ---- in it ---- */

static int netns_find(struct nl *n, const struct netns_want *w,
                      struct link_info *i, struct err *e)
{
    int code = link_find_next(n, w->after, i);
    if (code == -ENODEV)
        return err_set(e, code,
                       "--network netns:%s: no interface but lo is up in it "
                       "(a veth, macvlan, ipvlan, netkit, VLAN or hardware)",
                       w->path);
    return code < 0 ? err_set(e, code, "--network netns:%s: %s", w->path,
                              strerror(-code))
                    : 0;
}

static int netns_fill(struct nl *n, const struct netns_want *w,
                      const struct link_info *i, struct net_iface *out,
                      struct err *e)
{
    struct link_plan p = {0};
    int code = link_read_plan(n, i->index, &p, e);
    if (code < 0)
        return code;
    if (p.addr_count == 0 && w->after == 0)
        return err_set(e, -EADDRNOTAVAIL,
                       "--network netns:%s: %s has no address", w->path,
                       i->name);
    out->frames = NET_FRAMES_TAP;
    out->mtu = i->mtu;
    memcpy(out->mac, i->mac, sizeof(out->mac));
    out->addr_count = p.addr_count;
    memcpy(out->addr, p.addr, sizeof(out->addr));
    if (link_read_own_routes(n, i->index, out, e) < 0)
        return err_wrap(e, "--network netns:%s: %s", w->path, i->name);
    /* Once for all interfaces. */
    out->dns_count = w->after == 0 ? resolv_host_servers(out->dns) : 0;
    for (unsigned k = 0; k < out->dns_count; k++)
        out->dns[k].prefix = out->dns[k].v6 ? 128 : 32;
    return 0;
}

static int netns_start_guard(const struct netns_want *w, int tap, int link,
                             struct err *e)
{
    char path[PATH_MAX];
    char tap_text[16];
    char link_text[16];
    const char *argv[] = {"limpet-net", "guard", tap_text, link_text, NULL};
    const int fds[] = {-1, -1, -1};
    (void)snprintf(tap_text, sizeof(tap_text), "%d", tap);
    (void)snprintf(link_text, sizeof(link_text), "%d", link);
    (void)snprintf(path, sizeof(path), "%s/limpet-net", w->libexec);
    if (access(path, X_OK) < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    return run_start(path, argv, fds, ARRAY_COUNT(fds), true, e);
}

static int netns_redirect(struct nl *n, const struct netns_want *w,
                          const struct link_info *i, const char *tap,
                          struct err *e)
{
    struct link_info t;
    int code = link_find(n, tap, &t);
    if (code < 0)
        return err_set(e, code, "tap %s: %s", tap, strerror(-code));
    code = redirect_add(n, t.index, i->index, e);
    if (code == 0)
        code = redirect_add(n, i->index, t.index, e);
    if (code == -EEXIST)
        return err_set(e, code,
                       "--network netns:%s: %s has traffic control of "
                       "somebody else: tc qdisc show dev %s ingress",
                       w->path, i->name, i->name);
    if (code == 0)
        code = netns_start_guard(w, t.index, i->index, e);
    if (code < 0)
        redirect_remove(n, i->index);
    return code;
}

static int netns_busy(struct nl *n, const struct netns_want *w, struct err *e)
{
    struct link_info t;
    if (w->after != 0 || link_find(n, "limpet", &t) == -ENODEV)
        return 0;
    return err_set(e, -EBUSY,
                   "--network netns:%s: %s has taken it (interface limpet)",
                   w->path, t.alias[0] != '\0' ? t.alias : "somebody");
}

static int netns_make(const struct netns_want *w, struct net_iface *out,
                      struct err *e)
{
    struct nl n;
    struct link_info i = {0};
    struct link_info more = {0};
    char alias[LINK_ALIAS_SIZE];
    char tap[IFNAMSIZ] = "limpet";
    int code = nl_open(&n, NETLINK_ROUTE, e);
    if (code == 0)
        code = netns_busy(&n, w, e);
    if (code == 0)
        code = netns_find(&n, w, &i, e);
    if (code == 0)
        code = netns_fill(&n, w, &i, out, e);
    if (code < 0) {
        nl_close(&n);
        return code;
    }
    (void)snprintf(alias, sizeof(alias), "container %.12s", w->id);
    if (w->after != 0)
        (void)snprintf(tap, sizeof(tap), "limpet%d", i.index);
    const struct link_port p = {.name = tap, .alias = alias, .mtu = i.mtu};
    out->fd = link_add_tap(&n, &p, e);
    code = out->fd < 0 ? out->fd : netns_redirect(&n, w, &i, p.name, e);
    if (code == 0 && link_find_next(&n, i.index, &more) == 0)
        code = i.index;
    nl_close(&n);
    return code;
}

int netns_attach(const struct netns_want *w, struct net_iface *out,
                 struct err *e)
{
    AUTO_CLOSE int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return err_set(e, -errno, "/proc/self/ns/net: %s", strerror(errno));
    AUTO_CLOSE int other = netns_open(w->path, e);
    if (other < 0)
        return other;
    int code = netns_check(own, other, w->path, e);
    if (code < 0)
        return code;
    if (setns(other, CLONE_NEWNET) < 0)
        return err_set(e, -errno, "--network netns:%s: %s (needs root)",
                       w->path, strerror(errno));
    code = netns_make(w, out, e);
    if (setns(own, CLONE_NEWNET) < 0)
        return err_set(e, -ESTALE, "the host's network namespace: %s",
                       strerror(errno));
    return code;
}

/* ---- the guard ---- */

static bool guard_has(struct nl *n, int index)
{
    const struct ifinfomsg h = {.ifi_index = index};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_GETLINK, NLM_F_ACK, &h, sizeof(h));
    return nl_talk(n, &m) == 0;
}

int netns_guard(int tap, int link)
{
    static char in[NETNS_NEWS];
    const struct sockaddr_nl a = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK};
    struct nl news;
    struct nl n;
    if (nl_open(&news, NETLINK_ROUTE, NULL) < 0 ||
        nl_open(&n, NETLINK_ROUTE, NULL) < 0 ||
        bind(news.fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
        return 1;
    /* Heard first, then looked: nothing is missed. */
    while (guard_has(&n, tap)) {
        struct pollfd p = {.fd = news.fd, .events = POLLIN};
        (void)poll(&p, 1, -1);
        while (recv(news.fd, in, sizeof(in), MSG_DONTWAIT) > 0)
            continue;
    }
    redirect_remove(&n, link);
    return 0;
}
