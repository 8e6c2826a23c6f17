// SPDX-License-Identifier: Apache-2.0
/* System V IPC: keys, permissions, counts, what does not wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest/core/aspace.h"
#include "guest/core/kmem.h"
#include "guest/core/signal.h"
#include "guest/sys/calls_mm.h"
#include "guest/sys/calls_proc.h"
#include "guest/sys/ipc.h"
#include "tests/unit/guest_fs_env.h"

#define KEY      0x4c31
#define SEM_UNDO 0x1000
#define LESS     (uint64_t)(int64_t) - 1

enum { GETPID = 11, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL };
enum { SEM_STAT = 18, SEM_INFO, SEM_STAT_ANY };
enum { MSG_STAT = 11, MSG_INFO, MSG_STAT_ANY };
enum { SHM_LOCK = 11, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY };

static int setup_group(void **state)
{
    (void)state;
    fake_init(32 << 20);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fake_bad(NULL, 0);
    env_root(NULL, 4 << 20);
    current()->cred =
        (struct cred){.caps = CRED_CAPS_ALL, .permitted = CRED_CAPS_ALL};
    if (current()->proc->aspace == NULL)
        current()->proc->aspace = aspace_new();
    assert_non_null(current()->proc->aspace);
    return 0;
}

static void become(uint32_t uid)
{
    assert_int_equal(CALL(setresgid, uid, uid, uid), 0);
    assert_int_equal(CALL(setresuid, uid, uid, uid), 0);
}

/* What `show` writes has `want` in it. */
static void assert_shows(int (*show)(struct text *t, const struct pseudo_ref *),
                         const char *want)
{
    struct text t = {.data = NULL};

    assert_int_equal(show(&t, NULL), 0);
    text_add(&t, "", 1);
    assert_non_null(strstr(t.data, want));
    kfree(t.data);
}

/* --- message queues --- */

struct message {
    int64_t type;
    char text[16];
};

static int64_t send(uint64_t id, int64_t type, const char *text)
{
    struct message m = {.type = type};
    size_t n = strlen(text) + 1;

    memcpy(m.text, text, n);
    return CALL(msgsnd, id, P(&m), n, IPC_NOWAIT);
}

static void assert_receives(uint64_t id, int64_t type, int flags,
                            const char *want)
{
    struct message m;

    assert_int_equal(CALL(msgrcv, id, P(&m), sizeof(m.text), (uint64_t)type,
                          (uint64_t)(flags | IPC_NOWAIT)),
                     strlen(want) + 1);
    assert_string_equal(m.text, want);
}

static void test_messages(void **state)
{
    (void)state;
    struct message m = {.type = 0};
    int64_t got = CALL(msgget, KEY, IPC_CREAT | 0600);
    uint64_t id = (uint64_t)got;

    assert_true(got >= 0);
    assert_int_equal(CALL(msgget, KEY, 0), got);
    assert_int_equal(CALL(msgget, KEY, IPC_CREAT | IPC_EXCL), -EEXIST);
    assert_int_equal(CALL(msgget, KEY + 1, 0), -ENOENT);
    assert_int_equal(CALL(msgsnd, id, P(&m), 1, 0), -EINVAL); /* type 0 */
    assert_int_equal(CALL(msgsnd, id + 1, P(&m), 1, 0), -EINVAL);
    assert_int_equal(send(id, 3, "three"), 0);
    assert_int_equal(send(id, 1, "one"), 0);
    assert_int_equal(send(id, 2, "two"), 0);
    assert_int_equal(send(id, 2, "again"), 0);
    assert_shows(msg_show, "19505");
    assert_receives(id, 2, 0, "two");
    assert_receives(id, -3, 0, "one");       /* the lowest */
    assert_receives(id, 3, 020000, "again"); /* MSG_EXCEPT */
    assert_int_equal(CALL(msgrcv, id, P(&m), 2, 0, IPC_NOWAIT), -E2BIG);
    assert_receives(id, 0, 040000, "three"); /* MSG_COPY */
    assert_int_equal(CALL(msgrcv, id, P(&m), 2, 0, 010000), 2);
    assert_int_equal(CALL(msgrcv, id, P(&m), 2, 0, IPC_NOWAIT), -ENOMSG);
    assert_int_equal(CALL(msgrcv, id, P(&m), LESS, 0, 0), -EINVAL);
    assert_int_equal(CALL(msgctl, id, IPC_RMID, 0), 0);
    assert_int_equal(CALL(msgctl, id, IPC_RMID, 0), -EINVAL);
}

