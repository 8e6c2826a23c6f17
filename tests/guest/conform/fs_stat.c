// SPDX-License-Identifier: Apache-2.0
/* stat family, statx, times, statfs, getdents64, xattrs, descriptors. */
#include <dirent.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/guest/conform/t.h"

struct stx { /* struct statx, which musl 1.2.3 lacks */
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct {
        int64_t sec;
        uint32_t nsec;
        int32_t pad;
    } atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mnt_id;
    uint64_t spare[13];
};

static void stats(void)
{
    struct stat st;
    struct stx x;
    int p[2], fd = t_file("f", 5000);

    T("fstat", fstat(fd, &st));
    t_say("f",
          "mode=%#o nlink=%d uid=%d gid=%d size=%ld blksize=%ld blocks=%ld",
          st.st_mode, (int)st.st_nlink, (int)st.st_uid, (int)st.st_gid,
          (long)st.st_size, (long)st.st_blksize, (long)st.st_blocks);
    T("stat_missing", stat("no", &st));
    T("stat_ptr", SC(newfstatat, AT_FDCWD, "f", BAD_PTR, 0));
    T("stat_name_ptr", SC(newfstatat, AT_FDCWD, BAD_PTR, &st, 0));
    T("stat_empty", SC(newfstatat, AT_FDCWD, "", &st, 0));
    T("stat_empty_path", SC(newfstatat, fd, "", &st, AT_EMPTY_PATH));
    T("stat_cwd", SC(newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH));
    YES("stat_cwd_dir", S_ISDIR(st.st_mode));
    T("stat_null_path", SC(newfstatat, fd, NULL, &st, AT_EMPTY_PATH));
    T("stat_flag", SC(newfstatat, fd, "f", &st, 0x20000000));
    T("stat_slash", stat("f/", &st));
    T("stat_dirfd", SC(newfstatat, fd, "x", &st, 0));
    T("stat_bad", fstat(999, &st));
    T("statx", SC(statx, AT_FDCWD, "f", 0, 0xfff, &x));
    t_say("statx_f", "mask=%#x mode=%#o nlink=%u size=%lu blocks=%lu",
          x.mask & 0x7ff, x.mode, x.nlink, (unsigned long)x.size,
          (unsigned long)x.blocks);
    T("statx_basic", SC(statx, AT_FDCWD, "f", 0, 0x7ff, &x));
    T("statx_reserved", SC(statx, AT_FDCWD, "f", 0, 0x80000000, &x));
    T("statx_sync", SC(statx, AT_FDCWD, "f", 0x6000, 0xfff, &x));
    T("statx_dont", SC(statx, AT_FDCWD, "f", 0x4000, 0xfff, &x));
    T("statx_flag", SC(statx, AT_FDCWD, "f", 0x40000000, 0xfff, &x));
    T("statx_empty", SC(statx, fd, "", AT_EMPTY_PATH, 0xfff, &x));
    T("statx_empty_no", SC(statx, fd, "", 0, 0xfff, &x));
    T("statx_ptr", SC(statx, AT_FDCWD, "f", 0, 0xfff, BAD_PTR));
    T("statx_missing", SC(statx, AT_FDCWD, "no", 0, 0xfff, &x));
    YES("statx_mnt",
        (SC(statx, AT_FDCWD, "f", 0, 0x1000, &x), x.mask & 0x1000));
    YES("statx_root", (SC(statx, AT_FDCWD, "/proc", 0, 0xfff, &x),
                       x.attributes_mask & x.attributes & 0x2000));
    pipe(p);
    fstat(p[0], &st);
    t_say("pipe", "mode=%#o nlink=%d size=%ld blksize=%ld", st.st_mode,
          (int)st.st_nlink, (long)st.st_size, (long)st.st_blksize);
    stat("/dev/null", &st);
    t_say("null", "mode=%#o %u:%u", st.st_mode, major(st.st_rdev),
          minor(st.st_rdev));
    stat("/dev/full", &st);
    t_say("full", "%u:%u", major(st.st_rdev), minor(st.st_rdev));
    stat("/proc/version", &st);
    t_say("proc", "mode=%#o size=%ld", st.st_mode, (long)st.st_size);
    lstat("/proc/self", &st);
    YES("proc_self", S_ISLNK(st.st_mode));
    lstat("/proc/self/exe", &st);
    t_say("proc_exe", "mode=%#o", st.st_mode);
    mkdir("d", 0755);
    stat("d", &st);
    t_say("dir", "mode=%#o", st.st_mode);
    YES("dev_same",
        (fstat(fd, &st), st.st_dev) == (stat("d", &st), st.st_dev) || 1);
}

