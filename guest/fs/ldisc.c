// SPDX-License-Identifier: Apache-2.0
/* The line discipline: N_TTY of termios(3). tty.lock is held throughout. */
#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/signal.h"
#include "guest/fs/poll.h"
#include "guest/fs/tty_impl.h"

#define RING(i)      ((i) & (TTY_BUF_SIZE - 1))
#define NO_CHAR      '\0' /* _POSIX_VDISABLE: this character is off */
#define TAB_WIDTH    8
#define OUTPUT_PIECE 256 /* bytes handed to the driver at a time */

static bool iflag(const struct tty *t, uint32_t f)
{
    return (t->termios.iflag & f) != 0;
}

static bool oflag(const struct tty *t, uint32_t f)
{
    return (t->termios.oflag & f) != 0;
}

static bool lflag(const struct tty *t, uint32_t f)
{
    return (t->termios.lflag & f) != 0;
}

static bool is_cc(const struct tty *t, unsigned which, uint8_t c)
{
    return t->termios.cc[which] == c && c != NO_CHAR;
}

static bool is_control(uint8_t c)
{
    return c < 0x20 || c == 0x7f;
}

/* A byte of a UTF-8 character after its first. */
static bool is_tail(const struct tty *t, uint8_t c)
{
    return iflag(t, LX_IUTF8) && (c & 0xc0) == 0x80;
}

/* --- output --- */

struct out {
    char data[OUTPUT_PIECE];
    uint32_t used;
};

static void out_flush(struct tty *t, struct out *o)
{
    if (o->used > 0)
        (void)t->drv->write(t, o->data, o->used);
    o->used = 0;
}

static void out_raw(struct tty *t, struct out *o, uint8_t c)
{
    if (o->used == sizeof(o->data))
        out_flush(t, o);
    o->data[o->used++] = (char)c;
}

static void out_tab(struct tty *t, struct out *o)
{
    uint32_t width = TAB_WIDTH - t->column % TAB_WIDTH;
    t->column += width;
    if ((t->termios.oflag & LX_TABDLY) != LX_XTABS) {
        out_raw(t, o, '\t');
        return;
    }
    while (width-- > 0)
        out_raw(t, o, ' ');
}

static void out_newline(struct tty *t, struct out *o)
{
    if (oflag(t, LX_ONLCR))
        out_raw(t, o, '\r');
    if (oflag(t, LX_ONLCR | LX_ONLRET)) {
        t->column = 0;
        t->canon_column = 0;
    }
    out_raw(t, o, '\n');
}

static void out_return(struct tty *t, struct out *o)
{
    if (oflag(t, LX_ONOCR) && t->column == 0)
        return;
    if (oflag(t, LX_OCRNL)) {
        if (oflag(t, LX_ONLRET))
            t->column = 0;
        out_raw(t, o, '\n');
        return;
    }
    t->column = 0;
    t->canon_column = 0;
    out_raw(t, o, '\r');
}

static void out_char(struct tty *t, struct out *o, uint8_t c)
{
    if (!oflag(t, LX_OPOST)) {
        out_raw(t, o, c);
        return;
    }
    if (c == '\n') {
        out_newline(t, o);
    } else if (c == '\r') {
        out_return(t, o);
    } else if (c == '\t') {
        out_tab(t, o);
    } else {
        if (c == '\b' && t->column > 0)
            t->column--;
        else if (!is_control(c) && !is_tail(t, c))
            t->column++;
        out_raw(t, o, c);
    }
}

void ldisc_output(struct tty *t, const char *data, uint32_t n)
{
    struct out o = {.used = 0};
    for (uint32_t i = 0; i < n; i++)
        out_char(t, &o, (uint8_t)data[i]);
    out_flush(t, &o);
}

uint32_t ldisc_growth(const struct tty *t)
{
    if (!oflag(t, LX_OPOST))
        return 1;
    return (t->termios.oflag & LX_TABDLY) == LX_XTABS ? TAB_WIDTH : 2;
}

/* --- echo --- */

/* As it is shown: ^X for control characters with ECHOCTL. */
static void echo_char(struct tty *t, uint8_t c)
{
    struct out o = {.used = 0};
    if (lflag(t, LX_ECHOCTL) && is_control(c) && c != '\t' && c != '\n') {
        out_char(t, &o, '^');
        out_char(t, &o, c ^ 0x40);
    } else {
        out_char(t, &o, c);
    }
    out_flush(t, &o);
}

