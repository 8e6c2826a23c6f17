// SPDX-License-Identifier: Apache-2.0
/*
 * Typed access to untrusted JSON (jansson). Every getter names the key and
 * what was expected in *e. `where` is a file or object name for messages.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* Parse with bounded depth (64) and no duplicate keys; the caller json_decrefs.
 * NULL and *e on failure. */
json_t *json_parse(const char *text, size_t size, const char *where,
                   struct err *e);

/* Required members. 0, or -EINVAL with a message. Strings are borrowed. */
int json_get_str(const json_t *o, const char *key, const char *where,
                 const char **out, struct err *e);
int json_get_u64(const json_t *o, const char *key, const char *where,
                 uint64_t max, uint64_t *out, struct err *e);
int json_get_int(const json_t *o, const char *key, const char *where,
                 int64_t min, int64_t max, int64_t *out, struct err *e);
int json_get_arr(const json_t *o, const char *key, const char *where,
                 json_t **out, struct err *e);
int json_get_obj(const json_t *o, const char *key, const char *where,
                 json_t **out, struct err *e);
int json_get_bool(const json_t *o, const char *key, const char *where,
                  bool *out, struct err *e);

/* True if the member is there and not null (for optional ones). */
bool json_has(const json_t *o, const char *key);

/* For json_object_foreach(), whose iterators take no const but change
 * nothing. */
static inline json_t *json_unconst(const json_t *o)
{
    const union {
        const json_t *in;
        json_t *out;
    } p = {.in = o};
    return p.out;
}
