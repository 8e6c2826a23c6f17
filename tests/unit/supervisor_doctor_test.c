// SPDX-License-Identifier: Apache-2.0
/* Every verdict of doctor_judge() and its fix, from one good host on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "supervisor/doctor.h"

static struct doctor_host good_host(void)
{
    return (struct doctor_host){
        .uid = 1000,
        .user = "ann",
        .kvm = {.step = KVMPROBE_GOOD, .api = 12},
        .kvm_path = "/dev/kvm",
        .cpu_flags = "flags\t: fpu vmx sse",
        .cgroup2 = true,
        .controllers = "cpuset cpu io memory pids",
        .userns_max = 1000,
        .userns_clone = -1,
        .userns_apparmor = -1,
        .page_size = 4096,
        .memory_free = INT64_C(1) << 30,
        .seccomp = "kill_process kill_thread trap",
        .landlock = 3,
        .store = "/var/lib/limpet",
        .store_type = 0xef53,
        .store_free = UINT64_C(8) << 30,
        .libexec = "/usr/libexec/limpet",
        .board = "Raspberry Pi 4 (profile raspberry-pi-4)",
    };
}

static const struct doctor_check *judge(const struct doctor_host *h,
                                        const char *name, bool *good)
{
    static struct doctor_check checks[DOCTOR_CHECKS];
    *good = doctor_judge(h, checks);
    for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
        assert_true(checks[i].found[0] != '\0');
        assert_int_equal(checks[i].fix[0] == '\0',
                         checks[i].status == DOCTOR_OK);
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    }
    fail_msg("no check %s", name);
    return &checks[0];
}

/* `fix` is the whole text of the fix. */
static void expect(const struct doctor_host *h, const char *name,
                   enum doctor_status status, const char *found,
                   const char *fix)
{
    bool good;
    const struct doctor_check *c = judge(h, name, &good);
    if (c->status != status || strstr(c->found, found) == NULL ||
        strcmp(c->fix, fix) != 0)
        fail_msg("%s: %d, \"%s\", \"%s\"", name, c->status, c->found, c->fix);
    if (status == DOCTOR_FAIL)
        assert_false(good);
}

