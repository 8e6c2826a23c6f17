// SPDX-License-Identifier: Apache-2.0
#include "supervisor/network_names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/resolv.h"
#include "supervisor/network.h"

enum { NAMES_LINE = 256, NAMES_HOST_MAX = 253 };

/* ---- flags ---- */

int network_add_dns(struct network_options *o, const char *text, struct err *e)
{
    struct net_addr a;
    if (strchr(text, '/') != NULL || net_addr_parse(text, &a) < 0)
        return err_set(e, -EINVAL,
                       "invalid argument \"%.64s\" for \"--dns\" flag: %.64s "
                       "is not an ip address",
                       text, text);
    if (o->dns_count == NET_DNS_MAX)
        return err_set(e, -E2BIG, "--dns: more than %d", NET_DNS_MAX);
    o->dns[o->dns_count++] = a;
    return 0;
}

/* Nothing that could begin another line or word of a file. */
static bool names_is_word(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isgraph((unsigned char)text[i]))
            return false;
    return size > 0 && size <= NAMES_HOST_MAX;
}

int network_add_search(struct network_options *o, const char *text,
                       struct err *e)
{
    if (!names_is_word(text, strlen(text)))
        return err_set(e, -EINVAL,
                       "invalid argument \"%.64s\" for \"--dns-search\" flag: "
                       "%.64s is not a valid domain",
                       text, text);
    if (o->search_count == NETWORK_SEARCH_MAX)
        return err_set(e, -E2BIG, "--dns-search: more than %d",
                       NETWORK_SEARCH_MAX);
    o->search[o->search_count++] = text;
    return 0;
}

int network_add_dns_option(struct network_options *o, const char *text,
                           struct err *e)
{
    if (!names_is_word(text, strlen(text)))
        return err_set(e, -EINVAL,
                       "--dns-option \"%.64s\": must be one word, "
                       "resolv.conf(5)",
                       text);
    if (o->dns_option_count == NETWORK_SEARCH_MAX)
        return err_set(e, -E2BIG, "--dns-option: more than %d",
                       NETWORK_SEARCH_MAX);
    o->dns_option[o->dns_option_count++] = text;
    return 0;
}

/* "[fd00::1]" as well as "fd00::1". */
static int names_address(const char *text, struct net_addr *out)
{
    char plain[NET_ADDR_TEXT_SIZE];
    size_t n = strlen(text);
    bool bracket = n > 2 && text[0] == '[' && text[n - 1] == ']';
    if (n >= sizeof(plain) || strchr(text, '/') != NULL)
        return -EINVAL;
    (void)snprintf(plain, sizeof(plain), "%.*s", (int)(bracket ? n - 2 : n),
                   text + bracket);
    return net_addr_parse(plain, out);
}

int network_add_host(struct network_options *o, const char *text, struct err *e)
{
    size_t n = strcspn(text, "=");
    if (text[n] == '\0')
        n = strcspn(text, ":");
    if (text[n] == '\0' || !names_is_word(text, n) ||
        memchr(text, '#', n) != NULL)
        return err_set(e, -EINVAL,
                       "invalid argument \"%.64s\" for \"--add-host\" flag: "
                       "bad format for add-host: \"%.64s\"",
                       text, text);
    if (strcmp(text + n + 1, "host-gateway") == 0)
        return err_set(e, -EINVAL,
                       "--add-host %.64s: a container cannot reach its host: "
                       "name an address that it can",
                       text);
    if (o->host_count == NETWORK_HOSTS_MAX)
        return err_set(e, -E2BIG, "--add-host: more than %d",
                       NETWORK_HOSTS_MAX);
    struct network_host *h = &o->host[o->host_count];
    if (names_address(text + n + 1, &h->addr) < 0)
        return err_set(e, -EINVAL,
                       "invalid argument \"%.64s\" for \"--add-host\" flag: "
                       "invalid IP address in add-host: \"%.64s\"",
                       text, text + n + 1);
    h->name = text;
    h->name_size = (int)n;
    o->host_count++;
    return 0;
}

/* ---- /etc/hosts ---- */

