// SPDX-License-Identifier: Apache-2.0
/* Our socket structs and numbers against the headers of the building machine.
 */
#define _GNU_SOURCE
#include "abi/linux/socket.h"

#include <assert.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SAME(ours, theirs, member, their_member)                               \
    static_assert(offsetof(struct ours, member) ==                             \
                          offsetof(theirs, their_member) &&                    \
                      sizeof(((struct ours *)0)->member) ==                    \
                          sizeof(((theirs *)0)->their_member),                 \
                  #ours "." #member)
#define VALUE(name) static_assert(LX_##name == name, #name)

SAME(lx_sockaddr_un, struct sockaddr_un, path, sun_path);
SAME(lx_msghdr, struct msghdr, name, msg_name);
SAME(lx_msghdr, struct msghdr, name_size, msg_namelen);
SAME(lx_msghdr, struct msghdr, iov, msg_iov);
SAME(lx_msghdr, struct msghdr, iov_count, msg_iovlen);
SAME(lx_msghdr, struct msghdr, control, msg_control);
SAME(lx_msghdr, struct msghdr, control_size, msg_controllen);
SAME(lx_msghdr, struct msghdr, flags, msg_flags);
SAME(lx_mmsghdr, struct mmsghdr, size, msg_len);
SAME(lx_cmsghdr, struct cmsghdr, size, cmsg_len);
SAME(lx_cmsghdr, struct cmsghdr, level, cmsg_level);
SAME(lx_cmsghdr, struct cmsghdr, type, cmsg_type);
SAME(lx_ucred, struct ucred, pid, pid);
SAME(lx_ucred, struct ucred, uid, uid);
SAME(lx_ucred, struct ucred, gid, gid);
SAME(lx_linger, struct linger, on, l_onoff);
SAME(lx_linger, struct linger, seconds, l_linger);

VALUE(AF_UNIX);
VALUE(SOCK_SEQPACKET);
VALUE(SOCK_NONBLOCK);
VALUE(SOCK_CLOEXEC);
VALUE(SOL_SOCKET);
VALUE(SO_PASSCRED);
VALUE(SO_PEERCRED);
VALUE(SO_RCVLOWAT);
VALUE(SO_PEERGROUPS);
VALUE(SO_PROTOCOL);
VALUE(SO_DOMAIN);
VALUE(SO_ACCEPTCONN);
VALUE(SO_SNDBUFFORCE);
VALUE(SO_RCVBUFFORCE);
VALUE(MSG_OOB);
VALUE(MSG_PEEK);
VALUE(MSG_CTRUNC);
VALUE(MSG_TRUNC);
VALUE(MSG_DONTWAIT);
VALUE(MSG_WAITALL);
VALUE(MSG_NOSIGNAL);
VALUE(MSG_WAITFORONE);
VALUE(MSG_CMSG_CLOEXEC);
VALUE(SCM_RIGHTS);
VALUE(SCM_CREDENTIALS);
VALUE(SIOCINQ);
VALUE(SIOCOUTQ);
VALUE(SIOCATMARK);

int main(void)
{
    return 0;
}
