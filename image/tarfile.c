// SPDX-License-Identifier: Apache-2.0
#include "image/tarfile.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/tarpath.h"

enum {
    TARFILE_RECORD = 512,
    TARFILE_EXTRA_MAX = 1 << 20, /* bytes of a pax header or a long name */
    TARFILE_LINKS_MAX = 8,
};

/* POSIX ustar, IEEE 1003.1 "pax", "ustar Interchange Format". */
struct tarfile_header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char owner[64];
    char devices[16];
    char prefix[155];
    char pad[12];
};
static_assert(sizeof(struct tarfile_header) == TARFILE_RECORD, "ustar");

/* What extended headers say about the next member. */
struct tarfile_extra {
    char *name;
    char *link;
    bool has_size;
    uint64_t size;
};

static void tarfile_forget(struct tarfile_extra *x)
{
    free(x->name);
    free(x->link);
    *x = (struct tarfile_extra){0};
}

/* Octal digits, or base 256 when the top bit is set (GNU). */
static uint64_t tarfile_number(const char *field, size_t size)
{
    uint64_t v = 0;
    if (((uint8_t)field[0] & 0x80) != 0) {
        for (size_t i = size - 8; i < size; i++)
            v = v << 8 | (uint8_t)field[i];
        return v;
    }
    for (size_t i = 0; i < size; i++) {
        if (field[i] >= '0' && field[i] <= '7')
            v = v << 3 | (uint64_t)(field[i] - '0');
        else if (field[i] != ' ')
            break;
    }
    return v;
}

static bool tarfile_sum_ok(const struct tarfile_header *h)
{
    uint8_t bytes[TARFILE_RECORD];
    memcpy(bytes, h, sizeof(bytes));
    size_t at = offsetof(struct tarfile_header, checksum);
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_COUNT(bytes); i++)
        sum += i >= at && i < at + 8 ? ' ' : bytes[i];
    return sum == tarfile_number(h->checksum, sizeof(h->checksum));
}

static bool tarfile_is_zero(const struct tarfile_header *h)
{
    static const struct tarfile_header zero;
    return memcmp(h, &zero, sizeof(zero)) == 0;
}

/* Records "LENGTH KEY=VALUE\n"; nothing else in them matters here. */
static int tarfile_parse_pax(char *text, size_t size, struct tarfile_extra *x,
                             struct err *e)
{
    size_t at = 0;
    while (at < size) {
        char *end;
        unsigned long n = strtoul(text + at, &end, 10);
        size_t head = (size_t)(end - (text + at)) + 1;
        if (*end != ' ' || n <= head || n > size - at)
            return err_set(e, -EBADMSG, "damaged pax header");
        text[at + n - 1] = '\0';
        char *key = text + at + head;
        if (strncmp(key, "path=", 5) == 0) {
            free(x->name);
            x->name = strdup(key + 5);
        } else if (strncmp(key, "linkpath=", 9) == 0) {
            free(x->link);
            x->link = strdup(key + 9);
        } else if (strncmp(key, "size=", 5) == 0) {
            x->has_size = true;
            x->size = strtoull(key + 5, NULL, 10);
        }
        at += n;
    }
    return 0;
}

