// SPDX-License-Identifier: Apache-2.0
/* The C library functions a freestanding kernel needs, and formatted text. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* The two hot ones, in arch (guest/arch/<arch>/string.S). Forward copy only;
 * the kernel itself calls memcpy and memset. */
void *arch_memcpy(void *to, const void *from, size_t n);
void *arch_memset(void *to, int c, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* printf subset: %d %i %u %x %X %o %c %s %p %% with flags 0 - space, width,
 * precision, * and hh h l ll z. Always NUL-terminates when size > 0; returns
 * the length the whole text would have. */
int ksnprintf(char *to, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int kvsnprintf(char *to, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* Copies at most size - 1 bytes and terminates; returns strlen(from). */
size_t kstrcpy(char *to, const char *from, size_t size);

/* Bytes from the kernel's ChaCha20 generator (seeded by boot_info.seed). Any
 * context. */
void krandom(void *to, size_t n);
uint64_t krandom_u64(void);
void krandom_seed(const void *data, size_t n); /* mixes in, never replaces */
