#!/usr/bin/env python3
"""Makes tests/data/features/golden.json, what the Python libraries make of drawn pictures, and the bundles tiny-features and tiny-shape.

    python3 -m venv .venv-features
    .venv-features/bin/pip install -r tests/data/features/requirements.txt
    .venv-features/bin/python tests/data/features/make.py

Every figure is drawn from fixed seeds, so running it again changes nothing.
"""

import hashlib
import json
import pathlib
import shutil
import tomllib
from importlib.metadata import version

import cv2
import mahotas
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from PIL import Image
from skimage.feature import local_binary_pattern

HERE = pathlib.Path(__file__).resolve().parent
BUNDLES = HERE.parent / "bundles"
LOCATOR = HERE.parents[2] / "models" / "locator-synth-0.2.0" / "manifest.toml"
SIZE = (64, 48)
GROUPS = ["hu", "haralick", "colour", "lbp"]
SHAPE = ["shape_density_per_mm", "shape_median_width_um", "shape_largest_width_um", "shape_giants", "shape_loops"]
# As src/measured.rs has them.
LIMITS = {
    "least_score": 0.3, "faint_score": 0.2, "sure_score": 0.5, "apart_um": 48.0, "band_um": 400.0, "ahead_um": 220.0, "least_edge": 0.3, "doubtful_shape": 0.3,
    "abnormal_shape": 0.6, "width_error": 0.16, "widths_apart": 1.5,
}  # fmt: skip
VERSIONS = {
    "opencv": version("opencv-python-headless"), "mahotas": version("mahotas"), "scikit_image": version("scikit-image"),
}  # fmt: skip
TEXTURES = [
    "angular_second_moment", "contrast", "correlation", "variance", "inverse_difference_moment", "sum_average", "sum_variance",
    "sum_entropy", "entropy", "difference_variance", "difference_entropy", "information_1", "information_2",
]  # fmt: skip


