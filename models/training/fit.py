"""Makes a model bundle from a folder of drawn nailfolds, from the first picture to the manifest.

    python models/training/fit.py --learn DIR DIR --hold DIR --out models/densenet121-synth-0.1.0
"""

import argparse
import hashlib
import json
import shutil
from collections import defaultdict
from functools import reduce
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fitting import bundle, elsewhere, learn, measure
from fitting.cache import Stored, empty_tiles, store
from fitting.calibrate import (
    Thresholds,
    called_positive,
    choose_thresholds,
    exact_upper_bound,
    expected_calibration_error,
    fit_temperature,
    sigmoid,
)
from fitting.card import card
from fitting.envelope import Envelope, envelope_of, figures_of
from fitting.frames import Frame, read
from fitting.geometry import Geometry
from fitting.score import score, session
from fitting.split import by_subject

# A whole frame teaches only where one tile shows nearly all of it: the truth of the whole would be wrong for a part.
NEARLY_ONE_TILE = 1.15
HELD = {"calibration": 0.5, "test": 0.5}


def main() -> None:
    asked = arguments()
    geometry = Geometry()
    asked.work.mkdir(parents=True, exist_ok=True)
    shown = {folder.name: store(read(folder), geometry, asked.threads, fine=True) for folder in asked.learn}
    lessons = [lesson for stored in shown.values() for item in stored for lesson in lessons_of(item, geometry)]
    plan = learn.Plan(rounds=asked.rounds, halved=asked.halved, seed=asked.seed)
    model, history = learn.train(lessons, geometry, plan, asked.work / "checkpoint.pt", asked.stop_after)

    held_frames = read(asked.hold)
    parts = by_subject([f for f in held_frames if f.positive is not None], HELD, asked.seed)
    held = {part: store(frames, geometry, asked.threads, fine=False) for part, frames in parts.items()}

    out = asked.work / "bundle"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    network = out / "model.onnx"
    bundle.export(model, geometry, network)
    some = [geometry.tensor(item.coarse) for item in held["test"][:32]]
    facts = {"history": history, "plan": vars(plan), "parity": bundle.parity(model, network, some, asked.threads)}
    facts |= described(asked, {"train": [item.frame for item in lessons]} | parts, model, geometry)
    facts["undecided"] = {
        "train": sum(item.frame.positive is None for item in lessons),
        "held": sum(f.positive is None for f in held_frames),
    }

    # A join, because a small folder of whole frames would be the strange few of a large one of tiles.
    seen = reduce(Envelope.with_other, [look_of(stored, geometry) for stored in shown.values()])
    facts |= measured(network, held, geometry, seen, asked)
    temperature, thresholds = facts["calibration"]["temperature"], Thresholds(**facts["thresholds"])
    if asked.also:
        facts["also"] = measured_also(network, asked.also, geometry, seen, temperature, thresholds, asked)
    if asked.elsewhere:
        facts["elsewhere"] = elsewhere.look(
            network, geometry, asked.elsewhere, asked.elsewhere_um_per_px, temperature, thresholds, seen, asked.threads
        )
    (asked.work / "metrics.json").write_text(json.dumps(facts, indent=1) + "\n")
    finish(out, geometry, facts, temperature, thresholds, seen, parts, asked)
    shutil.rmtree(asked.out, ignore_errors=True)
    shutil.copytree(out, asked.out)
    print(f"{asked.out}: written; figures in {asked.out}/CARD.md and {asked.work}/metrics.json")


def lessons_of(item: Stored, geometry: Geometry) -> list[Stored]:
    if max(item.coarse.shape) <= NEARLY_ONE_TILE * geometry.tile:
        return [item]
    return empty_tiles(item, geometry)


