#!/usr/bin/env python3
"""Makes tests/data/bundles and tests/data/parity: tiny models, and what Pillow makes of drawn pictures.

    python3 -m venv .venv-fixtures
    .venv-fixtures/bin/pip install numpy==2.4.6 pillow==12.3.0 onnx==1.19.1 onnxruntime==1.32.0
    .venv-fixtures/bin/python tests/support/make_fixtures.py

Every figure is drawn from fixed seeds, so running it again changes nothing. Pillow 13 resizes rows before columns where
the height shrinks much more than the width (python-pillow/Pillow#9549); Pillow 12 and Hairpin never do.
"""

import hashlib
import json
import math
import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos3": Image.LANCZOS}


def drawn(width, height, seed):
    """The picture that tests/parity.rs draws by the same arithmetic: slopes, bars, noise, and discs of black and white."""
    y, x, c = np.meshgrid(
        np.arange(height, dtype=np.uint32), np.arange(width, dtype=np.uint32), np.arange(3, dtype=np.uint32), indexing="ij"
    )
    h = x * np.uint32(374761393) + y * np.uint32(668265263) + (c + np.uint32(seed)) * np.uint32(2246822519)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    noise = (h ^ (h >> np.uint32(16))) % np.uint32(64)
    slope = (x * np.uint32(160)) // np.uint32(width) + (y * np.uint32(32)) // np.uint32(height)
    bars = np.where((x // np.uint32(7) + c) % np.uint32(5) == 0, np.uint32(0), noise)
    u, v = x % np.uint32(31), y % np.uint32(29)
    disc = (u - np.uint32(15)) * (u - np.uint32(15)) + (v - np.uint32(14)) * (v - np.uint32(14)) < np.uint32(40)
    light = np.where((x // np.uint32(31) + y // np.uint32(29)) % np.uint32(2) == 0, np.uint32(255), np.uint32(0))
    return np.where(disc, light, np.minimum(slope + bars, 255)).astype(np.uint8)


def normalised(pixels, mean, std, channels):
    """timm's and torchvision's normalisation, in single precision: [height, width, 3] to [3, height, width]."""
    if channels == "bgr":
        pixels = pixels[:, :, ::-1]
    chw = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (mean, std))
    return (chw - mean) / std


def starts(length, tile, overlap):
    if length <= tile:
        return [0]
    count = math.ceil((length - tile) / (tile * (1 - overlap))) + 1
    return [i * (length - tile) // (count - 1) for i in range(count)]


def tensor_of(pixels, spec, um_per_px):
    """docs/bundles.md, "How `scale` cuts"."""
    picture = Image.fromarray(pixels)
    width, height, fit = spec["width"], spec["height"], spec["fit"]
    parts = spec["mean"], spec["std"], spec["channels"]
    if fit["kind"] == "resize":
        return normalised(np.asarray(picture.resize((width, height), FILTERS[spec["filter"]])), *parts)[None]
    factor = um_per_px / fit["um_per_px"]
    size = [max(1, math.floor(n * factor + 0.5)) for n in picture.size]
    whole = normalised(np.asarray(picture.resize(size, FILTERS[spec["filter"]])), *parts)
    tiles = []
    for top in starts(size[1], height, fit["overlap"]):
        for left in starts(size[0], width, fit["overlap"]):
            part = whole[:, top : top + height, left : left + width]
            tile = np.zeros((3, height, width), np.float32)
            down, right = (height - part.shape[1]) // 2, (width - part.shape[2]) // 2
            tile[:, down : down + part.shape[1], right : right + part.shape[2]] = part
            tiles.append(tile)
    return np.stack(tiles)


def model(path, width, height, batch, seed, mixed):
    """Convolution, leaky rectifier, mean over the picture, two outputs; `mixed` puts a node of classical models behind them."""
    rng = np.random.default_rng(seed)
    weights = {
        "kernel": rng.normal(0, 0.4, (6, 3, 5, 5)),
        "shift": rng.normal(0, 0.2, 6),
        "mix": rng.normal(0, 1.5, (2, 6)),
        "bias": rng.normal(0, 0.5, 2),
    }
    nodes = [
        helper.make_node("Conv", ["input", "kernel", "shift"], ["a"], kernel_shape=[5, 5], strides=[3, 3]),
        helper.make_node("LeakyRelu", ["a"], ["b"], alpha=0.1),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "mix", "bias"], ["e" if mixed else "logits"], transB=1),
    ]
    if mixed:
        nodes.append(helper.make_node("Scaler", ["e"], ["logits"], domain="ai.onnx.ml", offset=[0.0, 0.0], scale=[1.0, 1.0]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, height, width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 2])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    domains = [helper.make_opsetid("ai.onnx.ml", 3)] if mixed else []
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), *domains], ir_version=8)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())


