// SPDX-License-Identifier: Apache-2.0
/* Image bytes -> guest/fs/erofs.c: everything the image claims to have is
 * read; whatever it says, nothing outside of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/arch/fake/fake.h"
#include "guest/core/page.h"
#include "guest/fs/image.h"
#include "tests/unit/guest_erofs_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    struct image img;
    void *mem = NULL;
    if (started == 0)
        fake_init(32 << 20);
    started = 1;
    /* Exactly as long as the image: ASan sees what goes beyond. */
    if (size == 0 || posix_memalign(&mem, 4096, size) != 0)
        return 0;
    memcpy(mem, data, size);
    image_init_window(&img, page_phys(mem), size);
    erofs_walk_all(&img);
    free(mem);
    return 0;
}
