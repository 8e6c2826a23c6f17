// SPDX-License-Identifier: Apache-2.0
/*
 * ACPI tables for a stock Linux guest: hardware-reduced (no legacy hardware is
 * there), CPUs and IOAPIC, one LNRO0005 device per virtio-mmio window. ACPI
 * 6.4; Linux finds virtio-mmio by that id.
 */
#pragma once

#include <stdint.h>

struct buf;

struct acpi_device {
    uint64_t base; /* of its window, below 4 GiB */
    uint32_t size;
    uint32_t gsi; /* edge-triggered, active high */
};

struct acpi_plan {
    uint64_t at;   /* guest-physical address of the tables' first byte */
    unsigned cpus; /* APIC ids 0..cpus-1 */
    uint32_t local_apic;
    uint32_t io_apic; /* GSIs from 0 */
    uint64_t sleep;   /* 8-bit registers in memory */
    uint64_t status;
    uint64_t reset;
    uint8_t reset_value;
    uint8_t sleep_type; /* of \_S5_ */
    const struct acpi_device *device;
    unsigned device_count; /* at most 32 */
};

/* All tables, the RSDP first, appended to the empty `b` (check b->failed). */
void acpi_build(struct buf *b, const struct acpi_plan *p);
