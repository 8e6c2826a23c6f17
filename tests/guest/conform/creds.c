// SPDX-License-Identifier: Apache-2.0
/* Users, groups, capabilities: what changes them and what they allow. */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "tests/guest/conform/t.h"

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#endif

static void ids(const char *label)
{
    uid_t r, e, s;
    gid_t a, b, c;

    SC(getresuid, &r, &e, &s);
    SC(getresgid, &a, &b, &c);
    t_say(label, "%d %d %d/%d %d %d fs %ld %ld", (int)r, (int)e, (int)s, (int)a,
          (int)b, (int)c, SC(setfsuid, -1), SC(setfsgid, -1));
}

static uint64_t caps(int which)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];

    if (SC(capget, &h, d) < 0)
        return 99;
    uint32_t lo = which == 0   ? d[0].effective
                  : which == 1 ? d[0].permitted
                               : d[0].inheritable;
    return lo;
}

static int setcaps(uint32_t effective, uint32_t permitted, uint32_t inheritable)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{effective, permitted, inheritable},
                                          {0, 0, 0}};

    return (int)SC(capset, &h, d);
}

static void as_user(void)
{
    gid_t g[4] = {5, 6, 7, 8};

    T("setgroups", SC(setgroups, 4, g));
    T("getgroups", SC(getgroups, 0, NULL));
    T("getgroups_small", SC(getgroups, 2, g));
    T("getgroups_neg", SC(getgroups, -1, g));
    T("getgroups_ptr", SC(getgroups, 10, BAD_PTR));
    T("setgroups_ptr", SC(setgroups, 2, BAD_PTR));
    T("setgroups_many", SC(setgroups, 65537, g));
    T("setgroups_neg", SC(setgroups, -1, g));
    T("setresgid", SC(setresgid, 10, 20, 30));
    T("setresuid", SC(setresuid, 1000, 2000, 3000));
    ids("res");
    YES("caps_gone", caps(0) == 0);
    YES("caps_permitted", caps(1) == 0);
    T("setuid_other", SC(setuid, 77));
    T("setuid_real", SC(setuid, 1000));
    ids("setuid_real_ids");
    T("setuid_saved", SC(setuid, 3000));
    ids("setuid_saved_ids");
    T("setreuid_swap", SC(setreuid, 3000, 1000));
    ids("setreuid_ids");
    T("setreuid_other", SC(setreuid, 5, -1));
    T("setresuid_keep", SC(setresuid, -1, -1, -1));
    T("setresuid_other", SC(setresuid, 1000, 0, 1000));
    T("setgid_other", SC(setgid, 0));
    T("setgid_saved", SC(setgid, 30));
    ids("setgid_ids");
    T("setregid", SC(setregid, 30, 10));
    ids("setregid_ids");
    T("setregid_other", SC(setregid, 0, 0));
    T("setgroups_user", SC(setgroups, 0, NULL));
    T("setfsuid", SC(setfsuid, 0));
    T("setfsuid_own", SC(setfsuid, 3000));
    ids("setfsuid_ids");
    T("capset_raise", setcaps(1, 1, 0));
    T("capset_same", setcaps(0, 0, 0));
    T("kill_root", kill(getppid(), 0));
    T("kill_init", kill(1, 0));
    T("nice_down", SC(setpriority, PRIO_PROCESS, 0, -5));
    T("nice_up", SC(setpriority, PRIO_PROCESS, 0, 5));
    T("nice_is", SC(getpriority, PRIO_PROCESS, 0));
    T("nice_back", SC(setpriority, PRIO_PROCESS, 0, 0));
    T("sethostname", SC(sethostname, "x", 1));
    T("setrlimit_up", setrlimit(RLIMIT_CORE, &(struct rlimit){1, 1}));
    T("setrlimit_up2",
      setrlimit(RLIMIT_CORE, &(struct rlimit){1, RLIM_INFINITY}));
    T("mount", SC(mount, "none", "/tmp", "tmpfs", 0, NULL));
    T("settimeofday", SC(clock_settime, 0, &(struct timespec){1, 1}));
    T("chroot", SC(chroot, "/"));
    T("bset_drop", prctl(PR_CAPBSET_DROP, 5, 0, 0, 0));
    T("keepcaps", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
}

static void as_root(void)
{
    struct __user_cap_header_struct h = {0x1234, 0};
    struct __user_cap_data_struct d[2];

    ids("root");
    T("setuid_root", SC(setuid, 0));
    T("seteuid", SC(setresuid, -1, 1000, -1));
    ids("seteuid_ids");
    YES("euid_caps", caps(0) == 0);
    YES("euid_permitted", caps(1) != 0);
    T("seteuid_back", SC(setresuid, -1, 0, -1));
    YES("euid_back_caps", caps(0) != 0);
    T("setfsuid", SC(setfsuid, 1000));
    ids("setfsuid_ids");
    close(open("fsuid", O_CREAT | O_RDWR, 0600));
    SC(setfsuid, 0);
    struct stat st;
    t_say("setfsuid_owner", "%d",
          stat("fsuid", &st) == 0 ? (int)st.st_uid : -1);
    T("capget_version", SC(capget, &h, d));
    t_say("capget_version_is", "%#x", h.version);
    h.version = 0x1234;
    T("capget_probe", SC(capget, &h, NULL));
    T("capget_ptr", SC(capget, BAD_PTR, d));
    h = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, -1};
    T("capget_neg", SC(capget, &h, d));
    h.pid = 99999;
    T("capget_esrch", SC(capget, &h, d));
    h.pid = 1;
    T("capget_init", SC(capget, &h, d));
    h.pid = 1;
    T("capset_other", SC(capset, &h, d));
    h = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_1, 0};
    T("capget_v1", SC(capget, &h, d));
    uint32_t p = (uint32_t)caps(1);
    T("capset_drop", setcaps(p & ~(1u << CAP_KILL), p, 0));
    YES("capset_drop_is", (caps(0) & (1u << CAP_KILL)) == 0);
    T("capset_back", setcaps(p, p, 0));
    YES("capset_back_is", (caps(0) & (1u << CAP_KILL)) != 0);
    T("capset_inh", setcaps(p, p, 1u << CAP_CHOWN));
    t_say("capset_inh_is", "%#lx", (unsigned long)caps(2));
    T("capset_drop_perm",
      setcaps(p & ~(1u << CAP_KILL), p & ~(1u << CAP_KILL), 0));
    T("capset_gain", setcaps(p, p, 0));
    T("bset_read", prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0));
    T("bset_read_bad", prctl(PR_CAPBSET_READ, 200, 0, 0, 0));
    T("bset_drop", prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0));
    T("bset_dropped", prctl(PR_CAPBSET_READ, CAP_NET_RAW, 0, 0, 0));
    T("bset_drop_bad", prctl(PR_CAPBSET_DROP, 200, 0, 0, 0));
    T("ambient_is", prctl(PR_CAP_AMBIENT, 1, CAP_CHOWN, 0, 0));
    T("ambient_clear", prctl(PR_CAP_AMBIENT, 4, 0, 0, 0));
    T("ambient_raise_no", prctl(PR_CAP_AMBIENT, 2, CAP_CHOWN, 0, 0));
    T("ambient_bad", prctl(PR_CAP_AMBIENT, 9, 0, 0, 0));
    T("securebits", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
    T("keepcaps", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    T("keepcaps_bad", prctl(PR_SET_KEEPCAPS, 2, 0, 0, 0));
    T("keepcaps_get", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
    T("keepcaps_setuid", SC(setuid, 1000));
    YES("keepcaps_permitted", caps(1) != 0);
    YES("keepcaps_effective", caps(0) == 0);
    T("keepcaps_raise", setcaps(1u << CAP_CHOWN, 1u << CAP_CHOWN, 0));
    T("keepcaps_chown", chown("fsuid", 5, 5));
}

static void set_dumpable(void)
{
    T("dump", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    T("dump_set0", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    T("dump_get0", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    T("dump_set2", prctl(PR_SET_DUMPABLE, 2, 0, 0, 0));
    T("dump_set1", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    T("dump_setuid", SC(setuid, 1000));
    T("dump_after", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

/* The program again, as `creds exec`: what exec does to the rights. */
static void said_by_exec(void)
{
    ids("exec_ids");
    YES("exec_caps", caps(0) != 0);
    T("exec_dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    T("exec_keepcaps", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
    T("exec_nnp", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static char self[64];

static void exec_self(void)
{
    (void)execl(self, "creds", "exec", (char *)NULL);
    t_say("exec", "%s", t_errno(errno));
}

static void exec_user(void)
{
    SC(setresgid, 1000, 1000, 1000);
    SC(setresuid, 1000, 1000, 1000);
    exec_self();
}

static void exec_nnp(void)
{
    T("nnp", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    exec_user();
}

static void exec_euid(void)
{
    SC(setresuid, 1000, 0, 0);
    exec_self();
}

static void exec_real_root(void)
{
    SC(setresuid, 0, 1000, 1000);
    exec_self();
}

static void copy_self(void)
{
    char b[4096];
    ssize_t n;
    int from = open("/proc/self/exe", O_RDONLY);
    int to = open("suid", O_CREAT | O_WRONLY, 0755);

    while ((n = read(from, b, sizeof(b))) > 0)
        if (write(to, b, (size_t)n) != n)
            break;
    close(to);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "exec") == 0) {
        t_program = "creds";
        said_by_exec();
        return 0;
    }
    t_begin("creds");
    (void)chmod(".", 0755);
    ids("start");
    t_child("as_user", as_user);
    t_child("as_root", as_root);
    t_child("dumpable", set_dumpable);
    copy_self();
    if (getcwd(self, 56) == NULL)
        return 1;
    (void)memcpy(self + strlen(self), "/suid", 6);
    t_child("exec_root", exec_self);
    t_child("exec_plain", exec_user);
    t_child("exec_euid", exec_euid);
    t_child("exec_real_root", exec_real_root);
    chown("suid", 44, 55);
    chmod("suid", 06755);
    t_child("exec_suid44", exec_user);
    chown("suid", 0, 0);
    chmod("suid", 04755);
    t_child("exec_suid0", exec_user);
    t_child("exec_suid0_nnp", exec_nnp);
    chmod("suid", 04644);
    t_child("exec_no_x", exec_self);
    return 0;
}
