"""Who is learned from, who calibrates, who is asked: by subject, and for comparison the study's 70 to 30 by image."""

import numpy as np

from fitting.split import by_subject

from .problem import Problem
from .table import Cohort

SHARES = {"train": 0.6, "calibration": 0.2, "test": 0.2}
# The SCLEROCAP AI study's own (Microvasc Res 2025;157:104753) as it was told to us: 70 % of the images to learn from, 30 % to test.
STUDY_TRAIN = 0.7


def subject_split(cohort: Cohort, seed: int, shares: dict[str, float] = SHARES) -> dict[str, np.ndarray]:
    """Places of the rows of each part; no subject is in two, and each part has images of both labels."""
    rows = list(cohort.rows)
    held = by_subject(rows, shares, seed)
    part_of = {row.subject: part for part, some in held.items() for row in some}
    places = {part: np.array([i for i, row in enumerate(rows) if part_of[row.subject] == part], int) for part in shares}
    for part, some in places.items():
        seen = {rows[i].positive for i in some}
        if len(seen) < 2:
            raise Problem(
                f"{cohort.source}: {len(cohort.subjects)} subjects are too few: the {part} part of a split by subject "
                f"(seed {seed}) has no image of one of the two labels. Each label needs at least five subjects"
            )
    return places


def image_split(cohort: Cohort, seed: int) -> dict[str, np.ndarray]:
    """70 to 30 by image, each label apart: images of one person lie on both sides, so its figures flatter."""
    rng = np.random.default_rng([seed, 7030])
    truth = np.array([row.positive for row in cohort.rows])
    parts = {"train": [], "test": []}
    for kind in (True, False):
        order = rng.permutation(np.flatnonzero(truth == kind))
        cut = round(STUDY_TRAIN * len(order))
        parts["train"] += order[:cut].tolist()
        parts["test"] += order[cut:].tolist()
    return {part: np.array(sorted(places)) for part, places in parts.items()}
