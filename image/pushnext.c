// SPDX-License-Identifier: Apache-2.0
#include "image/pushnext.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/regname.h"
#include "image/upload.h"

enum {
    PUSHNEXT_TRIES_MAX = 6,    /* without progress */
    PUSHNEXT_RESTARTS_MAX = 1, /* because the registry found other bytes */
    PUSHNEXT_BACKOFF_MS = 500,
    PUSHNEXT_BACKOFF_MAX_MS = 30 * 1000,
    PUSHNEXT_SCOPE_SIZE = 1200,
};

int64_t pushnext_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pushnext_again(struct upload *u, enum upload_step step,
                           int64_t after_ms)
{
    u->step = step;
    u->retry_at = pushnext_now() + after_ms;
    u->state = UPLOAD_WAITING;
    /* Bytes that were on their way here are for nobody now. */
    if (u->stream.used)
        u->state = UPLOAD_DRAINING;
}

static void pushnext_step(struct upload *u, enum upload_step step)
{
    u->auth_tried = false;
    if (step > u->reached) {
        u->reached = step;
        u->tries = 0; /* it moves, which it does a few times only */
    }
    pushnext_again(u, step, 0);
}

static void pushnext_finish(struct upload *u, const char *outcome)
{
    u->failed.code = 0;
    u->outcome = outcome;
    u->state = UPLOAD_ENDED;
}

void pushnext_fail(struct upload *u)
{
    if (u->failed.code == 0)
        (void)err_set(&u->failed, -EIO, "sha256:%.12s: failed", u->digest);
    u->state = UPLOAD_ENDED;
}

/* What a step that broke off is followed by. */
static enum upload_step pushnext_step_after(const struct upload *u)
{
    if (u->step == UPLOAD_PATCH)
        return u->location[0] != '\0' ? UPLOAD_STATUS : UPLOAD_POST;
    return u->step == UPLOAD_PUT ? UPLOAD_HEAD : u->step;
}

/* It may work later: wait longer each time. */
static void pushnext_retry(struct pushnext *n, struct upload *u)
{
    bool hopeless = !n->answered && u->tries >= 1;
    if (++u->tries >= PUSHNEXT_TRIES_MAX || hopeless) {
        pushnext_fail(u);
        return;
    }
    int64_t wait = n->backoff_ms > 0 ? n->backoff_ms : PUSHNEXT_BACKOFF_MS;
    wait <<= u->tries - 1;
    if (u->retry_after > 0)
        wait = (int64_t)u->retry_after * 1000;
    pushnext_again(u, pushnext_step_after(u),
                   wait < PUSHNEXT_BACKOFF_MAX_MS ? wait
                                                  : PUSHNEXT_BACKOFF_MAX_MS);
}

/* The session is gone, or useless: everything again. */
static void pushnext_restart(struct upload *u)
{
    u->location[0] = '\0';
    u->acked = 0;
    pushnext_again(u, UPLOAD_POST, 0);
}

/* --- how registries say no --- */

