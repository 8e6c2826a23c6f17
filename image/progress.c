// SPDX-License-Identifier: Apache-2.0
#include "image/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/sizetext.h"

enum { PROGRESS_PERIOD_MS = 100, PROGRESS_BAR_WIDTH = 50, PROGRESS_ROWS = 24 };

void progress_init(struct progress *p, bool quiet)
{
    *p = (struct progress){.quiet = quiet};
    p->terminal = !quiet && isatty(STDERR_FILENO) == 1;
}

struct progress_layer *progress_layer(struct progress *p, const char *name,
                                      uint64_t size)
{
    const char *hex = strchr(name, ':');
    char id[PROGRESS_ID_SIZE];
    (void)snprintf(id, sizeof(id), "%s", hex != NULL ? hex + 1 : name);
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->layers[i].id, id) == 0)
            return &p->layers[i];
    if (p->count == PROGRESS_LAYERS_MAX)
        return NULL;
    struct progress_layer *l = &p->layers[p->count++];
    *l = (struct progress_layer){.state = "Waiting", .size = size};
    memcpy(l->id, id, sizeof(id));
    return l;
}

void progress_set(struct progress *p, struct progress_layer *l,
                  const char *state, bool final)
{
    if (l == NULL || l->state == state)
        return;
    l->state = state;
    if (final && !p->terminal && !p->quiet)
        (void)fprintf(stderr, "%s: %s\n", l->id, state);
}

static void progress_line(const struct progress_layer *l)
{
    char done[16];
    char size[16];
    bool moving = l->done > 0 && l->done < l->size;
    if (!moving) {
        (void)fprintf(stderr, "\033[2K%s: %s\n", l->id, l->state);
        return;
    }
    char bar[PROGRESS_BAR_WIDTH + 1];
    size_t n = (size_t)(l->done * PROGRESS_BAR_WIDTH / l->size);
    memset(bar, ' ', PROGRESS_BAR_WIDTH);
    memset(bar, '=', n);
    if (n < PROGRESS_BAR_WIDTH)
        bar[n] = '>';
    bar[PROGRESS_BAR_WIDTH] = '\0';
    sizetext(l->done, done, sizeof(done));
    sizetext(l->size, size, sizeof(size));
    (void)fprintf(stderr, "\033[2K%s: %s [%s]  %s/%s\n", l->id, l->state, bar,
                  done, size);
}

/* As many layers as fit, the last ones: the first are done first. */
void progress_draw(struct progress *p, int64_t now_ms, bool force)
{
    if (!p->terminal || (!force && now_ms - p->drawn_at < PROGRESS_PERIOD_MS))
        return;
    struct winsize w = {.ws_row = PROGRESS_ROWS};
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &w);
    size_t rows = w.ws_row > 2 ? (size_t)w.ws_row - 1 : PROGRESS_ROWS;
    size_t first = p->count > rows ? p->count - rows : 0;
    if (p->drawn > 0)
        (void)fprintf(stderr, "\033[%uA", p->drawn);
    for (size_t i = first; i < p->count; i++)
        progress_line(&p->layers[i]);
    p->drawn = (unsigned)(p->count - first);
    p->drawn_at = now_ms;
    (void)fflush(stderr);
}
