// SPDX-License-Identifier: Apache-2.0
#include "net/port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "net/plan.h"

enum { PORT_BACKLOG = 128, PORT_TEXT_SIZE = 96 };

void port_list_fini(struct port_list *l)
{
    free(l->port);
    *l = (struct port_list){0};
}

int port_add(struct port_list *l, const struct port *p, struct err *e)
{
    if (l->count == PORT_MAX)
        return err_set(e, -E2BIG, "more than %d published ports", PORT_MAX);
    struct port *more = reallocarray(l->port, l->count + 1, sizeof(*l->port));
    if (more == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    l->port = more;
    l->port[l->count++] = *p;
    return 0;
}

bool port_is_loopback(const struct port *p)
{
    static const uint8_t one[16] = {[15] = 1};
    return !p->any &&
           (p->at.v6 ? memcmp(p->at.b, one, 16) == 0 : p->at.b[0] == 127);
}

/* ---- text ---- */

struct port_range {
    uint16_t first, last;
};

static int range_parse(const char *text, struct port_range *out)
{
    char part[16];
    uint64_t first;
    uint64_t last;
    const char *dash = strchr(text, '-');
    size_t n = dash != NULL ? (size_t)(dash - text) : strlen(text);
    if (n >= sizeof(part))
        return -EINVAL;
    memcpy(part, text, n);
    part[n] = '\0';
    if (parse_u64(part, 1, UINT16_MAX, &first) < 0)
        return -EINVAL;
    last = first;
    if (dash != NULL && parse_u64(dash + 1, first, UINT16_MAX, &last) < 0)
        return -EINVAL;
    *out = (struct port_range){(uint16_t)first, (uint16_t)last};
    return 0;
}

/* What is said, cut into its parts in place. */
struct port_said {
    char text[PORT_TEXT_SIZE];
    char *ip, *host, *guest; /* ip, host: "" if not said */
    bool udp;
};

/* "/tcp" or "/udp" at the end. */
static int said_protocol(struct port_said *s, struct err *e)
{
    char *slash = strchr(s->text, '/');
    if (slash == NULL)
        return 0;
    s->udp = strcmp(slash, "/udp") == 0;
    if (!s->udp && strcmp(slash, "/tcp") != 0)
        return err_set(e, -EINVAL,
                       "invalid proto: %.32s: tcp and udp can be "
                       "published",
                       slash + 1);
    *slash = '\0';
    return 0;
}

static int said_split(struct port_said *s, const char *text, struct err *e)
{
    if (strlen(text) >= sizeof(s->text))
        return err_set(e, -EINVAL, "invalid containerPort: %.96s", text);
    (void)snprintf(s->text, sizeof(s->text), "%s", text);
    if (said_protocol(s, e) < 0)
        return e->code;
    char *colon = strrchr(s->text, ':');
    s->guest = colon != NULL ? colon + 1 : s->text;
    if (colon == NULL)
        return 0;
    *colon = '\0';
    colon = strrchr(s->text, ':');
    s->host = colon != NULL ? colon + 1 : s->text;
    if (colon == NULL)
        return 0;
    *colon = '\0';
    s->ip = s->text;
    size_t n = strlen(s->ip);
    if (n >= 2 && s->ip[0] == '[' && s->ip[n - 1] == ']') {
        s->ip[n - 1] = '\0';
        s->ip++;
    }
    return 0;
}

static int said_address(const struct port_said *s, struct port *p,
                        struct err *e)
{
    static const uint8_t zero[16];
    p->any = true;
    if (s->ip[0] == '\0')
        return 0;
    if (strchr(s->ip, '/') != NULL || net_addr_parse(s->ip, &p->at) < 0)
        return err_set(e, -EINVAL, "invalid IP address: %.64s", s->ip);
    /* 0.0.0.0 and :: are docker's way to say every address of a family; both
     * families are then served. */
    p->any = memcmp(p->at.b, zero, p->at.v6 ? 16 : 4) == 0;
    return 0;
}

int port_parse(struct port_list *l, const char *text, struct err *e)
{
    static char none[] = "";
    struct port_said s = {.ip = none, .host = none, .guest = none};
    struct port p = {0};
    struct port_range guest;
    struct port_range host = {0, 0};
    if (said_split(&s, text, e) < 0 || said_address(&s, &p, e) < 0)
        return e->code;
    if (range_parse(s.guest, &guest) < 0)
        return err_set(e, -EINVAL, "invalid containerPort: %.64s", s.guest);
    if (s.host[0] != '\0' && range_parse(s.host, &host) < 0)
        return err_set(e, -EINVAL, "invalid hostPort: %.64s", s.host);
    if (host.first != 0 && host.last - host.first != guest.last - guest.first)
        return err_set(e, -EINVAL,
                       "invalid ranges specified for container "
                       "and host Ports: %.32s and %.32s",
                       s.guest, s.host);
    p.udp = s.udp;
    int code = 0;
    for (int i = 0; i <= guest.last - guest.first && code == 0; i++) {
        p.guest = (uint16_t)(guest.first + i);
        p.host = host.first != 0 ? (uint16_t)(host.first + i) : 0;
        code = port_add(l, &p, e);
    }
    return code;
}

int port_expose(struct port_list *l, const char *text, struct err *e)
{
    if (strchr(text, ':') != NULL)
        return err_set(e, -EINVAL, "invalid port: %.64s", text);
    return port_parse(l, text, e);
}

/* ---- JSON ---- */

json_t *port_list_json(const struct port_list *l)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < l->count; i++) {
        const struct port *p = &l->port[i];
        char at[NET_ADDR_TEXT_SIZE] = "";
        if (!p->any)
            net_addr_text(&p->at, false, at);
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:i, s:i, s:s}", "ip", at, "host", p->host,
                      "guest", p->guest, "protocol", p->udp ? "udp" : "tcp"));
    }
    return list;
}

