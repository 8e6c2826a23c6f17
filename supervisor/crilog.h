// SPDX-License-Identifier: Apache-2.0
/* Container output in the log format of CRI: "TIME stdout F text". */
#pragma once

#include <stddef.h>

/* Append `data` to the log, a record per line; a last piece without its
 * newline becomes a P record. `stream` is "stdout" or "stderr". */
void crilog_write(int fd, const char *stream, const char *data, size_t size);
