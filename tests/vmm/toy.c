// SPDX-License-Identifier: Apache-2.0
/*
 * Toy guest: a native PVM kernel that drives the preset console by polling, to
 * test the monitor alone. The container's first argument chooses what it does.
 */
#include "abi/boot.h"
#include "abi/ctl.h"
#include "abi/virtio_console.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_ring.h"

#define PHYS(gpa) ((void *)(uintptr_t)(BOOT_PHYSMAP_X86 + (gpa)))

struct queue {
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
    uint32_t size;
    uint32_t vector;
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

void toy_main(struct boot_info *info, uint64_t cpu);
void toy_trap(uint64_t vector, uint64_t rip);
extern char toy_vectors[];
uint8_t *toy_vif;

static struct boot_info *boot;
static struct device devices[20];
static unsigned device_count;
static uint64_t entry_tsc;
static uint32_t cpus_here;
static volatile uint32_t interrupts[256];
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

static uint64_t counter(void)
{
    uint32_t lo;
    uint32_t hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

static uint64_t gpa_of(const void *p)
{
    uint64_t va = (uintptr_t)p;
    return va >= BOOT_KERNEL_X86 ? va - BOOT_KERNEL_X86 : va - BOOT_PHYSMAP_X86;
}

/* ---- monitor calls ---- */

static void call(uint32_t what, uint32_t value)
{
    volatile uint32_t *window = PHYS(boot->console_gpa);
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
    call(BOOT_CALL_LOG, (uint32_t)gpa_of(&log));
}

static void say_hex(const char *s, uint64_t v)
{
    char line[128];
    size_t n = length(s);
    memcpy(line, s, n);
    for (int i = 60; i >= 0; i -= 4)
        line[n++] = "0123456789abcdef"[(v >> i) & 15];
    line[n++] = '\n';
    line[n] = '\0';
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
    if (same(name, "interrupts"))
        for (uint32_t i = 1; i < size / 4; i++)
            d->queue[i - 1].vector = be32(v + 4 * i);
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
    const uint8_t *tree = PHYS(boot->fdt_gpa);
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
        __builtin_ia32_pause();
    return q->used->ring[q->seen++ % q->size].len;
}

static uint32_t transfer(struct device *d, uint16_t qi, void *data,
                         uint32_t size, bool in)
{
    struct queue *q = &d->queue[qi];
    q->desc[0] =
        (struct virtq_desc){gpa_of(data), size, in ? VIRTQ_DESC_F_WRITE : 0, 0};
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

static __attribute__((noreturn)) void leave(uint32_t kind, uint32_t code)
{
    struct ctl_exit x = {.kind = kind,
                         .code = code,
                         .entry_tsc = entry_tsc,
                         .user_tsc = counter(),
                         .exit_tsc = counter()};
    frame(CTL_EXIT, &x, sizeof(x));
    call(BOOT_CALL_POWEROFF, 0);
    for (;;)
        ;
}

/* ---- interrupts: x2APIC through PVM hypercalls, halt until one comes ---- */

static uint64_t hypercall(uint64_t nr, uint64_t a, uint64_t b)
{
    __asm__ volatile("int $0x1b"
                     : "+a"(nr)
                     : "b"(a), "c"(b)
                     : "memory", "rdx", "rsi");
    return nr;
}

void toy_trap(uint64_t vector, uint64_t rip)
{
    if (vector < 32) {
        say_hex("toy: exception ", vector);
        say_hex("toy: at [<", rip);
        leave(CTL_PANIC, (uint32_t)vector);
    }
    interrupts[vector]++;
    (void)hypercall(4099, 0x80b, 0); /* EOI */
}

struct gate {
    uint16_t low, selector, type, mid;
    uint32_t high, zero;
};

struct table {
    uint16_t size;
    uint64_t base;
} __attribute__((packed));

static void interrupts_on(void)
{
    static uint64_t gdt[8] = {0,
                              0,
                              0x00af9b000000ffff,
                              0x00cf93000000ffff,
                              0,
                              0x00cff3000000ffff,
                              0x00affb000000ffff};
    static struct gate idt[256];
    for (unsigned i = 0; i < 256; i++) {
        uint64_t at = (uintptr_t)toy_vectors + 16 * (uint64_t)i;
        idt[i] = (struct gate){
            (uint16_t)at,         0x10, 0x8e00, (uint16_t)(at >> 16),
            (uint32_t)(at >> 32), 0};
    }
    struct table g = {sizeof(gdt) - 1, (uintptr_t)gdt};
    struct table t = {sizeof(idt) - 1, (uintptr_t)idt};
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(g), "m"(t));
    toy_vif = PHYS(boot->vif_gpa);
    (void)hypercall(4099, 0x1b, 0xfee00000 | 0xd00); /* x2APIC, BSP */
    (void)hypercall(4099, 0x80f, 0x1ff);             /* enable */
    (void)hypercall(4099, 0x808, 0);                 /* TPR */
}

static void halt_for(volatile uint32_t *count, uint32_t old)
{
    while (*count == old) {
        *toy_vif = 1;
        (void)hypercall(4105, 0, 0);
    }
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
        leave(CTL_SIGNALLED, (uint32_t)value);
    if (h.type == CTL_STDIN_EOF)
        leave(CTL_EXITED, value == got ? 0 : 1);
    return (uint32_t)sizeof(h) + h.size;
}

static void do_echo(void)
{
    struct device *d = find(VIRTIO_ID_CONSOLE);
    struct queue *ctl = &d->queue[VIRTIO_CONSOLE_RXQ(BOOT_PORT_CTL)];
    struct queue *in = &d->queue[VIRTIO_CONSOLE_RXQ(BOOT_PORT_STDIO)];
    static uint8_t frames[CTL_FRAME_MAX];
    uint64_t got = 0;
    ctl->desc[0] = (struct virtq_desc){gpa_of(frames), sizeof(frames),
                                       VIRTQ_DESC_F_WRITE, 0};
    in->desc[0] =
        (struct virtq_desc){gpa_of(text), sizeof(text), VIRTQ_DESC_F_WRITE, 0};
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
    interrupts_on();
    for (uint64_t i = 0; i < rounds; i++) {
        uint32_t old = interrupts[q->vector];
        q->desc[0] = (struct virtq_desc){gpa_of("irq\n"), 4, 0, 0};
        offer(d, q, 1);
        halt_for(&interrupts[q->vector], old);
        (void)collect(q);
    }
    leave(CTL_EXITED, interrupts[q->vector] == rounds ? 0 : 1);
}

static void do_rng(void)
{
    uint8_t bytes[64] = {0};
    uint32_t n = transfer(find(VIRTIO_ID_RNG), 0, bytes, sizeof(bytes), true);
    unsigned zero = 0;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        zero += bytes[i] == 0;
    leave(CTL_EXITED, n == sizeof(bytes) && zero < 16 ? 0 : 1);
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
    q->desc[0] = (struct virtq_desc){gpa_of(&head), 16, 1, 1};
    q->desc[1] = (struct virtq_desc){gpa_of(text), 512, 3, 2};
    q->desc[2] = (struct virtq_desc){gpa_of(&status), 1, 2, 0};
    offer(d, q, 3);
    (void)collect(q);
    if (status == 0)
        print(BOOT_PORT_STDIO, text, 512);
    leave(CTL_EXITED, status);
}

/* Print the page at byte `at` of the image window. */
static void do_image(uint64_t at)
{
    const uint8_t *tree = PHYS(boot->fdt_gpa);
    const uint8_t *p = tree;
    while (!same((const char *)p, "limpet,image"))
        p++;
    /* compatible is 13 bytes padded to 16; then the header of reg. */
    const char *window = cell_pointer(p + 16 + 12);
    memcpy(text, window + at, 4096);
    print(BOOT_PORT_STDIO, text, 4096);
    leave(CTL_EXITED, 0);
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
        {UINT64_MAX - 8, 4096, 2, 0}, {0xd0000000, 4096, 2, 0},
        {0x300000, UINT32_MAX, 2, 0}, {0x300000, 16, 3, 0}, /* a loop */
        {0x300000, 16, 3, 999},       {0x300000, 16, 4, 0},
    };
    if (kind < sizeof(bad) / sizeof(bad[0]))
        q->desc[0] = bad[kind];
    else
        q->avail->ring[0] = 0x7fff;
    q->avail->idx = kind == 7 ? 0x8000 : 1;
    *d->bell = 0;
    *d->bell = 77; /* no such queue: a real exit */
    print(BOOT_PORT_STDIO, "alive\n", 6);
    leave(CTL_EXITED, 0);
}

static void do_reset(void)
{
    struct device *d = find(VIRTIO_ID_RNG);
    volatile uint32_t *r = d->bell - 0x50 / 4;
    struct queue *q = &d->queue[0];
    r[0x70 / 4] = 0;
    if (r[0x70 / 4] != 0 || r[0] != VIRTIO_MMIO_MAGIC)
        leave(CTL_EXITED, 1);
    r[0x70 / 4] = 3;
    r[0x24 / 4] = 1;
    r[0x20 / 4] = 1; /* VERSION_1 only */
    r[0x70 / 4] = 11;
    r[0x30 / 4] = 0;
    r[0x38 / 4] = 4;
    uint64_t at = gpa_of(text) + 4096;
    memset(text, 0, 16384);
    for (unsigned i = 0; i < 3; i++)
        r[(0x80 + 0x10 * i) / 4] = (uint32_t)(at + 4096 * (uint64_t)i);
    r[0x44 / 4] = 1;
    r[0x70 / 4] = 15;
    q->desc = PHYS(at);
    q->avail = PHYS(at + 4096);
    q->used = PHYS(at + 8192);
    q->size = 4;
    q->desc[0] = (struct virtq_desc){gpa_of(text), 32, 2, 0};
    q->avail->idx = 1;
    *d->bell = 0;
    leave(CTL_EXITED, collect(q) == 32 ? 0 : 1);
}

static void run(const char *what, const char *arg)
{
    uint64_t n = number(arg);
    if (same(what, "hello")) {
        print(BOOT_PORT_STDIO, arg, length(arg));
        print(BOOT_PORT_STDERR, "error\n", 6);
    } else if (same(what, "exit")) {
        leave(CTL_EXITED, (uint32_t)n);
    } else if (same(what, "echo")) {
        do_echo();
    } else if (same(what, "big")) {
        for (unsigned i = 0; i < sizeof(text); i++)
            text[i] = (char)('a' + i % 26);
        for (uint64_t i = 0; i < n; i++)
            print(BOOT_PORT_STDIO, text, sizeof(text));
    } else if (same(what, "cpus")) {
        while (__atomic_load_n(&cpus_here, __ATOMIC_ACQUIRE) != n)
            __builtin_ia32_pause();
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
        say_hex("toy: panic at [<", (uintptr_t)toy_main);
        say("toy: backtrace [<ffffffff80200001>]\n");
        leave(CTL_PANIC, 1);
    } else if (same(what, "last_words")) {
        say("toy: kernel panic: tired\ntoy: good bye\n");
        call(BOOT_CALL_POWEROFF, 0);
    } else if (same(what, "poweroff")) {
        call(BOOT_CALL_POWEROFF, 0);
    } else if (same(what, "crash")) {
        __asm__ volatile("ud2"); /* no IDT */
    } else if (same(what, "spin")) {
        print(BOOT_PORT_STDIO, "spinning\n", 9);
        for (;;)
            ;
    }
    leave(CTL_EXITED, 0);
}

void toy_main(struct boot_info *info, uint64_t cpu)
{
    if (cpu == 0)
        entry_tsc = counter();
    (void)__atomic_add_fetch(&cpus_here, 1, __ATOMIC_RELEASE);
    while (cpu != 0)
        __builtin_ia32_pause();
    boot = info;
    read_tree();
    call(BOOT_CALL_MARK, 1);
    const struct boot_container *c = PHYS(boot->cont_gpa);
    const char *what = (const char *)c + c->strings_off;
    run(what, c->argc > 1 ? what + length(what) + 1 : "");
}
