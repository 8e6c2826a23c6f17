// SPDX-License-Identifier: Apache-2.0
/* Any text as the monitor's configuration, and as a container record. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "vmm/config.h"
#include "vmm/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vm_config c;
    struct err e;
    int fds[256];
    struct buf b = {.max = 1 << 20};
    if (config_parse(&c, (const char *)data, size, &e) == 0) {
        (void)config_fds(&c, fds, 256);
        container_write(&b, &c);
    }
    buf_fini(&b);
    config_fini(&c);
    return 0;
}
