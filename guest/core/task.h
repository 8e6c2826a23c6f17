// SPDX-License-Identifier: Apache-2.0
/*
 * Threads (struct task) and processes (struct process). A process owns what
 * its threads share. Both are reference-counted; the tree, pids, groups and
 * sessions are guarded by proc_lock (a mutex).
 */
#pragma once

#include <arch_types.h>

#include "guest/core/cputimer.h"
#include "guest/core/cred.h"
#include "guest/core/list.h"
#include "guest/core/lock.h"
#include "guest/core/signal.h"
#include "guest/core/timer.h"
#include "guest/core/wait.h"

struct aspace;
struct fdtable;
struct fsctx;
struct inode;
struct file;
struct pi_waiter;
struct tty;

#define TASK_STACK_SIZE 16384
#define TASK_NAME_SIZE  16
#define TASK_CANARY     UINT64_C(0x6c696d7065747374) /* a stack's last word */

enum task_state {
    TASK_RUNNING,  /* on a CPU or a run queue */
    TASK_SLEEPING, /* wait_sleep(WAIT_SIGNALS) */
    TASK_DEADLY,   /* wait_sleep(WAIT_DEADLY) */
    TASK_STOPPED,  /* job control */
    TASK_DEAD,
};

/* read(2), write(2) and their relatives: /proc/PID/io. */
struct io_count {
    uint64_t bytes[2], calls[2]; /* read, written */
};

struct task {
    struct arch_task arch; /* first: switch code uses fixed offsets */
    void *stack;           /* TASK_STACK_SIZE, owned */
    struct process *proc;  /* NULL: kernel task */
    int32_t tid;
    uint32_t refs;
    char name[TASK_NAME_SIZE]; /* comm */
    struct cred cred;          /* changed by cred_commit() */

    /* Scheduler; state by the run-queue lock of `cpu`. */
    enum task_state state;
    struct list run_node;
    uint32_t cpu;
    bool on_cpu;       /* cleared, release, by the switch away from it */
    uint64_t affinity; /* bit per CPU */
    nsec_t utime, stime, entered; /* user, system, last change */
    nsec_t stretch;               /* it ran so long until it left its CPU */
    bool in_user;                 /* whose time passes; only its own CPU */
    uint64_t switches;

    struct task *hash_next;    /* by tid; pid_lock (process.c) */
    struct list thread_node;   /* in proc->threads; proc->sig_lock */
    struct sigpending pending; /* proc->sig_lock */
    uint64_t sigmask;
    uint64_t saved_sigmask; /* rt_sigsuspend, pselect: put back on return */
    bool restore_sigmask;
    volatile bool work; /* look at signals or stop before returning to user */
    struct lx_stack altstack;

    uint64_t set_tid;   /* CLONE_CHILD_SETTID: to write at the first return */
    uint64_t clear_tid; /* CLONE_CHILD_CLEARTID; user address or 0 */
    uint64_t robust_list, robust_size;
    struct pi_waiter *pi_blocked; /* FUTEX_LOCK_PI: core/futex_pi.c */
    uint32_t pi_waits;            /* waiters for locks of this one */
    bool pi_gone;                 /* it ended: no more of them */
    int32_t take_tid; /* pid_take(): for the next pid_alloc(); 0: any */
    uint64_t rseq;    /* address of struct lx_rseq, or 0; core/rseq.c */
    uint32_t rseq_size, rseq_sig;
    uint32_t rseq_cpu; /* what it says */
    bool rseq_event;   /* atomic: look at it before returning to user */
    struct io_count io;
    struct file *dead_files; /* file_put: released, one after another */
    bool putting_files;
    int32_t policy, rt_priority; /* sched_setscheduler(2): no effect */
    bool reset_on_fork;          /* SCHED_RESET_ON_FORK */
    uint64_t timer_slack;        /* PR_SET_TIMERSLACK; 0: its default, */
    uint64_t timer_slack_of;     /* its creator's; 0: 50 us */
    int32_t exit_code;           /* wait status of this thread */
    bool exiting;
    bool hands_over; /* who it wakes runs on its CPU, and it itself where it
                      * is woken, if that will be free: sched_place.c */
    bool leave;      /* rq.lock: no CPU shall halt in its context */
    struct {         /* restart_syscall(2), for nanosleep and the like */
        int64_t (*fn)(struct task *t);
        uint64_t arg[5];
    } restart;
};

