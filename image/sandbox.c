// SPDX-License-Identifier: Apache-2.0
#include "image/sandbox.h"

#include <elf.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"

enum {
    SANDBOX_FILES_MAX = 64,         /* open at once: about a dozen */
    SANDBOX_DATA_MAX_MIB = 2 << 10, /* of memory on top of what we have */
    SANDBOX_X32_BIT = 0x40000000,
};

/* The linker's view of our own ELF header: its machine is the low half of the
 * AUDIT_ARCH_* value, so no architecture needs naming here. */
/* NOLINTNEXTLINE(readability-identifier-naming): the linker's name */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static const uint32_t sandbox_calls[] = {
    SYS_read,
    SYS_pread64,
    SYS_write,
    SYS_pwrite64,
    SYS_readv,
    SYS_writev,
    SYS_openat,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fchmod,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlinkat,
    SYS_flock,
    SYS_fcntl,
    SYS_getdents64,
    SYS_getrandom,
    SYS_futex,
    SYS_rt_sigaction,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_getpid,
    SYS_gettid,
    SYS_tgkill,
    SYS_exit,
    SYS_exit_group,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_sched_yield,
    SYS_sync_file_range,
    SYS_restart_syscall,
    SYS_sigaltstack,
    SYS_sysinfo,
    SYS_ppoll,
};

static int sandbox_fail(const char *what, struct err *e)
{
    int code = -errno;
    return err_set(e, code, "giving up rights: %s: %s", what, strerror(-code));
}

static int sandbox_limit(int what, rlim_t max, struct err *e)
{
    struct rlimit r;
    if (getrlimit((__rlimit_resource_t)what, &r) < 0)
        return sandbox_fail("getrlimit", e);
    if (max > r.rlim_max)
        max = r.rlim_max;
    r = (struct rlimit){max, max};
    return setrlimit((__rlimit_resource_t)what, &r) < 0
               ? sandbox_fail("setrlimit", e)
               : 0;
}

/* Private memory in use, pages: the sixth number of statm. A sanitizer's
 * shadow is counted there too. */
static rlim_t sandbox_data_now(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%*s %*s %*s %*s %*s %llu", &pages) != 1)
        pages = 0;
    (void)fclose(f);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static int sandbox_set_limits(struct err *e)
{
    rlim_t data = sandbox_data_now() + ((rlim_t)SANDBOX_DATA_MAX_MIB << 20);
    int code = sandbox_limit(RLIMIT_CORE, 0, e);
    if (code == 0)
        code = sandbox_limit(RLIMIT_NOFILE, SANDBOX_FILES_MAX, e);
    if (code == 0)
        code = sandbox_limit(RLIMIT_DATA, data, e);
    return code;
}

/* Images and stores of other users stay usable for root; nothing else does. */
static int sandbox_drop_capabilities(int store, struct err *e)
{
    struct stat st;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &head, data) < 0 || fstat(store, &st) < 0)
        return sandbox_fail("capabilities", e);
    uint32_t keep = UINT32_C(1) << CAP_DAC_READ_SEARCH;
    if (st.st_uid != geteuid())
        keep |= UINT32_C(1) << CAP_DAC_OVERRIDE;
    data[0].effective &= keep;
    data[0].permitted &= keep;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){0};
    if (syscall(SYS_capset, &head, data) < 0)
        return sandbox_fail("capabilities", e);
    return 0;
}

/* Writing, in the sense of Landlock's second version; the first one cannot
 * rename between directories. */
static int sandbox_confine_writes(const struct sandbox_spec *s, struct err *e)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
                           LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 2)
        return 0;
    uint64_t make = LANDLOCK_ACCESS_FS_WRITE_FILE |
                    LANDLOCK_ACCESS_FS_REMOVE_FILE |
                    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER;
    struct landlock_ruleset_attr attr = {
        .handled_access_fs =
            make | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
            LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
            LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
            LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM};
    AUTO_CLOSE int rules =
        (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (rules < 0)
        return sandbox_fail("landlock", e);
    const int dirs[SANDBOX_DIRS_MAX] = {s->read_only ? -1 : s->store, s->out};
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++) {
        struct landlock_path_beneath_attr beneath = {make, dirs[i]};
        if (dirs[i] >= 0 &&
            syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
                    &beneath, 0) < 0)
            return sandbox_fail("landlock", e);
    }
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return sandbox_fail("landlock", e);
    return 0;
}

static struct sock_filter sandbox_load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                        (uint32_t)offset);
}

static int sandbox_filter_calls(struct err *e)
{
    enum { FIXED = 7, COUNT = ARRAY_COUNT(sandbox_calls) };
    struct sock_filter f[FIXED + COUNT];
    uint32_t audit =
        __ehdr_start.e_machine | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE;
    unsigned n = 0;
    f[n++] = sandbox_load(offsetof(struct seccomp_data, arch));
    f[n++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit, 1, 0);
    f[n++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = sandbox_load(offsetof(struct seccomp_data, nr));
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
                                          SANDBOX_X32_BIT, COUNT, 0);
    for (unsigned i = 0; i < COUNT; i++)
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                              sandbox_calls[i],
                                              (uint8_t)(COUNT - i), 0);
    /* EPERM, not death: the reason then reaches the user as our one line. */
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                          SECCOMP_RET_ERRNO | EPERM);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)n, f};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return sandbox_fail("seccomp", e);
    return 0;
}

int sandbox_enter(const struct sandbox_spec *spec, struct err *e)
{
    /* OpenSSL reads its configuration at first use: let that be now. */
    EVP_MD_CTX *warm = EVP_MD_CTX_new();
    if (warm != NULL)
        (void)EVP_DigestInit_ex(warm, EVP_sha256(), NULL);
    EVP_MD_CTX_free(warm);

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return sandbox_fail("no_new_privs", e);
    int code = sandbox_set_limits(e);
    if (code == 0)
        code = sandbox_drop_capabilities(spec->store, e);
    if (code == 0)
        code = sandbox_confine_writes(spec, e);
    if (code == 0)
        code = sandbox_filter_calls(e);
    return code;
}

int sandbox_enter_network(int store, struct err *e)
{
    const struct sandbox_spec spec = {.out = -1, .read_only = true};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return sandbox_fail("no_new_privs", e);
    int code = sandbox_limit(RLIMIT_CORE, 0, e);
    if (code == 0)
        code = sandbox_drop_capabilities(store, e);
    return code == 0 ? sandbox_confine_writes(&spec, e) : code;
}
