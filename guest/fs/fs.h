// SPDX-License-Identifier: Apache-2.0
/*
 * The file systems and how boot puts them together:
 *   /         overlay: tmpfs whose lower layer is the EROFS image
 *   /proc     procfs      /dev   tmpfs with device nodes
 *   /dev/pts  devpts      /dev/shm, /run?, /tmp  as the image has them
 *   /sys      sysfs (a few files)
 */
#pragma once

#include "guest/core/types.h"

struct superblock;
struct file;
struct inode;
struct dentry;
struct image;

/* The bytes of the root image: a window of memory, or blocks read through
 * virtio-blk into a cache of a quarter of RAM (QEMU, one CPU). */
int image_find(struct image **out); /* window by FDT, else disk 0 */

/* Where `size` bytes at `off` are: kernel address, or NULL if out of range.
 * In the block path the range must not cross a 4 KiB block, and the address is
 * good until the caller sleeps or asks again. */
const void *image_at(struct image *img, uint64_t off, uint64_t size);
/* Page for mapping: paddr of block (off 4 KiB-aligned) and how many follow
 * contiguously. Take a reference (page_get) before sleeping. 0 or -EIO. */
int image_page(struct image *img, uint64_t off, paddr_t *pa, uint64_t *run);
uint64_t image_size(const struct image *img);

/* lower: NULL for a plain tmpfs. `limit` bytes of file data (0: half of RAM);
 * beyond it writes give ENOSPC. */
int tmpfs_mount(const char *type, struct image *lower, uint64_t limit,
                struct superblock **out);
/* An unlinked file of `size` bytes, opened read-write: shared anonymous
 * memory, memfd. Reference for the caller. */
int tmpfs_new_anon(uint64_t size, struct file **out);
int procfs_mount(struct superblock **out);
int devpts_mount(struct superblock **out);
int sysfs_mount(struct superblock **out);

/* Mount everything for container 0 and make the standard device nodes. */
int fs_boot(void);

/* Character devices: open by number. */
#define LX_MKDEV(maj, min)                                                     \
    (((uint64_t)(maj) << 8) | ((min)&0xff) |                                   \
     (((uint64_t)(min) & ~0xffull) << 12))
struct file_ops;
/* Called by open(2) with f->inode a character device: sets f->ops (and data).
 * 0, or -ENXIO when nobody registered the number. */
int dev_open(struct file *f, uint64_t rdev);
/* `open` serves minors [first, first + count) of `major`. Static table: call
 * at boot only. */
void dev_register(uint32_t major, uint32_t first, uint32_t count,
                  int (*open)(struct file *f, uint64_t rdev));
#define LX_MAJOR(rdev) ((uint32_t)(((rdev) >> 8) & 0xfff))
#define LX_MINOR(rdev) ((uint32_t)(((rdev)&0xff) | (((rdev) >> 12) & 0xfff00)))

/* pipe(2): two open files. */
int pipe_new(struct file **r, struct file **w, uint32_t flags);
/* Open of a FIFO inode: blocks for the other end as fifo(7) says. */
int fifo_open(struct file *f);

/* Container stdio (virtio console ports), opened at boot: 0 in, 1 out, 2 err.
 * With a terminal all three are /dev/console's tty. */
int console_open_stdio(bool tty, bool has_stdin, struct file *out[3]);
