// SPDX-License-Identifier: Apache-2.0
#include "base/fdsend.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/iov.h"

int fd_send(int to, const void *data, size_t size, const int *fds, size_t count)
{
    union {
        char space[CMSG_SPACE(sizeof(int) * FD_SEND_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec v = iov_const(data, size);
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    if (count > FD_SEND_MAX)
        return -EINVAL;
    if (count > 0) {
        const size_t bytes = sizeof(int) * count;
        memset(&control, 0, CMSG_SPACE(bytes));
        h.msg_control = control.space;
        h.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(c), fds, bytes);
    }
    return sendmsg(to, &h, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
