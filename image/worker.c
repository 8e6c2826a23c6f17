// SPDX-License-Identifier: Apache-2.0
#include "image/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/path.h"
#include "image/convert.h"
#include "image/sandbox.h"
#include "image/store.h"
#include "image/stream.h"

static void worker_convert(struct store *s, int data,
                           const struct worker_job *job, struct err *result)
{
    char name[96];
    (void)snprintf(name, sizeof(name), "layer sha256:%s", job->digest);
    const struct stream_spec spec = {
        .name = name,
        .fd = data,
        .chunked = true,
        .size = job->size,
        .digest = job->digest,
        .diff_id = job->diff_id,
    };
    if (convert_layer(s, &spec, job->keep, result) == 0)
        *result = (struct err){0};
}

static _Noreturn void worker_main(struct store *s, int data, int jobs,
                                  int results)
{
    struct worker_job job;
    struct err e = {0};
    const struct sandbox_spec spec = {.store = s->root, .out = -1};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, "limpet-layer");
    int code = sandbox_enter(&spec, &e);
    while (read(jobs, &job, sizeof(job)) == (ssize_t)sizeof(job)) {
        if (code == 0)
            worker_convert(s, data, &job, &e);
        if (path_write_all(results, &e, sizeof(e)) < 0)
            break;
    }
    _exit(0);
}

int worker_start(struct store *s, int data, struct worker *out, struct err *e)
{
    int jobs[2];
    int results[2];
    if (pipe2(jobs, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    AUTO_CLOSE int jobs_read = jobs[0];
    AUTO_CLOSE int jobs_write = jobs[1];
    if (pipe2(results, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    AUTO_CLOSE int results_read = results[0];
    AUTO_CLOSE int results_write = results[1];
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, -errno, "fork: %s", strerror(errno));
    if (pid == 0) {
        (void)close(jobs_write);
        (void)close(results_read);
        worker_main(s, data, jobs_read, results_write);
    }
    *out = (struct worker){fd_release(&jobs_write), fd_release(&results_read)};
    return 0;
}
