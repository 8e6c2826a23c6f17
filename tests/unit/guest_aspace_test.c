// SPDX-License-Identifier: Apache-2.0
/* Private anonymous memory: mmap, munmap, mprotect, brk, stacks, fork, huge
 * pages, limits; and a random model of pages. */
#include "guest/core/frame.h"
#include "guest/core/pgtable.h"
#include "tests/unit/guest_mm_env.h"

#define BASE UINT64_C(0x40000000)

static void test_memory_is_zero_and_kept(void **state)
{
    (void)state;
    uint64_t a = map_any(4 * PG, R | W);
    assert_int_equal(peek(a), 0);
    assert_int_equal(poke(a + PG + 7, 42), 0);
    assert_int_equal(peek(a + PG + 7), 42);
    assert_int_equal(peek(a + 3 * PG), 0);
    assert_int_equal(peek(a + 4 * PG), -1);
    assert_int_equal(signo_of(a + 4 * PG, FAULT_READ), LX_SIGSEGV);
    unmap(a, 4 * PG);
    assert_int_equal(peek(a), -1);
}

static void test_rights(void **state)
{
    (void)state;
    uint64_t a = map_any(PG, R);
    int signo, code;
    assert_int_equal(peek(a), 0);
    assert_int_equal(poke(a, 1), -EFAULT);
    assert_int_equal(aspace_fault(a, FAULT_WRITE, &signo, &code), -EFAULT);
    assert_int_equal(code, LX_SEGV_ACCERR);
    assert_int_equal(aspace_fault(a + PG, FAULT_WRITE, &signo, &code), -EFAULT);
    assert_int_equal(code, LX_SEGV_MAPERR);
    assert_int_equal(signo_of(a, FAULT_EXEC), LX_SIGSEGV);
    assert_int_equal(aspace_protect(as_now(), a, PG, R | W | X), 0);
    assert_int_equal(poke(a, 1), 0);
    assert_int_equal(signo_of(a, FAULT_EXEC), 0);
    /* No rights: the page stays, unseen. */
    assert_int_equal(aspace_protect(as_now(), a, PG, 0), 0);
    assert_int_equal(peek(a), -1);
    assert_int_equal(aspace_protect(as_now(), a, PG, R), 0);
    assert_int_equal(peek(a), 1);
    assert_int_equal(poke(a, 2), -EFAULT);
}

static void test_protect_errors(void **state)
{
    (void)state;
    map_at(BASE, 2, R);
    map_at(BASE + 3 * PG, 1, R);
    assert_int_equal(aspace_protect(as_now(), BASE + 1, PG, R), -EINVAL);
    assert_int_equal(aspace_protect(as_now(), BASE, PG, 0x100), -EINVAL);
    assert_int_equal(aspace_protect(as_now(), BASE, 0, W), 0);
    assert_int_equal(aspace_protect(as_now(), BASE, 4 * PG, R | W), -ENOMEM);
    assert_int_equal(poke(BASE + PG, 1), 0); /* before the hole: changed */
    assert_int_equal(poke(BASE + 3 * PG, 1), -EFAULT);
    check_regions(as_now());
}

static void test_neighbours_merge(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i += 2)
        map_at(BASE + i * PG, 1, R | W);
    assert_int_equal(as_now()->vma_count, 4);
    for (unsigned i = 1; i < 8; i += 2)
        map_at(BASE + i * PG, 1, R | W);
    assert_int_equal(as_now()->vma_count, 1);
    assert_int_equal(aspace_protect(as_now(), BASE + 2 * PG, PG, R), 0);
    assert_int_equal(as_now()->vma_count, 3);
    assert_int_equal(aspace_protect(as_now(), BASE + 2 * PG, PG, R | W), 0);
    assert_int_equal(as_now()->vma_count, 1);
    assert_int_equal(as_now()->data, 8 * PG);
    unmap(BASE + PG, PG);
    assert_int_equal(as_now()->vma_count, 2);
    check_regions(as_now());
}

