// SPDX-License-Identifier: Apache-2.0
/* The manual page and bash's completion, from the tables that the verbs
 * parse with: each verb is asked for its --help, with another printer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/common.h"
#include "cli/verb_args.h"

static char reference_help[] = "--help";

/* Print each verb with `print`; those without --help have no flags. */
static void reference_each(cli_help_fn *print)
{
    cli_help_printer = print;
    for (const struct verb *v = cli_verbs; v->name != NULL; v++) {
        char *flags[] = {reference_help, NULL};
        if (v->run == cli_help || v->run == cli_version)
            print(v, NULL);
        else
            (void)v->run(1, flags);
        for (const struct verb *n = cli_network_verbs;
             v->run == cli_network && n->name != NULL; n++)
            (void)n->run(1, flags);
    }
    cli_help_printer = NULL;
}

/* ---- bash ---- */

static void reference_flag_words(const struct opt *table, bool values)
{
    const char *gap = "";
    for (const struct opt *o = table; o != NULL && o->name != NULL; o++) {
        if (o->id == 0 || (values && !o->value))
            continue;
        (void)printf("%s--%s", gap, o->name);
        gap = " ";
        if (o->letter != 0)
            (void)printf(" -%c", o->letter);
    }
}

static const char *reference_kind(const struct verb *v)
{
    return v->run == cli_help                      ? "verb"
           : v->run == cli_network                 ? "networks"
           : strstr(v->usage, "NETWORK") != NULL   ? "network"
           : strstr(v->usage, "CONTAINER") != NULL ? "container"
                                                   : "file";
}

static void reference_bash_verb(const struct verb *v, const struct opt *table)
{
    (void)printf("    '%s')\n        flags='", v->name);
    reference_flag_words(table, false);
    (void)printf("'\n        values='");
    reference_flag_words(table, true);
    (void)printf("'\n        kind=%s ;;\n", reference_kind(v));
}

static void reference_bash(void)
{
    (void)printf(
        "# bash completion of limpet, printed by `limpet completion bash`\n"
        "_limpet()\n{\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} flags= values= kind=verb\n"
        "    local prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} w=\n"
        "    [ \"$COMP_CWORD\" -gt 2 ] && [ $verb = network ] &&\n"
        "        verb=\"network ${COMP_WORDS[2]}\"\n"
        "    [ \"$COMP_CWORD\" -gt 1 ] && case $verb in\n");
    reference_each(reference_bash_verb);
    (void)printf("    *) kind=file ;;\n    esac\n    local verbs='");
    for (const struct verb *v = cli_verbs; v->name != NULL; v++)
        (void)printf("%s%s", v == cli_verbs ? "" : " ", v->name);
    (void)printf("'\n    local networks='");
    for (const struct verb *v = cli_network_verbs; v->name != NULL; v++)
        (void)printf("%s%s", v == cli_network_verbs ? "" : " ",
                     strchr(v->name, ' ') + 1);
    (void)printf(
        "'\n"
        "    case \" $values \" in\n"
        "    *\" $prev \"*)\n"
        "        [ \"$prev\" = --format ] && w='table json'\n"
        "        kind=file ;;\n"
        "    *)\n"
        "        case $kind,$cur in\n"
        "        verb,*) w=$verbs ;;\n"
        "        *,-*) w=$flags ;;\n"
        "        networks,*) w=$networks ;;\n"
        "        network,*) w=$(limpet network ls --format json 2>/dev/null |\n"
        "            sed -n 's/.*\"Name\":\"\\([A-Za-z0-9_.-]*\\)\".*/\\1/p') "
        ";;\n"
        "        container,*) w=$(limpet ps -a --format json 2>/dev/null |\n"
        "            sed -n 's/.*\"Names\":\"\\([A-Za-z0-9_.-]*\\)\".*/\\1/p') "
        ";;\n"
        "        esac ;;\n"
        "    esac\n"
        "    COMPREPLY=($(compgen -W \"$w\" -- \"$cur\"))\n"
        "}\n"
        "complete -o default -F _limpet limpet\n");
}

static const struct opt completion_flags[] = {
    {"help", 0, false, 'h', "print this"},
    {0},
};

