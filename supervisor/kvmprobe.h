// SPDX-License-Identifier: Apache-2.0
/* What /dev/kvm can do here, found by making a VM and throwing it away. */
#pragma once

#include <stdbool.h>

enum kvmprobe_step {
    KVMPROBE_OPEN = 1, /* the device does not open */
    KVMPROBE_API,      /* it is not KVM, or not version 12 */
    KVMPROBE_VM,       /* no VM could be made */
    KVMPROBE_VCPU,     /* no vCPU could be made */
    KVMPROBE_GOOD,
};

struct kvmprobe {
    enum kvmprobe_step step; /* where it stopped */
    int code;                /* 0, or the negative errno of that step */
    int api;                 /* KVM_GET_API_VERSION, or what it returned */
    bool pvm;                /* the host kernel runs guests without VMX, SVM */
    bool vgic2, vgic3;       /* arm64: virtual GICs it makes */
    int vcpus_max;           /* of one VM; 0 unknown */
    int ipa_bits;            /* arm64: guest-physical address bits; else 0 */
};

/* Never fails: what went wrong is the result. */
void kvmprobe_run(const char *path, struct kvmprobe *p);

/* "vmx", "svm", "pvm", "el2", "none" when no VM can be made, "unknown".
 * `flags`: the flags line of /proc/cpuinfo, or "". */
const char *kvmprobe_kind(const struct kvmprobe *p, const char *flags);
