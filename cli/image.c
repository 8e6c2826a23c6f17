// SPDX-License-Identifier: Apache-2.0
/* Verbs on images: limpet-image's work, which is another program because most
 * runs need none of it (and none of its libraries). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "supervisor/host.h"

int cli_exec_image(const char *verb, int argc, char **argv)
{
    struct err e;
    struct host h;
    char path[PATH_MAX + 16];
    char name[32];
    AUTO_FREE char **args = calloc((size_t)argc + 3, sizeof(*args));
    if (args == NULL)
        (void)err_set(&e, -ENOMEM, "out of memory");
    if (args == NULL || host_init(&h, &e) < 0)
        return cli_fail(&e);
    (void)snprintf(path, sizeof(path), "%s/limpet-image", h.libexec);
    (void)snprintf(name, sizeof(name), "%s", verb);
    args[0] = path;
    args[1] = name;
    for (int i = 0; i < argc; i++)
        args[i + 2] = argv[i];
    (void)execv(path, args);
    (void)err_set(&e, -errno, "%s: %s", path, strerror(errno));
    return cli_fail(&e);
}

int cli_image(int argc, char **argv)
{
    if (argc == 0 || strcmp(argv[0], "--help") == 0) {
        (void)cli_print_help("image", NULL);
        return argc == 0 ? CLI_LIMPET_FAILED : 0;
    }
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {
        {"ls", cli_images},       {"list", cli_images},
        {"rm", cli_rmi},          {"prune", cli_image_prune},
        {"tag", cli_tag},         {"pull", cli_pull},
        {"inspect", cli_inspect}, {"history", cli_history},
        {"save", cli_save},       {"load", cli_load},
        {"push", cli_push},
    };
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++)
        if (strcmp(argv[0], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    return cli_exec_image(argv[0], argc - 1, argv + 1);
}
