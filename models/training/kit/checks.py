"""`check-data`: what would make figures of a model false, found before one is made."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from fitting.measure import auc

from .splits import subject_split
from .problem import Problem
from .table import Cohort, Row

# Bits of 64 by which two images' hashes may differ and still be looked at side by side, and how far their fine structure must then agree
# (correlation) for them to be called near duplicates. Both ours: nailfolds lit alike have like hashes, and only copies have like loops.
NEAR_BITS, NEAR_ALIKE = 6, 0.9
# An AUC of a picture's plain mean colour this far from one half says that label and light go together; ours.
CONFOUNDED_AUC = 0.25
# Share of images of a device with one label beyond which label and device go together, given that the cohort itself is mixed; ours.
CONFOUNDED_SHARE = 0.9
# A burnt-in mark is a run of pixels of one pure value, as text, scale bars and lines are and skin is not: at least so many; ours.
MARK_PIXELS = 40


@dataclass
class Findings:
    """Errors make figures false or impossible; warnings want a look."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Look:
    """What is kept of one image."""

    digest: str
    hash: int
    mean: tuple[float, float, float]
    marks: int
    fine: np.ndarray  # 32 by 32, without the light's slow change, of mean 0 and length 1


def look(path: Path) -> Look:
    content = path.read_bytes()
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    pixels = np.asarray(rgb)
    mean = tuple(pixels.reshape(-1, 3).mean(axis=0))
    return Look(hashlib.sha256(content).hexdigest(), difference_hash(rgb), mean, mark_pixels(pixels), fine_structure(rgb))


def difference_hash(picture: Image.Image) -> int:
    """64 bits, each whether a cell of 9 by 8 is lighter than its right neighbour: the same for another size, quality or exposure."""
    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.LANCZOS), np.int16)
    return int("".join("1" if bit else "0" for bit in (grey[:, 1:] > grey[:, :-1]).ravel()), 2)


def fine_structure(picture: Image.Image) -> np.ndarray:
    grey = picture.convert("L").resize((32, 32), Image.Resampling.BOX)
    slow = grey.resize((8, 8), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BICUBIC)
    fine = np.asarray(grey, np.float32) - np.asarray(slow, np.float32)
    fine -= fine.mean()
    return fine / max(float(np.linalg.norm(fine)), 1e-6)


def mark_pixels(rgb: np.ndarray) -> int:
    """Where runs of eight pure pixels (black, white or a primary colour) begin, along a row or a column, that are thin: at most six pixels
    across. Glare and dark corners are broad; text, lines and scale bars are not."""
    pure = np.isin(rgb, (0, 255)).all(axis=2)
    return _thin_runs(pure) + _thin_runs(pure.T)


def _thin_runs(pure: np.ndarray, run: int = 8, reach: int = 6) -> int:
    height, width = pure.shape
    if height <= 2 * reach or width <= run:
        return 0
    thin = pure[reach:-reach] & ~pure[: -2 * reach] & ~pure[2 * reach :]
    return int(np.logical_and.reduce([thin[:, i : width - run + 1 + i] for i in range(run)]).sum())


def checked(cohort: Cohort, seed: int, against: Cohort | None = None) -> Findings:
    """`against` is a table that is kept apart as a test: no subject and no picture may be in both."""
    found = Findings(notes=list(cohort.notes))
    looks = _looks(found, cohort)
    copies(found, looks | (_looks(found, against) if against else {}))
    if against:
        found.errors += leak_between(cohort, against)
    confounds(found, cohort, looks)
    marks(found, looks)
    labels(found, cohort)
    try:
        subject_split(cohort, seed)
    except Problem as problem:
        found.errors.append(str(problem))
    return found


def _looks(found: Findings, cohort: Cohort) -> dict[Row, Look]:
    looks = {}
    for row in tqdm(cohort.rows, desc="looking", unit="image", mininterval=2.0):
        try:
            looks[row] = look(row.path)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            found.errors.append(f"{row.where}: {row.path} cannot be read: {error}")
    return looks


