// SPDX-License-Identifier: Apache-2.0
#include "image/converter.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "image/blob.h"
#include "image/convert.h"
#include "image/fetch.h"
#include "image/image.h"
#include "image/oci.h"
#include "image/pull.h"
#include "image/record.h"
#include "image/remote.h"
#include "image/sandbox.h"
#include "image/source.h"
#include "image/store.h"
#include "image/worker.h"

enum { CONVERTER_LOCK_POLL_MS = 100, CONVERTER_TRIES_MAX = 2 };

enum layer_state { LAYER_TODO, LAYER_LOCKED, LAYER_BUSY, LAYER_DONE };

struct converter_slot {
    struct worker worker;
    size_t layer; /* valid when busy */
    int lock;     /* of the layer; -1: the worker is idle */
    bool answered, finished;
    struct err download, result;
};

struct converter {
    struct store *store;
    struct remote remote;
    struct oci_image img;
    enum layer_state *states; /* per layer */
    unsigned *tries;
    struct converter_slot slots[FETCH_WORKERS_MAX];
    unsigned slot_count;
    bool keep; /* blobs of layers */
};

static int converter_tell(struct converter *c, enum fetch_op op, size_t i,
                          uint32_t slot, struct err *e)
{
    const struct oci_layer *l = &c->img.layers[i];
    struct fetch_ask ask = {.op = op, .slot = slot, .size = l->size};
    (void)snprintf(ask.name, sizeof(ask.name), "sha256:%s", l->digest);
    return remote_ask(&c->remote, &ask, e);
}

static bool converter_is_repeated(const struct converter *c, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(c->img.layers[k].diff_id, c->img.layers[i].diff_id) == 0)
            return true;
    return false;
}

static int converter_start(struct converter *c, size_t i, unsigned slot,
                           struct err *e)
{
    struct converter_slot *s = &c->slots[slot];
    const struct oci_layer *l = &c->img.layers[i];
    struct worker_job job = {.size = l->size, .keep = c->keep};
    memcpy(job.digest, l->digest, sizeof(job.digest));
    memcpy(job.diff_id, l->diff_id, sizeof(job.diff_id));
    if (write(s->worker.jobs, &job, sizeof(job)) != (ssize_t)sizeof(job))
        return err_set(e, -EIO, "a converting process is gone");
    s->layer = i;
    s->answered = s->finished = false;
    c->states[i] = LAYER_BUSY;
    c->tries[i]++;
    return converter_tell(c, FETCH_LAYER, i, slot, e);
}

/* Take the layer up if nobody else has it under way. */
static int converter_consider(struct converter *c, size_t i, unsigned slot,
                              struct err *e)
{
    const struct oci_layer *l = &c->img.layers[i];
    AUTO_CLOSE int lock = store_lock_item(c->store, l->diff_id, false, e);
    if (lock == -EAGAIN) {
        int code = c->states[i] == LAYER_LOCKED
                       ? 0
                       : converter_tell(c, FETCH_WAITING, i, FETCH_NO_SLOT, e);
        c->states[i] = LAYER_LOCKED;
        return code;
    }
    if (lock < 0)
        return lock;
    if (convert_has_layer(c->store, l->diff_id) &&
        (!c->keep || blob_has(c->store, l->digest))) {
        c->states[i] = LAYER_DONE;
        return converter_tell(c, FETCH_PRESENT, i, FETCH_NO_SLOT, e);
    }
    c->slots[slot].lock = fd_release(&lock);
    return converter_start(c, i, slot, e);
}

static int converter_fill(struct converter *c, unsigned slot, struct err *e)
{
    for (size_t i = 0; i < c->img.layer_count; i++) {
        if (c->states[i] != LAYER_TODO && c->states[i] != LAYER_LOCKED)
            continue;
        int code = converter_consider(c, i, slot, e);
        if (code < 0 || c->slots[slot].lock >= 0)
            return code;
    }
    return 0;
}

/* Both sides of a layer have ended. */
static int converter_settle(struct converter *c, struct converter_slot *s,
                            struct err *e)
{
    size_t i = s->layer;
    (void)close(s->lock);
    s->lock = -1;
    if (s->result.code == 0) {
        c->states[i] = LAYER_DONE;
        return 0;
    }
    *e = s->download.code < 0 ? s->download : s->result;
    /* Wrong bytes may be a bad copy on the way: once more. */
    if (s->download.code == 0 && e->code == -EBADMSG &&
        c->tries[i] < CONVERTER_TRIES_MAX) {
        c->states[i] = LAYER_TODO;
        return 0;
    }
    return e->code;
}

static int converter_on_answer(struct converter *c, struct err *e)
{
    struct fetch_answer a;
    int code = remote_answer(&c->remote, &a, e);
    if (code < 0)
        return code;
    if (a.slot >= c->slot_count)
        return err_set(e, -EPROTO, "an answer nobody asked for");
    c->slots[a.slot].answered = true;
    c->slots[a.slot].download = a.failed;
    return 0;
}

static int converter_on_result(struct converter_slot *s, struct err *e)
{
    ssize_t n = read(s->worker.results, &s->result, sizeof(s->result));
    if (n != (ssize_t)sizeof(s->result))
        return err_set(e, -EIO, "a converting process was killed");
    s->finished = true;
    return 0;
}

