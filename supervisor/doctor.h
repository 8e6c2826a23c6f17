// SPDX-License-Identifier: Apache-2.0
/*
 * Can this host run micro-VMs, and if not, which command mends it? Looking and
 * judging are apart: doctor_judge() is a pure function of what was seen.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/kvmprobe.h"

enum { DOCTOR_TEXT = 256, DOCTOR_FIX = 384 };

enum doctor_status {
    DOCTOR_OK = 1,
    DOCTOR_WARN, /* limpet works, with less */
    DOCTOR_FAIL, /* limpet does not work */
};

/* One line of the result. `fix` is empty if and only if status is DOCTOR_OK. */
struct doctor_check {
    const char *name;
    enum doctor_status status;
    char found[DOCTOR_TEXT];
    char fix[DOCTOR_FIX];
};

/* What was seen. Codes are 0 or negative errno; sizes are bytes; a number is
 * -1 where there is no such file. */
struct doctor_host {
    bool arm;      /* arm64, else amd64 */
    unsigned uid;  /* effective */
    char user[64]; /* its name */

    struct kvmprobe kvm;
    char kvm_path[128];
    char kvm_group[64]; /* of the device, if its group may write; or "" */
    bool kvm_module;    /* /sys/module/kvm is there */
    char cpu_flags[4096];

    int tun;                    /* opening /dev/net/tun */
    int nft, passt;             /* are they installed? 0, or -ENOENT */
    int bridge, nf_tables;      /* are they in the kernel? */
    long ip_forward;            /* net.ipv4.ip_forward */
    int ip_forward_write;       /* may it be switched on? 0, or why not */
    long ping_first, ping_last; /* net.ipv4.ping_group_range */
    char network[128];          /* of a run without --network */
    char no_network[256];       /* why that is none; "": it is not */
    bool cgroup2;               /* on /sys/fs/cgroup */
    bool cgroup1;               /* something else is there */
    char controllers[256];      /* of cgroup v2's root */
    long userns_max;            /* user.max_user_namespaces */
    long userns_clone;          /* kernel.unprivileged_userns_clone */
    long userns_apparmor;       /* kernel.apparmor_restrict_... */
    long page_size;
    int64_t memory_free; /* MemAvailable */
    char seccomp[256];   /* actions_avail */
    int landlock;        /* ABI version, or negative errno */

    char store[PATH_MAX];
    int store_code;  /* may it be made and written? */
    long store_type; /* statfs(2) f_type */
    uint64_t store_free;

    char libexec[PATH_MAX];
    char missing[DOCTOR_TEXT]; /* first program or kernel not found, or "" */
    int missing_code;

    char board[DOCTOR_TEXT];     /* title and profile, or "" */
    char bad_board[DOCTOR_TEXT]; /* which file is wrong and how, or "" */
};

enum { DOCTOR_CHECKS = 15 };

/* Fills DOCTOR_CHECKS checks; returns true if none failed. */
bool doctor_judge(const struct doctor_host *h,
                  struct doctor_check out[DOCTOR_CHECKS]);

/* Look at this host, files below `sysroot` ("" outside tests), KVM at `kvm`,
 * the store at `store`. What cannot be seen is what the result says. */
void doctor_look(struct doctor_host *h, const char *sysroot, const char *kvm,
                 const char *store);
