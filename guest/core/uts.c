// SPDX-License-Identifier: Apache-2.0
/* Names of the system. */
#include "guest/core/uts.h"

#include "abi/linux/errno.h"

#include "guest/arch/arch.h"
#include "guest/core/klib.h"
#include "guest/core/lock.h"

static struct spinlock uts_lock;
static char uts_hostname[LX_UTS_SIZE] = "limpet";
static char uts_domainname[LX_UTS_SIZE] = "(none)";

void uts_get(struct lx_utsname *out)
{
    memset(out, 0, sizeof(*out));
    (void)kstrcpy(out->sysname, "Linux", LX_UTS_SIZE);
    (void)kstrcpy(out->release, "6.1.0-limpet", LX_UTS_SIZE);
    (void)kstrcpy(out->version, "#1 SMP Limpet", LX_UTS_SIZE);
    (void)kstrcpy(out->machine, arch_platform, LX_UTS_SIZE);
    spin_lock(&uts_lock);
    memcpy(out->nodename, uts_hostname, LX_UTS_SIZE);
    memcpy(out->domainname, uts_domainname, LX_UTS_SIZE);
    spin_unlock(&uts_lock);
}

static int uts_set(char *to, const char *name, size_t size)
{
    if (size >= LX_UTS_SIZE)
        return -EINVAL;
    spin_lock(&uts_lock);
    memset(to, 0, LX_UTS_SIZE);
    memcpy(to, name, size);
    spin_unlock(&uts_lock);
    return 0;
}

int uts_set_hostname(const char *name, size_t size)
{
    return uts_set(uts_hostname, name, size);
}

int uts_set_domainname(const char *name, size_t size)
{
    return uts_set(uts_domainname, name, size);
}
