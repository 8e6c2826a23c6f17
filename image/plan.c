// SPDX-License-Identifier: Apache-2.0
#include "image/plan.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "image/blob.h"
#include "image/fetch.h"
#include "image/oci.h"
#include "image/remote.h"
#include "image/sandbox.h"

/* What comes first through the pipe; then blobs, documents and text. */
struct plan_head {
    struct err failed;
    uint64_t blob_count, document_count, text_size;
};

/* A document that was found: the walk sees those that several name again. */
struct planner_node {
    size_t document; /* index into `found` */
    unsigned depth;
};

struct planner {
    const struct plan_request *q;
    struct remote remote;
    struct plan found;  /* documents in the order they were found */
    json_t *blobs_seen; /* digests as keys */
    struct planner_node todo[PLAN_DOCUMENTS_MAX];
    size_t todo_count;
};

/* --- documents, in the order of a walk by levels --- */

/* The store's copy, or the registry's. */
static int planner_load(struct planner *p, const char *hex, char **out,
                        size_t *size, struct err *e)
{
    char path[STORE_NAME_SIZE];
    char name[96];
    char is[SHA256_HEX_SIZE];
    struct err ignored;
    blob_name(path, hex);
    if (path_read(p->q->store->root, path, OCI_DOCUMENT_MAX, out, size,
                  &ignored) == 0) {
        sha256_text(*out, *size, is);
        if (strcmp(is, hex) == 0)
            return 0;
        free(*out);
        *out = NULL;
    }
    if (p->q->sock < 0)
        return err_set(e, -ENOENT,
                       "document sha256:%s is not in the store, and where the "
                       "image came from is not known; pull or load it again",
                       hex);
    (void)snprintf(name, sizeof(name), "blobs/sha256/%s", hex);
    int code = remote_read(&p->remote, name, OCI_DOCUMENT_MAX, out, size, e);
    if (code < 0)
        return code;
    sha256_text(*out, *size, is);
    if (strcmp(is, hex) == 0)
        return 0;
    free(*out);
    *out = NULL;
    return err_set(e, -EBADMSG, "%s: wrong digest: contents are sha256:%s",
                   name, is);
}

/* Old manifests do not say what they are. It goes into a header. */
static void planner_set_type(struct plan_document *d, const json_t *doc)
{
    const char *type = json_string_value(json_object_get(doc, "mediaType"));
    bool ok = type != NULL && type[0] != '\0' && strlen(type) < sizeof(d->type);
    for (const char *c = type; ok && *c != '\0'; c++)
        ok = *c > ' ' && *c < 0x7f;
    if (!ok)
        type = json_has(doc, "manifests")
                   ? "application/vnd.oci.image.index.v1+json"
                   : "application/vnd.oci.image.manifest.v1+json";
    (void)snprintf(d->type, sizeof(d->type), "%s", type);
}

