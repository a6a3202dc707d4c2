"""The bundle of the same network in 8 bits: half the time on a CPU. Written from the finished bundle and some drawn pictures; nothing is learned.

    python models/training/quantise_locator.py --full models/locator-synth-0.2.0 --pictures DIR --out models/locator-synth-int8-0.2.0
"""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from kit.int8 import named, quantise

from . import bundle

NAME = "locator-synth-int8"
# The fixed layer that takes the light off works on logarithms, which 8 bits do not hold; the first and the last convolution set what a faint loop is worth.
KEPT = ("/light", "/body/down2/down2.0/", "/body/answer/")
OPERATORS = ["Conv", "Add", "Concat", "Resize"]
# Mean difference of a probability of a distal tip from the full network's, over the cells of the pictures where either says 0.1 or more, that may pass; ours.
MOST_MOVED = 0.05


def write(folder: Path, full: Path, pictures: Path, version: str, figures: list[str]) -> None:
    """`pictures` is a folder of `hairpin synth` at the network's own scale; the first half of it sets the ranges, the other half is compared."""
    manifest = (full / "manifest.toml").read_text()
    um_per_px = float(next(line for line in manifest.splitlines() if line.startswith("um_per_px")).split("=")[1])
    tensors = _tensors(pictures, um_per_px)
    folder.mkdir(parents=True)
    quantise(full / "model.onnx", folder / "model.onnx", tensors[::2], named(full / "model.onnx", KEPT), OPERATORS)
    moved = _moved(full / "model.onnx", folder / "model.onnx", tensors[1::2])
    if moved > MOST_MOVED:
        raise RuntimeError(f"in 8 bits the probabilities of tips move by {moved:.3f} in the mean; more than {MOST_MOVED} is refused")
    _write_golden(folder, full, um_per_px)
    (folder / "CARD.md").write_text(_card(full.name, um_per_px, version, len(tensors[::2]), moved, figures))
    bundle.write_manifest(folder, um_per_px, version, NAME)


def _tensors(pictures: Path, um_per_px: float) -> list[np.ndarray]:
    lines = [json.loads(line) for line in (pictures / "truth.jsonl").read_text().splitlines()]
    tensors = []
    for line in lines:
        with Image.open(pictures / line["file"]) as picture:
            tensors.append(bundle.tensor(picture.convert("RGB"), line["truth"]["um_per_px"], um_per_px))
    return tensors


def _moved(full: Path, small: Path, tensors: list[np.ndarray]) -> float:
    before, after = bundle.runtime(full), bundle.runtime(small)
    tips = bundle.MAPS.index("apex")
    differences = []
    for tensor in tensors:
        old, new = (1 / (1 + np.exp(-one.run(["maps"], {"input": tensor})[0][0, tips])) for one in (before, after))
        differences.append(np.abs(old - new)[(old >= 0.1) | (new >= 0.1)])
    return float(np.concatenate(differences).mean())


def _write_golden(folder: Path, full: Path, um_per_px: float) -> None:
    (folder / "golden").mkdir()
    shutil.copy(full / "golden/input.png", folder / "golden/input.png")
    before = json.loads((full / "golden/expected.json").read_text())
    own = before["um_per_px"]
    with Image.open(folder / "golden/input.png") as picture:
        tensor = bundle.tensor(picture.convert("RGB"), own, um_per_px)
    maps = bundle.runtime(folder / "model.onnx").run(["maps"], {"input": tensor})[0][0]
    expected = {"um_per_px": own, "cells": bundle.cells(maps), "tolerance": bundle.TOLERANCE}
    if (full / bundle.WIDTHS_FILE).exists():
        # The second network is small and stays as it is.
        shutil.copy(full / bundle.WIDTHS_FILE, folder / bundle.WIDTHS_FILE)
        expected["widths"] = before["widths"]
    (folder / "golden/expected.json").write_text(json.dumps(expected) + "\n")


def _card(full: str, um_per_px: float, version: str, calibrating: int, moved: float, figures: list[str]) -> str:
    return f"""# {NAME} {version}

`{full}` in 8 bits: the same network, the same answers but for rounding, in about half the time on a CPU. All that its card says holds
here as well, what it must not be used for and its known failures above all. **Not validated on patients.** Research use only; not a diagnosis.

## How it was made

Static, per channel, weights of seven bits (so that processors without VNNI add without overflow), activations of eight bits with ranges from {calibrating} drawn
pictures; the layer that takes the light off and the first and last convolutions stay in 32 bits. On as many other drawn pictures the probability of a
tip moves by {moved:.3f} in the mean, over the cells where either network says 0.1 or more. The second network, which says how wide loops are, is the full bundle's own. Where a GPU runs the network, take the full one: 8 bits in this form are for CPUs.

## Figures

Measured with `hairpin eval` as for the full network (in brackets), on the same frames.

{chr(10).join(f"* {line}" for line in figures)}
"""
