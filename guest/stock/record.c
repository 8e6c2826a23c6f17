// SPDX-License-Identifier: Apache-2.0
/* struct boot_container as a file of the initrd. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/stock.h"

#include "guest/stock/stock.h"

/* It is the monitor's and trusted; a bug there shall end in words. */
static _Noreturn void malformed(void)
{
    errno = EPROTO;
    stock_fail("the container's record");
}

static char *read_file(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        stock_fail(path);
    size_t room = (size_t)st.st_size;
    char *data = malloc(room + 1);
    if (data == NULL)
        stock_fail(path);
    for (*size = 0; *size < room;) {
        ssize_t n = read(fd, data + *size, room - *size);
        if (n <= 0)
            stock_fail(path);
        *size += (size_t)n;
    }
    (void)close(fd);
    return data;
}

static char *next_string(char **at, const char *end)
{
    char *text = *at;
    size_t left = (size_t)(end - text);
    size_t len = strnlen(text, left);
    if (len == left)
        malformed();
    *at = text + len + 1;
    return text;
}

static char **next_strings(char **at, const char *end, uint32_t count)
{
    if (count > (size_t)(end - *at)) /* each has a byte at least */
        malformed();
    char **list = calloc((size_t)count + 1, sizeof(*list));
    if (list == NULL)
        stock_fail("the container's record");
    for (uint32_t i = 0; i < count; i++)
        list[i] = next_string(at, end);
    return list;
}

void record_read(struct record *r)
{
    size_t size;
    char *data = read_file("/" STOCK_CONTAINER, &size);
    if (size < sizeof(r->head))
        malformed();
    memcpy(&r->head, data, sizeof(r->head));
    const struct boot_container *h = &r->head;
    uint64_t heads = (uint64_t)h->file_count * sizeof(struct boot_file) +
                     (uint64_t)h->netif_count * sizeof(struct boot_netif);
    if (h->size > size || h->strings_off > h->size || h->argc == 0 ||
        h->gid_count > BOOT_GID_MAX || sizeof(*h) + heads > h->strings_off)
        malformed();
    r->files = (const void *)(data + sizeof(*h));
    r->end = data + h->size;
    char *at = data + h->strings_off;
    r->argv = next_strings(&at, r->end, h->argc);
    r->envv = next_strings(&at, r->end, h->envc);
    r->cwd = next_string(&at, r->end);
    r->hostname = next_string(&at, r->end);
    r->file_data = at;
}

static void write_file(const char *path, uint32_t mode, const char *data,
                       size_t size)
{
    char *parent = strdup(path);
    char *slash = parent != NULL ? strrchr(parent, '/') : NULL;
    if (slash == NULL)
        stock_fail(path);
    *slash = '\0';
    if (system_make_dirs(parent) < 0)
        stock_fail(parent);
    free(parent);
    (void)unlink(path); /* a symbolic link is replaced, not followed */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 07777);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        stock_fail(path);
    (void)close(fd);
}

void record_write_files(const struct record *r)
{
    const char *at = r->file_data;
    for (uint32_t i = 0; i < r->head.file_count; i++) {
        const struct boot_file *f = &r->files[i];
        size_t left = (size_t)(r->end - at);
        size_t len = strnlen(at, left);
        if (len == left || f->size > left - len - 1)
            malformed();
        write_file(at, f->mode, at + len + 1, f->size);
        at += len + 1 + f->size;
    }
}
