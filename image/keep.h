// SPDX-License-Identifier: Apache-2.0
/* Layers of files -> blobs of the store, as they are (image/blob.h). */
#pragma once

struct err;
struct oci_image;
struct source;
struct store;

/* Copy the layers that the store lacks, digests checked. A layer of a
 * docker-archive learns its digest and size here. */
int keep_layers(struct store *s, const struct source *from,
                struct oci_image *img, struct err *e);

/* Give an image without a manifest one, and its name, after keep_layers(). */
int keep_manifest(const struct store *s, struct oci_image *img, struct err *e);
