// SPDX-License-Identifier: Apache-2.0
#include "base/regname.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const char regname_hub[] = "docker.io";
static const char regname_official[] = "library/";

static bool regname_is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+ joined by one of . _ __ or any number of -; slashes between. */
static bool regname_repo_ok(const char *p)
{
    for (;;) {
        if (!regname_is_alnum(*p))
            return false;
        while (regname_is_alnum(*p))
            p++;
        if (*p == '\0')
            return true;
        if (*p == '-')
            p += strspn(p, "-");
        else if (*p == '_')
            p += p[1] == '_' ? 2 : 1;
        else if (*p == '.' || *p == '/')
            p++;
        else
            return false;
    }
}

static bool regname_tag_ok(const char *tag)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (tag[0] == '\0' || strchr(word, tag[0]) == NULL)
        return false;
    for (const char *p = tag; *p != '\0'; p++)
        if (strchr(word, *p) == NULL && *p != '.' && *p != '-')
            return false;
    return true;
}

/* A name or an address in brackets, and a port. */
static bool regname_host_ok(const char *host)
{
    const char *p = host;
    if (*p == '[') {
        p += 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
        if (*p++ != ']')
            return false;
    } else {
        size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
        if (n == 0 || p[0] == '-' || p[0] == '.')
            return false;
        p += n;
    }
    if (*p == '\0')
        return true;
    size_t digits = strspn(p + 1, "0123456789");
    return *p == ':' && digits > 0 && digits <= 5 && p[1 + digits] == '\0';
}

static int regname_bad(const char *text, const char *why, struct err *e)
{
    return err_set(e, -EINVAL, "%.200s: not an image name: %s", text, why);
}

/* Copies n bytes; false when they do not fit. */
static bool regname_copy(char *to, size_t room, const char *from, size_t n)
{
    if (n >= room)
        return false;
    memcpy(to, from, n);
    to[n] = '\0';
    return true;
}

/* A first component that can only be a host. */
static bool regname_has_host(const char *text, size_t n)
{
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '.' || text[i] == ':' ||
            (text[i] >= 'A' && text[i] <= 'Z'))
            return true;
    return n == 9 && memcmp(text, "localhost", 9) == 0;
}

static int regname_split_host(const char **rest, struct regname *out,
                              const char *text, struct err *e)
{
    const char *slash = strchr(*rest, '/');
    size_t n = slash != NULL ? (size_t)(slash - *rest) : 0;
    if (slash == NULL || !regname_has_host(*rest, n)) {
        memcpy(out->host, regname_hub, sizeof(regname_hub));
        return 0;
    }
    if (!regname_copy(out->host, sizeof(out->host), *rest, n) ||
        !regname_host_ok(out->host))
        return regname_bad(text, "its registry is no HOST[:PORT]", e);
    if (strcmp(out->host, "index.docker.io") == 0 ||
        strcmp(out->host, "registry-1.docker.io") == 0)
        memcpy(out->host, regname_hub, sizeof(regname_hub));
    *rest = slash + 1;
    return 0;
}

static int regname_set_digest(const char *digest, struct regname *out,
                              const char *text, struct err *e)
{
    static const char prefix[] = "sha256:";
    size_t n = sizeof(prefix) - 1;
    if (strncmp(digest, prefix, n) != 0 ||
        strlen(digest + n) != SHA256_HEX_SIZE - 1 ||
        strspn(digest + n, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
        return regname_bad(text, "its digest is no sha256: and 64 digits", e);
    memcpy(out->digest, digest + n, SHA256_HEX_SIZE);
    return 0;
}

static int regname_set_repo(const char *name, size_t n, struct regname *out,
                            const char *text, struct err *e)
{
    bool official =
        strcmp(out->host, regname_hub) == 0 && memchr(name, '/', n) == NULL;
    size_t lead = official ? sizeof(regname_official) - 1 : 0;
    memcpy(out->repo, regname_official, lead);
    if (n == 0 ||
        !regname_copy(out->repo + lead, sizeof(out->repo) - lead, name, n))
        return regname_bad(text, "no repository, or too long a one", e);
    if (regname_repo_ok(out->repo))
        return 0;
    for (const char *p = out->repo; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            return regname_bad(text, "repositories are lower case", e);
    return regname_bad(text, "odd characters in its repository", e);
}

int regname_parse(const char *text, struct regname *out, struct err *e)
{
    static const char scheme[] = "docker://";
    const char *rest = text;
    *out = (struct regname){.host = ""};
    if (strncmp(rest, scheme, sizeof(scheme) - 1) == 0)
        rest += sizeof(scheme) - 1;
    int code = regname_split_host(&rest, out, text, e);
    if (code < 0)
        return code;
    size_t n = strcspn(rest, "@");
    if (rest[n] == '@') {
        code = regname_set_digest(rest + n + 1, out, text, e);
        if (code < 0)
            return code;
    }
    const char *colon = memchr(rest, ':', n);
    size_t repo = colon != NULL ? (size_t)(colon - rest) : n;
    if (colon != NULL &&
        (!regname_copy(out->tag, sizeof(out->tag), colon + 1, n - repo - 1) ||
         !regname_tag_ok(out->tag)))
        return regname_bad(text, "odd characters in its tag", e);
    if (colon == NULL && out->digest[0] == '\0')
        memcpy(out->tag, "latest", sizeof("latest"));
    return regname_set_repo(rest, repo, out, text, e);
}

static void regname_print(const struct regname *n, const char *host,
                          const char *repo, char out[REGNAME_TEXT_SIZE])
{
    (void)snprintf(out, REGNAME_TEXT_SIZE, "%s%s%s%s%s%s%s", host,
                   host[0] != '\0' ? "/" : "", repo,
                   n->tag[0] != '\0' ? ":" : "", n->tag,
                   n->digest[0] != '\0' ? "@sha256:" : "", n->digest);
}

void regname_text(const struct regname *n, char out[REGNAME_TEXT_SIZE])
{
    regname_print(n, n->host, n->repo, out);
}

void regname_familiar(const struct regname *n, char out[REGNAME_TEXT_SIZE])
{
    bool hub = strcmp(n->host, regname_hub) == 0;
    size_t lead = sizeof(regname_official) - 1;
    const char *repo = n->repo;
    if (hub && strncmp(repo, regname_official, lead) == 0)
        repo += lead;
    regname_print(n, hub ? "" : n->host, repo, out);
}
