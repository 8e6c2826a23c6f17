// SPDX-License-Identifier: Apache-2.0
/* Copy and fill, general registers only. */
.text
.globl arch_memcpy
.type arch_memcpy, @function
arch_memcpy:
    mov x3, x0
    cmp x2, #64
    b.lo 2f
1:  ldp x4, x5, [x1]
    ldp x6, x7, [x1, #16]
    ldp x8, x9, [x1, #32]
    ldp x10, x11, [x1, #48]
    add x1, x1, #64
    stp x4, x5, [x3]
    stp x6, x7, [x3, #16]
    stp x8, x9, [x3, #32]
    stp x10, x11, [x3, #48]
    add x3, x3, #64
    sub x2, x2, #64
    cmp x2, #64
    b.hs 1b
2:  cmp x2, #8
    b.lo 3f
    ldr x4, [x1], #8
    str x4, [x3], #8
    sub x2, x2, #8
    b 2b
3:  cbz x2, 4f
    ldrb w4, [x1], #1
    strb w4, [x3], #1
    sub x2, x2, #1
    b 3b
4:  ret
.size arch_memcpy, . - arch_memcpy

.globl arch_memset
.type arch_memset, @function
arch_memset:
    mov x3, x0
    and w1, w1, #0xff
    mov x4, #0x0101010101010101
    mul x4, x1, x4
    cmp x2, #256
    b.lo 4f
    cbnz x4, 4f
    /* Zeros: whole blocks by DC ZVA, where it may be used (D7.4.8). */
    mrs x5, dczid_el0
    tbnz x5, #4, 4f
    mov x6, #4
    lsl x6, x6, x5 /* block bytes: the low four bits are log2 of words */
    cmp x6, #128
    b.hi 4f
    sub x7, x6, #1
1:  tst x3, x7 /* up to the first block */
    b.eq 2f
    strb wzr, [x3], #1
    sub x2, x2, #1
    b 1b
2:  dc zva, x3
    add x3, x3, x6
    sub x2, x2, x6
    cmp x2, x6
    b.hs 2b
4:  cmp x2, #16
    b.lo 5f
    stp x4, x4, [x3], #16
    sub x2, x2, #16
    b 4b
5:  cbz x2, 6f
    strb w4, [x3], #1
    sub x2, x2, #1
    b 5b
6:  ret
.size arch_memset, . - arch_memset