static int planner_keep(struct planner *p, const char *hex, const char *text,
                        size_t size, const json_t *doc, struct err *e)
{
    struct plan *f = &p->found;
    if (size > PLAN_TEXT_MAX - f->text_size)
        return err_set(e, -E2BIG, "its documents have more than %d MiB",
                       PLAN_TEXT_MAX >> 20);
    char *more = realloc(f->text, f->text_size + size + 1);
    if (more == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    f->text = more;
    if (text != NULL)
        memcpy(f->text + f->text_size, text, size);
    struct plan_document *d = &f->documents[f->document_count++];
    *d = (struct plan_document){.at = f->text_size, .size = size};
    (void)snprintf(d->digest, sizeof(d->digest), "%s", hex);
    planner_set_type(d, doc);
    f->text_size += size;
    return 0;
}

/* Queue a document, fetching it if no other named it before. */
static int planner_add(struct planner *p, const char *hex, unsigned depth,
                       struct err *e)
{
    struct plan *f = &p->found;
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    size_t i = 0;
    if (p->todo_count == PLAN_DOCUMENTS_MAX)
        return err_set(e, -E2BIG, "more than %d manifests", PLAN_DOCUMENTS_MAX);
    while (i < f->document_count && strcmp(f->documents[i].digest, hex) != 0)
        i++;
    p->todo[p->todo_count++] = (struct planner_node){i, depth};
    if (i < f->document_count)
        return 0;
    int code = planner_load(p, hex, &text, &size, e);
    if (code < 0)
        return code;
    json_t *doc = json_parse(text, size, hex, e);
    if (doc == NULL)
        return -EINVAL;
    code = planner_keep(p, hex, text, size, doc, e);
    json_decref(doc);
    return code;
}

/* --- what they name --- */

static int planner_add_blob(struct planner *p, const json_t *o,
                            const char *where, struct err *e)
{
    struct plan *f = &p->found;
    struct plan_blob b = {.size = 0};
    const char *digest;
    const char *type = json_string_value(json_object_get(o, "mediaType"));
    char path[STORE_NAME_SIZE];
    struct stat st;
    int code = json_get_str(o, "digest", where, &digest, e);
    if (code == 0)
        code = oci_parse_digest(digest, where, b.digest, e);
    if (code == 0)
        code = json_get_u64(o, "size", where, INT64_MAX, &b.size, e);
    /* Such layers are elsewhere, and registries do not expect them. */
    bool foreign = type != NULL && (strstr(type, "nondistributable") != NULL ||
                                    strstr(type, ".foreign.") != NULL);
    if (code < 0 || foreign || json_object_get(p->blobs_seen, b.digest) != NULL)
        return code;
    if (f->blob_count == PLAN_BLOBS_MAX)
        return err_set(e, -E2BIG, "more than %d blobs", PLAN_BLOBS_MAX);
    blob_name(path, b.digest);
    b.local = fstatat(p->q->store->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
              S_ISREG(st.st_mode) && (uint64_t)st.st_size == b.size;
    if (json_object_set_new(p->blobs_seen, b.digest, json_true()) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    f->blobs[f->blob_count++] = b;
    return 0;
}

static int planner_add_manifest(struct planner *p, const json_t *doc,
                                const char *where, struct err *e)
{
    json_t *config;
    json_t *layers;
    int code = json_get_obj(doc, "config", where, &config, e);
    if (code == 0)
        code = json_get_arr(doc, "layers", where, &layers, e);
    if (code == 0 && json_array_size(layers) > OCI_LAYER_MAX)
        code =
            err_set(e, -E2BIG, "%s: more than %d layers", where, OCI_LAYER_MAX);
    for (size_t i = 0; code == 0 && i < json_array_size(layers); i++)
        code = planner_add_blob(p, json_array_get(layers, i), where, e);
    return code == 0 ? planner_add_blob(p, config, where, e) : code;
}

static int planner_add_index(struct planner *p, const json_t *doc,
                             unsigned depth, const char *where, struct err *e)
{
    json_t *list;
    int code = json_get_arr(doc, "manifests", where, &list, e);
    if (code == 0 && depth >= OCI_NESTING_MAX)
        code = err_set(e, -E2BIG, "%s: indexes nested deeper than %d", where,
                       OCI_NESTING_MAX);
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++) {
        const char *digest = NULL;
        char hex[SHA256_HEX_SIZE];
        code =
            json_get_str(json_array_get(list, i), "digest", where, &digest, e);
        if (code == 0)
            code = oci_parse_digest(digest, where, hex, e);
        if (code == 0)
            code = planner_add(p, hex, depth + 1, e);
    }
    return code;
}

static int planner_walk(struct planner *p, struct err *e)
{
    int code = planner_add(p, p->q->hex, 1, e);
    for (size_t i = 0; code == 0 && i < p->todo_count; i++) {
        const struct planner_node n = p->todo[i];
        const struct plan_document d = p->found.documents[n.document];
        json_t *doc = json_parse(p->found.text + d.at, d.size, d.digest, e);
        if (doc == NULL)
            return -EINVAL;
        code = json_has(doc, "manifests")
                   ? planner_add_index(p, doc, n.depth, d.digest, e)
                   : planner_add_manifest(p, doc, d.digest, e);
        json_decref(doc);
    }
    return code;
}

/* --- the way to the parent --- */

/* Backwards: the last time a document was met, all that name it were before. */
static int planner_send_documents(const struct planner *p, int out)
{
    bool sent[PLAN_DOCUMENTS_MAX] = {false};
    int code = 0;
    for (size_t i = p->todo_count; i-- > 0 && code == 0;) {
        size_t d = p->todo[i].document;
        if (!sent[d])
            code = path_write_all(out, &p->found.documents[d],
                                  sizeof(p->found.documents[d]));
        sent[d] = true;
    }
    return code;
}

static void planner_send(const struct planner *p, const struct err *e, int out)
{
    const struct plan *f = &p->found;
    struct plan_head h = {*e, f->blob_count, f->document_count, f->text_size};
    if (path_write_all(out, &h, sizeof(h)) < 0 || e->code < 0)
        return;
    if (path_write_all(out, f->blobs, f->blob_count * sizeof(*f->blobs)) == 0 &&
        planner_send_documents(p, out) == 0)
        (void)path_write_all(out, f->text, f->text_size);
}

static int planner_run(struct planner *p, struct err *e)
{
    const struct sandbox_spec spec = {
        .store = p->q->store->root, .out = -1, .read_only = true};
    int code = sandbox_enter(&spec, e);
    if (code < 0)
        return code;
    p->blobs_seen = json_object();
    p->found.blobs = calloc(PLAN_BLOBS_MAX, sizeof(*p->found.blobs));
    p->found.documents =
        calloc(PLAN_DOCUMENTS_MAX, sizeof(*p->found.documents));
    if (p->blobs_seen == NULL || p->found.blobs == NULL ||
        p->found.documents == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    return planner_walk(p, e);
}

_Noreturn void plan_main(const struct plan_request *q, int out)
{
    struct planner *p = calloc(1, sizeof(*p));
    struct err e = {0};
    struct fetch_ask last = {.op = FETCH_DONE};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "limpet-plan");
    (void)signal(SIGPIPE, SIG_IGN);
    if (p == NULL)
        _exit(1); /* said to have ended unexpectedly */
    p->q = q;
    p->remote = (struct remote){.name = q->from, .sock = q->sock};
    if (planner_run(p, &e) == 0)
        e.code = 0;
    (void)snprintf(last.name, sizeof(last.name), "%s", q->hex);
    if (q->sock >= 0)
        (void)path_write_all(q->sock, &last, sizeof(last));
    planner_send(p, &e, out);
    _exit(0);
}

/* --- the parent's side --- */

void plan_fini(struct plan *p)
{
    free(p->blobs);
    free(p->documents);
    free(p->text);
    *p = (struct plan){0};
}

static int plan_read_all(int fd, void *to, size_t size, struct err *e)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (char *)to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(e, -EIO, "the planning process ended unexpectedly");
        done += (size_t)n;
    }
    return 0;
}

