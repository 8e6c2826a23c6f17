// SPDX-License-Identifier: Apache-2.0
/*
 * System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2). A segment
 * is a file without a name; each attachment maps a struct file of its own over
 * it, whose release, after the last region is gone, tells of the detachment.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/proc.h"

#include "guest/core/aspace.h"
#include "guest/core/frame.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/vma.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/path.h"
#include "guest/fs/tmpfs.h"
#include "guest/sys/calls_mm.h"
#include "guest/sys/ipc.h"

#define SHM_RDONLY   010000
#define SHM_RND      020000
#define SHM_REMAP    040000
#define SHM_EXEC     0100000
#define SHM_HUGETLB  04000
#define SHM_DEST     01000u /* in the mode: goes with its last attachment */
#define SHM_LOCKED   02000u
#define SHM_LOCK     11
#define SHM_UNLOCK   12
#define SHM_STAT     13
#define SHM_INFO     14
#define SHM_STAT_ANY 15
#define SHMMNI       4096

struct shm {
    struct ipc_perm perm; /* first */
    struct file *file;    /* owned */
    uint64_t size;
    int64_t atime, dtime, ctime;
    int32_t cpid, lpid;
    uint32_t attaching; /* shmat(2) calls under way */
};

struct lx_shmid64_ds { /* asm-generic/shmbuf.h */
    struct lx_ipc64_perm perm;
    uint64_t segsz;
    int64_t atime, dtime, ctime;
    int32_t cpid, lpid;
    uint64_t nattch, unused[2];
};
static_assert(sizeof(struct lx_shmid64_ds) == 112, "shmbuf.h");

static struct ipc_ids shm_ids = IPC_IDS(shm_ids, SHMMNI);

static struct shm *shm_of(struct ipc_perm *p)
{
    return CONTAINER_OF(p, struct shm, perm);
}

/* --- attachments --- */

static uint64_t shm_attached(const struct shm *s)
{
    struct inode *i = s->file->inode;
    uint64_t n = 0;

    mutex_lock(&i->mappings_lock);
    LIST_FOR(it, &i->mappings)
    n++;
    mutex_unlock(&i->mappings_lock);
    return n;
}

/* One that was removed and is not attached goes. shm_ids.lock held. */
static void shm_sweep(struct shm *s)
{
    if ((s->perm.mode & SHM_DEST) == 0 || s->attaching != 0 ||
        shm_attached(s) != 0)
        return;
    ipc_remove(&shm_ids, &s->perm);
    file_put(s->file);
    kfree(s);
}

static int shm_mmap(struct file *f, uint32_t prot, uint32_t flags)
{
    (void)f;
    (void)prot;
    (void)flags;
    return -ENODEV; /* nobody has a descriptor */
}

static void shm_release(struct file *f)
{
    struct ipc_perm *p;

    mutex_lock(&shm_ids.lock);
    if (ipc_find(&shm_ids, (int32_t)(uintptr_t)f->data, &p) == 0) {
        struct shm *s = shm_of(p);
        s->dtime = ipc_now();
        s->lpid = current()->proc != NULL ? current()->proc->pid : 0;
        shm_sweep(s);
    }
    mutex_unlock(&shm_ids.lock);
}

static const struct file_ops shm_file_ops = {
    .read = file_no_read,
    .write = file_no_write,
    .poll = file_always_ready,
    .ioctl = file_no_ioctl,
    .mmap = shm_mmap,
    .release = shm_release,
};

/* --- shmget(2) --- */