static const char *pushnext_advice(long status, const char *why)
{
    static const struct {
        const char *code;
        const char *advice;
    } known[] = {
        {"TOOMANYREQUESTS", "; try again later"},
        {"MANIFEST_BLOB_UNKNOWN", "; it lost a blob that it had: push again"},
        {"BLOB_UNKNOWN", "; it lost a blob that it had: push again"},
        {"NAME_UNKNOWN", "; make the repository there first"},
        {"NAME_INVALID", "; choose another name"},
        {"DIGEST_INVALID", "; the blob here is damaged: limpet pull "
                           "--keep-blobs the image again"},
        {"SIZE_INVALID", "; the blob here is damaged: limpet pull --keep-blobs "
                         "the image again"},
        {"UNSUPPORTED", "; nobody can push there"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (strncmp(why, known[i].code, strlen(known[i].code)) == 0)
            return known[i].advice;
    switch (status) {
    case 404: return "; make the repository there first";
    case 405: return "; nobody can push there";
    case 413: return "; it takes nothing that large";
    case 429: return "; try again later";
    default: return "";
    }
}

/* What to do about it, or "". */
static void pushnext_advise(const struct pushnext *n, long status,
                            const char *why, char out[400])
{
    bool known = n->creds.user[0] != '\0' || n->creds.identity[0] != '\0';
    if (status == 401 || status == 403 || strncmp(why, "DENIED", 6) == 0 ||
        strncmp(why, "UNAUTHORIZED", 12) == 0)
        (void)snprintf(out, 400, "; limpet login %s %s", n->name->host,
                       known ? "as somebody who may push there" : "first");
    else
        (void)snprintf(out, 400, "%s", pushnext_advice(status, why));
}

static void pushnext_describe(const struct pushnext *n, struct upload *u,
                              int code, const char *what)
{
    char why[200];
    char advice[400];
    registry_error_text(u->trouble.data != NULL ? u->trouble.data : "",
                        u->trouble.size, why);
    pushnext_advise(n, u->status, why, advice);
    (void)err_set(&u->failed, code, "%s: sha256:%.12s: %s (HTTP %ld%s%s)%s",
                  n->to.host, u->digest, what, u->status,
                  why[0] != '\0' ? ", " : "", why, advice);
}

static void pushnext_authorize(struct pushnext *n, struct upload *u)
{
    char scope[PUSHNEXT_SCOPE_SIZE];
    struct err *e = &u->failed;
    if (u->auth_tried || u->challenge[0] == '\0' ||
        registry_parse_challenge(u->challenge, &n->auth.challenge) < 0) {
        pushnext_describe(n, u, -EACCES, "access denied");
        pushnext_fail(u);
        return;
    }
    u->auth_tried = true;
    int k = snprintf(scope, sizeof(scope), "repository:%s:pull,push",
                     n->name->repo);
    if (n->mount)
        (void)snprintf(scope + k, sizeof(scope) - (size_t)k,
                       " repository:%s:pull", n->from->repo);
    int code = http_authorize(&n->http, &n->to, &n->auth, &n->creds, scope, e);
    if (code == -EACCES && n->mount) {
        /* Who may push here need not see where it came from. */
        n->mount = false;
        scope[k] = '\0';
        code = http_authorize(&n->http, &n->to, &n->auth, &n->creds, scope, e);
    }
    /* Those bytes were lost, and that may not go on for ever. */
    bool patch = u->step == UPLOAD_PATCH;
    if (code == 0 && patch && ++u->tries >= PUSHNEXT_TRIES_MAX) {
        pushnext_describe(n, u, -EACCES, "credentials end before the blob");
        code = -EACCES;
    }
    if (code < 0)
        pushnext_fail(u);
    else
        pushnext_again(u, patch ? UPLOAD_STATUS : u->step, 0);
}

/* --- answers --- */

static bool pushnext_follow(struct pushnext *n, struct upload *u,
                            const char *url)
{
    if (upload_follow(u, url))
        return true;
    (void)err_set(&u->failed, -EPROTO,
                  "%s: sha256:%.12s: sends uploads to %.200s, which is no "
                  "address for them",
                  n->to.host, u->digest, u->next[0] != '\0' ? u->next : "\"\"");
    pushnext_fail(u);
    return false;
}

static void pushnext_on_head(struct pushnext *n, struct upload *u)
{
    if (u->status == 200) {
        pushnext_finish(u, "Layer already exists");
        return;
    }
    if (u->fd < 0 && n->from == NULL) {
        (void)err_set(
            &u->failed, -ENOENT,
            "sha256:%s is neither there nor in the store, and where the image "
            "came from is not known; limpet pull --keep-blobs the image, or "
            "limpet load it",
            u->digest);
        pushnext_fail(u);
        return;
    }
    u->mount = n->mount;
    pushnext_step(u, UPLOAD_POST);
}

static void pushnext_on_session(struct pushnext *n, struct upload *u,
                                const char *url)
{
    if (u->status == 201 && u->mount) {
        pushnext_finish(u, n->mounted);
        return;
    }
    u->mount = false;
    u->acked = 0;
    if (pushnext_follow(n, u, url))
        pushnext_step(u, u->size > 0 ? UPLOAD_PATCH : UPLOAD_PUT);
}

static void pushnext_on_range(struct pushnext *n, struct upload *u,
                              const char *url)
{
    if (!u->has_range || u->range_size > u->size) {
        pushnext_restart(u);
        return;
    }
    if (u->range_size > u->best)
        u->tries = 0; /* it moves */
    u->best = u->range_size > u->best ? u->range_size : u->best;
    u->acked = u->range_size;
    if (u->next[0] != '\0' && !pushnext_follow(n, u, url))
        return;
    pushnext_step(u, u->acked < u->size ? UPLOAD_PATCH : UPLOAD_PUT);
}

static void pushnext_on_stored(const struct pushnext *n, struct upload *u)
{
    bool other = u->is[0] != '\0' && strncmp(u->is, "sha256:", 7) == 0 &&
                 strcmp(u->is + 7, u->digest) != 0;
    if (!other) {
        pushnext_finish(u, "Pushed");
        return;
    }
    (void)err_set(&u->failed, -EBADMSG, "%s: stored sha256:%.12s as %s",
                  n->to.host, u->digest, u->is);
    pushnext_fail(u);
}

static void pushnext_on_success(struct pushnext *n, struct upload *u,
                                const char *url)
{
    switch (u->step) {
    case UPLOAD_HEAD: pushnext_on_head(n, u); break;
    case UPLOAD_POST: pushnext_on_session(n, u, url); break;
    case UPLOAD_PATCH:
        u->acked = u->size;
        if (u->next[0] == '\0' || pushnext_follow(n, u, url))
            pushnext_step(u, UPLOAD_PUT);
        break;
    case UPLOAD_STATUS: pushnext_on_range(n, u, url); break;
    case UPLOAD_PUT:
    case UPLOAD_DOCUMENT: pushnext_on_stored(n, u); break;
    }
}

/* 4xx but those that mean "not now" or "who are you?". */
static void pushnext_on_refusal(struct pushnext *n, struct upload *u)
{
    if (u->step == UPLOAD_HEAD) {
        pushnext_on_head(n, u); /* opening a session says why, if it is a no */
    } else if (u->step == UPLOAD_POST && u->mount) {
        u->mount = false;
        pushnext_step(u, UPLOAD_POST);
    } else if (u->step == UPLOAD_STATUS) {
        pushnext_restart(u);
    } else {
        pushnext_describe(n, u, u->status == 403 ? -EACCES : -EIO,
                          u->status == 403   ? "access denied"
                          : u->status == 404 ? "not found"
                                             : "refused");
        /* Bytes may have been changed on the way, a session may be lost. */
        bool again = u->step == UPLOAD_PATCH || u->step == UPLOAD_PUT;
        if (again && u->status != 403 && u->restarts++ < PUSHNEXT_RESTARTS_MAX)
            pushnext_restart(u);
        else
            pushnext_fail(u);
    }
}

static void pushnext_on_answer(struct pushnext *n, struct upload *u,
                               const char *url)
{
    n->answered = true;
    if (u->status == 401) {
        pushnext_authorize(n, u);
        return;
    }
    n->settled = true;
    if (u->status == 429 || u->status == 408) {
        pushnext_describe(n, u, -EAGAIN, "too many requests");
        pushnext_retry(n, u);
    } else if (u->status >= 500) {
        pushnext_describe(n, u, -EIO, "failed");
        pushnext_retry(n, u);
    } else if (u->status >= 200 && u->status < 300) {
        pushnext_on_success(n, u, url);
    } else {
        pushnext_on_refusal(n, u);
    }
}

void pushnext_answer(struct pushnext *n, struct upload *u, CURLcode r,
                     const char *url)
{
    if (u->failed.code != 0) { /* our own callbacks stopped it */
        pushnext_fail(u);
    } else if (r == CURLE_OK || r == CURLE_WRITE_ERROR) {
        /* The latter: we had read enough of an answer. */
        pushnext_on_answer(n, u, url);
    } else if (u->step == UPLOAD_PATCH && u->stream.ended) {
        u->state = UPLOAD_DRAINING; /* the fetcher's answer says why */
    } else if (!n->answered && http_fall_back(&n->to, r)) {
        pushnext_again(u, u->step, 0);
    } else {
        (void)http_error(r, u->detail, &n->to, &u->failed);
        if (u->failed.code == -EIO)
            pushnext_retry(n, u);
        else
            pushnext_fail(u);
    }
}
