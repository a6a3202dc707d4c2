"""What a table may hold, and what each complaint names."""

import json

import pytest
from kit_cohort import HEADER, entries, picture, written

from kit import table
from kit.problem import Problem


def refused(tmp_path, change, match, header=HEADER, **options):
    rows = entries(6)
    change(rows)
    source = written(tmp_path, rows, header)
    with pytest.raises(Problem, match=match):
        table.read(source, **options)


def test_a_good_table_is_read_with_its_scheme(tmp_path):
    cohort = table.read(written(tmp_path, entries(6)))
    assert (len(cohort.rows), len(cohort.subjects), cohort.scheme, cohort.labels) == (24, 6, "normal-abnormal", ("normal", "abnormal"))
    assert [row.positive for row in cohort.rows[:8]] == [False] * 4 + [True] * 4
    assert cohort.rows[0].um_per_px == 2.5 and cohort.rows[0].where == "images.csv row 2"


@pytest.mark.parametrize(("change", "match"), [
    (lambda rows: rows[3].update(label=""), "row 5: label is empty"),
    (lambda rows: rows[3].update(finger="thumb"), "row 5: finger 'thumb'"),
    (lambda rows: rows[3].update(um_per_px="fine"), "row 5: um_per_px 'fine' is not a number"),
    (lambda rows: rows[3].update(um_per_px="nan"), "row 5: um_per_px nan"),
    (lambda rows: rows[3].update(label="odd"), "images.csv row 5: 'odd'"),
    (lambda rows: rows[3].update(label="abnormal"), "subject p0: normal in images.csv row 2, abnormal in images.csv row 5"),
    (lambda rows: rows[3].update(scheme="maricq"), "row 5: scheme 'maricq'"),
    (lambda rows: [row.update(label="normal") for row in rows], "one class only"),
    (lambda rows: [row.update(scheme="other") for row in rows], "'other' is not known"),
    (lambda rows: [row.update(scheme="") for row in rows], "no scheme is given"),
])
def test_a_bad_row_is_refused_by_its_number(tmp_path, change, match):
    refused(tmp_path, change, match)


def test_a_missing_column_is_named(tmp_path):
    refused(tmp_path, lambda rows: None, "no column 'subject'", header=tuple(name for name in HEADER if name != "subject"))


def test_a_missing_file_is_named_with_its_row(tmp_path):
    source = written(tmp_path, entries(6))
    (tmp_path / "p1-L3-2.png").unlink()
    with pytest.raises(Problem, match="row 9: p1-L3-2.png: no such file"):
        table.read(source)


def test_a_label_may_be_of_an_image_when_that_is_said(tmp_path):
    rows = entries(6)
    rows[3]["label"] = "abnormal"
    assert sum(row.positive for row in table.read(written(tmp_path, rows), label_of="image").rows) == 13


def test_columns_that_are_not_read_are_said(tmp_path):
    rows = [row | {"operator": "x"} for row in entries(6)]
    assert "operator" in table.read(written(tmp_path, rows, (*HEADER, "operator"))).notes[0]


def test_folders_tell_label_and_subject(tmp_path):
    for subject in range(4):
        folder = tmp_path / ("abnormal" if subject % 2 else "normal") / f"p{subject}"
        folder.mkdir(parents=True)
        picture(False, subject).save(folder / "a.png")
    cohort = table.read(tmp_path, scheme="normal-abnormal")
    assert [row.subject for row in cohort.rows] == ["p1", "p3", "p0", "p2"]


def test_images_without_a_subject_are_refused(tmp_path):
    (tmp_path / "normal").mkdir()
    picture(False, 1).save(tmp_path / "normal" / "a.png")
    with pytest.raises(Problem, match="label/subject/picture"):
        table.read(tmp_path, scheme="normal-abnormal")


def test_a_drawn_set_leaves_out_what_the_rules_cannot_say(tmp_path):
    def line(subject, category):
        truth = {"um_per_px": 1.3, "category": category}
        return json.dumps({"file": "frames/a.jpg", "subject": subject, "finger": "R2", "field": 0, "device": {"field_um": 1600.0}, "truth": truth})

    (tmp_path / "truth.jsonl").write_text("\n".join([line("s1", "one"), line("s2", "two"), line("s2", None)]) + "\n")
    cohort = table.read(tmp_path)
    assert cohort.drawn and cohort.labels == ("category_1", "category_2") and [row.positive for row in cohort.rows] == [False, True]
    assert cohort.rows[0].device == "field up to 1.7 mm"
