// SPDX-License-Identifier: Apache-2.0
/* execve: what a program finds, scripts, refused and broken files. The host's
 * <elf.h> says what numbers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/core/elf.h"
#include "guest/core/exec.h"
#include "tests/unit/guest_elf_make.h"
#include "tests/unit/guest_fs_env.h"
#include "tests/unit/guest_mm_env.h"

#define BASE UINT64_C(0x400000)

static struct em elf;
static struct aspace *before_exec;

/* Once: names are cached in static tables. */
static int setup(void **state)
{
    (void)state;
    aspace_put(as_now());
    current()->proc->aspace = env_aspace();
    env_root(NULL, 8 << 20);
    before_exec = as_now();
    return 0;
}

static void put_file(const char *name, const void *data, uint64_t size,
                     uint32_t mode)
{
    assert_int_equal(env_write(name, LX_O_CREAT | LX_O_TRUNC, data, size),
                     size);
    assert_int_equal(CALL(fchmodat, HERE, P(name), mode), 0);
}

static void put_elf(const char *name, const struct em *m)
{
    put_file(name, m->bytes, m->size, 0755);
}

/* execve with these argument and environment strings. */
static int64_t run_args(const char *name, const char *const *argv,
                        const char *const *envv)
{
    struct exec_args args = {.size = 0};
    struct file *f;
    int r = exec_open(AT_FDCWD, name, PATH_FOLLOW, &f);
    if (r < 0)
        return r;
    for (; r == 0 && *argv != NULL; argv++)
        r = exec_args_add(&args, *argv, false);
    for (; r == 0 && *envv != NULL; envv++)
        r = exec_args_add(&args, *envv, true);
    if (r == 0)
        r = exec_program(f, name, &args);
    exec_args_fini(&args);
    file_put(f);
    return r;
}

static int64_t run(const char *name)
{
    const char *argv[] = {name, "one", "", "three", NULL};
    const char *envv[] = {"A=1", "PATH=/bin", NULL};
    return run_args(name, argv, envv);
}

/* --- the new program's stack --- */

static struct {
    uint64_t argc, sp;
    char argv[16][64];
    unsigned envc;
    char envv[16][64];
    uint64_t aux[64];
    bool has[64];
} found;

static uint64_t word(uint64_t at)
{
    uint64_t v = 0;
    assert_int_equal(aspace_copy_out(as_now(), &v, at, 8), 8);
    return v;
}

static void text(uint64_t at, char out[64])
{
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(aspace_copy_out(as_now(), out + i, at + i, 1), 1);
        if (out[i] == '\0')
            return;
    }
    fail();
}

static void read_stack(void)
{
    memset(&found, 0, sizeof(found));
    uint64_t at = arch_regs_sp(arch_task_regs(current()));
    found.sp = at;
    assert_int_equal(at & 15, 0);
    found.argc = word(at);
    at += 8;
    assert_true(found.argc < 16);
    for (unsigned i = 0; i < found.argc; i++, at += 8)
        text(word(at), found.argv[i]);
    assert_int_equal(word(at), 0);
    for (at += 8; word(at) != 0; at += 8) {
        assert_true(found.envc < 16);
        text(word(at), found.envv[found.envc++]);
    }
    for (at += 8; word(at) != AT_NULL; at += 16) {
        assert_true(word(at) < 64);
        assert_false(found.has[word(at)]);
        found.has[word(at)] = true;
        found.aux[word(at)] = word(at + 8);
    }
    assert_true(at < as_now()->stack_top);
}

static void test_static_program(void **state)
{
    (void)state;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    assert_int_equal(run("/prog"), 0);
    assert_ptr_not_equal(as_now(), before_exec);
    assert_int_equal(arch_regs_ip(arch_task_regs(current())), BASE + 0x800);
    /* Segments: text, data, the cleared end of its page, bss. */
    assert_int_equal(peek(BASE + 0x11ff), 2);
    assert_int_equal(poke(BASE, 1), -EFAULT);
    assert_int_equal(signo_of(BASE, FAULT_EXEC), 0);
    assert_int_equal(signo_of(BASE + 0x3000, FAULT_EXEC), LX_SIGSEGV);
    assert_int_equal(peek(BASE + 0x3000), 3);
    assert_int_equal(peek(BASE + 0x4063), 4);
    for (uint64_t i = 0x4064; i < 0x6064; i += 0x101)
        assert_int_equal(peek(BASE + i), 0);
    assert_int_equal(poke(BASE + 0x6063, 1), 0);
    assert_int_equal(peek(BASE + 0x7000), -1);
    assert_true(as_now()->brk_start >= BASE + 0x7000);
    assert_int_equal(signo_of(found.sp, FAULT_EXEC), LX_SIGSEGV);
    assert_string_equal(current()->name, "prog");
}

