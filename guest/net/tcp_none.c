// SPDX-License-Identifier: Apache-2.0
/* In the place of TCP until it is there. */
#include "abi/linux/errno.h"
#include "abi/linux/inet.h"

#include "guest/net/icmp.h"
#include "guest/net/inet.h"

const struct ip_protocol tcp_protocol = {
    .number = LX_IPPROTO_TCP,
    .input = icmp_protocol_unreachable,
};

int tcp_create(uint16_t family, int protocol, struct socket **out)
{
    (void)family, (void)protocol, (void)out;
    return -EPROTONOSUPPORT;
}

int tcp_init(void)
{
    return 0;
}
