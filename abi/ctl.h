// SPDX-License-Identifier: Apache-2.0
/*
 * Control frames. The same frames travel on two wires:
 *  - guest <-> monitor: the byte stream of console port BOOT_PORT_CTL;
 *  - monitor <-> CLI or supervisor: one frame per SOCK_SEQPACKET message on
 *    the VM's unix socket (any number of clients; EXIT goes to all of them).
 * The guest is hostile: the monitor checks size and type before use.
 */
#pragma once

#include "abi/abi.h"
#include "abi/boot.h"

enum ctl_type {
    CTL_EXIT = 1,      /* guest -> monitor -> clients: struct ctl_exit */
    CTL_SIGNAL = 2,    /* client -> monitor -> guest: struct ctl_signal */
    CTL_WINSIZE = 3,   /* client -> monitor -> guest: struct ctl_winsize */
    CTL_LOG = 4,       /* guest -> monitor: kernel message text for its log */
    CTL_STDIN_EOF = 5, /* monitor -> guest: port 0 will send no more bytes;
                          payload: u64, bytes sent on port 0 before it */
    CTL_STARTED = 6,   /* guest -> monitor -> clients: the main program runs;
                          only if BOOT_CONT_REPORT asked for it */
    CTL_KILLED = 7,    /* guest -> monitor -> clients: a process other than
                          the main one was killed for memory; payload: text
                          that names it, at most CTL_MSG_MAX bytes */
    /* client, with a tap's fd (SCM_RIGHTS) -> monitor -> guest: struct ctl_net.
     * An interface appears while the VM runs. */
    CTL_NET_ADD = 8,
    /* client -> monitor -> guest: struct ctl_net_slot. It goes. */
    CTL_NET_REMOVE = 9,
    /* guest -> monitor -> the client who asked: struct ctl_net_done */
    CTL_NET_DONE = 10,
};

/* CTL_STARTED and CTL_KILLED a monitor passes on per VM, no more: a socket
 * queues ten messages (unix(7)), and CTL_EXIT must find room. */
#define CTL_NOTICES_MAX 8

#define CTL_FRAME_MAX 1024 /* bytes, header included */

struct ctl_header {
    uint32_t type; /* enum ctl_type */
    uint32_t size; /* payload bytes after this header */
};

enum ctl_exit_kind {
    CTL_EXITED = 0,    /* code = exit status 0..255 */
    CTL_SIGNALLED = 1, /* code = signal number */
    CTL_PANIC = 2,     /* kernel panic, message says why */
    CTL_NOEXEC = 3,    /* main program did not start: code = errno */
    CTL_OOM = 4,       /* main program killed for memory; code = signal */
    CTL_MONITOR = 5,   /* made by the monitor: the VM died, message says why */
};

/* CPU 0's counter at the milestones, and what the run used. */
struct ctl_exit {
    uint32_t kind; /* enum ctl_exit_kind */
    uint32_t code;
    uint64_t entry_tsc; /* first guest instruction */
    uint64_t user_tsc;  /* first user instruction; 0: never */
    uint64_t exit_tsc;  /* main program ended */
    uint64_t ram_used;  /* bytes of RAM the kernel ever took from its pool */
    uint32_t exits;     /* monitor fills in: vCPU exits until user_tsc */
    uint32_t msg_size;  /* bytes of text that follow, no NUL */
};
#define CTL_MSG_MAX 256

struct ctl_signal {
    uint32_t signo; /* 1..64, sent to the main program */
    uint32_t pad0;
};

struct ctl_winsize {
    uint16_t rows;
    uint16_t cols;
    uint32_t pad0;
};

/*
 * A place for an interface (docs/vmm.md, "Networks of a running VM"): one of
 * those the VM started with, or one that waits in the device tree as
 * "limpet,spare" (docs/boot.md).
 */
struct ctl_net_slot {
    uint32_t serial; /* monitor fills in; the guest's answer has it again */
    uint32_t slot;   /* 0: the first interface */
    uint64_t regs;   /* monitor fills in: gpa of the device's registers */
    uint32_t flags;  /* CTL_NET_* */
    uint32_t pad0;
};
#define CTL_NET_OFFLOAD (UINT32_C(1) << 0) /* the tap does checksums, TSO */
#define CTL_NET_USO     (UINT32_C(1) << 1) /* and USO */
#define CTL_NET_FORCE   (UINT32_C(1) << 2) /* do not wait for the guest */

struct ctl_net {
    struct ctl_net_slot at;
    struct boot_netif netif;
};

struct ctl_net_done {
    uint32_t serial;
    int32_t error; /* 0, or -errno */
};

/*
 * Ports of our virtio-console (virtio 1.2, 5.3). With a preset device the port
 * handshake of the control queues is not used: these ports simply exist.
 */
enum boot_port {
    BOOT_PORT_STDIO = 0,  /* to guest: stdin; from guest: stdout or the tty */
    BOOT_PORT_STDERR = 1, /* from guest only */
    BOOT_PORT_CTL = 2,    /* both ways: control frames */
    BOOT_PORT_COUNT = 3,
};

ABI_SIZE(struct ctl_header, 8);
ABI_SIZE(struct ctl_exit, 48);
ABI_SIZE(struct ctl_signal, 8);
ABI_SIZE(struct ctl_winsize, 8);
ABI_SIZE(struct ctl_net_slot, 24);
ABI_SIZE(struct ctl_net, 176);
ABI_SIZE(struct ctl_net_done, 8);
