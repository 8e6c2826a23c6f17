// SPDX-License-Identifier: Apache-2.0
/* inotify(7): which events, in which order, with which names. */
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "tests/guest/conform/t.h"

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif

static int in;

static void show(const char *label)
{
    char b[8192] __attribute__((aligned(8)));
    uint32_t cookie = 0;
    ssize_t n;
    int count = 0;

    while ((n = read(in, b, sizeof(b))) > 0)
        for (ssize_t i = 0; i < n;) {
            const struct inotify_event *e = (void *)(b + i);
            const char *tie = e->cookie == 0        ? ""
                              : e->cookie == cookie ? " same"
                                                    : " new";
            t_say(label, "wd=%d mask=%#x len=%u%s %s", e->wd, e->mask, e->len,
                  tie, e->len != 0 ? e->name : "-");
            cookie = e->cookie;
            count++;
            i += (ssize_t)(sizeof(*e) + e->len);
        }
    if (count == 0)
        t_say(label, "nothing: %s", n < 0 ? t_errno(errno) : "0");
}

static void errors(void)
{
    char b[64];
    int p[2];

    T("init_flags", SC(inotify_init1, 0x1));
    OK("init_cloexec", SC(inotify_init1, IN_CLOEXEC));
    pipe(p);
    T("add_badfd", SC(inotify_add_watch, 999, ".", IN_CREATE));
    T("add_pipe", SC(inotify_add_watch, p[0], ".", IN_CREATE));
    T("add_zero", SC(inotify_add_watch, in, ".", 0));
    T("add_unknown", SC(inotify_add_watch, in, ".", 0x00100000));
    T("add_both",
      SC(inotify_add_watch, in, ".", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE));
    T("add_missing", SC(inotify_add_watch, in, "no", IN_CREATE));
    T("add_ptr", SC(inotify_add_watch, in, BAD_PTR, IN_CREATE));
    close(t_file("plain", 1));
    T("add_onlydir",
      SC(inotify_add_watch, in, "plain", IN_CREATE | IN_ONLYDIR));
    T("rm_unknown", SC(inotify_rm_watch, in, 77));
    T("rm_pipe", SC(inotify_rm_watch, p[0], 1));
    T("rm_badfd", SC(inotify_rm_watch, 999, 1));
    T("read_empty", read(in, b, sizeof(b)));
    T("write", write(in, b, 1));
    T("seek", lseek(in, 0, SEEK_SET));
}

static void in_directory(void)
{
    char b[16];
    int fd, n;

    T("dir", inotify_add_watch(in, "d", IN_ALL_EVENTS));
    fd = open("d/file", O_CREAT | O_RDWR, 0644);
    show("create");
    write(fd, "hello", 5);
    write(fd, "more", 4);
    show("write");
    pread(fd, b, 4, 0);
    read(fd, b, 4);
    show("read");
    ftruncate(fd, 3);
    show("ftruncate");
    fallocate(fd, 0, 0, 20);
    show("fallocate");
    fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 10);
    show("punch");
    fallocate(fd, 0, 0, 0);
    show("fallocate_none");
    fchmod(fd, 0600);
    fchown(fd, 1, 1);
    show("attrib");
    futimens(fd, NULL);
    show("utimes");
    fsetxattr(fd, "user.x", "1", 1, 0);
    show("xattr");
    close(fd);
    show("close_write");
    fd = open("d/file", O_RDONLY);
    T("fionread", ioctl(in, FIONREAD, &n) == 0 ? n : -1);
    T("small", read(in, b, 16));
    close(fd);
    show("close_nowrite");
    close(open("d/file", O_WRONLY | O_TRUNC));
    show("trunc");
    truncate("d/file", 10);
    show("truncate");
    mkdir("d/sub", 0755);
    symlink("x", "d/link");
    mkfifo("d/fifo", 0600);
    link("d/file", "d/hard");
    show("made");
    rename("d/file", "d/renamed");
    show("rename");
    rename("d/renamed", "out");
    show("moved_out");
    rename("out", "d/in");
    show("moved_in");
    rename("d/sub", "d/sub2");
    show("rename_dir");
    rename("d/in", "d/hard");
    show("rename_same");
    close(t_file("d/victim", 0));
    show("victim");
    rename("d/link", "d/victim");
    show("rename_over");
    unlink("d/victim");
    unlink("d/hard");
    rmdir("d/sub2");
    show("removed");
    chmod("d", 0700);
    show("self_attrib");
    int dir = open("d", O_RDONLY);
    SC(getdents64, dir, (char[1024]){0}, 1024);
    close(dir);
    show("self_open");
    rename("d", "d2");
    show("self_move");
    rename("d2", "d");
    show("self_back");
}

