// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include "base/err.h"

/* jansson itself stops at JSON_PARSER_MAX_DEPTH (2048); we want less. */
enum { JSON_DEPTH_MAX = 64 };

/* Depth of brackets outside strings, before any tree is built. */
static bool json_too_deep(const char *text, size_t size)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *json_parse(const char *text, size_t size, const char *where,
                   struct err *e)
{
    if (json_too_deep(text, size)) {
        (void)err_set(e, -EINVAL, "%s: JSON nested deeper than %d levels",
                      where, JSON_DEPTH_MAX);
        return NULL;
    }
    json_error_t je;
    json_t *o = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
    if (o == NULL)
        (void)err_set(e, -EINVAL, "%s: malformed JSON, line %d: %s", where,
                      je.line, je.text);
    return o;
}

static int json_member(const json_t *o, const char *key, const char *where,
                       json_t **out, struct err *e)
{
    if (!json_is_object(o))
        return err_set(e, -EINVAL, "%s: not a JSON object", where);
    *out = json_object_get(o, key);
    if (*out == NULL)
        return err_set(e, -EINVAL, "%s: \"%s\" is missing", where, key);
    return 0;
}

static int json_wrong(const char *key, const char *where, const char *want,
                      struct err *e)
{
    return err_set(e, -EINVAL, "%s: \"%s\" is not %s", where, key, want);
}

int json_get_str(const json_t *o, const char *key, const char *where,
                 const char **out, struct err *e)
{
    json_t *v = NULL;
    int code = json_member(o, key, where, &v, e);
    if (code < 0)
        return code;
    if (!json_is_string(v))
        return json_wrong(key, where, "a string", e);
    *out = json_string_value(v);
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): a range is two of the seven */
int json_get_int(const json_t *o, const char *key, const char *where,
                 int64_t min, int64_t max, int64_t *out, struct err *e)
{
    json_t *v = NULL;
    int code = json_member(o, key, where, &v, e);
    if (code < 0)
        return code;
    if (!json_is_integer(v))
        return json_wrong(key, where, "an integer", e);
    int64_t n = json_integer_value(v);
    if (n < min || n > max)
        return err_set(e, -ERANGE, "%s: \"%s\" is not in [%lld, %lld]", where,
                       key, (long long)min, (long long)max);
    *out = n;
    return 0;
}

int json_get_u64(const json_t *o, const char *key, const char *where,
                 uint64_t max, uint64_t *out, struct err *e)
{
    int64_t n = 0;
    int64_t top = max > INT64_MAX ? INT64_MAX : (int64_t)max;
    int code = json_get_int(o, key, where, 0, top, &n, e);
    if (code == 0)
        *out = (uint64_t)n;
    return code;
}

int json_get_arr(const json_t *o, const char *key, const char *where,
                 json_t **out, struct err *e)
{
    int code = json_member(o, key, where, out, e);
    if (code == 0 && !json_is_array(*out))
        return json_wrong(key, where, "an array", e);
    return code;
}

int json_get_obj(const json_t *o, const char *key, const char *where,
                 json_t **out, struct err *e)
{
    int code = json_member(o, key, where, out, e);
    if (code == 0 && !json_is_object(*out))
        return json_wrong(key, where, "an object", e);
    return code;
}

int json_get_bool(const json_t *o, const char *key, const char *where,
                  bool *out, struct err *e)
{
    json_t *v = NULL;
    int code = json_member(o, key, where, &v, e);
    if (code < 0)
        return code;
    if (!json_is_boolean(v))
        return json_wrong(key, where, "true or false", e);
    *out = json_is_true(v);
    return 0;
}

bool json_has(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v != NULL && !json_is_null(v);
}