static int converter_wait(struct converter *c, int timeout_ms, struct err *e)
{
    struct pollfd fds[FETCH_WORKERS_MAX + 1];
    const struct timespec t = {0, (long)timeout_ms * 1000000};
    for (unsigned i = 0; i < c->slot_count; i++)
        fds[i] = (struct pollfd){c->slots[i].worker.results, POLLIN, 0};
    fds[c->slot_count] = (struct pollfd){c->remote.sock, POLLIN, 0};
    int n = ppoll(fds, c->slot_count + 1, timeout_ms < 0 ? NULL : &t, NULL);
    if (n < 0)
        return errno == EINTR ? 0 : err_set(e, -errno, "%s", strerror(errno));
    int code = 0;
    if (fds[c->slot_count].revents != 0)
        code = converter_on_answer(c, e);
    for (unsigned i = 0; i < c->slot_count && code == 0; i++) {
        struct converter_slot *s = &c->slots[i];
        if (fds[i].revents != 0)
            code = converter_on_result(s, e);
        /* Who stopped reading has a full pipe, and no answer comes then. */
        bool fatal = s->finished && !s->answered && s->result.code < 0 &&
                     s->result.code != -EBADMSG && s->result.code != -ENODATA;
        if (fatal)
            s->download.code = 0;
        if (code == 0 && s->lock >= 0 && s->finished && (s->answered || fatal))
            code = converter_settle(c, s, e);
    }
    return code;
}

static bool converter_any(const struct converter *c, enum layer_state state)
{
    for (size_t i = 0; i < c->img.layer_count; i++)
        if (c->states[i] == state)
            return true;
    return false;
}

static int converter_layers(struct converter *c, struct err *e)
{
    int code = 0;
    for (size_t i = 0; i < c->img.layer_count; i++)
        if (converter_is_repeated(c, i))
            c->states[i] = LAYER_DONE;
    for (;;) {
        for (unsigned i = 0; i < c->slot_count && code == 0; i++)
            if (c->slots[i].lock < 0)
                code = converter_fill(c, i, e);
        bool locked = converter_any(c, LAYER_LOCKED);
        bool busy = converter_any(c, LAYER_BUSY);
        if (code < 0 || (!locked && !busy && !converter_any(c, LAYER_TODO)))
            return code;
        code = converter_wait(c, locked ? CONVERTER_LOCK_POLL_MS : -1, e);
        if (code < 0)
            return code;
    }
}

/* The index that led to the image is a document, too. */
static int converter_finish(struct converter *c, struct err *e)
{
    const struct remote *r = &c->remote;
    int code = convert_merge_image(c->store, &c->img, e);
    return code == 0
               ? blob_put(c->store, r->root, r->root_text, r->root_size, e)
               : code;
}

static int converter_run(struct converter *c, const struct image_request *q,
                         struct err *e)
{
    const struct source src = {.remote = &c->remote};
    int code = oci_select(&src, "", q->arch, &c->img, e);
    if (code < 0)
        return err_wrap(e, "%s", q->ref->path);
    json_t *run = record_read_run(&c->img, e);
    if (run == NULL)
        return e->code;
    json_decref(run);
    if (store_has_image(c->store, c->img.manifest) &&
        (!c->keep || blob_has_image(c->store, c->img.manifest)))
        return converter_finish(c, e);
    c->states = calloc(c->img.layer_count + 1, sizeof(*c->states));
    c->tries = calloc(c->img.layer_count + 1, sizeof(*c->tries));
    if (c->states == NULL || c->tries == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    code = converter_layers(c, e);
    return code == 0 ? converter_finish(c, e) : code;
}

static int converter_begin(struct converter *c, const int *pipes,
                           unsigned count, struct err *e)
{
    const struct sandbox_spec spec = {.store = c->store->root, .out = -1};
    for (unsigned i = 0; i < count; i++) {
        int code = worker_start(c->store, pipes[i], &c->slots[i].worker, e);
        if (code < 0)
            return code;
        c->slots[i].lock = -1;
        (void)close(pipes[i]);
    }
    c->slot_count = count;
    return sandbox_enter(&spec, e);
}

_Noreturn void converter_main(struct store *s, const struct image_request *q,
                              int sock, const int *pipes, unsigned count)
{
    struct converter c = {.store = s,
                          .keep = q->pull != NULL && q->pull->keep_blobs,
                          .remote = {.name = &q->ref->name, .sock = sock}};
    struct err e = {0};
    struct fetch_ask last = {.op = FETCH_DONE};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "limpet-convert");
    (void)signal(SIGPIPE, SIG_IGN);
    int code = converter_begin(&c, pipes, count, &e);
    /* The fetcher may find that there is nothing to do. */
    char go = 0;
    if (read(sock, &go, 1) != 1)
        _exit(0);
    if (code == 0)
        code = converter_run(&c, q, &e);
    if (code < 0)
        last.op = FETCH_FAILED;
    last.failed = e;
    (void)snprintf(last.name, sizeof(last.name), "%s", c.img.manifest);
    memcpy(last.root, c.remote.root, sizeof(last.root));
    (void)remote_ask(&c.remote, &last, &e);
    _exit(code < 0);
}
