// SPDX-License-Identifier: Apache-2.0
/* One vCPU on x86-64: creation, entry state, exits. */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boards/virt-x86_64/layout.h"

#include "base/err.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/arch/x86_64/kvm.h"

#define CR0_BOOT UINT64_C(0x80050033) /* PG AM WP NE ET MP PE */
#define CR4_BOOT UINT64_C(0x000006a0) /* OSXMMEXCPT OSFXSR PGE PAE */
/* PVM takes these whatever its CPUID says (pvm.md 3); elsewhere the guest
 * reads CPUID and sets what it wants, SMEP and SMAP included. */
#define CR4_PVM   UINT64_C(0x00050000) /* OSXSAVE FSGSBASE */
#define EFER_BOOT UINT64_C(0xd01)      /* NXE LMA LME SCE */

const uint32_t arch_vcpu_requests[] = {KVM_RUN,
                                       KVM_CREATE_VCPU,
                                       KVM_GET_SUPPORTED_CPUID,
                                       KVM_GET_TSC_KHZ,
                                       KVM_GET_MSRS,
                                       KVM_SET_MSRS,
                                       KVM_SET_CPUID2,
                                       KVM_SET_MP_STATE,
                                       KVM_GET_SREGS,
                                       KVM_SET_SREGS,
                                       KVM_GET_REGS,
                                       KVM_SET_REGS,
                                       KVM_SET_XCRS,
                                       KVM_SET_NR_MMU_PAGES,
                                       KVM_SET_DEVICE_ATTR,
                                       0};

