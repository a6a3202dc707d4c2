"""The second network of a locating bundle: how wide a loop is, from the picture around its tip.

The locating network says it too, beside eight other things and one cell at a time; a network that sees nothing but the loop, turned to point up,
says it better (docs/measure.md).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from .bundle import tensor

SIDE, AHEAD = 40, 8
# Samples by which a patch is moved about in learning: a tip is found to a few um.
MOVED = 2
WIDTHS = (24, 40, 40, 72, 72, 96, 96)
STRIDES = (1, 2, 1, 2, 1, 2, 1)
# Shapes whose apical width is one vessel's: src/synth/loops.rs.
NORMAL = {"hairpin", "tortuous", "crossing", "ectatic", "giant"}
# A found tip farther from every drawn one is none of them, and one nearer than this to the picture's border shows half a head at most.
NEAR_UM, BORDER_UM = 30.0, 20.0


class WidthNetwork(nn.Module):
    """[n, 3, side, side] of red, green and blue from 0 to 1, to [n, 1]: the natural logarithm of um."""

    def __init__(self) -> None:
        super().__init__()
        layers, before = [], 3
        for width, stride in zip(WIDTHS, STRIDES):
            layers += [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            before = width
        self.body = nn.Sequential(*layers)
        self.answer = nn.Linear(before, 1)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        # Light and skin are factors of the picture, so their logarithms are taken off with the mean.
        logarithms = torch.log(patches + 8.0 / 255.0)
        seen = self.body(3.0 * (logarithms - logarithms.mean(dim=(2, 3), keepdim=True)))
        return self.answer(seen.mean(dim=(2, 3)))


@dataclass(frozen=True)
class Loops:
    patches: np.ndarray  # [n, side + 2 moved, side + 2 moved, 3], 8 bits
    um: np.ndarray
    subject: np.ndarray
    said_um: np.ndarray  # by the locating network
    blur_um: np.ndarray


def cut(field: np.ndarray, at: tuple[float, float], toward: tuple[float, float], side: int = SIDE, ahead: int = AHEAD) -> np.ndarray:
    """`field` is [channels, height, width] without padding; `at` in samples, the middle of the first 0.5. As `cut` of src/infer/widths.rs."""
    (x, y), (tx, ty) = at, toward
    back, across = np.mgrid[0:side, 0:side].astype(np.float32) - np.array([ahead, side // 2], np.float32)[:, None, None]
    height, width = field.shape[1:]
    sx = np.clip(np.float32(x) - 0.5 - np.float32(tx) * back - np.float32(ty) * across, 0, width - 1)
    sy = np.clip(np.float32(y) - 0.5 - np.float32(ty) * back + np.float32(tx) * across, 0, height - 1)
    left, top = sx.astype(int), sy.astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = sx - left, sy - top
    upper = field[:, top, left] * (1 - fx) + field[:, top, right] * fx
    lower = field[:, below, left] * (1 - fx) + field[:, below, right] * fx
    return upper * (1 - fy) + lower * fy


def loops_of(drawn: Path, um_per_px: float) -> Loops:
    """Of a folder of `hairpin synth` with what `hairpin read --json` found on it, `loops.json`: drawn loops of normal shape that were found, cut out
    where they were found."""
    found = {image["file"]: image.get("measured") for image in json.loads((drawn / "loops.json").read_text())["images"]}
    rows = []
    for line in tqdm((drawn / "truth.jsonl").read_text().splitlines(), desc="loops", unit="picture", mininterval=2.0):
        entry = json.loads(line)
        seen = [one for one in (found.get(entry["file"]) or {"loops": []})["loops"] if "apical_um" in one]
        if seen:
            rows += _loops(drawn / entry["file"], entry, seen, um_per_px)
    return Loops(*(np.array(column) for column in zip(*rows, strict=True)))


def _loops(path: Path, entry: dict, seen: list[dict], um_per_px: float) -> list[tuple]:
    own = entry["truth"]["um_per_px"]
    with Image.open(path) as picture:
        width, height = picture.size
        field = (tensor(picture.convert("RGB"), own, um_per_px)[0] * 255).round()
    scale = own / um_per_px
    field = field[:, : max(1, int(height * scale + 0.5)), : max(1, int(width * scale + 0.5))]
    places = np.array([one["apex"] for one in seen])
    rows = []
    for loop in entry["truth"]["loops"]:
        border = min(loop["x"], loop["y"], width - loop["x"], height - loop["y"]) * own
        far = np.hypot(*(places - [loop["x"], loop["y"]]).T) * own
        one = seen[int(far.argmin())]
        if loop["class"] not in NORMAL or border < BORDER_UM or far.min() > NEAR_UM:
            continue
        at = (one["apex"][0] * scale, one["apex"][1] * scale)
        patch = cut(field, at, tuple(one["toward"]), SIDE + 2 * MOVED, AHEAD + MOVED)
        blur = float(np.mean(entry["optics"]["defocus_um"]))
        rows.append((patch.transpose(1, 2, 0).round().astype(np.uint8), loop["apical_um"], entry["subject"], one["apical_um"], blur))
    return rows


def learn(loops: Loops, held: np.ndarray, epochs: int, seed: int, batch: int = 128, rate: float = 3e-3) -> tuple[WidthNetwork, list[str]]:
    """Learns from the loops that are not `held`; of those the errors are told after each epoch."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    patches = torch.from_numpy(loops.patches).permute(0, 3, 1, 2).contiguous()
    wanted = torch.from_numpy(np.log(loops.um).astype(np.float32))
    own = np.flatnonzero(~held)
    net = WidthNetwork().to(memory_format=torch.channels_last)
    nn.init.constant_(net.answer.bias, float(wanted.mean()))
    steps = len(own) // batch
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps * epochs, pct_start=0.15)
    history = []
    for epoch in range(epochs):
        net.train()
        order = chance.permutation(own)[: steps * batch].reshape(steps, batch)
        for places in tqdm(order, desc=f"epoch {epoch + 1} of {epochs}", mininterval=5.0):
            with torch.autocast("cpu", torch.bfloat16):
                answer = net(_disturbed(patches[places], chance))
            loss = (answer.float()[:, 0] - wanted[places]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        history.append(f"epoch {epoch + 1}: {told(errors(net, loops, held))}")
        print(history[-1], flush=True)
    return net.eval(), history


def _disturbed(patches: torch.Tensor, chance: np.random.Generator) -> torch.Tensor:
    """Moved, mirrored, with other light, contrast and noise."""
    left, top = chance.integers(0, 2 * MOVED + 1, 2)
    x = patches[:, :, top : top + SIDE, left : left + SIDE].float() / 255.0
    if chance.random() < 0.5:
        x = x.flip(3)
    each = lambda low, high: torch.from_numpy(chance.uniform(low, high, (len(x), 1, 1, 1)).astype(np.float32))
    mean = x.mean(dim=(2, 3), keepdim=True)
    x = (mean * (x / mean.clamp(min=1e-3)).clamp(min=1e-3) ** each(0.85, 1.18)) * each(0.8, 1.25)
    noise = torch.from_numpy(chance.standard_normal(x.shape, np.float32)) * each(0.0, 0.006)
    return (x + noise).clamp(0.0, 1.0).to(memory_format=torch.channels_last)


def errors(net: WidthNetwork, loops: Loops, of: np.ndarray) -> dict[str, tuple[float, float, float, int]]:
    """Mean absolute error in um and as a share, what the locating network's own is in um, and of how many; by width."""
    net.eval()
    patches = torch.from_numpy(loops.patches[of][:, MOVED:-MOVED, MOVED:-MOVED]).permute(0, 3, 1, 2)
    with torch.no_grad():
        found = np.concatenate([torch.exp(net(part.float() / 255.0))[:, 0].numpy() for part in patches.split(512)])
    um, said = loops.um[of], loops.said_um[of]
    out = {}
    for name, low, high in (("below 20 um", 0.0, 20.0), ("20 to 50 um", 20.0, 50.0), ("above 50 um", 50.0, np.inf)):
        here = (um >= low) & (um < high)
        off = np.abs(found - um)[here]
        if len(off):
            out[name] = (float(off.mean()), float((off / um[here]).mean()), float(np.abs(said - um)[here].mean()), len(off))
    return out


def told(figures: dict) -> str:
    return "; ".join(f"{name} {um:.2f} um, {100 * share:.1f} % (the locating network {said:.2f} um; {count} loops)" for name, (um, share, said, count) in figures.items())


def export(net: WidthNetwork, path: Path) -> float:
    """Writes the network; the largest difference of an answer from PyTorch's, in the logarithm."""
    from .bundle import runtime

    patches = torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(
        net.eval().to(memory_format=torch.contiguous_format), (patches,), str(path), opset_version=17, dynamo=False,
        input_names=["patches"], output_names=["log_width"], dynamic_axes={"patches": {0: "loops"}, "log_width": {0: "loops"}},
    )
    with torch.no_grad():
        return float(np.abs(net(patches).numpy() - runtime(path).run(["log_width"], {"patches": patches.numpy()})[0]).max())


def golden(maps: np.ndarray, field: np.ndarray, model: Path, stride: int, planes: list[str], count: int = 4) -> list[dict]:
    """The surest tips of the golden picture's maps, and what the network says of their loops; `field` is [3, height, width], 0 to 1."""
    from .bundle import runtime

    apex = maps[planes.index("apex")].copy()
    out = []
    for _ in range(count):
        y, x = np.unravel_index(apex.argmax(), apex.shape)
        apex[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = -np.inf
        toward = maps[[planes.index("toward_x"), planes.index("toward_y")], y, x]
        toward = [round(float(v), 5) for v in toward / np.hypot(*toward)]
        at = [float((x + 0.5) * stride), float((y + 0.5) * stride)]
        patch = cut(field, at, toward)[None].astype(np.float32)
        out.append({"at": at, "toward": toward, "log_width": round(float(runtime(model).run(["log_width"], {"patches": patch})[0][0, 0]), 6)})
    return out