static int shm_new(int32_t key, uint64_t size, int flags)
{
    char name[16];

    if (size == 0 || size > page_total_count() * PAGE_SIZE)
        return -EINVAL;
    if ((flags & SHM_HUGETLB) != 0)
        return -ENOMEM; /* no pages are reserved */
    struct shm *s = kzalloc(sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    (void)ksnprintf(name, sizeof(name), "SYSV%08x", (unsigned)key);
    int r = tmpfs_new_named(name, size, &s->file);
    if (r == 0)
        r = ipc_add(&shm_ids, &s->perm, key, flags);
    if (r < 0) {
        if (s->file != NULL)
            file_put(s->file);
        kfree(s);
        return r;
    }
    s->size = size;
    s->ctime = ipc_now();
    s->cpid = current()->proc->pid;
    return r;
}

int64_t sys_shmget(const uint64_t *a)
{
    int flags = (int)a[2];
    struct ipc_perm *p;

    mutex_lock(&shm_ids.lock);
    int r = ipc_get(&shm_ids, (int32_t)a[0], flags, &p);
    if (r == 0 && p == NULL)
        r = shm_new((int32_t)a[0], a[1], flags);
    else if (r == 0 && a[1] > shm_of(p)->size)
        r = -EINVAL;
    else if (r == 0)
        r = ipc_access(p, (uint32_t)flags);
    if (r == 0 && p != NULL)
        r = p->id;
    mutex_unlock(&shm_ids.lock);
    return r;
}

/* --- shmat(2), shmdt(2) --- */

/* The segment, kept by `attaching`, and a file to map. */
static int shm_open(int32_t id, int flags, struct shm **out, struct file **file)
{
    struct ipc_perm *p;
    uint32_t want = (flags & SHM_RDONLY) != 0 ? 0444 : 0666;

    if ((flags & SHM_EXEC) != 0)
        want |= 0111;
    mutex_lock(&shm_ids.lock);
    int r = ipc_use(&shm_ids, id, want, &p);
    if (r == 0) {
        struct shm *s = shm_of(p);
        *file = file_new(&shm_file_ops, s->file->inode,
                         (flags & SHM_RDONLY) != 0 ? LX_O_RDONLY : LX_O_RDWR);
        r = *file != NULL ? 0 : -ENOMEM;
        if (r == 0) {
            path_copy(&(*file)->path, &s->file->path);
            (*file)->data = (void *)(uintptr_t)(uint32_t)id;
            s->attaching++;
            *out = s;
        }
    }
    mutex_unlock(&shm_ids.lock);
    return r;
}

/* Where: 0 for anywhere, or -EINVAL. */
static int shm_place(uint64_t *at, int flags)
{
    if (*at == 0)
        return (flags & SHM_REMAP) != 0 ? -EINVAL : 0;
    if ((*at & PAGE_MASK) == 0)
        return 0;
    if ((flags & SHM_RND) == 0)
        return -EINVAL;
    *at = ROUND_DOWN(*at, PAGE_SIZE);
    return *at == 0 && (flags & SHM_REMAP) != 0 ? -EINVAL : 0;
}

int64_t sys_shmat(const uint64_t *a)
{
    int flags = (int)a[2];
    uint64_t at = a[1];
    uint32_t prot = LX_PROT_READ;
    uint32_t map = LX_MAP_SHARED;
    struct shm *s = NULL;
    struct file *f = NULL;

    int64_t r = (int32_t)a[0] < 0 ? -EINVAL : shm_place(&at, flags);
    if (r == 0)
        r = shm_open((int32_t)a[0], flags, &s, &f);
    if (r < 0)
        return r;
    if ((flags & SHM_RDONLY) == 0)
        prot |= LX_PROT_WRITE;
    if ((flags & SHM_EXEC) != 0)
        prot |= LX_PROT_EXEC;
    if (at != 0)
        map |= (flags & SHM_REMAP) != 0 ? LX_MAP_FIXED : LX_MAP_FIXED_NOREPLACE;
    r = aspace_map(current()->proc->aspace, at, s->size, prot, map, f, 0);
    if (r == -EEXIST)
        r = -EINVAL;
    mutex_lock(&shm_ids.lock);
    s->attaching--;
    if (r >= 0) {
        s->atime = ipc_now();
        s->lpid = current()->proc->pid;
    }
    shm_sweep(s);
    mutex_unlock(&shm_ids.lock);
    file_put(f);
    return r;
}

/* The attachment at `at`: its bytes from there on, or 0. */
static uint64_t shm_extent(struct aspace *as, uint64_t at)
{
    struct vma_info m;
    const struct inode *inode = NULL;
    uint64_t end = at;

    while (aspace_find_vma(as, end, &m)) {
        bool part = m.start == end && m.file != NULL &&
                    m.file->ops == &shm_file_ops && m.offset == end - at &&
                    (inode == NULL || m.file->inode == inode);
        if (part)
            inode = m.file->inode;
        if (m.file != NULL)
            file_put(m.file);
        if (!part)
            break;
        end = m.end;
    }
    return end - at;
}

int64_t sys_shmdt(const uint64_t *a)
{
    struct aspace *as = current()->proc->aspace;
    uint64_t size = (a[0] & PAGE_MASK) == 0 ? shm_extent(as, a[0]) : 0;

    return size != 0 ? aspace_unmap(as, a[0], size) : -EINVAL;
}

/* --- shmctl(2) --- */

static int64_t shm_info(int cmd, uint64_t to)
{
    uint64_t limits[9] = {page_total_count() * PAGE_SIZE, 1, SHMMNI, SHMMNI,
                          page_total_count()};
    uint64_t used[6] = {0}; /* struct shm_info */

    mutex_lock(&shm_ids.lock);
    used[0] = shm_ids.used;
    for (uint32_t i = 0; i < shm_ids.room; i++) {
        if (shm_ids.slot[i] == NULL)
            continue;
        const struct shm *s = shm_of(shm_ids.slot[i]);
        used[1] += ROUND_UP(s->size, PAGE_SIZE) >> PAGE_SHIFT;
        used[2] += s->file->inode->blocks * 512 >> PAGE_SHIFT;
    }
    int64_t r = ipc_last(&shm_ids);
    mutex_unlock(&shm_ids.lock);
    int e = cmd == IPC_INFO ? copy_to_user(uptr(to), limits, sizeof(limits))
                            : copy_to_user(uptr(to), used, sizeof(used));
    return e < 0 ? e : r;
}

static int64_t shm_stat(int cmd, int32_t id, uint64_t to)
{
    struct ipc_perm *p;
    struct lx_shmid64_ds ds = {.segsz = 0};

    mutex_lock(&shm_ids.lock);
    int r = ipc_look(&shm_ids, id, cmd == IPC_STAT, cmd == SHM_STAT_ANY, &p);
    if (r == 0) {
        const struct shm *s = shm_of(p);
        ipc_stat(p, &ds.perm);
        ds.segsz = s->size;
        ds.atime = s->atime;
        ds.dtime = s->dtime;
        ds.ctime = s->ctime;
        ds.cpid = s->cpid;
        ds.lpid = s->lpid;
        ds.nattch = shm_attached(s);
        r = cmd == IPC_STAT ? 0 : p->id;
    }
    mutex_unlock(&shm_ids.lock);
    if (r >= 0 && copy_to_user(uptr(to), &ds, sizeof(ds)) < 0)
        return -EFAULT;
    return r;
}

static int shm_lock(struct ipc_perm *p, bool on)
{
    const struct process *me = current()->proc;

    if (!cred_capable(me, LX_CAP_IPC_LOCK)) {
        int r = ipc_owner(p);
        if (r < 0)
            return r;
        if (on && me->rlimits[LX_RLIMIT_MEMLOCK].cur == 0)
            return -EPERM;
    }
    p->mode = on ? p->mode | SHM_LOCKED : p->mode & ~SHM_LOCKED;
    return 0;
}

/* IPC_SET, IPC_RMID, SHM_LOCK, SHM_UNLOCK. */
static int64_t shm_change(int cmd, int32_t id, const struct lx_shmid64_ds *to)
{
    struct ipc_perm *p;

    mutex_lock(&shm_ids.lock);
    int r = ipc_find(&shm_ids, id, &p);
    if (r == 0 && (cmd == SHM_LOCK || cmd == SHM_UNLOCK)) {
        r = shm_lock(p, cmd == SHM_LOCK);
    } else if (r == 0) {
        r = ipc_owner(p);
        if (r == 0 && cmd == IPC_SET) {
            r = ipc_set(p, &to->perm);
            shm_of(p)->ctime = r == 0 ? ipc_now() : shm_of(p)->ctime;
        } else if (r == 0) {
            p->key = 0; /* nobody finds it any more */
            p->mode |= SHM_DEST;
            shm_sweep(shm_of(p));
        }
    }
    mutex_unlock(&shm_ids.lock);
    return r;
}

int64_t sys_shmctl(const uint64_t *a)
{
    int cmd = (int)a[1];
    struct lx_shmid64_ds ds;

    if ((int32_t)a[0] < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SHM_INFO: return shm_info(cmd, a[2]);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY: return shm_stat(cmd, (int32_t)a[0], a[2]);
    case IPC_SET:
        if (copy_from_user(&ds, uptr(a[2]), sizeof(ds)) < 0)
            return -EFAULT;
        return shm_change(cmd, (int32_t)a[0], &ds);
    case IPC_RMID:
    case SHM_LOCK:
    case SHM_UNLOCK: return shm_change(cmd, (int32_t)a[0], NULL);
    default: return -EINVAL;
    }
}

int shm_show(struct text *t, const struct pseudo_ref *r)
{
    (void)r;
    text_printf(t, "       key      shmid perms                  size  cpid  "
                   "lpid nattch   uid   gid  cuid  cgid      atime      dtime  "
                   "    ctime                   rss                  swap\n");
    mutex_lock(&shm_ids.lock);
    for (uint32_t i = 0; i < shm_ids.room; i++) {
        if (shm_ids.slot[i] == NULL)
            continue;
        const struct shm *s = shm_of(shm_ids.slot[i]);
        const struct ipc_perm *p = &s->perm;
        text_printf(t,
                    "%10d %10d  %4o %21lu %5d %5d  %5lu %5u %5u %5u %5u %10ld "
                    "%10ld %10ld %21lu %21lu\n",
                    p->key, p->id, p->mode, (unsigned long)s->size, s->cpid,
                    s->lpid, (unsigned long)shm_attached(s), p->uid, p->gid,
                    p->cuid, p->cgid, (long)s->atime, (long)s->dtime,
                    (long)s->ctime, (unsigned long)s->file->inode->blocks * 512,
                    0ul);
    }
    mutex_unlock(&shm_ids.lock);
    return 0;
}