static void test_stack_contents(void **state)
{
    (void)state;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    env_user(1000);
    assert_int_equal(run("/prog"), 0);
    read_stack();
    assert_int_equal(found.argc, 4);
    assert_string_equal(found.argv[0], "/prog");
    assert_string_equal(found.argv[2], "");
    assert_string_equal(found.argv[3], "three");
    assert_int_equal(found.envc, 2);
    assert_string_equal(found.envv[1], "PATH=/bin");
    char name[64];
    text(found.aux[AT_EXECFN], name);
    assert_string_equal(name, "/prog");
    text(found.aux[AT_PLATFORM], name);
    assert_string_equal(name, "x86_64");
    assert_int_equal(found.aux[AT_PHDR], BASE + 64);
    assert_int_equal(found.aux[AT_PHENT], 56);
    assert_int_equal(found.aux[AT_PHNUM], 2);
    assert_int_equal(found.aux[AT_ENTRY], BASE + 0x800);
    assert_true(found.has[AT_BASE] && found.aux[AT_BASE] == 0);
    assert_int_equal(found.aux[AT_PAGESZ], 4096);
    assert_int_equal(found.aux[AT_CLKTCK], 100);
    assert_int_equal(found.aux[AT_UID], 1000);
    assert_int_equal(found.aux[AT_EGID], 1000);
    assert_true(found.has[AT_SECURE] && found.aux[AT_SECURE] == 0);
    assert_true(found.has[AT_HWCAP] && found.has[AT_HWCAP2]);
    assert_true(found.has[AT_FLAGS] && found.has[AT_MINSIGSTKSZ]);
    /* 16 bytes that differ from program to program. */
    uint64_t random = word(found.aux[AT_RANDOM]);
    assert_int_equal(run("/prog"), 0);
    read_stack();
    assert_int_not_equal(random, word(found.aux[AT_RANDOM]));
    /* /proc/PID/cmdline and auxv. */
    char line[32];
    assert_int_equal(aspace_copy_out(as_now(), line, as_now()->arg_start, 17),
                     17);
    assert_memory_equal(line, "/prog\0one\0\0three\0", 17);
    assert_int_equal(as_now()->arg_end - as_now()->arg_start, 17);
    assert_int_equal(as_now()->env_end - as_now()->env_start, 14);
}

static void test_position_independent(void **state)
{
    (void)state;
    static struct em interp;
    em_make(&interp, ET_DYN, 0);
    put_elf("ld.so", &interp);
    em_make(&elf, ET_DYN, 0);
    em_interp(&elf, "/ld.so");
    put_elf("pie", &elf);
    assert_int_equal(run("/pie"), 0);
    read_stack();
    uint64_t bias = found.aux[AT_ENTRY] - 0x800;
    assert_true(bias > UINT64_C(0x500000000000));
    assert_int_equal(found.aux[AT_PHDR], bias + 64);
    assert_int_equal(found.aux[AT_PHNUM], 3);
    assert_int_equal(arch_regs_ip(arch_task_regs(current())),
                     found.aux[AT_BASE] + 0x800);
    assert_int_equal(peek(bias + 0x3000), 3);
    assert_int_equal(peek(found.aux[AT_BASE] + 0x3000), 3);
    assert_int_not_equal(found.aux[AT_BASE], bias);
    /* Elsewhere each time. */
    assert_int_equal(run("/pie"), 0);
    read_stack();
    assert_int_not_equal(found.aux[AT_ENTRY] - 0x800, bias);
    /* Without an interpreter it starts itself. */
    assert_int_equal(run("/ld.so"), 0);
    read_stack();
    assert_int_equal(found.aux[AT_BASE], 0);
    assert_int_equal(arch_regs_ip(arch_task_regs(current())),
                     found.aux[AT_ENTRY]);
}