static void test_map_errors(void **state)
{
    (void)state;
    struct aspace *as = as_now();
    map_at(BASE, 2, R);
    assert_int_equal(aspace_map(as, 0, 0, R, ANON, NULL, 0), -EINVAL);
    assert_int_equal(aspace_map(as, BASE + 1, PG, R, FIX, NULL, 0), -EINVAL);
    assert_int_equal(aspace_map(as, 0, PG, R, FIX, NULL, 0), -EPERM);
    assert_int_equal(aspace_map(as, USER_END, PG, R, FIX, NULL, 0), -ENOMEM);
    assert_int_equal(aspace_map(as, 0, UINT64_MAX - PG, R, ANON, NULL, 0),
                     -ENOMEM);
    assert_int_equal(aspace_map(as, BASE + PG, 4 * PG, R,
                                ANON | LX_MAP_FIXED_NOREPLACE, NULL, 0),
                     -EEXIST);
    assert_int_equal(aspace_map(as, BASE + 2 * PG, PG, R,
                                ANON | LX_MAP_FIXED_NOREPLACE, NULL, 0),
                     BASE + 2 * PG);
    /* A hint that is free is taken; one that is not gives another place. */
    assert_int_equal(aspace_map(as, BASE + 64 * PG + 5, PG, R, ANON, NULL, 0),
                     BASE + 64 * PG);
    int64_t r = aspace_map(as, BASE, PG, R, ANON, NULL, 0);
    assert_true(r > 0 && (uint64_t)r != BASE);
    assert_int_equal(aspace_unmap(as, BASE + 1, PG), -EINVAL);
    assert_int_equal(aspace_unmap(as, BASE, 0), -EINVAL);
    assert_int_equal(aspace_unmap(as, BASE, USER_END), -EINVAL);
    assert_int_equal(aspace_unmap(as, BASE + 100 * PG, PG), 0);
}

static void test_reservations_cost_nothing(void **state)
{
    (void)state;
    uint64_t before = free_now();
    int64_t r = aspace_map(as_now(), 0, UINT64_C(32) << 30, 0, ANON, NULL, 0);
    assert_true(r > 0);
    r = aspace_map(as_now(), 0, UINT64_C(16) << 30, R | W,
                   ANON | LX_MAP_NORESERVE, NULL, 0);
    assert_true(r > 0);
    assert_true(before - free_now() <= 2);
    assert_int_equal(poke((uint64_t)r + (UINT64_C(5) << 30), 1), 0);
    assert_true(before - free_now() <= 8);
    /* What can never fit is refused. */
    assert_int_equal(
        aspace_map(as_now(), 0, UINT64_C(1) << 30, R | W, ANON, NULL, 0),
        -ENOMEM);
}

static void test_limits(void **state)
{
    (void)state;
    struct process *p = current()->proc;
    map_at(BASE, 16, R | W);
    poke(BASE, 9);
    p->rlimits[LX_RLIMIT_AS].cur = 20 * PG;
    assert_int_equal(aspace_map(as_now(), 0, 5 * PG, R, ANON, NULL, 0),
                     -ENOMEM);
    /* In place of what is there: no more than before. */
    assert_int_equal(aspace_map(as_now(), BASE, 20 * PG, R, FIX, NULL, 0),
                     BASE);
    map_at(BASE, 4, R | W);
    poke(BASE, 9);
    assert_int_equal(aspace_map(as_now(), BASE, 21 * PG, R, FIX, NULL, 0),
                     -ENOMEM);
    assert_int_equal(peek(BASE), 9); /* a failed one changes nothing */
    p->rlimits[LX_RLIMIT_AS].cur = UINT64_MAX;
    p->rlimits[LX_RLIMIT_DATA].cur = 6 * PG;
    assert_int_equal(aspace_map(as_now(), 0, 3 * PG, R | W, ANON, NULL, 0),
                     -ENOMEM);
    assert_true(aspace_map(as_now(), 0, 3 * PG, R, ANON, NULL, 0) > 0);
    check_regions(as_now());
}

