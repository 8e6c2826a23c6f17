// SPDX-License-Identifier: Apache-2.0
#include "supervisor/emulate.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "supervisor/config.h"
#include "supervisor/emuhost.h"
#include "supervisor/host.h"
#include "supervisor/network.h"
#include "supervisor/qemu.h"
#include "supervisor/spawn.h"

enum { EMULATE_FDS = 13 };

/* What the child of emulate_start() works with. */
struct emulate {
    struct spawn spawn; /* first: the child gets a pointer to it */
    struct qemu qemu;
    struct emuhost host;
};

/* limpet-vmm writes boot data; it must not find /dev/kvm for that. */
static int emulate_make_blob(const struct host *h, const struct config *c,
                             struct err *e)
{
    struct config own = *c;
    own.kvm_fd = -1;
    AUTO_CLOSE int config = config_write(&own, e);
    AUTO_CLOSE int blob = memfd_create("limpet-blob", MFD_CLOEXEC);
    if (config < 0 || blob < 0)
        return config < 0 ? config
                          : err_set(e, -errno, "memfd: %s", strerror(errno));
    char path[PATH_MAX + 16];
    char numbers[2][16];
    char *argv[] = {(char[]){"limpet-vmm"},
                    (char[]){"--config-fd"},
                    numbers[0],
                    (char[]){"--blob-fd"},
                    numbers[1],
                    NULL};
    (void)snprintf(path, sizeof(path), "%s/limpet-vmm", h->libexec);
    (void)snprintf(numbers[0], sizeof(numbers[0]), "%d", config);
    (void)snprintf(numbers[1], sizeof(numbers[1]), "%d", blob);
    int fds[SPAWN_FDS_MAX] = {config, blob, 2, c->kernel_fd, c->vmm_log_fd};
    size_t n = 5;
    for (size_t i = 0; i < c->image_count; i++)
        fds[n++] = c->image_fds[i];
    struct spawn s = {.path = path,
                      .argv = argv,
                      .fds = fds,
                      .fd_count = n,
                      .spare_fd = c->vmm_log_fd};
    const char *missing;
    int status = 0;
    pid_t pid = spawn_program(&s, &missing, e);
    if (pid < 0)
        return (int)pid;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0)
        return err_set(e, -EIO, "limpet-vmm could not write the boot data");
    return fd_release(&blob);
}

static void emulate_fail(const struct emulate *m, const char *why)
{
    emuhost_end(&m->host, &(struct instance_exit){.kind = CTL_MONITOR}, why);
    _exit(125);
}

static int emulate_socket(int *ours, int *theirs)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    *ours = pair[0];
    *theirs = pair[1];
    return 0;
}

static void emulate_main(struct spawn *spawn)
{
    struct emulate *m = (struct emulate *)spawn;
    (void)signal(SIGPIPE, SIG_IGN);
    if (emulate_socket(&m->host.debug, &m->qemu.debug) < 0)
        emulate_fail(m, "no sockets for QEMU");
    for (int i = 0; i < BOOT_PORT_COUNT; i++)
        if (emulate_socket(&m->host.ports[i], &m->qemu.ports[i]) < 0)
            emulate_fail(m, "no sockets for QEMU");
    pid_t pid = qemu_spawn(&m->qemu);
    if (pid < 0)
        emulate_fail(m, "QEMU does not start");
    (void)close(m->qemu.debug);
    for (int i = 0; i < BOOT_PORT_COUNT; i++)
        (void)close(m->qemu.ports[i]);
    m->host.qemu = (int)syscall(SYS_pidfd_open, pid, 0);
    if (m->host.qemu < 0)
        emulate_fail(m, "no pidfd of QEMU");
    int code = emuhost_run(&m->host);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    _exit(code == 0 ? 0 : 125);
}

/* -netdev socket would take a seqpacket socket for a stream. */
static int emulate_check_nets(const struct network *n, struct err *e)
{
    for (unsigned i = 0; i < n->count; i++) {
        int type = 0;
        socklen_t size = sizeof(type);
        if (n->iface[i].frames == NET_FRAMES_PACKET &&
            getsockopt(n->iface[i].fd, SOL_SOCKET, SO_TYPE, &type, &size) ==
                0 &&
            type != SOCK_DGRAM)
            return err_set(e, -EINVAL,
                           "--network %s: QEMU takes taps, stream and "
                           "datagram sockets: use one of these with --accel "
                           "emulate",
                           n->mode[i]);
    }
    return 0;
}

static void emulate_fill(struct emulate *m, const struct config *c)
{
    m->qemu.memory = c->memory;
    m->qemu.cpus = c->vcpus;
    m->qemu.kernel = c->kernel_fd;
    m->qemu.log = c->vmm_log_fd;
    m->qemu.net_count = c->network->count;
    memcpy(m->qemu.net, c->network->iface, sizeof(m->qemu.net));
    m->host = (struct emuhost){
        .stdin_fd = c->stdin_fd,
        .stdout_fd = c->stdout_fd,
        .stderr_fd = c->stderr_fd,
        .log_fd = c->log_fd,
        .listen_fd = c->listen_fd,
        .exit_fd = c->exit_fd,
        .qemu = -1,
    };
    klog_init(&m->host.klog, c->vmm_log_fd, c->symbols_fd);
    for (size_t i = 0; i < ARRAY_COUNT(m->host.clients); i++)
        m->host.clients[i] = -1;
    m->host.clients[0] = c->client_fd;
}

pid_t emulate_start(const struct host *h, const struct config *c,
                    const struct imagespec *image, const char **missing,
                    struct err *e)
{
    struct emulate m = {.qemu = {.blob = -1}};
    m.qemu.arm = strcmp(h->arch, "arm64") == 0;
    int code = qemu_find(h, m.qemu.path, e);
    if (code == 0)
        code = emulate_check_nets(c->network, e);
    if (code < 0)
        return code;
    emulate_fill(&m, c);
    AUTO_CLOSE int disk = qemu_make_disk(image, e);
    AUTO_CLOSE int blob = disk < 0 ? disk : emulate_make_blob(h, c, e);
    if (blob < 0)
        return blob;
    m.qemu.disk = disk;
    m.qemu.blob = blob;
    (void)fprintf(stderr, "limpet: emulating with %s and %s: slow and right\n",
                  h->qemu, c->vcpus == 1 ? "one CPU" : "several CPUs");

    int fds[EMULATE_FDS + NET_IFACES_MAX] = {
        disk,         blob,         c->kernel_fd, c->vmm_log_fd, c->stdin_fd,
        c->stdout_fd, c->stderr_fd, c->log_fd,    c->client_fd,  c->listen_fd,
        c->exit_fd,   c->lock_fd,   c->symbols_fd};
    size_t n = EMULATE_FDS;
    for (unsigned i = 0; i < c->network->count; i++)
        fds[n++] = c->network->iface[i].fd;
    m.spawn =
        (struct spawn){.fds = fds, .fd_count = n, .spare_fd = c->vmm_log_fd};
    return spawn_function(&m.spawn, emulate_main, missing, e);
}