struct session { /* refcounted, proc_lock */
    int32_t id;
    uint32_t refs;
    struct tty *tty; /* controlling terminal, reference held, or NULL */
};

struct lx_rlimit64 {
    uint64_t cur, max;
};
#define RLIMIT_COUNT 16

struct process {
    struct list all_node; /* in proc_list; proc_lock */
    int32_t pid;
    uint32_t refs;
    struct process *parent; /* proc_lock */
    int32_t ppid;           /* the parent's pid, 0: none; atomic: getppid(2) */
    struct list children, sibling;
    int32_t pgid;
    struct session *session;
    struct list threads;   /* sig_lock */
    uint32_t thread_count; /* live */
    struct task *leader;   /* the task whose tid is pid, even when dead */

    struct aspace *aspace; /* shared after vfork; NULL once exited */
    struct fdtable *files;
    struct fsctx *fs;
    struct file *exe;
    struct cred cred; /* the leader's, for others; sig_lock */
    struct lx_rlimit64 rlimits[RLIMIT_COUNT]; /* sig_lock */

    struct spinlock sig_lock;  /* irq-safe: this process's signals */
    struct sighand *sighand;   /* refcounted (CLONE_SIGHAND) */
    struct sigpending pending; /* for any thread */
    struct waitq sigwait; /* signalfd, sigtimedwait: woken on new signals */
    bool group_exit;      /* exit_group or fatal signal under way */
    bool stopped, stop_report, cont_report; /* job control, wait4 */
    bool cont_notify;    /* tell the parent of CLD_CONTINUED */
    uint32_t stop_count; /* threads parked; all of them: report */
    bool unkillable;     /* pid 1: default actions do nothing */
    bool oom_killed;     /* set by oom_kill(): CTL_OOM when pid 1 ends */
    nsec_t oom_at;       /* then; proc_lock */
    struct task *single; /* exec: the thread that stays */
    struct list ptimers; /* timer_create(2); sig_lock */
    int32_t stop_sig;
    int32_t exit_status; /* wait status when dead */
    int32_t exit_signal; /* to the parent: SIGCHLD, 0 none */
    bool zombie;         /* all threads gone; parent may reap */
    bool execed;         /* setpgid(2) rules, vfork release */
    bool dumpable;
    int32_t pdeath_sig;
    bool subreaper;
    bool thp_disable;        /* PR_SET_THP_DISABLE */
    struct waitq child_wait; /* this process waits for its children here */
    struct waitq vfork_wait; /* the parent waits for this vfork child here */
    bool vfork_done;
    struct waitq exit_wait; /* pidfd: becomes ready at exit; task_single */

    struct cputimer cputimer;
    struct timer alarm; /* ITIMER_REAL; sig_lock */
    nsec_t alarm_interval;
    nsec_t start;
    nsec_t utime, stime, cutime, cstime; /* of dead threads, of children */
    struct io_count io;                  /* of dead threads */
    uint64_t min_faults, maj_faults, cmin_faults, cmaj_faults;
    int32_t oom_score_adj;
    uint32_t personality;
    int32_t nice;    /* getpriority(2); no effect */
    uint16_t ioprio; /* ioprio_get(2); no effect */
};

extern struct mutex proc_lock;
extern struct list proc_list;     /* struct process.all_node */
extern struct process *proc_init; /* pid 1 */

static inline struct task *current(void)
{
    return arch_current();
}

/* Creation, both by clone(2) and at boot. A new task is not yet runnable:
 * sched_start() makes it so. */
