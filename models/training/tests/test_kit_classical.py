"""The six classifiers as ONNX, and the commands from a table to a bundle."""

import hashlib
import json
import tomllib

import numpy as np
import pytest
from kit_cohort import entries, written

from kit import bundle, classical, convert, features, table
from kit.__main__ import main
from kit.loops import shape_of
from kit.problem import Problem


def learned(name, seed=1, rows=240):
    rng = np.random.default_rng(seed)
    truth = rng.random(rows) < 0.5
    matrix = (rng.normal(size=(rows, 8)) * 10.0 ** np.arange(-3, 5) + np.outer(truth, 10.0 ** np.arange(-3, 5))).astype(np.float32)
    return classical.fit(name, matrix, truth, seed), matrix, truth


@pytest.mark.parametrize("name", classical.CLASSIFIERS)
def test_onnx_answers_as_python_does_with_the_scaler_inside(name):
    pipeline, matrix, truth = learned(name)
    model = convert.converted(pipeline, 8)
    assert convert.parity(pipeline, model, matrix) <= convert.PARITY
    session = convert.session(model)
    assert [i.name for i in session.get_inputs()] == ["features"] and [o.name for o in session.get_outputs()] == ["probabilities"]
    answers = convert.answers(model, matrix)
    assert answers.shape == (240, 2) and answers.dtype == np.float32 and np.allclose(answers.sum(axis=1), 1.0, atol=1e-5)
    assert ((answers[:, 1] > 0.5) == truth).mean() > 0.9
    # One row alone, as the daemon asks.
    assert np.allclose(convert.answers(model, matrix[:1]), answers[:1], atol=1e-6)


@pytest.mark.parametrize("name", classical.CLASSIFIERS)
def test_a_seed_gives_the_same_model(name):
    assert convert.converted(learned(name)[0], 8) == convert.converted(learned(name)[0], 8)


def test_a_model_that_answers_otherwise_is_refused():
    pipeline, matrix, _ = learned("lr")
    other = convert.converted(learned("lr", seed=2)[0], 8)
    with pytest.raises(Problem, match="differ from Python's probabilities"):
        convert.parity(pipeline, other, matrix)


def test_a_missing_shape_becomes_the_training_median():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(100, 5)).astype(np.float32)
    truth = matrix[:, 0] > 0
    matrix[::3, 1] = np.nan
    pipeline = classical.fit("lr", matrix, truth, 1)
    filled = matrix.copy()
    filled[::3, 1] = np.nanmedian(matrix[:, 1])
    assert np.allclose(classical.probabilities(pipeline, matrix), classical.probabilities(pipeline, filled), atol=1e-6)


def test_the_column_that_tells_is_the_important_one():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 4)).astype(np.float32)
    truth = matrix[:, 2] > 0
    ranked = classical.importance(classical.fit("rf", matrix, truth, 1), matrix, truth, list("abcd"), 1)
    assert ranked[0][0] == "c" and ranked[0][1] > 0.2


def kit(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["kit", *map(str, words)])
    return main()


QUICK = ("--size", "64x48", "--repeats", "2", "--threads", "1")


def test_fit_writes_a_bundle_that_holds_what_its_manifest_says(tmp_path, monkeypatch):
    source = written(tmp_path / "data", entries(40))
    out = tmp_path / "bundle"
    assert kit(monkeypatch, "fit", source, "--model", "lightgbm", "--features", "hu,haralick", "--out", out, "--work", tmp_path / "work", *QUICK) == 0
    manifest = tomllib.loads((out / "manifest.toml").read_text())
    assert manifest["task"] == "features" and manifest["labels"] == ["normal", "abnormal"] and manifest["positive"] == "abnormal"
    assert manifest["features"]["groups"] == ["hu", "haralick"] and manifest["features"]["size"] == [64, 48]
    assert manifest["cohort"]["synthetic"] is False and manifest["cohort"]["validated_on_patients"] is False
    assert len(manifest["features"]["seen"]) == 20 and 0 < manifest["thresholds"]["lower"] <= manifest["thresholds"]["upper"] < 1
    assert manifest["files"] == {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in manifest["files"]}
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == sorted([*manifest["files"], "manifest.toml"])
    golden = json.loads((out / "golden/features.json").read_text())
    picture = features.prepared(out / golden["picture"], (64, 48))
    again = features.of_picture(picture, ("hu", "haralick"))
    assert golden["columns"] == features.columns(("hu", "haralick")) and (again == np.float32(golden["features"])).all()
    answer = convert.answers((out / "model.onnx").read_bytes(), np.float32([golden["features"]]))[0]
    assert answer == pytest.approx(golden["probabilities"], abs=1e-6)
    card = (out / "CARD.md").read_text()
    assert "Not validated on patients" in card and "70 to 30" in card and "drawn" not in card


