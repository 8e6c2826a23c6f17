// SPDX-License-Identifier: Apache-2.0
/* One vCPU on arm64: creation, entry state, exits. */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "vmm/arch/aarch64/kvm.h"
#include "vmm/arch/arch.h"

#define CORE_REG(field)                                                        \
    (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |                     \
     KVM_REG_ARM_CORE_REG(field))
#define SYS_REG(op0, op1, crn, crm, op2) ARM64_SYS_REG(op0, op1, crn, crm, op2)

const uint32_t arch_vcpu_requests[] = {KVM_RUN, KVM_SET_ONE_REG,
                                       KVM_GET_ONE_REG, 0};

static int set_reg(int fd, uint64_t id, uint64_t value, struct err *e)
{
    const struct kvm_one_reg r = {.id = id, .addr = (uintptr_t)&value};
    return KVM_CALL(fd, KVM_SET_ONE_REG, &r, e);
}

/* 0 if KVM does not tell. */
static uint64_t get_reg(int fd, uint64_t id)
{
    uint64_t value = 0;
    const struct kvm_one_reg r = {.id = id, .addr = (uintptr_t)&value};
    (void)ioctl(fd, KVM_GET_ONE_REG, &r);
    return value;
}

/* PSCI CPU_ON finds only CPUs that are reset already, and the GIC takes none
 * once it is started: so all are made here, not by their threads. */
int cpus_create(struct arch_vm *vm, struct err *e)
{
    struct kvm_vcpu_init init = {0};
    if (KVM_CALL(vm->vm_fd, KVM_ARM_PREFERRED_TARGET, &init, e) < 0)
        return e->code;
    for (unsigned i = 0; i < vm->cpus; i++) {
        struct kvm_vcpu_init mine = {.target = init.target};
        mine.features[0] = UINT32_C(1) << KVM_ARM_VCPU_PSCI_0_2;
        if (i > 0)
            mine.features[0] |= UINT32_C(1) << KVM_ARM_VCPU_POWER_OFF;
        int fd = KVM_CALL(vm->vm_fd, KVM_CREATE_VCPU, i, e);
        if (fd < 0)
            return err_wrap(e, "vCPU %u", i);
        vm->cpu_fd[i] = fd;
        if (KVM_CALL(fd, KVM_ARM_VCPU_INIT, &mine, e) < 0)
            return err_wrap(e, "vCPU %u", i);
    }
    return 0;
}

int arch_vcpu_init(struct arch_vcpu *v, struct arch_vm *vm, unsigned index,
                   struct err *e)
{
    *v = (struct arch_vcpu){.vm = vm, .index = index, .fd = vm->cpu_fd[index]};
    vm->cpu_fd[index] = -1; /* ours now */
    void *run =
        mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (run == MAP_FAILED)
        return err_set(e, -errno, "vCPU %u: map: %s", index, strerror(errno));
    v->run = run;
    return 0;
}

int arch_vcpu_prepare(struct arch_vcpu *v, struct err *e)
{
    (void)v;
    (void)e;
    return 0;
}

/* CPU 0 as abi/boot.h says; KVM's reset gave the rest: EL1, MMU off,
 * interrupts masked. The counter is the host's, to within microseconds:
 * wall_tsc and the exit counters rely on it. */
int arch_vcpu_boot(struct arch_vcpu *v, const struct arch_entry *entry,
                   struct err *e)
{
    if (v->index > 0)
        return 0; /* until PSCI CPU_ON */
    if (set_reg(v->fd, CORE_REG(regs.pc), entry->pc, e) < 0 ||
        set_reg(v->fd, CORE_REG(regs.regs[0]), entry->info, e) < 0 ||
        set_reg(v->fd, KVM_REG_ARM_TIMER_CNT, arch_counter(), e) < 0)
        return err_wrap(e, "vCPU 0");
    return 0;
}

/* The guest is dead: say where. */
static int describe(const struct arch_vcpu *v, const char *why, struct err *e)
{
    return err_set(
        e, -EIO,
        "vCPU %u: %s at [<%016llx>] sp=%llx pstate=%llx elr=%llx esr=%llx "
        "far=%llx",
        v->index, why, (unsigned long long)get_reg(v->fd, CORE_REG(regs.pc)),
        (unsigned long long)get_reg(v->fd, CORE_REG(sp_el1)),
        (unsigned long long)get_reg(v->fd, CORE_REG(regs.pstate)),
        (unsigned long long)get_reg(v->fd, CORE_REG(elr_el1)),
        (unsigned long long)get_reg(v->fd, SYS_REG(3, 0, 5, 2, 0)),
        (unsigned long long)get_reg(v->fd, SYS_REG(3, 0, 6, 0, 0)));
}

static int decode(const struct arch_vcpu *v, struct arch_exit *out,
                  struct err *e)
{
    struct kvm_run *run = v->run;
    switch (run->exit_reason) {
    case KVM_EXIT_MMIO:
        *out = (struct arch_exit){
            .kind = ARCH_EXIT_MMIO,
            .write = run->mmio.is_write != 0,
            .len = run->mmio.len,
            .gpa = run->mmio.phys_addr,
            .data = run->mmio.data,
        };
        return 0;
    case KVM_EXIT_SYSTEM_EVENT: /* PSCI: off, reset or what comes next */
        out->kind = ARCH_EXIT_POWEROFF;
        return 0;
    case KVM_EXIT_INTR: return 0;
    case KVM_EXIT_ARM_NISV:
    case KVM_EXIT_INTERNAL_ERROR:
        return describe(v, "access that KVM cannot decode", e);
    case KVM_EXIT_FAIL_ENTRY: return describe(v, "refused CPU state", e);
    default: return describe(v, "unknown exit", e);
    }
}

int arch_vcpu_run(struct arch_vcpu *v, struct arch_exit *out, struct err *e)
{
    *out = (struct arch_exit){.kind = ARCH_EXIT_AGAIN};
    if (ioctl(v->fd, KVM_RUN, 0) == 0)
        return decode(v, out, e);
    switch (errno) {
    case EINTR:
    case EAGAIN: return 0;
    case EFAULT: return err_set(e, -EFAULT, "vCPU %u: memory fault", v->index);
    case ENOSYS: return describe(v, "access that KVM cannot decode", e);
    default:
        return err_set(e, -errno, "vCPU %u: KVM_RUN: %s", v->index,
                       strerror(errno));
    }
}

void arch_vcpu_fini(struct arch_vcpu *v)
{
    if (v->run != NULL)
        (void)munmap(v->run, v->vm->run_size);
    if (v->fd > 0)
        (void)close(v->fd);
    v->run = NULL;
    v->fd = -1;
}
