// SPDX-License-Identifier: Apache-2.0
/* procfs and sysfs: names, contents that programs parse, writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/events.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/inode.h"

static struct superblock *proc, *sys;
static char text[1 << 16];

static int setup(void **state)
{
    (void)state;
    fake_init(32 << 20);
    struct superblock *root;
    assert_int_equal(tmpfs_mount("tmpfs", NULL, 0, &root), 0);
    struct list *fresh = &mount_list;
    list_init(fresh);
    assert_non_null(mount_new(root, NULL, NULL, "none"));
    current()->proc->fs = fsctx_clone(NULL);
    current()->proc->files = fdtable_new();
    assert_int_equal(procfs_mount(&proc), 0);
    assert_int_equal(sysfs_mount(&sys), 0);
    return 0;
}

/* Inode of a path below a superblock's root, reference for the caller. */
static struct inode *find(struct superblock *sb, const char *path)
{
    struct inode *at = sb->root->inode;
    char copy[256];
    (void)snprintf(copy, sizeof(copy), "%s", path);
    inode_get(at);
    char *save = NULL;
    for (char *part = strtok_r(copy, "/", &save); part != NULL && at != NULL;
         part = strtok_r(NULL, "/", &save)) {
        struct dentry *d = dentry_new(sb->root, part, strlen(part));
        struct inode *next = NULL;
        if (at->dir != NULL && at->dir->lookup(at, d) == 0) {
            next = d->inode;
            inode_get(next);
        }
        dentry_put(d);
        inode_put(at);
        at = next;
    }
    return at;
}

/* Contents, NUL-terminated in `text`, or -errno. Read in small pieces. */
static int64_t slurp(struct superblock *sb, const char *path)
{
    struct inode *i = find(sb, path);
    if (i == NULL)
        return -ENOENT;
    struct file *f = file_new(i->file_ops, i, LX_O_RDONLY);
    uint64_t pos = 0;
    int64_t n;
    do {
        struct uio u;
        struct uio_seg seg;
        uio_kernel(&u, &seg, text + pos, 100);
        n = f->ops->read(f, &u, &pos);
    } while (n > 0);
    text[pos] = '\0';
    file_put(f);
    inode_put(i);
    return n < 0 ? n : (int64_t)pos;
}

static int64_t spew(struct superblock *sb, const char *path, const char *data)
{
    struct inode *i = find(sb, path);
    struct uio u;
    struct uio_seg seg;
    uint64_t pos = 0;
    char copy[64];
    assert_non_null(i);
    struct file *f = file_new(i->file_ops, i, LX_O_WRONLY);
    (void)snprintf(copy, sizeof(copy), "%s", data);
    uio_kernel(&u, &seg, copy, strlen(copy));
    int64_t n = f->ops->write(f, &u, &pos);
    file_put(f);
    inode_put(i);
    return n;
}

static int64_t link_text(struct superblock *sb, const char *path)
{
    struct inode *i = find(sb, path);
    if (i == NULL)
        return -ENOENT;
    int64_t n = i->ops->readlink(i, text, sizeof(text) - 1);
    if (n >= 0)
        text[n] = '\0';
    inode_put(i);
    return n;
}

static void test_self(void **state)
{
    (void)state;
    assert_int_equal(link_text(proc, "self"), 1);
    assert_string_equal(text, "1");
    assert_true(link_text(proc, "thread-self") > 0);
    assert_string_equal(text, "1/task/1");
    assert_null(find(proc, "4711"));
    assert_null(find(proc, "01"));
    assert_null(find(proc, "nothing"));
}

static void test_stat(void **state)
{
    (void)state;
    int pid, ppid, pgrp, session, fields = 0;
    char name[20], c;
    assert_true(slurp(proc, "1/stat") > 0);
    assert_int_equal(sscanf(text, "%d (%19[^)]) %c %d %d %d", &pid, name, &c,
                            &ppid, &pgrp, &session),
                     6);
    assert_int_equal(pid, 1);
    assert_string_equal(name, "test");
    assert_int_equal(c, 'R');
    for (const char *p = text; *p != '\0'; p++)
        fields += *p == ' ' || *p == '\n';
    assert_int_equal(fields, 52);
    assert_int_equal(slurp(proc, "1/task/1/stat"), strlen(text));
}

static void test_status(void **state)
{
    (void)state;
    assert_true(slurp(proc, "1/status") > 0);
    assert_non_null(strstr(text, "Name:\ttest\n"));
    assert_non_null(strstr(text, "\nPid:\t1\n"));
    assert_non_null(strstr(text, "\nUid:\t0\t0\t0\t0\n"));
    assert_non_null(strstr(text, "\nThreads:\t1\n"));
    assert_non_null(strstr(text, "\nCpus_allowed_list:\t0\n"));
}

static void test_meminfo_is_true(void **state)
{
    (void)state;
    struct page_stats s;
    unsigned long total, free_kb;
    page_stats(&s);
    assert_true(slurp(proc, "meminfo") > 0);
    assert_int_equal(
        sscanf(text, "MemTotal: %lu kB\nMemFree: %lu kB", &total, &free_kb), 2);
    assert_int_equal(total, s.total * 4);
    assert_in_range(free_kb, 1, total);
    assert_true(slurp(sys, "fs/cgroup/memory.max") > 0);
    assert_int_equal(strtoul(text, NULL, 10), s.total * 4096);
}

