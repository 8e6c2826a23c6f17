// SPDX-License-Identifier: Apache-2.0
/* Mappings of files: the image window, private copies, shared pages, the end
 * of the file, pages that change. The file is made here: some of its pages are
 * in a window outside RAM, some are its own. */
#include <sys/mman.h>
#undef MAP_SHARED
#undef MAP_PRIVATE

#include "guest/core/frame.h"
#include "guest/core/pgtable.h"
#include "guest/fs/file.h"
#include "guest/fs/fs.h"
#include "guest/fs/generic.h"
#include "guest/fs/inode.h"
#include "tests/unit/guest_mm_env.h"

#define FILE_PAGES 2048
#define SHARED     LX_MAP_SHARED
#define PRIVATE    LX_MAP_PRIVATE

static unsigned char *window; /* contents in the image: page i is all i % 251 */
static paddr_t own[FILE_PAGES];
static uint64_t file_pages;
static unsigned asked; /* calls of get_page */
static struct superblock sb;
static struct inode *inode;
static struct file *file;

static void test_evict(struct inode *i)
{
    (void)i;
}

static int test_get_page(struct inode *i, uint64_t index, bool write,
                         struct inode_page *out)
{
    (void)i;
    asked++;
    if (index >= file_pages)
        return -EFAULT;
    if (own[index] == 0 && write) {
        own[index] = page_alloc(0, 0);
        memcpy(page_virt(own[index]), window + index * PG, PG);
        aspace_drop_inode(i, index, 1); /* harder than any file system */
    }
    out->writable = own[index] != 0;
    out->run = 1;
    out->pa = own[index];
    if (own[index] == 0) {
        out->pa = page_phys(window + index * PG);
        while (index + out->run < file_pages && own[index + out->run] == 0)
            out->run++;
    }
    page_get(out->pa);
    return 0;
}

static const struct superblock_ops sb_ops = {.evict = test_evict};
static const struct inode_ops inode_ops = {.get_page = test_get_page};

static int setup(void **state)
{
    if (window == NULL) { /* before RAM: it must lie above it */
        window = mmap(NULL, (FILE_PAGES + 1024) * PG, PROT_READ | PROT_WRITE,
                      0x22, -1, 0);
        for (unsigned i = 0; i < FILE_PAGES; i++)
            memset(window + i * PG, (int)(i % 251), PG);
    }
    int r = env_setup(state);
    assert_true((uintptr_t)window > fake_physmap);
    sb.ops = &sb_ops;
    memset(own, 0, sizeof(own));
    file_pages = FILE_PAGES;
    inode = inode_new(&sb, 0100644);
    inode->ops = &inode_ops;
    file = file_new(&no_file_ops, inode, 2);
    return r;
}

static uint64_t map_file(uint64_t at, uint64_t pages, uint32_t prot,
                         uint32_t flags, uint64_t first)
{
    if (at != 0)
        flags |= LX_MAP_FIXED;
    int64_t r =
        aspace_map(as_now(), at, pages * PG, prot, flags, file, first * PG);
    assert_true(r > 0);
    return (uint64_t)r;
}

#define BASE UINT64_C(0x40000000)

static void test_window_is_read_in_place(void **state)
{
    (void)state;
    uint64_t a = map_file(BASE, 100, R, PRIVATE, 7);
    uint64_t before = free_now();
    assert_int_equal(peek(a + 20 * PG), 27);
    unsigned calls = asked;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(peek(a + i * PG), 7 + i);
    assert_int_equal(asked, calls); /* all by the first fault */
    assert_true(before - free_now() <= 4);
    assert_int_equal(as_now()->rss_file, 100);
    assert_int_equal(poke(a, 1), -EFAULT);
    unmap(a + 10 * PG, 5 * PG);
    assert_int_equal(as_now()->rss_file, 95);
    assert_int_equal(peek(a + 15 * PG), 22);
    /* The end of the file is no end of the region. */
    uint64_t b = map_file(0, 4, R, PRIVATE, FILE_PAGES - 2);
    assert_int_equal(peek(b + PG), (FILE_PAGES - 1) % 251);
    assert_int_equal(signo_of(b + 2 * PG, FAULT_READ), LX_SIGBUS);
    assert_int_equal(signo_of(b + 4 * PG, FAULT_READ), LX_SIGSEGV);
}

