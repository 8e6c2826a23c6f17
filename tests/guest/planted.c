// SPDX-License-Identifier: Apache-2.0
/*
 * A kernel with bugs, for panic_test.py: sethostname(2) dies in a way that
 * the name's length chooses. Linked with --wrap=sys_sethostname.
 */
#include "guest/core/log.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/types.h"

enum {
    PLANT_PANIC = 1,
    PLANT_FAULT,
    PLANT_UNDEFINED,
    PLANT_ASSERT,
    PLANT_STACK,
};

#define NOWHERE UINT64_C(0xffffa00000000000) /* kernel half, never mapped */

int64_t __wrap_sys_sethostname(const uint64_t *a);

int64_t __wrap_sys_sethostname(const uint64_t *a)
{
    switch (a[1]) {
    case PLANT_PANIC: panic("planted %d", 42);
    case PLANT_FAULT: *(volatile uint32_t *)NOWHERE = 1; break;
    case PLANT_UNDEFINED: __builtin_trap();
    case PLANT_ASSERT: KASSERT(a[1] != PLANT_ASSERT); break;
    case PLANT_STACK: /* as frames that need more than there is */
        *(volatile uint64_t *)current()->stack = 0;
        sched_prepare(TASK_SLEEPING);
        sched_sleep();
        break;
    default: break;
    }
    return 0;
}
