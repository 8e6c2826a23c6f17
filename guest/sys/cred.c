// SPDX-License-Identifier: Apache-2.0
/* Users, groups, capabilities. credentials(7), capabilities(7). */
#include "abi/linux/proc.h"

#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/sys/calls_proc.h"

#define ID_KEEP UINT32_MAX /* -1: leave as it is */

static const struct cred *cred_mine(void)
{
    return &current()->cred;
}

int64_t sys_getuid(const uint64_t *a)
{
    (void)a;
    return cred_mine()->uid;
}

int64_t sys_geteuid(const uint64_t *a)
{
    (void)a;
    return cred_mine()->euid;
}

int64_t sys_getgid(const uint64_t *a)
{
    (void)a;
    return cred_mine()->gid;
}

int64_t sys_getegid(const uint64_t *a)
{
    (void)a;
    return cred_mine()->egid;
}

/* Three ids of one kind, as the set* calls see them. */
struct cred_ids {
    uint32_t real, effective, saved, fs;
};

static struct cred_ids cred_uids(const struct cred *c)
{
    return (struct cred_ids){c->uid, c->euid, c->suid, c->fsuid};
}

static struct cred_ids cred_gids(const struct cred *c)
{
    return (struct cred_ids){c->gid, c->egid, c->sgid, c->fsgid};
}

/* capabilities(7), "Effect of user ID changes on capabilities". */
static void cred_set_uids(const struct cred_ids *ids)
{
    const struct cred *old = cred_mine();
    struct cred c = *old;
    bool fixup = (c.securebits & CRED_NO_SETUID_FIXUP) == 0;
    bool was_root = c.uid == 0 || c.euid == 0 || c.suid == 0;
    bool is_root = ids->real == 0 || ids->effective == 0 || ids->saved == 0;

    c.uid = ids->real;
    c.euid = ids->effective;
    c.suid = ids->saved;
    c.fsuid = ids->fs;
    if (fixup && was_root && !is_root) {
        if ((c.securebits & CRED_KEEP_CAPS) == 0)
            c.permitted = 0;
        c.ambient = 0;
    }
    if (fixup && old->euid == 0 && c.euid != 0)
        c.caps = 0;
    else if (fixup && old->euid != 0 && c.euid == 0)
        c.caps = c.permitted;
    c.caps &= c.permitted;
    cred_commit(&c);
}

static void cred_set_gids(const struct cred_ids *ids)
{
    struct cred c = *cred_mine();

    c.gid = ids->real;
    c.egid = ids->effective;
    c.sgid = ids->saved;
    c.fsgid = ids->fs;
    cred_commit(&c);
}

static bool cred_may(unsigned cap)
{
    return cred_capable(current()->proc, cap);
}

static int cred_apply_setid(struct cred_ids *ids, uint32_t id, bool may)
{
    if (id == ID_KEEP)
        return -EINVAL;
    if (may) {
        ids->real = id;
        ids->saved = id;
    } else if (id != ids->real && id != ids->saved) {
        return -EPERM;
    }
    ids->effective = id;
    ids->fs = id;
    return 0;
}

static int cred_apply_setre(struct cred_ids *ids, uint32_t real, uint32_t eff,
                            bool may)
{
    struct cred_ids old = *ids;

    if (real != ID_KEEP) {
        if (!may && real != old.real && real != old.effective)
            return -EPERM;
        ids->real = real;
    }
    if (eff != ID_KEEP) {
        if (!may && eff != old.real && eff != old.effective && eff != old.saved)
            return -EPERM;
        ids->effective = eff;
    }
    if (real != ID_KEEP || (eff != ID_KEEP && eff != old.real))
        ids->saved = ids->effective;
    ids->fs = ids->effective;
    return 0;
}

static bool cred_known(const struct cred_ids *ids, uint32_t id)
{
    return id == ID_KEEP || id == ids->real || id == ids->effective ||
           id == ids->saved;
}

static int cred_apply_setres(struct cred_ids *ids, const uint64_t *a, bool may)
{
    uint32_t real = (uint32_t)a[0];
    uint32_t eff = (uint32_t)a[1];
    uint32_t saved = (uint32_t)a[2];

    if (!may && (!cred_known(ids, real) || !cred_known(ids, eff) ||
                 !cred_known(ids, saved)))
        return -EPERM;
    if (real != ID_KEEP)
        ids->real = real;
    if (eff != ID_KEEP)
        ids->effective = eff;
    if (saved != ID_KEEP)
        ids->saved = saved;
    ids->fs = ids->effective;
    return 0;
}

