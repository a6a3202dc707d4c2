"""The network for widths: patches are cut as the service cuts them, light changes nothing, and a width can be learned."""

import json

import numpy as np
import torch
from PIL import Image

from locating import bundle, widths


def places(height=30, width=40):
    """Each sample tells its place: the first channel the column, the second the row. As the tests of src/infer/widths.rs."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x, y, np.full_like(x, 0.5)])


def test_the_tip_stands_where_the_network_expects_it_whichever_way_the_loop_points():
    for toward in ((0.0, -1.0), (1.0, 0.0), (0.6, 0.8)):
        patch = widths.cut(places(), (20.5, 15.5), toward, side=8, ahead=2)
        dx, dy = toward
        for row, back in ((2, 0), (0, -2), (7, 5)):
            assert np.allclose(patch[:2, row, 4], (20 - back * dx, 15 - back * dy), atol=1e-4)
    assert widths.cut(places(), (20.5, 15.5), (0.0, -1.0), 8, 2)[:2, 2, 5].tolist() == [21.0, 15.0]
    assert widths.cut(places(), (20.75, 15.5), (0.0, -1.0), 8, 2)[:2, 2, 4].tolist() == [20.25, 15.0]


def test_beyond_the_picture_its_border_goes_on():
    patch = widths.cut(places(), (0.5, 0.5), (0.0, -1.0), 8, 2)
    assert patch[:2, 0, 0].tolist() == [0.0, 0.0] and patch[:2, 7, 7].tolist() == [3.0, 5.0]
    assert widths.cut(places(), (39.5, 29.5), (0.0, -1.0), 8, 2)[:2, 7, 7].tolist() == [39.0, 29.0]


def vessel(um, seed):
    """A dark upright stroke of this width at 4 um a sample, on skin of some colour."""
    rng = np.random.default_rng(seed)
    across = np.abs(np.arange(widths.SIDE + 2 * widths.MOVED) - widths.SIDE / 2 - widths.MOVED)
    depth = np.clip(um / 8.0 - across + 0.5, 0.0, 1.0)
    skin = rng.uniform(120, 220, 3)
    picture = skin * (1.0 - 0.4 * depth[None, :, None]) + rng.normal(0, 2, (len(across), len(across), 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def made_up(count=384):
    um = np.random.default_rng(0).uniform(10, 80, count)
    return widths.Loops(np.stack([vessel(w, i) for i, w in enumerate(um)]), um, np.array([f"s{i % 10}" for i in range(count)]), um * 1.3, np.full(count, 2.0))


def test_a_width_is_learned_and_a_seed_gives_the_same_network():
    loops = made_up()
    held = loops.subject == "s0"
    one, history = widths.learn(loops, held, epochs=6, seed=1, batch=32)
    again, _ = widths.learn(loops, held, epochs=6, seed=1, batch=32)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), again.state_dict().values()))
    off = widths.errors(one, loops, held)
    assert off["20 to 50 um"][1] < 0.2 and off["20 to 50 um"][2] > off["20 to 50 um"][0] and len(history) == 6
    patch = torch.from_numpy(loops.patches[:8, 2:-2, 2:-2]).permute(0, 3, 1, 2).float() / 255.0
    with torch.no_grad():
        assert (one(patch) - one(patch * 0.8)).abs().max() < 0.2, "a dimmer lamp makes no other vessel"


def drawn(folder):
    """Two pictures of 2 um a pixel with a loop each, one found and one far from what was found."""
    (folder / "frames").mkdir(parents=True)
    lines, images = [], []
    for number, away in enumerate((3, 60)):
        Image.fromarray(np.full((200, 300, 3), 150, np.uint8)).save(folder / f"frames/{number}.png")
        loop = {"x": 150.0, "y": 100.0, "toward": [0.0, -1.0], "apical_um": 14.0, "class": "hairpin", "row": 0}
        lines.append(json.dumps({"file": f"frames/{number}.png", "subject": f"s{number}", "optics": {"defocus_um": [1.0, 3.0]}, "truth": {"um_per_px": 2.0, "loops": [loop, loop | {"class": "abnormal"}]}}))
        one = {"apex": [150.0 + away, 100.0], "toward": [0.0, -1.0], "apical_um": 15.0, "counted": True}
        images.append({"file": f"frames/{number}.png", "measured": {"loops": [one]}})
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "loops.json").write_text(json.dumps({"images": images}))
    return folder


def test_loops_are_cut_where_they_were_found(tmp_path):
    loops = widths.loops_of(drawn(tmp_path), 4.0)
    assert loops.um.tolist() == [14.0] and loops.said_um.tolist() == [15.0] and loops.subject.tolist() == ["s0"] and loops.blur_um.tolist() == [2.0]
    assert loops.patches.shape == (1, 44, 44, 3) and (loops.patches == 150).all()


def test_a_bundle_with_widths_names_them_and_keeps_what_it_was(tmp_path):
    from pathlib import Path

    before = next((Path(__file__).parents[2]).glob("locator-synth-0*"))
    torch.manual_seed(0)
    facts = {"loops": 7, "subjects": 2, "held": "not measured", "held_subjects": 1, "epochs": 1, "seed": 0, "weights": 3, "torch": torch.__version__}
    bundle.with_widths(tmp_path / "new", before, widths.WidthNetwork().eval(), facts, "9.0.0", ["one", "two"])
    new = tmp_path / "new"
    assert (new / "model.onnx").read_bytes() == (before / "model.onnx").read_bytes()
    manifest = (new / "manifest.toml").read_text()
    assert 'version = "9.0.0"' in manifest and "side = 40" in manifest and f'"widths.onnx" = "{bundle.sha256(new / "widths.onnx")}"' in manifest
    expected = json.loads((new / "golden/expected.json").read_text())
    assert len(expected["widths"]) == 4 and expected["cells"] == json.loads((before / "golden/expected.json").read_text())["cells"]
    bundle.with_widths(tmp_path / "newer", new, widths.WidthNetwork().eval(), facts, "9.0.1", [])
    newer = (tmp_path / "newer/CARD.md").read_text()
    assert "* none yet: `hairpin eval`\n\n## What it must not" in newer and "* one" not in newer and newer.count("## The network for widths") == 1
    card = (new / "CARD.md").read_text()
    assert card.startswith("# locator-synth 9.0.0\n") and "## The network for widths\n" in card and "* one\n* two\n\n## What it must not" in card
