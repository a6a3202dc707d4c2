"""What the training cohort looked like, in two figures a channel, so that the daemon can say "out of cohort"."""

from dataclasses import dataclass

import numpy as np

# Between the 0.1st and 99.9th percentile lies the cohort without its few strangest pictures; the margin, a share of that span on each
# side, is ours: it keeps a fresh picture from the same simulator inside (checked on held-out subjects, see the card).
LOW, HIGH = 0.1, 99.9
MARGIN = 0.05


@dataclass(frozen=True)
class Envelope:
    mean: np.ndarray  # [3, 2]: smallest and largest mean of a channel
    std: np.ndarray  # [3, 2]

    def with_other(self, other: "Envelope") -> "Envelope":
        """Holds what either holds."""
        join = lambda a, b: np.stack([np.minimum(a[:, 0], b[:, 0]), np.maximum(a[:, 1], b[:, 1])], axis=1)
        return Envelope(mean=join(self.mean, other.mean), std=join(self.std, other.std))

    def outside(self, figures: np.ndarray) -> np.ndarray:
        """Which rows of `figures` ([n, 6], see `figures_of`) lie outside in any figure."""
        bounds = np.concatenate([self.mean, self.std])
        return ((figures < bounds[:, 0]) | (figures > bounds[:, 1])).any(axis=1)


def figures_of(tensor: np.ndarray) -> np.ndarray:
    """Mean and population standard deviation of each channel over all tiles and padding together: [6]."""
    samples = tensor.astype(np.float64)
    return np.concatenate([samples.mean(axis=(0, 2, 3)), samples.std(axis=(0, 2, 3))])


def envelope_of(figures: np.ndarray, margin: float = MARGIN) -> Envelope:
    """The envelope of a cohort; `figures` is [n, 6]."""
    low, high = np.percentile(figures, LOW, axis=0), np.percentile(figures, HIGH, axis=0)
    span = high - low
    bounds = np.stack([low - margin * span, high + margin * span], axis=1)
    # A standard deviation below zero cannot occur, so a bound there would only look like carelessness.
    bounds[3:, 0] = np.maximum(bounds[3:, 0], 0.0)
    return Envelope(mean=bounds[:3], std=bounds[3:])