struct task *task_new(struct process *p, const char *name); /* NULL: memory */
struct task *task_new_kernel(const char *name, void (*fn)(void *arg),
                             void *arg); /* runnable at sched_start */
void task_get(struct task *t);
void task_put(struct task *t);
struct process *process_new(struct process *parent); /* NULL: memory */
void process_get(struct process *p);
void process_put(struct process *p);
/* With proc_lock held; borrowed. NULL if there is none (zombies are found). */
struct process *process_find(int32_t pid);
struct task *task_find(int32_t tid);
struct task *task_find_get(int32_t tid); /* no lock needed: with a reference */
int32_t pid_alloc(void);                 /* -EAGAIN when out */
/* The current task's next pid_alloc() gives `pid`, 0 takes that back: 0,
 * -EINVAL, -EEXIST, -EAGAIN. clone3(2), set_tid. */
int pid_take(int32_t pid);
void pid_free(int32_t pid);

/* clone(2)/clone3(2)/fork/vfork. Returns the child's tid or -errno. */
struct clone_args {
    uint64_t flags; /* CLONE_* without the exit signal */
    int32_t exit_signal;
    uint64_t stack, tls, parent_tid, child_tid, pidfd;
    int32_t set_tid; /* 0: any */
};
int64_t task_clone(const struct clone_args *ca);

/* End this thread; the last one ends the process. `status` is a wait status
 * (code << 8, or signal). */
_Noreturn void task_exit(int32_t status);
/* End all threads of this process. */
_Noreturn void task_exit_group(int32_t status);
/* exec: kill and await the other threads; the caller becomes the leader. */
int task_single(void);

/* The current kernel task becomes the first thread of `p` (boot). */
void task_adopt(struct process *p);
/* What `p` still has, with a reference for the caller; NULL after its exit. */
struct aspace *process_aspace(struct process *p);
struct fdtable *process_files(struct process *p);
struct fsctx *process_fs(struct process *p);
/* A zombie, or one whose parent ignores it, leaves the tree and its pid; drops
 * the tree's reference. proc_lock held. */
void process_reap(struct process *p);
/* Into the tree, the list and the pid table. proc_lock held. */
void process_publish(struct process *p, struct process *parent);
/* Into its process and the pid table; -EINTR when the process is dying. */
int task_publish(struct task *t);
/* Off the pid table; frees its tid. */
void task_unhash(struct task *t);
/* exec: `t` takes the tid of `old`, the dead leader of its process. */
void task_succeed(struct task *t, struct task *old);
void task_free_stack(struct task *t); /* it will never run again */
void process_init(void);              /* from sched_init */
/* Called for each process that ends, once set, with no locks held. */
extern void (*process_at_exit)(struct process *p);
/* Call fn for each process; irq-safe lock held, so no sleeping. */
void process_each(void (*fn)(struct process *p, void *arg), void *arg);
void process_set_pgid(struct process *p, int32_t pgid);
/* setsid(2): takes over the reference to `s`, its own group too; the session
 * it leaves, whose reference is the caller's. */
struct session *process_set_session(struct process *p, struct session *s);
/* exec or exit of a vfork child: let the parent go on. */
void process_vfork_release(struct process *p);
/* CPU time of live and dead threads. */
static inline void io_count_add(struct io_count *to, const struct io_count *c)
{
    for (unsigned i = 0; i < 2; i++) {
        to->bytes[i] += c->bytes[i];
        to->calls[i] += c->calls[i];
    }
}

void process_times(struct process *p, nsec_t *utime, nsec_t *stime);
/* kernel.threads-max: -EAGAIN beyond it, for root too. */
uint32_t process_threads_max(void);
/* Live threads of all processes; of one real uid (RLIMIT_NPROC). */
uint32_t process_count_threads(void);
/* The session's name leaves or a new one: setsid(2). */
struct session *session_new(int32_t id); /* refs 1; NULL: memory */
void session_get(struct session *s);
void session_put(struct session *s);
