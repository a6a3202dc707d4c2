"""The manifest's geometry (`fit = scale`), the same arithmetic as the daemon's: resample, tile, pad, normalise."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

# timm's default for DenseNet-121: the ImageNet mean and standard deviation.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Geometry:
    """Fixed micrometres per pixel and square tiles.

    At 7.0 um/px a 1.57 mm field, the middle one of three clinical microscopes (Sebastiani 2013), is 224 pixels wide: one tile
    holds the whole field, and a 50 um giant is 7 pixels across whatever the microscope.
    """

    um_per_px: float = 7.0
    tile: int = 224
    overlap: float = 0.25

    def resampled(self, size: tuple[int, int], um_per_px: float) -> tuple[int, int]:
        """Size after resampling; halves are rounded away from zero."""
        factor = um_per_px / self.um_per_px
        return tuple(max(1, math.floor(side * factor + 0.5)) for side in size)

    def starts(self, length: int) -> list[int]:
        """Where the tiles begin along an axis that is longer than one tile."""
        if length <= self.tile:
            return [0]
        count = math.ceil((length - self.tile) / (self.tile * (1.0 - self.overlap))) + 1
        return [i * (length - self.tile) // (count - 1) for i in range(count)]

    def coarse(self, picture: Image.Image, um_per_px: float) -> np.ndarray:
        """The picture at this geometry's scale, 8-bit RGB, before tiling."""
        size = self.resampled(picture.size, um_per_px)
        return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR))

    def tensor(self, coarse: np.ndarray) -> np.ndarray:
        """All tiles of a coarse picture, normalised, [tiles, 3, tile, tile]; what lies outside the picture is 0."""
        samples = normalised(coarse)
        _, height, width = samples.shape
        return np.stack([
            self.placed(samples, x, y) for y in self.starts(height) for x in self.starts(width)
        ])

    def placed(self, samples: np.ndarray, x: int, y: int) -> np.ndarray:
        cut = samples[:, y : y + self.tile, x : x + self.tile]
        _, height, width = cut.shape
        out = np.zeros((3, self.tile, self.tile), np.float32)
        top, left = (self.tile - height) // 2, (self.tile - width) // 2
        out[:, top : top + height, left : left + width] = cut
        return out


def normalised(picture: np.ndarray) -> np.ndarray:
    """8-bit [height, width, 3] to float32 [3, height, width]."""
    samples = picture.astype(np.float32) / np.float32(255.0)
    samples = (samples - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(samples.transpose(2, 0, 1))
