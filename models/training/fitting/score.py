"""Runs the exported model the daemon's way: ONNX Runtime on the CPU, logits meaned over the tiles of a picture."""

from pathlib import Path

import numpy as np
import onnxruntime
from tqdm import tqdm

from .cache import Stored
from .envelope import figures_of
from .geometry import Geometry


def session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def logits_of(runtime: onnxruntime.InferenceSession, tensor: np.ndarray) -> np.ndarray:
    """Logits of one picture: the mean over its tiles."""
    return runtime.run(["logits"], {"input": tensor})[0].mean(axis=0)


def score(runtime: onnxruntime.InferenceSession, stored: list[Stored], geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Margin (positive logit less negative) and envelope figures ([n, 6]) of every frame."""
    margins, figures = [], []
    for item in tqdm(stored, desc="scoring", unit="frame", mininterval=2.0):
        tensor = geometry.tensor(item.coarse)
        logits = logits_of(runtime, tensor)
        margins.append(float(logits[1] - logits[0]))
        figures.append(figures_of(tensor))
    return np.array(margins), np.array(figures)
