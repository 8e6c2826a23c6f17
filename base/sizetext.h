// SPDX-License-Identifier: Apache-2.0
/* Sizes for people. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "12.3MB", as docker writes sizes (powers of 1000). */
void sizetext(uint64_t bytes, char *out, size_t size);
