// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a program: loading it ends well or with an error, and what it
 * mapped can be left again. First byte: how the file is cut. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "abi/linux/errno.h"

#include "guest/arch/fake/fake.h"
#include "guest/core/aspace.h"
#include "guest/core/elf.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/core/uio.h"
#include "guest/fs/file.h"
#include "guest/fs/generic.h"
#include "guest/fs/inode.h"

static const uint8_t *input;
static size_t input_size;
static struct file *file;

static int64_t fuzz_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f;
    if (*pos >= input_size)
        return 0;
    return uio_put(u, input + *pos, input_size - *pos);
}

static int fuzz_get_page(struct inode *i, uint64_t index, bool write,
                         struct inode_page *out)
{
    (void)i;
    (void)write;
    if (index >= (input_size + PAGE_MASK) / PAGE_SIZE)
        return -EFAULT;
    paddr_t pa = page_alloc(0, PAGE_ZERO);
    if (pa == 0)
        return -ENOMEM;
    size_t off = (size_t)(index * PAGE_SIZE);
    memcpy(page_virt(pa), input + off, MIN(input_size - off, PAGE_SIZE));
    *out = (struct inode_page){.pa = pa, .run = 1};
    return 0;
}

static void fuzz_evict(struct inode *i)
{
    (void)i;
}

static const struct superblock_ops sb_ops = {.evict = fuzz_evict};
static const struct inode_ops inode_ops = {.get_page = fuzz_get_page};
static struct superblock sb = {.ops = &sb_ops};

static void fuzz_init(void)
{
    static struct file_ops ops;
    fake_init(64u << 20);
    struct process *p = current()->proc;
    for (unsigned i = 0; i < RLIMIT_COUNT; i++)
        p->rlimits[i] = (struct lx_rlimit64){UINT64_MAX, UINT64_MAX};
    struct inode *inode = inode_new(&sb, 0100755);
    inode->ops = &inode_ops;
    ops = no_file_ops;
    ops.read = fuzz_read;
    file = file_new(&ops, inode, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_image image;
    if (file == NULL)
        fuzz_init();
    input = data;
    input_size = size;
    struct page_stats before, after;
    page_stats(&before);
    struct aspace *as = aspace_new();
    if (as == NULL)
        abort();
    int r = elf_load(as, file, size % 2 != 0, &image);
    if (r == 0 && (image.entry >= USER_END || image.start >= image.end))
        abort();
    aspace_put(as);
    page_stats(&after);
    /* All but page tables, which stay tables. */
    if (before.free - after.free > 64 && before.free > after.free)
        abort();
    return 0;
}
