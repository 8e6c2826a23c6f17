// SPDX-License-Identifier: Apache-2.0
/* The flags of `limpet run`: docker's whole list, and what we do about it. */
#pragma once

#include "cli/opt.h"

enum run_flag {
    RUN_RM = 1,
    RUN_INTERACTIVE,
    RUN_TTY,
    RUN_ENV,
    RUN_ENV_FILE,
    RUN_WORKDIR,
    RUN_USER,
    RUN_ENTRYPOINT,
    RUN_NAME,
    RUN_HOSTNAME,
    RUN_MEMORY,
    RUN_VCPUS,
    RUN_PULL,
    RUN_QUIET,
    RUN_ROOT,
    RUN_DETACH,
    RUN_ACCEL,
    RUN_PLATFORM,
    RUN_KERNEL,
    RUN_INITRD,
    RUN_CMDLINE,
    RUN_NET,
    RUN_NETWORK,
    RUN_MAC,
    RUN_IP,
    RUN_IP6,
    RUN_GATEWAY,
    RUN_NET_RATE,
    RUN_ALIAS,
    RUN_NET_ALIAS,
    RUN_EGRESS,
    RUN_PUBLISH,
    RUN_PUBLISH_ALL,
    RUN_EXPOSE,
    RUN_DNS,
    RUN_DNS_OPT,
    RUN_DNS_OPTION,
    RUN_DNS_SEARCH,
    RUN_ADD_HOST,
    RUN_HELP,
};

extern const struct opt run_flags[];
