// SPDX-License-Identifier: Apache-2.0
/* A process in a fresh root over arch/fake, and system calls on host memory,
 * for the tests of fs/ and sys/. */
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/arch/arch.h"
#include "guest/arch/fake/fake.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/image.h"
#include "guest/fs/inode.h"
#include "guest/fs/path.h"
#include "guest/sys/calls_fs.h"
#include "tests/unit/guest_erofs_make.h"

#define HERE ((uint64_t)AT_FDCWD)

static struct image env_image;

/* User ids of the process; root has all capabilities. */
static inline void env_user(uint32_t uid)
{
    struct cred *c = &current()->cred;
    c->uid = c->euid = c->suid = c->fsuid = uid;
    c->gid = c->egid = c->sgid = c->fsgid = uid;
    c->caps = uid == 0 ? ~UINT64_C(0) : 0;
}

static inline struct image *env_window(const struct mk *m)
{
    image_init_window(&env_image, page_phys(m->mem), MK_MAX);
    return &env_image;
}

/* A new root for the process; `m` NULL: a plain tmpfs. */
static inline void env_root(const struct mk *m, uint64_t limit)
{
    struct superblock *sb;
    int r = tmpfs_mount(m != NULL ? "overlay" : "tmpfs",
                        m != NULL ? env_window(m) : NULL, limit, &sb);
    assert_int_equal(r, 0);
    list_init(&mount_list);
    assert_non_null(mount_new(sb, NULL, NULL, "none"));
    struct process *p = current()->proc;
    if (p->files != NULL)
        fdtable_put(p->files);
    if (p->fs != NULL)
        fsctx_put(p->fs);
    p->fs = fsctx_clone(NULL);
    p->files = fdtable_new();
    for (unsigned i = 0; i < RLIMIT_COUNT; i++)
        p->rlimits[i] = (struct lx_rlimit64){UINT64_MAX, UINT64_MAX};
    p->rlimits[LX_RLIMIT_NOFILE].cur = 1024;
    env_user(0);
}

/* CALL(openat, HERE, P("name"), flags). */
#define CALL(name, ...) sys_##name((const uint64_t[6]){__VA_ARGS__})
/* A pointer as an argument. Text is copied to where there is readable memory
 * behind it, as a program's has: the kernel reads names word by word. */
#define P(x)                                                                   \
    _Generic((x), const char *                                                 \
             : env_text((const char *)(uintptr_t)(x)), default                 \
             : (uint64_t)(uintptr_t)(x))

static inline uint64_t env_text(const char *s)
{
    static char arena[8][PATH_MAX + 64];
    static unsigned next;
    char *to = arena[next++ % 8];
    size_t n = strlen(s);
    assert_true(n < PATH_MAX + 32);
    memcpy(to, s, n + 1);
    return (uintptr_t)to;
}

static inline int env_open(const char *name, uint32_t flags)
{
    return (int)CALL(openat, HERE, P(name), flags, 0666);
}

/* Contents of `name`: bytes or -errno. */
static inline int64_t env_read(const char *name, void *to, size_t size)
{
    int fd = env_open(name, LX_O_RDONLY);
    if (fd < 0)
        return fd;
    int64_t r = CALL(read, (uint64_t)fd, P(to), size);
    assert_int_equal(CALL(close, (uint64_t)fd), 0);
    return r;
}

static inline int64_t env_write(const char *name, uint32_t flags,
                                const void *from, size_t size)
{
    int fd = env_open(name, LX_O_WRONLY | flags);
    if (fd < 0)
        return fd;
    int64_t r = CALL(write, (uint64_t)fd, P(from), size);
    assert_int_equal(CALL(close, (uint64_t)fd), 0);
    return r;
}

#define assert_contents(name, text)                                            \
    do {                                                                       \
        char ac_buf[64];                                                       \
        int64_t ac_n = env_read(name, ac_buf, sizeof(ac_buf));                 \
        assert_int_equal(ac_n, sizeof(text) - 1);                              \
        assert_memory_equal(ac_buf, text, sizeof(text) - 1);                   \
    } while (0)

/* Names in a directory, sorted, each followed by a space; without dots. */
static inline int env_name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline int64_t env_list(const char *name, char *out, size_t size)
{
    static char names[512][64];
    char *sorted[512];
    static uint8_t buf[4096];
    size_t count = 0;
    int fd = env_open(name, LX_O_RDONLY | LX_O_DIRECTORY);
    if (fd < 0)
        return fd;
    int64_t n;
    while ((n = CALL(getdents64, (uint64_t)fd, P(buf), 200)) > 0) {
        for (int64_t at = 0; at < n;) {
            uint16_t len;
            memcpy(&len, buf + at + 16, 2);
            const char *s = (const char *)buf + at + 19;
            if (strcmp(s, ".") != 0 && strcmp(s, "..") != 0) {
                assert_true(count < 512);
                strcpy(names[count], s);
                sorted[count] = names[count];
                count++;
            }
            at += len;
        }
    }
    assert_int_equal(CALL(close, (uint64_t)fd), 0);
    qsort(sorted, count, sizeof(sorted[0]), env_name_compare);
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(sorted[i]);
        assert_true(used + len + 2 < size);
        memcpy(out + used, sorted[i], len);
        used += len;
        out[used++] = ' ';
        out[used] = '\0';
    }
    return n;
}

#define assert_names(dir, text)                                                \
    do {                                                                       \
        char an_buf[2048];                                                     \
        assert_int_equal(env_list(dir, an_buf, sizeof(an_buf)), 0);            \
        assert_string_equal(an_buf, text);                                     \
    } while (0)