static int tarfile_read_extra(int fd, uint64_t at, uint64_t size, char type,
                              struct tarfile_extra *x, struct err *e)
{
    if (size > TARFILE_EXTRA_MAX)
        return err_set(e, -EBADMSG, "tar header of %llu bytes",
                       (unsigned long long)size);
    char *text = calloc(1, (size_t)size + 1);
    if (text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    if (pread(fd, text, (size_t)size, (off_t)at) != (ssize_t)size) {
        free(text);
        return err_set(e, -EBADMSG, "truncated tar archive");
    }
    if (type == 'L') {
        free(x->name);
        x->name = text;
        return 0;
    }
    if (type == 'K') {
        free(x->link);
        x->link = text;
        return 0;
    }
    int code = tarfile_parse_pax(text, (size_t)size, x, e);
    free(text);
    return code;
}

static int tarfile_add(struct tarfile *t, const char *name, const char *link,
                       const struct tarfile_member *m, struct err *e)
{
    AUTO_FREE struct tarpath *p = malloc(sizeof(*p));
    if (p == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    int code = tarpath_normalise(name, p, e);
    if (code < 0)
        return err_wrap(e, "%.120s", name);
    if (t->count == TARFILE_MEMBER_MAX)
        return err_set(e, -E2BIG, "more than %d members", TARFILE_MEMBER_MAX);
    if (t->count == t->room) {
        size_t room = t->room != 0 ? t->room * 2 : 64;
        struct tarfile_member *more = realloc(t->members, room * sizeof(*more));
        if (more == NULL)
            return err_set(e, -ENOMEM, "out of memory");
        t->members = more;
        t->room = room;
    }
    struct tarfile_member *to = &t->members[t->count];
    *to = *m;
    to->name = strdup(p->text);
    to->link = m->type == '1' || m->type == '2' ? strdup(link) : NULL;
    t->count++;
    if (to->name == NULL || (to->type != '0' && to->link == NULL))
        return err_set(e, -ENOMEM, "out of memory");
    return 0;
}

static int tarfile_member(struct tarfile *t, const struct tarfile_header *h,
                          struct tarfile_extra *x, uint64_t at, uint64_t size,
                          struct err *e)
{
    char name[sizeof(h->prefix) + sizeof(h->name) + 2];
    char link[sizeof(h->link) + 1];
    bool has_prefix =
        memcmp(h->magic, "ustar", sizeof(h->magic)) == 0 && h->prefix[0] != 0;
    (void)snprintf(name, sizeof(name), "%.*s%s%.*s",
                   has_prefix ? (int)sizeof(h->prefix) : 0, h->prefix,
                   has_prefix ? "/" : "", (int)sizeof(h->name), h->name);
    (void)snprintf(link, sizeof(link), "%.*s", (int)sizeof(h->link), h->link);
    struct tarfile_member m = {
        .type = h->type,
        .offset = at,
        .size = size,
    };
    if (m.type == '\0' || m.type == '7')
        m.type = '0';
    int code = 0;
    if (m.type >= '0' && m.type <= '2')
        code = tarfile_add(t, x->name != NULL ? x->name : name,
                           x->link != NULL ? x->link : link, &m, e);
    tarfile_forget(x);
    return code;
}

static int tarfile_scan(struct tarfile *t, int fd, struct tarfile_extra *x,
                        struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "not a regular file");
    uint64_t end = (uint64_t)st.st_size;
    uint64_t at = 0;
    while (end - at >= TARFILE_RECORD) {
        struct tarfile_header h;
        if (pread(fd, &h, sizeof(h), (off_t)at) != (ssize_t)sizeof(h))
            return err_set(e, -EBADMSG, "truncated tar archive");
        if (tarfile_is_zero(&h))
            return 0;
        if (!tarfile_sum_ok(&h))
            return err_set(e, -EBADMSG,
                           at == 0 ? "not a tar archive"
                                   : "damaged tar archive");
        at += TARFILE_RECORD;
        bool extra = h.type == 'x' || h.type == 'L' || h.type == 'K';
        uint64_t size = tarfile_number(h.size, sizeof(h.size));
        if (!extra && h.type != 'g' && x->has_size)
            size = x->size;
        if (h.type == '1' || h.type == '2' || h.type == '5')
            size = 0;
        uint64_t pad =
            (TARFILE_RECORD - size % TARFILE_RECORD) % TARFILE_RECORD;
        if (size > end - at)
            return err_set(e, -EBADMSG, "truncated tar archive");
        int code = 0;
        if (extra)
            code = tarfile_read_extra(fd, at, size, h.type, x, e);
        else if (h.type != 'g')
            code = tarfile_member(t, &h, x, at, size, e);
        if (code < 0)
            return code;
        at += size;
        at += pad < end - at ? pad : end - at;
    }
    return t->count > 0 ? 0 : err_set(e, -EBADMSG, "not a tar archive");
}

int tarfile_init(struct tarfile *t, int fd, struct err *e)
{
    struct tarfile_extra x = {0};
    *t = (struct tarfile){0};
    int code = tarfile_scan(t, fd, &x, e);
    tarfile_forget(&x);
    if (code < 0)
        tarfile_fini(t);
    return code;
}

void tarfile_fini(struct tarfile *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->members[i].name);
        free(t->members[i].link);
    }
    free(t->members);
    *t = (struct tarfile){0};
}

static const struct tarfile_member *tarfile_lookup(const struct tarfile *t,
                                                   const char *name)
{
    for (size_t i = t->count; i > 0; i--) {
        if (strcmp(t->members[i - 1].name, name) == 0)
            return &t->members[i - 1];
    }
    return NULL;
}

const struct tarfile_member *tarfile_find(const struct tarfile *t,
                                          const char *name)
{
    struct tarpath p;
    const struct tarfile_member *m = NULL;
    if (tarpath_normalise(name, &p, NULL) == 0)
        m = tarfile_lookup(t, p.text);
    for (int i = 0; m != NULL && m->type != '0'; i++) {
        char joined[2 * INDEX_PATH_MAX];
        const char *slash = strrchr(m->name, '/');
        /* A symbolic link starts in its directory, a hard link at the root. */
        bool beside = m->type == '2' && slash != NULL;
        (void)snprintf(joined, sizeof(joined), "%.*s/%s",
                       beside ? (int)(slash - m->name) : 0, m->name, m->link);
        if (i == TARFILE_LINKS_MAX || tarpath_normalise(joined, &p, NULL) < 0)
            return NULL;
        m = tarfile_lookup(t, p.text);
    }
    return m;
}
