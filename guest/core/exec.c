// SPDX-License-Identifier: Apache-2.0
/*
 * execve(2). Everything that can fail happens on a new address space while the
 * old program still exists; the point of no return is exec_commit(), and
 * nothing in it fails.
 */
#include "guest/core/exec.h"

#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/arch/arch.h"
#include "guest/core/aspace.h"
#include "guest/core/elf.h"
#include "guest/core/futex.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/task.h"
#include "guest/core/vdso.h"
#include "guest/core/vma.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/fs/namei.h"

#define SCRIPT_HEAD  256 /* bytes of a #! line that count: BINPRM_BUF_SIZE */
#define SCRIPT_DEPTH 5
#define STACK_FIRST  (UINT64_C(128) << 10) /* mapped at once, besides args */
#define BRK_PAGES    UINT64_C(0x2000)      /* random distance to the heap */

/* Auxiliary vector, Linux UAPI linux/auxvec.h. */
enum auxv_type {
    AT_NULL = 0,
    AT_IGNORE = 1,
    AT_PHDR = 3,
    AT_PHENT = 4,
    AT_PHNUM = 5,
    AT_PAGESZ = 6,
    AT_BASE = 7,
    AT_FLAGS = 8,
    AT_ENTRY = 9,
    AT_UID = 11,
    AT_EUID = 12,
    AT_GID = 13,
    AT_EGID = 14,
    AT_PLATFORM = 15,
    AT_HWCAP = 16,
    AT_CLKTCK = 17,
    AT_SECURE = 23,
    AT_RANDOM = 25,
    AT_HWCAP2 = 26,
    AT_EXECFN = 31,
    AT_SYSINFO_EHDR = 33,
    AT_MINSIGSTKSZ = 51,
};
#define AUXV_PAIRS 22
#define PHENT_SIZE 56

struct exec {
    struct file *file; /* what is loaded; reference ours */
    char *name;        /* of `file`: what a script sees; owned */
    const char *first; /* as called: AT_EXECFN, comm */
    struct exec_args *args;
    struct aspace *as;
    struct elf_image image, interp;
    uint32_t suid, sgid; /* UINT32_MAX: not set-id */
    uint64_t sp;
};

/* --- scripts --- */

/* argv becomes: interpreter, its one argument if any, script, argv[1]... */
static int script_args(struct exec *x, const char *interp, const char *arg)
{
    struct exec_args n = {.size = 0};
    const char *s = x->args->block;
    int r = exec_args_add(&n, interp, false);
    if (r == 0 && arg != NULL)
        r = exec_args_add(&n, arg, false);
    if (r == 0)
        r = exec_args_add(&n, x->name, false);
    uint32_t count = x->args->argc + x->args->envc;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        if (i > 0)
            r = exec_args_add(&n, s, i >= x->args->argc);
        s += strlen(s) + 1;
    }
    if (r < 0) {
        exec_args_fini(&n);
        return r;
    }
    exec_args_fini(x->args);
    *x->args = n;
    return 0;
}

