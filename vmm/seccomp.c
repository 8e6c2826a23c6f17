// SPDX-License-Identifier: Apache-2.0
/* The monitor's jail: system call lists, one per kind of thread. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/sandbox.h"

/* One allowed call; with `values` only if argument `arg` (low 32 bits) is one
 * of them (0-terminated). */
struct rule {
    const char *name;
    uint32_t nr;
    uint32_t arg;
    const uint32_t *values;
};

#define CALL(name)                                                             \
    {                                                                          \
#name, SYS_##name, 0, NULL                                             \
    }
#define CALL_IF(name, arg, list)                                               \
    {                                                                          \
#name, SYS_##name, arg, list                                           \
    }

static const uint32_t map_read_write[] = {PROT_READ | PROT_WRITE, 0};

/* Hot calls first: the list is searched from the top. */
static const struct rule vcpu_rules[] = {
    CALL_IF(ioctl, 1, arch_vcpu_requests), /* KVM_RUN and vCPU set-up */
    CALL(futex),                           /* wait for the device thread */
    CALL(write),                           /* wake it: an eventfd */
    CALL(pread64),                         /* CPUID cache */
    CALL_IF(mmap, 2, map_read_write),      /* struct kvm_run */
    CALL(rt_sigprocmask),                  /* thread exit */
    CALL(madvise),                         /* thread exit: its stack */
    CALL(rt_sigreturn),
    CALL(restart_syscall),
    CALL(exit),
    CALL(exit_group),
};

static const struct rule device_rules[] = {
    CALL(epoll_pwait),     CALL(read),  /* eventfds, stdin */
    CALL(readv),                        /* stdin */
    CALL(write),                        /* irqfds, logs, the exit record */
    CALL(writev),                       /* stdout, stderr, logs */
    CALL(epoll_ctl),       CALL(futex), /* answer a vCPU */
    CALL(preadv),                       /* disks */
    CALL(pwritev),                      /* disks */
    CALL(pread64),                      /* kernel symbols */
    CALL(fdatasync),                    /* disks */
    CALL(recvmsg),                      /* stdin, control clients */
    CALL(sendmsg),                      /* stdout that is a socket */
    CALL(recvfrom),                     /* networks that are sockets */
    CALL(sendto),                       /* control clients */
    CALL(accept4),                      /* control clients */
    CALL(close),                        /* control clients */
    CALL(ppoll),                        /* streams that could not be reopened */
    CALL(timerfd_settime),              /* rate limits of networks */
    CALL(getrandom),                    /* rng */
    CALL(fstat),                        /* which image file shrank */
    CALL(newfstatat),                   /* the same in newer C libraries */
    CALL(clock_gettime),   CALL(rt_sigreturn),
    CALL(restart_syscall), CALL(exit_group),
};

static const struct {
    const char *name;
    const struct rule *rules;
    unsigned count;
} lists[] = {
    [SANDBOX_DEVICE] = {"device", device_rules, ARRAY_COUNT(device_rules)},
    [SANDBOX_VCPU] = {"vcpu", vcpu_rules, ARRAY_COUNT(vcpu_rules)},
};

enum { PROGRAM_MAX = 256 };

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short size;
};

static void emit(struct program *p, uint16_t code, uint32_t k, unsigned jt,
                 unsigned jf)
{
    p->code[p->size++] =
        (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
}

static void emit_load(struct program *p, size_t offset)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct program *p, uint32_t action)
{
    emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* `allow` if the loaded word is one of the values, else kill. */
static void emit_values(struct program *p, const uint32_t *values)
{
    for (; *values != 0; values++) {
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, *values, 0, 1);
        emit_return(p, SECCOMP_RET_ALLOW);
    }
    emit_return(p, SECCOMP_RET_KILL_PROCESS);
}

static void emit_rule(struct program *p, const struct rule *r)
{
    unsigned n = 0;
    while (r->values != NULL && r->values[n] != 0)
        n++;
    if (n == 0) {
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, r->nr, 0, 1);
        emit_return(p, SECCOMP_RET_ALLOW);
        return;
    }
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, r->nr, 0, 2 + 2 * n);
    emit_load(p, offsetof(struct seccomp_data, args) + (size_t)8 * r->arg);
    emit_values(p, r->values);
}

int sandbox_lock(enum sandbox_list list, struct err *e)
{
    struct program p = {.size = 0};
    emit_load(&p, offsetof(struct seccomp_data, arch));
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, arch_audit, 1, 0);
    emit_return(&p, SECCOMP_RET_KILL_PROCESS);
    emit_load(&p, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < lists[list].count; i++)
        emit_rule(&p, &lists[list].rules[i]);
    emit_return(&p, SECCOMP_RET_KILL_PROCESS);

    struct sock_fprog prog = {.len = p.size, .filter = p.code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        return err_set(e, -errno, "seccomp list of the %s thread: %s",
                       lists[list].name, strerror(errno));
    return 0;
}

void sandbox_print(int fd)
{
    for (unsigned l = 0; l < ARRAY_COUNT(lists); l++)
        for (unsigned i = 0; i < lists[l].count; i++)
            (void)dprintf(fd, "%s %s\n", lists[l].name, lists[l].rules[i].name);
}
