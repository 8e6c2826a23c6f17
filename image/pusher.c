// SPDX-License-Identifier: Apache-2.0
#include "image/pusher.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/path.h"
#include "base/regname.h"
#include "image/blob.h"
#include "image/fetch.h"
#include "image/plan.h"
#include "image/progress.h"
#include "image/pushnext.h"
#include "image/upload.h"

enum {
    PUSHER_SLOTS = FETCH_WORKERS_MAX,
    PUSHER_POLL_MS = 200,
};

struct pusher {
    struct pusher_options o;
    struct pushnext next;
    CURLM *multi;
    struct upload uploads[PUSHER_SLOTS];
    int64_t budget, budget_at; /* rate limit: bytes, ms */
    struct progress progress;
    struct err failed;
};

int pusher_new(const struct pusher_options *o, struct pusher **out,
               struct err *e)
{
    struct registry_endpoint all[REGISTRY_ENDPOINTS_MAX];
    struct pusher *p = calloc(1, sizeof(*p));
    if (p == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(p);
        return err_set(e, -ENOMEM, "libcurl: out of memory");
    }
    p->o = *o;
    p->next = (struct pushnext){.name = o->to,
                                .from = o->from,
                                .backoff_ms = o->backoff_ms,
                                .http = {.cert_dir = o->cert_dir}};
    progress_init(&p->progress, o->quiet);
    for (unsigned i = 0; i < PUSHER_SLOTS; i++) {
        p->uploads[i].fd = -1;
        p->uploads[i].stream.pipe = o->sock >= 0 ? o->pipes[i] : -1;
        p->uploads[i].budget = o->limit_rate > 0 ? &p->budget : NULL;
    }
    p->next.mount = o->from != NULL &&
                    strcmp(o->from->host, o->to->host) == 0 &&
                    strcmp(o->from->repo, o->to->repo) != 0;
    if (p->next.mount)
        (void)snprintf(p->next.mounted, sizeof(p->next.mounted),
                       "Mounted from %s", o->from->repo);
    p->multi = curl_multi_init();
    int n = registry_endpoints(o->to->host, o->tls_verify, all, e);
    int code = n < 0 ? n : creds_find(o->to->host, &p->next.creds, e);
    if (code == 0 && p->multi == NULL)
        code = err_set(e, -ENOMEM, "libcurl: out of memory");
    if (code < 0) {
        pusher_free(p);
        return code;
    }
    p->next.to = all[n - 1]; /* mirrors are for reading */
    *out = p;
    return 0;
}

static void pusher_end_try(struct pusher *p, struct upload *u)
{
    if (u->easy != NULL)
        (void)curl_multi_remove_handle(p->multi, u->easy);
    upload_disarm(u);
}

void pusher_free(struct pusher *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < PUSHER_SLOTS; i++) {
        pusher_end_try(p, &p->uploads[i]);
        upload_fini(&p->uploads[i]);
    }
    (void)curl_multi_cleanup(p->multi);
    http_fini(&p->next.http);
    creds_wipe(&p->next.creds);
    explicit_bzero(&p->next.auth, sizeof(p->next.auth));
    free(p);
}

/* --- the fetcher --- */

static int pusher_ask(struct pusher *p, const struct upload *u,
                      enum fetch_op op)
{
    struct fetch_ask a = {.op = op,
                          .slot = (uint32_t)(u - p->uploads),
                          .size = u->size,
                          .from = u->acked};
    (void)snprintf(a.name, sizeof(a.name), "sha256:%s", u->digest);

    return path_write_all(p->o.sock, &a, sizeof(a));
}

static void pusher_read_answers(struct pusher *p)
{
    struct fetch_answer a;
    while (p->o.sock >= 0) {
        ssize_t n = recv(p->o.sock, &a, sizeof(a), MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 || (n > 0 && n < (ssize_t)sizeof(a)))
            return;
        if (n > 0)
            n = recv(p->o.sock, &a, sizeof(a), MSG_WAITALL);
        if (n != (ssize_t)sizeof(a) || a.slot >= PUSHER_SLOTS) {
            (void)err_set(&p->failed, -EIO,
                          "the downloading process ended unexpectedly");
            p->o.sock = -1;
            return;
        }

        p->uploads[a.slot].stream.active = false;
        p->uploads[a.slot].stream.failed = a.failed;
    }
}

