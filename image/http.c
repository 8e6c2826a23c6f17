// SPDX-License-Identifier: Apache-2.0
#include "image/http.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"

enum {
    HTTP_CA_MAX = 4 << 20,
    HTTP_CONNECT_MAX_S = 15,
    HTTP_STALL_MAX_S = 30, /* without a byte: try again */
    HTTP_REDIRECTS_MAX = 8,
    HTTP_BUFFER_SIZE = 256 << 10,
};

void http_fini(struct http *h)
{
    free(h->ca);
    *h = (struct http){0};
}

static void http_add_file(struct buf *b, int dir, const char *name)
{
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    struct err ignored;
    if (path_read(dir, name, HTTP_CA_MAX, &text, &size, &ignored) < 0)
        return;
    buf_add(b, text, size);
    buf_add(b, "\n", 1);
}

static bool http_ends_with(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t k = strlen(end);
    return n > k && strcmp(name + n - k, end) == 0;
}

/* One directory as docker lays it out: *.crt are CAs, X.cert and X.key ours. */
static bool http_load_dir(struct http *h, const char *path, struct buf *ca)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    const struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        if (http_ends_with(d->d_name, ".crt"))
            http_add_file(ca, dirfd(dir), d->d_name);
        if (http_ends_with(d->d_name, ".cert")) {
            int stem = (int)strlen(d->d_name) - 5;
            (void)snprintf(h->cert, sizeof(h->cert), "%s/%s", path, d->d_name);
            (void)snprintf(h->key, sizeof(h->key), "%s/%.*s.key", path, stem,
                           d->d_name);
        }
    }
    (void)closedir(dir);
    return true;
}

static void http_load_certs(struct http *h, const char *host)
{
    static const char *const parents[] = {"/etc/docker/certs.d",
                                          "/etc/containers/certs.d"};
    struct buf ca = {.max = HTTP_CA_MAX};
    char path[PATH_MAX];
    if (strcmp(h->ca_host, host) == 0)
        return;
    free(h->ca);
    h->ca = NULL;
    h->cert[0] = '\0';
    (void)snprintf(h->ca_host, sizeof(h->ca_host), "%s", host);
    if (h->cert_dir != NULL)
        (void)http_load_dir(h, h->cert_dir, &ca);
    for (size_t i = 0; i < ARRAY_COUNT(parents); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", parents[i], host);
        (void)http_load_dir(h, path, &ca);
    }
    if (ca.size == 0) {
        buf_fini(&ca);
        return;
    }
    http_add_file(&ca, AT_FDCWD, "/etc/ssl/certs/ca-certificates.crt");
    h->ca = ca.data;
    h->ca_size = ca.size;
}

static void http_set_tls(struct http *h, CURL *c,
                         const struct registry_endpoint *to)
{
    http_load_certs(h, to->host);
    if (h->ca != NULL) {
        struct curl_blob blob = {h->ca, h->ca_size, CURL_BLOB_COPY};
        (void)curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (h->cert[0] != '\0') {
        (void)curl_easy_setopt(c, CURLOPT_SSLCERT, h->cert);
        (void)curl_easy_setopt(c, CURLOPT_SSLKEY, h->key);
    }
    if (to->insecure) {
        (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

CURL *http_new(struct http *h, const struct registry_endpoint *to,
               struct err *e)
{
    CURL *c = curl_easy_init();
    if (c == NULL) {
        (void)err_set(e, -ENOMEM, "libcurl: out of memory");
        return NULL;
    }
    bool plain = strncmp(to->url, "http://", 7) == 0;
    http_set_tls(h, c, to);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "limpet");
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_MAX_S);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)HTTP_STALL_MAX_S);
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    /* Nobody turns an encrypted transfer into a plain one. */
    (void)curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR,
                           plain ? "http,https" : "https");
    (void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)HTTP_BUFFER_SIZE);
    /* One connection per layer: a paused one must not hold up the others. */
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION,
                           (long)CURL_HTTP_VERSION_1_1);
    return c;
}

long http_status(const char *line, size_t n)
{
    char text[4] = "";
    const char *space = memchr(line, ' ', n);
    if (space != NULL && (size_t)(line + n - space) > 4)
        memcpy(text, space + 1, 3);
    return strtol(text, NULL, 10);
}

