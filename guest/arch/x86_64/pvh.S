// SPDX-License-Identifier: Apache-2.0
/*
 * PVH entry for plain QEMU: 32-bit protected mode, no paging, ebx = struct
 * hvm_start_info. Saves what qemu.c needs, builds the boot tables of
 * abi/boot.h (4 GiB of physmap) in low memory and goes to _start with no
 * boot_info.
 */
#include "guest/arch/x86_64/asm.h"
#include "guest/arch/x86_64/pvh.h"

#define PA(sym) ((sym) - 0xffffffff80000000)

#define LEAF  0x83 /* present, writable, 2 MiB */
#define TABLE 0x03

/* hvm_start_info */
#define HVM_MODULES   12
#define HVM_MODLIST   16
#define HVM_MAP       40
#define HVM_MAP_COUNT 48

.section .note.pvh, "a", @note
.balign 4
.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
.asciz "Xen"
.balign 4
.long PA(pvh_start)

.text
.code32
.type pvh_start, @function
pvh_start:
    cld
    mov HVM_MAP_COUNT(%ebx), %ecx
    cmp $PVH_MAP_MAX, %ecx
    jbe 1f
    mov $PVH_MAP_MAX, %ecx
1:  mov %ecx, PA(pvh_info)
    imul $6, %ecx, %ecx /* 24 bytes each */
    mov HVM_MAP(%ebx), %esi
    mov $PA(pvh_info) + 40, %edi
    rep movsl
    mov HVM_MODULES(%ebx), %ecx
    mov %ecx, PA(pvh_info) + 4
    test %ecx, %ecx
    jz 2f
    mov HVM_MODLIST(%ebx), %esi
    mov $PA(pvh_info) + 8, %edi
    mov $8, %ecx
    rep movsl

2:  xor %eax, %eax
    mov $PVH_ROOT, %edi
    mov $(PVH_L2 - PVH_ROOT) / 4, %ecx
    rep stosl
    /* Slot 0, the identity, lasts until long mode is on. */
    movl $PVH_PHYSMAP_L3 + TABLE, PVH_ROOT
    movl $PVH_PHYSMAP_L3 + TABLE, PVH_ROOT + 273 * 8
    movl $PVH_KERNEL_L3 + TABLE, PVH_ROOT + 511 * 8
    movl $PVH_L2 + TABLE, PVH_KERNEL_L3 + 510 * 8
    movl $PVH_L2 + TABLE, PVH_PHYSMAP_L3
    movl $PVH_L2 + 0x1000 + TABLE, PVH_PHYSMAP_L3 + 8
    movl $PVH_L2 + 0x2000 + TABLE, PVH_PHYSMAP_L3 + 16
    movl $PVH_L2 + 0x3000 + TABLE, PVH_PHYSMAP_L3 + 24
    mov $PVH_L2, %edi
    mov $LEAF, %eax
    mov $2048, %ecx
3:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    dec %ecx
    jnz 3b

    mov %cr4, %eax
    or $0x20, %eax /* PAE */
    mov %eax, %cr4
    mov $PVH_ROOT, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $0x901, %eax /* SCE, LME, NXE */
    wrmsr
    mov %cr0, %eax
    or $0x80010001, %eax /* PG, WP, PE */
    mov %eax, %cr0
    lgdt PA(pvh_gdt_ptr)
    ljmp $X86_CS_KERNEL, $PA(pvh_long)

.code64
pvh_long:
    mov $X86_SS_KERNEL, %eax
    mov %eax, %ss
    movabs $4f, %rax
    jmp *%rax
4:  movabs $0xffff888000000000 + PVH_STACK, %rsp
    movabs $0xffff888000000000 + PVH_ROOT, %rax
    movq $0, (%rax)
    mov %cr3, %rax
    mov %rax, %cr3
    xor %edi, %edi
    xor %esi, %esi
    jmp _start
.size pvh_start, . - pvh_start

.section .rodata
.balign 8
pvh_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff /* X86_CS_KERNEL */
    .quad 0x00cf93000000ffff /* X86_SS_KERNEL */
pvh_gdt_ptr:
    .word 31
    .long PA(pvh_gdt)

.bss
.balign 8
.globl pvh_info
pvh_info:
    .skip 40 + 24 * PVH_MAP_MAX
