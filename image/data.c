// SPDX-License-Identifier: Apache-2.0
#include "image/data.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

struct data_known {
    uint64_t hash;
    uint64_t at;   /* offset in the file */
    uint64_t size; /* whole blocks; 0: free slot */
};

/* Slots, 6 MiB: files of a layer after the first 131,072 different ones are
 * compared with those, not with each other. */
enum { DATA_KNOWN_MAX = 1 << 18 };

/* Odd constants with well-mixed bits; only speed depends on their quality,
 * because equal hashes are followed by a comparison. */
#define DATA_MIX_A UINT64_C(0x9e3779b97f4a7c15)
#define DATA_MIX_B UINT64_C(0xd6e8feb86659fd93)

int data_init(struct data *d, int fd, struct err *e)
{
    *d = (struct data){.fd = fd, .known_room = 1024};
    d->known = calloc(d->known_room, sizeof(*d->known));
    d->buffer = aligned_alloc(DATA_ALIGN_SIZE, DATA_BUFFER_SIZE);
    if (d->known == NULL || d->buffer == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    return 0;
}

void data_fini(struct data *d)
{
    free(d->known);
    free(d->buffer);
    *d = (struct data){.fd = -1};
}

static uint64_t data_at(const struct data *d)
{
    return d->base + d->used;
}

static uint64_t data_mix(uint64_t h, const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    h = (h ^ v) * DATA_MIX_B;
    return h ^ h >> 29;
}

/* Hash the file's whole blocks up to the end of the buffer. */
static void data_hash(struct data *d)
{
    const uint8_t *p = d->buffer + (d->hashed_at - d->base);
    const uint8_t *end = d->buffer + d->used;
    for (; p < end; p += 32) {
        for (unsigned i = 0; i < 4; i++)
            d->hash[i] = data_mix(d->hash[i], p + (size_t)8 * i);
    }
    d->hashed_at = data_at(d);
}

static int data_write(struct data *d, size_t size, struct err *e)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(d->fd, d->buffer + done, size - done,
                           (off_t)(d->base + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int code = n < 0 ? -errno : -EIO;
            return err_set(e, code, "writing layer data: %s", strerror(-code));
        }
        done += (size_t)n;
    }
    return 0;
}

static int data_flush(struct data *d, struct err *e)
{
    data_hash(d);
    int code = data_write(d, d->used, e);
    if (code < 0)
        return code;
    /* Start the disk now: the fsync at the end then has little to wait for. */
    (void)sync_file_range(d->fd, (off_t)d->base, (off_t)d->used,
                          SYNC_FILE_RANGE_WRITE);
    d->base += d->used;
    d->used = 0;
    return 0;
}

void data_begin(struct data *d)
{
    d->file_at = data_at(d);
    d->hashed_at = d->file_at;
    d->file_sparse = false;
    for (unsigned i = 0; i < 4; i++)
        d->hash[i] = DATA_MIX_A * (i + 1);
}

int data_add(struct data *d, const void *bytes, size_t size, struct err *e)
{
    const uint8_t *p = bytes;
    while (size > 0) {
        size_t n = DATA_BUFFER_SIZE - d->used;
        if (n > size)
            n = size;
        memcpy(d->buffer + d->used, p, n);
        d->used += n;
        p += n;
        size -= n;
        if (d->used < DATA_BUFFER_SIZE)
            continue;
        int code = data_flush(d, e);
        if (code < 0)
            return code;
    }
    return 0;
}

static int data_zero(struct data *d, size_t size, struct err *e)
{
    memset(d->buffer + d->used, 0, size);
    d->used += size;
    return d->used == DATA_BUFFER_SIZE ? data_flush(d, e) : 0;
}

int data_skip(struct data *d, uint64_t size, struct err *e)
{
    d->file_sparse = true;
    size_t room = DATA_BUFFER_SIZE - d->used;
    if (size < room)
        return data_zero(d, (size_t)size, e);
    int code = data_zero(d, room, e);
    if (code < 0)
        return code;
    size -= room;
    d->base += size / DATA_BUFFER_SIZE * DATA_BUFFER_SIZE;
    d->hashed_at = d->base;
    return data_zero(d, (size_t)(size % DATA_BUFFER_SIZE), e);
}

/* The slot of an equal hash and size, or the free one where it belongs. */
static struct data_known *data_find(struct data *d, uint64_t hash,
                                    uint64_t size)
{
    size_t i = (size_t)hash & (d->known_room - 1);
    while (d->known[i].size != 0 &&
           (d->known[i].hash != hash || d->known[i].size != size))
        i = (i + 1) & (d->known_room - 1);
    return &d->known[i];
}

