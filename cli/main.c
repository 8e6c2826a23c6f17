// SPDX-License-Identifier: Apache-2.0
/* limpet: picks the verb. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/err.h"
#include "cli/common.h"

const struct verb cli_verbs[] = {
    {"run", cli_run, "[FLAGS] IMAGE [COMMAND [ARG...]]",
     "Run an image in its own micro-VM"},
    {"ps", cli_ps, "[FLAGS]", "List containers"},
    {"logs", cli_logs, "[FLAGS] CONTAINER", "Show a container's output"},
    {"stop", cli_stop, "[FLAGS] CONTAINER...",
     "Ask containers to end, then make them"},
    {"kill", cli_kill, "[FLAGS] CONTAINER...", "Send a signal"},
    {"wait", cli_wait, "CONTAINER...",
     "Wait for containers to end, print their exit codes"},
    {"rm", cli_rm, "[FLAGS] CONTAINER...", "Remove containers"},
    {"pull", cli_pull, "[FLAGS] IMAGE",
     "Fetch an image, or what is new of it, from its registry"},
    {"push", cli_push, "[FLAGS] IMAGE [DEST]",
     "Send an image to a registry, as it is"},
    {"images", cli_images, "[FLAGS] [NAME[:TAG]]", "List images"},
    {"inspect", cli_inspect, "[FLAGS] IMAGE...",
     "Show what is known of images, as JSON"},
    {"history", cli_history, "[FLAGS] IMAGE",
     "Show the steps that made an image"},
    {"save", cli_save, "[-o FILE] IMAGE...",
     "Write images to an archive, of OCI and docker at once"},
    {"load", cli_load, "[-i FILE]", "Read images from such an archive"},
    {"tag", cli_tag, "IMAGE NAME[:TAG]", "Give an image another name"},
    {"rmi", cli_rmi, "[FLAGS] IMAGE...", "Remove images"},
    {"login", cli_login, "[FLAGS] [HOST]",
     "Keep credentials that a registry accepts"},
    {"logout", cli_logout, "[HOST]", "Forget them"},
    {"image", cli_image,
     "ls|rm|tag|pull|push|inspect|history|save|load|prune [FLAGS] ...\n"
     "       limpet image export --erofs [--root DIR] IMAGE FILE",
     "The same verbs; remove what nobody needs; export a root file system"},
    {"port", cli_port, "CONTAINER [PORT[/udp]]",
     "Show where a container's ports are"},
    {"network", cli_network,
     "create|connect|disconnect|ls|inspect|rm|prune [FLAGS] ...",
     "Make, show and remove networks"},
    {"board", cli_board, "[--dtb FILE] [--profile FILE] [--format table|json]",
     "Show what this machine is and how that is known"},
    {"doctor", cli_doctor, "[--root DIR] [--format table|json]",
     "Check this host, with a fix for what it lacks"},
    {"completion", cli_completion, "bash",
     "Print what makes a shell complete limpet's commands"},
    {"version", cli_version, "", "Show the version"},
    {"help", cli_help, "[VERB]", "Show this, or a verb's flags"},
    {0},
};

static const struct verb *main_find_verb(const char *name)
{
    for (const struct verb *v = cli_verbs; v->name != NULL; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

/* jansson would open /dev/urandom for this. */
static void main_seed_json(void)
{
    uint32_t seed = 0;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel's interface */
    const void *random = (const void *)getauxval(AT_RANDOM);
    if (random != NULL)
        memcpy(&seed, random, sizeof(seed));
    json_object_seed(seed | 1);
}

int main(int argc, char **argv)
{
    main_seed_json();
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0)
        name = "version";
    const struct verb *v = main_find_verb(name);
    if (v == NULL) {
        (void)fprintf(stderr,
                      "limpet: '%s' is not a limpet command.\n"
                      "See 'limpet help'.\n",
                      name);
        return CLI_LIMPET_FAILED;
    }
    int code = v->run(argc > 1 ? argc - 2 : 0, argv + (argc > 1 ? 2 : 1));
    if (fflush(stdout) != 0 && code == 0)
        code = CLI_LIMPET_FAILED;
    return code;
}
