"""Each leak is planted and must be found, and a clean cohort must be left alone."""

import numpy as np
from kit_cohort import entries, picture, written
from PIL import Image, ImageDraw

from kit import table
from kit.checks import checked, difference_hash, mark_pixels
from kit.__main__ import main


def of(tmp_path, change=lambda rows, folder: None, against=None):
    rows = entries(20)
    written(tmp_path, rows)
    change(rows, tmp_path)
    return checked(table.read(written(tmp_path, rows, pictures=False)), 1, against)


def test_a_clean_cohort_has_nothing_to_say(tmp_path):
    found = of(tmp_path)
    assert found.errors == [] and found.warnings == []


def test_the_same_picture_under_two_subjects_is_an_error(tmp_path):
    found = of(tmp_path, lambda rows, folder: (folder / rows[9]["file"]).write_bytes((folder / rows[0]["file"]).read_bytes()))
    assert len(found.errors) == 1 and "row 11" in found.errors[0] and "same file" in found.errors[0] and "of another subject (p2, p0)" in found.errors[0]


def test_a_recompressed_and_brightened_copy_is_found(tmp_path):
    def plant(rows, folder):
        with Image.open(folder / rows[0]["file"]) as copied:
            brighter = Image.fromarray(np.clip(np.asarray(copied, np.int16) + 12, 0, 255).astype(np.uint8))
        rows[8]["file"] = "copy.jpg"
        brighter.resize((128, 96)).save(folder / "copy.jpg", quality=80)

    found = of(tmp_path, plant)
    assert len(found.errors) == 1 and "nearly the same" in found.errors[0]


def test_a_copy_as_another_field_of_the_same_finger_is_a_warning(tmp_path):
    found = of(tmp_path, lambda rows, folder: (folder / rows[1]["file"]).write_bytes((folder / rows[0]["file"]).read_bytes()))
    assert found.errors == [] and "another field" in found.warnings[0]


def test_a_device_that_tells_the_label_is_found(tmp_path):
    found = of(tmp_path, lambda rows, folder: [row.update(device=row["label"]) for row in rows])
    assert any("learn the device" in line for line in found.warnings)


def test_light_that_tells_the_label_is_found(tmp_path):
    def darken(rows, folder):
        for row in rows:
            if row["label"] == "abnormal":
                with Image.open(folder / row["file"]) as seen:
                    darker = Image.fromarray((np.asarray(seen) // 2).astype(np.uint8))
                darker.save(folder / row["file"])

    assert any("learn the light" in line for line in of(tmp_path, darken).warnings)


def test_an_unreadable_image_is_named_with_its_row(tmp_path):
    found = of(tmp_path, lambda rows, folder: (folder / rows[4]["file"]).write_bytes(b"not a picture"))
    assert any("images.csv row 6" in line and "cannot be read" in line for line in found.errors)


def test_burnt_in_lines_are_marks_and_glare_is_not():
    plain = picture(True, 1, (320, 256))
    lined = plain.copy()
    ImageDraw.Draw(lined).line((40, 40, 200, 40), fill=(255, 255, 255), width=2)
    glare = plain.copy()
    ImageDraw.Draw(glare).ellipse((60, 60, 160, 160), fill=(255, 255, 255))
    assert mark_pixels(np.asarray(plain)) == 0 and mark_pixels(np.asarray(glare)) < 20 and mark_pixels(np.asarray(lined)) > 100


def test_other_pictures_have_other_hashes():
    hashes = [difference_hash(picture(bool(i % 2), i)) for i in range(40)]
    assert min(bin(a ^ b).count("1") for i, a in enumerate(hashes) for b in hashes[:i]) > 3


def test_subjects_in_both_tables_are_leaks_and_the_command_fails(tmp_path, capsys, monkeypatch):
    one, two = written(tmp_path / "one", entries(20)), written(tmp_path / "two", entries(4))
    monkeypatch.setattr("sys.argv", ["kit", "check-data", str(one), "--against", str(two)])
    assert main() == 65
    said = capsys.readouterr().out
    assert "subject p0 is in" in said and "0 errors" not in said
