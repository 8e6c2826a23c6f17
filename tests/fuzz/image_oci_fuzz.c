// SPDX-License-Identifier: Apache-2.0
/* Any bytes as manifest, configuration and record: bounded and clean. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "image/oci.h"
#include "image/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct oci_image img = {0};
    struct err e;
    (void)oci_parse_manifest(text, size, "fuzz", &img, &e);
    if (oci_parse_config(text, size, "fuzz", "amd64", &img, &e) == 1) {
        struct record r = {.image = &img};
        char platform[64];
        oci_platform_text(img.doc, platform);
        (void)record_created(img.doc);
        r.run = record_read_run(&img, &e);
        if (r.run != NULL)
            free(record_build(&r, &e));
        json_decref(r.run);
    }
    oci_fini(&img);
    return 0;
}
