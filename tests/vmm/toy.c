// SPDX-License-Identifier: Apache-2.0
/*
 * Toy guest: drives the preset console by polling, to test the monitor alone.
 * The container's first argument chooses what it does. On x86-64 it is a native
 * PVM kernel.
 */
#include "tests/vmm/toy.h"

#include "abi/ctl.h"
#include "abi/virtio_console.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_ring.h"

struct queue {
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
    uint32_t size;
    uint32_t irq;
    uint16_t index;
    uint16_t next; /* avail->idx */
    uint16_t seen; /* used->idx */
};

struct device {
    volatile uint32_t *bell;
    uint32_t type;
    uint32_t queue_count;
    struct queue queue[8];
};

volatile uint32_t toy_interrupts[256];
struct boot_info *toy_boot;

static struct device devices[20];
static unsigned device_count;
static uint64_t entry_tsc;
static uint32_t cpus_here;
static char text[65536];

/* ---- library ---- */

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    while (size-- > 0)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *t = to;
    while (size-- > 0)
        *t++ = (uint8_t)value;
    return to;
}

static size_t length(const char *s)
{
    size_t n = 0;
    while (s[n] != '\0')
        n++;
    return n;
}

static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static uint64_t number(const char *s)
{
    uint64_t v = 0;
    while (*s >= '0' && *s <= '9')
        v = 10 * v + (uint64_t)(*s++ - '0');
    return v;
}

/* ---- monitor calls ---- */

static void call(uint32_t what, uint32_t value)
{
    volatile uint32_t *window = PHYS(toy_boot->console_gpa);
    window[what / 4] = value;
}

static void say(const char *s)
{
    static struct {
        uint32_t size;
        char text[256];
    } log;
    log.size = (uint32_t)length(s);
    memcpy(log.text, s, log.size);
    call(BOOT_CALL_LOG, (uint32_t)toy_gpa_of(&log));
}

void toy_say_at(const char *s, uint64_t v)
{
    char line[128];
    size_t n = length(s);
    memcpy(line, s, n);
    memcpy(line + n, " [<", 3);
    n += 3;
    for (int i = 60; i >= 0; i -= 4)
        line[n++] = "0123456789abcdef"[(v >> i) & 15];
    memcpy(line + n, ">]\n", 4);
    say(line);
}

/* ---- device tree ---- */

static uint32_t be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static void *cell_pointer(const uint8_t *p)
{
    return PHYS((uint64_t)be32(p) << 32 | be32(p + 4));
}

static void property(struct device *d, const char *name, const uint8_t *v,
                     uint32_t size)
{
    if (same(name, "reg"))
        d->bell = (uint32_t *)cell_pointer(v) + 0x50 / 4;
    if (same(name, "limpet,device"))
        d->type = be32(v);
    if (same(name, "compatible"))
        toy_see_node((const char *)v);
    if (same(name, "interrupts") && d->bell != NULL)
        for (uint16_t i = 0; i < 8; i++)
            d->queue[i].irq = toy_irq_number(v, i);
    if (!same(name, "limpet,queues"))
        return;
    d->queue_count = size / 28;
    for (uint16_t i = 0; i < d->queue_count; i++, v += 28) {
        struct queue *q = &d->queue[i];
        q->desc = cell_pointer(v);
        q->avail = cell_pointer(v + 8);
        q->used = cell_pointer(v + 16);
        q->size = be32(v + 24);
        q->index = i;
    }
}

static void read_tree(void)
{
    const uint8_t *tree = PHYS(toy_boot->fdt_gpa);
    const uint8_t *p = tree + be32(tree + 8);
    const char *names = (const char *)tree + be32(tree + 12);
    struct device *d = &devices[0];
    for (;;) {
        uint32_t token = be32(p);
        p += 4;
        if (token == 1) { /* begin node */
            *d = (struct device){0};
            p += (length((const char *)p) + 4) & ~UINT64_C(3);
        } else if (token == 3) { /* property */
            uint32_t size = be32(p);
            property(d, names + be32(p + 4), p + 8, size);
            p += 8 + ((size + 3) & ~3U);
        } else if (token == 2) { /* end node */
            if (d->type != 0)
                d = &devices[++device_count];
            d->type = 0;
        } else if (token == 9) {
            return;
        }
    }
}

static struct device *find(uint32_t type)
{
    for (unsigned i = 0; i < device_count; i++)
        if (devices[i].type == type)
            return &devices[i];
    return NULL;
}

/* ---- rings ---- */

