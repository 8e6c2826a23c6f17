// SPDX-License-Identifier: Apache-2.0
/*
 * Members of a plain tar file by name, read in place: oci-archive and
 * docker-archive need random access, which libarchive's streams do not give.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

enum { TARFILE_MEMBER_MAX = 1 << 16 };

struct tarfile_member {
    char *name; /* normalised, owned */
    char *link; /* target of a link, as written; NULL for a file; owned */
    char type;  /* '0' file, '1' hard link, '2' symbolic link */
    uint64_t offset;
    uint64_t size;
};

struct tarfile {
    struct tarfile_member *members;
    size_t count;
    size_t room;
};

/* Reads all headers of `fd` (borrowed). tarfile_fini() takes a zeroed one. */
int tarfile_init(struct tarfile *t, int fd, struct err *e);
void tarfile_fini(struct tarfile *t);

/* The file called `name`, links followed, or NULL. The last one wins. */
const struct tarfile_member *tarfile_find(const struct tarfile *t,
                                          const char *name);
