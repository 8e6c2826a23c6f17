// SPDX-License-Identifier: Apache-2.0
#include "guest/sys/ipc.h"

#include "abi/linux/errno.h"
#include "abi/linux/proc.h"
#include "abi/linux/stat.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/fs/procfs.h"

#define CAP_IPC_OWNER 15
#define CAP_SYS_ADMIN 21

#define ID_BITS  15
#define ID_INDEX ((1 << ID_BITS) - 1)

int ipc_get(struct ipc_ids *ids, int32_t key, int flags, struct ipc_perm **out)
{
    *out = NULL;
    if (key == 0) /* IPC_PRIVATE */
        return 0;
    for (uint32_t i = 0; i < ids->room; i++) {
        if (ids->slot[i] == NULL || ids->slot[i]->key != key)
            continue;
        *out = ids->slot[i];
        return (flags & IPC_CREAT) != 0 && (flags & IPC_EXCL) != 0 ? -EEXIST
                                                                   : 0;
    }
    return (flags & IPC_CREAT) != 0 ? 0 : -ENOENT;
}

static int ipc_grow(struct ipc_ids *ids)
{
    uint32_t room = ids->room == 0 ? 16 : MIN(ids->room * 2, ids->max);

    if (ids->room >= ids->max)
        return -ENOSPC;
    struct ipc_perm **slot = kzalloc(room * sizeof(struct ipc_perm *));
    if (slot == NULL)
        return -ENOMEM;
    if (ids->room != 0)
        memcpy(slot, ids->slot, ids->room * sizeof(struct ipc_perm *));
    kfree(ids->slot);
    ids->slot = slot;
    ids->room = room;
    return 0;
}

int ipc_add(struct ipc_ids *ids, struct ipc_perm *p, int32_t key, int flags)
{
    const struct cred *c = &current()->cred;
    uint32_t i = 0;

    while (i < ids->room && ids->slot[i] != NULL)
        i++;
    int r = i == ids->room ? ipc_grow(ids) : 0;
    if (r < 0)
        return r;
    ids->slot[i] = p;
    ids->used++;
    p->key = key;
    p->seq = ids->seq;
    p->id = (int32_t)((uint32_t)p->seq << ID_BITS | i);
    p->uid = p->cuid = c->euid;
    p->gid = p->cgid = c->egid;
    p->mode = (uint32_t)flags & 0777;
    ids->seq = (uint16_t)(ids->seq + 1); /* an id is not soon used again */
    return p->id;
}

int ipc_at(struct ipc_ids *ids, int32_t index, struct ipc_perm **out)
{
    int32_t i = index & ID_INDEX; /* of an id, too: as Linux */

    if (index < 0 || (uint32_t)i >= ids->room || ids->slot[i] == NULL)
        return -EINVAL;
    *out = ids->slot[i];
    return 0;
}

int ipc_find(struct ipc_ids *ids, int32_t id, struct ipc_perm **out)
{
    int r = ipc_at(ids, id, out);

    return r == 0 && (*out)->id != id ? -EIDRM : r;
}

void ipc_remove(struct ipc_ids *ids, struct ipc_perm *p)
{
    ids->slot[p->id & ID_INDEX] = NULL;
    ids->used--;
}

int32_t ipc_last(const struct ipc_ids *ids)
{
    uint32_t i = ids->room;

    while (i > 0 && ids->slot[i - 1] == NULL)
        i--;
    return i > 0 ? (int32_t)i - 1 : 0;
}

int ipc_access(const struct ipc_perm *p, uint32_t bits)
{
    const struct cred *c = &current()->cred;
    uint32_t want = (bits >> 6 | bits >> 3 | bits) & 7;
    uint32_t have = p->mode;

    if (c->euid == p->cuid || c->euid == p->uid)
        have >>= 6;
    else if (cred_in_group(c, p->cgid) || cred_in_group(c, p->gid) ||
             c->egid == p->cgid || c->egid == p->gid)
        have >>= 3;
    if ((want & ~have) != 0 && !cred_capable(current()->proc, CAP_IPC_OWNER))
        return -EACCES;
    return 0;
}

int ipc_owner(const struct ipc_perm *p)
{
    uint32_t me = current()->cred.euid;

    if (me == p->cuid || me == p->uid ||
        cred_capable(current()->proc, CAP_SYS_ADMIN))
        return 0;
    return -EPERM;
}

int ipc_use(struct ipc_ids *ids, int32_t id, uint32_t bits,
            struct ipc_perm **out)
{
    int r = ipc_find(ids, id, out);

    return r == 0 ? ipc_access(*out, bits) : r;
}

int ipc_own(struct ipc_ids *ids, int32_t id, struct ipc_perm **out)
{
    int r = ipc_find(ids, id, out);

    return r == 0 ? ipc_owner(*out) : r;
}

int ipc_look(struct ipc_ids *ids, int32_t id, bool by_id, bool any,
             struct ipc_perm **out)
{
    int r = by_id ? ipc_find(ids, id, out) : ipc_at(ids, id, out);

    return r == 0 && !any ? ipc_access(*out, 0444) : r;
}

void ipc_stat(const struct ipc_perm *p, struct lx_ipc64_perm *out)
{
    *out = (struct lx_ipc64_perm){.key = p->key,
                                  .uid = p->uid,
                                  .gid = p->gid,
                                  .cuid = p->cuid,
                                  .cgid = p->cgid,
                                  .mode = p->mode,
                                  .seq = p->seq};
}

int ipc_set(struct ipc_perm *p, const struct lx_ipc64_perm *to)
{
    if (to->uid == UINT32_MAX || to->gid == UINT32_MAX)
        return -EINVAL;
    p->uid = to->uid;
    p->gid = to->gid;
    p->mode = (p->mode & ~0777u) | (to->mode & 0777);
    return 0;
}

int64_t ipc_now(void)
{
    return (int64_t)(clock_wall() / NSEC_PER_SEC);
}

/* --- /proc/sysvipc --- */

static const struct pseudo_node sysvipc_nodes[] = {
    PROC_REG("msg", 0444, msg_show),
    PROC_REG("sem", 0444, sem_show),
    PROC_REG("shm", 0444, shm_show),
};
const struct pseudo_dir proc_sysvipc_dir = PSEUDO_DIR(sysvipc_nodes);
