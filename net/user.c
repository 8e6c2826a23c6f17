// SPDX-License-Identifier: Apache-2.0
#include "net/user.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/gate.h"
#include "net/link.h"
#include "net/nl.h"
#include "net/plan.h"
#include "net/resolv.h"
#include "net/run.h"

enum { USER_WORD_SIZE = 80, USER_WORDS_FIXED = 48 };

static int user_find(struct run_path *passt, struct err *e)
{
    if (run_find("passt", passt) < 0)
        return err_set(e, -ENOENT,
                       "passt is not installed (apt-get install passt)");
    return 0;
}

static int user_host(struct link_plan *host, struct err *e)
{
    struct nl n;
    int code = nl_open(&n, NETLINK_ROUTE, e);
    if (code == 0)
        code = link_read_plan(&n, 0, host, e);
    nl_close(&n);
    if (code == 0 && !host->default4 && !host->default6)
        code = err_set(e, -ENONET,
                       "this host has no default route, and passt needs one: "
                       "ip route add default via ROUTER");
    return code;
}

int user_possible(struct err *e)
{
    struct run_path passt;
    struct link_plan host = {0};
    int code = user_find(&passt, e);
    return code < 0 ? code : user_host(&host, e);
}

/* ---- addresses ---- */

static struct net_addr *iface_find(struct net_iface *i, bool v6)
{
    for (unsigned k = 0; k < i->addr_count; k++)
        if (i->addr[k].v6 == v6)
            return &i->addr[k];
    return NULL;
}

/* One address of each family: passt knows no more. */
static int user_address(const struct net_iface *said,
                        const struct link_plan *host, struct net_iface *out,
                        bool v6, struct err *e)
{
    const struct net_addr *a = NULL;
    for (unsigned k = 0; k < said->addr_count; k++) {
        if (said->addr[k].v6 != v6)
            continue;
        if (a != NULL)
            return err_set(e, -EINVAL,
                           "--network user: one address of each family");
        a = &said->addr[k];
    }
    for (unsigned k = 0; k < host->addr_count && a == NULL; k++)
        if (host->addr[k].v6 == v6)
            a = &host->addr[k];
    if (a != NULL)
        out->addr[out->addr_count++] = *a;
    return 0;
}

/* Where no router was said, and the host's is none of the guest's neighbours,
 * any address of its subnet will do: passt answers for all of them. */
static bool user_pick_gateway(const struct net_addr *own,
                              const struct net_addr *host, bool has_host,
                              struct net_addr *out)
{
    bool link_local = has_host && host->v6 && host->b[0] == 0xfe;
    if (has_host && (link_local || plan_contains(own, host))) {
        *out = *host;
        return true;
    }
    for (uint32_t k = 1; k < 3; k++)
        if (plan_host(own, k, out) && !plan_equal(out, own)) {
            out->prefix = own->v6 ? 128 : 32;
            return true;
        }
    return false;
}

static int user_gateway(const struct net_iface *said,
                        const struct link_plan *host, struct net_iface *out,
                        bool v6, struct err *e)
{
    struct net_addr *own = iface_find(out, v6);
    bool *has = v6 ? &out->has_gateway6 : &out->has_gateway4;
    struct net_addr *gateway = v6 ? &out->gateway6 : &out->gateway4;
    if (own == NULL)
        return 0;
    /* An address alone (of a cloud, or said so) has no neighbours; the guest
     * needs one. */
    uint8_t most = v6 ? 64 : 30;
    own->prefix = own->prefix < most ? own->prefix : most;
    *has = v6 ? said->has_gateway6 : said->has_gateway4;
    if (*has) {
        *gateway = v6 ? said->gateway6 : said->gateway4;
        return 0;
    }
    *has = user_pick_gateway(own, v6 ? &host->gateway6 : &host->gateway4,
                             v6 ? host->has_gateway6 : host->has_gateway4,
                             gateway);
    return *has ? 0
                : err_set(e, -EINVAL,
                          "--network user: no address is left for the "
                          "router: say --gateway");
}

