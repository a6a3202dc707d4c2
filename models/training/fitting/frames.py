"""The drawn frames on disk and what is true of them: a folder made by `hairpin synth` holds pictures and `truth.jsonl`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

LABELS = ("category_1", "category_2")

# Names of the simulator's words; another word is a newer simulator, and is refused rather than guessed at.
CATEGORIES = {"one": False, "two": True, None: None}
STRATA = {
    "normal": "no giant, density 7 or more",
    "otherwise": "no giant, density below 7, not rule 2",
    "giant": "giant",
    "loss_with_abnormal_shapes": "no giant, density 3 or less, abnormal shapes",
    None: "too little row to decide",
}
# Widths of field, um: up to the middle one of three clinical microscopes (one tile), up to twice that, and beyond.
DEVICES = ((1577.0, "field up to 1.57 mm"), (2100.0, "field 1.57 to 2.1 mm"), (float("inf"), "field over 2.1 mm"))


@dataclass(frozen=True)
class Loop:
    """One loop: where its apex is in the frame's pixels and what it counts as."""

    x: float
    y: float
    width_um: float
    distal: bool
    giant: bool
    abnormal: bool


@dataclass(frozen=True)
class Frame:
    path: Path
    subject: str
    finger: str
    field_number: int
    device: str
    um_per_px: float
    # None where too little of the row is in the picture for the rules to say.
    positive: bool | None
    density_per_mm: float | None
    widest_um: float
    stratum: str
    loops: tuple[Loop, ...] = field(default=(), repr=False)

    @property
    def finger_key(self) -> tuple[str, str]:
        return (self.subject, self.finger)

    @property
    def field_key(self) -> tuple[str, str, int]:
        return (self.subject, self.finger, self.field_number)


def read(folder: Path) -> list[Frame]:
    """Every frame of the folder, in the file's order. Subjects of different folders are different subjects."""
    frames = []
    for number, line in enumerate((folder / "truth.jsonl").read_text().splitlines(), start=1):
        try:
            frames.append(_frame(folder, json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder}/truth.jsonl, line {number}: not a frame's truth: {error!r}") from error
    return frames


def _frame(folder: Path, line: dict) -> Frame:
    truth = line["truth"]
    loops = tuple(
        Loop(
            row["x"], row["y"], row["apical_um"],
            distal=row["row"] == 0, giant=row["class"] == "giant", abnormal=row["class"] == "abnormal",
        )
        for row in truth["loops"]
    )
    return Frame(
        path=folder / line["file"],
        subject=f"{folder.name}/{line['subject']}",
        finger=line["finger"],
        field_number=line["field"],
        device=next(name for limit, name in DEVICES if line["device"]["field_um"] <= limit),
        um_per_px=truth["um_per_px"],
        positive=CATEGORIES[truth["category"]],
        density_per_mm=truth["density_per_mm"],
        widest_um=max((loop.width_um for loop in loops if loop.distal), default=0.0),
        stratum=STRATA[truth["rule"]],
        loops=loops,
    )
