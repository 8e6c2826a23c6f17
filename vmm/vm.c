// SPDX-License-Identifier: Apache-2.0
/* The VM: set-up in the order KVM likes, events, the end. */
#include "vmm/vm.h"

#include <arch_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "vmm/boot.h"
#include "vmm/load.h"
#include "vmm/phases.h"
#include "vmm/sandbox.h"
#include "vmm/vmm.h"

/* The CLI's code for a VM that failed (docs/vmm.md). */
#define EXIT_FAILED 125

static void mark(const struct vm *v, const char *name)
{
    if (v->config->phases_fd >= 0)
        phases_mark(v->config->phases_fd, name, phases_now());
}

/* ---- the end ---- */

/* Tell everybody; the first report wins. */
static void deliver(struct vm *v)
{
    char json[REPORT_JSON_MAX];
    uint8_t frame[CTL_FRAME_MAX];
    if (v->delivered)
        return;
    v->delivered = true;
    struct ctl_exit *x = &v->report.exit;
    x->exits = vcpu_exits_until(&v->vcpu[0],
                                x->user_tsc == 0 ? UINT64_MAX : x->user_tsc);
    mark(v, "vmm_exit");
    klog_flush(&v->klog);
    if (v->config->exit_fd >= 0)
        (void)path_write_all(v->config->exit_fd, json,
                             report_json(&v->report, json));
    ctl_broadcast(&v->ctl, frame, report_frame(&v->report, frame));
    v->loop.stop = true;
}

static void report_failure(struct vm *v, uint32_t code, const char *why)
{
    if (v->exiting)
        return; /* the guest's own report is better */
    klog_write(&v->klog, why, strlen(why));
    report_monitor(&v->report, code, why);
}

static void fail(struct vm *v, uint32_t code, const char *why)
{
    report_failure(v, code, why);
    deliver(v);
}

static void finish_if_drained(struct vm *v)
{
    if (v->exiting && console_drained(&v->console))
        deliver(v);
}

/* The guest's last words are in the log already; its report and output may
 * still be in the queues. Nothing is to run in there any more: if a CPU does,
 * nothing that it adds counts. */
static void guest_off(struct vm *v)
{
    v->off = true;
    klog_flush(&v->klog);
    console_collect(&v->console);
    console_end(&v->console);
}

static void guest_ended(struct vm *v, const char *why)
{
    guest_off(v);
    if (!v->exiting && v->klog.panic[0] != '\0')
        report_panic(&v->report, EXIT_FAILED, v->klog.panic);
    else
        report_failure(v, EXIT_FAILED, why);
    v->exiting = true;
    finish_if_drained(v);
}

static void powered_off(struct vm *v)
{
    guest_ended(v, "the guest kernel powered off without saying why");
}

static void guest_exited(struct ctl *c, const struct report *r)
{
    struct vm *v = (struct vm *)c;
    if (v->exiting)
        return;
    v->exiting = true;
    v->report = *r;
    finish_if_drained(v);
}

static void guest_logged(struct ctl *c, const char *text, size_t size)
{
    struct vm *v = (struct vm *)c;
    klog_write(&v->klog, text, size);
}

static void output_written(struct ctl *c)
{
    finish_if_drained((struct vm *)c);
}

/* ---- networks that come and go ---- */

static struct vm *vm_of_plug(struct plug *p)
{
    return (struct vm *)(void *)((uint8_t *)p - offsetof(struct vm, plug));
}

static bool net_tell(struct plug *p, const void *frame, size_t size)
{
    return ctl_tell(&vm_of_plug(p)->ctl, frame, size);
}

static void net_answer(struct plug *p, const void *client, int error)
{
    const struct {
        struct ctl_header h;
        struct ctl_net_done d;
    } frame = {{CTL_NET_DONE, sizeof(frame.d)}, {.error = error}};
    (void)p;
    ctl_answer(client, &frame, sizeof(frame));
}

static void net_asked(struct ctl *c, const struct ctl_client *from,
                      const struct ctl_header *h, int fd)
{
    plug_ask(&((struct vm *)c)->plug, from, h->type, h + 1, h->size, fd);
}