const char *http_header(const char *line, size_t n, const char *name, char *out,
                        size_t room)
{
    size_t k = strlen(name);
    if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
        return NULL;
    const char *p = line + k + 1;
    const char *end = line + n;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    size_t len = (size_t)(end - p);
    if (len >= room)
        len = room - 1;
    memcpy(out, p, len);
    out[len] = '\0';
    return out;
}

bool http_fall_back(struct registry_endpoint *to, CURLcode r)
{
    if (!to->http_too || strncmp(to->url, "https://", 8) != 0 ||
        (r != CURLE_SSL_CONNECT_ERROR && r != CURLE_COULDNT_CONNECT &&
         r != CURLE_RECV_ERROR))
        return false;
    memmove(to->url + 4, to->url + 5, strlen(to->url + 5) + 1);
    return true;
}

int http_error(CURLcode code, const char *detail,
               const struct registry_endpoint *to, struct err *e)
{
    const char *why = detail[0] != '\0' ? detail : curl_easy_strerror(code);
    bool invalid = strstr(why, "expired") != NULL ||
                   strstr(why, "not yet valid") != NULL ||
                   strstr(why, "subject name") != NULL;
    if (code == CURLE_PEER_FAILED_VERIFICATION && invalid)
        return err_set(e, -EACCES,
                       "%s: %.200s; who runs it must mend that, or "
                       "--tls-verify=false",
                       to->host, why);
    if (code == CURLE_PEER_FAILED_VERIFICATION ||
        code == CURLE_SSL_CACERT_BADFILE)
        return err_set(e, -EACCES,
                       "%s: %.200s; put its CA into /etc/docker/certs.d/%s/"
                       "ca.crt or give --cert-dir, or --tls-verify=false",
                       to->host, why, to->host);
    if (code == CURLE_TOO_MANY_REDIRECTS)
        return err_set(e, -ELOOP, "%s: more than %d redirects", to->host,
                       HTTP_REDIRECTS_MAX);
    if (code == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(e, -EACCES, "%s: redirects to an unencrypted address",
                       to->host);
    if (code == CURLE_OUT_OF_MEMORY)
        return err_set(e, -ENOMEM, "out of memory");
    return err_set(e, -EIO, "%s: %.300s", to->host, why);
}

static size_t http_keep(char *data, size_t one, size_t n, void *arg)
{
    struct buf *b = arg;
    buf_add(b, data, one * n);
    return b->failed != 0 ? 0 : n;
}

static int http_basic(const struct creds *c, struct http_auth *auth)
{
    char plain[sizeof(c->user) + sizeof(c->password) + 2];
    unsigned char text[(sizeof(plain) + 2) / 3 * 4 + 1];
    int n = snprintf(plain, sizeof(plain), "%s:%s", c->user, c->password);
    (void)EVP_EncodeBlock(text, (const unsigned char *)plain, n);
    (void)snprintf(auth->header, sizeof(auth->header),
                   "Authorization: Basic %s", (char *)text);
    explicit_bzero(plain, sizeof(plain));
    explicit_bzero(text, sizeof(text));
    return 0;
}

struct http_query {
    char url[4096];
    char form[HTTP_TOKEN_SIZE * 2];
};

/* "A B" -> "&scope=A&scope=B": a GET has one of them per resource. */
static bool http_build_scopes(const char *text, char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        char one[512];
        char encoded[1536];
        size_t n = strcspn(text, " ");
        if (n >= sizeof(one))
            return false;
        memcpy(one, text, n);
        one[n] = '\0';
        if (!registry_encode(one, encoded, sizeof(encoded)) ||
            strlen(encoded) + 8 > room - used)
            return false;
        used += (size_t)snprintf(out + used, room - used, "&scope=%s", encoded);
        text += n;
    }
    return true;
}

static bool http_build_query(const struct registry_challenge *c,
                             const struct creds *creds, const char *scope,
                             struct http_query *q)
{
    char service[768];
    char encoded[1536];
    char scopes[2048];
    char identity[CREDS_TEXT_SIZE * 3];
    if (!registry_encode(c->service, service, sizeof(service)) ||
        !registry_encode(scope, encoded, sizeof(encoded)) ||
        !registry_encode(creds->identity, identity, sizeof(identity)))
        return false;
    const char *join = strchr(c->realm, '?') != NULL ? "&" : "?";
    q->form[0] = '\0';
    if (creds->identity[0] == '\0')
        return http_build_scopes(scope, scopes, sizeof(scopes)) &&
               (size_t)snprintf(q->url, sizeof(q->url), "%s%sservice=%s%s",
                                c->realm, join, service,
                                scopes) < sizeof(q->url);
    (void)snprintf(q->url, sizeof(q->url), "%s", c->realm);
    int n = snprintf(q->form, sizeof(q->form),
                     "grant_type=refresh_token&client_id=limpet&service=%s&"
                     "scope=%s&refresh_token=%s",
                     service, encoded, identity);
    explicit_bzero(identity, sizeof(identity));
    return (size_t)n < sizeof(q->form);
}

