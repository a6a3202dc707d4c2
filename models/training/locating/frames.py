"""Drawn pictures with what each of their pixels is and where each loop's tip lies: a folder made by `hairpin synth --labels`."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .distal import NONE, kinds

# Bits of a label picture: src/synth/label.rs.
DISTAL, OTHER, HAEMORRHAGE, NAIL_SIDE = 1, 2, 4, 8

# Columns of a loop's row in `Pictures.loops`. x and y in pixels; toward is the unit vector from the limbs to the tip.
X, Y, TOWARD_X, TOWARD_Y, WIDTH_UM, KIND, ABNORMAL = range(7)


@dataclass(frozen=True)
class Pictures:
    """All of one size and one scale."""

    um_per_px: float
    # uint8: pictures x 3 x height x width, and pictures x height x width.
    pixels: torch.Tensor
    labels: torch.Tensor
    # float32: pictures x most loops x 7; rows that are no loop have the kind `NONE`.
    loops: torch.Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def read(folder: Path, threads: int) -> Pictures:
    """The whole folder into memory: 1.0 MB a picture of 512 pixels square."""
    lines = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    if not lines:
        raise ValueError(f"{folder}/truth.jsonl is empty")
    scales = {line["truth"]["um_per_px"] for line in lines}
    sizes = {tuple(line["truth"]["size"].values()) for line in lines}
    if len(scales) > 1 or len(sizes) > 1:
        raise ValueError(f"{folder}: expected one size and one scale, found sizes {sizes} and scales {scales}: draw with --um-per-px and --tile")
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda line: _picture(folder, line), lines))
    most = max(len(loops) for _, _, loops in parts)
    loops = np.full((len(parts), max(most, 1), 7), np.nan, np.float32)
    loops[:, :, KIND] = NONE
    for row, (_, _, found) in zip(loops, parts):
        row[: len(found)] = found
    stack = [torch.from_numpy(np.stack([part[i] for part in parts])) for i in range(2)]
    return Pictures(scales.pop(), stack[0], stack[1], torch.from_numpy(np.nan_to_num(loops)))


def _picture(folder: Path, line: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    path = folder / line["file"]
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1).copy()
    with Image.open(folder / "labels" / f"{path.stem}.png") as picture:
        labels = np.asarray(picture).copy()
    truth = line["truth"]
    rows = truth["loops"]
    loops = np.zeros((len(rows), 7), np.float32)
    for row, found in zip(loops, rows):
        row[:] = found["x"], found["y"], *found["toward"], found["apical_um"], 0, found["class"] == "abnormal"
    loops[:, KIND] = kinds(rows, truth["um_per_px"], line["optics"])
    return pixels, labels, loops
