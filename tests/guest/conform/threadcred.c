// SPDX-License-Identifier: Apache-2.0
/* Rights belong to threads: raw calls change one, the libraries change all.
 * credentials(7), setgroups(2). */
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "tests/guest/conform/t.h"

#define MANY 65536

static volatile int step;
static volatile uint32_t other_tid;

static void ids(const char *label)
{
    uid_t r, e, s;

    SC(getresuid, &r, &e, &s);
    t_say(label, "%d %d %d/%ld %ld groups %ld", (int)r, (int)e, (int)s,
          SC(getgid), SC(getegid), SC(getgroups, 0, NULL));
}

/* Two fields of what /proc says of a thread. */
static void status(const char *label, uint32_t tid)
{
    char name[64], line[256];
    FILE *f;

    (void)snprintf(name, sizeof(name), "/proc/self/task/%u/status", tid);
    f = fopen(name, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "Uid:", 4) == 0 || strncmp(line, "Groups:", 7) == 0 ||
            strncmp(line, "NoNewPrivs:", 11) == 0)
            t_say(label, "%s", line);
    }
    if (f != NULL)
        fclose(f);
}

static int owner(const char *name)
{
    struct stat st;

    close(open(name, O_CREAT | O_RDWR, 0600));
    return stat(name, &st) == 0 ? (int)st.st_uid : -1;
}

static void wait_step(int n)
{
    while (step < n)
        t_sleep_ms(1);
}

static void *inherits(void *arg)
{
    ids("new_thread");
    return arg;
}

static void *other(void *arg)
{
    gid_t g[3] = {30, 10, 20};
    pthread_t t;
    int status_;

    other_tid = (uint32_t)SC(gettid);
    T("setgroups", SC(setgroups, 3, g));
    T("nnp", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    T("setresuid", SC(setresuid, 1000, 1000, 1000));
    ids("thread");
    T("file", owner("thread_file"));
    T("sethostname", SC(sethostname, "x", 1));
    pthread_create(&t, NULL, inherits, NULL);
    pthread_join(t, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        ids("child_of_thread");
        _exit(0);
    }
    waitpid(pid, &status_, 0);
    step = 1;
    wait_step(2);
    return arg;
}

static void apart(void)
{
    pthread_t t;
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];

    pthread_create(&t, NULL, other, NULL);
    wait_step(1);
    ids("main");
    T("main_nnp", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    T("main_file", owner("main_file"));
    status("status_main", (uint32_t)getpid());
    status("status_thread", other_tid);
    h.pid = (int)other_tid;
    T("capget_thread", SC(capget, &h, d));
    T("capget_effective", d[0].effective);
    T("capset_thread", SC(capset, &h, d));
    h.pid = getpid();
    T("capset_main", SC(capget, &h, d));
    step = 2;
    pthread_join(t, NULL);
}

static void *waits(void *arg)
{
    wait_step(1);
    ids((const char *)arg);
    return NULL;
}

static void together(void)
{
    pthread_t t;
    gid_t g[2] = {7, 8};

    step = 0;
    pthread_create(&t, NULL, waits, (void *)(uintptr_t) "all_thread");
    T("lib_setgroups", setgroups(2, g));
    T("lib_setgid", setgid(100));
    T("lib_setuid", setuid(1000));
    ids("all_main");
    step = 1;
    pthread_join(t, NULL);
}

static void *execs(void *arg)
{
    SC(setresuid, 1000, 1000, 1000);
    execl("/proc/self/exe", "threadcred", "exec", (char *)NULL);
    t_say("exec", "%s", t_errno(errno));
    return arg;
}

static void by_exec(void)
{
    pthread_t t;

    pthread_create(&t, NULL, execs, NULL);
    pthread_join(t, NULL);
}

static void many(void)
{
    gid_t *g = malloc((MANY + 1) * sizeof(*g)),
          *back = malloc(MANY * sizeof(*g));
    uint32_t sum = 0;
    struct stat st;

    for (uint32_t i = 0; i <= MANY; i++)
        g[i] = (i * 2654435761u) % 1000003;
    T("many_over", SC(setgroups, MANY + 1, g));
    T("many", SC(setgroups, MANY, g));
    T("many_get", SC(getgroups, MANY, back));
    for (int i = 1; i < MANY; i++)
        sum += back[i - 1] > back[i];
    T("many_unsorted", sum);
    T("many_ptr", SC(setgroups, MANY, BAD_PTR));
    T("many_kept", SC(getgroups, 0, NULL));
    g[5] = (gid_t)-1;
    T("no_such_group", SC(setgroups, 10, g));
    close(open("grouped", O_CREAT | O_RDWR, 0640));
    chown("grouped", 5, g[40000]);
    close(open("strange", O_CREAT | O_RDWR, 0640));
    chown("strange", 5, 1000004);
    T("many_setuid", SC(setresuid, 1000, 1000, 1000));
    OK("many_open", open("grouped", O_RDONLY));
    OK("many_open_strange", open("strange", O_RDONLY));
    t_say("many_stat", "%d", stat("grouped", &st) == 0 && st.st_uid == 5);
    pid_t pid = fork();
    if (pid == 0) {
        T("many_child", SC(getgroups, 0, NULL));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    T("many_drop", SC(setgroups, 0, NULL));
}

int main(int argc, char **argv)
{
    t_program = "threadcred";
    if (argc > 1 && strcmp(argv[1], "exec") == 0) {
        ids("after_exec");
        status("after_exec_status", (uint32_t)getpid());
        return 0;
    }
    t_begin("threadcred");
    (void)chmod(".", 0777);
    SC(setgroups, 0, NULL);
    t_child("apart", apart);
    t_child("together", together);
    t_child("by_exec", by_exec);
    t_child("many", many);
    (void)argv;
    return 0;
}