static char *skip_blanks(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* Parse "#! interpreter [argument]" in place. */
static int script_parse(char *line, char **interp, char **arg)
{
    char *end = strchr(line, '\n');
    if (end != NULL)
        *end = '\0';
    for (size_t n = strlen(line); n > 0; n--) {
        if (line[n - 1] != ' ' && line[n - 1] != '\t')
            break;
        line[n - 1] = '\0';
    }
    *interp = skip_blanks(line + 2);
    char *p = *interp;
    while (*p != '\0' && *p != ' ' && *p != '\t')
        p++;
    *arg = NULL;
    if (*p != '\0') {
        *p = '\0';
        *arg = skip_blanks(p + 1);
    } else if (end == NULL && p - line >= SCRIPT_HEAD - 1) {
        return -ENOEXEC; /* the interpreter's name was cut off */
    }
    return **interp != '\0' ? 0 : -ENOEXEC;
}

static int script_follow(struct exec *x, char *head)
{
    char *interp, *arg;
    struct file *file;
    int r = script_parse(head, &interp, &arg);
    if (r == 0 && x->args->name_ends)
        r = -ENOENT; /* the interpreter could not open the script */
    if (r == 0)
        r = script_args(x, interp, arg);
    if (r == 0)
        r = exec_open(AT_FDCWD, interp, PATH_FOLLOW, &file);
    if (r < 0)
        return r;
    char *name = kstrdup(interp);
    if (name == NULL) {
        file_put(file);
        return -ENOMEM;
    }
    kfree(x->name);
    x->name = name;
    file_put(x->file);
    x->file = file;
    return 0;
}

/* Until the file is no script. */
static int exec_resolve(struct exec *x)
{
    char head[SCRIPT_HEAD];
    for (unsigned depth = 0; depth <= SCRIPT_DEPTH; depth++) {
        int64_t n = file_pread(x->file, head, sizeof(head) - 1, 0);
        if (n < 0)
            return (int)n;
        head[n] = '\0';
        if (n < 2 || head[0] != '#' || head[1] != '!')
            return 0;
        int r = script_follow(x, head);
        if (r < 0)
            return r;
    }
    return -ELOOP;
}

/* --- the stack --- */

struct stack {
    struct aspace *as;
    uint64_t sp;
    bool failed;
};

static uint64_t stack_push(struct stack *s, const void *data, uint64_t size)
{
    s->sp -= size;
    if (aspace_copy_in(s->as, s->sp, data, size) != size)
        s->failed = true;
    return s->sp;
}

static void exec_auxv(const struct exec *x, uint64_t *v, uint64_t random,
                      uint64_t platform, uint64_t name)
{
    const struct cred *c = &current()->cred;
    uint64_t euid = x->suid != UINT32_MAX ? x->suid : c->euid;
    uint64_t egid = x->sgid != UINT32_MAX ? x->sgid : c->egid;
    const uint64_t pairs[AUXV_PAIRS][2] = {
        {x->as->vdso != 0 ? AT_SYSINFO_EHDR : AT_IGNORE, x->as->vdso},
        {AT_HWCAP, arch_hwcap(0)},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_CLKTCK, 100},
        {AT_PHDR, x->image.phdr},
        {AT_PHENT, PHENT_SIZE},
        {AT_PHNUM, x->image.phnum},
        {AT_BASE, x->interp.start},
        {AT_FLAGS, 0},
        {AT_ENTRY, x->image.entry},
        {AT_UID, c->uid},
        {AT_EUID, euid},
        {AT_GID, c->gid},
        {AT_EGID, egid},
        {AT_SECURE, c->uid != euid || c->gid != egid},
        {AT_RANDOM, random},
        {AT_HWCAP2, arch_hwcap(1)},
        {AT_EXECFN, name},
        {AT_PLATFORM, platform},
        {AT_MINSIGSTKSZ, arch_min_sigstack()},
        {AT_NULL, 0},
    };
    memcpy(v, pairs, sizeof(pairs));
}

/* Pointers to `count` strings that start at *at; a null pointer after. */
static uint64_t *exec_pointers(uint64_t *w, uint32_t count, const char **s,
                               uint64_t *at)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = strlen(*s) + 1;
        *w++ = *at;
        *at += n;
        *s += n;
    }
    *w++ = 0;
    return w;
}

/* argc, argv, envv, auxv: the words at the stack pointer. */
static int exec_words(struct exec *x, struct stack *s, const uint64_t at[4])
{
    const struct exec_args *a = x->args;
    uint64_t count = 1 + a->argc + 1 + a->envc + 1 + UINT64_C(2) * AUXV_PAIRS;
    uint64_t *words = kmalloc(count * sizeof(*words));
    if (words == NULL)
        return -ENOMEM;
    const char *str = a->block;
    uint64_t addr = at[0];
    uint64_t *w = words;
    *w++ = a->argc;
    x->as->arg_start = addr;
    w = exec_pointers(w, a->argc, &str, &addr);
    x->as->arg_end = addr;
    x->as->env_start = addr;
    w = exec_pointers(w, a->envc, &str, &addr);
    x->as->env_end = addr;
    exec_auxv(x, w, at[1], at[2], at[3]);
    memcpy(x->as->auxv, w, AUXV_PAIRS * 2 * sizeof(*w));
    s->sp = ROUND_DOWN(s->sp - count * sizeof(*words), UINT64_C(16));
    if (aspace_copy_in(s->as, s->sp, words, count * sizeof(*words)) !=
        count * sizeof(*words))
        s->failed = true;
    kfree(words);
    x->sp = s->sp;
    return s->failed ? -ENOMEM : 0;
}

static int exec_stack(struct exec *x)
{
    struct aspace *as = x->as;
    uint64_t size = ROUND_UP(x->args->size * 2 + STACK_FIRST, PAGE_SIZE);
    uint32_t prot =
        LX_PROT_READ | LX_PROT_WRITE | (x->image.exec_stack ? LX_PROT_EXEC : 0);
    int64_t at = aspace_map(as, as->stack_top - size, size, prot,
                            LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | LX_MAP_FIXED |
                                LX_MAP_GROWSDOWN,
                            NULL, 0);
    if (at < 0)
        return (int)at;
    struct vma *v = vma_at(as, (uint64_t)at);
    vma_set(v, v->prot, v->flags | VMA_STACK | VMA_NOHUGE);
    as->vdso = vdso_map(as);

    char random[16];
    krandom(random, sizeof(random));
    struct stack s = {.as = as, .sp = as->stack_top - sizeof(uint64_t)};
    uint64_t where[4];
    where[3] = stack_push(&s, x->first, strlen(x->first) + 1);
    where[0] = stack_push(&s, x->args->block, x->args->size);
    where[2] = stack_push(&s, arch_platform, strlen(arch_platform) + 1);
    where[1] = stack_push(&s, random, sizeof(random));
    return exec_words(x, &s, where);
}

