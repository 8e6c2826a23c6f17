// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "cli/common.h"

int cli_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)printf("limpet version %s\n", LIMPET_VERSION);
    return 0;
}
