// SPDX-License-Identifier: Apache-2.0
/* Our Linux structs against the UAPI headers of the building machine. */
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/termbits.h>
#include <assert.h>
#include <linux/stat.h>
#include <stddef.h>

#include "abi/linux/signal.h"
#include "abi/linux/stat.h"
#include "abi/linux/termios.h"

#define SAME(ours, theirs, member, their_member)                               \
    static_assert(offsetof(struct ours, member) ==                             \
                      offsetof(theirs, their_member),                          \
                  #ours "." #member);                                          \
    static_assert(sizeof(((struct ours *)0)->member) ==                        \
                      sizeof(((theirs *)0)->their_member),                     \
                  #ours "." #member)
#define SIZE(ours, theirs)                                                     \
    static_assert(sizeof(struct ours) == sizeof(theirs), #ours)

SIZE(lx_stat, struct stat);
SAME(lx_stat, struct stat, dev, st_dev);
SAME(lx_stat, struct stat, ino, st_ino);
SAME(lx_stat, struct stat, nlink, st_nlink);
SAME(lx_stat, struct stat, mode, st_mode);
SAME(lx_stat, struct stat, uid, st_uid);
SAME(lx_stat, struct stat, rdev, st_rdev);
SAME(lx_stat, struct stat, size, st_size);
SAME(lx_stat, struct stat, blksize, st_blksize);
SAME(lx_stat, struct stat, blocks, st_blocks);

SIZE(lx_statx, struct statx);
SAME(lx_statx, struct statx, mask, stx_mask);
SAME(lx_statx, struct statx, mode, stx_mode);
SAME(lx_statx, struct statx, ino, stx_ino);
SAME(lx_statx, struct statx, atime, stx_atime);
SAME(lx_statx, struct statx, mtime, stx_mtime);
SAME(lx_statx, struct statx, rdev_major, stx_rdev_major);
SAME(lx_statx, struct statx, mnt_id, stx_mnt_id);

SIZE(lx_statfs, struct statfs);
SAME(lx_statfs, struct statfs, type, f_type);
SAME(lx_statfs, struct statfs, namelen, f_namelen);
SAME(lx_statfs, struct statfs, flags, f_flags);

SIZE(lx_siginfo, siginfo_t);
SAME(lx_siginfo, siginfo_t, signo, si_signo);
SAME(lx_siginfo, siginfo_t, code, si_code);
SAME(lx_siginfo, siginfo_t, pid, si_pid);
SAME(lx_siginfo, siginfo_t, uid, si_uid);
SAME(lx_siginfo, siginfo_t, chld.status, si_status);
SAME(lx_siginfo, siginfo_t, chld.utime, si_utime);
SAME(lx_siginfo, siginfo_t, value, si_value);
SAME(lx_siginfo, siginfo_t, addr, si_addr);
SAME(lx_siginfo, siginfo_t, timerid, si_tid);
SAME(lx_siginfo, siginfo_t, band, si_band);
SAME(lx_siginfo, siginfo_t, fd, si_fd);

SIZE(lx_stack, stack_t);
SAME(lx_stack, stack_t, flags, ss_flags);
SAME(lx_stack, stack_t, size, ss_size);

SIZE(lx_termios, struct termios);
SAME(lx_termios, struct termios, lflag, c_lflag);
SAME(lx_termios, struct termios, cc, c_cc);

int main(void)
{
    return 0;
}