def bundle(name, spec, batch, scheme, labels, calibration, golden_size, um_per_px, seed, mixed=False):
    folder = DATA / "bundles" / f"{name}-0.1.0"
    (folder / "golden").mkdir(parents=True)
    model(folder / "model.onnx", spec["width"], spec["height"], batch, seed, mixed)
    pixels = drawn(*golden_size, seed)
    Image.fromarray(pixels).save(folder / "golden" / "input.png", optimize=True)
    tiles = tensor_of(pixels, spec, um_per_px)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    logits = np.mean([session.run(["logits"], {"input": t[None]})[0][0] for t in tiles], axis=0, dtype=np.float64)
    expected = {"um_per_px": um_per_px, "logits": [round(float(v), 6) for v in logits], "tolerance": 0.02}
    (folder / "golden" / "expected.json").write_text(json.dumps(expected) + "\n")
    (folder / "CARD.md").write_text(
        f"# {name}\n\nA tiny network of drawn weights. It knows nothing of nailfolds: it tests Hairpin's own workings and must not be used\n"
        "for anything else.\n"
    )
    (folder / "manifest.toml").write_text(manifest(folder, name, spec, scheme, labels, calibration, tiles))
    print(folder.name, tiles.shape, expected["logits"])
    return tiles


def manifest(folder, name, spec, scheme, labels, calibration, tiles):
    quote = json.dumps
    fit = ", ".join(f"{k} = {quote(v)}" for k, v in spec["fit"].items())
    text = f"""schema = 1
name = "{name}"
version = "0.1.0"
task = "classify"
scheme = "{scheme}"
labels = {quote(labels)}
positive = {quote(labels[1])}
licence = "CC0-1.0"
model = "model.onnx"

[cohort]
name = "none"
synthetic = true
validated_on_patients = false
description = "drawn weights, trained on nothing"

[input]
name = "input"
width = {spec["width"]}
height = {spec["height"]}
fit = {{ {fit} }}
filter = "{spec["filter"]}"
mean = {quote(spec["mean"])}
std = {quote(spec["std"])}
channels = "{spec["channels"]}"
max_um_per_px = 5.0
"""
    if spec["fit"]["kind"] == "resize":
        mean, std = tiles.mean(axis=(0, 2, 3)), tiles.std(axis=(0, 2, 3))
        text += f"""
[input.seen]
mean = {quote([[round(float(v) - 0.3, 4), round(float(v) + 0.3, 4)] for v in mean])}
std = {quote([[round(float(v) * 0.5, 4), round(float(v) * 1.5, 4)] for v in std])}
"""
    text += '\n[output]\nname = "logits"\n'
    if calibration:
        text += f'\n[calibration]\ntemperature = {calibration}\nhow = "chosen to be seen in tests"\n'
    text += '\n[thresholds]\nlower = 0.3\nupper = 0.7\nhow = "chosen to be seen in tests"\n\n[files]\n'
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        text += f'"{path.relative_to(folder).as_posix()}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"\n'
    return text


def parity():
    folder = DATA / "parity"
    folder.mkdir(parents=True)
    cases = [
        (1280, 1024, 64, 56), (1280, 1024, 56, 64), (2592, 1944, 40, 40), (640, 480, 96, 64), (161, 127, 64, 48),
        (37, 29, 80, 64), (64, 64, 64, 32), (64, 64, 64, 64), (5, 400, 24, 24), (1, 1, 8, 8),
    ]  # fmt: skip
    listed = []
    for number, (width, height, to_width, to_height) in enumerate(cases):
        for name, which in FILTERS.items():
            pixels = drawn(width, height, number)
            made = np.asarray(Image.fromarray(pixels).resize((to_width, to_height), which))
            file = f"{width}x{height}-{to_width}x{to_height}-{name}.rgb"
            (folder / file).write_bytes(made.tobytes())
            listed.append({"width": width, "height": height, "seed": number, "filter": name,
                           "to_width": to_width, "to_height": to_height, "file": file})  # fmt: skip
    (folder / "cases.json").write_text(json.dumps(listed, indent=1) + "\n")


def main():
    # The bundle tiny-features beside them is made by tests/data/features/make.py.
    for part in ("bundles/tiny-resize-0.1.0", "bundles/tiny-scale-0.1.0", "bundles/tiny-mixed-0.1.0", "parity"):
        shutil.rmtree(DATA / part, ignore_errors=True)
    parity()
    resize = {
        "width": 48, "height": 40, "fit": {"kind": "resize"}, "filter": "bilinear",
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "channels": "rgb",
    }  # fmt: skip
    scale = {
        "width": 32, "height": 24, "fit": {"kind": "scale", "um_per_px": 2.0, "overlap": 0.25, "pool": "mean"},
        "filter": "bicubic", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "channels": "bgr",
    }  # fmt: skip
    labels = ["category 1", "category 2"]
    tiles = bundle("tiny-resize", resize, "batch", "fast-track", labels, 1.5, (150, 120), None, 7)
    tiles.astype("<f4").tofile(DATA / "parity" / "tiny-resize.f32")
    tiles = bundle("tiny-scale", scale, 1, "normal-abnormal", ["normal", "abnormal"], None, (100, 80), 1.3, 8)
    tiles.astype("<f4").tofile(DATA / "parity" / "tiny-scale.f32")
    bundle("tiny-mixed", resize, "batch", "fast-track", labels, 1.5, (48, 40), None, 9, mixed=True)


if __name__ == "__main__":
    main()
