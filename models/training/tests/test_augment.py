"""Pictures and apices move together."""

from pathlib import Path

import numpy as np

from fitting import augment
from fitting.cache import Stored, empty_tiles
from fitting.frames import Frame, Loop
from fitting.geometry import Geometry

GEOMETRY = Geometry()


def with_a_dot() -> Stored:
    """A bright dot on grey at the apex of the only loop, at 3.5 and at 7 um per pixel."""
    fine = np.full((358, 448, 3), 90, np.uint8)
    fine[96:104, 296:304] = 255
    frame = Frame(
        Path("x.jpg"), "s", "R4", 1, "device", 3.5, positive=True, density_per_mm=7.0, widest_um=60.0, stratum="",
        loops=(Loop(x=300.0, y=100.0, width_um=60.0, distal=True, giant=True, abnormal=False),),
    )
    from PIL import Image

    return Stored(frame, GEOMETRY.coarse(Image.fromarray(fine), 3.5), fine, 3.5)


def brightest(picture: np.ndarray) -> np.ndarray:
    luma = picture.astype(np.float64).sum(axis=2)
    weight = np.clip(luma - np.percentile(luma, 99), 0, None)
    y, x = np.mgrid[: luma.shape[0], : luma.shape[1]] + 0.5
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def test_warp_and_turns_carry_the_apex_along():
    stored = with_a_dot()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        picture, apices = augment._turned(*augment._warped(stored, GEOMETRY, rng), rng)
        assert np.abs(brightest(picture) - apices[0, :2]).max() < 0.6


def test_cells_share_each_apex_among_neighbours():
    apices = np.array([[112.0, 112.0, 1.0, 1.0, 0.0, 60.0], [400.0, 5.0, 1.0, 1.0, 1.0, 60.0], [100.0, 100.0, 0.0, 0.0, 0.0, 12.0]])
    cells = augment._cells(apices, 224, 32)
    assert cells[0].sum() == 2.0 and cells[1].sum() == cells[2].sum() == 1.0 and cells[3].sum() == 0.0
    near = augment._cells(apices[:1], 224, 8)
    assert near[0, 13:15, 13:15].tolist() == [[0.25, 0.25], [0.25, 0.25]]
    np.testing.assert_allclose(near[4, 13, 13], np.log(5.0), rtol=1e-6)


def test_an_apex_at_the_border_loses_what_lies_outside():
    assert augment._cells(np.array([[0.0, 112.0, 1.0, 0.0, 0.0, 12.0]]), 224, 32)[0].sum() == 0.5


def test_an_example_has_its_shape_and_comes_again_with_its_seed():
    one = augment.example(with_a_dot(), GEOMETRY, np.random.default_rng(5))
    again = augment.example(with_a_dot(), GEOMETRY, np.random.default_rng(5))
    assert [part.shape for part in one] == [(3, 224, 224), (5, 28, 28), (5, 7, 7), (2,)]
    assert all((a == b).all() for a, b in zip(one, again))


def test_halved_examples_carry_their_apex_along():
    picture, near, far, _ = augment.example(with_a_dot(), GEOMETRY, np.random.default_rng(1), halved=True)
    assert picture.shape == (3, 112, 112) and near.shape == (5, 14, 14) and far.shape == (5, 3, 3)
    row, column = np.unravel_index(near[0].argmax(), (14, 14))
    bright = picture.sum(axis=0) - np.median(picture.sum(axis=0))
    y, x = np.unravel_index(bright.argmax(), bright.shape)
    assert abs(y - (8 * row + 4)) <= 8 and abs(x - (8 * column + 4)) <= 8


def test_empty_tiles_hold_no_distal_apex_and_say_nothing():
    coarse = np.zeros((383, 479, 3), np.uint8)
    loops = (Loop(x=100.0, y=100.0, width_um=12.0, distal=True, giant=False, abnormal=False), Loop(400.0, 300.0, 12.0, False, False, False))
    frame = Frame(Path("x.jpg"), "s", "R4", 1, "device", 7.0, True, 8.0, 20.0, stratum="", loops=loops)
    tiles = empty_tiles(Stored(frame, coarse, coarse, 7.0), GEOMETRY)
    assert len(tiles) == 5 and all(t.frame.positive is None and t.coarse.shape == (224, 224, 3) for t in tiles)
    assert [(loop.x, loop.y) for loop in tiles[-1].frame.loops] == [(145.0, 141.0)]