static void test_brk(void **state)
{
    (void)state;
    struct aspace *as = as_now();
    uint64_t b = as->brk_start;
    assert_int_equal(aspace_brk(as, 0), b);
    assert_int_equal(aspace_brk(as, b + 10), b + 10);
    assert_int_equal(poke(b, 3), 0);
    assert_int_equal(aspace_brk(as, b + 3 * PG + 1), b + 3 * PG + 1);
    assert_int_equal(poke(b + 3 * PG, 4), 0);
    assert_int_equal(as->vma_count, 1);
    assert_int_equal(aspace_brk(as, b + PG), b + PG);
    assert_int_equal(peek(b + PG), -1);
    assert_int_equal(aspace_brk(as, b + 2 * PG), b + 2 * PG);
    assert_int_equal(peek(b + PG), 0); /* fresh, not what was there */
    assert_int_equal(peek(b), 3);
    assert_int_equal(aspace_brk(as, b - 1), b + 2 * PG);
    map_at(b + 8 * PG, 1, R);
    assert_int_equal(aspace_brk(as, b + 9 * PG), b + 2 * PG); /* in the way */
    current()->proc->rlimits[LX_RLIMIT_DATA].cur = 3 * PG;
    assert_int_equal(aspace_brk(as, b + 4 * PG), b + 2 * PG);
    assert_int_equal(aspace_brk(as, b), b);
    assert_int_equal(as->vma_count, 1);
}

static void test_stack_grows(void **state)
{
    (void)state;
    uint64_t top = BASE + (64u << 20);
    int64_t r = aspace_map(as_now(), top - 4 * PG, 4 * PG, R | W,
                           FIX | LX_MAP_GROWSDOWN, NULL, 0);
    assert_true(r > 0);
    uint64_t deep = top - (7u << 20);
    assert_int_equal(signo_of(deep, FAULT_WRITE), 0);
    assert_int_equal(vma_get(as_now(), 0)->start, deep);
    assert_int_equal(signo_of(top - (9u << 20), FAULT_WRITE), LX_SIGSEGV);
    /* It stays away from what lies below. */
    current()->proc->rlimits[LX_RLIMIT_STACK].cur = UINT64_MAX;
    map_at(top - (10u << 20), 1, R);
    assert_int_equal(signo_of(top - (10u << 20) + 2 * PG, FAULT_WRITE),
                     LX_SIGSEGV);
    assert_int_equal(signo_of(top - (10u << 20) + 258 * PG, FAULT_WRITE), 0);
    current()->proc->rlimits[LX_RLIMIT_AS].cur = as_now()->mapped;
    unmap(top - (10u << 20), PG);
    assert_int_equal(signo_of(top - (11u << 20), FAULT_WRITE), LX_SIGSEGV);
}

static void test_places(void **state)
{
    (void)state;
    uint64_t low = TOP;
    for (unsigned i = 0; i < 50; i++) {
        uint64_t a = map_any((i % 5 + 1) * PG, i % 2 != 0 ? R : R | W);
        assert_true(a < low);
        low = a;
    }
    uint64_t big = map_any(5u << 20, R | W);
    assert_int_equal(big & (HUGE_SIZE - 1), 0);
    check_regions(as_now());
}

static void test_zero_page_is_shared(void **state)
{
    (void)state;
    uint64_t a = map_any(64 * PG, R);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(peek(a + i * PG), 0);
    assert_int_equal(as_now()->rss_anon, 0);
    assert_int_equal(aspace_protect(as_now(), a, 64 * PG, R | W), 0);
    poke(a + PG, 7);
    assert_int_equal(peek(a), 0);
    assert_int_equal(peek(a + PG), 7);
    assert_int_equal(peek(a + 2 * PG), 0);
    assert_int_equal(as_now()->rss_anon, 1);
}

/* --- fork --- */

static struct aspace *fork_now(void)
{
    struct aspace *child = aspace_new();
    assert_non_null(child);
    assert_int_equal(aspace_fork(child, as_now()), 0);
    return child;
}

static void enter(struct aspace *as)
{
    current()->proc->aspace = as;
}

