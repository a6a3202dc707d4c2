"""Networks on a few small pictures: a stopped run is an unbroken one, exports answer alike, and int8 says what it lost."""

import json
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from kit_cohort import entries, picture, written
from PIL import Image

from kit import int8, netbundle, networks, table
from kit.__main__ import main
from kit.pictures import Input, kept_pictures
from kit.problem import USAGE, Problem

SMALL = Input("field", 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear")


def lessons():
    return [SMALL.kept(picture(bool(i % 2), i), None) for i in range(12)], np.arange(12) % 2 == 1


def run(checkpoint, epochs, upto=None, seed=1, workers=0):
    pictures, truth = lessons()
    course = networks.Course(epochs=epochs, batch=4, seed=seed, bf16=False)
    if upto is not None:
        kept, count = networks._epoch, 0

        def counted(*words):
            nonlocal count
            if count == upto:
                raise KeyboardInterrupt
            count += 1
            kept(*words)

        networks._epoch = counted
        try:
            with pytest.raises(KeyboardInterrupt):
                networks.train("resnet18", pictures, truth, SMALL, course, checkpoint, None)
        finally:
            networks._epoch = kept
    return networks.train("resnet18", pictures, truth, SMALL, course, checkpoint, None, workers).net.state_dict()


def test_a_stopped_run_goes_on_as_an_unbroken_one_would(tmp_path):
    whole, broken, other = run(tmp_path / "a.pt", 3), run(tmp_path / "b.pt", 3, upto=1), run(tmp_path / "c.pt", 3, seed=2)
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
    assert not all(torch.equal(whole[key], other[key]) for key in whole)


def test_the_network_is_the_same_whoever_makes_what_it_sees(tmp_path):
    alone, helped = run(tmp_path / "a.pt", 2), run(tmp_path / "b.pt", 2, workers=2)
    assert all(torch.equal(alone[key], helped[key]) for key in alone)


def test_a_finished_network_still_says_where_it_was_trained(tmp_path):
    run(tmp_path / "a.pt", 1)
    saved = torch.load(tmp_path / "a.pt", weights_only=True)
    torch.save(saved | {"on": ["some GPU (torch 2)"]}, tmp_path / "a.pt")
    pictures, truth = lessons()
    course = networks.Course(epochs=1, batch=4, seed=1, bf16=False)
    assert networks.train("resnet18", pictures, truth, SMALL, course, tmp_path / "a.pt", None).on == "some GPU (torch 2)"


def test_a_checkpoint_of_another_course_is_refused(tmp_path):
    run(tmp_path / "a.pt", 1)
    with pytest.raises(Problem, match="another course"):
        run(tmp_path / "a.pt", 2)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_every_network_is_there_and_takes_what_timm_says(name):
    input_ = networks.input_of(name, "field", 224, 7.0)
    assert input_.filter in ("bilinear", "bicubic") and len(input_.mean) == 3


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(networks.built("mobilenetv4_small", 32).state_dict(), tmp_path / "w.pth")
    with pytest.raises(Problem, match="tensors fit"):
        networks.built("resnet18", 32, tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(b"nothing")
    with pytest.raises(Problem, match="no file of weights"):
        networks.built("resnet18", 32, tmp_path / "w.pth")


def test_own_weights_are_taken_but_for_the_head(tmp_path):
    torch.manual_seed(0)
    import timm

    many = timm.create_model("resnet18", num_classes=1000)
    torch.save(many.state_dict(), tmp_path / "w.pth")
    own = networks.built("resnet18", 32, tmp_path / "w.pth")
    assert torch.equal(own.conv1.weight, many.conv1.weight) and own.get_classifier().out_features == 2


def test_tiles_need_a_scale_and_are_the_daemons(tmp_path):
    rows = entries(6)
    rows[2]["um_per_px"] = ""
    cohort = table.read(written(tmp_path, rows))
    with pytest.raises(Problem, match="images.csv row 4"):
        kept_pictures(cohort.rows, Input("tiles", 32, SMALL.mean, SMALL.std, "bilinear", 2.5), tmp_path, "x")
    shown = Image.fromarray(np.full((40, 70, 3), 128, np.uint8))
    assert Input("tiles", 32, SMALL.mean, SMALL.std, "bilinear", 2.5).served(shown, 2.5).shape == (6, 3, 32, 32)


def asked_to(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["kit", *map(str, words)])
    return main()


def test_sides_that_the_layer_cannot_quarter_are_refused_before_any_work(tmp_path, monkeypatch, capsys):
    source = written(tmp_path / "data", entries(10))
    assert asked_to(monkeypatch, "fit", source, "--model", "resnet18", "--light", "--side", "30", "--out", tmp_path / "net") == USAGE
    assert "a side is a multiple of 4" in capsys.readouterr().err


def test_with_the_light_taken_off_a_darker_picture_says_the_same(tmp_path):
    pictures, truth = lessons()
    course = networks.Course(epochs=1, batch=4, bf16=False, light=True)
    model = networks.train("resnet18", pictures, truth, SMALL, course, tmp_path / "a.pt", None).net
    shown = np.asarray(picture(True, 3).resize((32, 32)), np.float32)
    bright, dark = (torch.from_numpy(SMALL.served(Image.fromarray((light * shown).astype(np.uint8)), None)) for light in (1.0, 0.6))
    with torch.no_grad():
        assert (model.front(bright) - model.front(dark)).abs().median() < 0.2


def test_int8_leaves_the_layer_that_takes_the_light_off_as_it_is(tmp_path):
    model = networks.Lit(networks.built("resnet18", 32), SMALL).eval()
    netbundle.export(model, SMALL, tmp_path / "a.onnx")
    pictures = [SMALL.served(picture(True, seed), None) for seed in range(4)]
    int8.quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", pictures, int8.named(tmp_path / "a.onnx", netbundle.FRONT))
    nodes = onnx.load(tmp_path / "b.onnx").graph.node
    rounded = {name for node in nodes if node.op_type == "DequantizeLinear" for name in node.output}
    front = [node for node in nodes if node.name.startswith("/front/")]
    assert any(node.op_type == "Log" for node in front) and not any(rounded & set(node.input) for node in front)
    assert any(node.op_type == "Conv" and rounded & set(node.input) for node in nodes)


def test_fit_writes_both_bundles(tmp_path, monkeypatch):
    source = written(tmp_path / "data", entries(30))
    elsewhere = written(tmp_path / "other/frames", entries(2)).parent.parent
    names = [(row["file"], row["subject"], "yes" if row["label"] == "abnormal" else "no") for row in entries(2)]
    (elsewhere / "labels.csv").write_text("frame,subject,disease\n" + "".join(",".join(row) + "\n" for row in names))
    monkeypatch.setattr(netbundle, "MOST_LOST", 1.0)
    assert asked_to(
        monkeypatch, "fit", source, "--model", "resnet18", "--side", "32", "--epochs", "2", "--batch", "16", "--repeats", "1", "--no-bf16", "--light", "--int8",
        "--elsewhere", elsewhere, "--elsewhere-is", "eight made-up pictures", "--work", tmp_path / "work", "--out", tmp_path / "net",
    ) == 0
    for folder in (tmp_path / "net", tmp_path / "net-int8"):
        manifest = tomllib.loads((folder / "manifest.toml").read_text())
        assert manifest["task"] == "classify" and manifest["input"]["fit"] == {"kind": "resize"} and set(manifest["files"]) >= {"CARD.md", "model.onnx"}
        golden = json.loads((folder / "golden/expected.json").read_text())
        with Image.open(folder / "golden/input.png") as shown:
            input_ = networks.input_of("resnet18", "field", 32, 7.0)
            again = netbundle.logits(netbundle.session(folder / "model.onnx"), input_.served(shown.convert("RGB"), None))
        assert np.abs(again - golden["logits"]).max() < 1e-4
        said = (folder / "CARD.md").read_text()
        assert "a fixed local-contrast layer" in said and "eight made-up pictures" in said and "Subjects with a disease: 1, without: 1" in said
    assert "AUC lost" in Path(tmp_path / "net-int8" / "CARD.md").read_text()
