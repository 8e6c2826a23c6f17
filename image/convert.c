// SPDX-License-Identifier: Apache-2.0
#include "image/convert.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "image/blob.h"
#include "image/data.h"
#include "image/erofs.h"
#include "image/index.h"
#include "image/layer.h"
#include "image/merge.h"
#include "image/oci.h"
#include "image/record.h"
#include "image/source.h"
#include "image/spill.h"
#include "image/store.h"
#include "image/tree.h"

enum { CONVERT_ACCOUNTS_MAX = 256 << 10 }; /* of passwd and group, each */

struct convert {
    struct store *store;
    const struct oci_image *img;
    json_t *run;
    struct spill spill;
    struct tree tree;           /* in it */
    struct index *indexes;      /* per layer */
    struct erofs_layer *places; /* per layer */
    char (*names)[STORE_NAME_SIZE];
    const char **files; /* the window's, metadata first */
    size_t file_count;
    uint64_t data_blocks;
    uint64_t meta_size; /* as extended */
    struct store_temp meta, config, manifest, record;
};

static void convert_name(char out[STORE_NAME_SIZE], const char *dir,
                         const char *hex, const char *suffix)
{
    (void)snprintf(out, STORE_NAME_SIZE, "%s/%s%s", dir, hex, suffix);
}

bool convert_has_layer(const struct store *s, const char *diff_id)
{
    char data[STORE_NAME_SIZE];
    char index[STORE_NAME_SIZE];
    convert_name(data, "layers", diff_id, ".data");
    convert_name(index, "layers", diff_id, ".index");
    return store_has(s, data) && store_has(s, index);
}

/* A layer that was converted without its blob keeps the files it has. */
static int convert_commit_layer(struct store *s, const char *diff_id,
                                struct store_temp *data,
                                struct store_temp *index, struct err *e)
{
    char data_name[STORE_NAME_SIZE];
    char index_name[STORE_NAME_SIZE];
    convert_name(data_name, "layers", diff_id, ".data");
    convert_name(index_name, "layers", diff_id, ".index");
    if (convert_has_layer(s, diff_id))
        return 0;
    int code = store_temp_seal(s, data, true, e);
    if (code == 0)
        code = store_temp_seal(s, index, false, e);
    /* The index comes last: it says that the data file is complete. */
    if (code == 0)
        code = store_temp_commit(s, data, data_name, e);
    if (code == 0)
        code = store_temp_commit(s, index, index_name, e);
    return code;
}

int convert_layer(struct store *s, const struct stream_spec *spec, bool keep,
                  struct err *e)
{
    struct store_temp data = {0};
    struct store_temp index = {0};
    struct store_temp blob = {0};
    struct stream_spec with = *spec;
    char name[STORE_NAME_SIZE];
    int code = store_temp_open(s, &data, e);
    if (code == 0)
        code = store_temp_open(s, &index, e);
    if (code == 0 && keep)
        code = store_temp_open(s, &blob, e);
    with.keep = blob.fd;
    if (code == 0)
        code = layer_convert(&with, data.fd, index.fd, e);
    if (code == 0 && keep) {
        blob_name(name, spec->digest);
        code = store_temp_commit(s, &blob, name, e);
    }
    if (code == 0)
        code = convert_commit_layer(s, spec->diff_id, &data, &index, e);
    store_temp_drop(s, &data);
    store_temp_drop(s, &index);
    store_temp_drop(s, &blob);
    return code;
}

static int convert_file_layer(struct store *s, const struct source *from,
                              const struct oci_layer *l, struct err *e)
{
    AUTO_CLOSE int lock = store_lock_item(s, l->diff_id, true, e);
    if (lock < 0)
        return lock;
    if (convert_has_layer(s, l->diff_id))
        return 0;
    struct extent x;
    int code = source_find(from, l->name, &x, e);
    if (code < 0)
        return code;
    AUTO_CLOSE int fd = x.fd;
    if (l->digest[0] != '\0' && x.size != l->size)
        return err_set(e, -EBADMSG,
                       "%s: %s: %llu bytes, its descriptor says %llu", l->name,
                       x.size < l->size ? "truncated" : "oversized",
                       (unsigned long long)x.size, (unsigned long long)l->size);
    const struct stream_spec spec = {
        .name = l->name,
        .fd = fd,
        .offset = x.offset,
        .size = x.size,
        .digest = l->digest[0] != '\0' ? l->digest : NULL,
        .diff_id = l->diff_id,
    };
    return convert_layer(s, &spec, false, e);
}

/* The first layer with the same contents: its data is in the window once. */
static size_t convert_first_of(const struct oci_image *img, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(img->layers[k].diff_id, img->layers[i].diff_id) == 0)
            return k;
    }
    return i;
}

