// SPDX-License-Identifier: Apache-2.0
#include "image/fetcher.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/auto.h"
#include "base/path.h"
#include "image/http.h"
#include "image/progress.h"
#include "image/transfer.h"

enum {
    FETCHER_DOCUMENT_MAX = 4 << 20,
    FETCHER_BACKOFF_MS = 500,
    FETCHER_BACKOFF_MAX_MS = 30 * 1000,
    FETCHER_SCOPE_SIZE = 320,
    FETCHER_POLL_MS = 200,
    FETCHER_HEAD = FETCH_FAILED + 1, /* an operation of our own */
};

struct fetcher {
    struct fetcher_options o;
    struct http http;
    struct creds creds;
    struct registry_endpoint endpoints[REGISTRY_ENDPOINTS_MAX];
    struct http_auth auth[REGISTRY_ENDPOINTS_MAX];
    unsigned endpoint_count;
    bool answered;                          /* by anybody, ever */
    char challenge[FETCHER_CHALLENGE_SIZE]; /* the registry's own, or "" */
    CURLM *multi;
    int sock; /* to the converter, or -1 */
    const int *pipes;
    unsigned pipe_count;
    struct transfer document;
    struct transfer layers[FETCH_WORKERS_MAX];
    int64_t budget, budget_at; /* rate limit: bytes, ms */
    bool over;                 /* the converter said DONE or FAILED */
    struct fetcher_result result;
    struct err failed;
    struct progress progress;
};

static int64_t fetcher_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int fetcher_new(const struct fetcher_options *o, struct fetcher **out,
                struct err *e)
{
    struct fetcher *f = calloc(1, sizeof(*f));
    if (f == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(f);
        return err_set(e, -ENOMEM, "libcurl: out of memory");
    }
    f->o = *o;
    f->sock = -1;
    f->http.cert_dir = o->cert_dir;
    progress_init(&f->progress, o->quiet);
    int n = registry_endpoints(o->name->host, o->tls_verify, f->endpoints, e);
    int code = n < 0 ? n : creds_find(o->name->host, &f->creds, e);
    f->endpoint_count = n > 0 ? (unsigned)n : 0;
    f->multi = curl_multi_init();
    if (code == 0 && f->multi == NULL)
        code = err_set(e, -ENOMEM, "libcurl: out of memory");
    for (unsigned i = 0; i < FETCH_WORKERS_MAX && o->limit_rate > 0; i++)
        f->layers[i].budget = &f->budget;
    if (code < 0) {
        fetcher_free(f);
        return code;
    }
    *out = f;
    return 0;
}

static void fetcher_end_try(struct fetcher *f, struct transfer *t)
{
    if (t->easy == NULL)
        return;
    (void)curl_multi_remove_handle(f->multi, t->easy);
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
    curl_slist_free_all(t->headers);
    t->headers = NULL;
}

void fetcher_free(struct fetcher *f)
{
    if (f == NULL)
        return;
    for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++) {
        fetcher_end_try(f, &f->layers[i]);
        transfer_fini(&f->layers[i]);
    }
    fetcher_end_try(f, &f->document);
    transfer_fini(&f->document);
    (void)curl_multi_cleanup(f->multi);
    http_fini(&f->http);
    creds_wipe(&f->creds);
    explicit_bzero(f->auth, sizeof(f->auth));
    free(f);
}

/* --- one try --- */

static struct curl_slist *fetcher_headers(const struct fetcher *f,
                                          const struct transfer *t)
{
    /* One header: not everybody adds several up. */
    static const char accept[] =
        "Accept: application/vnd.oci.image.index.v1+json, "
        "application/vnd.docker.distribution.manifest.list.v2+json, "
        "application/vnd.oci.image.manifest.v1+json, "
        "application/vnd.docker.distribution.manifest.v2+json";
    struct curl_slist *list = NULL;
    if (f->auth[t->endpoint].header[0] != '\0')
        list = curl_slist_append(list, f->auth[t->endpoint].header);
    bool manifest = t->op == FETCH_MANIFEST || (int)t->op == FETCHER_HEAD;
    if (manifest)
        list = curl_slist_append(list, accept);
    return list;
}

