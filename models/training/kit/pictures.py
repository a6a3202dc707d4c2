"""What a network sees of an image, in either of two modes: the whole field resized, or tiles of a fixed scale whose logits are meaned."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from torchvision import transforms
from tqdm import tqdm

from fitting.geometry import Geometry

from .features import FILTERS
from .problem import USAGE, several
from .table import Row

# A training picture is kept a little larger than the network's input, so that a crop has somewhere to lie.
ROOM = 8 / 7


@dataclass(frozen=True)
class Input:
    """How pictures become tensors; `mean`, `std` and `filter` are those that timm gives for the network."""

    mode: str  # "field" or "tiles"
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    filter: str
    um_per_px: float = 7.0

    @property
    def geometry(self) -> Geometry:
        return Geometry(um_per_px=self.um_per_px, tile=self.side)

    @property
    def fit(self) -> str:
        """The manifest's `fit`."""
        if self.mode == "field":
            return '{ kind = "resize" }'
        return f'{{ kind = "scale", um_per_px = {self.um_per_px}, overlap = {self.geometry.overlap}, pool = "mean" }}'

    def kept(self, picture: Image.Image, um_per_px: float | None) -> np.ndarray:
        """What is stored of a picture: 8-bit RGB."""
        if self.mode == "tiles":
            size = self.geometry.resampled(picture.size, um_per_px)
            return np.asarray(picture.resize(size, FILTERS[self.filter]))
        return np.asarray(picture.resize((round(self.side * ROOM),) * 2, FILTERS[self.filter]))

    def served(self, picture: Image.Image, um_per_px: float | None) -> np.ndarray:
        """The tensor that the daemon makes of a picture: [tiles, 3, side, side]."""
        if self.mode == "field":
            return self._normalised(np.asarray(picture.resize((self.side, self.side), FILTERS[self.filter])))[None]
        return self.tiles(self.kept(picture, um_per_px))

    def tiles(self, coarse: np.ndarray) -> np.ndarray:
        samples, geometry = self._normalised(coarse), self.geometry
        _, height, width = samples.shape
        return np.stack([geometry.placed(samples, x, y) for y in geometry.starts(height) for x in geometry.starts(width)])

    def _normalised(self, picture: np.ndarray) -> np.ndarray:
        samples = picture.astype(np.float32) / np.float32(255.0)
        samples = (samples - np.float32(self.mean)) / np.float32(self.std)
        return np.ascontiguousarray(samples.transpose(2, 0, 1))

    def lesson(self):
        """timm's own training transform; tiles are cut and laid down in any of the ways that leave the scale alone."""
        if self.mode == "field":
            return create_transform(
                (3, self.side, self.side), is_training=True, scale=(0.6, 1.0), hflip=0.5, vflip=0.5, color_jitter=0.4,
                interpolation=self.filter, mean=self.mean, std=self.std,
            )
        return transforms.Compose([
            self._cut, transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip(), transforms.ColorJitter(0.4, 0.4, 0.4),
            transforms.ToTensor(), transforms.Normalize(self.mean, self.std), self._placed,
        ])

    def _cut(self, picture: Image.Image) -> Image.Image:
        """A random tile of a wide picture; a small one as it is."""
        x, y = (int(torch.randint(0, max(1, n - self.side + 1), (1,))) for n in picture.size)
        return picture.crop((x, y, min(x + self.side, picture.width), min(y + self.side, picture.height)))

    def _placed(self, cut: torch.Tensor) -> torch.Tensor:
        """A picture smaller than a tile stands in the middle of nothing, as the daemon does it."""
        out = torch.zeros(3, self.side, self.side)
        top, left = (self.side - cut.shape[1]) // 2, (self.side - cut.shape[2]) // 2
        out[:, top : top + cut.shape[1], left : left + cut.shape[2]] = cut
        return out


def opened(row: Row) -> Image.Image:
    return picture_of(row.path)


def picture_of(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def kept_pictures(rows: tuple[Row, ...], input_: Input, work: Path, key: str, threads: int = 1) -> list[np.ndarray]:
    """All pictures as the trainer wants them, read once: fields in one file that is mapped, tiles in memory for their sizes differ."""
    if input_.mode == "tiles":
        without = [f"{row.where}: {row.path.name}" for row in rows if row.um_per_px is None]
        if without:
            problem = several("tiles need the scale of every image; these have no um_per_px (or say --input field)", without)
            problem.status = USAGE
            raise problem
        with ThreadPoolExecutor(threads) as pool:
            kept = pool.map(lambda row: input_.kept(_read(row), row.um_per_px), rows)
            return list(tqdm(kept, total=len(rows), desc="reading", unit="image", mininterval=2.0))
    path = work / f"pictures-{key}-{input_.side}-{input_.filter}.npy"
    if not path.exists():
        side = round(input_.side * ROOM)
        part = path.with_suffix(f".part-{os.getpid()}")
        mapped = np.lib.format.open_memmap(part, "w+", np.uint8, (len(rows), side, side, 3))
        for place, row in enumerate(tqdm(rows, desc="reading", unit="image", mininterval=2.0)):
            mapped[place] = input_.kept(_read(row), row.um_per_px)
        mapped.flush()
        part.replace(path)
    return list(np.load(path, mmap_mode="r"))


def _read(row: Row) -> Image.Image:
    try:
        return opened(row)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise several("images that cannot be read", [f"{row.where}: {row.path}: {error}"]) from error
