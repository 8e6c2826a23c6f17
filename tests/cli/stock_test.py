# SPDX-License-Identifier: Apache-2.0
"""limpet run --kernel: what the monitor is told, and what is refused."""
import os

import harness


def check(p, code, err):
    assert p.returncode == code and err in p.stderr, p


def make_kernel(box, version="6.1.0-x"):
    """A kernel file beside its modules, as in an unpacked package."""
    os.makedirs(f"{box.dir}/boot", exist_ok=True)
    modules = f"{box.dir}/lib/modules/{version}"
    os.makedirs(modules)
    with open(modules + "/modules.dep", "w") as f:
        f.write("kernel/erofs.ko: kernel/crc.ko\nkernel/crc.ko:\n")
    os.makedirs(modules + "/kernel")
    for name in ("erofs", "crc"):
        open(f"{modules}/kernel/{name}.ko", "w").close()
    open(box.libexec + "/limpet-stock-init", "w").close()
    kernel = f"{box.dir}/boot/vmlinuz-{version}"
    open(kernel, "w").close()
    return kernel


def test_kernel_and_its_initrd(box):
    kernel = make_kernel(box)
    c = box.config(flags=("--kernel", kernel, "--cmdline", "a b=c"))
    assert c["stock"]["cmdline"] == "a b=c" and c["stock"]["initrd_fd"] > 2, c
    assert c["symbols_fd"] == -1, c
    assert "stock" not in box.config()


def test_own_initrd(box):
    other = box.dir + "/bzImage"
    open(other, "w").close()
    check(box.run(flags=("--rm", "--kernel", other)), 125, "--initrd")
    c = box.config(flags=("--kernel", other, "--initrd", other))
    assert c["stock"]["cmdline"] == "" and c["stock"]["initrd_fd"] > 2, c


def test_refusals(box):
    kernel = make_kernel(box)
    check(box.run(flags=("--rm", "--initrd", kernel)), 125, "--kernel FILE")
    check(box.run(flags=("--rm", "--cmdline", "x")), 125, "--kernel FILE")
    check(box.run(flags=("--rm", "--kernel", kernel, "--accel", "emulate")), 125, "needs KVM")
    check(box.run(flags=("--rm", "--kernel", "/no/such-file")), 125, "/no/such-file")
    check(box.run(flags=("--rm", "--kernel", kernel, "--initrd", "/no/initrd")), 125, "/no/initrd")
    os.unlink(f"{box.dir}/lib/modules/6.1.0-x/modules.dep")
    check(box.run(flags=("--rm", "--kernel", kernel)), 125, "depmod")
    os.rename(f"{box.dir}/lib", f"{box.dir}/lib2")
    check(box.run(flags=("--rm", "--kernel", kernel)), 125, "unpack the whole package")
    assert box.ids() == []


harness.main(globals())
