"""Writes CARD.md of the kit's bundles from what was measured; what was not measured is said to be so."""

from .figures import UNITS
from .table import Cohort

FIGURES = (("auc", "AUC"), ("f1", "F1"), ("accuracy", "accuracy"), ("sensitivity", "sensitivity"), ("specificity", "specificity"), ("ece", "calibration error"), ("brier", "Brier"))


def card(identity, cohort: Cohort, what: dict[str, str], made: str, facts: dict, parts: dict[str, dict], elsewhere: str = "", reads_loops: bool = False) -> str:
    return "\n".join([
        _head(identity, cohort, what, facts["first"]["image"]["auc"]), _made(made, parts), _figures(facts, cohort), _calls(facts, cohort), elsewhere or "## On real frames\nNot measured.\n", _limits(cohort, reads_loops)
    ])


def _head(identity, cohort: Cohort, what: dict[str, str], auc: dict) -> str:
    whom = (
        "synthetic; not validated on patients. Trained, calibrated and tested on drawn nailfolds alone: no picture of\na person was used for any of the three; "
        "its figures say how well it reads drawings, and nothing about people."
        if cohort.drawn else "the figures below are of held-out subjects of the cohort it was made from;\nno other cohort was asked."
    )
    chance = "" if auc["low"] is not None and auc["low"] > 0.5 else (
        f"\n\n**Not shown to do better than chance**: its AUC over held-out images, {value(auc)}, holds one half. It serves to build and test the way that such\n"
        "models take, and to be compared with; nothing can be read with it."
    )
    rows = "\n".join(f"| {key} | {entry} |" for key, entry in what.items())
    return f"""# {identity.name} {identity.version}

**Not validated on patients. Research use only. Not a diagnosis.** {whom[0].upper() + whom[1:]}{chance}

| | |
| --- | --- |
| task | one frame into {cohort.labels[0]} or {cohort.labels[1]} of the scheme {cohort.scheme} |
{rows}
| cohort | {identity.description} |
| licence | {identity.licence} |
"""


def _made(made: str, parts: dict[str, dict]) -> str:
    rows = "\n".join(f"| {part} | {n['subjects']} | {n['fingers']} | {n['images']} | {n['positive']} |" for part, n in parts.items())
    return f"""## How it was made
{made}

| part | subjects | fingers | images | of these positive |
| --- | --- | --- | --- | --- |
{rows}

Split by subject: no subject is in two parts.
"""


def _figures(facts: dict, cohort: Cohort) -> str:
    first = facts["first"]
    lines = [
        "## Figures on the test subjects",
        "Value and 95 % interval (1000 resamples of subjects), at calibrated probability one half. A field is the mean of its images, a finger its",
        "second highest field, an exam its highest finger; fingers and exams count as positive when any of their fields is.",
        "",
        "| unit | n (positive) | " + " | ".join(title for _, title in FIGURES) + " |",
        "| --- | --- |" + " --- |" * len(FIGURES),
        *[f"| {unit} | {first[unit]['units']} ({first[unit]['positive']}) | " + " | ".join(value(first[unit][key]) for key, _ in FIGURES) + " |" for unit in UNITS],
        "",
    ]
    if facts["repeats"] > 1:
        lines += [
            f"Over {facts['repeats']} splits by subject, each with a model of its own (mean and standard deviation):",
            "",
            "| unit | " + " | ".join(title for _, title in FIGURES) + " |",
            "| --- |" + " --- |" * len(FIGURES),
            *[f"| {unit} | " + " | ".join(spread(facts["repeated"][unit][key]) for key, _ in FIGURES) + " |" for unit in UNITS],
        ]
    if "by_image" in facts:
        lines += [
            "| image, **70 to 30 split by image, as in the study: not valid, persons on both sides** | "
            + " | ".join(spread(facts["by_image"][key]) for key, _ in FIGURES) + " |",
        ]
    lines += ["", "By device (images):", "", "| device | n (positive) | AUC | accuracy |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {f['units']} ({f['positive']}) | {value(f['auc'])} | {value(f['accuracy'])} |" for name, f in first["device"].items()]
    return "\n".join([*lines, ""])


def _calls(facts: dict, cohort: Cohort) -> str:
    first = facts["first"]
    c, f, s = first["calls"], first["finger_calls"], first["conformal"]
    fields = "two of its fields are" if c["recur"] == 2 else "one of its fields is"
    reached = "shown" if c["bound"] <= 1.0 - (1.0 - c["exam_budget"]) ** (1.0 / 8.0) else "aimed at, not shown"
    prevalence = 100 * first["image"]["positive"] / first["image"]["units"]
    return f"""## Calibration and calls
Temperature {c['temperature']}, fitted on the {c['subjects']} calibration subjects. The probability holds for a mix like the test subjects' ({prevalence:.0f} % of images positive).

Thresholds {c['lower']} and {c['upper']} on a field's probability. Budget: at most {100 * c['exam_budget']:g} % of healthy exams of eight fingers may show any false finger,
a finger being positive when {fields} above the upper threshold. On the calibration subjects {c['false_alarms']} of {c['clean_fingers']} fingers
without the pattern were false alarms: the true rate may still be up to {100 * c['bound']:.1f} % (one-sided 95 %), so the budget is {reached}.

| fingers of the test subjects ({f['fingers']}) | share |
| --- | --- |
| called either way | {f['called']:.3f} |
| positive, called positive | {f['sensitivity']:.3f} |
| positive, called negative | {f['missed']:.3f} |
| negative, called negative | {f['specificity']:.3f} |
| negative, called positive | {f['false_alarm']:.3f} |

Of {f['healthy_exams']} test exams without a positive finger {f['healthy_exams_alarmed']} showed one.
Conformal sets by finger (subjects as the unit, each label apart, aim {100 * s['aimed_at']:.0f} % of subjects with all their fingers right): {100 * s['covered_subjects']:.1f} % of subjects and
{100 * s['covered_fingers']:.1f} % of fingers covered; one label for {100 * s['one_label']:.1f} % of fingers, both for {100 * s['both']:.1f} %, neither for {100 * s['neither']:.1f} %.
"""


def _limits(cohort: Cohort, reads_loops: bool) -> str:
    beside = (
        "**It reads the same measured loops as the rules do**: where both agree, that is one piece of evidence and not two, and where the loops were measured wrongly\nboth are wrong."
        if reads_loops else "A disagreement with the measured loops should be believed against this model, not for it."
    )
    population = (
        "- on people at all, other than to try the software: it has seen drawings alone;" if cohort.drawn
        else "- on devices, skins, ages or diseases that its cohort did not hold: nobody knows what it does there;"
    )
    return f"""## Must not be used
- to decide anything about a person, to screen, to reassure, or to choose who is examined further;
{population}
- for more than the two labels above.

{beside} Published figures of other cohorts must not be set beside these.
"""


def value(figure: dict) -> str:
    if figure["value"] is None:
        return "not defined"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def spread(figure: dict | None) -> str:
    if figure is None:
        return "not defined"
    return f"{figure['mean']:.3f}" + ("" if figure["sd"] is None else f" ± {figure['sd']:.3f}")