int64_t sys_setuid(const uint64_t *a)
{
    struct cred_ids ids = cred_uids(cred_mine());
    int r = cred_apply_setid(&ids, (uint32_t)a[0], cred_may(LX_CAP_SETUID));

    if (r == 0)
        cred_set_uids(&ids);
    return r;
}

int64_t sys_setgid(const uint64_t *a)
{
    struct cred_ids ids = cred_gids(cred_mine());
    int r = cred_apply_setid(&ids, (uint32_t)a[0], cred_may(LX_CAP_SETGID));

    if (r == 0)
        cred_set_gids(&ids);
    return r;
}

int64_t sys_setreuid(const uint64_t *a)
{
    struct cred_ids ids = cred_uids(cred_mine());
    int r = cred_apply_setre(&ids, (uint32_t)a[0], (uint32_t)a[1],
                             cred_may(LX_CAP_SETUID));

    if (r == 0)
        cred_set_uids(&ids);
    return r;
}

int64_t sys_setregid(const uint64_t *a)
{
    struct cred_ids ids = cred_gids(cred_mine());
    int r = cred_apply_setre(&ids, (uint32_t)a[0], (uint32_t)a[1],
                             cred_may(LX_CAP_SETGID));

    if (r == 0)
        cred_set_gids(&ids);
    return r;
}

int64_t sys_setresuid(const uint64_t *a)
{
    struct cred_ids ids = cred_uids(cred_mine());
    int r = cred_apply_setres(&ids, a, cred_may(LX_CAP_SETUID));

    if (r == 0)
        cred_set_uids(&ids);
    return r;
}

int64_t sys_setresgid(const uint64_t *a)
{
    struct cred_ids ids = cred_gids(cred_mine());
    int r = cred_apply_setres(&ids, a, cred_may(LX_CAP_SETGID));

    if (r == 0)
        cred_set_gids(&ids);
    return r;
}

static int64_t cred_put_ids(const uint64_t *a, const struct cred_ids *ids)
{
    if (put_user_u32(uptr(a[0]), ids->real) < 0 ||
        put_user_u32(uptr(a[1]), ids->effective) < 0)
        return -EFAULT;
    return put_user_u32(uptr(a[2]), ids->saved);
}

int64_t sys_getresuid(const uint64_t *a)
{
    struct cred_ids ids = cred_uids(cred_mine());

    return cred_put_ids(a, &ids);
}

int64_t sys_getresgid(const uint64_t *a)
{
    struct cred_ids ids = cred_gids(cred_mine());

    return cred_put_ids(a, &ids);
}

/* Capabilities that are about files follow the file system's user id. */
#define CAP_FS_SET                                                             \
    (UINT64_C(0x1f) | UINT64_C(1) << 9 | UINT64_C(1) << 27 | UINT64_C(1) << 32)

static void cred_set_fsuid(uint32_t id)
{
    struct cred c = *cred_mine();
    bool fixup = (c.securebits & CRED_NO_SETUID_FIXUP) == 0;

    if (fixup && c.fsuid == 0 && id != 0)
        c.caps &= ~CAP_FS_SET;
    else if (fixup && c.fsuid != 0 && id == 0)
        c.caps |= CAP_FS_SET & c.permitted;
    c.fsuid = id;
    cred_commit(&c);
}

/* These return the old id and never an error. */
int64_t sys_setfsuid(const uint64_t *a)
{
    struct cred_ids ids = cred_uids(cred_mine());
    uint32_t id = (uint32_t)a[0];
    uint32_t old = ids.fs;

    if (id != ID_KEEP &&
        (cred_may(LX_CAP_SETUID) || id == old || cred_known(&ids, id)))
        cred_set_fsuid(id);
    return old;
}

int64_t sys_setfsgid(const uint64_t *a)
{
    struct cred_ids ids = cred_gids(cred_mine());
    uint32_t id = (uint32_t)a[0];
    uint32_t old = ids.fs;

    if (id != ID_KEEP &&
        (cred_may(LX_CAP_SETGID) || id == old || cred_known(&ids, id))) {
        struct cred c = *cred_mine();
        c.fsgid = id;
        cred_commit(&c);
    }
    return old;
}