static void test_queue_limits(void **state)
{
    (void)state;
    uint64_t ds[15] = {0};
    int32_t info[8];
    uint64_t id = (uint64_t)CALL(msgget, 0, 0600);

    assert_int_equal(CALL(msgctl, id, IPC_STAT, P(ds)), 0);
    assert_int_equal(ds[11], 16384); /* qbytes */
    ds[11] = 8;
    assert_int_equal(CALL(msgctl, id, IPC_SET, P(ds)), 0);
    assert_int_equal(send(id, 1, "seven.."), 0);
    assert_int_equal(send(id, 1, ""), -EAGAIN);
    assert_int_equal(CALL(msgctl, 0, MSG_STAT, P(ds)), id);
    assert_int_equal(ds[9], 8); /* cbytes */
    assert_int_equal(CALL(msgctl, 0, MSG_STAT_ANY, P(ds)), id);
    assert_true(CALL(msgctl, 0, IPC_INFO, P(info)) >= 0);
    assert_true(CALL(msgctl, 0, MSG_INFO, P(info)) >= 0);
    assert_int_equal(info[0], 1);
    assert_int_equal(CALL(msgctl, id, 77, P(ds)), -EINVAL);
    become(1000);
    ds[11] = 100000;
    assert_int_equal(CALL(msgctl, id, IPC_SET, P(ds)), -EPERM);
    assert_int_equal(CALL(msgctl, id, IPC_RMID, 0), -EPERM);
    assert_int_equal(CALL(msgctl, id, IPC_STAT, P(ds)), -EACCES);
    assert_int_equal(send(id, 1, "x"), -EACCES);
    current()->cred.euid = 0;
    assert_int_equal(CALL(msgctl, id, IPC_RMID, 0), 0);
}

/* --- semaphores --- */

struct sembuf {
    uint16_t num;
    int16_t op, flags;
};

static int64_t operate(uint64_t id, uint16_t num, int op, int flags)
{
    struct sembuf b = {num, (int16_t)op, (int16_t)(flags | IPC_NOWAIT)};

    return CALL(semop, id, P(&b), 1);
}

static void test_semaphores(void **state)
{
    (void)state;
    uint16_t all[3] = {4, 5, 6};
    const struct sembuf both[2] = {{0, -1, IPC_NOWAIT}, {1, -9, IPC_NOWAIT}};
    uint64_t id = (uint64_t)CALL(semget, KEY, 3, IPC_CREAT | 0600);

    assert_int_equal(CALL(semget, KEY, 3, 0), id);
    assert_int_equal(CALL(semget, KEY, 4, 0), -EINVAL);
    assert_int_equal(CALL(semget, 0, 0, 0), -EINVAL);
    assert_int_equal(operate(id, 0, -1, 0), -EAGAIN);
    assert_int_equal(operate(id, 0, 0, 0), 0);
    assert_int_equal(CALL(semctl, id, 0, SETALL, P(all)), 0);
    assert_int_equal(operate(id, 0, 0, 0), -EAGAIN);
    assert_int_equal(operate(id, 3, 1, 0), -EFBIG);
    assert_int_equal(CALL(semop, id, P(both), 2), -EAGAIN);
    assert_int_equal(CALL(semctl, id, 0, GETVAL), 4); /* taken back */
    assert_int_equal(operate(id, 2, -6, 0), 0);
    assert_int_equal(CALL(semctl, id, 2, GETVAL), 0);
    assert_int_equal(CALL(semctl, id, 2, GETPID), current()->proc->pid);
    assert_int_equal(CALL(semctl, id, 2, GETNCNT), 0);
    assert_int_equal(CALL(semctl, id, 2, GETZCNT), 0);
    assert_int_equal(CALL(semctl, id, 1, SETVAL, 32767), 0);
    assert_int_equal(operate(id, 1, 1, 0), -ERANGE);
    assert_int_equal(CALL(semctl, id, 1, SETVAL, 32768), -ERANGE);
    assert_int_equal(CALL(semctl, id, 0, GETALL, P(all)), 0);
    assert_int_equal(all[1], 32767);
    assert_int_equal(CALL(semop, id, P(both), 0), -EINVAL);
    assert_int_equal(CALL(semop, id, P(both), 501), -E2BIG);
    assert_shows(sem_show, "19505");
    assert_int_equal(CALL(semctl, id, 0, IPC_RMID), 0);
    assert_int_equal(operate(id, 0, 1, 0), -EINVAL);
}