static void net_done(struct ctl *c, const void *payload, size_t size)
{
    plug_done(&((struct vm *)c)->plug, payload, size);
}

static void client_gone(struct ctl *c, const struct ctl_client *client)
{
    plug_forget(&((struct vm *)c)->plug, client);
}

/* ---- a stock Linux's window ---- */

static void stock_ended(struct stock *s, bool restart)
{
    struct vm *v =
        (struct vm *)(void *)((uint8_t *)s - offsetof(struct vm, stock));
    if (restart)
        guest_ended(v, "the guest kernel restarted without saying why");
    else
        powered_off(v);
}

/* ---- monitor calls ---- */

static struct vm *vm_of_call(struct bus_window *w)
{
    return (struct vm *)(void *)((uint8_t *)w - offsetof(struct vm, call));
}

static void call_log(struct vm *v, uint32_t at)
{
    struct boot_log head;
    char text[BOOT_LOG_MAX];
    if (!gmem_read(&v->mem, gpa(at), &head, sizeof(head)))
        return;
    if (head.size > sizeof(text))
        head.size = sizeof(text);
    if (gmem_read(&v->mem, gpa((uint64_t)at + sizeof(head)), text, head.size))
        klog_write(&v->klog, text, head.size);
}

static void call_write(struct bus_window *w, uint32_t off, const uint8_t *data,
                       uint32_t len)
{
    struct vm *v = vm_of_call(w);
    uint32_t value;
    char name[24];
    if (len != sizeof(value))
        return;
    memcpy(&value, data, sizeof(value));
    switch (off) {
    case BOOT_CALL_LOG: call_log(v, value); break;
    case BOOT_CALL_POWEROFF: powered_off(v); break;
    case BOOT_CALL_MARK:
        (void)snprintf(name, sizeof(name), "mark_%u", value);
        mark(v, name);
        break;
    default: break;
    }
}

static void call_read(struct bus_window *w, uint32_t off, uint8_t *data,
                      uint32_t len)
{
    (void)w;
    (void)off;
    memset(data, 0, len);
}

/* ---- events ---- */

static void vcpu_failed(struct vm *v, const struct vcpu *cpu)
{
    char why[CTL_MSG_MAX];
    const char *file = NULL;
    if (cpu->failure.code == -EFAULT)
        file = window_damaged(&v->window);
    if (file != NULL)
        (void)snprintf(why, sizeof(why),
                       "image file %s is shorter than it was: the store is "
                       "damaged, pull the image again",
                       file);
    else
        (void)snprintf(why, sizeof(why), "%.250s", cpu->failure.msg);
    guest_off(v);
    report_failure(v, EXIT_FAILED, why);
    v->exiting = true;
    finish_if_drained(v);
}

static void serve(struct vm *v, struct vcpu *cpu)
{
    const struct arch_exit *x = &cpu->request;
    if (x->kind == ARCH_EXIT_POWEROFF)
        powered_off(v);
    else if (x->write)
        bus_write(&v->bus, x->gpa, x->data, x->len);
    else
        bus_read(&v->bus, x->gpa, x->data, x->len);
    if (!v->loop.stop && !v->off) /* else the guest has nothing left to do */
        vcpu_answer(cpu);
}

static void requests_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct vm *v =
        (struct vm *)(void *)((uint8_t *)s - offsetof(struct vm, requests));
    uint64_t count;
    ssize_t n = read(s->fd, &count, sizeof(count));
    (void)n;
    for (unsigned i = 0; i < v->vcpu_count && !v->loop.stop && !v->off; i++) {
        struct vcpu *cpu = &v->vcpu[i];
        enum vcpu_state state = __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE);
        if (state == VCPU_ASKING)
            serve(v, cpu);
        else if (state == VCPU_FAILED)
            vcpu_failed(v, cpu);
    }
}

