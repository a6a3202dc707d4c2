"""Features of every image, computed once: kept by the digest of the image's bytes, so that a stopped run goes on where it was."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from .features import GROUPS, columns, of_picture, prepared, versions
from .problem import Problem, several
from .table import Row

# Pictures between two savings of the store.
SAVED = 200


def features_of(rows: tuple[Row, ...], size: tuple[int, int], work: Path, threads: int) -> np.ndarray:
    """All groups of all rows, [rows, columns]; unreadable images are named together."""
    work.mkdir(parents=True, exist_ok=True)
    kept = work / f"features-{_definition(size)}.npz"
    known = _load(kept)
    digests = [hashlib.sha256(row.path.read_bytes()).hexdigest() for row in rows]
    wanted = {digest: row for digest, row in zip(digests, rows) if digest not in known}
    broken: dict[str, str] = {}
    jobs = [(digest, str(row.path), size) for digest, row in wanted.items()]
    for number, (digest, values, error) in enumerate(tqdm(_done(jobs, threads), total=len(jobs), desc="features", unit="image", mininterval=2.0)):
        if error:
            broken[digest] = error
        else:
            known[digest] = values
        if number % SAVED == SAVED - 1:
            _save(kept, known)
    if wanted:
        _save(kept, known)
    if broken:
        places = [f"{row.where}: {row.path}: {broken[digest]}" for digest, row in zip(digests, rows) if digest in broken]
        raise several("images that cannot be read", places)
    matrix = np.stack([known[digest] for digest in digests])
    _refuse_nan(matrix, rows, columns(GROUPS))
    return matrix


def _done(jobs: list[tuple], threads: int) -> Iterator[tuple[str, np.ndarray | None, str | None]]:
    """The jobs' results in their order. New processes are begun afresh: a copy of one that holds threads may wait for them for ever."""
    if threads == 1 or len(jobs) < SAVED:
        _alone()
        yield from map(_one, jobs)
        return
    with ProcessPoolExecutor(threads, mp_context=get_context("spawn"), initializer=_alone) as pool:
        yield from pool.map(_one, jobs, chunksize=4)


def _alone() -> None:
    """One picture a thread is quicker than several threads a picture, above all on a machine with other work to do."""
    cv2.setNumThreads(1)


def _one(job: tuple) -> tuple[str, np.ndarray | None, str | None]:
    digest, path, size = job
    try:
        return digest, of_picture(prepared(Path(path), size)), None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return digest, None, str(error)


def _definition(size: tuple[int, int]) -> str:
    said = json.dumps([size, GROUPS, versions()], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    try:
        with np.load(path) as kept:
            return dict(zip(kept["digests"].tolist(), kept["values"]))
    except (OSError, ValueError, KeyError) as error:
        raise Problem(f"{path}: is damaged ({error}): remove it, and the features are computed anew") from error


def _save(path: Path, known: dict[str, np.ndarray]) -> None:
    if not known:
        return
    part = path.with_suffix(f".part-{os.getpid()}.npz")
    np.savez(part, digests=np.array(list(known)), values=np.stack(list(known.values())))
    part.replace(path)


def _refuse_nan(matrix: np.ndarray, rows: tuple[Row, ...], names: list[str]) -> None:
    places = [
        f"{rows[i].where}: {rows[i].path.name}: {names[j]} is {matrix[i, j]}" for i, j in zip(*np.nonzero(~np.isfinite(matrix)))
    ]
    if places:
        raise several("features that are not numbers", places)