/* --- requests --- */

static bool pusher_url(const struct pusher *p, const struct upload *u,
                       char *out, size_t room)
{
    char from[3 * REGNAME_REPO_SIZE];
    const char *repo = p->o.to->repo;
    int n = 0;
    switch (u->step) {
    case UPLOAD_HEAD:
        n = snprintf(out, room, "%s/v2/%s/blobs/sha256:%s", p->next.to.url,
                     repo, u->digest);
        break;
    case UPLOAD_POST:
        if (u->mount && registry_encode(p->o.from->repo, from, sizeof(from)))
            n = snprintf(out, room,
                         "%s/v2/%s/blobs/uploads/?mount=sha256%%3A%s&from=%s",
                         p->next.to.url, repo, u->digest, from);
        else
            n = snprintf(out, room, "%s/v2/%s/blobs/uploads/", p->next.to.url,
                         repo);
        break;
    case UPLOAD_PATCH:
    case UPLOAD_STATUS: n = snprintf(out, room, "%s", u->location); break;
    case UPLOAD_PUT:
        n = snprintf(out, room, "%s%sdigest=sha256%%3A%s", u->location,
                     strchr(u->location, '?') != NULL ? "&" : "?", u->digest);
        break;
    case UPLOAD_DOCUMENT:
        n = snprintf(out, room, "%s/v2/%s/manifests/%s%s", p->next.to.url, repo,
                     u->tag[0] != '\0' ? "" : "sha256:",
                     u->tag[0] != '\0' ? u->tag : u->digest);
        break;
    }
    return n > 0 && (size_t)n < room;
}

static int pusher_try(struct pusher *p, struct upload *u)
{
    char url[UPLOAD_URL_SIZE];
    if (!pusher_url(p, u, url, sizeof(url)))
        return err_set(&u->failed, -EPROTO, "%s: its addresses are too long",
                       p->next.to.host);
    bool own = upload_is_at(url, &p->next.to);
    struct registry_endpoint to = p->next.to;
    if (!own) {
        const char *host = strstr(url, "://") + 3;
        (void)snprintf(to.host, sizeof(to.host), "%.*s",
                       (int)strcspn(host, "/?"), host);
        (void)snprintf(to.url, sizeof(to.url), "%.*s",
                       (int)(host - url + (ptrdiff_t)strcspn(host, "/?")), url);
    }
    u->easy = http_new(&p->next.http, &to, &u->failed);
    if (u->easy == NULL)
        return -ENOMEM;
    (void)curl_easy_setopt(u->easy, CURLOPT_URL, url);
    if (own && p->next.auth.header[0] != '\0')
        u->headers = curl_slist_append(u->headers, p->next.auth.header);
    if (u->step == UPLOAD_PATCH && u->fd < 0) {
        u->stream = (struct upload_stream){
            .pipe = u->stream.pipe, .used = true, .active = true};
        if (pusher_ask(p, u, FETCH_LAYER) < 0)
            return err_set(&u->failed, -EIO, "the downloading process is gone");
    }
    upload_arm(u);
    u->state = UPLOAD_RUNNING;
    return curl_multi_add_handle(p->multi, u->easy) == CURLM_OK
               ? 0
               : err_set(&u->failed, -ENOMEM, "libcurl: out of memory");
}

static void pusher_start_due(struct pusher *p, struct upload *u)
{
    if (u->state != UPLOAD_WAITING || u->retry_at > pushnext_now() ||
        (!p->next.settled && u != &p->uploads[0]))
        return;
    if (pusher_try(p, u) < 0) {
        pusher_end_try(p, u);
        pushnext_fail(u);
    }
}

