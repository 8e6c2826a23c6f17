// SPDX-License-Identifier: Apache-2.0
#include "cli/end.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "supervisor/client.h"
#include "supervisor/state.h"

enum {
    END_STEP_MS = 20,       /* between looks where nothing can be waited for */
    END_OBEY_MS = 5000,     /* for a guest to die of SIGKILL */
    END_TEARDOWN_MS = 60000 /* for the kernel to close a killed VM */
};

static void end_pause(void)
{
    (void)poll(NULL, 0, END_STEP_MS);
}

int end_signal(const struct state *s, const char *id, int signo, struct err *e)
{
    AUTO_CLOSE int dir = state_dir(s, id, e);
    if (dir < 0)
        return dir;
    AUTO_CLOSE int fd = client_connect(dir, e);
    if (fd < 0)
        return fd;
    int code = client_send_signal(fd, (unsigned)signo);
    return code < 0 ? err_set(e, code, "%.12s: cannot reach the monitor", id)
                    : 0;
}

/* What the state directory says: 0 and *out if it ended, else -EAGAIN. */
static int end_look(const struct state *s, const char *id,
                    struct instance_exit *out, struct err *e)
{
    struct state_info info;
    int code = state_read(s, id, &info, e);
    if (code < 0)
        return code;
    *out = info.exit;
    if (info.state == INSTANCE_DEAD)
        *out = (struct instance_exit){.kind = CTL_MONITOR};
    code = info.state == INSTANCE_EXITED || info.state == INSTANCE_DEAD
               ? 0
               : -EAGAIN;
    state_info_fini(&info);
    return code;
}

int end_wait(const struct state *s, const char *id, int timeout_ms,
             struct instance_exit *out, struct err *e)
{
    int code = end_look(s, id, out, e);
    if (code != -EAGAIN)
        return code;
    AUTO_CLOSE int dir = state_dir(s, id, e);
    if (dir < 0)
        return dir;
    AUTO_CLOSE int fd = client_connect(dir, NULL);
    if (fd >= 0) {
        code = client_wait_exit(fd, timeout_ms, out, e);
        if (code == 0 || code == -ETIMEDOUT)
            return code;
    }
    /* It is just ending (or starting): its record or its lock tells. */
    for (int left = timeout_ms; timeout_ms < 0 || left >= 0;
         left -= END_STEP_MS) {
        code = end_look(s, id, out, e);
        if (code != -EAGAIN)
            return code;
        end_pause();
    }
    return err_set(e, -ETIMEDOUT, "%.12s: still running", id);
}

/* The pid in `lock` is the monitor's as long as the lock is held: look again
 * once the pidfd pins whoever has that pid now. */
static int end_kill_monitor(const struct state *s, const char *id,
                            struct err *e)
{
    struct state_info info;
    int code = state_read(s, id, &info, e);
    if (code < 0)
        return code;
    pid_t pid = info.pid;
    state_info_fini(&info);
    if (pid <= 0)
        return 0;
    AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return errno == ESRCH
                   ? 0
                   : err_set(e, -errno, "monitor %d: pidfd", (int)pid);
    struct instance_exit x;
    if (end_look(s, id, &x, e) != -EAGAIN)
        return 0;
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
        return err_set(e, -errno, "cannot kill monitor %d of %.12s", (int)pid,
                       id);
    AUTO_CLOSE int dir = state_dir(s, id, e);
    AUTO_CLOSE int record =
        dir < 0 ? -1 : openat(dir, "exit.json", O_RDWR | O_APPEND | O_CLOEXEC);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    (void)poll(&p, 1, END_TEARDOWN_MS);
    x = (struct instance_exit){.kind = CTL_SIGNALLED, .code = SIGKILL};
    if (record >= 0)
        state_record(record, &x);
    return 0;
}

int end_kill(const struct state *s, const char *id, struct err *e)
{
    struct instance_exit x;
    int code = end_signal(s, id, SIGKILL, NULL);
    if (code == 0)
        code = end_wait(s, id, END_OBEY_MS, &x, e);
    if (code < 0 && (code = end_kill_monitor(s, id, e)) == 0)
        code = end_wait(s, id, END_TEARDOWN_MS, &x, e);
    return code == -ENOENT ? 0 : code; /* its launcher removed it (--rm) */
}

int end_stop(const struct state *s, const char *id, int signo, long seconds,
             struct err *e)
{
    struct instance_exit x;
    int code = end_signal(s, id, signo, NULL);
    if (code == 0) {
        int ms = seconds < 0                ? -1
                 : seconds > INT_MAX / 1000 ? INT_MAX
                                            : (int)seconds * 1000;
        code = end_wait(s, id, ms, &x, e);
    }
    return code == 0 ? 0 : end_kill(s, id, e);
}
