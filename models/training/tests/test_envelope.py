"""The envelope: whose figures it holds, what its margin does, what it lets pass."""

import numpy as np
import pytest

from fitting.envelope import Envelope, envelope_of, figures_of


def test_figures_take_all_tiles_and_the_population_deviation():
    tensor = np.zeros((2, 3, 4, 4), np.float32)
    tensor[0, 0] = 2.0
    assert figures_of(tensor) == pytest.approx([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])


def test_margin_widens_by_its_share_of_the_span():
    figures = np.tile(np.linspace(1.0, 2.0, 1001)[:, None], (1, 6))
    tight, wide = envelope_of(figures, margin=0.0), envelope_of(figures, margin=0.1)
    assert tight.mean[0] == pytest.approx([1.001, 1.999])
    assert wide.mean[0] == pytest.approx([1.001 - 0.0998, 1.999 + 0.0998])


def test_a_deviation_is_never_bounded_below_zero():
    assert (envelope_of(np.random.default_rng(0).random((50, 6)) * 1e-3, margin=9.0).std[:, 0] == 0.0).all()


@pytest.mark.parametrize("place", range(6))
def test_one_strange_figure_is_enough(place):
    envelope = Envelope(mean=np.array([[-1.0, 1.0]] * 3), std=np.array([[0.5, 1.5]] * 3))
    usual = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    strange = usual.copy()
    strange[place] = 1.6
    assert envelope.outside(np.stack([usual, strange])).tolist() == [False, True]


def test_a_joined_envelope_holds_what_either_holds():
    narrow = Envelope(mean=np.array([[-1.0, 0.0]] * 3), std=np.array([[0.5, 1.0]] * 3))
    shifted = Envelope(mean=np.array([[-0.5, 2.0]] * 3), std=np.array([[0.7, 0.9]] * 3))
    joined = narrow.with_other(shifted)
    assert joined.mean.tolist() == [[-1.0, 2.0]] * 3 and joined.std.tolist() == [[0.5, 1.0]] * 3
