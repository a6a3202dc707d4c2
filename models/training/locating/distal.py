"""Which drawn loops count as distal, which as proximal, and which no reader could see.

The tip of a distal loop has no other loop's tip before it, towards the nail. How wide "before" is, is not agreed on: under the 90 degree
rule (Hofstee 2009) a fifth of the loops that people traced as distal on real frames would not count; under the narrower cone here a tenth.
"""

import math

import numpy as np

DISTAL, PROXIMAL, IGNORED, NONE = 1, 0, -1, -2

# Half angle and reach of the two cones in which another tip makes a loop proximal.
CONES = ((28.0, 260.0), (15.0, 440.0))
# A tip closer than this along the loop's own axis is beside it, not before it, in um.
BESIDE_UM = 12.0
# Rows behind the third never count, whatever is missing before them.
LAST_ROW = 2
# Peak optical density after blur and veil: loops below the first are left to chance by readers, those below the second hide nobody.
LEAST_VISIBLE, LEAST_HIDING, SURELY_VISIBLE = 0.03, 0.05, 0.055
# The same against the middle of the front row's: of real tips with less than half of it, half were passed over by those who traced.
LEAST_OF_MIDDLE, HIDING_OF_MIDDLE = 0.4, 0.5


def visible_density(rows: list[dict], optics: dict) -> np.ndarray:
    """Optical density at each loop's axis as the sensor has it."""
    if not rows:
        return np.zeros(0)
    widths = np.array([row["apical_um"] for row in rows])
    density = np.array([row["density"] for row in rows])
    softness = np.array([row["softness_um"] for row in rows])
    lens = sum(optics["defocus_um"]) / 2
    # A smear of length L has the variance of a box, L^2 / 12; a round tube's profile about that of a Gaussian of width / 3.6.
    blur = softness**2 + lens**2 + optics["motion_um"] ** 2 / 12
    own = (widths / 3.6) ** 2
    return density * (1 - optics["haze"]) * np.sqrt(own / (own + blur))


def kinds(rows: list[dict], um_per_px: float, optics: dict) -> np.ndarray:
    """The kind of each loop, in the order of `rows`."""
    seen = visible_density(rows, optics)
    tips = np.array([[row["x"], row["y"]] for row in rows]).reshape(-1, 2) * um_per_px
    front = seen[[row["row"] == 0 for row in rows]]
    middle = float(np.median(front)) if len(front) else 0.0
    hiding = max(LEAST_HIDING, HIDING_OF_MIDDLE * middle)
    surely = max(SURELY_VISIBLE, LEAST_OF_MIDDLE * middle)
    toward = np.array([row["toward"] for row in rows]).reshape(-1, 1, 2)
    # From each loop to each other one, along the first's own axis and across it.
    away = tips[None] - tips[:, None]
    ahead = (away * toward).sum(axis=2)
    aside = np.abs(away[:, :, 1] * toward[:, :, 0] - away[:, :, 0] * toward[:, :, 1])
    cones = [(ahead * math.tan(math.radians(half_angle)) > aside) & (ahead < reach) for half_angle, reach in CONES]
    before = (np.any(cones, axis=0) & (ahead > BESIDE_UM) & (seen > hiding)).any(axis=1)
    clear = (np.array([row["row"] for row in rows]) <= LAST_ROW) & (seen >= surely)
    kind = np.where(before, PROXIMAL, np.where(clear, DISTAL, IGNORED))
    return np.where(seen < LEAST_VISIBLE, IGNORED, kind).astype(int)

