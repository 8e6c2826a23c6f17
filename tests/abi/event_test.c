// SPDX-License-Identifier: Apache-2.0
/* Terminals and event files: our numbers against the UAPI headers. */
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/termbits.h>
#include <assert.h>
#include <linux/eventpoll.h>
#include <linux/signalfd.h>
#include <linux/timerfd.h>
#include <stddef.h>

#include "abi/linux/poll.h"
#include "abi/linux/termios.h"

#define SAME(ours, theirs) static_assert((ours) == (theirs), #ours)
#define FIELD(ours, theirs, member, their_member)                              \
    static_assert(offsetof(struct ours, member) ==                             \
                      offsetof(struct theirs, their_member),                   \
                  #ours "." #member)

static_assert(sizeof(struct lx_epoll_event) == sizeof(struct epoll_event), "");
FIELD(lx_epoll_event, epoll_event, data, data);
static_assert(sizeof(struct lx_pollfd) == sizeof(struct pollfd), "");
FIELD(lx_pollfd, pollfd, revents, revents);
static_assert(sizeof(struct lx_signalfd_siginfo) ==
                  sizeof(struct signalfd_siginfo),
              "");
FIELD(lx_signalfd_siginfo, signalfd_siginfo, pid, ssi_pid);
FIELD(lx_signalfd_siginfo, signalfd_siginfo, status, ssi_status);
FIELD(lx_signalfd_siginfo, signalfd_siginfo, value_int, ssi_int);
FIELD(lx_signalfd_siginfo, signalfd_siginfo, value_ptr, ssi_ptr);
FIELD(lx_signalfd_siginfo, signalfd_siginfo, addr, ssi_addr);
FIELD(lx_signalfd_siginfo, signalfd_siginfo, addr_lsb, ssi_addr_lsb);
static_assert(sizeof(struct lx_termios2) == sizeof(struct termios2), "");
FIELD(lx_termios2, termios2, cc, c_cc);
FIELD(lx_termios2, termios2, ospeed, c_ospeed);

SAME(LX_EPOLL_CTL_MOD, EPOLL_CTL_MOD);
SAME(LX_EPOLLET, EPOLLET);
SAME(LX_EPOLLONESHOT, EPOLLONESHOT);
SAME(LX_EPOLLEXCLUSIVE, EPOLLEXCLUSIVE);
SAME(LX_TFD_TIMER_ABSTIME, TFD_TIMER_ABSTIME);
SAME(LX_TFD_TIMER_CANCEL_ON_SET, TFD_TIMER_CANCEL_ON_SET);

SAME(LX_TCGETS, TCGETS);
SAME(LX_TCSETSF, TCSETSF);
SAME(LX_TCSBRK, TCSBRK);
SAME(LX_TCXONC, TCXONC);
SAME(LX_TCFLSH, TCFLSH);
SAME(LX_TIOCSCTTY, TIOCSCTTY);
SAME(LX_TIOCGPGRP, TIOCGPGRP);
SAME(LX_TIOCSPGRP, TIOCSPGRP);
SAME(LX_TIOCOUTQ, TIOCOUTQ);
SAME(LX_TIOCSTI, TIOCSTI);
SAME(LX_TIOCGWINSZ, TIOCGWINSZ);
SAME(LX_TIOCSWINSZ, TIOCSWINSZ);
SAME(LX_TIOCINQ, TIOCINQ);
SAME(LX_TIOCPKT, TIOCPKT);
SAME(LX_TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHREAD);
SAME(LX_TIOCPKT_FLUSHWRITE, TIOCPKT_FLUSHWRITE);
SAME(LX_TIOCPKT_STOP, TIOCPKT_STOP);
SAME(LX_TIOCPKT_START, TIOCPKT_START);
SAME(LX_TIOCPKT_NOSTOP, TIOCPKT_NOSTOP);
SAME(LX_TIOCPKT_DOSTOP, TIOCPKT_DOSTOP);
SAME(LX_TIOCPKT_IOCTL, TIOCPKT_IOCTL);
SAME(LX_TIOCSIG, TIOCSIG);
SAME(LX_TIOCNOTTY, TIOCNOTTY);
SAME(LX_TIOCGETD, TIOCGETD);
SAME(LX_TCSBRKP, TCSBRKP);
SAME(LX_TIOCGSID, TIOCGSID);
SAME(LX_TCGETS2, TCGETS2);
SAME(LX_TCSETSF2, TCSETSF2);
SAME(LX_TIOCGPTN, TIOCGPTN);
SAME(LX_TIOCSPTLCK, TIOCSPTLCK);
SAME(LX_TIOCGDEV, TIOCGDEV);
SAME(LX_TIOCGPTPEER, TIOCGPTPEER);

SAME(LX_VINTR, VINTR);
SAME(LX_VEOF, VEOF);
SAME(LX_VMIN, VMIN);
SAME(LX_VSUSP, VSUSP);
SAME(LX_VREPRINT, VREPRINT);
SAME(LX_VWERASE, VWERASE);
SAME(LX_VLNEXT, VLNEXT);
SAME(LX_VEOL2, VEOL2);
SAME(LX_ICRNL, ICRNL);
SAME(LX_IXON, IXON);
SAME(LX_IUTF8, IUTF8);
SAME(LX_ONLCR, ONLCR);
SAME(LX_XTABS, XTABS);
SAME(LX_CREAD, CREAD);
SAME(LX_ICANON, ICANON);
SAME(LX_NOFLSH, NOFLSH);
SAME(LX_TOSTOP, TOSTOP);
SAME(LX_ECHOKE, ECHOKE);
SAME(LX_IEXTEN, IEXTEN);

int main(void)
{
    return 0;
}