/* Until the fetcher has answered and nothing of that layer is in the pipe. */
static void pusher_drain(struct pusher *p, struct upload *u)
{
    struct upload_stream *s = &u->stream;
    if (u->state != UPLOAD_DRAINING)
        return;
    if (s->active && !s->ended && !s->stopped &&
        pusher_ask(p, u, FETCH_STOP) < 0)
        (void)err_set(&p->failed, -EIO, "the downloading process is gone");
    bool own = s->ended && !s->stopped; /* the fetcher gave up by itself */
    s->stopped |= s->active && !s->ended;
    bool over = !s->active;
    upload_drain(s);
    if (!over)
        return;
    if (own && s->failed.code < 0) {
        u->failed = s->failed;
        (void)err_wrap(&u->failed, "fetching what the store lacks");
        pushnext_fail(u);
    } else {
        u->state = UPLOAD_WAITING;
    }
    *s = (struct upload_stream){.pipe = s->pipe};
}

/* --- all of them --- */

static void pusher_collect(struct pusher *p)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(p->multi, &left)) != NULL) {
        struct upload *u = NULL;
        char *at = NULL;
        char url[UPLOAD_URL_SIZE];
        CURLcode r = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&u);
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_EFFECTIVE_URL, &at);
        (void)snprintf(url, sizeof(url), "%s", at != NULL ? at : "");
        pusher_end_try(p, u);
        pushnext_answer(&p->next, u, r, url);
    }
}

static void pusher_refill(struct pusher *p)
{
    int64_t now = pushnext_now();
    int64_t rate = (int64_t)p->o.limit_rate;
    p->budget += rate * (now - p->budget_at) / 1000;
    p->budget_at = now;
    if (p->budget > rate / 4)
        p->budget = rate / 4;
}

static void pusher_resume(const struct pusher *p, struct upload *u)
{
    if (u->state != UPLOAD_RUNNING || !u->paused ||
        (u->throttled && p->budget <= 0))
        return;
    u->paused = u->throttled = false;
    (void)curl_easy_pause(u->easy, CURLPAUSE_CONT);
}

static void pusher_show(struct pusher *p, const struct upload *u)
{
    char name[SHA256_HEX_SIZE + 8];
    if (u->state == UPLOAD_IDLE || u->text != NULL)
        return;
    (void)snprintf(name, sizeof(name), "sha256:%s", u->digest);
    struct progress_layer *l = progress_layer(&p->progress, name, u->size);
    if (l == NULL)
        return;
    bool over = u->state == UPLOAD_ENDED;
    l->done = u->done;
    progress_set(&p->progress, l,
                 over && u->failed.code < 0 ? "Failed"
                 : over                     ? u->outcome
                 : u->step < UPLOAD_PATCH   ? "Preparing"
                                            : "Pushing",
                 over);
}

static void pusher_wait(struct pusher *p)
{
    struct curl_waitfd fds[PUSHER_SLOTS + 1];
    unsigned n = 0;
    int64_t now = pushnext_now();
    int64_t wait = PUSHER_POLL_MS;
    if (p->o.sock >= 0)
        fds[n++] = (struct curl_waitfd){p->o.sock, CURL_WAIT_POLLIN, 0};
    for (unsigned i = 0; i < PUSHER_SLOTS; i++) {
        const struct upload *u = &p->uploads[i];
        bool piped = u->state == UPLOAD_DRAINING ||
                     (u->state == UPLOAD_RUNNING && u->paused && !u->throttled);
        if (u->state == UPLOAD_WAITING && u->retry_at - now < wait)
            wait = u->retry_at > now ? u->retry_at - now : 0;
        bool over =
            u->state == UPLOAD_DRAINING &&
            (!u->stream.active || (!u->stream.ended && !u->stream.stopped));
        if (u->state == UPLOAD_ENDED || over)
            wait = 0;
        if (u->throttled && wait > 20)
            wait = 20;
        if (piped && u->stream.pipe >= 0)
            fds[n++] =
                (struct curl_waitfd){u->stream.pipe, CURL_WAIT_POLLIN, 0};
    }
    (void)curl_multi_poll(p->multi, fds, n, (int)wait, NULL);
}

