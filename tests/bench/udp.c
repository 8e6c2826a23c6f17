// SPDX-License-Identifier: Apache-2.0
/*
 * UDP round trips: bench-udp serve PORT echoes; bench-udp ask IPV4 PORT COUNT
 * prints the median and the 99th percentile of COUNT turns in microseconds.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TURNS_MAX = 100000, WARM_UP = 100, MESSAGE = 64 };

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int serve(int fd, struct sockaddr_in *a)
{
    char m[2048];
    if (bind(fd, (struct sockaddr *)a, sizeof(*a)) < 0) {
        perror("bind");
        return 1;
    }
    for (;;) {
        socklen_t len = sizeof(*a);
        ssize_t n = recvfrom(fd, m, sizeof(m), 0, (struct sockaddr *)a, &len);
        if (n >= 0)
            (void)!sendto(fd, m, (size_t)n, 0, (struct sockaddr *)a, len);
    }
}

static int ask(int fd, const struct sockaddr_in *a, int count)
{
    static double turns[TURNS_MAX];
    const struct timeval limit = {.tv_sec = 1};
    char m[MESSAGE] = {0};
    int lost = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0) {
        perror("connect");
        return 1;
    }
    for (int i = -WARM_UP; i < count; i++) {
        double from = now_us();
        if (write(fd, m, sizeof(m)) < 0 || read(fd, m, sizeof(m)) < 0)
            lost++;
        if (i >= 0)
            turns[i] = now_us() - from;
    }
    qsort(turns, (size_t)count, sizeof(*turns), compare);
    (void)printf("%.1f %.1f\n", turns[count / 2], turns[count * 99 / 100]);
    return lost > count / 100;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (argc == 3 && strcmp(argv[1], "serve") == 0) {
        a.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
        return serve(fd, &a);
    }
    int count = argc == 5 ? (int)strtol(argv[4], NULL, 10) : 0;
    if (count < 1 || count > TURNS_MAX ||
        inet_pton(AF_INET, argv[2], &a.sin_addr) != 1) {
        (void)fprintf(stderr, "bench-udp serve PORT | ask IPV4 PORT COUNT\n");
        return 2;
    }
    a.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
    return ask(fd, &a, count);
}
