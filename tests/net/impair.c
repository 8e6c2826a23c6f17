// SPDX-License-Identifier: Apache-2.0
/*
 * A bad path: frames between two open files, late, some lost, doubled or later
 * than those behind them.
 *
 *   net_impair FD FD DELAY_US LOSS REORDER DOUBLE SEED       (per 100,000)
 *
 * Ends with its standard input; then it says how many of each there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME = 2048,
    WAITING = 16384, /* frames of one direction; a power of two */
    BATCH = 64,
    LATER_US = 3000,
    WHOLE = 100000,
};

struct frame {
    uint64_t at; /* microseconds */
    size_t size;
    uint8_t bytes[FRAME];
};

struct way {
    int from, to;
    struct frame *waiting[WAITING];
    unsigned head, tail;
};

static struct way ways[2];
static uint64_t delay, loss, reorder, twice, seed, seen, lost, moved, doubled;

static uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* xorshift64: the same seed meets the same frames with the same fate. */
static int happens(uint64_t share, uint64_t *count)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    int yes = seed % WHOLE < share;
    *count += (uint64_t)yes;
    return yes;
}

static struct frame **slot(struct way *w, unsigned i)
{
    return &w->waiting[i % WAITING];
}

static void put(struct way *w, const uint8_t *bytes, size_t size, uint64_t at)
{
    struct frame *f = malloc(sizeof(*f));
    if (f == NULL || w->tail - w->head == WAITING) {
        free(f);
        lost++;
        return;
    }
    f->at = at;
    f->size = size;
    memcpy(f->bytes, bytes, size);
    unsigned i = w->tail++;
    for (; i != w->head && (*slot(w, i - 1))->at > at; i--)
        *slot(w, i) = *slot(w, i - 1);
    *slot(w, i) = f;
}

static int take(struct way *w, uint64_t now)
{
    uint8_t bytes[FRAME];
    for (int i = 0; i < BATCH; i++) {
        ssize_t n = read(w->from, bytes, sizeof(bytes));
        if (n <= 0)
            return n == 0 || errno == ECONNRESET ? -1 : 0;
        seen++;
        if (happens(loss, &lost))
            continue;
        uint64_t at = now + delay + (happens(reorder, &moved) ? LATER_US : 0);
        put(w, bytes, (size_t)n, at);
        if (happens(twice, &doubled))
            put(w, bytes, (size_t)n, at);
    }
    return 0;
}

/* What is due; an end that is full gets it later. */
static void give(struct way *w, uint64_t now)
{
    while (w->head != w->tail) {
        struct frame *f = *slot(w, w->head);
        if (f->at > now ||
            (write(w->to, f->bytes, f->size) < 0 && errno == EAGAIN))
            return;
        free(f);
        w->head++;
    }
}

static int wait_us(uint64_t now)
{
    uint64_t next = now + 100000;
    for (int i = 0; i < 2; i++) {
        if (ways[i].head != ways[i].tail &&
            (*slot(&ways[i], ways[i].head))->at < next)
            next = (*slot(&ways[i], ways[i].head))->at;
    }
    return next > now ? (int)(next - now) : 50;
}

static void run(void)
{
    for (;;) {
        uint64_t now = now_us();
        give(&ways[0], now);
        give(&ways[1], now);
        struct pollfd p[3] = {{.fd = ways[0].from, .events = POLLIN},
                              {.fd = ways[1].from, .events = POLLIN},
                              {.fd = STDIN_FILENO, .events = POLLIN}};
        struct timespec t = {.tv_nsec = wait_us(now) * 1000L};
        (void)ppoll(p, 3, &t, NULL);
        now = now_us();
        if (p[2].revents != 0 || take(&ways[0], now) < 0 ||
            take(&ways[1], now) < 0)
            return;
    }
}

int main(int argc, char **argv)
{
    uint64_t v[8] = {0};
    for (int i = 1; i < argc && i < 8; i++)
        v[i] = strtoull(argv[i], NULL, 10);
    if (argc != 8) {
        (void)fprintf(stderr, "usage: see impair.c\n");
        return 2;
    }
    ways[0].from = ways[1].to = (int)v[1];
    ways[0].to = ways[1].from = (int)v[2];
    delay = v[3];
    loss = v[4];
    reorder = v[5];
    twice = v[6];
    seed = v[7] + 88172645463325252U;
    for (int i = 0; i < 2; i++)
        (void)fcntl(ways[i].from, F_SETFL, O_NONBLOCK);
    run();
    (void)printf("{\"seen\":%lu,\"lost\":%lu,\"moved\":%lu,\"doubled\":%lu}\n",
                 seen, lost, moved, doubled);
    return 0;
}
