// SPDX-License-Identifier: Apache-2.0
#include "cli/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "cli/attach.h"
#include "cli/common.h"
#include "cli/ensure.h"
#include "cli/run.h"
#include "supervisor/config.h"
#include "supervisor/emulate.h"
#include "supervisor/names.h"
#include "supervisor/spawn.h"
#include "supervisor/stock.h"

void launch_mark(const struct launch *l, const char *phase)
{
    struct timespec t;
    if (l->phases < 0)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    (void)dprintf(l->phases, "%s %lld\n", phase,
                  (long long)t.tv_sec * 1000000000 + t.tv_nsec);
}

static int launch_open_kvm(struct launch *l, struct err *e)
{
    const char *other = getenv("LIMPET_KVM"); /* tests without a VM */
    l->kvm = open(other != NULL ? other : "/dev/kvm", O_RDWR | O_CLOEXEC);
    if (l->kvm >= 0)
        return 0;
    int code = -errno;
    if (code == -EACCES || code == -EPERM)
        return err_set(e, code,
                       "/dev/kvm: no permission: add your user to its group "
                       "(usermod -aG kvm USER) and log in again");
    if (code == -ENOENT || code == -ENODEV || code == -ENXIO)
        return err_set(e, code,
                       "/dev/kvm: not there: load the module (modprobe "
                       "kvm_intel or kvm_amd), or switch virtualization on "
                       "in the firmware");
    return err_set(e, code, "/dev/kvm: %s", strerror(-code));
}

/* A stock Linux: the user's file, and an initrd. */
static int launch_open_stock(struct launch *l, const struct run_opts *o,
                             struct err *e)
{
    l->kernel = path_open(AT_FDCWD, o->kernel, O_RDONLY, e);
    if (l->kernel < 0)
        return l->kernel;
    l->initrd = o->initrd != NULL ? path_open(AT_FDCWD, o->initrd, O_RDONLY, e)
                                  : stock_initrd(&l->host, o->kernel, e);
    return l->initrd < 0 ? l->initrd : 0;
}

static int launch_open_kernel(struct launch *l, const struct run_opts *o,
                              struct err *e)
{
    char name[64];
    if (o->kernel != NULL)
        return launch_open_stock(l, o, e);
    l->kernel =
        host_open(&l->host, o->emulate ? l->host.boot : l->host.kernel, e);
    if (l->kernel < 0)
        return l->kernel;
    (void)snprintf(name, sizeof(name), "%s.debug", l->host.kernel);
    l->symbols = host_open(&l->host, name, NULL);
    if (l->symbols < 0)
        l->symbols = -1; /* backtraces in addresses, then */
    return 0;
}

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar, in
 * 400-year eras that start in March; gmtime(3) would read /etc/localtime. */
static void launch_date(int64_t days, int *year, int *month, int *day)
{
    days += 719468; /* 0000-03-01 */
    int64_t era = days / 146097;
    int64_t doe = days % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static void launch_time(char *out, size_t size)
{
    struct timespec t;
    int y;
    int m;
    int d;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    launch_date(t.tv_sec / 86400, &y, &m, &d);
    int s = (int)(t.tv_sec % 86400);
    (void)snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", y, m, d,
                   s / 3600, s / 60 % 60, s % 60, t.tv_nsec);
}

static json_t *launch_state_config(const struct launch *l,
                                   const struct run_opts *o)
{
    char created[48];
    char manifest[80];
    json_t *run = json_object_get(l->image.doc, "run");
    const char *stop = json_string_value(json_object_get(run, "stop_signal"));
    launch_time(created, sizeof(created));
    (void)snprintf(manifest, sizeof(manifest), "sha256:%s", l->hex);
    return json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:O, s:s, s:b, s:b, s:s, s:I, s:i, s:s, "
        "s:o, s:o, s:s, s:o}",
        "version", 1, "id", l->vm.id, "name", l->vm.name, "image", o->image,
        "manifest", manifest, "command", l->process.args, "created", created,
        "auto_remove", o->rm, "tty", o->tty, "stop_signal",
        stop != NULL && stop[0] != '\0' ? stop : "SIGTERM", "memory",
        (json_int_t)l->memory, "vcpus", (int)l->vcpus, "accel",
        o->emulate ? "emulate" : "kvm", "network",
        network_json(&l->network, false), "ports",
        port_list_json(&l->net.ports), "hostname", l->hostname,
        "network_options", network_options_json(&l->net));
}

