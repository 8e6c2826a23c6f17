// SPDX-License-Identifier: Apache-2.0
/* The monitor's configuration (docs/vmm.md): JSON -> structs. Every limit is
 * checked here and only here. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/virtio/net.h"

struct err;

enum {
    CONFIG_IMAGES_MAX = 160,
    CONFIG_DISKS_MAX = 16,
    CONFIG_GIDS_MAX = 32,
    CONFIG_NETS_MAX = 8,
    CONFIG_NET_ADDRS_MAX = 4,
    CONFIG_NET_ROUTES_MAX = 64,
    CONFIG_SIZE_MAX = 1 << 20,
};

struct config_disk {
    int fd;
    bool readonly;
};

/* An address as the guest gets it: IPv4 as ::ffff:a.b.c.d. */
struct config_addr {
    uint8_t b[16];
    uint8_t prefix; /* of its family */
    bool alone;     /* its prefix is not on the link */
};

/* A route of the guest; addresses are of one family. */
struct config_route {
    struct config_addr to, via, src; /* via, src: zeros for none */
    uint32_t metric;
    uint8_t protocol, scope; /* rtnetlink(7) */
    bool onlink;
};

/* One network interface; checked. */
struct config_net {
    int fd;
    enum virtio_net_frames frames;
    char name[16];
    uint8_t mac[6];
    uint16_t mtu;
    uint64_t rate; /* bits a second, each way; 0: no limit */
    unsigned addr_count;
    struct config_addr addr[CONFIG_NET_ADDRS_MAX];
    unsigned gateway_count; /* of different families */
    struct config_addr gateway[2];
    unsigned route_count;
    struct config_route route[CONFIG_NET_ROUTES_MAX];
};

struct config_stdio {
    int stdin_fd;
    int stdout_fd;
    int stderr_fd;
    int log_fd;
    bool tty;
    uint16_t rows;
    uint16_t cols;
};

/* Strings are borrowed from vm_config.root. */
struct config_container {
    const json_t *args; /* arrays of strings without NUL, args not empty */
    const json_t *env;
    const json_t *files; /* array of {path, mode, data}, checked */
    const char *cwd;
    const char *hostname;
    uint32_t uid;
    uint32_t gid;
    uint32_t gid_count;
    uint32_t gids[CONFIG_GIDS_MAX];
    uint32_t umask;
    bool tty;
    bool has_stdin;
    bool report_start;  /* CTL_STARTED */
    uint64_t nofile[2]; /* soft, hard; 0: the kernel's default */
};

/* All fds are borrowed; -1: none. */
struct vm_config {
    json_t *root; /* owned */
    const char *name;
    int kvm_fd;
    int kernel_fd;
    bool stock;          /* kernel_fd is a stock Linux, with: */
    int initrd_fd;       /* what the container's archive is appended to */
    const char *cmdline; /* after our own arguments */
    int symbols_fd;
    uint64_t memory;
    uint32_t vcpus;
    unsigned image_count;
    int image_fd[CONFIG_IMAGES_MAX];
    unsigned disk_count;
    struct config_disk disk[CONFIG_DISKS_MAX];
    unsigned net_count;
    struct config_net net[CONFIG_NETS_MAX];
    unsigned net_spare; /* places for more of them, while it runs */
    struct config_stdio stdio;
    int client_fd;
    int listen_fd;
    int lock_fd;
    int exit_fd;
    int vmm_log_fd;
    int phases_fd;
    int cpuid_cache_fd;
    struct config_container container;
};

/* Parse `size` bytes of JSON; not trusted. -EINVAL with a message naming the
 * key. config_fini() in any case. */
int config_parse(struct vm_config *c, const char *text, size_t size,
                 struct err *e);
void config_fini(struct vm_config *c);

/* config_net.c: its "net", for config_parse(). */
int config_parse_nets(const json_t *root, struct vm_config *c, struct err *e);

/* Every fd the configuration names, without -1; returns how many (at most
 * `max` are stored). */
unsigned config_fds(const struct vm_config *c, int *out, unsigned max);