int cli_completion(int argc, char **argv)
{
    struct verb_args a = {
        .verb = "completion", .table = completion_flags, .min = 1, .max = 1};
    AUTO_FREE char **rest = calloc((size_t)argc + 1, sizeof(*rest));
    struct opt_seen f;
    verb_args_init(&a, argc, argv, rest);
    (void)verb_args_next(&a, &f);
    if (a.done)
        return a.status;
    if (strcmp(a.reader.rest[0], "bash") != 0) {
        (void)err_set(&a.e, -EINVAL, "completion %.32s: must be bash",
                      a.reader.rest[0]);
        return cli_usage_error("completion", &a.e);
    }
    reference_bash();
    return 0;
}

/* ---- the manual page ---- */

/* What troff would take for itself is escaped. */
static void reference_text(const char *s)
{
    for (const char *p = s; *p != '\0'; p++) {
        if (*p == '-')
            (void)fputs("\\-", stdout);
        else if (*p == '\\')
            (void)fputs("\\e", stdout);
        else if (p == s && (*p == '.' || *p == '\''))
            (void)printf("\\&%c", *p);
        else
            (void)putchar(*p);
    }
}

static void reference_man_verb(const struct verb *v, const struct opt *table)
{
    (void)printf(".SS limpet %s ", v->name);
    reference_text(v->usage);
    (void)printf("\n");
    reference_text(v->what);
    (void)printf(".\n");
    for (const struct opt *o = table; o != NULL && o->name != NULL; o++) {
        if (o->id == 0)
            continue;
        (void)printf(".TP\n\\fB");
        if (o->letter != 0)
            (void)printf("\\-%c\\fR, \\fB", o->letter);
        (void)printf("\\-\\-");
        reference_text(o->name);
        (void)printf("\\fR%s\n", o->value ? " \\fIVALUE\\fR" : "");
        reference_text(o->advice);
        (void)printf(".\n");
    }
}

/* Sections that no table has: text, in pairs of tag and meaning. */
static const struct {
    const char *section, *tag, *text;
} reference_rest[] = {
    {"EXIT STATUS", "the program's", "The program exited."},
    {NULL, "128 + n", "Signal n ended the program."},
    {NULL, "125", "limpet failed; one line says why."},
    {NULL, "126, 127", "The program cannot be executed; it was not found."},
    {NULL, "1",
     "A verb other than run failed for at least one container, or "
     "doctor found something that must be mended."},
    {"ENVIRONMENT", "LIMPET_ROOT", "Directory of images and containers."},
    {NULL, "LIMPET_SHARED",
     "Another one, only read: its images are run, shown and inspected as if "
     "they were there."},
    {NULL, "LIMPET_LIBEXEC",
     "Directory of limpet-vmm, limpet-image and the guest kernel; default: "
     "../libexec/limpet from where limpet is, else where it is."},
    {NULL, "LIMPET_MAX_LAYER_SIZE",
     "Bytes that a layer may unpack to, such as 4G; default: 1100 times its "
     "size, or 1 GiB if that is more."},
    {NULL, "LIMPET_BOARDS", "Directory of board profiles."},
    {NULL, "NO_COLOR", "No colours, whatever its value."},
    {"FILES", "/var/lib/limpet, ~/.local/share/limpet",
     "Images and containers of root, of others."},
    {NULL, "/etc/limpet/board.json, ~/.config/limpet/board.json",
     "What you know better about this machine."},
};

int cli_print_man(void)
{
    (void)printf(".TH LIMPET 1 \"\" \"limpet %s\" \"User Commands\"\n"
                 ".SH NAME\nlimpet \\- run OCI images, each in its own "
                 "micro\\-VM\n"
                 ".SH SYNOPSIS\n.B limpet\n.I VERB\n.RI [ FLAGS ]\n"
                 ".RI [ ARGUMENTS ]\n"
                 ".SH DESCRIPTION\nEach container runs in a micro\\-VM of its "
                 "own, under a kernel that speaks the Linux ABI. IMAGE is a "
                 "registry's NAME[:TAG|@DIGEST], an ID, oci:DIR[:TAG], "
                 "oci\\-archive:FILE[:TAG] or "
                 "docker\\-archive:FILE[:TAG]. CONTAINER is a name, an ID, or "
                 "the unique beginning of one.\n"
                 ".SH VERBS\n",
                 LIMPET_VERSION);
    reference_each(reference_man_verb);
    for (size_t i = 0; i < ARRAY_COUNT(reference_rest); i++) {
        if (reference_rest[i].section != NULL)
            (void)printf(".SH %s\n", reference_rest[i].section);
        (void)printf(".TP\n");
        reference_text(reference_rest[i].tag);
        (void)printf("\n");
        reference_text(reference_rest[i].text);
        (void)printf("\n");
    }
    return 0;
}
