// SPDX-License-Identifier: Apache-2.0
#include "supervisor/user.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/parse.h"

enum { USER_ID_MAX = INT32_MAX };

/* Integer in an id's range, or -1. */
static int64_t user_json_id(const json_t *v)
{
    if (!json_is_integer(v))
        return -1;
    json_int_t n = json_integer_value(v);
    return n >= 0 && n <= UINT32_MAX ? n : -1;
}

/* 1 and the number, 0 if it is a name, or -ERANGE. */
static int user_number(const char *s, uint64_t *out, struct err *e)
{
    int code = parse_u64(s, 0, USER_ID_MAX, out);
    if (code == -ERANGE)
        return err_set(e, code, "uids and gids must be in range 0-%d: %s",
                       USER_ID_MAX, s);
    return code == 0;
}

static int user_add_gid(struct user *u, uint32_t gid, struct err *e)
{
    for (size_t i = 0; i < u->gid_count; i++)
        if (u->gids[i] == gid)
            return 0;
    if (u->gid_count == ARRAY_COUNT(u->gids))
        return err_set(e, -E2BIG, "the user is in more than %d groups",
                       BOOT_GID_MAX);
    u->gids[u->gid_count++] = gid;
    return 0;
}

/* Fill uid, gid and home; *name is the entry's, or NULL without an entry. */
static int user_find(const json_t *users, const char *want, struct user *u,
                     const char **name, struct err *e)
{
    uint64_t number = 0;
    int numeric = want[0] == '\0' ? 1 : user_number(want, &number, e);
    if (numeric < 0)
        return numeric;

    *name = NULL;
    for (size_t i = 0; i < json_array_size(users); i++) {
        const json_t *row = json_array_get(users, i);
        const char *n = json_string_value(json_array_get(row, 0));
        const char *home = json_string_value(json_array_get(row, 3));
        int64_t uid = user_json_id(json_array_get(row, 1));
        int64_t gid = user_json_id(json_array_get(row, 2));
        if (n == NULL || uid < 0 || gid < 0)
            continue;
        if (strcmp(n, want) != 0 && !(numeric && (uint64_t)uid == number))
            continue;
        *name = n;
        u->uid = (uint32_t)uid;
        u->gid = (uint32_t)gid;
        if (home != NULL && home[0] != '\0')
            (void)snprintf(u->home, sizeof(u->home), "%s", home);
        return 0;
    }
    if (!numeric)
        return err_set(e, -ENOENT,
                       "unable to find user %s: no matching entries in "
                       "passwd file",
                       want);
    u->uid = (uint32_t)number;
    return 0;
}

static int user_find_group(const json_t *groups, const char *want,
                           struct user *u, struct err *e)
{
    uint64_t number = 0;
    int numeric = user_number(want, &number, e);
    if (numeric < 0)
        return numeric;

    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *row = json_array_get(groups, i);
        const char *n = json_string_value(json_array_get(row, 0));
        int64_t gid = user_json_id(json_array_get(row, 1));
        if (n == NULL || gid < 0)
            continue;
        if (strcmp(n, want) != 0 && !(numeric && (uint64_t)gid == number))
            continue;
        u->gid = (uint32_t)gid;
        return 0;
    }
    if (!numeric)
        return err_set(e, -ENOENT,
                       "unable to find group %s: no matching entries in "
                       "group file",
                       want);
    u->gid = (uint32_t)number;
    return 0;
}

/* Groups that list `name` as a member. */
static int user_find_memberships(const json_t *groups, const char *name,
                                 struct user *u, struct err *e)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < json_array_size(groups); i++) {
        const json_t *row = json_array_get(groups, i);
        const json_t *members = json_array_get(row, 2);
        int64_t gid = user_json_id(json_array_get(row, 1));
        for (size_t m = 0; code == 0 && m < json_array_size(members); m++) {
            const char *s = json_string_value(json_array_get(members, m));
            if (s != NULL && gid >= 0 && strcmp(s, name) == 0)
                code = user_add_gid(u, (uint32_t)gid, e);
        }
    }
    return code;
}

int user_resolve(const json_t *users, const json_t *groups, const char *text,
                 struct user *out, struct err *e)
{
    *out = (struct user){.home = "/"};
    char want[256];
    int n = snprintf(want, sizeof(want), "%s", text);
    if (n < 0 || (size_t)n >= sizeof(want))
        return err_set(e, -ENAMETOOLONG, "user name too long");
    char *group = strchr(want, ':');
    if (group != NULL)
        *group++ = '\0';

    const char *name = NULL;
    int code = user_find(users, want, out, &name, e);
    bool grouped = group != NULL && group[0] != '\0';
    if (code == 0 && grouped)
        code = user_find_group(groups, group, out, e);
    if (code == 0)
        code = user_add_gid(out, out->gid, e);
    if (code == 0 && !grouped && name != NULL)
        code = user_find_memberships(groups, name, out, e);
    return code;
}
