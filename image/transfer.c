// SPDX-License-Identifier: Apache-2.0
#include "image/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "image/http.h"

enum { TRANSFER_TROUBLE_MAX = 4096 };

int transfer_begin(struct transfer *t, const struct fetch_ask *ask, int pipe)
{
    uint8_t *room = t->room;
    *t = (struct transfer){
        .state = TRANSFER_WAITING,
        .op = ask->op,
        .slot = ask->slot,
        .size = ask->size,
        .done = ask->from,
        .pipe = pipe,
        .body = {.max = ask->size + 1},
        .trouble = {.max = TRANSFER_TROUBLE_MAX},
        .budget = t->budget,
        .room = room != NULL || pipe < 0 ? room : malloc(TRANSFER_ROOM),
    };
    memcpy(t->name, ask->name, sizeof(t->name));
    return pipe >= 0 && t->room == NULL ? -ENOMEM : 0;
}

void transfer_fini(struct transfer *t)
{
    curl_slist_free_all(t->headers);
    buf_fini(&t->body);
    buf_fini(&t->trouble);
    free(t->room);
    *t = (struct transfer){0};
}

static int transfer_write(struct transfer *t, const void *data, size_t size)
{
    ssize_t n;
    do
        n = write(t->pipe, data, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    return (int)n;
}

int transfer_flush(struct transfer *t)
{
    while (t->at < t->end) {
        if (t->chunk == 0) {
            uint32_t head = (uint32_t)(t->end - t->at);
            int n = transfer_write(t, &head, sizeof(head));
            if (n <= 0)
                return n;
            t->chunk = head;
        }
        int n = transfer_write(t, t->room + t->at, t->chunk);
        if (n <= 0)
            return n;
        t->at += (size_t)n;
        t->chunk -= (uint32_t)n;
    }
    t->at = t->end = 0;
    if (t->abort) {
        static const uint32_t nothing = 0;
        int n = transfer_write(t, &nothing, sizeof(nothing));
        if (n < 0)
            return n;
        t->abort = n == 0;
    }
    return 0;
}

bool transfer_wants_pipe(const struct transfer *t)
{
    return t->pipe >= 0 && (t->at < t->end || t->abort);
}

static int transfer_refuse(struct transfer *t, int code, const char *why)
{
    (void)err_set(&t->failed, code, "%.100s: %s", t->name, why);
    return -1;
}

/* Bytes of a layer; 1 when there is no room for them now. */
static int transfer_take(struct transfer *t, const char *data, size_t n)
{
    size_t old = t->skip < n ? (size_t)t->skip : n;
    if (n - old > t->size - t->done)
        return transfer_refuse(t, -EFBIG,
                               "more bytes than its descriptor says");
    if (t->budget != NULL && *t->budget <= 0) {
        t->throttled = true;
        return 1;
    }
    if (t->end + n > TRANSFER_ROOM && transfer_flush(t) < 0)
        return transfer_refuse(t, -EPIPE, "the converter is gone");
    if (t->at > 0) {
        memmove(t->room, t->room + t->at, t->end - t->at);
        t->end -= t->at;
        t->at = 0;
    }
    if (t->end + n > TRANSFER_ROOM)
        return 1;
    t->skip -= old;
    memcpy(t->room + t->end, data + old, n - old);
    t->end += n - old;
    t->done += n - old;
    t->tries = 0; /* it moves */
    if (t->budget != NULL)
        *t->budget -= (int64_t)n;
    return 0;
}

static size_t transfer_on_body(char *data, size_t one, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t n = one * count;
    if (t->status != 200 && t->status != 206) {
        size_t room = TRANSFER_TROUBLE_MAX - 1 - t->trouble.size;
        buf_add(&t->trouble, data, n < room ? n : room);
        return n <= room ? n : 0; /* it may have no end */
    }
    if (t->pipe < 0) {
        buf_add(&t->body, data, n);
        if (t->body.size > t->size || t->body.failed != 0) {
            (void)transfer_refuse(t, -EFBIG, "larger than a document may be");
            return 0;
        }
        return n;
    }
    int code = transfer_take(t, data, n);
    if (code > 0)
        t->paused = true;
    return code > 0 ? CURL_WRITEFUNC_PAUSE : code < 0 ? 0 : n;
}

static void transfer_on_status(struct transfer *t, const char *line, size_t n)
{
    t->status = http_status(line, n);
    t->challenge[0] = '\0';
    t->digest[0] = '\0';
    t->retry_after = 0;
    t->trouble.size = 0;
    /* Everything again: what came before is not handed over twice. */
    t->skip = t->status == 200 ? t->done : 0;
}

static void transfer_on_range(struct transfer *t, const char *value)
{
    unsigned long long from = 0;
    if (sscanf(value, "bytes %llu-", &from) == 1 && from <= t->done)
        t->skip = t->done - from;
    else
        (void)transfer_refuse(t, -EPROTO, "another range than was asked for");
}

static size_t transfer_on_header(char *line, size_t one, size_t count,
                                 void *arg)
{
    struct transfer *t = arg;
    struct registry_challenge c;
    char value[TRANSFER_REPLY_SIZE];
    size_t n = one * count;
    if (n > 5 && strncmp(line, "HTTP/", 5) == 0)
        transfer_on_status(t, line, n);
    else if (http_header(line, n, "www-authenticate", value, sizeof(value)) !=
             NULL) {
        if (registry_parse_challenge(value, &c) == 0)
            memcpy(t->challenge, value, sizeof(value));
    } else if (http_header(line, n, "docker-content-digest", value,
                           FETCH_NAME_SIZE) != NULL)
        memcpy(t->digest, value, sizeof(t->digest));
    else if (http_header(line, n, "retry-after", value, 16) != NULL)
        t->retry_after = (unsigned)strtoul(value, NULL, 10);
    else if (t->status == 206 &&
             http_header(line, n, "content-range", value, 64) != NULL)
        transfer_on_range(t, value);
    return t->failed.code != 0 ? 0 : n;
}

void transfer_arm(struct transfer *t)
{
    char range[32];
    t->status = 0;
    t->skip = 0;
    t->detail[0] = '\0';
    t->body.size = 0;
    t->body.failed = 0;
    t->failed = (struct err){0};
    t->paused = t->throttled = false;
    (void)curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->detail);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, transfer_on_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, transfer_on_header);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    if (t->pipe >= 0 && t->done > 0) {
        (void)snprintf(range, sizeof(range), "%llu-",
                       (unsigned long long)t->done);
        (void)curl_easy_setopt(t->easy, CURLOPT_RANGE, range);
    }
}
