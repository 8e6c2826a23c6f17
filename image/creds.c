// SPDX-License-Identifier: Apache-2.0
#include "image/creds.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "image/credhelper.h"

enum { CREDS_FILES_MAX = 3, CREDS_FILE_MAX = 1 << 20 };

static const char creds_hub_key[] = "https://index.docker.io/v1/";

void creds_wipe(struct creds *c)
{
    explicit_bzero(c, sizeof(*c));
}

/* Files to look into, in order; returns how many. */
static size_t creds_list_files(char paths[CREDS_FILES_MAX][PATH_MAX])
{
    const char *file = getenv("REGISTRY_AUTH_FILE");
    const char *run = getenv("XDG_RUNTIME_DIR");
    const char *docker = getenv("DOCKER_CONFIG");
    const char *home = getenv("HOME");
    size_t n = 0;
    if (file != NULL && file[0] != '\0') {
        (void)snprintf(paths[n++], PATH_MAX, "%s", file);
        return n;
    }
    if (docker != NULL && docker[0] != '\0')
        (void)snprintf(paths[n++], PATH_MAX, "%s/config.json", docker);
    else if (home != NULL)
        (void)snprintf(paths[n++], PATH_MAX, "%s/.docker/config.json", home);
    if (run != NULL && run[0] != '\0')
        (void)snprintf(paths[n++], PATH_MAX, "%s/containers/auth.json", run);
    return n;
}

/* NULL without an error when the file is not there. */
static json_t *creds_load(const char *path, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    e->code = 0;
    int code = path_read(AT_FDCWD, path, CREDS_FILE_MAX, &text, &size, e);
    if (code == -ENOENT || code == -ENOTDIR) {
        e->code = 0;
        return NULL;
    }
    if (code < 0)
        return NULL;
    json_t *doc = size == 0 ? json_object() : json_parse(text, size, path, e);
    explicit_bzero(text, size);
    if (doc != NULL && !json_is_object(doc)) {
        json_decref(doc);
        (void)err_set(e, -EINVAL, "%s: not a JSON object", path);
        return NULL;
    }
    return doc;
}

/* Keys under which `host` may be: as named, as a URL, Docker Hub's own. */
static const json_t *creds_lookup(const json_t *map, const char *host)
{
    char key[300];
    const json_t *found = json_object_get(map, host);
    for (unsigned i = 0; found == NULL && i < 2; i++) {
        (void)snprintf(key, sizeof(key), "%s%s",
                       i == 0 ? "https://" : "http://", host);
        found = json_object_get(map, key);
    }
    if (found == NULL && strcmp(host, "docker.io") == 0)
        found = json_object_get(map, creds_hub_key);
    return found;
}

/* base64 of "user:password". */
static int creds_decode(const char *text, const char *path, struct creds *out,
                        struct err *e)
{
    unsigned char plain[CREDS_TEXT_SIZE];
    size_t n = strlen(text);
    if (n == 0 || n % 4 != 0 || n / 4 * 3 >= sizeof(plain))
        return err_set(e, -EINVAL, "%s: malformed \"auth\"", path);
    int size = EVP_DecodeBlock(plain, (const unsigned char *)text, (int)n);
    if (size < 0)
        return err_set(e, -EINVAL, "%s: malformed \"auth\"", path);
    plain[size] = '\0';
    const char *colon = strchr((char *)plain, ':');
    size_t user = colon != NULL ? (size_t)(colon - (char *)plain) : 0;
    int code = 0;
    if (colon == NULL || user >= sizeof(out->user)) {
        code = err_set(e, -EINVAL, "%s: \"auth\" is no USER:PASSWORD", path);
    } else {
        memcpy(out->user, plain, user);
        (void)snprintf(out->password, sizeof(out->password), "%s", colon + 1);
    }
    explicit_bzero(plain, sizeof(plain));
    return code;
}

/* 1 when found, 0 when not. */
static int creds_from_entry(const json_t *o, const char *path,
                            struct creds *out, struct err *e)
{
    const char *auth = json_string_value(json_object_get(o, "auth"));
    const char *user = json_string_value(json_object_get(o, "username"));
    const char *word = json_string_value(json_object_get(o, "password"));
    const char *id = json_string_value(json_object_get(o, "identitytoken"));
    int code = 0;
    if (auth != NULL && auth[0] != '\0')
        code = creds_decode(auth, path, out, e);
    else if (user != NULL && word != NULL) {
        (void)snprintf(out->user, sizeof(out->user), "%s", user);
        (void)snprintf(out->password, sizeof(out->password), "%s", word);
    } else if (id == NULL) {
        return 0;
    }
    if (code == 0 && id != NULL)
        (void)snprintf(out->identity, sizeof(out->identity), "%s", id);
    return code < 0 ? code : 1;
}

static const char *creds_helper_of(const json_t *doc, const char *host)
{
    const json_t *name =
        creds_lookup(json_object_get(doc, "credHelpers"), host);
    if (name == NULL)
        name = json_object_get(doc, "credsStore");
    return json_string_value(name);
}