static int launch_open_stdin(struct launch *l, const struct run_opts *o,
                             struct err *e)
{
    int ends[2];
    l->stdin_fd = -1;
    if (!o->interactive)
        return 0;
    if (o->detach) {
        /* Open for ever and never readable: what `-dit` means. */
        l->stdin_fd = eventfd(0, EFD_CLOEXEC);
        return l->stdin_fd < 0
                   ? err_set(e, -errno, "eventfd: %s", strerror(errno))
                   : 0;
    }
    if (!isatty(STDIN_FILENO)) {
        l->stdin_fd = STDIN_FILENO;
        return 0;
    }
    /* A terminal is read by us, so that job control stops the reading too. */
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    l->stdin_fd = ends[0];
    l->stdin_pump = ends[1];
    return 0;
}

/* A terminal of somebody else (sudo, su) is one that the monitor, in its user
 * namespace, cannot open again for itself: here it can be, so that a reader
 * who stops reading never stops the monitor. */
static int launch_output(int fd)
{
    struct stat st;
    char path[32];
    if (fstat(fd, &st) < 0 || st.st_uid == geteuid() || !isatty(fd))
        return fd;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own >= 0 ? own : fd;
}

static int launch_open_stdio(struct launch *l, const struct run_opts *o,
                             struct err *e)
{
    struct winsize w;
    l->rows = 24;
    l->cols = 80;
    if (o->tty &&
        (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0 ||
         ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0) &&
        w.ws_row > 0 && w.ws_col > 0) {
        l->rows = w.ws_row;
        l->cols = w.ws_col;
    }
    if (o->detach) {
        l->null = path_open(AT_FDCWD, "/dev/null", O_RDWR, e);
        if (l->null < 0)
            return l->null;
    }
    l->stdout_fd = o->detach ? l->null : launch_output(STDOUT_FILENO);
    l->stderr_fd = o->detach ? l->null : launch_output(STDERR_FILENO);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, -errno, "socketpair: %s", strerror(errno));
    l->client = pair[0];
    l->monitor_client = pair[1];
    return launch_open_stdin(l, o, e);
}

static void launch_fill_config(const struct launch *l, const struct run_opts *o,
                               struct config *c)
{
    *c = (struct config){
        .name = l->vm.name,
        .kvm_fd = l->kvm,
        .kernel_fd = l->kernel,
        .symbols_fd = l->symbols,
        .stock = o->kernel != NULL,
        .initrd_fd = l->initrd,
        .cmdline = o->cmdline,
        .memory = l->memory,
        .vcpus = l->vcpus,
        .image_fds = l->image.fds,
        .image_count = l->image.fd_count,
        .stdin_fd = l->stdin_fd,
        .stdout_fd = l->stdout_fd,
        .stderr_fd = l->stderr_fd,
        .log_fd = l->vm.log,
        .client_fd = l->monitor_client,
        .listen_fd = l->vm.listen,
        .lock_fd = l->vm.lock,
        .exit_fd = l->vm.exit,
        .vmm_log_fd = l->vm.vmm_log,
        .phases_fd = l->phases,
        .cpuid_cache_fd = l->cpuid,
        .tty = o->tty,
        .stdin_open = o->interactive,
        .report_start = o->detach,
        .rows = l->rows,
        .cols = l->cols,
        .process = &l->process,
        .network = &l->network,
        .options = &l->net,
        .hostname = l->hostname,
    };
}

