// SPDX-License-Identifier: Apache-2.0
/*
 * A monitor without a VM: reads the configuration of docs/vmm.md and plays a
 * guest whose program is named by the container's first argument. The second
 * implementation of the seam between supervisor/ and vmm/.
 */
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "abi/ctl.h"

enum { FAKE_CLIENTS = 8 };

struct fake {
    json_t *config;
    json_t *args;
    int in, out, err, log;
    int clients[FAKE_CLIENTS]; /* 0: the launcher; -1: free */
    int listener;
    int exit_fd;
    bool report_start;
    int vmm_log;
};

static int fake_int(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v)) {
        (void)fprintf(stderr, "fake vmm: no integer \"%s\"\n", key);
        _exit(125);
    }
    return (int)json_integer_value(v);
}

static const char *fake_arg(const struct fake *f, size_t i)
{
    const char *s = json_string_value(json_array_get(f->args, i));
    return s != NULL ? s : "";
}

/* CRI log format, whole lines only. */
static void fake_log(struct fake *f, const char *stream, const char *text)
{
    char line[8192];
    struct timespec t;
    struct tm tm;
    char when[32];
    if (f->log < 0)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)gmtime_r(&t.tv_sec, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    size_t n = strlen(text);
    int whole = n > 0 && text[n - 1] == '\n';
    int size =
        snprintf(line, sizeof(line), "%s.%09ldZ %s %c %.*s\n", when, t.tv_nsec,
                 stream, whole ? 'F' : 'P', (int)(n - (whole ? 1 : 0)), text);
    (void)!write(f->log, line, (size_t)size);
}

static void fake_print(struct fake *f, int err, const char *text)
{
    (void)!write(err ? f->err : f->out, text, strlen(text));
    fake_log(f, err ? "stderr" : "stdout", text);
}

static void fake_end(struct fake *f, uint32_t kind, uint32_t code,
                     const char *msg)
{
    static const char *const kinds[] = {"exited", "signalled", "panic",
                                        "noexec", "oom",       "monitor"};
    struct {
        struct ctl_header h;
        struct ctl_exit x;
        char msg[CTL_MSG_MAX];
    } m = {
        .h = {.type = CTL_EXIT, .size = (uint32_t)(sizeof(m.x) + strlen(msg))},
        .x = {.kind = kind, .code = code, .msg_size = (uint32_t)strlen(msg)}};
    memcpy(m.msg, msg, strlen(msg));
    if (f->exit_fd >= 0)
        (void)dprintf(f->exit_fd,
                      "{\"kind\":\"%s\",\"code\":%u,\"message\":\"%s\"}\n",
                      kinds[kind], code, msg);
    for (int i = 0; i < FAKE_CLIENTS; i++)
        if (f->clients[i] >= 0)
            (void)send(f->clients[i], &m, sizeof(m.h) + m.h.size, MSG_NOSIGNAL);
    _exit(0);
}

static void fake_notice(struct fake *f, uint32_t type, const char *text)
{
    struct {
        struct ctl_header h;
        char text[CTL_MSG_MAX];
    } m = {.h = {.type = type, .size = (uint32_t)strlen(text)}};
    memcpy(m.text, text, strlen(text));
    for (int i = 0; i < FAKE_CLIENTS; i++)
        if (f->clients[i] >= 0)
            (void)send(f->clients[i], &m, sizeof(m.h) + m.h.size, MSG_NOSIGNAL);
}

static void fake_accept(struct fake *f)
{
    int fd = accept(f->listener, NULL, NULL);
    for (int i = 1; fd >= 0 && i < FAKE_CLIENTS; i++) {
        if (f->clients[i] < 0) {
            f->clients[i] = fd;
            return;
        }
    }
    if (fd >= 0)
        (void)close(fd);
}

