// SPDX-License-Identifier: Apache-2.0
#include "guest/core/oom.h"

#include "abi/linux/proc.h"

#include "guest/core/aspace.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/task.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/virtio/console.h"

#define OOM_NEVER  INT64_MIN
#define OOM_WAIT   NSEC_PER_SEC /* for one that dies */
#define OOM_FILE   512          /* bytes, about, that an open file costs */
#define SHRINK_MAX 8192         /* names; more than the cache keeps */

/* Pages a process holds, moved by its oom_score_adj (thousandths of all). */
static int64_t oom_badness(struct process *p, int64_t total, uint64_t *anon)
{
    int64_t pages = OOM_NEVER;
    /* exit and exec take the aspace away under this lock. */
    unsigned long irq = spin_lock_irq(&p->sig_lock);
    const struct aspace *as = p->aspace;
    if (as != NULL && !p->zombie && p->oom_score_adj > -1000) {
        *anon = as->rss_anon;
        uint64_t held = as->rss_anon + as->rss_file + as->tables;
        if (p->files != NULL)
            held += (p->files->room * sizeof(struct file *) +
                     p->files->next * (uint64_t)OOM_FILE) /
                    PAGE_SIZE;
        pages = (int64_t)held + p->oom_score_adj * total / 1000;
    }
    spin_unlock_irq(&p->sig_lock, irq);
    return pages;
}

/* The process with most, of equals the youngest, as Linux; one that is dying
 * already counts as the choice: its memory is on the way, unless it waits for
 * something that one of those holds who wait for memory. The VM ends with
 * process 1, so another that holds half as much goes before it: its
 * children hold what it held when it forked. */
static struct process *oom_choose(bool *dying, uint64_t *anon)
{
    struct page_stats stats;
    struct process *worst = NULL;
    int64_t most = OOM_NEVER;
    page_stats(&stats);
    LIST_FOR(it, &proc_list)
    {
        struct process *p = LIST_ENTRY(it, struct process, all_node);
        uint64_t held = 0;
        int64_t b = oom_badness(p, (int64_t)stats.total, &held);
        if (p->oom_killed && !p->zombie) {
            if (clock_now() - p->oom_at >= OOM_WAIT)
                continue;
            *dying = true;
            return p;
        }
        if (p->pid == 1 && b > 0)
            b /= 2;
        if (b >= most && b != OOM_NEVER) {
            most = b;
            worst = p;
            *anon = held;
        }
    }
    return worst;
}

/* To the user's terminal; the end of process 1 says it itself. */
static void oom_report(const struct process *p, const char *name)
{
    char who[40];
    if (p->pid == 1)
        return;
    int n = ksnprintf(who, sizeof(who), "%s (pid %d)", name, p->pid);
    (void)ctl_send(CTL_KILLED, who, (uint32_t)MIN(n, (int)sizeof(who) - 1));
}

bool oom_reclaim(void)
{
    dentry_shrink(SHRINK_MAX);
    paddr_t pa = page_alloc(0, 0);
    if (pa == 0)
        return false;
    page_put(pa);
    return true;
}

static uint64_t kills; /* proc_lock */

uint64_t oom_kill_count(void)
{
    return kills;
}

bool oom_kill(void)
{
    bool dying = false;
    uint64_t anon = 0;
    /* The fault may have come under an inode's mutex: never wait here. */
    if (!mutex_trylock(&proc_lock))
        return true;
    struct process *p = oom_choose(&dying, &anon);
    if (p != NULL && !dying) {
        struct lx_siginfo si;
        p->oom_killed = true;
        p->oom_at = clock_now();
        kills++;
        const char *name = p->leader != NULL ? p->leader->name : "?";
        klog(KLOG_WARN, "Out of memory: Killed process %d (%s) anon-rss:%lukB",
             p->pid, name, (unsigned long)(anon * (PAGE_SIZE / 1024)));
        oom_report(p, name);
        signal_info(&si, LX_SIGKILL, LX_SI_KERNEL);
        (void)signal_send(p, &si);
    }
    mutex_unlock(&proc_lock);
    return p != NULL;
}
