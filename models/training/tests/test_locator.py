"""The locating network's fixed layer and its lessons: light is taken off, tips lie where the picture's do after every turn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from locating import frames, quantised
from locating.distal import DISTAL, NONE
from locating.lesson import Lessons, bell, spread
from locating.network import MAPS, Light, Locator


def test_gain_of_the_lamp_changes_nothing_and_a_dark_spot_stands_out():
    picture = torch.full((1, 3, 128, 128), 0.5)
    picture[:, :, 60:64, 60:64] *= 0.8
    bright, dim = Light()(picture), Light()(picture * 0.6)
    assert bright[0, 0, 62, 62] < -0.8
    assert (bright - dim).abs().max() < 0.1


def test_the_answer_has_half_the_sides_and_all_planes():
    with torch.no_grad():
        answer = Locator().eval()(torch.rand(1, 3, 64, 96))
    assert answer.shape == (1, len(MAPS), 32, 48)


def test_a_bell_is_one_exactly_in_the_cell_of_its_tip():
    place = torch.tensor([[[5.7, 3.2], [40.0, 40.0]]])
    plane = bell(place, torch.tensor([[True, False]]), torch.Size((1, 16, 16)), 1.5)
    assert plane[0, 3, 5] == 1.0 and (plane == 1.0).sum() == 1 and plane[0, 12, 12] == 0
    values, tips = spread(place, torch.tensor([[True, False]]), torch.ones(1, 2, 3), torch.Size((1, 16, 16)))
    assert tips.sum() == 9 and values.shape == (1, 3, 16, 16)


def test_tips_move_with_the_crop():
    """A picture with one red pixel block where the only tip is: after any turn the bell's top lies on it."""
    pixels = np.full((3, 160, 160), 120, np.uint8)
    pixels[0, 78:82, 98:102], pixels[1:, 78:82, 98:102] = 255, 0
    loops = np.zeros((1, 1, 7), np.float32)
    loops[0, 0] = 100.0, 80.0, 0.0, -1.0, 12.0, DISTAL, 0.0
    one = frames.Pictures(4.0, torch.from_numpy(pixels[None]), torch.zeros(1, 160, 160, dtype=torch.uint8), torch.from_numpy(loops))
    lessons = Lessons([one], 64, torch.device("cpu"), 5)
    lesson = lessons.draw(40)
    found = 0
    for rgb, apex in zip(lesson.rgb, lesson.apex):
        if apex.max() < 1:
            continue
        y, x = divmod(int(apex.argmax()), apex.shape[1])
        redness = rgb[0] - rgb[1]
        ry, rx = divmod(int(redness.argmax()), redness.shape[1])
        assert abs(rx - 2 * x - 1) <= 5 and abs(ry - 2 * y - 1) <= 5, (rx, ry, x, y)
        found += 1
    assert found > 20
    assert (one.loops[0, :, frames.KIND] != NONE).all()


def test_in_8_bits_the_shipped_network_answers_nearly_the_same(tmp_path):
    shipped = Path(__file__).parents[2] / "locator-synth-0.2.0"
    pictures = tmp_path / "pictures"
    (pictures / "frames").mkdir(parents=True)
    with Image.open(shipped / "golden/input.png") as picture:
        turned = [picture.rotate(90 * turn, expand=True) for turn in range(4)]
    lines = []
    for place, picture in enumerate(turned):
        picture.save(pictures / f"frames/{place}.png")
        lines.append(json.dumps({"file": f"frames/{place}.png", "truth": {"um_per_px": 4.0}}))
    (pictures / "truth.jsonl").write_text("\n".join(lines))
    quantised.write(tmp_path / "small", shipped, pictures, "0.1.0", ["none"])
    assert 'name = "locator-synth-int8"' in (tmp_path / "small/manifest.toml").read_text()
    assert (tmp_path / "small/model.onnx").stat().st_size < 0.5 * (shipped / "model.onnx").stat().st_size


def test_8_bits_that_move_the_tips_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(quantised, "MOST_MOVED", 0.0)
    with pytest.raises(RuntimeError, match="refused"):
        test_in_8_bits_the_shipped_network_answers_nearly_the_same(tmp_path)
