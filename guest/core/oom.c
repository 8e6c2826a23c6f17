// SPDX-License-Identifier: Apache-2.0
#include "guest/core/oom.h"

#include "abi/linux/proc.h"

#include "guest/core/aspace.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/task.h"

/* Pages a process holds, moved by its oom_score_adj (thousandths of all). */
static int64_t oom_badness(const struct process *p, int64_t total)
{
    const struct aspace *as = p->aspace;
    if (as == NULL || p->zombie || p->oom_score_adj <= -1000)
        return INT64_MIN;
    int64_t pages = (int64_t)(as->rss_anon + as->rss_file + as->tables);
    return pages + p->oom_score_adj * total / 1000;
}

/* The worst process but pid 1, unless it is the only one; one that is dying
 * already counts as the choice: its memory is on the way. */
static struct process *oom_choose(bool *dying)
{
    struct page_stats stats;
    struct process *worst = NULL;
    int64_t most = INT64_MIN;
    page_stats(&stats);
    LIST_FOR(it, &proc_list)
    {
        struct process *p = LIST_ENTRY(it, struct process, all_node);
        int64_t b = oom_badness(p, (int64_t)stats.total);
        if (p->oom_killed && !p->zombie) {
            *dying = true;
            return p;
        }
        if (b > most) {
            most = b;
            worst = p;
        }
    }
    return worst;
}

bool oom_kill(void)
{
    bool dying = false;
    mutex_lock(&proc_lock);
    struct process *p = oom_choose(&dying);
    if (p != NULL && !dying) {
        struct lx_siginfo si;
        p->oom_killed = true;
        klog(KLOG_WARN, "Out of memory: Killed process %d (%s) anon-rss:%lukB",
             p->pid, p->leader != NULL ? p->leader->name : "?",
             (unsigned long)(p->aspace->rss_anon * (PAGE_SIZE / 1024)));
        signal_info(&si, LX_SIGKILL, LX_SI_KERNEL);
        (void)signal_send(p, &si);
    }
    mutex_unlock(&proc_lock);
    return p != NULL;
}
