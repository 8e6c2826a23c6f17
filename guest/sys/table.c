// SPDX-License-Identifier: Apache-2.0
/* The system call table, and what happens to calls that are not in it. */
#include <arch_nr.h>
#include <arch_types.h>

#include "guest/core/klib.h"
#include "guest/core/lock.h"
#include "guest/core/log.h"
#include "guest/core/task.h"
#include "guest/sys/calls_dev.h"
#include "guest/sys/calls_fs.h"
#include "guest/sys/calls_mm.h"
#include "guest/sys/calls_net.h"
#include "guest/sys/calls_proc.h"

#define SYS_ENTRY(name) [LX_NR_##name] = sys_##name,

static sys_fn *const sys_table[] = {
    /* clang-format off */
    SYS_CALLS_PROC(SYS_ENTRY)
    SYS_CALLS_MM(SYS_ENTRY)
    SYS_CALLS_FS(SYS_ENTRY)
    SYS_CALLS_DEV(SYS_ENTRY)
    SYS_CALLS_NET(SYS_ENTRY)
#if ARCH_HAS_LEGACY_CALLS
    SYS_CALLS_PROC_LEGACY(SYS_ENTRY)
    SYS_CALLS_MM_LEGACY(SYS_ENTRY)
    SYS_CALLS_FS_LEGACY(SYS_ENTRY)
    SYS_CALLS_DEV_LEGACY(SYS_ENTRY)
#endif
    /* clang-format on */
};

#define SYS_NAME(name, nr) [nr] = #name,

static const char *const sys_names[] = {LX_SYSCALLS(SYS_NAME)};

const char *sys_name(uint64_t nr)
{
    if (nr >= ARRAY_COUNT(sys_names) || sys_names[nr] == NULL)
        return "sys_?";
    return sys_names[nr];
}

/* --- one line per program and missing call --- */

#define MISSING_MAX 64 /* lines remembered; enough for a run's worth */

static struct missing {
    char program[TASK_NAME_SIZE];
    uint64_t nr;
} missing[MISSING_MAX];
static uint32_t missing_count;
static struct spinlock missing_lock;

static bool sys_missing_is_new(const char *program, uint64_t nr)
{
    bool fresh = true;

    spin_lock(&missing_lock);
    for (uint32_t i = 0; i < missing_count && fresh; i++)
        if (missing[i].nr == nr && strcmp(missing[i].program, program) == 0)
            fresh = false;
    if (missing_count == MISSING_MAX)
        fresh = false; /* silent from here: a program may loop over numbers */
    if (fresh) {
        struct missing *m = &missing[missing_count++];
        m->nr = nr;
        (void)kstrcpy(m->program, program, sizeof(m->program));
    }
    spin_unlock(&missing_lock);
    return fresh;
}

int64_t sys_dispatch(uint64_t nr, const uint64_t *a)
{
    if (nr < ARRAY_COUNT(sys_table) && sys_table[nr] != NULL)
        return sys_table[nr](a);

    const struct task *t = current();
    if (sys_missing_is_new(t->name, nr))
        klog(KLOG_DEBUG, "%s: system call %llu (%s) is not implemented",
             t->name, (unsigned long long)nr, sys_name(nr));
    return -ENOSYS;
}
