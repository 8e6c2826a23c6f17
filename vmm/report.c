// SPDX-License-Identifier: Apache-2.0
/* How the VM ended: the exit record and the CTL_EXIT frame. */
#include "vmm/report.h"

#include <stdio.h>
#include <string.h>

static void set_message(struct report *r, const char *text, size_t size)
{
    if (size > CTL_MSG_MAX)
        size = CTL_MSG_MAX;
    memcpy(r->message, text, size);
    r->message[size] = '\0';
    r->exit.msg_size = (uint32_t)size;
}

void report_monitor(struct report *r, uint32_t code, const char *why)
{
    *r = (struct report){.exit = {.kind = CTL_MONITOR, .code = code}};
    set_message(r, why, strlen(why));
}

void report_panic(struct report *r, uint32_t code, const char *line)
{
    static const char head[] = "kernel panic: ";
    const char *at = strstr(line, head);
    const char *why = at != NULL ? at + sizeof(head) - 1 : line;
    *r = (struct report){.exit = {.kind = CTL_PANIC, .code = code}};
    set_message(r, why, strlen(why));
}

bool report_from_guest(struct report *r, const void *payload, size_t size)
{
    *r = (struct report){0};
    if (size < sizeof(r->exit))
        return false;
    memcpy(&r->exit, payload, sizeof(r->exit));
    size_t text = size - sizeof(r->exit);
    if (r->exit.kind >= CTL_MONITOR) /* ours to say */
        return false;
    if (r->exit.msg_size < text)
        text = r->exit.msg_size;
    set_message(r, (const char *)payload + sizeof(r->exit), text);
    return true;
}

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [CTL_EXITED] = "exited", [CTL_SIGNALLED] = "signalled",
        [CTL_PANIC] = "panic",   [CTL_NOEXEC] = "noexec",
        [CTL_OOM] = "oom",       [CTL_MONITOR] = "monitor",
    };
    return names[kind];
}

/* JSON string contents. The text may be hostile: anything but printable ASCII
 * becomes \u00XX, so the line is valid UTF-8 whatever it was. */
static size_t escape(const char *text, size_t size, char *out)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= ' ' && c < 127 && c != '"' && c != '\\') {
            out[n++] = (char)c;
            continue;
        }
        const char esc[] = {'\\', 'u', '0', '0'};
        memcpy(out + n, esc, sizeof(esc));
        out[n + 4] = hex[c >> 4];
        out[n + 5] = hex[c & 15];
        n += 6;
    }
    return n;
}

/* JSON readers stop at 63 bits; a guest may claim anything. */
static unsigned long long clamp(uint64_t v)
{
    return v > INT64_MAX ? INT64_MAX : v;
}

size_t report_json(const struct report *r, char out[REPORT_JSON_MAX])
{
    const struct ctl_exit *x = &r->exit;
    char message[6 * CTL_MSG_MAX + 1];
    message[escape(r->message, x->msg_size, message)] = '\0';
    int n = snprintf(out, REPORT_JSON_MAX,
                     "{\"kind\":\"%s\",\"code\":%u,\"message\":\"%s\","
                     "\"entry_tsc\":%llu,\"user_tsc\":%llu,\"exit_tsc\":%llu,"
                     "\"ram_used\":%llu,\"exits\":%u}\n",
                     kind_name(x->kind), x->code, message, clamp(x->entry_tsc),
                     clamp(x->user_tsc), clamp(x->exit_tsc), clamp(x->ram_used),
                     x->exits);
    return n < 0 ? 0 : (size_t)n;
}

size_t report_frame(const struct report *r, uint8_t out[CTL_FRAME_MAX])
{
    struct ctl_header h = {
        .type = CTL_EXIT,
        .size = (uint32_t)sizeof(r->exit) + r->exit.msg_size,
    };
    memcpy(out, &h, sizeof(h));
    memcpy(out + sizeof(h), &r->exit, sizeof(r->exit));
    memcpy(out + sizeof(h) + sizeof(r->exit), r->message, r->exit.msg_size);
    return sizeof(h) + h.size;
}
