// SPDX-License-Identifier: Apache-2.0
/* limpet save: references are resolved here, limpet-image does the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "cli/common.h"
#include "cli/origin.h"
#include "cli/verb_args.h"
#include "supervisor/host.h"
#include "supervisor/imagelist.h"
#include "supervisor/imagespec.h"

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

/* HEX, or HEX=NAME if `ref` is a name of a registry's form and no ID. */
static int save_add(struct save *s, const char *ref, struct err *e)
{
    char hex[SHA256_HEX_SIZE];
    char id[SHA256_HEX_SIZE];
    char text[REGNAME_TEXT_SIZE];
    struct imgref r;
    struct err ignored;
    struct origin from;
    int code = cli_find_image(s->state, ref, s->host->arch, hex, e);
    if (code < 0)
        return code;
    origin_find(s->state, hex, "", &from);
    origin_keep(s->host, s->state, hex, &from);
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
