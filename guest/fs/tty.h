// SPDX-License-Identifier: Apache-2.0
/*
 * Terminals: line discipline N_TTY (termios(3), tty_ioctl(4)), the console
 * terminal and pseudo-terminals. A driver moves bytes in and out.
 * Everything here is for task context and may sleep.
 */
#pragma once

#include "abi/linux/termios.h"

#include "guest/core/lock.h"
#include "guest/core/types.h"
#include "guest/core/wait.h"

struct file;
struct session;
struct tty;

struct tty_driver {
    /* Take output bytes from the line discipline; returns how many were taken
     * (may be fewer: tty_wakeup() when there is room). */
    size_t (*write)(struct tty *t, const void *data, size_t n);
    size_t (*room)(struct tty *t); /* must not sleep */
    /* Memory for `n` more bytes of that room; false: there is none. NULL: it
     * needs none. Like `write`, with the terminal's lock held. */
    bool (*reserve)(struct tty *t, size_t n);
    size_t (*queued)(struct tty *t); /* output not yet taken: TIOCOUTQ */
    /* The line discipline has room again after it had refused input. The
     * terminal's lock is held. */
    void (*unthrottle)(struct tty *t);
    /* Forget input that the line discipline refused; NULL: there is none. The
     * terminal's lock is held. */
    void (*flush)(struct tty *t);
    /* TIOCPKT: this happened (LX_TIOCPKT_*); NULL: nobody asks. The terminal's
     * lock is held. */
    void (*status)(struct tty *t, uint8_t what);
    void (*closed)(struct tty *t); /* the last file of it was closed */
    void (*free)(struct tty *t);   /* the last reference is gone */
};

struct tty *tty_new(const struct tty_driver *drv, uint64_t rdev);
void tty_get(struct tty *t);
void tty_put(struct tty *t);
uint64_t tty_rdev(const struct tty *t);
int32_t tty_pgrp(const struct tty *t); /* foreground group, 0: none */
/* Bytes arrived from the device: echo, edit, signals. Returns bytes accepted
 * (the rest after drv->unthrottle). */
size_t tty_input(struct tty *t, const char *data, size_t n);
void tty_wakeup(struct tty *t); /* the driver has room again; any context */
void tty_set_winsize(struct tty *t, const struct lx_winsize *w); /* SIGWINCH */
void tty_hangup(struct tty *t); /* the other end is gone: SIGHUP, EOF */
/* open(2) of a tty device: sets ops, controlling terminal rules. 0 or -errno */
int tty_file_open(struct tty *t, struct file *f);
/* The leader of this session has ended: SIGHUP and SIGCONT to the foreground
 * group, no controlling terminal any more. No locks held. */
void tty_session_exit(struct session *s);

extern struct tty *tty_console;  /* NULL when stdio is not a terminal */
int tty_console_start(void);     /* 0 or -ENOMEM */
void tty_devices_register(void); /* /dev/tty, /dev/console, /dev/ptmx, pts */
