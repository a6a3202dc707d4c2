"""The six classical classifiers and the five combinations of features they are tried with.

The settings are fixed and ordinary; nothing was tuned on any cohort. Sizes are bounded so that a bundle stays under about a megabyte.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from .features import COLUMNS, GROUPS, columns

# The study tried Hu and Haralick moments in five combinations; its abstract, all we could read, does not list them. These five are ours.
COMBINATIONS: tuple[tuple[str, ...], ...] = (("hu",), ("haralick",), ("colour",), ("hu", "haralick"), ("hu", "haralick", "colour"))


@dataclass(frozen=True)
class Classifier:
    title: str
    make: Callable[[int], ClassifierMixin]


def _svm(seed: int) -> ClassifierMixin:
    # Platt's sigmoid over three folds, one machine fitted on all: as SVC(probability=True) did it before it was deprecated.
    return CalibratedClassifierCV(SVC(C=1.0, gamma="scale", random_state=seed), ensemble=False, cv=3)


CLASSIFIERS = {
    "rf": Classifier("random forest", lambda seed: RandomForestClassifier(100, max_depth=10, min_samples_leaf=8, random_state=seed, n_jobs=1)),
    "svm": Classifier("SVM (radial)", _svm),
    "lr": Classifier("logistic regression", lambda seed: LogisticRegression(C=1.0, max_iter=2000, random_state=seed)),
    "lightgbm": Classifier("LightGBM", lambda seed: LGBMClassifier(
        n_estimators=150, num_leaves=15, learning_rate=0.05, min_child_samples=20, subsample=0.8, subsample_freq=1, colsample_bytree=0.8,
        random_state=seed, n_jobs=1, deterministic=True, force_col_wise=True, verbosity=-1,
    )),
    "xgboost": Classifier("XGBoost", lambda seed: XGBClassifier(
        n_estimators=150, max_depth=4, learning_rate=0.05, subsample=0.8, colsample_bytree=0.8, tree_method="hist", random_state=seed, n_jobs=1,
    )),
    "knn": Classifier("k nearest neighbours", lambda _: KNeighborsClassifier(n_neighbors=15, n_jobs=1)),
}


def combination_name(groups: tuple[str, ...]) -> str:
    return "-".join(groups)


def chosen(matrix: np.ndarray, groups: tuple[str, ...], of: tuple[str, ...] = GROUPS) -> np.ndarray:
    """The columns of some groups out of a matrix that holds the groups `of`."""
    names = columns(of)
    return np.ascontiguousarray(matrix[:, [names.index(name) for group in groups for name in COLUMNS[group]]])


def fit(name: str, matrix: np.ndarray, truth: np.ndarray, seed: int) -> Pipeline:
    """Scaler and classifier in one, fitted; NaN, which only the group `shape` may hold in a comparison, becomes the training median."""
    steps = [("imputer", SimpleImputer(strategy="median", keep_empty_features=True))] if np.isnan(matrix).any() else []
    pipeline = Pipeline([*steps, ("scaler", StandardScaler()), ("classifier", CLASSIFIERS[name].make(seed))])
    return pipeline.fit(matrix.astype(np.float32), truth.astype(np.int64))


def probabilities(pipeline: Pipeline, matrix: np.ndarray) -> np.ndarray:
    """[n, 2], the positive label last."""
    with warnings.catch_warnings():
        # LightGBM names its columns when it is fitted and misses the names when it is asked.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return pipeline.predict_proba(matrix.astype(np.float32))


def importance(pipeline: Pipeline, matrix: np.ndarray, truth: np.ndarray, names: list[str], seed: int, repeats: int = 10) -> list[tuple[str, float]]:
    """How much AUC is lost on these rows when a column is shuffled, the largest first."""
    from fitting.measure import auc

    rng = np.random.default_rng(seed)
    whole = auc(probabilities(pipeline, matrix)[:, 1], truth)
    losses = []
    for place, name in enumerate(names):
        shuffled = matrix.copy()
        lost = []
        for _ in range(repeats):
            shuffled[:, place] = rng.permutation(matrix[:, place])
            lost.append(whole - auc(probabilities(pipeline, shuffled)[:, 1], truth))
        losses.append((name, float(np.mean(lost))))
    return sorted(losses, key=lambda entry: -entry[1])