static void test_own_pages_between(void **state)
{
    (void)state;
    struct inode_page p;
    for (unsigned i = 10; i < 14; i++)
        assert_int_equal(test_get_page(inode, i, true, &p), 0);
    memset(page_virt(own[12]), 99, PG);
    uint64_t a = map_file(BASE, 64, R, PRIVATE, 0);
    static const unsigned order[] = {12, 30, 13, 2, 11, 63, 10, 14, 9};
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(peek(a + order[i] * PG),
                         order[i] == 12 ? 99 : order[i]);
    unmap(a, 64 * PG);
    for (unsigned i = 10; i < 14; i++)
        assert_int_equal(page_refs(own[i]), 2); /* the file's and mine */
}

static void test_huge_leaves(void **state)
{
    (void)state;
    /* Found by mmap: the address that suits the window. */
    uint64_t a = map_file(0, 1536, R | X, PRIVATE, 0);
    paddr_t pa = page_phys(window);
    assert_int_equal(a & (HUGE_SIZE - 1), pa & (HUGE_SIZE - 1));
    uint64_t b = ROUND_UP(a, HUGE_SIZE);
    unsigned first = (unsigned)((b - a) / PG);
    unsigned level = 9;
    assert_int_equal(peek(b + 3 * PG), (first + 3) % 251);
    assert_non_null(pt_find(as_now(), b, &level));
    assert_int_equal(level, 1);
    unmap(b + 5 * PG, PG); /* cut in the middle */
    assert_int_equal(peek(b + 4 * PG), (first + 4) % 251);
    assert_int_equal(peek(b + 5 * PG), -1);
    assert_int_equal(peek(b + 511 * PG), (first + 511) % 251);
    unmap(a, 1536 * PG);
    assert_int_equal(as_now()->rss_file, 0);
}

static void test_private_copies(void **state)
{
    (void)state;
    uint64_t a = map_file(BASE, 16, R | W, PRIVATE, 0);
    assert_int_equal(poke(a + 2 * PG, 200), 0); /* never read before */
    assert_int_equal(peek(a + 3 * PG), 3);
    assert_int_equal(poke(a + 3 * PG + 1, 201), 0); /* read before */
    assert_int_equal(peek(a + 2 * PG), 200);
    assert_int_equal(peek(a + 2 * PG + 1), 2);
    assert_int_equal(peek(a + 3 * PG), 3);
    assert_int_equal(window[2 * PG], 2);
    assert_int_equal(window[3 * PG + 1], 3);
    assert_int_equal(as_now()->rss_anon, 2);
    struct aspace *child = aspace_new(), *parent = as_now();
    assert_int_equal(aspace_fork(child, parent), 0);
    current()->proc->aspace = child;
    assert_int_equal(peek(a + 2 * PG), 200);
    assert_int_equal(peek(a + 4 * PG), 4);
    poke(a + 2 * PG, 210);
    current()->proc->aspace = parent;
    assert_int_equal(peek(a + 2 * PG), 200);
    aspace_put(child);
    /* Thrown away: the file's contents again. */
    assert_int_equal(aspace_advise(parent, a, 16 * PG, 4), 0);
    assert_int_equal(peek(a + 2 * PG), 2);
    assert_int_equal(parent->rss_anon, 0);
}

static void test_shared_is_the_file(void **state)
{
    (void)state;
    uint64_t a = map_file(BASE, 16, R | W, SHARED, 0);
    uint64_t b = map_file(BASE + 64 * PG, 16, R, SHARED, 0);
    uint64_t c = map_file(BASE + 128 * PG, 16, R, PRIVATE, 0);
    assert_int_equal(peek(b + PG), 1);
    assert_int_equal(peek(c + PG), 1);
    assert_int_equal(peek(a + PG), 1);
    assert_int_equal(poke(a + PG, 77), 0);
    assert_int_equal(*(unsigned char *)page_virt(own[1]), 77);
    assert_int_equal(peek(b + PG), 77);
    assert_int_equal(peek(c + PG), 77);
    struct aspace *child = aspace_new(), *parent = as_now();
    assert_int_equal(aspace_fork(child, parent), 0);
    current()->proc->aspace = child;
    poke(a + PG, 78);
    poke(a + 9 * PG, 79);
    current()->proc->aspace = parent;
    assert_int_equal(peek(a + PG), 78);
    assert_int_equal(peek(b + 9 * PG), 79);
    aspace_put(child);
    /* Rights taken and given. */
    assert_int_equal(aspace_protect(parent, a, 16 * PG, 0), 0);
    assert_int_equal(peek(a + PG), -1);
    assert_int_equal(aspace_protect(parent, a, 16 * PG, R | W), 0);
    poke(a + PG, 80);
    assert_int_equal(peek(b + PG), 80);
    unmap(a, 256 * PG);
    assert_int_equal(page_refs(own[1]), 1);
    assert_int_equal(page_refs(own[9]), 1);
}

