// SPDX-License-Identifier: Apache-2.0
/* Readers of the state directory: they trust nothing they find there. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/path.h"
#include "supervisor/names.h"
#include "supervisor/state.h"

enum {
    STATE_CONFIG_MAX = 1 << 20,
    STATE_RECORD_MAX = 64 << 10,
    STATE_HALF_MADE_S = 60, /* then a directory without config is litter */
};

static int64_t state_time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* True while somebody holds the flock. */
static bool state_is_locked(int dir)
{
    AUTO_CLOSE int fd = openat(dir, "lock", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
}

static pid_t state_read_pid(int dir)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    uint64_t pid = 0;
    if (path_read(dir, "lock", 64, &text, &size, NULL) < 0 || size < 2)
        return 0;
    text[size - 1] = '\0';
    return parse_u64(text, 1, INT32_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

/* The lock is looked at before the record: a monitor writes its record before
 * it lets go of the lock, so the reverse order could call it dead. */
static void state_read_facts(int dir, struct state_info *i)
{
    struct instance_facts f = {.locked = state_is_locked(dir)};
    struct stat st;
    if (fstatat(dir, "exit.json", &st, 0) == 0) {
        f.started = true;
        i->started_ns = i->created_ns;
    }
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    if (f.started && st.st_size > 0 &&
        path_read(dir, "exit.json", STATE_RECORD_MAX, &text, &size, NULL) == 0)
        f.recorded = instance_exit_parse(text, size, &i->exit, NULL) == 0;
    if (f.recorded)
        i->finished_ns = state_time_ns(&st.st_mtim);
    i->state = instance_state_of(f);
    if (i->state == INSTANCE_RUNNING)
        i->pid = state_read_pid(dir);
}

/* "2026-11-21T04:00:00.000000000Z" */
static int64_t state_parse_time(const char *s)
{
    struct tm tm = {0};
    const char *end = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (end == NULL)
        return 0;
    int64_t ns = *end == '.' ? strtoll(end + 1, NULL, 10) : 0;
    return (int64_t)timegm(&tm) * 1000000000 + ns;
}

static int state_read_config(int dir, struct state_info *i, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int code = path_read(dir, "config.json", STATE_CONFIG_MAX, &text, &size, e);
    if (code < 0)
        return code;
    i->config = json_parse(text, size, "config.json", e);
    if (i->config == NULL)
        return -EINVAL;
    code = json_get_str(i->config, "name", "config.json", &i->name, e);
    if (code == 0)
        code = json_get_str(i->config, "image", "config.json", &i->image, e);
    if (code == 0)
        code =
            json_get_str(i->config, "created", "config.json", &i->created, e);
    if (code < 0)
        return code;
    i->auto_remove = json_is_true(json_object_get(i->config, "auto_remove"));
    i->created_ns = state_parse_time(i->created);
    return 0;
}

int state_read(const struct state *s, const char *id, struct state_info *out,
               struct err *e)
{
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->id, sizeof(out->id), "%s", id);
    AUTO_CLOSE int dir = state_dir(s, id, e);
    if (dir < 0)
        return dir;
    int code = state_read_config(dir, out, e);
    if (code < 0) {
        state_info_fini(out);
        return e != NULL ? err_wrap(e, "%.12s", id) : code;
    }
    state_read_facts(dir, out);
    return 0;
}

void state_info_fini(struct state_info *i)
{
    json_decref(i->config);
    i->config = NULL;
}

static bool state_is_id(const char *name)
{
    return strlen(name) == STATE_ID_SIZE - 1 &&
           strspn(name, "0123456789abcdef") == STATE_ID_SIZE - 1;
}

/* Ended --rm containers and crashed launches go away when someone looks. */
static bool state_is_litter(const struct state *s, const char *id,
                            const struct state_info *i, int code)
{
    if (code == 0)
        return i->auto_remove &&
               (i->state == INSTANCE_EXITED || i->state == INSTANCE_DEAD);
    AUTO_CLOSE int dir = state_dir(s, id, NULL);
    struct stat st;
    return code == -ENOENT && dir >= 0 && fstat(dir, &st) == 0 &&
           time(NULL) - st.st_mtim.tv_sec > STATE_HALF_MADE_S &&
           !state_is_locked(dir);
}

static int state_read_or_sweep(const struct state *s, const char *id,
                               struct state_info *out, struct err *e)
{
    int code = state_read(s, id, out, e);
    if (!state_is_litter(s, id, out, code))
        return code;
    (void)state_remove(s, id, out->config != NULL ? out->name : NULL, NULL);
    state_info_fini(out);
    return -ENOENT;
}

static DIR *state_open_vms(const struct state *s)
{
    int fd = openat(s->root, "vms", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL && fd >= 0)
        (void)close(fd);
    return d;
}

static int state_find_prefix(const struct state *s, const char *ref,
                             char id[STATE_ID_SIZE], struct err *e)
{
    DIR *d = state_open_vms(s);
    unsigned found = 0;
    const struct dirent *de;
    while (d != NULL && (de = readdir(d)) != NULL) {
        if (!state_is_id(de->d_name) ||
            strncmp(de->d_name, ref, strlen(ref)) != 0)
            continue;
        memcpy(id, de->d_name, STATE_ID_SIZE);
        found++;
    }
    if (d != NULL)
        (void)closedir(d);
    if (found > 1)
        return err_set(e, -EEXIST,
                       "multiple IDs found with provided prefix: %.64s", ref);
    return found == 1 ? 0 : -ENOENT;
}

int state_find(const struct state *s, const char *ref, char id[STATE_ID_SIZE],
               struct err *e)
{
    int code = -ENOENT;
    if (ref[0] != '\0') {
        code = names_lookup(s, ref, id, STATE_ID_SIZE);
        if (code < 0 && strlen(ref) < STATE_ID_SIZE)
            code = state_find_prefix(s, ref, id, e);
    }
    if (code == -EEXIST)
        return code;
    struct state_info info;
    if (code == 0)
        code = state_read_or_sweep(s, id, &info, e);
    if (code == 0)
        state_info_fini(&info);
    if (code == -ENOENT || code == -ENOTDIR)
        return err_set(e, -ENOENT, "No such container: %.128s", ref);
    return 0; /* damaged, perhaps: the next reader tells */
}

static int state_newer(const void *a, const void *b)
{
    const struct state_info *x = a;
    const struct state_info *y = b;
    return (x->created_ns < y->created_ns) - (x->created_ns > y->created_ns);
}

int state_list(const struct state *s, struct state_info **out, size_t *count,
               struct err *e)
{
    struct state_info *list = NULL;
    size_t n = 0;
    size_t room = 0;
    DIR *d = state_open_vms(s);
    const struct dirent *de;
    while (d != NULL && (de = readdir(d)) != NULL) {
        if (!state_is_id(de->d_name))
            continue;
        if (n == room) {
            room = room * 2 + 16;
            struct state_info *more = realloc(list, room * sizeof(*list));
            if (more == NULL) {
                (void)closedir(d);
                state_list_free(list, n);
                return err_set(e, -ENOMEM, "out of memory");
            }
            list = more;
        }
        if (state_read_or_sweep(s, de->d_name, &list[n], NULL) == 0)
            n++;
    }
    if (d != NULL)
        (void)closedir(d);
    if (n > 1)
        qsort(list, n, sizeof(*list), state_newer);
    *out = list;
    *count = n;
    return 0;
}

void state_list_free(struct state_info *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        state_info_fini(&list[i]);
    free(list);
}
