// SPDX-License-Identifier: Apache-2.0
/*
 * The VM: owns everything. Lives on the device thread; vCPU threads see only
 * struct vcpu and struct vcpu_shared. There are no locks.
 */
#pragma once

#include <signal.h>

#include "abi/boot.h"

#include "base/klog.h"
#include "vmm/bus.h"
#include "vmm/config.h"
#include "vmm/ctl.h"
#include "vmm/gmem.h"
#include "vmm/irq.h"
#include "vmm/loop.h"
#include "vmm/plug.h"
#include "vmm/report.h"
#include "vmm/stock.h"
#include "vmm/vcpu.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/console.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/rng.h"
#include "vmm/window.h"

enum { VM_DEVICES_MAX = 3 + CONFIG_DISKS_MAX + CONFIG_NETS_MAX };

struct vm {
    struct ctl ctl; /* first member */
    const struct vm_config *config;
    struct bus_window call; /* BOOT_CALL; or, with a stock Linux: */
    struct stock stock;
    struct loop_source requests; /* vCPUs */
    struct loop_source signals;
    struct loop loop;
    struct gmem mem;
    struct window window;
    struct arch_vm arch;
    struct irq_lines irqs;
    struct bus bus;
    struct klog klog;
    struct vcpu_shared shared;
    struct vcpu vcpu[BOOT_CPU_MAX];
    unsigned vcpu_count; /* started */
    struct virtio_console console;
    struct virtio_rng rng;
    struct virtio_blk blk[CONFIG_DISKS_MAX];
    struct virtio_blk image; /* stock Linux only */
    struct virtio_blk_part *image_part;
    struct virtio_net net[CONFIG_NETS_MAX];
    struct virtio_mmio devs[VM_DEVICES_MAX];
    unsigned dev_count;
    unsigned spare_count; /* behind them: lines and doorbells only */
    struct plug plug;
    bool off;     /* the guest has ended: no CPU goes on */
    bool exiting; /* `report` is set; output is being drained */
    bool delivered;
    struct report report;
};
