// SPDX-License-Identifier: Apache-2.0
/*
 * Credentials of registries, where docker and podman keep them:
 * REGISTRY_AUTH_FILE, or else $XDG_RUNTIME_DIR/containers/auth.json, then
 * $DOCKER_CONFIG or ~/.docker/config.json with its credential helpers
 * (programs docker-credential-NAME; the protocol of docker's documentation).
 */
#pragma once

struct err;

enum { CREDS_TEXT_SIZE = 8192 };

/* All "" when there are none. `identity` is a refresh token and replaces the
 * password. Holds secrets: creds_wipe() when done. */
struct creds {
    char user[256];
    char password[CREDS_TEXT_SIZE];
    char identity[CREDS_TEXT_SIZE];
};

/* For `host`, as in an image's name. Not finding any is 0; a file that is
 * malformed or a helper that fails is an error. */
int creds_find(const char *host, struct creds *out, struct err *e);

/* Keep them in the file that creds_find() reads first (or in its helper), mode
 * 0600. `path_out` (PATH_MAX) says where. */
int creds_store(const char *host, const struct creds *c, char *path_out,
                struct err *e);
/* 1 if there were any, 0 if not. */
int creds_erase(const char *host, struct err *e);

void creds_wipe(struct creds *c);
