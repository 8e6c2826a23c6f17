// SPDX-License-Identifier: Apache-2.0
/* What was seen -> verdicts, each with its fix. */
#include "supervisor/doctor.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

#define DOCTOR_MIB (UINT64_C(1) << 20)

/* statfs(2) types that <linux/magic.h> does not have. */
enum { DOCTOR_VFAT = 0x4d44, DOCTOR_EXFAT = 0x2011bab0 };
#define DOCTOR_CIFS 0xff534d42L
#define DOCTOR_SMB2 0xfe534d42L

static void doctor_found(struct doctor_check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void doctor_bad(struct doctor_check *c, enum doctor_status status,
                       const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void doctor_found(struct doctor_check *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(c->found, sizeof(c->found), fmt, args);
    va_end(args);
}

/* The fix: a command, or what to do where no command can do it. */
static void doctor_bad(struct doctor_check *c, enum doctor_status status,
                       const char *fmt, ...)
{
    va_list args;
    c->status = status;
    va_start(args, fmt);
    (void)vsnprintf(c->fix, sizeof(c->fix), fmt, args);
    va_end(args);
}

/* A whole word of a list that blanks separate. */
static bool doctor_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; *p != '\0';) {
        size_t size = strcspn(p, " \n");
        if (size == n && memcmp(p, word, n) == 0)
            return true;
        p += size;
        p += strspn(p, " \n");
    }
    return false;
}

/* ---- KVM ---- */

static void doctor_kvm_missing(const struct doctor_host *h,
                               struct doctor_check *c)
{
    doctor_found(c, "%s: not there", h->kvm_path);
    if (h->kvm_module)
        doctor_bad(c, DOCTOR_FAIL,
                   "mknod /dev/kvm c 10 232 && chmod 0660 /dev/kvm (the "
                   "module is loaded; in a container: --device /dev/kvm)");
    else if (h->arm)
        doctor_bad(c, DOCTOR_FAIL,
                   "boot a kernel with CONFIG_KVM=y, started at EL2; "
                   "dmesg | grep -i kvm says why it is not there");
    else if (doctor_has(h->cpu_flags, "vmx"))
        doctor_bad(c, DOCTOR_FAIL, "modprobe kvm_intel");
    else if (doctor_has(h->cpu_flags, "svm"))
        doctor_bad(c, DOCTOR_FAIL, "modprobe kvm_amd");
    else
        doctor_bad(c, DOCTOR_FAIL,
                   "switch virtualization (VT-x, AMD-V) on in the firmware, or "
                   "nested virtualization in the hypervisor below; until then: "
                   "limpet run --accel emulate");
}

static void doctor_kvm_closed(const struct doctor_host *h,
                              struct doctor_check *c)
{
    doctor_found(c, "%s: no permission for %s", h->kvm_path, h->user);
    if (h->kvm_group[0] != '\0')
        doctor_bad(c, DOCTOR_FAIL, "usermod -aG %s %s, then log in again",
                   h->kvm_group, h->user);
    else
        doctor_bad(c, DOCTOR_FAIL,
                   "groupadd -f kvm && usermod -aG kvm %s && chgrp kvm "
                   "/dev/kvm && chmod 0660 /dev/kvm, then log in again",
                   h->user);
}

static void doctor_kvm(const struct doctor_host *h, struct doctor_check *c)
{
    int code = h->kvm.code;
    const char *why = strerror(-code);
    switch (h->kvm.step) {
    case KVMPROBE_OPEN:
        if (code == -EACCES || code == -EPERM) {
            doctor_kvm_closed(h, c);
        } else if (code == -ENOENT || code == -ENODEV || code == -ENXIO) {
            doctor_kvm_missing(h, c);
        } else {
            doctor_found(c, "%s: %s", h->kvm_path, why);
            doctor_bad(c, DOCTOR_FAIL, "dmesg | grep -i kvm");
        }
        return;
    case KVMPROBE_API:
        doctor_found(c, "%s: not KVM, or not its version 12", h->kvm_path);
        doctor_bad(c, DOCTOR_FAIL,
                   "rm /dev/kvm && mknod /dev/kvm c 10 232 && chmod 0660 "
                   "/dev/kvm");
        return;
    case KVMPROBE_VM:
    case KVMPROBE_VCPU:
        doctor_found(c, "%s: opens, but makes no %s: %s", h->kvm_path,
                     h->kvm.step == KVMPROBE_VM ? "VM" : "vCPU", why);
        if (code == -EBUSY)
            doctor_bad(c, DOCTOR_FAIL,
                       "stop the other hypervisor (VirtualBox: rmmod "
                       "vboxnetadp vboxnetflt vboxdrv)");
        else
            doctor_bad(c, DOCTOR_FAIL, "dmesg | grep -i kvm");
        return;
    case KVMPROBE_GOOD: doctor_found(c, "%s: makes VMs", h->kvm_path); return;
    }
}

