// SPDX-License-Identifier: Apache-2.0
/* mmap(2) and its relatives. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/proc.h"

#include "guest/core/aspace.h"
#include "guest/core/page.h"
#include "guest/core/pgtable.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/usercopy.h"
#include "guest/core/vma.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/tmpfs.h"
#include "guest/sys/calls_mm.h"

#define MS_ASYNC      1u
#define MS_INVALIDATE 2u
#define MS_SYNC       4u

static struct aspace *mm(void)
{
    return current()->proc->aspace;
}

/* The file of a mapping: opened by the program, or made for MAP_SHARED memory.
 * *out NULL: private anonymous. */
static int64_t mmap_file(const uint64_t *a, uint32_t prot, uint32_t flags,
                         struct file **out)
{
    bool shared = (flags & LX_MAP_TYPE) != LX_MAP_PRIVATE;
    *out = NULL;
    if ((flags & LX_MAP_ANONYMOUS) != 0)
        return shared ? tmpfs_new_anon(a[1], out) : 0;
    struct file *f = fd_get((int)a[4]);
    if (f == NULL)
        return -EBADF;
    int r = 0;
    if ((f->mode & FILE_READ) == 0 ||
        (shared && (prot & LX_PROT_WRITE) != 0 && (f->mode & FILE_WRITE) == 0))
        r = -EACCES;
    if (r == 0)
        r = f->ops->mmap(f, prot, flags);
    if (r == 0) {
        *out = f;
        return 0;
    }
    bool writable = (f->mode & FILE_WRITE) != 0;
    file_put(f);
    r = r == FILE_MMAP_ANON ? tmpfs_new_anon(a[1], out) : r;
    if (*out != NULL && !writable)
        (*out)->mode &= ~FILE_WRITE; /* for mprotect(2) */
    return r;
}

/* There is no swap: what is present stays. Locking faults everything in, and
 * counts. `more` bytes on top of what is locked: 0, -EPERM or -ENOMEM. */
static int64_t lock_limit(uint64_t more)
{
    const struct process *p = current()->proc;
    uint64_t max = p->rlimits[LX_RLIMIT_MEMLOCK].cur;
    if (cred_capable(p, LX_CAP_IPC_LOCK))
        return 0;
    if (max == 0)
        return -EPERM;
    return more > max || mm()->locked > max - more ? -ENOMEM : 0;
}

/* Flags that MAP_SHARED_VALIDATE knows: those older than it. */
#define MAP_OLD_FLAGS 0xfc07f9f3u

static int64_t mmap_check(const uint64_t *a, uint32_t flags)
{
    uint32_t type = flags & LX_MAP_TYPE;
    bool anon = (flags & LX_MAP_ANONYMOUS) != 0;
    if ((a[5] & PAGE_MASK) != 0)
        return -EINVAL;
    if (!anon) { /* the descriptor comes before everything else */
        struct file *f = fd_get((int)a[4]);
        if (f == NULL)
            return -EBADF;
        file_put(f);
    }
    if (type != LX_MAP_SHARED && type != LX_MAP_PRIVATE &&
        (type != LX_MAP_SHARED_VALIDATE || anon))
        return -EINVAL;
    if ((flags & LX_MAP_HUGETLB) != 0)
        return -ENOMEM; /* no pages are reserved: programs fall back */
    if (type == LX_MAP_SHARED_VALIDATE && (flags & ~MAP_OLD_FLAGS) != 0)
        return -EOPNOTSUPP;
    if (a[1] == 0)
        return -EINVAL;
    return (flags & LX_MAP_GROWSDOWN) != 0 && type != LX_MAP_PRIVATE ? -EINVAL
                                                                     : 0;
}

int64_t sys_mmap(const uint64_t *a)
{
    uint32_t prot = (uint32_t)a[2];
    uint32_t flags = (uint32_t)a[3];
    struct file *f;
    int64_t r = mmap_check(a, flags);
    if (r < 0)
        return r;
    if (mm()->lock_future)
        flags |= LX_MAP_LOCKED;
    if ((flags & LX_MAP_LOCKED) != 0 && lock_limit(a[1]) < 0)
        return -EAGAIN;
    r = mmap_file(a, prot, flags, &f);
    if (r < 0)
        return r;
    bool anon = (flags & LX_MAP_ANONYMOUS) != 0;
    r = aspace_map(mm(), a[0], a[1], prot, flags, f, anon ? 0 : a[5]);
    if (f != NULL)
        file_put(f);
    if (r >= 0 && (flags & (LX_MAP_POPULATE | LX_MAP_LOCKED)) != 0)
        (void)aspace_populate(mm(), (uint64_t)r, a[1], false);
    return r;
}

int64_t sys_munmap(const uint64_t *a)
{
    return aspace_unmap(mm(), a[0], a[1]);
}

int64_t sys_mprotect(const uint64_t *a)
{
    return a[2] > UINT32_MAX ? -EINVAL
                             : aspace_protect(mm(), a[0], a[1], (uint32_t)a[2]);
}

int64_t sys_mremap(const uint64_t *a)
{
    return aspace_remap(mm(), a[0], a[1], a[2], (uint32_t)a[3], a[4]);
}

/* Every page of [addr, addr + size) belongs to a region; -EBUSY when one is
 * locked and `locked` is not allowed. */
