// SPDX-License-Identifier: Apache-2.0
/* limpet pull, load, login, logout: checked here, done by limpet-image. */
#include <stdlib.h>

#include "base/auto.h"
#include "cli/common.h"
#include "cli/verb_args.h"

#define CERTS "CAs (*.crt) and our certificate (X.cert, X.key)"
#define TLS   "check the registry's certificate (default true)"

static const struct opt pull_flags[] = {
    {"all-tags", 'a', false, 0, "name each tag"},
    {"cert-dir", 0, true, 'P', CERTS},
    {"disable-content-trust", 0, false, 0,
     "digests are always verified and signatures never are"},
    {"help", 0, false, 'h', "print this"},
    {"keep-blobs", 0, false, 'P', "also the layers as the registry has them"},
    {"limit-rate", 0, true, 'P', "bytes per second at most, such as 2M"},
    {"platform", 0, true, 'P', "linux/amd64 or linux/arm64"},
    {"quiet", 'q', false, 'P', "no progress"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {"tls-verify", 0, false, 'P', TLS},
    {0},
};

static const struct opt login_flags[] = {
    {"cert-dir", 0, true, 'P', CERTS},
    {"help", 0, false, 'h', "print this"},
    {"password", 'p', true, 'P', "it shows in ps: use --password-stdin"},
    {"password-stdin", 0, false, 'P', "read the password from stdin"},
    {"tls-verify", 0, false, 'P', TLS},
    {"username", 'u', true, 'P', "user name"},
    {0},
};

static const struct opt load_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {"input", 'i', true, 'P', "archive; standard input if not given"},
    {"platform", 0, true, 'P', "linux/amd64 or linux/arm64"},
    {"quiet", 'q', false, 'P', "the same: there is no progress to show"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

static const struct opt logout_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {0},
};

/* Flags are checked and passed on as they are. Returns only when it fails. */
static int pull_exec(struct verb_args *a, int argc, char **argv)
{
    struct opt_seen f;
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    verb_args_init(a, argc, argv, rest);
    while (verb_args_next(a, &f))
        continue;
    return a->done ? a->status : cli_exec_image(a->verb, argc, argv);
}

int cli_pull(int argc, char **argv)
{
    struct verb_args a = {
        .verb = "pull", .table = pull_flags, .min = 1, .max = 1};
    return pull_exec(&a, argc, argv);
}

int cli_load(int argc, char **argv)
{
    struct verb_args a = {.verb = "load", .table = load_flags, .max = 1};
    return pull_exec(&a, argc, argv);
}

int cli_login(int argc, char **argv)
{
    struct verb_args a = {.verb = "login", .table = login_flags, .max = 1};
    return pull_exec(&a, argc, argv);
}

int cli_logout(int argc, char **argv)
{
    struct verb_args a = {.verb = "logout", .table = logout_flags, .max = 1};
    return pull_exec(&a, argc, argv);
}