static int convert_place_layer(struct convert *c, size_t i, struct err *e)
{
    size_t first = convert_first_of(c->img, i);
    if (first != i) {
        c->places[i] = c->places[first];
        return 0;
    }
    struct stat st;
    char *name = c->names[i + 1];
    convert_name(name, "layers", c->img->layers[i].diff_id, ".data");
    if (fstatat(c->store->root, name, &st, 0) < 0)
        return err_set(e, -errno, "%s: %s", name, strerror(errno));
    uint64_t size = c->indexes[i].head.data_size;
    if (st.st_size % DATA_ALIGN_SIZE != 0 || size > (uint64_t)st.st_size)
        return err_set(e, -EBADMSG, "%s: damaged", name);
    c->places[i].at = c->data_blocks;
    c->places[i].used = size / DATA_BLOCK_SIZE;
    c->data_blocks += (uint64_t)st.st_size / DATA_BLOCK_SIZE;
    if (st.st_size > 0)
        c->files[c->file_count++] = name;
    return 0;
}

static int convert_open_indexes(struct convert *c, uint64_t *names,
                                struct err *e)
{
    int code = 0;
    for (size_t i = 0; i < c->img->layer_count && code == 0; i++) {
        struct index *x = &c->indexes[i];
        char name[STORE_NAME_SIZE];
        convert_name(name, "layers", c->img->layers[i].diff_id, ".index");
        code = index_open(x, c->store->root, name, e);
        if (code == 0)
            code = convert_place_layer(c, i, e);
        *names += x->head.entry_count;
        spill_watch(&c->spill, x->map, x->size);
    }
    return code;
}

static int convert_merge(struct convert *c, struct err *e)
{
    uint64_t names = 0;
    spill_init(&c->spill, c->store);
    int code = convert_open_indexes(c, &names, e);
    if (code == 0)
        code = tree_init(&c->tree, &c->spill, names, e);
    for (size_t i = 0; i < c->img->layer_count && code == 0; i++) {
        code = merge_layer(&c->tree, &c->indexes[i], (uint32_t)i, e);
        if (code < 0)
            return err_wrap(e, "%s", c->img->layers[i].name);
    }
    return code;
}

