// SPDX-License-Identifier: Apache-2.0
#include "supervisor/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "supervisor/board_fact.h"
#include "supervisor/board_host.h"
#include "supervisor/board_profile.h"

#define BOARD_INSTALLED "/usr/share/limpet/boards"

void board_profiles_dir(char out[PATH_MAX])
{
    static const char beside[] = "/../share/limpet/boards";
    const char *env = getenv("LIMPET_BOARDS");
    if (env != NULL && env[0] != '\0') {
        (void)snprintf(out, PATH_MAX, "%s", env);
        return;
    }
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - sizeof(beside));
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash != NULL) {
        memcpy(slash, beside, sizeof(beside));
        if (access(out, R_OK | X_OK) == 0)
            return;
    }
    memcpy(out, BOARD_INSTALLED, sizeof(BOARD_INSTALLED));
}

/* Lay a set over the result. `source` is for facts without their own. */
static void board_lay(struct board *b, json_t *set, const char *from,
                      const char *source)
{
    const char *name;
    json_t *fact;
    json_object_foreach(set, name, fact)
    {
        json_t *new = json_copy(fact);
        const json_t *old = json_object_get(b->facts, name);
        json_t *value = json_object_get(old, "value");
        /* A guess never replaces what was seen. */
        bool guess =
            old != NULL && json_is_true(json_object_get(fact, "unverified"));
        if (new == NULL || (guess && strcmp(from, "profile") == 0)) {
            json_decref(new);
            continue;
        }
        (void)json_object_set_new(new, "from", json_string(from));
        if (json_object_get(new, "source") == NULL && source != NULL)
            (void)json_object_set_new(new, "source", json_string(source));
        if (value != NULL && !json_equal(value, json_object_get(new, "value")))
            (void)json_object_set(new, "instead_of", value);
        (void)json_object_set_new(b->facts, name, new);
    }
}

static int board_override(struct board *b, const char *path, bool must,
                          struct err *e)
{
    json_t *p;
    int code = profile_load(path, true, &p, e);
    if (!must && (code == -ENOENT || code == -ENOTDIR))
        return 0;
    if (code < 0)
        return code;
    board_lay(b, json_object_get(p, "facts"), "override", path);
    json_decref(p);
    return 0;
}

/* The machine's and the user's own files speak of this machine only. */
static int board_overrides(struct board *b, const struct board_query *q,
                           struct err *e)
{
    char path[PATH_MAX];
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int code = 0;
    if (q->dtb == NULL) {
        (void)snprintf(path, sizeof(path), "%s/etc/limpet/board.json",
                       q->sysroot);
        code = board_override(b, path, false, e);
        path[0] = '\0';
        if (config != NULL && config[0] == '/')
            (void)snprintf(path, sizeof(path), "%s%s/limpet/board.json",
                           q->sysroot, config);
        else if (home != NULL && home[0] == '/')
            (void)snprintf(path, sizeof(path), "%s%s/.config/limpet/board.json",
                           q->sysroot, home);
        if (code == 0 && path[0] != '\0')
            code = board_override(b, path, false, e);
    }
    if (code == 0 && q->override != NULL)
        code = board_override(b, q->override, true, e);
    return code;
}

int board_find(struct board *b, const struct board_query *q, struct err *e)
{
    struct board_probe p;
    *b = (struct board){.facts = json_object()};
    int code = board_probe_init(&p, e);
    if (code == 0 && q->dtb != NULL)
        code = board_probe_file(&p, q->dtb, e);
    else if (code == 0)
        code = board_probe_host(&p, q->sysroot, q->kvm, e);
    if (code == 0) {
        board_lay(b, p.facts, "probe", NULL);
        if (q->profiles != NULL)
            b->profile = profile_find(q->profiles, &p.ids, p.warnings);
        board_lay(b, json_object_get(b->profile, "facts"), "profile", NULL);
        code = board_overrides(b, q, e);
        b->warnings = json_incref(p.warnings);
    }
    board_probe_fini(&p);
    if (code < 0)
        board_fini(b);
    return code;
}

void board_fini(struct board *b)
{
    json_decref(b->profile);
    json_decref(b->facts);
    json_decref(b->warnings);
    *b = (struct board){0};
}

const char *board_name(const struct board *b)
{
    return json_string_value(json_object_get(b->profile, "name"));
}

const char *board_title(const struct board *b)
{
    return json_string_value(json_object_get(b->profile, "title"));
}

json_t *board_to_json(const struct board *b)
{
    return json_pack("{s:s?, s:s?, s:O, s:O}", "board", board_name(b), "title",
                     board_title(b), "facts", b->facts, "warnings",
                     b->warnings);
}
