// SPDX-License-Identifier: Apache-2.0
/*
 * The CPU and the hypervisor under it: everything that talks to KVM or knows
 * an instruction set. arch/fake implements it without /dev/kvm for tests.
 *
 * Order (pvm.md 0b): vm_init, vm_map for all memory, irqchip_init, then vCPUs;
 * irq_commit and bell_add last. <arch_layout.h> is found in
 * arch/<arch>/include.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/boot.h"

struct err;
struct gmem;
struct irq_lines;
struct lowmem;
struct virtio_mmio;
struct kvm_run;
struct kvm_cpuid2;

/* What a VM is made from. */
struct arch_want {
    int kvm_fd;       /* borrowed */
    int cpuid_fd;     /* borrowed; -1: none */
    unsigned cpus;    /* 1..BOOT_CPU_MAX */
    uint64_t gpa_end; /* above everything that will be mapped */
    bool stock;       /* the guest is a stock Linux, not our kernel */
};

struct arch_vm {
    int kvm_fd; /* borrowed */
    int vm_fd;  /* owned */
    unsigned cpus;
    size_t run_size;     /* bytes of struct kvm_run's mapping */
    uint64_t mapped;     /* bytes of all memory slots */
    bool user_kernel;    /* PVM: the kernel runs in user mode */
    uint64_t counter_hz; /* 0: unknown */
    bool stock;          /* as struct arch_want says */
    /* x86-64 */
    int cpuid_fd;             /* borrowed cache, -1: ask KVM */
    struct kvm_cpuid2 *cpuid; /* owned */
    /* arm64 */
    unsigned gic;             /* version 2 or 3; 0: not made yet */
    int gic_fd;               /* owned */
    int cpu_fd[BOOT_CPU_MAX]; /* owned until arch_vcpu_init() takes it */
};

/* How a CPU enters the guest (abi/boot.h). */
struct arch_entry {
    uint64_t pc;    /* as the kernel's ELF says */
    uint64_t stack; /* virtual, top; x86-64 only */
    uint64_t info;  /* address of struct boot_info, as the CPU sees it */
    uint64_t root;  /* guest-physical, page-table root; x86-64 only */
    uint64_t vif;   /* guest-physical, PVM only */
};

struct arch_vcpu {
    struct arch_vm *vm;
    unsigned index;
    int fd;              /* owned */
    struct kvm_run *run; /* owned mapping */
};

enum arch_exit_kind {
    ARCH_EXIT_AGAIN = 1, /* nothing to do: run again */
    ARCH_EXIT_MMIO,      /* serve `gpa`, then run again */
    ARCH_EXIT_POWEROFF,  /* the guest asked for it; do not run again */
};

struct arch_exit {
    enum arch_exit_kind kind;
    bool write;
    uint32_t len; /* 1..8 */
    uint64_t gpa;
    uint8_t *data; /* `len` bytes; into the mapping of this vCPU */
};

/* The image window; size 0: none. */
struct arch_window {
    uint64_t gpa;
    uint64_t size;
};

/* ELF machine the kernel must be for; AUDIT_ARCH_* of system calls. */
extern const uint16_t arch_elf_machine;
extern const uint32_t arch_audit;

/* ioctl requests of a vCPU thread, 0-terminated, for its seccomp list. */
extern const uint32_t arch_vcpu_requests[];

/* First guest-physical address that guests of this host cannot have. */
int arch_gpa_end(int kvm_fd, uint64_t *end, struct err *e);

int arch_vm_init(struct arch_vm *vm, const struct arch_want *want,
                 struct err *e);
void arch_vm_fini(struct arch_vm *vm);
int arch_vm_map(struct arch_vm *vm, uint32_t slot, const struct arch_window *at,
                void *host, bool readonly, struct err *e);
int arch_irqchip_init(struct arch_vm *vm, struct err *e);

/* Route and connect all lines, to CPU 0. */
int arch_irq_commit(struct arch_vm *vm, const struct irq_lines *lines,
                    struct err *e);

/* A 32-bit write of `value` to `gpa` adds 1 to eventfd `fd`, without exit. */
int arch_bell_add(struct arch_vm *vm, uint64_t gpa, uint32_t value, int fd,
                  struct err *e);

/* What CPUs need in the boot area to enter: stacks, page tables. Fills in all
 * of *entry but its pc. Needs vm->user_kernel, so one vCPU must exist. */
int arch_boot_cpus(const struct arch_vm *vm, struct lowmem *low,
                   const struct arch_window *image, struct arch_entry *entry,
                   struct err *e);

/* Properties and nodes of the machine itself, at the root of a tree that is
 * being written; device nodes come after. Returns libfdt's code. */
int arch_fdt_machine(const struct arch_vm *vm, void *fdt);

/* One interrupt line in an `interrupts` property: its cells, how many. */
enum { ARCH_FDT_IRQ_CELLS = 3 };
unsigned arch_fdt_irq(unsigned line, uint32_t cells[ARCH_FDT_IRQ_CELLS]);

/*
 * Write to `fd` (empty) what arch_want.cpuid_fd may be in later runs on this
 * host, so that they need not ask KVM. Readers check that it is whole and was
 * made on this CPU; it stays empty where nothing is worth it.
 */
int arch_cache_save(int kvm_fd, int fd, struct err *e);

/* A stock Linux kernel, as arch_linux_load() has put it into memory. */
struct arch_linux {
    uint64_t entry;       /* guest-physical */
    uint64_t end;         /* above all that it takes before it reads maps */
    uint64_t initrd_end;  /* the initrd must end at or below this */
    uint32_t cmdline_max; /* bytes without NUL */
    const char *options;  /* that every kernel needs on this machine */
};

/*
 * Read a kernel file of Linux (x86-64: bzImage or vmlinux; arm64: Image) into
 * RAM. The file is not trusted: -ENOEXEC with the reason if it is not a kernel
 * for this machine, -ENOSPC if it does not fit.
 */
int arch_linux_load(int fd, const struct gmem *m, struct arch_linux *out,
                    struct err *e);

struct arch_linux_plan {
    const struct arch_vm *vm;
    const struct gmem *mem;
    const struct virtio_mmio *devs; /* attached to the bus, not preset */
    unsigned dev_count;
    const char *cmdline;       /* at most cmdline_max bytes */
    struct arch_window initrd; /* in RAM, above `end` */
};

/* All that Linux wants to find at its entry. Fills in *entry. */
int arch_linux_boot(const struct arch_linux *k, const struct arch_linux_plan *p,
                    struct arch_entry *entry, struct err *e);

/* On the thread that will run it. CPU 0 comes first and alone: it finds out
 * vm->user_kernel and vm->counter_hz. */
int arch_vcpu_init(struct arch_vcpu *v, struct arch_vm *vm, unsigned index,
                   struct err *e);
/* CPU 0 once, while others still write guest memory: slow set-up that needs
 * none of it. Before any arch_vcpu_boot(). */
int arch_vcpu_prepare(struct arch_vcpu *v, struct err *e);
int arch_vcpu_boot(struct arch_vcpu *v, const struct arch_entry *entry,
                   struct err *e);
/* Enter the guest until it exits. An error is the end of the VM; *e then says
 * what the CPU was doing. */
int arch_vcpu_run(struct arch_vcpu *v, struct arch_exit *out, struct err *e);
void arch_vcpu_fini(struct arch_vcpu *v);

/* The counter that guest and host share. Any thread. */
uint64_t arch_counter(void);