static void test_cpus(void **state)
{
    (void)state;
    assert_true(slurp(sys, "devices/system/cpu/online") > 0);
    assert_string_equal(text, "0\n");
    assert_non_null(find(sys, "devices/system/cpu/cpu0"));
    assert_null(find(sys, "devices/system/cpu/cpu1"));
    assert_true(slurp(proc, "cpuinfo") > 0);
    assert_non_null(strstr(text, "processor\t: 0\n"));
    assert_true(slurp(sys, "fs/cgroup/cpu.max") > 0);
    assert_string_equal(text, "100000 100000\n");
}

static void test_comm(void **state)
{
    (void)state;
    assert_int_equal(spew(proc, "1/comm", "renamed-to-something-long\n"), 26);
    assert_true(slurp(proc, "1/comm") > 0);
    assert_string_equal(text, "renamed-to-some\n");
    assert_int_equal(spew(proc, "1/status", "x"), -EINVAL);
}

static void test_oom_score_adj(void **state)
{
    (void)state;
    assert_int_equal(spew(proc, "1/oom_score_adj", "-17\n"), 4);
    assert_int_equal(current()->proc->oom_score_adj, -17);
    assert_int_equal(spew(proc, "1/oom_score_adj", "1001"), -EINVAL);
    assert_int_equal(spew(proc, "1/oom_score_adj", "x"), -EINVAL);
    current()->cred.caps = 0;
    assert_int_equal(spew(proc, "1/oom_score_adj", "-20"), -EACCES);
    assert_int_equal(spew(proc, "1/oom_score_adj", "5"), 1);
}

static void test_fds(void **state)
{
    (void)state;
    struct file *e;
    struct path p;
    assert_int_equal(eventfd_new(7, 0, &e), 0);
    assert_int_equal(fd_install(e, 0, true), 0);
    assert_true(link_text(proc, "1/fd/0") > 0);
    assert_string_equal(text, "anon_inode:[eventfd]");
    assert_null(find(proc, "1/fd/1"));
    struct inode *i = find(proc, "1/fd/0");
    assert_non_null(i->magic);
    assert_int_equal(i->magic(i, &p), 0);
    assert_ptr_equal(p.dentry->inode, e->inode);
    path_put(&p);
    inode_put(i);
    assert_true(slurp(proc, "1/fdinfo/0") > 0);
    assert_non_null(strstr(text, "flags:\t02000002\n"));
    assert_non_null(strstr(text, "eventfd-count:                7\n"));
}

static void test_sys(void **state)
{
    (void)state;
    char first[64];
    assert_int_equal(spew(proc, "sys/kernel/hostname", "box\n"), 4);
    assert_true(slurp(proc, "sys/kernel/hostname") > 0);
    assert_string_equal(text, "box\n");
    assert_int_equal(slurp(proc, "sys/kernel/random/uuid"), 37);
    memcpy(first, text, 37);
    assert_int_equal(first[14], '4');
    assert_int_equal(slurp(proc, "sys/kernel/random/uuid"), 37);
    assert_memory_not_equal(first, text, 36);
    assert_int_equal(slurp(proc, "sys/kernel/random/boot_id"), 37);
    memcpy(first, text, 37);
    assert_int_equal(slurp(proc, "sys/kernel/random/boot_id"), 37);
    assert_memory_equal(first, text, 37);
}

static void test_mounts(void **state)
{
    (void)state;
    assert_true(slurp(proc, "1/mounts") > 0);
    assert_string_equal(text, "none / tmpfs rw,relatime 0 0\n");
    assert_true(slurp(proc, "1/mountinfo") > 0);
    assert_non_null(strstr(text, " / / rw,relatime - tmpfs none rw\n"));
}

struct dir_emit {
    char names[4096];
    unsigned count, stop_after;
};

static bool emit(struct dir_emit *e, const char *name, size_t len, uint64_t ino,
                 uint32_t type, uint64_t next_pos)
{
    (void)next_pos;
    assert_int_not_equal(ino, 0);
    assert_int_not_equal(type, 0);
    if (e->stop_after != 0 && e->count == e->stop_after)
        return false;
    e->count++;
    (void)strncat(e->names, name, len);
    (void)strcat(e->names, " ");
    return true;
}

/* All names, once each, whatever the size of the pieces. */
static void test_readdir(void **state)
{
    (void)state;
    struct inode *root = proc->root->inode;
    struct dir_emit all = {.count = 0};
    uint64_t pos = 0;
    assert_int_equal(root->dir->readdir(root, &pos, emit, &all), 0);
    assert_true(strncmp(all.names, ". .. self ", 10) == 0);
    assert_non_null(strstr(all.names, " cpuinfo "));
    assert_non_null(strstr(all.names, " 1 "));
    struct dir_emit parts = {.count = 0};
    pos = 0;
    unsigned before;
    do {
        before = parts.count;
        parts.stop_after = parts.count + 1;
        assert_int_equal(root->dir->readdir(root, &pos, emit, &parts), 0);
    } while (parts.count != before);
    assert_string_equal(all.names, parts.names);
}

static void test_stable_inode_numbers(void **state)
{
    (void)state;
    struct inode *a = find(proc, "1/stat"), *b = find(proc, "1/stat");
    struct inode *c = find(proc, "1/status");
    assert_int_equal(a->ino, b->ino);
    assert_int_not_equal(a->ino, c->ino);
    inode_put(a);
    inode_put(b);
    inode_put(c);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_self),    T(test_stat),
        T(test_status),  T(test_meminfo_is_true),
        T(test_cpus),    T(test_comm),
        T(test_fds),     T(test_oom_score_adj),
        T(test_sys),     T(test_mounts),
        T(test_readdir), T(test_stable_inode_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
