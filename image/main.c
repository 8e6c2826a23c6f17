// SPDX-License-Identifier: Apache-2.0
/* limpet-image: convert OCI images into the store (docs/store.md). */
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/err.h"
#include "base/imgref.h"
#include "base/parse.h"
#include "image/image.h"
#include "image/load.h"
#include "image/login.h"
#include "image/pull.h"
#include "image/push.h"
#include "image/save.h"

enum { MAIN_EXIT_ABSENT = 3, MAIN_EXIT_FAILED = 125 };

struct main_args {
    const char *verb;
    const char *root;
    const char *arch;
    const char *ref;
    const char *file;
    const char *from;           /* of push: where the image came from */
    const char *input, *output; /* of load and save; NULL: standard ones */
    char **images;              /* of save: HEX or HEX=NAME */
    size_t image_count;
    int erofs;
    struct pull_options pull;
    struct login_request login;
};

static int main_usage(void)
{
    (void)fprintf(
        stderr,
        "usage: limpet-image ensure|resolve|pull [--root DIR] "
        "[--platform linux/amd64|linux/arm64]\n"
        "           [-q] [--cert-dir DIR] [--tls-verify=BOOL] "
        "[--limit-rate N[kMG]] [--keep-blobs] REF\n"
        "       limpet-image export --erofs [--root DIR] [--platform P] REF "
        "FILE\n"
        "       limpet-image keep [--root DIR] REF HEX\n"
        "       limpet-image push [--root DIR] [--from REF] [-q] "
        "[--cert-dir DIR] [--tls-verify=BOOL]\n"
        "           [--limit-rate N[kMG]] HEX NAME[:TAG]\n"
        "       limpet-image save [--root DIR] [-o FILE] HEX[=NAME]...\n"
        "       limpet-image load [--root DIR] [-q] [-i FILE]\n"
        "       limpet-image login [-u USER] [--password-stdin] "
        "[--cert-dir DIR] [--tls-verify=BOOL] [HOST]\n"
        "       limpet-image logout [HOST]\n"
        "REF: [docker://]NAME[:TAG|@DIGEST], oci:DIR[:TAG], "
        "oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]\n");
    return MAIN_EXIT_FAILED;
}

