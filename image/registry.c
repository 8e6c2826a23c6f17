// SPDX-License-Identifier: Apache-2.0
#include "image/registry.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"

enum { REGISTRY_CONFIG_MAX = 1 << 20 };

/* One NAME=VALUE or NAME="VALUE" of a challenge; NULL at its end. */
static const char *registry_next_param(const char *p, char name[32],
                                       char value[1024])
{
    size_t n = 0;
    p += strspn(p, " \t,");
    size_t len = strcspn(p, "= \t,");
    if (len == 0 || len >= 32 || p[len] != '=')
        return NULL;
    memcpy(name, p, len);
    name[len] = '\0';
    p += len + 1;
    bool quoted = *p == '"';
    p += quoted;
    for (; *p != '\0'; p++) {
        if (quoted ? *p == '"' : *p == ',' || *p == ' ')
            break;
        if (quoted && *p == '\\' && p[1] != '\0')
            p++;
        if (n + 1 >= 1024)
            return NULL;
        value[n++] = *p;
    }
    value[n] = '\0';
    if (quoted && *p != '"')
        return NULL;
    return p + quoted;
}

static void registry_keep_param(struct registry_challenge *c, const char *name,
                                const char *value)
{
    if (strcasecmp(name, "realm") == 0)
        (void)snprintf(c->realm, sizeof(c->realm), "%s", value);
    else if (strcasecmp(name, "service") == 0)
        (void)snprintf(c->service, sizeof(c->service), "%.255s", value);
    else if (strcasecmp(name, "scope") == 0)
        (void)snprintf(c->scope, sizeof(c->scope), "%.511s", value);
}

int registry_parse_challenge(const char *text, struct registry_challenge *out)
{
    char name[32];
    char value[1024];
    *out = (struct registry_challenge){.kind = REGISTRY_AUTH_NONE};
    text += strspn(text, " \t");
    size_t n = strcspn(text, " \t");
    if (n == 5 && strncasecmp(text, "Basic", n) == 0)
        out->kind = REGISTRY_AUTH_BASIC;
    else if (n == 6 && strncasecmp(text, "Bearer", n) == 0)
        out->kind = REGISTRY_AUTH_BEARER;
    else
        return -EINVAL;
    for (const char *p = text + n;
         (p = registry_next_param(p, name, value)) != NULL;)
        registry_keep_param(out, name, value);
    if (out->kind == REGISTRY_AUTH_BEARER &&
        strncmp(out->realm, "https://", 8) != 0 &&
        strncmp(out->realm, "http://", 7) != 0)
        return -EINVAL;
    return 0;
}

int registry_parse_token(const char *text, size_t size, char *out, size_t room,
                         struct err *e)
{
    static const char where[] = "the token server's answer";
    json_t *doc = json_parse(text, size, where, e);
    if (doc == NULL)
        return -EINVAL;
    const char *token = json_string_value(json_object_get(doc, "token"));
    if (token == NULL)
        token = json_string_value(json_object_get(doc, "access_token"));
    size_t n = token != NULL ? strlen(token) : 0;
    int code = 0;
    if (n == 0 || n >= room)
        code = err_set(e, -EINVAL, "%s: no token, or too long a one", where);
    /* It goes into a header. */
    for (size_t i = 0; i < n && code == 0; i++)
        if (token[i] <= ' ' || token[i] >= 0x7f)
            code = err_set(e, -EINVAL, "%s: a malformed token", where);
    if (code == 0)
        (void)snprintf(out, room, "%s", token);
    json_decref(doc);
    return code;
}

void registry_error_text(const char *text, size_t size, char out[200])
{
    struct err ignored;
    out[0] = '\0';
    json_t *doc = json_parse(text, size, "error", &ignored);
    const json_t *first = json_array_get(json_object_get(doc, "errors"), 0);
    const char *code = json_string_value(json_object_get(first, "code"));
    const char *why = json_string_value(json_object_get(first, "message"));
    /* Token servers have errors of their own (RFC 6749 and others). */
    static const char *const others[] = {"details", "error_description",
                                         "error", "message"};
    for (size_t i = 0; i < ARRAY_COUNT(others) && code == NULL && why == NULL;
         i++)
        why = json_string_value(json_object_get(doc, others[i]));
    if (code != NULL || why != NULL)
        (void)snprintf(out, 200, "%.60s%s%.120s", code != NULL ? code : "",
                       code != NULL && why != NULL ? ": " : "",
                       why != NULL ? why : "");
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    json_decref(doc);
}

