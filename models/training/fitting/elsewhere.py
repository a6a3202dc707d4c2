"""What the model says of pictures that nobody drew. Only figures leave this module, and they prove nothing about patients:
few subjects, no diagnosis, and exposure and colour that differ from subject to subject."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from .calibrate import Thresholds, sigmoid
from .envelope import Envelope, figures_of
from .geometry import Geometry
from .measure import auc
from .score import logits_of, session


def look(
    model: Path, geometry: Geometry, folder: Path, um_per_px: float, temperature: float, thresholds: Thresholds, seen: Envelope, threads: int
) -> dict:
    """Figures by subject of a folder with `frames/` and `labels.csv` (columns frame, subject, disease)."""
    runtime = session(model, threads)
    rows = []
    for row in csv.DictReader((folder / "labels.csv").open()):
        with Image.open(folder / "frames" / row["frame"]) as picture:
            tensor = geometry.tensor(geometry.coarse(picture, um_per_px))
        logits = logits_of(runtime, tensor)
        outside = bool(seen.outside(figures_of(tensor)[None])[0])
        rows.append((row["subject"], row["disease"] == "yes", float(logits[1] - logits[0]), outside, len(tensor)))
    subject, disease, margin, outside, tiles = (np.array(column) for column in zip(*rows))
    prob = sigmoid(margin / temperature)

    def summary(keep: np.ndarray) -> dict:
        return {
            "frames": int(keep.sum()),
            "mean_probability": round(float(prob[keep].mean()), 3),
            "lowest": round(float(prob[keep].min()), 3),
            "highest": round(float(prob[keep].max()), 3),
            "above_upper": int((prob[keep] > thresholds.upper).sum()),
            "below_lower": int((prob[keep] < thresholds.lower).sum()),
            "out_of_cohort": int(outside[keep].sum()),
        }

    return {
        "um_per_px": um_per_px,
        "tiles_a_frame": int(tiles.max()),
        "auc_frames": round(auc(margin, disease), 3),
        "without_disease": summary(~disease),
        "with_disease": summary(disease),
        "subjects": {str(name): {"disease": bool(disease[subject == name][0]), **summary(subject == name)} for name in np.unique(subject)},
    }