static pid_t launch_monitor(const struct launch *l, const struct config *c,
                            const char **missing, struct err *e)
{
    AUTO_CLOSE int config = config_write(c, e);
    if (config < 0)
        return config;
    char path[PATH_MAX + 16];
    char number[16];
    char *argv[] = {(char[]){"limpet-vmm"}, (char[]){"--config-fd"}, number,
                    NULL};
    (void)snprintf(path, sizeof(path), "%s/limpet-vmm", l->host.libexec);
    (void)snprintf(number, sizeof(number), "%d", config);

    int fds[SPAWN_FDS_MAX] = {
        config,        c->kvm_fd,    c->kernel_fd,      c->symbols_fd,
        c->stdin_fd,   c->stdout_fd, c->stderr_fd,      c->log_fd,
        c->client_fd,  c->listen_fd, c->lock_fd,        c->exit_fd,
        c->vmm_log_fd, c->phases_fd, c->cpuid_cache_fd, c->initrd_fd};
    size_t n = 16;
    static_assert(IMAGESPEC_FILES_MAX + NET_IFACES_MAX + 16 <= SPAWN_FDS_MAX,
                  "all fit");
    for (size_t i = 0; i < c->image_count; i++)
        fds[n++] = c->image_fds[i];
    for (unsigned i = 0; i < c->network->count; i++)
        fds[n++] = c->network->iface[i].fd;
    struct spawn s = {.path = path,
                      .argv = argv,
                      .fds = fds,
                      .fd_count = n,
                      .spare_fd = c->vmm_log_fd};
    launch_mark(l, "cli_spawn");
    return spawn_program(&s, missing, e);
}

/* -p, and with -P what the image and --expose name. */
static int launch_ports(struct launch *l, const struct run_opts *o,
                        struct err *e)
{
    int code = 0;
    l->net = o->net;
    l->net.ports = (struct port_list){0};
    for (unsigned i = 0; i < o->net.ports.count && code == 0; i++)
        code = port_add(&l->net.ports, &o->net.ports.port[i], e);
    for (unsigned i = 0; o->publish_all && i < o->expose.count && code == 0;
         i++)
        code = port_add(&l->net.ports, &o->expose.port[i], e);
    const json_t *image =
        json_object_get(json_object_get(l->image.doc, "run"), "exposed_ports");
    for (size_t i = 0;
         o->publish_all && i < json_array_size(image) && code == 0; i++) {
        const char *text = json_string_value(json_array_get(image, i));
        code = port_expose(&l->net.ports, text != NULL ? text : "", e);
    }
    return code;
}

/* The container's directory, its process and its host name. */
static int launch_prepare(struct launch *l, const struct run_opts *o,
                          struct err *e)
{
    int store;
    int code = o->name != NULL ? names_check(o->name, e) : 0;
    if (code == 0)
        code = ensure_image(&l->host, &l->state, o, l->hex, &store, e);
    if (code == 0)
        code = imagespec_open(store, l->hex, &l->image, e);
    if (code == 0)
        code = launch_open_stdio(l, o, e);
    if (code < 0)
        return code;
    attach_block_signals(); /* nothing half-made from here on */
    code = state_create(&l->state, o->name, &l->vm, e);
    if (code < 0)
        return code;

    (void)snprintf(l->hostname, sizeof(l->hostname), "%.*s",
                   o->hostname != NULL ? 63 : STATE_SHORT_ID,
                   o->hostname != NULL ? o->hostname : l->vm.id);
    json_t *env = json_copy(o->file_env);
    (void)json_array_extend(env, o->flag_env);
    struct process_options p = {
        .entrypoint = o->entrypoint,
        .args = o->args,
        .arg_count = o->arg_count,
        .env = env,
        .workdir = o->workdir,
        .user = o->user,
        .hostname = l->hostname,
        .tty = o->tty,
    };
    code = process_make(l->image.doc, &p, &l->process, e);
    json_decref(env);
    if (code < 0)
        return code;
    const struct network_vm vm = {.id = l->vm.id,
                                  .name = l->vm.name,
                                  .hostname = l->hostname,
                                  .libexec = l->host.libexec,
                                  .root = l->state.root,
                                  .options = &l->net};
    code = launch_ports(l, o, e);
    if (code < 0)
        return code;
    code = network_attach(&l->network, o->network, o->network_count, &vm, e);
    return code < 0 && o->network_default
               ? err_wrap(e, "the default network (--network none: without)")
               : code;
}