static int fetcher_try(struct fetcher *f, struct transfer *t)
{
    const struct registry_endpoint *to = &f->endpoints[t->endpoint];
    char url[REGISTRY_URL_SIZE];
    bool manifest = t->op == FETCH_MANIFEST || (int)t->op == FETCHER_HEAD;
    (void)snprintf(url, sizeof(url), "%s/v2/%s/%s/%s", to->url, f->o.name->repo,
                   manifest ? "manifests" : "blobs", t->name);
    t->easy = http_new(&f->http, to, &t->failed);
    if (t->easy == NULL)
        return -ENOMEM;
    t->headers = fetcher_headers(f, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_URL, url);
    if ((int)t->op == FETCHER_HEAD)
        (void)curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    transfer_arm(t);
    t->state = TRANSFER_RUNNING;
    return curl_multi_add_handle(f->multi, t->easy) == CURLM_OK ? 0 : -ENOMEM;
}

static void fetcher_fail(struct transfer *t)
{
    t->abort = t->pipe >= 0;
    t->state = t->abort ? TRANSFER_FLUSHING : TRANSFER_ENDED;
}

static void fetcher_again(struct transfer *t, int64_t after_ms)
{
    t->state = TRANSFER_WAITING;
    t->retry_at = fetcher_now() + after_ms;
}

/* This endpoint will not do it: ask the next one, or give up. */
static void fetcher_next_endpoint(struct fetcher *f, struct transfer *t)
{
    if (t->endpoint + 1 >= f->endpoint_count) {
        fetcher_fail(t);
        return;
    }
    t->endpoint++;
    t->tries = 0;
    t->auth_tried = false;
    fetcher_again(t, 0);
}

/* It may work later: wait longer each time. */
static void fetcher_retry(struct fetcher *f, struct transfer *t)
{
    bool hopeless = !f->answered && t->tries >= 1;
    if (++t->tries >= TRANSFER_TRIES_MAX || hopeless) {
        fetcher_next_endpoint(f, t);
        return;
    }
    int64_t wait = f->o.backoff_ms > 0 ? f->o.backoff_ms : FETCHER_BACKOFF_MS;
    wait <<= t->tries - 1;
    if (t->retry_after > 0)
        wait = (int64_t)t->retry_after * 1000;
    fetcher_again(t, wait < FETCHER_BACKOFF_MAX_MS ? wait
                                                   : FETCHER_BACKOFF_MAX_MS);
}

static void fetcher_describe(const struct fetcher *f, struct transfer *t,
                             int code, const char *what)
{
    char why[200];
    registry_error_text(t->trouble.data != NULL ? t->trouble.data : "",
                        t->trouble.size, why);
    /* The image's own name is put before it by who knows it. */
    (void)err_set(&t->failed, code, "%s: %s%s%s (HTTP %ld%s%s)",
                  f->endpoints[t->endpoint].host, t->pipe >= 0 ? t->name : "",
                  t->pipe >= 0 ? ": " : "", what, t->status,
                  why[0] != '\0' ? ", " : "", why);
}

static void fetcher_authorize(struct fetcher *f, struct transfer *t)
{
    struct http_auth *auth = &f->auth[t->endpoint];
    char scope[FETCHER_SCOPE_SIZE];
    if (t->auth_tried || t->challenge[0] == '\0' ||
        registry_parse_challenge(t->challenge, &auth->challenge) < 0) {
        fetcher_describe(f, t, -EACCES, "access denied; limpet login first");
        fetcher_next_endpoint(f, t);
        return;
    }
    t->auth_tried = true;
    if (t->endpoint + 1 == f->endpoint_count)
        (void)snprintf(f->challenge, sizeof(f->challenge), "%.1023s",
                       t->challenge);
    (void)snprintf(scope, sizeof(scope), "repository:%s:pull", f->o.name->repo);
    if (auth->challenge.scope[0] != '\0')
        (void)snprintf(scope, sizeof(scope), "%.319s", auth->challenge.scope);
    if (http_authorize(&f->http, &f->endpoints[t->endpoint], auth, &f->creds,
                       scope, &t->failed) < 0)
        fetcher_next_endpoint(f, t);
    else
        fetcher_again(t, 0);
}