bool registry_encode(const char *text, char *out, size_t room)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (n + 4 > room)
            return false;
        if (strchr(plain, c) != NULL) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    out[n] = '\0';
    return true;
}

/* docker speaks http to these when https is not answered. */
static bool registry_is_local(const char *host)
{
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    return (n == 9 && strncmp(host, "localhost", n) == 0) ||
           strncmp(host, "127.", 4) == 0 ||
           (n == 5 && strncmp(host, "[::1]", n) == 0);
}

static bool registry_set_endpoint(struct registry_endpoint *out,
                                  const char *url, bool insecure)
{
    const char *host = strstr(url, "://");
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    if (host == NULL || n >= sizeof(out->url) ||
        (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
        return false;
    host += 3;
    size_t len = strcspn(host, "/");
    if (len == 0 || len >= sizeof(out->host))
        return false;
    *out = (struct registry_endpoint){.insecure = insecure};
    memcpy(out->url, url, n);
    memcpy(out->host, host, len);
    return true;
}

static json_t *registry_load(const char *path, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    struct err inner;
    int code =
        path_read(AT_FDCWD, path, REGISTRY_CONFIG_MAX, &text, &size, &inner);
    e->code = 0;
    if (code == -ENOENT || code == -ENOTDIR)
        return NULL;
    if (code < 0) {
        *e = inner;
        return NULL;
    }
    return json_parse(text, size, path, e);
}

static json_t *registry_config(char path[PATH_MAX], struct err *e)
{
    const char *home = getenv("HOME");
    const char *file = getenv("LIMPET_REGISTRIES");
    json_t *doc = NULL;
    e->code = 0;
    if (file != NULL) {
        (void)snprintf(path, PATH_MAX, "%s", file);
        return registry_load(path, e);
    }
    if (home != NULL) {
        (void)snprintf(path, PATH_MAX, "%s/.config/limpet/registries.json",
                       home);
        doc = registry_load(path, e);
    }
    if (doc == NULL && e->code == 0) {
        (void)snprintf(path, PATH_MAX, "/etc/limpet/registries.json");
        doc = registry_load(path, e);
    }
    return doc;
}

static int registry_add_mirrors(const json_t *entry, const char *path,
                                struct registry_endpoint *out, bool insecure,
                                struct err *e)
{
    const json_t *mirrors = json_object_get(entry, "mirrors");
    int n = 0;
    for (size_t i = 0; i < json_array_size(mirrors); i++) {
        const char *url = json_string_value(json_array_get(mirrors, i));
        if (n + 1 == REGISTRY_ENDPOINTS_MAX)
            return err_set(e, -E2BIG, "%s: more than %d mirrors", path, n);
        if (url == NULL || !registry_set_endpoint(&out[n++], url, insecure))
            return err_set(e, -EINVAL,
                           "%s: a mirror is no http:// or https:// URL", path);
    }
    return n;
}

int registry_endpoints(const char *host, bool tls_verify,
                       struct registry_endpoint *out, struct err *e)
{
    char path[PATH_MAX];
    char url[300];
    json_t *doc = registry_config(path, e);
    if (doc == NULL && e->code < 0)
        return e->code;
    const json_t *entry = json_object_get(doc, host);
    bool insecure =
        !tls_verify || json_is_true(json_object_get(entry, "insecure"));
    int n = registry_add_mirrors(entry, path, out, insecure, e);
    json_decref(doc);
    if (n < 0)
        return n;
    (void)snprintf(url, sizeof(url), "https://%s",
                   strcmp(host, "docker.io") == 0 ? "registry-1.docker.io"
                                                  : host);
    if (!registry_set_endpoint(&out[n], url, insecure))
        return err_set(e, -EINVAL, "%s: not a registry's address", host);
    out[n].http_too = insecure || registry_is_local(host);
    return n + 1;
}