static void test_undo(void **state)
{
    (void)state;
    uint64_t id = (uint64_t)CALL(semget, 0, 2, 0600);

    assert_int_equal(operate(id, 0, 5, SEM_UNDO), 0);
    assert_int_equal(operate(id, 0, -2, SEM_UNDO), 0);
    assert_int_equal(operate(id, 1, 7, 0), 0);
    assert_non_null(process_at_exit);
    process_at_exit(current()->proc);
    assert_int_equal(CALL(semctl, id, 0, GETVAL), 0);
    assert_int_equal(CALL(semctl, id, 1, GETVAL), 7);
    assert_int_equal(operate(id, 0, 5, SEM_UNDO), 0);
    assert_int_equal(CALL(semctl, id, 0, SETVAL, 9), 0); /* forgets it */
    process_at_exit(current()->proc);
    assert_int_equal(CALL(semctl, id, 0, GETVAL), 9);
    assert_int_equal(CALL(semctl, id, 0, IPC_RMID), 0);
}

static void test_sets_are_told_of(void **state)
{
    (void)state;
    uint64_t ds[16] = {0};
    int32_t info[10];
    const int64_t none[2] = {0, 0};
    struct sembuf b = {0, -1, 0};
    uint64_t id = (uint64_t)CALL(semget, 0, 3, 0640);

    assert_int_equal(CALL(semctl, id, 0, IPC_STAT, P(ds)), 0);
    ((uint32_t *)ds)[1] = 5; /* uid */
    assert_int_equal(CALL(semctl, id, 0, IPC_SET, P(ds)), 0);
    assert_int_equal(CALL(semctl, 0, 0, SEM_STAT, P(ds)), id);
    assert_int_equal(((uint32_t *)ds)[1], 5);
    assert_int_equal(CALL(semctl, 0, 0, SEM_STAT_ANY, P(ds)), id);
    assert_true(CALL(semctl, 0, 0, IPC_INFO, P(info)) >= 0);
    assert_true(CALL(semctl, 0, 0, SEM_INFO, P(info)) >= 0);
    assert_int_equal(info[9], 3);
    assert_int_equal(CALL(semctl, id, 0, 99), -EINVAL);
    assert_int_equal(CALL(semtimedop, id, P(&b), 1, P(none)), -EAGAIN);
    become(1000);
    assert_int_equal(CALL(semctl, id, 0, GETVAL), -EACCES);
    assert_int_equal(CALL(semctl, id, 0, IPC_RMID), -EPERM);
    current()->cred.euid = 5; /* its owner now */
    assert_int_equal(CALL(semctl, id, 0, IPC_RMID), 0);
}

/* --- shared memory --- */

static void test_segments(void **state)
{
    (void)state;
    uint64_t ds[14] = {0};
    uint64_t info[9];
    uint64_t id = (uint64_t)CALL(shmget, KEY, 5000, IPC_CREAT | 0600);

    assert_int_equal(CALL(shmget, KEY, 5000, 0), id);
    assert_int_equal(CALL(shmget, KEY, 5001, 0), -EINVAL);
    assert_int_equal(CALL(shmget, 0, 0, 0), -EINVAL);
    assert_int_equal(CALL(shmctl, id, IPC_STAT, P(ds)), 0);
    assert_int_equal(ds[6], 5000);
    assert_int_equal(CALL(shmctl, id, IPC_SET, P(ds)), 0);
    assert_int_equal(CALL(shmctl, 0, SHM_STAT, P(ds)), id);
    assert_int_equal(CALL(shmctl, 0, SHM_STAT_ANY, P(ds)), id);
    assert_true(CALL(shmctl, 0, IPC_INFO, P(info)) >= 0);
    assert_true(CALL(shmctl, 0, SHM_INFO, P(info)) >= 0);
    assert_int_equal(info[1], 2); /* pages */
    assert_int_equal(CALL(shmctl, id, SHM_LOCK, 0), 0);
    assert_shows(shm_show, "5000");
    assert_int_equal(CALL(shmctl, id, SHM_UNLOCK, 0), 0);
    assert_int_equal(CALL(shmat, id, 1, 0), -EINVAL);
    assert_int_equal(CALL(shmat, LESS, 0, 0), -EINVAL);
    assert_int_equal(CALL(shmdt, 0x1000), -EINVAL);
    become(1000);
    assert_int_equal(CALL(shmat, id, 0, 0), -EACCES);
    assert_int_equal(CALL(shmctl, id, IPC_RMID, 0), -EPERM);
    current()->cred.euid = 0;
    assert_int_equal(CALL(shmctl, id, IPC_RMID, 0), 0);
    assert_int_equal(CALL(shmctl, id, IPC_STAT, P(ds)), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_messages, setup),
        cmocka_unit_test_setup(test_queue_limits, setup),
        cmocka_unit_test_setup(test_semaphores, setup),
        cmocka_unit_test_setup(test_undo, setup),
        cmocka_unit_test_setup(test_sets_are_told_of, setup),
        cmocka_unit_test_setup(test_segments, setup),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
