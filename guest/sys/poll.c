// SPDX-License-Identifier: Apache-2.0
/* poll(2), select(2) and their p forms. */
#include "guest/sys/poll.h"

#include "abi/linux/poll.h"
#include "abi/linux/proc.h"

#include "guest/core/kmem.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/core/timer.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/poll.h"
#include "guest/sys/calls_dev.h"
#include "guest/sys/timespec.h"

#define POLL_SMALL   8  /* files without an allocation */
#define POLL_ENTRIES 10 /* wait queues without an allocation */

struct poll_slot {
    struct file *file; /* reference held; NULL: none */
    uint32_t events;
    uint32_t revents;
};

struct poll_entry {
    struct waiter waiter;
    struct poll_wait *wait;
    struct poll_entry *next; /* allocated ones */
};

struct poll_wait {
    struct poll_table pt;
    struct waitq waitq;
    bool triggered; /* atomic */
    int error;
    unsigned used;
    struct poll_entry *more;
    struct poll_entry first[POLL_ENTRIES];
};

static bool poll_woken(struct waiter *w, uint32_t events)
{
    struct poll_wait *pw = CONTAINER_OF(w, struct poll_entry, waiter)->wait;
    (void)events;
    __atomic_store_n(&pw->triggered, true, __ATOMIC_RELEASE);
    return waitq_wake(&pw->waitq, 0, WAKE_ALL);
}

static void poll_add_queue(struct poll_table *pt, struct waitq *q)
{
    struct poll_wait *pw = CONTAINER_OF(pt, struct poll_wait, pt);
    struct poll_entry *e;
    if (pw->used < POLL_ENTRIES) {
        e = &pw->first[pw->used++];
    } else {
        e = kmalloc(sizeof(*e));
        if (e == NULL) {
            pw->error = -ENOMEM;
            return;
        }
        e->next = pw->more;
        pw->more = e;
    }
    e->wait = pw;
    waiter_init(&e->waiter);
    e->waiter.wake = poll_woken;
    waitq_add(q, &e->waiter);
}

static void poll_wait_fini(struct poll_wait *pw)
{
    for (unsigned i = 0; i < pw->used; i++)
        waitq_remove(&pw->first[i].waiter);
    while (pw->more != NULL) {
        struct poll_entry *e = pw->more;
        pw->more = e->next;
        waitq_remove(&e->waiter);
        kfree(e);
    }
}

/* One look at all files. The number that is ready. */
static int poll_scan(struct poll_slot *slots, unsigned n, struct poll_table *pt)
{
    int ready = 0;
    for (unsigned i = 0; i < n; i++) {
        struct poll_slot *s = &slots[i];
        if (s->file == NULL) {
            ready += s->revents != 0; /* EPOLLNVAL */
            continue;
        }
        uint32_t got = s->file->ops->poll(s->file, ready == 0 ? pt : NULL);
        s->revents = got & (s->events | EPOLLERR | EPOLLHUP);
        ready += s->revents != 0;
        if (i % 64 == 63)
            sched_point();
    }
    return ready;
}

/* Number of ready slots; 0: time is over; -ERESTARTSYS, -ENOMEM. */
static int poll_slots(struct poll_slot *slots, unsigned n, nsec_t deadline)
{
    struct poll_wait pw = {.pt.add = poll_add_queue};
    waitq_init(&pw.waitq);
    int ready = poll_scan(slots, n, deadline != 0 ? &pw.pt : NULL);
    while (ready == 0 && deadline != 0) {
        int r = pw.error;
        if (r == 0)
            WAIT_FOR(
                r, &pw.waitq,
                __atomic_exchange_n(&pw.triggered, false, __ATOMIC_ACQUIRE),
                WAIT_SIGNALS, deadline);
        ready = poll_scan(slots, n, NULL);
        if (ready == 0 && r < 0) {
            ready = r == -ETIMEDOUT ? 0 : r;
            break;
        }
    }
    poll_wait_fini(&pw);
    return ready;
}

static void slots_put(struct poll_slot *slots, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (slots[i].file != NULL)
            file_put(slots[i].file);
}

/* --- time and signal masks --- */

nsec_t deadline_from_ms(int64_t ms)
{
    if (ms < 0)
        return NSEC_NEVER;
    return ms == 0 ? 0 : clock_now() + (uint64_t)ms * 1000000;
}

static int deadline_from(const struct lx_timespec *ts, nsec_t *deadline)
{
    nsec_t ns;
    int r = timespec_to_nsec(ts, &ns);
    if (r == 0)
        *deadline = ns == 0 ? 0 : timespec_after(clock_now(), ns);
    return r;
}

int deadline_from_timespec(uptr_t at, nsec_t *deadline)
{
    struct lx_timespec ts;
    *deadline = NSEC_NEVER;
    if (at.v == 0)
        return 0;
    int r = copy_from_user(&ts, at, sizeof(ts));
    return r < 0 ? r : deadline_from(&ts, deadline);
}