static uint16_t *event_after(void *ring, size_t at)
{
    return (uint16_t *)(void *)((uint8_t *)ring + at);
}

static void offer(struct device *d, struct queue *q, unsigned count)
{
    uint16_t slot = q->next % q->size;
    q->avail->ring[slot] = 0;
    *event_after(q->avail, 4 + 2 * q->size) = q->seen; /* used_event */
    q->next++;
    (void)count;
    __atomic_store_n(&q->avail->idx, q->next, __ATOMIC_SEQ_CST);
    uint16_t event = __atomic_load_n(event_after(q->used, 4 + 8 * q->size),
                                     __ATOMIC_SEQ_CST);
    if (virtq_need_event(event, q->next, (uint16_t)(q->next - 1)))
        *d->bell = q->index;
}

static uint32_t collect(struct queue *q)
{
    while (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->seen)
        toy_pause();
    return q->used->ring[q->seen++ % q->size].len;
}

static uint32_t transfer(struct device *d, uint16_t qi, void *data,
                         uint32_t size, bool in)
{
    struct queue *q = &d->queue[qi];
    q->desc[0] = (struct virtq_desc){toy_gpa_of(data), size,
                                     in ? VIRTQ_DESC_F_WRITE : 0, 0};
    offer(d, q, 1);
    return collect(q);
}

static void print(uint16_t port, const void *data, size_t size)
{
    (void)transfer(find(VIRTIO_ID_CONSOLE), (uint16_t)VIRTIO_CONSOLE_TXQ(port),
                   (void *)data, (uint32_t)size, false);
}

static void frame(uint32_t type, const void *payload, uint32_t size)
{
    static uint8_t out[CTL_FRAME_MAX];
    struct ctl_header h = {type, size};
    memcpy(out, &h, sizeof(h));
    memcpy(out + sizeof(h), payload, size);
    print(BOOT_PORT_CTL, out, sizeof(h) + size);
}

void toy_leave(uint32_t kind, uint32_t code)
{
    struct ctl_exit x = {.kind = kind,
                         .code = code,
                         .entry_tsc = entry_tsc,
                         .user_tsc = toy_counter(),
                         .exit_tsc = toy_counter()};
    frame(CTL_EXIT, &x, sizeof(x));
    call(BOOT_CALL_POWEROFF, 0);
    for (;;)
        ;
}

/* ---- what it can do ---- */

/* One frame of the monitor; returns its size. */
static uint32_t use_frame(const uint8_t *frame, uint64_t got)
{
    uint64_t value;
    struct ctl_header h;
    memcpy(&h, frame, sizeof(h));
    memcpy(&value, frame + sizeof(h), sizeof(value));
    if (h.type == CTL_SIGNAL)
        toy_leave(CTL_SIGNALLED, (uint32_t)value);
    if (h.type == CTL_STDIN_EOF)
        toy_leave(CTL_EXITED, value == got ? 0 : 1);
    return (uint32_t)sizeof(h) + h.size;
}

static void do_echo(void)
{
    struct device *d = find(VIRTIO_ID_CONSOLE);
    struct queue *ctl = &d->queue[VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL)];
    struct queue *in = &d->queue[VIRTIO_CONSOLE_RXQ(BOOT_PORT_STDIO)];
    static uint8_t frames[CTL_FRAME_MAX];
    uint64_t got = 0;
    ctl->desc[0] = (struct virtq_desc){toy_gpa_of(frames), sizeof(frames),
                                       VIRTQ_DESC_F_WRITE, 0};
    in->desc[0] = (struct virtq_desc){toy_gpa_of(text), sizeof(text),
                                      VIRTQ_DESC_F_WRITE, 0};
    offer(d, ctl, 1);
    offer(d, in, 1);
    for (;;) {
        if (__atomic_load_n(&in->used->idx, __ATOMIC_ACQUIRE) != in->seen) {
            uint32_t n = collect(in);
            got += n;
            print(BOOT_PORT_STDIO, text, n);
            offer(d, in, 1);
        }
        if (__atomic_load_n(&ctl->used->idx, __ATOMIC_ACQUIRE) == ctl->seen)
            continue;
        uint32_t size = collect(ctl);
        for (uint32_t at = 0; at < size;)
            at += use_frame(frames + at, got);
        offer(d, ctl, 1);
    }
}