static void on_file(void)
{
    int wd, fd;

    close(t_file("f", 3));
    T("file", wd = inotify_add_watch(in, "f", IN_ALL_EVENTS));
    T("file_again", inotify_add_watch(in, "f", IN_MODIFY) == wd);
    close(open("f", O_RDONLY));
    show("file_only_modify");
    T("file_add", inotify_add_watch(in, "f", IN_MASK_ADD | IN_OPEN) == wd);
    close(open("f", O_RDONLY));
    show("file_open_too");
    T("file_create", inotify_add_watch(in, "f", IN_MASK_CREATE | IN_OPEN));
    T("file_rm", inotify_rm_watch(in, wd));
    show("file_ignored");
    T("file_rm_again", inotify_rm_watch(in, wd));
    T("file_new", inotify_add_watch(in, "f", IN_ALL_EVENTS) > wd);
    link("f", "f2");
    unlink("f");
    show("file_unlink_one");
    fd = open("f2", O_RDONLY);
    show("file_open");
    unlink("f2");
    show("file_unlink_open");
    close(fd);
    show("file_gone");
    close(t_file("one", 1));
    T("oneshot",
      inotify_add_watch(in, "one", IN_ONESHOT | IN_OPEN | IN_ATTRIB) > 0);
    chmod("one", 0600);
    chmod("one", 0644);
    show("oneshot_events");
    symlink("one", "sym");
    T("dont_follow",
      inotify_add_watch(in, "sym", IN_DONT_FOLLOW | IN_ALL_EVENTS) > 0);
    chmod("one", 0600);
    show("dont_follow_quiet");
    unlink("sym");
    show("dont_follow_gone");
    mkdir("e", 0755);
    T("dir2", inotify_add_watch(in, "e", IN_DELETE_SELF | IN_CREATE) > 0);
    rmdir("e");
    show("dir2_gone");
}

static void waiting(void)
{
    struct pollfd pf = {.fd = in, .events = POLLIN};
    char b[256];

    T("poll_none", poll(&pf, 1, 0));
    mkdir("w", 0755);
    T("wait_watch", inotify_add_watch(in, "w", IN_CREATE) > 0);
    fcntl(in, F_SETFL, 0);
    pid_t me = getpid();
    if (fork() == 0) {
        t_asleep(me);
        close(open("w/x", O_CREAT | O_RDWR, 0600));
        _exit(0);
    }
    T("wait_poll", poll(&pf, 1, -1));
    T("wait_events", pf.revents);
    T("wait_read", read(in, b, sizeof(b)));
    wait(NULL);
    fcntl(in, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        close(open("w/y", O_CREAT | O_RDWR, 0600));
        unlink("w/y");
    }
    close(open("w/y", O_CREAT | O_RDWR, 0600));
    show("not_merged");
}

int main(void)
{
    t_begin("inotify");
    in = inotify_init1(IN_NONBLOCK);
    T("fl", fcntl(in, F_GETFL));
    errors();
    mkdir("d", 0755);
    in_directory();
    on_file();
    waiting();
    return 0;
}
