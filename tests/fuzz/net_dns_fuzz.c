// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a query from a VM, and as a server's answer to one. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dnsmsg.h"
#include "net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was asked, our answer is one to it, and no longer than it may be. */
static void fuzz_reply(const uint8_t *m, const struct dnsmsg_query *q)
{
    static uint8_t out[DNSMSG_UDP_MAX];
    struct dnsmsg_reply r = {.data = out};
    struct net_addr a;
    dnsmsg_start(&r, m, q, DNSMSG_OK, q->udp_size);
    if (dnsmsg_reverse(q->name, &a) < 0)
        a = (struct net_addr){.v6 = q->type == DNSMSG_AAAA};
    for (unsigned i = 0; i < 200; i++)
        dnsmsg_add_addr(&r, &a);
    dnsmsg_add_ptr(&r, q->name);
    dnsmsg_end(&r);
    if (r.size > q->udp_size || !dnsmsg_answers(out, r.size, m, q->question))
        abort();
    if (dnsmsg_truncate(out, q->question) > r.size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t asked[] = "\0\0\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1";
    struct dnsmsg_query q;
    uint8_t *m = malloc(size + 1); /* so that ASan sees the end */
    if (m == NULL)
        return 0;
    memcpy(m, data, size);
    if (dnsmsg_parse(m, size, &q) == 0) {
        if (q.question > size || strlen(q.name) >= sizeof(q.name))
            abort();
        fuzz_reply(m, &q);
    }
    if (dnsmsg_answers(m, size, asked, sizeof(asked) - 1) &&
        size < DNSMSG_HEADER)
        abort();
    free(m);
    return 0;
}
