// SPDX-License-Identifier: Apache-2.0
/* limpet-net: what stays on the host while VMs have networks. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "net/gate.h"
#include "net/keep.h"
#include "net/netns.h"

/* "limpet-net guard TAP LINK". */
static bool main_guard(char **argv, int *code)
{
    uint64_t tap;
    uint64_t link;
    if (parse_u64(argv[2], 1, INT32_MAX, &tap) < 0 ||
        parse_u64(argv[3], 1, INT32_MAX, &link) < 0)
        return false;
    *code = netns_guard((int)tap, (int)link);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t listener;
    uint64_t root;
    if (argc == 4 && strcmp(argv[1], "keep") == 0 &&
        parse_u64(argv[2], 3, INT32_MAX, &listener) == 0 &&
        parse_u64(argv[3], 3, INT32_MAX, &root) == 0)
        return keeper_main((int)listener, (int)root);
    struct gate_rules rules;
    char **passt;
    if (argc >= 3 && strcmp(argv[1], "gate") == 0 &&
        gate_parse(&rules, argc - 2, argv + 2, &passt) == 0)
        return gate_main(&rules, passt);
    int code;
    if (argc == 4 && strcmp(argv[1], "guard") == 0 && main_guard(argv, &code))
        return code;
    (void)fprintf(stderr, "limpet-net: started by limpet alone\n");
    return 125;
}