static void test_interpreter_errors(void **state)
{
    (void)state;
    em_make(&elf, ET_DYN, 0);
    em_interp(&elf, "/nowhere");
    put_elf("a", &elf);
    assert_int_equal(run("/a"), -ENOENT);
    put_file("nowhere", "text", 4, 0755);
    assert_int_equal(run("/a"), -ELIBBAD);
    put_file("nowhere", "text", 4, 0644);
    env_user(5);
    assert_int_equal(run("/a"), -EACCES);
    assert_ptr_equal(as_now(), before_exec);
}

static void test_scripts(void **state)
{
    (void)state;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("sh", &elf);
    put_file("s1", "#!/sh\nbody", 10, 0755);
    put_file("s2", "#! \t/s1  -x y  \t\nbody", 21, 0755);
    put_file("s3", "#!/sh", 5, 0755); /* no newline */
    assert_int_equal(run("/s1"), 0);
    read_stack();
    assert_int_equal(found.argc, 5);
    assert_string_equal(found.argv[0], "/sh");
    assert_string_equal(found.argv[1], "/s1");
    assert_string_equal(found.argv[2], "one");
    assert_string_equal(found.argv[4], "three");
    assert_string_equal(found.envv[0], "A=1");
    char name[64];
    text(found.aux[AT_EXECFN], name);
    assert_string_equal(name, "/s1");
    assert_string_equal(current()->name, "s1");
    assert_int_equal(run("/s2"), 0);
    read_stack();
    assert_int_equal(found.argc, 7);
    assert_string_equal(found.argv[0], "/sh");
    assert_string_equal(found.argv[1], "/s1");
    assert_string_equal(found.argv[2], "-x y");
    assert_string_equal(found.argv[3], "/s2");
    assert_int_equal(run("/s3"), 0);
}

static void test_script_errors(void **state)
{
    (void)state;
    char line[300] = "#!/";
    put_file("loop", "#!/loop\n", 8, 0755);
    put_file("none", "#!  \n", 5, 0755);
    put_file("lost", "#!/not/there\n", 13, 0755);
    put_file("deny", "#!/plain\n", 9, 0755);
    put_file("plain", "x", 1, 0644);
    memset(line + 3, 'a', sizeof(line) - 3);
    put_file("long", line, sizeof(line), 0755);
    assert_int_equal(run("/loop"), -ELOOP);
    assert_int_equal(run("/none"), -ENOEXEC);
    assert_int_equal(run("/lost"), -ENOENT);
    assert_int_equal(run("/deny"), -EACCES);
    assert_int_equal(run("/long"), -ENOEXEC);
    assert_ptr_equal(as_now(), before_exec);
}

static void test_not_programs(void **state)
{
    (void)state;
    put_file("text", "hello", 5, 0755);
    put_file("empty", "", 0, 0755);
    put_file("data", "hello", 5, 0644);
    assert_int_equal(CALL(mkdirat, HERE, P("dir"), 0755), 0);
    assert_int_equal(run("/text"), -ENOEXEC);
    assert_int_equal(run("/empty"), -ENOEXEC);
    assert_int_equal(run("/data"), -EACCES);
    assert_int_equal(run("/dir"), -EACCES);
    assert_int_equal(run("/absent"), -ENOENT);
    assert_int_equal(run("/text/x"), -ENOTDIR);
    assert_ptr_equal(as_now(), before_exec);
}

static void broken(void (*change)(struct em *m), int64_t want)
{
    em_make(&elf, ET_EXEC, BASE);
    change(&elf);
    put_elf("broken", &elf);
    assert_int_equal(run("/broken"), want);
    assert_ptr_equal(as_now(), before_exec);
}

#define CHANGE(name, what)                                                     \
    static void name(struct em *m)                                             \
    {                                                                          \
        Elf64_Ehdr *h = &m->header;                                            \
        Elf64_Phdr *p = em_phdr(m, 0);                                         \
        (void)h;                                                               \
        (void)p;                                                               \
        what;                                                                  \
    }
