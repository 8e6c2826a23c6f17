// SPDX-License-Identifier: Apache-2.0
/* limpet-stock-init: from a stock Linux kernel to one container, and back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/stock/stock.h"

/* Before the control port is open: the kernel's log is the monitor's. */
static void say(const char *what)
{
    int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)dprintf(fd, "<0>limpet: kernel panic: %s\n", what);
}

static void report(const void *frame, size_t size)
{
    const uint8_t *at = frame;
    while (size > 0) {
        struct pollfd p = {.fd = ports[BOOT_PORT_CTL], .events = POLLOUT};
        ssize_t n = write(p.fd, at, size);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (n < 0) {
            (void)poll(&p, 1, -1);
            continue;
        }
        at += n;
        size -= (size_t)n;
    }
}

void stock_exit(enum ctl_exit_kind kind, uint32_t code, const char *what)
{
    struct {
        struct ctl_header head;
        struct ctl_exit exit;
        char msg[CTL_MSG_MAX];
    } frame = {.exit = {.kind = kind, .code = code}};
    struct sysinfo si;
    if (sysinfo(&si) == 0)
        frame.exit.ram_used =
            ((uint64_t)si.totalram - si.freeram) * si.mem_unit;
    size_t n = what != NULL ? strlen(what) : 0;
    if (n > sizeof(frame.msg))
        n = sizeof(frame.msg);
    if (n > 0)
        memcpy(frame.msg, what, n);
    frame.exit.msg_size = (uint32_t)n;
    frame.head.type = CTL_EXIT;
    frame.head.size = (uint32_t)(sizeof(frame.exit) + n);
    if (ports[BOOT_PORT_CTL] >= 0)
        report(&frame, sizeof(frame.head) + frame.head.size);
    else
        say(what != NULL ? what : "init ended");
    (void)reboot(RB_POWER_OFF);
    for (;;)
        (void)pause();
}

void stock_fail(const char *what)
{
    char text[CTL_MSG_MAX];
    (void)snprintf(text, sizeof(text), "init: %.180s: %s", what,
                   strerror(errno));
    stock_exit(CTL_PANIC, (uint32_t)errno, text);
}

static _Noreturn void finish(const struct record *r, int status,
                             uint64_t oom_kills)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
        system_oom_kills() > oom_kills)
        stock_exit(CTL_OOM, SIGKILL, r->argv[0]);
    if (WIFSIGNALED(status))
        stock_exit(CTL_SIGNALLED, (uint32_t)WTERMSIG(status), NULL);
    stock_exit(CTL_EXITED, (uint32_t)WEXITSTATUS(status), NULL);
}

int main(void)
{
    struct record r;
    struct program p;
    (void)signal(SIGPIPE, SIG_IGN); /* NOLINT(bugprone-unused-return-value) */
    system_mount_own();
    system_load_modules();
    system_open_ports();
    record_read(&r);
    system_enter_root();
    record_write_files(&r);
    if (sethostname(r.hostname, strlen(r.hostname)) < 0)
        stock_fail("sethostname");
    uint64_t oom_kills = system_oom_kills();
    program_start(&r, &p);
    int status = relay_run(&r, &p);
    finish(&r, status, oom_kills);
}