def drawn(width, height, seed, kind):
    """The picture that tests/features.rs draws by the same arithmetic."""
    y, x, c = np.meshgrid(
        np.arange(height, dtype=np.uint32), np.arange(width, dtype=np.uint32), np.arange(3, dtype=np.uint32), indexing="ij"
    )
    h = x * np.uint32(374761393) + y * np.uint32(668265263) + (c + np.uint32(seed)) * np.uint32(2246822519)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    noise = h ^ (h >> np.uint32(16))
    if kind == "noise":
        return (noise % np.uint32(256)).astype(np.uint8)
    # Skin with a slope, and dark loops of two widths on it.
    slope = np.uint32(150) + (x * np.uint32(40 + 9 * seed)) // np.uint32(width) - (y * np.uint32(30)) // np.uint32(height)
    tint = np.array([20, 0, 10], np.uint32)[c]
    u, v = x % np.uint32(23), y % np.uint32(31)
    r = (u - np.uint32(11)) * (u - np.uint32(11)) + (v - np.uint32(15)) * (v - np.uint32(15))
    dark = np.where((r > np.uint32(20)) & (r < np.uint32(60 + 10 * seed)), np.uint32(45) + np.uint32(20) * c, np.uint32(0))
    flat = np.where((x // np.uint32(16) + y // np.uint32(16)) % np.uint32(3) == 0, np.uint32(0), noise % np.uint32(6))
    return np.minimum(slope + tint - dark + flat, 255).astype(np.uint8)


def features(rgb):
    """docs/bundles.md, "Columns"."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    hu = [0.0 if h == 0 else float(-np.sign(h) * np.log10(abs(h))) for h in cv2.HuMoments(cv2.moments(grey)).ravel()]
    # As 16 bits: mahotas takes the largest grey and one more, which 8 bits do not hold.
    haralick = mahotas.features.haralick(grey.astype(np.uint16)).mean(axis=0)
    colour = []
    for channel in [*np.moveaxis(rgb, 2, 0), *np.moveaxis(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV_FULL), 2, 0)]:
        values = channel.ravel().astype(np.float64)
        apart = values - values.mean()
        spread = np.sqrt((apart**2).mean())
        colour += [values.mean(), spread, (apart**3).mean() / spread**3 if spread > 0 else 0.0]
    patterns = local_binary_pattern(grey, P=8, R=1, method="uniform").astype(int)
    lbp = np.bincount(patterns.ravel(), minlength=10) / patterns.size
    return {"hu": hu, "haralick": list(map(float, haralick)), "colour": list(map(float, colour)), "lbp": list(map(float, lbp))}


def columns(groups):
    names = {
        "hu": [f"hu_{i}" for i in range(1, 8)], "haralick": [f"haralick_{name}" for name in TEXTURES],
        "colour": [f"colour_{c}_{figure}" for c in "rgbhsv" for figure in ("mean", "std", "skewness")], "lbp": [f"lbp_{i}" for i in range(10)], "shape": SHAPE,
    }  # fmt: skip
    return [name for group in groups for name in names[group]]


def vector(rgb, groups, seed):
    """Of the group shape, figures that a nailfold might have."""
    found = features(rgb) | {"shape": [4.0 + seed, 14.0 + 3 * seed, 22.0 + 9 * seed, seed % 3, 6 + 2 * seed]}
    return np.concatenate([found[group] for group in groups]).astype(np.float32)


def golden():
    cases = [(64, 48, 0, "skin"), (320, 256, 1, "skin"), (224, 224, 2, "skin"), (161, 127, 3, "noise"), (16, 16, 4, "noise")]
    made = [
        {"width": w, "height": h, "seed": seed, "kind": kind, "features": features(drawn(w, h, seed, kind))}
        for w, h, seed, kind in cases
    ]
    (HERE / "golden.json").write_text(json.dumps({"versions": VERSIONS, "cases": made}, indent=1) + "\n")


def trees(inputs, seed, count=7, depth=3):
    """A forest of drawn splits whose leaves hold shares; its answer is their mean."""
    rng = np.random.default_rng(seed)
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    inner = 2**depth - 1
    for tree in range(count):
        for node in range(2 ** (depth + 1) - 1):
            leaf = node >= inner
            row = (tree, node, 0 if leaf else int(rng.integers(inputs)), 0.0 if leaf else float(rng.normal(0, 0.7)),
                   "LEAF" if leaf else "BRANCH_LEQ", 0 if leaf else 2 * node + 1, 0 if leaf else 2 * node + 2)  # fmt: skip
            for key, value in zip(nodes, row):
                nodes[key].append(value)
            if leaf:
                share = float(rng.uniform(0, 1))
                for label, weight in ((0, 1 - share), (1, share)):
                    for key, value in zip(leaves, (tree, node, label, weight / count)):
                        leaves[key].append(value)
    attributes = {f"nodes_{key}": value for key, value in nodes.items()} | {f"class_{key}": value for key, value in leaves.items()}
    return helper.make_node(
        "TreeEnsembleClassifier", ["scaled"], ["label", "probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1],
        post_transform="NONE", **attributes,
    )  # fmt: skip


def model(path, cohort):
    offset, spread = cohort.mean(axis=0), cohort.std(axis=0)
    scale = np.where(spread > 0, 1 / np.maximum(spread, 1e-12), 1)
    width = cohort.shape[1]
    scaler = helper.make_node(
        "Scaler", ["features"], ["scaled"], domain="ai.onnx.ml",
        offset=[float(v) for v in offset], scale=[float(v) for v in scale],
    )  # fmt: skip
    graph = helper.make_graph(
        [scaler, trees(width, 11)],
        "tiny",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())


def bundle(name, groups, what):
    folder = BUNDLES / f"{name}-0.1.0"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "golden").mkdir(parents=True)
    cohort = np.stack([vector(drawn(*SIZE, seed, kind), groups, seed) for seed in range(6) for kind in ("skin", "noise")])
    model(folder / "model.onnx", cohort)
    pixels = drawn(*SIZE, 0, "skin")
    Image.fromarray(pixels).save(folder / "golden" / "input.png", optimize=True)
    values = vector(pixels, groups, 0)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    probabilities = session.run(["probabilities"], {"features": values[None]})[0][0]
    expected = {
        "picture": "golden/input.png", "columns": columns(groups), "features": [float(v) for v in values],
        "probabilities": [round(float(v), 6) for v in probabilities], "tolerance": {"features": 1e-4, "probabilities": 1e-4},
    }  # fmt: skip
    (folder / "golden" / "features.json").write_text(json.dumps(expected) + "\n")
    (folder / "CARD.md").write_text(
        f"# {name}\n\n{what}. They know nothing of nailfolds: they test Hairpin's own workings and must not be used for\n"
        "anything else.\n"
    )
    seen = [[round(float(low) - 1, 4), round(float(high) + 1, 4)] for low, high in zip(cohort.min(axis=0), cohort.max(axis=0))]
    (folder / "manifest.toml").write_text(manifest(folder, name, groups, seen))
    print(folder.name, expected["probabilities"])


def manifest(folder, name, groups, seen):
    locator = tomllib.loads(LOCATOR.read_text())
    measured = f"""
[features.loops]
locator = "{locator["name"]}"
version = "{locator["version"]}"
sha256 = "{hashlib.sha256(LOCATOR.read_bytes()).hexdigest()}"
limits = {{ {", ".join(f"{key} = {value}" for key, value in LIMITS.items())} }}
"""
    text = f"""schema = 1
name = "{name}"
version = "0.1.0"
task = "features"
scheme = "fast-track"
labels = ["category 1", "category 2"]
positive = "category 2"
licence = "CC0-1.0"
model = "model.onnx"

[cohort]
name = "none"
synthetic = true
validated_on_patients = false
description = "drawn splits, trained on nothing"

[features]
size = {json.dumps(list(SIZE))}
filter = "bilinear"
groups = {json.dumps(groups)}
opencv = "{VERSIONS["opencv"]}"
mahotas = "{VERSIONS["mahotas"]}"
scikit_image = "{VERSIONS["scikit_image"]}"
seen = {json.dumps(seen)}
{measured if "shape" in groups else ""}
[input]
name = "features"

[output]
name = "probabilities"

[calibration]
temperature = 1.5
how = "chosen to be seen in tests"

[thresholds]
lower = 0.3
upper = 0.7
how = "chosen to be seen in tests"

[files]
"""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        text += f'"{path.relative_to(folder).as_posix()}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"\n'
    return text


if __name__ == "__main__":
    golden()
    bundle("tiny-features", GROUPS, "Trees of drawn splits")
    bundle("tiny-shape", ["hu", "shape"], "Trees of drawn splits, over moments of the picture and figures of its loops")
