// SPDX-License-Identifier: Apache-2.0
/* vCPU threads over a scripted CPU. */
#include <poll.h>
#include <unistd.h>

#include "tests/unit/vmm_driver.h"
#include "vmm/arch/fake/fake.h"
#include "vmm/sandbox.h"
#include "vmm/vcpu.h"

/* The real one would leave this test almost no system calls. */
int sandbox_lock(enum sandbox_list list, struct err *e)
{
    (void)e;
    return list == SANDBOX_VCPU ? 0 : -EINVAL;
}

static enum vcpu_state wait_state(struct vcpu_shared *s, struct vcpu *v)
{
    uint64_t n;
    struct pollfd p = {.fd = s->request_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(read(s->request_fd, &n, sizeof(n)), sizeof(n));
    return __atomic_load_n(&v->state, __ATOMIC_ACQUIRE);
}

static void device_accesses_are_answered_in_order(void **state)
{
    (void)state;
    struct fake_step steps[] = {
        {.exit = {.kind = ARCH_EXIT_AGAIN}},
        {.exit = {.kind = ARCH_EXIT_MMIO,
                  .write = true,
                  .len = 4,
                  .gpa = 0xd0000000},
         .bytes = {1}},
        {.exit = {.kind = ARCH_EXIT_MMIO, .len = 4, .gpa = 0xd0000004}},
        {.code = -EIO},
    };
    struct arch_vm arch = {.vm_fd = -1};
    struct vcpu_shared shared;
    static struct vcpu v;
    struct err e;
    fake = (struct fake){.steps = steps, .step_count = 4};
    fake.user_kernel = true;
    assert_int_equal(vcpu_shared_init(&shared, &arch, 1, &e), 0);
    assert_int_equal(vcpu_start(&v, &shared, 0, &e), 0);
    assert_int_equal(sem_wait(&shared.ready), 0);
    assert_true(arch.user_kernel);
    shared.entry = (struct arch_entry){.pc = 42, .stack = 100};
    assert_int_equal(sem_post(&shared.go), 0);
    assert_int_equal(wait_state(&shared, &v), VCPU_ASKING);
    assert_int_equal(fake.booted.pc, 42);
    assert_int_equal(v.request.gpa, 0xd0000000);
    assert_int_equal(v.request.data[0], 1);
    vcpu_answer(&v);
    assert_int_equal(wait_state(&shared, &v), VCPU_ASKING);
    assert_false(v.request.write);
    memcpy(v.request.data, "\x05\x06\x07\x08", 4);
    vcpu_answer(&v);
    assert_int_equal(wait_state(&shared, &v), VCPU_FAILED);
    assert_int_equal(steps[2].bytes[3], 8);
    assert_int_equal(v.failure.code, -EIO);
    assert_int_equal(pthread_join(v.thread, NULL), 0);
    /* The fake counter is the step number: exits at 1, 2 and 3. */
    assert_int_equal(vcpu_exits_until(&v, UINT64_MAX), 3);
    assert_int_equal(vcpu_exits_until(&v, 2), 2);
    assert_int_equal(vcpu_exits_until(&v, 0), 0);
    (void)close(shared.request_fd);
}

static void other_cpus_get_their_own_stack(void **state)
{
    (void)state;
    struct fake_step steps[] = {{.code = -EIO}};
    struct arch_vm arch = {.vm_fd = -1};
    struct vcpu_shared shared;
    static struct vcpu v;
    struct err e;
    fake = (struct fake){.steps = steps, .step_count = 1};
    assert_int_equal(vcpu_shared_init(&shared, &arch, 1, &e), 0);
    shared.entry = (struct arch_entry){.stack = 100, .vif = 1000};
    shared.stack_stride = 10;
    shared.vif_stride = 7;
    assert_int_equal(vcpu_start(&v, &shared, 3, &e), 0);
    assert_int_equal(sem_post(&shared.others), 0);
    assert_int_equal(wait_state(&shared, &v), VCPU_FAILED);
    assert_int_equal(fake.booted.stack, 130);
    assert_int_equal(fake.booted.vif, 1021);
    assert_int_equal(pthread_join(v.thread, NULL), 0);
    (void)close(shared.request_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_accesses_are_answered_in_order),
        cmocka_unit_test(other_cpus_get_their_own_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
