// SPDX-License-Identifier: Apache-2.0
/* Files of /proc that tools open: what they say of this program. */
#include <sys/file.h>

#include "tests/guest/conform/t.h"

/* Lines of /proc/locks about the file, without their numbers. */
static void say_locks(const char *label, int fd, pid_t me, pid_t child)
{
    FILE *f = fopen("/proc/locks", "r");
    char line[256], word[4][16], end[32];
    unsigned long ino, start;
    struct stat st;
    int pid, n = 0;

    fstat(fd, &st);
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *s = strchr(line, ':') + 2;
        bool waits = strncmp(s, "-> ", 3) == 0;
        if (sscanf(waits ? s + 3 : s, "%15s %15s %15s %d %*x:%*x:%lu %lu %31s",
                   word[0], word[1], word[2], &pid, &ino, &start, end) != 7 ||
            ino != st.st_ino)
            continue;
        t_say(label, "%s%s %s %s %s %lu %s", waits ? "-> " : "", word[0],
              word[1], word[2],
              pid == me      ? "mine"
              : pid == child ? "child's"
              : pid == -1    ? "-1"
                             : "?",
              start, end);
        n++;
    }
    if (f != NULL)
        (void)fclose(f);
    T(label, n);
}

static void locks(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_start = 10, .l_len = 5};
    int fd = t_file("locked", 100);

    say_locks("locks_none", fd, 0, 0);
    fcntl(fd, F_SETLK, &l);
    say_locks("locks_posix", fd, getpid(), 0);
    pid_t pid = fork();
    if (pid == 0) {
        fcntl(fd, F_SETLKW, &l);
        _exit(0);
    }
    t_asleep(pid);
    say_locks("locks_waits", fd, getpid(), pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    l.l_type = F_UNLCK;
    fcntl(fd, F_SETLK, &l);
    l = (struct flock){.l_type = F_RDLCK, .l_start = 3};
    fcntl(fd, 37, &l); /* F_OFD_SETLK */
    say_locks("locks_ofd", fd, getpid(), 0);
    l.l_type = F_UNLCK;
    fcntl(fd, 37, &l);
    flock(fd, LOCK_EX);
    say_locks("locks_flock", fd, getpid(), 0);
    close(fd);
}

static void namespaces(void)
{
    static const char *const kinds[] = {"cgroup", "ipc",
                                        "mnt",    "net",
                                        "pid",    "pid_for_children",
                                        "time",   "time_for_children",
                                        "user",   "uts"};
    char path[64], text[64];
    struct stat st, again;

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
        ssize_t n = readlink(path, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = 0;
        const char *number = strchr(text, '[');
        T(path + 11, stat(path, &st));
        YES(path + 11, number != NULL && strtoul(number + 1, NULL, 10) ==
                                             (unsigned long)st.st_ino);
        t_say(path + 11, "%.*s %#o", (int)(number != NULL ? number - text : 0),
              text, st.st_mode);
    }
    pid_t pid = fork();
    if (pid == 0)
        pause();
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
    stat("/proc/self/ns/mnt", &st);
    YES("ns_same", stat(path, &again) == 0 && again.st_ino == st.st_ino &&
                       again.st_dev == st.st_dev);
    OK("ns_open", open(path, O_RDONLY));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    T("ns_missing", access("/proc/self/ns/no", F_OK));
    YES("ns_dir",
        stat("/proc/self/ns", &st) == 0 && (st.st_mode & 0777) == 0511);
}

static void read_io(unsigned long v[7])
{
    FILE *f = fopen("/proc/self/io", "r");

    for (int i = 0; i < 7; i++)
        if (f == NULL || fscanf(f, "%*s %lu", &v[i]) != 1)
            v[i] = 0;
    if (f != NULL)
        (void)fclose(f);
}

static void io(void)
{
    unsigned long a[7], b[7];
    char buf[300] = {0};
    int fd = t_file("io", 0), p[2];

    pipe(p);
    read_io(a);
    write(fd, buf, 300);
    pwrite(fd, buf, 30, 0);
    write(p[1], buf, 5);
    SC(write, p[1], BAD_PTR, 5);
    read_io(b);
    t_say("io_written", "%lu in %lu", b[1] - a[1], b[3] - a[3]);
    pread(fd, buf, 200, 0);
    read(p[0], buf, 100);
    read_io(a);
    YES("io_read", a[0] - b[0] >= 205 && a[2] - b[2] >= 2);
    T("io_mode", access("/proc/self/io", W_OK));
}

static void numbers(void)
{
    static const char *const names[] = {
        "/proc/swaps", "/proc/sys/kernel/overflowuid",
        "/proc/sys/kernel/overflowgid", "/proc/sys/fs/overflowuid",
        "/proc/sys/fs/overflowgid"};
    unsigned long n = 0, unused, max;
    char line[128];

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        FILE *f = fopen(names[i], "r");
        line[0] = 0;
        YES(names[i] + 6, f != NULL && fgets(line, sizeof(line), f) != NULL);
        t_say(names[i] + 6, "%.*s", (int)strcspn(line, "\n"), line);
    }
    FILE *f = fopen("/proc/sys/fs/file-nr", "r");
    YES("file_nr",
        f != NULL && fscanf(f, "%lu %lu %lu", &n, &unused, &max) == 3);
    YES("file_nr_is", n > 0 && unused == 0 && max >= n);
}

int main(void)
{
    t_begin("procfs");
    locks();
    namespaces();
    io();
    numbers();
    return 0;
}
