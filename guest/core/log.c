// SPDX-License-Identifier: Apache-2.0
#include "guest/core/log.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/klib.h"
#include "guest/core/lock.h"
#include "guest/core/main.h"

#define KLOG_LINE 256

static enum klog_level klog_max = KLOG_INFO;
static void (*klog_sink)(const char *text, unsigned size);
static uint32_t panicking; /* 1 + the CPU that panics */

void klog_set_level(enum klog_level max)
{
    klog_max = max;
}

void klog_set_sink(void (*out)(const char *text, unsigned size))
{
    klog_sink = out;
}

static void klog_text(const char *text, unsigned size)
{
    if (klog_sink != NULL && panicking == 0)
        klog_sink(text, size);
    else
        arch_log(text, size);
}

static void klog_line(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

static void klog_line(const char *fmt, va_list ap)
{
    char line[KLOG_LINE];
    nsec_t now = arch_clock();
    int n = ksnprintf(line, sizeof(line), "[%5u.%06u] ",
                      (unsigned)(now / NSEC_PER_SEC),
                      (unsigned)(now % NSEC_PER_SEC / 1000));
    int m = kvsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    size_t len = MIN((size_t)n + (size_t)m, sizeof(line) - 2);
    line[len++] = '\n';
    klog_text(line, (unsigned)len);
}

void klog(enum klog_level level, const char *fmt, ...)
{
    if (level > klog_max)
        return;
    va_list ap;
    va_start(ap, fmt);
    klog_line(fmt, ap);
    va_end(ap);
}

static void panic_line(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static void panic_line(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    klog_line(fmt, ap);
    va_end(ap);
}

void panic(const char *fmt, ...)
{
    (void)arch_irq_save();
    uint32_t self = arch_this_cpu()->id + 1;
    uint32_t first = 0;
    if (!__atomic_compare_exchange_n(&panicking, &first, self, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        while (first != self)
            arch_pause(); /* it will power off */
        arch_poweroff();  /* a panic inside the panic */
    }

    char reason[CTL_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)kvsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    panic_line("kernel panic: %s", reason);

    uint64_t trace[16];
    unsigned count = arch_backtrace(trace, ARRAY_COUNT(trace));
    for (unsigned i = 0; i < count; i++)
        panic_line("  [<%016lx>]", (unsigned long)trace[i]);
    /* No CTL_EXIT: its path takes locks that this CPU may hold. The monitor
     * knows a panic by the line above and power-off without a frame. */
    arch_poweroff();
}
