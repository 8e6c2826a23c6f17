// SPDX-License-Identifier: Apache-2.0
/* arch/fake serves x86-64's numbers. */
#pragma once

#include "abi/linux/x86_64/nr.h"
