// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets without their protocols: what a family (net/unix.h) gives and what
 * the system calls (sys/socket.c) use. Families are a table in socket.c.
 */
#pragma once

#include "abi/linux/socket.h"

#include "guest/core/types.h"
#include "guest/core/wait.h"

struct file;
struct message;
struct poll_table;
struct socket;
struct uio;

#define SOCKET_BUFFER 212992u /* net.core.{r,w}mem_{default,max} */
#define SOMAXCONN     4096

struct net_addr {
    uint32_t size; /* bytes of data; 0: none */
    union {
        uint16_t family;
        uint8_t data[128];
    };
};

struct socket_option {
    int level, name;
    bool set;
    uptr_t value;  /* get: a buffer of `size` bytes */
    uint32_t size; /* in: what the program gave; get, out: used */
};

/* Connections. 0 or -errno; `nonblock` as of the file or the call. */
struct socket_ops {
    int (*bind)(struct socket *s, const struct net_addr *a);
    int (*connect)(struct socket *s, const struct net_addr *a, bool nonblock);
    int (*listen)(struct socket *s, int backlog);
    /* *out: a socket without a file, the caller's. */
    int (*accept)(struct socket *s, bool nonblock, struct socket **out);
    int (*name)(struct socket *s, bool peer, struct net_addr *out);
    int (*shutdown)(struct socket *s, int how); /* LX_SHUT_* */
};

/* Data, and what a file is asked. */
struct socket_io_ops {
    /* Bytes or -errno. What m->control holds stays the caller's, unless it was
     * set to NULL. */
    int64_t (*send)(struct socket *s, struct message *m);
    int64_t (*recv)(struct socket *s, struct message *m);
    uint32_t (*poll)(struct socket *s, struct poll_table *pt); /* no sleep */
    int64_t (*ioctl)(struct socket *s, uint32_t cmd, uint64_t arg);
    /* Asked first; -ENOPROTOOPT at SOL_SOCKET: the common ones serve. */
    int (*option)(struct socket *s, struct socket_option *o);
    void (*release)(struct socket *s); /* its file is gone */
};

struct socket { /* first in the family's object */
    const struct socket_ops *ops;
    const struct socket_io_ops *io;
    uint16_t family, type, protocol;
    bool listening;          /* SO_ACCEPTCONN */
    uint64_t options;        /* bit n: SO_ number n is on */
    uint32_t sndbuf, rcvbuf; /* bytes, as getsockopt tells */
    uint32_t rcvlowat, mark;
    int32_t priority;
    int32_t error; /* positive errno, told once; atomic */
    struct lx_linger linger;
    nsec_t send_timeout, recv_timeout; /* NSEC_NEVER: none */
    struct waitq in_wait;              /* data, connections, hang-ups, errors */
    struct waitq out_wait;             /* room to send */
    struct file *file;                 /* borrowed; NULL before accept */
};

static inline bool socket_option_on(const struct socket *s, int name)
{
    return (s->options >> name & 1) != 0;
}

struct net_family {
    uint16_t family;
    int (*create)(uint32_t type, int protocol, struct socket **out);
    int (*pair)(struct socket *a, struct socket *b); /* or -EOPNOTSUPP */
};

/* Files and credentials that travel with a message. */
struct control {
    struct scm_files *files; /* owned, or NULL */
    struct lx_ucred cred;
    bool has_cred;
    /* Messages of other levels, as they lie in memory (CMSG_ALIGN): of a send
     * all that the program gave, checked as a chain; of a receive what the
     * protocol adds (control_add). Owned, or NULL. */
    uint8_t *raw;
    uint32_t raw_size;
};

struct scm_files {
    uint32_t uid; /* who has them in flight */
    uint32_t count;
    struct file *files[]; /* references */
};

struct message {
    struct uio *u;
    uint32_t flags;        /* LX_MSG_*; O_NONBLOCK is there as DONTWAIT */
    uint32_t got;          /* recv: LX_MSG_TRUNC */
    struct net_addr *addr; /* send: to whom, or NULL. recv: from whom if not
                              NULL; size 0: no name */
    struct control control;
};

/* --- socket.c --- */
/* Fields that all have; `s` is zeroed. */
void socket_init(struct socket *s, uint16_t family, uint16_t type);
int socket_create(int family, uint32_t type, int protocol, struct socket **out);
const struct net_family *net_family_find(int family); /* NULL: not ours */
/* O_RDWR file for `s`, which is released on failure. flags: O_NONBLOCK. */
int socket_file_new(struct socket *s, uint32_t flags, struct file **out);
struct socket *socket_of(const struct file *f); /* NULL: not one */
/* The pending error as -errno, taken; 0: none. */
int socket_error(struct socket *s);
/* Why a wait with `timeout` (s->send_timeout ...) ended: -EAGAIN, and -EINTR
 * instead of a restart if there was one. socket(7). */
int socket_wait_error(int r, nsec_t timeout);
nsec_t socket_deadline(nsec_t timeout);

/* --- option.c --- */
int socket_option(struct socket *s, struct socket_option *o);
/* The `n` bytes of a value that is set; it may have more. 0, -EINVAL:
 * fewer were, -EFAULT. */
int socket_option_get(const struct socket_option *o, void *to, uint32_t n);
/* Give a value of `n` bytes, cut to what was asked for. 0 or -EFAULT. */
int socket_option_put(struct socket_option *o, const void *from, uint32_t n);

/* --- control.c --- */
/* Read `size` bytes of control messages (sendmsg(2), unix(7)). On failure
 * nothing is left in *c. */
int control_get(struct control *c, uptr_t from, uint64_t size);
void control_fini(struct control *c);     /* puts the files */
void scm_files_free(struct scm_files *s); /* with the files; NULL is fine */
/* Give *c to the program: into `to`, room *size, which becomes what was
 * used. Flags LX_MSG_CTRUNC or 0. Descriptors are made; the files leave *c. */
uint32_t control_put(struct control *c, bool want_cred, uptr_t to,
                     uint64_t *size, bool cloexec);
/* Another message for who receives; lost when memory is. */
void control_add(struct control *c, int level, int type, const void *data,
                 uint32_t size);
/* Who the current process is. */
struct lx_ucred ucred_current(void);
