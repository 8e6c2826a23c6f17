// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "cli/run.h"

enum { RUN_ENV_FILE_MAX = 1 << 20 };

static int run_env_append(json_t *env, const char *text, struct err *e)
{
    if (json_array_append_new(env, json_string(text)) < 0)
        return err_set(e, -EINVAL, "environment: %.64s is not UTF-8", text);
    return 0;
}

/* "K" -> "K=" and the host's value; *found tells if it had one. */
static int run_env_host(json_t *env, const char *key, bool *found,
                        struct err *e)
{
    const char *value = getenv(key);
    *found = value != NULL;
    if (value == NULL)
        return 0;
    struct buf b = {0};
    buf_printf(&b, "%s=%s", key, value);
    int code = b.failed != 0 ? err_set(e, b.failed, "%.64s: too long", key)
                             : run_env_append(env, b.data, e);
    buf_fini(&b);
    return code;
}

int run_env_flag(json_t *env, const char *text, struct err *e)
{
    if (text[0] == '\0' || text[0] == '=')
        return err_set(e, -EINVAL, "invalid environment variable: %.64s", text);
    if (strchr(text, '=') != NULL)
        return run_env_append(env, text, e);
    bool found;
    int code = run_env_host(env, text, &found, e);
    return code < 0 || found ? code : run_env_append(env, text, e);
}

/* docker's file: no quoting, no comments but at the start of a line; a
 * variable without a value is the host's, and skipped if it has none. */
static int run_env_line(json_t *env, char *line, struct err *e)
{
    line += strspn(line, " \t");
    if (line[0] == '\0' || line[0] == '#')
        return 0;
    char *eq = strchr(line, '=');
    size_t key = eq != NULL ? (size_t)(eq - line) : strlen(line);
    if (key == 0)
        return err_set(e, -EINVAL, "no variable name on line '%.64s'", line);
    if (strcspn(line, " \t\v\f\r") < key)
        return err_set(e, -EINVAL,
                       "poorly formatted environment: variable '%.*s' "
                       "contains whitespaces",
                       key < 64 ? (int)key : 64, line);
    if (eq != NULL)
        return run_env_append(env, line, e);
    bool found;
    return run_env_host(env, line, &found, e);
}

int run_env_file(json_t *env, const char *path, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int code = path_read(AT_FDCWD, path, RUN_ENV_FILE_MAX, &text, &size, e);
    if (code < 0)
        return code;
    if (memchr(text, '\0', size) != NULL)
        return err_set(e, -EINVAL, "%s: has NUL bytes", path);
    char *line = text;
    if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3; /* byte order mark */
    while (line != NULL && code == 0) {
        char *next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        size_t n = strlen(line);
        if (n > 0 && line[n - 1] == '\r')
            line[n - 1] = '\0';
        code = run_env_line(env, line, e);
        line = next;
    }
    return code < 0 ? err_wrap(e, "%s", path) : 0;
}
