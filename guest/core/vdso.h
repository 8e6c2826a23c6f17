// SPDX-License-Identifier: Apache-2.0
/*
 * The vDSO in programs: a page of time data and the image (guest/vdso), mapped
 * above the main stack. vdso(7). An architecture has one if it defines the
 * arch_vdso_* below.
 */
#pragma once

#include "guest/core/types.h"

struct aspace;
struct file;
struct vdso_data;

#define VDSO_PAGES_MAX 8 /* data and image */

/* Defined by the architecture, or absent. */
extern const char arch_vdso_image[] __attribute__((weak));
extern const char arch_vdso_image_end[] __attribute__((weak));
/* How clock_now() is made from the counter: the first three members. */
void arch_vdso_clock(struct vdso_data *d) __attribute__((weak));

/* Map it into an aspace that exec builds, at its stack_top. Address of the
 * image for AT_SYSINFO_EHDR, or 0: programs go on without. */
uint64_t vdso_map(struct aspace *as);
/* CLOCK_REALTIME was set: its distance to CLOCK_MONOTONIC. */
void vdso_set_wall(uint64_t base);
/* Is this what vdso_map() maps? For names in /proc/PID/maps. */
bool vdso_owns(const struct file *f);
