// SPDX-License-Identifier: Apache-2.0
/* mmap, munmap, mprotect, mremap, madvise, mincore, mlock, msync, brk, memfd.
 */
#include <setjmp.h>

#include "tests/guest/conform/t.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_32BIT /* arm64 */
#define MAP_32BIT 0
#endif
#define PAGE 4096l
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

static sigjmp_buf back;

static void on_fault(int signo)
{
    siglongjmp(back, signo);
}

/* The signal that touching gets, 0: none. */
static int probe(volatile char *p, bool write)
{
    int s = sigsetjmp(back, 1);

    if (s == 0) {
        if (write)
            *p = *p;
        else
            (void)*p;
    }
    return s;
}

#define MAP(label, ...)                                                        \
    ({                                                                         \
        char *m_ = mmap(__VA_ARGS__);                                          \
        t_say(label, "%s", m_ == MAP_FAILED ? t_errno(errno) : "ok");          \
        m_;                                                                    \
    })

/* /dev/zero, shared: with children, not with another mapping. */
static void zero_shared(void)
{
    int fd = open("/dev/zero", O_RDWR);
    char *a = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    pid_t pid = fork();

    if (pid == 0) {
        a[1] = 7;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    T("zero_shared_child", a[1]);
    T("zero_shared_other", b[1]);
    close(fd);
}

static void maps(void)
{
    int fd = t_file("f", 100), ro = open("f", O_RDONLY),
        wo = open("f", O_WRONLY), p[2];

    pipe(p);
    MAP("zero", NULL, 0, RW, ANON, -1, 0);
    MAP("huge", NULL, 1ul << 62, RW, ANON, -1, 0);
    MAP("huge2", NULL, (size_t)-1, RW, ANON, -1, 0);
    MAP("notype", NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0);
    MAP("badfd", NULL, PAGE, RW, MAP_PRIVATE, -1, 0);
    MAP("pipe", NULL, PAGE, RW, MAP_SHARED, p[0], 0);
    MAP("dir", NULL, PAGE, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0);
    MAP("ro_shared_w", NULL, PAGE, RW, MAP_SHARED, ro, 0);
    MAP("ro_private_w", NULL, PAGE, RW, MAP_PRIVATE, ro, 0);
    MAP("wo_r", NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0);
    MAP("wo_w", NULL, PAGE, PROT_WRITE, MAP_SHARED, wo, 0);
    T("offset", SC(mmap, NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100));
    T("offset_big", SC(mmap, NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd,
                       0xfffffffffffff000ul));
    T("fixed_odd", SC(mmap, 0x10000001, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    T("fixed_kernel", SC(mmap, KERNEL_PTR, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    MAP("validate", NULL, PAGE, RW, MAP_SHARED_VALIDATE, fd, 0);
    MAP("validate_bad", NULL, PAGE, RW, MAP_SHARED_VALIDATE | 0x8000000, fd, 0);
    MAP("validate_sync", NULL, PAGE, RW, MAP_SHARED_VALIDATE | 0x80000, fd, 0);
    MAP("anon_shared", NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MAP("populate", NULL, 16 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
    MAP("noreserve", NULL, 64ul << 30, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    MAP("stack", NULL, PAGE, RW, ANON | MAP_STACK, -1, 0);
    MAP("growsdown_file", NULL, PAGE, RW, MAP_SHARED | MAP_GROWSDOWN, fd, 0);
    MAP("zero_dev", NULL, PAGE, RW, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
    MAP("zero_dev_shared", NULL, PAGE, RW, MAP_SHARED,
        open("/dev/zero", O_RDWR), 0);
    zero_shared();
    MAP("null_dev", NULL, PAGE, RW, MAP_PRIVATE, open("/dev/null", O_RDWR), 0);
    char *m = MAP("base", NULL, 8 * PAGE, RW, ANON, -1, 0);
    MAP("noreplace", m, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
    munmap(m + PAGE, PAGE);
    YES("noreplace_ok", mmap(m + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1,
                             0) == m + PAGE);
    munmap(m, 8 * PAGE);
    YES("hint", mmap(m, PAGE, RW, ANON, -1, 0) == m);
    YES("hint_taken", mmap(m, PAGE, RW, ANON, -1, 0) != m);
    T("munmap_odd", munmap(m + 1, PAGE));
    T("munmap_zero", munmap(m, 0));
    T("munmap_nothing", munmap(m + 3 * PAGE, PAGE));
    T("munmap_kernel", SC(munmap, KERNEL_PTR, PAGE));
    T("munmap_wrap", SC(munmap, m, -PAGE));
    T("munmap_len", munmap(m, 1));
    T("munmap_after", probe(m, false));
}

/* MAP_32BIT: below 2 GiB, whatever else is asked for. */
static void maps_low(void)
{
    const int low = ANON | MAP_32BIT;
    char *high = mmap(NULL, PAGE, RW, ANON, -1, 0), *m[3];
    int n = 0;

    for (int i = 0; i < 3; i++) {
        m[i] = mmap(NULL, (4l << 20) >> i, RW, low, -1, 0);
        n += ((uintptr_t)m[i] >> 31) == 0;
        YES("low_usable", m[i] != MAP_FAILED && probe(m[i], true) == 0);
    }
    T("low_count", n);
    munmap(high, PAGE);
    char *h = mmap(high, PAGE, RW, low, -1, 0);
    YES("low_hint_high", h != MAP_FAILED && ((uintptr_t)h >> 31) == 0);
    munmap(m[1], PAGE);
    YES("low_hint", mmap(m[1], PAGE, RW, low, -1, 0) == m[1]);
    YES("low_fixed", mmap(high, PAGE, RW, low | MAP_FIXED, -1, 0) == high);
    MAP("low_big", NULL, 3ul << 30, PROT_NONE, low | MAP_NORESERVE, -1, 0);
    MAP("low_file", NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_32BIT,
        open("f", O_RDONLY), 0);
    char *a = mmap(NULL, PAGE, RW, ANON, -1, 0);
    YES("low_then_high", ((uintptr_t)a >> 32) != 0);
}

static void protections(void)
{
    char *m = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
    int ro = open("f", O_RDONLY);
    char *s = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);

    memset(m, 7, 8 * PAGE);
    T("prot_ro", mprotect(m + 2 * PAGE, 2 * PAGE, PROT_READ));
    T("prot_ro_read", probe(m + 2 * PAGE, false));
    T("prot_ro_write", probe(m + 2 * PAGE, true));
    T("prot_before", probe(m + PAGE, true));
    T("prot_after", probe(m + 4 * PAGE, true));
    T("prot_none", mprotect(m + 3 * PAGE, PAGE, PROT_NONE));
    T("prot_none_read", probe(m + 3 * PAGE, false));
    T("prot_back", mprotect(m, 8 * PAGE, RW));
    T("prot_kept", m[3 * PAGE]);
    T("prot_write_only", mprotect(m, PAGE, PROT_WRITE));
    T("prot_write_only_read", probe(m, false));
    T("prot_odd", mprotect(m + 1, PAGE, RW));
    T("prot_zero", mprotect(m, 0, RW));
    T("prot_bad", SC(mprotect, m, PAGE, 0x100));
    T("prot_grow", SC(mprotect, m, PAGE, RW | 0x01000000));
    T("prot_both", SC(mprotect, m, PAGE, RW | 0x03000000));
    T("prot_wrap", SC(mprotect, m, -PAGE, RW));
    munmap(m + 5 * PAGE, PAGE);
    T("prot_hole", mprotect(m, 8 * PAGE, PROT_READ));
    T("prot_hole_before", probe(m, true));
    T("prot_hole_after", probe(m + 6 * PAGE, true));
    T("prot_shared_ro", mprotect(s, PAGE, RW));
    T("prot_private_ro",
      mprotect(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0), PAGE, RW));
}

static void remaps(void)
{
    char *m = mmap(NULL, 16 * PAGE, RW, ANON, -1, 0), *n;

    munmap(m + 8 * PAGE, 8 * PAGE);
    for (int i = 0; i < 8; i++)
        m[i * PAGE] = (char)(i + 1);
    YES("re_same", mremap(m, 8 * PAGE, 8 * PAGE, 0) == m);
    YES("re_shrink", mremap(m, 8 * PAGE, 4 * PAGE, 0) == m);
    T("re_shrink_gone", probe(m + 4 * PAGE, false));
    YES("re_grow", mremap(m, 4 * PAGE, 8 * PAGE, 0) == m);
    T("re_grow_zero", m[5 * PAGE]);
    mmap(m + 8 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
    T("re_blocked", SC(mremap, m, 8 * PAGE, 9 * PAGE, 0));
    YES("re_move",
        (n = mremap(m, 8 * PAGE, 12 * PAGE, MREMAP_MAYMOVE)) != MAP_FAILED);
    T("re_move_data", n[2 * PAGE]);
    T("re_move_gone", probe(m, false));
    m = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    YES("re_fixed",
        mremap(n, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, m) == m);
    T("re_fixed_data", m[PAGE]);
    T("re_fixed_overlap", SC(mremap, m, 2 * PAGE, 2 * PAGE, 3, m + PAGE));
    T("re_fixed_only", SC(mremap, m, PAGE, PAGE, MREMAP_FIXED, n));
    T("re_fixed_odd", SC(mremap, m, PAGE, PAGE, 3, m + 1));
    T("re_odd", SC(mremap, m + 1, PAGE, PAGE, 0));
    T("re_zero_new", SC(mremap, m, PAGE, 0, 0));
    T("re_zero_old_private", SC(mremap, m, 0, PAGE, MREMAP_MAYMOVE));
    T("re_flags", SC(mremap, m, PAGE, PAGE, 8));
    T("re_unmapped", SC(mremap, 0x10000000, PAGE, 2 * PAGE, 1));
    char *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s[0] = 42;
    YES("re_dup",
        (n = mremap(s, 0, PAGE, MREMAP_MAYMOVE)) != MAP_FAILED && n[0] == 42);
    m = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    m[0] = 9;
    YES("re_dont",
        (n = mremap(m, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
                    0)) != MAP_FAILED);
    YES("re_dont_data", n != MAP_FAILED && n[0] == 9 && m[0] == 0);
    T("re_dont_size", SC(mremap, m, 2 * PAGE, 3 * PAGE, 5, 0));
    T("re_dont_no_move", SC(mremap, m, PAGE, PAGE, 4, 0));
    mprotect(m + PAGE, PAGE, PROT_READ);
    T("re_across", SC(mremap, m, 4 * PAGE, 8 * PAGE, 1));
}

/* Shrinking over several regions. */
static void remaps_regions(void)
{
    char *m = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);

    mprotect(m + PAGE, PAGE, PROT_READ);
    YES("re_regions_same", mremap(m, 4 * PAGE, 4 * PAGE, 0) == m);
    YES("re_regions_two", mremap(m, 4 * PAGE, 3 * PAGE, MREMAP_MAYMOVE) == m);
    T("re_regions_two_gone", probe(m + 3 * PAGE, false));
    T("re_regions_kept", probe(m + 2 * PAGE, true));
    T("re_regions_grow", SC(mremap, m, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
    YES("re_regions_one", mremap(m, 3 * PAGE, PAGE, 0) == m);
    T("re_regions_one_gone", probe(m + PAGE, false));
    m = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    char *to = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    m[0] = 3;
    mprotect(m + PAGE, PAGE, PROT_READ);
    YES("re_regions_fixed", mremap(m, 4 * PAGE, PAGE, 3, to) == to);
    T("re_regions_fixed_data", to[0]);
    T("re_regions_fixed_gone", probe(m + 2 * PAGE, false));
}

static void advice(void)
{
    static const int good[] = {0,  1,  2,  3,  4,  8,  9,  10, 11, 12, 13,
                               14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 77};
    char *m = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    int fd = t_file("adv", 5000);
    char *f = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    unsigned char vec[8];

    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char label[32];
        (void)snprintf(label, sizeof(label), "adv_%d", good[i]);
        T(label, madvise(m, 4 * PAGE, good[i]));
    }
    m[0] = 5;
    T("dontneed", madvise(m, PAGE, MADV_DONTNEED));
    T("dontneed_zero", m[0]);
    f[0] = 'X';
    T("dontneed_file", madvise(f, PAGE, MADV_DONTNEED));
    T("dontneed_file_kept", f[0]);
    T("remove", madvise(f, PAGE, 9));
    T("remove_zero", f[0]);
    T("odd", madvise(m + 1, PAGE, 0));
    T("zero_len", madvise(m, 0, MADV_DONTNEED));
    T("zero_len_bad", madvise(m, 0, 77));
    T("wrap", madvise(m, (size_t)-PAGE, 0));
    munmap(m + PAGE, PAGE);
    m[0] = m[2 * PAGE] = 6;
    T("hole", madvise(m, 4 * PAGE, MADV_DONTNEED));
    t_say("hole_done", "%d %d", m[0], m[2 * PAGE]);
    char *w = mmap(NULL, PAGE, RW, ANON, -1, 0),
         *d = mmap(NULL, PAGE, RW, ANON, -1, 0);
    w[0] = d[0] = 1;
    T("wipeonfork", madvise(w, PAGE, 18));
    T("dontfork", madvise(d, PAGE, MADV_DONTFORK));
    pid_t pid = fork();
    if (pid == 0)
        _exit(w[0] * 2 + (probe(d, false) == SIGSEGV));
    int status;
    waitpid(pid, &status, 0);
    T("fork_is", WEXITSTATUS(status));
    T("wipeonfork_file", madvise(f, PAGE, 18));
    char *c = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    c[PAGE] = 1;
    T("mincore", mincore(c, 4 * PAGE, vec));
    t_say("mincore_is", "%d%d%d%d", vec[0] & 1, vec[1] & 1, vec[2] & 1,
          vec[3] & 1);
    T("mincore_odd", mincore(c + 1, PAGE, vec));
    T("mincore_ptr", SC(mincore, c, PAGE, BAD_PTR));
    T("mincore_zero", mincore(c, 0, vec));
    T("msync", msync(f, 2 * PAGE, MS_SYNC));
    T("msync_async", msync(f, PAGE, MS_ASYNC));
    T("msync_both", msync(f, PAGE, MS_SYNC | MS_ASYNC));
    T("msync_flags", msync(f, PAGE, 8));
    T("msync_odd", msync(f + 1, PAGE, MS_SYNC));
    T("msync_zero", msync(f, 0, MS_SYNC));
    T("msync_anon", msync(c, PAGE, MS_SYNC | MS_INVALIDATE));
}

/* Offsets of the regions in [m, m + size) of /proc/self/maps. */
static void say_offsets(const char *label, const char *m, size_t size)
{
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long start, offset;
    char line[512];

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "%lx-%*x %*s %lx", &start, &offset) == 2 &&
            start >= (uintptr_t)m && start < (uintptr_t)m + size)
            t_say(label, "+%lu %#lx", start - (uintptr_t)m, offset);
    if (f != NULL)
        (void)fclose(f);
}

static void advice_pages(void)
{
    char *m = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    int fd = t_file("pages", 4 * PAGE);
    char *f = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

    m[PAGE] = 1;
    T("dn_locked_mlock", mlock(m, 2 * PAGE));
    T("dn_refused", madvise(m, 2 * PAGE, MADV_DONTNEED));
    T("dn_locked", madvise(m, 2 * PAGE, 24));
    T("dn_locked_zero", m[PAGE]);
    munlock(m, 2 * PAGE);
    T("dn_unlocked", madvise(m, 2 * PAGE, 24));
    T("dn_beyond", madvise(m, 2 * PAGE, 27));
    mprotect(m + 2 * PAGE, PAGE, PROT_READ);
    mprotect(m + 3 * PAGE, PAGE, PROT_NONE);
    T("pop_write", madvise(m, 2 * PAGE, 23));
    T("pop_write_ro", madvise(m + PAGE, 2 * PAGE, 23));
    T("pop_read_ro", madvise(m + PAGE, 2 * PAGE, 22));
    T("pop_read_none", madvise(m, 4 * PAGE, 22));
    T("pop_write_file_ro", madvise(f, PAGE, 23));
    ftruncate(fd, PAGE);
    T("pop_read_beyond", madvise(f, 4 * PAGE, 22));
    say_offsets("offsets", m, 4 * PAGE);
    mprotect(f + PAGE, PAGE, PROT_NONE);
    say_offsets("offsets_file", f, 4 * PAGE);
}

static void locks(void)
{
    char *m = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    unsigned char vec[4];

    T("mlock", mlock(m, 2 * PAGE));
    mincore(m, 4 * PAGE, vec);
    t_say("mlock_in", "%d%d%d", vec[0] & 1, vec[1] & 1, vec[2] & 1);
    T("mlock_dontneed", madvise(m, PAGE, MADV_DONTNEED));
    T("munlock", munlock(m, 2 * PAGE));
    T("mlock2", SC(mlock2, m, PAGE, 1));
    T("mlock2_bad", SC(mlock2, m, PAGE, 2));
    T("munlock_none", munlock(m + 3 * PAGE, PAGE));
    munmap(m + 3 * PAGE, PAGE);
    T("mlock_hole", mlock(m, 4 * PAGE));
    T("munlock_hole", munlock(m, 4 * PAGE));
    T("mlock_wrap", mlock(m, (size_t)-1));
    T("mlockall_bad", mlockall(8));
    T("mlockall_zero", mlockall(0));
    T("mlockall_onfault", mlockall(4));
    T("mlockall", mlockall(MCL_CURRENT | MCL_FUTURE));
    T("munlockall", munlockall());
    struct rlimit rl = {8192, 8192};
    setrlimit(RLIMIT_MEMLOCK, &rl);
    if (setuid(1000) < 0)
        return;
    T("user_mlock", mlock(m, PAGE));
    T("user_mlock_more", mlock(m, 3 * PAGE));
    T("user_mlockall", mlockall(MCL_CURRENT));
    MAP("user_map_locked", NULL, 8 * PAGE, RW, ANON | MAP_LOCKED, -1, 0);
}

static void coherent(void)
{
    int fd = t_file("co", 10000), a, b;
    char *s = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0), c[16] = "";
    char *p = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0);

    s[5] = '!';
    T("mmap_read", pread(fd, c, 1, 5) == 1 && c[0] == '!');
    pwrite(fd, "?", 1, 6);
    YES("write_mmap", s[6] == '?' && p[6] == '?');
    p[7] = '#';
    T("private_not_file", pread(fd, c, 1, 7) == 1 && c[0] == '#');
    pwrite(fd, "$", 1, 7);
    YES("private_kept", p[7] == '#' && s[7] == '$');
    T("tail_zero", s[10001]);
    s[10001] = 1;
    T("tail_not_written", lseek(fd, 0, SEEK_END));
    ftruncate(fd, 12000);
    T("tail_extended", pread(fd, c, 1, 10001) == 1 ? c[0] : -1);
    ftruncate(fd, PAGE);
    T("cut_shared", probe(s + PAGE, false));
    T("cut_private", probe(p + PAGE, false));
    T("cut_private_own", p[7]);
    ftruncate(fd, 3 * PAGE);
    T("back", probe(s + PAGE, true));
    T("back_zero", s[PAGE]);
    p[7] = p[PAGE] = p[2 * PAGE] = '#';
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE);
    T("hole_private_own", p[7]);
    ftruncate(fd, PAGE + 1);
    T("shrunk_private", probe(p + 2 * PAGE, false));
    ftruncate(fd, 3 * PAGE);
    t_say("regrown_private", "%d %d %d", p[7], p[PAGE], p[2 * PAGE]);
    close(fd);
    unlink("co");
    s[0] = 'u';
    T("unlinked", s[0]);
    char *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        shared[0] = 11;
        p[8] = 'c';
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    t_say("fork", "%d %d", shared[0], p[8] == 'c');
    a = open("co2", O_CREAT | O_RDWR, 0600);
    b = open("co2", O_RDWR);
    write(a, "12345678", 8);
    char *ma = mmap(NULL, PAGE, RW, MAP_SHARED, a, 0),
         *mb = mmap(NULL, PAGE, RW, MAP_SHARED, b, 0);
    ma[0] = 'z';
    T("two_maps", mb[0] == 'z');
    write(b, ma + 4, 4);
    T("write_from_map", memcmp(mb, "5678", 4));
}

static void memfds(void)
{
    int fd, plain;
    char *m, b[8];

    OK("memfd", fd = (int)SC(memfd_create, "name", 2 | 1));
    OK("memfd_plain", plain = (int)SC(memfd_create, "", 0));
    T("memfd_flags", SC(memfd_create, "x", 0x100));
    T("memfd_ptr", SC(memfd_create, BAD_PTR, 0));
    T("memfd_cloexec", fcntl(fd, F_GETFD));
    T("seals", fcntl(fd, F_GET_SEALS));
    T("seals_plain", fcntl(plain, F_GET_SEALS));
    T("seal_plain", fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE));
    T("seal_file", fcntl(t_file("sf", 1), F_GET_SEALS));
    T("seal_pipe", fcntl(0, F_ADD_SEALS, 1));
    ftruncate(fd, 8192);
    T("seal_bad", fcntl(fd, F_ADD_SEALS, 0x100));
    T("seal_shrink", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    T("sealed_shrink", ftruncate(fd, 100));
    T("sealed_shrink_grow", ftruncate(fd, 9000));
    T("seal_grow", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    T("sealed_grow", ftruncate(fd, 10000));
    T("sealed_grow_write", pwrite(fd, "x", 1, 9000));
    T("sealed_grow_part", pwrite(fd, "xxxx", 4, 8998));
    T("sealed_falloc", fallocate(fd, 0, 0, 20000));
    m = mmap(NULL, 8192, RW, MAP_SHARED, fd, 0);
    T("seal_write_mapped", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(m, 8192);
    T("seal_write", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    T("sealed_write", pwrite(fd, "x", 1, 0));
    T("sealed_read", pread(fd, b, 1, 0));
    MAP("sealed_map_w", NULL, 8192, RW, MAP_SHARED, fd, 0);
    MAP("sealed_map_r", NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    MAP("sealed_map_p", NULL, 8192, RW, MAP_PRIVATE, fd, 0);
    T("sealed_punch", fallocate(fd, 3, 0, 4096));
    T("seal_seal", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    T("sealed_seal", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    T("seals_all", fcntl(fd, F_GET_SEALS));
    struct stat st;
    fstat(plain, &st);
    t_say("memfd_stat", "%#o nlink=%d", st.st_mode, (int)st.st_nlink);
}

static void breaks(void)
{
    char *start = (char *)SC(brk, 0);

    YES("brk_grow", (char *)SC(brk, start + 3 * PAGE) == start + 3 * PAGE);
    memset(start, 1, 3 * PAGE);
    YES("brk_shrink", (char *)SC(brk, start + 1) == start + 1);
    T("brk_gone", probe(start + 2 * PAGE, false));
    YES("brk_again", (char *)SC(brk, start + 3 * PAGE) == start + 3 * PAGE);
    T("brk_zero", start[2 * PAGE]);
    YES("brk_low", (char *)SC(brk, 4096) == start + 3 * PAGE);
    YES("brk_kernel", (char *)SC(brk, KERNEL_PTR) == start + 3 * PAGE);
    struct rlimit rl = {1 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_DATA, &rl);
    YES("brk_data_limit",
        (char *)SC(brk, start + (2 << 20)) == start + 3 * PAGE);
    MAP("data_limit_map", NULL, 2 << 20, RW, ANON, -1, 0);
    MAP("data_limit_shared", NULL, 2 << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1,
        0);
    MAP("data_limit_ro", NULL, 2 << 20, PROT_READ, ANON, -1, 0);
}

static void as_limit(void)
{
    struct rlimit rl = {256 << 20, RLIM_INFINITY};

    setrlimit(RLIMIT_AS, &rl);
    MAP("as_big", NULL, 512 << 20, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    char *m = MAP("as_small", NULL, 1 << 20, RW, ANON, -1, 0);
    T("as_mremap", SC(mremap, m, 1 << 20, 512 << 20, 1));
    long now = SC(brk, 0);
    YES("as_brk", SC(brk, now + (512l << 20)) == now);
}

static void stack_grow(void)
{
    char *top = mmap(NULL, 64 * PAGE, PROT_NONE, ANON, -1, 0) + 63 * PAGE;

    munmap(top - 63 * PAGE, 64 * PAGE);
    char *m =
        MAP("grows", top, PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    T("grows_down", probe(m - PAGE, true));
    T("grows_far", probe(m - 20 * PAGE, true));
}

int main(void)
{
    t_begin("mem");
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    maps();
    maps_low();
    protections();
    remaps();
    remaps_regions();
    advice();
    advice_pages();
    t_child("locks", locks);
    coherent();
    memfds();
    t_child("breaks", breaks);
    t_child("as_limit", as_limit);
    t_child("stack_grow", stack_grow);
    return 0;
}
