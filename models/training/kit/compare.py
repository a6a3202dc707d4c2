"""`compare`: every model under one protocol; what was measured is kept, so that a stopped comparison goes on."""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import whole
from .fit import description, parts_of, plan_of, source_digest
from .page import page
from .problem import Problem
from .protocol import Trial, tried
from .splits import subject_split
from .table import Cohort

# Shuffles of each column, and the most test rows that are asked again for each.
IMPORTANCE, IMPORTANCE_ROWS = 3, 500


def compare(cohort: Cohort, asked: argparse.Namespace) -> None:
    plan = plan_of(asked)
    parts = subject_split(cohort, plan.seed)
    digest = source_digest(cohort)
    models = {}
    if asked.models:
        models |= _classical(cohort, asked, plan, digest, parts)
    if asked.networks:
        from .networks import compared

        models |= compared(cohort, asked, plan, lambda name, trial, most: _kept(asked.work, f"{digest}/{name}/{vars(most)}", lambda: tried(cohort, trial, most, images_too=False)))
    if asked.add:
        models |= _others(asked.add, digest, plan)
    result = {
        "cohort": {
            "name": asked.cohort or Path(cohort.source).name, "description": description(cohort), "definition": asked.drawn_by, "scheme": cohort.scheme,
            "labels": cohort.labels, "drawn": cohort.drawn, "sha256": digest, "parts": parts_of(cohort, parts), "notes": cohort.notes,
        },
        "plan": vars(plan),
        "models": models,
    }
    with whole.folder(asked.out, asked.replace) as folder:
        (folder / "comparison.json").write_text(json.dumps(result, indent=1) + "\n")
        (folder / "comparison.html").write_text(page(result))
    print(f"{asked.out}: comparison.html and comparison.json, {len(models)} models")


def _others(earlier: list[Path], digest: str, plan) -> dict:
    """Figures of other comparisons, which must be of the same images under the same plan."""
    models = {}
    for path in earlier:
        try:
            other = json.loads(path.read_text())
            whose = (other["cohort"]["sha256"], other["plan"])
            figures = other["models"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Problem(f"{path}: is no comparison.json: {error}") from error
        if whose != (digest, vars(plan)):
            raise Problem(f"{path}: is of images {whose[0][:16]} under {whose[1]}, and this comparison of {digest[:16]} under {vars(plan)}: they cannot stand on one page")
        models |= figures
    return models


def _classical(cohort: Cohort, asked: argparse.Namespace, plan, digest: str, parts: dict[str, np.ndarray]) -> dict:
    from . import classical, features
    from .store import features_of

    everything = features_of(cohort.rows, asked.size, asked.work, asked.threads)
    known = features.GROUPS
    combinations = [tuple(c) for c in asked.combinations]
    if asked.loops:
        from .loops import shape_of

        everything, known = np.hstack([everything, shape_of(asked.loops, [row.path for row in cohort.rows])]), (*known, "shape")
        combinations += [*((*c, "shape") for c in combinations), ("shape",)]
    truth = np.array([row.positive for row in cohort.rows])
    stamp = hashlib.sha256(everything.tobytes()).hexdigest()
    jobs = [(name, groups) for groups in combinations for name in asked.models]
    models = {}
    for name, groups in tqdm(jobs, desc="models", unit="model"):
        matrix = classical.chosen(everything, groups, known)

        def trial(train: np.ndarray, held: list[np.ndarray], seed: int, name=name, matrix=matrix) -> list[np.ndarray]:
            pipeline = classical.fit(name, matrix[train], truth[train], seed)
            return [classical.probabilities(pipeline, matrix[places]) for places in held]

        def all_of_it(name=name, groups=groups, matrix=matrix, trial: Trial = trial) -> dict:
            out = tried(cohort, trial, plan)
            pipeline = classical.fit(name, matrix[parts["train"]], truth[parts["train"]], plan.seed)
            some = np.random.default_rng(plan.seed).permutation(parts["test"])[:IMPORTANCE_ROWS]
            ranked = classical.importance(pipeline, matrix[some], truth[some], features.columns(groups), plan.seed, IMPORTANCE)
            out["importance"] = [(column, round(lost, 4)) for column, lost in ranked]
            return out

        title = f"{name} {'+'.join(groups)}"
        models[title] = _kept(asked.work, f"{digest}/{stamp}/{title}/{vars(plan)}", all_of_it)
    return models


def _kept(work: Path, key: str, make) -> dict:
    path = work / "compared" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if path.exists():
        return json.loads(path.read_text())
    made = make()
    whole.as_json(path, made)
    return made
