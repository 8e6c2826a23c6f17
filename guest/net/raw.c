// SPDX-License-Identifier: Apache-2.0
/* Ping sockets and raw ones. */
#include "guest/net/raw.h"

#include "abi/linux/errno.h"

#include "guest/net/inet.h"
#include "guest/net/ip_impl.h"

void ping_input(struct packet *p)
{
    packet_free(p);
}

void ping_error(const struct ip_addr *src, const struct ip_addr *dst,
                const uint8_t *head, uint32_t size, int error, bool hard,
                uint32_t info)
{
    (void)src, (void)dst, (void)head, (void)size, (void)error, (void)hard;
    (void)info;
}

bool raw_input(struct packet *p)
{
    (void)p;
    return false;
}

int raw_create(uint16_t family, int type, int protocol, struct socket **out)
{
    (void)family, (void)type, (void)protocol, (void)out;
    return -EPROTONOSUPPORT;
}