static int user_plan(const struct user_want *w, struct net_iface *out,
                     struct err *e)
{
    struct link_plan host = {0};
    int code = user_host(&host, e);
    if (code < 0)
        return err_wrap(e, "--network user");
    for (int v6 = 0; v6 < 2 && code == 0; v6++) {
        if (v6 == 0 ? !host.default4 : !host.default6)
            continue;
        code = user_address(w->said, &host, out, v6 != 0, e);
        if (code == 0)
            code = user_gateway(w->said, &host, out, v6 != 0, e);
    }
    if (code == 0 && out->addr_count == 0)
        code = err_set(e, -EADDRNOTAVAIL,
                       "--network user: the interface of the default route "
                       "has no address: say --ip");
    out->mtu =
        w->said->mtu != 0 && w->said->mtu < USER_MTU ? w->said->mtu : USER_MTU;
    out->frames = NET_FRAMES_STREAM;
    out->dns_count = resolv_host_servers(out->dns);
    for (unsigned i = 0; i < out->dns_count; i++)
        out->dns[i].prefix = out->dns[i].v6 ? 128 : 32;
    return code;
}

/* ---- ports ---- */

/* passt goes on without a port that it cannot have: so we look first. */
static int user_probe_ports(struct port_list *ports, struct err *e)
{
    int code = 0;
    for (unsigned i = 0; i < ports->count && code == 0; i++) {
        int fds[2] = {-1, -1};
        code = port_take(&ports->port[i], fds, e);
        for (int k = 0; k < 2; k++)
            if (fds[k] >= 0)
                (void)close(fds[k]);
    }
    return code;
}

/* ---- the command line of passt ---- */

struct user_words {
    const char **argv; /* owned */
    char (*text)[USER_WORD_SIZE];
    size_t count, text_count;
};

static void word_add(struct user_words *w, const char *word)
{
    w->argv[w->count++] = word;
}

/* A word to be written. */
static char *word_text(struct user_words *w)
{
    char *text = w->text[w->text_count++];
    word_add(w, text);
    return text;
}

static char *word_new(struct user_words *w, const char *option)
{
    word_add(w, option);
    return word_text(w);
}

static void words_family(struct user_words *w, const struct net_addr *a,
                         bool has_gateway, const struct net_addr *gateway)
{
    net_addr_text(a, false, word_new(w, "--address"));
    if (!a->v6)
        (void)snprintf(word_new(w, "--netmask"), USER_WORD_SIZE, "%u",
                       a->prefix);
    if (has_gateway)
        net_addr_text(gateway, false, word_new(w, "--gateway"));
}

static void words_port(struct user_words *w, const struct port *p)
{
    char at[NET_ADDR_TEXT_SIZE] = "";
    if (!p->any)
        net_addr_text(&p->at, false, at);
    (void)snprintf(word_new(w, p->udp ? "--udp-ports" : "--tcp-ports"),
                   USER_WORD_SIZE, "%s%s%u:%u", at, p->any ? "" : "/", p->host,
                   p->guest);
}

static void words_passt(struct user_words *w, const struct net_iface *i,
                        const struct port_list *ports)
{
    /* No DHCP and no advertisements: the guest knows its addresses. */
    static const char *const fixed[] = {
        "--foreground", "--quiet",         "--fd",        "3",
        "--pid",        "/proc/self/fd/1", "--no-map-gw", "--no-dhcp",
        "--no-ra",      "--no-dhcpv6",     "--dns",       "none"};
    static const char *const none[] = {"--tcp-ports", "--udp-ports"};
    for (size_t k = 0; k < ARRAY_COUNT(fixed); k++)
        word_add(w, fixed[k]);
    bool has[2] = {false, false};
    for (unsigned k = 0; k < i->addr_count; k++) {
        const struct net_addr *a = &i->addr[k];
        has[a->v6] = true;
        words_family(w, a, a->v6 ? i->has_gateway6 : i->has_gateway4,
                     a->v6 ? &i->gateway6 : &i->gateway4);
    }
    if (!has[1] || !has[0])
        word_add(w, has[0] ? "--ipv4-only" : "--ipv6-only");
    (void)snprintf(word_new(w, "--mtu"), USER_WORD_SIZE, "%u", i->mtu);
    bool used[2] = {false, false};
    for (unsigned k = 0; k < ports->count; k++) {
        words_port(w, &ports->port[k]);
        used[ports->port[k].udp] = true;
    }
    /* Said, so that TCP's are not forwarded for UDP too. */
    for (int k = 0; k < 2; k++)
        if (!used[k])
            (void)snprintf(word_new(w, none[k]), USER_WORD_SIZE, "none");
}

