// SPDX-License-Identifier: Apache-2.0
/* The image window. */
#include "vmm/window.h"

#include <arch_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "vmm/gmem.h"

#define HUGE (UINT64_C(2) << 20)

/* The end of the file's path: the part that tells store files apart. */
static void find_name(struct window_file *f)
{
    char link[32];
    char path[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0) {
        (void)snprintf(f->name, sizeof(f->name), "image file on fd %d", f->fd);
        return;
    }
    path[n] = '\0';
    size_t skip =
        (size_t)n < sizeof(f->name) ? 0 : (size_t)n - (sizeof(f->name) - 1);
    memcpy(f->name, path + skip, (size_t)n - skip + 1);
}

int window_open(struct window *w, const struct vm_config *c, struct err *e)
{
    *w = (struct window){.count = c->image_count};
    if (w->count == 0)
        return 0;
    w->file = calloc(w->count, sizeof(w->file[0]));
    if (w->file == NULL)
        return err_set(e, -ENOMEM, "image files: out of memory");
    for (unsigned i = 0; i < w->count; i++) {
        w->file[i].fd = c->image_fd[i];
        find_name(&w->file[i]);
    }
    return 0;
}

static int measure(struct window *w, uint64_t end, struct err *e)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct window_file *f = &w->file[i];
        struct stat st;
        if (fstat(f->fd, &st) < 0)
            return err_set(e, -errno, "%s: %s", f->name, strerror(errno));
        f->size = (uint64_t)st.st_size;
        if (f->size == 0 || f->size % HUGE != 0)
            return err_set(e, -EINVAL,
                           "%s: its size %llu is not a multiple of 2 MiB: "
                           "the store is damaged, pull the image again",
                           f->name, (unsigned long long)f->size);
        if (f->size > end - w->at.size)
            return err_set(e, -E2BIG, "%s: the image is too large", f->name);
        w->at.size += f->size;
    }
    return 0;
}

static uint64_t round_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) / to * to;
}

/* Where the window goes; everything must lie below `end`. */
static int place(struct window *w, const struct gmem *m, uint64_t end,
                 struct err *e)
{
    if (gmem_end(m) > end)
        return err_set(e, -E2BIG,
                       "%llu MiB of memory do not fit: this host's guests end "
                       "at guest-physical %#llx: use less with --memory",
                       (unsigned long long)(m->size >> 20),
                       (unsigned long long)end);
    if (measure(w, end, e) < 0)
        return e->code;
    w->at.gpa = round_up(gmem_end(m), BOARD_IMAGE_ALIGN);
    if (w->at.gpa < BOARD_IMAGE_MIN)
        w->at.gpa = BOARD_IMAGE_MIN;
    if (w->at.gpa > end || w->at.size > end - w->at.gpa)
        return err_set(e, -E2BIG,
                       "the image is too large: %llu bytes above memory; this "
                       "host's guests end at guest-physical %#llx",
                       (unsigned long long)w->at.size, (unsigned long long)end);
    return 0;
}

int window_map(struct window *w, const struct gmem *m, uint64_t end,
               struct err *e)
{
    if (place(w, m, end, e) < 0)
        return e->code;
    if (w->at.size == 0)
        return 0;
    w->map_size = w->at.size + HUGE;
    void *map = mmap(NULL, w->map_size, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return err_set(e, -errno, "image window: %s", strerror(errno));
    w->map = map;
    w->host = w->map + (round_up((uintptr_t)map, HUGE) - (uintptr_t)map);
    uint8_t *to = w->host;
    for (unsigned i = 0; i < w->count; i++) {
        const struct window_file *f = &w->file[i];
        if (mmap(to, f->size, PROT_READ, MAP_SHARED | MAP_FIXED, f->fd, 0) ==
            MAP_FAILED)
            return err_set(e, -errno, "%s: map: %s", f->name, strerror(errno));
        to += f->size;
    }
    (void)madvise(w->host, w->at.size, MADV_HUGEPAGE); /* advice only */
    return 0;
}

void window_fini(struct window *w)
{
    if (w->map != NULL)
        (void)munmap(w->map, w->map_size);
    free(w->file);
    *w = (struct window){0};
}

const char *window_damaged(const struct window *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct stat st;
        if (fstat(w->file[i].fd, &st) < 0 ||
            (uint64_t)st.st_size < w->file[i].size)
            return w->file[i].name;
    }
    return NULL;
}
