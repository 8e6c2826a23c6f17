// SPDX-License-Identifier: Apache-2.0
#include "image/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

#define SPILL_FILE_MAX  ((size_t)16 << 30)
#define SPILL_FILE_STEP ((size_t)8 << 20)

struct spill_piece {
    struct spill_piece *next;
    _Alignas(16) uint8_t data[];
};

void spill_init(struct spill *p, struct store *store)
{
    *p = (struct spill){.store = store, .plain_max = SPILL_PLAIN_MAX};
}

void spill_fini(struct spill *p)
{
    while (p->pieces != NULL) {
        struct spill_piece *next = p->pieces->next;
        free(p->pieces);
        p->pieces = next;
    }
    if (p->map != NULL)
        (void)munmap(p->map, SPILL_FILE_MAX);
    if (p->store != NULL)
        store_temp_drop(p->store, &p->file);
    *p = (struct spill){0};
}

static int spill_open(struct spill *p, struct err *e)
{
    int code = store_temp_open(p->store, &p->file, e);
    if (code < 0)
        return code;
    void *map = mmap(NULL, SPILL_FILE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED,
                     p->file.fd, 0);
    if (map == MAP_FAILED)
        return err_set(e, -errno, "mapping a file of the store: %s",
                       strerror(errno));
    p->map = map;
    return 0;
}

/* Blocks for all of it first: a full disk is an error here, a signal later. */
static void *spill_from_file(struct spill *p, size_t size, struct err *e)
{
    if (p->map == NULL && spill_open(p, e) < 0)
        return NULL;
    if (size > SPILL_FILE_MAX - p->used) {
        (void)err_set(e, -ENOMEM, "out of memory: too many files");
        return NULL;
    }
    while (p->used + size > p->size) {
        if (fallocate(p->file.fd, 0, (off_t)p->size, (off_t)SPILL_FILE_STEP) <
            0) {
            (void)err_set(e, -errno, "a file of the store: %s",
                          strerror(errno));
            return NULL;
        }
        p->size += SPILL_FILE_STEP;
    }
    void *at = p->map + p->used;
    p->used += size;
    return at;
}

void *spill_alloc(struct spill *p, size_t size, struct err *e)
{
    size = (size + 15) & ~(size_t)15;
    if (p->store != NULL && p->plain + size > p->plain_max)
        return spill_from_file(p, size, e);
    struct spill_piece *piece = calloc(1, sizeof(*piece) + size);
    if (piece == NULL) {
        (void)err_set(e, -ENOMEM, "out of memory: too many files");
        return NULL;
    }
    piece->next = p->pieces;
    p->pieces = piece;
    p->plain += size;
    return piece->data;
}

void spill_watch(struct spill *p, void *map, size_t size)
{
    if (p->watched_count == sizeof(p->watched) / sizeof(p->watched[0]))
        return;
    p->watched_size += size;
    p->watched[p->watched_count].at = map;
    p->watched[p->watched_count++].size = size;
}

/* The file keeps what was written: only our page tables forget. */
void spill_breathe(struct spill *p)
{
    p->steps = 0;
    if (p->map == NULL && p->watched_size < p->plain_max)
        return;
    if (p->map != NULL)
        (void)madvise(p->map, p->size, MADV_DONTNEED);
    for (unsigned i = 0; i < p->watched_count; i++)
        (void)madvise(p->watched[i].at, p->watched[i].size, MADV_DONTNEED);
}
