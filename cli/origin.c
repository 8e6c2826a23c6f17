// SPDX-License-Identifier: Apache-2.0
#include "cli/origin.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/auto.h"
#include "base/err.h"
#include "supervisor/host.h"
#include "supervisor/imagelist.h"
#include "supervisor/state.h"

extern char **environ;

static bool origin_read(const struct imagelist_entry *x, struct origin *out)
{
    char text[REGNAME_TEXT_SIZE];
    struct regname n = x->name;
    if (strncmp(x->ref, "oci", 3) == 0) {
        (void)snprintf(out->ref, sizeof(out->ref), "%s", x->ref);
        out->root[0] = '\0';
        return true;
    }
    if (n.host[0] == '\0' || x->root[0] == '\0')
        return false;
    n.tag[0] = '\0';
    memcpy(n.digest, x->root, sizeof(n.digest));
    regname_text(&n, text);
    (void)snprintf(out->ref, sizeof(out->ref), "docker://%s", text);
    memcpy(out->root, x->root, sizeof(out->root));
    return true;
}

void origin_find(const struct state *s, const char *hex, const char *host,
                 struct origin *out)
{
    struct imagelist_entry *list = NULL;
    size_t count = 0;
    struct err ignored;
    bool near = false;
    *out = (struct origin){.ref = ""};
    if (imagelist_read(s->root, &list, &count, &ignored) < 0)
        return;
    for (size_t i = 0; i < count && !near; i++) {
        bool same = strcmp(list[i].name.host, host) == 0;
        if (strcmp(list[i].hex, hex) == 0 && (out->ref[0] == '\0' || same))
            near = origin_read(&list[i], out) && same;
    }
    free(list);
}

void origin_keep(const struct host *h, const struct state *s, const char *hex,
                 const struct origin *from)
{
    char program[PATH_MAX + 16];
    char id[SHA256_HEX_SIZE];
    char ref[sizeof(from->ref)];
    if (from->ref[0] == '\0')
        return;
    (void)snprintf(program, sizeof(program), "%s/limpet-image", h->libexec);
    (void)snprintf(id, sizeof(id), "%s", hex);
    memcpy(ref, from->ref, sizeof(ref));
    AUTO_FREE char *root = strdup(s->path);
    AUTO_FREE char *arch = strdup(h->arch);
    char *argv[] = {(char[]){"limpet-image"},
                    (char[]){"keep"},
                    (char[]){"-q"},
                    (char[]){"--root"},
                    root,
                    (char[]){"--arch"},
                    arch,
                    ref,
                    id,
                    NULL};
    pid_t pid;
    if (root != NULL && arch != NULL &&
        posix_spawn(&pid, program, NULL, NULL, argv, environ) == 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
}