#define STICKY_TIMEOUTS 0x4000000u /* personality(2) */

/* What is left is written back, as Linux does; a fault does not matter. */
static void deadline_left(uptr_t at, nsec_t deadline, unsigned nsec_per_unit)
{
    if (at.v == 0 || deadline == NSEC_NEVER ||
        (current()->proc->personality & STICKY_TIMEOUTS) != 0)
        return;
    nsec_t now = clock_now();
    nsec_t left = deadline > now ? deadline - now : 0;
    struct lx_timespec ts = {(int64_t)(left / NSEC_PER_SEC),
                             (int64_t)(left % NSEC_PER_SEC / nsec_per_unit)};
    (void)copy_to_user(at, &ts, sizeof(ts));
}

int temp_mask_begin(uptr_t set, uint64_t size)
{
    uint64_t mask;
    if (set.v == 0)
        return 0;
    if (size != sizeof(mask))
        return -EINVAL;
    int r = get_user_u64(&mask, set);
    if (r == 0)
        signal_set_mask_temp(mask);
    return r;
}

void temp_mask_end(uptr_t set, int64_t result)
{
    struct task *t = current();
    if (set.v == 0 || result == -ERESTARTNOHAND || result == -EINTR ||
        !t->restore_sigmask)
        return; /* the way back to user mode does it after the handler */
    t->restore_sigmask = false;
    signal_set_mask(t->saved_sigmask);
}

/* --- poll --- */

static uint64_t nofile_limit(void)
{
    return current()->proc->rlimits[LX_RLIMIT_NOFILE].cur;
}

static int poll_load(struct poll_slot *slots, uptr_t fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct lx_pollfd p;
        int r = copy_from_user(&p, uptr(fds.v + i * sizeof(p)), sizeof(p));
        if (r < 0) {
            slots_put(slots, i);
            return r;
        }
        slots[i] = (struct poll_slot){.events = p.events};
        if (p.fd >= 0) {
            slots[i].file = fd_get(p.fd);
            if (slots[i].file == NULL)
                slots[i].revents = EPOLLNVAL;
        }
    }
    return 0;
}

static int poll_store(const struct poll_slot *slots, uptr_t fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint16_t got = (uint16_t)slots[i].revents;
        uint64_t at = fds.v + i * sizeof(struct lx_pollfd) +
                      offsetof(struct lx_pollfd, revents);
        if (copy_to_user(uptr(at), &got, sizeof(got)) < 0)
            return -EFAULT;
    }
    return 0;
}

static int64_t do_poll(uptr_t fds, uint64_t count, nsec_t deadline)
{
    struct poll_slot small[POLL_SMALL], *slots = small;
    if (count > nofile_limit() || count > UINT32_MAX / 64)
        return -EINVAL;
    unsigned n = (unsigned)count;
    if (n > POLL_SMALL)
        slots = kmalloc(n * sizeof(*slots));
    if (slots == NULL)
        return -ENOMEM;
    int r = poll_load(slots, fds, n);
    if (r == 0) {
        r = poll_slots(slots, n, deadline);
        slots_put(slots, n);
        if (r >= 0 && poll_store(slots, fds, n) < 0)
            r = -EFAULT;
    }
    if (slots != small)
        kfree(slots);
    return r;
}

static int64_t poll_restart(struct task *t)
{
    int64_t r =
        do_poll(uptr(t->restart.arg[0]), t->restart.arg[1], t->restart.arg[2]);
    return r == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : r;
}

int64_t sys_poll(const uint64_t *a)
{
    nsec_t deadline = deadline_from_ms((int32_t)a[2]);
    int64_t r = do_poll(uptr(a[0]), (uint32_t)a[1], deadline);
    if (r != -ERESTARTSYS)
        return r;
    struct task *t = current();
    t->restart.fn = poll_restart;
    t->restart.arg[0] = a[0];
    t->restart.arg[1] = (uint32_t)a[1];
    t->restart.arg[2] = deadline;
    return -ERESTART_RESTARTBLOCK;
}

int64_t sys_ppoll(const uint64_t *a)
{
    nsec_t deadline;
    int64_t r = deadline_from_timespec(uptr(a[2]), &deadline);
    if (r == 0)
        r = temp_mask_begin(uptr(a[3]), a[4]);
    if (r < 0)
        return r;
    r = do_poll(uptr(a[0]), (uint32_t)a[1], deadline);
    if (r == -ERESTARTSYS)
        r = -ERESTARTNOHAND;
    temp_mask_end(uptr(a[3]), r);
    deadline_left(uptr(a[2]), deadline, 1);
    return r;
}

/* --- select --- */

#define SEL_IN  (EPOLLRDNORM | EPOLLRDBAND | EPOLLIN | EPOLLHUP | EPOLLERR)
#define SEL_OUT (EPOLLWRBAND | EPOLLWRNORM | EPOLLOUT | EPOLLERR)
#define SEL_EX  EPOLLPRI