CHANGE(class_32, h->e_ident[EI_CLASS] = ELFCLASS32)
CHANGE(big_endian, h->e_ident[EI_DATA] = ELFDATA2MSB)
CHANGE(foreign, h->e_machine = EM_AARCH64)
CHANGE(object_file, h->e_type = ET_REL)
CHANGE(no_headers, h->e_phnum = 0)
CHANGE(many_headers, h->e_phnum = 0xffff)
CHANGE(odd_headers, h->e_phentsize = 55)
CHANGE(headers_outside, h->e_phoff = 1 << 30)
CHANGE(headers_wrap, h->e_phoff = UINT64_MAX - 8)
CHANGE(no_load, p[0].p_type = p[1].p_type = PT_NULL)
CHANGE(file_over_memory, p->p_filesz = p->p_memsz + 1)
CHANGE(memory_wraps, p->p_memsz = UINT64_MAX - 0x1000)
CHANGE(kernel_address, p->p_vaddr = UINT64_C(0xffffffff80000000))
CHANGE(beyond_user, p->p_vaddr = USER_END - 0x1000)
CHANGE(null_page, p->p_vaddr = 0)
CHANGE(not_congruent, p->p_offset = 0x10)
CHANGE(offset_wraps, p->p_offset = UINT64_MAX - 0xfff)
CHANGE(entry_outside, h->e_entry = UINT64_C(0xffffffff80000000))
CHANGE(interp_no_end, em_interp(m, "/x"); em_phdr(m, 2)->p_filesz = 2)
CHANGE(interp_long, em_interp(m, "/x"); em_phdr(m, 2)->p_filesz = 5000)
CHANGE(interp_outside, em_interp(m, "/x");
       em_phdr(m, 2)->p_offset = UINT64_C(1) << 40)
CHANGE(bss_without_page, em_phdr(m, 1)->p_offset = 0x100000)

static void test_broken_programs(void **state)
{
    (void)state;
    void (*const changes[])(struct em *) = {
        class_32,       big_endian,       foreign,          object_file,
        no_headers,     many_headers,     odd_headers,      headers_outside,
        headers_wrap,   no_load,          file_over_memory, memory_wraps,
        kernel_address, beyond_user,      null_page,        not_congruent,
        offset_wraps,   entry_outside,    interp_no_end,    interp_long,
        interp_outside, bss_without_page,
    };
    for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        broken(changes[i], -ENOEXEC);
}

static void test_memory_comes_back(void **state)
{
    (void)state;
    uint64_t first = 0;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    foreign(&elf);
    put_elf("broken", &elf);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(run("/prog"), 0);
        assert_int_equal(run("/broken"), -ENOEXEC);
        if (i == 4)
            first = free_now();
    }
    assert_true(first - free_now() <= 8); /* tables at other addresses */
}

/* A small program costs few pages: arguments, stack, data, tables. */
static void test_cost(void **state)
{
    (void)state;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    aspace_init(); /* no tables of another program */
    assert_int_equal(run("/prog"), 0);
    struct aspace *as = as_now();
    assert_true(as->tables <= 8);
    assert_true(as->rss_anon <= 2);
}

static void test_arguments_too_long(void **state)
{
    (void)state;
    size_t size = 300 << 10;
    char *s = malloc(size);
    memset(s, 'x', size);
    s[size - 1] = '\0';
    s[(128 << 10)] = '\0';
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    uint64_t argv[] = {P("a"), (uintptr_t)s, 0}, none[] = {0};
    assert_int_equal(CALL(execve, P("/prog"), (uintptr_t)argv, (uintptr_t)none),
                     -E2BIG);
    s[(128 << 10) - 1] = '\0';
    assert_int_equal(CALL(execve, P("/prog"), (uintptr_t)argv, (uintptr_t)none),
                     0);
    uint64_t many[20];
    for (unsigned i = 0; i < 19; i++)
        many[i] = (uintptr_t)s;
    many[19] = 0;
    assert_int_equal(CALL(execve, P("/prog"), (uintptr_t)many, (uintptr_t)none),
                     -E2BIG);
    uint64_t bad[] = {P("a"), USER_END + 5, 0};
    assert_int_equal(CALL(execve, P("/prog"), (uintptr_t)bad, (uintptr_t)none),
                     -EFAULT);
    assert_int_equal(CALL(execve, P("/prog"), USER_END, 0), -EFAULT);
    /* No arguments: an empty argv[0] is made. */
    assert_int_equal(CALL(execve, P("/prog"), 0, 0), 0);
    read_stack();
    assert_int_equal(found.argc, 1);
    assert_string_equal(found.argv[0], "");
    free(s);
}

