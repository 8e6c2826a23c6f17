// SPDX-License-Identifier: Apache-2.0
/* What a guest may ask of passt: pure judgement of frames. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/auto.h"
#include "net/gate.h"
#include "net/plan.h"

enum {
    ETH_SIZE = 14,
    IP4_SIZE = 20,
    IP6_SIZE = 40,
    PORTS_SIZE = 4,
    TCP_SIZE = 20,
    TCP_FLAGS_AT = 13,
    TCP_WINDOW = 255, /* of passt's first 64 KiB, which it scales by 8 bits */
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    DISCARD_PORT = 9, /* RFC 863 */
    TCP_ACK = 0x10,
    ECHO_REQUEST = 8,     /* RFC 792 */
    ECHO_REQUEST6 = 128,  /* RFC 4443, 4.1 */
    ROUTER_SOLICIT = 133, /* RFC 4861, 4.1 */
    NEIGHBOR_SOLICIT = 135,
    TYPE_IP4 = 0x0800,
    TYPE_ARP = 0x0806,
    TYPE_IP6 = 0x86dd,
};

/* Never reached, whatever the routes say: this host, its link, groups, and
 * where clouds keep credentials. A connection to 0.0.0.0 or :: is one to
 * loopback, one to a mapped address is IPv4. */
static const struct net_addr gate_closed[] = {
    {false, {0}, 8},
    {false, {127}, 8},
    {false, {169, 254}, 16},
    {false, {224}, 3},
    {true, {0}, 96},
    {true, {[10] = 0xff, [11] = 0xff}, 96},
    {true, {0xfe, 0x80}, 10},
    {true, {0xff}, 8},
    {true, {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128},
};

/* A packet, borrowed from its frame. */
struct gate_packet {
    struct net_addr src, dst;
    uint8_t protocol;
    const uint8_t *data; /* what follows the IP header */
    size_t size;
};

static uint16_t gate_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static struct net_addr gate_addr(const uint8_t *at, bool v6)
{
    struct net_addr a = {.v6 = v6, .prefix = v6 ? 128 : 32};
    memcpy(a.b, at, v6 ? 16 : 4);
    return a;
}

/* No fragments: their later parts carry no ports, and passt knows none. */
static bool packet_read4(const uint8_t *ip, size_t size, struct gate_packet *p)
{
    if (size < IP4_SIZE || ip[0] >> 4 != 4)
        return false;
    size_t head = (size_t)(ip[0] & 15) * 4;
    size_t total = gate_u16(ip + 2);
    if (head < IP4_SIZE || total > size || head > total ||
        (gate_u16(ip + 6) & 0x3fff) != 0)
        return false;
    *p = (struct gate_packet){.src = gate_addr(ip + 12, false),
                              .dst = gate_addr(ip + 16, false),
                              .protocol = ip[9],
                              .data = ip + head,
                              .size = total - head};
    return true;
}

/* No extension headers: they are protocols that nobody passes. */
static bool packet_read6(const uint8_t *ip, size_t size, struct gate_packet *p)
{
    if (size < IP6_SIZE || ip[0] >> 4 != 6)
        return false;
    size_t length = gate_u16(ip + 4);
    if (length > size - IP6_SIZE)
        return false;
    /* Whoever asks whether somebody has its address: nobody has, and passt
     * would take "::" for the guest's. */
    static const uint8_t none[16];
    if (memcmp(ip + 8, none, sizeof(none)) == 0)
        return false;
    *p = (struct gate_packet){.src = gate_addr(ip + 8, true),
                              .dst = gate_addr(ip + 24, true),
                              .protocol = ip[6],
                              .data = ip + IP6_SIZE,
                              .size = length};
    return true;
}

static bool packet_read(const uint8_t *frame, size_t size,
                        struct gate_packet *p)
{
    if (size < ETH_SIZE)
        return false;
    uint16_t type = gate_u16(frame + 12);
    if (type == TYPE_IP4)
        return packet_read4(frame + ETH_SIZE, size - ETH_SIZE, p);
    return type == TYPE_IP6 &&
           packet_read6(frame + ETH_SIZE, size - ETH_SIZE, p);
}

static bool gate_is_closed(const struct net_addr *a)
{
    for (size_t i = 0; i < ARRAY_COUNT(gate_closed); i++)
        if (plan_contains(&gate_closed[i], a))
            return true;
    return false;
}

static enum gate_verdict judge_dst(const struct gate_rules *r,
                                   const struct net_addr *dst)
{
    bool within = !r->limited;
    for (unsigned i = 0; i < r->count && !within; i++)
        within = plan_contains(&r->range[i], dst);
    return within && !gate_is_closed(dst) ? GATE_ASK : GATE_DROP;
}

static enum gate_verdict judge_icmp(const struct gate_rules *r,
                                    const struct gate_packet *p)
{
    if (p->size == 0)
        return GATE_DROP;
    if (p->protocol == IPPROTO_ICMP && !p->dst.v6)
        return p->data[0] == ECHO_REQUEST ? judge_dst(r, &p->dst) : GATE_DROP;
    if (p->protocol != IPPROTO_ICMPV6 || !p->dst.v6)
        return GATE_DROP;
    /* passt answers these itself. */
    if (p->data[0] == NEIGHBOR_SOLICIT || p->data[0] == ROUTER_SOLICIT)
        return GATE_PASS;
    return p->data[0] == ECHO_REQUEST6 ? judge_dst(r, &p->dst) : GATE_DROP;
}

enum gate_verdict gate_judge(const struct gate_rules *r, const uint8_t *frame,
                             size_t size, struct gate_frame *out)
{
    struct gate_packet p;
    *out = (struct gate_frame){0};
    if (size >= ETH_SIZE && gate_u16(frame + 12) == TYPE_ARP)
        return GATE_PASS; /* passt answers it itself */
    if (!packet_read(frame, size, &p))
        return GATE_DROP;
    out->dst = p.dst;
    if (p.protocol == IPPROTO_TCP) {
        if (p.size <= TCP_FLAGS_AT)
            return GATE_DROP;
        uint8_t flags = p.data[TCP_FLAGS_AT] & (TCP_SYN | TCP_ACK);
        return flags != TCP_SYN ? GATE_PASS : judge_dst(r, &p.dst);
    }
    if (p.protocol != IPPROTO_UDP)
        return judge_icmp(r, &p);
    if (p.size < PORTS_SIZE)
        return GATE_DROP;
    out->udp = true;
    out->flow = (struct gate_flow){.peer = p.dst,
                                   .peer_port = gate_u16(p.data + 2),
                                   .port = gate_u16(p.data)};
    return judge_dst(r, &p.dst);
}

bool gate_learn(const uint8_t *frame, size_t size, struct gate_flow *out)
{
    struct gate_packet p;
    if (!packet_read(frame, size, &p) || p.protocol != IPPROTO_UDP ||
        p.size < PORTS_SIZE)
        return false;
    *out = (struct gate_flow){.peer = p.src,
                              .peer_port = gate_u16(p.data),
                              .port = gate_u16(p.data + 2)};
    return true;
}

static uint32_t gate_u32(const uint8_t *at)
{
    return (uint32_t)gate_u16(at) << 16 | gate_u16(at + 2);
}

bool gate_segment(const uint8_t *frame, size_t size, bool outward,
                  struct gate_segment *out)
{
    struct gate_packet p;
    if (!packet_read(frame, size, &p) || p.protocol != IPPROTO_TCP ||
        p.size < TCP_SIZE)
        return false;
    size_t head = (size_t)(p.data[12] >> 4) * 4;
    uint8_t flags = p.data[TCP_FLAGS_AT];
    if (head < TCP_SIZE || head > p.size)
        return false;
    uint16_t from = gate_u16(p.data);
    uint16_t to = gate_u16(p.data + 2);
    *out = (struct gate_segment){.flow = {.peer = outward ? p.dst : p.src,
                                          .peer_port = outward ? to : from,
                                          .port = outward ? from : to},
                                 .syn = (flags & TCP_SYN) != 0,
                                 .fin = (flags & TCP_FIN) != 0,
                                 .rst = (flags & TCP_RST) != 0,
                                 .ack = gate_u32(p.data + 8)};
    out->end = gate_u32(p.data + 4) + (uint32_t)(p.size - head) + out->fin;
    return true;
}

/* RFC 1071; `sum` so far. */
static uint32_t gate_sum(const uint8_t *at, size_t size, uint32_t sum)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += gate_u16(at + i);
    return sum;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    at[0] = (uint8_t)(sum >> 8);
    at[1] = (uint8_t)sum;
}

/* What does not depend on the addresses. */
static void ack_tcp(const uint8_t *syn, uint8_t *out)
{
    uint32_t next = (uint32_t)gate_u16(syn + 4) << 16 | gate_u16(syn + 6);
    next++;
    memcpy(out, syn + 2, 2);
    memcpy(out + 2, syn, 2);
    memcpy(out + 4, syn + 8, 4);
    for (int i = 0; i < 4; i++)
        out[8 + i] = (uint8_t)(next >> (24 - 8 * i));
    out[12] = TCP_SIZE / 4 << 4;
    out[TCP_FLAGS_AT] = TCP_ACK;
    out[15] = TCP_WINDOW;
}

static bool packet_opens(const struct gate_packet *p)
{
    const uint8_t both = TCP_SYN | TCP_ACK;
    return p->protocol == IPPROTO_TCP && p->size >= TCP_SIZE &&
           (p->data[TCP_FLAGS_AT] & both) == both;
}

bool gate_opens(const uint8_t *frame, size_t size)
{
    struct gate_packet p;
    return packet_read(frame, size, &p) && packet_opens(&p);
}

size_t gate_ack(const uint8_t *frame, size_t size, uint8_t out[GATE_ACK_MAX])
{
    struct gate_packet p;
    if (!packet_read(frame, size, &p) || !packet_opens(&p))
        return 0;
    memset(out, 0, GATE_ACK_MAX);
    memcpy(out, frame + 6, 6);
    memcpy(out + 6, frame, 6);
    memcpy(out + 12, frame + 12, 2);
    uint8_t *ip = out + ETH_SIZE;
    size_t head = p.dst.v6 ? IP6_SIZE : IP4_SIZE;
    size_t addresses = p.dst.v6 ? 8 : 12; /* where they begin */
    size_t each = p.dst.v6 ? 16 : 4;
    memcpy(ip + addresses, p.dst.b, each);
    memcpy(ip + addresses + each, p.src.b, each);
    if (p.dst.v6) {
        ip[0] = 0x60;
        ip[5] = TCP_SIZE;
        ip[6] = IPPROTO_TCP;
        ip[7] = 255; /* hops */
    } else {
        ip[0] = 0x45;
        ip[3] = IP4_SIZE + TCP_SIZE;
        ip[8] = 255;
        ip[9] = IPPROTO_TCP;
        put_sum(ip + 10, gate_sum(ip, IP4_SIZE, 0));
    }
    uint8_t *tcp = ip + head;
    ack_tcp(p.data, tcp);
    put_sum(tcp + 16, gate_sum(tcp, TCP_SIZE,
                               gate_sum(ip + addresses, 2 * each,
                                        IPPROTO_TCP + TCP_SIZE)));
    return ETH_SIZE + head + TCP_SIZE;
}

size_t gate_introduce(uint8_t *frame, size_t size)
{
    static const uint8_t none[16];
    enum { TARGET_AT = ETH_SIZE + IP6_SIZE + 8 };
    static_assert(TARGET_AT + 16 >= ETH_SIZE + IP6_SIZE + TCP_SIZE, "in place");
    uint8_t *ip = frame + ETH_SIZE;
    uint8_t *tcp = ip + IP6_SIZE;
    if (size < TARGET_AT + 16 || gate_u16(frame + 12) != TYPE_IP6 ||
        ip[0] >> 4 != 6 || ip[6] != IPPROTO_ICMPV6 ||
        memcmp(ip + 8, none, sizeof(none)) != 0 || tcp[0] != NEIGHBOR_SOLICIT ||
        frame[TARGET_AT] != 0xfe || (frame[TARGET_AT + 1] & 0xc0) != 0x80)
        return 0;
    memcpy(ip + 8, frame + TARGET_AT, 16);
    memcpy(ip + 24, frame + TARGET_AT, 16);
    ip[4] = 0;
    ip[5] = TCP_SIZE;
    ip[6] = IPPROTO_TCP;
    memset(tcp, 0, TCP_SIZE);
    tcp[1] = tcp[3] = DISCARD_PORT;
    tcp[12] = TCP_SIZE / 4 << 4;
    tcp[TCP_FLAGS_AT] = TCP_RST;
    put_sum(tcp + 16, gate_sum(ip + 8, 32 + TCP_SIZE, IPPROTO_TCP + TCP_SIZE));
    return ETH_SIZE + IP6_SIZE + TCP_SIZE;
}

int gate_parse(struct gate_rules *r, int argc, char **argv, char ***passt)
{
    int end = 1;
    *r = (struct gate_rules){.limited =
                                 argc > 0 && strcmp(argv[0], "limited") == 0};
    if (argc < 1 || (!r->limited && strcmp(argv[0], "open") != 0))
        return -EINVAL;
    while (end < argc && strcmp(argv[end], "--") != 0)
        end++;
    *passt = end + 1 < argc ? argv + end + 1 : NULL;
    if (end - 1 > (r->limited ? GATE_RANGES_MAX : 0))
        return -EINVAL;
    for (int i = 1; i < end; i++)
        if (net_addr_parse(argv[i], &r->range[r->count++]) < 0)
            return -EINVAL;
    return 0;
}
