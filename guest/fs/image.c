// SPDX-License-Identifier: Apache-2.0
#include "guest/fs/image.h"

#include "abi/linux/errno.h"

#include "guest/core/fdt.h"
#include "guest/core/klib.h"
#include "guest/core/page.h"
#include "guest/virtio/virtio.h"

void image_init_window(struct image *img, paddr_t pa, uint64_t size)
{
    *img = (struct image){.base = page_virt(pa), .pa = pa, .size = size};
    mutex_init(&img->lock);
}

void image_init_disk(struct image *img, unsigned disk, uint64_t size)
{
    struct page_stats stats;
    page_stats(&stats);
    *img = (struct image){.disk = disk, .size = size, .limit = stats.total / 4};
    mutex_init(&img->lock);
}

int image_find(struct image **out)
{
    static struct image root;
    struct fdt_node n = {.off = 0};
    uint64_t size;
    if (fdt_next_compatible(&n, "limpet,image")) {
        uint32_t reg_size = 0;
        const void *reg = fdt_prop(&n, "reg", &reg_size);
        if (reg == NULL || reg_size < 16)
            return -EINVAL;
        size = fdt_cell2(reg, 2);
        if ((fdt_cell2(reg, 0) & PAGE_MASK) != 0)
            return -EINVAL;
        image_init_window(&root, fdt_cell2(reg, 0), size);
    } else {
        size = virtio_blk_size(0);
        image_init_disk(&root, 0, size);
    }
    if (size == 0)
        return -ENXIO;
    *out = &root;
    return 0;
}

uint64_t image_size(const struct image *img)
{
    return img->size;
}

/* A page that nobody maps leaves the cache; 0: there is none. */
static paddr_t image_reuse(struct image *img)
{
    for (uint64_t tries = 0; tries < img->loaded; tries++) {
        paddr_t pa;
        uint64_t at = pagetree_next(&img->pages, img->hand, &pa);
        if (at == UINT64_MAX)
            at = pagetree_next(&img->pages, 0, &pa);
        if (at == UINT64_MAX)
            return 0;
        img->hand = at + 1;
        if (page_refs(pa) != 1)
            continue;
        (void)pagetree_set(&img->pages, at, 0); /* an entry that exists */
        img->loaded--;
        return pa;
    }
    return 0;
}

static paddr_t image_page_new(struct image *img)
{
    paddr_t pa = 0;
    if (img->loaded >= img->limit)
        pa = image_reuse(img);
    if (pa == 0)
        pa = page_alloc(0, 0);
    if (pa == 0)
        pa = image_reuse(img);
    return pa;
}

static int image_read(struct image *img, uint64_t index, paddr_t pa)
{
    uint64_t off = index * PAGE_SIZE;
    size_t n = (size_t)MIN(PAGE_SIZE, img->size - off);
    uint8_t *to = page_virt(pa);
    memset(to + n, 0, PAGE_SIZE - n);
    int r = virtio_blk_read(img->disk, off, to, n);
    return r < 0 ? r : pagetree_set(&img->pages, index, pa);
}

/* Block `index` of the disk, read on first use; 0: it cannot be had. */
static paddr_t image_load(struct image *img, uint64_t index)
{
    mutex_lock(&img->lock);
    paddr_t pa = pagetree_get(&img->pages, index);
    if (pa == 0) {
        pa = image_page_new(img);
        if (pa != 0 && image_read(img, index, pa) < 0) {
            page_put(pa);
            pa = 0;
        }
        img->loaded += (pa != 0 ? 1u : 0u);
    }
    mutex_unlock(&img->lock);
    return pa;
}

const void *image_at(struct image *img, uint64_t off, uint64_t size)
{
    if (off > img->size || size > img->size - off || size == 0)
        return NULL;
    if (img->base != NULL)
        return img->base + off;
    if ((off & PAGE_MASK) + size > PAGE_SIZE)
        return NULL;
    paddr_t pa = image_load(img, off / PAGE_SIZE);
    if (pa == 0)
        return NULL;
    return (const uint8_t *)page_virt(pa) + (off & PAGE_MASK);
}

int image_page(struct image *img, uint64_t off, paddr_t *pa, uint64_t *run)
{
    if ((off & PAGE_MASK) != 0 || off >= img->size)
        return -EIO;
    *run = 1;
    if (img->base == NULL) {
        *pa = image_load(img, off / PAGE_SIZE);
        return *pa != 0 ? 0 : -EIO;
    }
    /* Whole pages only: nothing is mapped behind the window. */
    *run = (img->size - off) / PAGE_SIZE;
    *pa = img->pa + off;
    return *run != 0 ? 0 : -EIO;
}
