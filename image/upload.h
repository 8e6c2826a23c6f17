// SPDX-License-Identifier: Apache-2.0
/*
 * One thing on its way to a registry, a blob or a document, as a sequence of
 * requests (OCI distribution 1.1, "Push"): what each of them says and what its
 * answer said. Where the bytes come from: a file, memory, or a fetcher's pipe.
 * Which request comes next is pusher.c's.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"
#include "image/registry.h"

enum { UPLOAD_URL_SIZE = 4096, UPLOAD_REPLY_SIZE = 2048 };

enum upload_step {
    UPLOAD_HEAD,   /* is the blob there? */
    UPLOAD_POST,   /* open a session, or mount */
    UPLOAD_PATCH,  /* the bytes, or the rest of them */
    UPLOAD_STATUS, /* what the registry has of them after a broken PATCH */
    UPLOAD_PUT,    /* close the session */
    UPLOAD_DOCUMENT,
};

enum upload_state {
    UPLOAD_IDLE,
    UPLOAD_WAITING,  /* until retry_at, then it starts */
    UPLOAD_RUNNING,  /* one request is under way */
    UPLOAD_DRAINING, /* until the fetcher has ended what was broken off */
    UPLOAD_ENDED,    /* `failed` says how */
};

/* A layer that comes from a fetcher (fetch.h): chunks through a pipe. */
struct upload_stream {
    int pipe;       /* non-blocking, borrowed; -1: there is none */
    bool used;      /* asked for; until it was drained */
    bool active;    /* asked for, and the answer is not here */
    bool ended;     /* the fetcher said that no more comes */
    bool stopped;   /* we said that we want no more */
    uint32_t head;  /* a chunk's length on its way */
    size_t head_at; /* bytes of it that are here */
    uint32_t left;  /* bytes of the chunk still to be read */
    struct err failed;
};

struct upload {
    enum upload_state state;
    enum upload_step step;
    enum upload_step reached; /* the last one, whatever it was thrown back to */
    int fd;                   /* the store's copy, owned; -1: there is none */
    uint64_t size;
    const char *text; /* a document's bytes, borrowed; NULL: a blob */
    const char *type; /* and its media type, borrowed */
    const char *tag;  /* "" for "by its digest"; borrowed */
    struct upload_stream stream;
    uint64_t done;       /* bytes sent */
    uint64_t acked;      /* bytes the registry said it has */
    uint64_t best;       /* the most it ever said */
    const char *outcome; /* for people, static or borrowed */

    CURL *easy; /* RUNNING only */
    struct curl_slist *headers;
    unsigned tries;
    unsigned restarts; /* because of wrong bytes */
    int64_t retry_at;  /* ms */
    int64_t *budget;   /* bytes that the rate limit still allows; NULL: none */
    bool mount;        /* ask to mount it from the other repository */
    bool auth_tried;
    bool paused;
    bool throttled; /* paused by the rate limit, not by the pipe */
    bool has_range;
    char digest[SHA256_HEX_SIZE];
    char detail[CURL_ERROR_SIZE];
    char location[UPLOAD_URL_SIZE]; /* of the session, "" without */

    /* Of the answer under way. */
    long status;
    unsigned retry_after; /* s */
    char challenge[UPLOAD_REPLY_SIZE];
    char next[UPLOAD_URL_SIZE];   /* its Location, as it came */
    char is[8 + SHA256_HEX_SIZE]; /* Docker-Content-Digest */
    uint64_t range_size;          /* of Range, if has_range: bytes it has */
    struct buf trouble;           /* an error's body */
    struct err failed;
};

/* The step's request on u->easy: method, headers, body; not its URL. */
void upload_arm(struct upload *u);

/* Resolve u->next against the request's URL and keep it as u->location. False
 * when it is no http(s) URL, or leaves https. */
bool upload_follow(struct upload *u, const char *base);

/* Whether `url` is on the endpoint's own host, which may see credentials. */
bool upload_is_at(const char *url, const struct registry_endpoint *to);

/* Throw away what is in the stream's pipe. */
void upload_drain(struct upload_stream *s);

/* The request is over. */
void upload_disarm(struct upload *u);
void upload_fini(struct upload *u);
