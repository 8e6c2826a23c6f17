// SPDX-License-Identifier: Apache-2.0
#include "supervisor/board_profile.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "supervisor/board_fact.h"
#include "supervisor/board_host.h"

enum { PROFILE_SCHEMA = 1 };

/* Only these members; ends with NULL. */
static int profile_only(const json_t *o, const char *const *names,
                        const char *where, struct err *e)
{
    const char *key;
    const json_t *value;
    json_object_foreach(json_unconst(o), key, value)
    {
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], key) != 0)
            i++;
        if (names[i] == NULL)
            return err_set(e, -EINVAL, "%s: unknown key \"%.64s\"", where, key);
    }
    return 0;
}

/* ---- checks ---- */

static int profile_check_strings(const json_t *o, const char *where,
                                 struct err *e)
{
    const char *key;
    const json_t *value;
    if (!json_is_object(o) || json_object_size(o) == 0)
        return err_set(e, -EINVAL, "%s: must be an object of strings", where);
    json_object_foreach(json_unconst(o), key, value)
    {
        if (!json_is_string(value))
            return err_set(e, -EINVAL, "%s: \"%.64s\" must be a string", where,
                           key);
    }
    return 0;
}

static int profile_check_rule(const json_t *rule, const char *path,
                              struct err *e)
{
    static const char *const names[] = {"compatible", "dmi", "cpu", NULL};
    char where[PATH_MAX + 32];
    (void)snprintf(where, sizeof(where), "%s: match", path);
    if (!json_is_object(rule) || json_object_size(rule) == 0)
        return err_set(e, -EINVAL, "%s: a rule must be an object", where);
    int code = profile_only(rule, names, where, e);
    const json_t *c = json_object_get(rule, "compatible");
    if (code == 0 && c != NULL && !json_is_string(c))
        code =
            err_set(e, -EINVAL, "%s: \"compatible\" must be a string", where);
    for (size_t i = 1; code == 0 && names[i] != NULL; i++)
        if (json_has(rule, names[i]))
            code = profile_check_strings(json_object_get(rule, names[i]), where,
                                         e);
    return code;
}

static int profile_check_match(const json_t *p, const char *path, struct err *e)
{
    json_t *rules;
    int code = json_get_arr(p, "match", path, &rules, e);
    for (size_t i = 0; code == 0 && i < json_array_size(rules); i++)
        code = profile_check_rule(json_array_get(rules, i), path, e);
    return code;
}

static int profile_check_fact(const char *name, const json_t *fact,
                              bool override, const char *path, struct err *e)
{
    static const char *const names[] = {"value", "source", "unverified", NULL};
    const struct board_fact *f = board_fact_find(name);
    if (f == NULL)
        return err_set(e, -EINVAL, "%s: unknown fact \"%.64s\"", path, name);
    char where[PATH_MAX + 128];
    (void)snprintf(where, sizeof(where), "%s: fact \"%.64s\"", path, name);
    const json_t *value = json_object_get(fact, "value");
    if (value == NULL)
        return err_set(e, -EINVAL, "%s: must be an object with a \"value\"",
                       where);
    int code = profile_only(fact, names, where, e);
    if (code == 0)
        code = board_fact_check(f, value, path, e);
    if (code < 0)
        return code;
    const json_t *source = json_object_get(fact, "source");
    const json_t *unverified = json_object_get(fact, "unverified");
    if ((source != NULL && !json_is_string(source)) ||
        (unverified != NULL && !json_is_boolean(unverified)))
        return err_set(e, -EINVAL,
                       "%s: \"source\" must be a string and \"unverified\" "
                       "true or false",
                       where);
    if (!override && source == NULL && !json_is_true(unverified))
        return err_set(e, -EINVAL,
                       "%s: needs a \"source\", or \"unverified\": true",
                       where);
    return 0;
}