def test_a_second_fit_of_the_same_is_the_same_and_replaces_nothing_unasked(tmp_path, monkeypatch, capsys):
    source = written(tmp_path / "data", entries(40))
    words = ("fit", source, "--model", "lr", "--features", "hu", "--work", tmp_path / "work", *QUICK)
    assert kit(monkeypatch, *words, "--out", tmp_path / "a") == 0 and kit(monkeypatch, *words, "--out", tmp_path / "b") == 0
    assert all((tmp_path / "a" / p.relative_to(tmp_path / "b")).read_bytes() == p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file())
    assert kit(monkeypatch, *words, "--out", tmp_path / "a") == 2
    assert "is there already" in capsys.readouterr().err


def test_unreadable_images_are_named_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    rows = entries(40)
    source = written(tmp_path / "data", rows)
    for number in (4, 7):
        (tmp_path / "data" / rows[number]["file"]).write_bytes(b"no picture")
    status = kit(monkeypatch, "fit", source, "--model", "lr", "--out", tmp_path / "out", "--work", tmp_path / "work", *QUICK)
    said = capsys.readouterr().err
    assert status == 65 and "images.csv row 6" in said and "images.csv row 9" in said and not (tmp_path / "out").exists()


def test_compare_writes_one_page_and_goes_on_where_it_was(tmp_path, monkeypatch):
    source = written(tmp_path / "data", entries(40))
    words = ("compare", source, "--models", "lr", "knn", "--combinations", "hu", "haralick,lbp", "--work", tmp_path / "work", *QUICK)
    assert kit(monkeypatch, *words, "--out", tmp_path / "one") == 0
    kept = list((tmp_path / "work" / "compared").iterdir())
    assert len(kept) == 4
    monkeypatch.setattr(classical, "fit", None)
    assert kit(monkeypatch, *words, "--out", tmp_path / "two") == 0
    page = (tmp_path / "one" / "comparison.html").read_text()
    assert page == (tmp_path / "two" / "comparison.html").read_text()
    assert "must not be compared as equals" in page and "knn haralick+lbp" in page and "src=" not in page and "href=" not in page
    models = json.loads((tmp_path / "one" / "comparison.json").read_text())["models"]
    assert models["lr haralick+lbp"]["first"]["image"]["auc"]["value"] > 0.9


def test_a_comparison_made_elsewhere_stands_on_the_same_page_if_it_is_of_the_same_images(tmp_path, monkeypatch, capsys):
    source = written(tmp_path / "data", entries(40))
    words = ("compare", source, "--combinations", "hu", "--work", tmp_path / "work", *QUICK)
    assert kit(monkeypatch, *words, "--models", "lr", "--out", tmp_path / "one") == 0
    both = (*words, "--models", "knn", "--add", tmp_path / "one" / "comparison.json")
    assert kit(monkeypatch, *both, "--out", tmp_path / "two") == 0
    assert set(json.loads((tmp_path / "two" / "comparison.json").read_text())["models"]) == {"lr hu", "knn hu"}
    assert kit(monkeypatch, *both, "--seed", "2", "--out", tmp_path / "three") == 65
    assert "cannot stand on one page" in capsys.readouterr().err
    (tmp_path / "one" / "comparison.json").write_text("[]")
    assert kit(monkeypatch, *both, "--out", tmp_path / "three") == 65
    assert "is no comparison.json" in capsys.readouterr().err and not (tmp_path / "three").exists()


def test_loops_add_the_group_shape_to_a_comparison(tmp_path, monkeypatch):
    rows = entries(40)
    source = written(tmp_path / "data", rows)
    loops = tmp_path / "data" / "loops.csv"
    lines = [f"{row['file']},{4 if row['label'] == 'abnormal' else 9},20,60,1,8" for row in rows if not row["file"].endswith("L3-2.png")]
    loops.write_text("\n".join(["file,density_per_mm,median_width_um,largest_width_um,giants,loops", *lines]) + "\n")
    words = ("compare", source, "--models", "lr", "--combinations", "hu", "--loops", loops, "--work", tmp_path / "work", *QUICK)
    assert kit(monkeypatch, *words, "--out", tmp_path / "out") == 0
    assert set(json.loads((tmp_path / "out" / "comparison.json").read_text())["models"]) == {"lr hu", "lr hu+shape", "lr shape"}


def loops_json(path, rows, without=()):
    """As `hairpin read --json` writes them; of the files `without` the loops were not measured in full."""
    images = []
    for number, row in enumerate(rows):
        ill = row["label"] == "abnormal"
        measured = {"density_per_mm": {"value": (4 if ill else 9) + number % 3 / 4, "low": 1, "high": 12}, "median_apical_um": 20.0, "widest_apical_um": 60.5, "giants": int(ill), "counted": 8}
        if row["file"] in without:
            del measured["giants"]
        images.append({"file": row["file"], "measured": measured})
    locator = {"name": "locator-synth", "version": "0.1.0", "sha256": "ab" * 32, "cohort": "none", "validated_on_patients": False, "provider_running": "cpu"}
    path.write_text(json.dumps({"locator": locator, "limits": {"least_score": 0.3, "apart_um": 48.0}, "images": images}))
    return path


