// SPDX-License-Identifier: Apache-2.0
/* Taps that exist, and other fds that carry frames. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/net.h"

enum { TAP_TRIES = 500, TAP_PAUSE_NS = 20000000 };

/* The MTU of an interface of this network namespace, else the default. */
static uint32_t tap_mtu(const char *name)
{
    struct ifreq r = {0};
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    if (fd < 0 || ioctl(fd, SIOCGIFMTU, &r) < 0 || r.ifr_mtu < NET_MTU_MIN ||
        r.ifr_mtu > NET_MTU_MAX)
        return NET_MTU_DEFAULT;
    return (uint32_t)r.ifr_mtu;
}

static int tap_set(int fd, const char *name)
{
    static const short kinds[] = {0, IFF_MULTI_QUEUE};
    struct ifreq r = {0};
    int code = -EINVAL;
    memcpy(r.ifr_name, name, strlen(name));
    for (size_t i = 0; i < ARRAY_COUNT(kinds) && code == -EINVAL; i++) {
        r.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | kinds[i]);
        code = ioctl(fd, TUNSETIFF, &r) < 0 ? -errno : 0;
    }
    return code;
}

int net_tap_open(const char *name, uint32_t *mtu, struct err *e)
{
    if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
        return err_set(e, -EINVAL, "tap \"%.32s\": not a name of an interface",
                       name);
    if (if_nametoindex(name) == 0) /* TUNSETIFF would make one */
        return err_set(e, -ENODEV,
                       "tap %s: no such interface: make it with `ip tuntap "
                       "add %s mode tap user $USER` and bring it up",
                       name, name);
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, -errno, "/dev/net/tun: %s", strerror(errno));
    int code = tap_set(fd, name);
    /* The monitor that had it before may still be ending. */
    for (int i = 0; i < TAP_TRIES && code == -EBUSY; i++) {
        const struct timespec pause = {.tv_nsec = TAP_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
        code = tap_set(fd, name);
    }
    if (code == -EBUSY)
        return err_set(e, code, "tap %s: another program has it open", name);
    if (code == -EPERM)
        return err_set(e, code,
                       "tap %s: it belongs to another user: make it with `ip "
                       "tuntap add %s mode tap user $USER`",
                       name, name);
    if (code == -EINVAL)
        return err_set(e, code, "tap %s: the interface is not a tap", name);
    if (code < 0)
        return err_set(e, code, "tap %s: %s", name, strerror(-code));
    *mtu = tap_mtu(name);
    return fd_release(&fd);
}

int net_tap_prepare(int fd, enum net_offload *out, struct err *e)
{
    const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    const unsigned uso = 0x60; /* TUN_F_USO4, TUN_F_USO6: Linux 6.2 */
    const int header = 12;     /* struct virtio_net_hdr_mrg_rxbuf */
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
        return err_set(e, -errno, "tap: %s", strerror(errno));
    *out = NET_OFFLOAD_USO;
    if (ioctl(fd, TUNSETOFFLOAD, tso | uso) == 0)
        return 0;
    *out = NET_OFFLOAD_TSO;
    if (ioctl(fd, TUNSETOFFLOAD, tso) == 0)
        return 0;
    *out = NET_OFFLOAD_NONE;
    (void)ioctl(fd, TUNSETOFFLOAD, 0);
    return 0;
}

static int fd_socket(int fd, enum net_frames *frames, struct err *e)
{
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return err_set(e, -errno, "fd %d: %s", fd, strerror(errno));
    *frames = type == SOCK_STREAM ? NET_FRAMES_STREAM : NET_FRAMES_PACKET;
    return 0;
}

int net_fd_frames(int fd, enum net_frames *frames, uint32_t *mtu, struct err *e)
{
    struct stat st;
    struct ifreq r = {0};
    *mtu = NET_MTU_DEFAULT;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "fd %d: %s", fd, strerror(errno));
    if (S_ISSOCK(st.st_mode))
        return fd_socket(fd, frames, e);
    if (!S_ISCHR(st.st_mode) || ioctl(fd, TUNGETIFF, &r) < 0)
        return err_set(e, -EINVAL, "fd %d: neither a tap nor a socket", fd);
    const short want = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if ((r.ifr_flags & want) != want)
        return err_set(e, -EINVAL,
                       "fd %d: the tap must be opened with IFF_TAP, "
                       "IFF_NO_PI and IFF_VNET_HDR",
                       fd);
    *frames = NET_FRAMES_TAP;
    r.ifr_name[IFNAMSIZ - 1] = '\0';
    *mtu = tap_mtu(r.ifr_name);
    return 0;
}
