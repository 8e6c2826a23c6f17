// SPDX-License-Identifier: Apache-2.0
/*
 * The container's terminal (-t): a tty over the console port. Its input is
 * fed by a kernel task, so that the line discipline never runs in an
 * interrupt.
 */
#include "abi/linux/errno.h"

#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/fs/fs.h"
#include "guest/fs/tty_impl.h"
#include "guest/virtio/console.h"

struct tty *tty_console;

static uint32_t new_size; /* rows << 16 | cols to be set, or 0; atomic */
static bool blocked;      /* the terminal takes no input; atomic */

static size_t console_tty_write(struct tty *t, const void *data, size_t n)
{
    (void)t;
    return console_write(BOOT_PORT_STDIO, data, n);
}

static size_t console_tty_room(struct tty *t)
{
    (void)t;
    return console_room(BOOT_PORT_STDIO);
}

static size_t console_tty_queued(struct tty *t)
{
    (void)t;
    return console_queued(BOOT_PORT_STDIO);
}

static void console_tty_unthrottle(struct tty *t)
{
    (void)t;
    __atomic_store_n(&blocked, false, __ATOMIC_RELEASE);
    waitq_wake(console_in_waitq(BOOT_PORT_STDIO), 0, WAKE_ALL);
}

static void console_tty_nothing(struct tty *t)
{
    (void)t;
}

static const struct tty_driver console_driver = {
    .write = console_tty_write,
    .room = console_tty_room,
    .queued = console_tty_queued,
    .unthrottle = console_tty_unthrottle,
    .closed = console_tty_nothing,
    .free = console_tty_nothing,
};

/* Interrupt context. */
static void console_winsize(uint16_t rows, uint16_t cols)
{
    __atomic_store_n(&new_size, (uint32_t)rows << 16 | cols, __ATOMIC_RELEASE);
    waitq_wake(console_in_waitq(BOOT_PORT_STDIO), 0, WAKE_ALL);
}

static bool console_has_work(void)
{
    const char *at;
    if (__atomic_load_n(&new_size, __ATOMIC_ACQUIRE) != 0)
        return true;
    return !__atomic_load_n(&blocked, __ATOMIC_ACQUIRE) &&
           console_peek(BOOT_PORT_STDIO, &at) > 0;
}

static void console_feed(void)
{
    const char *at;
    size_t n = console_peek(BOOT_PORT_STDIO, &at);
    if (n == 0)
        return;
    /* Before the attempt: unthrottle may come right after it. */
    __atomic_store_n(&blocked, true, __ATOMIC_RELEASE);
    size_t taken = tty_input(tty_console, at, n);
    if (taken == n)
        __atomic_store_n(&blocked, false, __ATOMIC_RELEASE);
    console_skip(BOOT_PORT_STDIO, taken);
}

static void console_task(void *arg)
{
    (void)arg;
    for (;;) {
        int r;
        WAIT_FOR(r, console_in_waitq(BOOT_PORT_STDIO), console_has_work(),
                 WAIT_DEADLY, NSEC_NEVER);
        uint32_t size = __atomic_exchange_n(&new_size, 0, __ATOMIC_ACQ_REL);
        if (r == 0 && size != 0) {
            struct lx_winsize w = {.row = (uint16_t)(size >> 16),
                                   .col = (uint16_t)size};
            tty_set_winsize(tty_console, &w);
        }
        if (r == 0 && !__atomic_load_n(&blocked, __ATOMIC_ACQUIRE))
            console_feed();
        sched_point();
    }
}

int tty_console_start(void)
{
    struct tty *t = tty_new(&console_driver, LX_MKDEV(5, 1));
    if (t == NULL)
        return -ENOMEM;
    t->out = console_out_waitq(BOOT_PORT_STDIO);
    tty_console = t;
    struct task *feeder = task_new_kernel("console", console_task, NULL);
    if (feeder == NULL || console_prepare_in(BOOT_PORT_STDIO) < 0 ||
        console_prepare_out(BOOT_PORT_STDIO) < 0)
        return -ENOMEM;
    ctl_set_winsize(console_winsize);
    sched_start(feeder);
    return 0;
}
