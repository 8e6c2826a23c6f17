// SPDX-License-Identifier: Apache-2.0
#include "supervisor/kvmprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/auto.h"

enum { KVMPROBE_API_VERSION = 12 };
#define KVMPROBE_PVM_MSR       UINT32_C(0x4b564d11) /* vmm/arch/x86_64/kvm.h */
#define KVMPROBE_PVM_SIGNATURE UINT64_C(0x4d5650)

/* struct kvm_msrs with one entry. <linux/kvm.h> has it on x86 only, and this
 * file asks at run time what another would by #if. */
struct kvmprobe_msr {
    uint32_t count, pad;
    uint32_t index, reserved;
    uint64_t value;
};
#define KVMPROBE_GET_MSRS _IOWR(KVMIO, 0x88, uint64_t)

static bool kvmprobe_has_device(int vm, uint32_t type)
{
    struct kvm_create_device d = {.type = type,
                                  .flags = KVM_CREATE_DEVICE_TEST};
    return ioctl(vm, KVM_CREATE_DEVICE, &d) == 0;
}

static bool kvmprobe_is_pvm(int vcpu)
{
    struct kvmprobe_msr m = {.count = 1, .index = KVMPROBE_PVM_MSR};
    return ioctl(vcpu, KVMPROBE_GET_MSRS, &m) == 1 &&
           m.value == KVMPROBE_PVM_SIGNATURE;
}

static void kvmprobe_stop(struct kvmprobe *p, enum kvmprobe_step step, int code)
{
    p->step = step;
    p->code = code;
}

void kvmprobe_run(const char *path, struct kvmprobe *p)
{
    *p = (struct kvmprobe){0};
    AUTO_CLOSE int kvm = open(path, O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        kvmprobe_stop(p, KVMPROBE_OPEN, -errno);
        return;
    }
    p->api = ioctl(kvm, KVM_GET_API_VERSION, 0);
    if (p->api != KVMPROBE_API_VERSION) {
        kvmprobe_stop(p, KVMPROBE_API, p->api < 0 ? -errno : -EPROTO);
        return;
    }
    int ipa = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
    p->ipa_bits = ipa > 0 ? ipa : 0;
    /* arm64: the type is the size; 0 would mean 40 bits, which not all have */
    AUTO_CLOSE int vm = ioctl(kvm, KVM_CREATE_VM, (unsigned long)p->ipa_bits);
    if (vm < 0) {
        kvmprobe_stop(p, KVMPROBE_VM, -errno);
        return;
    }
    int max = ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    p->vcpus_max = max > 0 ? max : 0;
    p->vgic2 = kvmprobe_has_device(vm, KVM_DEV_TYPE_ARM_VGIC_V2);
    p->vgic3 = kvmprobe_has_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
    AUTO_CLOSE int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0UL);
    if (vcpu < 0) {
        kvmprobe_stop(p, KVMPROBE_VCPU, -errno);
        return;
    }
    p->pvm = kvmprobe_is_pvm(vcpu);
    kvmprobe_stop(p, KVMPROBE_GOOD, 0);
}

static bool kvmprobe_has_flag(const char *flags, const char *flag)
{
    size_t n = strlen(flag);
    for (const char *p = strstr(flags, flag); p != NULL;
         p = strstr(p + n, flag))
        if ((p == flags || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

const char *kvmprobe_kind(const struct kvmprobe *p, const char *flags)
{
    if (p->step != KVMPROBE_GOOD)
        return "none";
    if (p->ipa_bits > 0)
        return "el2";
    if (p->pvm)
        return "pvm";
    if (kvmprobe_has_flag(flags, "vmx"))
        return "vmx";
    return kvmprobe_has_flag(flags, "svm") ? "svm" : "unknown";
}
