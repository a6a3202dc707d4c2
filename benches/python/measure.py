"""The chain one would write without Hairpin to measure loops: Pillow, ONNX Runtime, scikit-image and numpy.

Prints the median time of a field in ms, the network left out: resampling, peaks, a row by RANSAC, parts of the maps.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops

WANTED = 4.0


def prepare(picture, um_per_px):
    size = [round(side * um_per_px / WANTED) for side in picture.size]
    small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), np.float32) / 255.0
    pad = [(0, -side % 16) for side in small.shape[:2]]
    return np.ascontiguousarray(np.pad(small, [*pad, (0, 0)], mode="edge").transpose(2, 0, 1)[None])


def figures(maps, chance):
    probability = 1 / (1 + np.exp(-maps[:6]))
    tips = peak_local_max(probability[0], min_distance=3, threshold_abs=0.3)
    nail = probability[3]
    ys, xs = np.mgrid[0 : nail.shape[0], 0 : nail.shape[1]]
    away = [(axis * nail).sum() / nail.sum() - (axis * (1 - nail)).sum() / (1 - nail).sum() for axis in (ys, xs)]
    v = np.array(away) / np.hypot(*away)
    along, ahead = tips @ np.array([v[1], -v[0]]), tips @ v
    best = (0, None)
    if len(tips) >= 5:
        for _ in range(300):
            some = chance.choice(len(tips), 3, replace=False)
            curve = np.polyfit(along[some], ahead[some], 2)
            inside = np.abs(ahead - np.polyval(curve, along)) < 27
            if inside.sum() > best[0]:
                best = (inside.sum(), curve)
    bled = [region.centroid for region in regionprops(label(probability[4] > 0.5)) if region.area >= 13]
    vessels = regionprops(label(probability[2] > 0.5))
    return best, bled, len(vessels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--frames", required=True, type=Path)
    parser.add_argument("--um-per-px", required=True, type=float)
    parser.add_argument("--rounds", required=True, type=int)
    asked = parser.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(asked.model, options, providers=["CPUExecutionProvider"])
    pictures = [Image.open(path).convert("RGB") for path in sorted(asked.frames.glob("*.jpg"))]
    chance, times = np.random.default_rng(0), []
    for n in range(5 + asked.rounds):
        start = time.perf_counter()
        field = prepare(pictures[n % len(pictures)], asked.um_per_px)
        middle = time.perf_counter()
        maps = session.run(None, {"input": field})[0][0]
        again = time.perf_counter()
        figures(maps, chance)
        times.append((middle - start + time.perf_counter() - again) * 1e3)
    print(statistics.median(times[5:]))


if __name__ == "__main__":
    main()