static void fetcher_on_status(struct fetcher *f, struct transfer *t)
{
    f->answered = true;
    switch (t->status) {
    case 200:
    case 206:
        t->auth_tried = false;
        if (t->pipe < 0) {
            t->state = TRANSFER_ENDED;
        } else if (t->done == t->size) {
            t->state = TRANSFER_FLUSHING;
        } else {
            (void)err_set(
                &t->failed, -EIO, "%s: ended after %llu of %llu bytes", t->name,
                (unsigned long long)t->done, (unsigned long long)t->size);
            fetcher_retry(f, t);
        }
        break;
    case 401: fetcher_authorize(f, t); break;
    case 404:
        fetcher_describe(f, t, -ENOENT, "not found");
        fetcher_next_endpoint(f, t);
        break;
    case 408:
    case 429:
        fetcher_describe(f, t, -EAGAIN, "too many requests");
        fetcher_retry(f, t);
        break;
    default:
        fetcher_describe(f, t, t->status == 403 ? -EACCES : -EIO,
                         t->status == 403 ? "access denied" : "refused");
        if (t->status >= 500)
            fetcher_retry(f, t);
        else
            fetcher_next_endpoint(f, t);
    }
}

static void fetcher_on_end(struct fetcher *f, struct transfer *t, CURLcode r)
{
    fetcher_end_try(f, t);
    if (t->failed.code != 0) { /* our own callbacks stopped it */
        fetcher_fail(t);
        return;
    }
    if (r == CURLE_OK || r == CURLE_WRITE_ERROR) { /* enough of an error */
        fetcher_on_status(f, t);
        return;
    }
    if (!f->answered && http_fall_back(&f->endpoints[t->endpoint], r)) {
        fetcher_again(t, 0);
        return;
    }
    (void)http_error(r, t->detail, &f->endpoints[t->endpoint], &t->failed);
    if (t->failed.code == -EIO)
        fetcher_retry(f, t);
    else
        fetcher_next_endpoint(f, t);
}

/* --- all of them --- */

static void fetcher_collect(struct fetcher *f)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(f->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        CURLcode r = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        fetcher_on_end(f, t, r);
    }
}

static void fetcher_refill(struct fetcher *f)
{
    int64_t now = fetcher_now();
    int64_t rate = (int64_t)f->o.limit_rate;
    if (rate == 0)
        return;
    f->budget += rate * (now - f->budget_at) / 1000;
    f->budget_at = now;
    if (f->budget > rate / 4)
        f->budget = rate / 4;
}

static void fetcher_start_due(struct fetcher *f, struct transfer *t)
{
    if (t->state != TRANSFER_WAITING || t->retry_at > fetcher_now())
        return;
    if (fetcher_try(f, t) < 0) {
        (void)err_set(&t->failed, -ENOMEM, "libcurl: out of memory");
        fetcher_end_try(f, t);
        fetcher_fail(t);
    }
}

static void fetcher_move_layer(struct fetcher *f, struct transfer *t)
{
    if (t->pipe < 0 || t->state < TRANSFER_RUNNING)
        return;
    if (transfer_flush(t) < 0) {
        fetcher_end_try(f, t);
        (void)err_set(&t->failed, -EPIPE, "%s: the converter is gone", t->name);
        t->abort = false;
        t->at = t->end = 0;
        t->state = TRANSFER_ENDED;
    }
    if (t->paused && !transfer_wants_pipe(t) &&
        (!t->throttled || f->budget > 0)) {
        t->paused = t->throttled = false;
        (void)curl_easy_pause(t->easy, CURLPAUSE_CONT);
    }
    if (t->state == TRANSFER_FLUSHING && !transfer_wants_pipe(t))
        t->state = TRANSFER_ENDED;
    struct progress_layer *l = progress_layer(&f->progress, t->name, t->size);
    if (l == NULL)
        return;
    l->done = t->done;
    progress_set(&f->progress, l,
                 t->state != TRANSFER_ENDED ? "Downloading"
                 : t->failed.code != 0      ? "Failed"
                                            : "Pull complete",
                 t->state == TRANSFER_ENDED);
}

