"""`manifest.toml` of both kinds of bundle that the kit makes: by features, and networks (`docs/bundles.md`)."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from .calls import Calls
from .loops import MeasuredBy
from .problem import USAGE, Problem
from .table import Cohort
from .whole import sha256

NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Identity:
    """What a bundle is called and whom it was made of."""

    name: str
    version: str
    licence: str
    cohort: str
    description: str

    def __post_init__(self) -> None:
        for what in (self.name, self.version):
            if not NAME.fullmatch(what):
                raise Problem(f"{what!r}: names and versions have letters, digits, '-', '_' and '.' only", USAGE)


def written(folder: Path, identity: Identity, cohort: Cohort, task: str, sections: str, calls: Calls, how: str) -> None:
    """`sections` are the tables between [cohort] and [calibration]; every file of the folder gets its digest."""
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    digests = "\n".join(f"{_t(name)} = {_t(sha256(folder / name))}" for name in files)
    (folder / "manifest.toml").write_text(f"""schema = 1
name = {_t(identity.name)}
version = {_t(identity.version)}
task = {_t(task)}
scheme = {_t(cohort.scheme)}
labels = {_t(list(cohort.labels))}
positive = {_t(cohort.labels[1])}
licence = {_t(identity.licence)}
model = "model.onnx"

[cohort]
name = {_t(identity.cohort)}
synthetic = {_t(cohort.drawn)}
validated_on_patients = false
description = {_t(identity.description)}

{sections.strip()}

[calibration]
temperature = {calls.temperature:.4f}
how = {_t(f"temperature scaling on {calls.subjects} held-out subjects")}

[thresholds]
lower = {calls.thresholds.lower}
upper = {calls.thresholds.upper}
how = {_t(how)}

[files]
{digests}
""")


def thresholds_how(calls: Calls) -> str:
    fields = "two fields" if calls.recur == 2 else "one field"
    return (
        f"on the calibration subjects: budget of {100 * calls.exam_budget:g} % of healthy eight-finger exams with a false finger, "
        f"{fields} to recur; {calls.false_alarms} of {calls.clean_fingers} fingers seen"
    )


def features_sections(
    size: tuple[int, int], filter_: str, groups: tuple[str, ...], versions: dict[str, str], seen: list[list[float]], loops: MeasuredBy | None
) -> str:
    """Without a coarsest scale: the whole picture becomes `size` whatever its scale was. `loops` of the group shape."""
    measured = "" if loops is None else f"""
[features.loops]
locator = {_t(loops.locator)}
version = {_t(loops.version)}
sha256 = {_t(loops.sha256)}
limits = {{ {", ".join(f"{key} = {value!r}" for key, value in loops.limits.items())} }}
"""
    return f"""
[features]
size = {_t(list(size))}
filter = {_t(filter_)}
groups = {_t(list(groups))}
opencv = {_t(versions["opencv"])}
mahotas = {_t(versions["mahotas"])}
scikit_image = {_t(versions["scikit_image"])}
seen = {_t(seen)}
{measured}
[input]
name = "features"

[output]
name = "probabilities"
"""


def _t(value: object) -> str:
    """TOML's strings, booleans and arrays of them are JSON's, as long as no character beyond ASCII is escaped."""
    return json.dumps(value, ensure_ascii=False)