static const uint32_t sel_events[3] = {SEL_IN, SEL_OUT, SEL_EX};

struct select {
    unsigned n;        /* highest descriptor + 1 */
    unsigned words;    /* of 64 bits in each set */
    uint64_t *sets[3]; /* in kernel memory; zeros if not given */
    uptr_t user[3];
    struct poll_slot *slots;
    int32_t *fds; /* of the slots */
    unsigned count;
};

static int select_alloc(struct select *s, int n)
{
    uint64_t max = current()->proc->files->room;
    s->n = (unsigned)MIN((uint64_t)(unsigned)n, max);
    s->words = (s->n + 63) / 64;
    s->sets[0] = kzalloc(3 * (s->words + 1) * sizeof(uint64_t));
    s->slots = kmalloc((s->n + 1) * sizeof(*s->slots));
    s->fds = kmalloc((s->n + 1) * sizeof(*s->fds));
    if (s->sets[0] == NULL || s->slots == NULL || s->fds == NULL)
        return -ENOMEM;
    s->sets[1] = s->sets[0] + s->words;
    s->sets[2] = s->sets[1] + s->words;
    return 0;
}

static int select_load(struct select *s)
{
    for (unsigned i = 0; i < 3; i++)
        if (s->user[i].v != 0 &&
            copy_from_user(s->sets[i], s->user[i], s->words * 8) < 0)
            return -EFAULT;
    for (unsigned fd = 0; fd < s->n; fd++) {
        uint32_t events = 0;
        for (unsigned i = 0; i < 3; i++)
            if ((s->sets[i][fd / 64] >> fd % 64 & 1) != 0)
                events |= sel_events[i];
        if (events == 0)
            continue;
        struct file *f = fd_get((int)fd);
        if (f == NULL)
            return -EBADF;
        s->fds[s->count] = (int32_t)fd;
        s->slots[s->count++] = (struct poll_slot){.file = f, .events = events};
    }
    return 0;
}

/* Sets become the answer; returns the number of bits, or -EFAULT. */
static int select_store(struct select *s)
{
    int bits = 0;
    for (unsigned k = 0; k < s->count; k++) {
        unsigned fd = (unsigned)s->fds[k];
        uint64_t bit = UINT64_C(1) << fd % 64;
        for (unsigned i = 0; i < 3; i++) {
            uint64_t *word = &s->sets[i][fd / 64];
            if ((*word & bit) == 0)
                continue;
            if ((s->slots[k].revents & sel_events[i]) != 0)
                bits++;
            else
                *word &= ~bit;
        }
    }
    for (unsigned i = 0; i < 3; i++)
        if (s->user[i].v != 0 &&
            copy_to_user(s->user[i], s->sets[i], s->words * 8) < 0)
            return -EFAULT;
    return bits;
}

static int64_t do_select(const uint64_t *a, nsec_t deadline)
{
    int n = (int32_t)a[0];
    struct select s = {.user = {uptr(a[1]), uptr(a[2]), uptr(a[3])}};
    if (n < 0)
        return -EINVAL;
    int r = select_alloc(&s, n);
    if (r == 0)
        r = select_load(&s);
    if (r == 0) {
        r = poll_slots(s.slots, s.count, deadline);
        if (r >= 0)
            r = select_store(&s);
        else if (r == -ERESTARTSYS)
            r = -ERESTARTNOHAND;
    }
    slots_put(s.slots, s.count);
    kfree(s.sets[0]);
    kfree(s.slots);
    kfree(s.fds);
    return r;
}

int64_t sys_select(const uint64_t *a)
{
    nsec_t deadline = NSEC_NEVER;
    if (a[4] != 0) {
        int64_t tv[2]; /* struct timeval */
        if (copy_from_user(tv, uptr(a[4]), sizeof(tv)) < 0)
            return -EFAULT;
        if (tv[0] < 0 || tv[1] < 0)
            return -EINVAL;
        struct lx_timespec ts = {.nsec = tv[1] % 1000000 * 1000};
        if (__builtin_add_overflow(tv[0], tv[1] / 1000000, &ts.sec))
            ts.sec = INT64_MAX;
        (void)deadline_from(&ts, &deadline);
    }
    int64_t r = do_select(a, deadline);
    deadline_left(uptr(a[4]), deadline, 1000);
    return r;
}

int64_t sys_pselect6(const uint64_t *a)
{
    nsec_t deadline;
    uint64_t sig[2] = {0, 0}; /* pointer, size */
    int64_t r = deadline_from_timespec(uptr(a[4]), &deadline);
    if (r == 0 && a[5] != 0)
        r = copy_from_user(sig, uptr(a[5]), sizeof(sig));
    if (r == 0)
        r = temp_mask_begin(uptr(sig[0]), sig[1]);
    if (r < 0)
        return r;
    r = do_select(a, deadline);
    temp_mask_end(uptr(sig[0]), r);
    deadline_left(uptr(a[4]), deadline, 1);
    return r;
}
