// SPDX-License-Identifier: Apache-2.0
/* The map of the machine this monitor makes. */
#pragma once

#include "boards/virt-arm64/layout.h"
