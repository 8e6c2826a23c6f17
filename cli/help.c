// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "cli/common.h"

static char help_flag[] = "--help";

int cli_help(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "--man") == 0)
        return cli_print_man();
    for (const struct verb *v = cli_verbs; argc > 0 && v->name != NULL; v++) {
        char *flags[] = {help_flag, NULL};
        if (strcmp(v->name, argv[0]) == 0 && v->run != cli_help)
            return v->run(1, flags);
    }
    (void)printf("Usage: limpet VERB ...\n\n"
                 "Run OCI images, each in its own micro-VM.\n\nVerbs:\n");
    for (const struct verb *v = cli_verbs; v->name != NULL; v++)
        (void)printf("  %-10s %s\n", v->name, v->what);
    (void)printf("\n'limpet VERB --help' tells more about one.\n");
    return 0;
}
