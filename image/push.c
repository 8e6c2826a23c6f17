// SPDX-License-Identifier: Apache-2.0
#include "image/push.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "base/regname.h"
#include "image/fetch.h"
#include "image/fetcher.h"
#include "image/plan.h"
#include "image/pull.h"
#include "image/pusher.h"
#include "image/sandbox.h"
#include "image/store.h"

enum { PUSH_PIPE_SIZE = 256 << 10 };

struct push {
    const struct push_request *q;
    struct store store;
    struct regname to;
    struct regname from; /* host "" when not known */
    struct plan plan;
    pid_t fetcher, planner; /* 0: none */
    int documents[2];       /* planner and fetcher */
    int layers[2];          /* we and fetcher */
    int result[2];          /* planner's plan */
    int reads[FETCH_WORKERS_MAX], writes[FETCH_WORKERS_MAX];
};

static void push_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static int push_open(struct push *p, struct err *e)
{
    if (pipe2(p->result, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    if (p->from.host[0] == '\0')
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->documents) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->layers) < 0)
        return err_set(e, -errno, "socketpair: %s", strerror(errno));
    for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
            return err_set(e, -errno, "pipe: %s", strerror(errno));
        (void)fcntl(ends[1], F_SETPIPE_SZ, PUSH_PIPE_SIZE);
        p->reads[i] = ends[0];
        p->writes[i] = ends[1];
    }
    return 0;
}

/* --- the fetcher --- */

/* Whether somebody asks for something before they end. */
static bool push_is_asked(int sock)
{
    struct fetch_ask a;
    ssize_t n;
    do
        n = recv(sock, &a, sizeof(a), MSG_PEEK | MSG_WAITALL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(a) && a.op != FETCH_DONE;
}

/* Nothing can be fetched: every answer says why. */
static void push_refuse(int sock, const struct err *why)
{
    struct fetch_ask a;
    while (recv(sock, &a, sizeof(a), MSG_WAITALL) == (ssize_t)sizeof(a)) {
        const struct fetch_answer no = {.slot = a.slot, .failed = *why};
        if (a.op == FETCH_DONE)
            return;
        if (a.op != FETCH_STOP && path_write_all(sock, &no, sizeof(no)) < 0)
            return;
    }
}

static void push_serve(const struct push *p, struct fetcher **f, int sock,
                       unsigned pipe_count)
{
    const struct pull_options *o = p->q->options;
    const struct fetcher_options fo = {
        .name = &p->from,
        .cert_dir = o->cert_dir,
        .tls_verify = o->tls_verify,
        .quiet = true,
        .backoff_ms = o->backoff_ms,
    };
    struct fetcher_result ignored;
    struct err e = {0};
    if (!push_is_asked(sock))
        return;
    int code = *f == NULL ? fetcher_new(&fo, f, &e) : 0;
    if (code == 0)
        code = sandbox_enter_network(p->store.root, &e);
    if (code == 0)
        (void)fetcher_serve(*f, sock, p->writes, pipe_count, &ignored, &e);
    else
        push_refuse(sock, &e);
}

static _Noreturn void push_fetcher(struct push *p)
{
    struct fetcher *f = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "limpet-fetch");
    push_close(&p->documents[0]);
    push_close(&p->layers[0]);
    for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++)
        push_close(&p->reads[i]);
    push_serve(p, &f, p->documents[1], 0);
    push_close(&p->documents[1]);
    push_serve(p, &f, p->layers[1], FETCH_WORKERS_MAX);
    _exit(0);
}

/* --- all of them --- */

static int push_fork(struct push *p, struct err *e)
{
    bool has_source = p->from.host[0] != '\0';
    if (has_source) {
        p->fetcher = fork();
        if (p->fetcher == 0) {
            push_close(&p->result[0]);
            push_close(&p->result[1]);
            push_fetcher(p);
        }
        push_close(&p->documents[1]);
        push_close(&p->layers[1]);
        for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++)
            push_close(&p->writes[i]);
    }
    if (p->fetcher >= 0)
        p->planner = fork();
    if (p->planner == 0 && p->fetcher >= 0) {
        const struct plan_request q = {
            .store = &p->store,
            .hex = p->q->hex,
            .from = &p->from,
            .sock = has_source ? p->documents[0] : -1,
        };
        push_close(&p->layers[0]);
        push_close(&p->result[0]);
        plan_main(&q, p->result[1]);
    }
    push_close(&p->documents[0]);
    push_close(&p->result[1]);
    if (p->fetcher < 0 || p->planner < 0)
        return err_set(e, -errno, "fork: %s", strerror(errno));
    return 0;
}

