// SPDX-License-Identifier: Apache-2.0
/* Sessions as objects. setsid(2). */
#include "guest/core/kmem.h"
#include "guest/core/task.h"

struct session *session_new(int32_t id)
{
    struct session *s = kzalloc(sizeof(*s));

    if (s != NULL) {
        s->id = id;
        s->refs = 1;
    }
    return s;
}

void session_get(struct session *s)
{
    __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
}

void session_put(struct session *s)
{
    if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(s);
}