static void pusher_turn(struct pusher *p)
{
    int running;
    pusher_refill(p);
    pusher_read_answers(p);
    for (unsigned i = 0; i < PUSHER_SLOTS; i++) {
        pusher_drain(p, &p->uploads[i]);
        pusher_start_due(p, &p->uploads[i]);
        pusher_resume(p, &p->uploads[i]);
    }
    (void)curl_multi_perform(p->multi, &running);
    pusher_collect(p);
    for (unsigned i = 0; i < PUSHER_SLOTS; i++)
        pusher_show(p, &p->uploads[i]);
    progress_draw(&p->progress, pushnext_now(), false);
}

static void pusher_begin(struct upload *u, const char *digest, uint64_t size)
{
    struct upload_stream stream = {.pipe = u->stream.pipe};
    struct buf trouble = u->trouble;
    int64_t *budget = u->budget;
    *u = (struct upload){.state = UPLOAD_WAITING,
                         .fd = -1,
                         .size = size,
                         .stream = stream,
                         .trouble = trouble,
                         .budget = budget};
    (void)snprintf(u->digest, sizeof(u->digest), "%s", digest);
}

static void pusher_begin_blob(struct pusher *p, struct upload *u,
                              const struct plan_blob *b)
{
    char name[STORE_NAME_SIZE];
    pusher_begin(u, b->digest, b->size);
    u->step = UPLOAD_HEAD;
    blob_name(name, b->digest);
    if (b->local != 0)
        u->fd = openat(p->o.store, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* One that ended makes room. *over counts them; its failure is the push's. */
static int pusher_settle(struct upload *u, size_t *over, struct err *e)
{
    if (u->state != UPLOAD_ENDED)
        return 0;
    if (u->failed.code < 0) {
        *e = u->failed;
        return e->code;
    }
    ++*over;
    if (u->fd >= 0)
        (void)close(u->fd);
    u->fd = -1;
    u->state = UPLOAD_IDLE;
    return 0;
}

/* One after another is done in each slot; the first failure ends it all. */
static int pusher_blobs(struct pusher *p, const struct plan *plan,
                        struct err *e)
{
    size_t next = 0;
    size_t over = 0;
    while (over < plan->blob_count) {
        for (unsigned i = 0; i < PUSHER_SLOTS; i++) {
            struct upload *u = &p->uploads[i];
            if (pusher_settle(u, &over, e) < 0)
                return e->code;
            if (u->state == UPLOAD_IDLE && next < plan->blob_count)
                pusher_begin_blob(p, u, &plan->blobs[next++]);
        }
        pusher_turn(p);
        if (p->failed.code < 0) {
            *e = p->failed;
            return e->code;
        }
        pusher_wait(p);
    }
    return 0;
}

static int pusher_document(struct pusher *p, const struct plan *plan, size_t i,
                           struct err *e)
{
    const struct plan_document *d = &plan->documents[i];
    struct upload *u = &p->uploads[0];
    pusher_begin(u, d->digest, d->size);
    u->step = UPLOAD_DOCUMENT;
    u->text = plan->text + d->at;
    u->type = d->type;
    u->tag = i + 1 == plan->document_count ? p->o.to->tag : "";
    while (u->state != UPLOAD_ENDED) {
        pusher_turn(p);
        if (u->state != UPLOAD_ENDED)
            pusher_wait(p);
    }
    u->state = UPLOAD_IDLE;
    if (u->failed.code < 0)
        *e = u->failed;
    return u->failed.code;
}

int pusher_run(struct pusher *p, const struct plan *plan, struct err *e)
{
    p->budget_at = pushnext_now();
    int code = pusher_blobs(p, plan, e);
    progress_draw(&p->progress, pushnext_now(), true);
    for (size_t i = 0; code == 0 && i < plan->document_count; i++)
        code = pusher_document(p, plan, i, e);
    return code;
}
