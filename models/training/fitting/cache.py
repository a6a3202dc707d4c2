"""Frames read once: the coarse picture exactly as the daemon would make it, a finer one to turn and scale, and the apices."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from tqdm import tqdm

from .frames import Frame
from .geometry import Geometry

# Half of the serving scale: enough to turn and shrink without losing what the coarse picture shows.
FINE_UM_PER_PX = 3.5


@dataclass(frozen=True)
class Stored:
    frame: Frame
    coarse: np.ndarray  # uint8 [height, width, 3] at the geometry's scale
    fine: np.ndarray
    fine_um_per_px: float

    def apices(self, um_per_px: float) -> np.ndarray:
        """Loops as [n, 6]: x and y in pixels of that scale, distal, distal giant, distal abnormal, width in um."""
        factor = self.frame.um_per_px / um_per_px
        rows = [
            (l.x * factor, l.y * factor, l.distal, l.distal and l.giant, l.distal and l.abnormal, l.width_um) for l in self.frame.loops
        ]
        return np.array(rows, np.float64).reshape(-1, 6)

    @property
    def whole(self) -> tuple[float, float]:
        """Density in units of the normal threshold and widest loop in units of a giant, both near one; NaN where not known."""
        density = self.frame.density_per_mm
        return float("nan") if density is None else min(density, 14.0) / 7.0, min(self.frame.widest_um, 150.0) / 50.0


def store(frames: list[Frame], geometry: Geometry, threads: int, fine: bool) -> list[Stored]:
    """Reads and resamples every frame, in order; `fine` pictures are kept for training only."""

    def one(frame: Frame) -> Stored:
        with Image.open(frame.path) as picture:
            picture = picture.convert("RGB")
        coarse = geometry.coarse(picture, frame.um_per_px)
        if not fine:
            return Stored(frame, coarse, coarse[:0], frame.um_per_px)
        if frame.um_per_px >= FINE_UM_PER_PX:
            return Stored(frame, coarse, np.asarray(picture), frame.um_per_px)
        finer = Geometry(um_per_px=FINE_UM_PER_PX)
        return Stored(frame, coarse, finer.coarse(picture, frame.um_per_px), FINE_UM_PER_PX)

    with ThreadPoolExecutor(threads) as pool:
        return list(tqdm(pool.map(one, frames), total=len(frames), desc="reading", unit="frame", mininterval=2.0))


def empty_tiles(item: Stored, geometry: Geometry) -> list[Stored]:
    """The daemon's tiles of a wide frame in which no loop of the distal row has its apex: nail, or skin behind the row.

    They say nothing about the category, and a network that never saw one would not know.
    """
    height, width, _ = item.coarse.shape
    tiles = [_cut(item, x, y, geometry) for y in geometry.starts(height) for x in geometry.starts(width)]
    return [tile for tile in tiles if not any(loop.distal for loop in tile.frame.loops)]


def _cut(item: Stored, x: int, y: int, geometry: Geometry) -> Stored:
    """One tile as a picture of its own, of which nothing is known but its loops."""
    factor, tile = item.frame.um_per_px / geometry.um_per_px, geometry.tile
    moved = (replace(loop, x=loop.x * factor - x, y=loop.y * factor - y) for loop in item.frame.loops)
    loops = tuple(loop for loop in moved if 0 <= loop.x < tile and 0 <= loop.y < tile)
    frame = replace(
        item.frame, um_per_px=geometry.um_per_px, positive=None, density_per_mm=None, widest_um=0.0, stratum="no row", loops=loops
    )
    cut = item.coarse[y : y + tile, x : x + tile]
    return Stored(frame, cut, cut, geometry.um_per_px)
