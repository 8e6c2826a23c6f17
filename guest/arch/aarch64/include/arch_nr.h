// SPDX-License-Identifier: Apache-2.0
/* The system call numbers of this architecture. */
#pragma once

#include "abi/linux/aarch64/nr.h"
