// SPDX-License-Identifier: Apache-2.0
#include "supervisor/process.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

#define PROCESS_PATH                                                           \
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int process_env_set(json_t *env, const char *entry)
{
    const char *eq = strchr(entry, '=');
    size_t key = eq != NULL ? (size_t)(eq - entry) : strlen(entry);
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *old = json_string_value(json_array_get(env, i));
        if (strncmp(old, entry, key) != 0 || old[key] != '=')
            continue;
        if (eq == NULL)
            return json_array_remove(env, i) < 0 ? -EINVAL : 0;
        return json_array_set_new(env, i, json_string(entry)) < 0 ? -EINVAL : 0;
    }
    if (eq == NULL)
        return 0;
    return json_array_append_new(env, json_string(entry)) < 0 ? -EINVAL : 0;
}

static int process_env_merge(json_t *env, const json_t *more, bool image,
                             struct err *e)
{
    for (size_t i = 0; i < json_array_size(more); i++) {
        const char *s = json_string_value(json_array_get(more, i));
        if (s == NULL || (image && (strchr(s, '=') == NULL || s[0] == '=')))
            continue; /* an image that says nothing useful */
        if (process_env_set(env, s) < 0)
            return err_set(e, -EINVAL, "environment: %.64s is not UTF-8", s);
    }
    return 0;
}

static bool process_env_has(const json_t *env, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *s = json_string_value(json_array_get(env, i));
        if (strncmp(s, key, n) == 0 && s[n] == '=')
            return true;
    }
    return false;
}

static int process_make_env(const json_t *run, const struct process_options *o,
                            struct process *p, struct err *e)
{
    char text[4200];
    p->env = json_array();
    (void)process_env_set(p->env, PROCESS_PATH);
    (void)snprintf(text, sizeof(text), "HOSTNAME=%s", o->hostname);
    if (process_env_set(p->env, text) < 0)
        return err_set(e, -EINVAL, "the host name is not UTF-8");
    if (o->tty)
        (void)process_env_set(p->env, "TERM=xterm");

    int code = process_env_merge(p->env, json_object_get(run, "env"), true, e);
    if (code == 0)
        code = process_env_merge(p->env, o->env, false, e);
    if (code == 0 && !process_env_has(p->env, "HOME")) {
        (void)snprintf(text, sizeof(text), "HOME=%s", p->user.home);
        (void)process_env_set(p->env, text);
    }
    return code;
}

static int process_append(json_t *args, const json_t *more, struct err *e)
{
    for (size_t i = 0; i < json_array_size(more); i++) {
        json_t *s = json_array_get(more, i);
        if (!json_is_string(s))
            return err_set(e, -EINVAL,
                           "the image's entrypoint or command is not a list "
                           "of strings");
        (void)json_array_append(args, s);
    }
    return 0;
}

static int process_make_args(const json_t *run, const struct process_options *o,
                             struct process *p, struct err *e)
{
    int code = 0;
    p->args = json_array();
    if (o->entrypoint == NULL)
        code = process_append(p->args, json_object_get(run, "entrypoint"), e);
    else if (o->entrypoint[0] != '\0' &&
             json_array_append_new(p->args, json_string(o->entrypoint)) < 0)
        code = err_set(e, -EINVAL, "--entrypoint is not UTF-8");
    for (size_t i = 0; code == 0 && i < o->arg_count; i++)
        if (json_array_append_new(p->args, json_string(o->args[i])) < 0)
            code = err_set(e, -EINVAL, "argument %zu is not UTF-8", i + 1);
    if (code == 0 && o->arg_count == 0 && o->entrypoint == NULL)
        code = process_append(p->args, json_object_get(run, "cmd"), e);
    if (code == 0 && json_array_size(p->args) == 0)
        code = err_set(e, -EINVAL, "no command specified");
    return code;
}

static int process_make_cwd(const json_t *run, const struct process_options *o,
                            struct process *p, struct err *e)
{
    const char *dir = o->workdir;
    if (dir == NULL)
        dir = json_string_value(json_object_get(run, "workdir"));
    if (dir == NULL || dir[0] == '\0')
        dir = "/";
    if (dir[0] != '/')
        return err_set(e, -EINVAL,
                       "the working directory '%.200s' is invalid, it needs "
                       "to be an absolute path",
                       dir);
    int n = snprintf(p->cwd, sizeof(p->cwd), "%s", dir);
    if (n < 0 || (size_t)n >= sizeof(p->cwd))
        return err_set(e, -ENAMETOOLONG, "working directory: name too long");
    return 0;
}

int process_make(const json_t *image, const struct process_options *o,
                 struct process *out, struct err *e)
{
    memset(out, 0, sizeof(*out));
    json_t *run;
    int code = json_get_obj(image, "run", "image", &run, e);
    if (code < 0)
        return code;

    const char *user = o->user;
    if (user == NULL)
        user = json_string_value(json_object_get(run, "user"));
    code = user_resolve(json_object_get(image, "users"),
                        json_object_get(image, "groups"),
                        user != NULL ? user : "", &out->user, e);
    if (code == 0)
        code = process_make_args(run, o, out, e);
    if (code == 0)
        code = process_make_env(run, o, out, e);
    if (code == 0)
        code = process_make_cwd(run, o, out, e);
    if (code < 0)
        process_fini(out);
    return code;
}

void process_fini(struct process *p)
{
    json_decref(p->args);
    json_decref(p->env);
    p->args = NULL;
    p->env = NULL;
}