def copies(found: Findings, looks: dict[Row, Look]) -> None:
    """The same bytes twice, and pictures that are nearly the same. Across subjects it is a leak, and an error."""
    by_digest: dict[str, list[Row]] = defaultdict(list)
    for row, seen in looks.items():
        by_digest[seen.digest].append(row)
    for rows in by_digest.values():
        for other in rows[1:]:
            _copy(found, rows[0], other, "is the same file as")
    rows = [some[0] for some in by_digest.values()]
    bits = np.array([[looks[row].hash >> place & 1 for place in range(64)] for row in rows], np.int8).reshape(-1, 64)
    for place, row in enumerate(rows):
        for other in np.flatnonzero((bits[place + 1 :] != bits[place]).sum(axis=1) <= NEAR_BITS) + place + 1:
            if float((looks[row].fine * looks[rows[other]].fine).sum()) < NEAR_ALIKE:
                continue
            _copy(found, row, rows[other], "is nearly the same as")


def _copy(found: Findings, one: Row, other: Row, how: str) -> None:
    text = f"{other.where}: {other.path.name} {how} {one.path.name} of {one.where}"
    if one.subject != other.subject:
        found.errors.append(f"{text}, of another subject ({other.subject}, {one.subject}): one of them would be in two parts of a split")
    elif one.label != other.label:
        found.errors.append(f"{text}, with another label ({other.label}, {one.label})")
    elif one.field_key != other.field_key:
        found.warnings.append(f"{text}, as another field: copies would count as evidence that recurs")


def confounds(found: Findings, cohort: Cohort, looks: dict[Row, Look]) -> None:
    """Whether the device or the mean colour alone tells the label."""
    rows = list(looks)
    if not rows:
        return
    truth = np.array([row.positive for row in rows])
    device = np.array([row.device for row in rows])
    for name in np.unique(device):
        share = truth[device == name].mean()
        if len(np.unique(device)) > 1 and max(share, 1.0 - share) >= CONFOUNDED_SHARE:
            label = cohort.labels[int(share >= 0.5)]
            found.warnings.append(f"device {name}: {100 * max(share, 1 - share):.0f} % of its {int((device == name).sum())} images are {label}: a model can learn the device instead")
    means = np.array([looks[row].mean for row in rows])
    for channel, name in enumerate(("red", "green", "blue")):
        area = auc(means[:, channel], truth)
        if abs(area - 0.5) >= CONFOUNDED_AUC:
            found.warnings.append(f"the mean {name} of an image alone tells the label with AUC {max(area, 1 - area):.2f}: a model can learn the light instead")
    scales = {label: {row.um_per_px for row in rows if row.label == label} for label in cohort.labels}
    if not scales[cohort.labels[0]] & scales[cohort.labels[1]]:
        found.warnings.append("no scale (um_per_px) occurs with both labels: a model can learn the magnification instead")
    if any(row.um_per_px is None for row in rows):
        found.notes.append(f"{sum(row.um_per_px is None for row in rows)} images have no scale: networks on tiles of fixed um_per_px cannot be made of them")


def marks(found: Findings, looks: dict[Row, Look]) -> None:
    marked = [row for row, seen in looks.items() if seen.marks >= MARK_PIXELS]
    for row in marked:
        found.warnings.append(f"{row.where}: {row.path.name} seems to hold a burnt-in mark ({looks[row].marks} pixels): text, a line or a scale bar")
    for label in sorted({row.label for row in looks}):
        of_label = [row for row in looks if row.label == label]
        share, other = len([r for r in marked if r.label == label]) / len(of_label), [r for r in looks if r.label != label]
        elsewhere = len([r for r in marked if r.label != label]) / max(len(other), 1)
        if share - elsewhere >= 0.3:
            found.warnings.append(f"marks go with the label {label}: {100 * share:.0f} % of its images have one, {100 * elsewhere:.0f} % of the others")


def labels(found: Findings, cohort: Cohort) -> None:
    both: dict[str, set[str]] = defaultdict(set)
    for row in cohort.rows:
        both[row.subject].add(row.label)
    mixed = [subject for subject, said in both.items() if len(said) > 1]
    if mixed:
        found.notes.append(f"{len(mixed)} of {len(both)} subjects have images of both labels, as labels of single images may")
    spread = sum(row.positive for row in cohort.rows) / len(cohort.rows)
    if min(spread, 1.0 - spread) < 0.1:
        found.warnings.append(f"{100 * spread:.0f} % of the images are {cohort.labels[1]}: accuracy says little, look at sensitivity and specificity")


def leak_between(train: Cohort, test: Cohort) -> list[str]:
    """Subjects that two tables share, where a user keeps the parts apart by hand."""
    return [f"subject {name} is in {train.source} and in {test.source}" for name in sorted(set(train.subjects) & set(test.subjects))]
