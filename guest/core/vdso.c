// SPDX-License-Identifier: Apache-2.0
/*
 * The pages of the vDSO are those of an inode of its own, so that fork, mremap
 * and munmap treat the mapping as one of any file.
 */
#include "guest/core/vdso.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/core/timer.h"
#include "guest/fs/file.h"
#include "guest/fs/generic.h"
#include "guest/fs/inode.h"
#include "guest/vdso/vdso.h"

static struct {
    struct mutex lock; /* the making of it */
    bool tried;
    paddr_t pages[VDSO_PAGES_MAX]; /* the first: struct vdso_data */
    unsigned count;
    struct vdso_data *data; /* atomic; NULL: not there (yet) */
    struct file *file;      /* what is mapped */
} vdso = {.lock = {.waiters = LIST_INIT(vdso.lock.waiters)}};

static int vdso_get_page(struct inode *i, uint64_t index, bool write,
                         struct inode_page *out)
{
    (void)i;
    if (index >= vdso.count || write)
        return -EFAULT;
    page_get(vdso.pages[index]);
    *out = (struct inode_page){.pa = vdso.pages[index], .run = 1};
    return 0;
}

static const struct inode_ops vdso_inode_ops = {
    .setattr = inode_no_setattr,
    .readlink = inode_no_readlink,
    .getxattr = inode_no_getxattr,
    .setxattr = inode_no_setxattr,
    .listxattr = inode_no_listxattr,
    .get_page = vdso_get_page,
};

static int vdso_make(void)
{
    size_t size = (size_t)(arch_vdso_image_end - arch_vdso_image);
    unsigned count = 1 + (unsigned)(ROUND_UP(size, PAGE_SIZE) / PAGE_SIZE);

    if (size == 0 || count > VDSO_PAGES_MAX)
        return -ENOENT;
    for (unsigned n = 0; n < count; n++) {
        paddr_t pa = page_alloc(0, PAGE_ZERO);
        if (pa == 0)
            return -ENOMEM;
        size_t at = n > 0 ? (n - 1) * PAGE_SIZE : 0;
        if (n > 0)
            memcpy(page_virt(pa), arch_vdso_image + at,
                   MIN(size - at, PAGE_SIZE));
        vdso.pages[n] = pa;
    }
    vdso.count = count;
    struct inode *i = anon_inode(LX_S_IFREG | 0444, "vdso");
    if (i == NULL)
        return -ENOMEM;
    i->ops = &vdso_inode_ops;
    i->size = count * PAGE_SIZE;
    vdso.file = file_new(&no_file_ops, i, LX_O_RDONLY);
    inode_put(i);
    if (vdso.file == NULL)
        return -ENOMEM;
    struct vdso_data *d = page_virt(vdso.pages[0]);
    arch_vdso_clock(d);
    d->wall_base = clock_wall_base();
    __atomic_store_n(&vdso.data, d, __ATOMIC_RELEASE);
    return 0;
}

/* Before the first program; what fails then is not tried again. */
static bool vdso_ready(void)
{
    if (__atomic_load_n(&vdso.data, __ATOMIC_ACQUIRE) != NULL)
        return true;
    mutex_lock(&vdso.lock);
    if (!vdso.tried && arch_vdso_clock != NULL)
        (void)vdso_make();
    vdso.tried = true;
    mutex_unlock(&vdso.lock);
    return vdso.data != NULL;
}

uint64_t vdso_map(struct aspace *as)
{
    const uint32_t flags = LX_MAP_PRIVATE | LX_MAP_FIXED;
    uint64_t at = as->stack_top;

    if (!vdso_ready())
        return 0;
    uint64_t rest = (vdso.count - 1) * PAGE_SIZE;
    if (aspace_map(as, at, PAGE_SIZE, LX_PROT_READ, flags, vdso.file, 0) < 0 ||
        aspace_map(as, at + PAGE_SIZE, rest, LX_PROT_READ | LX_PROT_EXEC, flags,
                   vdso.file, PAGE_SIZE) < 0)
        return 0;
    /* C libraries read it at once; the stack has made the page table. */
    (void)aspace_populate(as, at, PAGE_SIZE + rest, false);
    return at + PAGE_SIZE;
}

void vdso_set_wall(uint64_t base)
{
    struct vdso_data *d = __atomic_load_n(&vdso.data, __ATOMIC_ACQUIRE);

    if (d != NULL)
        __atomic_store_n(&d->wall_base, base, __ATOMIC_RELAXED);
}

bool vdso_owns(const struct file *f)
{
    return f != NULL && f == vdso.file;
}
