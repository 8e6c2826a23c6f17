// SPDX-License-Identifier: Apache-2.0
/* What exec and changes of ids do to rights. capabilities(7). */
#include "guest/core/task.h"

void cred_changed(struct process *p, const struct cred *old)
{
    const struct cred *c = &p->cred;

    if (c->euid == old->euid && c->egid == old->egid &&
        c->fsuid == old->fsuid && c->fsgid == old->fsgid &&
        (c->permitted & ~old->permitted) == 0)
        return;
    p->dumpable = false;
    p->pdeath_sig = 0;
}

void cred_exec(struct process *p, uint32_t suid, uint32_t sgid)
{
    struct cred *c = &p->cred;
    unsigned long flags = spin_lock_irq(&p->sig_lock);
    struct cred old = *c;

    p->dumpable = c->euid == c->uid && c->egid == c->gid;
    if (!c->no_new_privs && suid != UINT32_MAX)
        c->euid = suid;
    if (!c->no_new_privs && sgid != UINT32_MAX)
        c->egid = sgid;
    c->suid = c->euid;
    c->fsuid = c->euid;
    c->sgid = c->egid;
    c->fsgid = c->egid;
    bool root =
        (c->securebits & CRED_NOROOT) == 0 && (c->uid == 0 || c->euid == 0);
    if (c->euid != c->uid || c->egid != c->gid)
        c->ambient = 0; /* a set-id program: not what was left to it */
    c->permitted = c->ambient;
    if (root)
        c->permitted |= c->bounding | c->inheritable;
    c->caps = root && c->euid == 0 ? c->permitted : c->ambient;
    c->securebits &= ~CRED_KEEP_CAPS;
    cred_changed(p, &old);
    spin_unlock_irq(&p->sig_lock, flags);
}

bool cred_capable(const struct process *p, unsigned cap)
{
    return cap < 64 && (p->cred.caps >> cap & 1) != 0;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
    if (c->fsgid == gid)
        return true;
    for (uint32_t i = 0; i < c->group_count; i++)
        if (c->groups[i] == gid)
            return true;
    return false;
}
