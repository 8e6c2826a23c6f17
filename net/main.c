// SPDX-License-Identifier: Apache-2.0
/* limpet-net: what stays on the host while VMs have networks. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "net/keep.h"

int main(int argc, char **argv)
{
    uint64_t listener;
    uint64_t root;
    if (argc == 4 && strcmp(argv[1], "keep") == 0 &&
        parse_u64(argv[2], 3, INT32_MAX, &listener) == 0 &&
        parse_u64(argv[3], 3, INT32_MAX, &root) == 0)
        return keeper_main((int)listener, (int)root);
    (void)fprintf(stderr, "limpet-net: started by limpet alone\n");
    return 125;
}