/* One line whatever is in it: names come from the image. */
static int main_fail(const struct err *e)
{
    char line[ERR_MSG_SIZE];
    memcpy(line, e->msg, sizeof(line));
    for (char *p = line; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
    (void)fprintf(stderr, "limpet-image: %s\n", line);
    return MAIN_EXIT_FAILED;
}

/* linux/amd64, linux/arm64[/v8], or the architecture alone. */
static const char *main_parse_platform(const char *text)
{
    static const char prefix[] = "linux/";
    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
        text += sizeof(prefix) - 1;
    return strcmp(text, "arm64/v8") == 0 ? "arm64" : text;
}

static int main_parse_bool(const char *text, bool *out)
{
    *out = text == NULL || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *out || strcmp(text, "false") == 0 || strcmp(text, "0") == 0
               ? 0
               : -EINVAL;
}

static int main_parse_option(int c, struct main_args *a)
{
    switch (c) {
    case 'r': a->root = optarg; return 0;
    case 'a': a->arch = main_parse_platform(optarg); return 0;
    case 'e': a->erofs = 1; return 0;
    case 'q': a->pull.quiet = true; return 0;
    case 'c': a->pull.cert_dir = optarg; return 0;
    case 't': return main_parse_bool(optarg, &a->pull.tls_verify);
    case 'u': a->login.user = optarg; return 0;
    case 'p': a->login.password = optarg; return 0;
    case 's': a->login.from_stdin = true; return 0;
    case 'i': a->input = optarg; return 0;
    case 'o': a->output = optarg; return 0;
    case 'k': a->pull.keep_blobs = true; return 0;
    case 'f': a->from = optarg; return 0;
    case 'l': return parse_size(optarg, &a->pull.limit_rate);
    default: return -EINVAL;
    }
}

static bool main_is_login(const char *verb)
{
    return strcmp(verb, "login") == 0 || strcmp(verb, "logout") == 0;
}

static int main_login(struct main_args *a)
{
    struct err e = {0};
    a->login.host = a->ref != NULL ? a->ref : "docker.io";
    a->login.cert_dir = a->pull.cert_dir;
    a->login.tls_verify = a->pull.tls_verify;
    int code = strcmp(a->verb, "login") == 0 ? login(&a->login, &e)
                                             : logout(&a->login, &e);
    return code < 0 ? main_fail(&e) : 0;
}

static int main_parse(int argc, char **argv, struct main_args *a)
{
    static const struct option options[] = {
        {"root", required_argument, NULL, 'r'},
        {"arch", required_argument, NULL, 'a'},
        {"platform", required_argument, NULL, 'a'},
        {"erofs", no_argument, NULL, 'e'},
        {"quiet", no_argument, NULL, 'q'},
        {"cert-dir", required_argument, NULL, 'c'},
        {"input", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"keep-blobs", no_argument, NULL, 'k'},
        {"from", required_argument, NULL, 'f'},
        {"tls-verify", optional_argument, NULL, 't'},
        {"limit-rate", required_argument, NULL, 'l'},
        {"username", required_argument, NULL, 'u'},
        {"password", required_argument, NULL, 'p'},
        {"password-stdin", no_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "qi:o:u:p:", options, NULL)) != -1)
        if (main_parse_option(c, a) < 0)
            return -EINVAL;
    int left = argc - optind;
    if (left < 1)
        return -EINVAL;
    a->verb = argv[optind];
    a->ref = argv[optind + 1];
    if (main_is_login(a->verb))
        return left > 2 ? -EINVAL : 0;
    a->images = argv + optind + 1;
    a->image_count = (size_t)left - 1;
    if (strcmp(a->verb, "load") == 0)
        return left == 1 ? 0 : -EINVAL;
    if (left < 2)
        return -EINVAL;
    if (strcmp(a->verb, "save") == 0)
        return 0;
    a->file = left > 2 ? argv[optind + 2] : NULL;
    int is_export = strcmp(a->verb, "export") == 0;
    bool is_three = is_export || strcmp(a->verb, "keep") == 0 ||
                    strcmp(a->verb, "push") == 0;
    return left == (is_three ? 3 : 2) && a->erofs == is_export ? 0 : -EINVAL;
}

