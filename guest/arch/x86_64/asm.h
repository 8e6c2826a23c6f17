// SPDX-License-Identifier: Apache-2.0
/* Constants that assembly shares with C; x86.c asserts the offsets. */
#pragma once

#define X86_CS_KERNEL 0x10
#define X86_SS_KERNEL 0x18
#define X86_SS_USER   0x2b
#define X86_CS_USER   0x33
#define X86_TSS       0x38

/* struct arch_cpu, from GS base */
#define CPU_KERNEL_SP 8
#define CPU_USER_SP   16

/* struct arch_regs */
#define REGS_SIZE   176
#define REGS_NR     120
#define REGS_CS     144
#define REGS_RFLAGS 152
#define REGS_RSP    160

/* RFLAGS */
#define X86_TF 0x100
#define X86_IF 0x200
#define X86_DF 0x400
#define X86_NT 0x4000
#define X86_RF 0x10000
#define X86_AC 0x40000

/* PVM soft instructions, platform/pvm.md 2.4 */
#define PVM_ERETU     0x17 /* to user by the frame at rsp */
#define PVM_SYSRET    0x19 /* to user: rip = rcx, rflags = r11 */
#define PVM_HYPERCALL 0x1b

#define PVM_HC_SET_CR3    4097
#define PVM_HC_WRMSR      4099
#define PVM_HC_FLUSH_ALL  4103
#define PVM_HC_FLUSH_ONE  4104
#define PVM_HC_HALT       4105
#define PVM_HC_FLUSH_CPUS 4110

#define MSR_APIC_BASE 0x1b
#define MSR_DEADLINE  0x6e0
#define MSR_X2APIC    0x800
#define MSR_EFER      0xc0000080
#define MSR_STAR      0xc0000081
#define MSR_LSTAR     0xc0000082
#define MSR_SFMASK    0xc0000084
#define MSR_FS_BASE   0xc0000100
#define MSR_GS_BASE   0xc0000101
#define MSR_GS_USER   0xc0000102

/* Vectors */
#define VEC_NMI      2
#define VEC_DF       8
#define VEC_PF       14
#define VEC_MC       18
#define VEC_TIMER    0x40
#define VEC_DEVICE   0x50 /* .. 0xef */
#define VEC_KICK     0xf1
#define VEC_FLUSH    0xf2
#define VEC_SPURIOUS 0xff
