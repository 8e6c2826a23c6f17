// SPDX-License-Identifier: Apache-2.0
/* The urgent byte of TCP: MSG_OOB, SO_OOBINLINE, SIOCATMARK, SIGURG. tcp(7),
 * socket(7), RFC 6093. */
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

#include "tests/guest/conform/t_inet.h"

static int a, b; /* the two ends */

static void connected(void)
{
    int on = 1, s[2];

    t_tcp_pair(s);
    a = s[0];
    b = s[1];
    setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void ended(void)
{
    close(a);
    close(b);
}

static int pending(void)
{
    int n = -1;

    ioctl(b, FIONREAD, &n);
    return n;
}

static int mark(void)
{
    int n = -1;

    return ioctl(b, SIOCATMARK, &n) < 0 ? -1 : n;
}

static void readable(const char *label)
{
    struct pollfd p = {.fd = b,
                       .events = POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND};

    poll(&p, 1, 0);
    t_say(label, "%x pending %d mark %d", p.revents, pending(), mark());
}

static void put(const char *text, int flags)
{
    if (send(a, text, strlen(text), flags) < 0)
        t_say("send", "%s", t_errno(errno));
}

/* Out of line: the byte is apart, and reading stops where it was. */
static void apart(void)
{
    connected();
    t_recv("none", b, 1, MSG_OOB);
    readable("idle");
    put("abc", 0);
    put("xyU", MSG_OOB);
    put("def", 0);
    t_arrives(b, POLLPRI);
    (void)UNTIL(recv(b, (char[9]){0}, 9, MSG_PEEK | MSG_DONTWAIT) == 5);
    readable("both");
    t_recv("peek", b, 64, MSG_PEEK);
    t_recv("peek_oob", b, 1, MSG_OOB | MSG_PEEK);
    t_recv("oob", b, 5, MSG_OOB);
    t_recv("oob_again", b, 1, MSG_OOB);
    readable("taken");
    t_recv("before", b, 2, 0);
    t_recv("to_mark", b, 64, MSG_WAITALL);
    readable("at_mark");
    (void)UNTIL(recv(b, (char[9]){0}, 9, MSG_PEEK | MSG_DONTWAIT) == 3);
    t_recv("peek_over", b, 64, MSG_PEEK);
    t_recv("after", b, 64, 0);
    readable("over");
    t_recv("oob_late", b, 1, MSG_OOB);
    ended();
}

/* Nobody asks for it: it is passed over. */
static void passed(void)
{
    connected();
    put("U", MSG_OOB);
    t_arrives(b, POLLPRI);
    readable("only");
    t_recv("nothing", b, 9, 0);
    readable("passed");
    t_recv("oob_passed", b, 1, MSG_OOB);
    put("more", 0);
    t_arrives(b, POLLIN);
    t_recv("more", b, 9, 0);
    ended();
}

static void inline_(void)
{
    int on = 1;

    connected();
    setsockopt(b, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    put("ab", 0);
    put("U", MSG_OOB);
    put("cd", 0);
    t_arrives(b, POLLPRI);
    t_recv("in_oob", b, 1, MSG_OOB);
    (void)UNTIL(pending() == 5);
    readable("in_line");
    t_recv("in_before", b, 9, 0);
    readable("in_mark");
    t_recv("in_after", b, 9, 0);
    readable("in_over");
    ended();
}

/* A second one takes the place of the first. */
static void twice(void)
{
    connected();
    put("aU", MSG_OOB);
    t_arrives(b, POLLPRI);
    put("bV", MSG_OOB);
    (void)UNTIL(recv(b, (char[1]){0}, 1, MSG_OOB | MSG_PEEK) == 1 &&
                pending() == 3);
    readable("second");
    t_recv("second_oob", b, 1, MSG_OOB);
    t_recv("second_before", b, 9, 0);
    t_recv("second_rest", b, 9, 0);
    ended();
    /* The reader stood at the first. */
    connected();
    put("aU", MSG_OOB);
    t_arrives(b, POLLPRI);
    t_recv("stands", b, 9, 0);
    put("bV", MSG_OOB);
    (void)UNTIL(pending() == 1);
    readable("stood");
    t_recv("stood_oob", b, 1, MSG_OOB);
    t_recv("stood_rest", b, 9, 0);
    ended();
}

static void ends(void)
{
    connected();
    put("aU", MSG_OOB);
    shutdown(a, SHUT_WR);
    t_arrives(b, POLLPRI);
    (void)UNTIL(({
        struct pollfd p = {.fd = b, .events = POLLRDHUP};
        poll(&p, 1, 0) == 1;
    }));
    readable("closing");
    t_recv("end_a", b, 9, 0);
    t_recv("end_oob", b, 1, MSG_OOB);
    t_recv("end_0", b, 9, 0);
    t_recv("end_oob_0", b, 1, MSG_OOB);
    ended();
}

static void signals(void)
{
    struct sigaction sa = {.sa_handler = t_handler};
    struct epoll_event ev = {.events = EPOLLPRI};
    fd_set set;
    int ep = epoll_create1(0);

    connected();
    sigaction(SIGURG, &sa, NULL);
    t_hits = 0;
    epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev);
    put("U", MSG_OOB);
    t_arrives(b, POLLPRI);
    t_sleep_ms(50);
    T("unowned", t_hits);
    T("epoll", epoll_wait(ep, &ev, 1, 1000));
    T("events", ev.events);
    FD_ZERO(&set);
    FD_SET(b, &set);
    struct timeval now = {0, 0};
    T("select", select(b + 1, NULL, NULL, &set, &now));
    t_recv("owned_none", b, 1, MSG_OOB);
    T("setown", fcntl(b, F_SETOWN, getpid()));
    put("V", MSG_OOB);
    YES("sigurg", UNTIL(t_hits == 1) && t_last == SIGURG);
    put("plain", 0);
    t_arrives(b, POLLIN);
    T("once", t_hits);
    ended();
    close(ep);
}

/* One of the ends is not there. */
static void states(void)
{
    int s = socket(AF_INET, SOCK_STREAM, 0), l;
    char c;

    T("unconnected", recv(s, &c, 1, MSG_OOB));
    T("unconnected_send", send(s, "x", 1, MSG_OOB | MSG_NOSIGNAL));
    close(s);
    l = socket(AF_INET, SOCK_STREAM, 0);
    listen(l, 1);
    T("listening", recv(l, &c, 1, MSG_OOB));
    close(l);
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    T("udp", recv(u, &c, 1, MSG_OOB | MSG_DONTWAIT));
    close(u);
}

int main(void)
{
    t_begin("oob");
    signal(SIGPIPE, SIG_IGN);
    apart();
    passed();
    inline_();
    twice();
    ends();
    signals();
    states();
    return 0;
}