/* The next child gets the tables of the last, and nothing in them. */
static void test_fork_tables_again(void **state)
{
    (void)state;
    uint64_t a = map_any(3 * PG, R | W);
    poke(a, 1);
    struct aspace *parent = as_now(), *child = aspace_new_child();
    assert_int_equal(aspace_fork(child, parent), 0);
    const uint64_t *root = arch_root(&child->arch);
    uint64_t tables = child->tables, other = map_any(PG, R | W);
    enter(child);
    poke(a + PG, 2);
    enter(parent);
    aspace_put(child);
    uint64_t before = free_now();
    child = aspace_new_child();
    assert_ptr_equal(arch_root(&child->arch), root);
    assert_int_equal(child->tables, tables);
    assert_int_equal(pt_count(child, MMAP_MIN, TOP), 0);
    assert_int_equal(child->vma_count + child->rss_anon + child->mapped, 0);
    unmap(a + PG, PG);
    assert_int_equal(aspace_fork(child, parent), 0);
    assert_int_equal(child->tables, tables);
    assert_int_equal(free_now(), before);
    enter(child);
    assert_int_equal(peek(a), 1);
    assert_int_equal(peek(a + PG), -1);
    assert_int_equal(peek(other), 0);
    enter(parent);
    aspace_put(child);
}

static void test_fork_copies_on_write(void **state)
{
    (void)state;
    struct aspace *parent = as_now();
    uint64_t a = map_any(3 * PG, R | W);
    poke(a, 1);
    poke(a + PG, 2);
    struct aspace *child = fork_now();
    uint64_t before = free_now();
    assert_int_equal(child->rss_anon, parent->rss_anon);
    enter(child);
    assert_int_equal(peek(a), 1);
    assert_int_equal(before, free_now()); /* reading copies nothing */
    poke(a, 11);
    poke(a + 2 * PG, 13);
    enter(parent);
    assert_int_equal(peek(a), 1);
    assert_int_equal(peek(a + 2 * PG), 0);
    poke(a + PG, 22);
    enter(child);
    assert_int_equal(peek(a), 11);
    assert_int_equal(peek(a + PG), 2);
    check_regions(child);
    /* The last one writes without a copy. */
    enter(parent);
    aspace_put(child);
    before = free_now();
    poke(a, 5);
    poke(a + PG, 6);
    assert_int_equal(before, free_now());
}

static void test_fork_without_rights(void **state)
{
    (void)state;
    struct aspace *parent = as_now();
    uint64_t a = map_any(PG, R | W);
    poke(a, 1);
    assert_int_equal(aspace_protect(parent, a, PG, 0), 0);
    struct aspace *child = fork_now();
    enter(child);
    assert_int_equal(peek(a), -1);
    assert_int_equal(aspace_protect(child, a, PG, R | W), 0);
    assert_int_equal(peek(a), 1);
    poke(a, 2);
    enter(parent);
    assert_int_equal(aspace_protect(parent, a, PG, R), 0);
    assert_int_equal(peek(a), 1);
    aspace_put(child);
}

/* --- huge pages --- */

static uint64_t leaf_level(uint64_t at)
{
    unsigned level = 99;
    return pt_find(as_now(), at, &level) != NULL ? level : 99;
}

/* Enough small pages touched so that the region deserves huge ones. */
static uint64_t huge_region(uint64_t size)
{
    uint64_t a = map_any(size, R | W);
    for (unsigned i = 0; i < 128; i++)
        poke(a + i * PG, 1);
    assert_int_equal(leaf_level(a), 0);
    return a;
}

static void test_huge_only_when_used(void **state)
{
    (void)state;
    uint64_t a = map_any(16u << 20, R | W);
    poke(a + HUGE_SIZE, 1);
    assert_int_equal(leaf_level(a + HUGE_SIZE), 0);
    uint64_t b = huge_region(6u << 20);
    poke(b + HUGE_SIZE + 5, 1);
    assert_int_equal(leaf_level(b + HUGE_SIZE), 1);
    assert_int_equal(peek(b + 2 * HUGE_SIZE - 1), 0);
    unmap(b, 6u << 20);
    assert_int_equal(as_now()->rss_anon, 1);
}

