// SPDX-License-Identifier: Apache-2.0
/* connect(2) with AF_UNSPEC takes a connection from under somebody who reads
 * it: what was read is what was sent, and the socket connects again. */
#define _GNU_SOURCE
#include <pthread.h>

#include "tests/guest/conform/t_inet.h"

#define ROUNDS 600
#define SIZE   65536

static int fd;
static volatile bool over;
static char *volatile first; /* where the reader's bytes begin */
static long wrong;

static void *reader(void *arg)
{
    char *b = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    first = b;
    while (!over) {
        /* Untouched pages make the copy slow. */
        madvise(b + 4096, SIZE - 4096, MADV_DONTNEED);
        b[0] = 0;
        ssize_t n = recv(fd, b, SIZE, 0);
        for (ssize_t i = 0; i < n; i++)
            if (b[i] != b[0]) {
                wrong++;
                break;
            }
        if (n <= 0)
            sched_yield();
    }
    return arg;
}

int main(void)
{
    static char b[SIZE];
    struct sockaddr_in at;
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    pthread_t t;
    long failed = 0;

    t_begin("tcprace");
    int l = t_listener(&at);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_create(&t, NULL, reader, NULL);
    while (first == NULL)
        sched_yield();
    for (int i = 0; i < ROUNDS; i++) {
        if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
            failed++;
            continue;
        }
        int s = accept(l, NULL, NULL);
        memset(b, 1 + i % 250, sizeof(b));
        send(s, b, sizeof(b), MSG_DONTWAIT | MSG_NOSIGNAL);
        for (int k = 0; k < 100000 && *(volatile char *)first == 0; k++)
            ;
        connect(fd, &none, sizeof(none));
        close(s);
    }
    over = true;
    shutdown(fd, SHUT_RDWR);
    pthread_join(t, NULL);
    T("connects that failed", failed);
    T("reads with bytes that nobody sent", wrong);
    return 0;
}
