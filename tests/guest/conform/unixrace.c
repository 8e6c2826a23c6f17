// SPDX-License-Identifier: Apache-2.0
/* unix(7) from many threads at once: everything is closed, connected, sent and
 * collected while others use it. Nothing is said but that it ended. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/guest/conform/t.h"

#define SLOTS   24
#define THREADS 6
#define ROUNDS  4000

static int slot[SLOTS]; /* descriptors that all threads use */

static void *racer(void *arg)
{
    unsigned seed = (unsigned)(long)arg;
    char b[4096];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int round = 0; round < ROUNDS; round++) {
        int i = rand_r(&seed) % SLOTS, j = rand_r(&seed) % SLOTS, sv[2];
        int type = types[rand_r(&seed) % 3] | SOCK_NONBLOCK;
        int fd = __atomic_load_n(&slot[i], __ATOMIC_RELAXED);
        int other = __atomic_load_n(&slot[j], __ATOMIC_RELAXED);
        snprintf(a.sun_path + 1, 20, "race%d", rand_r(&seed) % 8);
        socklen_t n = sizeof(sa_family_t) + 6;
        union {
            struct cmsghdr h;
            char room[CMSG_SPACE(sizeof(int))];
        } c = {.h = {.cmsg_len = CMSG_LEN(sizeof(int)),
                     .cmsg_level = SOL_SOCKET,
                     .cmsg_type = SCM_RIGHTS}};
        struct iovec v = {b, (size_t)(rand_r(&seed) % 4096)};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
        m.msg_controllen = sizeof(c);
        switch (rand_r(&seed) % 14) {
        case 0:
        case 1:
            if (socketpair(AF_UNIX, type, 0, sv) < 0)
                break;
            close(__atomic_exchange_n(&slot[i], sv[0], __ATOMIC_ACQ_REL));
            close(__atomic_exchange_n(&slot[j], sv[1], __ATOMIC_ACQ_REL));
            break;
        case 2:
            close(__atomic_exchange_n(&slot[i], socket(AF_UNIX, type, 0),
                                      __ATOMIC_ACQ_REL));
            break;
        case 3: bind(fd, (struct sockaddr *)&a, n); break;
        case 4: listen(fd, 3); break;
        case 5: connect(fd, (struct sockaddr *)&a, n); break;
        case 6: {
            int s = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
            if (s >= 0)
                close(__atomic_exchange_n(&slot[j], s, __ATOMIC_ACQ_REL));
            break;
        }
        case 7: send(fd, b, v.iov_len, MSG_NOSIGNAL); break;
        case 8: recv(fd, b, sizeof(b), rand_r(&seed) % 2 ? MSG_PEEK : 0); break;
        case 9:
        case 10:
            memcpy(CMSG_DATA(&c.h), &other, sizeof(int));
            SC(sendmsg, fd, &m, MSG_NOSIGNAL);
            break;
        case 11:
            v.iov_len = sizeof(b);
            if (SC(recvmsg, fd, &m, rand_r(&seed) % 2 ? MSG_PEEK : 0) >= 0 &&
                m.msg_controllen >= CMSG_LEN(sizeof(int))) {
                int got;
                memcpy(&got, CMSG_DATA(&c.h), sizeof(int));
                close(got);
            }
            break;
        case 12: {
            struct pollfd p[2] = {{fd, POLLIN | POLLOUT, 0}, {other, 7, 0}};
            poll(p, 2, rand_r(&seed) % 2);
            break;
        }
        default: shutdown(fd, rand_r(&seed) % 3); break;
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];
    t_begin("unixrace");
    for (int i = 0; i < SLOTS; i++)
        slot[i] = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, racer, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 3; i < 1024; i++)
        close(i);
    /* What is left is unreachable: a new pair must still work. */
    int sv[2];
    char b[4] = "";
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    write(sv[0], "end", 3);
    T("works", read(sv[1], b, 4));
    t_say("end", "%s", b);
    return 0;
}
