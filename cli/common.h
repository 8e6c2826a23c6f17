// SPDX-License-Identifier: Apache-2.0
/* What every verb shares. A verb returns the exit code of the program. */
#pragma once

#include "cli/opt.h"
#include "supervisor/state.h"

enum { CLI_LIMPET_FAILED = 125 };

struct verb {
    const char *name;
    int (*run)(int argc, char **argv); /* arguments after the verb */
    const char *usage;                 /* after "limpet NAME" */
    const char *what;
};

extern const struct verb cli_verbs[]; /* ends with a NULL name */
/* "network create" and its like; they run with what follows both words. */
extern const struct verb cli_network_verbs[];

int cli_run(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_logs(int argc, char **argv);
int cli_stop(int argc, char **argv);
int cli_kill(int argc, char **argv);
int cli_wait(int argc, char **argv);
int cli_rm(int argc, char **argv);
int cli_image(int argc, char **argv);
int cli_board(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_image_prune(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_images(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_load(int argc, char **argv);
int cli_login(int argc, char **argv);
int cli_logout(int argc, char **argv);
int cli_pull(int argc, char **argv);
int cli_push(int argc, char **argv);
int cli_rmi(int argc, char **argv);
int cli_save(int argc, char **argv);
int cli_tag(int argc, char **argv);
int cli_network(int argc, char **argv);
int cli_port(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_help(int argc, char **argv);

/* "limpet: message" on stderr; returns CLI_LIMPET_FAILED. */
int cli_fail(const struct err *e);
/* "Error: message" on stderr, as docker's client; returns 1. */
int cli_error(const struct err *e);
/* Message and "See 'limpet VERB --help'."; returns CLI_LIMPET_FAILED. */
int cli_usage_error(const char *verb, const struct err *e);
/* Usage of a verb and the flags of `table` that it takes; returns 0. Every
 * verb's --help ends here, so that other printers find its table, too. */
int cli_print_help(const char *verb, const struct opt *table);

/* Instead of text for people, or NULL. `table` may be NULL. */
typedef void cli_help_fn(const struct verb *v, const struct opt *table);
extern cli_help_fn *cli_help_printer;

/* The manual page, in troff; returns 0. */
int cli_print_man(void);

/* `limpet VERB ...` -> `limpet-image VERB ...`. Returns only when it fails. */
int cli_exec_image(const char *verb, int argc, char **argv);

/* The store's image of a name or ID; -ENOENT with docker's message. */
int cli_find_image(const struct state *s, const char *ref, const char *arch,
                   char hex[65], struct err *e);

/* Open the state directory of --root (may be NULL). */
int cli_open_state(const char *root, struct state *s, struct err *e);

/* Signal number of "TERM", "SIGTERM", "15" or "RTMIN+3"; -EINVAL. */
int cli_parse_signal(const char *text, struct err *e);

/* A verb over containers: `each` for every reference of `r`, errors printed,
 * the reference printed when `echo`. Returns 1 if any failed. */
struct cli_each {
    int (*each)(const struct state *s, const char *id, const struct cli_each *c,
                struct err *e);
    long seconds; /* stop */
    int signo;    /* kill, stop (0: the image's) */
    bool force;   /* rm */
    bool echo;
    bool forgive; /* a missing container is no failure (rm -f) */
};
int cli_for_each(const struct opt_reader *r, const char *root,
                 const struct cli_each *c);
