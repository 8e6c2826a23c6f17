// SPDX-License-Identifier: Apache-2.0
/*
 * A stock Linux kernel as the guest: the initrd it needs, made from its own
 * modules and limpet-stock-init. Its container comes from the monitor.
 */
#pragma once

struct err;
struct host;

/*
 * The initrd for the kernel file `kernel` in a new memfd, or a negative errno.
 * The file's name ends in -VERSION, and its modules, with modules.dep, are in
 * DIRECTORY-OF-KERNEL/../lib/modules/VERSION: as in / and in an unpacked
 * package.
 */
int stock_initrd(const struct host *h, const char *kernel, struct err *e);
