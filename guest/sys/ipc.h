// SPDX-License-Identifier: Apache-2.0
/*
 * What the three kinds of System V IPC have in common: keys, ids, owners and
 * permissions. sysvipc(7). A table's mutex guards all its objects; one that
 * others may still sleep on is freed by the last of them.
 */
#pragma once

#include "abi/linux/stat.h"

#include "guest/core/list.h"
#include "guest/core/lock.h"
#include "guest/core/types.h"
#include "guest/fs/pseudo.h"

#define IPC_CREAT  01000
#define IPC_EXCL   02000
#define IPC_NOWAIT 04000

#define IPC_RMID 0
#define IPC_SET  1
#define IPC_STAT 2
#define IPC_INFO 3

struct ipc_perm { /* first member of every object */
    int32_t key, id;
    uint32_t uid, gid, cuid, cgid;
    uint32_t mode; /* permission bits and SHM_DEST, SHM_LOCKED */
    uint16_t seq;
};

struct ipc_ids {
    struct mutex lock;
    struct ipc_perm **slot; /* room entries, NULL: free; owned */
    uint32_t room, used, max;
    uint16_t seq;
};
#define IPC_IDS(name, limit)                                                   \
    {                                                                          \
        .lock = {.waiters = LIST_INIT((name).lock.waiters)}, .max = (limit)    \
    }

struct lx_ipc64_perm { /* asm-generic/ipcbuf.h */
    int32_t key;
    uint32_t uid, gid, cuid, cgid, mode;
    uint16_t seq, pad0;
    uint32_t pad1;
    uint64_t unused[2];
};
static_assert(sizeof(struct lx_ipc64_perm) == 48, "ipcbuf.h");

/* All with ids->lock held. */

/* ...get(2): the object with `key` goes to *out, or NULL: make a new one.
 * 0, -ENOENT, -EEXIST. */
int ipc_get(struct ipc_ids *ids, int32_t key, int flags, struct ipc_perm **out);
/* Its id, which fits an int; -ENOSPC, -ENOMEM. The caller becomes owner. */
int ipc_add(struct ipc_ids *ids, struct ipc_perm *p, int32_t key, int flags);
/* By id, or by index for ..._STAT: -EINVAL, -EIDRM. */
int ipc_find(struct ipc_ids *ids, int32_t id, struct ipc_perm **out);
int ipc_at(struct ipc_ids *ids, int32_t index, struct ipc_perm **out);
void ipc_remove(struct ipc_ids *ids, struct ipc_perm *p); /* not freed */
int32_t ipc_last(const struct ipc_ids *ids); /* highest index used, or 0 */
/* 0444 to read, 0222 to change, or what ...get asks for: 0 or -EACCES. */
int ipc_access(const struct ipc_perm *p, uint32_t bits);
int ipc_owner(const struct ipc_perm *p); /* IPC_SET, IPC_RMID: 0 or -EPERM */
/* ipc_find, and ipc_access or ipc_owner. */
int ipc_use(struct ipc_ids *ids, int32_t id, uint32_t bits,
            struct ipc_perm **out);
int ipc_own(struct ipc_ids *ids, int32_t id, struct ipc_perm **out);
/* For IPC_STAT by id, else by index; `any`: whoever asks (..._STAT_ANY). */
int ipc_look(struct ipc_ids *ids, int32_t id, bool by_id, bool any,
             struct ipc_perm **out);
void ipc_stat(const struct ipc_perm *p, struct lx_ipc64_perm *out);
int ipc_set(struct ipc_perm *p, const struct lx_ipc64_perm *to); /* -EINVAL */
int64_t ipc_now(void); /* seconds of CLOCK_REALTIME */

/* /proc/sysvipc: shm.c, sem.c, msg.c. */
int shm_show(struct text *t, const struct pseudo_ref *r);
int sem_show(struct text *t, const struct pseudo_ref *r);
int msg_show(struct text *t, const struct pseudo_ref *r);