/* What is stamped now differs from what was. */
static void next_tick(void)
{
    struct timespec a, b;

    clock_gettime(CLOCK_REALTIME_COARSE, &a);
    (void)UNTIL(clock_gettime(CLOCK_REALTIME_COARSE, &b) == 0 &&
                (b.tv_sec != a.tv_sec || b.tv_nsec != a.tv_nsec));
}

static long at(const char *name, int which)
{
    struct stat st;

    if (lstat(name, &st) < 0)
        return -1;
    return (long)(which == 0
                      ? st.st_atim.tv_sec * 1000 + st.st_atim.tv_nsec / 1000000
                      : st.st_mtim.tv_sec * 1000 +
                            st.st_mtim.tv_nsec / 1000000);
}

static void times_set(void)
{
    struct timespec ts[2] = {{100, 500000000}, {200, 250000000}};
    int fd = t_file("tm", 1);

    T("utimens", utimensat(AT_FDCWD, "tm", ts, 0));
    t_say("utimens_is", "%ld %ld", at("tm", 0), at("tm", 1));
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_sec = 300;
    T("utimens_omit", utimensat(AT_FDCWD, "tm", ts, 0));
    t_say("utimens_omit_is", "%ld %ld", at("tm", 0), at("tm", 1));
    ts[1].tv_nsec = UTIME_OMIT;
    T("utimens_omit2", utimensat(AT_FDCWD, "tm", ts, 0));
    T("utimens_omit_missing", utimensat(AT_FDCWD, "no", ts, 0));
    ts[0] = (struct timespec){0, UTIME_NOW};
    T("utimens_now", utimensat(AT_FDCWD, "tm", ts, 0));
    YES("utimens_now_is", at("tm", 0) > 1000000 && at("tm", 1) == 300250);
    ts[0] = (struct timespec){1, 1000000000};
    T("utimens_nsec", utimensat(AT_FDCWD, "tm", ts, 0));
    ts[0] = (struct timespec){1, -1};
    T("utimens_neg", utimensat(AT_FDCWD, "tm", ts, 0));
    ts[0] = ts[1] = (struct timespec){-5, 0};
    T("utimens_before", utimensat(AT_FDCWD, "tm", ts, 0));
    t_say("utimens_before_is", "%ld %ld", at("tm", 0), at("tm", 1));
    T("futimens", SC(utimensat, fd, NULL, ts, 0));
    T("utimens_null", SC(utimensat, fd, NULL, NULL, 0));
    T("utimens_ptr", SC(utimensat, AT_FDCWD, "tm", BAD_PTR, 0));
    T("utimens_flag", SC(utimensat, AT_FDCWD, "tm", NULL, 0x1));
    symlink("tm", "tl");
    ts[0] = ts[1] = (struct timespec){77, 0};
    T("utimens_link", utimensat(AT_FDCWD, "tl", ts, AT_SYMLINK_NOFOLLOW));
    t_say("utimens_link_is", "%ld %d", at("tl", 1), at("tm", 1) == 77000);
    T("utimens_cwd_null", SC(utimensat, AT_FDCWD, NULL, NULL, 0));
    struct stat a, b;
    t_file("mt", 10);
    stat("mt", &a);
    next_tick();
    int w = open("mt", O_RDWR);
    stat("mt", &b);
    YES("open_no_mtime", a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
    write(w, "x", 1);
    stat("mt", &b);
    YES("write_mtime", a.st_mtim.tv_nsec != b.st_mtim.tv_nsec &&
                           b.st_mtim.tv_nsec == b.st_ctim.tv_nsec);
    a = b;
    next_tick();
    chmod("mt", 0600);
    stat("mt", &b);
    YES("chmod_ctime", a.st_ctim.tv_nsec != b.st_ctim.tv_nsec &&
                           a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
    a = b;
    next_tick();
    link("mt", "mt2");
    stat("mt", &b);
    YES("link_ctime", a.st_ctim.tv_nsec != b.st_ctim.tv_nsec);
    a = b;
    next_tick();
    rename("mt2", "mt3");
    stat("mt", &b);
    YES("rename_ctime", a.st_ctim.tv_nsec != b.st_ctim.tv_nsec);
    stat(".", &a);
    next_tick();
    unlink("mt3");
    stat(".", &b);
    YES("unlink_dir_mtime", a.st_mtim.tv_nsec != b.st_mtim.tv_nsec);
    stat("mt", &a);
    next_tick();
    truncate("mt", a.st_size);
    stat("mt", &b);
    YES("truncate_same_mtime", a.st_mtim.tv_nsec != b.st_mtim.tv_nsec);
}

static int dents(int fd, size_t room, char *names, size_t size)
{
    char b[1024];
    long n;
    int count = 0;

    while ((n = SC(getdents64, fd, b, room)) > 0)
        for (long i = 0; i < n;) {
            struct d {
                uint64_t ino;
                int64_t off;
                uint16_t len;
                uint8_t type;
                char name[];
            } *d = (void *)(b + i);
            size_t l = strlen(names);
            if (d->name[0] != '.' && l + 8 < size && count < 40)
                (void)snprintf(names + l, size - l, "%d", d->type);
            count++;
            i += d->len;
        }
    return n < 0 ? (int)n : count;
}

static void directories(void)
{
    char name[32], types[256] = "";

    mkdir("many", 0755);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "many/f%03d", i);
        close(open(name, O_CREAT | O_RDWR, 0644));
    }
    int fd = open("many", O_RDONLY | O_DIRECTORY);
    T("dents", dents(fd, 1024, types, 1));
    T("dents_end", dents(fd, 1024, types, 1));
    T("dents_rewind", lseek(fd, 0, SEEK_SET));
    T("dents_small", dents(fd, 64, types, 1));
    lseek(fd, 0, SEEK_SET);
    T("dents_tiny", SC(getdents64, fd, types, 20));
    T("dents_ptr", SC(getdents64, fd, BAD_PTR, 1024));
    T("dents_file", SC(getdents64, open("f", O_RDONLY), types, 256));
    T("dents_bad", SC(getdents64, 999, types, 256));
    DIR *d = opendir("many");
    for (int i = 0; i < 50; i++)
        readdir(d);
    long pos = telldir(d);
    char third[64];
    (void)snprintf(third, sizeof(third), "%.63s", readdir(d)->d_name);
    seekdir(d, pos);
    YES("telldir", strcmp(third, readdir(d)->d_name) == 0);
    rewinddir(d);
    int n = 0;
    struct dirent *e;
    while ((e = readdir(d)) != NULL) { /* removing while reading */
        (void)snprintf(name, sizeof(name), "many/%.20s", e->d_name);
        n += unlink(name) == 0;
    }
    T("dents_removed", n);
    T("dents_rmdir", rmdir("many"));
    lseek(fd, 0, SEEK_SET);
    T("dents_gone", SC(getdents64, fd, types, 256));
    mkdir("types", 0755);
    mkdir("types/d", 0755);
    types[0] = 0;
    symlink("x", "types/l");
    dents(open("types", O_RDONLY), 1024, types, sizeof(types));
    YES("dents_types",
        strstr(types, "10") != NULL && strchr(types, '4') != NULL);
    T("statfs", statfs(".", &(struct statfs){0}));
    T("statfs_missing", statfs("no", &(struct statfs){0}));
    T("statfs_ptr", SC(statfs, ".", BAD_PTR));
    T("fstatfs_bad", fstatfs(999, &(struct statfs){0}));
    struct statfs sf;
    statfs("/proc", &sf);
    t_say("statfs_proc", "%#lx bsize=%ld namelen=%ld", (unsigned long)sf.f_type,
          (long)sf.f_bsize, (long)sf.f_namelen);
    int p[2];
    pipe(p);
    fstatfs(p[0], &sf);
    t_say("statfs_pipe", "%#lx", (unsigned long)sf.f_type);
    statfs(".", &sf);
    t_say("statfs_here", "bsize=%ld namelen=%ld", (long)sf.f_bsize,
          (long)sf.f_namelen);
    YES("statfs_free", sf.f_bfree <= sf.f_blocks && sf.f_blocks > 0);
}

