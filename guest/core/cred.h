// SPDX-License-Identifier: Apache-2.0
/*
 * Who a thread is and what it may do. credentials(7), capabilities(7). Each
 * thread has its own (task.cred), which only it changes; process.cred is what
 * others see: a copy of the leader's, changed under sig_lock.
 */
#pragma once

#include "guest/core/types.h"

struct process;
struct task;

#define CRED_GROUPS_MAX 65536 /* NGROUPS_MAX */

struct cred_groups { /* never changed once it is somebody's */
    uint32_t refs;
    uint32_t count;
    uint32_t id[]; /* ascending */
};

struct cred {
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
    struct cred_groups *groups; /* reference held; NULL: none */
    uint64_t caps;              /* effective: bits of CAP_* */
    uint64_t permitted;         /* what caps may become again */
    uint64_t inheritable, bounding, ambient;
    uint32_t securebits; /* CRED_* */
    bool no_new_privs;
};

#define CRED_NOROOT          (1u << 0) /* SECBIT_*; each lock is the next bit */
#define CRED_NO_SETUID_FIXUP (1u << 2)
#define CRED_KEEP_CAPS       (1u << 4)
#define CRED_NO_AMBIENT      (1u << 6)
#define CRED_SECUREBITS      0xffu
#define CRED_SECURELOCKS     0xaau
#define CRED_CAPS_ALL        ((UINT64_C(1) << 41) - 1)

/* Room for `count` groups, 1 to CRED_GROUPS_MAX; refs 1; NULL: memory. */
struct cred_groups *cred_groups_new(uint32_t count);
void cred_groups_sort(struct cred_groups *g);
void cred_groups_put(struct cred_groups *g); /* NULL is fine */
static inline uint32_t cred_group_count(const struct cred *c)
{
    return c->groups != NULL ? c->groups->count : 0;
}

/* *to, which had some or is zero, becomes a copy. */
void cred_copy(struct cred *to, const struct cred *from);
void cred_fini(struct cred *c); /* no reference is left */
/* A copy of what `t` has; cred_fini() afterwards. */
void cred_get(struct cred *out, struct task *t);

/* The current thread's become *c (which stays the caller's). With other
 * effective ids its process is not dumpable any more and forgets its death
 * signal. */
void cred_commit(const struct cred *c);
/* exec(2) of a file with these ids set (UINT32_MAX: it is not set-id), by the
 * current thread, which is alone: saved ids, capabilities as capabilities(7)
 * has them for files without any, and whether the process may still be looked
 * at. Also for pid 1 after its ids were set. */
void cred_exec(uint32_t suid, uint32_t sgid);
/* For the current thread's own process: the thread's. */
bool cred_capable(const struct process *p, unsigned cap);
bool cred_in_group(const struct cred *c, uint32_t gid);