static bool plan_is_hex(const char text[SHA256_HEX_SIZE])
{
    return text[SHA256_HEX_SIZE - 1] == '\0' &&
           strspn(text, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

/* The planner read what strangers wrote. */
static bool plan_is_sound(const struct plan *p)
{
    bool ok = p->document_count > 0;
    for (size_t i = 0; ok && i < p->blob_count; i++)
        ok = plan_is_hex(p->blobs[i].digest) && p->blobs[i].size <= INT64_MAX;
    for (size_t i = 0; ok && i < p->document_count; i++) {
        const struct plan_document *d = &p->documents[i];
        ok = plan_is_hex(d->digest) && d->at <= p->text_size &&
             d->size <= p->text_size - d->at &&
             memchr(d->type, '\0', sizeof(d->type)) != NULL;
        for (const char *c = d->type; ok && *c != '\0'; c++)
            ok = *c > ' ' && *c < 0x7f;
    }
    return ok;
}

int plan_read(int fd, struct plan *p, struct err *e)
{
    struct plan_head h;
    int code = plan_read_all(fd, &h, sizeof(h), e);
    if (code < 0)
        return code;
    if (h.failed.code < 0) {
        h.failed.msg[sizeof(h.failed.msg) - 1] = '\0';
        *e = h.failed;
        return e->code;
    }
    if (h.blob_count > PLAN_BLOBS_MAX ||
        h.document_count > PLAN_DOCUMENTS_MAX || h.text_size > PLAN_TEXT_MAX)
        return err_set(e, -EPROTO, "the planning process wrote nonsense");
    p->blob_count = (size_t)h.blob_count;
    p->document_count = (size_t)h.document_count;
    p->text_size = (size_t)h.text_size;
    p->blobs = calloc(p->blob_count + 1, sizeof(*p->blobs));
    p->documents = calloc(p->document_count + 1, sizeof(*p->documents));
    p->text = malloc(p->text_size + 1);
    if (p->blobs == NULL || p->documents == NULL || p->text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    code = plan_read_all(fd, p->blobs, p->blob_count * sizeof(*p->blobs), e);
    if (code == 0)
        code = plan_read_all(fd, p->documents,
                             p->document_count * sizeof(*p->documents), e);
    if (code == 0)
        code = plan_read_all(fd, p->text, p->text_size, e);
    if (code == 0 && !plan_is_sound(p))
        code = err_set(e, -EPROTO, "the planning process wrote nonsense");
    return code;
}