static void do_irq(uint64_t rounds)
{
    struct device *d = find(VIRTIO_ID_CONSOLE);
    struct queue *q = &d->queue[VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO)];
    toy_interrupts_on(q->irq);
    for (uint64_t i = 0; i < rounds; i++) {
        uint32_t old = toy_interrupts[q->irq];
        q->desc[0] = (struct virtq_desc){toy_gpa_of("irq\n"), 4, 0, 0};
        offer(d, q, 1);
        toy_halt_for(&toy_interrupts[q->irq], old);
        (void)collect(q);
    }
    toy_leave(CTL_EXITED, toy_interrupts[q->irq] == rounds ? 0 : 1);
}

static void do_rng(void)
{
    uint8_t bytes[64] = {0};
    uint32_t n = transfer(find(VIRTIO_ID_RNG), 0, bytes, sizeof(bytes), true);
    unsigned zero = 0;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        zero += bytes[i] == 0;
    toy_leave(CTL_EXITED, n == sizeof(bytes) && zero < 16 ? 0 : 1);
}

/* Read sector `at` of the first disk and print it. */
static void do_disk(uint64_t at)
{
    struct device *d = find(VIRTIO_ID_BLK);
    struct queue *q = &d->queue[0];
    static struct {
        uint32_t type, zero;
        uint64_t sector;
    } head;
    static uint8_t status;
    head.sector = at;
    status = 9;
    q->desc[0] = (struct virtq_desc){toy_gpa_of(&head), 16, 1, 1};
    q->desc[1] = (struct virtq_desc){toy_gpa_of(text), 512, 3, 2};
    q->desc[2] = (struct virtq_desc){toy_gpa_of(&status), 1, 2, 0};
    offer(d, q, 3);
    (void)collect(q);
    if (status == 0)
        print(BOOT_PORT_STDIO, text, 512);
    toy_leave(CTL_EXITED, status);
}

/* Print the page at byte `at` of the image window. */
static void do_image(uint64_t at)
{
    const uint8_t *tree = PHYS(toy_boot->fdt_gpa);
    const uint8_t *p = tree;
    while (!same((const char *)p, "limpet,image"))
        p++;
    /* compatible is 13 bytes padded to 16; then the header of reg. */
    const char *window = cell_pointer(p + 16 + 12);
    memcpy(text, window + at, 4096);
    print(BOOT_PORT_STDIO, text, 4096);
    toy_leave(CTL_EXITED, 0);
}

/* The same, after one byte of stdin: the file may have changed by then. */
static void do_late_image(uint64_t at)
{
    uint16_t rx = VIRTIO_CONSOLE_RXQ(BOOT_PORT_STDIO);
    print(BOOT_PORT_STDIO, "ready\n", 6);
    (void)transfer(find(VIRTIO_ID_CONSOLE), rx, text, 16, true);
    do_image(at);
}

/* Descriptors that point nowhere, loops, wild indices; then prove we live. */
static void do_hostile(uint64_t kind)
{
    struct device *d = find(VIRTIO_ID_RNG);
    struct queue *q = &d->queue[0];
    static const struct virtq_desc bad[] = {
        {UINT64_MAX - 8, 4096, 2, 0},
        {0xd0000000, 4096, 2, 0},
        {BOOT_RAM_BASE + 0x300000, UINT32_MAX, 2, 0},
        {BOOT_RAM_BASE + 0x300000, 16, 3, 0}, /* a loop */
        {BOOT_RAM_BASE + 0x300000, 16, 3, 999},
        {BOOT_RAM_BASE + 0x300000, 16, 4, 0},
    };
    if (kind < sizeof(bad) / sizeof(bad[0]))
        q->desc[0] = bad[kind];
    else
        q->avail->ring[0] = 0x7fff;
    q->avail->idx = kind == 7 ? 0x8000 : 1;
    *d->bell = 0;
    *d->bell = 77; /* no such queue: a real exit */
    print(BOOT_PORT_STDIO, "alive\n", 6);
    toy_leave(CTL_EXITED, 0);
}