static void words_free(struct user_words *w)
{
    free(w->argv);
    free(w->text);
}

/* ---- processes ---- */

/* Everything of the one command line: the gate's, then passt's. */
static int user_words(const struct user_want *w, const struct net_iface *i,
                      const char *passt, struct user_words *words,
                      struct err *e)
{
    words->argv =
        calloc(USER_WORDS_FIXED + GATE_RANGES_MAX + 2 * (size_t)w->ports->count,
               sizeof(*words->argv));
    words->text =
        calloc(USER_WORDS_FIXED + GATE_RANGES_MAX + (size_t)w->ports->count,
               sizeof(*words->text));
    if (words->argv == NULL || words->text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    if (w->egress_count > GATE_RANGES_MAX)
        return err_set(e, -E2BIG, "more than %d --egress", GATE_RANGES_MAX);
    word_add(words, "limpet-net");
    word_add(words, "gate");
    word_add(words, w->limited ? "limited" : "open");
    for (unsigned k = 0; k < w->egress_count; k++)
        net_addr_text(&w->egress[k], true, word_text(words));
    word_add(words, "--");
    word_add(words, passt);
    words_passt(words, i, w->ports);
    return 0;
}

/* fds[0]: the VM's end at the gate; [1], [2]: the gate's and passt's. */
static int user_spawn(const struct user_want *w, const struct net_iface *i,
                      const int fds[3], struct user_start *start, struct err *e)
{
    char path[PATH_MAX];
    struct run_path passt;
    struct user_words words = {0};
    int ready[2];
    if (user_find(&passt, e) < 0)
        return e->code;
    (void)snprintf(path, sizeof(path), "%s/limpet-net", w->libexec);
    if (access(path, X_OK) < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    AUTO_CLOSE int said = run_memory(NULL, e);
    if (said < 0)
        return said;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    AUTO_CLOSE int reader = ready[0];
    AUTO_CLOSE int writer = ready[1];
    (void)fchmod(writer, 0622); /* root's passt opens it as nobody */
    const int all[] = {-1, writer, said, fds[0], fds[1], fds[2]};
    int code = user_words(w, i, passt.text, &words, e);
    if (code == 0)
        code = run_start(path, words.argv, all, ARRAY_COUNT(all), true, e);
    words_free(&words);
    if (code < 0)
        return code;
    *start = (struct user_start){
        .going = true, .ready = fd_release(&reader), .said = fd_release(&said)};
    return 0;
}

int user_attach(const struct user_want *w, struct net_iface *out,
                struct user_start *start, struct err *e)
{
    int vm[2];
    int net[2];
    int code = user_plan(w, out, e);
    if (code == 0)
        code = user_probe_ports(w->ports, e);
    if (code < 0)
        return code;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, vm) < 0)
        return err_set(e, -errno, "socketpair: %s", strerror(errno));
    out->fd = vm[0];
    AUTO_CLOSE int gate_vm = vm[1];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, net) < 0)
        return err_set(e, -errno, "socketpair: %s", strerror(errno));
    AUTO_CLOSE int gate_net = net[0];
    AUTO_CLOSE int passt = net[1];
    const int fds[] = {gate_vm, gate_net, passt};
    return user_spawn(w, out, fds, start, e);
}

int user_wait(struct user_start *start, struct err *e)
{
    char text[256];
    ssize_t n;
    if (!start->going)
        return 0;
    do
        n = read(start->ready, text, sizeof(text));
    while (n < 0 && errno == EINTR);
    AUTO_CLOSE int ready = start->ready;
    AUTO_CLOSE int said = start->said;
    *start = (struct user_start){0};
    if (n > 0 && ready >= 0)
        return 0;
    run_last_line(said, text, sizeof(text));
    return err_set(e, -EIO, "--network user: passt: %s", text);
}
