// SPDX-License-Identifier: Apache-2.0
/* What the boot of a container does to file systems before fs_boot(). */
#pragma once

/* Mount the root: overlay of tmpfs over the image. No process is needed.
 * 0 or -errno. */
int fs_boot_root(void);
/* Directories and their parents, 0755; an existing one is fine. `path` is
 * absolute. 0 or -errno. */
int fs_mkdirs(const char *path);
