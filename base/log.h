// SPDX-License-Identifier: Apache-2.0
/*
 * Levelled messages of long-lived host programs, one line each. error: we are
 * broken; warn: the host is; info: life cycle, key=value; debug: the rest and
 * everything a guest can trigger.
 */
#pragma once

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Where and how much; `fd` is borrowed. Before: stderr, LOG_WARN. */
void log_init(int fd, enum log_level max);

void log_write(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
