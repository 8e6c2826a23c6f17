// SPDX-License-Identifier: Apache-2.0
/*
 * What the guest kernel finds at entry: the contract between vmm/ (or its
 * QEMU blob) and guest/. docs/boot.md tells the story; this is the layout.
 *
 * Entry state, x86-64: long mode, paging on, kernel linked at -2 GiB + 2 MiB,
 * all RAM, the device windows and the image window mapped at
 * BOOT_PHYSMAP_X86 + gpa; rdi = virtual address of struct boot_info (in the
 * physmap), rsi = CPU index, rsp = top of that CPU's boot stack; interrupts
 * off. GDT, IDT and TSS are the kernel's to load. Every CPU enters at the same
 * point; CPU 0 first, the others later, in any order, or never.
 *
 * Entry state, arm64: Linux's boot protocol (Documentation/arm64/booting.rst)
 * with the kernel at BOOT_KERNEL_GPA. EL1 (QEMU: or EL2), MMU and caches off,
 * interrupts masked, pc = e_entry, which is a physical address; x0 = physical
 * address of struct boot_info or of a flattened device tree, told apart by
 * their magic; x1..x3 = 0. Only CPU 0 runs; the others are off until PSCI
 * CPU_ON. The kernel makes its own tables and stacks: root_gpa and vif_gpa are
 * 0. [0, BOOT_RAM_BASE) is for devices only: the kernel maps it as such.
 */
#pragma once

#include "abi/abi.h"

#define BOOT_MAGIC       UINT64_C(0x3154504d494c4c21) /* "!LLIMPT1" */
#define BOOT_VERSION     UINT32_C(2)
#define BOOT_RAM_MAX     4
#define BOOT_SEED_SIZE   64
#define BOOT_CPU_MAX     32
#define BOOT_STACK_SIZE  UINT32_C(8192)
#define BOOT_PHYSMAP_X86 UINT64_C(0xffff888000000000)
#define BOOT_KERNEL_X86  UINT64_C(0xffffffff80000000) /* gpa 0 is here */
#define BOOT_KERNEL_ARM  UINT64_C(0xffff000000000000) /* and physmap */

/* Of the architecture that a program is compiled for: first byte of RAM and of
 * the boot area, first kernel byte, p_vaddr - p_paddr of the kernel's ELF,
 * e_entry - the entry's physical address. */
#if defined(__x86_64__)
#define BOOT_RAM_BASE    UINT64_C(0)
#define BOOT_KERNEL_GPA  UINT64_C(0x200000)
#define BOOT_KERNEL_BASE BOOT_KERNEL_X86
#define BOOT_ENTRY_BASE  BOOT_KERNEL_X86
#else
#define BOOT_RAM_BASE    UINT64_C(0x40000000)
#define BOOT_KERNEL_GPA  UINT64_C(0x40200000)
#define BOOT_KERNEL_BASE BOOT_KERNEL_ARM
#define BOOT_ENTRY_BASE  UINT64_C(0)
#endif

enum boot_platform {
    BOOT_PLATFORM_PVM = 1,  /* native ring 3 kernel, platform/pvm.md */
    BOOT_PLATFORM_KVM = 2,  /* VMX, SVM, EL2: real ring 0 or EL1 */
    BOOT_PLATFORM_QEMU = 3, /* plain QEMU: its devices */
};

struct boot_range {
    uint64_t base; /* guest-physical, bytes */
    uint64_t size; /* bytes; 0 ends the list */
};

struct boot_info {
    uint64_t magic;      /* BOOT_MAGIC */
    uint32_t version;    /* BOOT_VERSION */
    uint32_t size;       /* of this struct, bytes */
    uint32_t platform;   /* enum boot_platform */
    uint32_t cpu_count;  /* CPUs that may enter, 1..BOOT_CPU_MAX */
    uint64_t fdt_gpa;    /* flattened device tree, 8-aligned */
    uint64_t fdt_size;   /* bytes */
    uint64_t cont_gpa;   /* first struct boot_container, 8-aligned */
    uint64_t cont_size;  /* bytes of all of them */
    uint32_t cont_count; /* today always 1 */
    uint32_t pad0;       /* 0 */
    struct boot_range ram[BOOT_RAM_MAX];
    /* [BOOT_RAM_BASE, low_end) holds boot data (tables, FDT, stacks, VIF
     * pages, rings, this struct): reserved for ever, <= BOOT_KERNEL_GPA. The
     * kernel image is at BOOT_KERNEL_GPA. */
    uint64_t low_end;
    /* RAM below this, but for the 2 MiB of the kernel, is backed by 4 KiB host
     * pages, above by huge ones: put sparse tables (the frame table) right
     * below it. Multiple of 2 MiB. */
    uint64_t small_end;
    uint64_t root_gpa; /* boot page-table root; 8 KiB-aligned */
    uint64_t vif_gpa;  /* VIF page of CPU 0, CPU n at + n * 4096; 0: none */
    uint64_t tsc_hz;   /* 0: calibrate; arm64: CNTFRQ_EL0 */
    /* CLOCK_REALTIME when the guest's counter (TSC, CNTVCT_EL0) was wall_tsc;
     * wall_tsc 0: at entry. */
    uint64_t wall_ns;
    uint64_t wall_tsc;
    uint64_t console_gpa;         /* BOOT_CALL window, 0: none (QEMU) */
    uint8_t seed[BOOT_SEED_SIZE]; /* from getrandom(2) of the host */
};

