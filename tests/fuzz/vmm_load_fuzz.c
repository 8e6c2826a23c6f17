// SPDX-License-Identifier: Apache-2.0
/* Any file as our kernel, as a stock Linux, and as symbols. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/symbols.h"
#include "vmm/arch/arch.h"
#include "vmm/gmem.h"
#include "vmm/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *ram;
    static int fd = -1;
    const uint64_t ram_size = UINT64_C(4) << 20;
    struct load_result r;
    struct arch_linux stock;
    struct symbols s;
    char name[96];
    struct err e;
    if (ram == NULL) {
        ram = malloc(ram_size);
        fd = memfd_create("kernel", MFD_CLOEXEC);
    }
    if (ram == NULL || ftruncate(fd, 0) < 0 ||
        pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    const struct gmem m = {.range = {{0, ram_size, ram}}, .size = ram_size};
    (void)load_kernel(fd, &m, &r, &e);
    if (arch_linux_load(fd, &m, &stock, &e) == 0 &&
        (stock.entry >= ram_size || stock.end > ram_size))
        abort(); /* it said yes to what is not in memory */
    symbols_init(&s, fd);
    symbols_find(&s, UINT64_C(0xffffffff80200010), name, sizeof(name));
    return 0;
}