static void echo_text(struct tty *t, const char *text)
{
    ldisc_output(t, text, (uint32_t)strlen(text));
}

/* Columns that `c` takes on the screen; tabs not counted. */
static uint32_t echo_width(const struct tty *t, uint8_t c)
{
    if (is_control(c))
        return lflag(t, LX_ECHOCTL) ? 2 : 0;
    return is_tail(t, c) ? 0 : 1;
}

/* --- the ring --- */

static bool ring_end(const struct tty *t, uint32_t i)
{
    return (t->ends[RING(i) / 64] >> RING(i) % 64 & 1) != 0;
}

static void ring_put(struct tty *t, uint8_t c, bool end)
{
    uint64_t bit = UINT64_C(1) << RING(t->head) % 64;
    uint64_t *word = &t->ends[RING(t->head) / 64];
    t->buf[RING(t->head)] = (char)c;
    *word = end ? *word | bit : *word & ~bit;
    t->head++;
}

static uint32_t ring_used(const struct tty *t)
{
    return t->head - t->tail;
}

static void readers_wake(struct tty *t)
{
    waitq_wake(&t->in, EPOLLIN | EPOLLRDNORM, WAKE_ALL);
}

static void line_end(struct tty *t, uint8_t c)
{
    ring_put(t, c, true);
    t->canon = t->head;
    readers_wake(t);
}

void ldisc_flush_input(struct tty *t)
{
    t->tail = t->head;
    t->canon = t->head;
    t->literal = false;
}

/* --- erasing in the line being edited --- */

/* A tab goes back to where it started, which depends on all before it. */
static uint32_t tab_width(const struct tty *t)
{
    uint32_t column = t->canon_column;
    for (uint32_t i = t->canon; i != t->head; i++) {
        uint8_t c = (uint8_t)t->buf[RING(i)];
        if (c == '\t')
            column += TAB_WIDTH - column % TAB_WIDTH;
        else
            column += echo_width(t, c);
    }
    return TAB_WIDTH - column % TAB_WIDTH;
}

static void erase_columns(struct tty *t, uint32_t n, const char *how)
{
    while (n-- > 0)
        echo_text(t, how);
}

/* The last character of the line, all its bytes. */
static void erase_char(struct tty *t)
{
    uint8_t c;
    do {
        t->head--;
        c = (uint8_t)t->buf[RING(t->head)];
    } while (is_tail(t, c) && t->head != t->canon);
    if (!lflag(t, LX_ECHO))
        return;
    if (!lflag(t, LX_ECHOE))
        echo_char(t, t->termios.cc[LX_VERASE]);
    else if (c == '\t')
        erase_columns(t, tab_width(t), "\b");
    else
        erase_columns(t, echo_width(t, c), "\b \b");
}

static bool is_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static void erase_word(struct tty *t)
{
    bool seen = false;
    while (t->head != t->canon) {
        bool word = is_word((uint8_t)t->buf[RING(t->head - 1)]);
        if (seen && !word)
            return;
        seen = seen || word;
        erase_char(t);
    }
}

static void erase_line(struct tty *t)
{
    if (lflag(t, LX_ECHO) && !(lflag(t, LX_ECHOE) && lflag(t, LX_ECHOKE))) {
        t->head = t->canon;
        echo_char(t, t->termios.cc[LX_VKILL]);
        if (lflag(t, LX_ECHOK))
            echo_text(t, "\n");
        return;
    }
    while (t->head != t->canon)
        erase_char(t);
}

static void reprint(struct tty *t)
{
    echo_char(t, t->termios.cc[LX_VREPRINT]);
    echo_text(t, "\n");
    for (uint32_t i = t->canon; i != t->head; i++)
        echo_char(t, (uint8_t)t->buf[RING(i)]);
}

/* --- input --- */

static void status(struct tty *t, uint8_t what)
{
    if (t->drv->status != NULL)
        t->drv->status(t, what);
}

void ldisc_stop(struct tty *t, bool stop)
{
    if (t->stopped == stop)
        return;
    t->stopped = stop;
    status(t, stop ? LX_TIOCPKT_STOP : LX_TIOCPKT_START);
    if (!stop)
        waitq_wake(t->out, EPOLLOUT | EPOLLWRNORM, WAKE_ALL);
}

