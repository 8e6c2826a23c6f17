// SPDX-License-Identifier: Apache-2.0
#include "cli/opt.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const struct opt *opt_find(const struct opt *table, const char *name,
                                  size_t size)
{
    for (const struct opt *o = table; o->name != NULL; o++)
        if (strlen(o->name) == size && strncmp(o->name, name, size) == 0)
            return o;
    return NULL;
}

static const struct opt *opt_find_letter(const struct opt *table, char c)
{
    for (const struct opt *o = table; o->name != NULL; o++)
        if (o->letter == c)
            return o;
    return NULL;
}

static int opt_check_bool(const struct opt *o, struct opt_seen *out,
                          struct err *e)
{
    static const char *const yes[] = {"true", "1", "t", "T", "TRUE", "True"};
    static const char *const no[] = {"false", "0", "f", "F", "FALSE", "False"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(out->value, yes[i]) == 0) {
            out->value = "true";
            return 1;
        }
        if (strcmp(out->value, no[i]) == 0) {
            out->value = "false";
            return 1;
        }
    }
    return err_set(e, -EINVAL, "invalid argument \"%.64s\" for \"--%s\" flag",
                   out->value, o->name);
}

/* `value` is what came with the flag, or NULL. */
static int opt_take(struct opt_reader *r, const struct opt *o,
                    const char *shown, const char *value, struct opt_seen *out,
                    struct err *e)
{
    if (o->id == 0)
        return err_set(e, -EINVAL, "%s is not supported: %s", shown, o->advice);
    out->id = o->id;
    out->name = o->name;
    out->value = value;
    if (!o->value) {
        if (value == NULL)
            out->value = "true";
        return opt_check_bool(o, out, e);
    }
    if (value == NULL && r->next == r->argc)
        return err_set(e, -EINVAL, "flag needs an argument: %s", shown);
    if (value == NULL)
        out->value = r->argv[r->next++];
    return 1;
}

static int opt_take_letter(struct opt_reader *r, struct opt_seen *out,
                           struct err *e)
{
    char c = *r->letters++;
    const char *rest = r->letters;
    const struct opt *o = opt_find_letter(r->table, c);
    if (o == NULL)
        return err_set(e, -EINVAL, "unknown shorthand flag: '%c' in -%c%s", c,
                       c, rest);
    char shown[3] = {'-', c, '\0'};
    const char *value = NULL;
    if (rest[0] == '=')
        value = rest + 1;
    else if (o->value && rest[0] != '\0')
        value = rest;
    if (value != NULL || rest[0] == '\0')
        r->letters = NULL;
    return opt_take(r, o, shown, value, out, e);
}

static int opt_take_long(struct opt_reader *r, const char *arg,
                         struct opt_seen *out, struct err *e)
{
    const char *name = arg + 2;
    const char *eq = strchr(name, '=');
    size_t size = eq != NULL ? (size_t)(eq - name) : strlen(name);
    const struct opt *o = opt_find(r->table, name, size);
    if (o == NULL)
        return err_set(e, -EINVAL, "unknown flag: --%.*s", (int)size, name);
    char shown[64];
    (void)snprintf(shown, sizeof(shown), "--%s", o->name);
    return opt_take(r, o, shown, eq != NULL ? eq + 1 : NULL, out, e);
}

int opt_next(struct opt_reader *r, struct opt_seen *out, struct err *e)
{
    if (r->letters != NULL)
        return opt_take_letter(r, out, e);
    while (r->next < r->argc) {
        char *arg = r->argv[r->next];
        bool flag = !r->ended && arg[0] == '-' && arg[1] != '\0';
        if (!flag) {
            r->rest[r->rest_count++] = arg;
            r->next++;
            r->ended = r->ended || !r->mixed;
            continue;
        }
        r->next++;
        if (strcmp(arg, "--") == 0) {
            r->ended = true;
            continue;
        }
        if (arg[1] == '-')
            return opt_take_long(r, arg, out, e);
        r->letters = arg + 1;
        return opt_take_letter(r, out, e);
    }
    return 0;
}
