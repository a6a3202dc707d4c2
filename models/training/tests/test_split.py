"""A subject is in one part only, and the same seed deals the same parts."""

from pathlib import Path

from fitting.frames import Frame
from fitting.split import by_subject

SHARES = {"train": 0.7, "calibration": 0.15, "test": 0.15}


def frames(subjects: int) -> list[Frame]:
    return [
        Frame(Path(f"{s}-{n}.jpg"), f"s{s:04}", "R4", n, "device", 1.23, positive=s % 3 == 0 and n == 0, density_per_mm=8.0, widest_um=15.0, stratum="")
        for s in range(subjects)
        for n in range(3)
    ]


def test_no_subject_is_in_two_parts_and_no_frame_is_lost():
    parts = by_subject(frames(200), SHARES, seed=1)
    subjects = [{f.subject for f in parts[part]} for part in SHARES]
    assert not (subjects[0] & subjects[1] or subjects[0] & subjects[2] or subjects[1] & subjects[2])
    assert sum(len(parts[part]) for part in SHARES) == 600


def test_each_part_has_its_share_of_subjects_with_the_pattern():
    parts = by_subject(frames(300), SHARES, seed=1)
    for part, expected in zip(SHARES, (70, 15, 15)):
        assert len({f.subject for f in parts[part] if f.positive}) == expected


def test_order_of_frames_does_not_matter_and_the_seed_does():
    forward, backward, other = (
        by_subject(some, SHARES, seed) for some, seed in ((frames(60), 1), (frames(60)[::-1], 1), (frames(60), 2))
    )
    names = lambda parts: {f.subject for f in parts["test"]}
    assert names(forward) == names(backward)
    assert names(forward) != names(other)
