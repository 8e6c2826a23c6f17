// SPDX-License-Identifier: Apache-2.0
#include "net/redirect.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/nl.h"

/* Our filter's priority tells it from others': "LP". */
enum { REDIRECT_PRIORITY = 0x4c50 };

static struct tcmsg redirect_ingress(int index)
{
    return (struct tcmsg){.tcm_ifindex = index,
                          .tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0),
                          .tcm_parent = TC_H_INGRESS};
}

/* ---- what is there ---- */

struct redirect_reader {
    struct nl_reader r; /* first */
    unsigned ours, others;
};

static void redirect_take(struct nl_reader *r, uint16_t type,
                          const uint8_t *data, size_t size)
{
    struct redirect_reader *x = (struct redirect_reader *)r;
    struct tcmsg h;
    if (type != RTM_NEWTFILTER || size < sizeof(h))
        return;
    memcpy(&h, data, sizeof(h));
    bool ours = TC_H_MAJ(h.tcm_info) >> 16 == REDIRECT_PRIORITY;
    x->ours += ours;
    x->others += !ours;
}

/* An ingress qdisc with our filters and none else. */
static bool redirect_is_ours(struct nl *n, int index)
{
    const struct tcmsg h = {.tcm_ifindex = index,
                            .tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0)};
    struct redirect_reader x = {.r = {redirect_take}};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_GETTFILTER, NLM_F_DUMP, &h, sizeof(h));
    return nl_dump(n, &m, &x.r) == 0 && x.ours > 0 && x.others == 0;
}

/* ---- making ---- */

static int redirect_qdisc(struct nl *n, int index)
{
    const struct tcmsg h = redirect_ingress(index);
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &h,
             sizeof(h));
    nl_put_str(&m, TCA_KIND, "ingress");
    return nl_talk(n, &m);
}

/* u32, because it is older than matchall: a key that masks everything away. */
static int redirect_filter(struct nl *n, int from, int to)
{
    const struct tcmsg h = {
        .tcm_ifindex = from,
        .tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0),
        .tcm_info =
            TC_H_MAKE((unsigned)REDIRECT_PRIORITY << 16, htons(ETH_P_ALL))};
    union {
        struct tc_u32_sel sel;
        uint8_t space[sizeof(struct tc_u32_sel) + sizeof(struct tc_u32_key)];
    } key = {.sel = {.flags = TC_U32_TERMINAL, .nkeys = 1}};
    const struct tc_mirred parms = {.action = TC_ACT_STOLEN,
                                    .eaction = TCA_EGRESS_REDIR,
                                    .ifindex = (uint32_t)to};
    struct nl_msg m = {0};
    nl_begin(n, &m, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &h,
             sizeof(h));
    nl_put_str(&m, TCA_KIND, "u32");
    size_t options = nl_nest(&m, TCA_OPTIONS);
    nl_put(&m, TCA_U32_SEL, key.space, sizeof(key.space));
    size_t actions = nl_nest(&m, TCA_U32_ACT);
    size_t first = nl_nest(&m, 1);
    nl_put_str(&m, TCA_ACT_KIND, "mirred");
    size_t act = nl_nest(&m, TCA_ACT_OPTIONS);
    nl_put(&m, TCA_MIRRED_PARMS, &parms, sizeof(parms));
    nl_nest_end(&m, act);
    nl_nest_end(&m, first);
    nl_nest_end(&m, actions);
    nl_nest_end(&m, options);
    return nl_talk(n, &m);
}

int redirect_add(struct nl *n, int from, int to, struct err *e)
{
    int code = redirect_qdisc(n, from);
    if (code == -EEXIST && redirect_is_ours(n, from)) {
        redirect_remove(n, from);
        code = redirect_qdisc(n, from);
    }
    if (code == -EEXIST)
        return code;
    if (code == 0)
        code = redirect_filter(n, from, to);
    if (code == -ENOENT || code == -EOPNOTSUPP)
        return err_set(e, code,
                       "this kernel lacks tc redirection "
                       "(CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32, "
                       "CONFIG_NET_ACT_MIRRED): modprobe sch_ingress cls_u32 "
                       "act_mirred");
    return code < 0 ? err_set(e, code, "tc redirection: %s", strerror(-code))
                    : 0;
}

void redirect_remove(struct nl *n, int from)
{
    const struct tcmsg h = redirect_ingress(from);
    struct nl_msg m = {0};
    if (!redirect_is_ours(n, from))
        return;
    nl_begin(n, &m, RTM_DELQDISC, NLM_F_ACK, &h, sizeof(h));
    (void)nl_talk(n, &m);
}