static int64_t mm_range(uint64_t addr, uint64_t size, bool locked)
{
    struct vma_info m;
    uint64_t end = addr + ROUND_UP(size, PAGE_SIZE);
    if ((addr & PAGE_MASK) != 0)
        return -EINVAL;
    if (size > USER_END || addr > USER_END - size)
        return -ENOMEM;
    while (addr < end) {
        if (!aspace_find_vma(mm(), addr, &m))
            return -ENOMEM;
        if (m.file != NULL)
            file_put(m.file);
        if (m.start > addr)
            return -ENOMEM;
        if (m.locked && !locked)
            return -EBUSY;
        addr = m.end;
    }
    return 0;
}

/* MADV_REMOVE: a hole in the files behind shared mappings. */
static int64_t madvise_remove(uint64_t addr, uint64_t size)
{
    uint64_t end = addr + ROUND_UP(size, PAGE_SIZE);
    struct vma_info m;
    int64_t r = mm_range(addr, size, true);
    while (r == 0 && addr < end && aspace_find_vma(mm(), addr, &m)) {
        uint64_t part = MIN(end, m.end) - addr;
        uint64_t off = m.offset + (addr - m.start);
        if (m.locked || m.file == NULL || !tmpfs_owns(m.file->inode))
            r = -EINVAL;
        else if ((m.flags & 1) == 0 || (m.prot & LX_PROT_WRITE) == 0)
            r = -EACCES;
        else
            r = tmpfs_fallocate(m.file->inode,
                                LX_FALLOC_KEEP_SIZE | LX_FALLOC_PUNCH_HOLE, off,
                                part);
        if (m.file != NULL)
            file_put(m.file);
        addr += part;
    }
    return r;
}

#define MADV_REMOVE 9

int64_t sys_madvise(const uint64_t *a)
{
    if ((int)a[2] == MADV_REMOVE && a[1] != 0)
        return madvise_remove(a[0], a[1]);
    return aspace_advise(mm(), a[0], a[1], (int)a[2]);
}

int64_t sys_brk(const uint64_t *a)
{
    return aspace_brk(mm(), a[0]);
}

int64_t sys_msync(const uint64_t *a)
{
    uint64_t flags = a[2];
    if ((flags & ~(uint64_t)(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0 ||
        (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        return -EINVAL;
    /* The file's pages are the mapped ones. */
    return mm_range(a[0], a[1], (flags & MS_INVALIDATE) == 0);
}

/* In this program's page tables or in the file's memory? */
static uint8_t mincore_page(uint64_t at)
{
    struct aspace *as = mm();
    struct tmpfs_span s;
    mutex_lock(&as->lock);
    const struct vma *v = vma_at(as, at);
    bool here = v != NULL && pt_count(as, at, at + PAGE_SIZE) != 0;
    if (v != NULL && !here && v->file != NULL && tmpfs_owns(v->file->inode)) {
        tmpfs_find(tmpfs_node(v->file->inode), vma_file_page(v, at), &s);
        here = s.kind != KIND_HOLE;
        if (s.kind == KIND_OWN)
            page_put(s.pa);
    }
    mutex_unlock(&as->lock);
    return here;
}

int64_t sys_mincore(const uint64_t *a)
{
    uint64_t pages = ROUND_UP(a[1], PAGE_SIZE) >> PAGE_SHIFT;
    int64_t r = mm_range(a[0], a[1], true);
    for (uint64_t i = 0; r == 0 && i < pages; i++) {
        uint8_t here = mincore_page(a[0] + (i << PAGE_SHIFT));
        r = copy_to_user(uptr(a[2] + i), &here, 1);
        sched_point();
    }
    return r;
}

static int64_t lock_range(const uint64_t *a, bool on, bool fault)
{
    uint64_t start = ROUND_DOWN(a[0], PAGE_SIZE);
    uint64_t size = ROUND_UP(a[1] + (a[0] - start), PAGE_SIZE);
    int64_t r = on ? lock_limit(size) : 0;
    if (r == 0)
        r = mm_range(start, size, true);
    if (r == 0 && size != 0)
        r = aspace_lock(mm(), start, size, on);
    if (r == 0 && fault && aspace_populate(mm(), start, size, false) == -ENOMEM)
        r = -ENOMEM; /* what cannot be accessed is no error: as Linux */
    return r;
}

int64_t sys_mlock(const uint64_t *a)
{
    return lock_range(a, true, true);
}

#define MLOCK_ONFAULT 1u

int64_t sys_mlock2(const uint64_t *a)
{
    if ((a[2] & ~(uint64_t)MLOCK_ONFAULT) != 0)
        return -EINVAL;
    return lock_range(a, true, a[2] == 0);
}

int64_t sys_munlock(const uint64_t *a)
{
    return lock_range(a, false, false);
}

#define MCL_CURRENT 1u
#define MCL_FUTURE  2u
#define MCL_ONFAULT 4u

int64_t sys_mlockall(const uint64_t *a)
{
    if (a[0] == 0 || a[0] > 7 || a[0] == MCL_ONFAULT)
        return -EINVAL;
    bool now = (a[0] & MCL_CURRENT) != 0;
    int64_t r = lock_limit(0);
    if (r == 0 && now)
        r = lock_limit(mm()->mapped - mm()->locked);
    if (r < 0)
        return r;
    mm()->lock_future = (a[0] & MCL_FUTURE) != 0;
    return now ? aspace_lock(mm(), 0, USER_END, true) : 0;
}

int64_t sys_munlockall(const uint64_t *a)
{
    (void)a;
    mm()->lock_future = false;
    return aspace_lock(mm(), 0, USER_END, false);
}
