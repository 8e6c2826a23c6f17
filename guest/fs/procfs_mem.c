// SPDX-License-Identifier: Apache-2.0
/* /proc/PID files about its memory. */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/mman.h"

#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/procfs.h"

#define COPY_PIECE  1024u
#define STRINGS_MAX UINT64_C(0x80000)
#define NAME_COLUMN 73

typedef unsigned long ul;

/* Bytes [start, end) of the program's memory. */
static void add_memory(struct text *t, struct aspace *as, uint64_t start,
                       uint64_t end)
{
    char *piece = kmalloc(COPY_PIECE);
    if (piece == NULL) {
        t->failed = true;
        return;
    }
    end = MIN(end, start + STRINGS_MAX);
    while (start < end) {
        size_t want = (size_t)MIN(end - start, (uint64_t)COPY_PIECE);
        size_t got = aspace_copy_out(as, piece, start, want);
        text_add(t, piece, got);
        start += got;
        if (got < want)
            break;
    }
    kfree(piece);
}

int proc_cmdline(struct text *t, const struct pseudo_ref *r)
{
    struct aspace *as = process_aspace(r->proc);
    if (as == NULL)
        return 0; /* a zombie's is empty */
    add_memory(t, as, as->arg_start, as->arg_end);
    aspace_put(as);
    return 0;
}

int proc_environ(struct text *t, const struct pseudo_ref *r)
{
    struct aspace *as = process_aspace(r->proc);
    if (as == NULL)
        return 0;
    add_memory(t, as, as->env_start, as->env_end);
    aspace_put(as);
    return 0;
}

int proc_auxv(struct text *t, const struct pseudo_ref *r)
{
    struct aspace *as = process_aspace(r->proc);
    if (as == NULL)
        return 0;
    unsigned n = 0;
    while (n + 2 < ARRAY_COUNT(as->auxv) && as->auxv[n] != 0)
        n += 2;
    text_add(t, as->auxv, (n + 2) * sizeof(as->auxv[0]));
    aspace_put(as);
    return 0;
}

/* --- maps --- */

/* One line of maps. `name` is a page for path names. */
static void add_region(struct text *t, const struct vma_info *m, char *name,
                       const struct path *root)
{
    const struct inode *i = m->file != NULL ? m->file->inode : NULL;
    size_t before = t->used;
    text_printf(
        t, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu", (ul)m->start, (ul)m->end,
        (m->prot & LX_PROT_READ) != 0 ? 'r' : '-',
        (m->prot & LX_PROT_WRITE) != 0 ? 'w' : '-',
        (m->prot & LX_PROT_EXEC) != 0 ? 'x' : '-',
        (m->flags & LX_MAP_SHARED) != 0 ? 's' : 'p',
        m->file != NULL ? (ul)m->offset : 0ul, i != NULL ? i->sb->dev >> 8 : 0,
        i != NULL ? i->sb->dev & 0xff : 0, i != NULL ? (ul)i->ino : 0ul);
    const char *text = m->name;
    if (text == NULL && i != NULL)
        text = m->file->path.dentry != NULL
                   ? path_name(&m->file->path, root, name, PAGE_SIZE)
                   : "/dev/zero (deleted)";
    if (text != NULL) {
        size_t used = t->used - before;
        int pad = used < NAME_COLUMN ? (int)(NAME_COLUMN - used) : 1;
        text_printf(t, "%*s%s", pad, "", text);
    }
    text_printf(t, "\n");
}

