// SPDX-License-Identifier: Apache-2.0
#include "supervisor/instance.h"

#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"

enum { INSTANCE_STATUS_LIMPET = 125 };

static const char *const instance_kinds[] = {
    [CTL_EXITED] = "exited", [CTL_SIGNALLED] = "signalled",
    [CTL_PANIC] = "panic",   [CTL_NOEXEC] = "noexec",
    [CTL_OOM] = "oom",       [CTL_MONITOR] = "monitor",
};

enum instance_state instance_state_of(struct instance_facts f)
{
    if (f.recorded)
        return INSTANCE_EXITED;
    if (f.locked)
        return INSTANCE_RUNNING;
    return f.started ? INSTANCE_DEAD : INSTANCE_CREATED;
}

const char *instance_state_name(enum instance_state s)
{
    switch (s) {
    case INSTANCE_CREATED: return "created";
    case INSTANCE_RUNNING: return "running";
    case INSTANCE_EXITED: return "exited";
    case INSTANCE_DEAD: return "dead";
    case INSTANCE_NONE: break;
    }
    return "unknown";
}

const char *instance_kind_name(uint32_t kind)
{
    return kind < ARRAY_COUNT(instance_kinds) ? instance_kinds[kind]
                                              : "unknown";
}

int instance_exit_status(const struct instance_exit *x)
{
    switch (x->kind) {
    case CTL_EXITED: return (int)(x->code & 255);
    case CTL_SIGNALLED: return 128 + (int)(x->code & 127);
    case CTL_NOEXEC: return x->code == ENOENT ? 127 : 126;
    case CTL_OOM: return 137;
    default: return INSTANCE_STATUS_LIMPET;
    }
}

void instance_copy_msg(struct instance_exit *out, const char *text, size_t size)
{
    if (size > CTL_MSG_MAX)
        size = CTL_MSG_MAX;
    memcpy(out->msg, text, size);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 127)
            out->msg[i] = ' ';
    }
    out->msg[size] = '\0';
}

int instance_exit_decode(const void *payload, size_t size,
                         struct instance_exit *out, struct err *e)
{
    struct ctl_exit x;
    if (size < sizeof(x))
        return err_set(e, -EPROTO, "exit frame of %zu bytes", size);
    memcpy(&x, payload, sizeof(x));
    if (x.kind > CTL_MONITOR || x.msg_size > size - sizeof(x))
        return err_set(e, -EPROTO, "exit frame: kind %u, %u bytes of text",
                       x.kind, x.msg_size);
    out->kind = x.kind;
    out->code = x.code;
    instance_copy_msg(out, (const char *)payload + sizeof(x), x.msg_size);
    return 0;
}

int instance_exit_parse(const char *text, size_t size,
                        struct instance_exit *out, struct err *e)
{
    const char *end = memchr(text, '\n', size);
    json_t *o = json_parse(text, end != NULL ? (size_t)(end - text) : size,
                           "exit.json", e);
    if (o == NULL)
        return -EINVAL;

    const char *kind;
    const char *msg = "";
    uint64_t code = 0;
    int rc = json_get_str(o, "kind", "exit.json", &kind, e);
    if (rc == 0)
        rc = json_get_u64(o, "code", "exit.json", UINT32_MAX, &code, e);
    if (rc == 0 && json_has(o, "message"))
        rc = json_get_str(o, "message", "exit.json", &msg, e);
    if (rc == 0) {
        out->kind = CTL_MONITOR;
        for (uint32_t i = 0; i < ARRAY_COUNT(instance_kinds); i++)
            if (strcmp(kind, instance_kinds[i]) == 0)
                out->kind = i;
        out->code = (uint32_t)code;
        instance_copy_msg(out, msg, strlen(msg));
    }
    json_decref(o);
    return rc;
}
