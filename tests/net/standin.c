// SPDX-License-Identifier: Apache-2.0
/*
 * A monitor without a VM: the container's command runs on the host's own files
 * in a network namespace whose eth0 is a tap, and frames are carried between
 * that tap and the one that limpet gave. So host rules are proven with Linux as
 * the guest, and a guest may send whatever it likes.
 */
#include <fcntl.h>
#include <jansson.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/ctl.h"

enum { STANDIN_ARGS = 64, STANDIN_HEADER = 12, STANDIN_FRAME = 70000 };

static int standin_int(const json_t *o, const char *key)
{
    return (int)json_integer_value(json_object_get(o, key));
}

static const char *standin_str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : "";
}

static int standin_tap(void)
{
    struct ifreq r = {.ifr_name = "eth0"};
    const int header = STANDIN_HEADER;
    unsigned flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    r.ifr_flags = (short)flags;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0 ||
        ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) {
        perror("stand-in: eth0");
        _exit(125);
    }
    return fd;
}

static void standin_sh(const char *text)
{
    if (system(text) != 0)
        (void)fprintf(stderr, "stand-in: failed: %s\n", text);
}

static void standin_configure(const json_t *i)
{
    char line[256];
    size_t k;
    json_t *v;
    (void)snprintf(line, sizeof(line),
                   "ip link set lo up; ip link set eth0 address %s mtu %d up",
                   standin_str(i, "mac"), standin_int(i, "mtu"));
    standin_sh(line);
    json_array_foreach(json_object_get(i, "addresses"), k, v)
    {
        (void)snprintf(line, sizeof(line), "ip addr add %s dev eth0 %s",
                       json_string_value(v),
                       strchr(json_string_value(v), ':') ? "nodad" : "");
        standin_sh(line);
    }
    json_array_foreach(json_object_get(i, "gateways"), k, v)
    {
        (void)snprintf(line, sizeof(line), "ip route add default via %s",
                       json_string_value(v));
        standin_sh(line);
    }
}

static void standin_move(int from, int to)
{
    static char frame[STANDIN_FRAME];
    ssize_t n = read(from, frame, sizeof(frame));
    if (n > 0)
        (void)!write(to, frame, (size_t)n);
}

static void standin_pump(int a, int b, pid_t child, int *status)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = a, .events = POLLIN},
                              {.fd = b, .events = POLLIN}};
        (void)poll(p, 2, 20);
        if (p[0].revents != 0)
            standin_move(a, b);
        if (p[1].revents != 0)
            standin_move(b, a);
        if (waitpid(child, status, WNOHANG) == child)
            return;
    }
}

static void standin_end(const json_t *config, uint32_t code)
{
    struct {
        struct ctl_header h;
        struct ctl_exit x;
    } m = {.h = {.type = CTL_EXIT, .size = sizeof(m.x)},
           .x = {.kind = CTL_EXITED, .code = code}};
    (void)dprintf(standin_int(config, "exit_fd"),
                  "{\"kind\":\"exited\",\"code\":%u,\"message\":\"\"}\n", code);
    (void)send(standin_int(config, "client_fd"), &m, sizeof(m), MSG_NOSIGNAL);
    _exit(0);
}

static pid_t standin_start(const json_t *args, int out, int err)
{
    static char *argv[STANDIN_ARGS];
    for (size_t i = 0; i < json_array_size(args) && i + 1 < STANDIN_ARGS; i++)
        argv[i] = strdup(json_string_value(json_array_get(args, i)));
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(out, 1);
        (void)dup2(err, 2);
        (void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv)
{
    json_error_t je;
    if (argc != 3)
        return 125;
    json_t *config = json_loadfd((int)strtol(argv[2], NULL, 10), 0, &je);
    const json_t *stdio = json_object_get(config, "stdio");
    const json_t *c = json_array_get(json_object_get(config, "containers"), 0);
    const json_t *i = json_array_get(json_object_get(config, "net"), 0);
    (void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    const int out = fcntl(standin_int(stdio, "stdout_fd"), F_DUPFD_CLOEXEC, 16);
    (void)dup2(standin_int(stdio, "stderr_fd"), 2);
    (void)dup2(2, 1); /* what ip says is no output of the command */
    if (unshare(CLONE_NEWNET) < 0) {
        perror("stand-in: unshare");
        return 125;
    }
    int inside = standin_tap();
    if (i != NULL)
        standin_configure(i);
    pid_t child = standin_start(json_object_get(c, "args"), out,
                                standin_int(stdio, "stderr_fd"));
    if (json_is_true(json_object_get(c, "report_start"))) {
        const struct ctl_header h = {.type = CTL_STARTED};
        (void)send(standin_int(config, "client_fd"), &h, sizeof(h),
                   MSG_NOSIGNAL);
    }
    int status = 0;
    standin_pump(i != NULL ? standin_int(i, "fd") : -1, inside, child, &status);
    standin_end(config,
                (uint32_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 128));
    return 0;
}
