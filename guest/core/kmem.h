// SPDX-License-Identifier: Apache-2.0
/* Kernel heap: size classes to 2 KiB, whole pages above. Any context. */
#pragma once

#include <stddef.h>

/* NULL when memory is out. 16-byte aligned. kzalloc clears. */
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *p); /* NULL is fine */
char *kstrdup(const char *s);
char *kstrndup(const char *s, size_t n);