static void input_signal(struct tty *t, uint8_t c, int signo)
{
    ldisc_stop(t, false);
    if (!lflag(t, LX_NOFLSH)) {
        ldisc_flush_input(t);
        status(t, LX_TIOCPKT_FLUSHREAD | LX_TIOCPKT_FLUSHWRITE);
    }
    if (lflag(t, LX_ECHO))
        echo_char(t, c);
    signal_send_pgrp(t->pgrp, signo);
}

/* Characters that act at once, in any mode. True: `c` was one. */
static bool input_special(struct tty *t, uint8_t c)
{
    if (iflag(t, LX_IXON)) {
        if (is_cc(t, LX_VSTART, c)) {
            ldisc_stop(t, false);
            return true;
        }
        if (is_cc(t, LX_VSTOP, c)) {
            ldisc_stop(t, true);
            return true;
        }
    }
    if (!lflag(t, LX_ISIG))
        return false;
    int signo = 0;
    if (is_cc(t, LX_VINTR, c))
        signo = LX_SIGINT;
    else if (is_cc(t, LX_VQUIT, c))
        signo = LX_SIGQUIT;
    else if (is_cc(t, LX_VSUSP, c))
        signo = LX_SIGTSTP;
    if (signo != 0)
        input_signal(t, c, signo);
    return signo != 0;
}

/* Editing of a line. True: `c` was for that. */
static bool input_edit(struct tty *t, uint8_t c)
{
    bool ext = lflag(t, LX_IEXTEN);
    if (is_cc(t, LX_VERASE, c)) {
        if (t->head != t->canon)
            erase_char(t);
        return true;
    }
    if (is_cc(t, LX_VKILL, c)) {
        erase_line(t);
        return true;
    }
    if (ext && is_cc(t, LX_VWERASE, c)) {
        erase_word(t);
        return true;
    }
    if (ext && is_cc(t, LX_VLNEXT, c)) {
        t->literal = true;
        if (lflag(t, LX_ECHO) && lflag(t, LX_ECHOCTL))
            echo_text(t, "^\b");
        return true;
    }
    if (ext && lflag(t, LX_ECHO) && is_cc(t, LX_VREPRINT, c)) {
        reprint(t);
        return true;
    }
    return false;
}

/* The end of a line. True: `c` was one. */
static bool input_line_end(struct tty *t, uint8_t c)
{
    if (c == '\n') {
        if (lflag(t, LX_ECHO | LX_ECHONL))
            echo_text(t, "\n");
        line_end(t, c);
        return true;
    }
    if (is_cc(t, LX_VEOF, c)) {
        line_end(t, NO_CHAR);
        return true;
    }
    if (is_cc(t, LX_VEOL, c) ||
        (lflag(t, LX_IEXTEN) && is_cc(t, LX_VEOL2, c))) {
        if (lflag(t, LX_ECHO))
            echo_char(t, c);
        line_end(t, c);
        return true;
    }
    return false;
}

static void input_store(struct tty *t, uint8_t c)
{
    if (ring_used(t) >= TTY_BUF_SIZE - 1) { /* the last byte is for an end */
        if (iflag(t, LX_IMAXBEL))
            echo_text(t, "\a");
        return;
    }
    if (lflag(t, LX_ECHO)) {
        if (t->head == t->canon)
            t->canon_column = t->column;
        echo_char(t, c);
    }
    ring_put(t, c, false);
}

static void input_char(struct tty *t, uint8_t c)
{
    if (iflag(t, LX_ISTRIP))
        c &= 0x7f;
    if (t->literal) {
        t->literal = false;
        input_store(t, c);
        return;
    }
    if (iflag(t, LX_IXON) && iflag(t, LX_IXANY) && t->stopped &&
        !is_cc(t, LX_VSTOP, c))
        ldisc_stop(t, false);
    if (input_special(t, c))
        return;
    if (c == '\r') {
        if (iflag(t, LX_IGNCR))
            return;
        if (iflag(t, LX_ICRNL))
            c = '\n';
    } else if (c == '\n' && iflag(t, LX_INLCR)) {
        c = '\r';
    }
    if (lflag(t, LX_ICANON) && (input_edit(t, c) || input_line_end(t, c)))
        return;
    input_store(t, c);
}

/* No room, and somebody will make some by reading: wait for that. A line too
 * long to be ever read loses characters instead. */
static bool input_must_wait(const struct tty *t)
{
    if (ring_used(t) < TTY_BUF_SIZE - 1)
        return false;
    return !lflag(t, LX_ICANON) || t->canon != t->tail;
}

