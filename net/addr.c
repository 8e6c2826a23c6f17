// SPDX-License-Identifier: Apache-2.0
/* Addresses as people write them. */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/parse.h"
#include "net/net.h"

#define MAC_MULTICAST UINT8_C(1) /* bits of the first byte, IEEE 802 */
#define MAC_LOCAL     UINT8_C(2)

int net_addr_parse(const char *text, struct net_addr *out)
{
    char host[NET_ADDR_TEXT_SIZE];
    uint64_t bits;
    size_t n = strcspn(text, "/");
    *out = (struct net_addr){0};
    if (n >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, n);
    host[n] = '\0';
    out->v6 = strchr(host, ':') != NULL;
    if (inet_pton(out->v6 ? AF_INET6 : AF_INET, host, out->b) != 1)
        return -EINVAL;
    bits = out->v6 ? 128 : 32;
    if (text[n] == '/' && parse_u64(text + n + 1, 0, bits, &bits) < 0)
        return -EINVAL;
    out->prefix = (uint8_t)bits;
    return 0;
}

void net_addr_text(const struct net_addr *a, bool prefix,
                   char out[NET_ADDR_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->b, host, sizeof(host));
    if (prefix)
        (void)snprintf(out, NET_ADDR_TEXT_SIZE, "%s/%u", host, a->prefix);
    else
        (void)snprintf(out, NET_ADDR_TEXT_SIZE, "%s", host);
}

static int mac_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return at == NULL || (c < '0') ? -1 : (int)(at - digits);
}

int net_mac_parse(const char *text, uint8_t out[6])
{
    static const uint8_t zero[6];
    if (strlen(text) != NET_MAC_TEXT_SIZE - 1)
        return -EINVAL;
    for (int i = 0; i < 6; i++) {
        const char *at = text + (ptrdiff_t)3 * i;
        int high = mac_digit(at[0]);
        int low = mac_digit(at[1]);
        if (high < 0 || low < 0 || (i < 5 && at[2] != ':'))
            return -EINVAL;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return (out[0] & MAC_MULTICAST) != 0 || memcmp(out, zero, 6) == 0 ? -EINVAL
                                                                      : 0;
}

void net_mac_text(const uint8_t mac[6], char out[NET_MAC_TEXT_SIZE])
{
    (void)snprintf(out, NET_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x",
                   mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

int net_mac_random(uint8_t out[6], struct err *e)
{
    if (getrandom(out, 6, 0) != 6)
        return err_set(e, -errno, "getrandom: %s", strerror(errno));
    out[0] = (uint8_t)((out[0] & ~MAC_MULTICAST) | MAC_LOCAL);
    return 0;
}