static int http_token_failed(const struct registry_challenge *c, long status,
                             const struct buf *body, bool had_creds,
                             struct err *e)
{
    char why[200];
    registry_error_text(body->data != NULL ? body->data : "", body->size, why);
    return err_set(e, -EACCES, "token server %.200s: %s (HTTP %ld)%s%s",
                   c->realm,
                   had_creds ? "the credentials were refused; limpet login "
                               "again"
                             : "denied; limpet login first",
                   status, why[0] != '\0' ? ": " : "", why);
}

static int http_fetch_token(CURL *c, const struct http_query *q,
                            const struct creds *creds, struct http_auth *auth,
                            const struct registry_endpoint *to, struct err *e)
{
    struct buf body = {.max = HTTP_TOKEN_ANSWER_MAX};
    char detail[CURL_ERROR_SIZE] = "";
    char token[HTTP_TOKEN_SIZE];
    bool known = creds->user[0] != '\0' || creds->identity[0] != '\0';
    (void)curl_easy_setopt(c, CURLOPT_URL, q->url);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)HTTP_STALL_MAX_S);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, http_keep);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
    if (q->form[0] != '\0')
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form);
    else if (known) {
        (void)curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        (void)curl_easy_setopt(c, CURLOPT_USERNAME, creds->user);
        (void)curl_easy_setopt(c, CURLOPT_PASSWORD, creds->password);
    }
    CURLcode r = curl_easy_perform(c);
    if (body.failed != 0)
        (void)snprintf(detail, sizeof(detail), "more than %d KiB of a token",
                       HTTP_TOKEN_ANSWER_MAX >> 10);
    long status = 0;
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    int code;
    if (r != CURLE_OK)
        code = http_error(r, detail, to, e);
    else if (status != 200)
        code = http_token_failed(&auth->challenge, status, &body, known, e);
    else
        code = registry_parse_token(body.data != NULL ? body.data : "",
                                    body.size, token, sizeof(token), e);
    if (code == 0)
        (void)snprintf(auth->header, sizeof(auth->header),
                       "Authorization: Bearer %s", token);
    buf_fini(&body);
    explicit_bzero(token, sizeof(token));
    return code;
}

int http_authorize(struct http *h, const struct registry_endpoint *to,
                   struct http_auth *auth, const struct creds *creds,
                   const char *scope, struct err *e)
{
    const struct registry_challenge *ch = &auth->challenge;
    if (ch->kind == REGISTRY_AUTH_BASIC && creds->user[0] == '\0')
        return err_set(e, -EACCES,
                       "%s: wants a password; limpet login %s first", to->host,
                       to->host);
    if (ch->kind == REGISTRY_AUTH_BASIC)
        return http_basic(creds, auth);
    struct registry_endpoint realm = *to;
    const char *host = strstr(ch->realm, "://");
    AUTO_FREE struct http_query *q = calloc(1, sizeof(*q));
    if (q == NULL || host == NULL || !http_build_query(ch, creds, scope, q))
        return err_set(e, -EINVAL, "%s: a malformed challenge", to->host);
    (void)snprintf(realm.host, sizeof(realm.host), "%.*s",
                   (int)strcspn(host + 3, "/?"), host + 3);
    (void)snprintf(realm.url, sizeof(realm.url), "%.300s", ch->realm);
    /* A password never goes out plain because an encrypted registry said so. */
    if (strncmp(ch->realm, "http://", 7) == 0 && !to->insecure &&
        !to->http_too && strncmp(to->url, "https://", 8) == 0)
        return err_set(e, -EACCES, "%s: its token server %.200s is not https",
                       to->host, ch->realm);
    CURL *c = http_new(h, &realm, e);
    if (c == NULL)
        return -ENOMEM;
    int code = http_fetch_token(c, q, creds, auth, &realm, e);
    curl_easy_cleanup(c);
    explicit_bzero(q, sizeof(*q));
    return code;
}
