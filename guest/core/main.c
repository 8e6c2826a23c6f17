// SPDX-License-Identifier: Apache-2.0
#include "guest/core/main.h"

#include "guest/arch/arch.h"
#include "guest/core/cpu.h"
#include "guest/core/fdt.h"
#include "guest/core/klib.h"
#include "guest/core/log.h"
#include "guest/core/page.h"
#include "guest/core/sched.h"
#include "guest/core/task.h"
#include "guest/virtio/console.h"
#include "guest/virtio/virtio.h"

const struct boot_info *boot_info;
static uint64_t user_counter; /* raw counter at the first user instruction */
static uint32_t boot_done;    /* release: the other CPUs may go on */
static uint32_t exiting;

/* The first kernel task: devices, root, main program. */
static void init_task(void *arg)
{
    (void)arg;
    virtio_init();
    ctl_init();
    container_start();
}

static _Noreturn void secondary_main(uint32_t cpu)
{
    /* Pairs with the release in kernel_main. */
    while (__atomic_load_n(&boot_done, __ATOMIC_ACQUIRE) == 0)
        arch_pause();
    arch_cpu_init(&cpus[cpu]);
    __atomic_store_n(&cpus[cpu].online, true, __ATOMIC_RELEASE);
    sched_idle();
}

void kernel_main(struct boot_info *bi, uint32_t cpu)
{
    if (cpu != 0)
        secondary_main(cpu);

    boot_info = bi;
    cpu_possible = bi->cpu_count;
    krandom_seed(bi->seed, sizeof(bi->seed));
    page_init(bi);
    sched_init();
    arch_cpu_init(&cpus[0]);
    cpus[0].online = true;
    if (bi->magic != BOOT_MAGIC || bi->version != BOOT_VERSION)
        panic("boot_info: version %u, this kernel speaks %u", bi->version,
              BOOT_VERSION);
    if (fdt_init(page_virt(bi->fdt_gpa), bi->fdt_size) < 0)
        panic("boot_info: the device tree is malformed");

    struct task *init = task_new_kernel("init", init_task, NULL);
    if (init == NULL)
        panic("no memory for the first task");
    sched_start(init);
    __atomic_store_n(&boot_done, 1, __ATOMIC_RELEASE);
    sched_idle();
}

void kernel_mark_user(void)
{
    if (user_counter == 0)
        user_counter = arch_counter();
}

void kernel_exit(enum ctl_exit_kind kind, uint32_t code, const char *msg)
{
    uint64_t now = arch_counter();
    if (__atomic_exchange_n(&exiting, 1, __ATOMIC_ACQ_REL) != 0)
        for (;;)
            arch_halt(); /* somebody else is ending the VM */

    struct page_stats pages;
    page_stats(&pages);
    struct {
        struct ctl_exit exit;
        char msg[CTL_MSG_MAX];
    } frame = {
        .exit =
            {
                .kind = kind,
                .code = code,
                .entry_tsc = arch_entry_counter(),
                .user_tsc = user_counter,
                .exit_tsc = now,
                .ram_used = pages.high * PAGE_SIZE,
            },
    };
    if (msg != NULL)
        frame.exit.msg_size = (uint32_t)MIN(
            kstrcpy(frame.msg, msg, sizeof(frame.msg)), sizeof(frame.msg) - 1);
    console_drain();
    (void)ctl_send(CTL_EXIT, &frame,
                   (uint32_t)sizeof(frame.exit) + frame.exit.msg_size);
    console_drain();
    arch_poweroff();
}