static void test_huge_in_part(void **state)
{
    (void)state;
    uint64_t before = free_now();
    uint64_t a = huge_region(6u << 20) + HUGE_SIZE;
    for (unsigned i = 0; i < HUGE_PAGES; i++)
        poke(a + i * PG, (unsigned char)i);
    assert_int_equal(leaf_level(a), 1);
    unmap(a + 100 * PG, PG); /* in the middle */
    assert_int_equal(leaf_level(a), 0);
    assert_int_equal(peek(a + 100 * PG), -1);
    assert_int_equal(peek(a + 99 * PG), 99);
    assert_int_equal(peek(a + 101 * PG), 101);
    assert_int_equal(aspace_protect(as_now(), a + 200 * PG, PG, R), 0);
    assert_int_equal(poke(a + 200 * PG, 0), -EFAULT);
    unmap(a - HUGE_SIZE, 6u << 20);
    assert_int_equal(as_now()->rss_anon, 0);
    /* All but page tables and what the heap keeps. */
    assert_true(before - free_now() <= 8);
}

static void test_huge_fork(void **state)
{
    (void)state;
    struct aspace *parent = as_now();
    uint64_t a = huge_region(6u << 20) + HUGE_SIZE;
    poke(a + 3 * PG, 3);
    poke(a + 4 * PG, 4);
    struct aspace *child = fork_now();
    uint64_t before = free_now();
    enter(child);
    assert_int_equal(leaf_level(a), 1);
    poke(a + 3 * PG, 33); /* one page is copied, not 512 */
    assert_true(before - free_now() <= 3);
    assert_int_equal(peek(a + 4 * PG), 4);
    enter(parent);
    assert_int_equal(leaf_level(a), 1);
    assert_int_equal(peek(a + 3 * PG), 3);
    poke(a + 4 * PG, 44);
    enter(child);
    assert_int_equal(peek(a + 4 * PG), 4);
    enter(parent);
    aspace_put(child);
    assert_int_equal(peek(a + 3 * PG), 3);
    unmap(a - HUGE_SIZE, 6u << 20);
    assert_int_equal(parent->rss_anon, 0);
}

static void test_memory_all_comes_back(void **state)
{
    (void)state;
    aspace_put(as_now());
    uint64_t before = 0;
    for (unsigned round = 0; round < 3; round++) {
        enter(env_aspace());
        uint64_t a = huge_region(8u << 20);
        for (unsigned i = 0; i < 2048; i += 3)
            poke(a + i * PG, 1);
        struct aspace *child = fork_now();
        poke(a, 2);
        poke(a + HUGE_SIZE, 2);
        aspace_put(as_now());
        enter(child);
        poke(a + PG, 3);
        aspace_put(child);
        if (round == 0)
            before = free_now(); /* tables stay tables */
    }
    assert_true(before - free_now() <= 1);
    enter(env_aspace());
}

/* --- the model --- */

#define MODEL_PAGES 96

static struct model {
    int prot; /* -1: no region */
    unsigned char byte;
} model[2][MODEL_PAGES];

static void model_range(struct model *m, unsigned at, unsigned n, int op)
{
    uint64_t addr = BASE + at * PG;
    int r = 0;
    bool whole = true;
    static const uint32_t prots[] = {0, R, R | W};
    uint32_t prot = prots[rand() % 3];
    for (unsigned i = at; i < at + n; i++)
        whole = whole && m[i].prot >= 0;
    if (op == 0)
        map_at(addr, n, prot);
    else if (op == 1)
        unmap(addr, n * PG);
    else if (op == 2)
        r = aspace_protect(as_now(), addr, n * PG, prot);
    else
        r = aspace_advise(as_now(), addr, n * PG, 4);
    assert_int_equal(r, op < 2 || whole ? 0 : -ENOMEM);
    bool stopped = false;
    for (unsigned i = at; i < at + n; i++) {
        bool gap = m[i].prot < 0;
        stopped = stopped || (op == 2 && gap);
        if (op != 2 && (op == 0 || !gap))
            m[i].byte = 0;
        if (op == 0 || (op == 2 && !stopped))
            m[i].prot = (int)prot;
        else if (op == 1)
            m[i].prot = -1;
    }
}

static void model_check(struct model *m)
{
    for (unsigned i = 0; i < MODEL_PAGES; i++) {
        int want = m[i].prot > 0 ? m[i].byte : -1;
        assert_int_equal(peek(BASE + i * PG + 5), want);
    }
    check_regions(as_now());
}

