// SPDX-License-Identifier: Apache-2.0
#include "image/pull.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "image/blob.h"
#include "image/converter.h"
#include "image/fetch.h"
#include "image/fetcher.h"
#include "image/image.h"
#include "image/store.h"

enum { PULL_PIPE_SIZE = 1 << 20 };

/* The other processes of a pull. */
struct pull {
    const struct image_request *q;
    struct store *s;
    char key[SHA256_HEX_SIZE]; /* of its reference */
    pid_t converter;
    int life; /* at its end when converter and workers are gone */
    int sock;
    int pipes[FETCH_WORKERS_MAX];
    unsigned pipe_count;
};

static unsigned pull_worker_count(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (cpus < 2)
        return 2; /* one waits for the disk, the other one works */
    return cpus < FETCH_WORKERS_MAX ? (unsigned)cpus : FETCH_WORKERS_MAX;
}

static int pull_fork(struct pull *p, struct err *e)
{
    int socks[2];
    int reads[FETCH_WORKERS_MAX] = {-1, -1, -1, -1};
    unsigned count = pull_worker_count();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
        return err_set(e, -errno, "socketpair: %s", strerror(errno));
    p->sock = socks[0];
    int life[2];
    if (pipe2(life, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    p->life = life[0];
    for (; p->pipe_count < count; p->pipe_count++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return err_set(e, -errno, "pipe: %s", strerror(errno));
        /* As large as the user may have it. */
        (void)fcntl(ends[1], F_SETPIPE_SZ, PULL_PIPE_SIZE);
        (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
        reads[p->pipe_count] = ends[0];
        p->pipes[p->pipe_count] = ends[1];
    }
    p->converter = fork();
    if (p->converter == 0) {
        (void)close(socks[0]);
        for (unsigned i = 0; i < count; i++)
            (void)close(p->pipes[i]);
        converter_main(p->s, p->q, socks[1], reads, count);
    }
    int code =
        p->converter < 0 ? err_set(e, -errno, "fork: %s", strerror(errno)) : 0;
    for (unsigned i = 0; i < count; i++)
        (void)close(reads[i]);
    (void)close(socks[1]);
    (void)close(life[1]);
    return code;
}

static void pull_end(struct pull *p)
{
    if (p->sock > 0)
        (void)close(p->sock);
    for (unsigned i = 0; i < p->pipe_count; i++)
        (void)close(p->pipes[i]);
    if (p->converter > 0)
        while (waitpid(p->converter, NULL, 0) < 0 && errno == EINTR)
            continue;
    char none;
    if (p->life > 0) {
        while (read(p->life, &none, 1) < 0 && errno == EINTR)
            continue;
        (void)close(p->life);
    }
}

static int pull_put_ref(const struct pull *p, const struct fetcher_result *r,
                        const char *challenge, struct err *e)
{
    char text[2048];
    (void)snprintf(text, sizeof(text), "docker://%.767s\nsha256:%s\n%.1023s",
                   p->q->ref->path, r->root, challenge);
    return store_put_ref(p->s, p->key, r->hex, text, e);
}

static bool pull_is_complete(const struct pull *p, char hex[SHA256_HEX_SIZE])
{
    bool keep = p->q->pull != NULL && p->q->pull->keep_blobs;
    return store_find_ref(p->s, p->key, hex) == 0 &&
           (!keep || blob_has_image(p->s, hex));
}

/* Whether the tag still leads where it led: 1, 0, or an error. */
static int pull_check_tag(const struct pull *p, struct fetcher *f,
                          char hex[SHA256_HEX_SIZE], struct err *e)
{
    char root[SHA256_HEX_SIZE];
    char challenge[FETCHER_CHALLENGE_SIZE];
    char now[SHA256_HEX_SIZE];
    if (!pull_is_complete(p, hex) ||
        store_read_origin(p->s, p->key, root, challenge) < 0)
        return 0;
    int code = fetcher_head(f, challenge, now, e);
    return code < 0 ? code : strcmp(now, root) == 0;
}

static int pull_fetch(const struct pull *p, struct fetcher *f,
                      struct fetcher_result *r, struct err *e)
{
    static const char go = 'g';
    if (write(p->sock, &go, 1) != 1)
        return err_set(e, -EIO, "the converter ended unexpectedly");
    int code = fetcher_serve(f, p->sock, p->pipes, p->pipe_count, r, e);
    bool nameless = p->q->pull != NULL && p->q->pull->nameless;
    if (code == 0 && !nameless)
        code = pull_put_ref(p, r, fetcher_challenge(f), e);
    return code;
}

int pull_image(struct store *s, const struct image_request *q,
               const struct pull_options *o, char hex[SHA256_HEX_SIZE],
               enum pull_result *result, struct err *e)
{
    const struct fetcher_options fo = {
        .name = &q->ref->name,
        .cert_dir = o->cert_dir,
        .tls_verify = o->tls_verify,
        .quiet = o->quiet,
        .limit_rate = o->limit_rate,
        .backoff_ms = o->backoff_ms,
    };
    struct pull p = {.q = q, .s = s};
    struct fetcher *f = NULL;
    struct fetcher_result r;
    (void)signal(SIGPIPE, SIG_IGN);
    int code = imgref_key(q->ref, q->arch, p.key, e);
    if (code == 0)
        code = store_sweep(s, e);
    if (code == 0)
        code = pull_fork(&p, e);
    if (code == 0)
        code = fetcher_new(&fo, &f, e);
    if (code == 0)
        code = q->ref->name.digest[0] == '\0' ? pull_check_tag(&p, f, hex, e)
                                              : pull_is_complete(&p, hex);
    *result = code == 1 ? PULL_UP_TO_DATE : PULL_FETCHED;
    if (code == 0) {
        code = pull_fetch(&p, f, &r, e);
        if (code == 0)
            memcpy(hex, r.hex, SHA256_HEX_SIZE);
    }
    fetcher_free(f);
    pull_end(&p);
    struct err ignored;
    if (code < 0) /* of layers that were under way */
        (void)store_sweep(s, &ignored);
    return code < 0 ? code : 0;
}
