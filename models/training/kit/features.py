"""Hand-made features of a picture, in named groups: the reference that the daemon's own must equal (`docs/bundles.md`)."""

from importlib.metadata import version
from pathlib import Path

import cv2
import mahotas
import numpy as np
from PIL import Image
from skimage.feature import local_binary_pattern

GROUPS = ("hu", "haralick", "colour", "lbp")
SIZE = (320, 256)
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "lanczos3": Image.Resampling.LANCZOS}
HARALICK = (
    "angular_second_moment", "contrast", "correlation", "variance", "inverse_difference_moment", "sum_average", "sum_variance", "sum_entropy",
    "entropy", "difference_variance", "difference_entropy", "information_1", "information_2",
)
COLUMNS = {
    "hu": tuple(f"hu_{i}" for i in range(1, 8)),
    "haralick": tuple(f"haralick_{name}" for name in HARALICK),
    "colour": tuple(f"colour_{channel}_{what}" for channel in "rgbhsv" for what in ("mean", "std", "skewness")),
    "lbp": tuple(f"lbp_{i}" for i in range(10)),
    "shape": ("shape_density_per_mm", "shape_median_width_um", "shape_largest_width_um", "shape_giants", "shape_loops"),
}


def of_pixels(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are features of the picture itself."""
    return tuple(group for group in groups if group in GROUPS)


def columns(groups: tuple[str, ...]) -> list[str]:
    return [name for group in groups for name in COLUMNS[group]]


def versions() -> dict[str, str]:
    """The libraries whose definitions these are, by the names the manifest gives them."""
    return {"opencv": cv2.__version__, "mahotas": version("mahotas"), "scikit_image": version("scikit-image")}


def prepared(path: Path, size: tuple[int, int] = SIZE, filter_: str = "bilinear") -> np.ndarray:
    """The picture as 8-bit RGB of `size` (width, height), its aspect not kept."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize(size, FILTERS[filter_]))


def of_picture(rgb: np.ndarray, groups: tuple[str, ...] = GROUPS) -> np.ndarray:
    """The features of the groups, in the order of `columns`, as float32; `shape`, the last one, is of no picture alone."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    parts = {
        "hu": lambda: hu(grey), "haralick": lambda: haralick(grey), "colour": lambda: colour(rgb), "lbp": lambda: lbp(grey)
    }
    return np.concatenate([np.zeros(0), *(parts[group]() for group in of_pixels(groups))]).astype(np.float32)


def hu(grey: np.ndarray) -> np.ndarray:
    """Seven moments that do not change with place, size and turning, on a logarithmic scale with their sign turned."""
    moments = cv2.HuMoments(cv2.moments(grey)).ravel()
    size = np.abs(moments)
    return -np.sign(moments) * np.log10(np.where(size > 0.0, size, 1.0))


def haralick(grey: np.ndarray) -> np.ndarray:
    """Thirteen textures of the co-occurrence of neighbours' greys, meaned over four directions."""
    # Wider than 8 bits, because mahotas adds one to the largest grey.
    return mahotas.features.haralick(grey.astype(np.int32)).mean(axis=0)


def colour(rgb: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and skewness of red, green, blue, hue, saturation and value."""
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV_FULL)
    out = []
    for plane in (*np.moveaxis(rgb, 2, 0), *np.moveaxis(hsv, 2, 0)):
        # Exact over the 256 values that there are, and quicker than over every pixel.
        share = np.bincount(plane.ravel(), minlength=256) / plane.size
        mean = float(share @ np.arange(256.0))
        away = np.arange(256.0) - mean
        second, third = float(share @ away**2), float(share @ away**3)
        out += [mean, np.sqrt(second), third / second**1.5 if second > 0.0 else 0.0]
    return np.array(out)


def lbp(grey: np.ndarray) -> np.ndarray:
    """Share of pixels by how many of eight neighbours are at least as light: 0 to 8 in one run, 9 for all else."""
    patterns = local_binary_pattern(grey, P=8, R=1, method="uniform").astype(np.int64)
    return np.bincount(patterns.ravel(), minlength=10) / patterns.size
