// SPDX-License-Identifier: Apache-2.0
#include "net/forward.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "net/filter.h"
#include "net/link.h"
#include "net/store.h"

static const char *const forward_files[] = {"routed4", "routed6"};
static const char *const forward_names[] = {"net.ipv4.ip_forward",
                                            "net.ipv6.conf.all.forwarding"};
static const uint8_t forward_family[] = {NFPROTO_IPV4, NFPROTO_IPV6};

enum { FORWARD_MARK = 96 };

/* Who switched it on is only true of this boot and this namespace. */
static int forward_mark(const struct store *s, char out[FORWARD_MARK])
{
    AUTO_FREE char *boot = NULL;
    size_t size;
    int code = path_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot,
                         &size, NULL);
    (void)snprintf(out, FORWARD_MARK, "%.36s %llu",
                   code == 0 ? boot : "unknown", (unsigned long long)s->ns);
    return code;
}

static bool forward_was_us(const struct store *s, int which)
{
    char mark[FORWARD_MARK];
    AUTO_FREE char *text = NULL;
    size_t size;
    return forward_mark(s, mark) == 0 &&
           path_read(s->dir, forward_files[which], FORWARD_MARK, &text, &size,
                     NULL) == 0 &&
           strcmp(text, mark) == 0;
}

/* A router takes no addresses from other routers, unless told to (Linux,
 * ip-sysctl: accept_ra): the host must keep its own. */
static void forward_keep_ra(void)
{
    DIR *d = opendir("/proc/sys/net/ipv6/conf");
    const struct dirent *de;
    while (d != NULL && (de = readdir(d)) != NULL)
        if (de->d_name[0] != '.' && strcmp(de->d_name, "default") != 0 &&
            link_sysctl_get("ipv6/conf", de->d_name, "accept_ra") == 1)
            (void)link_sysctl("ipv6/conf", de->d_name, "accept_ra", "2");
    if (d != NULL)
        (void)closedir(d);
}

static int forward_set(int which)
{
    if (which == 0)
        return link_sysctl("ipv4", NULL, "ip_forward", "1");
    forward_keep_ra();
    return link_sysctl("ipv6/conf", "all", "forwarding", "1");
}

static int forward_one(struct store *s, struct nl *filter, int which,
                       struct err *e)
{
    int now = which == 0 ? link_sysctl_get("ipv4", NULL, "ip_forward")
                         : link_sysctl_get("ipv6/conf", "all", "forwarding");
    char mark[FORWARD_MARK];
    if (now != 0)
        return 0; /* or there is no such protocol */
    (void)forward_mark(s, mark);
    int code =
        path_replace(s->dir, forward_files[which], mark, strlen(mark), 0, e);
    if (code == 0)
        code = filter_stop_routing(filter, forward_family[which], e);
    if (code < 0)
        return code;
    code = forward_set(which);
    return code < 0 ? err_set(e, code,
                              "routing is off and cannot be switched on (%s): "
                              "sysctl -w %s=1",
                              strerror(-code), forward_names[which])
                    : 0;
}

int forward_enable(struct store *s, struct nl *filter, bool v6, struct err *e)
{
    int code = forward_one(s, filter, 0, e);
    return code < 0 || !v6 ? code : forward_one(s, filter, 1, e);
}

static void forward_unset(struct store *s, int which)
{
    int code = which == 0 ? link_sysctl("ipv4", NULL, "ip_forward", "0")
                          : link_sysctl("ipv6/conf", "all", "forwarding", "0");
    if (code < 0) {
        log_warn("%s stays on: %s", forward_names[which], strerror(-code));
        return;
    }
    (void)unlinkat(s->dir, forward_files[which], 0);
    log_warn("%s is off again, as it was before limpet's first network",
             forward_names[which]);
}

void forward_disable(struct store *s, struct nl *route)
{
    struct link_info other;
    for (int i = 0; i < 2; i++) {
        if (!forward_was_us(s, i))
            continue;
        if (link_has_inner(route, &other))
            log_warn("%s stays on, which limpet switched on: %s may need it; "
                     "if not, sysctl -w %s=0",
                     forward_names[i], other.name, forward_names[i]);
        else
            forward_unset(s, i);
    }
}

int forward_restore(struct store *s, struct nl *filter, struct err *e)
{
    int code = 0;
    for (int i = 0; i < 2 && code == 0; i++)
        if (forward_was_us(s, i))
            code = filter_stop_routing(filter, forward_family[i], e);
    return code;
}
