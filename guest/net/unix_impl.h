// SPDX-License-Identifier: Apache-2.0
/*
 * Between the files of AF_UNIX. unix_lock, a spinlock, guards every field here
 * that does not say otherwise, reference counts too: it is held for a few
 * instructions per message, and peers never need a second lock. Data are
 * copied before they are queued and after they were taken, without it; a
 * reader holds read_lock meanwhile, which keeps the packet it looks at.
 */
#pragma once

#include "guest/core/list.h"
#include "guest/core/lock.h"
#include "guest/fs/path.h"
#include "guest/net/socket.h"

enum unix_state { UNIX_CLOSE, UNIX_LISTEN, UNIX_ESTABLISHED };

#define UNIX_SHUT_RECV 1u
#define UNIX_SHUT_SEND 2u
#define UNIX_SHUT_BOTH 3u

#define UNIX_DGRAM_MAX 10u /* net.unix.max_dgram_qlen */

struct unix_name { /* shared by a listener and what it accepts */
    uint32_t refs;
    struct net_addr addr;
};

struct unix_cred { /* who was at the other end, SO_PEERCRED; refs: unix_lock */
    uint32_t refs;
    struct lx_ucred cred;
    uint32_t group_count;
    uint32_t groups[];
};

struct unix_sock {
    struct socket s; /* first */
    uint32_t refs;
    enum unix_state state;
    uint32_t shut; /* UNIX_SHUT_* */
    bool dead;     /* released */
    bool once;     /* a datagram socket that was connected */
    struct list all_node;
    struct list hash_node; /* while the name is ours */
    struct unix_name *name;
    const struct inode *inode; /* of the name, held by `path`, or NULL */
    struct path path;
    struct unix_sock *peer;  /* reference */
    struct list senders;     /* datagram sockets whose peer we are */
    struct list sender_node; /* in peer->senders */
    struct list queue;       /* struct unix_packet */
    uint32_t queue_count;
    uint64_t queue_bytes;
    uint64_t sent;       /* bytes charged for what nobody has read */
    struct list pending; /* listener: by pending_node, not accepted */
    struct list pending_node;
    uint32_t pending_count, backlog;
    struct waitq room_wait; /* others, for room in our queue */
    struct unix_cred *cred, *peer_cred;
    struct mutex read_lock;
    int32_t peek_off;  /* SO_PEEK_OFF: where the next MSG_PEEK starts, or -1 */
    uint32_t inflight; /* times our file is in a queue: unix_gc.c */
    uint32_t gc_refs;
    bool gc_candidate;
    struct list gc_node;
};

struct unix_packet {
    struct list node;
    struct unix_sock *from; /* reference, charged; NULL: not queued yet */
    struct control control;
    uint32_t refs;       /* readers that peek hold one */
    uint32_t size, off;  /* bytes; how many were read (stream) */
    uint32_t charge;     /* bytes of memory */
    uint32_t chunk_size; /* bytes a chunk holds; 0: the data are here */
    uint8_t *chunks[];   /* page blocks, owned */
};

extern struct spinlock unix_lock;
extern struct list unix_all;

static inline struct unix_sock *unix_of(struct socket *s)
{
    return CONTAINER_OF(s, struct unix_sock, s);
}

/* --- unix.c; unix_lock held for get and put --- */
struct unix_sock *unix_new(uint16_t type); /* refs 1; NULL: memory */
void unix_get(struct unix_sock *u);
void unix_put(struct unix_sock *u);
struct unix_cred *unix_cred_new(void); /* of the current process */
void unix_cred_put(struct unix_cred *c);
/* Everybody who waits for anything at `u`. */
void unix_wake_all(struct unix_sock *u, uint32_t events);
/* Who listens at `a` (checked): *out with a reference. -ECONNREFUSED,
 * -EPROTOTYPE, errors of paths. Not under unix_lock. */
int unix_find(const struct net_addr *a, uint16_t type, struct unix_sock **out);

/* --- unix_name.c; not under unix_lock --- */
int unix_addr_check(const struct net_addr *a);
int unix_bind(struct socket *s, const struct net_addr *a);
int unix_autobind(struct unix_sock *u); /* 0 too if it has a name */
void unix_unbind(struct unix_sock *u);  /* unix_lock held: off the table */
int unix_name_of(struct socket *s, bool peer, struct net_addr *out);

/* --- unix_conn.c --- */
int unix_connect(struct socket *s, const struct net_addr *a, bool nonblock);
int unix_listen(struct socket *s, int backlog);
int unix_accept(struct socket *s, bool nonblock, struct socket **out);
int unix_shutdown(struct socket *s, int how);
int unix_pair(struct socket *a, struct socket *b);
void unix_release(struct socket *s);
/* A datagram socket's peer changes (NULL: none); unix_lock held. */
void unix_set_peer(struct unix_sock *u, struct unix_sock *peer);

/* --- unix_packet.c --- */
/* `size` bytes from `u`; the control, if not NULL, is taken over. 0, -ENOBUFS,
 * -EFAULT. */
int unix_packet_new(struct uio *u, uint32_t size, struct unix_packet **out);
/* Bytes [off, off + n) to the program: n, or -EFAULT. */
int64_t unix_packet_read(const struct unix_packet *p, uint32_t off, uint32_t n,
                         struct uio *u);
/* unix_lock held: it is charged to `from` and readable at `to`. */
void unix_packet_push(struct unix_sock *to, struct unix_sock *from,
                      struct unix_packet *p);
/* unix_lock held: take it out of the queue of `u`. */
void unix_packet_remove(struct unix_sock *u, struct unix_packet *p);
/* Drop a reference; with the last one memory and charge go. Not under
 * unix_lock. */
void unix_packet_put(struct unix_packet *p);

/* --- unix_send.c, unix_recv.c --- */
int64_t unix_send(struct socket *s, struct message *m);
int64_t unix_recv(struct socket *s, struct message *m);
bool unix_has_room(const struct unix_sock *u);   /* EPOLLOUT; unix_lock held */
bool unix_queue_full(const struct unix_sock *u); /* for datagrams of others */

/* --- unix_gc.c; unix_lock held, but for unix_gc --- */
/* May the current process send so many more? -ETOOMANYREFS, -ENOMEM. */
int unix_inflight_check(uint32_t uid, uint32_t count);
void unix_inflight_add(const struct scm_files *s);
void unix_inflight_sub(const struct scm_files *s);
/* Sockets that only sockets in flight refer to lose what they hold. */
void unix_gc(void);