int port_list_from_json(struct port_list *l, const json_t *array,
                        const char *where, struct err *e)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *o = json_array_get(array, i);
        const char *ip;
        const char *protocol;
        uint64_t host;
        uint64_t guest;
        if (json_get_str(o, "ip", where, &ip, e) < 0 ||
            json_get_str(o, "protocol", where, &protocol, e) < 0 ||
            json_get_u64(o, "host", where, UINT16_MAX, &host, e) < 0 ||
            json_get_u64(o, "guest", where, UINT16_MAX, &guest, e) < 0)
            return e->code;
        struct port p = {.any = ip[0] == '\0',
                         .udp = strcmp(protocol, "udp") == 0,
                         .host = (uint16_t)host,
                         .guest = (uint16_t)guest};
        if (!p.any && net_addr_parse(ip, &p.at) < 0)
            return err_set(e, -EINVAL, "%s: \"ip\" is no address", where);
        if (port_add(l, &p, e) < 0)
            return e->code;
    }
    return 0;
}

static void port_text(const struct port *p, const char *ip, struct buf *out)
{
    buf_printf(out, "%s%s:%u->%u/%s", out->size > 0 ? ", " : "", ip, p->host,
               p->guest, p->udp ? "udp" : "tcp");
}

char *port_list_text(const struct port_list *l)
{
    struct buf b = {0};
    buf_printf(&b, "%s", "");
    for (unsigned i = 0; i < l->count; i++) {
        const struct port *p = &l->port[i];
        char at[NET_ADDR_TEXT_SIZE];
        char ip[NET_ADDR_TEXT_SIZE + 2];
        if (p->any) {
            port_text(p, "0.0.0.0", &b);
            port_text(p, "[::]", &b);
            continue;
        }
        net_addr_text(&p->at, false, at);
        (void)snprintf(ip, sizeof(ip), p->at.v6 ? "[%s]" : "%s", at);
        port_text(p, ip, &b);
    }
    return b.data;
}

/* ---- sockets ---- */

static int port_bind(const struct port *p, bool v6, uint16_t number)
{
    const int on = 1;
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(number)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(number)};
    if (!p->any && v6)
        memcpy(&a6.sin6_addr, p->at.b, 16);
    else if (!p->any)
        memcpy(&a4.sin_addr, p->at.b, 4);
    AUTO_CLOSE int fd =
        socket(v6 ? AF_INET6 : AF_INET,
               (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (v6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (!p->udp) /* as every server, for ports just left */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const struct sockaddr *a =
        v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
    if (bind(fd, a, v6 ? sizeof(a6) : sizeof(a4)) < 0)
        return -errno;
    if (!p->udp && listen(fd, PORT_BACKLOG) < 0)
        return -errno;
    return fd_release(&fd);
}

/* The number that bind(2) chose. */
static uint16_t port_number(int fd)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof(a);
    uint16_t port = 0;
    if (getsockname(fd, (struct sockaddr *)&a, &size) == 0)
        memcpy(&port, (char *)&a + offsetof(struct sockaddr_in, sin_port), 2);
    return ntohs(port);
}

bool port_overlaps(const struct port *a, const struct port *b)
{
    return a->udp == b->udp && a->host == b->host && a->host != 0 &&
           (a->any || b->any || plan_equal(&a->at, &b->at));
}

int port_refused(const struct port *p, int code, struct err *e)
{
    char at[NET_ADDR_TEXT_SIZE] = "0.0.0.0";
    if (!p->any)
        net_addr_text(&p->at, false, at);
    if (code == -EADDRINUSE)
        return err_set(e, code,
                       "Bind for %s:%u failed: port is already allocated "
                       "(ss -lnp 'sport = :%u' shows by whom)",
                       at, p->host, p->host);
    if (code == -EACCES)
        return err_set(e, code,
                       "port %u: an ordinary user may not take it: choose "
                       "one from %s on (net.ipv4.ip_unprivileged_port_start)",
                       p->host, "1024");
    if (code == -EADDRNOTAVAIL)
        return err_set(e, code, "port %s:%u: this host has no such address", at,
                       p->host);
    return err_set(e, code, "port %s:%u: %s", at, p->host, strerror(-code));
}

int port_take(struct port *p, int fds[2], struct err *e)
{
    bool families[2] = {p->any || !p->at.v6, p->any || p->at.v6};
    uint16_t number = p->host;
    int code = 0;
    fds[0] = -1;
    fds[1] = -1;
    for (int i = 0; i < 2 && code >= 0; i++) {
        if (!families[i])
            continue;
        code = port_bind(p, i == 1, number);
        if (code >= 0) {
            fds[i] = code;
            number = number != 0 ? number : port_number(code);
        } else if (i == 1 && p->any && code == -EAFNOSUPPORT) {
            code = 0; /* a host without IPv6 */
        }
    }
    if (code >= 0) {
        p->host = number;
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
        fds[i] = -1;
    }
    return port_refused(p, code, e);
}