/* The container's name is its first address, hosts(5). */
void network_write_hosts(const struct network *n,
                         const struct network_options *o, const char *hostname,
                         struct buf *b)
{
    char addr[NET_ADDR_TEXT_SIZE];
    bool own = false;
    buf_printf(b, "127.0.0.1\tlocalhost\n"
                  "::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (unsigned i = 0; i < o->host_count; i++) {
        net_addr_text(&o->host[i].addr, false, addr);
        buf_printf(b, "%s\t%.*s\n", addr, o->host[i].name_size,
                   o->host[i].name);
    }
    for (unsigned i = 0; i < n->count; i++) {
        for (unsigned k = 0; k < n->iface[i].addr_count; k++) {
            net_addr_text(&n->iface[i].addr[k], false, addr);
            buf_printf(b, "%s\t%s\n", addr, hostname);
            own = true;
        }
    }
    if (!own)
        buf_printf(b, "127.0.1.1\t%s\n", hostname);
}

/* ---- /etc/resolv.conf ---- */

/* Whose are they: our resolver's wherever there is one, for it knows all. */
static unsigned resolv_write_servers(const struct network *n,
                                     const struct network_options *o,
                                     bool resolver, struct buf *b)
{
    char addr[NET_ADDR_TEXT_SIZE];
    unsigned count = 0;
    bool said = !resolver && o->dns_count > 0;
    for (unsigned i = 0; said && i < o->dns_count; i++, count++) {
        net_addr_text(&o->dns[i], false, addr);
        buf_printf(b, "nameserver %s\n", addr);
    }
    for (unsigned i = 0; !said && i < n->count; i++) {
        const struct net_iface *f = &n->iface[i];
        for (unsigned k = 0; f->resolver == resolver && k < f->dns_count;
             k++, count++) {
            net_addr_text(&f->dns[k], false, addr);
            buf_printf(b, "nameserver %s\n", addr);
        }
    }
    return count;
}

static void resolv_write_search(const struct network_options *o, bool host,
                                struct buf *b)
{
    char line[NAMES_LINE] = "";
    if (o->search_count == 0 && host)
        resolv_host_line("search", line, sizeof(line));
    if (line[0] != '\0')
        buf_printf(b, "search %s\n", line);
    if (o->search_count == 0 ||
        (o->search_count == 1 && strcmp(o->search[0], ".") == 0))
        return;
    buf_printf(b, "search");
    for (unsigned i = 0; i < o->search_count; i++)
        buf_printf(b, " %s", o->search[i]);
    buf_printf(b, "\n");
}

/* With our resolver a name without a dot is a container's first: ndots:0, as
 * docker has it. */
static void resolv_write_options(const struct network_options *o, bool host,
                                 bool resolver, struct buf *b)
{
    char line[NAMES_LINE] = "";
    if (o->dns_option_count == 0 && host)
        resolv_host_line("options", line, sizeof(line));
    bool ndots = strstr(line, "ndots:") != NULL;
    for (unsigned i = 0; i < o->dns_option_count; i++)
        ndots = ndots || strncmp(o->dns_option[i], "ndots:", 6) == 0;
    bool add = resolver && !ndots;
    if (line[0] == '\0' && o->dns_option_count == 0 && !add)
        return;
    buf_printf(b, "options");
    if (line[0] != '\0')
        buf_printf(b, " %s", line);
    for (unsigned i = 0; i < o->dns_option_count; i++)
        buf_printf(b, " %s", o->dns_option[i]);
    buf_printf(b, add ? " ndots:0\n" : "\n");
}

void network_write_resolv(const struct network *n,
                          const struct network_options *o, struct buf *b)
{
    bool resolver = false;
    for (unsigned i = 0; i < n->count; i++)
        resolver = resolver || n->iface[i].resolver;
    unsigned count = resolv_write_servers(n, o, resolver, b);
    if (count == 0)
        buf_printf(b, "# limpet: no servers\n");
    resolv_write_search(o, count > 0, b);
    resolv_write_options(o, count > 0, resolver, b);
}