static void test_set_id(void **state)
{
    (void)state;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    assert_int_equal(CALL(fchownat, HERE, P("prog"), 7, 8, 0), 0);
    assert_int_equal(CALL(fchmodat, HERE, P("prog"), 06755), 0);
    env_user(1000);
    const struct cred *c = &current()->cred;
    current()->cred.no_new_privs = true;
    assert_int_equal(run("/prog"), 0);
    assert_int_equal(c->euid, 1000);
    current()->cred.no_new_privs = false;
    assert_int_equal(run("/prog"), 0);
    read_stack();
    assert_int_equal(c->uid, 1000);
    assert_int_equal(c->euid, 7);
    assert_int_equal(c->suid, 7);
    assert_int_equal(c->egid, 8);
    assert_int_equal(found.aux[AT_EUID], 7);
    assert_int_equal(found.aux[AT_EGID], 8);
    assert_int_equal(found.aux[AT_SECURE], 1);
    assert_false(current()->proc->dumpable);
}

static void test_descriptors(void **state)
{
    (void)state;
    struct process *p = current()->proc;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    int keep = env_open("prog", LX_O_RDONLY);
    int drop = env_open("prog", LX_O_RDONLY | LX_O_CLOEXEC);
    /* Somebody else shares the table: it must not lose anything. */
    struct fdtable *shared = p->files;
    shared->refs++;
    assert_int_equal(run("/prog"), 0);
    assert_ptr_not_equal(p->files, shared);
    struct file *f = fd_get(keep);
    assert_non_null(f);
    file_put(f);
    assert_null(fd_get(drop));
    f = fd_of(shared, drop, NULL);
    assert_non_null(f);
    file_put(f);
    fdtable_put(shared);
}

static void test_execveat(void **state)
{
    (void)state;
    em_make(&elf, ET_EXEC, BASE);
    put_elf("prog", &elf);
    uint64_t fd = (uint64_t)env_open("prog", LX_O_RDONLY);
    uint64_t argv[] = {P("a"), 0};
    assert_int_equal(
        CALL(execveat, fd, P(""), (uintptr_t)argv, 0, LX_AT_EMPTY_PATH), 0);
    read_stack();
    char name[64];
    text(found.aux[AT_EXECFN], name);
    assert_string_equal(name, "/dev/fd/0");
    assert_int_equal(CALL(symlinkat, P("prog"), HERE, P("link")), 0);
    assert_int_equal(CALL(execveat, HERE, P("link"), (uintptr_t)argv, 0,
                          LX_AT_SYMLINK_NOFOLLOW),
                     -ELOOP);
    assert_int_equal(CALL(execveat, HERE, P("link"), (uintptr_t)argv, 0, 0), 0);
    assert_int_equal(CALL(execveat, HERE, P("link"), 0, 0, 4), -EINVAL);
}

/* Nothing a file can say harms us; what loads can be left again. */
static void test_random_files(void **state)
{
    (void)state;
    unsigned loaded = 0;
    srand(5);
    for (unsigned i = 0; i < 3000; i++) {
        struct elf_image image;
        struct file *f;
        em_make(&elf, rand() % 2 != 0 ? ET_EXEC : ET_DYN, BASE);
        em_interp(&elf, "/x");
        for (int n = rand() % 4; n >= 0; n--) {
            unsigned at = (unsigned)rand() % 232;
            elf.bytes[at] = (unsigned char)(rand() % 3 != 0 ? rand() : 0xff);
        }
        put_elf("r", &elf);
        assert_int_equal(file_open(AT_FDCWD, "/r", 0, 0, 0, &f), 0);
        struct aspace *as = aspace_new();
        int r = elf_load(as, f, false, &image);
        assert_true(r == 0 || r == -ENOEXEC || r == -ENOMEM);
        loaded += r == 0;
        check_regions(as);
        aspace_put(as);
        file_put(f);
    }
    assert_in_range(loaded, 100, 2900);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(test_static_program),
        T(test_stack_contents),
        T(test_position_independent),
        T(test_interpreter_errors),
        T(test_scripts),
        T(test_script_errors),
        T(test_not_programs),
        T(test_broken_programs),
        T(test_memory_comes_back),
        T(test_cost),
        T(test_arguments_too_long),
        T(test_set_id),
        T(test_descriptors),
        T(test_execveat),
        T(test_random_files),
    };
    return cmocka_run_group_tests(tests, env_setup, NULL);
}