static void add_region_detail(struct text *t, const struct vma_info *m)
{
    ul rss = (ul)(m->rss >> 10);
    bool shared = (m->flags & LX_MAP_SHARED) != 0;
    text_printf(t,
                "Size:           %8lu kB\nKernelPageSize: %8u kB\n"
                "MMUPageSize:    %8u kB\nRss:            %8lu kB\n"
                "Pss:            %8lu kB\n",
                (ul)((m->end - m->start) >> 10), 4u, 4u, rss, rss);
    text_printf(t,
                "Shared_Clean:   %8u kB\nShared_Dirty:   %8lu kB\n"
                "Private_Clean:  %8lu kB\nPrivate_Dirty:  %8lu kB\n",
                0u, shared ? rss : 0ul, !shared && m->file != NULL ? rss : 0ul,
                !shared && m->file == NULL ? rss : 0ul);
    text_printf(t,
                "Referenced:     %8lu kB\nAnonymous:      %8lu kB\n"
                "AnonHugePages:  %8u kB\nSwap:           %8u kB\n"
                "SwapPss:        %8u kB\nLocked:         %8lu kB\n",
                rss, m->file == NULL ? rss : 0ul, 0u, 0u, 0u,
                m->locked ? rss : 0ul);
}

struct rollup {
    uint64_t start, end, rss, anon, shared;
};

/* What to do with each region. */
enum maps_kind { MAPS_LINES, MAPS_DETAIL, MAPS_SUM };

static void walk_region(struct text *t, const struct vma_info *m,
                        enum maps_kind kind, struct rollup *sum, char *name,
                        const struct path *root)
{
    if (kind != MAPS_SUM)
        add_region(t, m, name, root);
    if (kind == MAPS_DETAIL)
        add_region_detail(t, m);
    if (sum->end == 0)
        sum->start = m->start;
    sum->end = m->end;
    sum->rss += m->rss;
    if (m->file == NULL)
        sum->anon += m->rss;
    if ((m->flags & LX_MAP_SHARED) != 0)
        sum->shared += m->rss;
}

static int walk_maps(struct text *t, const struct pseudo_ref *r,
                     enum maps_kind kind, struct rollup *sum)
{
    struct aspace *as = process_aspace(r->proc);
    char *name = kmalloc(PAGE_SIZE);
    struct path root;
    int e = name != NULL ? 0 : -ENOMEM;
    fsctx_get_root(current()->proc->fs, &root);
    uint64_t at = 0;
    struct vma_info m;
    while (e == 0 && as != NULL && aspace_next_vma(as, at, &m)) {
        walk_region(t, &m, kind, sum, name, &root);
        if (m.file != NULL)
            file_put(m.file);
        at = m.end;
        sched_point();
    }
    path_put(&root);
    kfree(name);
    if (as != NULL)
        aspace_put(as);
    return e;
}

int proc_maps(struct text *t, const struct pseudo_ref *r)
{
    struct rollup sum = {0};
    return walk_maps(t, r, MAPS_LINES, &sum);
}

int proc_smaps(struct text *t, const struct pseudo_ref *r)
{
    struct rollup sum = {0};
    return walk_maps(t, r, MAPS_DETAIL, &sum);
}

int proc_smaps_rollup(struct text *t, const struct pseudo_ref *r)
{
    struct rollup s = {0};
    int e = walk_maps(t, r, MAPS_SUM, &s);
    ul rss = (ul)(s.rss >> 10);
    text_printf(t, "%08lx-%08lx ---p 00000000 00:00 0 %*s[rollup]\n",
                (ul)s.start, (ul)s.end, 22, "");
    text_printf(t, "Rss:            %8lu kB\nPss:            %8lu kB\n", rss,
                rss);
    text_printf(t,
                "Shared_Clean:   %8u kB\nShared_Dirty:   %8lu kB\n"
                "Private_Clean:  %8lu kB\nPrivate_Dirty:  %8lu kB\n",
                0u, (ul)(s.shared >> 10),
                (ul)((s.rss - s.anon - MIN(s.shared, s.rss - s.anon)) >> 10),
                (ul)(s.anon >> 10));
    text_printf(t, "Anonymous:      %8lu kB\nSwap:           %8u kB\n",
                (ul)(s.anon >> 10), 0u);
    return e;
}