static void doctor_kind(const struct doctor_host *h, struct doctor_check *c)
{
    const char *kind = kvmprobe_kind(&h->kvm, h->cpu_flags);
    if (strcmp(kind, "none") == 0) {
        doctor_found(c, "none: no VM can be made");
        doctor_bad(c, DOCTOR_FAIL, "mend kvm first, above");
    } else if (strcmp(kind, "el2") == 0 && !h->kvm.vgic2 && !h->kvm.vgic3) {
        doctor_found(c, "EL2 without a virtual GICv2 or GICv3");
        doctor_bad(c, DOCTOR_FAIL,
                   "use a board whose interrupt controller is a GIC with a "
                   "maintenance interrupt; limpet board shows this one's");
    } else if (strcmp(kind, "el2") == 0) {
        doctor_found(c, "EL2 with %s%s%s, %d-bit guest addresses",
                     h->kvm.vgic3 ? "GICv3" : "",
                     h->kvm.vgic3 && h->kvm.vgic2 ? " and " : "",
                     h->kvm.vgic2 ? "GICv2" : "", h->kvm.ipa_bits);
    } else if (strcmp(kind, "pvm") == 0) {
        doctor_found(c, "PVM: guests without VMX or SVM");
    } else if (strcmp(kind, "unknown") == 0) {
        doctor_found(c, "unknown: /proc/cpuinfo has neither vmx nor svm");
        doctor_bad(c, DOCTOR_WARN, "mount -t proc proc /proc");
    } else {
        doctor_found(c, "%s", strcmp(kind, "vmx") == 0 ? "VMX" : "SVM");
    }
}

/* ---- the host's kernel ---- */

static void doctor_tun(const struct doctor_host *h, struct doctor_check *c)
{
    if (h->tun == 0) {
        doctor_found(c, "/dev/net/tun: opens");
        return;
    }
    doctor_found(c, "/dev/net/tun: %s (networks of VMs need it)",
                 strerror(-h->tun));
    if (h->tun == -EACCES || h->tun == -EPERM)
        doctor_bad(c, DOCTOR_WARN, "chmod 0666 /dev/net/tun");
    else
        doctor_bad(c, DOCTOR_WARN,
                   "modprobe tun; where nothing makes the device: mkdir -p "
                   "/dev/net && mknod -m 0666 /dev/net/tun c 10 200");
}

/* --network bridge and NAME: root, nft and the kernel's part. */
static void doctor_bridges(const struct doctor_host *h, struct doctor_check *c)
{
    doctor_found(c, "%s",
                 h->uid == 0 ? "nft and the kernel's part are there"
                             : "possible as root; without: --network user");
    if (h->nft < 0) {
        doctor_found(c, "nft is not installed (--network bridge needs it)");
        doctor_bad(c, DOCTOR_WARN, "apt-get install nftables");
    } else if (h->bridge < 0) {
        doctor_found(c, "not in this kernel (CONFIG_BRIDGE): %s",
                     strerror(-h->bridge));
        doctor_bad(c, DOCTOR_WARN, "modprobe bridge");
    } else if (h->nf_tables < 0) {
        doctor_found(c, "no nf_tables in this kernel: %s",
                     strerror(-h->nf_tables));
        doctor_bad(c, DOCTOR_WARN, "modprobe nf_tables");
    } else if (h->uid == 0 && h->ip_forward == 0 && h->ip_forward_write < 0) {
        doctor_found(c, "net.ipv4.ip_forward is 0 and cannot be written: %s",
                     strerror(-h->ip_forward_write));
        doctor_bad(c, DOCTOR_WARN,
                   "sysctl -w net.ipv4.ip_forward=1 (in a container: on its "
                   "host, or with --sysctl net.ipv4.ip_forward=1)");
    }
}

/* --network user. */
static void doctor_passt(const struct doctor_host *h, struct doctor_check *c)
{
    doctor_found(c, "installed");
    if (h->passt < 0) {
        doctor_found(c, "not installed (--network user needs it)");
        doctor_bad(c, DOCTOR_WARN, "apt-get install passt");
    } else if (h->ping_first > h->ping_last) {
        doctor_found(c, "installed, but nobody may ping through it");
        doctor_bad(c, DOCTOR_WARN,
                   "sysctl -w net.ipv4.ping_group_range='0 2147483647'");
    }
}

/* What containers get unless something else is said. */
static void doctor_network(const struct doctor_host *h, struct doctor_check *c)
{
    doctor_found(c, "without --network: %s", h->network);
    if (h->no_network[0] == '\0')
        return;
    doctor_found(c, "without --network there is none: %s", h->no_network);
    doctor_bad(c, DOCTOR_WARN,
               "apt-get install passt nftables; root gets bridge, others user");
}

