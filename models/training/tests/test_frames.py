"""Truth as the simulator writes it."""

import json

import pytest

from fitting.frames import read

LINE = {
    "file": "frames/s1-R2-1.jpg", "subject": "s1", "disease": "late", "finger": "R2", "field": 1, "seed": 3, "device": {"field_um": 1700.0},
    "truth": {
        "um_per_px": 1.33, "density_per_mm": 2.5, "giants": 0, "abnormal_shapes": 1, "category": "two", "rule": "loss_with_abnormal_shapes",
        "loops": [
            {"x": 10.0, "y": 20.0, "apical_um": 31.0, "class": "abnormal", "row": 0, "density": 0.2},
            {"x": 10.0, "y": 90.0, "apical_um": 70.0, "class": "giant", "row": 2, "density": 0.2},
        ],
    },
}


def written(folder, **changes):
    line = json.loads(json.dumps(LINE))
    line["truth"].update(changes)
    (folder / "truth.jsonl").write_text(json.dumps(line) + "\n")
    return folder


def test_only_the_distal_row_decides_what_is_widest(tmp_path):
    (frame,) = read(written(tmp_path))
    assert frame.positive is True and frame.widest_um == 31.0
    assert [(loop.distal, loop.giant, loop.abnormal) for loop in frame.loops] == [(True, False, True), (False, True, False)]
    assert frame.device == "field 1.57 to 2.1 mm"


def test_what_the_rules_cannot_say_stays_unsaid(tmp_path):
    (frame,) = read(written(tmp_path, category=None, rule=None, density_per_mm=None))
    assert frame.positive is None


def test_a_word_that_is_not_known_is_refused_with_its_line(tmp_path):
    with pytest.raises(ValueError, match="line 1"):
        read(written(tmp_path, category="three"))