/*
 * Monitor calls: one 32-bit MMIO write of a gpa (which must be below 4 GiB)
 * to console_gpa + offset. Each is an exit (24 us on PVM): for early messages,
 * panics and power-off only.
 */
#define BOOT_CALL_LOG      UINT32_C(0x0) /* gpa of struct boot_log */
#define BOOT_CALL_POWEROFF UINT32_C(0x4) /* value is ignored; never returns */
#define BOOT_CALL_MARK     UINT32_C(0x8) /* value: a phase number, benchmarks */

struct boot_log {
    uint32_t size; /* bytes of text that follow, at most BOOT_LOG_MAX */
    char text[];
};
#define BOOT_LOG_MAX 4096

/*
 * One container. After the struct lie file_count of struct boot_file, then
 * netif_count of struct boot_netif, then their struct boot_route, then strings,
 * NUL-terminated, in this order: argv[argc], envv[envc], cwd, hostname, then
 * per file: path, data. `size` covers everything, padded to 8.
 */
struct boot_container {
    uint32_t size;  /* of the whole record, bytes, multiple of 8 */
    uint32_t flags; /* BOOT_CONT_* */
    uint32_t uid;
    uint32_t gid;
    uint32_t gid_count; /* supplementary groups used, <= BOOT_GID_MAX */
    uint32_t argc;      /* >= 1 */
    uint32_t envc;
    uint32_t file_count;
    uint32_t umask; /* 022 */
    uint16_t rows;  /* of the terminal, if BOOT_CONT_TTY */
    uint16_t cols;
    uint64_t nofile_soft; /* RLIMIT_NOFILE; 0: the kernel's default */
    uint64_t nofile_hard;
    uint32_t gids[32];
    uint32_t strings_off; /* from the start of this struct */
    uint32_t netif_count;
};
#define BOOT_GID_MAX     32
#define BOOT_CONT_TTY    (UINT32_C(1) << 0) /* stdio is a terminal (port 0) */
#define BOOT_CONT_STDIN  (UINT32_C(1) << 1) /* stdin is open; else /dev/null */
#define BOOT_CONT_REPORT (UINT32_C(1) << 2) /* send CTL_STARTED */

/* A file the monitor wants in the root, after struct boot_container: parent
 * directories are made as needed; an existing file is replaced. */
struct boot_file {
    uint32_t mode; /* permission bits */
    uint32_t size; /* bytes of data; no NUL follows */
};

struct boot_addr {
    uint8_t b[16];  /* network order; IPv4 as ::ffff:a.b.c.d */
    uint8_t prefix; /* bits; IPv4: 0..32 */
    uint8_t flags;  /* BOOT_ADDR_* */
    uint8_t pad0[2];
};
#define BOOT_ADDR_ALONE 1u /* its prefix is not on the link */

/* How the interface with this MAC address is called and set up. */
struct boot_netif {
    char name[16]; /* NUL-terminated */
    uint8_t mac[6];
    uint8_t addr_count;
    uint8_t gateway_count;
    uint32_t mtu;         /* bytes of IP */
    uint32_t route_count; /* <= BOOT_ROUTE_MAX */
    struct boot_addr addr[4];
    struct boot_addr gateway[2]; /* of different families; prefix: all bits */
};
#define BOOT_ROUTE_MAX 64

/* A route through an interface; all addresses are of one family. */
struct boot_route {
    struct boot_addr to;
    struct boot_addr via; /* router; all zeros: on the link */
    struct boot_addr src; /* preferred; all zeros: none */
    uint32_t metric;
    uint8_t protocol, scope; /* RTPROT_*, RT_SCOPE_* of rtnetlink(7) */
    uint8_t flags;           /* BOOT_ROUTE_* */
    uint8_t pad0;
};
#define BOOT_ROUTE_ONLINK 1u /* `via` is a neighbour, whatever prefixes say */

ABI_SIZE(struct boot_addr, 20);
ABI_AT(struct boot_netif, addr, 32);
ABI_SIZE(struct boot_netif, 152);
ABI_SIZE(struct boot_route, 68);
ABI_SIZE(struct boot_range, 16);
ABI_AT(struct boot_info, ram, 64);
ABI_AT(struct boot_info, seed, 192);
ABI_SIZE(struct boot_info, 256);
ABI_AT(struct boot_container, gids, 56);
ABI_SIZE(struct boot_container, 192);
