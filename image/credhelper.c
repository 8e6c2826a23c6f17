// SPDX-License-Identifier: Apache-2.0
#include "image/credhelper.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "image/creds.h"

enum { CREDHELPER_OUTPUT_MAX = 16 << 10 };

extern char **environ;

static bool credhelper_name_ok(const char *name)
{
    return name[0] != '\0' && strlen(name) < 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_.") == strlen(name);
}

static int credhelper_spawn(const char *program, const char *verb, int in,
                            int out, pid_t *pid)
{
    posix_spawn_file_actions_t fa;
    char arg[16];
    char name[96];
    (void)snprintf(arg, sizeof(arg), "%s", verb);
    (void)snprintf(name, sizeof(name), "%s", program);
    char *argv[] = {name, arg, NULL};
    int code = posix_spawn_file_actions_init(&fa);
    if (code != 0)
        return -code;
    code = posix_spawn_file_actions_adddup2(&fa, in, STDIN_FILENO);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
    if (code == 0)
        code = posix_spawnp(pid, program, &fa, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&fa);
    return -code;
}

static size_t credhelper_read(int fd, char *to, size_t room)
{
    size_t used = 0;
    ssize_t n = 1;
    while (used + 1 < room && n != 0) {
        n = read(fd, to + used, room - 1 - used);
        if (n < 0 && errno != EINTR)
            break;
        used += n > 0 ? (size_t)n : 0;
    }
    to[used] = '\0';
    return used;
}

/* The helper reads `input`, prints into `output`. Its exit status, or -errno.
 */
static int credhelper_run(const char *name, const char *verb, const char *input,
                          char *output, struct err *e)
{
    char program[96];
    if (!credhelper_name_ok(name))
        return err_set(e, -EINVAL, "credential helper %.60s: no program name",
                       name);
    (void)snprintf(program, sizeof(program), "docker-credential-%s", name);
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    AUTO_CLOSE int in_read = in[0];
    AUTO_CLOSE int in_write = in[1];
    if (pipe2(out, O_CLOEXEC) < 0)
        return err_set(e, -errno, "pipe: %s", strerror(errno));
    AUTO_CLOSE int out_read = out[0];
    pid_t pid = -1;
    int code = credhelper_spawn(program, verb, in_read, out[1], &pid);
    (void)close(out[1]);
    if (code < 0)
        return err_set(e, code, "%s: %s", program, strerror(-code));
    (void)signal(SIGPIPE, SIG_IGN);
    (void)path_write_all(in_write, input, strlen(input));
    (void)close(fd_release(&in_write));
    (void)credhelper_read(out_read, output, CREDHELPER_OUTPUT_MAX);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int credhelper_failed(const char *name, const char *verb,
                             const char *output, struct err *e)
{
    char line[200];
    size_t n = strcspn(output, "\r\n");
    (void)snprintf(line, sizeof(line), "%.*s", (int)(n < 199 ? n : 199),
                   output);
    for (char *p = line; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return err_set(e, -EACCES, "docker-credential-%s %s: %s", name, verb,
                   line[0] != '\0' ? line : "failed");
}

static int credhelper_parse(const char *text, const char *name,
                            struct creds *out, struct err *e)
{
    const char *user;
    const char *secret;
    json_t *doc = json_parse(text, strlen(text), name, e);
    if (doc == NULL)
        return -EINVAL;
    int code = json_get_str(doc, "Username", name, &user, e);
    if (code == 0)
        code = json_get_str(doc, "Secret", name, &secret, e);
    if (code == 0 && strcmp(user, "<token>") == 0) {
        (void)snprintf(out->identity, sizeof(out->identity), "%s", secret);
    } else if (code == 0) {
        (void)snprintf(out->user, sizeof(out->user), "%s", user);
        (void)snprintf(out->password, sizeof(out->password), "%s", secret);
    }
    json_decref(doc);
    return code < 0 ? code : 1;
}

int credhelper_get(const char *name, const char *server, struct creds *out,
                   struct err *e)
{
    AUTO_FREE char *text = calloc(1, CREDHELPER_OUTPUT_MAX);
    if (text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    int code = credhelper_run(name, "get", server, text, e);
    if (code == 0)
        code = credhelper_parse(text, name, out, e);
    else if (code > 0 && strstr(text, "not found") != NULL)
        code = 0;
    else if (code > 0)
        code = credhelper_failed(name, "get", text, e);
    explicit_bzero(text, CREDHELPER_OUTPUT_MAX);
    return code;
}

int credhelper_store(const char *name, const char *server,
                     const struct creds *c, struct err *e)
{
    AUTO_FREE char *text = calloc(1, CREDHELPER_OUTPUT_MAX);
    json_t *doc = json_object();
    if (text == NULL || doc == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    (void)json_object_set_new(doc, "ServerURL", json_string(server));
    (void)json_object_set_new(doc, "Username", json_string(c->user));
    (void)json_object_set_new(doc, "Secret", json_string(c->password));
    char *input = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);
    if (input == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    int code = credhelper_run(name, "store", input, text, e);
    explicit_bzero(input, strlen(input));
    free(input);
    return code > 0 ? credhelper_failed(name, "store", text, e) : code;
}

int credhelper_erase(const char *name, const char *server, struct err *e)
{
    AUTO_FREE char *text = calloc(1, CREDHELPER_OUTPUT_MAX);
    if (text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    int code = credhelper_run(name, "erase", server, text, e);
    return code > 0 ? credhelper_failed(name, "erase", text, e) : code;
}
