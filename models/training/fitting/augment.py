"""One training example from one frame: turned, mirrored, recoloured, softened, so that neither colour nor position can carry the label."""

import numpy as np
from PIL import Image

from .cache import Stored
from .geometry import Geometry, normalised

# DenseNet's features lie one every 8 pixels after its second block and one every 32 after its last.
NEAR, FAR = 8, 32
# Of all examples this share goes exactly the daemon's way (no turn by odd angles, no change of size), so that serving is never a surprise.
PLAIN = 0.5


def example(stored: Stored, geometry: Geometry, rng: np.random.Generator, halved: bool = False) -> tuple[np.ndarray, ...]:
    """Picture [3, t, t], loops in cells of 8 pixels [5, t/8, t/8] and of 32 [5, t/32, t/32], and whole-frame targets [2].

    `halved` gives the plain picture at half the scale: a quarter of the work for a network that knows nothing yet.
    """
    tile = geometry.tile
    if halved:
        picture, apices, tile = _halved(stored.coarse), stored.apices(2.0 * geometry.um_per_px), tile // 2
    elif rng.random() < PLAIN:
        picture, apices = stored.coarse, stored.apices(geometry.um_per_px)
    else:
        picture, apices = _warped(stored, geometry, rng)
    picture, apices = _turned(picture, apices, rng)
    picture = _softened(_recoloured(picture.astype(np.float32) / 255.0, rng), rng)
    picture = normalised(np.clip(picture, 0.0, 1.0) * 255.0)
    picture, apices = _placed(picture, apices, tile, rng)
    near, far = (_cells(apices, tile, cell) for cell in (NEAR, FAR))
    return picture, near, far, np.float32(stored.whole)


def _halved(picture: np.ndarray) -> np.ndarray:
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    return picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3), dtype=np.float32).astype(np.uint8)


def _warped(stored: Stored, geometry: Geometry, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Turned by up to 12 degrees and scaled by up to 4 percent: no probe is held straight, and no scale is measured exactly."""
    angle, zoom = np.deg2rad(rng.uniform(-12, 12)), rng.uniform(0.96, 1.04)
    fine = Image.fromarray(stored.fine)
    width, height = fine.size
    centre = np.array([width, height]) / 2.0
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / zoom
    shift = centre - back @ centre
    fill = tuple(int(v) for v in stored.fine.reshape(-1, 3).mean(axis=0))
    fine = fine.transform(
        fine.size, Image.Transform.AFFINE, (*back[0], shift[0], *back[1], shift[1]), Image.Resampling.BILINEAR, fillcolor=fill
    )
    picture = geometry.coarse(fine, stored.fine_um_per_px)
    apices = stored.apices(stored.fine_um_per_px)
    apices[:, :2] = (apices[:, :2] - shift) @ np.linalg.inv(back).T
    apices[:, :2] *= stored.fine_um_per_px / geometry.um_per_px
    return picture, apices


def _turned(picture: np.ndarray, apices: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One of the eight ways to lay a picture down."""
    apices = apices.copy()
    if rng.random() < 0.5:
        picture, apices[:, 0] = picture[:, ::-1], picture.shape[1] - apices[:, 0]
    if rng.random() < 0.5:
        picture, apices[:, 1] = picture[::-1], picture.shape[0] - apices[:, 1]
    if rng.random() < 0.5:
        picture, apices[:, :2] = picture.transpose(1, 0, 2), apices[:, 1::-1]
    return picture, apices


def _recoloured(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, gamma, cast, saturation, contrast, uneven light: less than the simulator itself varies them, because these act on the loops too."""
    luma = picture @ np.float32([0.299, 0.587, 0.114])
    saturation = 0.0 if rng.random() < 0.05 else rng.uniform(0.6, 1.4)
    picture = luma[..., None] + (picture - luma[..., None]) * np.float32(saturation)
    picture = np.clip(picture, 1e-3, 1.0) ** np.float32(np.exp(rng.uniform(-0.2, 0.2)))
    gain = np.exp(rng.uniform(-0.2, 0.2) + rng.uniform(-0.08, 0.08, 3)).astype(np.float32)
    mean = picture.mean(axis=(0, 1))
    picture = (mean + (picture - mean) * np.float32(rng.uniform(0.85, 1.3))) * gain
    height, width, _ = picture.shape
    slope = rng.uniform(-0.1, 0.1, 2)
    light = 1.0 + slope[0] * np.linspace(-1, 1, height)[:, None] + slope[1] * np.linspace(-1, 1, width)[None, :]
    return picture * light[..., None].astype(np.float32)


def _softened(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A little blur along each axis and a little noise. Reduced pictures hardly have any noise, and loops stand out by a few percent:
    with noise of up to 3 percent nothing was learned."""
    if rng.random() < 0.3:
        side = np.float32(rng.uniform(0.0, 0.12))
        for axis in (0, 1):
            before, after = np.roll(picture, 1, axis), np.roll(picture, -1, axis)
            picture = picture + side * (before + after - 2.0 * picture)
    if rng.random() < 0.3:
        noise = rng.standard_normal(picture.shape, dtype=np.float32)
        picture = picture + noise * np.float32(rng.uniform(0.0, 0.005))
    return picture


def _placed(picture: np.ndarray, apices: np.ndarray, tile: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Into the tile: centred, as the daemon does, or cut at a place of its own where the picture is larger."""
    _, height, width = picture.shape
    offset = np.array([_offset(width, tile, rng), _offset(height, tile, rng)])
    out = np.zeros((3, tile, tile), np.float32)
    left, top = np.maximum(offset, 0)
    cut = picture[:, max(-offset[1], 0) :, max(-offset[0], 0) :][:, : tile - top, : tile - left]
    out[:, top : top + cut.shape[1], left : left + cut.shape[2]] = cut
    apices = apices.copy()
    apices[:, :2] += offset
    return out, apices


def _offset(length: int, tile: int, rng: np.random.Generator) -> int:
    if length <= tile:
        return (tile - length) // 2
    return -int(rng.integers(0, length - tile + 1))


def _cells(apices: np.ndarray, tile: int, cell: int) -> np.ndarray:
    """For each cell how many loops, distal loops, distal giants and distal abnormal ones it holds, each apex shared among its four nearest
    cells, and the logarithm of the loops' mean width (12 um, a usual one, is 0)."""
    count = tile // cell
    inside = ((apices[:, :2] >= 0) & (apices[:, :2] < tile)).all(axis=1)
    apices = apices[inside]
    place = apices[:, :2] / cell - 0.5
    corner = np.floor(place).astype(int)
    part = place - corner
    worth = np.column_stack([np.ones(len(apices)), apices[:, 2:5], np.log(apices[:, 5] / 12.0)])
    out = np.zeros((count + 2, count + 2, 5))
    for right in (0, 1):
        for down in (0, 1):
            share = np.abs(1 - right - part[:, 0]) * np.abs(1 - down - part[:, 1])
            np.add.at(out, (corner[:, 1] + down + 1, corner[:, 0] + right + 1), share[:, None] * worth)
    out = out[1:-1, 1:-1].transpose(2, 0, 1)
    out[4] /= np.maximum(out[0], 1e-6)
    return out.astype(np.float32)
