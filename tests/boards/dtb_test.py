#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`limpet board --dtb` on real boards' device trees, without a profile, against
a second reading of them (dts.py). dtb_test.py CACHE [all]"""
import glob
import json
import os
import subprocess
import sys

import dts

LIMPET = os.environ["LIMPET"]
CACHE = sys.argv[1]
BOARDS = """allwinner/sun50i-a64-pine64 allwinner/sun50i-h6-orangepi-3
amlogic/meson-g12b-odroid-n2 amlogic/meson-gxl-s905x-libretech-cc arm/fvp-base-revc
arm/juno broadcom/bcm2711-rpi-4-b broadcom/bcm2712-rpi-5-b broadcom/bcm2837-rpi-3-b
freescale/fsl-ls1046a-rdb freescale/imx8mm-evk freescale/imx8mp-evk
freescale/imx8qm-mek freescale/imx93-11x11-evk hisilicon/hi3660-hikey960
marvell/armada-3720-espressobin marvell/armada-8040-mcbin mediatek/mt8173-evb
nvidia/tegra210-p3450-0000 qcom/apq8016-sbc qcom/sdm845-db845c rockchip/rk3328-rock64
rockchip/rk3399-rockpro64 rockchip/rk3566-quartz64-a rockchip/rk3588-rock-5b
ti/k3-am625-sk ti/k3-am642-evm xilinx/zynqmp-zcu102-rev1.0""".split()


def found(path):
    p = subprocess.run([LIMPET, "board", "--dtb", path, "--format", "json"], capture_output=True,
                       text=True, timeout=300, env=dict(os.environ, LIMPET_BOARDS="/nonexistent"))
    assert p.returncode == 0, (path, p.stderr)
    doc = json.loads(p.stdout)
    assert doc["board"] is None, doc["board"]
    assert all(f["from"] == "probe" and f["source"].startswith(os.path.basename(path) + ":/")
               for f in doc["facts"].values()), path
    return doc


def compare(path):
    want, doc = dts.facts(path), found(path)
    have = {k: f["value"] for k, f in doc["facts"].items()}
    got = {"model": have.get("model"), "compatible": have.get("compatible", []),
           "cpus": have.get("cpus", 0),
           "clusters": [(c["cpu"], c["count"]) for c in have.get("clusters", [])],
           "gic.version": have["gic.version"],
           "gic.node": doc["facts"]["gic.compatible"]["source"].split(":", 1)[1]
           if have["gic.version"] else None,
           "gic.its": have.get("gic.its", False),
           "serial": sorted((s["path"], s.get("compatible"), s.get("address"))
                            for s in have["serial"])}
    bad = [f"{k}: found {got[k]}, want {want[k]}" for k in want if got[k] != want[k]]
    warnings = [w for w in doc["warnings"] if not w.startswith("no profiles")]
    return bad, warnings, want


def main():
    code = subprocess.run([os.path.dirname(__file__) + "/fetch.sh", CACHE]).returncode
    if code:
        sys.exit(code)
    every = len(sys.argv) > 2
    paths = sorted(glob.glob(CACHE + "/dtb/*/*.dtb")) if every else [
        f"{CACHE}/dtb/{b}.dtb" for b in BOARDS]
    failed, tested = 0, 0
    for path in paths:
        if not os.path.exists(path):
            print(f"# {path} is not in {open(CACHE + '/dtb/ready').read().strip()}")
            continue
        bad, warnings, want = compare(path)
        tested += 1
        failed += bool(bad)
        if bad or warnings or not every:
            kinds = " + ".join(f"{n} x {c}" for c, n in want["clusters"])
            print("not ok" if bad else "ok", os.path.basename(path), kinds,
                  f"GIC {want['gic.version']}", f"{len(want['serial'])} serial")
        for line in bad + ["note: " + w for w in warnings]:
            print("    " + line)
    print(f"{tested - failed} of {tested} device trees read right")
    sys.exit(failed > 0 or tested < 20)


main()