static void do_reset(void)
{
    struct device *d = find(VIRTIO_ID_RNG);
    volatile uint32_t *r = d->bell - 0x50 / 4;
    struct queue *q = &d->queue[0];
    r[0x70 / 4] = 0;
    if (r[0x70 / 4] != 0 || r[0] != VIRTIO_MMIO_MAGIC)
        toy_leave(CTL_EXITED, 1);
    r[0x70 / 4] = 3;
    r[0x24 / 4] = 1;
    r[0x20 / 4] = 1; /* VERSION_1 only */
    r[0x70 / 4] = 11;
    r[0x30 / 4] = 0;
    r[0x38 / 4] = 4;
    uint64_t at = toy_gpa_of(text) + 4096;
    memset(text, 0, 16384);
    for (unsigned i = 0; i < 3; i++)
        r[(0x80 + 0x10 * i) / 4] = (uint32_t)(at + 4096 * (uint64_t)i);
    r[0x44 / 4] = 1;
    r[0x70 / 4] = 15;
    q->desc = PHYS(at);
    q->avail = PHYS(at + 4096);
    q->used = PHYS(at + 8192);
    q->size = 4;
    q->desc[0] = (struct virtq_desc){toy_gpa_of(text), 32, 2, 0};
    q->avail->idx = 1;
    *d->bell = 0;
    toy_leave(CTL_EXITED, collect(q) == 32 ? 0 : 1);
}

/* Three buffers of output that nobody waits for; then the end. */
static void do_full(const char *how)
{
    struct device *d = find(VIRTIO_ID_CONSOLE);
    struct queue *q = &d->queue[VIRTIO_CONSOLE_TXQ(BOOT_PORT_STDIO)];
    memset(text, 'x', sizeof(text));
    for (uint16_t i = 0; i < 3; i++)
        q->desc[i] = (struct virtq_desc){toy_gpa_of(text), sizeof(text),
                                         i < 2 ? VIRTQ_DESC_F_NEXT : 0,
                                         (uint16_t)(i + 1)};
    offer(d, q, 3);
    if (same(how, "crash"))
        toy_crash();
    if (same(how, "panic"))
        say("toy: kernel panic: full\n");
    call(BOOT_CALL_POWEROFF, 0);
}

static void run(const char *what, const char *arg)
{
    uint64_t n = number(arg);
    if (same(what, "hello")) {
        print(BOOT_PORT_STDIO, arg, length(arg));
        print(BOOT_PORT_STDERR, "error\n", 6);
    } else if (same(what, "exit")) {
        toy_leave(CTL_EXITED, (uint32_t)n);
    } else if (same(what, "echo")) {
        do_echo();
    } else if (same(what, "big")) {
        for (unsigned i = 0; i < sizeof(text); i++)
            text[i] = (char)('a' + i % 26);
        for (uint64_t i = 0; i < n; i++)
            print(BOOT_PORT_STDIO, text, sizeof(text));
    } else if (same(what, "cpus")) {
        toy_start_cpus((uint32_t)n);
        while (__atomic_load_n(&cpus_here, __ATOMIC_ACQUIRE) != n)
            toy_pause();
    } else if (same(what, "irq")) {
        do_irq(n);
    } else if (same(what, "rng")) {
        do_rng();
    } else if (same(what, "disk")) {
        do_disk(n);
    } else if (same(what, "image")) {
        do_image(n);
    } else if (same(what, "late_image")) {
        do_late_image(n);
    } else if (same(what, "hostile")) {
        do_hostile(n);
    } else if (same(what, "reset")) {
        do_reset();
    } else if (same(what, "panic")) {
        toy_say_at("toy: panic at", (uintptr_t)toy_main);
        toy_say_at("toy: backtrace", BOOT_KERNEL_BASE + BOOT_KERNEL_GPA + 1);
        toy_leave(CTL_PANIC, 1);
    } else if (same(what, "last_words")) {
        say("toy: kernel panic: tired\ntoy: good bye\n");
        call(BOOT_CALL_POWEROFF, 0);
    } else if (same(what, "full")) {
        do_full(arg);
    } else if (same(what, "poweroff")) {
        call(BOOT_CALL_POWEROFF, 0);
    } else if (same(what, "crash")) {
        toy_crash();
    } else if (same(what, "off")) {
        toy_off();
    } else if (same(what, "spin")) {
        print(BOOT_PORT_STDIO, "spinning\n", 9);
        for (;;)
            ;
    }
    toy_leave(CTL_EXITED, 0);
}

void toy_main(struct boot_info *info, uint64_t cpu)
{
    if (cpu == 0)
        entry_tsc = toy_counter();
    (void)__atomic_add_fetch(&cpus_here, 1, __ATOMIC_RELEASE);
    while (cpu != 0)
        toy_pause();
    toy_boot = info;
    read_tree();
    call(BOOT_CALL_MARK, 1);
    const struct boot_container *c = PHYS(toy_boot->cont_gpa);
    const char *what = (const char *)c + c->strings_off;
    run(what, c->argc > 1 ? what + length(what) + 1 : "");
}
