"""A tiny cohort of made-up pictures in which the label can be learned: coarse spots for the positive, fine ones for the other."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

HEADER = ("file", "subject", "finger", "field", "device", "um_per_px", "label", "scheme")


def picture(positive: bool, seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    rng = np.random.default_rng(seed)
    cells = (8, 6) if positive else (24, 18)
    noise = rng.normal(0.0, 40.0, cells[::-1]).astype(np.float32)
    spots = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    light = rng.uniform(90, 150)
    return Image.fromarray(np.clip(light + spots[:, :, None] * (0.8, 1.0, 0.9) + rng.normal(0, 3, (size[1], size[0], 3)), 1, 254).astype(np.uint8))


def entries(subjects: int) -> list[dict]:
    """Two fingers of two fields each; every other subject is positive; devices go by threes, so neither tells the other."""
    out = []
    for subject in range(subjects):
        for finger in ("R4", "L3"):
            for field in ("1", "2"):
                out.append({
                    "file": f"p{subject}-{finger}-{field}.png", "subject": f"p{subject}", "finger": finger, "field": field, "device": f"d{subject % 3}",
                    "um_per_px": "2.5", "label": "abnormal" if subject % 2 else "normal", "scheme": "normal-abnormal",
                })
    return out


def written(folder: Path, rows: list[dict], header: tuple[str, ...] = HEADER, pictures: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        if pictures:
            picture(row["label"] == "abnormal", number).save(folder / row["file"])
    table = folder / "images.csv"
    with table.open("w", newline="") as out:
        writer = csv.DictWriter(out, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return table