static void signals_ready(struct loop_source *s, uint32_t events)
{
    (void)events;
    struct vm *v =
        (struct vm *)(void *)((uint8_t *)s - offsetof(struct vm, signals));
    struct signalfd_siginfo info;
    if (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        fail(v, 128 + info.ssi_signo, "ended by SIGTERM");
}

static int watch_signals(struct vm *v, struct err *e)
{
    sigset_t set;
    (void)signal(SIGPIPE, SIG_IGN); /* NOLINT(bugprone-unused-return-value) */
    (void)signal(SIGXFSZ, SIG_IGN); /* NOLINT(bugprone-unused-return-value) */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    v->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    v->signals.ready = signals_ready;
    if (v->signals.fd < 0)
        return err_set(e, -errno, "signalfd: %s", strerror(errno));
    return loop_add(&v->loop, &v->signals, EPOLLIN, e);
}

/* ---- set-up ---- */

static int map_memory(struct vm *v, struct err *e)
{
    uint32_t slot = 0;
    for (int i = 0; i < GMEM_RANGES; i++) {
        const struct gmem_range *r = &v->mem.range[i];
        const struct arch_window at = {r->base, r->size};
        if (r->size > 0 &&
            arch_vm_map(&v->arch, slot++, &at, r->host, false, e) < 0)
            return e->code;
    }
    if (v->window.at.size == 0 || v->config->stock)
        return 0; /* Linux has the image as a disk */
    return arch_vm_map(&v->arch, slot, &v->window.at, v->window.host, true, e);
}

static int create_vm(struct vm *v, struct err *e)
{
    const struct vm_config *c = v->config;
    struct arch_want want = {.kvm_fd = c->kvm_fd,
                             .cpuid_fd = c->cpuid_cache_fd,
                             .cpus = c->vcpus,
                             .stock = c->stock};
    uint64_t end;
    if (arch_gpa_end(c->kvm_fd, &end, e) < 0 ||
        gmem_init(&v->mem, c->memory, e) < 0 ||
        window_map(&v->window, &v->mem, end, e) < 0)
        return e->code;
    want.gpa_end = v->window.at.size > 0 ? v->window.at.gpa + v->window.at.size
                                         : gmem_end(&v->mem);
    if (arch_vm_init(&v->arch, &want, e) < 0 || map_memory(v, e) < 0 ||
        arch_irqchip_init(&v->arch, e) < 0 ||
        vcpu_shared_init(&v->shared, &v->arch, v->config->vcpus, e) < 0)
        return e->code;
    v->requests.fd = v->shared.request_fd;
    v->requests.ready = requests_ready;
    return loop_add(&v->loop, &v->requests, EPOLLIN, e);
}

static int start_vcpus(struct vm *v, struct err *e)
{
    for (unsigned i = 0; i < v->config->vcpus; i++) {
        if (vcpu_start(&v->vcpu[i], &v->shared, i, e) < 0)
            return e->code;
        v->vcpu_count++;
    }
    return 0;
}

static int add_device(struct vm *v, struct virtio_dev *dev, struct err *e)
{
    struct virtio_mmio *t = &v->devs[v->dev_count];
    if (virtio_mmio_init(t, dev, &v->mem, &v->loop, &v->irqs, e) < 0)
        return e->code;
    v->dev_count++; /* slot 0 is the call window */
    return bus_attach(&v->bus, v->dev_count, &t->window);
}

/* The image as a disk, the first one. */
static int add_image(struct vm *v, struct err *e)
{
    v->image_part = calloc(v->window.count, sizeof(v->image_part[0]));
    if (v->image_part == NULL)
        return err_set(e, -ENOMEM, "image: out of memory");
    for (unsigned i = 0; i < v->window.count; i++)
        v->image_part[i] = (struct virtio_blk_part){v->window.file[i].fd,
                                                    v->window.file[i].size};
    virtio_blk_init_image(&v->image, v->image_part, v->window.count);
    return add_device(v, &v->image.vd, e);
}

/* Places for devices that do not exist yet. */
static int add_spares(struct vm *v, struct err *e)
{
    for (unsigned i = 0; i < v->config->net_spare; i++) {
        struct virtio_net *n = &v->net[v->config->net_count + i];
        struct virtio_mmio *t = &v->devs[v->dev_count];
        virtio_net_init_spare(n);
        if (add_device(v, &n->vd, e) < 0)
            return e->code;
        plug_place(&v->plug, n, t, -1);
    }
    v->spare_count = v->config->net_spare;
    v->dev_count -= v->spare_count;
    return 0;
}

static int add_networks(struct vm *v, struct err *e)
{
    static const struct plug_ops ops = {.tell = net_tell, .answer = net_answer};
    v->plug.ops = &ops;
    v->plug.bus = &v->bus;
    v->plug.loop = &v->loop;
    for (unsigned i = 0; i < v->config->net_count; i++) {
        const struct config_net *c = &v->config->net[i];
        struct virtio_net_want want = {.fd = c->fd,
                                       .frames = c->frames,
                                       .mtu = c->mtu,
                                       .rate = c->rate,
                                       .uso = !v->config->stock};
        memcpy(want.mac, c->mac, sizeof(want.mac));
        if (virtio_net_init(&v->net[i], &v->loop, &want, e) < 0 ||
            add_device(v, &v->net[i].vd, e) < 0)
            return e->code;
        if (v->config->net_spare > 0) /* else they stay */
            plug_place(&v->plug, &v->net[i], &v->devs[v->dev_count - 1], c->fd);
    }
    return add_spares(v, e);
}

static int add_devices(struct vm *v, const struct console_streams *streams,
                       struct err *e)
{
    static const struct bus_ops call_ops = {.read = call_read,
                                            .write = call_write};
    static const struct ctl_ops ctl_ops = {.exited = guest_exited,
                                           .logged = guest_logged,
                                           .written = output_written,
                                           .net_asked = net_asked,
                                           .net_done = net_done,
                                           .gone = client_gone};
    static const struct stock_ops stock_ops = {.ended = stock_ended};
    const struct vm_config *c = v->config;
    v->irqs.shared = c->stock;
    v->call.ops = &call_ops;
    stock_init(&v->stock, &stock_ops, &v->klog);
    (void)bus_attach(&v->bus, BOARD_CALL_SLOT,
                     c->stock ? &v->stock.window : &v->call);
    ctl_init(&v->ctl, &v->loop, &ctl_ops, &v->console);
    if (virtio_console_init(&v->console, &v->loop, streams, &v->ctl.peer, e) <
            0 ||
        add_device(v, &v->console.vd, e) < 0)
        return e->code;
    if (c->stock && v->window.count > 0 && add_image(v, e) < 0)
        return e->code;
    for (unsigned i = 0; i < c->disk_count; i++)
        if (virtio_blk_init(&v->blk[i], c->disk[i].fd, c->disk[i].readonly, i,
                            e) < 0 ||
            add_device(v, &v->blk[i].vd, e) < 0)
            return e->code;
    virtio_rng_init(&v->rng);
    if (add_device(v, &v->rng.vd, e) < 0)
        return e->code;
    return add_networks(v, e);
}

static int connect_devices(struct vm *v, struct err *e)
{
    if (arch_irq_commit(&v->arch, &v->irqs, e) < 0)
        return e->code;
    for (unsigned i = 0; i < v->dev_count + v->spare_count; i++) {
        const struct virtio_mmio *t = &v->devs[i];
        for (uint16_t q = 0; q < t->dev->ops->queue_count; q++)
            if (arch_bell_add(&v->arch, virtio_mmio_bell(t), q,
                              t->bell[q].source.fd, e) < 0)
                return e->code;
    }
    return 0;
}

static int load_ours(struct vm *v, struct err *e)
{
    struct load_result kernel;
    if (load_kernel(v->config->kernel_fd, &v->mem, &kernel, e) < 0)
        return e->code;
    v->shared.entry.pc = kernel.entry;
    return 0;
}

static int write_ours(struct vm *v, struct err *e)
{
    const struct boot_plan plan = {.config = v->config,
                                   .arch = &v->arch,
                                   .mem = &v->mem,
                                   .image = v->window.at,
                                   .devs = v->devs,
                                   .dev_count = v->dev_count,
                                   .spare_count = v->spare_count};
    const uint64_t pc = v->shared.entry.pc;
    if (boot_write(&plan, &v->shared.entry, e) < 0)
        return e->code;
    v->shared.entry.pc = pc;
    v->shared.stack_stride = BOOT_STACK_STRIDE;
    v->shared.vif_stride = BOOT_VIF_STRIDE;
    return 0;
}

static int write_stock(struct vm *v, struct err *e)
{
    const struct stock_plan plan = {.config = v->config,
                                    .arch = &v->arch,
                                    .mem = &v->mem,
                                    .devs = v->devs,
                                    .dev_count = v->dev_count};
    if (v->arch.user_kernel)
        return err_set(e, -ENOTSUP,
                       "--kernel: KVM_PVM on this host runs Limpet's own "
                       "kernel only: leave --kernel out, or use a host with "
                       "VMX, SVM or EL2");
    return stock_write(&plan, &v->shared.entry, e);
}

/* Memory complete, devices connected: everything a first instruction needs. */
static int prepare(struct vm *v, const struct console_streams *streams,
                   struct err *e)
{
    const bool stock = v->config->stock;
    if (create_vm(v, e) < 0)
        return e->code;
    mark(v, "vmm_vm");
    if (start_vcpus(v, e) < 0 || (!stock && load_ours(v, e) < 0) ||
        add_devices(v, streams, e) < 0 || connect_devices(v, e) < 0)
        return e->code;
    while (sem_wait(&v->shared.ready) < 0 && errno == EINTR)
        ;
    if (__atomic_load_n(&v->vcpu[0].state, __ATOMIC_ACQUIRE) == VCPU_FAILED) {
        *e = v->vcpu[0].failure;
        return e->code;
    }
    if ((stock ? write_stock(v, e) : write_ours(v, e)) < 0)
        return e->code;
    return ctl_attach(&v->ctl, v->config->client_fd, v->config->listen_fd, e);
}

/* Who reads our output sees its end now, and not when the kernel has taken VM
 * and tap down, milliseconds later. */
static void close_streams(const struct console_streams *s,
                          const struct config_stdio *io)
{
    const int fds[] = {s->in.fd,     s->out.fd,     s->err.fd,
                       io->stdin_fd, io->stdout_fd, io->stderr_fd};
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

static int run(struct vm *v, struct err *e)
{
    struct console_streams streams = {.log_fd = v->config->stdio.log_fd};
    const struct config_stdio *io = &v->config->stdio;
    struct stream log;
    unsigned fds = sandbox_close_fds(v->config);
    stream_open(&streams.in, io->stdin_fd, false);
    stream_open(&streams.out, io->stdout_fd, true);
    stream_open(&streams.err, io->stderr_fd, true);
    stream_open(&log, v->config->vmm_log_fd, true);
    klog_init(&v->klog, log.kind == STREAM_NONE ? -1 : log.fd,
              v->config->symbols_fd);
    log_init(log.fd, LOG_INFO);
    if (window_open(&v->window, v->config, e) < 0)
        return e->code;
    sandbox_enter(fds);
    mark(v, "vmm_jail");
    if (loop_init(&v->loop, e) < 0 || watch_signals(v, e) < 0 ||
        prepare(v, &streams, e) < 0 || sandbox_lock(SANDBOX_DEVICE, e) < 0)
        return e->code;
    mark(v, "vmm_run");
    (void)sem_post(&v->shared.go);
    int code = loop_run(&v->loop, e);
    if (code == 0)
        close_streams(&streams, io);
    return code;
}

int vmm_run(const struct vm_config *c, uint64_t start_ns)
{
    static struct vm vm; /* vCPU threads use it until the process ends */
    struct err e = {0};
    vm.config = c;
    phases_mark(c->phases_fd, "vmm_start", start_ns);
    if (run(&vm, &e) < 0)
        fail(&vm, EXIT_FAILED, e.msg);
    return vm.report.exit.kind == CTL_MONITOR ? -EIO : 0;
}
