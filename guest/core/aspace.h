// SPDX-License-Identifier: Apache-2.0
/*
 * A program's address space: regions (vmas) and their pages. Demand paging,
 * copy on write, file mappings through inode pages. `lock` guards regions and
 * page tables. mmap(2), mprotect(2), mremap(2), madvise(2).
 */
#pragma once

#include <arch_types.h>

#include "abi/linux/mman.h"

#include "guest/core/lock.h"
#include "guest/core/types.h"

struct file;
struct inode;
struct vma;

#define LX_PROT_READ  1u
#define LX_PROT_WRITE 2u
#define LX_PROT_EXEC  4u

#define MMAP_MIN UINT64_C(0x10000) /* vm.mmap_min_addr */

enum fault_access { FAULT_READ, FAULT_WRITE, FAULT_EXEC };

struct aspace {
    struct arch_aspace arch;
    uint32_t refs;
    struct mutex lock;
    struct vma **vmas; /* sorted by address (core/vma.h), owned */
    unsigned vma_count, vma_room, vma_hole;
    uint64_t gap_top, gap_max; /* at and above gap_top no gap is larger */
    uint64_t tables;           /* page-table pages: VmPTE */
    bool child;                /* made for fork(2) */
    uint64_t brk_start, brk;
    uint64_t stack_top; /* first byte above the main stack */
    uint64_t vdso;      /* the image (vdso.h); 0: none */
    uint64_t arg_start, arg_end, env_start, env_end; /* /proc/PID/cmdline */
    uint64_t auxv[48];                               /* /proc/PID/auxv: pairs */
    uint64_t mapped;             /* bytes of regions: VmSize */
    uint64_t locked;             /* bytes of VMA_LOCKED regions */
    bool lock_future;            /* mlockall(MCL_FUTURE) */
    uint64_t data;               /* bytes of private writable regions */
    uint64_t rss_anon, rss_file; /* pages present */
    uint64_t rss_max, mapped_max;
    uint32_t membarrier; /* atomic: registrations, sys/rseq.c */
    uint64_t mmap_top;   /* search for free ranges goes down from here */
};

struct aspace *aspace_new(void); /* NULL: memory */
/* The same for fork(2): its page tables will look like the last child's. */
struct aspace *aspace_new_child(void);
void aspace_init(void); /* from process_init: none is kept */
void aspace_get(struct aspace *as);
void aspace_put(struct aspace *as); /* the last one frees everything */
/* Copy for fork(2): private pages shared copy-on-write. 0 or -ENOMEM. */
int aspace_fork(struct aspace *child, struct aspace *parent);

/* mmap(2) on any aspace (exec maps into one not yet loaded). `file` NULL:
 * anonymous; its reference is taken as needed. Returns the address or
 * -errno. `flags` are Linux MAP_*. */
int64_t aspace_map(struct aspace *as, uint64_t hint, uint64_t size,
                   uint32_t prot, uint32_t flags, struct file *file,
                   uint64_t offset);
int aspace_unmap(struct aspace *as, uint64_t addr, uint64_t size);
int aspace_protect(struct aspace *as, uint64_t addr, uint64_t size,
                   uint32_t prot);
int64_t aspace_brk(struct aspace *as, uint64_t to); /* new or old break */
/* mremap(2) for the current process. */
int64_t aspace_remap(struct aspace *as, uint64_t old, uint64_t old_size,
                     uint64_t new_size, uint32_t flags, uint64_t to);
/* madvise(2): the advice values that mean something here. */
int aspace_advise(struct aspace *as, uint64_t addr, uint64_t size, int advice);
/* mlock(2) and munlock(2) without the faults: the range, page-aligned, counts
 * as locked (aspace.locked), which madvise(2) respects. 0 or -ENOMEM. */
int aspace_lock(struct aspace *as, uint64_t addr, uint64_t size, bool on);
/* Fault in [addr, addr + size), for writing if asked or private: MAP_POPULATE,
 * mlock. The first error ends it: -ENOMEM (no region, too), -EFAULT. */
int aspace_populate(struct aspace *as, uint64_t addr, uint64_t size,
                    bool write);
/* One page by hand, lock held; level-0 or huge. 0, -EFAULT (no page there:
 * SIGBUS), -ENOMEM, -ENOSPC. */
int aspace_fault_page(struct aspace *as, struct vma *v, uint64_t addr,
                      enum fault_access access);

/* Page fault at `addr` by the current task. 0: retry. Otherwise the signal to
 * raise in *signo and *code (SIGSEGV or SIGBUS) and -EFAULT. Kernel-mode
 * callers ignore the signal. May sleep. */
int aspace_fault(uint64_t addr, enum fault_access access, int *signo,
                 int *code);

/* Copy between kernel memory and another address space (exec arguments, ptrace
 * style readers). Bytes copied, may be short. */
size_t aspace_copy_in(struct aspace *as, uint64_t to, const void *from,
                      size_t n);
size_t aspace_copy_out(struct aspace *as, void *to, uint64_t from, size_t n);

/* A file's pages from `first` on (count, or UINT64_MAX) changed identity or
 * went away (hole, copy-up): drop them from every mapping of the inode. Private
 * copies stay: they are the program's own. Called without inode page locks. */
void aspace_drop_inode(struct inode *inode, uint64_t first, uint64_t count);
/* The file ends before page `first` now: private copies go, too (SIGBUS, and
 * zeros should it grow again). Otherwise as aspace_drop_inode(). */
void aspace_cut_inode(struct inode *inode, uint64_t first);

/* /proc/PID/maps line by line: fills *m for the first region at or after
 * `from`; false when there is none. */
struct vma_info {
    uint64_t start, end, offset;
    uint32_t prot, flags;
    struct file *file; /* reference taken; caller puts; may be NULL */
    const char *name;  /* "[heap]", "[stack]", "[vdso]" or NULL */
    uint64_t rss;      /* bytes present */
    bool locked;       /* mlock(2) */
};
bool aspace_next_vma(struct aspace *as, uint64_t from, struct vma_info *m);
/* The same without `rss`, which takes a walk over the page tables. */
bool aspace_find_vma(struct aspace *as, uint64_t from, struct vma_info *m);
