// SPDX-License-Identifier: Apache-2.0
/* Our system call numbers against the header of the machine that builds us.
 * Only numbers that both know: an older header lacks newer calls. */
#include "abi/linux/x86_64/nr.h"

#include <assert.h>
#include <sys/syscall.h>

#define SAME(name) static_assert(LX_NR_##name == SYS_##name, #name)

SAME(read);
SAME(write);
SAME(mmap);
SAME(rt_sigaction);
SAME(rt_sigreturn);
SAME(clone);
SAME(fork);
SAME(execve);
SAME(exit);
SAME(wait4);
SAME(futex);
SAME(epoll_wait);
SAME(openat);
SAME(getdents64);
SAME(exit_group);
SAME(renameat2);
SAME(statx);
SAME(clone3);
SAME(faccessat2);
SAME(epoll_pwait2);
SAME(futex_waitv);

int main(void)
{
    return 0;
}
