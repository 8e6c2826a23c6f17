// SPDX-License-Identifier: Apache-2.0
/*
 * One TCP stream whose bytes are known: net_flow take PORT, net_flow give IPV4
 * PORT MIB [CONGESTION]. Each prints one line of JSON: bytes, wrong ones,
 * seconds, and what TCP_INFO counts. The taker's answer is a byte when it has
 * seen the end.
 */
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PART = 1 << 18, PERIOD = 251 * 256 };

static uint8_t part[PART + PERIOD], pattern[PART + PERIOD];

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_pattern(void)
{
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i % PERIOD % 251 + i % PERIOD / 251);
}

static void report(int fd, uint64_t bytes, uint64_t wrong, double seconds)
{
    struct tcp_info i = {0};
    socklen_t len = sizeof(i);
    (void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len);
    (void)printf("{\"bytes\":%lu,\"wrong\":%lu,\"seconds\":%.6f,"
                 "\"retrans\":%u,\"dsacks\":%u,\"sack\":%d,\"reordering\":%u,"
                 "\"ooo\":%u,\"cwnd\":%u,\"rtt\":%u,\"state\":%u}\n",
                 bytes, wrong, seconds, i.tcpi_total_retrans, i.tcpi_dsack_dups,
                 (i.tcpi_options & TCPI_OPT_SACK) != 0, i.tcpi_reord_seen,
                 i.tcpi_rcv_ooopack, i.tcpi_snd_cwnd, i.tcpi_rtt,
                 i.tcpi_ca_state);
}

static int take(struct sockaddr_in *a)
{
    const int on = 1;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(l, (struct sockaddr *)a, sizeof(*a)) < 0 || listen(l, 8) < 0) {
        perror("listen");
        return 1;
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    int s = accept(l, NULL, NULL);
    double from = now_s();
    uint64_t bytes = 0, wrong = 0;
    ssize_t n;
    while ((n = read(s, part, PART)) > 0) {
        if (memcmp(part, pattern + bytes % PERIOD, (size_t)n) != 0)
            wrong += (uint64_t)n;
        bytes += (uint64_t)n;
    }
    (void)!write(s, "x", 1);
    report(s, bytes, wrong, now_s() - from);
    /* Until it arrived: a VM that ends repeats nothing. */
    const struct linger wait = {.l_onoff = 1, .l_linger = 30};
    (void)setsockopt(s, SOL_SOCKET, SO_LINGER, &wait, sizeof(wait));
    (void)close(s);
    return n < 0;
}

static int give(const struct sockaddr_in *a, uint64_t mib, const char *cc)
{
    int s = -1;
    for (int i = 0; i < 100; i++) {
        s = socket(AF_INET, SOCK_STREAM, 0);
        if (cc != NULL && setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, cc,
                                     (socklen_t)strlen(cc)) < 0) {
            perror(cc);
            return 1;
        }
        if (connect(s, (const struct sockaddr *)a, sizeof(*a)) == 0)
            break;
        (void)close(s);
        (void)usleep(100000);
    }
    double from = now_s();
    uint64_t bytes = 0;
    while (bytes < mib << 20) {
        uint64_t left = (mib << 20) - bytes;
        ssize_t n = write(s, pattern + bytes % PERIOD,
                          left < PART ? (size_t)left : PART);
        if (n <= 0) {
            perror("write");
            return 1;
        }
        bytes += (uint64_t)n;
    }
    (void)shutdown(s, SHUT_WR);
    ssize_t end = read(s, part, 1);
    report(s, bytes, end != 1, now_s() - from);
    return end != 1;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    bool giver = argc >= 5 && strcmp(argv[1], "give") == 0;
    if (!giver && (argc != 3 || strcmp(argv[1], "take") != 0)) {
        (void)fprintf(stderr, "net_flow take PORT | give IPV4 PORT MIB [CC]\n");
        return 2;
    }
    make_pattern();
    a.sin_port = htons((uint16_t)strtoul(argv[giver ? 3 : 2], NULL, 10));
    if (!giver)
        return take(&a);
    (void)inet_pton(AF_INET, argv[2], &a.sin_addr);
    return give(&a, strtoull(argv[4], NULL, 10), argv[5]);
}