/* One MSR in the shape KVM wants. */
union msr_call {
    struct kvm_msrs list;
    uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

static union msr_call msr_call(uint32_t index, uint64_t data)
{
    union msr_call m = {.room = {0}};
    const struct kvm_msr_entry entry = {.index = index, .data = data};
    m.list.nmsrs = 1;
    memcpy(m.room + sizeof(m.list), &entry, sizeof(entry));
    return m;
}

/* False if there is no such MSR. */
static bool get_msr(const struct arch_vcpu *v, uint32_t index, uint64_t *out)
{
    union msr_call m = msr_call(index, 0);
    int n = ioctl(v->fd, KVM_GET_MSRS, &m);
    *out = m.list.entries[0].data;
    return n == 1;
}

static int set_vif(const struct arch_vcpu *v, uint64_t at, struct err *e)
{
    union msr_call m = msr_call(MSR_PVM_VIF, at | PVM_VIF_FLAGS);
    if (ioctl(v->fd, KVM_SET_MSRS, &m) == 1)
        return 0;
    return err_set(e, -ENOTSUP,
                   "KVM_PVM refused the VIF page of vCPU %u: this host cannot "
                   "run our kernel natively: use --accel emulate",
                   v->index);
}

/* Host and guest read the same counter, as they do on PVM: wall_tsc and the
 * exit counters rely on it. Hosts before 5.16 get it to within microseconds. */
static void share_counter(const struct arch_vcpu *v)
{
    uint64_t offset = 0;
    const struct kvm_device_attr attr = {
        .group = KVM_VCPU_TSC_CTRL,
        .attr = KVM_VCPU_TSC_OFFSET,
        .addr = (uintptr_t)&offset,
    };
    if (ioctl(v->fd, KVM_SET_DEVICE_ATTR, &attr) == 0)
        return;
    union msr_call m = msr_call(MSR_IA32_TSC, arch_counter());
    (void)ioctl(v->fd, KVM_SET_MSRS, &m);
}

/* What the first vCPU tells about the machine under us. */
static void discover(struct arch_vcpu *v)
{
    uint64_t value;
    struct arch_vm *vm = v->vm;
    vm->user_kernel =
        get_msr(v, MSR_PVM_SIGNATURE, &value) && value == PVM_SIGNATURE;
    if (vm->user_kernel && get_msr(v, MSR_PVM_TSC_KHZ, &value)) {
        vm->counter_hz = value * 1000;
    } else {
        int khz = ioctl(v->fd, KVM_GET_TSC_KHZ, 0);
        vm->counter_hz = khz > 0 ? (uint64_t)khz * 1000 : 0;
    }
}

int arch_vcpu_init(struct arch_vcpu *v, struct arch_vm *vm, unsigned index,
                   struct err *e)
{
    *v = (struct arch_vcpu){.vm = vm, .index = index, .fd = -1};
    v->fd = KVM_CALL(vm->vm_fd, KVM_CREATE_VCPU, index, e);
    if (v->fd < 0)
        return err_wrap(e, "vCPU %u", index);
    void *run =
        mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (run == MAP_FAILED)
        return err_set(e, -errno, "vCPU %u: map: %s", index, strerror(errno));
    v->run = run;
    if (index == 0)
        discover(v);
    if (!vm->user_kernel)
        share_counter(v);
    return 0;
}

/* KVM keeps shadow pages for a fiftieth of the guest's pages. With fewer than
 * this, switching between some ten processes becomes 15 times slower. */
#define SHADOW_PAGES_MIN   4096
#define SHADOW_PAGES_SHARE 50

int arch_vcpu_prepare(struct arch_vcpu *v, struct err *e)
{
    uint64_t pages = v->vm->mapped / 4096 / SHADOW_PAGES_SHARE;
    if (v->vm->user_kernel && pages < SHADOW_PAGES_MIN &&
        KVM_CALL(v->vm->vm_fd, KVM_SET_NR_MMU_PAGES, SHADOW_PAGES_MIN, e) < 0)
        return e->code;
    return cpuid_load(v->vm->kvm_fd, v->vm->cpuid_fd, v->vm->cpuid, e);
}

static void set_segments(struct kvm_sregs *s)
{
    const struct kvm_segment code = {.limit = UINT32_MAX,
                                     .selector = 0x10,
                                     .type = 11,
                                     .present = 1,
                                     .s = 1,
                                     .l = 1,
                                     .g = 1};
    const struct kvm_segment data = {.limit = UINT32_MAX,
                                     .selector = 0x18,
                                     .type = 3,
                                     .present = 1,
                                     .db = 1,
                                     .s = 1,
                                     .g = 1};
    s->cs = code;
    s->ds = s->es = s->fs = s->gs = s->ss = data;
    /* VMX entry wants a busy TSS and nothing in LDT. */
    s->tr = (struct kvm_segment){.limit = 0x67, .type = 11, .present = 1};
    s->ldt = (struct kvm_segment){.type = 2, .unusable = 1};
}

static int set_registers(const struct arch_vcpu *v,
                         const struct arch_entry *entry, struct err *e)
{
    struct kvm_sregs s;
    const bool stock = v->vm->stock;
    struct kvm_regs r = {.rip = entry->pc,
                         .rsp = entry->stack,
                         .rdi = stock ? 0 : entry->info,
                         .rsi = stock ? entry->info : v->index,
                         .rflags = 2};
    if (KVM_CALL(v->fd, KVM_GET_SREGS, &s, e) < 0)
        return e->code;
    set_segments(&s);
    if (stock)
        s.gdt = (struct kvm_dtable){.base = BOARD_LINUX_GDT, .limit = 31};
    s.cr0 = CR0_BOOT;
    s.cr3 = entry->root;
    s.cr4 = CR4_BOOT | (v->vm->user_kernel ? CR4_PVM : 0);
    s.efer = EFER_BOOT;
    if (KVM_CALL(v->fd, KVM_SET_SREGS, &s, e) < 0)
        return e->code;
    return KVM_CALL(v->fd, KVM_SET_REGS, &r, e) < 0 ? e->code : 0;
}

/* All vector state the guest may use is on from the start: no XSETBV, no exit.
 * (QEMU 7.2 as a host with SVM does not even intercept that one.) */
static int set_xcr0(const struct arch_vcpu *v, const struct kvm_cpuid2 *table,
                    struct err *e)
{
    struct kvm_xcrs x = {.nr_xcrs = 1};
    x.xcrs[0].value = cpuid_xcr0(table);
    if (v->vm->user_kernel || x.xcrs[0].value == 0)
        return 0;
    return KVM_CALL(v->fd, KVM_SET_XCRS, &x, e) < 0 ? e->code : 0;
}

/* What firmware would have set: memory is write-back, fast strings are on.
 * Without them Linux is slower, no more. */
static void set_firmware_msrs(const struct arch_vcpu *v)
{
    union msr_call m = msr_call(MSR_IA32_MTRR_DEF, UINT64_C(1) << 11 | 6);
    (void)ioctl(v->fd, KVM_SET_MSRS, &m);
    m = msr_call(MSR_IA32_MISC, 1);
    (void)ioctl(v->fd, KVM_SET_MSRS, &m);
}

/* CPUs other than the first wait for INIT and SIPI. */
static int boot_stock(const struct arch_vcpu *v, const struct arch_entry *entry,
                      const struct kvm_cpuid2 *table, struct err *e)
{
    set_firmware_msrs(v);
    if (v->index == 0 && set_registers(v, entry, e) < 0)
        return e->code;
    return set_xcr0(v, table, e);
}

int arch_vcpu_boot(struct arch_vcpu *v, const struct arch_entry *entry,
                   struct err *e)
{
    /* The table is shared by all CPUs, the APIC id is not. */
    union {
        struct kvm_cpuid2 table;
        uint8_t room[sizeof(struct kvm_cpuid2) +
                     CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2)];
    } mine;
    struct kvm_mp_state state = {KVM_MP_STATE_RUNNABLE};
    memcpy(&mine, v->vm->cpuid, cpuid_size(v->vm->cpuid->nent));
    cpuid_set_cpu(&mine.table, v->index);
    if (KVM_CALL(v->fd, KVM_SET_CPUID2, &mine, e) < 0)
        return err_wrap(e, "vCPU %u", v->index);
    if (v->vm->stock)
        return boot_stock(v, entry, &mine.table, e);
    if ((v->index > 0 && KVM_CALL(v->fd, KVM_SET_MP_STATE, &state, e) < 0) ||
        set_registers(v, entry, e) < 0 || set_xcr0(v, &mine.table, e) < 0)
        return err_wrap(e, "vCPU %u", v->index);
    return v->vm->user_kernel ? set_vif(v, entry->vif, e) : 0;
}