static void test_read_only_file_stays_so(void **state)
{
    (void)state;
    file->mode = FILE_READ;
    uint64_t a = map_file(BASE, 4, R, SHARED, 0);
    assert_int_equal(aspace_protect(as_now(), a, 4 * PG, R | W), -EACCES);
    assert_int_equal(poke(a, 1), -EFAULT);
    uint64_t b = map_file(BASE + 64 * PG, 4, R, PRIVATE, 0);
    assert_int_equal(aspace_protect(as_now(), b, 4 * PG, R | W), 0);
    assert_int_equal(poke(b, 1), 0);
}

static void test_truncate(void **state)
{
    (void)state;
    uint64_t a = map_file(BASE, 16, R | W, SHARED, 0);
    uint64_t b = map_file(BASE + 64 * PG, 16, R | W, PRIVATE, 0);
    poke(a + 5 * PG, 50);
    poke(b + 6 * PG, 60);
    assert_int_equal(peek(b + 7 * PG), 7);
    file_pages = 4;
    aspace_drop_inode(inode, 4, UINT64_MAX);
    assert_int_equal(page_refs(own[5]), 1);
    assert_int_equal(signo_of(a + 5 * PG, FAULT_WRITE), LX_SIGBUS);
    assert_int_equal(signo_of(b + 7 * PG, FAULT_READ), LX_SIGBUS);
    assert_int_equal(peek(b + 6 * PG), 60); /* a copy is the program's */
    assert_int_equal(peek(a + 3 * PG), 3);
    file_pages = FILE_PAGES;
    assert_int_equal(peek(a + 5 * PG), 50);
}

static void test_drop_under_huge_leaf(void **state)
{
    (void)state;
    uint64_t a = map_file(0, 1536, R | X, PRIVATE, 0);
    uint64_t b = ROUND_UP(a, HUGE_SIZE);
    unsigned first = (unsigned)((b - a) / PG);
    struct inode_page p;
    assert_int_equal(peek(b), first % 251);
    assert_int_equal(test_get_page(inode, first + 3, true, &p), 0);
    memset(page_virt(own[first + 3]), 99, PG);
    assert_int_equal(peek(b + 3 * PG), 99);
    assert_int_equal(peek(b + 4 * PG), (first + 4) % 251);
}

/* A region keeps its file; the inode knows its regions. */
static void test_references(void **state)
{
    (void)state;
    uint64_t a = map_file(BASE, 8, R, PRIVATE, 0);
    unmap(a + 3 * PG, PG);
    assert_int_equal(file->refs, 3);
    assert_int_equal(aspace_protect(as_now(), a, PG, 0), 0);
    assert_int_equal(file->refs, 4);
    assert_int_equal(aspace_protect(as_now(), a, PG, R), 0);
    assert_int_equal(file->refs, 3);
    map_file(BASE + 3 * PG, 1, R, PRIVATE, 3); /* closes the gap */
    assert_int_equal(file->refs, 2);
    map_file(BASE + 8 * PG, 1, R, PRIVATE, 9); /* does not continue it */
    assert_int_equal(file->refs, 3);
    unmap(BASE, 16 * PG);
    assert_int_equal(file->refs, 1);
    assert_true(list_empty(&inode->mappings));
    check_regions(as_now());
}

static void test_shared_anonymous(void **state)
{
    (void)state;
    int64_t r = CALL(mmap, 0, 3 * PG, R | W, SHANON, ~0u, 0);
    assert_true(r > 0);
    uint64_t a = (uint64_t)r;
    struct aspace *child = aspace_new(), *parent = as_now();
    assert_int_equal(aspace_fork(child, parent), 0);
    current()->proc->aspace = child;
    poke(a + PG, 5);
    current()->proc->aspace = parent;
    assert_int_equal(peek(a + PG), 5);
    assert_int_equal(peek(a), 0);
    poke(a, 6);
    current()->proc->aspace = child;
    assert_int_equal(peek(a), 6);
    current()->proc->aspace = parent;
    aspace_put(child);
    assert_int_equal(peek(a + PG), 5);
    unmap(a, 3 * PG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(test_window_is_read_in_place),
        T(test_own_pages_between),
        T(test_huge_leaves),
        T(test_private_copies),
        T(test_shared_is_the_file),
        T(test_read_only_file_stays_so),
        T(test_truncate),
        T(test_drop_under_huge_leaf),
        T(test_references),
        T(test_shared_anonymous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
