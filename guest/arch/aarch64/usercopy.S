// SPDX-License-Identifier: Apache-2.0
/*
 * Access to user memory that may fault. Each faulting instruction has an
 * entry {instruction, where to go on} in the section extable, both relative
 * to their own place. With PAN user memory is open only in between; an
 * exception closes it and its return opens it again (SCTLR_EL1.SPAN).
 */
.macro EXTABLE at, to
    .pushsection extable, "a"
    .balign 4
    .long \at - .
    .long \to - .
    .popsection
.endm

/* MSR PAN, #imm (C5.2.17): not known to ARMv8.0 assemblers. */
.macro PAN on
    .inst 0xd500409f | (\on << 8)
.endm

.macro USER_OPEN
    adrp x9, arch_pan
    ldrb w9, [x9, #:lo12:arch_pan]
    cbz w9, 77f
    PAN 0
77:
.endm
.macro USER_CLOSE
    cbz w9, 78f
    PAN 1
78:
.endm

.text
/* size_t arch_copy_user(void *to, const void *from, size_t n) */
.globl arch_copy_user
.type arch_copy_user, @function
arch_copy_user:
    USER_OPEN
    /* x2: bytes left, exact at each access that may fault */
    cmp x2, #32
    b.lo 4f
1:  ldp x3, x4, [x1]
2:  ldp x5, x6, [x1, #16]
3:  stp x3, x4, [x0]
30: stp x5, x6, [x0, #16]
    add x1, x1, #32
    add x0, x0, #32
    sub x2, x2, #32
    cmp x2, #32
    b.hs 1b
4:  cmp x2, #8
    b.lo 7f
5:  ldr x3, [x1]
6:  str x3, [x0]
    add x1, x1, #8
    add x0, x0, #8
    sub x2, x2, #8
    b 4b
    /* A wider access that failed: its first bytes may still be copied. */
7:  cbz x2, 9f
8:  ldrb w3, [x1]
80: strb w3, [x0]
    add x1, x1, #1
    add x0, x0, #1
    sub x2, x2, #1
    b 7b
9:  USER_CLOSE
    mov x0, x2
    ret
    EXTABLE 1b, 7b
    EXTABLE 2b, 7b
    EXTABLE 3b, 7b
    EXTABLE 30b, 7b
    EXTABLE 5b, 7b
    EXTABLE 6b, 7b
    EXTABLE 8b, 9b
    EXTABLE 80b, 9b
.size arch_copy_user, . - arch_copy_user

/* int arch_user_load32(uint64_t at, uint32_t *out) */
.globl arch_user_load32
.type arch_user_load32, @function
arch_user_load32:
    USER_OPEN
1:  ldr w3, [x0]
    str w3, [x1]
    mov w0, #0
2:  USER_CLOSE
    ret
3:  mov w0, #-14
    b 2b
    EXTABLE 1b, 3b
.size arch_user_load32, . - arch_user_load32

/* int arch_user_cmpxchg32(uint64_t at, uint32_t expect, uint32_t desired,
 *                         uint32_t *old); a full barrier when it writes */
.globl arch_user_cmpxchg32
.type arch_user_cmpxchg32, @function
arch_user_cmpxchg32:
    USER_OPEN
1:  ldxr w4, [x0]
    cmp w4, w1
    b.ne 3f
2:  stlxr w5, w2, [x0]
    cbnz w5, 1b
    dmb ish
3:  str w4, [x3]
    mov w0, #0
4:  USER_CLOSE
    ret
5:  mov w0, #-14
    b 4b
    EXTABLE 1b, 5b
    EXTABLE 2b, 5b
.size arch_user_cmpxchg32, . - arch_user_cmpxchg32