static int profile_check(const json_t *p, bool override, const char *path,
                         struct err *e)
{
    static const char *const names[] = {"schema", "name",  "title",
                                        "match",  "facts", NULL};
    uint64_t schema;
    const char *text;
    json_t *facts = NULL;
    int code = json_get_u64(p, "schema", path, UINT32_MAX, &schema, e);
    if (code == 0 && schema != PROFILE_SCHEMA)
        return err_set(e, -EINVAL, "%s: \"schema\" must be %d", path,
                       PROFILE_SCHEMA);
    if (code == 0)
        code = profile_only(p, names, path, e);
    if (code == 0 && (!override || json_has(p, "name")))
        code = json_get_str(p, "name", path, &text, e);
    if (code == 0 && (!override || json_has(p, "title")))
        code = json_get_str(p, "title", path, &text, e);
    if (code == 0 && (!override || json_has(p, "match")))
        code = profile_check_match(p, path, e);
    if (code == 0)
        code = json_get_obj(p, "facts", path, &facts, e);
    if (code < 0)
        return code;
    const char *name;
    const json_t *fact;
    json_object_foreach(facts, name, fact)
    {
        code = profile_check_fact(name, fact, override, path, e);
        if (code < 0)
            return code;
    }
    return 0;
}

int profile_load(const char *path, bool override, json_t **out, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    *out = NULL;
    int code = path_read(AT_FDCWD, path, PROFILE_SIZE_MAX, &text, &size, e);
    if (code == -EFBIG)
        return err_set(e, code, "%s: a profile has at most %d bytes", path,
                       PROFILE_SIZE_MAX);
    if (code < 0)
        return code;
    json_t *p = json_parse(text, size, path, e);
    if (p == NULL)
        return -EINVAL;
    code = profile_check(p, override, path, e);
    if (code < 0)
        json_decref(p);
    else
        *out = p;
    return code;
}

/* ---- match ---- */

/* Every member of `want` fits one of `have`; values are shell patterns. */
static bool profile_all_fit(const json_t *want, const json_t *have)
{
    const char *key;
    const json_t *value;
    json_object_foreach(json_unconst(want), key, value)
    {
        const char *is = json_string_value(json_object_get(have, key));
        if (is == NULL || fnmatch(json_string_value(value), is, 0) != 0)
            return false;
    }
    return true;
}

static int profile_score_rule(const json_t *rule, const struct board_ids *ids)
{
    enum { BY_TREE = 10000, BY_DMI = 2000, BY_CPU = 1000 };
    const json_t *tree = json_object_get(rule, "compatible");
    const json_t *dmi = json_object_get(rule, "dmi");
    const json_t *cpu = json_object_get(rule, "cpu");
    int score = 0;
    if (tree != NULL) {
        size_t i = 0;
        while (i < json_array_size(ids->compatible) &&
               !json_equal(json_array_get(ids->compatible, i), tree))
            i++;
        if (i == json_array_size(ids->compatible))
            return 0;
        score += BY_TREE - (int)i; /* the first name is the most exact */
    }
    if (dmi != NULL && !profile_all_fit(dmi, ids->dmi))
        return 0;
    if (cpu != NULL && !profile_all_fit(cpu, ids->cpu))
        return 0;
    score += dmi != NULL ? BY_DMI + (int)(json_object_size(dmi) & 0xff) : 0;
    score += cpu != NULL ? BY_CPU + (int)(json_object_size(cpu) & 0xff) : 0;
    return score;
}

int profile_score(const json_t *profile, const struct board_ids *ids)
{
    const json_t *rules = json_object_get(profile, "match");
    int best = 0;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        int score = profile_score_rule(json_array_get(rules, i), ids);
        best = score > best ? score : best;
    }
    return best;
}

static int profile_is_json(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 5 && d->d_name[0] != '.' &&
           strcmp(d->d_name + n - 5, ".json") == 0;
}

json_t *profile_find(const char *dir, const struct board_ids *ids,
                     json_t *warnings)
{
    struct dirent **list;
    json_t *best = NULL;
    int best_score = 0;
    int n = scandir(dir, &list, profile_is_json, alphasort);
    if (n < 0) {
        board_warn(warnings, "no profiles: %s: %s", dir, strerror(errno));
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        struct err e;
        json_t *p = NULL;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
        if (i < PROFILE_FILES_MAX && profile_load(path, false, &p, &e) < 0)
            board_warn(warnings, "%s", e.msg);
        free(list[i]);
        int score = p != NULL ? profile_score(p, ids) : 0;
        if (score > best_score) {
            json_decref(best);
            best = json_incref(p);
            best_score = score;
        }
        json_decref(p);
    }
    free(list);
    return best;
}
