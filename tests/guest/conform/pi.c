// SPDX-License-Identifier: Apache-2.0
/* Futexes that know their owner: FUTEX_LOCK_PI and its kin, robust lists of
 * them, PTHREAD_PRIO_INHERIT. */
#include <linux/futex.h>
#include <pthread.h>

#include "tests/guest/conform/t.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#define FX(...) SC(futex, __VA_ARGS__)

static uint32_t a, b, *shared;
static volatile int got;
static volatile pid_t its_tid; /* before it sleeps */
static volatile long answer;

static uint32_t tid(void)
{
    return (uint32_t)SC(gettid);
}

/* What of the word is ours: "me", "waiters", "died", "other". */
static void say_word(const char *label, uint32_t word)
{
    uint32_t owner = word & FUTEX_TID_MASK;

    t_say(label, "%s%s%s",
          owner == 0       ? "nobody"
          : owner == tid() ? "me"
                           : "other",
          word & FUTEX_WAITERS ? " waiters" : "",
          word & FUTEX_OWNER_DIED ? " died" : "");
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    got = 0;
    its_tid = 0;
    answer = 12345;
    pthread_create(&t, NULL, fn, arg);
    return t;
}

static uint32_t dead_tid(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return (uint32_t)pid;
}

static void basics(void)
{
    struct timespec bad = {0, 1000000000}, past = {1, 0};

    T("lock", FX(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    say_word("lock_is", a);
    T("lock_again", FX(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    T("try_again", FX(&a, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    T("lock2_again", FX(&a, FUTEX_LOCK_PI2, 0, NULL, NULL, 0));
    T("unlock", FX(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    T("unlock_is", a);
    T("unlock_again", FX(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    T("try", FX(&a, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    T("unlock_try", FX(&a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    T("lock2", FX(&a, FUTEX_LOCK_PI2, 0, &past, NULL, 0));
    T("unlock2", FX(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    T("bad_time", FX(&a, FUTEX_LOCK_PI, 0, &bad, NULL, 0));
    T("real_lock", FX(&a, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, 0, 0, 0));
    T("real_unlock", FX(&a, FUTEX_UNLOCK_PI | FUTEX_CLOCK_REALTIME, 0));
    T("odd", FX((char *)&a + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    T("null", FX(NULL, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    T("unlock_null", FX(NULL, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    T("bad_ptr", FX(KERNEL_PTR, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    a = dead_tid();
    T("no_owner", FX(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    a = FUTEX_OWNER_DIED;
    T("died_free", FX(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    say_word("died_free_is", a);
    T("died_unlock", FX(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    a = FUTEX_WAITERS;
    T("waiters_free", FX(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    say_word("waiters_free_is", a);
    a |= FUTEX_WAITERS;
    T("waiters_unlock", FX(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    T("waiters_unlock_is", a);
    uint32_t *ro =
        mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    T("read_only", FX(ro, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    T("read_only_private", FX(ro, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    T("requeue_one_word", FX(&a, FUTEX_CMP_REQUEUE_PI, 1, 1, &a, 0));
    T("requeue_two", FX(&a, FUTEX_CMP_REQUEUE_PI, 2, 1, &b, 0));
    T("requeue_neg", FX(&a, FUTEX_CMP_REQUEUE_PI, 1, -1, &b, 0));
    T("requeue_differs", FX(&a, FUTEX_CMP_REQUEUE_PI, 1, 1, &b, 7));
    T("requeue_none", FX(&a, FUTEX_CMP_REQUEUE_PI, 1, 1, &b, 0));
    T("wait_one_word", FX(&a, FUTEX_WAIT_REQUEUE_PI, 0, &past, &a, 0));
    T("wait_past", FX(&a, FUTEX_WAIT_REQUEUE_PI, 0, &past, &b, 0));
    T("wait_differs", FX(&a, FUTEX_WAIT_REQUEUE_PI, 1, &past, &b, 0));
    T("wait_odd", FX(&a, FUTEX_WAIT_REQUEUE_PI, 0, &past, (char *)&b + 1, 0));
}

static void *locker(void *arg)
{
    its_tid = (pid_t)tid();
    answer = FX(&a, FUTEX_LOCK_PI_PRIVATE, 0, arg, NULL, 0);
    if (answer < 0)
        answer = -errno;
    got = 1;
    if (answer == 0) {
        say_word("passed_is", a);
        T("passed_unlock", FX(&a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    }
    return NULL;
}

static void *trier(void *arg)
{
    T("try_busy", FX(&a, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    T("unlock_other", FX(&a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    return arg;
}

static void *plain(void *arg)
{
    its_tid = (pid_t)tid();
    answer = FX(&b, FUTEX_WAIT_PRIVATE, b, NULL, NULL, 0);
    return arg;
}

static void passing(void)
{
    struct timespec now, past = {1, 0};
    pthread_t t;

    FX(&a, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    t = start(trier, NULL);
    pthread_join(t, NULL);
    say_word("busy_is", a);
    t = start(locker, &past);
    pthread_join(t, NULL);
    t_say("past", "%s", t_errno((int)-answer));
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec += 30000000;
    if (now.tv_nsec >= 1000000000) {
        now.tv_nsec -= 1000000000;
        now.tv_sec++;
    }
    t = start(locker, &now);
    pthread_join(t, NULL);
    t_say("soon", "%s", t_errno((int)-answer));
    t = start(locker, NULL);
    t_thread_asleep(&its_tid);
    YES("waits", !got);
    T("wake_pi", FX(&a, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    /* A handler does not end the wait. */
    t_catch(SIGUSR1, 0);
    pthread_kill(t, SIGUSR1);
    (void)UNTIL(t_hits != 0);
    t_thread_asleep(&its_tid);
    t_say("after_signal", "%d %d", t_hits, got);
    long r = FX(&a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    pthread_join(t, NULL);
    T("pass", r);
    T("passed", answer);
    T("passed_free", a);
    b = tid();
    t = start(plain, NULL);
    t_thread_asleep(&its_tid);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    T("requeue_plain", FX(&b, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 1, &a, b));
    T("wake_plain", FX(&b, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    pthread_join(t, NULL);
    b = 0;
}

/* A holds a and wants b; B holds b and wants a. */
static void *other_way(void *arg)
{
    FX(&b, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    its_tid = (pid_t)tid();
    answer = FX(&a, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    FX(&a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    FX(&b, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return arg;
}

static void deadlock(void)
{
    FX(&a, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    pthread_t t = start(other_way, NULL);
    t_thread_asleep(&its_tid);
    T("deadlock", FX(&b, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    FX(&a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    pthread_join(t, NULL);
    T("no_deadlock", answer);
    t_say("free", "%#x %#x", a, b);
}

/* --- owners that end --- */

static pid_t waits_for_it; /* its owner ends once this one sleeps */

static void *dies_holding(void *arg)
{
    FX(&a, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    got = 1;
    while (got != 2)
        ;
    t_asleep(waits_for_it);
    return arg;
}

static void owners(void)
{
    waits_for_it = (pid_t)tid();
    pthread_t t = start(dies_holding, NULL);

    while (!got)
        t_sleep_ms(1);
    got = 2;
    T("left", FX(&a, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    say_word("left_is", a);
    pthread_join(t, NULL);
    T("left_unlock", FX(&a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    T("left_free", a);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int go[2];
    char c;
    pipe(go);
    pid_t pid = fork();
    if (pid == 0) {
        FX(shared, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
        read(go[0], &c, 1);
        t_asleep(waits_for_it);
        raise(SIGKILL);
    }
    while (__atomic_load_n(shared, __ATOMIC_ACQUIRE) == 0)
        t_sleep_ms(1);
    write(go[1], "g", 1);
    T("killed", FX(shared, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    say_word("killed_is", *shared);
    waitpid(pid, NULL, 0);
    T("killed_unlock", FX(shared, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    struct {
        struct robust_list_head h;
        struct robust_list l;
        uint32_t lock;
    } *r = (void *)(shared + 16);
    pid = fork();
    if (pid == 0) {
        r->h.list.next = (void *)((uintptr_t)&r->l | 1);
        r->l.next = &r->h.list;
        r->h.futex_offset = (long)((char *)&r->lock - (char *)&r->l);
        r->h.list_op_pending = NULL;
        FX(&r->lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
        SC(set_robust_list, &r->h, sizeof(r->h));
        read(go[0], &c, 1);
        t_asleep(waits_for_it);
        _exit(0);
    }
    while (__atomic_load_n(&r->lock, __ATOMIC_ACQUIRE) == 0)
        t_sleep_ms(1);
    write(go[1], "g", 1);
    T("robust", FX(&r->lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    say_word("robust_is", r->lock);
    waitpid(pid, NULL, 0);
    pid = fork();
    if (pid == 0) {
        r->lock = tid();
        SC(set_robust_list, &r->h, sizeof(r->h));
        char *argv[] = {"/nonexistent", NULL};
        execve("/proc/self/exe", (char *[]){"pi", "exit", NULL}, argv + 1);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    say_word("robust_exec", r->lock);
}

/* --- condition variables --- */

static volatile int have_lock;
static volatile pid_t cond_tid[4];

static void *cond_waiter(void *arg)
{
    *(volatile pid_t *)arg = (pid_t)tid();
    long r = FX(&a, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &b, 0);
    if (r == 0) {
        if ((b & FUTEX_TID_MASK) != tid())
            say_word("cond_owner", b);
        __atomic_fetch_add(&have_lock, 1, __ATOMIC_RELAXED);
        t_sleep_ms(10);
        FX(&b, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    } else {
        t_say("cond_wait", "%s", t_errno(errno));
    }
    return arg;
}

static void conditions(void)
{
    pthread_t t[4];
    uint32_t c = 0;

    a = b = 0;
    for (int i = 0; i < 4; i++)
        t[i] = start(cond_waiter, (void *)&cond_tid[i]);
    for (int i = 0; i < 4; i++)
        t_thread_asleep(&cond_tid[i]);
    T("cond_wake", FX(&a, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    T("cond_requeue", FX(&a, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &c, 0));
    T("cond_third", FX(&a, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 1, &c, 0));
    /* Free: the first one has it at once. */
    T("cond_signal", FX(&a, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0, &b, 0));
    while (have_lock != 1 || b != 0)
        t_sleep_ms(1);
    FX(&b, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    T("cond_broadcast", FX(&a, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 10, &b, 0));
    t_sleep_ms(60);
    T("cond_still", have_lock);
    say_word("cond_mine", b);
    FX(&b, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    t_say("cond_all", "%d %#x", have_lock, b);
    T("cond_none", FX(&a, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 10, &b, 0));
}

/* --- the library --- */

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn, rounds;

static void *worker(void *arg)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        rounds++;
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    while (turn != (int)(intptr_t)arg)
        pthread_cond_wait(&cond, &mutex);
    turn++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *leaves_locked(void *arg)
{
    pthread_mutex_lock(&mutex);
    return arg;
}

static void library(void)
{
    pthread_mutexattr_t attr;
    pthread_t t[4];
    struct timespec past = {1, 0};

    pthread_mutexattr_init(&attr);
    T("set_protocol",
      pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
    T("set_type", pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK));
    T("mutex_init", pthread_mutex_init(&mutex, &attr));
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, worker, (void *)(intptr_t)i);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    t_say("rounds", "%d %d", rounds, turn);
    T("mutex_lock", pthread_mutex_lock(&mutex));
    YES("mutex_relock", pthread_mutex_lock(&mutex) == EDEADLK);
    T("mutex_unlock", pthread_mutex_unlock(&mutex));
    YES("mutex_not_ours", pthread_mutex_unlock(&mutex) == EPERM);
    T("mutex_timed", pthread_mutex_timedlock(&mutex, &past));
    T("mutex_unlock2", pthread_mutex_unlock(&mutex));
    T("set_robust", pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
    T("robust_init", pthread_mutex_init(&mutex, &attr));
    pthread_create(&t[0], NULL, leaves_locked, NULL);
    pthread_join(t[0], NULL);
    YES("robust_dead", pthread_mutex_lock(&mutex) == EOWNERDEAD);
    T("robust_consistent", pthread_mutex_consistent(&mutex));
    T("robust_unlock", pthread_mutex_unlock(&mutex));
    T("robust_lock", pthread_mutex_lock(&mutex));
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    t_begin("pi");
    basics();
    passing();
    deadlock();
    owners();
    conditions();
    library();
    return 0;
}
