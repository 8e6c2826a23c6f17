// SPDX-License-Identifier: Apache-2.0
/* limpet push: references are resolved here, limpet-image does the rest. */
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

static const struct opt push_flags[] = {
    {"all-platforms", 0, false, 'A', "the index with every platform's image"},
    {"all-tags", 'a', false, 0, "name each tag"},
    {"cert-dir", 0, true, 'c',
     "CAs (*.crt) and our certificate (X.cert, X.key)"},
    {"disable-content-trust", 0, false, 0,
     "digests are always verified and signatures never are"},
    {"help", 0, false, 'h', "print this"},
    {"limit-rate", 0, true, 'l', "bytes per second at most, such as 2M"},
    {"platform", 0, true, 'p', "linux/amd64 or linux/arm64"},
    {"quiet", 'q', false, 'q', "no progress; print the name only"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"tls-verify", 0, false, 't',
     "check the registry's certificate (default true)"},
    {0},
};

enum { PUSH_ARGS_MAX = 24 };

struct push {
    struct host host;
    struct state state;
    bool all_platforms, quiet;
    const char *arch;
    struct origin from;
    char hex[SHA256_HEX_SIZE];
    char to[REGNAME_TEXT_SIZE];
    /* For limpet-image: owned strings. */
    char *argv[PUSH_ARGS_MAX];
    size_t argc;
    bool failed; /* an argument was lost */
};

static void push_add(struct push *p, const char *flag, const char *value)
{
    char *text = NULL;
    if (asprintf(&text, "%s%s", flag, value) < 0 ||
        p->argc + 1 == PUSH_ARGS_MAX) {
        p->failed = true;
        return;
    }
    p->argv[p->argc++] = text;
}

static void push_flag(struct push *p, const struct opt_seen *f)
{
    bool on = strcmp(f->value, "true") == 0;
    switch (f->id) {
    case 'A': p->all_platforms = on; break;
    case 'c': push_add(p, "--cert-dir=", f->value); break;
    case 'l': push_add(p, "--limit-rate=", f->value); break;
    case 'p':
        p->arch = strncmp(f->value, "linux/", 6) == 0 ? f->value + 6 : f->value;
        break;
    case 'q':
        if (on)
            push_add(p, "-q", "");
        break;
    case 't': push_add(p, "--tls-verify=", f->value); break;
    default: break;
    }
}

/* And not an image's ID. */
static bool push_is_name(const struct push *p, const struct imgref *r)
{
    char key[SHA256_HEX_SIZE];
    char path[SHA256_HEX_SIZE + 8];
    struct err ignored;
    if (imgref_key(r, p->arch, key, &ignored) < 0)
        return false;
    (void)snprintf(path, sizeof(path), "refs/%s", key);
    return faccessat(p->state.root, path, F_OK, 0) == 0;
}

/* DEST, or IMAGE itself when it is a name in the store and not an ID. */
static int push_find_name(struct push *p, const char *image, const char *dest,
                          struct err *e)
{
    struct imgref r;
    const char *text = dest != NULL ? dest : image;
    int code = imgref_parse(text, &r, e);
    if (code < 0)
        return code;
    if (r.kind != IMGREF_REGISTRY || (dest == NULL && !push_is_name(p, &r)))
        return err_set(e, -EINVAL,
                       "%.200s: not a name in a registry; say where to: "
                       "limpet push %.200s HOST/NAME:TAG",
                       text, text);
    if (r.name.digest[0] != '\0')
        return err_set(e, -EINVAL,
                       "%.200s: cannot push a digest reference: say which tag "
                       "it shall have",
                       text);
    regname_text(&r.name, p->to);
    return 0;
}

static int push_resolve(struct push *p, const char *image, const char *dest,
                        struct err *e)
{
    struct regname to;
    int code = cli_find_image(&p->state, image, p->arch, p->hex, e);
    if (code == 0)
        code = push_find_name(p, image, dest, e);
    if (code == 0)
        code = regname_parse(p->to, &to, e);
    if (code < 0)
        return code;
    origin_find(&p->state, p->hex, to.host, &p->from);
    /* A layout's blobs cannot be streamed from there: they are kept first. */
    if (strncmp(p->from.ref, "oci", 3) == 0) {
        origin_keep(&p->host, &p->state, p->hex, &p->from);
        p->from.ref[0] = '\0';
    }
    return 0;
}

static int push_exec(struct push *p, struct err *e)
{
    bool index = p->all_platforms && p->from.root[0] != '\0';
    char path[PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/limpet-image", p->host.libexec);
    push_add(p, "--root=", p->state.path);
    if (p->from.ref[0] != '\0')
        push_add(p, "--from=", p->from.ref);
    push_add(p, "--", "");
    push_add(p, "", index ? p->from.root : p->hex);
    push_add(p, "", p->to);
    if (p->failed)
        return err_set(e, -ENOMEM, "out of memory");
    (void)execv(path, p->argv);
    return err_set(e, -errno, "%s: %s", path, strerror(errno));
}

static int push_end(struct push *p, int status)
{
    for (size_t i = 0; i < p->argc; i++)
        free(p->argv[i]);
    return status;
}

int cli_push(int argc, char **argv)
{
    struct verb_args a = {
        .verb = "push", .table = push_flags, .min = 1, .max = 2};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    AUTO_FREE struct push *p = calloc(1, sizeof(*p));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    if (p == NULL || rest == NULL) {
        (void)err_set(&a.e, -ENOMEM, "out of memory");
        return cli_error(&a.e);
    }
    push_add(p, "limpet-image", "");
    push_add(p, "push", "");
    while (verb_args_next(&a, &f))
        push_flag(p, &f);
    if (a.done)
        return push_end(p, a.status);
    if (host_init(&p->host, &a.e) < 0 ||
        cli_open_state(a.root, &p->state, &a.e) < 0)
        return push_end(p, cli_error(&a.e));
    if (p->arch == NULL)
        p->arch = p->host.arch;
    int code =
        push_resolve(p, a.reader.rest[0],
                     a.reader.rest_count > 1 ? a.reader.rest[1] : NULL, &a.e);
    if (code == 0)
        code = push_exec(p, &a.e);
    state_fini(&p->state);
    return push_end(p, code < 0 ? cli_error(&a.e) : 0);
}
