"""The manifest reads back as it was meant, with the digest of every file beside it."""

import hashlib
import tomllib

import numpy as np

from fitting.bundle import Contract, write_manifest
from fitting.calibrate import Thresholds
from fitting.envelope import Envelope
from fitting.geometry import Geometry


def test_manifest_reads_back_with_the_digests_of_its_files(tmp_path):
    names = ("CARD.md", "golden/expected.json", "golden/input.png", "model.onnx")
    (tmp_path / "golden").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    write_manifest(tmp_path, Geometry(), Contract(
        version="0.1.0", cohort="drawn", description='says "nobody"', max_um_per_px=2.7, temperature=1.25, temperature_how="so",
        thresholds=Thresholds(0.2, 0.8), thresholds_how="thus", seen=Envelope(np.array([[-1.0, 1.0]] * 3), np.array([[0.1, 1.5]] * 3)),
    ))
    manifest = tomllib.loads((tmp_path / "manifest.toml").read_text())
    assert manifest["files"] == {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    assert manifest["cohort"]["synthetic"] is True and manifest["cohort"]["validated_on_patients"] is False
    assert manifest["cohort"]["description"] == 'says "nobody"'
    assert manifest["input"]["fit"] == {"kind": "scale", "um_per_px": 7.0, "overlap": 0.25, "pool": "mean"}
    assert manifest["input"]["seen"]["mean"] == [[-1.0, 1.0]] * 3
    assert manifest["positive"] in manifest["labels"] and manifest["thresholds"]["lower"] < manifest["thresholds"]["upper"]
