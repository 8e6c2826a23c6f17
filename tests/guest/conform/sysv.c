// SPDX-License-Identifier: Apache-2.0
/* System V IPC: shared memory, semaphores, message queues. */
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>

#include "tests/guest/conform/t.h"

#define KEY (0x4c490000 | (getpid() & 0xfff) << 1)

union arg {
    int val;
    struct semid_ds *ds;
    unsigned short *array;
};

/* --- shared memory --- */

static int shm_id;

static void shm_child(void)
{
    int id = shm_id;
    char *m = shmat(id, NULL, SHM_RDONLY);

    YES("shm_child_sees", m != (void *)-1 && m[0] == 'x' && m[4095] == 'y');
    m[0] = 'z'; /* read-only: SIGSEGV */
}

static void shm_forks(char *m, int id)
{
    struct shmid_ds ds;
    pid_t pid = fork();

    if (pid == 0) {
        m[1] = 'f';
        (void)shmctl(id, IPC_STAT, &ds);
        T("shm_nattch_fork", ds.shm_nattch);
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    (void)shmctl(id, IPC_STAT, &ds);
    T("shm_nattch_after", ds.shm_nattch);
    YES("shm_written", m[1] == 'f');
}

static void shm_errors(void)
{
    struct shmid_ds ds;

    T("shm_none", shmget(KEY + 1, 10, 0));
    T("shm_zero", shmget(IPC_PRIVATE, 0, 0600));
    T("shm_huge_size", shmget(IPC_PRIVATE, (size_t)-1, 0600));
    T("shm_exists", shmget(KEY, 4096, IPC_CREAT | IPC_EXCL | 0600));
    T("shm_bigger", shmget(KEY, 8193, 0));
    T("shm_bad_id", (long)shmat(-1, NULL, 0));
    T("shm_bad_cmd", shmctl(shmget(KEY, 0, 0), 1234, &ds));
    T("shm_bad_stat", shmctl(-1, IPC_STAT, &ds));
    T("shm_stat_fault", SC(shmctl, shmget(KEY, 0, 0), IPC_STAT, BAD_PTR));
    T("shmdt_none", shmdt((void *)4096));
    T("shmdt_unaligned", shmdt((void *)4097));
}

static void shm_places(int id)
{
    char *page =
        mmap(NULL, 4 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *m;

    T("shmat_taken", (long)shmat(id, page, 0));
    T("shmat_unaligned", (long)shmat(id, page + 1, 0));
    T("shmat_remap_null", (long)shmat(id, NULL, SHM_REMAP));
    m = shmat(id, page + 1, SHM_RND | SHM_REMAP);
    YES("shmat_remap", m == page);
    T("shmdt_inside", shmdt(page + 4096));
    T("shmdt_remap", shmdt(page));
    T("shmdt_again", shmdt(page));
}

static void shm(void)
{
    struct shmid_ds ds;
    int id = shm_id = shmget(KEY, 8192, IPC_CREAT | IPC_EXCL | 0640);
    char *m = shmat(id, NULL, 0);

    OK("shmget", id);
    OK("shmat", (long)m);
    YES("shm_same_id", shmget(KEY, 0, 0) == id);
    YES("shm_zeroed", m[0] == 0 && m[8191] == 0);
    m[0] = 'x';
    m[4095] = 'y';
    t_child("shm_readonly", shm_child);
    T("shm_stat", shmctl(id, IPC_STAT, &ds));
    T("shm_size", ds.shm_segsz);
    T("shm_mode", ds.shm_perm.mode);
    YES("shm_cpid", ds.shm_cpid == getpid());
    YES("shm_lpid", ds.shm_lpid != getpid() && ds.shm_dtime != 0);
    shm_forks(m, id);
    shm_errors();
    shm_places(id);
    ds.shm_perm.mode = 0604;
    T("shm_set", shmctl(id, IPC_SET, &ds));
    T("shm_rmid", shmctl(id, IPC_RMID, NULL));
    T("shm_gone_key", shmget(KEY, 0, 0));
    T("shm_dest_stat", shmctl(id, IPC_STAT, &ds));
    T("shm_dest_mode", ds.shm_perm.mode);
    YES("shm_still_there", m[0] == 'x');
    T("shmdt", shmdt(m));
    T("shm_dest_gone", shmctl(id, IPC_STAT, &ds));
    T("shm_attach_gone", (long)shmat(id, NULL, 0));
}

/* --- semaphores --- */

static int sem_id;

static long op(int num, int by, int flags)
{
    struct sembuf b = {(unsigned short)num, (short)by, (short)flags};

    return semop(sem_id, &b, 1);
}

static void sem_undo(void)
{
    (void)op(0, 5, SEM_UNDO);
    T("sem_undo_value", semctl(sem_id, 0, GETVAL));
}

static void sem_waits(void)
{
    struct timespec ts = {0, 30000000};
    struct sembuf b = {1, -1, 0};
    pid_t pid = fork();

    if (pid == 0)
        _exit(op(1, -3, 0) == 0 ? 7 : 8);
    while (semctl(sem_id, 1, GETNCNT) != 1)
        t_sleep_ms(5);
    T("sem_ncnt", semctl(sem_id, 1, GETNCNT));
    T("sem_zcnt", semctl(sem_id, 1, GETZCNT));
    T("sem_wake", op(1, 3, 0));
    int status = 0;
    (void)waitpid(pid, &status, 0);
    T("sem_woken", WEXITSTATUS(status));
    YES("sem_pid", semctl(sem_id, 1, GETPID) == pid);
    T("sem_timeout", SC(semtimedop, sem_id, &b, 1, &ts));
    ts.tv_nsec = 2000000000;
    T("sem_bad_time", SC(semtimedop, sem_id, &b, 1, &ts));
}

static void sem_interrupted(void)
{
    struct sembuf b = {1, -1, 0};

    (void)t_catch(SIGALRM, SA_RESTART);
    t_alarms();
    T("sem_eintr", semop(sem_id, &b, 1));
    t_calm();
}

static void sem_removed(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(op(1, -1, 0) == 0 ? 0 : errno);
    while (semctl(sem_id, 1, GETNCNT) != 1)
        t_sleep_ms(5);
    int status = 0;
    T("sem_rmid", semctl(sem_id, 0, IPC_RMID));
    (void)waitpid(pid, &status, 0);
    YES("sem_eidrm", WEXITSTATUS(status) == EIDRM);
    T("sem_gone", semctl(sem_id, 0, GETVAL));
}

static void sem(void)
{
    unsigned short v[3] = {1, 0, 40000}, got[3];
    struct sembuf two[2] = {{0, 1, 0}, {1, -1, IPC_NOWAIT}};
    struct semid_ds ds;

    sem_id = semget(IPC_PRIVATE, 3, 0600);
    OK("semget", sem_id);
    T("sem_none", semget(KEY + 1, 1, 0));
    T("sem_zero", semget(IPC_PRIVATE, 0, 0600));
    T("sem_negative", semget(IPC_PRIVATE, -1, 0600));
    T("sem_many", semget(IPC_PRIVATE, 100000, 0600));
    T("sem_setall_range", semctl(sem_id, 0, SETALL, (union arg){.array = v}));
    v[2] = 2;
    T("sem_setall", semctl(sem_id, 0, SETALL, (union arg){.array = v}));
    T("sem_getall", semctl(sem_id, 0, GETALL, (union arg){.array = got}));
    YES("sem_all_same", memcmp(v, got, sizeof(v)) == 0);
    T("sem_setval_range", semctl(sem_id, 0, SETVAL, (union arg){.val = 32768}));
    T("sem_bad_num", semctl(sem_id, 3, GETVAL));
    T("sem_op_num", op(3, 1, 0));
    T("sem_nowait", op(1, -1, IPC_NOWAIT));
    T("sem_zero_nowait", op(0, 0, IPC_NOWAIT));
    T("sem_all_or_none", semop(sem_id, two, 2));
    T("sem_not_changed", semctl(sem_id, 0, GETVAL));
    T("sem_overflow", op(0, 32767, 0));
    T("sem_no_ops", semop(sem_id, two, 0));
    T("sem_op_fault", SC(semop, sem_id, BAD_PTR, 1));
    T("sem_too_many", SC(semop, sem_id, two, 501));
    T("sem_stat", semctl(sem_id, 0, IPC_STAT, (union arg){.ds = &ds}));
    T("sem_nsems", ds.sem_nsems);
    YES("sem_otime", ds.sem_otime == 0);
    YES("sem_ctime", ds.sem_ctime != 0);
    t_child("sem_undo", sem_undo);
    T("sem_undone", semctl(sem_id, 0, GETVAL));
    sem_waits();
    sem_interrupted();
    sem_removed();
}

/* --- message queues --- */

static struct {
    long type;
    char text[9000];
} m;

static long send(int id, long type, size_t size, int flags)
{
    m.type = type;
    memset(m.text, (int)('a' + type), size);
    return msgsnd(id, &m, size, flags);
}

static void receive(const char *label, int id, long type, int flags)
{
    long n = msgrcv(id, &m, sizeof(m.text), type, flags | IPC_NOWAIT);

    if (n < 0)
        T(label, n);
    else
        t_say(label, "%ld bytes of type %ld, %c", n, m.type, m.text[0]);
}

static void msg_picks(int id)
{
    for (long type = 5; type > 1; type--)
        (void)send(id, type, (size_t)type, 0);
    receive("msg_except", id, 5, MSG_EXCEPT);
    receive("msg_lowest", id, -3, 0);
    receive("msg_first", id, 0, 0);
    receive("msg_type_none", id, 4, 0);
    receive("msg_type", id, 2, 0);
    (void)send(id, 9, 20, 0);
    T("msg_too_big", msgrcv(id, &m, 10, 0, IPC_NOWAIT));
    T("msg_cut", msgrcv(id, &m, 10, 0, IPC_NOWAIT | MSG_NOERROR));
    receive("msg_empty", id, 0, 0);
}

static void msg_full(int id)
{
    struct msqid_ds ds;
    int n = 0;

    while (send(id, 1, 4000, IPC_NOWAIT) == 0)
        n++;
    T("msg_full_errno", -1);
    T("msg_full_count", n);
    (void)msgctl(id, IPC_STAT, &ds);
    T("msg_qnum", ds.msg_qnum);
    T("msg_qbytes", ds.msg_qbytes);
    YES("msg_lspid", ds.msg_lspid == getpid() && ds.msg_stime != 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(send(id, 7, 4000, 0) == 0 ? 3 : 4);
    t_asleep(pid);
    receive("msg_make_room", id, 0, 0);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    T("msg_sender_woken", WEXITSTATUS(status));
    pid = fork();
    if (pid == 0)
        _exit(send(id, 7, 4000, 0) == 0 ? 0 : errno);
    t_asleep(pid);
    T("msg_rmid", msgctl(id, IPC_RMID, NULL));
    (void)waitpid(pid, &status, 0);
    YES("msg_eidrm", WEXITSTATUS(status) == EIDRM);
}

static void msg(void)
{
    int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);

    OK("msgget", id);
    T("msg_exists", msgget(KEY, IPC_CREAT | IPC_EXCL));
    T("msg_none", msgget(KEY + 1, 0));
    T("msg_type_zero", send(id, 0, 1, 0));
    T("msg_type_negative", send(id, -1, 1, 0));
    T("msg_long", send(id, 1, 8193, 0));
    T("msg_fault", SC(msgsnd, id, BAD_PTR, 1, 0));
    T("msg_bad_id", send(-1, 1, 1, 0));
    T("msg_negative_size", SC(msgrcv, id, &m, -1l, 0l, 0));
    msg_picks(id);
    msg_full(id);
    T("msg_gone", msgrcv(id, &m, 10, 0, IPC_NOWAIT));
}

int main(void)
{
    t_begin("sysv");
    shm();
    sem();
    msg();
    return 0;
}
