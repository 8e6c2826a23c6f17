// SPDX-License-Identifier: Apache-2.0
/* Names of the system: uname(2), /proc/sys/kernel/{hostname,osrelease}. */
#pragma once

#include "abi/linux/proc.h"

#include "guest/core/types.h"

void uts_get(struct lx_utsname *out);
/* At most 64 bytes; 0 or -EINVAL. */
int uts_set_hostname(const char *name, size_t size);
int uts_set_domainname(const char *name, size_t size);
