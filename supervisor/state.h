// SPDX-License-Identifier: Apache-2.0
/* The state directory ROOT/vms (docs/state.md): making, finding, removing. */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/instance.h"

struct err;

enum { STATE_ID_SIZE = 65, STATE_SHORT_ID = 12, STATE_NAME_SIZE = 128 };

struct state {
    int root;   /* directory fd of ROOT */
    int shared; /* of LIMPET_SHARED, whose images are only read; or -1 */
    char path[PATH_MAX];
};

/* A container being started by this process. All fds owned, -1 if not open. */
struct state_vm {
    char id[STATE_ID_SIZE];
    char name[STATE_NAME_SIZE];
    int dir;
    int lock;    /* holds the flock; the monitor inherits it */
    int exit;    /* exit.json, append */
    int log;     /* -1 when not kept */
    int vmm_log; /* append, readable */
    int listen;  /* ctl.sock */
};

/* What anyone can read about a container. */
struct state_info {
    char id[STATE_ID_SIZE];
    json_t *config;   /* config.json, owned */
    const char *name; /* borrowed from config, like the rest */
    const char *image;
    const char *created;
    bool auto_remove;
    enum instance_state state;
    pid_t pid;                 /* of the monitor while RUNNING, else 0 */
    struct instance_exit exit; /* if EXITED */
    int64_t created_ns;        /* CLOCK_REALTIME; 0: never */
    int64_t started_ns;
    int64_t finished_ns;
};

/* Open ROOT, making it if needed, and what LIMPET_SHARED names. `root` as
 * host_root() gave it. */
int state_open(struct state *s, const char *root, struct err *e);
void state_fini(struct state *s);

/* New directory, locked, with a claimed name; `name` NULL: a random one.
 * -EEXIST with docker's message when the name is in use. */
int state_create(const struct state *s, const char *name, struct state_vm *vm,
                 struct err *e);
/* Write config.json, then everything the monitor needs open. */
int state_start(struct state_vm *vm, const json_t *config, bool keep_log,
                struct err *e);
/* Its ports are not published any more: config.json says so from now on. */
int state_forget_ports(const struct state *s, const struct state_info *i,
                       struct err *e);
/* Note the monitor's pid (in `lock`). */
void state_set_pid(const struct state_vm *vm, pid_t pid);
/* Close all fds; the directory stays. Accepts a zeroed or finished one. */
void state_vm_fini(struct state_vm *vm);

/* Full ID, name, or unique prefix of an ID -> ID. Containers that were to
 * vanish at their end vanish here. -ENOENT "No such container: REF". */
int state_find(const struct state *s, const char *ref, char id[STATE_ID_SIZE],
               struct err *e);
int state_read(const struct state *s, const char *id, struct state_info *out,
               struct err *e);
void state_info_fini(struct state_info *i);

/* All of them, newest first; the caller frees with state_list_free(). */
int state_list(const struct state *s, struct state_info **out, size_t *count,
               struct err *e);
void state_list_free(struct state_info *list, size_t count);

/* fd of ROOT/vms/ID. */
int state_dir(const struct state *s, const char *id, struct err *e);

/* Append a record to exit.json unless it has one. */
void state_record(int exit_fd, const struct instance_exit *x);

/* Remove directory and name, whatever its state. Missing is no error. */
int state_remove(const struct state *s, const char *id, const char *name,
                 struct err *e);
