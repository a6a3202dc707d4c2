"""Folders and files that appear whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .problem import USAGE, WRITING, Problem


def refuse(out: Path, replace: bool) -> None:
    """Asked before any work is done, and again when the work is written."""
    if out.exists() and not replace:
        raise Problem(f"{out}: is there already; give another --out, or --replace to put the new one in its place", USAGE)


@contextmanager
def folder(out: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; it takes the name `out` when nothing went wrong, and is removed otherwise."""
    refuse(out, replace)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise Problem(f"{out}: cannot be written: {error}", WRITING) from error
    try:
        yield part
        part.chmod(0o755)
        old = out.with_name(f".{out.name}.old-{os.getpid()}")
        if out.exists():
            out.rename(old)
        part.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def text(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part-{os.getpid()}")
        part.write_text(content)
        part.replace(path)
    except OSError as error:
        raise Problem(f"{path}: cannot be written: {error}", WRITING) from error


def as_json(path: Path, content: object) -> None:
    text(path, json.dumps(content, indent=1) + "\n")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
