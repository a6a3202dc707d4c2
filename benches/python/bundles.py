"""Bundles of all ten models in their true shape, to measure how fast they are: networks with random weights, in fp32 and some in int8, and
classifiers fitted to random labels. They read nothing. What is there already is left as it is.

    models/training/with-kit benches/python/bundles.py target/bench/bundles
"""

import pickle
import sys
from pathlib import Path

import numpy as np
import torch
from fitting.calibrate import Thresholds
from PIL import Image
from tqdm import tqdm

from kit import bundle, classical, convert, features, int8, manifest, netbundle, networks, whole
from kit.calls import Calls
from kit.table import Cohort

GROUPS = ("hu", "haralick", "colour")
# As many rows as the training part of the cohort of 400 subjects has: trees, vectors and neighbours grow with them.
ROWS, PICTURES = 3840, 48
SIDE, CALIBRATING = 224, 8
NETWORKS = ("densenet121", "resnet18", "vgg16", "vit_small", "mobilenetv4_small")
SMALLER = ("densenet121", "resnet18")
NOBODY = Cohort((), "fast-track", ("category_1", "category_2"), True, "noise")
CALLS = Calls(1.0, Thresholds(0.2, 0.8), 2, 0, 1, 0.05, 0, {})
CARD = "# For measuring speed alone\n\nRandom weights and labels: it reads nothing.\n"


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    pictures = [Image.fromarray(picture) for picture in bundle.made_up((448, 358), CALIBRATING)]
    for name in tqdm(NETWORKS, desc="networks"):
        _network(out, name, pictures)
    matrix, truth = _rows()
    for name in tqdm(classical.CLASSIFIERS, desc="classifiers"):
        _classical(out, name, matrix, truth)


def _identity(name: str) -> manifest.Identity:
    return manifest.Identity(name, "0.0.0", "Apache-2.0", "noise", "no picture of anything")


def _network(out: Path, name: str, pictures: list[Image.Image]) -> None:
    smaller = [f"{name}-int8"] if name in SMALLER else []
    if all((out / done / "manifest.toml").exists() for done in (name, *smaller)):
        return
    torch.manual_seed(0)
    input_ = networks.input_of(name, "field", SIDE, 7.0)
    model = networks.built(name, SIDE).eval()
    # timm begins some branches at nothing; here each is to answer something.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    exported = out / f"{name}.onnx"
    netbundle.export(model, input_, exported)
    _written(out / name, name, exported, input_, pictures[0], netbundle.TOLERANCE)
    for small in smaller:
        quantised = out / f"{small}.onnx"
        int8.quantise(exported, quantised, [input_.served(picture, None) for picture in pictures])
        _written(out / small, small, quantised, input_, pictures[0], netbundle.TOLERANCE_INT8)
        quantised.unlink()
    exported.unlink()


def _written(folder: Path, name: str, model: Path, input_, picture: Image.Image, tolerance: float) -> None:
    with whole.folder(folder, replace=True) as part:
        (part / "model.onnx").write_bytes(model.read_bytes())
        (part / "CARD.md").write_text(CARD)
        netbundle.write_golden(part, picture, None, input_, tolerance)
        manifest.written(part, _identity(name), NOBODY, "classify", netbundle.sections(input_, None, None), CALLS, "nothing: these are for speed alone")


def _rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    some = np.stack([features.of_picture(picture, GROUPS) for picture in bundle.made_up(features.SIZE, PICTURES)])
    matrix = some[rng.integers(PICTURES, size=ROWS)] + rng.normal(size=(ROWS, some.shape[1])) * some.std(axis=0)
    return matrix.astype(np.float32), rng.random(ROWS) < 0.5


def _classical(out: Path, name: str, matrix: np.ndarray, truth: np.ndarray) -> None:
    folder = out / name
    kept = out / f"{name}.pickle"  # for the chain in Python
    if (folder / "manifest.toml").exists() and kept.exists():
        return
    pipeline = classical.fit(name, matrix, truth, 0)
    fitted = bundle.Fitted(pipeline, GROUPS, features.SIZE, "bilinear", matrix)
    model = convert.converted(pipeline, matrix.shape[1])
    bundle.write(folder, fitted, _identity(name), NOBODY, CALLS, CARD, model, list(bundle.made_up(features.SIZE, CALIBRATING)), True)
    kept.write_bytes(pickle.dumps(pipeline))


if __name__ == "__main__":
    main()
