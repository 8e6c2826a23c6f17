// SPDX-License-Identifier: Apache-2.0
/* Control frames (abi/ctl.h) on BOOT_PORT_CTL. */
#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/signal.h"
#include "guest/virtio/console.h"
#include "guest/virtio/plug.h"

/* Frames are parsed in interrupt context, the only reader. Payloads that we do
 * not know are skipped, so only the start of a frame is kept. */
static struct {
    uint8_t frame[sizeof(struct ctl_header) + sizeof(struct ctl_net)];
    uint32_t have; /* bytes kept */
    uint32_t skip; /* bytes of this frame still to throw away */
} in;

static void (*winsize_fn)(uint16_t rows, uint16_t cols);

void ctl_set_winsize(void (*fn)(uint16_t rows, uint16_t cols))
{
    winsize_fn = fn;
}

static void ctl_frame(const struct ctl_header *h, const void *payload)
{
    struct ctl_signal sig;
    struct ctl_winsize w;
    uint64_t count;
    if (h->type == CTL_SIGNAL && h->size >= sizeof(sig)) {
        memcpy(&sig, payload, sizeof(sig));
        if (sig.signo >= 1 && sig.signo <= SIG_COUNT)
            signal_from_monitor((int)sig.signo);
    } else if (h->type == CTL_WINSIZE && h->size >= sizeof(w)) {
        memcpy(&w, payload, sizeof(w));
        if (winsize_fn != NULL)
            winsize_fn(w.rows, w.cols);
    } else if (h->type == CTL_STDIN_EOF && h->size >= sizeof(count)) {
        memcpy(&count, payload, sizeof(count));
        console_set_eof(BOOT_PORT_STDIO, count);
    } else if (h->type == CTL_NET_ADD || h->type == CTL_NET_REMOVE) {
        plug_frame(h, payload, sizeof(in.frame) - sizeof(*h));
    }
}

/* Bytes that are still missing before something can be done. */
static uint32_t ctl_missing(const struct ctl_header *h)
{
    if (in.have < sizeof(*h))
        return (uint32_t)sizeof(*h) - in.have;
    uint32_t kept = MIN(h->size, (uint32_t)(sizeof(in.frame) - sizeof(*h)));
    return (uint32_t)sizeof(*h) + kept - in.have;
}

static void ctl_input(void)
{
    struct ctl_header h = {0};
    for (;;) {
        if (in.skip > 0) {
            uint8_t sink[64];
            size_t n =
                console_read(BOOT_PORT_CTL, sink, MIN(in.skip, sizeof(sink)));
            if (n == 0)
                return;
            in.skip -= (uint32_t)n;
            continue;
        }
        memcpy(&h, in.frame, sizeof(h));
        uint32_t want = ctl_missing(&h);
        if (want > 0) {
            size_t n = console_read(BOOT_PORT_CTL, in.frame + in.have, want);
            if (n == 0)
                return;
            in.have += (uint32_t)n;
            continue;
        }
        in.skip = h.size - (in.have - (uint32_t)sizeof(h));
        in.have = 0;
        ctl_frame(&h, in.frame + sizeof(h));
    }
}

int ctl_send(uint32_t type, const void *payload, uint32_t size)
{
    struct ctl_header h = {type, size};
    if (size > CTL_FRAME_MAX - sizeof(h))
        return -EINVAL;
    return console_write_frame(BOOT_PORT_CTL, &h, sizeof(h), payload, size);
}

static void ctl_log(const char *text, unsigned size)
{
    (void)ctl_send(CTL_LOG, text, size);
}

void ctl_init(void)
{
    if (console_prepare_in(BOOT_PORT_CTL) < 0 ||
        console_prepare_out(BOOT_PORT_CTL) < 0)
        panic("no memory for the control port");
    plug_init();
    klog_set_sink(ctl_log);
    console_set_input(BOOT_PORT_CTL, ctl_input);
    unsigned long flags = arch_irq_save();
    ctl_input(); /* asks for interrupts */
    arch_irq_restore(flags);
}