/* One frame of client `i`; the signal's number, or 0. */
static unsigned fake_serve(struct fake *f, int i)
{
    char frame[CTL_FRAME_MAX];
    char text[64];
    struct ctl_header h;
    ssize_t n = recv(f->clients[i], frame, sizeof(frame), 0);
    if (n < (ssize_t)sizeof(h)) {
        (void)close(f->clients[i]);
        f->clients[i] = -1;
        return 0;
    }
    memcpy(&h, frame, sizeof(h));
    if (h.type == CTL_SIGNAL && h.size == sizeof(struct ctl_signal)) {
        struct ctl_signal s;
        memcpy(&s, frame + sizeof(h), sizeof(s));
        (void)snprintf(text, sizeof(text), "signal %u\n", s.signo);
        fake_print(f, 0, text);
        return s.signo;
    }
    if (h.type == CTL_WINSIZE && h.size == sizeof(struct ctl_winsize)) {
        struct ctl_winsize w;
        memcpy(&w, frame + sizeof(h), sizeof(w));
        (void)snprintf(text, sizeof(text), "winsize %u %u\n", w.rows, w.cols);
        fake_print(f, 0, text);
    }
    return 0;
}

/* Serve clients and stdin. `stubborn`: only SIGKILL ends it; "deaf": none. */
static void fake_loop(struct fake *f, int stubborn, int deaf)
{
    char buf[4096];
    for (;;) {
        struct pollfd p[FAKE_CLIENTS + 2];
        for (int i = 0; i < FAKE_CLIENTS; i++)
            p[i] = (struct pollfd){.fd = f->clients[i], .events = POLLIN};
        p[FAKE_CLIENTS] = (struct pollfd){.fd = f->listener, .events = POLLIN};
        p[FAKE_CLIENTS + 1] = (struct pollfd){.fd = f->in, .events = POLLIN};
        (void)poll(p, FAKE_CLIENTS + 2, -1);
        for (int i = 0; i < FAKE_CLIENTS; i++) {
            unsigned s = p[i].revents != 0 ? fake_serve(f, i) : 0;
            if (!deaf && s != 0 && s != SIGUSR1 && (!stubborn || s == 9))
                fake_end(f, CTL_SIGNALLED, s, "");
        }
        if (p[FAKE_CLIENTS].revents != 0)
            fake_accept(f);
        if (p[FAKE_CLIENTS + 1].revents != 0) {
            ssize_t n = read(f->in, buf, sizeof(buf) - 1);
            if (n <= 0) {
                fake_print(f, 0, "stdin eof\n");
                f->in = -1;
                if (strcmp(fake_arg(f, 0), "cat") == 0)
                    fake_end(f, CTL_EXITED, 0, "");
                continue;
            }
            buf[n] = '\0';
            fake_print(f, 0, buf);
            if (strstr(buf, "bye") != NULL)
                fake_end(f, CTL_EXITED, 7, "");
        }
    }
}

static void fake_dump(struct fake *f)
{
    char *text = json_dumps(f->config, JSON_INDENT(1));
    fake_print(f, 0, text);
    fake_print(f, 0, "\n");
    free(text);
}

/* What a process that starts sees: pid, session, open files. */
static void fake_self(struct fake *f)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "pid %d ppid %d sid %d uid %d\n",
                   (int)getpid(), (int)getppid(), (int)getsid(0),
                   (int)getuid());
    fake_print(f, 0, text);
    for (int fd = 0; fd < 256; fd++) {
        char link[64];
        char target[128];
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof(target) - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        (void)snprintf(text, sizeof(text), "fd %d %s\n", fd, target);
        fake_print(f, 0, text);
    }
}

