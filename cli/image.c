// SPDX-License-Identifier: Apache-2.0
/* `limpet image ...`: another program's work. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/common.h"
#include "supervisor/host.h"

int cli_image(int argc, char **argv)
{
    struct err e;
    struct host h;
    char path[PATH_MAX + 16];
    if (argc == 0 || strcmp(argv[0], "--help") == 0) {
        (void)cli_print_help("image", NULL);
        return argc == 0 ? CLI_LIMPET_FAILED : 0;
    }
    if (host_init(&h, &e) < 0)
        return cli_fail(&e);
    (void)snprintf(path, sizeof(path), "%s/limpet-image", h.libexec);
    /* argv[-1] is the verb's name: it becomes the program's. */
    (void)execv(path, argv - 1);
    (void)err_set(&e, -errno, "%s: %s", path, strerror(errno));
    return cli_fail(&e);
}
