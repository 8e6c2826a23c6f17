// SPDX-License-Identifier: Apache-2.0
#include "cli/report.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/launch.h"
#include "cli/run.h"

enum { REPORT_TAIL_SIZE = 4096, REPORT_TAIL_LINES = 20 };

static const char report_hint[] = "--accel emulate";

/* Last lines of vmm.log, indented. The guest can write there: nothing that
 * steers a terminal gets through. True if the monitor advises emulation. */
static bool report_log_tail(const struct launch *l)
{
    char text[REPORT_TAIL_SIZE + 1];
    struct stat st;
    if (fstat(l->vm.vmm_log, &st) < 0 || st.st_size == 0)
        return false;
    off_t from =
        st.st_size > REPORT_TAIL_SIZE ? st.st_size - REPORT_TAIL_SIZE : 0;
    ssize_t n = pread(l->vm.vmm_log, text, REPORT_TAIL_SIZE, from);
    if (n <= 0)
        return false;
    text[n] = '\0';
    ssize_t start = n;
    for (int lines = 0; start > 0; start--)
        if (text[start - 1] == '\n' && start < n &&
            ++lines == REPORT_TAIL_LINES)
            break;
    bool fresh = true;
    for (ssize_t i = start; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (fresh)
            (void)fputs("  | ", stderr);
        fresh = c == '\n';
        (void)fputc(c == '\n' || (c >= ' ' && c != 127) ? c : ' ', stderr);
    }
    if (!fresh)
        (void)fputc('\n', stderr);
    return strstr(text, report_hint) != NULL;
}

static void report_noexec(const struct launch *l, const struct instance_exit *x)
{
    const char *name = json_string_value(json_array_get(l->process.args, 0));
    const char *why;
    switch (x->code) {
    case ENOENT:
        why = strchr(name, '/') != NULL ? "no such file or directory"
                                        : "executable file not found in $PATH";
        break;
    case EACCES:
    case EISDIR: why = "permission denied"; break;
    case ENOEXEC: why = "exec format error"; break;
    default: why = strerror((int)x->code); break;
    }
    bool more = x->msg[0] != '\0' && strcmp(x->msg, name) != 0;
    (void)fprintf(stderr, "limpet: exec: \"%s\": %s%s%s%s\n", name, why,
                  more ? " (" : "", more ? x->msg : "", more ? ")" : "");
}

void report_exit(const struct launch *l, const struct run_opts *o,
                 const struct instance_exit *x)
{
    switch (x->kind) {
    case CTL_NOEXEC: report_noexec(l, x); break;
    case CTL_OOM:
        report_killed(x->msg[0] != '\0' ? x->msg : "the program");
        break;
    case CTL_PANIC:
        (void)fprintf(stderr, "limpet: the guest kernel panicked: %s\n",
                      x->msg);
        (void)report_log_tail(l);
        break;
    case CTL_MONITOR:
        (void)fprintf(stderr, "limpet: the VM failed: %s\n", x->msg);
        if (strstr(x->msg, report_hint) != NULL)
            report_emulate(o);
        break;
    default: break;
    }
}

void report_killed(const char *who)
{
    (void)fprintf(stderr,
                  "limpet: guest out of memory: killed %s (give the VM more "
                  "with -m)\n",
                  who);
}

void report_dead(const struct launch *l, const struct run_opts *o)
{
    (void)fprintf(stderr,
                  "limpet: the monitor of %.12s died; the end of its log:\n",
                  l->vm.id);
    if (report_log_tail(l))
        report_emulate(o);
}

/* `arg` so that a shell reads it back as one word. */
static void report_word(const char *arg)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                               "UVWXYZ0123456789_-+=:,./@%^";
    if (arg[0] != '\0' && strspn(arg, safe) == strlen(arg)) {
        (void)fprintf(stderr, " %s", arg);
        return;
    }
    (void)fputs(" '", stderr);
    for (const char *p = arg; *p != '\0'; p++) {
        if (*p == '\'')
            (void)fputs("'\\''", stderr);
        else
            (void)fputc(*p, stderr);
    }
    (void)fputc('\'', stderr);
}

void report_emulate(const struct run_opts *o)
{
    /* Before the image, so that it wins over an --accel that was given. */
    (void)fputs("Without KVM, slow and right:\n  limpet run", stderr);
    for (int i = 0; i < o->argc; i++) {
        if (o->argv[i] == o->image)
            (void)fputs(" --accel emulate", stderr);
        report_word(o->argv[i]);
    }
    (void)fputc('\n', stderr);
}
