// SPDX-License-Identifier: Apache-2.0
/*
 * Files in flight. A socket all of whose references are in queues of sockets
 * that are themselves unreachable can never be used again; sendmsg(2) can build
 * such rings. Found as in Bacon's cycle collection: take away the references
 * that come from candidates' own queues; who has any left is reachable, and so
 * is what it holds.
 */
#include "abi/linux/errno.h"
#include "abi/linux/fcntl.h"

#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/net/unix_impl.h"

#define USERS    256u
#define AT_LEAST 64u /* sockets in flight that are looked at at once */

static struct list inflight = LIST_INIT(inflight); /* unix_sock.gc_node */
static uint32_t inflight_count, gc_calls;
/* Files in flight by uid, hashed: a limit needs no more. */
static uint32_t user_files[USERS];

static struct unix_sock *unix_of_file(const struct file *f)
{
    struct socket *s = socket_of(f);
    return s != NULL && s->family == LX_AF_UNIX ? unix_of(s) : NULL;
}

int unix_inflight_check(uint32_t uid, uint32_t count)
{
    const struct process *p = current()->proc;
    uint64_t limit = p->rlimits[LX_RLIMIT_NOFILE].cur;
    (void)count;
    if (__atomic_load_n(&user_files[uid % USERS], __ATOMIC_RELAXED) <= limit ||
        cred_capable(p, LX_CAP_SYS_RESOURCE) ||
        cred_capable(p, LX_CAP_SYS_ADMIN))
        return 0;
    return -ETOOMANYREFS;
}

void unix_inflight_add(const struct scm_files *s)
{
    user_files[s->uid % USERS] += s->count;
    for (uint32_t i = 0; i < s->count; i++) {
        struct unix_sock *u = unix_of_file(s->files[i]);
        if (u == NULL || u->inflight++ != 0)
            continue;
        list_add_tail(&inflight, &u->gc_node);
        inflight_count++;
    }
}

void unix_inflight_sub(const struct scm_files *s)
{
    user_files[s->uid % USERS] -= s->count;
    for (uint32_t i = 0; i < s->count; i++) {
        struct unix_sock *u = unix_of_file(s->files[i]);
        if (u == NULL || --u->inflight != 0)
            continue;
        list_remove(&u->gc_node);
        inflight_count--;
    }
}

/* --- collection; unix_lock held --- */

/* fn for each candidate whose file is in a queue of `u`. */
static void each_in_queue(const struct unix_sock *u, struct list *work,
                          void (*fn)(struct unix_sock *child,
                                     struct list *work))
{
    LIST_FOR(it, &u->queue)
    {
        const struct scm_files *s =
            LIST_ENTRY(it, struct unix_packet, node)->control.files;
        for (uint32_t i = 0; s != NULL && i < s->count; i++) {
            struct unix_sock *child = unix_of_file(s->files[i]);
            if (child != NULL && child->gc_candidate)
                fn(child, work);
        }
    }
}

static void each_child(const struct unix_sock *u, struct list *work,
                       void (*fn)(struct unix_sock *child, struct list *work))
{
    each_in_queue(u, work, fn);
    LIST_FOR(it, &u->pending)
    each_in_queue(LIST_ENTRY(it, struct unix_sock, pending_node), work, fn);
}

static void child_less(struct unix_sock *child, struct list *work)
{
    (void)work;
    child->gc_refs--;
}

static void child_reached(struct unix_sock *child, struct list *work)
{
    child->gc_candidate = false;
    list_remove(&child->gc_node);
    list_add_tail(work, &child->gc_node);
}

static void find_garbage(void)
{
    struct list work, done;
    list_init(&work);
    list_init(&done);
    LIST_FOR(it, &inflight)
    {
        struct unix_sock *u = LIST_ENTRY(it, struct unix_sock, gc_node);
        uint32_t refs = __atomic_load_n(&u->s.file->refs, __ATOMIC_ACQUIRE);
        u->gc_refs = u->inflight;
        u->gc_candidate = refs == u->inflight;
    }
    LIST_FOR(it, &inflight)
    {
        struct unix_sock *u = LIST_ENTRY(it, struct unix_sock, gc_node);
        if (u->gc_candidate)
            each_child(u, NULL, child_less);
    }
    LIST_FOR_SAFE(it, next, &inflight)
    {
        struct unix_sock *u = LIST_ENTRY(it, struct unix_sock, gc_node);
        if (u->gc_candidate && u->gc_refs > 0)
            child_reached(u, &work);
    }
    while (!list_empty(&work)) {
        struct unix_sock *u = LIST_ENTRY(work.next, struct unix_sock, gc_node);
        list_remove(&u->gc_node);
        list_add_tail(&done, &u->gc_node);
        each_child(u, &work, child_reached);
    }
    while (!list_empty(&done)) {
        struct list *n = done.next;
        list_remove(n);
        list_add_tail(&inflight, n);
    }
}

static void drop_queue(struct unix_sock *u, struct list *dropped)
{
    LIST_FOR_SAFE(it, next, &u->queue)
    {
        struct unix_packet *p = LIST_ENTRY(it, struct unix_packet, node);
        unix_packet_remove(u, p);
        list_add_tail(dropped, &p->node);
    }
}

/* Garbage loses what is in its queues. */
static void drop_garbage(struct list *dropped)
{
    struct list garbage;
    list_init(&garbage);
    LIST_FOR_SAFE(it, next, &inflight)
    {
        if (LIST_ENTRY(it, struct unix_sock, gc_node)->gc_candidate) {
            list_remove(it);
            list_add_tail(&garbage, it);
        }
    }
    /* Emptied queues may take later ones off the list. */
    while (!list_empty(&garbage)) {
        struct list *n = garbage.next;
        struct unix_sock *u = LIST_ENTRY(n, struct unix_sock, gc_node);
        list_remove(n);
        list_add_tail(&inflight, n);
        drop_queue(u, dropped);
        LIST_FOR(p, &u->pending)
        drop_queue(LIST_ENTRY(p, struct unix_sock, pending_node), dropped);
    }
}

void unix_gc(void)
{
    struct list dropped;
    list_init(&dropped);
    spin_lock(&unix_lock);
    /* Amortized: a pass costs as much as there are sockets in flight. */
    gc_calls++;
    if (inflight_count == 0 || (uint64_t)gc_calls * AT_LEAST < inflight_count) {
        spin_unlock(&unix_lock);
        return;
    }
    gc_calls = 0;
    find_garbage();
    drop_garbage(&dropped);
    spin_unlock(&unix_lock);
    while (!list_empty(&dropped)) {
        struct unix_packet *p =
            LIST_ENTRY(dropped.next, struct unix_packet, node);
        list_remove(&p->node);
        unix_packet_put(p);
    }
}