static int launch_run(struct launch *l, const struct run_opts *o, struct err *e)
{
    l->memory = o->memory != 0 ? o->memory : host_memory();
    unsigned most = o->emulate ? host_emulated_vcpus(&l->host) : UINT_MAX;
    l->vcpus = o->vcpus != 0 ? o->vcpus : o->emulate ? 1 : host_vcpus();
    l->vcpus = l->vcpus < most ? l->vcpus : most;
    json_t *config = launch_state_config(l, o);
    if (config == NULL)
        return err_set(e, -EINVAL, "the image's name is not UTF-8");
    int code = state_start(&l->vm, config, !o->rm || o->detach, e);
    json_decref(config);
    if (code < 0)
        return code;

    const char *missing = "";
    struct config c;
    if (!o->emulate)
        l->cpuid = cpucache_open(&l->state, l->kvm, l->cpuid_name);
    launch_fill_config(l, o, &c);
    l->pid = o->emulate ? emulate_start(&l->host, &c, &l->image, &missing, e)
                        : launch_monitor(l, &c, &missing, e);
    if (l->pid < 0)
        return (int)l->pid;
    state_set_pid(&l->vm, l->pid);
    if (missing[0] != '\0')
        (void)dprintf(l->vm.vmm_log,
                      "limpet: this host refuses the monitor %s\n", missing);
    code = network_wait(&l->network, e);
    if (code < 0) {
        (void)kill(l->pid, SIGKILL);
        (void)waitpid(l->pid, NULL, 0);
    }
    return code;
}

static void launch_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

int launch_start(struct launch *l, const struct run_opts *o, struct err *e)
{
    *l = (struct launch){.kvm = -1,
                         .kernel = -1,
                         .symbols = -1,
                         .initrd = -1,
                         .null = -1,
                         .cpuid = -1,
                         .client = -1,
                         .monitor_client = -1,
                         .stdin_fd = -1,
                         .stdin_pump = -1,
                         .phases = -1};
    const char *phases = getenv("LIMPET_PHASES");
    if (phases != NULL)
        l->phases =
            open(phases, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    launch_mark(l, "cli_start");
    int code = host_init(&l->host, e);
    if (code == 0)
        code = host_set_platform(&l->host, o->platform, o->emulate, e);
    if (code == 0)
        code = cli_open_state(o->root, &l->state, e);
    if (code == 0 && !o->emulate) {
        code = launch_open_kvm(l, e);
        l->kvm_refused = code < 0;
    }
    if (code == 0)
        code = launch_open_kernel(l, o, e);
    if (code == 0)
        code = launch_prepare(l, o, e);
    if (code == 0)
        code = launch_run(l, o, e);
    if (code < 0) {
        if (l->vm.dir > 0)
            (void)state_remove(&l->state, l->vm.id, l->vm.name, NULL);
        launch_fini(l);
        return code;
    }
    /* The monitor's ends are its alone now: their closing is a message. */
    launch_close(&l->monitor_client);
    launch_close(&l->vm.lock);
    launch_close(&l->vm.listen);
    network_detach(&l->network); /* a tap ends with its last fd, slowly */
    if (l->stdin_fd > STDIN_FILENO)
        launch_close(&l->stdin_fd);
    if (l->cpuid < 0 && l->cpuid_name[0] != '\0')
        cpucache_fill(&l->host, &l->state, l->kvm, l->cpuid_name);
    return 0;
}

void launch_fini(struct launch *l)
{
    int *fds[] = {&l->kvm,    &l->kernel,         &l->symbols,    &l->phases,
                  &l->client, &l->monitor_client, &l->stdin_pump, &l->null,
                  &l->cpuid,  &l->initrd};
    for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
        launch_close(fds[i]);
    if (l->stdin_fd > STDIN_FILENO)
        launch_close(&l->stdin_fd);
    network_detach(&l->network);
    port_list_fini(&l->net.ports);
    process_fini(&l->process);
    imagespec_fini(&l->image);
    state_vm_fini(&l->vm);
    state_fini(&l->state);
}
