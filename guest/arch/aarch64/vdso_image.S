// SPDX-License-Identifier: Apache-2.0
/* The vDSO as it is mapped into programs; VDSO_IMAGE: what CMake linked. */
.section .rodata
.balign 16
.globl arch_vdso_image, arch_vdso_image_end
arch_vdso_image:
    .incbin VDSO_IMAGE
arch_vdso_image_end:
