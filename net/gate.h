// SPDX-License-Identifier: Apache-2.0
/*
 * The gate, `limpet-net gate`: one process between a VM and its passt. passt
 * opens whatever connection a guest asks for with the rights of the user, the
 * host's loopback included; so what a frame wants is judged here first. It
 * lives as long as both ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

enum { GATE_RANGES_MAX = 32 };

struct gate_rules {
    bool limited; /* --egress: only these ranges */
    unsigned count;
    struct net_addr range[GATE_RANGES_MAX];
};

enum gate_verdict {
    GATE_DROP = 1,
    GATE_PASS,
    GATE_ASK, /* pass it if *dst is no address of this host */
};

/* A datagram's other end, seen from the guest. */
struct gate_flow {
    struct net_addr peer;
    uint16_t peer_port, port;
};

struct gate_frame {
    struct net_addr dst;
    bool udp;
    struct gate_flow flow; /* of UDP */
};

/*
 * Judge a frame from the guest (Ethernet, not trusted). Fills *out. TCP that
 * opens nothing needs no judgement: passt makes connections of SYNs alone.
 * A UDP frame that is dropped may be an answer: `flow` says to whom.
 */
enum gate_verdict gate_judge(const struct gate_rules *r, const uint8_t *frame,
                             size_t size, struct gate_frame *out);
/* A UDP frame to the guest: who may be answered. false: it is no such. */
bool gate_learn(const uint8_t *frame, size_t size, struct gate_flow *out);

/* What a TCP segment says of its connection. */
struct gate_segment {
    struct gate_flow flow;
    bool syn, fin, rst;
    uint32_t ack, end; /* end: the sequence number after it */
};
/* false: it is none. `outward`: from the guest. */
bool gate_segment(const uint8_t *frame, size_t size, bool outward,
                  struct gate_segment *out);

/*
 * A guest that asks whether somebody has its link-local address (RFC 4862,
 * 5.4): the frame becomes a TCP reset from it, which belongs to nothing, but
 * from which passt learns the address. Connections from ::1 need it. Returns
 * the new size, which is smaller, or 0.
 */
size_t gate_introduce(uint8_t *frame, size_t size);

/* Is it a SYN-ACK? */
bool gate_opens(const uint8_t *frame, size_t size);
enum { GATE_ACK_MAX = 74 };
/*
 * If the frame from the guest is a SYN-ACK: the ACK that completes the
 * handshake. passt of 2023-03 (Debian bookworm) sends none before its side has
 * data, and whoever waits for the server's first word waits for ever. Returns
 * its size, or 0.
 */
size_t gate_ack(const uint8_t *frame, size_t size, uint8_t out[GATE_ACK_MAX]);

/* "open", or "limited" and ranges, then "--" and passt's command (*passt; NULL
 * without). What is not understood is -EINVAL. */
int gate_parse(struct gate_rules *r, int argc, char **argv, char ***passt);

/*
 * The process's life between the VM (fd 3, a stream socket) and passt (fd 4,
 * the same): `passt` is its command, which gets fd 5 as its 3 and our stdout
 * and stderr, or NULL where somebody else is there. Returns the exit code of
 * the program.
 */
int gate_main(const struct gate_rules *r, char **passt);
