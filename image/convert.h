// SPDX-License-Identifier: Apache-2.0
/* One selected image -> layer files, merged metadata and record in a store. */
#pragma once

#include <stdbool.h>

struct err;
struct oci_image;
struct source;
struct store;
struct stream_spec;

/* Whether both files of a layer are there. */
bool convert_has_layer(const struct store *s, const char *diff_id);

/* The two files of the layer that `spec` streams and, if `keep`, its blob; its
 * item lock is held. On failure nothing of it stays. */
int convert_layer(struct store *s, const struct stream_spec *spec, bool keep,
                  struct err *e);

/*
 * All layers are there: merge, write metadata, documents and, last, the record.
 * Adds only missing documents when the image is there already; waits for
 * whoever makes it. On failure nothing half-made stays.
 */
int convert_merge_image(struct store *s, const struct oci_image *img,
                        struct err *e);

/* Convert the layers the store lacks from files, then merge. Layers that were
 * completed before a failure stay. */
int convert_image(struct store *s, const struct source *from,
                  const struct oci_image *img, struct err *e);
