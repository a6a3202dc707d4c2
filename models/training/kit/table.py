"""Reads labelled images: a CSV table, a folder of folders, or a set drawn by `hairpin synth`. Every complaint names file and row."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

from .problem import Problem, several
from .schemes import Scheme, scheme_of, two_labels

PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"}
FINGERS = {f"{hand}{digit}" for hand in "RL" for digit in range(1, 6)}
NEEDED = ("file", "subject", "finger", "device", "label")
KNOWN = (*NEEDED, "field", "um_per_px", "scheme")
# The daemon's own range of scales.
UM_PER_PX = (0.1, 20.0)
DRAWN_LABELS = {"one": "category_1", "two": "category_2"}


@dataclass(frozen=True)
class Row:
    """One labelled image."""

    path: Path
    subject: str
    finger: str
    field: str
    device: str
    um_per_px: float | None
    label: str
    where: str
    positive: bool = False

    @property
    def finger_key(self) -> tuple[str, str]:
        return (self.subject, self.finger)

    @property
    def field_key(self) -> tuple[str, str, str]:
        return (self.subject, self.finger, self.field)


@dataclass(frozen=True)
class Cohort:
    """Labelled images and what their labels mean."""

    rows: tuple[Row, ...]
    scheme: str
    labels: tuple[str, str]  # the positive one last
    drawn: bool
    source: str
    notes: tuple[str, ...] = ()

    @property
    def subjects(self) -> list[str]:
        return sorted({row.subject for row in self.rows})


def read(source: Path, scheme: str | None = None, positive: str | None = None, label_of: str = "subject") -> Cohort:
    """`label_of` is "subject" where all images of a person carry one label, "image" where a label is what that image shows."""
    rows, said, notes, drawn = _rows(source)
    if scheme and said and scheme != said:
        raise Problem(f"{source}: the table says scheme {said}, the command line {scheme}")
    chosen = scheme_of(scheme or said, str(source))
    return _cohort(rows, chosen, positive, "image" if drawn else label_of, source, notes, drawn)


def _cohort(rows: list[Row], scheme: Scheme, positive: str | None, label_of: str, source: Path, notes: list[str], drawn: bool) -> Cohort:
    strangers = [f"{row.where}: {row.label!r}" for row in rows if row.label not in scheme.labels]
    if strangers:
        raise several(f"{source}: labels that {scheme.name} does not have (it has {', '.join(scheme.labels)})", strangers)
    negative, positive = two_labels(scheme, {row.label for row in rows}, positive, str(source))
    if label_of == "subject":
        _one_label_a_subject(rows, source)
    marked = tuple(Row(**{**vars(row), "positive": row.label == positive}) for row in rows)
    return Cohort(marked, scheme.name, (negative, positive), drawn, str(source), tuple(notes))


def _one_label_a_subject(rows: list[Row], source: Path) -> None:
    first: dict[str, Row] = {}
    both = []
    for row in rows:
        other = first.setdefault(row.subject, row)
        if other.label != row.label:
            both.append(f"subject {row.subject}: {other.label} in {other.where}, {row.label} in {row.where}")
    if both:
        raise several(f"{source}: a subject in two classes (say --label-of image where a label is what one image shows)", both)


def _rows(source: Path) -> tuple[list[Row], str | None, list[str], bool]:
    if source.is_file():
        return *_csv(source), False
    if not source.is_dir():
        raise Problem(f"{source}: there is no such table or folder")
    if (source / "truth.jsonl").exists():
        return _drawn(source), "fast-track", ["fields where the rules say nothing are left out"], True
    if (source / "images.csv").exists():
        return *_csv(source / "images.csv"), False
    return _folders(source), None, ["fingers, devices and scales are not known: folders do not tell"], False


def _csv(path: Path) -> tuple[list[Row], str | None, list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            header = [name.strip() for name in reader.fieldnames or []]
            entries = list(enumerate(reader, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"{path}: cannot be read as a CSV table: {error}") from error
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise Problem(f"{path}: no column {missing[0]!r}; a table has {', '.join(NEEDED)}, and may have field, um_per_px, scheme")
    if not entries:
        raise Problem(f"{path}: holds no row")
    problems, rows, schemes = [], [], {}
    for number, entry in entries:
        try:
            rows.append(_row(path, number, entry, "field" in header))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
        if "scheme" in header:
            schemes.setdefault((entry["scheme"] or "").strip(), number)
    if len(schemes) > 1:
        problems += [f"row {number}: scheme {name!r}" for name, number in schemes.items()]
    if problems:
        raise several(f"{path}: rows that cannot be used", problems)
    ignored = [name for name in header if name not in KNOWN]
    notes = [f"columns that are not read: {', '.join(ignored)}"] if ignored else []
    if "field" not in header:
        notes.append("no column field: every image counts as a field of its own")
    return rows, next(iter(schemes), None) or None, notes


def _row(path: Path, number: int, entry: dict, with_field: bool) -> Row:
    # A row that is too short has None, one that is too long has a list under None.
    if None in entry or any(entry[name] is None for name in NEEDED):
        raise ValueError("has not as many columns as the header")
    said = {name: entry[name].strip() for name in NEEDED}
    empty = [name for name in NEEDED if not said[name]]
    if empty:
        raise ValueError(f"{empty[0]} is empty")
    if said["finger"] not in FINGERS:
        raise ValueError(f"finger {said['finger']!r} is none of R1 to R5, L1 to L5")
    picture = path.parent / said["file"]
    if not picture.is_file():
        raise ValueError(f"{said['file']}: no such file beside the table")
    field = (entry.get("field") or "").strip() if with_field else f"{number}"
    if not field:
        raise ValueError("field is empty")
    scale = _scale((entry.get("um_per_px") or "").strip())
    return Row(picture, said["subject"], said["finger"], field, said["device"], scale, said["label"], f"{path.name} row {number}")


def _scale(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"um_per_px {text!r} is not a number") from None
    if not math.isfinite(value) or not UM_PER_PX[0] <= value <= UM_PER_PX[1]:
        raise ValueError(f"um_per_px {text} is not from {UM_PER_PX[0]} to {UM_PER_PX[1]}")
    return value


def _folders(source: Path) -> list[Row]:
    """`label/subject/picture`: the least that a split by subject needs."""
    rows = []
    for picture in sorted(p for p in source.rglob("*") if p.suffix.lower() in PICTURES):
        parts = picture.relative_to(source).parts
        if len(parts) != 3:
            raise Problem(
                f"{picture}: a folder of images is label/subject/picture; without its subject an image cannot be split by subject. "
                "Or give a table (images.csv)"
            )
        label, subject, name = parts
        rows.append(Row(picture, subject, "R4", name, "unknown", None, label, str(picture.relative_to(source))))
    if not rows:
        raise Problem(f"{source}: holds no truth.jsonl, no images.csv and no label/subject/picture")
    return rows


def _drawn(folder: Path) -> list[Row]:
    rows = []
    for number, line in enumerate((folder / "truth.jsonl").read_text().splitlines(), start=1):
        where = f"truth.jsonl line {number}"
        try:
            entry = json.loads(line)
            category = entry["truth"]["category"]
            if category is None:
                continue
            rows.append(Row(
                folder / entry["file"], f"{folder.name}/{entry['subject']}", entry["finger"], str(entry["field"]),
                _drawn_device(entry["device"]["field_um"]), float(entry["truth"]["um_per_px"]), DRAWN_LABELS[category], where,
            ))
        except (KeyError, TypeError, ValueError) as error:
            raise Problem(f"{folder}/{where}: not a frame's truth: {error!r}") from error
    return rows


def _drawn_device(field_um: float) -> str:
    """Three clinical microscopes' widths of field (Sebastiani 2013), and lower magnifications."""
    if field_um <= 1700.0:
        return "field up to 1.7 mm"
    return "field 1.7 to 2.8 mm" if field_um <= 2800.0 else "field over 2.8 mm"
