// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a frame from a VM that passt would get, and as one to it. */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/gate.h"

enum { ETH = 14, FLAGS_AT = 13, SYN = 2, ACK = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read by other means than the gate's: does the frame open a connection to
 * this host's loopback? */
static bool opens_loopback(const uint8_t *frame, size_t size)
{
    if (size < ETH + 20 || frame[12] != 0x08 || frame[13] != 0 ||
        frame[ETH + 9] != IPPROTO_TCP || frame[ETH + 16] != 127)
        return false;
    size_t flags = ETH + (size_t)(frame[ETH] & 15) * 4 + FLAGS_AT;
    return flags < size && (frame[flags] & (SYN | ACK)) == SYN;
}

static void fuzz_outward(const uint8_t *frame, size_t size)
{
    static const struct gate_rules open_rules;
    static const struct gate_rules none = {.limited = true};
    struct gate_frame f;
    enum gate_verdict v = gate_judge(&open_rules, frame, size, &f);
    if (v != GATE_DROP && opens_loopback(frame, size))
        abort();
    if (v == GATE_ASK && gate_judge(&none, frame, size, &f) != GATE_DROP)
        abort(); /* who may go nowhere asks for nothing */
}

static void fuzz_made(uint8_t *frame, size_t size)
{
    uint8_t ack[GATE_ACK_MAX];
    size_t made = gate_ack(frame, size, ack);
    if (made > sizeof(ack) || (made > 0) != gate_opens(frame, size))
        abort();
    struct gate_segment s;
    if (made > 0 && gate_segment(ack, made, false, &s) && (s.syn || s.rst))
        abort();
    size_t cut = gate_introduce(frame, size);
    if (cut > size)
        abort();
    if (cut > 0 && (!gate_segment(frame, cut, true, &s) || !s.rst || s.syn))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_flow flow;
    struct gate_segment s;
    uint8_t *frame = malloc(size + (size == 0)); /* so that ASan sees the end */
    if (frame == NULL)
        return 0;
    memcpy(frame, data, size);
    fuzz_outward(frame, size);
    (void)gate_learn(frame, size, &flow);
    (void)gate_segment(frame, size, true, &s);
    fuzz_made(frame, size);
    free(frame);
    return 0;
}