int64_t sys_getgroups(const uint64_t *a)
{
    const struct cred *c = cred_mine();
    int32_t room = (int32_t)a[0];
    uint32_t n = cred_group_count(c);

    if (room < 0 || (room != 0 && (uint32_t)room < n))
        return -EINVAL;
    if (room != 0 && n != 0 &&
        copy_to_user(uptr(a[1]), c->groups->id, n * sizeof(uint32_t)) < 0)
        return -EFAULT;
    return n;
}

int64_t sys_setgroups(const uint64_t *a)
{
    struct cred c = *cred_mine();
    uint32_t n = (uint32_t)a[0];
    int r = 0;

    if (!cred_may(LX_CAP_SETGID))
        return -EPERM;
    if (n > CRED_GROUPS_MAX)
        return -EINVAL;
    c.groups = n != 0 ? cred_groups_new(n) : NULL;
    if (n != 0 && c.groups == NULL)
        return -ENOMEM;
    if (n != 0 &&
        copy_from_user(c.groups->id, uptr(a[1]), n * sizeof(uint32_t)) < 0)
        r = -EFAULT;
    for (uint32_t i = 0; r == 0 && i < n; i++)
        if (c.groups->id[i] == ID_KEEP)
            r = -EINVAL;
    if (r == 0) {
        if (n != 0)
            cred_groups_sort(c.groups);
        cred_commit(&c);
    }
    cred_groups_put(c.groups);
    return r;
}

/* --- capabilities --- */

#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u

struct cap_header {
    uint32_t version;
    int32_t pid;
};

struct cap_data {
    uint32_t effective, permitted, inheritable;
};

/* Words of 32 capabilities that this version has, or -EINVAL with ours
 * written back (that is how a program asks). */
static int cap_words(uint64_t at, struct cap_header *h)
{
    if (copy_from_user(h, uptr(at), sizeof(*h)) < 0)
        return -EFAULT;
    switch (h->version) {
    case CAP_VERSION_1: return 1;
    case CAP_VERSION_2:
    case CAP_VERSION_3: return 2;
    default:
        h->version = CAP_VERSION_3;
        if (copy_to_user(uptr(at), h, sizeof(*h)) < 0)
            return -EFAULT;
        return -EINVAL;
    }
}

int64_t sys_capget(const uint64_t *a)
{
    struct cap_header h;
    struct cap_data d[2];
    int words = cap_words(a[0], &h);

    if (words < 0)
        return words == -EINVAL && a[1] == 0 ? 0 : words;
    if (h.pid < 0)
        return -EINVAL;
    struct task *t = current();
    if (h.pid == 0)
        task_get(t);
    else
        t = task_find_get(h.pid);
    if (t == NULL)
        return -ESRCH;
    struct cred c;
    cred_get(&c, t);
    cred_fini(&c); /* groups are not asked for */
    task_put(t);
    for (unsigned i = 0; i < 2; i++) {
        d[i].effective = (uint32_t)(c.caps >> (32 * i));
        d[i].permitted = (uint32_t)(c.permitted >> (32 * i));
        d[i].inheritable = (uint32_t)(c.inheritable >> (32 * i));
    }
    return copy_to_user(uptr(a[1]), d, (size_t)words * sizeof(d[0]));
}

int64_t sys_capset(const uint64_t *a)
{
    struct cred c = *cred_mine();
    struct cap_header h;
    struct cap_data d[2] = {{0}};
    int words = cap_words(a[0], &h);

    if (words < 0)
        return words;
    if (h.pid != 0 && h.pid != current()->tid)
        return -EPERM;
    if (copy_from_user(d, uptr(a[1]), (size_t)words * sizeof(d[0])) < 0)
        return -EFAULT;
    uint64_t permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
    uint64_t effective = d[0].effective | (uint64_t)d[1].effective << 32;
    uint64_t inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
    effective &= CRED_CAPS_ALL;
    permitted &= CRED_CAPS_ALL;
    inheritable &= CRED_CAPS_ALL;
    if ((effective & ~permitted) != 0 || (permitted & ~c.permitted) != 0 ||
        (inheritable & ~(c.inheritable | c.bounding)) != 0 ||
        (!cred_may(LX_CAP_SETPCAP) &&
         (inheritable & ~(c.inheritable | c.permitted)) != 0))
        return -EPERM;
    c.permitted = permitted;
    c.caps = effective;
    c.inheritable = inheritable;
    c.ambient &= permitted & inheritable;
    cred_commit(&c);
    return 0;
}
