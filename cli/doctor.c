// SPDX-License-Identifier: Apache-2.0
/* limpet doctor: what this host lacks, and the commands that mend it. */
#include "supervisor/doctor.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/table.h"
#include "cli/verb_args.h"
#include "supervisor/host.h"

static const struct opt doctor_flags[] = {
    {"format", 0, true, 'F', "table or json"},
    {"help", 0, false, 'h', "print this"},
    {"root", 0, true, 'R', "directory of images and containers"},
    {0},
};

static const struct {
    const char *json, *table, *colour;
} doctor_words[] = {
    [DOCTOR_OK] = {"ok", "ok", "\033[32m"},
    [DOCTOR_WARN] = {"warn", "warn", "\033[33m"},
    [DOCTOR_FAIL] = {"fail", "FAIL", "\033[31m"},
};

static void doctor_print_table(const struct doctor_check *checks)
{
    struct table_row rows[2 * DOCTOR_CHECKS];
    char fix[DOCTOR_CHECKS][DOCTOR_FIX + 8];
    size_t n = 0;
    for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
        const struct doctor_check *c = &checks[i];
        rows[n++] = (struct table_row){
            .cell = {doctor_words[c->status].table, c->name, c->found},
            .colour = doctor_words[c->status].colour};
        if (c->fix[0] == '\0')
            continue;
        (void)snprintf(fix[i], sizeof(fix[i]), "fix: %s", c->fix);
        rows[n++] = (struct table_row){.cell = {"", "", fix[i]}};
    }
    table_print(rows, n, 3, table_colours());
}

static int doctor_print_json(const struct doctor_check *checks, bool good,
                             struct err *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
        const struct doctor_check *c = &checks[i];
        json_t *one =
            json_pack("{s:s, s:s, s:s}", "check", c->name, "status",
                      doctor_words[c->status].json, "found", c->found);
        if (c->fix[0] != '\0')
            (void)json_object_set_new(one, "fix", json_string(c->fix));
        (void)json_array_append_new(list, one);
    }
    json_t *o = json_pack("{s:b, s:o}", "ok", good, "checks", list);
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    if (text == NULL)
        return err_set(e, -ENOMEM, "out of memory");
    (void)printf("%s\n", text);
    return 0;
}

int cli_doctor(int argc, char **argv)
{
    struct verb_args a = {.verb = "doctor", .table = doctor_flags};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    bool json = false;
    verb_args_init(&a, argc, argv, rest);
    while (verb_args_next(&a, &f)) {
        verb_args_format(&a, f.value, &json);
    }
    if (a.done)
        return a.status;
    if (a.reader.rest_count > 0) {
        (void)err_set(&a.e, -EINVAL, "doctor takes no arguments");
        return cli_usage_error("doctor", &a.e);
    }
    const char *sysroot = getenv("LIMPET_DOCTOR_ROOT"); /* tests */
    const char *kvm = getenv("LIMPET_KVM");
    struct doctor_check checks[DOCTOR_CHECKS];
    struct doctor_host h;
    char store[PATH_MAX];
    if (host_root(a.root, store, &a.e) < 0)
        return cli_error(&a.e);
    doctor_look(&h, sysroot != NULL ? sysroot : "",
                kvm != NULL ? kvm : "/dev/kvm", store);
    bool good = doctor_judge(&h, checks);
    if (!json)
        doctor_print_table(checks);
    else if (doctor_print_json(checks, good, &a.e) < 0)
        return cli_error(&a.e);
    return good ? 0 : 1;
}
