// SPDX-License-Identifier: Apache-2.0
/* Rights as objects, and what exec and changes of ids do to them. */
#include "guest/core/cred.h"

#include "guest/core/kmem.h"
#include "guest/core/task.h"

/* --- groups --- */

struct cred_groups *cred_groups_new(uint32_t count)
{
    struct cred_groups *g = kmalloc(sizeof(*g) + count * sizeof(g->id[0]));

    if (g != NULL) {
        g->refs = 1;
        g->count = count;
    }
    return g;
}

/* Below `at` everything is a heap: so is it with `at`, in [at, end). */
static void groups_sift(uint32_t *id, uint32_t at, uint32_t end)
{
    for (uint32_t big = at * 2 + 1; big < end; big = at * 2 + 1) {
        if (big + 1 < end && id[big + 1] > id[big])
            big++;
        if (id[at] >= id[big])
            return;
        uint32_t t = id[at];
        id[at] = id[big];
        id[big] = t;
        at = big;
    }
}

void cred_groups_sort(struct cred_groups *g)
{
    for (uint32_t i = g->count / 2; i-- > 0;)
        groups_sift(g->id, i, g->count);
    for (uint32_t end = g->count; end-- > 1;) {
        uint32_t t = g->id[0];
        g->id[0] = g->id[end];
        g->id[end] = t;
        groups_sift(g->id, 0, end);
    }
}

static void groups_get(struct cred_groups *g)
{
    if (g != NULL)
        __atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
}

void cred_groups_put(struct cred_groups *g)
{
    if (g != NULL && __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(g);
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
    uint32_t from = 0;
    uint32_t to = cred_group_count(c);

    if (c->fsgid == gid)
        return true;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (c->groups->id[mid] == gid)
            return true;
        if (c->groups->id[mid] < gid)
            from = mid + 1;
        else
            to = mid;
    }
    return false;
}

/* --- the whole --- */

void cred_copy(struct cred *to, const struct cred *from)
{
    struct cred_groups *old = to->groups;

    groups_get(from->groups);
    *to = *from;
    cred_groups_put(old);
}

void cred_fini(struct cred *c)
{
    cred_groups_put(c->groups);
    c->groups = NULL;
}

void cred_get(struct cred *out, struct task *t)
{
    unsigned long flags = spin_lock_irq(&t->proc->sig_lock);

    out->groups = NULL;
    cred_copy(out, &t->cred);
    spin_unlock_irq(&t->proc->sig_lock, flags);
}

void cred_commit(const struct cred *c)
{
    struct task *t = current();
    struct process *p = t->proc;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    const struct cred *old = &t->cred;

    if (c->euid != old->euid || c->egid != old->egid ||
        c->fsuid != old->fsuid || c->fsgid != old->fsgid ||
        (c->permitted & ~old->permitted) != 0) {
        p->dumpable = false;
        p->pdeath_sig = 0;
    }
    cred_copy(&t->cred, c);
    if (p->leader == t)
        cred_copy(&p->cred, c);
    spin_unlock_irq(&p->sig_lock, flags);
}

void cred_exec(uint32_t suid, uint32_t sgid)
{
    struct cred c = current()->cred;

    current()->proc->dumpable = c.euid == c.uid && c.egid == c.gid;
    if (!c.no_new_privs && suid != UINT32_MAX)
        c.euid = suid;
    if (!c.no_new_privs && sgid != UINT32_MAX)
        c.egid = sgid;
    c.suid = c.euid;
    c.fsuid = c.euid;
    c.sgid = c.egid;
    c.fsgid = c.egid;
    bool root =
        (c.securebits & CRED_NOROOT) == 0 && (c.uid == 0 || c.euid == 0);
    if (c.euid != c.uid || c.egid != c.gid)
        c.ambient = 0; /* a set-id program: not what was left to it */
    c.permitted = c.ambient;
    if (root)
        c.permitted |= c.bounding | c.inheritable;
    c.caps = root && c.euid == 0 ? c.permitted : c.ambient;
    c.securebits &= ~CRED_KEEP_CAPS;
    cred_commit(&c);
}

bool cred_capable(const struct process *p, unsigned cap)
{
    const struct task *me = current();
    const struct cred *c = p == me->proc ? &me->cred : &p->cred;

    return cap < 64 && (c->caps >> cap & 1) != 0;
}
