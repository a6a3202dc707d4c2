"""The reference features against their definitions, written out a second time by hand."""

import cv2
import numpy as np
import pytest
from kit_cohort import picture
from scipy.stats import skew

from kit import features


@pytest.fixture(params=range(4))
def rgb(request):
    rng = np.random.default_rng(request.param)
    shown = np.asarray(picture(bool(request.param % 2), request.param, (97, 61)))
    return np.clip(shown + rng.integers(-60, 60, 3), 0, 255).astype(np.uint8)


def grey_of(rgb):
    r, g, b = np.moveaxis(rgb.astype(np.int64), 2, 0)
    return ((9798 * r + 19235 * g + 3735 * b + 16384) >> 15).astype(np.uint8)


def test_grey_is_the_integer_sum_that_the_contract_gives(rgb):
    assert (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) == grey_of(rgb)).all()


def test_columns_are_named_once_and_in_order(rgb):
    names = features.columns(features.GROUPS)
    assert len(set(names)) == len(names) == 48 == len(features.of_picture(rgb))
    both = features.of_picture(rgb, ("hu", "haralick"))
    assert (both == features.of_picture(rgb)[:20]).all() and both.dtype == np.float32


def test_hu_is_the_transformed_invariants(rgb):
    grey = grey_of(rgb).astype(np.float64)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float64)
    mass = grey.sum()
    x, y = x - (x * grey).sum() / mass, y - (y * grey).sum() / mass
    n = {(p, q): (x**p * y**q * grey).sum() / mass ** (1 + (p + q) / 2) for p in range(4) for q in range(4) if 2 <= p + q <= 3}
    a, b, c, d = n[3, 0] + n[1, 2], n[2, 1] + n[0, 3], n[3, 0] - 3 * n[1, 2], 3 * n[2, 1] - n[0, 3]
    h = [
        n[2, 0] + n[0, 2], (n[2, 0] - n[0, 2]) ** 2 + 4 * n[1, 1] ** 2, c**2 + d**2, a**2 + b**2,
        c * a * (a**2 - 3 * b**2) + d * b * (3 * a**2 - b**2), (n[2, 0] - n[0, 2]) * (a**2 - b**2) + 4 * n[1, 1] * a * b,
        d * a * (a**2 - 3 * b**2) - c * b * (3 * a**2 - b**2),
    ]
    assert features.hu(grey_of(rgb)) == pytest.approx([-np.sign(v) * np.log10(abs(v)) for v in h], rel=1e-6)


def test_haralick_is_of_the_symmetric_neighbours(rgb):
    grey = grey_of(rgb).astype(np.int64)
    levels, out = int(grey.max()) + 1, []
    height, width = grey.shape
    for dy, dx in ((0, 1), (1, 1), (1, 0), (1, -1)):
        x0, x1 = max(0, -dx), width - max(0, dx)
        one, other = grey[: height - dy, x0:x1], grey[dy:, x0 + dx : x1 + dx]
        counts = np.zeros((levels, levels))
        np.add.at(counts, (one, other), 1)
        p = (counts + counts.T) / (2 * one.size)
        i, j = np.mgrid[:levels, :levels]
        difference = np.bincount(np.abs(i - j).ravel(), p.ravel(), levels)
        entropy = lambda v: -(v[v > 0] * np.log2(v[v > 0])).sum()
        px = p.sum(axis=0)
        cross = np.outer(px, px)
        hxy1 = -(p[cross > 0] * np.log2(cross[cross > 0])).sum()
        mean = px @ np.arange(levels)
        variance = px @ np.arange(levels) ** 2 - mean**2
        out.append([
            (p**2).sum(), (difference * np.arange(levels) ** 2).sum(), ((i * j * p).sum() - mean**2) / variance, variance, (p / (1 + (i - j) ** 2)).sum(),
            2 * mean, ((i + j) ** 2 * p).sum() - (2 * mean) ** 2, entropy(np.bincount((i + j).ravel(), p.ravel())), entropy(p.ravel()), difference.var(),
            entropy(difference), (entropy(p.ravel()) - hxy1) / entropy(px), np.sqrt(max(0.0, 1 - np.exp(-2 * (entropy(cross.ravel()) - entropy(p.ravel()))))),
        ])
    assert features.haralick(grey_of(rgb)) == pytest.approx(np.mean(out, axis=0), rel=1e-9)


def test_colour_is_mean_deviation_and_skewness_of_six_channels(rgb):
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV_FULL)
    wanted = [f(plane.astype(np.float64).ravel()) for plane in (*np.moveaxis(rgb, 2, 0), *np.moveaxis(hsv, 2, 0)) for f in (np.mean, np.std, skew)]
    assert features.colour(rgb) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_lbp_counts_uniform_patterns():
    flat = np.full((16, 16), 90, np.uint8)
    flat[8, 8] = 200
    shares = features.lbp(flat)
    assert shares.sum() == pytest.approx(1.0) and shares[0] == pytest.approx(1 / 256)


def test_one_colour_gives_numbers_all_the_same():
    for value in (0, 255):
        assert np.isfinite(features.of_picture(np.full((32, 40, 3), value, np.uint8))).all()
