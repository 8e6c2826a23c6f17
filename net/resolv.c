// SPDX-License-Identifier: Apache-2.0
#include "net/resolv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/path.h"

enum { RESOLV_FILE_MAX = 64 << 10, RESOLV_LINE = 256 };

static bool resolv_is_loopback(const struct net_addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return a->v6 ? memcmp(a->b, one, sizeof(one)) == 0 : a->b[0] == 127;
}

/* The next line of *at into `out`, cut if longer. */
static bool resolv_line(const char **at, char out[RESOLV_LINE])
{
    if (**at == '\0')
        return false;
    size_t n = strcspn(*at, "\n");
    (void)snprintf(out, RESOLV_LINE, "%.*s",
                   (int)(n < RESOLV_LINE ? n : RESOLV_LINE - 1), *at);
    *at += n + ((*at)[n] == '\n');
    return true;
}

unsigned resolv_parse(const char *text, bool loopback,
                      struct net_addr out[NET_DNS_MAX])
{
    char line[RESOLV_LINE];
    unsigned count = 0;
    while (count < NET_DNS_MAX && resolv_line(&text, line)) {
        char word[NET_ADDR_TEXT_SIZE];
        if (sscanf(line, " nameserver %63s", word) != 1)
            continue;
        word[strcspn(word, "%")] = '\0'; /* a scope means nothing elsewhere */
        struct net_addr a;
        if (strchr(word, '/') == NULL && net_addr_parse(word, &a) == 0 &&
            (loopback || !resolv_is_loopback(&a)))
            out[count++] = a;
    }
    return count;
}

void resolv_search(const char *text, char *out, size_t size)
{
    char line[RESOLV_LINE];
    out[0] = '\0';
    while (resolv_line(&text, line)) {
        size_t skip = strspn(line, " \t");
        if (strncmp(line + skip, "search", 6) != 0 ||
            strspn(line + skip + 6, " \t") == 0)
            continue;
        const char *rest = line + skip + 6;
        rest += strspn(rest, " \t");
        (void)snprintf(out, size, "%s", rest);
    }
}

unsigned resolv_host_servers(struct net_addr out[NET_DNS_MAX])
{
    static const char *const files[] = {"/etc/resolv.conf",
                                        "/run/systemd/resolve/resolv.conf"};
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(files) && count == 0; i++) {
        AUTO_FREE char *text = NULL;
        size_t size;
        if (path_read(AT_FDCWD, files[i], RESOLV_FILE_MAX, &text, &size,
                      NULL) == 0)
            count = resolv_parse(text, false, out);
    }
    if (count == 0) {
        (void)net_addr_parse("8.8.8.8", &out[count++]);
        (void)net_addr_parse("8.8.4.4", &out[count++]);
    }
    return count;
}