static void fetcher_answer(struct fetcher *f, struct transfer *t)
{
    if (t->state != TRANSFER_ENDED || f->sock < 0)
        return;
    struct fetch_answer a = {.slot = t->pipe >= 0 ? t->slot : FETCH_NO_SLOT,
                             .failed = t->failed};
    if (t->failed.code == 0 && t->pipe < 0)
        a.size = (uint32_t)t->body.size;
    t->state = TRANSFER_IDLE;
    /* A converter that is gone has left its reason: fetcher_read_asks. */
    if (path_write_all(f->sock, &a, sizeof(a)) == 0 && a.size > 0)
        (void)path_write_all(f->sock, t->body.data, a.size);
    buf_fini(&t->body);
}

static bool fetcher_name_ok(const struct fetch_ask *a)
{
    if (memchr(a->name, '\0', sizeof(a->name)) == NULL || a->name[0] == '\0')
        return false;
    for (const char *p = a->name; *p != '\0'; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
              (*p >= '0' && *p <= '9') || strchr("._-:", *p) != NULL))
            return false;
    return true;
}

/* Nobody wants the rest. What has ended already has been answered. */
static void fetcher_stop(struct fetcher *f, struct transfer *t)
{
    if (t->state == TRANSFER_IDLE || t->state == TRANSFER_ENDED)
        return;
    fetcher_end_try(f, t);
    (void)err_set(&t->failed, -ECANCELED, "%s: not wanted any more", t->name);
    t->paused = t->throttled = false;
    fetcher_fail(t);
}

/* The converter reads what strangers wrote: it may ask, not command. */
static void fetcher_on_ask(struct fetcher *f, struct fetch_ask *a)
{
    struct transfer *t = &f->document;
    int pipe = -1;
    if (a->op == FETCH_FAILED) {
        a->failed.msg[sizeof(a->failed.msg) - 1] = '\0';
        f->failed = a->failed;
        f->failed.code = a->failed.code < 0 ? a->failed.code : -EIO;
        f->over = true;
        return;
    }
    bool ok = fetcher_name_ok(a);
    if (ok && a->op == FETCH_DONE && strlen(a->name) == SHA256_HEX_SIZE - 1) {
        memcpy(f->result.hex, a->name, SHA256_HEX_SIZE);
        memcpy(f->result.root, a->root, SHA256_HEX_SIZE);
        f->result.root[SHA256_HEX_SIZE - 1] = '\0';
        f->over = true;
        return;
    }
    if (ok && (a->op == FETCH_PRESENT || a->op == FETCH_WAITING)) {
        struct progress_layer *l =
            progress_layer(&f->progress, a->name, a->size);
        progress_set(&f->progress, l,
                     a->op == FETCH_PRESENT ? "Already exists"
                                            : "Waiting for another limpet",
                     a->op == FETCH_PRESENT);
        return;
    }
    if (a->op == FETCH_STOP && a->slot < f->pipe_count) {
        fetcher_stop(f, &f->layers[a->slot]);
        return;
    }
    if (a->op == FETCH_LAYER && a->slot < f->pipe_count) {
        t = &f->layers[a->slot];
        pipe = f->pipes[a->slot];
        ok = ok && a->from <= a->size;
    } else {
        ok = ok && (a->op == FETCH_MANIFEST || a->op == FETCH_DOCUMENT) &&
             a->size <= FETCHER_DOCUMENT_MAX;
    }
    if (!ok || t->state != TRANSFER_IDLE || transfer_begin(t, a, pipe) < 0) {
        (void)err_set(&f->failed, -EPROTO, "the converter asked nonsense");
        f->over = true;
    }
}

static void fetcher_read_asks(struct fetcher *f)
{
    struct fetch_ask a;
    while (!f->over) {
        ssize_t n = recv(f->sock, &a, sizeof(a), MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 || (n > 0 && n < (ssize_t)sizeof(a)))
            return;
        if (n > 0)
            n = recv(f->sock, &a, sizeof(a), MSG_WAITALL);
        if (n != (ssize_t)sizeof(a)) {
            (void)err_set(&f->failed, -EIO, "the converter ended unexpectedly");
            f->over = true;
            return;
        }
        fetcher_on_ask(f, &a);
    }
}

