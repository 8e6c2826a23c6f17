// SPDX-License-Identifier: Apache-2.0
/* Between the files of the terminal code. */
#pragma once

#include "guest/fs/tty.h"

struct inode;
struct session;

#define TTY_BUF_SIZE 4096 /* bytes of input, power of two */

struct tty {
    const struct tty_driver *drv;
    void *drv_data;
    uint64_t rdev;
    uint32_t refs;
    struct mutex lock; /* everything below up to `session` */

    struct lx_termios2 termios;
    struct lx_termios fixed; /* TIOCSLCKTRMIOS: bits nobody changes */
    struct lx_winsize winsize;
    /* Input ring with free-running indexes: lines [tail, canon), then the
     * line being edited [canon, head). Raw mode: all of it is readable. */
    char *buf;                        /* made at first input */
    uint64_t ends[TTY_BUF_SIZE / 64]; /* bytes that end a line */
    uint32_t head, canon, tail;
    uint32_t column;       /* of the cursor */
    uint32_t canon_column; /* where the line being edited starts */
    bool literal;          /* VLNEXT was typed */
    bool stopped;          /* output: VSTOP, TCOOFF */
    bool throttled;        /* input was refused: drv->unthrottle */
    bool hung;             /* for ever (until a pty is opened anew) */
    uint32_t files;        /* open ones */

    struct session *session; /* reference; proc_lock */
    int32_t pgrp;            /* foreground; written under proc_lock */
    struct waitq in;         /* readers */
    struct waitq *out;       /* writers: own_out, or the driver's */
    struct waitq own_out;
};

/* ldisc.c; lock is held. */
bool ldisc_readable(const struct tty *t);  /* a read would not block */
bool ldisc_pending(const struct tty *t);   /* any input at all */
uint32_t ldisc_count(const struct tty *t); /* FIONREAD */
/* Readable bytes at *at, contiguous, at most `max`; *skip is how many to
 * consume (an end-of-file mark is not data); *eol: the line ends there. */
uint32_t ldisc_peek(const struct tty *t, uint32_t max, const char **at,
                    uint32_t *skip, bool *eol);
void ldisc_consume(struct tty *t, uint32_t n);
size_t ldisc_input(struct tty *t, const char *data, size_t n); /* tty_input */
void ldisc_flush_input(struct tty *t);
void ldisc_stop(struct tty *t, bool stop); /* output */
void ldisc_set_termios(struct tty *t, const struct lx_termios2 *to);
/* Process `n` bytes of output; there is room for LDISC_GROWTH times as many. */
void ldisc_output(struct tty *t, const char *data, uint32_t n);
uint32_t ldisc_growth(const struct tty *t); /* output bytes per byte, at most */

/* tty_job.c; no lock held. */
/* May `current` change (SIGTTOU) or read (SIGTTIN) this terminal? 0, -EIO, or
 * -ERESTARTSYS after a signal was sent to its group. */
int tty_check_job(struct tty *t, int signo);
bool tty_is_mine(const struct tty *t); /* current's controlling terminal */
void tty_open_job(struct tty *t, uint32_t open_flags);
int tty_set_controlling(struct tty *t, bool steal);
int tty_give_up(struct tty *t); /* TIOCNOTTY */
int tty_set_pgrp(struct tty *t, int32_t pgrp);
int tty_session_id(struct tty *t, int32_t *id);
/* SIGHUP, SIGCONT; nobody's controlling terminal any more. */
void tty_leave_session(struct tty *t, bool hangup);

int64_t tty_ioctl(struct tty *t, uint32_t cmd, uint64_t arg);
/* tty.c: of open files of terminals. */
struct tty *tty_of_file(const struct file *f); /* NULL: not one */

/* pty.c */
int ptmx_open(struct file *f, uint64_t rdev);
int pts_open(struct file *f, uint64_t rdev);
#define PTS_MAX 1024
/* devpts.c: a name appears (0 or -errno) and goes. */
int devpts_add(uint32_t index, uint32_t uid);
void devpts_remove(uint32_t index);