static int convert_write_meta(struct convert *c, struct err *e)
{
    struct erofs_spec spec = {
        .layers = c->places,
        .layer_count = c->img->layer_count,
        .data_blocks = c->data_blocks,
        .build_time = record_created(c->img->doc),
    };
    for (unsigned i = 0; i < ARRAY_COUNT(spec.uuid); i++) {
        const char *hex = c->img->manifest + (size_t)2 * i;
        char byte[3] = {hex[0], hex[1]};
        spec.uuid[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    /* RFC 9562: version 8 (own meaning), variant 10. */
    spec.uuid[6] = (uint8_t)((spec.uuid[6] & 0x0f) | 0x80);
    spec.uuid[8] = (uint8_t)((spec.uuid[8] & 0x3f) | 0x80);

    convert_name(c->names[0], "meta", c->img->manifest, ".erofs");
    int code = store_temp_open(c->store, &c->meta, e);
    uint64_t size = 0;
    if (code == 0)
        code = erofs_write(&c->tree, &spec, c->meta.fd, &size, e);
    c->meta_size =
        (size + DATA_ALIGN_SIZE - 1) / DATA_ALIGN_SIZE * DATA_ALIGN_SIZE;
    return code == 0 ? store_temp_seal(c->store, &c->meta, true, e) : code;
}

/* Text of a small file of the merged image, or NULL: absence is no error. */
static char *convert_read_file(struct convert *c, const char *path)
{
    struct tree_node *n;
    struct err ignored;
    if (tree_resolve(&c->tree, path, strlen(path), TREE_FOLLOW, &n, &ignored) <
            0 ||
        n == NULL || !S_ISREG(n->inode->mode))
        return NULL;
    const struct tree_inode *i = n->inode;
    size_t size =
        i->size < CONVERT_ACCOUNTS_MAX ? (size_t)i->size : CONVERT_ACCOUNTS_MAX;
    char name[STORE_NAME_SIZE];
    convert_name(name, "layers", c->img->layers[i->layer].diff_id, ".data");
    AUTO_CLOSE int fd = openat(c->store->root, name, O_RDONLY | O_CLOEXEC);
    char *text = calloc(1, size + 1);
    if (fd < 0 || text == NULL ||
        pread(fd, text, size, (off_t)i->block * DATA_BLOCK_SIZE) !=
            (ssize_t)size) {
        free(text);
        return NULL;
    }
    return text;
}

static int convert_write_record(struct convert *c, struct err *e)
{
    AUTO_FREE char *passwd = convert_read_file(c, "etc/passwd");
    AUTO_FREE char *group = convert_read_file(c, "etc/group");
    struct record r = {
        .image = c->img,
        .run = c->run,
        .files = c->files,
        .file_count = c->file_count,
        .size = c->meta_size + c->data_blocks * DATA_BLOCK_SIZE,
        .passwd = passwd,
        .group = group,
    };
    AUTO_FREE char *text = record_build(&r, e);
    if (text == NULL)
        return e->code;
    int code = store_temp_write(c->store, &c->record, text, strlen(text), e);
    return code == 0 ? store_temp_seal(c->store, &c->record, false, e) : code;
}

static int convert_write_documents(struct convert *c, struct err *e)
{
    const struct oci_image *img = c->img;
    int code = 0;
    if (img->config_text != NULL)
        code = blob_prepare(c->store, img->config, img->config_text,
                            (size_t)img->config_size, &c->config, e);
    if (code == 0 && img->manifest_text != NULL)
        code = blob_prepare(c->store, img->manifest, img->manifest_text,
                            img->manifest_size, &c->manifest, e);
    return code;
}

/*
 * Everything that the record names is on the disk, its name too, before the
 * record gets its own.
 */
static int convert_commit(struct convert *c, struct err *e)
{
    static const char *const named[] = {"layers", "meta", "blobs"};
    static const char *const records[] = {"images"};
    const struct store *s = c->store;
    char config[STORE_NAME_SIZE];
    char manifest[STORE_NAME_SIZE];
    char record[STORE_NAME_SIZE];
    blob_name(config, c->img->config);
    blob_name(manifest, c->img->manifest);
    convert_name(record, "images", c->img->manifest, ".json");
    int code = store_temp_commit(s, &c->meta, c->names[0], e);
    if (code == 0)
        code = store_temp_commit(s, &c->config, config, e);
    if (code == 0)
        code = store_temp_commit(s, &c->manifest, manifest, e);
    if (code == 0)
        code = store_sync_dirs(s, named, ARRAY_COUNT(named), e);
    if (code == 0)
        code = store_temp_commit(s, &c->record, record, e);
    if (code == 0)
        code = store_sync_dirs(s, records, ARRAY_COUNT(records), e);
    /* Nobody knows about it without the record. */
    if (code < 0 && c->record.fd > 0)
        (void)unlinkat(s->root, c->names[0], 0);
    return code;
}

static int convert_put_documents(struct store *s, const struct oci_image *img,
                                 struct err *e)
{
    int code = 0;
    if (img->config_text != NULL)
        code = blob_put(s, img->config, img->config_text,
                        (size_t)img->config_size, e);
    if (code == 0 && img->manifest_text != NULL)
        code = blob_put(s, img->manifest, img->manifest_text,
                        img->manifest_size, e);
    return code;
}

static void convert_fini(struct convert *c)
{
    json_decref(c->run);
    spill_fini(&c->spill);
    store_temp_drop(c->store, &c->meta);
    store_temp_drop(c->store, &c->config);
    store_temp_drop(c->store, &c->manifest);
    store_temp_drop(c->store, &c->record);
    for (size_t i = 0; c->indexes != NULL && i < c->img->layer_count; i++)
        index_fini(&c->indexes[i]);
    free(c->indexes);
    free(c->places);
    free(c->names);
    free(c->files);
}

static int convert_merge_all(struct convert *c, struct err *e)
{
    size_t n = c->img->layer_count + 1;
    c->indexes = calloc(n, sizeof(*c->indexes));
    c->places = calloc(n, sizeof(*c->places));
    c->names = calloc(n, sizeof(*c->names));
    c->files = calloc(n, sizeof(*c->files));
    if (c->indexes == NULL || c->places == NULL || c->names == NULL ||
        c->files == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    c->files[0] = c->names[0];
    c->file_count = 1;
    c->run = record_read_run(c->img, e);
    if (c->run == NULL)
        return e->code;
    int code = convert_merge(c, e);
    if (code == 0)
        code = convert_write_meta(c, e);
    if (code == 0)
        code = convert_write_documents(c, e);
    if (code == 0)
        code = convert_write_record(c, e);
    return code == 0 ? convert_commit(c, e) : code;
}

int convert_merge_image(struct store *s, const struct oci_image *img,
                        struct err *e)
{
    AUTO_CLOSE int lock = store_lock_item(s, img->manifest, true, e);
    if (lock < 0)
        return lock;
    if (store_has_image(s, img->manifest))
        return convert_put_documents(s, img, e);
    struct convert c = {.store = s, .img = img};
    int code = convert_merge_all(&c, e);
    convert_fini(&c);
    return code;
}

int convert_image(struct store *s, const struct source *from,
                  const struct oci_image *img, struct err *e)
{
    /* Settings of wrong types: before the work, not after it. */
    json_t *run = record_read_run(img, e);
    if (run == NULL)
        return e->code;
    json_decref(run);
    int code = 0;
    for (size_t i = 0; i < img->layer_count && code == 0; i++)
        code = convert_file_layer(s, from, &img->layers[i], e);
    return code == 0 ? convert_merge_image(s, img, e) : code;
}