def look_of(stored: list[Stored], geometry: Geometry) -> Envelope:
    return envelope_of(np.array([figures_of(geometry.tensor(item.coarse)) for item in stored]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learn", type=Path, nargs="+", required=True, help="folders made by `hairpin synth`, to learn from")
    parser.add_argument("--hold", type=Path, required=True, help="one of other subjects, at their microscopes' own size, to calibrate and test")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder; replaced when everything has passed")
    parser.add_argument("--work", type=Path, default=Path("target/training"), help="checkpoints and metrics.json")
    parser.add_argument("--rounds", type=int, default=17, help=f"of {learn.ROUND} examples each")
    parser.add_argument("--halved", type=int, default=8, help="the first so many rounds see pictures of half the scale")
    parser.add_argument("--stop-after", type=int, help="make the bundle of the average after so many of the rounds; the card says so")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--drawn-by", default="hairpin synth", help="the command that drew the data, for the card")
    parser.add_argument("--also", type=Path, help="whole frames of another state of the simulator, measured and nothing else")
    parser.add_argument("--elsewhere", type=Path, help="folder with frames/ and labels.csv to look at, never to learn from")
    parser.add_argument("--elsewhere-um-per-px", type=float, default=2.56)
    return parser.parse_args()


def described(asked: argparse.Namespace, parts: dict[str, list[Frame]], model: learn.Trainee, geometry: Geometry) -> dict:
    """Everything about the making that is known before anything is measured."""
    everyone = [f for frames in parts.values() for f in frames]
    subjects = len({f.subject for f in everyone})
    return {
        "name": bundle.NAME,
        "version": asked.version,
        "drawn_by": asked.drawn_by,
        "data_sha256": {folder.name: hashlib.sha256((folder / "truth.jsonl").read_bytes()).hexdigest() for folder in (*asked.learn, asked.hold)},
        "cohort": f"{subjects} drawn subjects, {len(everyone)} drawn frames; no person",
        "max_um_per_px": float(np.ceil(10 * max(f.um_per_px for f in parts["test"])) / 10),
        "geometry": vars(geometry),
        "parameters": sum(p.numel() for p in model.net.parameters()),
        "versions": {name: version(name) for name in ("torch", "timm", "onnx", "onnxruntime", "numpy", "pillow")},
        "parts": {
            part: {
                "subjects": len({f.subject for f in frames}),
                "fingers": len({f.finger_key for f in frames}),
                "fields": len({f.field_key for f in frames}),
                "frames": len(frames),
                "positive": sum(f.positive is True for f in frames),
            }
            for part, frames in parts.items()
        },
    }


def measured(network: Path, stored: dict[str, list[Stored]], geometry: Geometry, seen: Envelope, asked: argparse.Namespace) -> dict:
    """Calibration on its subjects, then everything that is reported on the test subjects."""
    runtime = session(network, asked.threads)
    frames = {part: [item.frame for item in stored[part]] for part in ("calibration", "test")}
    margin, figures = {}, {}
    for part in frames:
        margin[part], figures[part] = score(runtime, stored[part], geometry)

    truth = {part: np.array([f.positive for f in frames[part]]) for part in frames}
    temperature = fit_temperature(margin["calibration"], truth["calibration"])
    held = measure.fingers(frames["calibration"], margin["calibration"], temperature)
    thresholds = choose_thresholds(held.probs, held.truth)
    clean = [f for f, t in zip(held.probs, held.truth) if not t and len(f) >= 2]
    events = sum(called_positive(f, thresholds.upper) for f in clean)

    def errors(part: str) -> dict[str, float]:
        return {
            "ece_before": expected_calibration_error(sigmoid(margin[part]), truth[part]),
            "ece_after": expected_calibration_error(sigmoid(margin[part] / temperature), truth[part]),
        }

    test_frames = measure.frames_as_units(frames["test"], margin["test"])
    right = (margin["test"] > 0) == truth["test"]
    return {
        "calibration": {
            "temperature": round(temperature, 4),
            "subjects": len({f.subject for f in frames["calibration"]}),
            "prevalence": float(truth["calibration"].mean()),
            **errors("calibration"),
            "false_alarm": {"events": events, "trials": len(clean), "bound": exact_upper_bound(events, len(clean))},
        },
        "thresholds": vars(thresholds),
        "outside_test": int(seen.outside(figures["test"]).sum()),
        "frames_a_field": _frames_a_field(frames["test"]),
        "test": {
            "frame": measure.of_units(test_frames, temperature, asked.seed),
            "field": measure.of_units(measure.fields_as_units(frames["test"], margin["test"]), temperature, asked.seed),
            "finger": measure.of_fingers(measure.fingers(frames["test"], margin["test"], temperature), thresholds, asked.seed),
            "device": {
                device: measure.of_units(test_frames.some(np.array([f.device == device for f in frames["test"]])), temperature, asked.seed)
                for device in sorted({f.device for f in frames["test"]})
            },
            "stratum": _strata(frames["test"], right),
            **errors("test"),
        },
    }


def measured_also(network: Path, folder: Path, geometry: Geometry, seen: Envelope, temperature: float, thresholds: Thresholds, asked) -> dict:
    frames = [f for f in read(folder) if f.positive is not None]
    margin, figures = score(session(network, asked.threads), store(frames, geometry, asked.threads, fine=False), geometry)
    return {
        "frame": measure.of_units(measure.frames_as_units(frames, margin), temperature, asked.seed),
        "finger": measure.of_fingers(measure.fingers(frames, margin, temperature), thresholds, asked.seed),
        "outside": int(seen.outside(figures).sum()),
        "subjects": len({f.subject for f in frames}),
    }


def _strata(frames: list[Frame], right: np.ndarray) -> dict[str, dict]:
    groups = defaultdict(list)
    for place, frame in enumerate(frames):
        groups[frame.stratum].append(place)
    return {name: {"units": len(places), "right": round(float(right[places].mean()), 4)} for name, places in sorted(groups.items())}


def _frames_a_field(frames: list[Frame]) -> str:
    counts = np.unique([f.field_key for f in frames], axis=0, return_counts=True)[1]
    return "one frame" if counts.max() == 1 else f"{counts.min()} to {counts.max()} frames"


def finish(out: Path, geometry: Geometry, facts: dict, temperature: float, thresholds: Thresholds, seen: Envelope, parts: dict, asked) -> None:
    """Golden pair, card and manifest, in the order in which they need each other."""
    golden = next(f for f in parts["test"] if f.positive)
    bundle.write_golden(out, golden.path, golden.um_per_px, geometry, asked.threads)
    (out / "CARD.md").write_text(card(facts))
    held = facts["calibration"]
    bundle.write_manifest(out, geometry, bundle.Contract(
        version=asked.version,
        cohort="drawn nailfolds (hairpin synth)",
        description=f"{facts['cohort']}; not validated on patients",
        max_um_per_px=facts["max_um_per_px"],
        temperature=temperature,
        temperature_how=f"temperature scaling on {held['subjects']} held-out drawn subjects",
        thresholds=thresholds,
        thresholds_how=(
            "on the same drawn subjects: budget of 5 % of healthy eight-finger exams with a false finger, two fields to recur; "
            f"{held['false_alarm']['events']} of {held['false_alarm']['trials']} fingers seen"
        ),
        seen=seen,
    ))


if __name__ == "__main__":
    main()
