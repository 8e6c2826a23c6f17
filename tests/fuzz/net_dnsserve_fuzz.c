// SPDX-License-Identifier: Apache-2.0
/* The resolver itself, on loopback: a VM that sends anything over UDP and TCP,
 * a server that answers anything, and both while VMs and networks come and go.
 * Nothing may be left under way, and no fd. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/dns.h"
#include "net/dns_impl.h"
#include "net/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_CONNS = 3, FUZZ_OPS = 64, FUZZ_CHUNK = 64, FUZZ_NET = 1 };

static struct fuzz {
    struct loop loop;
    struct dns *dns;
    struct sockaddr_in udp, tcp; /* where the resolver listens */
    int ask;                     /* the VM's UDP socket */
    int server;                  /* 127.0.0.77:53, or -1 */
    int conn[FUZZ_CONNS];
    const uint8_t *data;
    size_t size;
} fuzz = {.server = -1};

static uint8_t fuzz_byte(void)
{
    if (fuzz.size == 0)
        return 0;
    fuzz.size--;
    return *fuzz.data++;
}

/* At most FUZZ_CHUNK bytes of the input. */
static size_t fuzz_chunk(const uint8_t **out)
{
    size_t n = fuzz_byte() % FUZZ_CHUNK;
    n = n < fuzz.size ? n : fuzz.size;
    *out = fuzz.data;
    fuzz.data += n;
    fuzz.size -= n;
    return n;
}

static int fuzz_socket(int type, struct sockaddr_in *at)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(*at);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        (type == SOCK_STREAM && listen(fd, 16) < 0) ||
        getsockname(fd, (struct sockaddr *)at, &size) < 0)
        abort();
    return fd;
}

static void fuzz_vm(uint32_t number)
{
    struct dnszone_vm v = {.number = number,
                           .network = FUZZ_NET,
                           .name_count = 1,
                           .name = {"web"},
                           .id = "1",
                           .has4 = true,
                           .ip4 = {.b = {127, 0, 0, 1}, .prefix = 32}};
    dns_set_vm(fuzz.dns, &v);
}

static void fuzz_listen(void)
{
    const struct dnszone_network n = {.number = FUZZ_NET, .name = "n1"};
    dnszone_set_network(dns_zone(fuzz.dns), &n);
    dns_listen(fuzz.dns, FUZZ_NET, true, fuzz_socket(SOCK_DGRAM, &fuzz.udp));
    dns_listen(fuzz.dns, FUZZ_NET, false, fuzz_socket(SOCK_STREAM, &fuzz.tcp));
    if (connect(fuzz.ask, (struct sockaddr *)&fuzz.udp, sizeof(fuzz.udp)) < 0)
        abort();
}

static void fuzz_close(unsigned i)
{
    const struct linger now = {.l_onoff = 1};
    if (fuzz.conn[i] < 0)
        return;
    (void)setsockopt(fuzz.conn[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(fuzz.conn[i]);
    fuzz.conn[i] = -1;
}

static void fuzz_init(void)
{
    struct err e;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(53),
                            .sin_addr.s_addr = htonl(0x7f00004d)};
    const struct dnszone_servers s = {
        .count = 2,
        .server = {{.b = {127, 0, 0, 77}, .prefix = 32},
                   {.b = {127, 0, 0, 78}, .prefix = 32}}};
    if (loop_open(&fuzz.loop, &e) < 0 ||
        (fuzz.dns = dns_new(&fuzz.loop)) == NULL)
        abort();
    fuzz.ask = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fuzz.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fuzz.server >= 0 &&
        bind(fuzz.server, (struct sockaddr *)&a, sizeof(a)) < 0) {
        (void)close(fuzz.server); /* not root, or another fuzzer has it */
        fuzz.server = -1;
    }
    if (fuzz.server >= 0)
        dns_zone(fuzz.dns)->servers = s;
    for (unsigned i = 0; i < FUZZ_CONNS; i++)
        fuzz.conn[i] = -1;
}

/* The other server's answer: to what was asked, then as the input says. */
static void fuzz_answer(void)
{
    uint8_t m[DNSMSG_UDP_MAX + FUZZ_CHUNK];
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    const uint8_t *chunk;
    uint8_t how = fuzz_byte();
    size_t n = fuzz_chunk(&chunk);
    ssize_t got = fuzz.server < 0
                      ? -1
                      : recvfrom(fuzz.server, m, DNSMSG_UDP_MAX, MSG_DONTWAIT,
                                 (struct sockaddr *)&peer, &size);
    if (got < 2)
        return;
    size_t keep = (how & 1) != 0 ? (size_t)got : 2;
    if (keep > 3) {
        m[2] |= 0x80;
        m[3] = how >> 4;
    }
    if (n > 0)
        memcpy(m + keep, chunk, n);
    (void)sendto(fuzz.server, m, keep + n, MSG_DONTWAIT,
                 (struct sockaddr *)&peer, size);
}

static void fuzz_tcp(uint8_t op)
{
    unsigned i = op / 8U % FUZZ_CONNS;
    const uint8_t *chunk;
    size_t n = fuzz_chunk(&chunk);
    uint8_t length[2] = {0, (uint8_t)n};
    if (fuzz.conn[i] < 0) {
        fuzz.conn[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fuzz.conn[i], (struct sockaddr *)&fuzz.tcp,
                    sizeof(fuzz.tcp)) < 0)
            fuzz_close(i);
        return;
    }
    if ((op & 128) != 0)
        (void)send(fuzz.conn[i], length, 2, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)send(fuzz.conn[i], chunk, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void fuzz_op(uint8_t op)
{
    const uint8_t *chunk;
    size_t n;
    switch (op % 8) {
    case 0:
    case 1:
        n = fuzz_chunk(&chunk);
        (void)send(fuzz.ask, chunk, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 2:
    case 3: fuzz_tcp(op); break;
    case 4: fuzz_close(op / 8U % FUZZ_CONNS); break;
    case 5: fuzz_answer(); break;
    case 6:
        if ((op & 8) != 0)
            fuzz_vm(1 + (op >> 7));
        else
            dns_drop_vm(fuzz.dns, 1 + (op >> 7));
        break;
    default:
        if ((op & 0xf0) == 0) {
            dns_drop_network(fuzz.dns, FUZZ_NET);
            fuzz_listen();
        }
        (void)dns_tick(fuzz.dns);
    }
    loop_run(&fuzz.loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t m[DNSMSG_UDP_MAX];
    if (fuzz.dns == NULL)
        fuzz_init();
    fuzz.data = data;
    fuzz.size = size;
    fuzz_listen();
    fuzz_vm(1);
    for (int i = 0; i < FUZZ_OPS && fuzz.size > 0; i++)
        fuzz_op(fuzz_byte());
    for (unsigned i = 0; i < FUZZ_CONNS; i++)
        fuzz_close(i);
    dns_drop_network(fuzz.dns, FUZZ_NET);
    dns_drop_vm(fuzz.dns, 1);
    dns_drop_vm(fuzz.dns, 2);
    if (fuzz.dns->ask_count != 0 || fuzz.dns->conn_count != 0 ||
        fuzz.dns->asks != NULL || fuzz.dns->conns != NULL ||
        fuzz.dns->ears != NULL)
        abort();
    int fd = dup(0);
    if (fd > 64)
        abort();
    (void)close(fd);
    while (fuzz.server >= 0 &&
           recv(fuzz.server, m, sizeof(m), MSG_DONTWAIT) >= 0)
        continue;
    while (recv(fuzz.ask, m, sizeof(m), MSG_DONTWAIT) >= 0)
        continue;
    return 0;
}
