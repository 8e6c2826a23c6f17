// SPDX-License-Identifier: Apache-2.0
/* Signals. Source: Linux UAPI asm/signal.h, asm-generic/siginfo.h. */
#pragma once

#include "abi/abi.h"

#define LX_SIGHUP    1
#define LX_SIGINT    2
#define LX_SIGQUIT   3
#define LX_SIGILL    4
#define LX_SIGTRAP   5
#define LX_SIGABRT   6
#define LX_SIGBUS    7
#define LX_SIGFPE    8
#define LX_SIGKILL   9
#define LX_SIGUSR1   10
#define LX_SIGSEGV   11
#define LX_SIGUSR2   12
#define LX_SIGPIPE   13
#define LX_SIGALRM   14
#define LX_SIGTERM   15
#define LX_SIGSTKFLT 16
#define LX_SIGCHLD   17
#define LX_SIGCONT   18
#define LX_SIGSTOP   19
#define LX_SIGTSTP   20
#define LX_SIGTTIN   21
#define LX_SIGTTOU   22
#define LX_SIGURG    23
#define LX_SIGXCPU   24
#define LX_SIGXFSZ   25
#define LX_SIGVTALRM 26
#define LX_SIGPROF   27
#define LX_SIGWINCH  28
#define LX_SIGIO     29
#define LX_SIGPWR    30
#define LX_SIGSYS    31
#define LX_SIGRTMIN  32
#define LX_SIGRTMAX  64

#define LX_SIG_DFL UINT64_C(0)
#define LX_SIG_IGN UINT64_C(1)

#define LX_SA_NOCLDSTOP UINT64_C(0x00000001)
#define LX_SA_NOCLDWAIT UINT64_C(0x00000002)
#define LX_SA_SIGINFO   UINT64_C(0x00000004)
#define LX_SA_RESTORER  UINT64_C(0x04000000)
#define LX_SA_ONSTACK   UINT64_C(0x08000000)
#define LX_SA_RESTART   UINT64_C(0x10000000)
#define LX_SA_NODEFER   UINT64_C(0x40000000)
#define LX_SA_RESETHAND UINT64_C(0x80000000)

#define LX_SI_USER       0
#define LX_SI_KERNEL     0x80
#define LX_SI_QUEUE      (-1)
#define LX_SI_TIMER      (-2)
#define LX_SI_TKILL      (-6)
#define LX_CLD_EXITED    1
#define LX_CLD_KILLED    2
#define LX_CLD_DUMPED    3
#define LX_CLD_STOPPED   5
#define LX_CLD_CONTINUED 6
#define LX_SEGV_MAPERR   1
#define LX_SEGV_ACCERR   2
#define LX_BUS_ADRALN    1
#define LX_BUS_ADRERR    2
#define LX_FPE_INTDIV    1
#define LX_FPE_FLTDIV    3
#define LX_ILL_ILLOPN    2
#define LX_TRAP_BRKPT    1
#define LX_TRAP_TRACE    2

/* siginfo_t: three ints, padding, then what the signal kind needs. */
struct lx_siginfo {
    int32_t signo;
    int32_t err;
    int32_t code;
    int32_t pad0;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            union {
                uint64_t value; /* sigqueue */
                struct {
                    int32_t status;
                    int32_t pad;
                    int64_t utime, stime;
                } chld;
            };
        };
        struct {
            int32_t timerid;
            int32_t overrun;
            uint64_t timer_value;
        };
        struct {
            uint64_t addr; /* faults */
            int16_t addr_lsb;
        };
        struct {
            int64_t band;
            int32_t fd;
        };
        uint8_t pad[112];
    };
};
ABI_SIZE(struct lx_siginfo, 128);
ABI_AT(struct lx_siginfo, addr, 16);

struct lx_stack {
    uint64_t sp;
    int32_t flags; /* SS_* */
    int32_t pad0;
    uint64_t size;
};
#define LX_SS_ONSTACK    1
#define LX_SS_DISABLE    2
#define LX_SS_AUTODISARM INT32_MIN /* bit 31 */
ABI_SIZE(struct lx_stack, 24);
