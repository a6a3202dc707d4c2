"""Resampling and tiling to the manifest's words."""

import numpy as np
from PIL import Image

from fitting.geometry import MEAN, STD, Geometry

GEOMETRY = Geometry()


def test_the_middle_field_is_one_tile():
    assert GEOMETRY.resampled((1280, 1024), 1570 / 1280) == (224, 179)
    assert GEOMETRY.starts(224) == [0]


def test_halves_are_rounded_away_from_zero():
    assert GEOMETRY.resampled((5, 1), 3.5) == (3, 1)


def test_tiles_cover_the_axis_and_share_a_quarter():
    for length in range(225, 900):
        starts = GEOMETRY.starts(length)
        assert starts[0] == 0 and starts[-1] == length - 224
        assert max(np.diff(starts)) <= 224 * 0.75


def test_a_small_picture_stands_in_the_middle_of_zeros():
    tensor = GEOMETRY.tensor(np.full((179, 100, 3), 255, np.uint8))
    assert tensor.shape == (1, 3, 224, 224)
    white = (1.0 - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(tensor[0, :, 22, 62], white, rtol=1e-6)
    np.testing.assert_allclose(tensor[0, :, 200, 161], white, rtol=1e-6)
    assert not tensor[0, :, 21].any() and not tensor[0, :, 201].any() and not tensor[0, :, :, 61].any() and not tensor[0, :, :, 162].any()


def test_tiles_stand_in_rows_from_the_top_left():
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[..., 0] = np.arange(400) // 2
    picture[..., 1] = np.arange(300)[:, None] // 2
    corner = GEOMETRY.tensor(picture)[:, :2, 0, 0]
    samples = np.rint((corner * np.float32(STD[:2]) + np.float32(MEAN[:2])) * 255).astype(int) * 2
    assert samples.tolist() == [[0, 0], [88, 0], [176, 0], [0, 76], [88, 76], [176, 76]]


def test_a_picture_is_read_whatever_its_mode():
    assert GEOMETRY.coarse(Image.new("L", (640, 512), 128), 2.46).shape == (180, 225, 3)
