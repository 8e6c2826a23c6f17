// SPDX-License-Identifier: Apache-2.0
/* Intrusive doubly-linked ring; a head is a node that is not in an object. */
#pragma once

#include "guest/core/types.h"

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_INIT(name)                                                        \
    {                                                                          \
        &(name), &(name)                                                       \
    }

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Insert `n` before `at`: with at = head, at the end. */
static inline void list_add_tail(struct list *at, struct list *n)
{
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}

static inline void list_add_head(struct list *at, struct list *n)
{
    list_add_tail(at->next, n);
}

/* Takes out and leaves `n` a ring of its own: removing twice is harmless. */
static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

/* `it` is a struct list *; the safe form allows removing `it`. */
#define LIST_FOR(it, head)                                                     \
    for (struct list *it = (head)->next; it != (head); it = it->next)
#define LIST_FOR_SAFE(it, tmp, head)                                           \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head);        \
         it = tmp, tmp = it->next)