/* At DATA_KNOWN_MAX it stays half full: memory has a limit. */
static int data_grow(struct data *d, struct err *e)
{
    if (d->known_count < d->known_room / 2 || d->known_room == DATA_KNOWN_MAX)
        return 0;
    struct data_known *old = d->known;
    size_t room = d->known_room;
    d->known = calloc(room * 2, sizeof(*old));
    if (d->known == NULL) {
        d->known = old;
        return err_set(e, -ENOMEM, "out of memory: too many files");
    }
    d->known_room = room * 2;
    for (size_t i = 0; i < room; i++) {
        if (old[i].size != 0)
            *data_find(d, old[i].hash, old[i].size) = old[i];
    }
    free(old);
    return 0;
}

/* `size` bytes at `at`, wherever they are now. */
static int data_load(struct data *d, uint64_t at, uint8_t *to, size_t size,
                     struct err *e)
{
    if (at >= d->base) {
        memcpy(to, d->buffer + (at - d->base), size);
        return 0;
    }
    if (size > d->base - at) {
        size_t part = (size_t)(d->base - at);
        memcpy(to + part, d->buffer, size - part);
        size = part;
    }
    while (size > 0) {
        ssize_t n = pread(d->fd, to, size, (off_t)at);
        if (n <= 0)
            return err_set(e, n < 0 ? -errno : -EIO, "reading layer data back");
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

/* 1 when both ranges hold the same bytes. */
static int data_equal(struct data *d, uint64_t a, uint64_t b, uint64_t size,
                      struct err *e)
{
    uint8_t x[DATA_BLOCK_SIZE];
    uint8_t y[DATA_BLOCK_SIZE];
    for (uint64_t at = 0; at < size; at += sizeof(x)) {
        int code = data_load(d, a + at, x, sizeof(x), e);
        if (code == 0)
            code = data_load(d, b + at, y, sizeof(y), e);
        if (code < 0)
            return code;
        if (memcmp(x, y, sizeof(x)) != 0)
            return 0;
    }
    return 1;
}

/* Take the file back: the next one starts where it did. */
static int data_drop(struct data *d, struct err *e)
{
    if (d->file_at >= d->base) {
        d->used = (size_t)(d->file_at - d->base);
        return 0;
    }
    size_t used = (size_t)(d->file_at % DATA_BUFFER_SIZE);
    uint64_t base = d->file_at - used;
    uint64_t at = base;
    size_t left = used;
    /* The start of that buffer is on disk: nothing of it is in ours. */
    while (left > 0) {
        ssize_t n = pread(d->fd, d->buffer + (at - base), left, (off_t)at);
        if (n <= 0)
            return err_set(e, n < 0 ? -errno : -EIO, "reading layer data back");
        at += (uint64_t)n;
        left -= (size_t)n;
    }
    /* Later holes rely on nothing being there. */
    if (ftruncate(d->fd, (off_t)base) < 0)
        return err_set(e, -errno, "layer data: %s", strerror(errno));
    d->base = base;
    d->used = used;
    return 0;
}

int data_end(struct data *d, uint64_t *block, struct err *e)
{
    size_t over = d->used % DATA_BLOCK_SIZE;
    if (over != 0)
        memset(d->buffer + d->used, 0, DATA_BLOCK_SIZE - over);
    d->used += over != 0 ? DATA_BLOCK_SIZE - over : 0;
    data_hash(d);
    uint64_t size = data_at(d) - d->file_at;
    *block = size != 0 ? d->file_at / DATA_BLOCK_SIZE : 0;

    int code = 0;
    if (size != 0 && !d->file_sparse) {
        uint64_t hash = 0;
        for (unsigned i = 0; i < 4; i++)
            hash = (hash ^ d->hash[i]) * DATA_MIX_A;
        hash ^= hash >> 32;
        code = data_grow(d, e);
        if (code < 0)
            return code;
        struct data_known *k = data_find(d, hash, size);
        if (k->size == 0 && d->known_count < d->known_room / 2) {
            *k = (struct data_known){hash, d->file_at, size};
            d->known_count++;
        } else if (k->size != 0) {
            code = data_equal(d, k->at, d->file_at, size, e);
            if (code < 0)
                return code;
            if (code == 1) {
                *block = k->at / DATA_BLOCK_SIZE;
                return data_drop(d, e);
            }
        }
    }
    return d->used == DATA_BUFFER_SIZE ? data_flush(d, e) : 0;
}

int data_finish(struct data *d, uint64_t *size, struct err *e)
{
    *size = data_at(d);
    int code = data_write(d, d->used, e);
    if (code < 0)
        return code;
    uint64_t whole =
        (*size + DATA_ALIGN_SIZE - 1) / DATA_ALIGN_SIZE * DATA_ALIGN_SIZE;
    if (ftruncate(d->fd, (off_t)whole) < 0)
        return err_set(e, -errno, "layer data: %s", strerror(errno));
    return 0;
}