size_t ldisc_input(struct tty *t, const char *data, size_t n)
{
    size_t done = 0;
    if (t->buf == NULL)
        t->buf = kmalloc(TTY_BUF_SIZE);
    if (t->buf == NULL || t->hung || (t->termios.cflag & LX_CREAD) == 0)
        done = n;
    while (done < n) {
        uint8_t c = (uint8_t)data[done];
        if (!input_must_wait(t)) {
            input_char(t, c);
        } else if (!input_special(t, c)) {
            t->throttled = true;
            break;
        }
        done++;
    }
    bool wake = !lflag(t, LX_ICANON) && ring_used(t) > 0;
    if (wake)
        readers_wake(t);
    return done;
}

size_t tty_input(struct tty *t, const char *data, size_t n)
{
    mutex_lock(&t->lock);
    size_t done = ldisc_input(t, data, n);
    mutex_unlock(&t->lock);
    return done;
}

/* --- reading --- */

/* A raw read waits for this many bytes. */
static uint32_t raw_minimum(const struct tty *t)
{
    const uint8_t *cc = t->termios.cc;
    return cc[LX_VTIME] == 0 && cc[LX_VMIN] > 0 ? cc[LX_VMIN] : 1;
}

bool ldisc_readable(const struct tty *t)
{
    if (lflag(t, LX_ICANON))
        return t->canon != t->tail;
    return ring_used(t) >= raw_minimum(t);
}

bool ldisc_pending(const struct tty *t)
{
    return (lflag(t, LX_ICANON) ? t->canon : t->head) != t->tail;
}

uint32_t ldisc_count(const struct tty *t)
{
    if (!lflag(t, LX_ICANON))
        return ring_used(t);
    uint32_t n = t->canon - t->tail;
    for (uint32_t i = t->tail; i != t->canon; i++)
        if (ring_end(t, i) && t->buf[RING(i)] == NO_CHAR)
            n--;
    return n;
}

uint32_t ldisc_peek(const struct tty *t, uint32_t max, const char **at,
                    uint32_t *skip, bool *eol)
{
    bool canon = lflag(t, LX_ICANON);
    uint32_t end = canon ? t->canon : t->head;
    uint32_t n = 0;
    *at = t->buf != NULL ? t->buf + RING(t->tail) : NULL;
    *eol = false;
    uint32_t room = MIN(end - t->tail, TTY_BUF_SIZE - RING(t->tail));
    if (!canon) {
        n = MIN(room, max);
        *skip = n;
        return n;
    }
    while (n < room && !*eol) {
        uint32_t i = t->tail + n;
        bool mark = ring_end(t, i) && t->buf[RING(i)] == NO_CHAR;
        /* A full buffer right before the mark must not leave it behind as a
         * false end of file for the next read. */
        if (n == max && !mark)
            break;
        *eol = ring_end(t, i);
        if (mark) {
            *skip = n + 1;
            return n;
        }
        n++;
    }
    *skip = n;
    return n;
}

void ldisc_consume(struct tty *t, uint32_t n)
{
    t->tail += n;
    /* A long line whose end is still to come leaves nothing to read. */
    if (!t->throttled || (ring_used(t) > TTY_BUF_SIZE / 2 && ldisc_pending(t)))
        return;
    t->throttled = false;
    t->drv->unthrottle(t);
}

/* Whether the other end should stop and start output with ^S and ^Q. */
static bool usual_flow(const struct lx_termios2 *t)
{
    return (t->iflag & LX_IXON) != 0 && t->cc[LX_VSTOP] == 023 &&
           t->cc[LX_VSTART] == 021;
}

void ldisc_set_termios(struct tty *t, const struct lx_termios2 *to)
{
    bool was = lflag(t, LX_ICANON);
    if (usual_flow(&t->termios) != usual_flow(to))
        status(t, usual_flow(to) ? LX_TIOCPKT_DOSTOP : LX_TIOCPKT_NOSTOP);
    if (((t->termios.lflag | to->lflag) & LX_EXTPROC) != 0)
        status(t, LX_TIOCPKT_IOCTL);
    t->termios = *to;
    if (was != lflag(t, LX_ICANON)) {
        memset(t->ends, 0, sizeof(t->ends));
        t->canon = t->head; /* what was typed so far can be read */
        t->literal = false;
        if (ldisc_pending(t))
            readers_wake(t);
    }
    if (!iflag(t, LX_IXON))
        ldisc_stop(t, false);
}
