// SPDX-License-Identifier: Apache-2.0
#include "supervisor/names.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "supervisor/state.h"

enum { NAMES_PLAIN_TRIES = 4, NAMES_PATH = STATE_NAME_SIZE + 8 };

static const char *const names_adjectives[] = {
    "amber",  "ample",  "azure",   "blithe", "bold",   "brave",  "bright",
    "brisk",  "calm",   "candid",  "clear",  "clever", "cosy",   "crisp",
    "deft",   "eager",  "early",   "fair",   "fleet",  "fond",   "frank",
    "fresh",  "gentle", "glad",    "golden", "grand",  "happy",  "hardy",
    "honest", "humble", "jolly",   "keen",   "kind",   "lively", "loyal",
    "lucid",  "lucky",  "mellow",  "merry",  "mild",   "modest", "neat",
    "nimble", "noble",  "patient", "placid", "plucky", "proud",  "quick",
    "quiet",  "ready",  "robust",  "salty",  "serene", "sharp",  "silver",
    "smooth", "snug",   "steady",  "sturdy", "sunny",  "swift",  "tidy",
    "warm",
};

static const char *const names_nouns[] = {
    "abalone", "anchor",   "anemone", "barnacle",   "beacon",  "breeze",
    "buoy",    "clam",     "cockle",  "compass",    "conch",   "coral",
    "cove",    "cowrie",   "crab",    "current",    "cuttle",  "dolphin",
    "dory",    "dune",     "eider",   "fathom",     "ferry",   "fjord",
    "gannet",  "grebe",    "gull",    "harbour",    "heron",   "jetty",
    "kelp",    "ketch",    "lagoon",  "lantern",    "lobster", "marlin",
    "mooring", "mussel",   "narwhal", "nautilus",   "oar",     "osprey",
    "otter",   "oyster",   "pebble",  "periwinkle", "petrel",  "pier",
    "plover",  "porpoise", "prawn",   "puffin",     "quay",    "reef",
    "rudder",  "scallop",  "seal",    "shoal",      "sloop",   "tern",
    "tide",    "urchin",   "walrus",  "whelk",
};

void names_random(int attempt, char *out, size_t size)
{
    uint8_t r[3] = {0};
    (void)!getrandom(r, sizeof(r), 0);
    const char *a = names_adjectives[r[0] % ARRAY_COUNT(names_adjectives)];
    const char *n = names_nouns[r[1] % ARRAY_COUNT(names_nouns)];
    if (attempt < NAMES_PLAIN_TRIES)
        (void)snprintf(out, size, "%s_%s", a, n);
    else
        (void)snprintf(out, size, "%s_%s%u", a, n, r[2]);
}

int names_check(const char *name, struct err *e)
{
    size_t n = strlen(name);
    bool good =
        n >= 2 && n < STATE_NAME_SIZE && isalnum((unsigned char)name[0]);
    for (size_t i = 0; good && i < n; i++)
        good =
            isalnum((unsigned char)name[i]) || strchr("_.-", name[i]) != NULL;
    if (!good)
        return err_set(e, -EINVAL,
                       "Invalid container name (%.64s), only "
                       "[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                       name);
    return 0;
}

static void names_path(const char *name, char out[NAMES_PATH])
{
    (void)snprintf(out, NAMES_PATH, "names/%s", name);
}

int names_lookup(const struct state *s, const char *name, char *id,
                 size_t id_size)
{
    static const char prefix[] = "../vms/";
    char path[NAMES_PATH];
    char target[128];
    if (strlen(name) >= STATE_NAME_SIZE || strchr(name, '/') != NULL)
        return -ENOENT;
    names_path(name, path);
    ssize_t n = readlinkat(s->root, path, target, sizeof(target) - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    size_t skip = strlen(prefix);
    if (strncmp(target, prefix, skip) != 0 || (size_t)n - skip >= id_size)
        return -ENOENT;
    memcpy(id, target + skip, (size_t)n - skip + 1);
    return 0;
}

/* Changes other than a first claim happen under this lock. */
static int names_lock(const struct state *s)
{
    int fd = openat(s->root, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool names_is_stale(const struct state *s, const char *name, char *id)
{
    if (names_lookup(s, name, id, STATE_ID_SIZE) < 0)
        return false;
    struct state_info info;
    struct stat st;
    char path[STATE_ID_SIZE + 8];
    (void)snprintf(path, sizeof(path), "vms/%s", id);
    if (fstatat(s->root, path, &st, 0) < 0)
        return errno == ENOENT;
    if (state_read(s, id, &info, NULL) < 0)
        return false;
    bool over = info.auto_remove &&
                (info.state == INSTANCE_EXITED || info.state == INSTANCE_DEAD);
    state_info_fini(&info);
    return over;
}

int names_claim(const struct state *s, const char *name, const char *id,
                struct err *e)
{
    char path[NAMES_PATH];
    char target[STATE_ID_SIZE + 8];
    char owner[STATE_ID_SIZE] = "";
    names_path(name, path);
    (void)snprintf(target, sizeof(target), "../vms/%s", id);
    if (symlinkat(target, s->root, path) == 0)
        return 0;
    if (errno == ENOENT) {
        (void)mkdirat(s->root, "names", 0700);
        if (symlinkat(target, s->root, path) == 0)
            return 0;
    }
    if (errno != EEXIST)
        return err_set(e, -errno, "%s/%s: %s", s->path, path, strerror(errno));

    AUTO_CLOSE int lock = names_lock(s);
    if (lock >= 0 && names_is_stale(s, name, owner)) {
        (void)state_remove(s, owner, NULL, NULL);
        if (unlinkat(s->root, path, 0) == 0 &&
            symlinkat(target, s->root, path) == 0)
            return 0;
    }
    (void)names_lookup(s, name, owner, sizeof(owner));
    return err_set(e, -EEXIST,
                   "Conflict. The container name \"/%s\" is already in use "
                   "by container \"%s\". You have to remove (or rename) that "
                   "container to be able to reuse that name.",
                   name, owner);
}

void names_release(const struct state *s, const char *name, const char *id)
{
    char path[NAMES_PATH];
    char owner[STATE_ID_SIZE];
    names_path(name, path);
    AUTO_CLOSE int lock = names_lock(s);
    if (lock >= 0 && names_lookup(s, name, owner, sizeof(owner)) == 0 &&
        strcmp(owner, id) == 0)
        (void)unlinkat(s->root, path, 0);
}