static void fetcher_wait(struct fetcher *f)
{
    struct curl_waitfd fds[FETCH_WORKERS_MAX + 1];
    unsigned n = 0;
    int64_t now = fetcher_now();
    int64_t wait = FETCHER_POLL_MS;
    if (f->sock >= 0)
        fds[n++] = (struct curl_waitfd){f->sock, CURL_WAIT_POLLIN, 0};
    for (unsigned i = 0; i <= FETCH_WORKERS_MAX; i++) {
        const struct transfer *t =
            i < FETCH_WORKERS_MAX ? &f->layers[i] : &f->document;
        if (t->state == TRANSFER_WAITING && t->retry_at - now < wait)
            wait = t->retry_at > now ? t->retry_at - now : 0;
        if (t->state >= TRANSFER_RUNNING && transfer_wants_pipe(t))
            fds[n++] = (struct curl_waitfd){t->pipe, CURL_WAIT_POLLOUT, 0};
        if (t->throttled && wait > 20)
            wait = 20;
    }
    (void)curl_multi_poll(f->multi, fds, n, (int)wait, NULL);
}

static void fetcher_step(struct fetcher *f)
{
    int running;
    fetcher_refill(f);
    fetcher_start_due(f, &f->document);
    for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++)
        fetcher_start_due(f, &f->layers[i]);
    (void)curl_multi_perform(f->multi, &running);
    fetcher_collect(f);
    for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++)
        fetcher_move_layer(f, &f->layers[i]);
}

const char *fetcher_challenge(const struct fetcher *f)
{
    return f->challenge;
}

int fetcher_head(struct fetcher *f, const char *challenge,
                 char digest[SHA256_HEX_SIZE], struct err *e)
{
    static const char prefix[] = "sha256:";
    struct transfer *t = &f->document;
    struct fetch_ask a = {.op = FETCH_MANIFEST, .size = 1};
    (void)snprintf(a.name, sizeof(a.name), "%s", f->o.name->tag);
    if (transfer_begin(t, &a, -1) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    t->op = (enum fetch_op)FETCHER_HEAD;
    if (challenge[0] != '\0') {
        (void)snprintf(t->challenge, sizeof(t->challenge), "%s", challenge);
        t->endpoint = f->endpoint_count - 1;
        fetcher_authorize(f, t);
    }
    while (t->state != TRANSFER_ENDED) {
        fetcher_step(f);
        if (t->state != TRANSFER_ENDED)
            fetcher_wait(f);
    }
    t->state = TRANSFER_IDLE;
    digest[0] = '\0';
    if (t->failed.code < 0) {
        *e = t->failed;
        return e->code;
    }
    if (strncmp(t->digest, prefix, sizeof(prefix) - 1) == 0 &&
        strlen(t->digest) == sizeof(prefix) - 1 + SHA256_HEX_SIZE - 1)
        memcpy(digest, t->digest + sizeof(prefix) - 1, SHA256_HEX_SIZE);
    return 0;
}

int fetcher_serve(struct fetcher *f, int sock, const int *pipes,
                  unsigned pipe_count, struct fetcher_result *out,
                  struct err *e)
{
    f->sock = sock;
    f->pipes = pipes;
    f->pipe_count = pipe_count;
    f->over = false;
    f->result.hex[0] = '\0';
    f->budget_at = fetcher_now();
    while (!f->over) {
        fetcher_read_asks(f);
        if (f->over)
            break;
        fetcher_step(f);
        fetcher_answer(f, &f->document);
        for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++)
            fetcher_answer(f, &f->layers[i]);
        progress_draw(&f->progress, fetcher_now(), false);
        fetcher_wait(f);
    }
    progress_draw(&f->progress, fetcher_now(), true);
    if (f->result.hex[0] != '\0') {
        *out = f->result;
        return 0;
    }
    assert(f->failed.code < 0);
    *e = f->failed;
    return e->code;
}
