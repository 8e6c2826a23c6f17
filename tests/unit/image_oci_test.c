// SPDX-License-Identifier: Apache-2.0
/* image/oci.c and image/record.c: documents, without files around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/oci.h"
#include "image/record.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void digests(void **state)
{
    (void)state;
    char hex[SHA256_HEX_SIZE];
    struct err e;
    assert_int_equal(oci_parse_digest("sha256:" HEX_A, "x", hex, &e), 0);
    assert_string_equal(hex, HEX_A);
    static const char *const bad[] = {
        "",
        "sha256:",
        HEX_A,
        "sha512:" HEX_A,
        "sha256:" HEX_A "a",
        "sha256:../../../../../../../../../../../../../../../../../../../etc/",
        "sha256:"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(oci_parse_digest(bad[i], "x", hex, &e), -EINVAL);
}

static int manifest(const char *text, struct oci_image *img, struct err *e)
{
    *img = (struct oci_image){0};
    return oci_parse_manifest(text, strlen(text), "doc", img, e);
}

static void manifest_gives_layers(void **state)
{
    (void)state;
    struct oci_image img;
    struct err e;
    assert_int_equal(
        manifest("{\"config\":{\"digest\":\"sha256:" HEX_A "\",\"size\":7},"
                 "\"layers\":[{\"digest\":\"sha256:" HEX_B "\",\"size\":9}]}",
                 &img, &e),
        0);
    assert_string_equal(img.config, HEX_A);
    assert_int_equal(img.config_size, 7);
    assert_int_equal(img.layer_count, 1);
    assert_string_equal(img.layers[0].name, "blobs/sha256/" HEX_B);
    assert_int_equal(img.layers[0].size, 9);
    oci_fini(&img);
}

static void manifest_errors_name_document_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", "doc: malformed"},
        {"{}", "\"config\" is missing"},
        {"{\"config\":{\"digest\":\"sha256:" HEX_A "\",\"size\":1.5}}",
         "\"size\" is not an integer"},
        {"{\"config\":{\"digest\":\"sha256:" HEX_A "\",\"size\":1}}",
         "\"layers\" is missing"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct oci_image img;
        struct err e;
        assert_true(manifest(cases[i].text, &img, &e) < 0);
        assert_non_null(strstr(e.msg, cases[i].says));
        oci_fini(&img);
    }
}

static const char config[] =
    "{\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\","
    "\"created\":\"2024-01-02T03:04:05.5Z\","
    "\"config\":{\"Cmd\":[\"a\"],\"Labels\":null},"
    "\"rootfs\":{\"diff_ids\":[\"sha256:" HEX_B "\"]}}";

static int configure(struct oci_image *img, const char *arch)
{
    struct err e;
    return oci_parse_config(config, strlen(config), "c", arch, img, &e);
}

static void configuration_is_matched_by_platform(void **state)
{
    (void)state;
    struct oci_image img = {.layer_count = 1};
    img.layers = calloc(1, sizeof(*img.layers));
    assert_int_equal(configure(&img, "amd64"), 0);
    assert_int_equal(configure(&img, "arm64"), 1);
    assert_string_equal(img.layers[0].diff_id, HEX_B);
    char platform[64];
    oci_platform_text(img.doc, platform);
    assert_string_equal(platform, "linux/arm64/v8");
    img.layer_count = 0;
    assert_int_equal(configure(&img, "arm64"), -EINVAL);
    oci_fini(&img);
}

static void created_is_read_or_zero(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
    } cases[] = {
        {"{\"created\":\"1970-01-02T00:00:00Z\"}", 86400},
        {"{\"created\":\"2024-01-02T03:04:05.5Z\"}", 1704164645},
        {"{\"created\":\"yesterday\"}", 0},
        {"{\"created\":7}", 0},
        {"{\"created\":\"1960-01-02T00:00:00Z\"}", 0},
        {"{}", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        json_t *doc = json_loads(cases[i].text, 0, NULL);
        assert_int_equal(record_created(doc), cases[i].seconds);
        json_decref(doc);
    }
}

/* Lines that are broken, numbers that are not ids, names that are not UTF-8:
 * each costs its line, no more. */
static void accounts_survive_broken_lines(void **state)
{
    (void)state;
    char passwd[] = "root:x:0:0:r:/root:/bin/sh\nshort:x:1\n:::::\n"
                    "neg:x:-1:0::/:\nbig:x:4294967295:0::/:\n"
                    "\xff:x:1:1::/:\nlast:x:7:8:g:/h";
    char group[] = "root:x:0:\n\nwheel:x:10:a,b\nbad:x:q:\nend:x:5";
    struct oci_image img = {.manifest = HEX_A, .config = HEX_B};
    struct err e;
    img.doc = json_loads(config, 0, NULL);
    static const char *const files[] = {"meta/x.erofs"};
    struct record r = {.image = &img,
                       .files = files,
                       .file_count = 1,
                       .size = 5,
                       .passwd = passwd,
                       .group = group};
    r.run = record_read_run(&img, &e);
    AUTO_FREE char *text = record_build(&r, &e);
    assert_non_null(text);
    json_t *doc = json_loads(text, 0, NULL);
    AUTO_FREE char *users =
        json_dumps(json_object_get(doc, "users"), JSON_COMPACT);
    AUTO_FREE char *groups =
        json_dumps(json_object_get(doc, "groups"), JSON_COMPACT);
    assert_string_equal(users,
                        "[[\"root\",0,0,\"/root\"],[\"last\",7,8,\"/h\"]]");
    assert_string_equal(
        groups,
        "[[\"root\",0,[]],[\"wheel\",10,[\"a\",\"b\"]],[\"end\",5,[]]]");
    json_decref(doc);
    json_decref(r.run);
    oci_fini(&img);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
        cmocka_unit_test(manifest_gives_layers),
        cmocka_unit_test(manifest_errors_name_document_and_key),
        cmocka_unit_test(configuration_is_matched_by_platform),
        cmocka_unit_test(created_is_read_or_zero),
        cmocka_unit_test(accounts_survive_broken_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