@pytest.mark.parametrize("groups", ("hu,shape", "shape"))
def test_a_bundle_of_the_group_shape_names_what_measured_its_loops(tmp_path, monkeypatch, groups):
    rows = entries(40)
    source = written(tmp_path / "data", rows)
    loops = loops_json(tmp_path / "data" / "loops.json", rows, without=("p3-L3-2.png", "p8-R4-1.png"))
    out = tmp_path / "bundle"
    assert kit(monkeypatch, "fit", source, "--model", "lightgbm", "--features", groups, "--loops", loops, "--out", out, "--work", tmp_path / "work", *QUICK) == 0
    manifest = tomllib.loads((out / "manifest.toml").read_text())
    assert manifest["features"]["groups"] == groups.split(",")
    assert manifest["features"]["loops"] == {"locator": "locator-synth", "version": "0.1.0", "sha256": "ab" * 32, "limits": {"least_score": 0.3, "apart_um": 48.0}}
    golden = json.loads((out / "golden/features.json").read_text())
    assert golden["columns"] == features.columns(tuple(groups.split(","))) and len(golden["features"]) == len(manifest["features"]["seen"])
    assert golden["features"][-4:] == [20.0, 60.5, golden["features"][-2], 8.0]
    answer = convert.answers((out / "model.onnx").read_bytes(), np.float32([golden["features"]]))[0]
    assert answer == pytest.approx(golden["probabilities"], abs=1e-6)
    card = (out / "CARD.md").read_text()
    assert "Of 160 images 2 were left out" in card and "shape: 5 columns of its loops as locator-synth 0.1.0 measures them" in card and "one piece of evidence and not two" in card


def test_what_a_bundle_of_the_group_shape_cannot_be_made_of_is_said(tmp_path, monkeypatch, capsys):
    rows = entries(12)
    source = written(tmp_path / "data", rows)
    table_of_loops = tmp_path / "data" / "loops.csv"
    table_of_loops.write_text("file,density_per_mm,median_width_um,largest_width_um,giants,loops\n")
    nothing = loops_json(tmp_path / "data" / "nothing.json", rows, without=[row["file"] for row in rows])
    words = ("fit", source, "--model", "lr", "--out", tmp_path / "out", "--work", tmp_path / "work", *QUICK)
    for more, status, said in (
        (("--features", "hu,shape"), 2, "the group shape and --loops go together"),
        (("--features", "hu", "--loops", nothing), 2, "the group shape and --loops go together"),
        (("--features", "shape", "--loops", table_of_loops), 65, "does not say by which locating network"),
        (("--features", "shape", "--loops", tmp_path / "none.json"), 65, "none.json"),
        (("--features", "shape", "--loops", nothing), 65, "of no image"),
    ):
        assert kit(monkeypatch, *words, *more) == status
        assert said in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert kit(monkeypatch, *words[:2], "--model", "resnet18", *words[4:], "--loops", nothing) == 2
    assert "resnet18 reads pixels" in capsys.readouterr().err


def test_loops_are_taken_as_the_daemon_writes_them(tmp_path):
    source = written(tmp_path, entries(2))
    cohort = table.read(source)
    some = {"density_per_mm": {"value": 6.5, "low": 5.0, "high": 8.0}, "median_apical_um": 14.0, "widest_apical_um": 52.0, "giants": 1, "counted": 9}
    images = [{"file": cohort.rows[0].path.name, "measured": some}, {"file": str(cohort.rows[1].path), "measured": {"not_measured": "no_row"}}, {"file": "x", "outcome": "refused"}]
    (source.parent / "loops.json").write_text(json.dumps({"images": images}))
    paths = [row.path for row in cohort.rows]
    found = shape_of(source.parent / "loops.json", paths)
    assert found[0].tolist() == [6.5, 14.0, 52.0, 1.0, 9.0] and np.isnan(found[1:]).all()
    (source.parent / "loops.json").write_text("[]")
    with pytest.raises(Problem, match="is not what `hairpin read --json` writes"):
        shape_of(source.parent / "loops.json", paths)


def test_the_golden_picture_is_one_whose_answer_does_not_turn_on_a_last_digit():
    size = (64, 48)
    pictures = list(bundle.made_up(size, 6))
    vectors = np.stack([features.of_picture(p, ("haralick",)) for p in pictures])
    # A tree that splits right at the first picture's first column.
    matrix = np.vstack([vectors, vectors * 1.00001])
    pipeline = classical.fit("rf", np.repeat(matrix, 10, axis=0), np.repeat(np.arange(len(matrix)) % 2 == 0, 10), 1)
    fitted = bundle.Fitted(pipeline, ("haralick",), size, "bilinear", matrix)
    model = convert.converted(pipeline, 13)
    picture, vector, answer = bundle.steadiest(fitted, model, [(picture, np.zeros(0)) for picture in pictures])
    assert (features.of_picture(picture, ("haralick",)) == vector).all() and np.allclose(convert.answers(model, vector[None])[0], answer)
