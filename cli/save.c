// SPDX-License-Identifier: Apache-2.0
/* limpet save: references are resolved here, limpet-image does the rest. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "cli/common.h"
#include "cli/verb_args.h"
#include "supervisor/host.h"
#include "supervisor/imagelist.h"
#include "supervisor/imagespec.h"

extern char **environ;

static const struct opt save_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {"output", 'o', true, 'o', "archive; standard output if not given"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

struct save {
    const struct host *host;
    const struct state *state;
    char program[PATH_MAX + 16];
    char **argv; /* of limpet-image save; owned strings from `images` on */
    size_t count;
};

/* Where the image came from, or "": a registry's name by digest, or a layout.
 */
static void save_origin(const struct save *s, const char *hex, char *out,
                        size_t room)
{
    struct imagelist_entry *list = NULL;
    size_t count = 0;
    struct err ignored;
    out[0] = '\0';
    if (imagelist_read(s->state->root, &list, &count, &ignored) < 0)
        return;
    for (size_t i = 0; i < count && out[0] == '\0'; i++) {
        char text[REGNAME_TEXT_SIZE];
        struct regname n = list[i].name;
        if (strcmp(list[i].hex, hex) != 0)
            continue;
        if (strncmp(list[i].ref, "oci", 3) == 0) {
            (void)snprintf(out, room, "%s", list[i].ref);
        } else if (n.host[0] != '\0' && list[i].root[0] != '\0') {
            n.tag[0] = '\0';
            memcpy(n.digest, list[i].root, sizeof(n.digest));
            regname_text(&n, text);
            (void)snprintf(out, room, "docker://%s", text);
        }
    }
    free(list);
}

/* Fetch what is missing. What cannot be had is save's to say: it names it. */
static void save_keep(const struct save *s, const char *hex)
{
    char origin[REGNAME_TEXT_SIZE + 16];
    char id[SHA256_HEX_SIZE];
    save_origin(s, hex, origin, sizeof(origin));
    if (origin[0] == '\0')
        return;
    (void)snprintf(id, sizeof(id), "%s", hex);
    char *root = strdup(s->state->path);
    char *arch = strdup(s->host->arch);
    char *argv[] = {(char[]){"limpet-image"},
                    (char[]){"keep"},
                    (char[]){"-q"},
                    (char[]){"--root"},
                    root,
                    (char[]){"--arch"},
                    arch,
                    origin,
                    id,
                    NULL};
    pid_t pid;
    if (root != NULL && arch != NULL &&
        posix_spawn(&pid, s->program, NULL, NULL, argv, environ) == 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    free(root);
    free(arch);
}

/* HEX, or HEX=NAME if `ref` is a name of a registry's form and no ID. */
static int save_add(struct save *s, const char *ref, struct err *e)
{
    char hex[SHA256_HEX_SIZE];
    char id[SHA256_HEX_SIZE];
    char text[REGNAME_TEXT_SIZE];
    struct imgref r;
    struct err ignored;
    int code = cli_find_image(s->state, ref, s->host->arch, hex, e);
    if (code < 0)
        return code;
    save_keep(s, hex);
    bool named = imgref_parse(ref, &r, &ignored) == 0 &&
                 r.kind == IMGREF_REGISTRY && r.name.digest[0] == '\0' &&
                 !(imagelist_find_id(s->state->root, ref, id, &ignored) == 0 &&
                   strcmp(id, hex) == 0);
    if (named)
        regname_text(&r.name, text);
    char *arg = NULL;
    if (asprintf(&arg, "%s%s%s", hex, named ? "=" : "", named ? text : "") < 0)
        return err_set(e, -ENOMEM, "out of memory");
    s->argv[s->count++] = arg;
    return 0;
}

static int save_run(struct save *s, const char *output, char **refs, int count,
                    struct err *e)
{
    char flag[] = "-o";
    AUTO_FREE char *root = strdup(s->state->path);
    AUTO_FREE char *file = output != NULL ? strdup(output) : NULL;
    s->argv = calloc((size_t)count + 8, sizeof(*s->argv));
    if (root == NULL || s->argv == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    s->argv[s->count++] = s->program;
    s->argv[s->count++] = (char[]){"save"};
    s->argv[s->count++] = (char[]){"--root"};
    s->argv[s->count++] = root;
    if (file != NULL) {
        s->argv[s->count++] = flag;
        s->argv[s->count++] = file;
    }
    size_t images = s->count;
    int code = 0;
    for (int i = 0; code == 0 && i < count; i++)
        code = save_add(s, refs[i], e);
    if (code == 0) {
        (void)execv(s->program, s->argv);
        code = err_set(e, -errno, "%s: %s", s->program, strerror(errno));
    }
    for (size_t i = images; i < s->count; i++)
        free(s->argv[i]);
    free(s->argv);
    return code;
}

int cli_save(int argc, char **argv)
{
    struct verb_args a = {.verb = "save", .table = save_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    const char *output = NULL;
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        if (f.id == 'o')
            output = f.value;
    if (a.done)
        return a.status;
    struct state s;
    struct host h;
    if (host_init(&h, &a.e) < 0 || cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    struct save save = {.host = &h, .state = &s};
    (void)snprintf(save.program, sizeof(save.program), "%s/limpet-image",
                   h.libexec);
    int code =
        save_run(&save, output, a.reader.rest, a.reader.rest_count, &a.e);
    state_fini(&s);
    return code < 0 ? cli_error(&a.e) : 0;
}
