// SPDX-License-Identifier: Apache-2.0
/* image/plan.c: what a push has to send, from documents in a store. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/path.h"
#include "base/sha256.h"
#include "image/plan.h"
#include "image/store.h"

static char root[] = "/tmp/limpet-plan-test.XXXXXX";

static int make_store(void **state)
{
    static struct store s;
    struct err e = {0};
    assert_non_null(mkdtemp(root));
    assert_int_equal(store_open(&s, root, &e), 0);
    *state = &s;
    return 0;
}

static int drop_store(void **state)
{
    char command[64];
    store_close(*state);
    (void)snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command); /* NOLINT(cert-env33-c): a test's own directory */
}

/* A blob of the store; its digest. */
static void put(const struct store *s, const char *text,
                char hex[SHA256_HEX_SIZE])
{
    char path[STORE_NAME_SIZE];
    struct err e;
    sha256_text(text, strlen(text), hex);
    (void)snprintf(path, sizeof(path), "blobs/%s", hex);
    (void)mkdirat(s->root, "blobs", 0700);
    assert_int_equal(path_replace(s->root, path, text, strlen(text), 0, &e), 0);
}

static int plan(struct store *s, const char *hex, struct plan *p, struct err *e)
{
    const struct plan_request q = {.store = s, .hex = hex, .sock = -1};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        plan_main(&q, ends[1]);
    (void)close(ends[1]);
    *p = (struct plan){0};
    *e = (struct err){0};
    int code = plan_read(ends[0], p, e);
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return code;
}

static void manifest(const struct store *s, const char *config,
                     const char *layer, const char *extra,
                     char hex[SHA256_HEX_SIZE])
{
    char text[2048];
    (void)snprintf(text, sizeof(text),
                   "{\"config\":{\"digest\":\"sha256:%s\",\"size\":2},"
                   "\"layers\":[{\"digest\":\"sha256:%s\",\"size\":5}%s]}",
                   config, layer, extra);
    put(s, text, hex);
}

static void children_come_first(void **state)
{
    struct store *s = *state;
    struct plan p;
    struct err e;
    char config[SHA256_HEX_SIZE];
    char layer[SHA256_HEX_SIZE];
    char one[SHA256_HEX_SIZE];
    char two[SHA256_HEX_SIZE];
    char inner[SHA256_HEX_SIZE];
    char outer[SHA256_HEX_SIZE];
    char text[2048];
    put(s, "{}", config);
    put(s, "layer", layer);
    manifest(s, config, layer, "", one);
    manifest(s, config, layer,
             ",{\"digest\":\"sha256:"
             "0000000000000000000000000000000000000000000000000000000000000000"
             "\",\"size\":7},{\"digest\":\"sha256:"
             "1111111111111111111111111111111111111111111111111111111111111111"
             "\",\"size\":7,\"mediaType\":\"application/vnd.oci.image.layer."
             "nondistributable.v1.tar\"}",
             two);
    (void)snprintf(text, sizeof(text),
                   "{\"manifests\":[{\"digest\":\"sha256:%s\"}]}", one);
    put(s, text, inner);
    (void)snprintf(
        text, sizeof(text),
        "{\"mediaType\":\"application/x\",\"manifests\":[{\"digest\":"
        "\"sha256:%s\"},{\"digest\":\"sha256:%s\"},{\"digest\":"
        "\"sha256:%s\"}]}",
        one, two, inner);
    put(s, text, outer);
    assert_int_equal(plan(s, outer, &p, &e), 0);
    assert_int_equal(p.document_count, 4);
    assert_string_equal(p.documents[3].digest, outer);
    assert_string_equal(p.documents[3].type, "application/x");
    assert_memory_equal(p.text + p.documents[3].at, text, strlen(text));
    size_t at[2] = {0};
    for (size_t i = 0; i < p.document_count; i++) {
        if (strcmp(p.documents[i].digest, one) == 0)
            at[0] = i;
        if (strcmp(p.documents[i].digest, inner) == 0)
            at[1] = i;
    }
    assert_true(at[0] < at[1]);
    assert_non_null(strstr(p.documents[at[1]].type, "image.index.v1"));
    assert_non_null(strstr(p.documents[at[0]].type, "image.manifest.v1"));
    /* Configuration and layer once, and the layer that is not here. */
    assert_int_equal(p.blob_count, 3);
    uint32_t local = 0;
    for (size_t i = 0; i < p.blob_count; i++)
        local += p.blobs[i].local;
    assert_int_equal(local, 2);
    plan_fini(&p);
}

static void bad_documents_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{\"layers\":[]}",
        "{\"config\":{},\"layers\":[]}",
        "{\"config\":{\"digest\":\"sha256:../../x\",\"size\":1},\"layers\":[]}",
        "{\"config\":{\"digest\":\"md5:1\",\"size\":1},\"layers\":[]}",
        "{\"manifests\":{}}",
        "{\"manifests\":[{\"digest\":\"sha256:0\"}]}",
        "{\"manifests\":[1]}",
    };
    struct store *s = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct plan p;
        struct err e;
        char hex[SHA256_HEX_SIZE];
        put(s, bad[i], hex);
        assert_true(plan(s, hex, &p, &e) < 0);
        assert_true(e.msg[0] != '\0');
        plan_fini(&p);
    }
}

static void what_is_not_here_is_named(void **state)
{
    struct plan p;
    struct err e;
    char hex[SHA256_HEX_SIZE];
    sha256_text("nowhere", 7, hex);
    assert_int_equal(plan(*state, hex, &p, &e), -ENOENT);
    assert_non_null(strstr(e.msg, hex));
    plan_fini(&p);
}

/* Nine deep is more than anybody makes. */
static void nesting_is_bounded(void **state)
{
    struct plan p;
    struct err e;
    char hex[SHA256_HEX_SIZE];
    char text[256] = "{\"manifests\":[]}";
    for (unsigned i = 0; i < 9; i++) {
        put(*state, text, hex);
        (void)snprintf(text, sizeof(text),
                       "{\"manifests\":[{\"digest\":\"sha256:%s\"}]}", hex);
    }
    assert_int_equal(plan(*state, hex, &p, &e), -E2BIG);
    plan_fini(&p);
}

static void nonsense_from_the_planner(void **state)
{
    (void)state;
    static const char junk[1024] = {0};
    struct plan p = {0};
    struct err e = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], junk, sizeof(junk)), sizeof(junk));
    (void)close(ends[1]);
    assert_true(plan_read(ends[0], &p, &e) < 0); /* no document */
    assert_true(plan_read(ends[0], &p, &e) < 0); /* it has ended */
    (void)close(ends[0]);
    plan_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_come_first),
        cmocka_unit_test(bad_documents_are_refused),
        cmocka_unit_test(what_is_not_here_is_named),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(nonsense_from_the_planner),
    };
    return cmocka_run_group_tests(tests, make_store, drop_store);
}
