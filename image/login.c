// SPDX-License-Identifier: Apache-2.0
#include "image/login.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/creds.h"
#include "image/http.h"
#include "image/transfer.h"

enum { LOGIN_STALL_MAX_S = 30 };

/* A line without its end; false at end of file or when it is too long. */
static bool login_read_line(FILE *from, char *out, size_t size)
{
    if (fgets(out, (int)size, from) == NULL)
        return false;
    size_t n = strcspn(out, "\r\n");
    bool whole = out[n] != '\0' || feof(from);
    out[n] = '\0';
    return whole && n > 0;
}

static bool login_ask(const char *what, bool secret, char *out, size_t size)
{
    struct termios old;
    bool quiet = secret && tcgetattr(STDIN_FILENO, &old) == 0;
    if (quiet) {
        struct termios t = old;
        t.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &t);
    }
    (void)fprintf(stderr, "%s: ", what);
    bool ok = login_read_line(stdin, out, size);
    if (quiet) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        (void)fputc('\n', stderr);
    }
    return ok;
}

static int login_read(const struct login_request *q, struct creds *c,
                      struct err *e)
{
    *c = (struct creds){.user = ""};
    bool terminal = isatty(STDIN_FILENO) == 1;
    if ((q->user == NULL || (q->password == NULL && !q->from_stdin)) &&
        !terminal)
        return err_set(e, -EINVAL,
                       "no terminal to ask on; use -u USER --password-stdin");
    if (q->user != NULL)
        (void)snprintf(c->user, sizeof(c->user), "%.255s", q->user);
    else if (!login_ask("Username", false, c->user, sizeof(c->user)))
        return err_set(e, -EINVAL, "no username");
    bool ok = true;
    if (q->password != NULL)
        (void)snprintf(c->password, sizeof(c->password), "%.8191s",
                       q->password);
    else if (q->from_stdin)
        ok = login_read_line(stdin, c->password, sizeof(c->password));
    else
        ok = login_ask("Password", true, c->password, sizeof(c->password));
    return ok ? 0 : err_set(e, -EINVAL, "no password, or too long a one");
}

/* One GET of /v2/: the status, how it asks for credentials in t->challenge. */
static int login_get(struct http *h, const struct registry_endpoint *to,
                     const char *header, struct transfer *t, struct err *e)
{
    char url[REGISTRY_URL_SIZE];
    (void)snprintf(url, sizeof(url), "%s/v2/", to->url);
    t->easy = http_new(h, to, e);
    if (t->easy == NULL)
        return -ENOMEM;
    if (header[0] != '\0')
        t->headers = curl_slist_append(NULL, header);
    (void)curl_easy_setopt(t->easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(t->easy, CURLOPT_TIMEOUT, (long)LOGIN_STALL_MAX_S);
    transfer_arm(t);
    CURLcode r = curl_easy_perform(t->easy);
    int code = r != CURLE_OK ? http_error(r, t->detail, to, e) : 0;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    t->easy = NULL;
    t->headers = NULL;
    return code;
}

static int login_check_at(struct http *h, struct registry_endpoint *to,
                          const struct creds *c, struct err *e)
{
    AUTO_FREE struct http_auth *auth = calloc(1, sizeof(*auth));
    struct transfer t = {.op = FETCH_DOCUMENT, .pipe = -1};
    const struct fetch_ask ask = {.size = HTTP_TOKEN_ANSWER_MAX};
    if (auth == NULL || transfer_begin(&t, &ask, -1) < 0)
        return err_set(e, -ENOMEM, "out of memory");
    int code = login_get(h, to, "", &t, e);
    if (code == -EIO && to->http_too && strncmp(to->url, "https:", 6) == 0) {
        memmove(to->url + 4, to->url + 5, strlen(to->url + 5) + 1);
        code = login_get(h, to, "", &t, e);
    }
    if (code == 0 && t.status == 401 &&
        registry_parse_challenge(t.challenge, &auth->challenge) == 0) {
        code = http_authorize(h, to, auth, c, "", e);
        if (code == 0)
            code = login_get(h, to, auth->header, &t, e);
    }
    if (code == 0 && t.status != 200)
        code =
            err_set(e, -EACCES, "%s: refused (HTTP %ld)", to->host, t.status);
    explicit_bzero(auth, sizeof(*auth));
    transfer_fini(&t);
    return code;
}

static int login_check(const struct login_request *q, const struct creds *c,
                       struct err *e)
{
    struct registry_endpoint to[REGISTRY_ENDPOINTS_MAX];
    struct http h = {.cert_dir = q->cert_dir};
    int n = registry_endpoints(q->host, q->tls_verify, to, e);
    if (n < 0)
        return n;
    int code = login_check_at(&h, &to[n - 1], c, e);
    http_fini(&h);
    return code;
}

int login(const struct login_request *q, struct err *e)
{
    AUTO_FREE struct creds *c = calloc(1, sizeof(*c));
    char path[PATH_MAX];
    if (c == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, -ENOMEM, "out of memory");
    int code = login_read(q, c, e);
    if (code == 0)
        code = login_check(q, c, e);
    if (code == 0)
        code = creds_store(q->host, c, path, e);
    creds_wipe(c);
    if (code == 0)
        (void)printf("Login Succeeded\nKept in %s\n", path);
    return code;
}

int logout(const struct login_request *q, struct err *e)
{
    int found = creds_erase(q->host, e);
    if (found == 0)
        (void)printf("Not logged in to %s\n", q->host);
    else if (found > 0)
        (void)printf("Removing login credentials for %s\n", q->host);
    return found < 0 ? found : 0;
}
