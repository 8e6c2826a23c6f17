// SPDX-License-Identifier: Apache-2.0
/* Interfaces that come and go while programs run: the monitor's requests. */
#pragma once

#include "abi/ctl.h"

void plug_init(void);
/* CTL_NET_ADD or CTL_NET_REMOVE: `payload` has h->size bytes, of which `kept`
 * are there. Interrupt context; done, and answered, on the net thread. A frame
 * that is too short is ignored, one too many is answered with -EBUSY. */
void plug_frame(const struct ctl_header *h, const void *payload, size_t kept);
