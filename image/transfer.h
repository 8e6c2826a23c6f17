// SPDX-License-Identifier: Apache-2.0
/*
 * One thing under way from a registry: a document into memory, or a layer into
 * a worker's pipe, through broken connections, retries and mirrors. Bytes that
 * were handed over stay handed over: a retry goes on behind them.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "image/fetch.h"
#include "image/registry.h"

enum {
    TRANSFER_ROOM = 256 << 10, /* bytes kept while the worker is busy */
    TRANSFER_TRIES_MAX = 6,    /* at each endpoint, without progress */
    TRANSFER_REPLY_SIZE = 2048,
};

enum transfer_state {
    TRANSFER_IDLE,
    TRANSFER_WAITING, /* until retry_at, then it starts */
    TRANSFER_RUNNING,
    TRANSFER_FLUSHING, /* all is here, the worker has not taken all */
    TRANSFER_ENDED,    /* `failed` says how */
};

struct transfer {
    enum transfer_state state;
    enum fetch_op op;
    char name[FETCH_NAME_SIZE];
    uint32_t slot;
    uint64_t size; /* of a layer; of a document: at most */
    int pipe;      /* the worker's, non-blocking; -1: a document */
    uint64_t done; /* bytes taken over, across tries */
    struct buf body;

    CURL *easy; /* RUNNING only */
    struct curl_slist *headers;
    char detail[CURL_ERROR_SIZE];
    unsigned endpoint; /* index into the fetcher's */
    unsigned tries;
    int64_t retry_at; /* ms */
    bool auth_tried;  /* with this try's credentials */
    bool paused;
    bool throttled;  /* paused by the rate limit, not by the worker */
    int64_t *budget; /* bytes that the rate limit still allows; NULL: none */

    /* Of the answer under way. */
    long status;
    uint64_t skip; /* bytes that came before; the server ignored our range */
    unsigned retry_after; /* s */
    char challenge[TRANSFER_REPLY_SIZE];
    char digest[FETCH_NAME_SIZE];
    struct buf trouble; /* an error's body */

    /* On the way to the worker. */
    uint8_t *room; /* TRANSFER_ROOM; owned */
    size_t at, end;
    uint32_t chunk; /* bytes of the announced chunk still to be written */
    bool abort;     /* say that no more will come */
    struct err failed;
};

/* `ask` as a new transfer, WAITING to start at once. */
int transfer_begin(struct transfer *t, const struct fetch_ask *ask, int pipe);
/* libcurl's callbacks and range on t->easy. */
void transfer_arm(struct transfer *t);
/* Write what the pipe takes; 0, or -EPIPE when the worker is gone. */
int transfer_flush(struct transfer *t);
/* Whether it waits for its pipe. */
bool transfer_wants_pipe(const struct transfer *t);
void transfer_fini(struct transfer *t);