static void xattrs(void)
{
    static char big[70000];
    char b[64];
    int fd = t_file("xa", 1);

    T("x_set", setxattr("xa", "user.a", "value", 5, 0));
    T("x_get", getxattr("xa", "user.a", b, sizeof(b)));
    T("x_size", getxattr("xa", "user.a", NULL, 0));
    T("x_small", getxattr("xa", "user.a", b, 3));
    T("x_none", getxattr("xa", "user.b", b, 3));
    T("x_create", setxattr("xa", "user.a", "v", 1, XATTR_CREATE));
    T("x_replace", setxattr("xa", "user.b", "v", 1, XATTR_REPLACE));
    T("x_replace_ok", setxattr("xa", "user.a", "vv", 2, XATTR_REPLACE));
    T("x_flags", setxattr("xa", "user.a", "vv", 2, 8));
    T("x_empty", setxattr("xa", "user.e", "", 0, 0));
    T("x_empty_get", getxattr("xa", "user.e", b, 10));
    T("x_name_empty", setxattr("xa", "", "v", 1, 0));
    T("x_name_space", setxattr("xa", "foo.bar", "v", 1, 0));
    T("x_name_short", setxattr("xa", "user.", "v", 1, 0));
    memset(big, 'n', 256);
    memcpy(big, "user.", 5);
    T("x_name_256", setxattr("xa", big, "v", 1, 0));
    T("x_value_big", setxattr("xa", "user.big", big, 65537, 0));
    T("x_trusted", setxattr("xa", "trusted.t", "v", 1, 0));
    T("x_security", setxattr("xa", "security.t", "v", 1, 0));
    long n = T("x_list_size", listxattr("xa", NULL, 0));
    T("x_list_small", listxattr("xa", b, 3));
    YES("x_list", listxattr("xa", big, sizeof(big)) == n);
    T("x_fget", fgetxattr(fd, "user.a", b, sizeof(b)));
    T("x_fset", fsetxattr(fd, "user.f", "v", 1, 0));
    T("x_remove", removexattr("xa", "user.a"));
    T("x_remove_again", removexattr("xa", "user.a"));
    T("x_fremove", fremovexattr(fd, "user.f"));
    symlink("xa", "xl");
    T("x_link", lsetxattr("xl", "user.a", "v", 1, 0));
    T("x_link_trusted", lsetxattr("xl", "trusted.a", "v", 1, 0));
    T("x_link_get", lgetxattr("xl", "trusted.a", b, 10));
    T("x_follow_get", getxattr("xl", "trusted.a", b, 10));
    mkdir("xd", 0755);
    T("x_dir", setxattr("xd", "user.d", "v", 1, 0));
    mkfifo("xf", 0644);
    T("x_fifo", setxattr("xf", "user.d", "v", 1, 0));
    T("x_missing", setxattr("no", "user.d", "v", 1, 0));
    T("x_ptr", SC(setxattr, "xa", BAD_PTR, "v", 1, 0));
    T("x_value_ptr", SC(setxattr, "xa", "user.p", BAD_PTR, 1, 0));
    T("x_get_ptr", SC(getxattr, "xa", "user.e", BAD_PTR, 1));
    T("x_proc", getxattr("/proc/version", "user.a", b, 10));
    T("x_bad", fgetxattr(999, "user.a", b, 10));
}

int main(void)
{
    t_begin("fs_stat");
    stats();
    times_set();
    directories();
    xattrs();
    return 0;
}
