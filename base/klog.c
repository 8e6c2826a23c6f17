// SPDX-License-Identifier: Apache-2.0
/* The guest kernel's messages in the monitor's log. */
#include "base/klog.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KLOG_TOTAL ((size_t)4 << 20)

void klog_init(struct klog *k, int fd, int symbols_fd)
{
    *k = (struct klog){.fd = fd, .left = KLOG_TOTAL};
    symbols_init(&k->symbols, symbols_fd);
}

/* Copy k->line to `out`, adding symbols; returns the size. */
static size_t annotate(struct klog *k, char *out, size_t room)
{
    size_t n = 0;
    const char *p = k->line;
    const char *end = k->line + k->size;
    while (p < end) {
        const char *open = memmem(p, (size_t)(end - p), "[<", 2);
        const char *close =
            open == NULL ? NULL : memmem(open, (size_t)(end - open), ">]", 2);
        char name[96] = "";
        size_t take = (size_t)((close == NULL ? end : close + 2) - p);
        if (close != NULL && close - open == 2 + 16)
            symbols_find(&k->symbols, strtoull(open + 2, NULL, 16), name,
                         sizeof(name));
        if (take + sizeof(name) + 2 > room - n)
            break;
        memcpy(out + n, p, take);
        n += take;
        if (name[0] != '\0')
            n += (size_t)snprintf(out + n, room - n, " %s", name);
        p += take;
    }
    return n;
}

/* Why a guest that says no more has stopped. */
static void remember_panic(struct klog *k)
{
    if (memmem(k->line, k->size, "ernel panic", 11) == NULL)
        return;
    size_t n = k->size;
    if (n > sizeof(k->panic) - 1)
        n = sizeof(k->panic) - 1;
    memcpy(k->panic, k->line, n);
    k->panic[n] = '\0';
}

void klog_flush(struct klog *k)
{
    char out[2048] = "guest: ";
    size_t head = strlen(out);
    if (k->size == 0)
        return;
    remember_panic(k);
    size_t n = head + annotate(k, out + head, sizeof(out) - head - 1);
    out[n++] = '\n';
    k->size = 0;
    /* A full pipe loses the line: the log must not stop the VM. */
    ssize_t put = k->fd < 0 ? 0 : write(k->fd, out, n);
    (void)put;
}

void klog_write(struct klog *k, const char *text, size_t size)
{
    for (size_t i = 0; i < size && k->left > 0; i++, k->left--) {
        char c = text[i];
        if (c == '\n' || k->size == sizeof(k->line)) {
            klog_flush(k);
            if (c == '\n')
                continue;
        }
        bool printable = c == '\t' || (c >= ' ' && c < 127);
        if (!printable)
            c = '?';
        k->line[k->size++] = c;
    }
}