static int main_find_root(struct main_args *a, char home[PATH_MAX])
{
    if (a->root == NULL || a->root[0] == '\0')
        a->root = getenv("LIMPET_ROOT");
    if (a->root != NULL && a->root[0] != '\0')
        return 0;
    a->root = "/var/lib/limpet";
    if (geteuid() == 0)
        return 0;
    const char *dir = getenv("HOME");
    if (dir == NULL)
        return -ENOENT;
    int n = snprintf(home, PATH_MAX, "%s/.local/share/limpet", dir);
    a->root = home;
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int main_find_arch(struct main_args *a, struct err *e)
{
    struct utsname u;
    if (a->arch == NULL && uname(&u) == 0)
        a->arch = strcmp(u.machine, "aarch64") == 0 ? "arm64" : "amd64";
    if (a->arch != NULL &&
        (strcmp(a->arch, "amd64") == 0 || strcmp(a->arch, "arm64") == 0))
        return 0;
    return err_set(e, -EINVAL, "--arch %.40s: use amd64 or arm64", a->arch);
}

/* `run` needs it: when it had to be pulled, say so as docker does. */
static int main_ensure(const struct image_request *q, char *hex, struct err *e)
{
    struct err ignored;
    bool there = image_resolve(q, hex, &ignored) == 0;
    int code = image_ensure(q, hex, e);
    if (code == 0 && !there && q->ref->kind == IMGREF_REGISTRY &&
        !q->pull->quiet)
        (void)fprintf(stderr, "Status: Downloaded newer image for %s\n",
                      q->ref->path);
    return code;
}

/* As docker ends a pull. */
static int main_pull(const struct image_request *q, char *hex, struct err *e)
{
    bool fresh;
    int code = image_pull(q, hex, &fresh, e);
    if (code < 0 || q->ref->kind != IMGREF_REGISTRY || q->pull->quiet)
        return code;
    (void)fprintf(stderr, "Status: %s %s\n",
                  fresh ? "Image is up to date for"
                        : "Downloaded newer image for",
                  q->ref->path);
    return 0;
}

/* Archives of whole images. */
static int main_archive(const struct main_args *a, struct err *e)
{
    int code;
    if (strcmp(a->verb, "load") == 0) {
        const struct load_request q = {a->root, a->arch, a->input};
        code = load_archive(&q, e);
    } else {
        const struct save_request q = {a->root, a->output, a->images,
                                       a->image_count};
        code = save_archive(&q, e);
    }
    if (code == 0 && fflush(stdout) != 0)
        code = err_set(e, -EIO, "standard output: %s", strerror(errno));
    return code < 0 ? main_fail(e) : 0;
}

static int main_push(const struct main_args *a, struct err *e)
{
    const struct push_request q = {a->root, a->ref, a->file, a->from, &a->pull};
    return push_image(&q, e) < 0 ? main_fail(e) : 0;
}

static bool main_is_archive(const char *verb)
{
    return strcmp(verb, "load") == 0 || strcmp(verb, "save") == 0;
}

static int main_run(const struct main_args *a, const struct image_request *q,
                    struct err *e)
{
    char hex[SHA256_HEX_SIZE];
    int code;
    if (strcmp(a->verb, "export") == 0) {
        code = image_export(q, a->file, e);
        return code < 0 ? main_fail(e) : 0;
    }
    if (strcmp(a->verb, "keep") == 0) {
        code = image_keep(q, a->file, e);
        return code < 0 ? main_fail(e) : 0;
    }
    if (strcmp(a->verb, "resolve") == 0) {
        code = image_resolve(q, hex, e);
        if (code == -ENOENT)
            return MAIN_EXIT_ABSENT;
    } else if (strcmp(a->verb, "ensure") == 0) {
        code = main_ensure(q, hex, e);
    } else if (strcmp(a->verb, "pull") == 0) {
        code = main_pull(q, hex, e);
    } else {
        return main_usage();
    }
    if (code < 0)
        return main_fail(e);
    return printf("%s\n", hex) < 0 || fflush(stdout) != 0 ? MAIN_EXIT_FAILED
                                                          : 0;
}

int main(int argc, char **argv)
{
    struct main_args a = {.pull = {.tls_verify = true}};
    struct imgref ref;
    struct err e = {0};
    char home[PATH_MAX];
    uint64_t backoff = 0;
    const char *text = getenv("LIMPET_BACKOFF_MS"); /* for tests */
    if (text != NULL && parse_u64(text, 1, 10000, &backoff) == 0)
        a.pull.backoff_ms = (unsigned)backoff;
    if (main_parse(argc, argv, &a) < 0)
        return main_usage();
    if (main_is_login(a.verb))
        return main_login(&a);
    bool archive = main_is_archive(a.verb);
    bool push = strcmp(a.verb, "push") == 0;
    if (main_find_arch(&a, &e) < 0 ||
        (!archive && !push && imgref_parse(a.ref, &ref, &e) < 0))
        return main_fail(&e);
    if (main_find_root(&a, home) < 0) {
        (void)err_set(&e, -ENOENT, "no --root, LIMPET_ROOT or HOME");
        return main_fail(&e);
    }
    /* Names in tar files are UTF-8 whatever the user's language is. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        (void)setlocale(LC_CTYPE, "");
    /* A limit on file sizes shall be an error, not a signal. */
    (void)signal(SIGXFSZ, SIG_IGN);
    if (archive)
        return main_archive(&a, &e);
    if (push)
        return main_push(&a, &e);
    a.pull.nameless = strcmp(a.verb, "keep") == 0;
    a.pull.keep_blobs |= a.pull.nameless;
    struct image_request q = {a.root, a.arch, a.ref, &ref, true, &a.pull};
    return main_run(&a, &q, &e);
}
