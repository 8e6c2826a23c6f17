// SPDX-License-Identifier: Apache-2.0
/*
 * The keeper's child: everything that reads what guests and the world send.
 * It has no rights, an empty root, a system call filter, and only the sockets
 * it is handed. One message, with at most one fd, per SOCK_SEQPACKET packet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum helper_kind {
    HELPER_PROXY = 1, /* fd: a socket of a published port of `vm` */
    HELPER_DROP,      /* everything of `vm` goes */
    HELPER_LISTEN,    /* fd: where network `vm` asks for names */
    HELPER_LEAVE,     /* network `vm` has no resolver any more */
    HELPER_NETWORK,   /* struct dnszone_network */
    HELPER_VM,        /* struct dnszone_vm */
    HELPER_SERVERS,   /* struct dnszone_servers */
    HELPER_AFTER,     /* fd: closed when all before is done */
};

struct helper_msg {
    uint32_t kind; /* enum helper_kind */
    uint32_t vm;   /* number of an interface or network, the keeper's */
    uint8_t udp, v6;
    uint16_t port;    /* in the guest, host order */
    uint8_t addr[16]; /* of the guest; IPv4: the first 4 */
};

/* Start it. Returns our end of the socket; *pid. */
int helper_start(int empty_dir, int *pid, struct err *e);
int helper_send(int fd, const struct helper_msg *m, int pass);
/* Any of them: `data` starts with its kind. `pass`: an fd, or -1. */
int helper_send_data(int fd, const void *data, size_t size, int pass);

/* --- jail.c --- */
/* Give everything up but what a proxy needs. `empty` becomes the root. */
int jail_enter(int empty, struct err *e);
/* The same for a process that has all it needs: no files and no new sockets;
 * without root it keeps its user. It may end `victim` (a pid; 0: nobody). */
int jail_shut(int victim, struct err *e);
