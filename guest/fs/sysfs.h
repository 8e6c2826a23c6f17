// SPDX-License-Identifier: Apache-2.0
/* Between the files of sysfs. */
#pragma once

#include "guest/fs/pseudo.h"

extern const struct pseudo_dir sysfs_class_dir; /* sysfs_net.c: /sys/class */
