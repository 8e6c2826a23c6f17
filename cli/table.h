// SPDX-License-Identifier: Apache-2.0
/* Columns of text for people. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { TABLE_COLUMNS = 6 };

/* A row; what is not set is empty. Strings are borrowed. */
struct table_row {
    const char *cell[TABLE_COLUMNS];
    const char *colour; /* escape sequence for the first cell, or NULL */
};

/* Print rows, the first is the title, as columns with three spaces between
 * them; the last column is not padded. Bytes that could steer a terminal
 * become '?'. Colours only if `colours`. */
void table_print(const struct table_row *rows, size_t count, size_t columns,
                 bool colours);

/* Is standard output a terminal that wants colours (NO_COLOR, TERM=dumb)? */
bool table_colours(void);