static const char *creds_helper_key(const char *host)
{
    return strcmp(host, "docker.io") == 0 ? creds_hub_key : host;
}

static int creds_find_in(const json_t *doc, const char *path, const char *host,
                         struct creds *out, struct err *e)
{
    const char *helper = creds_helper_of(doc, host);
    if (helper != NULL) {
        int code = credhelper_get(helper, creds_helper_key(host), out, e);
        if (code != 0)
            return code;
    }
    const json_t *auths = json_object_get(doc, "auths");
    return creds_from_entry(creds_lookup(auths, host), path, out, e);
}

int creds_find(const char *host, struct creds *out, struct err *e)
{
    char paths[CREDS_FILES_MAX][PATH_MAX];
    size_t n = creds_list_files(paths);
    *out = (struct creds){.user = ""};
    for (size_t i = 0; i < n; i++) {
        json_t *doc = creds_load(paths[i], e);
        if (doc == NULL && e->code < 0)
            return e->code;
        int code = doc != NULL ? creds_find_in(doc, paths[i], host, out, e) : 0;
        json_decref(doc);
        if (code != 0)
            return code < 0 ? code : 0;
    }
    return 0;
}

static int creds_save(const char *path, const json_t *doc, struct err *e)
{
    char dir[PATH_MAX];
    (void)snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash != NULL && slash != dir) {
        *slash = '\0';
        AUTO_CLOSE int fd = path_mkdirs(dir, e);
        if (fd < 0)
            return fd;
    }
    char *text = json_dumps(doc, JSON_INDENT(1));
    if (text == NULL)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    mode_t old = umask(077);
    int code = path_replace(AT_FDCWD, path, text, strlen(text), 1, e);
    (void)umask(old);
    explicit_bzero(text, strlen(text));
    free(text);
    return code;
}

static int creds_put_entry(json_t *doc, const char *key, const struct creds *c)
{
    char plain[sizeof(c->user) + sizeof(c->password) + 2];
    unsigned char auth[(sizeof(plain) + 2) / 3 * 4 + 1];
    int n = snprintf(plain, sizeof(plain), "%s:%s", c->user, c->password);
    (void)EVP_EncodeBlock(auth, (const unsigned char *)plain, n);
    json_t *auths = json_object_get(doc, "auths");
    if (!json_is_object(auths)) {
        auths = json_object();
        if (json_object_set_new(doc, "auths", auths) < 0)
            return -ENOMEM;
    }
    json_t *entry = json_object();
    int bad = json_object_set_new(entry, "auth", json_string((char *)auth));
    if (c->identity[0] != '\0')
        bad |= json_object_set_new(entry, "identitytoken",
                                   json_string(c->identity));
    bad |= json_object_set_new(auths, key, entry);
    explicit_bzero(plain, sizeof(plain));
    explicit_bzero(auth, sizeof(auth));
    return bad != 0 ? -ENOMEM : 0;
}

int creds_store(const char *host, const struct creds *c, char *path_out,
                struct err *e)
{
    char paths[CREDS_FILES_MAX][PATH_MAX];
    if (creds_list_files(paths) == 0)
        return err_set(e, -ENOENT,
                       "no HOME to keep credentials in; set "
                       "REGISTRY_AUTH_FILE");
    json_t *doc = creds_load(paths[0], e);
    if (doc == NULL && e->code < 0)
        return e->code;
    if (doc == NULL)
        doc = json_object();
    const char *helper = creds_helper_of(doc, host);
    (void)snprintf(path_out, PATH_MAX, "%s%s",
                   helper != NULL ? "docker-credential-" : paths[0],
                   helper != NULL ? helper : "");
    int code;
    if (helper != NULL) {
        code = credhelper_store(helper, creds_helper_key(host), c, e);
    } else {
        code = creds_put_entry(doc, creds_helper_key(host), c);
        code = code < 0 ? err_set(e, code, "out of memory")
                        : creds_save(paths[0], doc, e);
    }
    json_decref(doc);
    return code;
}

int creds_erase(const char *host, struct err *e)
{
    char paths[CREDS_FILES_MAX][PATH_MAX];
    size_t n = creds_list_files(paths);
    int found = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *doc = creds_load(paths[i], e);
        if (doc == NULL && e->code < 0)
            return e->code;
        const char *helper = creds_helper_of(doc, host);
        int code = 0;
        if (helper != NULL)
            code = credhelper_erase(helper, creds_helper_key(host), e);
        found |= helper != NULL && code == 0;
        json_t *auths = json_object_get(doc, "auths");
        if (code == 0 &&
            (json_object_del(auths, host) == 0 ||
             json_object_del(auths, creds_helper_key(host)) == 0)) {
            found = 1;
            code = creds_save(paths[i], doc, e);
        }
        json_decref(doc);
        if (code < 0)
            return code;
    }
    return found;
}
