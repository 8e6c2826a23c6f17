// SPDX-License-Identifier: Apache-2.0
/*
 * Time commands side by side: bench-spawn RUNS WARMUP [+LABEL CMD [ARG...]]...
 *
 * Each round runs every command once, in turn, so that noise meets all alike.
 * Output of the commands goes to /dev/null. This process is a subreaper: it
 * waits for whatever a command leaves behind (a monitor that closes its VM
 * late) before the next one starts, and counts its CPU time.
 * Per command, medians: LABEL wall_ms wall_min_ms all_ms cpu_ms status
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMMAND_MAX = 16, RUN_MAX = 4096 };

struct command {
    const char *label;
    char **argv;
    double wall[RUN_MAX], all[RUN_MAX], cpu[RUN_MAX];
    int status;
};

static struct command commands[COMMAND_MAX];

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_ms(void)
{
    struct rusage r;
    (void)getrusage(RUSAGE_CHILDREN, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e3 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e3;
}

static void run_once(struct command *c, unsigned slot)
{
    double cpu = cpu_ms();
    double start = now_ms();
    pid_t pid = vfork();
    if (pid == 0) {
        int fd = open("/dev/null", O_RDWR);
        (void)dup2(fd, 0);
        (void)dup2(fd, 1);
        execvp(c->argv[0], c->argv);
        _exit(127);
    }
    int status = -1;
    (void)waitpid(pid, &status, 0);
    c->wall[slot] = now_ms() - start;
    c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    c->all[slot] = now_ms() - start;
    c->cpu[slot] = cpu_ms() - cpu;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), compare);
    return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    if (argc < 4)
        return 2;
    unsigned runs = (unsigned)strtoul(argv[1], NULL, 10);
    unsigned warmup = (unsigned)strtoul(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++) {
        if (argv[i][0] != '+' || count == COMMAND_MAX)
            continue;
        commands[count].label = argv[i] + 1;
        commands[count++].argv = argv + i + 1;
        argv[i] = NULL; /* ends the argv before it */
    }
    if (runs == 0 || runs > RUN_MAX || count == 0)
        return 2;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for (unsigned r = 0; r < warmup + runs; r++)
        for (unsigned c = 0; c < count; c++)
            run_once(&commands[c], r < warmup ? 0 : r - warmup);
    for (unsigned c = 0; c < count; c++) {
        struct command *k = &commands[c];
        double wall = median(k->wall, runs);
        printf("%s %.3f %.3f %.3f %.3f %d\n", k->label, wall, k->wall[0],
               median(k->all, runs), median(k->cpu, runs), k->status);
    }
    return 0;
}
