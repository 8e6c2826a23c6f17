// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"
#include "cli/common.h"
#include "cli/verb_args.h"

enum { LOGS_LOOK_MS = 200 };

static const struct opt logs_flags[] = {
    {"details", 0, false, 0, "there are no details"},
    {"follow", 'f', false, 'f', "go on until the container ends"},
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"since", 0, true, 0, "use -t and grep; it comes later"},
    {"tail", 'n', true, 'n', "lines from the end, or all"},
    {"timestamps", 't', false, 't', "show the time of each line"},
    {"until", 0, true, 0, "use -t and grep; it comes later"},
    {0},
};

struct logs {
    FILE *file;
    char *line; /* owned, grows */
    size_t room;
    bool times;
    bool midline; /* the last record was a part of a line */
};

/* One record of the CRI log: "TIME stdout|stderr F|P text". */
static void logs_print(struct logs *g, const char *line, size_t size)
{
    const char *stream = memchr(line, ' ', size);
    if (stream == NULL)
        return;
    bool err = strncmp(stream, " stderr ", 8) == 0;
    if (!err && strncmp(stream, " stdout ", 8) != 0)
        return;
    const char *tag = stream + 8;
    const char *end = line + size;
    if (end - tag < 2 || tag[1] != ' ')
        return;
    FILE *out = err ? stderr : stdout;
    if (g->times && !g->midline)
        (void)fprintf(out, "%.*s ", (int)(stream - line), line);
    (void)fwrite(tag + 2, 1, (size_t)(end - tag - 2), out);
    g->midline = tag[0] == 'P';
    if (!g->midline)
        (void)fputc('\n', out);
}

/* Everything that is there now, whole records only. */
static void logs_print_all(struct logs *g)
{
    ssize_t n;
    long at = ftell(g->file);
    clearerr(g->file);
    while ((n = getline(&g->line, &g->room, g->file)) > 0) {
        if (g->line[n - 1] != '\n')
            break; /* still being written */
        logs_print(g, g->line, (size_t)n - 1);
        at = ftell(g->file);
    }
    (void)fseek(g->file, at, SEEK_SET);
    (void)fflush(stdout);
}

/* Move to the start of the last `count` lines. */
static void logs_skip(struct logs *g, uint64_t count)
{
    uint64_t lines = 0;
    while (getline(&g->line, &g->room, g->file) > 0)
        lines++;
    rewind(g->file);
    while (lines > count && getline(&g->line, &g->room, g->file) > 0)
        lines--;
}

static bool logs_is_over(const struct state *s, const char *id)
{
    struct state_info info;
    if (state_read(s, id, &info, NULL) < 0)
        return true;
    bool running = info.state == INSTANCE_RUNNING;
    state_info_fini(&info);
    return !running;
}

static void logs_follow(struct logs *g, const struct state *s, const char *id)
{
    AUTO_CLOSE int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char path[64];
    char events[4096];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(g->file));
    (void)inotify_add_watch(watch, path, IN_MODIFY);
    bool over = false;
    while (!over) {
        struct pollfd p = {.fd = watch, .events = POLLIN};
        over = logs_is_over(s, id); /* before the last reading */
        if (!over)
            (void)poll(&p, 1, LOGS_LOOK_MS);
        (void)!read(watch, events, sizeof(events));
        logs_print_all(g);
    }
}

static int logs_show(const struct state *s, const char *ref, uint64_t tail,
                     bool follow, struct logs *g, struct err *e)
{
    char id[STATE_ID_SIZE];
    int code = state_find(s, ref, id, e);
    if (code < 0)
        return code;
    AUTO_CLOSE int dir = state_dir(s, id, e);
    if (dir < 0)
        return dir;
    AUTO_CLOSE int fd = path_open(dir, "log", O_RDONLY, NULL);
    if (fd < 0)
        return err_set(e, fd,
                       "%.128s keeps no log: it was started in the "
                       "foreground with --rm",
                       ref);
    g->file = fdopen(fd, "r");
    if (g->file == NULL)
        return err_set(e, -errno, "log: %s", strerror(errno));
    (void)fd_release(&fd);
    if (tail != UINT64_MAX)
        logs_skip(g, tail);
    if (follow)
        logs_follow(g, s, id);
    else
        logs_print_all(g);
    (void)fclose(g->file);
    free(g->line);
    return 0;
}

int cli_logs(int argc, char **argv)
{
    bool follow = false;
    uint64_t tail = UINT64_MAX;
    struct logs g = {0};
    struct verb_args a = {
        .verb = "logs", .table = logs_flags, .min = 1, .max = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        if (f.id == 'f')
            follow = f.value[0] == 't';
        else if (f.id == 't')
            g.times = f.value[0] == 't';
        else if (strcmp(f.value, "all") != 0 &&
                 parse_u64(f.value, 0, INT64_MAX, &tail) < 0)
            (void)err_set(&a.e, -EINVAL, "--tail %.32s: not a number", f.value);
    }
    if (a.done)
        return a.status;
    struct state s;
    if (cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    int code = logs_show(&s, rest[0], tail, follow, &g, &a.e);
    state_fini(&s);
    return code < 0 ? cli_error(&a.e) : 0;
}
