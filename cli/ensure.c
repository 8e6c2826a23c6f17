// SPDX-License-Identifier: Apache-2.0
#include "cli/ensure.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "supervisor/host.h"
#include "supervisor/imagespec.h"
#include "supervisor/state.h"

extern char **environ;

static int ensure_spawn(const char *path, char *const *argv, int out,
                        pid_t *pid)
{
    posix_spawn_file_actions_t fa;
    int code = posix_spawn_file_actions_init(&fa);
    if (code != 0)
        return -code;
    code = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
    if (code == 0)
        code = posix_spawn(pid, path, &fa, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&fa);
    return -code;
}

/* Reads "HEX\n" until end of file. */
static size_t ensure_read(int fd, char *text, size_t room)
{
    size_t used = 0;
    ssize_t n;
    while (used < room && (n = read(fd, text + used, room - used)) != 0) {
        if (n < 0 && errno != EINTR)
            break;
        used += n > 0 ? (size_t)n : 0;
    }
    return used;
}

static int ensure_convert(const struct host *h, const struct state *s,
                          const struct run_opts *o, char hex[65], struct err *e)
{
    char path[PATH_MAX + 16];
    char root[PATH_MAX];
    char arch[16];
    char image[PATH_MAX + 300];
    char *argv[] = {(char[]){"limpet-image"},
                    o->pull == RUN_PULL_ALWAYS ? (char[]){"pull"}
                                               : (char[]){"ensure"},
                    (char[]){"--root"},
                    root,
                    (char[]){"--arch"},
                    arch,
                    image,
                    o->quiet ? (char[]){"-q"} : NULL,
                    NULL};
    (void)snprintf(root, sizeof(root), "%s", s->path);
    (void)snprintf(arch, sizeof(arch), "%s", h->arch);
    (void)snprintf(image, sizeof(image), "%s", o->image);
    int ends[2];
    (void)snprintf(path, sizeof(path), "%s/limpet-image", h->libexec);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    AUTO_CLOSE int in = ends[0];
    pid_t pid = -1;
    int code = ensure_spawn(path, argv, ends[1], &pid);
    (void)close(ends[1]);
    if (code < 0)
        return err_set(e, code, "%s: %s", path, strerror(-code));

    char text[80] = "";
    size_t used = ensure_read(in, text, sizeof(text) - 1);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        return err_set(e, -EIO, "limpet-image was killed by signal %d",
                       WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(e, -EIO, "%s", "");
    if (used != 65 || text[64] != '\n' ||
        strspn(text, "0123456789abcdef") != 64)
        return err_set(e, -EPROTO, "limpet-image printed no image ID");
    memcpy(hex, text, 64);
    hex[64] = '\0';
    return 0;
}

/* As docker says that it pulls. */
static void ensure_announce(const char *ref)
{
    struct imgref r;
    struct err ignored;
    char text[REGNAME_TEXT_SIZE];
    if (imgref_parse(ref, &r, &ignored) < 0 || r.kind != IMGREF_REGISTRY)
        return;
    regname_familiar(&r.name, text);
    (void)fprintf(stderr, "Unable to find image '%s' locally\n", text);
}

int ensure_image(const struct host *h, const struct state *s,
                 const struct run_opts *o, char hex[65], int *store,
                 struct err *e)
{
    *store = s->root;
    int code = imagespec_lookup(s->root, o->image, h->arch, hex, e);
    if (code == -ENOENT && o->pull != RUN_PULL_ALWAYS && s->shared >= 0) {
        code = imagespec_lookup(s->shared, o->image, h->arch, hex, e);
        if (code == 0)
            *store = s->shared;
    }
    if (code < 0 && code != -ENOENT)
        return code;
    if (code == 0 && o->pull != RUN_PULL_ALWAYS)
        return 0;
    if (code < 0 && o->pull == RUN_PULL_NEVER)
        return err_set(e, -ENOENT,
                       "%.200s: No such image in the store, and --pull never "
                       "was given",
                       o->image);
    if (code < 0 && !o->quiet && o->pull == RUN_PULL_MISSING)
        ensure_announce(o->image);
    return ensure_convert(h, s, o, hex, e);
}
