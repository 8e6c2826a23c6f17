// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/human.h"

enum { TABLE_GAP = 3 };

bool table_colours(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no == NULL || no[0] == '\0') &&
           term != NULL && strcmp(term, "dumb") != 0;
}

static const char *table_cell(const struct table_row *row, size_t column)
{
    return row->cell[column] != NULL ? row->cell[column] : "";
}

static void table_put(const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        (void)putchar(c < ' ' || c == 127 ? '?' : c);
    }
}

static void table_print_row(const struct table_row *row, const size_t *width,
                            size_t columns, bool colours)
{
    size_t end = columns;
    while (end > 0 && table_cell(row, end - 1)[0] == '\0')
        end--;
    for (size_t c = 0; c < end; c++) {
        const char *s = table_cell(row, c);
        bool paint = c == 0 && colours && row->colour != NULL;
        if (paint)
            (void)fputs(row->colour, stdout);
        table_put(s);
        if (paint)
            (void)fputs("\033[0m", stdout);
        if (c + 1 < end)
            (void)printf("%*s", (int)(width[c] - human_width(s)) + TABLE_GAP,
                         "");
    }
    (void)putchar('\n');
}

void table_print(const struct table_row *rows, size_t count, size_t columns,
                 bool colours)
{
    size_t width[TABLE_COLUMNS] = {0};
    for (size_t r = 0; r < count; r++) {
        for (size_t c = 0; c < columns; c++) {
            size_t n = human_width(table_cell(&rows[r], c));
            width[c] = n > width[c] ? n : width[c];
        }
    }
    for (size_t r = 0; r < count; r++)
        table_print_row(&rows[r], width, columns, colours);
}