static void fake_program(struct fake *f)
{
    const char *what = fake_arg(f, 0);
    uint32_t code = (uint32_t)strtoul(fake_arg(f, 1), NULL, 10);
    static const char *const missing[] = {"noexec", "foo", "panic", "die"};
    bool starts = f->report_start && what[0] != '/';
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        starts = starts && strcmp(what, missing[i]) != 0;
    if (starts)
        fake_notice(f, CTL_STARTED, "");
    if (strcmp(what, "echo") == 0) {
        for (size_t i = 1; i < json_array_size(f->args); i++) {
            fake_print(f, 0, fake_arg(f, i));
            fake_print(f, 0, "\n");
        }
    } else if (strcmp(what, "both") == 0) {
        fake_print(f, 0, "to stdout\n");
        fake_print(f, 1, "to stderr\n");
    } else if (strcmp(what, "config") == 0) {
        fake_dump(f);
    } else if (strcmp(what, "self") == 0) {
        fake_self(f);
    } else if (strcmp(what, "exit") == 0) {
        fake_end(f, CTL_EXITED, code, "");
    } else if (strcmp(what, "signal") == 0) {
        fake_end(f, CTL_SIGNALLED, code, "");
    } else if (strcmp(what, "noexec") == 0 || what[0] == '/') {
        fake_end(f, CTL_NOEXEC, what[0] == '/' ? 2 : code, "");
    } else if (strcmp(what, "oom") == 0) {
        fake_end(f, CTL_OOM, 9, "hog (pid 1)");
    } else if (strcmp(what, "oomkid") == 0) {
        fake_notice(f, CTL_KILLED, "hog\x1b (pid 7)");
    } else if (strcmp(what, "panic") == 0) {
        (void)dprintf(f->vmm_log, "kernel: at fake_program+0x1\n");
        fake_end(f, CTL_PANIC, 0, "it was time\x1b[31m");
    } else if (strcmp(what, "die") == 0) {
        (void)dprintf(f->vmm_log, "last words\n");
        _exit(3);
    } else if (strcmp(what, "cat") == 0 || strcmp(what, "serve") == 0) {
        fake_print(f, 0, "ready\n");
        fake_loop(f, 0, 0);
    } else if (strcmp(what, "stubborn") == 0 || strcmp(what, "deaf") == 0) {
        fake_print(f, 0, "ready\n");
        fake_loop(f, 1, strcmp(what, "deaf") == 0);
    } else {
        fake_end(f, CTL_NOEXEC, 2, "");
    }
    fake_end(f, CTL_EXITED, 0, "");
}

/* Not a boot blob: the configuration, for a test to look at. */
static int fake_write_blob(const struct fake *f, int fd)
{
    char *text = json_dumps(f->config, 0);
    ssize_t n = write(fd, text, strlen(text));
    free(text);
    return n > 0 ? 0 : 125;
}

int main(int argc, char **argv)
{
    bool blob = argc == 5 && strcmp(argv[3], "--blob-fd") == 0;
    if ((argc != 3 && !blob) || strcmp(argv[1], "--config-fd") != 0)
        return 125;
    (void)prctl(PR_SET_NAME, "fake-vmm");
    json_error_t je;
    struct fake f = {.config =
                         json_loadfd((int)strtol(argv[2], NULL, 10), 0, &je)};
    if (f.config == NULL) {
        (void)fprintf(stderr, "fake vmm: %s\n", je.text);
        return 125;
    }
    if (blob)
        return fake_write_blob(&f, (int)strtol(argv[4], NULL, 10));
    json_t *stdio = json_object_get(f.config, "stdio");
    json_t *first = json_array_get(json_object_get(f.config, "containers"), 0);
    f.args = json_object_get(first, "args");
    f.report_start = json_is_true(json_object_get(first, "report_start"));
    f.in = fake_int(stdio, "stdin_fd");
    f.out = fake_int(stdio, "stdout_fd");
    f.err = fake_int(stdio, "stderr_fd");
    f.log = fake_int(stdio, "log_fd");
    f.listener = fake_int(f.config, "listen_fd");
    f.exit_fd = fake_int(f.config, "exit_fd");
    f.vmm_log = fake_int(f.config, "vmm_log_fd");
    memset(f.clients, 0xff, sizeof(f.clients));
    f.clients[0] = fake_int(f.config, "client_fd");
    fake_program(&f);
    return 0;
}
