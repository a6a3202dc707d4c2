"""Split by subject: no frame of one person is in two parts, so a memorised skin cannot pass for a read pattern."""

import hashlib

from .frames import Frame


def by_subject(frames: list[Frame], shares: dict[str, float], seed: int) -> dict[str, list[Frame]]:
    """Frames of each part, by the share of subjects it is to have.

    Subjects with and without the pattern are dealt separately, in the order of a keyed hash.
    """
    afflicted = {f.subject for f in frames if f.positive}
    part_of: dict[str, str] = {}
    for stratum in (afflicted, {f.subject for f in frames} - afflicted):
        order = sorted(stratum, key=lambda subject: _hash(seed, subject))
        taken, share_so_far = 0, 0.0
        for part, share in shares.items():
            share_so_far += share
            upto = round(len(order) * share_so_far)
            part_of |= {subject: part for subject in order[taken:upto]}
            taken = upto
    return {part: [f for f in frames if part_of[f.subject] == part] for part in shares}


def _hash(seed: int, subject: str) -> bytes:
    return hashlib.sha256(f"{seed}/{subject}".encode()).digest()
