// SPDX-License-Identifier: Apache-2.0
/*
 * What a stock Linux guest finds in its initrd: limpet makes the first part
 * (init, modules), the monitor appends the second (the container).
 */
#pragma once

#define STOCK_DIR       "limpet"           /* in the initrd's root */
#define STOCK_MODULES   "limpet/modules"   /* file names in loading order */
#define STOCK_CONTAINER "limpet/container" /* struct boot_container */

/* Names of the console's ports (virtio 1.2, 5.3.6.2). */
#define STOCK_PORT_STDIO  "limpet.stdio"
#define STOCK_PORT_STDERR "limpet.stderr"
#define STOCK_PORT_CTL    "limpet.ctl"
