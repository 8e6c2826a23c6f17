// SPDX-License-Identifier: Apache-2.0
/* Terminals. Source: Linux UAPI asm-generic/termbits.h, ioctls.h. */
#pragma once

#include "abi/abi.h"

#define LX_NCCS 19

struct lx_termios { /* kernel form: TCGETS */
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line;
    uint8_t cc[LX_NCCS];
};
ABI_SIZE(struct lx_termios, 36);

struct lx_winsize {
    uint16_t row, col, xpixel, ypixel;
};
ABI_SIZE(struct lx_winsize, 8);
