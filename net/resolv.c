// SPDX-License-Identifier: Apache-2.0
#include "net/resolv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/path.h"

enum { RESOLV_FILE_MAX = 64 << 10, RESOLV_LINE = 256 };

bool resolv_is_loopback(const struct net_addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return a->v6 ? memcmp(a->b, one, sizeof(one)) == 0 : a->b[0] == 127;
}

/* The next line of *at into `out`, cut if longer. */
static bool resolv_next(const char **at, char out[RESOLV_LINE])
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
    while (count < NET_DNS_MAX && resolv_next(&text, line)) {
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

void resolv_line(const char *text, const char *key, char *out, size_t size)
{
    char line[RESOLV_LINE];
    const size_t n = strlen(key);
    out[0] = '\0';
    while (resolv_next(&text, line)) {
        const char *at = line + strspn(line, " \t");
        if (strncmp(at, key, n) != 0 || strspn(at + n, " \t") == 0)
            continue;
        at += n;
        at += strspn(at, " \t");
        (void)snprintf(out, size, "%s", at);
    }
}

void resolv_host_line(const char *key, char *out, size_t size)
{
    AUTO_FREE char *text = NULL;
    size_t unused;
    out[0] = '\0';
    if (path_read(AT_FDCWD, RESOLV_FILE, RESOLV_FILE_MAX, &text, &unused,
                  NULL) == 0)
        resolv_line(text, key, out, size);
}

static unsigned resolv_public(struct net_addr out[NET_DNS_MAX])
{
    (void)net_addr_parse("8.8.8.8", &out[0]);
    (void)net_addr_parse("8.8.4.4", &out[1]);
    return 2;
}

unsigned resolv_own_servers(struct net_addr out[NET_DNS_MAX])
{
    AUTO_FREE char *text = NULL;
    size_t size;
    unsigned count = 0;
    if (path_read(AT_FDCWD, RESOLV_FILE, RESOLV_FILE_MAX, &text, &size, NULL) ==
        0)
        count = resolv_parse(text, true, out);
    return count > 0 ? count : resolv_public(out);
}

unsigned resolv_host_servers(struct net_addr out[NET_DNS_MAX])
{
    static const char *const files[] = {RESOLV_FILE,
                                        "/run/systemd/resolve/resolv.conf"};
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(files) && count == 0; i++) {
        AUTO_FREE char *text = NULL;
        size_t size;
        if (path_read(AT_FDCWD, files[i], RESOLV_FILE_MAX, &text, &size,
                      NULL) == 0)
            count = resolv_parse(text, false, out);
    }
    return count > 0 ? count : resolv_public(out);
}