/* --- building and switching --- */

static int exec_load(struct exec *x)
{
    int r = elf_load(x->as, x->file, false, &x->image);
    if (r == 0 && x->image.interp[0] != '\0') {
        struct file *f;
        r = exec_open(AT_FDCWD, x->image.interp, PATH_FOLLOW, &f);
        if (r == 0) {
            r = elf_load(x->as, f, true, &x->interp);
            file_allow_write(f); /* its mappings do not keep writers away */
            file_put(f);
            if (r == -ENOEXEC)
                r = -ELIBBAD;
        }
    }
    if (r < 0)
        return r;
    x->as->brk_start = x->image.end + (krandom_u64() % BRK_PAGES) * PAGE_SIZE;
    x->as->brk = x->as->brk_start;
    return exec_stack(x);
}

static void exec_set_ids(struct exec *x)
{
    const struct inode *i = x->file->inode;
    x->suid = x->sgid = UINT32_MAX;
    if (current()->cred.no_new_privs)
        return;
    if ((i->mode & LX_S_ISUID) != 0)
        x->suid = i->uid;
    if ((i->mode & (LX_S_ISGID | 0010)) == (LX_S_ISGID | 0010))
        x->sgid = i->gid;
}

/* Descriptors that another process shares are not ours to close. */
static int exec_own_files(struct process *p)
{
    if (__atomic_load_n(&p->files->refs, __ATOMIC_ACQUIRE) == 1)
        return 0;
    struct fdtable *own = fdtable_clone(p->files);
    if (own == NULL)
        return -ENOMEM;
    unsigned long irq = spin_lock_irq(&p->sig_lock);
    struct fdtable *old = p->files;
    p->files = own;
    spin_unlock_irq(&p->sig_lock, irq);
    fdtable_put(old);
    return 0;
}

/* The old program is gone from here on. */
static void exec_commit(struct exec *x)
{
    struct task *t = current();
    struct process *p = t->proc;
    file_get(x->file);
    futex_task_exec(t);
    unsigned long irq = spin_lock_irq(&p->sig_lock);
    struct aspace *old = p->aspace;
    struct file *exe = p->exe;
    p->aspace = x->as;
    p->exe = x->file;
    arch_aspace_switch(&x->as->arch);
    spin_unlock_irq(&p->sig_lock, irq);
    process_vfork_release(p);
    if (old != NULL)
        aspace_put(old);
    if (exe != NULL)
        file_put(exe);
    fdtable_exec(p->files);
    signal_exec(t);
    cred_exec(x->suid, x->sgid);
    const char *base = strrchr(x->first, '/');
    (void)kstrcpy(t->name, base != NULL ? base + 1 : x->first, sizeof(t->name));
    t->rseq = 0;
    p->execed = true;
    uint64_t entry = x->interp.entry != 0 ? x->interp.entry : x->image.entry;
    arch_regs_exec(t, entry, x->sp);
}

static int exec_run(struct exec *x)
{
    int r = exec_resolve(x);
    if (r < 0)
        return r;
    exec_set_ids(x);
    x->as = aspace_new();
    if (x->as == NULL)
        return -ENOMEM;
    r = exec_load(x);
    if (r == 0)
        r = task_single();
    /* Alone, but still the old program: this may fail. */
    if (r == 0)
        r = exec_own_files(current()->proc);
    if (r < 0)
        aspace_put(x->as);
    else
        exec_commit(x);
    return r;
}

int exec_program(struct file *file, const char *name, struct exec_args *args)
{
    struct exec *x = kzalloc(sizeof(*x));
    int r = -ENOMEM;
    if (x != NULL) {
        file_get(file);
        x->file = file;
        x->name = kstrdup(name);
        x->first = name;
        x->args = args;
        if (x->name != NULL)
            r = exec_run(x);
        file_put(x->file);
        kfree(x->name);
        kfree(x);
    }
    exec_args_fini(args);
    return r;
}

int exec_open(int dirfd, const char *name, unsigned flags, struct file **out)
{
    struct path p;
    int r = path_walk(dirfd, name, flags, &p);
    if (r < 0)
        return r;
    uint32_t type = p.dentry->inode->mode & LX_S_IFMT;
    if (type == LX_S_IFLNK)
        r = -ELOOP;
    else if (type != LX_S_IFREG)
        r = -EACCES;
    else
        r = path_access(&p, 1);
    if (r == 0)
        r = file_open_made(&p, LX_O_RDONLY, out); /* mode 0111 will do */
    if (r == 0 && (r = file_deny_write(*out)) < 0)
        file_put(*out);
    path_put(&p);
    return r;
}
