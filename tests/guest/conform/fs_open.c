// SPDX-License-Identifier: Apache-2.0
/* openat(2), openat2(2): flags, modes, errors, resolve rules. */
#include <linux/openat2.h>

#include "tests/guest/conform/t.h"

static int how(const char *path, uint64_t flags, uint64_t mode,
               uint64_t resolve)
{
    struct open_how h = {.flags = flags, .mode = mode, .resolve = resolve};

    return (int)SC(openat2, AT_FDCWD, path, &h, sizeof(h));
}

static void fl(const char *label, int fd)
{
    t_say(label, "%#x", fcntl(fd, F_GETFL));
}

static void flags(void)
{
    char name[300], b[8];
    int fd;

    t_file("f", 26);
    mkdir("d", 0755);
    symlink("f", "l");
    symlink("missing", "dangling");
    symlink("loop", "loop");
    mkfifo("fifo", 0644);
    OK("rdonly", fd = open("f", O_RDONLY));
    fl("rdonly_fl", fd);
    T("rdonly_write", write(fd, "x", 1));
    close(fd);
    OK("wronly", fd = open("f", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC));
    fl("wronly_fl", fd);
    T("wronly_read", read(fd, b, 1));
    T("cloexec", fcntl(fd, F_GETFD));
    T("setfl", fcntl(fd, F_SETFL, O_ASYNC | O_NOATIME | O_DIRECTORY | O_RDWR));
    fl("setfl_fl", fd);
    close(fd);
    OK("acc3", fd = open("f", 3));
    fl("acc3_fl", fd);
    T("acc3_read", read(fd, b, 1));
    T("acc3_write", write(fd, b, 1));
    close(fd);
    OK("sync", fd = open("f", O_RDWR | O_SYNC));
    fl("sync_fl", fd);
    close(fd);
    OK("dsync", fd = open("f", O_RDWR | O_DSYNC | O_LARGEFILE));
    fl("dsync_fl", fd);
    close(fd);
    OK("excl", open("f", O_CREAT | O_EXCL | O_RDWR, 0644));
    OK("excl_dangling", open("dangling", O_CREAT | O_EXCL | O_RDWR, 0644));
    OK("creat_dir", open("d", O_CREAT | O_RDONLY, 0644));
    OK("creat_dir_slash", open("newd/", O_CREAT | O_RDWR, 0644));
    OK("write_dir", open("d", O_WRONLY));
    OK("rdwr_dir", open("d", O_RDWR));
    OK("trunc_dir", open("d", O_TRUNC));
    OK("directory_file", open("f", O_DIRECTORY));
    OK("directory_creat", open("x1", O_DIRECTORY | O_CREAT | O_RDWR, 0644));
    OK("directory_creat_there", open("d", O_DIRECTORY | O_CREAT, 0644));
    OK("file_slash", open("f/", O_RDONLY));
    OK("file_slash_x", open("f/x", O_RDONLY));
    OK("nofollow", open("l", O_RDONLY | O_NOFOLLOW));
    OK("nofollow_dir", open("l", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
    OK("dangling", open("dangling", O_RDONLY));
    OK("loop", open("loop", O_RDONLY));
    OK("empty", open("", O_RDONLY));
    OK("missing", open("no", O_RDONLY));
    OK("missing_dir", open("no/f", O_RDONLY | O_CREAT, 0644));
    memset(name, 'n', sizeof(name));
    name[256] = 0;
    OK("name_256", open(name, O_RDWR | O_CREAT, 0644));
    name[255] = 0;
    OK("name_255", open(name, O_RDWR | O_CREAT, 0644));
    OK("fifo_wr_nonblock", open("fifo", O_WRONLY | O_NONBLOCK));
    OK("fifo_rd_nonblock", open("fifo", O_RDONLY | O_NONBLOCK));
    OK("bad_ptr", SC(openat, AT_FDCWD, BAD_PTR, 0, 0));
    OK("bad_dirfd", openat(999, "f", O_RDONLY));
    OK("bad_dirfd_abs", openat(999, "/tmp", O_RDONLY));
    fd = open("f", O_RDONLY);
    OK("file_dirfd", openat(fd, "f", O_RDONLY));
    OK("file_dirfd_empty", openat(fd, "", O_RDONLY));
    close(fd);
    OK("unknown_flag", SC(openat, AT_FDCWD, "f", 0x20000000, 0));
    OK("odd_mode", fd = open("m", O_CREAT | O_RDWR, 07777));
    struct stat st;
    fstat(fd, &st);
    t_say("odd_mode_mode", "%#o", st.st_mode);
    fl("creat_fl", fd);
    close(fd);
    OK("creat_ro", fd = open("ro", O_CREAT | O_RDWR | O_EXCL, 0));
    T("creat_ro_write", write(fd, "x", 1));
    close(fd);
    OK("trunc_ro", fd = open("f", O_RDONLY | O_TRUNC));
    fstat(fd, &st);
    T("trunc_size", st.st_size);
    T("append_ro", fcntl(open("f", O_APPEND | O_RDONLY), F_GETFL) & O_APPEND);
}

static void tmpfile_path(void)
{
    char link[64], b[4] = "abc";
    struct stat st;
    int fd;

    OK("tmpfile", fd = open(".", O_TMPFILE | O_RDWR, 0640));
    fstat(fd, &st);
    t_say("tmpfile_mode", "%#o nlink=%d", st.st_mode, (int)st.st_nlink);
    T("tmpfile_write", write(fd, b, 3));
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    T("tmpfile_link",
      linkat(AT_FDCWD, link, AT_FDCWD, "tl", AT_SYMLINK_FOLLOW));
    T("tmpfile_size", stat("tl", &st) == 0 ? st.st_size : -1);
    close(fd);
    OK("tmpfile_excl", fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600));
    T("tmpfile_excl_link", linkat(fd, "", AT_FDCWD, "tl2", AT_EMPTY_PATH));
    close(fd);
    OK("tmpfile_ro", open(".", O_TMPFILE | O_RDONLY, 0600));
    OK("tmpfile_nodir", open("no", O_TMPFILE | O_RDWR, 0600));
    OK("tmpfile_file", open("f", O_TMPFILE | O_RDWR, 0600));
    OK("path", fd = open("f", O_PATH | O_RDWR | O_TRUNC | O_APPEND));
    fl("path_fl", fd);
    T("path_read", read(fd, b, 1));
    T("path_write", write(fd, b, 1));
    T("path_fstat", fstat(fd, &st));
    T("path_seek", lseek(fd, 0, SEEK_SET));
    T("path_chmod", fchmod(fd, 0600));
    T("path_chown", fchown(fd, 0, 0));
    T("path_ioctl", SC(ioctl, fd, 0x541b, b));
    T("path_mmap",
      mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    T("path_getfd", fcntl(fd, F_GETFD));
    T("path_setfl", fcntl(fd, F_SETFL, 0));
    T("path_dup", dup(fd) > 0);
    T("path_ftruncate", ftruncate(fd, 0));
    T("path_fsync", fsync(fd));
    T("path_flock", SC(flock, fd, 1));
    close(fd);
    OK("path_nofollow", fd = open("l", O_PATH | O_NOFOLLOW));
    T("path_readlink", readlinkat(fd, "", link, 10));
    fstat(fd, &st);
    YES("path_is_link", S_ISLNK(st.st_mode));
    close(fd);
    OK("path_dir", fd = open("d", O_PATH | O_DIRECTORY));
    OK("path_dir_at", openat(fd, "x", O_CREAT | O_RDWR, 0644));
    T("path_fchdir", fchdir(fd));
    T("path_back", chdir(".."));
    T("path_getdents", SC(getdents64, fd, link, 64));
    close(fd);
}

static void open2(void)
{
    struct open_how h = {.flags = O_RDONLY};
    struct {
        struct open_how h;
        uint64_t extra;
    } big = {.h = {.flags = O_RDONLY}};

    OK("how", how("f", O_RDONLY, 0, 0));
    OK("how_mode", how("f", O_RDONLY, 0644, 0));
    OK("how_creat", how("hc", O_RDWR | O_CREAT, 0644, 0));
    OK("how_creat_mode", how("hc2", O_RDWR | O_CREAT, 010644, 0));
    OK("how_unknown", how("f", 0x20000000, 0, 0));
    OK("how_high", how("f", UINT64_C(1) << 40, 0, 0));
    OK("how_resolve", how("f", 0, 0, 0x100));
    OK("how_path_rdwr", how("f", O_PATH | O_RDWR, 0, 0));
    OK("how_path_creat", how("f", O_PATH | O_CREAT, 0, 0));
    OK("how_path", how("f", O_PATH | O_CLOEXEC, 0, 0));
    OK("how_tmpfile_ro", how(".", O_TMPFILE, 0600, 0));
    OK("how_small", SC(openat2, AT_FDCWD, "f", &h, 16));
    OK("how_zero", SC(openat2, AT_FDCWD, "f", &h, 0));
    OK("how_big", SC(openat2, AT_FDCWD, "f", &big, sizeof(big)));
    big.extra = 1;
    OK("how_big_set", SC(openat2, AT_FDCWD, "f", &big, sizeof(big)));
    OK("how_huge", SC(openat2, AT_FDCWD, "f", &big, 5000));
    OK("how_fault", SC(openat2, AT_FDCWD, "f", BAD_PTR, sizeof(h)));
    symlink("/tmp", "abs");
    symlink("..", "up");
    symlink("d", "ld");
    OK("nosym", how("l", 0, 0, RESOLVE_NO_SYMLINKS));
    OK("nosym_mid", how("ld/x", 0, 0, RESOLVE_NO_SYMLINKS));
    OK("nosym_ok", how("d/x", 0, 0, RESOLVE_NO_SYMLINKS));
    OK("nosym_path", how("l", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
    OK("nomagic", how("/proc/self/fd/0", 0, 0, RESOLVE_NO_MAGICLINKS));
    OK("nomagic_exe", how("/proc/self/exe", 0, 0, RESOLVE_NO_MAGICLINKS));
    OK("nomagic_self", how("/proc/self/stat", 0, 0, RESOLVE_NO_MAGICLINKS));
    OK("noxdev", how("f", 0, 0, RESOLVE_NO_XDEV));
    OK("noxdev_proc", how("/proc/version", 0, 0, RESOLVE_NO_XDEV));
    OK("beneath", how("d/x", 0, 0, RESOLVE_BENEATH));
    OK("beneath_up", how("d/../f", 0, 0, RESOLVE_BENEATH));
    OK("beneath_out", how("../", 0, 0, RESOLVE_BENEATH));
    OK("beneath_out2", how("d/../../", 0, 0, RESOLVE_BENEATH));
    OK("beneath_abs", how("/tmp", 0, 0, RESOLVE_BENEATH));
    OK("beneath_abslink", how("abs", 0, 0, RESOLVE_BENEATH));
    OK("beneath_uplink", how("up", 0, 0, RESOLVE_BENEATH));
    OK("root", how("/d/x", 0, 0, RESOLVE_IN_ROOT));
    OK("root_up", how("../../d/x", 0, 0, RESOLVE_IN_ROOT));
    OK("root_abslink", how("abs", 0, 0, RESOLVE_IN_ROOT));
    OK("root_both", how("f", 0, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH));
    OK("cached", how("f", 0, 0, RESOLVE_CACHED));
    OK("cached_creat", how("cc", O_CREAT | O_RDWR, 0644, RESOLVE_CACHED));
}

static void limits(void)
{
    struct rlimit rl = {.rlim_cur = 16, .rlim_max = 20000};
    int n = 0, fd, last = -1;

    T("limit", setrlimit(RLIMIT_NOFILE, &rl));
    while ((fd = open("f", O_RDONLY)) >= 0) {
        last = fd;
        n++;
    }
    T("limit_errno", fd);
    T("limit_last", last);
    T("limit_dup", dup(0));
    T("limit_dup2", dup2(0, 16));
    T("limit_dup3", dup3(0, 16, 0));
    T("limit_dupfd", fcntl(0, F_DUPFD, 16));
    T("limit_dupfd_15", fcntl(0, F_DUPFD, 15));
    int p[2];
    close(last);
    T("limit_pipe", pipe(p));
    T("limit_after", open("f", O_RDONLY));
}

static void unprivileged(void)
{
    close(open("root600", O_CREAT | O_RDWR, 0600));
    mkdir("root700", 0700);
    mkdir("root755", 0755);
    mkdir("exec_only", 0711);
    close(open("exec_only/f", O_CREAT | O_RDWR, 0644));
    mkdir("world", 0777);
    chmod("world", 0777);
    close(open("world/theirs", O_CREAT | O_RDWR, 0666));
    if (setgid(1000) < 0 || setuid(1000) < 0)
        _exit(9);
    OK("user_600", open("root600", O_RDONLY));
    OK("user_600_path", open("root600", O_PATH));
    OK("user_creat_there", open("root600", O_RDWR | O_CREAT, 0644));
    OK("user_700", open("root700/f", O_RDONLY));
    OK("user_700_new", open("root700/f", O_RDWR | O_CREAT, 0644));
    OK("user_755_new", open("root755/f", O_RDWR | O_CREAT, 0644));
    OK("user_exec_only", open("exec_only/f", O_RDONLY));
    OK("user_exec_only_dir", open("exec_only", O_RDONLY));
    OK("user_exec_only_path", open("exec_only", O_PATH | O_DIRECTORY));
    OK("user_world", open("world/f", O_RDWR | O_CREAT | O_EXCL, 0400));
    OK("user_world_again", open("world/f", O_RDWR));
    OK("user_noatime", open("world/theirs", O_RDONLY | O_NOATIME));
    OK("user_noatime_own", open("world/f", O_RDONLY | O_NOATIME));
    T("user_unlink_theirs", unlink("world/theirs"));
    OK("user_tmpfile", open("root755", O_TMPFILE | O_RDWR, 0600));
    OK("user_trunc", open("f", O_RDONLY | O_TRUNC));
}

int main(void)
{
    t_begin("fs_open");
    flags();
    tmpfile_path();
    open2();
    t_child("limits", limits);
    t_child("unprivileged", unprivileged);
    return 0;
}
