// SPDX-License-Identifier: Apache-2.0
#include "image/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/auto.h"
#include "image/http.h"

enum {
    UPLOAD_TROUBLE_MAX = 4096,
    UPLOAD_PATCH_STALL_S = 60,
    UPLOAD_PUT_STALL_S = 300, /* registries move the blob then */
};

/* --- bytes --- */

/* From the pipe: bytes, 0 when there are none now, -1 at the stream's end. */
static ssize_t upload_read_pipe(struct upload_stream *s, char *to, size_t room)
{
    while (s->left == 0 && !s->ended) {
        ssize_t n = read(s->pipe, (char *)&s->head + s->head_at,
                         sizeof(s->head) - s->head_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        s->head_at += n > 0 ? (size_t)n : 0;
        if (n > 0 && s->head_at < sizeof(s->head))
            continue;
        s->head_at = 0;
        s->left = n > 0 ? s->head : 0;
        s->ended = s->left == 0;
    }
    if (s->ended)
        return -1;
    ssize_t n;
    do
        n = read(s->pipe, to, s->left < room ? s->left : room);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    s->ended = n <= 0;
    s->left -= n > 0 ? (uint32_t)n : 0;
    return n > 0 ? n : -1;
}

void upload_drain(struct upload_stream *s)
{
    char waste[4096];
    while (!s->ended && upload_read_pipe(s, waste, sizeof(waste)) > 0)
        continue;
}

static size_t upload_on_read(char *to, size_t one, size_t count, void *arg)
{
    struct upload *u = arg;
    uint64_t left = u->size - u->done;
    size_t room = one * count < left ? one * count : (size_t)left;
    ssize_t n = (ssize_t)room;
    if (room == 0)
        return 0;
    if (u->budget != NULL && *u->budget <= 0) {
        u->paused = u->throttled = true;
        return CURL_READFUNC_PAUSE;
    }
    if (u->text != NULL)
        memcpy(to, u->text + u->done, room);
    else if (u->fd >= 0)
        n = pread(u->fd, to, room, (off_t)u->done);
    else
        n = upload_read_pipe(&u->stream, to, room);
    if (n == 0 && u->text == NULL && u->fd < 0) {
        u->paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (n <= 0) {
        if (u->fd >= 0)
            (void)err_set(&u->failed, -EIO,
                          "blobs/%s of the store cannot be read; limpet pull "
                          "--keep-blobs the image again",
                          u->digest);
        return CURL_READFUNC_ABORT;
    }
    u->done += (uint64_t)n;
    if (u->budget != NULL)
        *u->budget -= n;
    return (size_t)n;
}

/* libcurl goes back to the start of the body when it is redirected, or when a
 * connection that was kept turns out to be closed. */
static int upload_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct upload *u = arg;
    uint64_t start = u->step == UPLOAD_PATCH ? u->acked : 0;
    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    if (u->text == NULL && u->fd < 0)
        return u->done == start + (uint64_t)offset ? CURL_SEEKFUNC_OK
                                                   : CURL_SEEKFUNC_FAIL;
    u->done = start + (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* --- the answer --- */

static size_t upload_on_body(char *data, size_t one, size_t count, void *arg)
{
    struct upload *u = arg;
    size_t n = one * count;
    size_t room = UPLOAD_TROUBLE_MAX - 1 - u->trouble.size;
    buf_add(&u->trouble, data, n < room ? n : room);
    return n <= room ? n : 0; /* it may have no end */
}

static void upload_on_status(struct upload *u, const char *line, size_t n)
{
    u->status = http_status(line, n);
    u->challenge[0] = '\0';
    u->next[0] = '\0';
    u->is[0] = '\0';
    u->retry_after = 0;
    u->has_range = false;
    u->trouble.size = 0;
}

static void upload_on_range(struct upload *u, const char *value)
{
    unsigned long long end = 0;
    if (sscanf(value, "0-%llu", &end) != 1 &&
        sscanf(value, "bytes=0-%llu", &end) != 1)
        return;
    u->has_range = true;
    /* "0-0" is what registries say of nothing, too. */
    u->range_size = end == 0 ? 0 : (uint64_t)end + 1;
}

static size_t upload_on_header(char *line, size_t one, size_t count, void *arg)
{
    struct upload *u = arg;
    struct registry_challenge c;
    char value[UPLOAD_URL_SIZE];
    size_t n = one * count;
    size_t room = sizeof(value);
    if (n > 5 && strncmp(line, "HTTP/", 5) == 0)
        upload_on_status(u, line, n);
    else if (http_header(line, n, "www-authenticate", value,
                         UPLOAD_REPLY_SIZE) != NULL) {
        if (registry_parse_challenge(value, &c) == 0)
            memcpy(u->challenge, value, sizeof(u->challenge));
    } else if (http_header(line, n, "location", value, room) != NULL)
        memcpy(u->next, value, sizeof(u->next));
    else if (http_header(line, n, "docker-content-digest", value,
                         sizeof(u->is)) != NULL)
        memcpy(u->is, value, sizeof(u->is));
    else if (http_header(line, n, "retry-after", value, 16) != NULL)
        u->retry_after = (unsigned)strtoul(value, NULL, 10);
    else if (http_header(line, n, "range", value, 64) != NULL)
        upload_on_range(u, value);
    return n;
}

/* --- the request --- */

static void upload_add_header(struct upload *u, const char *text)
{
    struct curl_slist *more = curl_slist_append(u->headers, text);
    if (more != NULL)
        u->headers = more;
}

static void upload_set_body(struct upload *u, const char *method, uint64_t size)
{
    (void)curl_easy_setopt(u->easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(u->easy, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(u->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
    (void)curl_easy_setopt(u->easy, CURLOPT_READFUNCTION, upload_on_read);
    (void)curl_easy_setopt(u->easy, CURLOPT_READDATA, u);
    (void)curl_easy_setopt(u->easy, CURLOPT_SEEKFUNCTION, upload_on_seek);
    (void)curl_easy_setopt(u->easy, CURLOPT_SEEKDATA, u);
    /* Who may write was settled before: no second of waiting for "100". */
    upload_add_header(u, "Expect:");
}

static void upload_set_empty(struct upload *u, const char *method)
{
    (void)curl_easy_setopt(u->easy, CURLOPT_POSTFIELDS, "");
    (void)curl_easy_setopt(u->easy, CURLOPT_CUSTOMREQUEST, method);
    upload_add_header(u, "Content-Type: application/octet-stream");
}

static void upload_set_request(struct upload *u)
{
    char line[160];
    long stall = UPLOAD_PATCH_STALL_S;
    switch (u->step) {
    case UPLOAD_HEAD:
        (void)curl_easy_setopt(u->easy, CURLOPT_NOBODY, 1L);
        break;
    case UPLOAD_STATUS: break;
    case UPLOAD_POST: upload_set_empty(u, "POST"); break;
    case UPLOAD_PUT:
        upload_set_empty(u, "PUT");
        stall = UPLOAD_PUT_STALL_S;
        break;
    case UPLOAD_DOCUMENT:
        u->done = 0;
        upload_set_body(u, "PUT", u->size);
        (void)snprintf(line, sizeof(line), "Content-Type: %s", u->type);
        upload_add_header(u, line);
        break;
    case UPLOAD_PATCH:
        u->done = u->acked;
        upload_set_body(u, "PATCH", u->size - u->acked);
        upload_add_header(u, "Content-Type: application/octet-stream");
        if (u->acked > 0) {
            (void)snprintf(line, sizeof(line), "Content-Range: %llu-%llu",
                           (unsigned long long)u->acked,
                           (unsigned long long)u->size - 1);
            upload_add_header(u, line);
        }
        break;
    }
    (void)curl_easy_setopt(u->easy, CURLOPT_LOW_SPEED_TIME, stall);
}

void upload_arm(struct upload *u)
{
    u->status = 0;
    u->detail[0] = '\0';
    u->failed = (struct err){0};
    u->trouble.max = UPLOAD_TROUBLE_MAX;
    u->trouble.size = 0;
    u->paused = u->throttled = false;
    u->has_range = false;
    u->next[0] = u->is[0] = u->challenge[0] = '\0';
    upload_set_request(u);
    (void)curl_easy_setopt(u->easy, CURLOPT_PRIVATE, u);
    (void)curl_easy_setopt(u->easy, CURLOPT_ERRORBUFFER, u->detail);
    (void)curl_easy_setopt(u->easy, CURLOPT_WRITEFUNCTION, upload_on_body);
    (void)curl_easy_setopt(u->easy, CURLOPT_WRITEDATA, u);
    (void)curl_easy_setopt(u->easy, CURLOPT_HEADERFUNCTION, upload_on_header);
    (void)curl_easy_setopt(u->easy, CURLOPT_HEADERDATA, u);
    (void)curl_easy_setopt(u->easy, CURLOPT_HTTPHEADER, u->headers);
}

/* --- addresses --- */

bool upload_follow(struct upload *u, const char *base)
{
    bool ok = false;
    char *url = NULL;
    CURLU *h = curl_url();
    if (h != NULL && u->next[0] != '\0' &&
        curl_url_set(h, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(h, CURLUPART_URL, u->next, 0) == CURLUE_OK &&
        curl_url_get(h, CURLUPART_URL, &url, 0) == CURLUE_OK)
        ok = strlen(url) < sizeof(u->location) &&
             (strncmp(url, "https://", 8) == 0 ||
              (strncmp(url, "http://", 7) == 0 &&
               strncmp(base, "http://", 7) == 0));
    if (ok)
        (void)snprintf(u->location, sizeof(u->location), "%s", url);
    curl_free(url);
    curl_url_cleanup(h);
    return ok;
}

/* "scheme://host:port", with the port that goes without saying. */
static bool upload_origin(const char *url, char out[320])
{
    char *scheme = NULL;
    char *host = NULL;
    char *port = NULL;
    CURLU *h = curl_url();
    bool ok =
        h != NULL && curl_url_set(h, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(h, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(h, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(h, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (ok)
        ok = snprintf(out, 320, "%s://%s:%s", scheme, host, port) < 320;
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(h);
    return ok;
}

bool upload_is_at(const char *url, const struct registry_endpoint *to)
{
    char a[320];
    char b[320];
    return upload_origin(url, a) && upload_origin(to->url, b) &&
           strcasecmp(a, b) == 0;
}

void upload_disarm(struct upload *u)
{
    curl_easy_cleanup(u->easy);
    curl_slist_free_all(u->headers);
    u->easy = NULL;
    u->headers = NULL;
}

void upload_fini(struct upload *u)
{
    upload_disarm(u);
    buf_fini(&u->trouble);
    if (u->fd >= 0)
        (void)close(u->fd);
    u->fd = -1;
    u->state = UPLOAD_IDLE;
}
