// SPDX-License-Identifier: Apache-2.0
/* Argument and environment strings on their way to a new program. */
#include "abi/linux/errno.h"

#include "guest/core/exec.h"
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/usercopy.h"

#define ARG_TOTAL_MAX  (UINT64_C(2) << 20) /* a quarter of the stack limit */
#define ARG_STRING_MAX (UINT64_C(128) << 10)
#define ARG_FIRST      1024

void exec_args_fini(struct exec_args *a)
{
    kfree(a->block);
    *a = (struct exec_args){.size = 0};
}

/* Room for `more` bytes. */
static int args_reserve(struct exec_args *a, uint64_t more)
{
    /* Pointers count too, as Linux has it. */
    uint64_t pointers = (a->argc + a->envc + 1) * sizeof(uint64_t);
    if (more > ARG_TOTAL_MAX || a->size + more + pointers > ARG_TOTAL_MAX)
        return -E2BIG;
    if (a->size + more <= a->room)
        return 0;
    uint64_t room = MAX(a->room * 2, ARG_FIRST);
    while (room < a->size + more)
        room *= 2;
    /* The largest heap block is a little under 2 MiB. */
    room = MIN(room, ARG_TOTAL_MAX - PAGE_SIZE);
    char *block = room >= a->size + more ? kmalloc(room) : NULL;
    if (block == NULL)
        return -E2BIG;
    memcpy(block, a->block, a->size);
    kfree(a->block);
    a->block = block;
    a->room = room;
    return 0;
}

int exec_args_add(struct exec_args *a, const char *s, bool env)
{
    uint64_t size = strlen(s) + 1;
    int r = args_reserve(a, size);
    if (r < 0)
        return r;
    memcpy(a->block + a->size, s, size);
    a->size += size;
    if (env)
        a->envc++;
    else
        a->argc++;
    return 0;
}

/* One user string, in pieces that grow. */
static int args_user_string(struct exec_args *a, uptr_t from, bool env)
{
    for (uint64_t max = 256;; max *= 4) {
        uint64_t part = MIN(max, ARG_STRING_MAX);
        int r = args_reserve(a, part);
        if (r < 0)
            return r;
        int64_t n = strncpy_from_user(a->block + a->size, from, part);
        if (n == -ENAMETOOLONG && part < ARG_STRING_MAX)
            continue;
        if (n < 0)
            return n == -ENAMETOOLONG ? -E2BIG : (int)n;
        a->size += (uint64_t)n + 1;
        if (env)
            a->envc++;
        else
            a->argc++;
        return 0;
    }
}

static int args_user_array(struct exec_args *a, uptr_t array, bool env)
{
    for (; array.v != 0; array.v += sizeof(uint64_t)) {
        uint64_t s;
        int r = get_user_u64(&s, array);
        if (r < 0 || s == 0)
            return r;
        r = args_user_string(a, uptr(s), env);
        if (r < 0)
            return r;
        sched_point();
    }
    return 0;
}

int exec_args_user(struct exec_args *a, uptr_t argv, uptr_t envv)
{
    int r = args_user_array(a, argv, false);
    if (r == 0 && a->argc == 0)
        r = exec_args_add(a, "", false); /* as Linux since 5.18 */
    return r < 0 ? r : args_user_array(a, envv, true);
}