static void push_reap(pid_t *child)
{
    while (*child > 0 && waitpid(*child, NULL, 0) < 0 && errno == EINTR)
        continue;
    *child = 0;
}

/* The planner has read what strangers wrote: while we talk to the registry
 * there is none, whatever it wants to do yet. */
static void push_end_planner(struct push *p)
{
    (void)kill(p->planner, SIGKILL);
    push_reap(&p->planner);
}

static int push_send(struct push *p, struct err *e)
{
    const struct pull_options *o = p->q->options;
    bool has_source = p->from.host[0] != '\0';
    const struct pusher_options po = {
        .to = &p->to,
        .from = has_source ? &p->from : NULL,
        .cert_dir = o->cert_dir,
        .tls_verify = o->tls_verify,
        .quiet = o->quiet,
        .limit_rate = o->limit_rate,
        .backoff_ms = o->backoff_ms,
        .store = p->store.root,
        .sock = has_source ? p->layers[0] : -1,
        .pipes = p->reads,
    };
    struct pusher *pusher = NULL;
    int code = pusher_new(&po, &pusher, e);
    if (code == 0)
        code = sandbox_enter_network(p->store.root, e);
    if (code == 0)
        code = pusher_run(pusher, &p->plan, e);
    pusher_free(pusher);
    return code;
}

static void push_end(struct push *p)
{
    push_close(&p->layers[0]);
    push_close(&p->result[0]);
    for (unsigned i = 0; i < FETCH_WORKERS_MAX; i++)
        push_close(&p->reads[i]);
    push_reap(&p->planner);
    push_reap(&p->fetcher);
    plan_fini(&p->plan);
    store_close(&p->store);
}

static int push_parse(struct push *p, struct err *e)
{
    const struct push_request *q = p->q;
    if (strlen(q->hex) != SHA256_HEX_SIZE - 1 ||
        strspn(q->hex, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
        return err_set(e, -EINVAL, "%.200s: must be 64 digits", q->hex);
    int code = regname_parse(q->to, &p->to, e);
    if (code == 0 && p->to.digest[0] != '\0')
        code = err_set(e, -EINVAL,
                       "%.200s: cannot push a digest reference: say which "
                       "tag it shall have",
                       q->to);
    if (code == 0 && q->from != NULL)
        code = regname_parse(q->from, &p->from, e);
    return code;
}

/* As docker ends a push. */
static int push_report(const struct push *p, struct err *e)
{
    const struct plan_document *root =
        &p->plan.documents[p->plan.document_count - 1];
    char text[REGNAME_TEXT_SIZE];
    regname_text(&p->to, text);
    if (p->q->options->quiet)
        (void)printf("%s\n", text);
    else
        (void)printf("%s: digest: sha256:%s size: %zu\n", p->to.tag,
                     root->digest, root->size);
    return fflush(stdout) == 0
               ? 0
               : err_set(e, -EIO, "standard output: %s", strerror(errno));
}

int push_image(const struct push_request *q, struct err *e)
{
    struct push p = {.q = q,
                     .documents = {-1, -1},
                     .layers = {-1, -1},
                     .result = {-1, -1},
                     .reads = {-1, -1, -1, -1},
                     .writes = {-1, -1, -1, -1}};
    (void)signal(SIGPIPE, SIG_IGN);
    int code = push_parse(&p, e);
    if (code == 0)
        code = store_open(&p.store, q->root, e);
    if (code == 0 && !q->options->quiet)
        (void)fprintf(stderr, "The push refers to repository [%s/%s]\n",
                      p.to.host, p.to.repo);
    if (code == 0)
        code = push_open(&p, e);
    if (code == 0)
        code = push_fork(&p, e);
    if (code == 0)
        code = plan_read(p.result[0], &p.plan, e);
    if (code == 0) {
        push_end_planner(&p);
        code = push_send(&p, e);
    }
    if (code == 0)
        code = push_report(&p, e);
    else
        (void)err_wrap(e, "%.200s", q->to);
    push_end(&p);
    return code;
}