#define EXPECT(change, name, status, found, fix)                               \
    do {                                                                       \
        struct doctor_host h = good_host();                                    \
        change;                                                                \
        expect(&h, name, DOCTOR_##status, found, fix);                         \
    } while (0)

static void test_good(void **unused)
{
    (void)unused;
    struct doctor_host h = good_host();
    struct doctor_check checks[DOCTOR_CHECKS];
    assert_true(doctor_judge(&h, checks));
    for (size_t i = 0; i < DOCTOR_CHECKS; i++)
        assert_int_equal(checks[i].status, DOCTOR_OK);
    expect(&h, "kvm", DOCTOR_OK, "/dev/kvm: makes VMs", "");
    expect(&h, "board", DOCTOR_OK, "profile raspberry-pi-4", "");
    h.board[0] = '\0';
    expect(&h, "board", DOCTOR_OK, "unknown: what was found counts", "");
    (void)snprintf(h.bad_board, sizeof(h.bad_board), "/x/board.json: bad");
    expect(&h, "board", DOCTOR_WARN, "/x/board.json: bad",
           "correct or remove that file; docs/boards.md has its format");
}

#define OPEN(c)                                                                \
    h.kvm = (struct kvmprobe)                                                  \
    {                                                                          \
        .step = KVMPROBE_OPEN, .code = (c)                                     \
    }
#define STOP(s, c)                                                             \
    h.kvm = (struct kvmprobe)                                                  \
    {                                                                          \
        .step = KVMPROBE_##s, .code = (c)                                      \
    }

static void test_kvm_missing(void **unused)
{
    (void)unused;
    EXPECT(OPEN(-ENOENT), "kvm", FAIL, "not there", "modprobe kvm_intel");
    EXPECT(OPEN(-ENODEV);
           (void)snprintf(h.cpu_flags, sizeof(h.cpu_flags), "fpu svm"), "kvm",
           FAIL, "not there", "modprobe kvm_amd");
    EXPECT(OPEN(-ENOENT);
           h.cpu_flags[0] = '\0', "kvm", FAIL, "not there",
           "switch virtualization (VT-x, AMD-V) on in the firmware, or nested "
           "virtualization in the hypervisor below; until then: limpet run "
           "--accel emulate");
    EXPECT(OPEN(-ENOENT);
           h.arm = true, "kvm", FAIL, "not there",
           "boot a kernel with CONFIG_KVM=y, started at EL2; dmesg | grep -i "
           "kvm says why it is not there");
    EXPECT(OPEN(-ENOENT);
           h.kvm_module = true, "kvm", FAIL, "not there",
           "mknod /dev/kvm c 10 232 && chmod 0660 /dev/kvm (the module is "
           "loaded; in a container: --device /dev/kvm)");
    EXPECT(OPEN(-EIO), "kvm", FAIL, "Input/output error",
           "dmesg | grep -i kvm");
}

static void test_kvm_refuses(void **unused)
{
    (void)unused;
    EXPECT(OPEN(-EACCES);
           (void)snprintf(h.kvm_group, sizeof(h.kvm_group), "kvm"), "kvm", FAIL,
           "no permission for ann", "usermod -aG kvm ann, then log in again");
    EXPECT(OPEN(-EPERM), "kvm", FAIL, "no permission for ann",
           "groupadd -f kvm && usermod -aG kvm ann && chgrp kvm /dev/kvm && "
           "chmod 0660 /dev/kvm, then log in again");
    EXPECT(STOP(API, -ENOTTY), "kvm", FAIL, "not KVM",
           "rm /dev/kvm && mknod /dev/kvm c 10 232 && chmod 0660 /dev/kvm");
    EXPECT(STOP(VM, -EBUSY), "kvm", FAIL, "makes no VM: Device or resource",
           "stop the other hypervisor (VirtualBox: rmmod vboxnetadp "
           "vboxnetflt vboxdrv)");
    EXPECT(STOP(VM, -ENOMEM), "kvm", FAIL, "makes no VM",
           "dmesg | grep -i kvm");
    EXPECT(STOP(VCPU, -EIO), "kvm", FAIL, "makes no vCPU",
           "dmesg | grep -i kvm");
    EXPECT(STOP(VCPU, -EIO), "kvm kind", FAIL, "none", "mend kvm first, above");
}

static void test_kinds(void **unused)
{
    (void)unused;
    EXPECT(, "kvm kind", OK, "VMX", "");
    EXPECT((void)snprintf(h.cpu_flags, sizeof(h.cpu_flags), "svm"), "kvm kind",
           OK, "SVM", "");
    EXPECT(h.kvm.pvm = true, "kvm kind", OK, "PVM", "");
    EXPECT(h.cpu_flags[0] = '\0', "kvm kind", WARN, "unknown",
           "mount -t proc proc /proc");
    EXPECT(h.kvm.ipa_bits = 40;
           h.kvm.vgic3 = true, "kvm kind", OK, "EL2 with GICv3, 40-bit", "");
    EXPECT(h.kvm.ipa_bits = 44;
           h.kvm.vgic2 = true, "kvm kind", OK, "EL2 with GICv2, 44-bit", "");
    EXPECT(h.kvm.ipa_bits = 48; h.kvm.vgic2 = h.kvm.vgic3 = true, "kvm kind",
                                OK, "EL2 with GICv3 and GICv2, 48-bit", "");
    EXPECT(h.kvm.ipa_bits = 40, "kvm kind", FAIL, "EL2 without a virtual",
           "use a board whose interrupt controller is a GIC with a "
           "maintenance interrupt; limpet board shows this one's");
}

static void test_host_kernel(void **unused)
{
    (void)unused;
    EXPECT(h.tun = -ENOENT, "tun", WARN, "/dev/net/tun: No such file",
           "modprobe tun; where nothing makes the device: mkdir -p /dev/net "
           "&& mknod -m 0666 /dev/net/tun c 10 200");
    EXPECT(h.tun = -EACCES, "tun", WARN, "Permission denied",
           "chmod 0666 /dev/net/tun");
    EXPECT(h.nft = -ENOENT, "bridges", WARN, "nft is not installed",
           "apt-get install nftables");
    EXPECT(h.bridge = -ENOPKG, "bridges", WARN, "CONFIG_BRIDGE",
           "modprobe bridge");
    EXPECT(h.nf_tables = -EPROTONOSUPPORT, "bridges", WARN, "no nf_tables",
           "modprobe nf_tables");
    EXPECT(h.uid = 0; h.ip_forward = 0;
           h.ip_forward_write = -EROFS, "bridges", WARN, "cannot be written",
           "sysctl -w net.ipv4.ip_forward=1 (in a "
           "container: on its host, or with --sysctl "
           "net.ipv4.ip_forward=1)");
    EXPECT(h.uid = 0; h.ip_forward = 0, "bridges", OK, "are there", "");
    EXPECT(h.uid = 1000;
           h.ip_forward_write = -EACCES, "bridges", OK, "--network user", "");
    EXPECT(h.passt = -ENOENT, "passt", WARN, "not installed",
           "apt-get install passt");
    EXPECT(h.ping_first = 1, "passt", WARN, "nobody may ping",
           "sysctl -w net.ipv4.ping_group_range='0 2147483647'");
    EXPECT((void)snprintf(h.network, sizeof(h.network), "bridge"), "network",
           OK, "without --network: bridge", "");
    EXPECT((void)snprintf(h.no_network, sizeof(h.no_network), "no rights"),
           "network", WARN, "there is none: no rights",
           "apt-get install passt nftables; root gets bridge, others user");
    EXPECT(h.cgroup2 = false;
           h.cgroup1 = true, "cgroups", WARN, "version 1",
           "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's "
           "command line");
    EXPECT(h.cgroup2 = false, "cgroups", WARN, "not mounted",
           "mount -t cgroup2 none /sys/fs/cgroup");
    EXPECT((void)snprintf(h.controllers, sizeof(h.controllers), "cpu pids"),
           "cgroups", WARN, "cpu pids",
           "boot with cgroup_enable=memory on the kernel's command line "
           "(Raspberry Pi: /boot/firmware/cmdline.txt)");
    EXPECT((void)snprintf(h.controllers, sizeof(h.controllers),
                          "cpuset memory pids"),
           "cgroups", WARN, "cpuset",
           "boot a kernel with CONFIG_CGROUP_SCHED=y");
    EXPECT((void)snprintf(h.controllers, sizeof(h.controllers), "memory cpu"),
           "cgroups", WARN, "memory",
           "boot a kernel with CONFIG_CGROUP_PIDS=y");
    EXPECT(h.userns_max = -1, "namespaces", WARN, "not in this kernel",
           "boot a kernel with CONFIG_USER_NS=y");
    EXPECT(h.userns_max = 0, "namespaces", WARN, "none allowed",
           "sysctl -w user.max_user_namespaces=10000");
    EXPECT(h.userns_clone = 0, "namespaces", WARN, "for root only",
           "sysctl -w kernel.unprivileged_userns_clone=1");
    EXPECT(h.userns_clone = 0; h.uid = 0, "namespaces", OK, "allowed", "");
    EXPECT(h.userns_apparmor = 1, "namespaces", WARN, "AppArmor",
           "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    EXPECT((void)snprintf(h.seccomp, sizeof(h.seccomp), "kill_thread"),
           "seccomp", FAIL, "no kill_process",
           "boot a kernel of 4.14 or later with CONFIG_SECCOMP_FILTER=y");
    EXPECT(h.seccomp[0] = '\0', "seccomp", FAIL, "not in this kernel",
           "boot a kernel of 4.14 or later with CONFIG_SECCOMP_FILTER=y");
    EXPECT(h.landlock = -EOPNOTSUPP, "landlock", WARN, "off",
           "add landlock, to lsm= on the kernel's command line");
    EXPECT(h.landlock = -ENOSYS, "landlock", WARN, "not in this kernel",
           "boot a kernel of 5.13 or later with CONFIG_SECURITY_LANDLOCK=y");
}

static void test_memory(void **unused)
{
    (void)unused;
    static const char less[] =
        "stop what is not needed (limpet ps; limpet stop CONTAINER), or run "
        "with less: limpet run -m 32m";
    EXPECT(h.page_size = 16384, "page size", FAIL, "16 KiB",
           "boot a kernel with pages of 4 KiB");
    EXPECT(h.arm = true; h.page_size = 16384, "page size", OK, "16 KiB", "");
    EXPECT(h.arm = true; h.page_size = 65536, "page size", OK, "64 KiB", "");
    EXPECT(h.arm = true; h.page_size = 8192, "page size", FAIL, "8 KiB",
                         "boot a kernel with pages of 4, 16 or 64 KiB");
    EXPECT(h.memory_free = 255 << 20, "memory", WARN, "255 MiB", less);
    EXPECT(h.memory_free = 256 << 20, "memory", OK, "256 MiB", "");
    EXPECT(h.memory_free = 48 << 20, "memory", WARN, "48 MiB", less);
    EXPECT(h.memory_free = 47 << 20, "memory", FAIL, "47 MiB", less);
    EXPECT(h.memory_free = -1, "memory", WARN, "unknown",
           "mount -t proc proc /proc");
}

static void test_ours(void **unused)
{
    (void)unused;
    static const char move[] =
        "export LIMPET_ROOT=DIR, on a disk with ext4, xfs or btrfs";
    static const char larger[] = "delete something on that disk, or export "
                                 "LIMPET_ROOT=DIR on a larger one";
    static const struct {
        long type;
        enum doctor_status status;
    } disks[] = {
        {0x01021994, DOCTOR_WARN}, {0x858458f6, DOCTOR_WARN},
        {0x6969, DOCTOR_WARN},     {0x01021997, DOCTOR_WARN},
        {0xff534d42, DOCTOR_WARN}, {0xfe534d42, DOCTOR_WARN},
        {0x4d44, DOCTOR_FAIL},     {0x2011bab0, DOCTOR_FAIL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(disks); i++) {
        struct doctor_host h = good_host();
        h.store_type = disks[i].type;
        h.store_free = UINT64_C(100) << 20; /* the place matters more */
        expect(&h, "store", disks[i].status, "/var/lib/limpet: on", move);
    }
    EXPECT(h.store_code = -EACCES, "store", FAIL, "Permission denied",
           "install -d -m 0700 -o ann /var/lib/limpet, or say where with "
           "--root DIR or LIMPET_ROOT");
    EXPECT(h.store_free = 1023 << 20, "store", WARN, "1023 MiB free", larger);
    EXPECT(h.store_free = 63 << 20;
           h.store_type = 0x01021994, "store", FAIL, "63 MiB free", larger);
    EXPECT(h.store_free = 63 << 20, "store", FAIL, "63 MiB free", larger);
    EXPECT(h.store_free = 1024 << 20, "store", OK, "1024 MiB free", "");
    EXPECT(h.missing_code = -ENOENT;
           (void)snprintf(h.missing, sizeof(h.missing), "/x/limpet-vmm"),
           "programs", FAIL, "/x/limpet-vmm: No such file",
           "install limpet again (from source: cmake -S . -B build && cmake "
           "--build build), or export LIMPET_LIBEXEC=DIR that has limpet-vmm, "
           "limpet-image and the guest kernel");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),        cmocka_unit_test(test_kvm_missing),
        cmocka_unit_test(test_kvm_refuses), cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_host_kernel), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
