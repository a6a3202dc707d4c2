"""The group `shape`: what was measured of the loops, where it was."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .problem import Problem, several

NAMES = ("density_per_mm", "median_width_um", "largest_width_um", "giants", "loops")
NOTHING = [np.nan] * len(NAMES)


@dataclass(frozen=True)
class MeasuredBy:
    """The locating network and the limits that loops were measured with: a model of them reads no others."""

    locator: str
    version: str
    sha256: str
    limits: dict[str, float]


def measured_by(path: Path) -> MeasuredBy:
    """As `hairpin read --json` says it; a table of figures does not."""
    try:
        document = json.loads(path.read_text()) if path.suffix == ".json" else {}
        locator, limits = document["locator"], document["limits"]
        return MeasuredBy(str(locator["name"]), str(locator["version"]), str(locator["sha256"]), {str(k): float(v) for k, v in limits.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(
            f"{path}: does not say by which locating network and with which limits its loops were measured, which a bundle must name; "
            f"write it with `hairpin read --json` of a configuration with [measure] ({error!r})"
        ) from error


def shape_of(path: Path, pictures: Iterable[Path]) -> np.ndarray:
    """[pictures, 5] out of what `hairpin read --json` wrote (PATH.json), or of a table with the column file and those of `NAMES`; NaN where a
    picture or a figure is missing. Files are taken from the folder that `path` lies in."""
    measured = {(path.parent / file).resolve(): values for file, values in (_read if path.suffix == ".json" else _table)(path)}
    return np.array([measured.get(picture.resolve(), NOTHING) for picture in pictures], np.float32).reshape(-1, len(NAMES))


def _read(path: Path) -> list[tuple[str, list[float]]]:
    try:
        images = json.loads(path.read_text())["images"]
        return [(image["file"], _figures(image.get("measured"))) for image in images]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(f"{path}: is not what `hairpin read --json` writes: {error!r}") from error


def _figures(measured: dict | None) -> list[float]:
    if measured is None:
        return NOTHING
    density = measured.get("density_per_mm") or {}
    found = (density.get("value"), *(measured.get(key) for key in ("median_apical_um", "widest_apical_um", "giants", "counted")))
    return [np.nan if value is None else float(value) for value in found]


def _table(path: Path) -> list[tuple[str, list[float]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in ("file", *NAMES) if name not in (reader.fieldnames or [])]
            if missing:
                raise Problem(f"{path}: no column {missing[0]!r}; a table of loops has file, {', '.join(NAMES)}")
            entries = list(enumerate(reader, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"{path}: cannot be read as a CSV table: {error}") from error
    measured, problems = [], []
    for number, entry in entries:
        try:
            measured.append((entry["file"], [float(entry[name]) if entry[name] else np.nan for name in NAMES]))
        except (TypeError, ValueError) as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise several(f"{path}: rows that cannot be used", problems)
    return measured