/* The guest is dead: say where. */
static int describe(const struct arch_vcpu *v, const char *why, struct err *e)
{
    struct kvm_regs r = {0};
    struct kvm_sregs s = {0};
    (void)ioctl(v->fd, KVM_GET_REGS, &r);
    (void)ioctl(v->fd, KVM_GET_SREGS, &s);
    return err_set(e, -EIO,
                   "vCPU %u: %s at [<%016llx>] rsp=%llx rflags=%llx cr2=%llx "
                   "cr3=%llx cs=%x",
                   v->index, why, r.rip, r.rsp, r.rflags, s.cr2, s.cr3,
                   s.cs.selector);
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
    case KVM_EXIT_IO: /* no ports on this machine */
        if (run->io.direction == KVM_EXIT_IO_IN)
            memset((uint8_t *)run + run->io.data_offset, 0xff,
                   (size_t)run->io.size * run->io.count);
        return 0;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IOAPIC_EOI:
    case KVM_EXIT_IRQ_WINDOW_OPEN: return 0;
    case KVM_EXIT_SHUTDOWN: return describe(v, "triple fault", e);
    case KVM_EXIT_INTERNAL_ERROR:
        return describe(v, "instruction that KVM cannot run", e);
    case KVM_EXIT_FAIL_ENTRY: return describe(v, "refused CPU state", e);
    case KVM_EXIT_HLT: return describe(v, "halt without interrupts", e);
    default: return describe(v, "unknown exit", e);
    }
}

int arch_vcpu_run(struct arch_vcpu *v, struct arch_exit *out, struct err *e)
{
    *out = (struct arch_exit){.kind = ARCH_EXIT_AGAIN};
    if (ioctl(v->fd, KVM_RUN, 0) == 0)
        return decode(v, out, e);
    if (errno == EINTR || errno == EAGAIN)
        return 0;
    if (errno == EFAULT)
        return err_set(e, -EFAULT, "vCPU %u: memory fault", v->index);
    return err_set(e, -errno, "vCPU %u: KVM_RUN: %s", v->index,
                   strerror(errno));
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
