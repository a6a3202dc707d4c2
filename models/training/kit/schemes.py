"""The labelling schemes that a manifest may name, and which words each allows."""

from dataclasses import dataclass

from .problem import Problem


@dataclass(frozen=True)
class Scheme:
    name: str
    labels: tuple[str, ...]
    positive: str | None  # None where the user has to say which of two labels is set against the other


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        # Smith et al., Autoimmun Rev 2019;18:102394: a non-scleroderma and a scleroderma pattern.
        Scheme("fast-track", ("category_1", "category_2"), "category_2"),
        Scheme("normal-abnormal", ("normal", "abnormal"), "abnormal"),
        # Cutolo et al., J Rheumatol 2000;27:155.
        Scheme("cutolo-2000", ("early", "active", "late"), None),
        # Maricq et al., Arthritis Rheum 1976;19:1093.
        Scheme("maricq", ("slow", "active"), None),
    )
}


def scheme_of(name: str | None, where: str) -> Scheme:
    known = ", ".join(SCHEMES)
    if not name:
        raise Problem(f"{where}: no scheme is given, and the same word means other things in other schemes: say --scheme (one of {known})")
    if name not in SCHEMES:
        raise Problem(f"{where}: the scheme {name!r} is not known; known are {known}")
    return SCHEMES[name]


def two_labels(scheme: Scheme, used: set[str], positive: str | None, where: str) -> tuple[str, str]:
    """The negative and the positive label, in the order of the output's columns."""
    strangers = sorted(used - set(scheme.labels))
    if strangers:
        raise Problem(f"{where}: {strangers[0]!r} is not a label of {scheme.name}, which has {', '.join(scheme.labels)}")
    if len(used) < 2:
        raise Problem(f"{where}: every row is {used.pop()!r}: one class only cannot teach a difference" if used else f"{where}: holds no row")
    if len(used) > 2:
        raise Problem(f"{where}: has the labels {', '.join(sorted(used))}; this kit sets two against each other: keep the rows of two of them")
    positive = positive or scheme.positive
    if positive not in used:
        raise Problem(f"{where}: say with --positive which of {', '.join(sorted(used))} is the one to find", 2)
    (negative,) = used - {positive}
    return negative, positive
