// SPDX-License-Identifier: Apache-2.0
/* Networks as they are kept: ROOT/networks (docs/network.md). */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

struct err;

#define STORE_DEFAULT "bridge" /* the network of who says nothing */

enum { STORE_NAME_SIZE = 64, STORE_ID_SIZE = 65, STORE_TIME_SIZE = 40 };

struct store {
    int root;     /* borrowed: directory fd of ROOT */
    int dir;      /* owned: ROOT/networks */
    int lock;     /* owned; locked if >= 0 */
    uint64_t ns;  /* inode of this network namespace */
    char tag[17]; /* names this store in aliases of links: random, kept */
};

struct store_network {
    char name[STORE_NAME_SIZE];
    char id[STORE_ID_SIZE];
    char created[STORE_TIME_SIZE]; /* RFC 3339 */
    char bridge[IFNAMSIZ];
    bool internal; /* no way out */
    bool isolated; /* its VMs do not see each other */
    bool has6;
    uint32_t mtu; /* 0: the uplink's */
    struct net_addr subnet4, gateway4, subnet6, gateway6;
    json_t *labels; /* owned object, or NULL */
};

/* `root`: directory fd of ROOT, borrowed. Makes ROOT/networks if it can. */
int store_open(struct store *s, int root, struct err *e);
void store_fini(struct store *s);

/* Between processes: everything that changes the store happens in here. Waits
 * up to 10 s. */
int store_lock(struct store *s, struct err *e);
/* The same without waiting: -EWOULDBLOCK. */
int store_trylock(struct store *s);
void store_unlock(struct store *s);

/* -EINVAL with docker's message. */
int store_check_name(const char *name, struct err *e);

/* -ENOENT "network NAME not found". By name, ID, or unique start of an ID. */
int store_read(const struct store *s, const char *ref,
               struct store_network *out, struct err *e);
int store_write(const struct store *s, const struct store_network *w,
                struct err *e);
int store_remove(const struct store *s, const struct store_network *w,
                 struct err *e);
void store_network_fini(struct store_network *w);

/* All, by name; the caller frees with store_list_free(). */
int store_list(const struct store *s, struct store_network **out, size_t *count,
               struct err *e);
void store_list_free(struct store_network *list, size_t count);

/* Made by a user, not the default. */
bool store_is_made(const struct store_network *w);

/* As `network inspect` shows it, without containers; owned, NULL: memory. */
json_t *store_json(const struct store_network *w);
