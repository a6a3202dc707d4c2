"""The group `shape`: what was measured of the loops, where it was. For comparisons alone; no bundle can name it."""

import csv
from pathlib import Path

import numpy as np

from .problem import Problem, several
from .table import Row

NAMES = ("density_per_mm", "median_width_um", "largest_width_um", "giants", "loops")


def shape_of(path: Path, rows: tuple[Row, ...]) -> np.ndarray:
    """[rows, 5] out of a table with the column file and those of `NAMES`; NaN where a picture or a figure is missing."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in ("file", *NAMES) if name not in (reader.fieldnames or [])]
            if missing:
                raise Problem(f"{path}: no column {missing[0]!r}; a table of loops has file, {', '.join(NAMES)}")
            entries = list(enumerate(reader, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"{path}: cannot be read as a CSV table: {error}") from error
    measured, problems = {}, []
    for number, entry in entries:
        try:
            measured[(path.parent / entry["file"]).resolve()] = [float(entry[name]) if entry[name] else np.nan for name in NAMES]
        except (TypeError, ValueError) as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise several(f"{path}: rows that cannot be used", problems)
    nothing = [np.nan] * len(NAMES)
    return np.array([measured.get(row.path.resolve(), nothing) for row in rows], np.float32)
