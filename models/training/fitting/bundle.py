"""Writes the bundle: the network as ONNX, the golden pair, the manifest with every file's digest."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .calibrate import Thresholds
from .envelope import Envelope
from .frames import LABELS
from .geometry import MEAN, STD, Geometry
from .network import Trainee
from .score import logits_of, session

NAME = "densenet121-synth"
# Largest difference of a probability between PyTorch and ONNX Runtime that may pass.
PARITY = 1e-4
# Of a logit, on the golden picture: rounding of resized samples (1 of 255) and other processors' arithmetic.
TOLERANCE = 0.05
GOLDEN_WIDTH = 448


@dataclass(frozen=True)
class Contract:
    """What the manifest says beside the geometry."""

    version: str
    cohort: str
    description: str
    max_um_per_px: float
    temperature: float
    temperature_how: str
    thresholds: Thresholds
    thresholds_how: str
    seen: Envelope


def export(model: Trainee, geometry: Geometry, path: Path) -> None:
    """Only the network that serves; the teaching heads stay behind."""
    net = model.net.eval().to(memory_format=torch.contiguous_format)
    picture = torch.zeros(2, 3, geometry.tile, geometry.tile)
    torch.onnx.export(
        net, (picture,), str(path), opset_version=17, dynamo=False, input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def parity(model: Trainee, path: Path, tensors: list[np.ndarray], threads: int) -> float:
    """Largest difference of a probability between PyTorch in fp32 and the exported model; refuses more than `PARITY`."""
    runtime = session(path, threads)
    worst = 0.0
    for tensor in tensors:
        with torch.no_grad():
            ours = torch.softmax(model.net(torch.from_numpy(tensor)), dim=1).numpy()
        theirs = runtime.run(["logits"], {"input": tensor})[0].astype(np.float64)
        theirs = np.exp(theirs - theirs.max(axis=1, keepdims=True))
        theirs /= theirs.sum(axis=1, keepdims=True)
        worst = max(worst, float(np.abs(ours - theirs).max()))
    if worst > PARITY:
        raise RuntimeError(f"exported probabilities differ from PyTorch's by {worst:.2e}, more than {PARITY:.0e}")
    return worst


def write_golden(folder: Path, source: Path, um_per_px: float, geometry: Geometry, threads: int) -> None:
    """A drawn frame, reduced so that it stays small, and the logits the reference gives for it."""
    with Image.open(source) as picture:
        picture = picture.convert("RGB")
    height = round(picture.height * GOLDEN_WIDTH / picture.width)
    um_per_px = round(um_per_px * picture.width / GOLDEN_WIDTH, 6)
    picture = picture.resize((GOLDEN_WIDTH, height), Image.Resampling.BILINEAR)
    golden = folder / "golden"
    golden.mkdir(parents=True, exist_ok=True)
    picture.save(golden / "input.png", optimize=True)
    logits = logits_of(session(folder / "model.onnx", threads), geometry.tensor(geometry.coarse(picture, um_per_px)))
    expected = {"um_per_px": um_per_px, "logits": [round(float(v), 6) for v in logits], "tolerance": TOLERANCE}
    (golden / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def write_manifest(folder: Path, geometry: Geometry, contract: Contract) -> None:
    files = ["CARD.md", "golden/expected.json", "golden/input.png", "model.onnx"]
    digests = "\n".join(f'"{name}" = "{_sha256(folder / name)}"' for name in files)
    (folder / "manifest.toml").write_text(f'''schema = 1
name = "{NAME}"
version = "{contract.version}"
task = "classify"
scheme = "fast-track"
labels = {json.dumps(LABELS)}
positive = "{LABELS[1]}"
licence = "Apache-2.0"
model = "model.onnx"

[cohort]
name = {json.dumps(contract.cohort)}
synthetic = true
validated_on_patients = false
description = {json.dumps(contract.description)}

[input]
name = "input"
width = {geometry.tile}
height = {geometry.tile}
fit = {{ kind = "scale", um_per_px = {geometry.um_per_px}, overlap = {geometry.overlap}, pool = "mean" }}
filter = "bilinear"
mean = {list(MEAN)}
std = {list(STD)}
channels = "rgb"
max_um_per_px = {contract.max_um_per_px}

[input.seen]
mean = {_pairs(contract.seen.mean)}
std = {_pairs(contract.seen.std)}

[output]
name = "logits"

[calibration]
temperature = {contract.temperature:.4f}
how = {json.dumps(contract.temperature_how)}

[thresholds]
lower = {contract.thresholds.lower}
upper = {contract.thresholds.upper}
how = {json.dumps(contract.thresholds_how)}

[files]
{digests}
''')


def _pairs(bounds: np.ndarray) -> list[list[float]]:
    return [[round(float(low), 4), round(float(high), 4)] for low, high in bounds]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
