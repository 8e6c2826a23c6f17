// SPDX-License-Identifier: Apache-2.0
/* One selected image -> layer files, merged metadata and record in a store. */
#pragma once

struct err;
struct oci_image;
struct source;
struct store;

/*
 * Convert the layers the store lacks, merge, write metadata and, last, the
 * record. The converter's lock is held. On failure nothing half-made stays;
 * layers that were completed do.
 */
int convert_image(struct store *s, const struct source *from,
                  const struct oci_image *img, struct err *e);
