// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a board's device tree. */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "supervisor/board_fact.h"
#include "supervisor/board_fdt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    json_t *facts = json_object();
    json_t *warnings = json_array();
    const char *name;
    const json_t *fact;
    if (board_fdt_read(data, size, "fuzz", facts, warnings, &e) < 0)
        json_object_clear(facts);
    /* What comes out of any tree fits the schema. */
    json_object_foreach(facts, name, fact)
    {
        const struct board_fact *f = board_fact_find(name);
        if (f == NULL ||
            board_fact_check(f, json_object_get(fact, "value"), "fuzz", &e) < 0)
            abort();
    }
    json_decref(facts);
    json_decref(warnings);
    return 0;
}
