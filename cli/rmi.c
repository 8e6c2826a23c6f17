// SPDX-License-Identifier: Apache-2.0
/* limpet rmi, tag, image prune: names of images, and what nobody needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/imgref.h"
#include "base/parse.h"
#include "base/sizetext.h"
#include "cli/common.h"
#include "cli/verb_args.h"
#include "supervisor/host.h"
#include "supervisor/imagestore.h"

static const struct opt rmi_flags[] = {
    {"force", 'f', false, 'f', "also what has several names or containers"},
    {"help", 0, false, 'h', "print this"},
    {"no-prune", 0, false, 0, "layers that nobody needs always go"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

static const struct opt tag_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

static const struct opt prune_flags[] = {
    {"all", 'a', false, 'a', "also images with names that no container uses"},
    {"filter", 0, true, 0, "filters come with a later release"},
    {"force", 'f', false, 'f', "do not ask"},
    {"help", 0, false, 'h', "print this"},
    {"keep-storage", 0, true, 'k',
     "stop when at most SIZE is left; implies --all"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

/* `hex` and, if `ref` is a name, not an ID, its key; else key[0] is 0. */
static int rmi_resolve(const struct state *s, const char *ref, const char *arch,
                       char key[SHA256_HEX_SIZE], char hex[SHA256_HEX_SIZE],
                       struct err *e)
{
    struct imgref r;
    struct err ignored;
    char path[SHA256_HEX_SIZE + 8];
    int code = cli_find_image(s, ref, arch, hex, e);
    key[0] = '\0';
    if (code < 0 || imgref_parse(ref, &r, &ignored) < 0 ||
        imgref_key(&r, arch, key, &ignored) < 0)
        return code;
    (void)snprintf(path, sizeof(path), "refs/%s", key);
    if (faccessat(s->root, path, F_OK, 0) < 0)
        key[0] = '\0';
    return 0;
}

static int rmi_one(const struct state *s, const char *ref, const char *arch,
                   bool force, struct err *e)
{
    char key[SHA256_HEX_SIZE] = "";
    char hex[SHA256_HEX_SIZE] = "";
    struct imagestore_removed gone = {0};
    int code = rmi_resolve(s, ref, arch, key, hex, e);
    if (code == 0)
        code = imagestore_remove(s, key[0] != '\0' ? key : NULL, hex, force,
                                 &gone, e);
    if (code < 0)
        return code;
    if (gone.names > 0)
        (void)printf("Untagged: %s\n", ref);
    if (gone.images > 0)
        (void)printf("Deleted: sha256:%s\n", hex);
    return 0;
}

int cli_rmi(int argc, char **argv)
{
    struct verb_args a = {.verb = "rmi", .table = rmi_flags, .min = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    bool force = false;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        if (f.id == 'f')
            force = f.value[0] == 't';
    if (a.done)
        return a.status;
    struct state s;
    struct host h;
    if (host_init(&h, &a.e) < 0 || cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    int status = 0;
    for (int i = 0; i < a.reader.rest_count; i++)
        if (rmi_one(&s, a.reader.rest[i], h.arch, force, &a.e) < 0)
            status = cli_error(&a.e);
    state_fini(&s);
    return status;
}

static int tag_do(const struct state *s, const char *from, const char *to,
                  const char *arch, struct err *e)
{
    char hex[SHA256_HEX_SIZE];
    struct regname name;
    int code = cli_find_image(s, from, arch, hex, e);
    if (code == 0)
        code = regname_parse(to, &name, e);
    return code == 0 ? imagestore_tag(s, hex, &name, arch, e) : code;
}

int cli_tag(int argc, char **argv)
{
    struct verb_args a = {
        .verb = "tag", .table = tag_flags, .min = 2, .max = 2};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f))
        continue;
    if (a.done)
        return a.status;
    struct state s;
    struct host h;
    if (host_init(&h, &a.e) < 0 || cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    int code = tag_do(&s, a.reader.rest[0], a.reader.rest[1], h.arch, &a.e);
    state_fini(&s);
    return code < 0 ? cli_error(&a.e) : 0;
}

static bool prune_confirmed(bool all)
{
    char line[16] = "";
    (void)printf("This will remove all images without %s.\nAre you sure you "
                 "want to continue? [y/N] ",
                 all ? "at least one container made from them" : "a name");
    (void)fflush(stdout);
    return fgets(line, sizeof(line), stdin) != NULL &&
           (line[0] == 'y' || line[0] == 'Y');
}

int cli_image_prune(int argc, char **argv)
{
    struct verb_args a = {.verb = "image", .table = prune_flags};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    bool all = false;
    bool force = false;
    uint64_t keep = 0;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        if (f.id == 'a')
            all = f.value[0] == 't';
        else if (f.id == 'f')
            force = f.value[0] == 't';
        else if (parse_size(f.value, &keep) < 0 || keep == 0)
            (void)err_set(&a.e, -EINVAL,
                          "--keep-storage %.32s: must be a size such as 2GiB",
                          f.value);
    }
    if (a.done)
        return a.status;
    all = all || keep > 0;
    if (!force && !prune_confirmed(all))
        return 0;
    struct state s;
    struct imagestore_removed gone;
    char size[32];
    if (cli_open_state(a.root, &s, &a.e) < 0)
        return cli_error(&a.e);
    int code = imagestore_prune(&s, all, keep, &gone, &a.e);
    state_fini(&s);
    if (code < 0)
        return cli_error(&a.e);
    sizetext(gone.bytes, size, sizeof(size));
    (void)printf("Deleted images: %u\nTotal reclaimed space: %s\n", gone.images,
                 size);
    return 0;
}
