// SPDX-License-Identifier: Apache-2.0
/* mmap(2). Source: Linux UAPI linux/mman.h, asm-generic/mman{-common,}.h. */
#pragma once

#define LX_MAP_SHARED          0x01u
#define LX_MAP_PRIVATE         0x02u
#define LX_MAP_SHARED_VALIDATE 0x03u
#define LX_MAP_TYPE            0x0fu
#define LX_MAP_FIXED           0x10u
#define LX_MAP_ANONYMOUS       0x20u
#define LX_MAP_GROWSDOWN       0x0100u
#define LX_MAP_LOCKED          0x2000u
#define LX_MAP_NORESERVE       0x4000u
#define LX_MAP_POPULATE        0x8000u
#define LX_MAP_HUGETLB         0x40000u
#define LX_MAP_SYNC            0x80000u
#define LX_MAP_FIXED_NOREPLACE 0x100000u
