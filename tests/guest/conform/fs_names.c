// SPDX-License-Identifier: Apache-2.0
/* Names: mkdir, link, symlink, unlink, rename, access, chdir, readlink. */
#include "tests/guest/conform/t.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#define RENAME_WHITEOUT  4
#endif

#define RENAME2(a, b, f) SC(renameat2, AT_FDCWD, a, AT_FDCWD, b, f)

static ino_t ino(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0 ? st.st_ino : 0;
}

static long nlink(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0 ? (long)st.st_nlink : -1;
}

static void dirs(void)
{
    T("mkdir", mkdir("d", 0777));
    T("mkdir_again", mkdir("d", 0777));
    T("mkdir_slash", mkdir("d2/", 0777));
    T("mkdir_missing", mkdir("no/d", 0777));
    T("mkdir_file", mkdir("/proc/self/stat/d", 0777));
    T("mkdir_dot", mkdir("d/.", 0777));
    T("mkdir_dotdot", mkdir("d/..", 0777));
    T("mkdir_root", mkdir("/", 0777));
    T("mkdir_empty", mkdir("", 0777));
    T("mkdir_ptr", SC(mkdirat, AT_FDCWD, BAD_PTR, 0777));
    T("mkdir_at_bad", mkdirat(999, "x", 0777));
    symlink("nowhere", "dang");
    T("mkdir_dangling", mkdir("dang", 0777));
    T("mkdir_dangling_slash", mkdir("dang/", 0777));
    t_file("f", 3);
    T("mkdir_under_file", mkdir("f/x", 0777));
    T("rmdir_file", rmdir("f"));
    T("rmdir_missing", rmdir("no"));
    T("rmdir_dot", rmdir("d/."));
    T("rmdir_dotdot", rmdir("d/.."));
    T("rmdir_root", rmdir("/"));
    mkdir("d/sub", 0755);
    T("nlink", nlink("d") > 0);
    T("rmdir_full", rmdir("d"));
    T("rmdir_sub", rmdir("d/sub"));
    T("rmdir_slash", rmdir("d2/"));
    T("rmdir_link", rmdir("dang"));
    T("unlink_dir", unlink("d"));
    T("unlink_slash", unlink("f/"));
    T("unlink_missing", unlink("no"));
    T("unlink_missing_slash", unlink("no/"));
    T("unlink_dot", unlink("."));
    T("unlinkat_flag", unlinkat(AT_FDCWD, "d", 0x1000));
    T("unlinkat_rmdir", unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
    T("unlinkat_rmdir_file", unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
    char cwd[64];
    mkdir("gone", 0755);
    T("chdir", chdir("gone"));
    T("rmdir_cwd", rmdir("../gone"));
    T("getcwd_gone", SC(getcwd, cwd, sizeof(cwd)));
    T("creat_gone", open("x", O_CREAT | O_RDWR, 0644) >= 0 ? 0 : -1);
    T("mkdir_gone", mkdir("x", 0755));
    OK("open_dot_gone", open(".", O_RDONLY));
    T("chdir_up", chdir(".."));
    T("chdir_file", chdir("f"));
    T("chdir_missing", chdir("no"));
    T("chdir_ptr", SC(chdir, BAD_PTR));
    T("getcwd_small", SC(getcwd, cwd, 3));
    T("getcwd_zero", SC(getcwd, cwd, 0));
    T("getcwd_ptr", SC(getcwd, BAD_PTR, 64));
    T("getcwd_len", chdir("/tmp") == 0 ? SC(getcwd, cwd, 64) : -1);
    T("fchdir_file", fchdir(1));
    T("fchdir_bad", fchdir(999));
}

static void links(void)
{
    char b[64], longname[4100];

    T("link", link("f", "hard"));
    T("link_nlink", nlink("f"));
    YES("link_ino", ino("f") == ino("hard"));
    T("link_exists", link("f", "hard"));
    T("link_dir", link(".", "hd"));
    T("link_missing", link("no", "x"));
    T("link_slash", link("f/", "x"));
    T("link_to_slash", link("f", "x/"));
    symlink("f", "s");
    T("link_symlink", link("s", "hs"));
    T("link_symlink_is", readlink("hs", b, sizeof(b)));
    T("linkat_follow",
      linkat(AT_FDCWD, "s", AT_FDCWD, "hf", AT_SYMLINK_FOLLOW));
    T("linkat_follow_is", readlink("hf", b, sizeof(b)));
    T("linkat_flag", linkat(AT_FDCWD, "f", AT_FDCWD, "x", 0x100000));
    T("link_xdev", link("/proc/version", "x"));
    T("link_ptr", SC(linkat, AT_FDCWD, BAD_PTR, AT_FDCWD, "x", 0));
    T("link_ptr2", SC(linkat, AT_FDCWD, "f", AT_FDCWD, BAD_PTR, 0));
    T("symlink", symlink("target", "sl"));
    T("symlink_exists", symlink("target", "sl"));
    T("symlink_empty", symlink("", "se"));
    T("symlink_to_empty", symlink("x", ""));
    T("symlink_to_slash", symlink("x", "new/"));
    memset(longname, 'x', sizeof(longname));
    longname[4095] = 0;
    T("symlink_4095", symlink(longname, "s4095"));
    T("symlink_4095_len", lstat("s4095", &(struct stat){0}));
    longname[4095] = 'x';
    longname[4096] = 0;
    T("symlink_4096", symlink(longname, "s4096"));
    T("open_4096", open(longname, O_RDONLY));
    T("readlink", readlink("sl", b, sizeof(b)));
    T("readlink_short", readlink("sl", b, 3));
    T("readlink_zero", readlink("sl", b, 0));
    T("readlink_neg", SC(readlinkat, AT_FDCWD, "sl", b, -1));
    T("readlink_file", readlink("f", b, 3));
    T("readlink_dir", readlink(".", b, 3));
    T("readlink_ptr", SC(readlinkat, AT_FDCWD, "sl", BAD_PTR, 10));
    T("readlink_empty", readlink("", b, 3));
    struct stat st;
    lstat("sl", &st);
    t_say("symlink_stat", "%#o %ld", st.st_mode, (long)st.st_size);
    symlink("chain1", "chain0");
    for (int i = 1; i < 45; i++) {
        char from[16], to[16];
        (void)snprintf(from, sizeof(from), "chain%d", i);
        (void)snprintf(to, sizeof(to), "chain%d", i + 1);
        symlink(to, from);
    }
    t_file("chain45", 1);
    OK("chain_40", open("chain5", O_RDONLY));
    OK("chain_41", open("chain4", O_RDONLY));
    OK("chain_45", open("chain0", O_RDONLY));
}

/* An unlinked file stays so; one without a name (O_TMPFILE) gets names until
 * the last one is gone again. */
static void links_gone(void)
{
    char path[64];
    struct stat st;
    int fd = t_file("lg", 3);

    unlink("lg");
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    T("relink", linkat(AT_FDCWD, path, AT_FDCWD, "lg2", AT_SYMLINK_FOLLOW));
    T("relink_empty", linkat(fd, "", AT_FDCWD, "lg2", AT_EMPTY_PATH));
    T("relink_none", access("lg2", F_OK));
    close(fd);
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    T("tmp_link", linkat(AT_FDCWD, path, AT_FDCWD, "lt", AT_SYMLINK_FOLLOW));
    T("tmp_link2", linkat(AT_FDCWD, path, AT_FDCWD, "lt2", AT_SYMLINK_FOLLOW));
    unlink("lt");
    T("tmp_link3", linkat(AT_FDCWD, path, AT_FDCWD, "lt3", AT_SYMLINK_FOLLOW));
    unlink("lt2");
    unlink("lt3");
    T("tmp_nlink", fstat(fd, &st) == 0 ? (long)st.st_nlink : -1);
    T("tmp_relink", linkat(AT_FDCWD, path, AT_FDCWD, "lt4", AT_SYMLINK_FOLLOW));
    T("tmp_relink_none", access("lt4", F_OK));
    close(fd);
}

static void renames(void)
{
    t_file("a", 1);
    t_file("b", 2);
    ino_t ia = ino("a");
    T("rename", rename("a", "b"));
    YES("rename_ino", ino("b") == ia);
    T("rename_missing", rename("a", "c"));
    link("b", "b2");
    T("rename_same", rename("b", "b2"));
    YES("rename_same_both", ino("b") != 0 && ino("b2") != 0);
    T("rename_self", rename("b", "b"));
    mkdir("rd", 0755);
    mkdir("re", 0755);
    mkdir("re/sub", 0755);
    T("rename_dir_full", rename("rd", "re"));
    T("rename_dir_file", rename("rd", "b"));
    T("rename_file_dir", rename("b", "rd"));
    T("rename_into_self", rename("re", "re/sub/x"));
    T("rename_over_parent", rename("re/sub", "re"));
    T("rename_dot", rename("rd/.", "x"));
    T("rename_to_dot", rename("b", "rd/."));
    T("rename_dotdot", rename("rd/..", "x"));
    T("rename_root", rename("/", "x"));
    T("rename_to_root", rename("b", "/"));
    T("rename_slash", rename("b/", "x"));
    T("rename_to_slash", rename("b", "x/"));
    T("rename_dir_to_slash", rename("rd", "rf/"));
    T("rename_dir_empty", rename("rf", "re/sub"));
    T("rename_ptr", SC(renameat, AT_FDCWD, BAD_PTR, AT_FDCWD, "x"));
    T("rename_ptr2", SC(renameat, AT_FDCWD, "b", AT_FDCWD, BAD_PTR));
    T("rename_xdev", rename("b", "/proc/x"));
    T("rename_from_proc", rename("/proc/version", "x"));
    T("rename_empty", rename("", "x"));
    T("noreplace", RENAME2("b", "b2", RENAME_NOREPLACE));
    T("noreplace_new", RENAME2("b", "bn", RENAME_NOREPLACE));
    t_file("x1", 1);
    mkdir("x2", 0755);
    ino_t i1 = ino("x1");
    T("exchange", RENAME2("x1", "x2", RENAME_EXCHANGE));
    YES("exchange_ino", ino("x2") == i1);
    T("exchange_missing", RENAME2("x1", "no", RENAME_EXCHANGE));
    T("exchange_noreplace",
      RENAME2("x1", "x2", RENAME_EXCHANGE | RENAME_NOREPLACE));
    T("exchange_sub", RENAME2("re", "re/sub", RENAME_EXCHANGE));
    T("exchange_whiteout",
      RENAME2("x1", "x2", RENAME_EXCHANGE | RENAME_WHITEOUT));
    T("unknown", RENAME2("x1", "x2", 8));
    symlink("x2", "xs");
    T("rename_symlink", rename("xs", "xs2"));
    YES("rename_symlink_is", readlink("xs2", (char[8]){0}, 8) == 2);
    int fd = open("x2", O_RDONLY);
    T("rename_open", rename("x2", "x3"));
    struct stat st;
    T("rename_open_stat", fstat(fd, &st));
    YES("rename_open_ino", st.st_ino == ino("x3"));
    t_file("x4", 0);
    T("rename_over_open", rename("x4", "x3"));
    T("rename_over_nlink", fstat(fd, &st) == 0 ? (long)st.st_nlink : -1);
}

static void access_user(void)
{
    setgid(1000);
    setuid(1000);
    T("user_r", access("p600", R_OK));
    T("user_f", access("p600", F_OK));
    T("user_dir", access("p700/f", F_OK));
    T("user_x", access("p755", X_OK));
    T("user_w", access("p755", W_OK));
    T("user_stat", stat("p700/f", &(struct stat){0}));
    T("user_mkdir", mkdir("p755/d", 0755));
    T("user_rename", rename("p600", "p601"));
    T("user_link", link("p600", "p602"));
    T("user_symlink", symlink("x", "p603"));
    T("user_chmod", chmod("p600", 0777));
    T("user_chown", chown("p600", 1000, 1000));
    T("user_mknod", mknod("n", S_IFCHR | 0666, 0x103));
    T("user_chroot", chroot("."));
    T("user_sticky_unlink", unlink("sticky/f"));
    T("user_sticky_rename", rename("sticky/f", "sticky/g"));
    OK("user_sticky_new", open("sticky/mine", O_CREAT | O_RDWR, 0600));
    T("user_sticky_own", unlink("sticky/mine"));
    T("user_utime", utimensat(AT_FDCWD, "p644", NULL, 0));
    struct timespec ts[2] = {{1, 0}, {2, 0}};
    T("user_utime_set", utimensat(AT_FDCWD, "p644", ts, 0));
    T("user_utime_666", utimensat(AT_FDCWD, "p666", NULL, 0));
    T("user_utime_666_set", utimensat(AT_FDCWD, "p666", ts, 0));
    T("user_truncate", truncate("p644", 0));
    T("user_exec", execl("p644", "x", NULL));
}

static void accesses(void)
{
    static const int modes[] = {0600, 0644, 0666, 0755};

    for (unsigned i = 0; i < 4; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "p%o", modes[i]);
        close(t_file(name, 1));
        chmod(name, (mode_t)modes[i]);
    }
    mkdir("p700", 0700);
    close(t_file("p700/f", 1));
    mkdir("sticky", 0777);
    chmod("sticky", 01777);
    close(t_file("sticky/f", 1));
    T("access_f", access("p600", F_OK));
    T("access_rw", access("p600", R_OK | W_OK));
    T("access_x", access("p600", X_OK));
    T("access_x755", access("p755", X_OK));
    T("access_dir_x", access("p700", X_OK));
    T("access_mode", access("p600", 8));
    T("access_missing", access("no", F_OK));
    T("access2_flag", SC(faccessat2, AT_FDCWD, "p600", F_OK, 0x8));
    T("access2_eaccess", SC(faccessat2, AT_FDCWD, "p600", R_OK, AT_EACCESS));
    symlink("no", "adang");
    T("access2_dangling", SC(faccessat2, AT_FDCWD, "adang", F_OK, 0));
    T("access2_nofollow",
      SC(faccessat2, AT_FDCWD, "adang", F_OK, AT_SYMLINK_NOFOLLOW));
    int fd = open("p600", O_RDONLY);
    T("access2_empty", SC(faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
    T("access2_empty_no", SC(faccessat2, fd, "", R_OK, 0));
    T("access_proc_w", access("/proc/version", W_OK));
    t_child("access_user", access_user);
}

static void setgid_dirs(void)
{
    struct stat st;

    mkdir("sg", 0755);
    T("sg_chown", chown("sg", 0, 55));
    T("sg_chmod", chmod("sg", 02775));
    close(t_file("sg/f", 1));
    mkdir("sg/d", 0755);
    stat("sg/f", &st);
    t_say("sg_file", "%#o gid=%d", st.st_mode, (int)st.st_gid);
    stat("sg/d", &st);
    t_say("sg_dir", "%#o gid=%d", st.st_mode, (int)st.st_gid);
    close(t_file("suid", 1));
    chmod("suid", 06755);
    T("suid_chown", chown("suid", 1, 1));
    stat("suid", &st);
    t_say("suid_after_chown", "%#o", st.st_mode);
    chmod("suid", 06745);
    chown("suid", 2, 2);
    stat("suid", &st);
    t_say("sgid_nox_after_chown", "%#o", st.st_mode);
    T("chmod_type", chmod("suid", 0170644));
    stat("suid", &st);
    t_say("chmod_type_mode", "%#o", st.st_mode);
    T("chown_keep", chown("suid", (uid_t)-1, 7));
    stat("suid", &st);
    t_say("chown_keep_ids", "%d %d", (int)st.st_uid, (int)st.st_gid);
    symlink("suid", "sulink");
    T("lchown", lchown("sulink", 9, 9));
    lstat("sulink", &st);
    t_say("lchown_ids", "%d %d", (int)st.st_uid, (int)st.st_gid);
    T("fchownat_flag", fchownat(AT_FDCWD, "suid", 1, 1, 0x2));
    int fd = open("suid", O_PATH);
    T("fchownat_empty", fchownat(fd, "", 3, 3, AT_EMPTY_PATH));
    T("chmod_missing", chmod("no", 0644));
    T("chmod_ptr", SC(fchmodat, AT_FDCWD, BAD_PTR, 0644));
    T("mknod_fifo", mknod("nf", S_IFIFO | 0644, 0));
    T("mknod_reg", mknod("nr", S_IFREG | 0644, 0));
    T("mknod_zero", mknod("nz", 0644, 0));
    T("mknod_dir", mknod("nd", S_IFDIR | 0755, 0));
    T("mknod_link", mknod("nl", S_IFLNK | 0755, 0));
    T("mknod_odd", mknod("no1", 0150000, 0));
    T("mknod_sock", mknod("ns", S_IFSOCK | 0755, 0));
    T("mknod_exists", mknod("nf", S_IFIFO | 0644, 0));
    stat("nz", &st);
    t_say("mknod_zero_mode", "%#o", st.st_mode);
    T("umask", umask(0777));
    close(open("um", O_CREAT | O_RDWR, 0666));
    umask(022);
    stat("um", &st);
    t_say("umask_mode", "%#o", st.st_mode);
    T("umask_high", SC(umask, 07777777));
    T("umask_back", umask(022));
}

static void chroots(void)
{
    char b[64];

    mkdir("jail", 0755);
    mkdir("jail/in", 0755);
    close(t_file("jail/in/f", 1));
    T("chroot_file", chroot("f"));
    T("chroot_missing", chroot("no"));
    T("chroot_ptr", SC(chroot, BAD_PTR));
    T("chroot", chroot("jail"));
    OK("chroot_abs", open("/in/f", O_RDONLY));
    OK("chroot_out", open("../f", O_RDONLY)); /* cwd is still outside */
    T("chroot_getcwd", SC(getcwd, b, sizeof(b)) > 0);
    YES("chroot_unreachable", strncmp(b, "(unreachable)", 13) == 0);
    T("chroot_cd", chdir("/"));
    T("chroot_cwd", SC(getcwd, b, sizeof(b)));
    OK("chroot_up", open("/../../in/f", O_RDONLY));
    OK("chroot_tmp", open("/tmp", O_RDONLY));
}

int main(void)
{
    char home[64];

    t_begin("fs_names");
    if (getcwd(home, sizeof(home)) == NULL)
        return 1;
    dirs();
    (void)chdir(home);
    links();
    links_gone();
    renames();
    accesses();
    setgid_dirs();
    t_child("chroots", chroots);
    return 0;
}
