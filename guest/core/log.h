// SPDX-License-Identifier: Apache-2.0
/* Kernel messages and the end of the kernel. */
#pragma once

#include <stdbool.h>

enum klog_level { KLOG_ERROR, KLOG_WARN, KLOG_INFO, KLOG_DEBUG };

/* One line (newline added) to the monitor's log: by a CTL_LOG frame once the
 * console runs, by BOOT_CALL_LOG before and in a panic. What a program can
 * trigger is KLOG_DEBUG and rate-limited. Any context. */
void klog(enum klog_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Level that is still printed; default KLOG_INFO. */
void klog_set_level(enum klog_level max);

/* Where lines go once there is a device; NULL: BOOT_CALL_LOG. `out` may be
 * called from any context and must not block. */
void klog_set_sink(void (*out)(const char *text, unsigned size));

/* Reason and backtrace to the log, power off without a CTL_EXIT. */
_Noreturn void panic(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), cold));

/* For our own bugs only, never for what a program asked. */
#define KASSERT(cond)                                                          \
    do {                                                                       \
        if (__builtin_expect(!(cond), 0))                                      \
            panic("%s:%d: %s", __FILE__, __LINE__, #cond);                     \
    } while (0)
