"""The local-contrast layer: light is taken away, loops stay, padding is nothing."""

import numpy as np
import torch

from fitting.geometry import Geometry, normalised
from fitting.network import LocalContrast


def shown(picture: np.ndarray) -> torch.Tensor:
    return LocalContrast()(torch.from_numpy(Geometry().tensor(picture)))


def test_even_light_of_any_colour_shows_nothing():
    picture = np.empty((224, 224, 3), np.uint8)
    picture[:] = (150, 90, 60)
    # A loop shows as 1 or more; the 0.001 that keeps the mean of nothing defined leaves this much.
    assert shown(picture).abs().max() < 0.05


def test_a_loop_of_the_same_density_shows_alike_in_weak_and_strong_light():
    density = np.ones((224, 224, 1))
    density[100:130, 110:114] = 0.8
    weak, strong = (shown(np.broadcast_to(light * density, (224, 224, 3)).astype(np.uint8))[0, 1, 115, 112] for light in (110, 220))
    assert weak < -1.0 and abs(float(weak - strong)) < 0.3


def test_padding_stays_nothing_and_does_not_colour_the_border():
    picture = np.full((179, 224, 3), 200, np.uint8)
    out = shown(picture)
    assert not out[:, :, :22].any() and not out[:, :, 201:].any()
    assert out.abs().max() < 0.05


def test_no_sample_of_a_picture_looks_like_padding():
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    assert (np.abs(normalised(every)).sum(axis=0) > 0).all()