static void test_random(void **state)
{
    (void)state;
    struct aspace *as[2] = {as_now(), NULL};
    for (unsigned i = 0; i < MODEL_PAGES; i++)
        model[0][i].prot = -1;
    srand(11);
    for (unsigned step = 0; step < 6000; step++) {
        unsigned who = as[1] != NULL ? (unsigned)rand() % 2 : 0;
        struct model *m = model[who];
        unsigned at = (unsigned)rand() % MODEL_PAGES;
        unsigned n = (unsigned)rand() % (MODEL_PAGES - at) + 1;
        int op = rand() % 12;
        enter(as[who]);
        if (op < 4) {
            model_range(m, at, MIN(n, 12), op);
        } else if (op < 11) {
            unsigned char c = (unsigned char)rand();
            bool can = m[at].prot > 0 && (m[at].prot & (int)W) != 0;
            assert_int_equal(poke(BASE + at * PG + 5, c), can ? 0 : -EFAULT);
            if (can)
                m[at].byte = c;
        } else if (as[1] == NULL) {
            as[1] = fork_now();
            memcpy(model[1], model[0], sizeof(model[0]));
        } else if (rand() % 4 == 0) {
            aspace_put(as[who]); /* the other one goes on as the first */
            as[0] = as[1 - who];
            memmove(model[0], model[1 - who], sizeof(model[0]));
            as[1] = NULL;
            enter(as[0]);
        }
        if (step % 64 == 0)
            for (unsigned i = 0; i < 2 && as[i] != NULL; i++) {
                enter(as[i]);
                model_check(model[i]);
            }
    }
    if (as[1] != NULL)
        aspace_put(as[1]);
    enter(as[0]);
    model_check(model[0]);
}

/* --- free addresses --- */

#define PLACES 1024u

/* The highest free run, by looking at every page. */
static uint64_t place_naive(const bool *used, unsigned pages)
{
    unsigned run = 0;

    for (unsigned i = PLACES; i-- > 0;) {
        run = used[i] ? 0 : run + 1;
        if (run == pages)
            return TOP - (PLACES - i) * PG;
    }
    return 0;
}

static void place_mark(bool *used, uint64_t at, uint64_t pages, bool on)
{
    for (uint64_t i = 0; i < pages; i++)
        used[(at - (TOP - PLACES * PG)) / PG + i] = on;
}

/* Searches go on where the last one ended, and find what a search from the
 * top would. */
static void test_places_are_the_highest(void **state)
{
    (void)state;
    static bool used[PLACES];
    uint64_t seed = 88172645463325252u;

    for (unsigned step = 0; step < 20000; step++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        unsigned pages = 1 + (unsigned)(seed >> 8) % 12;
        uint64_t at = TOP - PG * (pages + (seed >> 20) % (PLACES - pages));
        uint32_t prot = (seed & 64) != 0 ? R : R | W;
        unsigned what = (unsigned)(seed & 7);
        if (what < 4) {
            uint64_t want = place_naive(used, pages);
            if (want == 0)
                what = 7;
            else
                assert_int_equal(at = map_any(pages * PG, prot), want);
        } else if (what == 4) {
            map_at(at, pages, prot);
        }
        if (what > 4)
            unmap(at, pages * PG);
        place_mark(used, at, pages, what <= 4);
        if (step % 512 == 0)
            check_regions(as_now());
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, env_setup)
    const struct CMUnitTest tests[] = {
        T(test_memory_is_zero_and_kept),
        T(test_rights),
        T(test_protect_errors),
        T(test_neighbours_merge),
        T(test_map_errors),
        T(test_reservations_cost_nothing),
        T(test_limits),
        T(test_brk),
        T(test_stack_grows),
        T(test_places),
        T(test_zero_page_is_shared),
        T(test_fork_copies_on_write),
        T(test_fork_without_rights),
        T(test_huge_only_when_used),
        T(test_huge_in_part),
        T(test_fork_tables_again),
        T(test_huge_fork),
        T(test_memory_all_comes_back),
        T(test_random),
        T(test_places_are_the_highest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