static void doctor_cgroups(const struct doctor_host *h, struct doctor_check *c)
{
    if (!h->cgroup2) {
        doctor_found(c, h->cgroup1 ? "version 1 (or both)" : "not mounted");
        if (h->cgroup1)
            doctor_bad(c, DOCTOR_WARN,
                       "boot with systemd.unified_cgroup_hierarchy=1 on the "
                       "kernel's command line");
        else
            doctor_bad(c, DOCTOR_WARN, "mount -t cgroup2 none /sys/fs/cgroup");
        return;
    }
    doctor_found(c, "version 2: %s", h->controllers);
    if (!doctor_has(h->controllers, "memory"))
        doctor_bad(c, DOCTOR_WARN,
                   "boot with cgroup_enable=memory on the kernel's command "
                   "line (Raspberry Pi: /boot/firmware/cmdline.txt)");
    else if (!doctor_has(h->controllers, "cpu"))
        doctor_bad(c, DOCTOR_WARN, "boot a kernel with CONFIG_CGROUP_SCHED=y");
    else if (!doctor_has(h->controllers, "pids"))
        doctor_bad(c, DOCTOR_WARN, "boot a kernel with CONFIG_CGROUP_PIDS=y");
}

static void doctor_userns(const struct doctor_host *h, struct doctor_check *c)
{
    bool root = h->uid == 0;
    doctor_found(c, "allowed");
    if (h->userns_max < 0) {
        doctor_found(c, "not in this kernel: the monitor's jail is weaker");
        doctor_bad(c, DOCTOR_WARN, "boot a kernel with CONFIG_USER_NS=y");
    } else if (h->userns_max == 0) {
        doctor_found(c, "none allowed: the monitor's jail is weaker");
        doctor_bad(c, DOCTOR_WARN, "sysctl -w user.max_user_namespaces=10000");
    } else if (!root && h->userns_clone == 0) {
        doctor_found(c, "for root only: the monitor's jail is weaker");
        doctor_bad(c, DOCTOR_WARN,
                   "sysctl -w kernel.unprivileged_userns_clone=1");
    } else if (!root && h->userns_apparmor > 0) {
        doctor_found(c, "restricted by AppArmor: the monitor's jail is weaker");
        doctor_bad(c, DOCTOR_WARN,
                   "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    }
}

static void doctor_pages(const struct doctor_host *h, struct doctor_check *c)
{
    doctor_found(c, "%ld KiB", h->page_size / 1024);
    if (h->page_size == 4096 ||
        (h->arm && (h->page_size == 16384 || h->page_size == 65536)))
        return;
    doctor_bad(c, DOCTOR_FAIL, "boot a kernel with pages of %s",
               h->arm ? "4, 16 or 64 KiB" : "4 KiB");
}

static void doctor_memory(const struct doctor_host *h, struct doctor_check *c)
{
    if (h->memory_free < 0) {
        doctor_found(c, "unknown: no /proc/meminfo");
        doctor_bad(c, DOCTOR_WARN, "mount -t proc proc /proc");
        return;
    }
    uint64_t free = (uint64_t)h->memory_free / DOCTOR_MIB;
    doctor_found(c, "%llu MiB available", (unsigned long long)free);
    if (free < 256)
        doctor_bad(c, free < 48 ? DOCTOR_FAIL : DOCTOR_WARN,
                   "stop what is not needed (limpet ps; limpet stop "
                   "CONTAINER), or run with less: limpet run -m 32m");
}

static void doctor_seccomp(const struct doctor_host *h, struct doctor_check *c)
{
    doctor_found(c, "filters, kill_process");
    if (doctor_has(h->seccomp, "kill_process"))
        return;
    doctor_found(c, h->seccomp[0] != '\0' ? "no kill_process"
                                          : "not in this kernel");
    doctor_bad(c, DOCTOR_FAIL,
               "boot a kernel of 4.14 or later with CONFIG_SECCOMP_FILTER=y");
}

static void doctor_landlock(const struct doctor_host *h, struct doctor_check *c)
{
    if (h->landlock > 0) {
        doctor_found(c, "version %d", h->landlock);
    } else if (h->landlock == -EOPNOTSUPP) {
        doctor_found(c, "off: images are converted without it");
        doctor_bad(c, DOCTOR_WARN,
                   "add landlock, to lsm= on the kernel's command line");
    } else {
        doctor_found(c, "not in this kernel: images are converted without it");
        doctor_bad(c, DOCTOR_WARN,
                   "boot a kernel of 5.13 or later with "
                   "CONFIG_SECURITY_LANDLOCK=y");
    }
}

/* ---- ours ---- */

static const struct {
    long type;
    enum doctor_status status;
    const char *name, *why;
} doctor_disks[] = {
    {TMPFS_MAGIC, DOCTOR_WARN, "tmpfs", "is gone at the next boot"},
    {RAMFS_MAGIC, DOCTOR_WARN, "ramfs", "is gone at the next boot"},
    {NFS_SUPER_MAGIC, DOCTOR_WARN, "nfs", "is not a local disk"},
    {V9FS_MAGIC, DOCTOR_WARN, "9p", "is not a local disk"},
    {DOCTOR_CIFS, DOCTOR_WARN, "cifs", "is not a local disk"},
    {DOCTOR_SMB2, DOCTOR_WARN, "cifs", "is not a local disk"},
    {DOCTOR_VFAT, DOCTOR_FAIL, "vfat", "has no links and modes"},
    {DOCTOR_EXFAT, DOCTOR_FAIL, "exfat", "has no links and modes"},
};

static void doctor_store(const struct doctor_host *h, struct doctor_check *c)
{
    uint64_t free = h->store_free / DOCTOR_MIB;
    int shown = 100; /* of a path that may be longer than a line */
    if (h->store_code < 0) {
        doctor_found(c, "%.*s: %s", shown, h->store, strerror(-h->store_code));
        doctor_bad(c, DOCTOR_FAIL,
                   "install -d -m 0700 -o %s %.*s, or say where with --root "
                   "DIR or LIMPET_ROOT",
                   h->user, shown, h->store);
        return;
    }
    doctor_found(c, "%.*s: %llu MiB free", shown, h->store,
                 (unsigned long long)free);
    for (size_t i = 0; i < ARRAY_COUNT(doctor_disks); i++) {
        if (h->store_type != doctor_disks[i].type)
            continue;
        doctor_found(c, "%.*s: on %s, which %s", shown, h->store,
                     doctor_disks[i].name, doctor_disks[i].why);
        doctor_bad(c, doctor_disks[i].status,
                   "export LIMPET_ROOT=DIR, on a disk with ext4, xfs or "
                   "btrfs");
    }
    /* Too full is worse than being in the wrong place. */
    bool full = free < 64 && c->status != DOCTOR_FAIL;
    if (!full && (free >= 1024 || c->status != DOCTOR_OK))
        return;
    doctor_found(c, "%.*s: %llu MiB free", shown, h->store,
                 (unsigned long long)free);
    doctor_bad(c, full ? DOCTOR_FAIL : DOCTOR_WARN,
               "delete something on that disk, or export LIMPET_ROOT=DIR on a "
               "larger one");
}

static void doctor_programs(const struct doctor_host *h, struct doctor_check *c)
{
    int shown = 100;
    doctor_found(c, "in %.*s", shown, h->libexec);
    if (h->missing[0] == '\0')
        return;
    doctor_found(c, "%s: %s", h->missing, strerror(-h->missing_code));
    doctor_bad(c, DOCTOR_FAIL,
               "install limpet again (from source: cmake -S . -B build && "
               "cmake --build build), or export LIMPET_LIBEXEC=DIR that has "
               "limpet-vmm, limpet-image and the guest kernel");
}

static void doctor_board(const struct doctor_host *h, struct doctor_check *c)
{
    doctor_found(c, "%s",
                 h->board[0] != '\0'
                     ? h->board
                     : "unknown: what was found counts (limpet board)");
    if (h->bad_board[0] == '\0')
        return;
    doctor_found(c, "%s", h->bad_board);
    doctor_bad(c, DOCTOR_WARN,
               "correct or remove that file; docs/boards.md has its format");
}

static const struct {
    const char *name;
    void (*judge)(const struct doctor_host *h, struct doctor_check *c);
} doctor_judges[] = {
    {"kvm", doctor_kvm},         {"kvm kind", doctor_kind},
    {"tun", doctor_tun},         {"bridges", doctor_bridges},
    {"passt", doctor_passt},     {"network", doctor_network},
    {"cgroups", doctor_cgroups}, {"namespaces", doctor_userns},
    {"page size", doctor_pages}, {"memory", doctor_memory},
    {"seccomp", doctor_seccomp}, {"landlock", doctor_landlock},
    {"store", doctor_store},     {"programs", doctor_programs},
    {"board", doctor_board},
};
_Static_assert(ARRAY_COUNT(doctor_judges) == DOCTOR_CHECKS, "one for each");

bool doctor_judge(const struct doctor_host *h,
                  struct doctor_check out[DOCTOR_CHECKS])
{
    bool good = true;
    for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
        out[i] = (struct doctor_check){.name = doctor_judges[i].name,
                                       .status = DOCTOR_OK};
        doctor_judges[i].judge(h, &out[i]);
        good = good && out[i].status != DOCTOR_FAIL;
    }
    return good;
}
